"""Numbers that stay exact as long as they can: fractions, and floats where something irrational came in.

Sums and products of fractions are fractions, and a float makes floats of what it meets, so whether a result is exact
is seen from its type. A float that a person wrote (0.1, 1.5) is read as the decimal that was written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from tensoria.errors import LimitError

__all__ = ["Number", "exact", "negligible", "number", "residual", "root", "shortened", "shown", "solved"]

Number: TypeAlias = "Fraction | float"

LONGEST = 100_000
"""A fraction of more bits goes on as a float: the digits of a training curve triple with every step."""
DIGITS = 12
"""A float of at most so many significant digits is read as a decimal."""
NEGLIGIBLE = 1e-13
"""A float variance below this part of the whole is rounding."""


def number(value: Any, what: str = "a coefficient") -> Number:
    """A fraction where the value is rational as it is written, else a float.

    Raises:
        LimitError: it is no finite real number.

    >>> number(0.1), number("3/4"), number(2)
    (Fraction(1, 10), Fraction(3, 4), Fraction(2, 1))
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        return Fraction(value)
    try:
        found = float(value.real if isinstance(value, complex) and not value.imag else value)
    except (TypeError, ValueError):
        raise LimitError(f"{what} is a real number, not {value!r:.60}.") from None
    if not math.isfinite(found):
        raise LimitError(f"{what} is finite, and {found} is not.")
    short = f"{found:.{DIGITS}g}"
    return Fraction(short) if float(short) == found else found


def exact(*values: Number) -> bool:
    """Whether all are fractions."""
    return all(isinstance(value, Fraction) for value in values)


def shortened(value: Number) -> Number:
    """The number, as a float if it is a fraction of too many digits."""
    return float(value) if isinstance(value, Fraction) and value.denominator.bit_length() > LONGEST else value


def root(value: Number) -> Number:
    """The square root: a fraction of squares has an exact one."""
    if isinstance(value, Fraction) and value >= 0:
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return math.sqrt(value)


def shown(value: Number) -> str:
    """A short text: a fraction if it has few digits, else six significant ones."""
    if isinstance(value, Fraction) and len(str(value)) <= 12:
        return str(value)
    return f"{float(value):.6g}"


def solved(matrix: Sequence[Sequence[Number]], right: Sequence[Number]) -> list[Number]:
    """A solution of C a = b for a positive semidefinite C with b in its range; the free unknowns are zero.

    Any solution will do: directions without variance multiply random variables that are zero.
    """
    size = len(right)
    rows = [[*row, right[n]] for n, row in enumerate(matrix)]
    scale = [matrix[n][n] for n in range(size)]
    left = list(range(size))
    order: list[int] = []
    while left:
        # Diagonal pivoting: what is left of a diagonal is the variance that those before do not explain.
        pivot = max(left, key=lambda n: float(rows[n][n]) / float(scale[n]) if scale[n] else 0.0)
        if negligible(rows[pivot][pivot], scale[pivot]):
            break
        left.remove(pivot)
        order.append(pivot)
        for n in left:
            factor = rows[n][pivot] / rows[pivot][pivot]
            if factor:
                rows[n] = [a - factor * b for a, b in zip(rows[n], rows[pivot], strict=True)]
    out: list[Number] = [Fraction(0)] * size
    for n in reversed(order):
        known: Number = Fraction(0)
        for m in order:
            if out[m] and m != n:
                known = known + rows[n][m] * out[m]
        out[n] = (rows[n][size] - known) / rows[n][n]
    return out


def negligible(value: Number, whole: Number) -> bool:
    """Whether a variance is zero: exactly, or up to rounding if it is a float."""
    return value <= 0 if isinstance(value, Fraction) else value <= NEGLIGIBLE * abs(float(whole))


def residual(
    matrix: Sequence[Sequence[Number]], right: Sequence[Number], variance: Number
) -> tuple[list[Number], Number]:
    """The regression of one variable on others with covariance C: its coefficients, and the variance that is left.

    Args:
        matrix: the covariance of the others.
        right: their covariances with the variable.
        variance: its own.
    """
    found = solved(matrix, right)
    left: Number = variance
    for a, b in zip(found, right, strict=True):
        left = left - a * b
    return found, Fraction(0) if negligible(left, variance) else left
