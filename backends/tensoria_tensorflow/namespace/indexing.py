"""Subscripts: `x[key]` and its inverse, with NumPy's rules.

A key of integers, slices, None and Ellipsis is one StridedSlice with cached arguments. A key with arrays takes three
steps: each mask merges the axes it covers and becomes the positions where it is true; the slices are applied; the
axes that carry arrays are merged into one, and one gather along it does the rest. TensorFlow's tensors are immutable,
so `setitem` returns the new tensor: it indexes the tensor of positions 0, 1, 2, ... with the same key and scatters
the value to the places found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.structure import Cache

from .. import kernels
from ..kernels import EagerTensor, cast, raw, read, select
from .data_types import KINDS, Scalar, check, constant, result_type
from .manipulation import along
from .shapes import (
    MAX_RANK,
    aligned,
    axis_of,
    broadcast_extents,
    extents,
    permuted_last,
    product,
    rank,
    reshaped,
    spread,
    static,
    vector,
)

__all__ = ["getitem", "setitem", "take", "take_along_axis"]

Array = Any
Key = tuple[Any, ...]

_FAR = 2**31 - 1  # beyond every axis; slice bounds are int32
_FULL = slice(None)
_GATHER_ND_RANK = 7  # of the places that GatherNd takes
_BASIC = (int, slice, type(None), type(Ellipsis), np.integer)


# --- reading a key -----------------------------------------------------------------------------------------------


def _items(key: Any) -> Key:
    """The key as a tuple of basic items, 0-d integer tensors (while tracing) and index arrays."""
    key = key if type(key) is tuple else (key,)
    items: Key = key
    for item in items:
        if type(item) is bool or not isinstance(item, _BASIC):
            return tuple(_item(one) for one in items)
    return items


def _item(item: Any) -> Any:
    if isinstance(item, (bool, np.bool_)):
        return tf.constant(bool(item))
    if isinstance(item, _BASIC):
        return item
    if isinstance(item, list):
        item = np.asarray(item, dtype=None if item else np.int64)
    if not isinstance(item, tf.Tensor):
        item = read(item)
    if item.dtype not in KINDS["bool or integral"]:
        raise IndexError(f"an index array holds integers or truth values, not {item.dtype.name}")
    if item.shape.rank == 0 and type(item) is EagerTensor and item.dtype is not tf.bool:
        return int(item)
    return item


def _is_array(item: Any) -> bool:
    return isinstance(item, tf.Tensor) and (item.dtype is tf.bool or item.shape.rank != 0)


def _is_mask(item: Any) -> bool:
    return isinstance(item, tf.Tensor) and item.dtype is tf.bool


def _consumes(item: Any) -> int:
    """How many axes of the array an item speaks for."""
    if item is None:
        return 0
    return rank(item) if _is_mask(item) else 1


def _expanded(items: Key, ndim: int) -> list[Any]:
    """The items with full slices in place of the ellipsis, and at the end."""
    missing = ndim - sum(_consumes(item) for item in items if item is not Ellipsis)
    if missing < 0:
        raise IndexError(f"too many indices: {ndim - missing} for an array of {ndim} axes")
    dots = [place for place, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index holds one ellipsis at most")
    at = dots[0] if dots else len(items)
    return [*items[:at], *(_FULL,) * missing, *items[at + 1 :]]


def _in_bounds(index: int, length: int | None, axis: int) -> int:
    if length is not None and not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")
    return index


def _bound(value: Any) -> Any:
    """A slice bound: an integer within int32, or a scalar tensor."""
    if isinstance(value, tf.Tensor) and type(value) is not EagerTensor:
        return cast(value, tf.int32)
    return max(min(value.__index__(), _FAR), -_FAR)


class _Strided:
    """The arguments of StridedSlice for a basic key; `new` marks the new axes, which the update kernel must not see."""

    __slots__ = ("begin", "begin_mask", "end", "end_mask", "left", "new", "shrink", "strides")
    left: tuple[int, ...]
    """The shape of what is selected; of the cuts that are held only."""

    def __init__(self, items: Sequence[Any], shape: tuple[int | None, ...]) -> None:
        begin: list[Any] = []
        end: list[Any] = []
        strides: list[int] = []
        self.begin_mask = self.end_mask = self.new = self.shrink = 0
        axis, bit = 0, 1
        for item in items:
            first, last, step = 0, 0, 1
            if item is None:
                self.new |= bit
            else:
                if isinstance(item, slice):
                    start, stop = item.start, item.stop
                    step = 1 if item.step is None else _bound(item.step)
                    if isinstance(step, int) and step == 0:
                        raise ValueError("slice step cannot be zero")
                    if start is None:
                        self.begin_mask |= bit
                    else:
                        first = _bound(start)
                    if stop is None:
                        self.end_mask |= bit
                    else:
                        last = _bound(stop)
                elif isinstance(item, tf.Tensor):  # a 0-d integer while tracing
                    self.shrink |= bit
                    first = cast(item, tf.int32)
                    last = first + 1
                else:
                    self.shrink |= bit
                    first = _in_bounds(item.__index__(), shape[axis], axis)
                    last = first + 1
                axis += 1
            begin.append(first)
            end.append(last)
            strides.append(step)
            bit <<= 1
        self.begin, self.end, self.strides = vector(begin), vector(end), vector(strides)


def _held_cut(x: Array, key: Any) -> _Strided | None:
    """The arguments for an integer or a slice of integers on an eager tensor, found once; None for other keys."""
    kind = type(key)
    if kind is int:
        return _CUTS[key, x._shape_tuple()]
    if kind is slice and all(part is None or type(part) is int for part in (key.start, key.stop, key.step)):
        return _CUTS[(key.start, key.stop, key.step), x._shape_tuple()]
    return None


def _cut(key: tuple[Any, tuple[int, ...]]) -> _Strided | None:
    item, shape = key[0] if type(key[0]) is int else slice(*key[0]), key[1]
    if len(shape) > MAX_RANK:
        return None
    items = _expanded((item,), len(shape))
    cut = _Strided(items, shape)
    cut.left = tuple(_lengths(items, shape))
    return cut


_CUTS: Cache[tuple[Any, tuple[int, ...]], _Strided | None] = Cache(_cut)
"""What `_Strided` finds for a key and a shape."""


# --- reading elements --------------------------------------------------------------------------------------------


def getitem(x: Array, key: Any, /) -> Array:
    """`x[key]` for a key of integers, slices, None, Ellipsis, boolean masks and integer arrays.

    Raises IndexError for an index out of bounds (arrays of indices while tracing: when run, and on the CPU only).
    """
    if type(x) is not EagerTensor:
        x = read(x)
    elif (cut := _held_cut(x, key)) is not None:
        return kernels.strided_slice(x, cut.begin, cut.end, cut.strides, cut.begin_mask, cut.end_mask, 0, cut.shrink)
    items = _items(key)
    for item in items:
        if _is_array(item):
            if len(items) == 1 and _is_mask(item) and _selects_nothing(x, item):
                return tf.zeros((0, *extents(x)[rank(item) :]), x.dtype)
            return _masked(x, items[0]) if len(items) == 1 and _is_mask(item) else _with_arrays(x, items)
    return _basic(x, _expanded(items, rank(x)))


def _selects_nothing(x: Array, mask: Array) -> bool:
    """Whether a mask has an axis of length 0, which fits every length, and other axes that fit."""
    sizes = static(mask)
    return 0 in sizes and len(sizes) <= rank(x) and all(m in (0, n) for m, n in zip(sizes, static(x), strict=False))


def _basic(x: Array, items: list[Any]) -> Array:
    if rank(x) > MAX_RANK:
        return _basic_wide(x, items)
    cut = _Strided(items, static(x))
    return kernels.strided_slice(x, cut.begin, cut.end, cut.strides, cut.begin_mask, cut.end_mask, cut.new, cut.shrink)


def _basic_wide(x: Array, items: list[Any]) -> Array:
    """Above rank eight, where StridedSlice has no kernel: one axis after the other, all others merged."""
    axis = 0
    kept: list[int | None] = []
    for item in items:
        if item is None:
            kept.append(None)
            continue
        if not isinstance(item, slice):
            item = _in_bounds(item, static(x)[axis], axis) if isinstance(item, int) else item
            last = isinstance(item, int) and item == -1
            item, keep = slice(item, None if last else item + 1), False
        else:
            keep = True
        if item != _FULL:
            x = along(axis, x, lambda three, item=item: _basic(three, [_FULL, item, _FULL]))  # type: ignore[misc]
        if keep:
            kept.append(axis)
        axis += 1
    sizes = extents(x)
    return reshaped(x, [1 if place is None else sizes[place] for place in kept])


def positions(mask: Array) -> Array:
    """Where a mask, flattened, is true: a vector of int64."""
    return kernels.reshape(raw.Where(condition=kernels.reshape(mask, (-1,))), (-1,))


def _masked(x: Array, mask: Array) -> Array:
    """The parts of `x` where a mask over its leading axes is true."""
    covered = rank(mask)
    if not 0 < covered <= _GATHER_ND_RANK or covered > rank(x) or 0 in static(x):  # GatherNd takes nothing from nothing
        return _with_arrays(x, (mask,))
    _fits(mask, static(x)[:covered], 0)
    return raw.GatherNd(params=x, indices=raw.Where(condition=mask))


def _with_arrays(x: Array, items: Key) -> Array:
    full = _expanded(items, rank(x))
    sizes = extents(x)
    # The first step: masks become vectors of positions along merged axes.
    merged: list[Any] = []
    cuts: list[Any] = []
    found: list[tuple[int, Array]] = []  # (place in the result of the slices, index array)
    axis = 0
    for place, item in enumerate(full):
        if item is None:
            cuts.append(None)
            continue
        count = _consumes(item)
        if _is_mask(item):
            _fits(item, static(x)[axis : axis + count], axis)
            found.append((place, positions(item)))
            if count:
                merged.append(product(sizes[axis : axis + count]))
            cuts.append(_FULL if count else None)
        else:
            merged.append(sizes[axis])
            if isinstance(item, slice):
                cuts.append(item)
            else:
                if not isinstance(item, tf.Tensor):
                    item = tf.constant(_in_bounds(int(item), static(x)[axis], axis), tf.int64)
                cuts.append(_FULL)
                found.append((place, item))
        axis += count
    if len(merged) != rank(x):
        x = reshaped(x, merged)
    if any(cut != _FULL for cut in cuts):
        x = _basic(x, cuts)
    return _gathered(x, found, _together(items))


def _together(items: Key) -> bool:
    """Whether the arrays, and the integers that count as such beside them, stand side by side."""
    between = (type(None), type(Ellipsis), slice)
    places = [place for place, item in enumerate(items) if not isinstance(item, between)]
    return places[-1] - places[0] == len(places) - 1


def _fits(mask: Array, shape: tuple[int | None, ...], axis: int) -> None:
    for place, (mine, other) in enumerate(zip(static(mask), shape, strict=True), axis):
        if None not in (mine, other) and mine not in (0, other):  # length 0 fits every axis
            raise IndexError(f"a mask of length {mine} does not fit axis {place} with size {other}")


def _known(index: Array) -> np.ndarray | None:
    """The values of an index array where reading them costs nothing: concrete, and in the memory of the host."""
    return np.asarray(index) if type(index) is EagerTensor and index.device.endswith("CPU:0") else None


def _wrapped(index: Array, length: Any) -> Array:
    """Negative indices counted from the end; what is still negative afterwards is refused by the gather."""
    known = _known(index)
    if known is not None and index.dtype in (tf.int32, tf.int64) and known.min(initial=0) >= 0:
        return index
    if index.dtype not in (tf.int32, tf.int64) or (index.dtype is tf.int32 and not isinstance(length, int)):
        index = cast(index, tf.int64)
    zero = tf.constant(0, index.dtype)
    more = tf.constant(length, index.dtype) if isinstance(length, int) else cast(length, index.dtype)
    return aligned(select, raw.Less(x=index, y=zero), raw.AddV2(x=index, y=more), index)


def _on_gpu(*arrays: Array) -> bool:
    """Whether an eager kernel runs on a GPU, which reads zeros out of range, where the CPU's raises."""
    return any(type(array) is EagerTensor and ":GPU:" in array.device for array in arrays)


def _check_range(x: Array, index: Array, axis: int) -> None:
    size = static(x)[axis]
    if _on_gpu(x, index) and 0 not in static(index):
        low, high = int(tf.reduce_min(index)), int(tf.reduce_max(index))
        if low < 0 or high >= size:
            raise IndexError(f"an index is out of bounds for an axis of size {size}")


def _gather(x: Array, index: Array, axis: int) -> Array:
    _check_range(x, index, axis)
    try:
        return kernels.gather(x, index, axis)
    except tf.errors.InvalidArgumentError:
        raise IndexError(f"an index is out of bounds for an axis of size {static(x)[axis]}") from None


def _gathered(x: Array, found: list[tuple[int, Array]], together: bool) -> Array:
    """The elements of `x` at the index arrays, each along the axis beside it."""
    sizes = extents(x)
    if len(found) == 1:
        axis, index = found[0]
        return _gather(x, _wrapped(index, sizes[axis]), axis)
    axes = [axis for axis, _ in found]
    rest = [axis for axis in range(len(sizes)) if axis not in axes]
    at = axes[0] if together else 0
    order = (*rest[:at], *axes, *rest[at:])
    if order != tuple(range(len(sizes))):
        x = kernels.transpose(x, order)
    x = reshaped(x, [*(sizes[a] for a in rest[:at]), product([sizes[a] for a in axes]), *(sizes[a] for a in rest[at:])])
    return _gather(x, _flat(found, sizes), at)


def _flat(found: list[tuple[int, Array]], sizes: tuple[Any, ...]) -> Array:
    """One index along the merged axes; -1, which the gather refuses, where any single index is out of bounds."""
    known = [_known(index) for _, index in found]
    lengths = tuple(sizes[axis] for axis, _ in found)
    if not any(values is None for values in known) and all(isinstance(length, int) for length in lengths):
        return _flat_known(known, lengths)
    total, valid = tf.constant(0, tf.int64), tf.constant(True)
    zero = total
    try:
        for axis, index in found:
            length = tf.cast(sizes[axis], tf.int64)  # an integer or a tensor
            index = cast(_wrapped(index, sizes[axis]), tf.int64)
            inside = raw.LogicalAnd(x=raw.GreaterEqual(x=index, y=zero), y=raw.Less(x=index, y=length))
            valid = raw.LogicalAnd(x=valid, y=inside)
            total = raw.AddV2(x=raw.Mul(x=total, y=length), y=index)
    except (tf.errors.InvalidArgumentError, ValueError):
        shapes = [static(index) for _, index in found]
        raise IndexError(f"index arrays of shapes {shapes} do not broadcast") from None
    return select(valid, total, tf.constant(-1, tf.int64))


def _flat_known(arrays: list[Any], lengths: tuple[int, ...]) -> Array:
    wrapped = [
        np.where(index < 0, index.astype(np.int64) + length, index)
        for index, length in zip(arrays, lengths, strict=True)
    ]
    try:
        flat = np.ravel_multi_index(np.broadcast_arrays(*wrapped), lengths) if 0 not in lengths else np.zeros(())
        empty = np.broadcast_shapes(*(index.shape for index in wrapped))
    except ValueError as error:
        raise IndexError(f"index arrays for axes of lengths {lengths}: {error}") from None
    if 0 in lengths:
        if 0 not in empty:
            raise IndexError(f"an index is out of bounds for axes of lengths {lengths}")
        flat = np.zeros(empty)
    return _held(flat.astype(np.int64))


def _held(values: np.ndarray) -> Array:
    """A constant outside of the graph being traced, which need not carry its bytes then."""
    if tf.executing_eagerly():
        return tf.constant(values)
    with tf.init_scope():
        return tf.constant(values)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """The elements of `x` at `indices` along `axis` (needed unless `x` has one axis).

    Negative indices count from the end. Raises IndexError for one out of bounds.
    """
    x, indices = read(x), read(indices)
    check("take", "integral", indices.dtype)
    if axis is None and rank(x) != 1:
        raise ValueError(f"take: an array of {rank(x)} axes needs an axis")
    place = axis_of(0 if axis is None else axis, rank(x))
    return _gather(x, _wrapped(indices, extents(x)[place]), place)


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """Along `axis` of `x`, the elements that `indices`, an array of the same rank, names; other axes broadcast."""
    x, indices = read(x), read(indices)
    check("take_along_axis", "integral", indices.dtype)
    ndim = rank(x)
    if rank(indices) != ndim:
        raise ValueError(f"take_along_axis: {ndim} axes and {rank(indices)} axes of indices")
    place = axis_of(axis, ndim)
    there, back = permuted_last(place, ndim)
    indices = _wrapped(indices, extents(x)[place])
    _check_range(x, indices, place)
    x, indices = kernels.transpose(x, there), kernels.transpose(indices, there)
    length, count = extents(x)[-1], extents(indices)[-1]
    batch: Any = static(x)[:-1]
    if batch != static(indices)[:-1] or None in batch:
        batch = broadcast_extents(_no_last(x), _no_last(indices))
        x, indices = spread(x, (*batch, length)), spread(indices, (*batch, count))
    rows = product(batch)
    out = kernels.gather(reshaped(x, (rows, length)), reshaped(indices, (rows, count)), axis=1, batch_dims=1)
    return kernels.transpose(reshaped(out, (*batch, count)), back)


def _no_last(x: Array) -> Array:
    """A tensor with the shape of `x` but for the last axis."""
    return tf.zeros(vector(extents(x)[:-1]), tf.bool)


# --- replacing elements ------------------------------------------------------------------------------------------


def setitem(x: Array, key: Any, value: Any, /) -> Array:
    """A new tensor: `x` with `value` (an array that broadcasts to `x[key]`, or a Python scalar) at `key`.

    Gradients flow to both. Where an index array names an element twice, one of the values wins. Raises TypeError
    if `value` does not promote to the type of `x`, IndexError as `getitem` does.
    """
    if type(x) is type(value) is EagerTensor and x.dtype is value.dtype:
        cut = _held_cut(x, key)
        if cut is not None and value._shape_tuple() == cut.left:
            return _update(x, cut, value)
    x = read(x)
    if not isinstance(value, Scalar):
        value = read(value)
    if result_type(x, value) is not x.dtype:
        have = type(value).__name__ if isinstance(value, Scalar) else value.dtype.name
        raise TypeError(f"setting elements of a {x.dtype.name} array to {have} values; convert with astype()")
    scalar = isinstance(value, Scalar)
    value = constant(value, x.dtype) if scalar else cast(value, x.dtype)
    items = _items(key)
    if not any(_is_array(item) for item in items):
        if rank(x) <= MAX_RANK:
            return _set_basic(x, _expanded(items, rank(x)), value, scalar)
    elif len(items) == 1 and items[0].dtype is tf.bool and rank(value) == 0:
        mask = items[0]
        _fits(mask, static(x)[: rank(mask)], 0)
        mask = reshaped(mask, (*extents(mask), *(1,) * (rank(x) - rank(mask))))
        return aligned(select, mask, value, x)
    sizes = extents(x)
    where = _places(sizes, items)
    updates = kernels.reshape(_broadcast_value(value, extents(where)), (-1,))
    flat = kernels.scatter(kernels.reshape(x, (-1,)), kernels.reshape(where, (-1, 1)), updates)
    return reshaped(flat, sizes)


def _places(sizes: tuple[Any, ...], items: Key) -> Array:
    """Which of the elements 0, 1, 2, ... a key names."""
    plain = [_known(item) if isinstance(item, tf.Tensor) else item for item in items]
    if all(isinstance(size, int) for size in sizes) and not any(
        isinstance(item, tf.Tensor) and values is None for item, values in zip(items, plain, strict=True)
    ):
        return _held(np.arange(product(sizes)).reshape(sizes)[tuple(plain)])
    every = tf.range(tf.cast(product(sizes), tf.int64), dtype=tf.int64)
    return getitem(reshaped(every, sizes), items)


def _broadcast_value(value: Array, sizes: tuple[Any, ...]) -> Array:
    have = static(value)
    if len(have) > len(sizes) and all(size == 1 for size in have[: len(have) - len(sizes)]):
        value = reshaped(value, extents(value)[len(have) - len(sizes) :])  # leading axes of length one do not count
        have = static(value)
    known = [size if isinstance(size, int) else None for size in sizes]
    fits = len(have) <= len(known) and all(
        mine in (1, None, other) or other is None for mine, other in zip(have[::-1], known[::-1], strict=False)
    )
    if not fits:
        raise ValueError(f"a value of shape {have} does not broadcast to the indexed shape {tuple(known)}")
    return spread(value, sizes)


def _set_basic(x: Array, items: list[Any], value: Array, scalar: bool) -> Array:
    if scalar:
        items = [item for item in items if item is not None]
        return _updated(x, items, value)
    # The update kernel ignores the value when the key holds a new axis, and its gradient does not sum over broadcast
    # axes: so the value is broadcast, and its new axes are dropped, before.
    sizes = extents(x)
    kept = _lengths(items, sizes)
    if any(length is _UNKNOWN for length in kept):
        whole = iter(extents(_basic(x, [item for item in items if item is not None])))
        kept = [1 if item is None else next(whole) for item in items if item is None or isinstance(item, slice)]
    value = _broadcast_value(value, tuple(kept))
    if None in items:
        flags = [item is None for item in items if item is None or isinstance(item, slice)]
        value = reshaped(value, [length for length, new in zip(kept, flags, strict=True) if not new])
    return _updated(x, [item for item in items if item is not None], value)


def _updated(x: Array, items: list[Any], value: Array) -> Array:
    return _update(x, _Strided(items, static(x)), value)


def _update(x: Array, cut: _Strided, value: Array) -> Array:
    return kernels.strided_update(x, cut.begin, cut.end, cut.strides, cut.begin_mask, cut.end_mask, cut.shrink, value)


_UNKNOWN = object()


def _lengths(items: list[Any], sizes: tuple[Any, ...]) -> list[Any]:
    """The extents of `x[items]` for a basic key; _UNKNOWN where a bound is known only when run."""
    out: list[Any] = []
    axis = 0
    for item in items:
        if item is None:
            out.append(1)
            continue
        if isinstance(item, slice):
            parts = (item.start, item.stop, item.step)
            if isinstance(sizes[axis], int) and not any(isinstance(part, tf.Tensor) for part in parts):
                out.append(len(range(*item.indices(sizes[axis]))))
            else:
                out.append(sizes[axis] if item == _FULL else _UNKNOWN)
        axis += 1
    return out
