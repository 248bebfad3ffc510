"""Sizes that a graph computes with: arithmetic on known numbers, among them expressions over open sizes.

TensorFlow's graphs contain how shapes follow from shapes: `Shape`, `StridedSlice`, `Pack`, products. Operations on
numbers that are known are computed at once: by TensorFlow itself, or, where an entry is an expression, by the table
below on NumPy's arrays of objects. What an expression's bounds leave open is left to the program.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensoria.errors import ShapeError
from tensoria.programs.dimensions import Dim, maximum, minimum, product
from tensoria.programs.operations.elementwise import broadcast
from tensoria_tensorflow.lowerings.call import Known, positions, whole

__all__ = ["computed", "known", "opened", "subscript"]


def known(values: Sequence[Any], like: Any = None) -> Known:
    """Sizes as known numbers."""
    found = np.empty(len(values), object)
    found[:] = list(values)
    return opened(found)


def opened(found: Any) -> Known:
    """An array of objects only where an entry is an expression."""
    array = np.asarray(found, object) if not isinstance(found, np.ndarray) else found
    if array.dtype == object and not any(isinstance(item, (Dim, bytes, str)) for item in array.reshape(-1)):
        kinds = {type(item) for item in array.reshape(-1)}
        return array.astype(bool if kinds <= {bool, np.bool_} and kinds else np.int64)
    return array


def has_open(value: Known) -> bool:
    """Whether an entry is an expression."""
    return value.dtype == object and any(isinstance(item, Dim) for item in value.reshape(-1))


def subscript(
    begin: Any, end: Any, strides: Any, *, begin_mask: int, end_mask: int, ellipsis_mask: int, new_axis_mask: int,
    shrink_axis_mask: int,
) -> tuple[Any, ...]:  # fmt: skip
    """The subscript that `StridedSlice` writes as three vectors and five masks of bits."""
    key: list[Any] = []
    for n, (start, stop, step) in enumerate(zip(whole(begin), whole(end), whole(strides), strict=True)):
        bit = 1 << n
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(start)
        else:
            key.append(slice(None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return tuple(key)


MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _strided(call: Any, x: Known, begin: Known, end: Known, strides: Known) -> Any:
    masks = {name: call.attribute(name) for name in MASKS}
    return x[subscript(begin, end, strides, **masks)]


def _slice(call: Any, x: Known, begin: Known, size: Known) -> Any:
    parts = zip(whole(begin), whole(size), strict=True)
    return x[tuple(slice(start, None if count == -1 else start + count) for start, count in parts)]


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(call: Any, x: Known, axes: Known) -> Any:
        if x.ndim != 1 or positions(axes, 1) != (0,):
            raise ShapeError("only sizes in one axis are reduced at once.")
        found = function(list(x))
        return np.asarray([found], object) if call.attribute("keep_dims") else np.asarray(found, object)

    return reduce


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    made = np.frompyfunc(function, 2, 1)
    return lambda call, a, b: made(a.astype(object), b.astype(object))


def _folded(function: Callable[..., Any]) -> Callable[..., Any]:
    def fold(values: list[Any]) -> Any:
        first, *rest = values
        for other in rest:
            first = function(first, other)
        return first

    return fold


def _equal(a: Any, b: Any) -> bool:
    difference = a - b
    if isinstance(difference, Dim):
        low, high = difference.bounds()
        if low <= 0 <= high:
            raise ShapeError(f"whether {a} is {b} is not known.")
        return False
    return bool(difference == 0)


def _select(call: Any, condition: Known, a: Known, b: Known) -> Any:
    return np.where(condition, a.astype(object), b.astype(object))


def _broadcast(a: Known, b: Known) -> Any:
    return np.asarray(broadcast((tuple(a), tuple(b)), "broadcast_args"), object)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("Identity", "Snapshot", "StopGradient", "PreventGradient"), lambda call, x: x),
    "Cast": lambda call, x: x if call.dtype.kind in ("int", "uint") else NotImplemented,
    **{name: _each(function) for name, function in {
        "Add": operator.add, "AddV2": operator.add, "Sub": operator.sub, "Mul": operator.mul,
        "FloorDiv": operator.floordiv, "FloorMod": operator.mod, "Maximum": maximum, "Minimum": minimum,
        "TruncateDiv": operator.floordiv, "Div": operator.floordiv, "Mod": operator.mod,
        "Equal": _equal, "NotEqual": lambda a, b: not _equal(a, b), "Less": lambda a, b: bool(a < b),
        "LessEqual": lambda a, b: bool(a <= b), "Greater": lambda a, b: bool(a > b),
        "GreaterEqual": lambda a, b: bool(a >= b),
    }.items()},
    "Neg": lambda call, x: -x, "Square": lambda call, x: x * x,
    "Prod": _reduced(product), "Sum": _reduced(_folded(operator.add)), "Max": _reduced(_folded(maximum)),
    "Min": _reduced(_folded(minimum)),
    "Pack": lambda call, *xs: np.stack([x.astype(object) for x in xs], axis=call.attribute("axis")),
    "Unpack": lambda call, x: [np.asarray(part, object) for part in np.moveaxis(x, call.attribute("axis"), 0)],
    "ConcatV2": lambda call, *xs: np.concatenate([x.astype(object) for x in xs[:-1]], axis=int(xs[-1])),
    "StridedSlice": _strided, "Slice": _slice,
    "GatherV2": lambda call, x, at, axis: np.take(x, at.astype(np.int64), axis=int(axis)),
    "Reshape": lambda call, x, shape: x.reshape(whole(shape)),
    "ExpandDims": lambda call, x, axis: np.expand_dims(x, int(axis)),
    "Squeeze": lambda call, x: np.squeeze(x, axis=tuple(call.attribute("squeeze_dims")) or None),
    "Fill": lambda call, shape, value: np.full(whole(shape), value, object),
    "Tile": lambda call, x, counts: np.tile(x, whole(counts)),
    "ReverseV2": lambda call, x, axes: np.flip(x, axis=whole(axes)),
    "Transpose": lambda call, x, order: np.transpose(x, whole(order)),
    "Split": lambda call, axis, x: np.split(x, call.attribute("num_split"), axis=int(axis)),
    "SplitV": lambda call, x, sizes, axis: np.split(x, np.cumsum(sizes.astype(int))[:-1], axis=int(axis)),
    "BroadcastArgs": lambda call, a, b: _broadcast(a, b), "Select": _select, "SelectV2": _select,
}  # fmt: skip
"""What operations compute of sizes, some of which are expressions."""


def computed(call: Any, name: str, values: Sequence[Known]) -> list[Known] | None:
    """The results of an operation on known numbers with expressions among them; None where the program decides."""
    function = FUNCTIONS.get(name)
    if function is None:
        return None
    try:
        found = function(call, *values)
    except (ShapeError, TypeError, ValueError, IndexError):
        return None
    if found is NotImplemented:
        return None
    return [opened(np.asarray(item, object) if not isinstance(item, np.ndarray) else item)
            for item in (found if isinstance(found, list) else [found])]  # fmt: skip
