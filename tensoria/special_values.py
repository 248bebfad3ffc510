"""Where frameworks' functions miss the standard's values: infinities, NaN, signs of zero, complex numbers near zero.

Each correction takes a framework's Array API functions, and the function that puts a complex array together of its
parts, so that it is written once for all backends. The standard follows C99's annex G, except where it says otherwise.
Corrections keep the native result wherever it is right, and with it the native derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["acos", "divide", "divide_by_infinity", "expm1", "floor_divide", "log1p", "power", "tanh"]

Array = Any
Complex = Callable[[Array, Array], Array]


def floor_divide(xp: Any, x: Array, y: Array, native: Array) -> Array:
    """The quotient rounded down, where Python's rules (which frameworks follow) make NaN or -1 of infinities."""
    return xp.where(xp.logical_or(xp.isinf(x), xp.isinf(y)), xp.floor(xp.divide(x, y)), native)


def divide(xp: Any, of: Complex, x: Array, y: Array, native: Array) -> Array:
    """The quotient of complex numbers; by zero it is that of the parts by the positive zero, as NumPy has it.

    The operands are without derivatives, so that the native result keeps its own.
    """
    nothing = xp.zeros_like(xp.real(y))
    return xp.where(y == 0, of(xp.real(x) / nothing, xp.imag(x) / nothing), native)


def divide_by_infinity(xp: Any, of: Complex, x: Array, y: Array, native: Array) -> Array:
    """The quotient of complex numbers where the divisor is infinite: Smith's (1962), the way NumPy divides.

    The operands are without derivatives, as in `divide`.
    """
    a, b, c, d = xp.real(x), xp.imag(x), xp.real(y), xp.imag(y)
    real = xp.abs(c) >= xp.abs(d)  # the larger part of the divisor
    ratio = xp.where(real, d, c) / xp.where(real, c, d)
    scale = 1 / xp.where(real, c + d * ratio, d + c * ratio)
    out = of(xp.where(real, a + b * ratio, a * ratio + b) * scale, xp.where(real, b - a * ratio, b * ratio - a) * scale)
    return xp.where(xp.logical_or(xp.isinf(c), xp.isinf(d)), out, native)


def power(xp: Any, of: Complex, x: Array, y: Array, native: Array) -> Array:
    """The power of complex numbers, as NumPy has it: to the power of zero one, and zero to others not above it NaN.

    Elsewhere the native result stays, and with it its derivative: x ** 0 has one by its exponent.
    """
    zero, above = x == 0, xp.real(y) > 0
    unknown = xp.full_like(xp.real(native), float("nan"))
    nothing = xp.zeros_like(unknown)
    at_zero = xp.where(above, of(nothing, nothing), of(unknown, unknown))
    # The native zero to a finite power stays: it has a derivative.
    known = xp.logical_and(above, xp.isfinite(xp.imag(y)))
    out = xp.where(xp.logical_and(zero, xp.logical_not(known)), at_zero, native)
    finite = xp.logical_and(xp.isfinite(xp.real(x)), xp.isfinite(xp.imag(x)))
    one = xp.logical_and(y == 0, xp.logical_or(zero, xp.logical_not(finite)))
    return xp.where(one, xp.full_like(native, 1), out)


def expm1(xp: Any, of: Complex, z: Array) -> Array:
    """exp(z) - 1 of complex numbers, exact near zero: expm1(a) cos(b) - 2 sin(b/2)**2 + i exp(a) sin(b)."""
    a, b = xp.real(z), xp.imag(z)
    half = xp.sin(b / 2)
    grown = xp.exp(a)
    # 0 - 0 is the positive zero, which makes one of the sum. (As an array: TensorFlow takes 0.0 for -0.0.)
    real = xp.expm1(a) * xp.cos(b) + (xp.zeros_like(a) - 2 * half * half)
    imag = grown * xp.sin(b)
    unknown = xp.logical_not(xp.isfinite(b))
    infinite = xp.isinf(a)
    real = xp.where(xp.logical_and(infinite, unknown), xp.where(a > 0, a, xp.full_like(a, -1.0)), real)
    imag = xp.where(xp.logical_and(xp.logical_and(infinite, a < 0), unknown), xp.zeros_like(b), imag)
    return of(real, xp.where(xp.logical_and(b == 0, xp.logical_not(xp.isfinite(grown))), b, imag))


def log1p(xp: Any, of: Complex, z: Array) -> Array:
    """log(1 + z) of complex numbers, exact near zero."""
    a, b = xp.real(z), xp.imag(z)
    near = xp.logical_and(xp.abs(a) < 0.5, xp.abs(b) < 0.5)
    zero = xp.zeros_like(a)
    a_near, b_near = xp.where(near, a, zero), xp.where(near, b, zero)
    far = xp.where(near, xp.full_like(a, 1.0), a + 1.0)
    real = xp.where(near, 0.5 * xp.log1p(a_near * (a_near + 2.0) + b_near * b_near), xp.log(xp.hypot(far, b)))
    infinite = xp.logical_or(xp.isinf(a), xp.isinf(b))
    real = xp.where(infinite, xp.full_like(a, float("inf")), real)
    return of(real, xp.atan2(b, a + 1.0))


def tanh(xp: Any, of: Complex, z: Array, native: Array) -> Array:
    """The hyperbolic tangent, whose imaginary part far out is a zero with the sign of z's."""
    a, b = xp.real(z), xp.imag(z)
    real, imag = xp.real(native), xp.imag(native)
    return of(real, xp.where(xp.logical_and(xp.isinf(a), xp.isfinite(b)), xp.copysign(xp.zeros_like(b), b), imag))


def acos(xp: Any, of: Complex, z: Array, native: Array) -> Array:
    """The inverse cosine, whose imaginary part at zero has the sign opposite to z's."""
    a, b = xp.real(z), xp.imag(z)
    real, imag = xp.real(native), xp.imag(native)
    return of(real, xp.where(xp.logical_and(a == 0, b == 0), xp.negative(b), imag))
