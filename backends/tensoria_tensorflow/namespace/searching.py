"""Finding elements: extremes, nonzeros, places in a sorted vector, and choosing between two arrays.

NaN is NumPy's affair here: it is the greatest and the least element at once, and sorted vectors end with it.
TensorFlow's kernels skip it or are led astray by it (tensorflow#118647, #95235).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .. import kernels
from ..kernels import cast, ints, raw, read, select
from .data_types import KINDS, Scalar, check, common
from .elementwise import isnan
from .indexing import positions
from .manipulation import along
from .shapes import aligned, axes_of, axis_of, extents, rank, reshaped, static

__all__ = ["argmax", "argmin", "count_nonzero", "nonzero", "searchsorted", "where"]

Array = Any

_ARG_RANK = 7  # of the ArgMax and ArgMin kernels


def _extreme_place(name: str, kernel: Callable[..., Array], x: Array, axis: int | None, keepdims: bool) -> Array:
    x = read(x)
    check(name, "real", x.dtype)
    ndim = rank(x)
    if axis is None:
        out = _place(name, kernel, kernels.reshape(x, (-1,)), 0)
        return kernels.reshape(out, (1,) * ndim) if keepdims else out
    place = axis_of(axis, ndim)
    if ndim > _ARG_RANK:
        out = along(place, x, lambda three: tf.expand_dims(_place(name, kernel, three, 1), 1))
        return out if keepdims else kernels.squeeze(out, (place,))
    out = _place(name, kernel, x, place)
    return raw.ExpandDims(input=out, axis=ints(place)) if keepdims else out


def _place(name: str, kernel: Callable[..., Array], x: Array, axis: int) -> Array:
    if static(x)[axis] == 0:
        raise ValueError(f"{name} over an axis of length zero has no value")
    out = kernel(input=x, dimension=ints(axis))
    if x.dtype not in KINDS["real floating"]:
        return out
    missing = raw.IsNan(x=x)
    some = raw.Any(input=missing, axis=ints((axis,)))
    return select(some, raw.ArgMax(input=cast(missing, tf.int8), dimension=ints(axis)), out)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The place of the first greatest element (of the first NaN, if any) along `axis`; None: of the flattened array."""
    return _extreme_place("argmax", raw.ArgMax, x, axis, keepdims)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The place of the first least element (of the first NaN, if any) along `axis`; None: of the flattened array."""
    return _extreme_place("argmin", raw.ArgMin, x, axis, keepdims)


def _nonzero(x: Array) -> Array:
    return x if x.dtype is tf.bool else raw.NotEqual(x=x, y=tf.constant(0, x.dtype))


def count_nonzero(x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """How many elements over the given axes (None: all) are not zero."""
    x = read(x)
    return kernels.reduce_sum(cast(_nonzero(x), tf.int64), axes_of(axis, rank(x)), keepdims)


def nonzero(x: Array, /) -> tuple[Array, ...]:
    """The places of the nonzero elements in row-major order, one vector of indices per axis."""
    x = read(x)
    if rank(x) == 0:
        raise ValueError("nonzero takes arrays of at least one axis")
    flat = positions(_nonzero(x))
    out: list[Array] = []
    for length in extents(x)[:0:-1]:
        size = tf.maximum(tf.cast(length, tf.int64), tf.constant(1, tf.int64))
        out.append(raw.FloorMod(x=flat, y=size))
        flat = raw.FloorDiv(x=flat, y=size)
    return (flat, *reversed(out))


def searchsorted(x1: Array, x2: Array | float, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    """Where the elements of `x2` belong in the ascending vector `x1`: before ("left") or behind ("right") equal ones.

    `sorter` is a permutation that sorts `x1`.
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is 'left' or 'right', not {side!r}")
    table, values = common("searchsorted", "real", read(x1), x2 if isinstance(x2, Scalar) else read(x2))
    if rank(table) != 1:
        raise ValueError(f"searchsorted takes a sorted vector, got {rank(table)} axes")
    if sorter is not None:
        table = kernels.gather(table, read(sorter), 0)
    kernel = raw.LowerBound if side == "left" else raw.UpperBound
    sizes = extents(values)
    values = kernels.reshape(values, (1, -1))
    if values.dtype not in KINDS["real floating"]:
        out = kernel(sorted_inputs=kernels.reshape(table, (1, -1)), values=values, out_type=tf.int64)
        return reshaped(out, sizes)
    # The NaNs at the end of the table count as infinite, and nothing but NaN goes behind the first of them.
    infinity = tf.constant(float("inf"), table.dtype)
    missing = isnan(table)
    size = tf.size(table, tf.int64)
    ordered = raw.Sub(x=size, y=kernels.reduce_sum(cast(missing, tf.int64), (0,)))
    table = kernels.reshape(select(missing, infinity, table), (1, -1))
    out = kernel(sorted_inputs=table, values=values, out_type=tf.int64)
    out = select(isnan(values), ordered if side == "left" else size, raw.Minimum(x=out, y=ordered))
    return reshaped(out, sizes)


def where(condition: Array, x1: Any, x2: Any, /) -> Array:
    """`x1` where `condition` holds, else `x2`; all three broadcast, and one of the values may be a scalar."""
    condition = read(condition)
    if condition.dtype is not tf.bool:
        raise TypeError(f"where takes a condition of truth values, not of {condition.dtype.name}")
    x, y = common("where", "any", x1, x2)
    return aligned(select, condition, x, y)
