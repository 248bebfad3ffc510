"""Expectations with norms over a finite axis, such as batch normalisation's, exactly.

q^-r = 1/Gamma(r) int s^(r-1) exp(-s q) ds turns a power of a quadratic form of a Gaussian vector into Gaussians: under
the weight exp(-s q(x)) with q(x) = offset + x^T A x, x ~ N(0, K), all Gaussian variables stay Gaussian, with the
covariance K - K B (1 + B K B)^-1 B K for B^2 = 2 s A, and the mass is det(1 + B K B)^(-1/2) exp(-s offset). So the
expectation of functions times such powers is an integral over s - and over t, where two batches are normalised each by
itself - of ordinary dual activations (Laplace's method of Yang et al. 2019, "A mean field theory of batch
normalization").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from tensoria.backend import Array
from tensoria.limits.expectation import duals
from tensoria.limits.kernels.session import Session
from tensoria.limits.reading.expressions import nonlinearity, variable
from tensoria.limits.reading.nodes import Node, Nonlin, Quadratic

__all__ = ["END", "ENTRIES", "START", "STEP", "Side", "block", "exact", "expected"]

STEP, START, END = 0.07, -4.3, 3.4
"""The double exponential rule s = exp(pi/2 sinh y): down to 1e-25, where s^(1/2) is lost in rounding, and up to 1e10,
where the tail of a batch of three samples is, and one more factor would drown a singular covariance in rounding."""
ENTRIES: Final = 1 << 22
"""So many numbers at a time are held for the integral."""


def exact(s: Session, factors: Sequence[Node], run: int) -> bool:
    """Whether the factors on one side are at most one function, and powers of one norm, or nothing of norms."""
    norms = [x for x in factors if isinstance(x, Quadratic)]
    rest = [x for x in factors if not isinstance(x, Quadratic)]
    plain = all((isinstance(x, Nonlin) and len(x.variables) == 1 and not x.scalars) or x.gaussian for x in rest)
    single = all(math.prod(s.shape(x.total.sizes, run)) == 1 and x.exponent < 0 for x in norms)
    kinds = {(id(x.x), id(x.total), id(x.offset)) for x in norms}
    return bool(norms) and len(kinds) == 1 and len(rest) <= 1 and plain and single and s.runs[run].count == 1


class Side:
    """The factors on one side: at most one function, and powers of one norm."""

    def __init__(self, of: Any, factors: Sequence[Node], run: int) -> None:
        self.session: Session = of.session
        self.run = run
        norms = [x for x in factors if isinstance(x, Quadratic)]
        rest = [x for x in factors if not isinstance(x, Quadratic)]
        self.norm = norms[0] if norms else None
        self.exponent = sum((x.exponent for x in norms), Fraction(0))
        self.function = rest[0] if rest else None

    @property
    def variable(self) -> Node | None:
        """The Gaussian family that the function is of."""
        if self.function is None:
            return None
        return self.function.variables[0] if isinstance(self.function, Nonlin) else self.function

    def phi(self) -> Any:
        """The function."""
        tree = self.function.tree if isinstance(self.function, Nonlin) else variable(0)
        return nonlinearity(tree, 1, 0)

    def weights(self) -> Array:
        """What every square counts in the norm."""
        assert self.norm is not None
        s = self.session
        shape = s.shape(self.norm.x.sizes, self.run)
        count = math.prod(shape)
        eye = s.backend.reshape(s.eye(count), (count, *shape))
        return s.backend.reshape(self.norm.total.apply(s, self.run, eye, 1), (count,))

    def offset(self) -> Array | float:
        """What is added to the norm."""
        assert self.norm is not None
        if self.norm.offset is None:
            return 0.0
        return self.session.backend.reshape(self.session.family(self.norm.offset, self.run), (1,))


def expected(of: Any, left: Sequence[Node], right: Sequence[Node], a: Node, b: Node, mode: Any) -> Array:
    """E of one function and powers of one norm on each side.

    Args:
        of: the session's covariances.
        left, right: the factors; none on the right for a mean.
        a, b: the families that they are factors of, whose axes the result has.
        mode: the runs.
    """
    s: Session = of.session
    sides = [Side(of, factors, run) for factors, run in zip((left, right), mode[:2], strict=True) if factors]
    norms = [side for side in sides if side.norm is not None]
    if len(norms) == 2 and norms[0].norm.x is norms[1].norm.x and mode[0] == mode[1]:  # type: ignore[union-attr]
        norms[0].exponent += norms[1].exponent
        norms = norms[:1]
    joint = _Joint(of, sides, norms)
    total: Array | None = None
    nodes = _nodes([side.exponent for side in norms], joint.scales)
    count = sum(joint.sizes) ** 2 + math.prod(joint.shape)
    for start in range(0, len(nodes[1]), max(1, ENTRIES // count)):
        part = slice(start, start + max(1, ENTRIES // count))
        found = joint.integrand(nodes[0][part], nodes[1][part])
        total = found if total is None else total + found
    assert total is not None
    shape = [*(1,) * of.session.lead(mode), *s.shape(a.sizes, mode[0]), *s.shape(b.sizes, mode[1])]
    return s.backend.reshape(total, tuple(shape))


def _nodes(exponents: Sequence[Fraction], scales: Sequence[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points (one column for each norm) and weights of int s^(r-1)/Gamma(r) ... ds."""
    y = np.arange(START, END + STEP / 2, STEP)
    grids, weights = [], []
    for exponent, scale in zip(exponents, scales, strict=True):
        r = -float(exponent)
        points = scale * np.exp(np.pi / 2 * np.sinh(y))
        grids.append(points)
        weights.append(points**r / math.gamma(r) * (np.pi / 2) * np.cosh(y) * STEP)
    if len(grids) == 1:
        return grids[0][:, None], weights[0]
    first, second = np.meshgrid(*grids, indexing="ij")
    return np.stack([first.ravel(), second.ravel()], axis=1), np.outer(*weights).ravel()


def block(of: Any, x: tuple[Any, int], y: tuple[Any, int]) -> Array:
    """The covariance of two families, each of a run, as a matrix."""
    s: Session = of.session
    (first, r), (second, q) = x, y
    mode = (r, q, r == q)
    found = of.of(first, second, mode)
    rows, columns = s.shape(first.sizes, r), s.shape(second.sizes, q)
    if found is None:
        found = s.number(0.0)
    found = s.backend.xp.broadcast_to(found, (*(1,) * s.lead(mode), *rows, *columns))
    return s.backend.reshape(found, (math.prod(rows), math.prod(columns)))


class _Joint:
    """The joint covariance of what norms and functions are of, and what the weights make of it."""

    def __init__(self, of: Any, sides: Sequence[Side], norms: Sequence[Side]) -> None:
        self.of, self.sides, self.norms = of, sides, norms
        self.session: Session = of.session
        xp = self.session.backend.xp
        self.sizes = [math.prod(self.session.shape(side.norm.x.sizes, side.run)) for side in norms]  # type: ignore[union-attr]
        vectors = [(side.norm.x, side.run) for side in norms]  # type: ignore[union-attr]
        self.K = xp.concat([xp.concat([block(of, x, y) for y in vectors], axis=1) for x in vectors], axis=0)
        self.functions = [side for side in sides if side.variable is not None]
        self.cross = [
            xp.concat([block(of, (side.variable, side.run), x) for x in vectors], axis=1) for side in self.functions
        ]
        self.shape = tuple(int(cross.shape[0]) for cross in self.cross)
        self.weights = xp.concat([side.weights() for side in norms], axis=0)
        diagonal = self.session.backend.to_numpy(self.session.backend.detach(xp.linalg.diagonal(self.K)))
        weights = self.session.backend.to_numpy(self.session.backend.detach(self.weights))
        self.scales = []
        start = 0
        for size in self.sizes:
            norm = float(np.sum(diagonal[start : start + size] * weights[start : start + size]))
            self.scales.append(1 / norm if norm > 0 else 1.0)
            start += size

    def integrand(self, points: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> Array:
        """The sum over some points of the weighted masses times the dual activations there."""
        s, xp = self.session, self.session.backend.xp
        count, n = len(weights), sum(self.sizes)
        spread = np.concatenate([np.repeat(points[:, k : k + 1], size, axis=1) for k, size in enumerate(self.sizes)], 1)
        root = xp.sqrt(s.constant(2 * spread) * s.backend.reshape(self.weights, (1, n)))
        inner = s.backend.reshape(root, (count, n, 1)) * self.K * s.backend.reshape(root, (count, 1, n)) + s.eye(n)
        lower = xp.linalg.cholesky(inner)
        mass = s.constant(weights) / xp.prod(xp.linalg.diagonal(lower), axis=-1)
        for k, side in enumerate(self.norms):
            mass = mass * xp.exp(-(s.constant(points[:, k]) * side.offset()))
        halves = []
        for cross in self.cross:
            scaled = s.backend.reshape(root, (count, 1, n)) * cross
            halves.append(xp.linalg.solve(lower, xp.matrix_transpose(scaled)))
        return self._duals(mass, halves)

    def _duals(self, mass: Array, halves: Sequence[Array]) -> Array:
        s, xp = self.session, self.session.backend.xp
        count = int(mass.shape[0])
        if not self.functions:
            return xp.sum(mass, axis=0)
        variances = []
        for side, half in zip(self.functions, halves, strict=True):
            of_u = s.backend.reshape(self.of.variance(side.variable, side.run), (1, -1))
            variances.append(of_u - xp.sum(xp.square(half), axis=1))
        if len(self.functions) == 1:
            found = duals.mean(s.backend, self.functions[0].phi(), variances[0])
            return xp.sum(s.backend.reshape(mass, (count, 1)) * found, axis=0)
        u, v = self.functions
        c = block(self.of, (u.variable, u.run), (v.variable, v.run))
        c = c - xp.matmul(xp.matrix_transpose(halves[0]), halves[1])
        a = s.backend.reshape(variances[0], (count, -1, 1))
        b = s.backend.reshape(variances[1], (count, 1, -1))
        found = duals.pair(s.backend, u.phi(), v.phi(), a, b, c)
        return xp.sum(s.backend.reshape(mass, (count, 1, 1)) * found, axis=0)
