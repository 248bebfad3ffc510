"""An expectation with what is known about its error: which tier computed it, and how far off it may be."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.limits.language.numbers import Number, shown

__all__ = ["Estimate", "from_groups", "grouped", "plus", "times", "worst"]


@dataclass(frozen=True)
class Estimate:
    """A number, its error, and the tier that it comes from.

    Attributes:
        value: a fraction if it is exact.
        error: an estimate of the absolute error: 0 if exact, rounding for closed forms, the difference of two
            resolutions for quadrature, a standard error for particles.
        tier: `A` exact, `B` closed form, `C` quadrature, `D` particles.
        groups: for particles the value in each of the groups whose scatter gives the standard error.
    """

    value: Number
    error: float = 0.0
    tier: str = "A"
    groups: np.ndarray[Any, Any] | None = None

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if isinstance(self.value, Fraction) and not self.error:
            return f"{shown(self.value)} (exact)"
        return f"{float(self.value):.10g} +- {self.error:.1e} (tier {self.tier})"


def worst(*tiers: str) -> str:
    """The last tier in the order of the alphabet."""
    return max(tiers, default="A")


def from_groups(values: np.ndarray[Any, Any]) -> Estimate:
    """The mean over groups of particles, with its standard error."""
    count = len(values)
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / count**0.5, "D", values)


def grouped(e: Estimate, groups: int) -> np.ndarray[Any, Any]:
    """The value in each group."""
    return np.full(groups, float(e.value)) if e.groups is None else e.groups


def _size(a: Estimate, b: Estimate) -> int | None:
    """The number of groups, if one of them has some."""
    found = a.groups if a.groups is not None else b.groups
    return None if found is None else len(found)


def times(a: Estimate, b: Estimate) -> Estimate:
    """The product."""
    size = _size(a, b)
    if size is not None:
        return from_groups(grouped(a, size) * grouped(b, size))
    error = abs(float(a.value)) * b.error + abs(float(b.value)) * a.error
    return Estimate(a.value * b.value, error, worst(a.tier, b.tier))


def plus(a: Estimate, b: Estimate) -> Estimate:
    """The sum."""
    size = _size(a, b)
    if size is not None:
        return from_groups(grouped(a, size) + grouped(b, size))
    return Estimate(a.value + b.value, a.error + b.error, worst(a.tier, b.tier))
