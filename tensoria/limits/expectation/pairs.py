"""Tier C over arrays: E[phi(u) psi(v)] of two centred Gaussians for any functions, elementwise over arrays.

Smooth functions take the trapezoidal rule, which for functions that are analytic in a strip around the real axis is
exact up to exp(-2 pi width / h): for tanh and its like that is far better than Gauss-Hermite points. Functions with
kinks or jumps take Gauss-Legendre points between them. u = sqrt(a) x, v = sqrt(b) (rho x + sqrt(1 - rho^2) y).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.dtypes import float64
from tensoria.errors import LimitError
from tensoria.limits.expectation.algebra import Algebra, Polynomial
from tensoria.limits.language.nonlinearity import Nonlinearity

__all__ = ["breaks", "mean_by_quadrature", "pair_by_quadrature"]

REACH, SPACING, FINEST = 9.0, 0.2, 0.02
"""Standard deviations on each side, and the distance of points of the trapezoidal rule."""
STRIP = 0.33
"""The distance of points where a deviation is 1, for functions as steep as tanh: exp(-pi^2 / 0.33) is 1e-13."""
PANELS: tuple[float, ...] = (-9.0, -6.0, -4.0, -2.5, -1.2, 0.0, 1.2, 2.5, 4.0, 6.0, 9.0)
POINTS = 12
"""Gauss-Legendre points in each panel."""
BLOCK = 2**21
"""Numbers at a time."""
JUMPS = frozenset(("floor", "ceil", "round", "trunc", "remainder", "floor_divide", "where", "signbit", "copysign"))
"""Operations whose breaks are not lines through the plane, or too many."""


def breaks(function: Nonlinearity) -> list[float]:
    """Where a function of one variable has kinks or jumps.

    Raises:
        LimitError: they can not be found.
    """
    algebra = Algebra()
    p = algebra.applied(function, [algebra.gaussian(1.0)])
    found: set[float] = set()
    seen: set[int] = set()

    def visit(q: Polynomial) -> None:
        for n in q.symbols() - seen:
            seen.add(n)
            symbol = algebra.symbols[n]
            if symbol.operation in JUMPS:
                raise LimitError(f"unsupported: {symbol.operation}, its breaks are not known in {function}.")
            if symbol.operation == "step":
                (line,) = symbol.arguments
                if not algebra.affine(line):
                    raise LimitError(f"unsupported: a kink in {function}, it is not at an affine function's zero.")
                found.add(-float(line.terms.get((), 0)) / float(line.terms[((0, 1),)]))
            for argument in symbol.arguments:
                visit(argument)

    visit(p)
    return sorted(found)


def mean_by_quadrature(backend: Backend, phi: Nonlinearity, a: Array) -> Array:
    """E phi(u) for an array of variances."""
    kinks = breaks(phi)
    x, w = _points(backend, a, [k / _root(backend, a) for k in kinks], spacing(backend, a))
    return _total(backend, phi.evaluate(backend, [backend.xp.sqrt(a)[..., None] * x]) * w)


def pair_by_quadrature(
    backend: Backend, phi: Nonlinearity, psi: Nonlinearity, a: Array, b: Array, c: Array
) -> Array:
    """E[phi(u) psi(v)], (u, v) ~ N(0, [[a, c], [c, b]]), for arrays that broadcast, a block at a time."""
    xp = backend.xp
    kinks = breaks(phi), breaks(psi)
    a, b, c = xp.broadcast_arrays(a, b, c)
    shape = tuple(a.shape)
    flat = [backend.reshape(of, (-1,)) for of in (a, b, c)]
    count = math.prod(shape)
    smooth = not kinks[0] and not kinks[1]
    panels = [len(PANELS) - 1 + (5 * len(kinks[1]) + len(kinks[0]) if n == 0 else len(kinks[1])) for n in (0, 1)]
    apart = spacing(backend, a), spacing(backend, b)
    nodes = (2 * REACH) ** 2 / math.prod(apart) if smooth else math.prod(panels) * POINTS**2
    step = max(1, int(BLOCK / nodes))
    parts = []
    for n in range(0, count, step):
        block = [of[n : n + step] for of in flat]
        parts.append(_block(backend, phi, psi, block[0], block[1], block[2], kinks, apart))
    return backend.reshape(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0), shape)


def _block(
    backend: Backend, phi: Nonlinearity, psi: Nonlinearity, a: Array, b: Array, c: Array,
    kinks: tuple[list[float], list[float]], apart: tuple[float, float],
) -> Array:  # fmt: skip
    xp = backend.xp
    da, db = _root(backend, a), _root(backend, b)
    rho = xp.minimum(xp.maximum(c / (da * db), -1.0), 1.0)
    square = 1.0 - rho * rho
    # Where u and v are one variable the rest has no variance; a tiny one keeps derivatives finite.
    rest = xp.sqrt(xp.maximum(square, 1e-30))
    rho = xp.where(c == 0.0, 0.0, rho)
    crossings = [k / (db * xp.where(rho == 0.0, 1e-3, rho)) for k in kinks[1]]
    # What psi is on average changes quickly where v passes its kink, the quicker the smaller the rest is.
    width = rest / xp.maximum(xp.abs(rho), 1e-3)
    around = [at + m * width for at in crossings for m in (-6.0, -1.5, 0.0, 1.5, 6.0)]
    x, w = _points(backend, a, [k / da for k in kinks[0]] + around if kinks[0] or kinks[1] else [], apart[0])
    left = phi.evaluate(backend, [da[..., None] * x]) * w
    shifted = rho[..., None] * x
    wide = rest[..., None]
    inner = [(k / db[..., None] - shifted) / wide for k in kinks[1]]
    y, v = _points(backend, shifted, inner if kinks[0] or kinks[1] else [], apart[1])
    right = psi.evaluate(backend, [db[..., None, None] * (shifted[..., None] + wide[..., None] * y)])
    return _total(backend, left * _total(backend, right * v))


def _root(backend: Backend, a: Array) -> Array:
    """The root of variances, of which none is quite zero."""
    return backend.xp.sqrt(backend.xp.maximum(a, 1e-300))


def spacing(backend: Backend, a: Array) -> float:
    """The distance of points that the largest variance needs; the usual one while numbers are not known."""
    ends = backend.extremes(backend.detach(a))
    if ends is None:
        return SPACING
    return max(FINEST, min(SPACING, STRIP / math.sqrt(max(ends[1], 1e-12))))


def _total(backend: Backend, x: Array) -> Array:
    return backend.xp.sum(x, axis=-1)


def _points(backend: Backend, like: Array, at: Sequence[Array], apart: float) -> tuple[Array, Array]:
    """Points and weights of the standard normal density along a new last axis, broken at places."""
    xp = backend.xp

    def constant(values: Any) -> Array:
        return xp.astype(backend.array_like(np.asarray(values).tolist(), float64, like), like.dtype)

    if not at:
        grid = np.arange(-round(REACH / apart), round(REACH / apart) + 1) * apart
        return constant(grid), constant(apart * np.exp(-grid * grid / 2) / math.sqrt(2 * math.pi))
    ends = [0.0 * like + end for end in PANELS]
    # Places only cut the interval up: nothing is differentiated through them.
    ends += [backend.detach(xp.minimum(xp.maximum(place, -REACH), REACH)) + 0.0 * like for place in at]
    edges = xp.sort(backend.detach(xp.stack(ends, axis=-1)), axis=-1)
    x, w = np.polynomial.legendre.leggauss(POINTS)
    low, high = edges[..., :-1], edges[..., 1:]
    half = 0.5 * (high - low)
    shape = (*[n or 0 for n in backend.shape(like)], -1)
    points = (low + half)[..., None] + half[..., None] * constant(x)
    weights = half[..., None] * constant(w) * xp.exp(-0.5 * points * points) * (1 / math.sqrt(2 * math.pi))
    return backend.reshape(points, shape), backend.reshape(weights, shape)
