"""Sets of elements, by way of sorting: equal elements stand side by side then, and NaN differs even from itself.

TensorFlow's own Unique keeps the order of first appearance, takes no complex numbers and returns no first places.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from .. import kernels
from ..kernels import cast, raw, read
from .data_types import KINDS, Scalar, common
from .indexing import positions
from .searching import searchsorted
from .shapes import aligned, extents, rank, reshaped
from .sorting import lexicographic

__all__ = ["isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"]

Array = Any


class UniqueAllResult(NamedTuple):
    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    values: Array
    inverse_indices: Array


def unique_all(x: Array, /) -> UniqueAllResult:
    """The different elements in ascending order, their first places and counts, and the place of each among them."""
    x = read(x)
    flat = kernels.reshape(x, (-1,))
    order = lexicographic(flat)
    ascending = kernels.gather(flat, order, 0)
    # An element opens a group if it differs from the one before it; the first has none before it.
    differs = raw.NotEqual(x=ascending[1:], y=ascending[:-1])
    opens = kernels.concat([tf.fill(tf.minimum(tf.shape(flat), 1), True), differs], 0)
    starts = positions(opens)
    group = raw.Sub(x=raw.Cumsum(x=cast(opens, tf.int64), axis=kernels.ints(0)), y=tf.constant(1, tf.int64))
    inverse = kernels.scatter(tf.zeros_like(order), kernels.reshape(order, (-1, 1)), group)
    ends = kernels.concat([starts[1:], tf.shape(flat, tf.int64)], 0)[: tf.shape(starts)[0]]
    return UniqueAllResult(
        kernels.gather(ascending, starts, 0),
        kernels.gather(order, starts, 0),
        reshaped(inverse, extents(x)),
        raw.Sub(x=ends, y=starts),
    )


def unique_counts(x: Array, /) -> UniqueCountsResult:
    """The different elements in ascending order, and how often each occurs."""
    found = unique_all(x)
    return UniqueCountsResult(found.values, found.counts)


def unique_inverse(x: Array, /) -> UniqueInverseResult:
    """The different elements in ascending order, and the place of each element of `x` among them."""
    found = unique_all(x)
    return UniqueInverseResult(found.values, found.inverse_indices)


def unique_values(x: Array, /) -> Array:
    """The different elements in ascending order."""
    return unique_all(x).values


def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Array:
    """Whether each element of `x1` occurs in `x2` (or does not, with `invert`); NaN occurs nowhere."""
    x, y = common("isin", "any", *(z if isinstance(z, Scalar) else read(z) for z in (x1, x2)))
    y = kernels.reshape(y, (-1,))
    if x.dtype in KINDS["real"]:
        table = kernels.gather(y, lexicographic(y), 0)
        # One more element at the end, so that there is one at every place; its own place is never below the size of y.
        place = searchsorted(table, x)
        padded = kernels.concat([table, tf.zeros((1,), x.dtype)], 0)
        found = raw.LogicalAnd(
            x=raw.Equal(x=kernels.gather(padded, place, 0), y=x),
            y=raw.Less(x=place, y=tf.size(y, tf.int64)),
        )
    else:
        pairs = aligned(lambda x, y: raw.Equal(x=x, y=y), reshaped(x, (*extents(x), 1)), y)
        found = raw.Any(input=pairs, axis=kernels.ints((rank(x),)))
    return raw.LogicalNot(x=found) if invert else found
