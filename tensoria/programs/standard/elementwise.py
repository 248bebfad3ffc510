"""Functions of components one by one, recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensoria.dtypes import float64
from tensoria.programs.operations import elementwise
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.operands import (
    as_dtype,
    cast,
    one,
    operand,
    promote,
)

__all__ = ["FUNCTIONS", "binary", "unary"]

Array = SymbolicArray


def unary(name: str) -> Callable[[Array], Array]:
    """A function of each component."""

    def function(x: Array, /) -> Array:
        return one(x, name)

    return function


def binary(name: str) -> Callable[[Any, Any], Array]:
    """A function of two operands, either of which may be a number."""

    def function(x1: Any, x2: Any, /) -> Array:
        if not isinstance(x1, SymbolicArray):
            x1 = operand(x1, x2)
        a, b = promote((x1, operand(x2, x1)))
        if name == "divide" and a.dtype.kind in ("int", "uint", "bool"):
            a, b = cast(a, float64), cast(b, float64)
        return one(a, name, b)

    return function


def _where(condition: Array, x1: Any, x2: Any, /) -> Array:
    if not isinstance(x1, SymbolicArray):
        x1 = operand(x1, x2 if isinstance(x2, SymbolicArray) else condition)
    return one(condition, "where", *promote((x1, operand(x2, x1))))


def _clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    for bound, inside, outside in ((min, "greater_equal", "maximum"), (max, "less_equal", "minimum")):
        if bound is not None:
            # At its bound the derivative is that of x, which a tie of maximum would share.
            end = cast(operand(bound, x), x.dtype)
            x = one(one(x, inside, end), "where", x, one(x, outside, end))
    return x


def _astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return cast(x, as_dtype(dtype))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: unary(name) for name, row in elementwise.ROWS.items() if row.operands == ("x",) and not row.attributes},
    **{name: binary(name) for name, row in elementwise.ROWS.items() if row.operands == ("x1", "x2")},
    "positive": lambda x: x, "where": _where, "clip": _clip, "astype": _astype,
}  # fmt: skip
"""The functions of this chapter, by name."""
