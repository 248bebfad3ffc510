"""TensorFlow's operations that move components, select them, or make them of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.dtypes import bool_, int64
from tensoria.errors import PortingError, ShapeError
from tensoria.programs.dimensions import Dim
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import (
    Array,
    Call,
    Known,
    Lowering,
    literal_like,
    one,
    position,
    whole,
    xp,
)
from tensoria_tensorflow.sizes import MASKS, subscript

__all__ = ["LOWERINGS", "space_to_batch"]


# -- shapes -----------------------------------------------------------------------------------------------------------


def _reshape(call: Call, x: Array, shape: Known) -> Array:
    wanted = _vector(shape)
    try:
        return xp.reshape(x, wanted)
    except ShapeError:
        # Equal sizes whose expressions differ: one of them may follow from the others.
        unknown = [n for n, size in enumerate(wanted) if isinstance(size, Dim)][-1:]
        if not unknown or -1 in [size for size in wanted if isinstance(size, int)]:
            raise
        return xp.reshape(x, tuple(-1 if n == unknown[0] else size for n, size in enumerate(wanted)))


def _vector(value: Known) -> tuple[Any, ...]:
    found = whole(value)
    return found if isinstance(found, tuple) else (found,)


def _transpose(call: Call, x: Array, order: Known) -> Array:
    return xp.permute_dims(x, _vector(order)) if x.ndim else x


def _expand(call: Call, x: Array, axis: Known) -> Array:
    return xp.expand_dims(x, axis=position(axis, x.ndim + 1))


def _squeeze(call: Call, x: Array) -> Array:
    given = call.attribute("squeeze_dims")
    axes = [position(axis, x.ndim) for axis in given] if given else [
        n for n, size in enumerate(x.shape) if not isinstance(size, Dim) and size == 1
    ]  # fmt: skip
    for axis in axes:
        if x.shape[axis] != 1:
            raise ShapeError(f"axis {axis} has size {x.shape[axis]} and is squeezed.")
    if not given and any(isinstance(size, Dim) for size in x.shape):
        raise ShapeError(f"which axes of the shape {x.shape} have size 1 is not known.")
    return xp.squeeze(x, axis=tuple(axes)) if axes else x


def _stack(call: Call, *xs: Array) -> Array:
    return xp.stack(list(xs), axis=position(call.attribute("axis"), xs[0].ndim + 1))


def _unstack(call: Call, x: Array) -> tuple[Array, ...]:
    axis = position(call.attribute("axis"), x.ndim)
    return tuple(_along(x, axis, n) for n in range(call.attribute("num")))


def _concat(call: Call, *given: Any) -> Array:
    *xs, axis = given
    return xp.concat(list(xs), axis=position(axis, xs[0].ndim)) if len(xs) > 1 else xs[0]


def _along(x: Array, axis: int, part: Any) -> Array:
    return getitem(x, (*(slice(None),) * axis, part, Ellipsis))


def _pieces(x: Array, sizes: Any, axis: int) -> tuple[Array, ...]:
    found, start = [], 0
    for size in sizes:
        found.append(_along(x, axis, slice(start, start + size)))
        start = start + size
    return tuple(found)


def _split(call: Call, axis: Known, x: Array) -> tuple[Array, ...]:
    place, count = position(axis, x.ndim), call.attribute("num_split")
    if count == 1:
        return (x,)
    if x.shape[place] % count != 0:
        raise ShapeError(f"an axis of size {x.shape[place]} in {count} equal parts.")
    return _pieces(x, (x.shape[place] // count,) * count, place)


def _split_by(call: Call, x: Array, sizes: Known, axis: Known) -> tuple[Array, ...]:
    place, given = position(axis, x.ndim), list(_vector(sizes))
    if -1 in [size for size in given if isinstance(size, int)]:
        rest: Any = 0
        for size in given:
            rest = rest + (0 if isinstance(size, int) and size == -1 else size)
        given = [x.shape[place] - rest if isinstance(size, int) and size == -1 else size for size in given]
    return _pieces(x, given, place) if len(given) > 1 else (x,)


def _slice(call: Call, x: Array, begin: Any, size: Known) -> Array:
    if not isinstance(begin, np.ndarray):
        return _moving(x, begin, _vector(size))
    key = []
    for axis, (start, count) in enumerate(zip(_vector(begin), _vector(size), strict=True)):
        whole_axis = isinstance(count, int) and count == -1
        end = None if whole_axis or start + count == x.shape[axis] else start + count
        key.append(slice(None if isinstance(start, int) and start == 0 else start, end))
    return getitem(x, tuple(key))


def _moving(x: Array, begin: Array, sizes: tuple[Any, ...]) -> Array:
    """A part that begins where numbers say."""
    for axis, count in enumerate(sizes):
        if isinstance(count, int) and count == -1:
            raise PortingError("a part that begins where numbers say, and ends at the end, is not ported.")
        if count != x.shape[axis]:
            start = cast(getitem(begin, axis), int64)
            x = one(x, "take", xp.add(xp.arange(count), start), axis=axis)
    return x


def _strided(call: Call, x: Array, begin: Any, end: Any, strides: Known) -> Array:
    masks = {name: call.attribute(name) for name in MASKS}
    if not isinstance(begin, np.ndarray):
        return _indexed(call, x, begin, end, masks)
    key = subscript(begin, end, strides, **masks)
    axis = 0
    parts: list[Any] = []
    used = sum(item is not None and item is not Ellipsis for item in key)
    for item in key:
        if item is Ellipsis:
            axis += x.ndim - used
            parts.append(item)
            continue
        parts.append(item if item is None or not isinstance(item, slice) else _cut(item, x.shape[axis]))
        if isinstance(parts[-1], Dim):
            parts[-1] = x.recorder.size(parts[-1], int64)
        axis += item is not None
    return getitem(x, tuple(parts))


def _cut(part: slice, size: Any) -> slice:
    """A slice whose ends are left out where they are the axis's own."""
    step = 1 if part.step is None else part.step
    if step == 1:
        start = None if isinstance(part.start, int) and part.start == 0 else part.start
        stop = None if part.stop is not None and part.stop == size else part.stop
        return slice(start, stop)
    return slice(part.start, part.stop, step)


def _indexed(call: Call, x: Array, begin: Array, end: Any, masks: Any) -> Array:
    """Positions that are numbers of the program: `x[i]` with a tensor for i, and nothing else beside whole axes."""
    key: list[Any] = []
    for n in range(begin.shape[0]):
        bit = 1 << n
        if masks["ellipsis_mask"] & bit:
            key.append(Ellipsis)
        elif masks["new_axis_mask"] & bit:
            key.append(None)
        elif masks["shrink_axis_mask"] & bit:
            key.append(getitem(begin, n))
        elif masks["begin_mask"] & bit and masks["end_mask"] & bit:
            key.append(slice(None))
        else:
            raise PortingError("a slice whose bounds depend on numbers is not ported.", legal="tf.gather")
    arrays = [item for item in key if not isinstance(item, slice) and item is not None and item is not Ellipsis]
    if len(arrays) == 1 and None not in [item if item is None else 0 for item in key]:
        return getitem(x, tuple(key))
    place = [n for n, item in enumerate(key) if any(item is a for a in arrays)]
    if place == list(range(len(place))):
        return getitem(x, tuple(key))
    raise PortingError("positions that depend on numbers behind other axes are not ported.", legal="tf.gather")


def _tile(call: Call, x: Array, counts: Known) -> Array:
    given = _vector(counts)
    if all(isinstance(count, int) for count in given):
        return xp.tile(x, given) if any(count != 1 for count in given) else x
    shape = [size for count, n in zip(given, x.shape, strict=True) for size in (count, n)]
    spread = xp.reshape(x, tuple(size for n in x.shape for size in (1, n)))
    wide = xp.broadcast_to(spread, tuple(shape))
    return xp.reshape(wide, tuple(count * n for count, n in zip(given, x.shape, strict=True)))


def _broadcast(call: Call, x: Array, shape: Known) -> Array:
    return xp.broadcast_to(x, _vector(shape))


def _pad(call: Call, x: Array, padding: Known, value: Any = None) -> Array:
    pairs = tuple(whole(padding))
    pairs = tuple(tuple(pair) for pair in pairs)
    if all(isinstance(n, int) and n == 0 for pair in pairs for n in pair):
        return x
    number = 0 if value is None else _number(value)
    if number is None:
        return _around(x, pairs, value)
    return one(x, "pad", padding=pairs, value=x.recorder.literal(number, x.dtype).operand.number)  # type: ignore[union-attr]


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and not isinstance(value.item(), Dim) else None


def _around(x: Array, pairs: Any, value: Array) -> Array:
    """Padding of sizes that are open, or by a number of the program: joined at both ends."""
    for axis, (low, high) in enumerate(pairs):
        ends = [one(value, "full", shape=tuple(n if k == axis else size for k, size in enumerate(x.shape)))
                if isinstance(n, Dim) or n else None for n in (low, high)]  # fmt: skip
        parts = [part for part in (ends[0], x, ends[1]) if part is not None]
        x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
    return x


def _mirror(call: Call, x: Array, padding: Known) -> Array:
    reflect = call.attribute("mode") == "REFLECT"
    for axis, (low, high) in enumerate(whole(padding)):
        if not low and not high:
            continue
        size = x.shape[axis]
        place, last = xp.arange(-low, size + high), x.recorder.size(size - 1, int64)
        if reflect:
            place = xp.subtract(last, xp.abs(xp.subtract(xp.abs(place), last)))
        else:
            place = xp.where(xp.less(place, 0), xp.subtract(-1, place), place)
            place = xp.where(xp.greater(place, last), xp.subtract(xp.add(xp.multiply(last, 2), 1), place), place)
        x = one(x, "take", place, axis=axis)
    return x


def _reverse(call: Call, x: Array, axes: Known) -> Array:
    found = tuple(position(axis, x.ndim) for axis in _vector(axes))
    return xp.flip(x, axis=found) if found else x


def _roll(call: Call, x: Array, shift: Known, axis: Known) -> Array:
    axes = tuple(position(n, x.ndim) for n in _vector(axis))
    totals = {n: sum(s for s, m in zip(_vector(shift), axes, strict=True) if m == n) for n in axes}
    return xp.roll(x, tuple(totals.values()), axis=tuple(totals))


def _band(call: Call, x: Array, lower: Known, upper: Known) -> Array:
    low, high = int(lower), int(upper)
    found = cast(x, int64) if x.dtype is bool_ else x
    if high >= 0:
        found = one(found, "tril", k=high)
    if low >= 0:
        found = one(found, "triu", k=-low)
    return cast(found, x.dtype) if x.dtype is not bool_ else xp.not_equal(found, 0)


def _to_depth(call: Call, x: Array) -> Array:
    """Blocks of space as channels."""
    _last(call)
    size = call.attribute("block_size")
    batch, rows, columns, channels = x.shape
    x = xp.reshape(x, (batch, rows // size, size, columns // size, size, channels))
    x = xp.permute_dims(x, (0, 1, 3, 2, 4, 5))
    return xp.reshape(x, (batch, rows // size, columns // size, size * size * channels))


def _to_space(call: Call, x: Array) -> Array:
    """Channels as blocks of space."""
    _last(call)
    size = call.attribute("block_size")
    batch, rows, columns, channels = x.shape
    x = xp.reshape(x, (batch, rows, columns, size, size, channels // (size * size)))
    x = xp.permute_dims(x, (0, 1, 3, 2, 4, 5))
    return xp.reshape(x, (batch, rows * size, columns * size, channels // (size * size)))


def _last(call: Call) -> None:
    if call.attribute("data_format") != "NHWC":
        raise PortingError(f"images as {call.attribute('data_format')} are not ported here.")


def space_to_batch(call: Call, x: Array, block: Known, padding: Known) -> Array:
    """Every so many places of an image as images of their own."""
    sizes, pairs = _vector(block), whole(padding)
    space = len(sizes)
    around = ((0, 0), *(tuple(pair) for pair in pairs), *((0, 0),) * (x.ndim - 1 - space))
    if any(map(any, around)):
        x = one(x, "pad", padding=around, value=0.0)
    batch, rest = x.shape[0], x.shape[1 + space :]
    places = [n // b for n, b in zip(x.shape[1 : 1 + space], sizes, strict=True)]
    x = xp.reshape(x, (batch, *(n for pair in zip(places, sizes, strict=True) for n in pair), *rest))
    inner, outer = [2 + 2 * n for n in range(space)], [1 + 2 * n for n in range(space)]
    x = xp.permute_dims(x, (*inner, 0, *outer, *range(1 + 2 * space, x.ndim)))
    total = batch
    for size in sizes:
        total = total * size
    return xp.reshape(x, (total, *places, *rest))


def _batch_to_space(call: Call, x: Array, block: Known, crops: Known) -> Array:
    sizes, pairs = _vector(block), whole(crops)
    space = len(sizes)
    batch = x.shape[0]
    for size in sizes:
        batch = batch // size
    places, rest = x.shape[1 : 1 + space], x.shape[1 + space :]
    x = xp.reshape(x, (*sizes, batch, *places, *rest))
    order = [space, *(n for k in range(space) for n in (space + 1 + k, k)), *range(2 * space + 1, x.ndim)]
    x = xp.permute_dims(x, order)
    x = xp.reshape(x, (batch, *(n * b for n, b in zip(places, sizes, strict=True)), *rest))
    inside = (slice(low, n - high) for (low, high), n in zip(pairs, x.shape[1:], strict=False))
    return getitem(x, (slice(None), *inside))


def _unknown(call: Call, *_: Array) -> Array:
    raise PortingError("a shape that depends on numbers is not ported.")


# -- positions --------------------------------------------------------------------------------------------------------


def _gather(call: Call, x: Array, at: Array, axis: Known | None = None) -> Array:
    place, batch = (0, 0) if axis is None else (position(axis, x.ndim), call.attribute("batch_dims") % max(at.ndim, 1))
    if batch:
        return _gather_by_batch(x, at, place, batch)
    if place == 0 and x.ndim == 2:
        return one(x, "embedding", at) if x.dtype.kind == "float" else getitem(x, at)
    return getitem(x, (*(slice(None),) * place, at))


def _gather_by_batch(x: Array, at: Array, axis: int, batch: int) -> Array:
    """Positions that differ along leading axes: those axes are positions of their own."""
    shape = at.shape
    own = [xp.reshape(xp.arange(shape[n]), (*(1,) * n, shape[n], *(1,) * (at.ndim - n - 1))) for n in range(batch)]
    if axis != batch:
        x = xp.moveaxis(x, axis, batch)
    found = getitem(x, (*own, at))
    # The gathered axes stand behind the batch, where TensorFlow has them in the place of the axis.
    inner = at.ndim - batch
    return found if axis == batch else xp.moveaxis(
        found, tuple(range(batch, batch + inner)), tuple(range(axis, axis + inner))
    )  # fmt: skip


def _gather_nd(call: Call, x: Array, at: Array) -> Array:
    return one(x, "take_at", at)


def _written(call: Call, x: Array, at: Array, new: Array) -> Array:
    return _put(x, at, new, "setitem")


def _added(sign: int) -> Lowering:
    def lower(call: Call, x: Array, at: Array, new: Array) -> Array:
        return _put(x, at, new if sign > 0 else one(new, "negative"), "add_at")

    return lower


def _put(x: Array, at: Array, new: Array, operation: str) -> Array:
    depth = at.shape[-1]
    if not isinstance(depth, int):
        raise ShapeError(f"positions with {depth} coordinates.")
    key = (*(At(n + 1) for n in range(depth)), *(Cut(),) * (x.ndim - depth))
    return one(x, operation, new, *(getitem(at, (Ellipsis, n)) for n in range(depth)), key=key)


def _scattered(call: Call, at: Array, new: Array, shape: Known) -> Array:
    zeros = xp.broadcast_to(literal_like(new, 0), _vector(shape))
    return _put(zeros, at, new, "add_at")


def _one_hot(call: Call, at: Array, depth: Known, on: Array, off: Array) -> Array:
    axis = position(call.attribute("axis"), at.ndim + 1)
    (size,) = _vector(depth)
    shape = tuple(size if n == axis else 1 for n in range(at.ndim + 1))
    places = xp.reshape(xp.arange(size, dtype=at.dtype), shape)
    return one(one(xp.expand_dims(at, axis=axis), "equal", places), "where", on, off)


# -- creation ---------------------------------------------------------------------------------------------------------


def _fill(call: Call, shape: Known, value: Array) -> Array:
    return xp.broadcast_to(value, _vector(shape)) if np.size(shape) else value


def _like(number: int) -> Lowering:
    def lower(call: Call, x: Any) -> Array:
        return xp.broadcast_to(call.array(np.asarray(number), call.dtype), x.shape)

    return lower


def _range(call: Call, start: Known, stop: Known, step: Known) -> Array:
    ends = [whole(x) for x in (start, stop, step)]
    if call.dtype.kind in ("int", "uint"):
        return call.recorder.record("arange", (), start=ends[0], stop=ends[1], step=ends[2], dtype=call.dtype)[0]
    if any(isinstance(end, Dim) for end in ends):
        raise ShapeError("a range of floats with an open end.")
    return call.array(np.arange(*ends, dtype=call.dtype.name), call.dtype)


def _linspace(call: Call, start: Array, stop: Array, count: Known) -> Array:
    n = int(count)
    if n == 1:
        return xp.reshape(start, (1,))
    number = cast(xp.arange(n), call.dtype)
    step = xp.divide(xp.subtract(stop, start), float(n - 1))
    return xp.add(xp.multiply(number, step), start)


LOWERINGS: dict[str, Lowering] = {
    "Reshape": _reshape, "EnsureShape": lambda call, x: x, "Transpose": _transpose,
    "ConjugateTranspose": lambda call, x, order: one(_transpose(call, x, order), "conj"),
    "ExpandDims": _expand, "Squeeze": _squeeze, "Pack": _stack, "Unpack": _unstack, "ConcatV2": _concat,
    "Concat": lambda call, axis, *xs: _concat(call, *xs, axis), "Split": _split, "SplitV": _split_by, "Slice": _slice,
    "StridedSlice": _strided, "Tile": _tile, "BroadcastTo": _broadcast, "Pad": _pad, "PadV2": _pad,
    "MirrorPad": _mirror, "ReverseV2": _reverse, "Roll": _roll, "MatrixBandPart": _band, "SpaceToDepth": _to_depth,
    "DepthToSpace": _to_space, "BatchToSpaceND": _batch_to_space,
    "GatherV2": _gather, "Gather": _gather, "GatherNd": _gather_nd,
    "TensorScatterUpdate": _written, "TensorScatterAdd": _added(1), "TensorScatterSub": _added(-1),
    "ScatterNd": _scattered, "OneHot": _one_hot, "Fill": _fill,
    "ZerosLike": _like(0), "OnesLike": _like(1), "Range": _range, "LinSpace": _linspace,
    "BroadcastArgs": _unknown,
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Reshape", "Transpose", "ConjugateTranspose", "ExpandDims", "Tile", "BroadcastTo", "Pad", "PadV2",
                     "MirrorPad", "ReverseV2"), (1,)),
    "ConcatV2": (-1,), "Concat": (0,), "Split": (0,), "SplitV": (1, 2), "Slice": (2,), "StridedSlice": (3,),
    "Roll": (1, 2), "MatrixBandPart": (1, 2), "SpaceToBatchND": (1, 2), "BatchToSpaceND": (1, 2),
    "GatherV2": (2,), "ScatterNd": (2,), "OneHot": (1,), "Fill": (0,),
    "Range": (0, 1, 2), "LinSpace": (2,),
}  # fmt: skip
"""Which operands have to be known before anything runs."""
EITHER: dict[str, tuple[int, ...]] = {"Slice": (1,), "StridedSlice": (1, 2), "PadV2": (2,)}
"""Which operands are given as known numbers where they are known."""
