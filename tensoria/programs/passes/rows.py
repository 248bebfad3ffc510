"""Arrays of vectors stay rows of one matrix from one linear map to the next.

A framework then sees a product, its bias and the function behind it side by side, and computes them in one go.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from tensoria.programs.base import P
from tensoria.programs.passes.rewriting import COORDINATEWISE, Builder, rewritten
from tensoria.programs.types import Instruction, Literal, Operand, Type, Value

__all__ = ["vectors_as_rows"]


def vectors_as_rows(program: P) -> P:
    """The program with products of arrays of vectors and a matrix as products of two matrices."""
    rows = _Rows()
    return rewritten(program, rows.rewrite)


class _Rows:
    """What is known while a program is rewritten.

    Attributes:
        flat: of arrays of vectors the same as rows of a matrix.
    """

    def __init__(self) -> None:
        self.flat: dict[Operand, Value] = {}

    def rewrite(self, builder: Builder, made: Instruction) -> Sequence[Operand] | None:
        row = TABLE.get(made.operation)
        found = None if builder.inner or row is None else row(self, builder, made)
        return None if found is None else (found,)

    def matrix(self, builder: Builder, x: Operand) -> Value:
        """An array of vectors as a matrix."""
        if x not in self.flat:
            count = functools.reduce(operator.mul, x.type.shape[:-1])
            self.flat[x] = builder.add("reshape", (x,), shape=(count, x.type.shape[-1]))
        return self.flat[x]

    def back(self, builder: Builder, y: Value, of: Type) -> Value:
        """The rows as an array of vectors again, which dead code takes away if nobody wants it."""
        found = builder.add("reshape", (y,), shape=of.shape)
        self.flat[found] = y
        return found


Row: TypeAlias = Callable[[_Rows, Builder, Instruction], "Operand | None"]


def _matmul(rows: _Rows, builder: Builder, made: Instruction) -> Operand | None:
    x, matrix = made.operands
    if x.type.ndim < 3 or matrix.type.ndim != 2:
        return None
    return rows.back(builder, builder.add("matmul", (rows.matrix(builder, x), matrix)), made.results[0].type)


def _coordinatewise(rows: _Rows, builder: Builder, made: Instruction) -> Operand | None:
    result = made.results[0].type
    operands: list[Operand] = []
    for x in made.operands:
        if x in rows.flat and x.type.shape == result.shape:
            operands.append(rows.flat[x])
        elif isinstance(x, Literal) or x.type.shape == result.shape[-1:]:
            operands.append(x)
        else:
            return None
    if not any(x.type.ndim == 2 for x in operands) or result.ndim < 3:
        return None
    return rows.back(builder, builder.add(made.operation, operands, **made.attributes), result)


def _layer_norm(rows: _Rows, builder: Builder, made: Instruction) -> Operand | None:
    x, *scale = made.operands
    if x not in rows.flat or len(made.attributes["axes"]) != 1:
        return None
    found = builder.add("layer_norm", (rows.flat[x], *scale), axes=(1,), epsilon=made.attributes["epsilon"])
    return rows.back(builder, found, made.results[0].type)


TABLE: Final[dict[str, Row]] = {
    **dict.fromkeys(COORDINATEWISE, _coordinatewise), "matmul": _matmul, "layer_norm": _layer_norm,
}  # fmt: skip
"""How operations go on with rows."""
