"""A program as the papers write it: one typed variable in a line, and the rule that makes it."""

from __future__ import annotations

from typing import Any

from tensoria.limits.language.instructions import (
    Constant,
    Initial,
    LinComb,
    MatMul,
    Matrix,
    Moment,
    Nonlin,
    OuterNonlin,
    Rule,
    Scalar,
    Vector,
)
from tensoria.limits.language.numbers import shown

__all__ = ["printed", "rule_name"]

NAMES: dict[type[Rule], str] = {
    Initial: "Input", Constant: "Scalar", MatMul: "MatMul", LinComb: "LinComb", Nonlin: "Nonlin", Moment: "Moment",
    OuterNonlin: "OuterNonlin",
}  # fmt: skip


def rule_name(rule: Rule) -> str:
    """The rule's name in the papers, with what it needs beyond the smallest language."""
    name = NAMES[type(rule)]
    if isinstance(rule, MatMul) and rule.matrix.transposed:
        return f"{name}, transposed"
    if isinstance(rule, (Nonlin, OuterNonlin)) and rule.scalars:
        return f"{name}+"
    return name


def printed(program: Any) -> str:
    """The whole program."""
    _name_dimensions(program)
    lines = [_matrix(matrix) for matrix in program.matrices.values()]
    rows = []
    for rule in program.rules:
        for x in rule.results:
            of = "C" if isinstance(x, Scalar) else f"{x.kind}({x.dimension})"
            rows.append((f"{x.name} : {of}", rule.text(), rule_name(rule)))
    left = max((len(row[0]) for row in rows), default=0)
    middle = max((len(row[1]) for row in rows), default=0)
    middle = max(middle, 22)
    lines += [f"{a:<{left}} = {b:<{middle}}  {c}" for a, b, c in rows]
    return "\n".join(lines)


def _name_dimensions(program: Any) -> None:
    """Widths that nobody named are n, m, n2, n3, ... in order of appearance."""
    sides = [side for matrix in program.matrices.values() for side in (matrix.rows, matrix.columns)]
    sides += [x.dimension for rule in program.rules for x in rule.results if isinstance(x, Vector)]
    roots = list(dict.fromkeys(side.root for side in sides))
    taken = {root.name for root in roots if root.named}
    letters = (name for name in ("n", "m", *(f"n{k}" for k in range(2, len(roots) + 2))) if name not in taken)
    for root in roots:
        if not root.named:
            root.name = next(letters)


def _matrix(matrix: Matrix) -> str:
    rho = matrix.rows.ratio / matrix.columns.ratio
    tail = "" if rho == 1 else f", rho = {shown(rho)}"
    top = "1" if matrix.variance == 1 else shown(matrix.variance)
    return f"{matrix.name} : A({matrix.rows}, {matrix.columns}), entries N(0, {top}/{matrix.columns}){tail}"
