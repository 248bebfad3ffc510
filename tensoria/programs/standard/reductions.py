"""Functions along axes, recorded: reductions, running reductions, order, positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensoria.dtypes import DType, bool_, int64, uint64
from tensoria.errors import AxisError
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.indexing import getitem
from tensoria.programs.standard.manipulation import concat, expand, reshape
from tensoria.programs.standard.operands import (
    as_dtype,
    axes_of,
    cast,
    depends,
    one,
    operand,
    position,
    promote,
)

__all__ = ["FUNCTIONS", "accumulator", "deviation"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


def accumulator(of: DType) -> DType:
    """The data type in which the standard adds and multiplies: the default integer at least, of the same sign."""
    return uint64 if of.kind == "uint" else int64 if of.kind in ("int", "bool") else of


def _accumulating(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
        x = cast(x, accumulator(x.dtype) if dtype is None else as_dtype(dtype))
        return one(x, name, axes=axes_of(axis, x.ndim), keepdims=keepdims)

    return function


def _reduction(name: str, **more: Any) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: Axis = None, keepdims: bool = False, **options: Any) -> Array:
        return one(x, name, axes=axes_of(axis, x.ndim), keepdims=keepdims, **{**more, **options})

    return function


def deviation(variance: Array) -> Array:
    """The square root of a variance, whose derivative at zero is zero, as that of a norm is."""
    zero, unit = (operand(value, variance) for value in (0.0, 1.0))
    none = one(variance, "equal", zero)
    return one(none, "where", variance, one(one(none, "where", unit, variance), "sqrt"))


def _std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    variance = one(x, "var", axes=axes_of(axis, x.ndim), keepdims=keepdims, correction=correction)
    return deviation(variance)


def _arg(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
        if axis is not None:
            return one(x, name, axis=position(axis, x.ndim), keepdims=keepdims)
        found = one(reshape(x, (-1,)), name, axis=0, keepdims=False)
        return reshape(found, (1,) * x.ndim) if keepdims else found

    return function


def _running(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
        if axis is None and x.ndim != 1:
            raise AxisError(f"{name} over an axis: give one of {x.ndim}.")
        x = cast(x, accumulator(x.dtype) if dtype is None else as_dtype(dtype))
        return one(x, name, axis=position(axis or 0, x.ndim), include_initial=include_initial)

    return function


def _ordered(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
        return one(x, name, axis=position(axis, x.ndim), descending=descending, stable=stable)

    return function


def _searchsorted(x1: Array, x2: Any, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    if sorter is not None:
        x1 = one(x1, "take", sorter, axis=0)
    a, b = promote((x1, operand(x2, x1)))
    return one(a, "searchsorted", b, side=side)


def _diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    place = position(axis, x.ndim)
    parts = [part for part in (prepend, x, append) if part is not None]
    x = x if len(parts) == 1 else concat(parts, axis=place)
    for _ in range(n):
        later, earlier = (getitem(x, (*(slice(None),) * place, cut)) for cut in (slice(1, None), slice(None, -1)))
        x = one(later, "not_equal" if x.dtype is bool_ else "subtract", earlier)
    return x


def _isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Array:
    if not isinstance(x1, SymbolicArray):
        x1 = operand(x1, x2)
    a, b = promote((x1, operand(x2, x1)))
    same = one(expand(a, -1), "equal", reshape(b, (-1,)))
    found = one(same, "any", axes=(a.ndim,), keepdims=False)
    return one(found, "logical_not") if invert else found


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _accumulating("sum"), "prod": _accumulating("prod"),
    **{name: _reduction(name) for name in ("max", "min", "mean", "all", "any", "count_nonzero")},
    "var": _reduction("var", correction=0.0), "std": _std,
    "argmax": _arg("argmax"), "argmin": _arg("argmin"),
    "cumulative_sum": _running("cumulative_sum"), "cumulative_prod": _running("cumulative_prod"),
    "sort": _ordered("sort"), "argsort": _ordered("argsort"), "searchsorted": _searchsorted,
    "diff": _diff, "isin": _isin,
    **{name: depends(name) for name in (
        "nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    )},
}  # fmt: skip
"""The functions of this chapter, by name."""
