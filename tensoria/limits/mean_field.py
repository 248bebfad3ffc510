"""Mean-field theory of deep networks at initialisation: variance maps and the edge of chaos (Poole et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.discovery import get
from tensoria.errors import LimitError
from tensoria.limits.expectation import duals
from tensoria.limits.language.nonlinearity import Nonlinearity, traced

__all__ = ["Edge", "edge_of_chaos", "variance_map"]

LARGEST = 1e6
"""Fixed points are looked for up to here."""


@dataclass(frozen=True)
class Edge:
    """A point on the edge of chaos.

    Attributes:
        weight_variance: s_w^2.
        bias_variance: s_b^2.
        fixed_point: q*, the variance that layers converge to; None if every variance is a fixed point.
    """

    weight_variance: float
    bias_variance: float
    fixed_point: float | None


def _moments(phi: Nonlinearity, q: float) -> tuple[float, float]:
    """E phi(sqrt(q) z)^2 and E phi'(sqrt(q) z)^2."""
    at = np.asarray([q])
    value, slope = duals.both(get("numpy"), phi, at, at, at)
    return float(value[0]), float(slope[0])


def variance_map(activation: Any, q: float, weight_variance: float, bias_variance: float = 0.0) -> tuple[float, float]:
    """The next layer's variance, and chi_1 = s_w^2 E phi'(sqrt(q) z)^2, the growth of a small difference."""
    value, slope = _moments(traced(activation, 1), q)
    return weight_variance * value + bias_variance, weight_variance * slope


def edge_of_chaos(activation: Any, bias_variance: float) -> Edge:
    """The weights' variance for which differences neither grow nor shrink, chi_1 = 1 at the fixed point.

    Args:
        activation: a function or its name.
        bias_variance: s_b^2.

    Raises:
        LimitError: there is no such point.

    >>> round(edge_of_chaos("tanh", 0.05).weight_variance, 12)
    1.760954639607
    >>> edge_of_chaos("relu", 0)
    Edge(weight_variance=2.0, bias_variance=0, fixed_point=None)
    """
    phi = traced(activation, 1)

    def gap(q: float) -> float:
        # With s_w^2 = 1 / E phi'^2 the fixed point is q = E phi^2 / E phi'^2 + s_b^2.
        value, slope = _moments(phi, q)
        return value / slope + bias_variance - q

    low, high = 1e-8, 1e-8
    start = gap(low)
    if all(abs(gap(q)) <= 1e-12 * q for q in (0.1, 1.0, 10.0)):
        return Edge(1.0 / _moments(phi, 1.0)[1], bias_variance, None)
    if bias_variance == 0:
        slope = _moments(phi, 1e-16)[1]
        return Edge(round(1.0 / slope, 12), bias_variance, 0.0)
    while (gap(high) > 0) == (start > 0):
        low, high = high, high * 2
        if high > LARGEST:
            raise LimitError(f"{phi.name} has no edge of chaos for the bias variance {bias_variance}.")
    q = _root(gap, low, high)
    return Edge(1.0 / _moments(phi, q)[1], bias_variance, q)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous function changes sign: bisection, whose error is halved to the last bit."""
    sign = function(low) > 0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if (function(middle) > 0) == sign:
            low = middle
        else:
            high = middle
    return (low + high) / 2
