"""TensorFlow's operations that sort into bins: segments, counts, positions in sorted numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.dtypes import float64, int64
from tensoria.errors import PortingError
from tensoria.programs.dimensions import Size
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import Array, Call, Known, Lowering, literal_like, one, whole, xp

__all__ = ["LOWERINGS"]


# -- segments ---------------------------------------------------------------------------------------------------------


def _bound(x: Array, lowest: bool) -> float:
    """What a segment of nothing has for its largest (smallest) component."""
    is_float = x.dtype.kind == "float"
    limits: Any = np.finfo(x.dtype.name) if is_float else np.iinfo(x.dtype.name)
    found = limits.min if lowest else limits.max
    return float(found) if is_float else int(found)


def _total(x: Array, at: Array, count: Size) -> Array:
    """The sums of segments; a negative number is none."""
    rest = x.shape[at.ndim :]
    zeros = xp.broadcast_to(literal_like(x, 0), (count, *rest))
    own = xp.greater_equal(at, 0)
    x = xp.where(xp.reshape(own, (*own.shape, *(1,) * len(rest))), x, literal_like(x, 0))
    return one(zeros, "add_at", x, xp.where(own, at, 0), key=(At(1), *(Cut(),) * len(rest)))


def _extreme(x: Array, at: Array, count: Size, operation: str) -> Array:
    """The largest, smallest or multiplied components of segments: those of others are neutral."""
    neutral = 1 if operation == "prod" else _bound(x, operation == "max")
    x = xp.reshape(x, (1, -1, *x.shape[at.ndim :]))
    at = xp.reshape(at, (1, -1))
    own = xp.equal(at, xp.expand_dims(xp.arange(count, dtype=at.dtype), axis=1))
    chosen = xp.where(xp.reshape(own, (*own.shape, *(1,) * (x.ndim - 2))), x, literal_like(x, neutral))
    return one(chosen, operation, axes=(1,), keepdims=False)


def _unsorted(operation: str) -> Lowering:
    def lower(call: Call, x: Array, at: Array, count: Known) -> Array:
        number = whole(count)
        number = number[0] if isinstance(number, tuple) else number
        return _total(x, at, number) if operation == "sum" else _extreme(x, at, number, operation)

    return lower


def _sorted(operation: str) -> Lowering:
    def lower(call: Call, x: Array, at: Known) -> Array:
        numbers = np.asarray(at, np.int64)
        count = int(numbers[-1]) + 1 if numbers.size else 0
        sizes = np.bincount(numbers, minlength=count)
        if operation in ("max", "min") and (sizes == 0).any():
            raise PortingError(f"segments without components, whose {operation} is not defined.")
        place = call.recorder.constant(numbers, int64)
        if operation != "mean":
            return _total(x, place, count) if operation == "sum" else _extreme(x, place, count, operation)
        shape = (count, *(1,) * (x.ndim - 1))
        number = call.recorder.constant(np.maximum(sizes, 1).reshape(shape).astype(x.dtype.name), x.dtype)
        return xp.divide(_total(x, place, count), number)

    return lower


# -- counts -----------------------------------------------------------------------------------------------------------


def _between(tensor: Any) -> tuple[float, float]:
    """What a whole number of the graph is at least and at most, as far as constants say."""
    of = tensor.op
    if of.type == "Const":
        value = tf.make_ndarray(of.get_attr("value"))
        return (float(value), float(value)) if value.ndim == 0 else (-np.inf, np.inf)
    if of.type in ("Identity", "Cast"):
        return _between(of.inputs[0])
    if of.type in ("Minimum", "Maximum"):
        (a, b), (c, d) = map(_between, of.inputs)
        return (min(a, c), min(b, d)) if of.type == "Minimum" else (max(a, c), max(b, d))
    return -np.inf, np.inf


def _counted(call: Call, x: Array, size: Any, weights: Array) -> Array:
    """How often each number is there, by row; numbers that are too large are none."""
    if isinstance(size, np.ndarray):
        count = whole(size)
    else:
        least, most = _between(call.operation.inputs[1])
        if least != most:
            raise PortingError("how many numbers are counted depends on them.", legal="minlength= equal to maxlength=")
        count = int(least)
    zero, one_ = literal_like(weights, 0), literal_like(weights, 1)
    own = xp.logical_and(xp.less(x, count), xp.greater_equal(x, 0))
    has_weights = 0 not in weights.shape
    value = xp.where(own, weights if has_weights else one_, zero)
    place = xp.where(own, x, 0)
    if x.ndim == 1:
        found = one(xp.broadcast_to(zero, (count,)), "add_at", value, place, key=(At(1),))
    else:
        rows = xp.broadcast_to(xp.expand_dims(xp.arange(x.shape[0]), axis=1), x.shape)
        found = one(
            xp.broadcast_to(zero, (x.shape[0], count)), "add_at", value, rows, cast(place, int64), key=(At(1), At(2))
        )
    if call.attribute("binary_output"):
        return cast(xp.not_equal(found, zero), call.dtype)
    return cast(found, call.dtype)


def _binned(call: Call, x: Array, limits: Known, count: Known) -> Array:
    """A histogram of bins of one width; what lies beyond belongs to the outermost."""
    low, high = (float(n) for n in limits)
    number = whole(count)
    place = xp.floor(xp.multiply(xp.divide(xp.subtract(x, low), high - low), float(number)))
    place = cast(xp.minimum(xp.maximum(place, 0.0), float(number - 1)), int64)
    place = xp.reshape(place, (-1,))
    zeros = xp.broadcast_to(call.recorder.literal(0, call.dtype), (number,))
    ones = xp.broadcast_to(call.recorder.literal(1, call.dtype), place.shape)
    return one(zeros, "add_at", ones, place, key=(At(1),))


# -- positions --------------------------------------------------------------------------------------------------------


def _bucket(call: Call, x: Array) -> Array:
    """Which of the intervals between boundaries a number is in."""
    x = x if x.dtype.kind == "float" else cast(x, float64)
    limits = call.recorder.constant(np.asarray(call.attribute("boundaries"), np.float32).astype(x.dtype.name), x.dtype)
    return cast(one(limits, "searchsorted", x, side="right"), call.dtype)


def _inserted(side: str) -> Lowering:
    """Where numbers belong in sorted rows."""

    def lower(call: Call, rows: Array, x: Array) -> Array:
        if rows.shape[0] == 1:
            found = one(getitem(rows, 0), "searchsorted", getitem(x, 0), side=side)
            return cast(xp.expand_dims(found, axis=0), call.dtype)
        compare = xp.less if side == "left" else xp.less_equal
        before = compare(xp.expand_dims(rows, axis=1), xp.expand_dims(x, axis=2))
        return cast(one(cast(before, int64), "sum", axes=(2,), keepdims=False), call.dtype)

    return lower


def _among_largest(call: Call, x: Array, targets: Array, k: Array) -> Array:
    """Whether fewer than k components are larger than the one of the target."""
    own = one(x, "take_along_axis", xp.expand_dims(cast(targets, int64), axis=1), axis=1)
    above = one(cast(xp.greater(x, own), k.dtype), "sum", axes=(1,), keepdims=False)
    finite = one(xp.isfinite(own), "squeeze", axes=(1,))
    return xp.logical_and(xp.less(above, k), finite)


def _reversed(call: Call, x: Array, lengths: Array) -> Array:
    """The first components along an axis in reverse, as many as each row says."""
    time, batch = call.attribute("seq_dim"), call.attribute("batch_dim")
    places = xp.arange(x.shape[time])
    shape = [1] * x.ndim
    places = xp.reshape(places, (*shape[:time], -1, *shape[time + 1 :]))
    ends = xp.reshape(cast(lengths, int64), (*shape[:batch], -1, *shape[batch + 1 :]))
    at = xp.where(xp.less(places, ends), xp.subtract(xp.subtract(ends, 1), places), places)
    return one(x, "take_along_axis", xp.broadcast_to(at, x.shape), axis=time)


LOWERINGS: dict[str, Lowering] = {
    **{f"UnsortedSegment{name.capitalize()}": _unsorted(name) for name in ("sum", "max", "min", "prod")},
    **{f"Segment{name.capitalize()}": _sorted(name) for name in ("sum", "mean", "max", "min", "prod")},
    "DenseBincount": _counted, "HistogramFixedWidth": _binned, "Bucketize": _bucket, "LowerBound": _inserted("left"),
    "UpperBound": _inserted("right"), "InTopKV2": _among_largest, "ReverseSequence": _reversed,
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {
    **{f"UnsortedSegment{name}": (2,) for name in ("Sum", "Max", "Min", "Prod")},
    **{f"Segment{name}": (1,) for name in ("Sum", "Mean", "Max", "Min", "Prod")},
    "HistogramFixedWidth": (1, 2),
}  # fmt: skip
"""Which operands have to be known before anything runs."""
EITHER: dict[str, tuple[int, ...]] = {"DenseBincount": (1,)}
"""Which operands are given as known numbers where they are known."""
