"""Derivatives of operations on components.

Where there is none the convention is docs/calculus.md's: that of abs and sign at 0 is 0, ties of maximum and minimum
share equally, that of hypot at 0 is 0.
"""

from __future__ import annotations

import math

from tensoria.programs.derivatives.rule import Array, Call, Rule, each, real_part, xp
from tensoria.programs.standard import cast
from tensoria.programs.types import Literal

__all__ = ["RULES"]


def _complex(x: Array) -> bool:
    return bool(x.dtype.kind == "complex")


def _sign(call: Call, g: Array) -> list[Array | None]:
    """Of z / abs(z): dz - s Re(conj(s) dz), divided by abs(z)."""
    (z,), (s,) = call.operands, call.results
    if not _complex(z):
        return [None]
    size = xp.abs(z)
    away = size > 0
    return [xp.where(away, g - xp.real(g * s) * xp.conj(s), 0) / xp.where(away, size, 1)]


def _wins(x: Array, other: Array) -> Array:
    """The share of x in the larger one: 1, 1/2, 0."""
    return xp.where(x > other, 1, xp.where(xp.equal(x, other), xp.full_like(x, 0.5), 0))


def _power_base(g: Array, x: Array, y: Array, _: Array) -> Array:
    if isinstance(y.operand, Literal):
        number = y.operand.number
        return g * number * (x if number == 2 else x ** (number - 1)) if number else None
    # x ** (y - 1) is infinite at x = 0 for y = 0, where the power is constant.
    return g * xp.where(xp.equal(y, 0), 0, y * x ** xp.where(xp.equal(y, 0), 1, y - 1))


def _power_exponent(g: Array, x: Array, y: Array, power: Array) -> Array:
    # 0 ** y is constant for positive y, where its logarithm is not finite.
    zero = xp.equal(x, 0)
    return g * xp.where(zero, 0, power * xp.log(xp.where(zero, 1, x)))


def _over_size(x: Array, size: Array) -> Array:
    """x / size, and 0 where the size is."""
    zero = xp.equal(size, 0)
    return xp.where(zero, 0, x / xp.where(zero, 1, size))


def _same_sign(g: Array, a: Array, b: Array, _: Array) -> Array:
    return xp.where(xp.equal(xp.signbit(a), xp.signbit(b)), g, -g)


def _where(call: Call, g: Array) -> list[Array | None]:
    condition = call.operands[0]
    return [None, xp.where(condition, g, 0), xp.where(condition, 0, g)]


def _astype(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    return [cast(g if _complex(x) else real_part(g), x.dtype)]


def _imaginary(g: Array, z: Array, _: Array) -> Array:
    turned: Array = cast(g, z.dtype)
    return -1j * turned


def _nothing(*_: Array) -> Array | None:
    return None


RULES: dict[str, Rule] = {
    # one operand
    "abs": each(lambda g, x, _: g * xp.conj(xp.sign(x)) if _complex(x) else g * xp.sign(x)),
    "acos": each(lambda g, x, _: -g / xp.sqrt(1 - xp.square(x))),
    # Written with two roots, this holds in the whole complex plane.
    "acosh": each(lambda g, x, _: g / (xp.sqrt(x - 1) * xp.sqrt(x + 1))),
    "asin": each(lambda g, x, _: g / xp.sqrt(1 - xp.square(x))),
    "asinh": each(lambda g, x, _: g / xp.sqrt(1 + xp.square(x))),
    "atan": each(lambda g, x, _: g / (1 + xp.square(x))),
    "atanh": each(lambda g, x, _: g / (1 - xp.square(x))),
    "conj": each(lambda g, x, _: xp.conj(g)),
    "cos": each(lambda g, x, _: -g * xp.sin(x)),
    "cosh": each(lambda g, x, _: g * xp.sinh(x)),
    "exp": each(lambda g, x, y: g * y),
    "expm1": each(lambda g, x, y: g * (y + 1)),
    "imag": each(_imaginary),
    "log": each(lambda g, x, _: g / x),
    "log10": each(lambda g, x, _: g / (x * math.log(10))),
    "log1p": each(lambda g, x, _: g / (1 + x)),
    "log2": each(lambda g, x, _: g / (x * math.log(2))),
    "negative": each(lambda g, x, _: -g),
    "real": each(lambda g, x, _: cast(g, x.dtype)),
    "reciprocal": each(lambda g, x, y: -g * xp.square(y)),
    "sign": _sign,
    "sin": each(lambda g, x, _: g * xp.cos(x)),
    "sinh": each(lambda g, x, _: g * xp.cosh(x)),
    "sqrt": each(lambda g, x, y: g / (2 * y)),
    "square": each(lambda g, x, _: 2 * g * x),
    "tan": each(lambda g, x, y: g * (1 + xp.square(y))),
    "tanh": each(lambda g, x, y: g * (1 - xp.square(y))),
    # two operands
    "add": each(lambda g, a, b, _: g, lambda g, a, b, _: g),
    "atan2": each(
        lambda g, a, b, _: g * b / (xp.square(a) + xp.square(b)),
        lambda g, a, b, _: -g * a / (xp.square(a) + xp.square(b)),
    ),
    "copysign": each(_same_sign, _nothing),
    "divide": each(lambda g, a, b, _: g / b, lambda g, a, b, y: -g * y / b),
    "hypot": each(lambda g, a, b, y: g * _over_size(a, y), lambda g, a, b, y: g * _over_size(b, y)),
    "logaddexp": each(lambda g, a, b, y: g * xp.exp(a - y), lambda g, a, b, y: g * xp.exp(b - y)),
    "maximum": each(lambda g, a, b, _: g * _wins(a, b), lambda g, a, b, _: g * _wins(b, a)),
    "minimum": each(lambda g, a, b, _: g * _wins(b, a), lambda g, a, b, _: g * _wins(a, b)),
    "multiply": each(lambda g, a, b, _: g * b, lambda g, a, b, _: g * a),
    # The next number moves with the first operand.
    "nextafter": each(lambda g, a, b, _: g, _nothing),
    "pow": each(_power_base, _power_exponent),
    "remainder": each(lambda g, a, b, _: g, lambda g, a, b, _: -g * xp.floor_divide(a, b)),
    "subtract": each(lambda g, a, b, _: g, lambda g, a, b, _: -g),
    # others
    "where": _where,
    "astype": _astype,
}
"""The rules of this chapter, by operation."""
