"""Data types changed on request: what would lose more than digits is refused.

A complex number has no place among real ones, and NaN, infinities and numbers out of range have none among integers,
where each framework, and each processor, writes another number. The check reads the least and the greatest component;
while a framework traces there are none to read, and the result is the framework's.
"""

from __future__ import annotations

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, limits
from tensoria.errors import DTypeError

__all__ = ["cast"]


def cast(backend: Backend, array: Array, into: DType) -> Array:
    """The array in another data type.

    Fractions are cut off towards zero, integers wrap around in smaller integers, every number but zero is true.

    Raises:
        DTypeError: imaginary parts would be dropped, or a number does not fit into the integers.
    """
    source = backend.dtype(array)
    if source is into:
        return array
    if source.kind == "complex" and into.kind not in ("complex", "bool"):
        raise DTypeError(f"{source} to {into} would drop imaginary parts.", legal="tn.real(t), tn.abs(t)")
    native = backend.native_dtype(into)
    if source.kind == "float" and into.kind in ("int", "uint") and (found := backend.extremes(array)) is not None:
        low, high = found
        least, most = limits(into)
        if high == most + 1 and most.bit_length() > DIGITS[source.name] and low > least - 1:
            # The greatest integer itself, rounded: every framework would make another number of it.
            xp = backend.xp
            rounded = xp.equal(array, xp.full_like(array, float(most + 1)))
            inside = backend.kernels.cast(xp.where(rounded, xp.zeros_like(array), array), native)
            return xp.where(rounded, xp.full_like(inside, most), inside)
        _check_integral(low, high, source, into)
    return backend.kernels.cast(array, native)


DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
"""The binary digits of each format."""


def _check_integral(low: float, high: float, source: DType, into: DType) -> None:
    least, most = limits(into)
    if not (low > least - 1 and high < most + 1):  # NaN is neither
        wrong = low if not low > least - 1 else high
        raise DTypeError(
            f"{source} to {into}: {wrong!r} is no integer between {least} and {most}.",
            legal="tn.where(tn.isfinite(t), t, 0) and tn.clip(t, least, most) first",
        )
