"""Operands and arguments made explicit: promotion, numbers beside arrays, axes that are given and not negative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensoria.dtypes import DType, beside, dtype, float64, promoted
from tensoria.errors import AxisError, TracingError
from tensoria.programs import recorder
from tensoria.programs.dimensions import Dim
from tensoria.programs.recorder import SymbolicArray

__all__ = ["as_dtype", "axes_of", "cast", "depends", "dtype_of", "one", "operand", "position", "promote"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


def cast(x: Array, of: DType) -> Array:
    """The array in a data type, recorded only if it changes; complex to real drops nothing silently."""
    return x if x.dtype is of else one(x, "astype", dtype=of)


def one(x: Array, operation: str, *more: Array, **attributes: Any) -> Array:
    """The result of one instruction."""
    return x.recorder.record(operation, (x, *more), **attributes)[0]


def operand(value: Any, like: Array) -> Array:
    """A number or a size as a symbolic array of the data type that it takes beside another one."""
    if isinstance(value, SymbolicArray):
        return value
    if isinstance(value, Dim):
        return like.recorder.size(value, like.dtype)
    if isinstance(value, np.ndarray):
        return like.recorder.constant(value)
    return like.recorder.literal(value, beside(value, like.dtype))


def promote(arrays: Sequence[Array]) -> list[Array]:
    of = arrays[0].dtype
    for x in arrays[1:]:
        of = promoted(of, x.dtype)
    return [cast(x, of) for x in arrays]


def position(axis: Any, ndim: int) -> int:
    place: int = axis.__index__()
    if not -ndim <= place < ndim:
        raise AxisError(f"axis {place} of a tensor with {ndim} axes.")
    return place % ndim


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    found = tuple(sorted(position(n, ndim) for n in given))
    if len(set(found)) != len(found):
        raise AxisError(f"one axis is given twice: {given}.")
    return found


def as_dtype(of: Any, default: DType = float64) -> DType:
    return default if of is None else dtype(of)


def dtype_of(array: np.ndarray[Any, Any]) -> DType:
    """tensoria's data type of a NumPy array."""
    return dtype(array.dtype)


def depends(name: str) -> Callable[..., Any]:
    def function(*operands: Any, **_: Any) -> Any:
        source = next((x.recorder.source for x in operands if isinstance(x, SymbolicArray)), None) or recorder.caller()
        raise TracingError(
            f"the shape of {name}'s result depends on numbers that are not known while tracing, at {source}.",
            legal="tn.where with a mask keeps the shape",
        )

    return function
