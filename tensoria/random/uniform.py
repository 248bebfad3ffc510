"""Uniform numbers from random bits by operations that are exact, so that they are the same everywhere.

A word's upper p bits, p being the data type's precision, are an integer m that the data type holds exactly, and so is
u = m 2**-p: all multiples of 2**-p in [0, 1), each equally likely. For another interval, low + (high - low) u would be
rounded twice, or once where a compiler fuses multiplication and addition. So u and the width are each split into two
halves of the precision (Dekker, "A floating-point technique for extending the available precision", 1971): the four
products are exact, and adding an exact product gives the same, fused or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, bfloat16, float16, float32, float64
from tensoria.errors import DomainError
from tensoria.indices import PLAIN
from tensoria.random.arguments import data_type, real, sizes
from tensoria.random.bits import words
from tensoria.random.keys import opened
from tensoria.random.words import cast, top
from tensoria.structure import Structure, structural
from tensoria.tensor import Tensor

__all__ = ["FLOATS", "Float", "rounded", "uniform"]


class Float(NamedTuple):
    """How numbers of a data type are drawn."""

    computing: DType
    """in which data type it is done"""
    upper: int
    lower: int
    """how many bits of precision the two halves have"""
    largest: float
    least: float
    """the size of the smallest bound or width: none of their products is subnormal, which some devices take for zero"""

    @property
    def precision(self) -> int:
        """The number of bits of a number."""
        return self.upper + self.lower


FLOATS = {
    float16: Float(float32, 6, 5, 65504.0, 2.0**-12),
    bfloat16: Float(float32, 4, 4, (2 - 2**-7) * 2.0**127, 2.0**-110),
    float32: Float(float32, 12, 12, (2 - 2**-23) * 2.0**127, 2.0**-78),
    float64: Float(float64, 26, 27, (2 - 2**-52) * 2.0**1023, 2.0**-916),
}


class Interval(Structure):
    """A half-open interval, ready to be drawn from: immutable, made by `_interval`."""

    def __init__(self, low: float, last: float, width: float, parts: tuple[float, float] | None) -> None:
        self.low, self.last, self.width, self.parts = low, last, width, parts


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
    compute = FLOATS[form.computing]
    width = rounded(end - first, compute.precision)
    last = _before(end, p) if end else -width * 2.0**-p
    if not first or math.frexp(width)[0] == 0.5:
        return Interval(first, last, width, None)
    upper = rounded(width, compute.upper)
    return Interval(first, last, width, (upper, width - upper))


def _halves(backend: Backend, drawn: Sequence[Array], form: Float) -> tuple[Array, Array]:
    """u as a multiple of 2**-upper and a smaller rest."""
    computing, p = form.computing, form.precision
    multiply, conjunction = backend.operators["multiply"], backend.operators["bitwise_and"]
    low = top(backend, drawn[1], form.lower) if len(drawn) == 2 else conjunction(
        top(backend, drawn[0], p), 2**form.lower - 1
    )  # fmt: skip
    high = top(backend, drawn[0], form.upper)
    return (
        multiply(cast(backend, high, computing), 2.0**-form.upper),
        multiply(cast(backend, low, computing), 2.0**-p),
    )


def _unit(backend: Backend, drawn: Sequence[Array], form: Float) -> Array:
    """u itself."""
    if len(drawn) == 2:
        return backend.operators["add"](*_halves(backend, drawn, form))
    number = cast(backend, top(backend, drawn[0], form.precision), form.computing)
    return backend.operators["multiply"](number, 2.0**-form.precision)


def uniform(
    key: Any, shape: Any = (), *, dtype: DType | str = "float32", low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Numbers that are uniform in [low, high).

    They are the same bits on every backend and device, compiled or not. In [0, 1) they are all multiples of 2**-p,
    p being the data type's precision (24 bits for float32), each equally likely; in other intervals such multiples are
    scaled and shifted. Neither is a number ever smaller than low, nor does one reach high.

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
    [-0.163093626499176, 0.20099592208862305]
    """
    of = data_type(dtype, "uniform", FLOATS)
    form = FLOATS[of]
    backend, opened_key = opened(key)
    native = backend.native_dtype(of)
    found = sizes(shape)
    interval = _interval(real(low, "low"), real(high, "high"), of)
    drawn = words(backend, opened_key, math.prod(found), 2 if of is float64 else 1)
    x = _scaled(backend, drawn, form, interval)
    if form.computing is not of:
        x = backend.kernels.cast(x, native)
    if interval.low:
        x = backend.xp.clip(x, interval.low, interval.last)
    return Tensor.from_parts(backend.reshape(x, found), PLAIN, backend)


def _scaled(backend: Backend, drawn: Sequence[Array], form: Float, interval: Interval) -> Array:
    add, multiply = backend.operators["add"], backend.operators["multiply"]
    if interval.parts is None:
        u = _unit(backend, drawn, form)
        # Without a shift there is one rounding; by a power of two, none.
        x = u if interval.width == 1 else multiply(u, interval.width)
        return add(x, interval.low) if interval.low else x
    high, low = _halves(backend, drawn, form)
    s, t = interval.parts
    x = add(multiply(high, s), interval.low)
    for half, part in ((low, s), (high, t), (low, t)):
        if part:
            x = add(x, multiply(half, part))
    return x
