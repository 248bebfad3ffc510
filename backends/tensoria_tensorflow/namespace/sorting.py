"""Sorting, stable and with NaN last.

TensorFlow sorts by TopKV2, which is stable but leaves NaN wherever it meets it (tensorflow#117287, #115735). So the
elements are mapped to integers of the same order first: the bit pattern of a floating-point number, read as an
integer, is ordered like the number once the magnitude bits of negative ones are inverted; both zeros map to 0 and NaN
to the greatest integer. Inverting all bits reverses the order of integers, which turns the descending kernel into an
ascending one without overflow.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .. import kernels
from ..kernels import cast, ints, raw, read, select
from .data_types import COMPONENT, KINDS, check
from .elementwise import bits
from .indexing import take_along_axis
from .shapes import axis_of, extents, permuted_last, product, rank, reshaped

__all__ = ["argsort", "sort"]

Array = Any


def sort_key(x: Array) -> Array:
    """Integers (or the integers themselves) in the order of the elements, NaN greatest."""
    if x.dtype is tf.bool:
        return cast(x, tf.uint8)
    if x.dtype in KINDS["integral"]:
        return x
    zero = tf.constant(0, x.dtype)
    pattern = bits(select(raw.Equal(x=x, y=zero), zero, x))
    last = tf.constant(pattern.dtype.max, pattern.dtype)
    negative = raw.Less(x=pattern, y=tf.constant(0, pattern.dtype))
    key = select(negative, raw.BitwiseXor(x=pattern, y=last), pattern)
    return select(raw.IsNan(x=x), last, key)


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The indices that sort `x` along `axis`; equal elements keep their order, whatever `stable` says.

    NaN is greater than every number: last when ascending, first when descending.
    """
    x = read(x)
    check("argsort", "real", x.dtype)
    ndim = rank(x)
    place = axis_of(axis, ndim)
    there, back = permuted_last(place, ndim)
    last = place == ndim - 1
    x = x if last else kernels.transpose(x, there)
    if ndim <= 2:
        order = _argsort(sort_key(x), descending)
    else:
        sizes = extents(x)
        order = reshaped(_argsort(sort_key(reshaped(x, (product(sizes[:-1]), sizes[-1]))), descending), sizes)
    return order if last else kernels.transpose(order, back)


def _argsort(key: Array, descending: bool = False) -> Array:
    """The stable order of each row of integers."""
    length = extents(key)[-1]
    count = ints(length) if isinstance(length, int) else length
    key = key if descending else raw.Invert(x=key)
    return raw.TopKV2(input=key, k=count, sorted=True, index_type=tf.int64)[1]


def lexicographic(x: Array) -> Array:
    """The stable ascending order of a vector, of complex numbers by real part and then by imaginary part."""
    if x.dtype not in COMPONENT:
        return _argsort(sort_key(x))
    real, imag = raw.Real(input=x, Tout=COMPONENT[x.dtype]), raw.Imag(input=x, Tout=COMPONENT[x.dtype])
    by_imag = _argsort(sort_key(imag))
    by_real = _argsort(sort_key(kernels.gather(real, by_imag, 0)))
    return kernels.gather(by_imag, by_real, 0)


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """`x` with its elements in order along `axis`; gradients flow to the places the elements came from."""
    x = read(x)
    check("sort", "real", x.dtype)
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)
