"""Moving elements about without computing with them.

Most functions here are one kernel with cached arguments. Where a kernel stops at rank eight (ReverseV2), the axis in
question is isolated first: the axes before it and after it are merged, which leaves a rank of three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tensoria.errors import ShapeError

from .. import kernels
from ..kernels import raw, read
from .data_types import common
from .shapes import (
    MAX_RANK,
    axes_of,
    axis_of,
    broadcast_extents,
    broadcast_shapes,
    extents,
    product,
    rank,
    reshaped,
    spread,
    static,
    tiled,
    to_shape,
    vector,
)

__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "moveaxis",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "tile",
    "unstack",
]

Array = Any


def along(axis: int, x: Array, function: Callable[[Array], Array]) -> Array:
    """`function` applied along the middle axis of three: those before `axis` merged, `axis`, those after it merged.

    The result has the extents of `x` except along `axis`.
    """
    sizes = extents(x)
    out = function(reshaped(x, (product(sizes[:axis]), sizes[axis], product(sizes[axis + 1 :]))))
    return reshaped(out, (*sizes[:axis], extents(out)[1], *sizes[axis + 1 :]))


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """The arrays, broadcast against one another."""
    tensors = [read(x) for x in arrays]
    sizes = broadcast_extents(*tensors) if tensors else ()
    return tuple(spread(x, sizes) for x in tensors)


def broadcast_to(x: Array, /, shape: Any) -> Array:
    """`x` repeated along axes of length one, and along new leading ones, to `shape`; or ValueError."""
    x, sizes = read(x), to_shape(shape)
    known = tuple(size if isinstance(size, int) else None for size in sizes)
    if None not in static(x) and None not in known and broadcast_shapes(static(x), known) != known:  # type: ignore[arg-type]
        raise ValueError(f"shape {static(x)} does not broadcast to {known}")
    return spread(x, sizes)


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """The arrays joined along an existing axis (None: flattened first)."""
    tensors = common("concat", "any", *arrays)
    if axis is None:
        return kernels.concat([kernels.reshape(x, (-1,)) for x in tensors], 0)
    ranks = {rank(x) for x in tensors}
    if len(ranks) != 1 or 0 in ranks:
        raise ValueError(f"concat joins arrays of one rank above zero, got ranks {[rank(x) for x in tensors]}")
    place = axis_of(axis, ranks.pop())
    _alike("concat", tensors, place)
    return kernels.concat(tensors, place)


def _alike(name: str, tensors: Sequence[Array], except_axis: int | None) -> None:
    first = static(tensors[0])
    for x in tensors[1:]:
        for axis, (mine, other) in enumerate(zip(first, static(x), strict=True)):
            if axis != except_axis and None not in (mine, other) and mine != other:
                raise ValueError(f"{name}: shapes {first} and {static(x)} differ along axis {axis}")


def expand_dims(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """`x` with axes of length one inserted, at `axis` of the result."""
    x = read(x)
    places = axis if isinstance(axis, tuple) else (axis,)
    ndim = rank(x) + len(places)
    new = set(axes_of(places, ndim))
    if len(new) == 1 and not isinstance(axis, tuple):
        return raw.ExpandDims(input=x, axis=kernels.ints(new.pop()))
    sizes = iter(extents(x))
    return reshaped(x, [1 if place in new else next(sizes) for place in range(ndim)])


def flip(x: Array, /, *, axis: int | tuple[int, ...] | None = None) -> Array:
    """`x` with the order of elements reversed along the given axes (None: all)."""
    x = read(x)
    axes = axes_of(axis, rank(x))
    if rank(x) <= MAX_RANK:
        return kernels.reverse(x, axes) if axes else x
    for place in axes:
        x = along(place, x, lambda three: kernels.reverse(three, (1,)))
    return x


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    """`x` with its axes in the given order."""
    x = read(x)
    perm = axes_of(tuple(axes), rank(x))
    if len(perm) != rank(x):
        raise ValueError(f"permute_dims: {tuple(axes)} does not name each of {rank(x)} axes once")
    return kernels.transpose(x, perm)


def moveaxis(x: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Array:
    """`x` with the axes `source` moved to the places `destination`, the others in their order."""
    x = read(x)
    ndim = rank(x)
    here, there = axes_of(source, ndim), axes_of(destination, ndim)
    if len(here) != len(there):
        raise ValueError(f"moveaxis: {source} and {destination} differ in length")
    placed = dict(zip(there, here, strict=True))
    others = iter(axis for axis in range(ndim) if axis not in here)
    return kernels.transpose(x, tuple(placed[place] if place in placed else next(others) for place in range(ndim)))


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Each element repeated, `repeats` times or as often as its entry there says, along `axis` (None: flattened)."""
    x = read(x)
    if axis is None:
        x, axis = kernels.reshape(x, (-1,)), 0
    place = axis_of(axis, rank(x))
    if isinstance(repeats, (tf.Tensor, tf.Variable)):
        counts = tf.cast(repeats, tf.int64)
        counts = raw.BroadcastTo(input=counts, shape=vector((extents(x)[place],)))
        index = tf.repeat(tf.range(tf.cast(extents(x)[place], tf.int64), dtype=tf.int64), counts)
        return kernels.gather(x, index, place)
    if not isinstance(repeats, int):
        return repeat(x, tf.constant(repeats), axis=place)
    if repeats < 0:
        raise ValueError(f"repeat: a negative count, {repeats}")
    sizes = extents(x)
    longer = spread(reshaped(x, (*sizes[: place + 1], 1, *sizes[place + 1 :])),
                    (*sizes[: place + 1], repeats, *sizes[place + 1 :]))  # fmt: skip
    return reshaped(longer, (*sizes[:place], product((sizes[place], repeats)), *sizes[place + 1 :]))


def reshape(x: Array, /, shape: Any, *, copy: bool | None = None) -> Array:
    """`x` with the same elements in another shape, one length of which may be -1; raises ValueError if impossible."""
    x = read(x)
    sizes = shape if type(shape) is tuple else to_shape(shape)
    try:
        return kernels.reshape(x, sizes)
    except (tf.errors.InvalidArgumentError, TypeError, ValueError):
        sizes = to_shape(sizes)  # it holds tensors, or does not fit
    if all(isinstance(size, int) for size in sizes):
        raise ValueError(f"cannot reshape {static(x)} into {sizes}")
    return reshaped(x, sizes)


def roll(x: Array, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Array:
    """`x` with the elements moved on by `shift` along `axis` (None: flattened), those pushed out coming in again."""
    x = read(x)
    if axis is None:
        if isinstance(shift, tuple):
            raise ValueError("roll: several shifts need as many axes")
        return reshaped(roll(kernels.reshape(x, (-1,)), shift, axis=0), extents(x))
    axes = axis if isinstance(axis, tuple) else (axis,)
    shifts = shift if isinstance(shift, tuple) else (shift,) * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    places = tuple(axis_of(one, rank(x)) for one in axes)
    if not places:
        return x
    return raw.Roll(input=x, shift=vector(shifts), axis=kernels.ints(places))


def squeeze(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """`x` without the given axes, which must have length one."""
    x = read(x)
    axes = axes_of(axis, rank(x))
    for place in axes:
        if static(x)[place] not in (1, None):
            raise ValueError(f"squeeze: axis {place} has length {static(x)[place]}, not 1")
    return kernels.squeeze(x, axes)


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """The arrays, of one shape, joined along a new axis."""
    tensors = common("stack", "any", *arrays)
    if len({rank(x) for x in tensors}) != 1:
        raise ValueError(f"stack joins arrays of one shape, got {[static(x) for x in tensors]}")
    _alike("stack", tensors, None)
    return kernels.pack(tensors, axis_of(axis, rank(tensors[0]) + 1))


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """`x` as a whole repeated along each axis; a shorter shape or `repetitions` is extended by leading ones."""
    x = read(x)
    repetitions = to_shape(repetitions)
    ndim = max(rank(x), len(repetitions))
    sizes = (1,) * (ndim - rank(x)) + extents(x)
    return tiled(reshaped(x, sizes), (1,) * (ndim - len(repetitions)) + repetitions)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along `axis`, whose length must be known at trace time."""
    x = read(x)
    place = axis_of(axis, rank(x))
    count = static(x)[place]
    if count is None:
        raise ShapeError(
            f"unstack: the length of axis {place} says how many results there are, and TensorFlow traces without it.",
            legal="give the size in the input_signature, or tn.scan over the axis",
        )
    return tuple(kernels.unpack(x, count, place))
