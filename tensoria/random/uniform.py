"""Uniform numbers from random bits, rounded once at most, so that they are the same everywhere.

A word's upper p bits, p being the data type's precision, are an integer m that the data type holds exactly, and so is
u = m 2**-p: all multiples of 2**-p in [0, 1), each equally likely. low + (high - low) u in floating point would be
rounded twice, or once where a compiler fuses multiplication and addition, or in another order where one reorders sums.
So it is computed in integers, as (L 2**p + W m) times a power of two, and rounded when it becomes a floating-point
number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, bfloat16, float16, float32, float64, int64
from tensoria.errors import DomainError
from tensoria.indices import PLAIN
from tensoria.random.arguments import data_type, real, sizes
from tensoria.random.bits import words
from tensoria.random.keys import opened
from tensoria.random.words import cast, top
from tensoria.structure import Structure, structural
from tensoria.tensor import Tensor

__all__ = ["FLOATS", "Float", "rounded", "uniform", "unit"]


class Float(NamedTuple):
    """How numbers of a data type are drawn."""

    computing: DType
    """in which data type it is done"""
    precision: int
    """the number of bits of a number"""
    largest: float
    least: float
    """the size of the smallest bound or width: no number is subnormal then, which some devices take for zero"""


FLOATS = {
    float16: Float(float32, 11, 65504.0, 2.0**-12),
    bfloat16: Float(float32, 8, (2 - 2**-7) * 2.0**127, 2.0**-64),
    float32: Float(float32, 24, (2 - 2**-23) * 2.0**127, 2.0**-64),
    float64: Float(float64, 53, (2 - 2**-52) * 2.0**1023, 2.0**-900),
}


class Interval(Structure):
    """A half-open interval, ready to be drawn from: immutable, made by `_interval`.

    Attributes:
        low, last: its smallest and its largest number.
        width: what u is multiplied by, if that suffices.
        start, span, unit: else the numbers L and W, which are integers, in units of a power of two.
    """

    def __init__(self, low: float, last: float, width: float, start: int, span: int, unit: float) -> None:
        self.low, self.last, self.width = low, last, width
        self.start, self.span, self.unit = start, span, unit


SPARE = 37
"""In 64 bits, so many are left for bounds beside a word's 24."""


def rounded(x: float, precision: int) -> float:
    """The nearest number of so many bits, ties to even; exponents are unbounded.

    >>> rounded(1 / 3, 8), rounded(-257.0, 8)
    (0.333984375, -256.0)
    """
    mantissa, exponent = math.frexp(x)
    return math.ldexp(round(math.ldexp(mantissa, precision)), exponent - precision)


def _before(x: float, precision: int) -> float:
    """The largest number of so many bits that is smaller; x is one of them and not zero."""
    mantissa, exponent = math.frexp(x)
    finer = precision + (mantissa == 0.5)  # below a positive power of two the numbers are twice as dense
    return math.ldexp(math.ldexp(mantissa, finer) - 1, exponent - finer)


@structural
def _interval(low: float, high: float, of: DType) -> Interval:
    form = FLOATS[of]
    p = form.precision
    first, end = rounded(low, p), rounded(high, p)
    if not first < end:
        raise DomainError(f"no {of} lies in [{low!r}, {high!r}): low must be smaller than high as {of} has them.")
    if max(-first, end, end - first) > form.largest:
        raise DomainError(f"the interval [{low!r}, {high!r}) is too wide for {of}.")
    if min(abs(x) for x in (first, end, end - first) if x) < form.least:
        raise DomainError(
            f"the interval [{low!r}, {high!r}) is too narrow, or ends too near zero, to be drawn from exactly in {of}.",
            legal=f"bounds that are zero or at least {form.least!r} in size, and apart",
        )
    last = _before(end, p) if end else first * 2.0**-p
    # The width is below 2**bits units, and so are the bounds.
    bits = 53 if of is float64 else SPARE
    exponent = math.frexp(max(-first, end, end - first))[1] - bits
    start, stop = (round(math.ldexp(x, -exponent)) for x in (first, end))
    return Interval(first, last, end - first, start, stop - start, math.ldexp(1.0, exponent))


def uniform(
    key: Any, shape: Any = (), *, dtype: DType | str = "float32", low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Numbers that are uniform in [low, high).

    They are the same bits on every backend and device, compiled or not. In [0, 1) they are all multiples of 2**-p,
    p being the data type's precision (24 bits for float32), each equally likely; in other intervals such multiples are
    scaled and shifted. No number is smaller than low, and none reaches high.

    Args:
        key: a key.
        shape: an integer or a sequence of them.
        dtype: float16, bfloat16, float32 or float64 (never a backend's default, which differ).
        low, high: finite Python numbers; what counts is how the data type rounds them.

    Raises:
        DTypeError: another data type, or one that the backend lacks.
        ConversionError, DomainError: the bounds are no finite numbers, in the wrong order, or too close together or
            too far apart for the data type.
        ShapeError: a negative size.

    >>> import tensoria as tn
    >>> tn.random.uniform(tn.random.key(0), 2, low=-1, high=1).array.tolist()
    [-0.16308581829071045, 0.20099806785583496]
    """
    of = data_type(dtype, "uniform", FLOATS)
    form = FLOATS[of]
    backend, opened_key = opened(key)
    native = backend.native_dtype(of)
    found = sizes(shape)
    interval = _interval(real(low, "low"), real(high, "high"), of)
    drawn = words(backend, opened_key, math.prod(found), 2 if of is float64 else 1)
    if not interval.low:
        x = unit(backend, drawn, form)
        if interval.width != 1:
            x = backend.operators["multiply"](x, interval.width)
    else:
        x = (_shifted if of is not float64 else _shifted_64)(backend, drawn, form, interval)
    if form.computing is not of:
        x = backend.kernels.cast(x, native)
    if interval.low:
        x = backend.xp.clip(x, interval.low, interval.last)
    return Tensor.from_parts(backend.reshape(x, found), PLAIN, backend)


def unit(backend: Backend, drawn: Sequence[Array], form: Float) -> Array:
    """u, multiples of 2**-p in [0, 1), of random words: one each, or two for float64."""
    add, multiply = backend.operators["add"], backend.operators["multiply"]
    if len(drawn) == 2:
        high, low = (cast(backend, top(backend, word, n), float64) for word, n in zip(drawn, (26, 27), strict=True))
        return add(multiply(high, 2.0**-26), multiply(low, 2.0**-53))
    number = cast(backend, top(backend, drawn[0], form.precision), form.computing)
    return multiply(number, 2.0**-form.precision)


def _shifted(backend: Backend, drawn: Sequence[Array], form: Float, interval: Interval) -> Array:
    """L + W u for words of 32 bits: in 62 bits."""
    add, multiply = backend.operators["add"], backend.operators["multiply"]
    m = cast(backend, top(backend, drawn[0], form.precision), int64)
    number = add(multiply(m, interval.span), interval.start << form.precision)
    return multiply(cast(backend, number, form.computing), interval.unit * 2.0**-form.precision)


def _shifted_64(backend: Backend, drawn: Sequence[Array], form: Float, interval: Interval) -> Array:
    """The same for 53 bits of m: in two numbers of 53 bits, whose sum is rounded once."""
    add, multiply, conjunction, left, right = (
        backend.operators[name]
        for name in ("add", "multiply", "bitwise_and", "bitwise_left_shift", "bitwise_right_shift")
    )
    m1, m0 = (cast(backend, top(backend, word, n), int64) for word, n in zip(drawn, (26, 27), strict=True))
    w1, w0 = interval.span >> 27, interval.span & (2**27 - 1)
    middle = add(multiply(m1, w0), multiply(m0, w1))
    low = add(multiply(m0, w0), left(conjunction(middle, 2**26 - 1), 27))
    high = add(add(multiply(m1, 2 * w1), right(middle, 26)), add(right(low, 53), interval.start))
    rest = multiply(cast(backend, conjunction(low, 2**53 - 1), float64), 2.0**-53)
    return multiply(add(cast(backend, high, float64), rest), interval.unit)
