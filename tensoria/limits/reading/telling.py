"""A program that was read, in the paper's notation, with the rules that it uses and the language that it needs.

`A(n, m)` is a matrix, `G(n)` a vector that comes from an input or a MatMul, `H(n)` any vector, `C` a number with a
deterministic limit (TP I, section 3). What stands in square brackets are the finite axes of a family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tensoria.limits.language.classification import CONDITIONS, Classification, Condition
from tensoria.limits.language.continuity import Answer, breaks_of
from tensoria.limits.reading.expressions import Expression, nonlinearity
from tensoria.limits.reading.nodes import (
    Constant,
    Det,
    Detached,
    Gathered,
    Initial,
    Map,
    MatMul,
    Matrix,
    Mix,
    Node,
    Nonlin,
    Place,
    Product,
    Quadratic,
    Scale,
    Sum,
    Weigh,
)
from tensoria.limits.reading.reader import Reading
from tensoria.programs.types import Source

__all__ = ["classified", "in_order", "told"]

INFIX: Final = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "less": "<"}


def in_order(reading: Reading) -> list[Node]:
    """The nodes that results are made of, each after what it is made of."""
    done: dict[int, Node] = {}

    def visit(x: Node) -> None:
        if id(x) not in done:
            for inner in x.below():
                visit(inner)
            done[id(x)] = x

    for view in reading.outputs:
        if isinstance(view.of, Node):
            visit(view.of)
    return list(done.values())


class _Teller:
    """Names of vectors, and formulas in them."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.names: dict[int, str] = {}
        self.scalars: dict[int, str] = {}
        self.counts: dict[str, int] = {}

    def fresh(self, letter: str) -> str:
        self.counts[letter] = self.counts.get(letter, 0) + 1
        return f"{letter}{self.counts[letter]}"

    def scalar(self, det: Det) -> str:
        if det.number is not None:
            return f"{det.number:g}" + (f" n^{det.power}" if det.power else "")
        if id(det) not in self.scalars:
            self.scalars[id(det)] = self.fresh("c")
        return self.scalars[id(det)]

    def formula(self, x: Node) -> str:
        """A node in the names of the vectors that it is made of."""
        if id(x) in self.names:
            return self.names[id(x)]
        if isinstance(x, Sum):
            return " + ".join(map(self.formula, x.terms)).replace("+ -", "- ") if x.terms else "0"
        if isinstance(x, Scale):
            number = "-" if x.number == -1 else "" if x.number == 1 else f"{x.number:g} "
            inner = self.formula(x.x)
            power = f"n^{x.exponent} " if x.exponent else ""
            return f"{number}{power}{f'({inner})' if ' + ' in inner else inner}"
        if isinstance(x, Weigh):
            inner = self.formula(x.x)
            return f"{self.scalar(x.value)} {f'({inner})' if ' + ' in inner else inner}"
        if isinstance(x, (Place, Detached)):
            return self.formula(x.x)
        if isinstance(x, Constant):
            return self.scalar(x.value)
        if isinstance(x, Map):
            return f"{x.name.split(' ')[0].split('(')[0]}({self.formula(x.x)})"
        if isinstance(x, Mix):
            return f"sum({self.scalar(x.value)} {self.formula(x.x)})"
        if isinstance(x, Product):
            return " * ".join(f"({f})" if " " in (f := self.formula(of)) else f for of in x.factors)
        if isinstance(x, Quadratic):
            return f"norm({self.formula(x.x)})^{2 * x.exponent}"
        if isinstance(x, Nonlin):
            return self.tree(x.tree, [self.formula(of) for of in x.variables], [self.scalar(d) for d, _ in x.scalars])
        return type(x).__name__

    def tree(self, of: Expression, variables: Sequence[str], scalars: Sequence[str]) -> str:
        """A function in the names of its variables."""
        if of.operation in ("variable", "scalar"):
            return str((variables if of.operation == "variable" else scalars)[of.number])
        if of.operation == "literal":
            return str(of)
        parts = [self.tree(x, variables, scalars) for x in of.operands]
        sign = INFIX.get(of.operation)
        if sign is None:
            return f"{of.operation}({', '.join(parts)})"
        return f" {sign} ".join(f"({p})" if " " in p else p for p in parts)


def _family(name: str, x: Node) -> str:
    return f"{name}[{', '.join(map(str, x.sizes))}]" if x.sizes else name


def told(reading: Reading) -> str:
    """The program in the paper's notation: one line for each matrix, initial vector, MatMul and Nonlin."""
    teller = _Teller(reading)
    rows: list[tuple[str, str, str]] = []
    matrices: dict[str, Matrix] = {}
    n = reading.widened.widths[0] if reading.widened.widths else "n"
    for x in in_order(reading):
        if isinstance(x, MatMul):
            matrices.setdefault(x.matrix.name, x.matrix)
    for name, matrix in matrices.items():
        shape = ", ".join(map(str, reading.widened.parameters[name].type.shape))
        rows.append((f"{_family(name, matrix)} : A({shape})", f"entries {matrix.law}", ""))
    for x in in_order(reading):
        width = n if x.wide else "1"
        if isinstance(x, Initial):
            at = "".join(f"_{p}" for p in x.fixed if p is not None)
            teller.names[id(x)] = x.name + at
            rows.append((f"{_family(x.name + at, x)} : G({width})", str(x.law), "initial"))
        elif isinstance(x, Gathered):
            name = teller.names[id(x)] = teller.fresh("e")
            rows.append((f"{_family(name, x)} : G({width})", f"{x.of.name} at the data's positions", "initial"))
        elif isinstance(x, MatMul):
            name = teller.fresh("g" if x.wide else "f")
            factor = "" if x.matrix.number == 1 else f"{x.matrix.number:g} "
            at = "".join(f"_{p}" for p in x.matrix.fixed if p is not None)
            turned = "" if x.side == 1 or not x.wide else "^T"
            text = f"{factor}{x.matrix.name}{at}{turned} {_bracketed(teller.formula(x.x))}"
            teller.names[id(x)] = name
            kind = f"G({width})" if x.wide else "readout"
            rows.append((f"{_family(name, x)} : {kind}", text, "MatMul"))
        elif isinstance(x, (Nonlin, Product)):
            text = teller.formula(x)
            name = teller.names[id(x)] = teller.fresh("h")
            rows.append((f"{_family(name, x)} : H({width})", text, "Nonlin"))
    for det, name in teller.scalars.items():
        moment = reading.families.moments.get(det)
        rows.append((f"{name} : C", moment or "numbers that are known in the limit", "Moment" if moment else ""))
    for number, view in enumerate(reading.outputs):
        shown = teller.formula(view.of) if isinstance(view.of, Node) else "a number that is known"
        rows.append((f"output {number}" if len(reading.outputs) > 1 else "output", shown, "LinComb"))
    left = max(len(row[0]) for row in rows)
    middle = min(60, max(len(row[1]) for row in rows))
    return "\n".join(f"{a:{left}} = {b:{middle}}  {c}".rstrip() for a, b, c in rows)


def _bracketed(text: str) -> str:
    return f"({text})" if " " in text else text


def classified(reading: Reading, independent: Callable[[], str | None]) -> Classification:
    """The smallest language that suffices, what it asks of each nonlinearity, and whether that holds.

    Args:
        reading: the program.
        independent: why gradients are not independent, or None.
    """
    teller = _Teller(reading)
    sides: dict[str, set[int]] = {}
    reasons, conditions = [], []
    nodes = in_order(reading)
    for x in nodes:
        if isinstance(x, MatMul) and x.wide:
            sides.setdefault(x.matrix.name, set()).add(x.side)
    transposed = [name for name, found in sides.items() if len(found) > 1]
    if transposed:
        reasons.append(f"{transposed[0]} is used as its transpose too")
    moments = list(reading.families.moments.values())
    if moments:
        reasons.append(f"{moments[0]}: an empirical moment as a parameter")
    language = ("NETSOR-T" if transposed else "NETSOR") + ("+" if moments else "")
    asked, decide = CONDITIONS[language]
    infinite = (-float("inf"), float("inf"))
    for x in nodes:
        if isinstance(x, (Nonlin, Product)):
            text = teller.formula(x)
            name = teller.names[id(x)] = teller.fresh("h")
            if isinstance(x, Nonlin):
                function = nonlinearity(x.tree, len(x.variables), len(x.scalars))
                kinks, jumps = breaks_of(function)
                answer = decide(function, (infinite,) * len(x.scalars))
                conditions.append(
                    Condition(f"{name} = {text}", asked, answer, tuple(kinks), tuple(jumps), Source(file=x.where))
                )
        elif isinstance(x, MatMul):
            teller.names[id(x)] = teller.fresh("g")
        elif isinstance(x, Initial):
            teller.names[id(x)] = x.name
    rank = Answer(True, f"{language} does not ask for it") if not language.endswith("+") else Answer(
        None, "the Gram matrices of the data in question decide it"
    )  # fmt: skip
    reason = independent()
    free = Answer(reason is None, reason or "no matrix is used as its transpose, and the readout is used nowhere else")
    return Classification(language, tuple(reasons), tuple(conditions), rank, free)
