"""Reductions and running reductions.

The axes become one cached constant; the type rules are the standard's: sums and products of short integers are taken
in the default integer (or uint64), and 16-bit floating-point types are accumulated in float32, since TensorFlow's
kernels accumulate in the type itself and a sum of float16 ones stops growing at 2048.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .. import kernels
from ..kernels import EagerTensor, cast, ints, raw, read
from .data_types import COMPONENT, DEFAULTS, HALVES, KINDS, astype, check, to_dtype
from .elementwise import abs as absolute
from .elementwise import conj
from .indexing import getitem
from .shapes import axes_of, axis_of, extents, product, rank, static

__all__ = ["cumulative_prod", "cumulative_sum", "max", "mean", "min", "prod", "std", "sum", "var"]

Array = Any
Axis = int | tuple[int, ...] | None


def accumulator(dtype: tf.DType) -> tf.DType:
    """The type in which the standard sums numbers of `dtype`: at least the default integer, of the same sign."""
    if dtype in KINDS["unsigned integer"]:
        return tf.uint64
    if dtype in KINDS["signed integer"] or dtype is tf.bool:
        return DEFAULTS["integral"]
    return dtype


def _accumulate(kernel: Callable[[Array], Array], x: Array, dtype: tf.DType | None) -> Array:
    out = accumulator(x.dtype) if dtype is None else to_dtype(dtype)
    x = astype(x, out)
    return cast(kernel(cast(x, tf.float32)), out) if out in HALVES else kernel(x)


def sum(x: Array, /, *, axis: Axis = None, dtype: tf.DType | None = None, keepdims: bool = False) -> Array:
    """The sum over the given axes (None: all)."""
    if type(x) is EagerTensor and dtype is None and x.dtype is tf.float32:
        return kernels.reduce_sum(x, axes_of(axis, x.ndim), keepdims)
    x = read(x)
    axes = axes_of(axis, rank(x))
    return _accumulate(lambda x: kernels.reduce_sum(x, axes, keepdims), x, dtype)


def prod(x: Array, /, *, axis: Axis = None, dtype: tf.DType | None = None, keepdims: bool = False) -> Array:
    """The product over the given axes (None: all)."""
    x = read(x)
    over = ints(axes_of(axis, rank(x)))
    return _accumulate(lambda x: raw.Prod(input=x, axis=over, keep_dims=keepdims), x, dtype)


def _extreme(name: str, kernel: Callable[..., Array], x: Array, axis: Axis, keepdims: bool) -> Array:
    x = read(x)
    check(name, "real", x.dtype)
    axes = axes_of(axis, rank(x))
    shape = static(x)
    if 0 in (shape[place] for place in axes):
        raise ValueError(f"{name} over an axis of length zero has no value")
    return kernel(input=x, axis=ints(axes), keep_dims=keepdims)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The greatest element over the given axes, NaN where there is one; raises ValueError over no elements."""
    return _extreme("max", raw.Max, x, axis, keepdims)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The least element over the given axes, NaN where there is one; raises ValueError over no elements."""
    return _extreme("min", raw.Min, x, axis, keepdims)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The arithmetic mean over the given axes (None: all)."""
    x = read(x)
    check("mean", "floating", x.dtype)
    axes = axes_of(axis, rank(x))
    if x.dtype in COMPONENT:
        # The Mean of no complex numbers is 0 in TensorFlow, of no real ones NaN.
        count = product([extents(x)[place] for place in axes])
        return raw.RealDiv(x=kernels.reduce_sum(x, axes, keepdims), y=tf.cast(count, x.dtype))
    return _accumulate(lambda x: raw.Mean(input=x, axis=ints(axes), keep_dims=keepdims), x, None)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The mean squared distance from the mean, with N - `correction` in place of N (not below zero)."""
    x = read(x)
    check("var", "floating", x.dtype)
    axes = axes_of(axis, rank(x))
    count = product([extents(x)[place] for place in axes])

    def kernel(x: Array) -> Array:
        off = raw.Sub(x=x, y=raw.Mean(input=x, axis=ints(axes), keep_dims=True))
        squares = raw.Square(x=absolute(off) if off.dtype in COMPONENT else off)
        total = kernels.reduce_sum(squares, axes, keepdims)
        freedom = raw.Maximum(x=tf.cast(count, total.dtype) - correction, y=tf.constant(0, total.dtype))
        return raw.RealDiv(x=total, y=freedom)

    return cast(kernel(cast(x, tf.float32)), x.dtype) if x.dtype in HALVES else kernel(x)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The square root of the variance."""
    variance = var(x, axis=axis, correction=correction, keepdims=keepdims)
    zero = raw.ZerosLike(x=variance)
    none = raw.Equal(x=variance, y=zero)  # where the derivative is zero, as that of a norm is
    root = raw.Sqrt(x=raw.Select(condition=none, x=raw.OnesLike(x=variance), y=variance))
    return raw.Select(condition=none, x=zero, y=root)  # SelectV2 stops at rank eight


def _running(
    name: str, kernel: Callable[..., Array], first: int, x: Array, axis: int | None, dtype: Any, include_initial: bool
) -> Array:
    x = read(x)
    if axis is None and rank(x) != 1:
        raise ValueError(f"{name}: an array of {rank(x)} axes needs an axis")
    place = axis_of(0 if axis is None else axis, rank(x))

    def run(x: Array) -> Array:
        out = kernel(x=x, axis=ints(place))
        if not include_initial:
            return out
        start = tf.fill([*extents(x)[:place], 1, *extents(x)[place + 1 :]], tf.constant(first, x.dtype))
        return kernels.concat([start, out], place)

    return _accumulate(run, x, dtype)


def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: tf.DType | None = None, include_initial: bool = False
) -> Array:
    """The sums of the first 1, 2, ... elements along `axis` (also of the first 0 with `include_initial`)."""
    return _running("cumulative_sum", raw.Cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: tf.DType | None = None, include_initial: bool = False
) -> Array:
    """The products of the first 1, 2, ... elements along `axis` (also of the first 0 with `include_initial`)."""
    return _running("cumulative_prod", _cumulative_product, 1, x, axis, dtype, include_initial)


def _cumulative_product(x: Array, axis: Array) -> Array:
    """Cumprod with a gradient that holds at zeros too, where the kernel's own, which divides by x, is wrong.

    With P the products before x_i and g the gradient from above, it is P_i s_i, where s_i = g_i + x_(i+1) s_(i+1). That
    recurrence is solved by doubling: after k steps s reaches 2^k elements on.
    """
    if x.dtype not in KINDS["floating"]:
        return raw.Cumprod(x=x, axis=axis)
    place = int(tf.get_static_value(axis))
    length = extents(x)[place]
    before = (slice(None),) * place

    def shifted(y: Array, step: Any, fill: int) -> Array:
        rest = getitem(y, (*before, slice(step, None)))
        first = getitem(y, (*before, slice(None, step)))
        return kernels.concat([rest, raw.Fill(dims=tf.shape(first), value=kernels.scalar(fill, y.dtype))], place)

    def double(step: Any, reach: Array, total: Array) -> tuple[Any, Array, Array]:
        total = raw.AddV2(x=total, y=raw.Mul(x=reach, y=shifted(total, step, 0)))
        return step * 2, raw.Mul(x=reach, y=shifted(reach, step, 0)), total

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def product_of(x: Array) -> Any:
        def gradient(up: Array) -> Array:
            y = conj(x)
            step: Any = 1
            reach, total = shifted(y, 1, 0), up
            if isinstance(length, int):
                while step < length:
                    step, reach, total = double(step, reach, total)
            else:
                state = (tf.constant(1), reach, total)
                shapes = (tf.TensorShape(()), x.shape, x.shape)
                _, _, total = tf.while_loop(lambda step, *_: step < length, double, state, shape_invariants=shapes)
            return raw.Mul(x=raw.Cumprod(x=y, axis=axis, exclusive=True), y=total)

        return raw.Cumprod(x=x, axis=axis), gradient

    return product_of(x)
