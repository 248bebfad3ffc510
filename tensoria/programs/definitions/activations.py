"""Functions of single components, and softmax.

The error function is that of fdlibm (Sun Microsystems, 1993, `s_erf.c`): rational approximations on four intervals,
each of them to less than one unit in the last place of float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensoria.backend import Array, Backend
from tensoria.programs.definitions.performing import performed

__all__ = ["DEFINITIONS", "sigmoid"]

NEAR = (
    (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02, -5.77027029648944159157e-03,
     -2.37630166566501626084e-05),
    (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
     1.32494738004321644526e-04, -3.96022827877536812320e-06),
)
"""erf(x) = x + x P(x^2) / Q(x^2) for |x| < 0.84375."""
MIDDLE = (
    (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01,
     -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03),
    (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
     1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02),
)
"""erf(x) = c + P(s) / Q(s), s = |x| - 1, up to |x| = 1.25."""
CENTRE = 8.45062911510467529297e-01
FAR = (
    (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01, -6.23753324503260060396e01,
     -1.62396669462573470355e02, -1.84605092906711035994e02, -8.12874355063065934246e01, -9.81432934416914548592e00),
    (1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02, 6.45387271733267880336e02,
     4.29008140027567833386e02, 1.08635005541779435134e02, 6.57024977031928170135e00, -6.04244152148580987438e-02),
)
"""1 - erf(x) = exp(-x^2 - 0.5625 + P(s) / Q(s)) / x, s = 1 / x^2, up to |x| = 1 / 0.35."""
FARTHEST = (
    (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01, -1.60636384855821916062e02,
     -6.37566443368389627722e02, -1.02509513161107724954e03, -4.83519191608651397019e02),
    (1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03, 3.19985821950859553908e03,
     2.55305040643316442583e03, 4.74528541206955367215e02, -2.24409524465858183362e01),
)  # fmt: skip
"""The same beyond."""


def _polynomial(backend: Backend, x: Array, coefficients: Sequence[float]) -> Array:
    xp = backend.xp
    *rest, last = coefficients
    found = xp.add(xp.multiply(x, last), rest.pop())
    for coefficient in reversed(rest):
        found = xp.add(xp.multiply(found, x), coefficient)
    return found


def _ratio(backend: Backend, x: Array, of: tuple[Sequence[float], Sequence[float]]) -> Array:
    return backend.xp.divide(_polynomial(backend, x, of[0]), _polynomial(backend, x, of[1]))


def _erf(backend: Backend, x: Array) -> Array:
    xp = backend.xp
    size = xp.abs(x)
    square = xp.square(xp.minimum(size, 1.0))
    near = xp.add(x, xp.multiply(x, _ratio(backend, square, NEAR)))
    # Outside of their intervals the approximations are evaluated at an end of it, and not used.
    shifted = xp.subtract(xp.minimum(xp.maximum(size, 0.84375), 1.25), 1.0)
    middle = xp.add(_ratio(backend, shifted, MIDDLE), CENTRE)
    large = xp.minimum(xp.maximum(size, 1.25), 6.0)
    inverse = xp.reciprocal(xp.square(large))
    ratio = xp.where(
        xp.less(large, 1 / 0.35), _ratio(backend, inverse, FAR), _ratio(backend, inverse, FARTHEST)
    )
    tail = xp.exp(xp.subtract(ratio, xp.add(xp.square(large), 0.5625)))
    far = xp.subtract(1.0, xp.divide(tail, large))
    outer = xp.where(xp.less(size, 1.25), middle, far)
    found = xp.where(xp.less(size, 0.84375), near, xp.multiply(xp.sign(x), outer))
    return xp.where(xp.isnan(x), x, found)


def sigmoid(backend: Backend, x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    xp = backend.xp
    # exp of a negative number on both sides, so that nothing overflows.
    small = xp.exp(xp.negative(xp.abs(x)))
    return xp.divide(xp.where(xp.less(x, 0.0), small, 1.0), xp.add(small, 1.0))


def _relu(backend: Backend, x: Array) -> Array:
    # Not a maximum: at 0 its derivative is that of neither side. NaN stays.
    return backend.xp.where(backend.xp.less_equal(x, 0.0), 0.0, x)


def _hardtanh(backend: Backend, x: Array, *, low: float, high: float) -> Array:
    # As in `_relu`: at both ends the derivative is that of the constant.
    xp = backend.xp
    return xp.where(xp.less_equal(x, low), low, xp.where(xp.greater_equal(x, high), high, x))


def _silu(backend: Backend, x: Array) -> Array:
    return backend.xp.multiply(x, performed(backend, sigmoid, "sigmoid", x))


def _gelu(backend: Backend, x: Array, *, approximate: str) -> Array:
    xp = backend.xp
    if approximate == "tanh":
        cube = xp.multiply(xp.multiply(xp.square(x), x), 0.044715)
        inner = xp.tanh(xp.multiply(xp.add(x, cube), math.sqrt(2 / math.pi)))
    else:
        inner = performed(backend, _erf, "erf", xp.multiply(x, math.sqrt(0.5)))
    return xp.multiply(xp.multiply(x, 0.5), xp.add(inner, 1.0))


def _softmax(backend: Backend, x: Array, *, axis: int) -> Array:
    xp = backend.xp
    raised = xp.exp(xp.subtract(x, backend.detach(xp.max(x, axis=axis, keepdims=True))))
    return xp.divide(raised, xp.sum(raised, axis=axis, keepdims=True))


def _log_softmax(backend: Backend, x: Array, *, axis: int) -> Array:
    xp = backend.xp
    shifted = xp.subtract(x, backend.detach(xp.max(x, axis=axis, keepdims=True)))
    return xp.subtract(shifted, xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True)))


DEFINITIONS = {
    "erf": _erf, "sigmoid": sigmoid, "relu": _relu, "hardtanh": _hardtanh, "silu": _silu, "gelu": _gelu,
    "softmax": _softmax, "log_softmax": _log_softmax,
}  # fmt: skip
"""The definitions of this chapter, by the operation's name."""
