"""ATen's products, and its operators of neural networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensoria.dtypes import bool_, int64
from tensoria.errors import PortingError
from tensoria.programs.dimensions import product
from tensoria.programs.operations.neural import image
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast
from tensoria_torch.lowerings.call import Call, Lowering, of_one, one, positions, xp
from tensoria_torch.lowerings.images import largest_places, window_counts
from tensoria_torch.lowerings.randomness import dropped

__all__ = ["LOWERINGS"]

Array = SymbolicArray


def _present(*arrays: Array | None) -> tuple[Array, ...]:
    return tuple(x for x in arrays if x is not None)


def _many(given: Any, count: int) -> tuple[int, ...]:
    """One number for each axis of space, where PyTorch takes one for all."""
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    return values * count if len(values) == 1 else values


# -- products ---------------------------------------------------------------------------------------------------------


def _linear(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    return one(x, "linear", weight, *_present(bias))


def _added(call: Call, x: Array, a: Array, b: Array, *, beta: Any = 1, alpha: Any = 1) -> Array:
    found = one(a, "matmul", b)
    if alpha != 1:
        found = xp.multiply(found, call.array(alpha, call.dtype))
    if beta == 0:
        return found
    return xp.add(found, x if beta == 1 else xp.multiply(x, call.array(beta, call.dtype)))


def _added_batches(call: Call, x: Array, a: Array, b: Array, *, beta: Any = 1, alpha: Any = 1) -> Array:
    """The sum of the products of all batches, in one product."""
    wide = xp.reshape(xp.moveaxis(a, 0, 1), (a.shape[1], a.shape[0] * a.shape[2]))
    return _added(call, x, wide, xp.reshape(b, (b.shape[0] * b.shape[1], b.shape[2])), beta=beta, alpha=alpha)


def _grouped(call: Call, x: Array, weight: Array, ends: Array, *_: Any) -> Array:
    """Rows of x times the weight of their group: group e has the rows from ends[e - 1] to ends[e]."""
    rows = xp.arange(x.shape[0], dtype=ends.dtype)
    group = xp.sum(cast(xp.less_equal(xp.expand_dims(ends, axis=0), xp.expand_dims(rows, axis=1)), int64), axis=1)
    whole = xp.matmul(xp.expand_dims(x, axis=0), weight)  # of all groups
    there = xp.less(group, weight.shape[0])
    at = xp.expand_dims(xp.where(there, group, 0), axis=(0, 2))
    wide = xp.broadcast_to(at, (1, x.shape[0], weight.shape[2]))
    own = xp.squeeze(one(whole, "take_along_axis", wide, axis=0), axis=0)
    return xp.where(xp.expand_dims(there, axis=1), own, 0.0)


# -- normalisation ----------------------------------------------------------------------------------------------------


def _normal(
    call: Call, x: Array, operation: str, weight: Array | None, bias: Array | None, *before: Array, **attributes: Any
) -> Array:  # fmt: skip
    """A normalisation in the data type of what scales it, if that is wider: float32 under autocast."""
    if weight is None and bias is not None:  # no instruction has a bias alone
        weight = xp.ones_like(bias)
    given = (*before, *_present(weight, bias))
    wide = given[0].dtype if given else x.dtype
    return cast(one(cast(x, wide), operation, *given, **attributes), call.dtype)


def _layer_norm(
    call: Call, x: Array, shape: Any, weight: Array | None = None, bias: Array | None = None, epsilon: float = 1e-5,
    *_: Any,
) -> Array:  # fmt: skip
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return _normal(call, x, "layer_norm", weight, bias, axes=axes, epsilon=epsilon)


def _rms_norm(call: Call, x: Array, shape: Any, weight: Array | None = None, epsilon: float | None = None) -> Array:
    if epsilon is None:
        epsilon = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[x.dtype.name]
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return _normal(call, x, "rms_norm", weight, None, axes=axes, epsilon=epsilon)


def _group_norm(
    call: Call, x: Array, groups: int, weight: Array | None = None, bias: Array | None = None, epsilon: float = 1e-5,
    *_: Any,
) -> Array:  # fmt: skip
    return _normal(call, x, "group_norm", weight, bias, groups=groups, epsilon=epsilon)


def _weight_norm(call: Call, direction: Array, size: Array, axis: int = 0) -> Array:
    """A weight by its direction and its norm over all axes but one (Salimans and Kingma 2016)."""
    axes = tuple(n for n in range(direction.ndim) if n != axis % direction.ndim)
    norm = one(direction, "linalg.vector_norm", axes=axes, keepdims=True, ord=2.0)
    return xp.multiply(direction, xp.divide(size, norm))


def _first(lowering: Lowering, count: int) -> Lowering:
    """Of an operator with further results, which derivatives use, the first one."""
    return lambda call, *args: (lowering(call, *args), *(None,) * (count - 1))


def _sized_group_norm(
    call: Call, x: Array, weight: Any, bias: Any, batch: Any, channels: Any, space: Any, groups: int, epsilon: float
) -> Array:
    return _group_norm(call, x, groups, weight, bias, epsilon)


def _batch_norm(
    call: Call, x: Array, weight: Array | None, bias: Array | None, mean: Array, variance: Array, momentum: float,
    epsilon: float,
) -> tuple[Any, ...]:  # fmt: skip
    found = _normal(call, x, "batch_norm", weight, bias, mean, variance, axis=1, epsilon=epsilon)
    return (found, None, None)  # what the other results are is used while training only


def _own_statistics(
    call: Call, x: Array, weight: Array | None, bias: Array | None, training: bool, momentum: float, epsilon: float
) -> tuple[Any, ...]:
    """Batch normalisation by the batch's mean and variance, which nobody remembers (instance normalisation)."""
    axes = tuple(n for n in range(x.ndim) if n != 1)
    wide = x if weight is None else cast(x, weight.dtype)
    mean = one(wide, "mean", axes=axes, keepdims=False)
    variance = one(wide, "var", axes=axes, keepdims=False, correction=0.0)
    return (_normal(call, wide, "batch_norm", weight, bias, mean, variance, axis=1, epsilon=epsilon), None, None)


def _batch_norm_any(
    call: Call, x: Array, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float,
    epsilon: float, *_: Any,
) -> Array:  # fmt: skip
    if training or mean is None:
        return _own_statistics(call, x, weight, bias, training, momentum, epsilon)[0]
    return _batch_norm(call, x, weight, bias, mean, variance, momentum, epsilon)[0]


def _running_statistics(
    call: Call, x: Array, weight: Array | None, bias: Array | None, mean: Array, variance: Array, training: bool,
    momentum: float, epsilon: float,
) -> tuple[Any, ...]:  # fmt: skip
    """Batch normalisation with the statistics that running ones become: the unbiased variance goes into them."""
    if not training:
        return (*_batch_norm(call, x, weight, bias, mean, variance, momentum, epsilon), mean, variance)
    axes = tuple(n for n in range(x.ndim) if n != 1)
    x = cast(x, mean.dtype)
    own_mean = one(x, "mean", axes=axes, keepdims=False)
    own_variance = one(x, "var", axes=axes, keepdims=False, correction=0.0)
    found = _normal(call, x, "batch_norm", weight, bias, own_mean, own_variance, axis=1, epsilon=epsilon)
    count = x.recorder.size(product(x.shape[n] for n in axes), own_variance.dtype)
    unbiased = xp.multiply(own_variance, xp.divide(count, xp.subtract(count, 1.0)))
    after = (
        xp.add(xp.multiply(cast(one(new, "stop_gradient"), old.dtype), momentum), xp.multiply(old, 1 - momentum))
        for new, old in ((own_mean, mean), (unbiased, variance))
    )
    return (found, None, None, *after)


def _attention(
    call: Call, query: Array, key: Array, value: Array, mask: Array | None = None, dropout: float = 0.0,
    causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Array:  # fmt: skip
    if scale is None:
        size = query.shape[-1]
        if not isinstance(size, int):
            raise PortingError("attention whose heads have a size that is not known.", legal="scale=")
        scale = 1 / math.sqrt(size)
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        key, value = (_shared(x, query.shape[-3]) for x in (key, value))
    if dropout:
        return _dropped_attention(call, query, key, value, mask, dropout, causal, float(scale))
    return one(query, "attention", key, value, *_present(mask), causal=causal, scale=float(scale))


def _dropped_attention(
    call: Call, query: Array, key: Array, value: Array, mask: Array | None, rate: float, causal: bool, scale: float
) -> Array:
    """Attention whose weights are dropped out; a row without anything to attend to is 0."""
    order = (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2)
    scores = xp.multiply(xp.matmul(query, xp.permute_dims(key, order)), scale)
    hidden = None
    if causal:
        rows, columns = xp.arange(query.shape[-2]), xp.arange(key.shape[-2])
        hidden = xp.less(xp.expand_dims(rows, axis=1), columns)
    if mask is not None and mask.dtype is bool_:
        unseen = xp.logical_not(mask)
        hidden = unseen if hidden is None else xp.logical_or(hidden, unseen)
    elif mask is not None:
        scores = xp.add(scores, mask)
    if hidden is not None:
        scores = xp.where(hidden, -math.inf, scores)
    largest = xp.max(scores, axis=-1, keepdims=True)
    empty = xp.isinf(largest)
    weights = one(xp.where(empty, 0.0, scores), "softmax", axis=scores.ndim - 1)
    return xp.matmul(dropped(call, xp.where(empty, 0.0, weights), rate), value)


def _shared(x: Array, heads: Any) -> Array:
    """Heads repeated one by one, for groups of queries."""
    count = heads // x.shape[-3]
    *lead, own, length, size = x.shape
    wide = xp.broadcast_to(xp.expand_dims(x, axis=x.ndim - 2), (*lead, own, count, length, size))
    return xp.reshape(wide, (*lead, heads, length, size))


def _along(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axis: int, dtype: Any = None, **_: Any) -> Array:
        (place,) = positions(axis, x.ndim)
        x = cast(x, call.dtype)
        return x if 0 in x.shape else one(x, operation, axis=place)

    return of_one(lower)


# -- images -----------------------------------------------------------------------------------------------------------


def _convolution(
    call: Call, x: Array, kernel: Array, bias: Array | None = None, strides: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Array:  # fmt: skip
    space = kernel.ndim - 2
    wide = _many(dilation, space)
    if isinstance(padding, str):
        reach = [d * (k - 1) if padding == "same" else 0 for d, k in zip(wide, kernel.shape[2:], strict=True)]
        around = tuple((n // 2, n - n // 2) for n in reach)
    else:
        around = tuple((n, n) for n in _many(padding, space))
    alone = x.ndim == space + 1
    x = xp.expand_dims(x, axis=0) if alone else x
    found = one(
        x, "convolution", kernel, *_present(bias), strides=_many(strides, space), padding=around, dilation=wide,
        groups=groups, numbers=(image(space), image(space, "OI"), image(space)),
    )  # fmt: skip
    return xp.squeeze(found, axis=0) if alone else found


def _transposed(
    call: Call, x: Array, kernel: Array, bias: Array | None = None, strides: Any = 1, padding: Any = 0,
    more: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Array:  # fmt: skip
    space = kernel.ndim - 2
    if 0 in call.shape:
        return xp.zeros(call.shape, dtype=call.dtype)
    if x.ndim == space + 1:
        whole = xp.expand_dims(x, axis=0)
        found = _transposed(call, whole, kernel, bias, strides, padding, more, groups, dilation)
        return xp.squeeze(found, axis=0)
    around = tuple((n, n - m) for n, m in zip(_many(padding, space), _many(more, space), strict=True))
    chosen: dict[str, Any] = {
        "strides": _many(strides, space), "dilation": _many(dilation, space), "groups": groups,
        "numbers": (image(space), image(space, "IO"), image(space)),
    }  # fmt: skip
    below = tuple((0, -high) if high < 0 else (0, 0) for _, high in around)
    if any(high < 0 for _, high in around):
        # Output padding beyond the padding lies where the kernel does not reach: only the bias is there.
        inner = tuple((low, max(high, 0)) for low, high in around)
        alone = one(x, "convolution_transpose", kernel, padding=inner, **chosen)
        found = one(alone, "pad", padding=((0, 0), (0, 0), *below), value=0.0)
        return found if bias is None else xp.add(found, xp.reshape(bias, (-1, *(1,) * space)))
    return one(x, "convolution_transpose", kernel, *_present(bias), padding=around, **chosen)


def _general(
    call: Call, x: Array, kernel: Array, bias: Array | None, strides: Any, padding: Any, dilation: Any,
    transposed: bool, more: Any, groups: int,
) -> Array:  # fmt: skip
    if transposed:
        return _transposed(call, x, kernel, bias, strides, padding, more, groups, dilation)
    return _convolution(call, x, kernel, bias, strides, padding, dilation, groups)


def _around(call: Call, x: Array, window: Sequence[int], strides: Any, padding: Any, dilation: Any) -> Any:
    """Padding by pairs; where PyTorch rounds the number of windows up, more of it at the end."""
    space = len(window)
    pairs = []
    sizes, counts = x.shape[x.ndim - space :], call.shape[x.ndim - space :]
    for n, m, k, s, p, d in zip(sizes, counts, window, strides, padding, dilation, strict=True):
        high = p
        if isinstance(n, int):
            high = max(p, (m - 1) * s + d * (k - 1) + 1 - n - p)
        pairs.append((p, high))
    return tuple(pairs)


def _max_pool(space: int) -> Lowering:
    def lower(
        call: Call, x: Array, window: Any, strides: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
    ) -> Array:
        window = _many(window, space)
        strides, wide = _many(strides or window, space), _many(dilation, space)
        around = _around(call, x, window, strides, _many(padding, space), wide)
        return one(x, "max_pool", window=window, strides=strides, padding=around, dilation=wide)

    return lower


def _placed_pool(space: int) -> Lowering:
    def lower(
        call: Call, x: Array, window: Any, strides: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
    ) -> tuple[Any, ...]:
        found = _max_pool(space)(call, x, window, strides, padding, dilation, ceil)
        if call.wanted is not None and 1 not in call.wanted:
            return found, None
        window = _many(window, space)
        more = _many(strides or window, space), _many(padding, space), _many(dilation, space)
        return found, largest_places(x, found.shape[x.ndim - space :], window, *more)

    return lower


def _mean_pool(space: int) -> Lowering:
    def lower(
        call: Call, x: Array, window: Any, strides: Any = (), padding: Any = 0, ceil: bool = False,
        padded: bool = True, divisor: int | None = None,
    ) -> Array:  # fmt: skip
        window, beside = _many(window, space), _many(padding, space)
        strides = _many(strides or window, space)
        around = _around(call, x, window, strides, beside, (1,) * space)
        uneven = padded and any(high != low for low, high in around)
        if divisor is not None or uneven:
            mean = one(x, "mean_pool", window=window, strides=strides, padding=around, padded=True)
            total = xp.multiply(mean, float(math.prod(window)))
            if divisor is not None:
                return xp.divide(total, float(divisor))
            lead = x.ndim - space
            count = window_counts(x.shape[lead:], call.shape[lead:], window, strides, beside, padded)
            return xp.divide(total, x.recorder.constant(count.astype(x.dtype.name)))
        return one(x, "mean_pool", window=window, strides=strides, padding=around, padded=padded)

    return lower


def _adaptive(call: Call, x: Array, sizes: Any) -> Array:
    chosen = tuple(
        n if size is None else size for size, n in zip(sizes, x.shape[x.ndim - len(sizes) :], strict=True)
    )
    return one(x, "adaptive_mean_pool", sizes=chosen)


def _resized(method: str, corners: bool, rule: str = "half_pixel") -> Lowering:
    def lower(call: Call, x: Array, *given: Any) -> Array:
        # (size, [align_corners], scales) or, one for each axis, (size, [align_corners], *scales).
        aligned = bool(given[1]) if corners else False
        rest = given[2:] if corners else given[1:]
        space = x.ndim - 2
        scales = list(rest[0]) if rest and isinstance(rest[0], (list, tuple)) else [*rest, *[None] * space][:space]
        steps = tuple(None if scale is None or aligned else 1 / scale for scale in scales)
        way = "corners" if aligned else rule
        return one(x, "resize", sizes=call.shape[2:], method=method, rule=way, steps=steps)

    return lower


LOWERINGS: dict[str, Lowering] = {
    "linear.default": _linear,
    **dict.fromkeys(("addmm.default", "baddbmm.default", "addmv.default"), _added), "addbmm.default": _added_batches,
    **{f"{name}.default": lambda call, a, b: one(a, "matmul", b) for name in ("mm", "bmm", "matmul", "mv", "dot")},
    "transformers.grouped_mm_fallback.default": _grouped, "_grouped_mm.default": _grouped,
    "outer.default": lambda call, a, b: xp.linalg.outer(a, b),
    "layer_norm.default": _layer_norm, "rms_norm.default": _rms_norm, "group_norm.default": _group_norm,
    "_native_batch_norm_legit_no_training.default": _batch_norm, "batch_norm.default": _batch_norm_any,
    "_native_batch_norm_legit.no_stats": _own_statistics,
    "_native_batch_norm_legit_functional.default": _running_statistics,
    "_weight_norm.default": _weight_norm, "native_layer_norm.default": _first(_layer_norm, 3),
    "native_group_norm.default": _first(_sized_group_norm, 3),
    "max_pool2d_with_indices.default": _placed_pool(2), "max_pool3d_with_indices.default": _placed_pool(3),
    "_adaptive_avg_pool2d.default": _adaptive, "_adaptive_avg_pool3d.default": _adaptive,
    "scaled_dot_product_attention.default": _attention,
    "embedding.default": lambda call, weight, at, *_: one(weight, "embedding", at),
    **{name: _along("softmax") for name in ("softmax.int", "_softmax.default")},
    **{name: _along("log_softmax") for name in ("log_softmax.int", "_log_softmax.default")},
    **{f"conv{n}d.{kind}": _convolution for n in (1, 2, 3) for kind in ("default", "padding")},
    "conv_transpose1d.default": _transposed, "conv_transpose2d.input": _transposed,
    "conv_transpose3d.input": _transposed, "convolution.default": _general,
    **{f"max_pool{n}d.default": _max_pool(n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d.default": _mean_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d.default": _adaptive for n in (1, 2, 3)},
    "upsample_bilinear2d.vec": _resized("linear", True), "upsample_linear1d.vec": _resized("linear", True),
    "upsample_trilinear3d.vec": _resized("linear", True),
    **{f"upsample_nearest{n}d.vec": _resized("nearest", False, "asymmetric") for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d.vec": _resized("nearest", False) for n in (1, 2, 3)},
    "upsample_bicubic2d.vec": _resized("cubic", True),
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
