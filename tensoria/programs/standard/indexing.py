"""Subscripts, assignment and gathers, recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.dtypes import bool_, int64
from tensoria.errors import AxisError
from tensoria.programs import recorder
from tensoria.programs.dimensions import Dim
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.operands import (
    cast,
    depends,
    one,
    operand,
    position,
)

__all__ = ["FUNCTIONS", "getitem", "setitem", "subscript"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


def subscript(x: Array, key: Any) -> tuple[tuple[Any, ...], list[Array]]:
    """A subscript in the table's form, and the arrays of positions in it."""
    items = key if isinstance(key, tuple) else (key,)
    items = tuple(x.recorder.constant(np.asarray(i)) if isinstance(i, (list, np.ndarray)) else i for i in items)
    for item in items:
        if isinstance(item, bool) or (isinstance(item, SymbolicArray) and item.dtype is bool_):
            depends("a boolean subscript")(x)
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        raise AxisError(f"{used} positions for a tensor with {x.ndim} axes.")
    dots = [n for n, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise AxisError("'...' occurs twice.")
    at = dots[0] if dots else len(items)
    full = (*items[:at], *(slice(None),) * (x.ndim - used), *items[at + len(dots) :])
    arrays = any(isinstance(item, SymbolicArray) for item in full)
    parts: list[Any] = []
    positions: list[Array] = []
    for item in full:
        if item is None:
            parts.append(None)
        elif isinstance(item, slice):
            parts.append(Cut(_bound(item.start), _bound(item.stop), _bound(item.step) or 1))
        elif isinstance(item, SymbolicArray) or arrays:
            index = item if isinstance(item, SymbolicArray) else x.recorder.literal(item.__index__(), int64)
            positions.append(index)
            parts.append(At(len(positions)))
        else:
            parts.append(item.__index__())
    return tuple(parts), positions


def _bound(end: Any) -> Any:
    if isinstance(end, SymbolicArray):
        recorder.refuse("a bound of a slice")
    return end if end is None or isinstance(end, Dim) else end.__index__()


def getitem(x: Array, key: Any) -> Array:
    """`x[key]`."""
    parts, positions = subscript(x, key)
    if not positions and all(part == Cut() for part in parts):
        return x
    return one(x, "getitem", *positions, key=parts)


def setitem(x: Array, key: Any, value: Any) -> Array:
    """The array after `x[key] = value`, which is another value; a mask as the key chooses with `where`."""
    value = cast(operand(value, x), x.dtype)
    if isinstance(key, SymbolicArray) and key.dtype is bool_ and value.ndim <= x.ndim - key.ndim:
        mask = one(key, "reshape", shape=(*key.shape, *(1,) * (x.ndim - key.ndim)))
        return one(mask, "where", value, x)
    parts, positions = subscript(x, key)
    return one(x, "setitem", value, *positions, key=parts)


def _take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    if axis is None and x.ndim != 1:
        raise AxisError(f"take along an axis: give one of {x.ndim}.")
    return one(x, "take", operand(indices, x), axis=position(axis or 0, x.ndim))


def _take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    return one(x, "take_along_axis", indices, axis=position(axis, x.ndim))


FUNCTIONS: dict[str, Callable[..., Any]] = {"take": _take, "take_along_axis": _take_along_axis}
"""The functions of this chapter, by name."""
