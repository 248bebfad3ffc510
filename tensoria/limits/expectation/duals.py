"""Dual activations over whole arrays of covariances: closed forms where there are any, else quadrature.

    E[phi(u) psi(v)],  (u, v) ~ N(0, [[a, c], [c, b]]),

elementwise over arrays a, b, c that broadcast, in neutral Array API code: on every backend, in float32 or float64,
differentiable through the covariances. `tier` says which of both it is.
"""

from __future__ import annotations

from tensoria.backend import Array, Backend
from tensoria.discovery import get
from tensoria.limits.expectation.closed_forms import Pair, Term, UnknownPairError
from tensoria.limits.expectation.pairs import mean_by_quadrature, pair_by_quadrature
from tensoria.limits.expectation.recognition import recognised
from tensoria.limits.language.nonlinearity import Nonlinearity

__all__ = ["both", "mean", "pair", "tier"]

UNIT = (Term(1.0),)


def tier(phi: Nonlinearity, psi: Nonlinearity) -> str:
    """`B` if the pair has a closed form, else `C`."""
    first, second = recognised(phi), recognised(psi)
    if first is None or second is None:
        return "C"
    backend = get("numpy")
    try:
        one = backend.asarray(1.0, None, None, None)
        Pair(backend, one, one, one * 0.5).expectation(first, second)
    except UnknownPairError:
        return "C"
    return "B"


def pair(backend: Backend, phi: Nonlinearity, psi: Nonlinearity, a: Array, b: Array, c: Array) -> Array:
    """E[phi(u) psi(v)].

    Args:
        backend: where the arrays are.
        phi, psi: functions of one variable.
        a, b, c: native arrays of E u^2, E v^2 and E uv.
    """
    return _expected(Pair(backend, a, b, c), phi, psi)


def both(backend: Backend, phi: Nonlinearity, a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)], which share their roots and angles."""
    of = Pair(backend, a, b, c)
    slope = phi.derivative()
    return _expected(of, phi, phi), _expected(of, slope, slope)


def mean(backend: Backend, phi: Nonlinearity, a: Array) -> Array:
    """E phi(u), elementwise over an array of variances."""
    terms = recognised(phi)
    if terms is not None:
        try:
            return Pair(backend, a, 0.0 * a, 0.0 * a, 0.0 * a).expectation(terms, UNIT)
        except UnknownPairError:
            pass
    return mean_by_quadrature(backend, phi, a)


def _expected(of: Pair, phi: Nonlinearity, psi: Nonlinearity) -> Array:
    first, second = recognised(phi), recognised(psi)
    if first is not None and second is not None:
        try:
            return of.expectation(first, second)
        except UnknownPairError:
            pass
    return pair_by_quadrature(of.backend, phi, psi, of.a, of.b, of.c)

