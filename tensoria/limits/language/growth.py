"""How fast a nonlinearity grows, decided operation by operation: an upper bound for abs(f(x)) as x goes to infinity.

The bound of a value is a power of norm(x), or the exponential of one, beside an interval that the value stays in. An
operation's row says what it makes of its operands' bounds. The interval is what divisions and logarithms ask: 1 / g is
bounded if g stays away from 0. Where a row knows no bound the answer is "cannot decide", with the operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.programs.types import Literal, Operand

__all__ = ["Growth", "growth"]

INFINITY: Final = math.inf
Interval = tuple[float, float]


@dataclass(frozen=True)
class Growth:
    """A bound.

    Attributes:
        power: d, if abs(f) <= C (1 + norm(x)^d); None if it is not known to be so.
        exponent: e, if abs(f) <= exp(C norm(x)^e + c); None if that is not known either.
        low, high: the value lies between.
        sharp: whether it does grow like that, so that no smaller bound holds.
        reason: why there is no bound.
    """

    power: float | None
    exponent: float | None = 0.0
    low: float = -INFINITY
    high: float = INFINITY
    reason: str = ""
    sharp: bool = False

    @property
    def polynomial(self) -> bool | None:
        """Whether it is polynomially bounded; None if that is not known."""
        if self.power is not None:
            return True
        return False if self.exponent is not None and self.exponent > 0 and self.sharp else None

    @property
    def controlled(self) -> bool | None:
        """Whether abs(f) <= exp(C norm(x)^(2 - eps) + c) (TP I, definition 5.3)."""
        if self.power is not None:
            return True
        if self.exponent is not None and self.exponent < 2:
            return True
        return False if self.exponent is not None and self.sharp else None

    def __str__(self) -> str:
        if self.power is not None:
            return f"at most a power {self.power:g}"
        return f"at most exp of a power {self.exponent:g}" if self.exponent is not None else self.reason


def growth(function: Nonlinearity, scalars: Sequence[Interval] = ()) -> Growth:
    """The bound of a nonlinearity over all values of its vectors.

    Args:
        scalars: for each scalar the interval in which it lies; all numbers by default.
    """
    inputs = function.program.inputs
    known: dict[Operand, Growth] = {}
    larger: dict[Operand, tuple[Operand, ...]] = {}
    for n, value in enumerate(inputs):
        if n < function.vectors:
            known[value] = Growth(1.0, sharp=True)
        else:
            at = n - function.vectors
            low, high = scalars[at] if at < len(scalars) else (-INFINITY, INFINITY)
            known[value] = Growth(0.0, low=low, high=high)

    def read(operand: Operand) -> Growth:
        if isinstance(operand, Literal):
            value = float(operand.number.real)
            return Growth(0.0, low=value, high=value)
        return known[operand]

    for made in function.program.instructions:
        operands = [read(x) for x in made.operands]
        failed = next((g for g in operands if g.power is None and g.exponent is None), None)
        if failed is not None:
            found = failed
        elif made.operation == "multiply" and made.operands[0] == made.operands[1]:
            found = _square(operands[0])
        elif made.operation == "subtract" and made.operands[0] in larger.get(made.operands[1], ()):
            found = replace(_difference(*operands), high=0.0)
        elif made.operation == "hardtanh":
            found = Growth(0.0, low=made.attributes["low"], high=made.attributes["high"])
        elif made.operation == "divide" and made.operands[0] == made.operands[1]:
            found = Growth(0.0, low=1.0, high=1.0)
        else:
            rule = RULES.get(made.operation)
            found = _unknown(f"{made.operation} has no rule") if rule is None else rule(*operands)
            if found.power is None and found.exponent is None and made.source.file:
                found = replace(found, reason=f"{found.reason}, at {made.source}")
        known[made.results[0]] = found
        if made.operation in ("logaddexp", "maximum"):
            larger[made.results[0]] = made.operands
    return read(function.output)


def _unknown(reason: str) -> Growth:
    return Growth(None, None, reason=reason)


# -- rules ------------------------------------------------------------------------------------------------------------


def _bounded(low: float, high: float) -> Callable[..., Growth]:
    return lambda *_: Growth(0.0, low=low, high=high)


def _monotone(function: Callable[[float], float]) -> Callable[[Growth], Growth]:
    """A monotone function that grows no faster than its operand."""
    return lambda a: replace(a, low=function(a.low), high=function(a.high))


def _power(a: float | None, b: float | None, join: Callable[[float, float], float]) -> float | None:
    return None if a is None or b is None else join(a, b)


def _sum(a: Growth, b: Growth) -> Growth:
    large, small = (a, b) if _size(a) > _size(b) else (b, a)
    return Growth(
        _power(a.power, b.power, max), _power(_e(a), _e(b), max), a.low + b.low, a.high + b.high,
        sharp=large.sharp and _size(large) > _size(small),
    )  # fmt: skip


def _size(a: Growth) -> tuple[float, float]:
    """For comparing bounds: the exponential's power, then the power."""
    return (0.0, a.power) if a.power is not None else (a.exponent or 0.0, INFINITY)


def _e(a: Growth) -> float | None:
    return 0.0 if a.power is not None else a.exponent


def _difference(a: Growth, b: Growth) -> Growth:
    return _sum(a, _negative(b))


def _negative(a: Growth) -> Growth:
    return replace(a, low=-a.high, high=-a.low)


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def _product(a: Growth, b: Growth) -> Growth:
    ends = [_times(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    power = _power(a.power, b.power, lambda x, y: x + y)
    factor = any(x.low == x.high != 0 for x in (a, b))
    sharp = factor and all(x.sharp or x.low == x.high for x in (a, b))
    return Growth(power, _power(_e(a), _e(b), max), min(ends), max(ends), sharp=sharp)


def _square(a: Growth) -> Growth:
    ends = [a.low * a.low, a.high * a.high]
    least = 0.0 if a.low <= 0 <= a.high else min(ends)
    return Growth(None if a.power is None else 2 * a.power, a.exponent, least, max(ends), sharp=a.sharp)


def _reciprocal(a: Growth) -> Growth:
    if a.low > 0 or a.high < 0:
        return Growth(0.0, low=1 / a.high if a.high else 0.0, high=1 / a.low if a.low else 0.0)
    return _unknown("a divisor may be 0")


def _quotient(a: Growth, b: Growth) -> Growth:
    below = _reciprocal(b)
    return below if below.power is None else _product(a, below)


def _exp(a: Growth) -> Growth:
    low, high = (math.exp(min(x, 700.0)) if x < INFINITY else INFINITY for x in (a.low, a.high))
    if a.high < INFINITY:
        return Growth(0.0, low=low, high=high)
    if a.power is None:
        return _unknown("exp of what grows faster than any power")
    return Growth(None if a.power else 0.0, a.power, low, high, sharp=a.sharp)


def _hyperbolic(a: Growth) -> Growth:
    found = _exp(_abs(a))
    return replace(found, low=-found.high)


def _abs(a: Growth) -> Growth:
    least = 0.0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
    return replace(a, low=least, high=max(abs(a.low), abs(a.high)))


def _pow(a: Growth, b: Growth) -> Growth:
    if b.low != b.high:
        return _unknown("a power whose exponent is no number")
    p = b.low
    whole = p == int(p)
    if p < 0:
        return _reciprocal(_pow(a, Growth(0.0, low=-p, high=-p)))
    if not whole and a.low < 0:
        return _unknown("a fractional power of what may be negative")
    if whole and int(p) % 2 == 0:
        base = _abs(a)
    else:
        base = a
    low, high = (_raised(x, p) for x in (base.low, base.high))
    return Growth(None if a.power is None else a.power * p, a.exponent, low, high, sharp=a.sharp and p > 0)


def _raised(x: float, p: float) -> float:
    """The power of an end, with its sign."""
    return math.copysign(abs(x) ** p, x) if p else 1.0


def _sqrt(a: Growth) -> Growth:
    return _pow(a, Growth(0.0, low=0.5, high=0.5))


def _log(a: Growth) -> Growth:
    if a.low <= 0:
        return _unknown("a logarithm of what may be 0")
    if a.power is None:
        return Growth(a.exponent, low=math.log(a.low))
    return replace(a, low=math.log(a.low), high=math.log(a.high) if a.high < INFINITY else INFINITY)


def _log1p(a: Growth) -> Growth:
    return _log(replace(a, low=a.low + 1, high=a.high + 1))


def _max(a: Growth, b: Growth) -> Growth:
    return replace(_sum(a, b), low=max(a.low, b.low), high=max(a.high, b.high), sharp=False)


def _min(a: Growth, b: Growth) -> Growth:
    return replace(_sum(a, b), low=min(a.low, b.low), high=min(a.high, b.high), sharp=False)


def _where(_: Growth, a: Growth, b: Growth) -> Growth:
    return replace(_sum(a, b), low=min(a.low, b.low), high=max(a.high, b.high), sharp=False)


def _half_line(low: float) -> Callable[[Growth], Growth]:
    """relu, silu, gelu: no larger than the operand, and not below a number."""
    return lambda a: replace(a, low=low, high=max(a.high, 0.0))


RULES: Final[Mapping[str, Callable[..., Growth]]] = {
    "add": _sum, "subtract": _difference, "negative": _negative, "multiply": _product, "square": _square,
    "divide": _quotient, "reciprocal": _reciprocal, "pow": _pow, "sqrt": _sqrt, "abs": _abs,
    "exp": _exp, "expm1": lambda a: _sum(_exp(a), Growth(0.0, low=-1, high=-1)),
    "sinh": _hyperbolic, "cosh": lambda a: replace(_hyperbolic(a), low=1.0),
    "log": _log, "log2": _log, "log10": _log, "log1p": _log1p,
    "tanh": _bounded(-1, 1), "erf": _bounded(-1, 1), "sin": _bounded(-1, 1), "cos": _bounded(-1, 1),
    "sign": _bounded(-1, 1), "sigmoid": _bounded(0, 1), "atan": _bounded(-math.pi / 2, math.pi / 2),
    "atan2": _bounded(-math.pi, math.pi),
    **{name: _bounded(0, 1) for name in
       "equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor logical_not isfinite "
       "isinf isnan signbit".split()},
    "asinh": lambda a: replace(a, low=-INFINITY, high=INFINITY),
    "relu": _half_line(0.0), "silu": _half_line(-0.2785), "gelu": _half_line(-0.17),
    "maximum": _max, "minimum": _min, "logaddexp": lambda a, b: replace(_max(a, b), high=_max(a, b).high + math.log(2)),
    "hypot": lambda a, b: replace(_sum(_abs(a), _abs(b)), low=max(_abs(a).low, _abs(b).low)),
    "where": _where, "astype": lambda a: a, "stop_gradient": lambda a: a,
    "floor": _monotone(lambda x: x - 1), "ceil": _monotone(lambda x: x + 1), "round": lambda a: _where(a, a, a),
    "trunc": lambda a: _where(a, a, a), "copysign": lambda a, _: replace(a, low=-_abs(a).high, high=_abs(a).high),
}  # fmt: skip
"""The bound of a result from the bounds of the operands."""
