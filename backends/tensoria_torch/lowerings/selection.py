"""ATen's operators that choose, count, order or write by position: losses by class, bags, masks, running extremes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.dtypes import DType, bool_, int8, int64
from tensoria.errors import PortingError
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, setitem
from tensoria.programs.standard.indexing import subscript
from tensoria_torch.lowerings.call import Call, Lowering, of_one, one, positions, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray


# -- losses -----------------------------------------------------------------------------------------------------------


def _negative_log(
    call: Call, x: Array, target: Array, weight: Array | None, reduction: int, ignored: int
) -> tuple[Array, Array]:
    """Minus the component of each target's class, weighed; targets with one number count nowhere."""
    axis = 0 if x.ndim == 1 else 1
    counted = xp.not_equal(target, ignored)
    at = xp.where(counted, target, 0)
    own = xp.squeeze(one(x, "take_along_axis", xp.expand_dims(at, axis=axis), axis=axis), axis=axis)
    of = xp.ones_like(own) if weight is None else one(weight, "take", xp.reshape(at, (-1,)), axis=0)
    weights = xp.where(counted, xp.reshape(of, own.shape), 0.0)
    loss, total = xp.negative(xp.multiply(own, weights)), xp.sum(weights)
    if reduction == 0:
        return loss, xp.zeros_like(total)
    summed = xp.sum(loss)
    return (xp.divide(summed, total) if reduction == 1 else summed), total


def _margins(call: Call, x: Array, target: Array, reduction: int = 1) -> Array:
    """How far each class that is none of an example's own comes within 1 of each that is; -1 ends an example's list.

    (PyTorch's own decomposition mixes the examples of a batch.)
    """
    classes, last = x.shape[-1], x.ndim - 1
    places = xp.arange(classes, dtype=int64)
    end = xp.min(xp.where(xp.equal(target, -1), places, classes), axis=-1, keepdims=True)
    own = xp.less(places, end)
    at = xp.where(own, target, 0)
    score = xp.expand_dims(one(x, "take_along_axis", at, axis=last), axis=-1)
    listed = xp.logical_and(xp.expand_dims(own, axis=-1), xp.equal(xp.expand_dims(at, axis=-1), places))
    others = xp.logical_not(xp.any(listed, axis=-2, keepdims=True))
    short = xp.add(xp.subtract(1.0, score), xp.expand_dims(x, axis=-2))
    counted = xp.logical_and(xp.logical_and(xp.expand_dims(own, axis=-1), others), xp.greater(short, 0.0))
    loss = xp.divide(xp.sum(xp.where(counted, short, 0.0), axis=(-2, -1)), classes)
    return (loss, xp.mean(loss), xp.sum(loss))[reduction]


# -- writing ----------------------------------------------------------------------------------------------------------


def _index_put(call: Call, x: Array, places: Any, new: Array, add: bool = False) -> Array:
    at = [place for place in places if place is not None]
    masks = [place for place in at if place.dtype is bool_]
    if masks:
        if len(at) != 1 or places[0] is not at[0]:
            raise PortingError("writing by a mask and by positions at once is not ported.", legal="torch.where")
        if add:
            new = xp.add(x, new) if new.ndim <= x.ndim - masks[0].ndim else new
        if new.ndim <= x.ndim - masks[0].ndim:
            return setitem(x, masks[0], new)
        if add:
            raise PortingError("adding where a mask says, by position, is not ported.", legal="torch.where")
        return _spread(x, masks[0], new)
    key = tuple(slice(None) if place is None else place for place in places)
    if not add:
        return setitem(x, key, new)
    if x.dtype is bool_:
        return cast(_index_put(call, cast(x, int8), places, cast(new, int8), add), bool_)
    parts, arrays = subscript(x, key)
    return one(x, "add_at", cast(new, x.dtype), *arrays, key=parts)


def _spread(x: Array, mask: Array, new: Array) -> Array:
    """Where a mask over the first axes is true the rows of another array, one after another."""
    flat = xp.reshape(mask, (-1,))
    count = xp.cumulative_sum(cast(flat, int64))
    at = xp.maximum(xp.subtract(count, 1), 0)
    own = xp.reshape(one(cast(new, x.dtype), "take", at, axis=0), x.shape)
    return xp.where(xp.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim))), own, x)


def _masked_scatter(call: Call, x: Array, mask: Array, source: Array) -> Array:
    return _spread(x, xp.broadcast_to(mask, x.shape), xp.reshape(source, (-1,)))


def _scatter_reduce(
    call: Call, x: Array, axis: int, at: Array, source: Array, reduce: str, *, include_self: bool = True
) -> Array:
    """Sums by `scatter`; other reductions over all that is written to a component."""
    (place,) = positions(axis, x.ndim)
    key = tuple(slice(0, n) for n in at.shape)
    if at.shape != source.shape:
        source = one(source, "getitem", key=subscript(source, key)[0])
    source = cast(source, x.dtype)
    if reduce in ("sum", "mean"):
        begin = x if include_self else _written(x, place, at, 0.0)
        total = one(begin, "scatter", at, source, axis=place, add=True)
        if reduce == "sum":
            return total
        ones = xp.ones_like(x) if include_self else _written(xp.ones_like(x), place, at, 0.0)
        counts = one(ones, "scatter", at, xp.ones_like(source), axis=place, add=True)
        return xp.divide(total, counts) if x.dtype.kind == "float" else xp.floor_divide(total, counts)
    # components of x (behind) against what is written (last)
    moved, other = xp.moveaxis(at, place, -1), xp.moveaxis(source, place, -1)
    if any(m != n for k, (m, n) in enumerate(zip(at.shape, x.shape, strict=True)) if k != place):
        raise PortingError("scatter_reduce into an array whose other axes are longer than the positions'.")
    whole = xp.arange(x.shape[place], dtype=at.dtype)
    here = xp.equal(xp.expand_dims(moved, axis=-2), xp.expand_dims(whole, axis=1))
    neutral, function = {
        "prod": (1.0, xp.prod), "amax": (-float("inf"), xp.max), "amin": (float("inf"), xp.min),
    }[reduce]  # fmt: skip
    if x.dtype.kind != "float":
        raise PortingError(f"scatter_reduce by {reduce} of {x.dtype} is not ported.")
    found = function(xp.where(here, xp.expand_dims(other, axis=-2), neutral), axis=-1)
    found = xp.moveaxis(found, -1, place)
    if include_self:
        return {"prod": xp.multiply, "amax": xp.maximum, "amin": xp.minimum}[reduce](x, found)
    return xp.where(xp.moveaxis(xp.any(here, axis=-1), -1, place), found, x)


def _written(x: Array, axis: int, at: Array, number: float) -> Array:
    value = xp.broadcast_to(cast(xp.asarray(number), x.dtype), at.shape)
    return one(x, "scatter", at, value, axis=axis, add=False)


def _scatter_by(call: Call, x: Array, axis: int, at: Array, source: Array, *, reduce: str) -> Array:
    return _scatter_reduce(call, x, axis, at, source, {"add": "sum", "multiply": "prod"}[reduce])


def _put(call: Call, x: Array, at: Array, source: Array, add: bool = False) -> Array:
    flat = _index_put(call, xp.reshape(x, (-1,)), [xp.reshape(at, (-1,))], xp.reshape(source, (-1,)), add)
    return xp.reshape(flat, x.shape)


def _place(
    edges: Array, x: Array, dtype: DType, right: bool = False, side: str | None = None, sorter: Array | None = None
) -> Array:
    """How many edges, along the last axis, lie below each component (or, to the right, do not lie above)."""
    if sorter is not None:
        edges = one(edges, "take_along_axis", sorter, axis=edges.ndim - 1)
    below = xp.less_equal if right or side == "right" else xp.less
    wide = edges if edges.ndim == 1 else xp.expand_dims(edges, axis=-2)
    return cast(xp.sum(cast(below(wide, xp.expand_dims(x, axis=-1)), int64), axis=-1), dtype)


# -- bags -------------------------------------------------------------------------------------------------------------


def _bags(
    call: Call, weight: Array, at: Array, offsets: Array, scaled: bool = False, mode: int = 0, sparse: bool = False,
    scores: Array | None = None, last: bool = False, padding: int = -1,
) -> tuple[Any, ...]:  # fmt: skip
    """Sums, means or largest components of the rows of each bag; an empty bag is 0."""
    bags = offsets.shape[0] - 1 if last else offsets.shape[0]
    begin = offsets if not last else one(offsets, "getitem", key=subscript(offsets, (slice(0, bags),))[0])
    number = cast(xp.arange(at.shape[0]), begin.dtype)
    of = xp.subtract(xp.sum(cast(xp.less_equal(xp.expand_dims(begin, axis=1), number), int64), axis=0), 1)
    here = xp.equal(xp.expand_dims(xp.arange(bags), axis=1), of)
    if padding >= 0:
        here = xp.logical_and(here, xp.not_equal(at, padding))
    rows = one(weight, "take", at, axis=0)
    if mode == 2:
        large = xp.where(xp.expand_dims(here, axis=2), rows, -float("inf"))
        found = xp.where(xp.expand_dims(xp.any(here, axis=1), axis=1), xp.max(large, axis=1), 0.0)
        return found, None, None, None
    member = cast(here, weight.dtype)
    if scores is not None:
        member = xp.multiply(member, scores)
    total = xp.matmul(member, rows)
    if mode == 1:
        total = xp.divide(total, xp.maximum(xp.sum(cast(here, weight.dtype), axis=1, keepdims=True), 1.0))
    return total, None, None, None


# -- orders -----------------------------------------------------------------------------------------------------------


def _running_extreme(name: str) -> Lowering:
    """Largest (smallest) components so far, and the last positions where they are."""

    def lower(call: Call, x: Array, axis: int) -> tuple[Array, Array]:
        if not x.ndim or 0 in x.shape:
            return x, xp.zeros(x.shape, dtype="int64")
        if x.dtype is bool_:
            value, at = lower(call, cast(x, int8), axis)
            return cast(value, bool_), at
        (place,) = positions(axis, x.ndim)
        moved = xp.moveaxis(x, place, -1)
        number = xp.arange(x.shape[place])
        before = xp.less_equal(number, xp.expand_dims(number, axis=1))
        wide = xp.expand_dims(moved, axis=-2)
        if x.dtype.kind == "float":
            bound = -float("inf") if name == "max" else float("inf")
        else:
            bound = getattr(np.iinfo(x.dtype.name), "min" if name == "max" else "max")
        value = getattr(xp, name)(xp.where(before, wide, bound), axis=-1)
        here = xp.logical_and(before, xp.equal(wide, xp.expand_dims(value, axis=-1)))
        at = xp.max(xp.where(here, number, 0), axis=-1)
        return xp.moveaxis(value, -1, place), xp.moveaxis(at, -1, place)

    return lower


def _running_logsumexp(call: Call, x: Array, axis: int) -> Array:
    if not x.ndim or 0 in x.shape:
        return x
    (place,) = positions(axis, x.ndim)
    number = xp.arange(x.shape[place])
    before = xp.less_equal(number, xp.expand_dims(number, axis=1))
    wide = xp.where(before, xp.expand_dims(xp.moveaxis(x, place, -1), axis=-2), -float("inf"))
    largest = xp.max(wide, axis=-1, keepdims=True)
    largest = xp.where(xp.isinf(largest), 0.0, largest)
    total = xp.log(xp.sum(xp.exp(xp.subtract(wide, largest)), axis=-1, keepdims=True))
    return xp.moveaxis(xp.squeeze(xp.add(total, largest), axis=-1), -1, place)


def _ranked(call: Call, x: Array, k: Any, axis: int = -1, keep: bool = False) -> tuple[Array, Array]:
    """The k-th smallest component, and a position where it is."""
    (place,) = positions(axis, x.ndim)
    order = xp.argsort(x, axis=place, stable=True)
    rank = call.recorder.size(k - 1, int64) if not isinstance(k, int) else xp.asarray(k - 1)
    at = one(order, "take", xp.reshape(rank, (1,)), axis=place)
    found = one(x, "take_along_axis", at, axis=place)
    return (found, at) if keep else (xp.squeeze(found, axis=place), xp.squeeze(at, axis=place))


def _median(call: Call, x: Array, axis: int = 0, keep: bool = False) -> tuple[Array, Array]:
    """Of an even number of components the lower of both in the middle."""
    (place,) = positions(axis, x.ndim)
    return _ranked(call, x, (x.shape[place] + 1) // 2, axis, keep)


def _whole_median(call: Call, x: Array) -> Array:
    return _median(call, xp.reshape(x, (-1,)))[0]


def _known_median(call: Call, x: Array, axis: int = -1, keep: bool = False) -> tuple[Array, Array]:
    """The median of what is no NaN: sorted, NaNs are last."""
    (place,) = positions(axis, x.ndim)
    if x.dtype.kind != "float":
        return _median(call, x, axis, keep)
    order = xp.argsort(x, axis=place, stable=True)
    known = xp.sum(cast(xp.logical_not(xp.isnan(x)), int64), axis=place, keepdims=True)
    rank = xp.floor_divide(xp.maximum(xp.subtract(known, 1), 0), 2)
    at = one(order, "take_along_axis", rank, axis=place)
    found = one(x, "take_along_axis", at, axis=place)
    return (found, at) if keep else (xp.squeeze(found, axis=place), xp.squeeze(at, axis=place))


def _whole_known_median(call: Call, x: Array) -> Array:
    return _known_median(call, xp.reshape(x, (-1,)))[0]


def _mode(call: Call, x: Array, axis: int = -1, keep: bool = False) -> tuple[Array, Array]:
    """The smallest of the most frequent components, and the last position where it is."""
    (place,) = positions(axis, x.ndim)
    moved = xp.moveaxis(x, place, -1)
    same = xp.equal(xp.expand_dims(moved, axis=-1), xp.expand_dims(moved, axis=-2))
    count = xp.sum(cast(same, int64), axis=-1)
    often = xp.equal(count, xp.max(count, axis=-1, keepdims=True))
    comparable = cast(moved, int8) if x.dtype is bool_ else moved
    below = xp.less_equal(xp.expand_dims(comparable, axis=-1), xp.expand_dims(comparable, axis=-2))
    first = xp.all(xp.logical_or(below, xp.logical_not(xp.expand_dims(often, axis=-2))), axis=-1)
    here = xp.logical_and(often, first)
    at = xp.max(xp.where(here, xp.arange(x.shape[place]), 0), axis=-1, keepdims=True)
    at = xp.moveaxis(at, -1, place)
    found = one(x, "take_along_axis", at, axis=place)
    return (found, at) if keep else (xp.squeeze(found, axis=place), xp.squeeze(at, axis=place))


def _index_reduce(
    call: Call, x: Array, axis: int, at: Array, source: Array, reduce: str, *, include_self: bool = True
) -> Array:
    """Whole slices, as `scatter_reduce` of their components."""
    (place,) = positions(axis, x.ndim)
    wide = xp.reshape(at, tuple(-1 if k == place else 1 for k in range(x.ndim)))
    wide = xp.broadcast_to(wide, source.shape)
    return _scatter_reduce(call, x, axis, wide, source, reduce, include_self=include_self)


LOWERINGS: dict[str, Lowering] = {
    "nll_loss_forward.default": _negative_log, "nll_loss2d_forward.default": _negative_log,
    "multilabel_margin_loss.default": _margins, "scatter.reduce": _scatter_by, "put.default": _put,
    "searchsorted.Tensor": lambda call, edges, x, *, out_int32=False, **more: _place(edges, x, call.dtype, **more),
    "bucketize.Tensor": lambda call, x, edges, *, out_int32=False, right=False: _place(edges, x, call.dtype, right),
    "index_put.default": _index_put, "masked_scatter.default": _masked_scatter, "scatter_reduce.two": _scatter_reduce,
    "_embedding_bag.default": _bags, "_embedding_bag_forward_only.default": _bags,
    "cummax.default": _running_extreme("max"), "cummin.default": _running_extreme("min"),
    "logcumsumexp.default": _running_logsumexp, "kthvalue.default": of_one(_ranked), "median.dim": of_one(_median),
    "median.default": _whole_median, "nanmedian.dim": of_one(_known_median), "nanmedian.default": _whole_known_median,
    "mode.default": of_one(_mode), "index_reduce.default": _index_reduce,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
