"""Expectations with norms over a finite axis, such as batch normalisation's, exactly.

(q)^-r = 1/Gamma(r) int s^(r-1) exp(-s q) ds turns a power of a quadratic form of a Gaussian vector into Gaussians: under
the weight exp(-s q(g)) the vector g ~ N(0, K) is N(0, K (1 + 2 s A K)^-1), with mass det(1 + 2 s A K)^(-1/2), for
q(g) = g^T A g + offset. So the expectation of functions times such powers is an integral over s (and over t, where two
batches are normalised each by itself) of ordinary dual activations (the derivation follows Yang et al. 2019, "A mean
field theory of batch normalization", appendix on Laplace's method).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria.backend import Array
from tensoria.limits.expectation import duals
from tensoria.limits.reading.expressions import nonlinearity, variable
from tensoria.limits.reading.families import unsupported
from tensoria.limits.reading.nodes import Node, Nonlin, Quadratic

__all__ = ["expected"]

POINTS = 128
"""Points of quadrature along each of the integrals."""


def expected(of: Any, left: Sequence[Node], right: Sequence[Node], a: Node, b: Node, mode: Any) -> Array:
    """E of one function and powers of one norm on each side."""
    raise unsupported("a norm over a finite axis", "not yet", a.where)


_ = (math, np, duals, nonlinearity, variable, Nonlin, Quadratic, POINTS)
