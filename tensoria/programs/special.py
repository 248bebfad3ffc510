"""Special functions of arrays without numbers: recorded in float64, whatever they are given and give.

What PyTorch and TensorFlow call them is in the backends' lowerings; what they are is in `definitions.special`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensoria.dtypes import DType, float64
from tensoria.programs.definitions import special
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, namespace
from tensoria.programs.standard.operands import one

__all__ = ["FUNCTIONS", "polygamma", "recorded"]

Array = SymbolicArray


def _erf(x: Array) -> Array:
    return one(x, "erf")


FUNCTIONS: dict[str, Callable[[Any, Array], Array]] = {
    "lgamma": special.lgamma, "digamma": special.digamma, "i0": special.i0, "i0e": special.i0e, "i1": special.i1,
    "i1e": special.i1e, "erfinv": lambda xp, x: special.erfinv(xp, _erf, x),
    "ndtri": lambda xp, x: special.ndtri(xp, _erf, x),
}  # fmt: skip
"""The functions of one argument, by name."""


def recorded(function: Callable[[Any, Array], Array], x: Array, of: DType) -> Array:
    """A function of an array, in a data type."""
    return cast(function(namespace, cast(x, float64)), of)


def polygamma(order: int, x: Array, of: DType) -> Array:
    """A derivative of digamma; itself is of order 0."""
    return recorded(lambda xp, x: special.polygamma(xp, order, x) if order else special.digamma(xp, x), x, of)
