"""Special functions: of the gamma function, the error function's inverse, modified Bessel functions.

All of them compute in float64, whatever they are given, and are compositions, whose derivatives are theirs.

- Logarithm of gamma and its derivatives: Stirling's series beyond 8, to which the recurrence leads, and reflection at 0
  (Abramowitz and Stegun, 1964, 6.1.40, 6.3.18, 6.4.11).
- Inverse error function: rational approximations to nine digits and two steps of Newton's method, outside of the middle
  for the logarithm of erfc, so that no digits of 1 - x are lost.
- Bessel functions: Chebyshev series of Cephes (Moshier, 1984-1994), which NumPy has too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numpy.polynomial import Polynomial, chebyshev

from tensoria.backend import Array
from tensoria.programs.definitions.activations import FAR, FARTHEST

__all__ = ["digamma", "erfinv", "i0", "i0e", "i1", "i1e", "lgamma", "ndtri", "polygamma"]

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
"""B2, B4 and so on."""
STEPS = 8
"""How far the recurrence leads: beyond, the first term that is left out is below 1e-15."""


def _polynomial(xp: Any, x: Array, coefficients: Sequence[float]) -> Array:
    """The lowest coefficient first."""
    *rest, last = coefficients
    found = xp.full_like(x, last)
    for coefficient in reversed(rest):
        found = found * x + coefficient
    return found


# -- gamma -------------------------------------------------------------------------------------------------------------


def _shifted(xp: Any, x: Array, steps: int = STEPS) -> tuple[Array, Array, Array]:
    """Where x is below 8, x itself (else 1), and x or x + 8; or another number of steps."""
    small = xp.less(x, float(steps))
    return small, xp.where(small, x, 1.0), xp.where(small, x + float(steps), x)


def _beside_poles(xp: Any, x: Array) -> tuple[Array, Array, Array]:
    """Where x is negative, the argument that reflection leads to, and how far from a whole number x is."""
    negative = xp.less(x, 0.0)
    return negative, xp.where(negative, 1.0 - x, x), xp.where(negative, x - xp.round(x), 0.25)


def lgamma(xp: Any, x: Array) -> Array:
    """The logarithm of the absolute value of the gamma function."""
    negative, y, rest = _beside_poles(xp, x)
    y = xp.where(xp.isinf(y), 1.0, y)
    small, low, z = _shifted(xp, y)
    product = low
    for k in range(1, STEPS):
        product = product * (low + float(k))
    inverse = 1.0 / z
    series = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1)]
    found = (z - 0.5) * xp.log(z) - z + 0.5 * math.log(2 * math.pi)
    found = found + inverse * _polynomial(xp, inverse * inverse, series)
    found = found - xp.where(small, xp.log(product), 0.0)
    reflected = math.log(math.pi) - xp.log(xp.abs(xp.sin(math.pi * rest))) - found
    return xp.where(xp.isinf(x), math.inf, xp.where(negative, reflected, found))


def digamma(xp: Any, x: Array) -> Array:
    """The derivative of lgamma."""
    negative, y, rest = _beside_poles(xp, x)
    small, low, z = _shifted(xp, y)
    total = 1.0 / low
    for k in range(1, STEPS):
        total = total + 1.0 / (low + float(k))
    inverse = 1.0 / z
    square = inverse * inverse
    series = [b / (2 * k) for k, b in enumerate(BERNOULLI, 1)]
    found = xp.log(z) - 0.5 * inverse - square * _polynomial(xp, square, series) - xp.where(small, total, 0.0)
    whole = xp.equal(rest, 0.0)
    reflected = found - math.pi / xp.tan(math.pi * xp.where(whole, 0.25, rest))
    return xp.where(whole, math.nan, xp.where(negative, reflected, found))


def polygamma(xp: Any, order: int, x: Array) -> Array:
    """A derivative of digamma, of an order above 0."""
    n = order
    negative, y, rest = _beside_poles(xp, x)
    steps = STEPS + 2 * (n - 1)
    small, low, z = _shifted(xp, y, steps)
    total = low ** -(n + 1.0)
    for k in range(1, steps):
        total = total + (low + float(k)) ** -(n + 1.0)
    inverse = 1.0 / z
    square = inverse * inverse
    series = [b * math.factorial(2 * k + n - 1) / math.factorial(2 * k) for k, b in enumerate(BERNOULLI, 1)]
    found = math.factorial(n - 1) + 0.5 * math.factorial(n) * inverse + square * _polynomial(xp, square, series)
    found = found * inverse ** float(n) + math.factorial(n) * xp.where(small, total, 0.0)
    slope = Polynomial((0.0, 1.0))  # of the cotangent c, whose derivative is -(1 + c^2)
    for _ in range(n):
        slope = -Polynomial((1.0, 0.0, 1.0)) * slope.deriv()
    cotangent = 1.0 / xp.tan(math.pi * rest)
    reflected = -(math.pi ** (n + 1)) * _polynomial(xp, cotangent, slope.coef.tolist()) - found
    return xp.where(negative, reflected, found if n % 2 else -found)


# -- the error function's inverse --------------------------------------------------------------------------------------

CENTRAL = (
    (0.886226899, -1.645349621, 0.914624893, -0.140543331),
    (1.0, -2.118377725, 1.442710462, -0.329097515, 0.012229801),
)
"""erfinv(x) = x P(x^2) / Q(x^2) for |x| <= 0.7."""
OUTER = (-1.970840454, -1.62490649, 3.429567803, 1.641345311), (1.0, 3.543889200, 1.637067800)
"""erfinv(x) = P(s) / Q(s), s = sqrt(-log((1 - x) / 2)), beyond."""


def _ratio(xp: Any, x: Array, of: tuple[Sequence[float], Sequence[float]]) -> Array:
    return _polynomial(xp, x, of[0]) / _polynomial(xp, x, of[1])


def _log_erfc(xp: Any, y: Array) -> Array:
    """The logarithm of 1 - erf(y), for y beyond 1.25."""
    inverse = 1.0 / (y * y)
    near = xp.less(y, 1 / 0.35)
    ratio = xp.where(near, _ratio(xp, inverse, FAR), _ratio(xp, inverse, FARTHEST))
    return ratio - y * y - 0.5625 - xp.log(y)


def _inverse(xp: Any, erf: Callable[[Array], Array], size: Array, rest: Array) -> Array:
    """What has the error function `size` = 1 - `rest`, both between 0 and 1."""
    end = xp.less_equal(rest, 0.0)
    size, rest = xp.where(end, 0.0, size), xp.where(end, 1.0, rest)
    middle, tail = xp.less_equal(size, 0.7), xp.less(rest, 0.07)
    inner = xp.where(middle, size, 0.5)
    root = xp.sqrt(-xp.log(xp.where(middle, 0.2, rest) / 2.0))
    guess = xp.where(middle, inner * _ratio(xp, inner * inner, CENTRAL), _ratio(xp, root, OUTER))
    near, far, wanted = xp.where(tail, 0.5, guess), xp.where(tail, guess, 1.5), xp.log(xp.where(tail, rest, 0.05))
    size = xp.where(tail, 0.5, size)
    for _ in range(2):
        near = near - (erf(near) - size) * (0.5 * math.sqrt(math.pi)) * xp.exp(near * near)
        logarithm = _log_erfc(xp, far)
        far = far + (logarithm - wanted) * (0.5 * math.sqrt(math.pi)) * xp.exp(far * far + logarithm)
    return xp.where(end, math.inf, xp.where(tail, far, near))


def erfinv(xp: Any, erf: Callable[[Array], Array], x: Array) -> Array:
    """The inverse of the error function; infinite at -1 and 1, NaN beyond."""
    outside = xp.logical_not(xp.less_equal(xp.abs(x), 1.0))
    inside = xp.where(outside, 0.0, x)
    small = xp.less(xp.abs(inside), 0.5)
    middle = xp.where(small, inside, 0.25)
    size = xp.abs(xp.where(small, 0.75, inside))
    # Near 0, where the absolute value has no derivative, the middle's formula is taken as the odd function that it is.
    near = middle * _ratio(xp, middle * middle, CENTRAL)
    for _ in range(2):
        near = near - (erf(near) - middle) * (0.5 * math.sqrt(math.pi)) * xp.exp(near * near)
    found = xp.where(small, near, xp.sign(inside) * _inverse(xp, erf, size, 1.0 - size))
    return xp.where(outside, math.nan, found)


def ndtri(xp: Any, erf: Callable[[Array], Array], p: Array) -> Array:
    """The quantile of the normal distribution."""
    outside = xp.logical_not(xp.logical_and(xp.greater_equal(p, 0.0), xp.less_equal(p, 1.0)))
    inside = xp.where(outside, 0.5, p)
    low = xp.less(inside, 0.25)
    small = xp.where(low, inside, 0.1)
    tail = -_inverse(xp, erf, 1.0 - 2.0 * small, 2.0 * small)
    found = math.sqrt(2) * xp.where(low, tail, erfinv(xp, erf, xp.where(low, 0.0, 2.0 * inside - 1.0)))
    return xp.where(outside, math.nan, found)


# -- Bessel functions --------------------------------------------------------------------------------------------------

BESSEL_NEAR = (
    -4.4153416464793395e-18, 3.3307945188222384e-17, -2.431279846547955e-16, 1.715391285555133e-15,
    -1.1685332877993451e-14, 7.676185498604936e-14, -4.856446783111929e-13, 2.95505266312964e-12,
    -1.726826291441556e-11, 9.675809035373237e-11, -5.189795601635263e-10, 2.6598237246823866e-09,
    -1.300025009986248e-08, 6.046995022541919e-08, -2.670793853940612e-07, 1.1173875391201037e-06,
    -4.4167383584587505e-06, 1.6448448070728896e-05, -5.754195010082104e-05, 0.00018850288509584165,
    -0.0005763755745385824, 0.0016394756169413357, -0.004324309995050576, 0.010546460394594998, -0.02373741480589947,
    0.04930528423967071, -0.09490109704804764, 0.17162090152220877, -0.3046826723431984, 0.6767952744094761,
)  # fmt: skip
"""exp(-x) I0(x) on [0, 8] in Chebyshev polynomials of x / 2 - 2, the highest first."""

BESSEL_FAR = (
    -7.233180487874754e-18, -4.830504485944182e-18, 4.46562142029676e-17, 3.461222867697461e-17,
    -2.8276239805165836e-16, -3.425485619677219e-16, 1.7725601330565263e-15, 3.8116806693526224e-15,
    -9.554846698828307e-15, -4.150569347287222e-14, 1.54008621752141e-14, 3.8527783827421426e-13,
    7.180124451383666e-13, -1.7941785315068062e-12, -1.3215811840447713e-11, -3.1499165279632416e-11,
    1.1889147107846439e-11, 4.94060238822497e-10, 3.3962320257083865e-09, 2.266668990498178e-08,
    2.0489185894690638e-07, 2.8913705208347567e-06, 6.889758346916825e-05, 0.0033691164782556943, 0.8044904110141088,
)  # fmt: skip
"""exp(-x) sqrt(x) I0(x) beyond 8, of 32 / x - 2."""


def _series(xp: Any, x: Array, coefficients: Sequence[float]) -> Array:
    """Cephes' sum, in which the last coefficient counts half (Clenshaw, 1955)."""
    before, last, other = xp.full_like(x, coefficients[0]), xp.zeros_like(x), xp.zeros_like(x)
    for coefficient in coefficients[1:]:
        before, last, other = x * before - last + coefficient, before, last
    return 0.5 * (before - other)


def _differentiated(coefficients: Sequence[float]) -> tuple[float, ...]:
    """The derivative's coefficients, by x where the polynomials are those of x / 2."""
    *rest, half = coefficients
    slope = chebyshev.chebder([half / 2, *reversed(rest)]) / 2
    return (*(float(c) for c in slope[:0:-1]), 2 * float(slope[0]))


def _parts(xp: Any, x: Array) -> tuple[Array, Array, Array, Array]:
    """The absolute value, where it is up to 8, and the arguments of both series."""
    size = xp.abs(x)
    near = xp.less_equal(size, 8.0)
    return size, near, xp.where(near, size, 0.0) / 2.0 - 2.0, xp.where(near, 8.0, size)


def i0e(xp: Any, x: Array) -> Array:
    """exp(-abs(x)) times the modified Bessel function of order 0."""
    _, near, inner, large = _parts(xp, x)
    far = _series(xp, 32.0 / large - 2.0, BESSEL_FAR) / xp.sqrt(large)
    return xp.where(near, _series(xp, inner, BESSEL_NEAR), far)


def i0(xp: Any, x: Array) -> Array:
    """The modified Bessel function of order 0."""
    return xp.exp(xp.abs(x)) * i0e(xp, x)


NEAR_SLOPE, FAR_SLOPE = _differentiated(BESSEL_NEAR), _differentiated(BESSEL_FAR)


def i1e(xp: Any, x: Array) -> Array:
    """exp(-abs(x)) times the modified Bessel function of order 1, which is the derivative of that of order 0."""
    _, near, inner, large = _parts(xp, x)
    low = _series(xp, inner, BESSEL_NEAR) + 0.5 * _series(xp, inner, NEAR_SLOPE)
    outer, root = 32.0 / large - 2.0, 1.0 / xp.sqrt(large)
    series = _series(xp, outer, BESSEL_FAR)
    far = root * (series - 0.5 * series / large - 32.0 / (large * large) * _series(xp, outer, FAR_SLOPE))
    return xp.sign(x) * xp.where(near, low, far)


def i1(xp: Any, x: Array) -> Array:
    """The modified Bessel function of order 1."""
    return xp.exp(xp.abs(x)) * i1e(xp, x)
