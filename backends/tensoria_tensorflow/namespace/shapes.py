"""Extents that are known when a function is traced, and extents that are known only when it runs.

Inside `tf.function` an axis may have length `None`. Every function of this namespace asks for `extents`: a tuple that
holds a Python integer where the length is static and a scalar int32 tensor where it is not, and hands such tuples
back to `reshaped`, `vector` and friends, which use a cached constant whenever all entries are integers. Broadcasting
lives here too, because TensorFlow's kernels broadcast up to rank eight only: above that, `aligned` repeats and
flattens the operands first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .. import kernels
from ..kernels import ints

__all__ = [
    "MAX_RANK",
    "aligned",
    "axes_of",
    "axis_of",
    "broadcast_extents",
    "broadcast_shapes",
    "extents",
    "permuted_last",
    "product",
    "rank",
    "reshaped",
    "spread",
    "static",
    "tiled",
    "to_shape",
    "vector",
]

Array = Any
Extent = Any  # int, or a scalar int32 tensor

MAX_RANK = 8  # of broadcasting, slicing, reversing and padding kernels


def rank(x: Array) -> int:
    found: int | None = x.shape.rank
    if found is None:
        raise ValueError("the rank of this tensor is unknown at trace time; give it one with ensure_shape")
    return found


def static(x: Array) -> tuple[int | None, ...]:
    """The shape as far as it is known now."""
    return x._shape_tuple() if type(x) is kernels.EagerTensor else tuple(x.shape.as_list())


def extents(x: Array) -> tuple[Extent, ...]:
    """The shape, with a scalar tensor for each length that is known only at run time."""
    shape = static(x)
    if None not in shape:
        return shape
    dynamic = tf.shape(x)
    return tuple(dynamic[axis] if length is None else length for axis, length in enumerate(shape))


def vector(sizes: Sequence[Extent]) -> Array:
    """An int32 vector of the extents: a cached constant where all of them are integers."""
    for size in sizes:
        if not isinstance(size, int):
            break
    else:
        return ints(tuple(sizes))
    if any(isinstance(size, int) and size > 2**31 - 1 for size in sizes):
        return kernels.pack([tf.cast(size, tf.int64) for size in sizes])
    return kernels.pack([ints(size) if isinstance(size, int) else tf.cast(size, tf.int32) for size in sizes])


def product(sizes: Sequence[Extent]) -> Extent:
    """The product of the extents, an integer where all of them are."""
    known = math.prod(size for size in sizes if isinstance(size, int))
    unknown = [size for size in sizes if not isinstance(size, int)]
    if not unknown or known == 0:
        return known
    out = unknown[0]
    for size in unknown[1:]:
        out = out * size
    return out if known == 1 else out * known


def reshaped(x: Array, sizes: Sequence[Extent]) -> Array:
    return kernels.raw.Reshape(tensor=x, shape=vector(sizes))


def to_shape(shape: Any) -> tuple[Extent, ...]:
    """A shape argument: an integer, a sequence of integers or scalar tensors, a TensorShape, or an int vector."""
    if isinstance(shape, tf.TensorShape):
        shape = shape.as_list()
    elif isinstance(shape, tf.Tensor):
        shape = tf.unstack(shape) if shape.shape.rank else (shape,)
    elif not isinstance(shape, (tuple, list)):
        shape = tuple(shape) if isinstance(shape, np.ndarray) and shape.ndim else (shape,)
    return tuple(_extent(size) for size in shape)


def _extent(size: Any) -> Extent:
    if isinstance(size, tf.Tensor):
        known = tf.get_static_value(size)
        return size if known is None else int(known)
    return size.__index__()


def axis_of(axis: int, ndim: int) -> int:
    """`axis` counted from the front; raises NumPy's AxisError (a ValueError and an IndexError) when out of range."""
    place = axis.__index__()
    if not -ndim <= place < ndim:
        raise np.exceptions.AxisError(place, ndim)
    return place % ndim


def axes_of(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes meant by an `axis` argument, counted from the front; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        return (axis_of(axis, ndim),)  # type: ignore[arg-type]
    places = tuple(axis_of(one, ndim) for one in axis)
    if len(set(places)) != len(places):
        raise ValueError(f"axis {tuple(axis)} names an axis twice")
    return places


def permuted_last(axis: int, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The permutation that moves `axis` to the end, and the one that moves it back."""
    there = (*range(axis), *range(axis + 1, ndim), axis)
    back = (*range(axis), ndim - 1, *range(axis, ndim - 1))
    return there, back


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to; raises ValueError where they do not."""
    return tuple(_broadcast_static([tuple(shape) for shape in shapes]))  # type: ignore[arg-type]


def _broadcast_static(shapes: Sequence[tuple[int | None, ...]]) -> list[int | None]:
    ndim = max(map(len, shapes), default=0)
    out: list[int | None] = [1] * ndim
    for shape in shapes:
        for place, length in enumerate(shape, ndim - len(shape)):
            here = out[place]
            if here == 1 or (here is None and length not in (1, None)):
                out[place] = length
            elif length not in (1, None, here):
                raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast: {here} meets {length}")
    return out


def broadcast_extents(*arrays: Array) -> tuple[Extent, ...]:
    """The extents that the arrays broadcast to."""
    out = _broadcast_static([static(x) for x in arrays])
    if None not in out:
        return tuple(out)
    dynamic = tf.shape(arrays[0])
    for x in arrays[1:]:
        dynamic = kernels.raw.BroadcastArgs(s0=dynamic, s1=tf.shape(x))
    return tuple(dynamic[place] if length is None else length for place, length in enumerate(out))


def spread(x: Array, sizes: Sequence[Extent]) -> Array:
    """`x` broadcast to the extents, at any rank."""
    if all(isinstance(size, int) for size in sizes) and static(x) == tuple(sizes):
        return x
    if len(sizes) <= MAX_RANK:
        return kernels.raw.BroadcastTo(input=x, shape=vector(sizes))
    # BroadcastTo stops at rank 8, Tile does not.
    have: tuple[Extent, ...] = (1,) * (len(sizes) - rank(x)) + extents(x)
    return tiled(reshaped(x, have), [_times(old, new) for old, new in zip(have, sizes, strict=True)])


def _times(old: Extent, new: Extent) -> Extent:
    if isinstance(old, int):
        if old == 1:
            return new
        if isinstance(new, int) and new != old:
            raise ValueError(f"an axis of length {old} does not broadcast to {new}")
        return 1
    return tf.where(tf.equal(old, 1), new, 1)


def tiled(x: Array, multiples: Sequence[Extent]) -> Array:
    """`x` repeated as a whole along every axis."""
    if x.dtype is tf.uint16:
        # "TileOp : The input data type is not supported, DataType : uint16".
        return kernels.cast(kernels.raw.Tile(input=kernels.cast(x, tf.int32), multiples=vector(multiples)), tf.uint16)
    return kernels.raw.Tile(input=x, multiples=vector(multiples))


def aligned(kernel: Callable[..., Array], *arrays: Array) -> Array:
    """`kernel(*arrays)` for a broadcasting kernel, at any rank.

    TensorFlow answers "Broadcast between ... is not supported yet" above rank eight, and SelectV2
    does so even for equal shapes: there the operands are broadcast by Tile and flattened.
    """
    if max(x.shape.rank for x in arrays) <= MAX_RANK:
        return kernel(*arrays)
    sizes = broadcast_extents(*arrays)
    flat = [kernels.reshape(spread(x, sizes), (-1,)) for x in arrays]
    return reshaped(kernel(*flat), sizes)
