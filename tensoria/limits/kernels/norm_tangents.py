"""Tangent kernels through normalisation over a batch, exactly: every member's tangents enter the norm.

For F_i = f(x_i) q^-r, q = offset + sum of w_k x_k^2, and G_j = g(y_j) p^-s of the same kind, the chain rule

    dF_i = f'(x_i) q^-r dx_i - 2 r f(x_i) q^(-r-1) sum over k of w_k x_k dx_k

gives T(F_i, G_j) as four expectations, contracted with T(x_k, y_l). Under the weights exp(-s q) (`norms`) x and y stay
Gaussian with a smaller covariance K', where Stein's lemma takes the x_k and y_l out of the expectations:

    E f'_i g_j y_l = K'(x_i, y_l) E f''_i g_j + K'(y_j, y_l) E f'_i g'_j,

and so on: what is left are dual activations of f, f', g, g' over all pairs (i, j), and products of matrices. f and g
are homogeneous on both sides of zero, so that Euler's relation has E f''_i g_j, where f'' is no function:
a E f'' g + c E f' g' = d E f g for f of the degree d, a = E x_i^2, c = E x_i y_j. See Yang et al. 2019, "A mean field
theory of batch normalization", section 4 and appendix E.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tensoria.backend import Array
from tensoria.limits.expectation import duals
from tensoria.limits.kernels import norms
from tensoria.limits.kernels.session import Session
from tensoria.limits.reading.expressions import Expression, derived, nonlinearity, rays, variable
from tensoria.limits.reading.families import unsupported
from tensoria.limits.reading.nodes import Node, Nonlin, Scale

__all__ = ["Normalised", "expected", "normalised"]

FAR: Final = 3.95
"""Where one norm's integral over s = exp(pi/2 sinh y) ends: at 5e17."""


class Normalised(norms.Side):
    """A function of a family, linear on both sides of zero, times a power of a norm of that family."""

    variable: Node
    tree: Expression
    degree: int
    number: float


def normalised(of: Any, factors: Sequence[Node], run: int) -> Normalised | None:
    """The factors, if that is what they are."""
    if not norms.exact(of.session, factors, run):
        return None
    side = Normalised(of, factors, run)
    if side.function is None or side.norm is None:
        return None
    inner, number = (side.norm.x.x, side.norm.x.number) if isinstance(side.norm.x, Scale) else (side.norm.x, 1.0)
    of_what = side.function.variables[0] if isinstance(side.function, Nonlin) else side.function
    tree = side.function.tree if isinstance(side.function, Nonlin) else variable(0)
    ray = rays(tree)
    if inner is not of_what or ray is None or ray[0] < 1 or of_what.power or side.norm.x.power:
        return None
    if of.mean(of_what, run) is not None:
        return None
    side.tree, side.degree, side.number = tree, ray[0], number
    return side


def expected(
    of: Any, left: Normalised, right: Normalised, a: Node, b: Node, mode: Any, tangents: Array
) -> Array:
    """T of two families of normalised functions.

    Args:
        of: the session's covariances.
        left, right: the families' factors.
        a, b: the families, whose axes the result has.
        mode: the runs.
        tangents: T of what the functions are of, with the examples' axes first.
    """
    s: Session = of.session
    rows, columns = (s.shape(side.variable.sizes, side.run) for side in (left, right))
    lead = (1,) * s.lead(mode)
    tangents = s.backend.xp.broadcast_to(tangents, (*lead, *rows, *columns))
    matrix = s.backend.reshape(tangents, (math.prod(rows), math.prod(columns)))
    same = left.norm.x is right.norm.x and left.run == right.run  # type: ignore[union-attr]
    sides = [left] if same else [left, right]
    tilted = _Tilted(of, sides)
    total: Array | None = None
    size = sum(tilted.sizes) ** 2
    for start in range(0, len(tilted.points), max(1, norms.ENTRIES // (4 * size))):
        part = slice(start, start + max(1, norms.ENTRIES // (4 * size)))
        found = _integrand(of, left, right, tilted, part, matrix)
        total = found if total is None else total + found
    assert total is not None
    return s.backend.reshape(total, (*lead, *s.shape(a.sizes, mode[0]), *s.shape(b.sizes, mode[1])))


class _Tilted:
    """The covariance of one or two families under the weights of their norms, at every point of the integral."""

    def __init__(self, of: Any, sides: Sequence[Normalised]) -> None:
        self.session: Session = of.session
        self.sides = sides
        s, xp = self.session, self.session.backend.xp
        vectors = [(side.variable, side.run) for side in sides]
        self.weights = [side.weights() * side.number**2 for side in sides]
        blocks = [[norms.block(of, x, y) for y in vectors] for x in vectors]
        self.turns: list[Array] = []
        """For each family its directions of variance, times the roots of the weights: they are far apart in size."""
        self.back: list[Array] = []
        self.sizes: list[int] = []
        scales = []
        for n, (side, weight) in enumerate(zip(sides, self.weights, strict=True)):
            root = xp.sqrt(weight)
            turn, scale, rank = self._directions(blocks[n][n], root)
            if side.norm.offset is None and rank < 3:  # type: ignore[union-attr]
                raise unsupported(
                    "a tangent kernel through normalisation over a batch",
                    f"{len(turn)} members that differ in {rank} directions: the mean of 1 / variance is infinite",
                    side.function.where, "larger batches, or an epsilon beside the variance",  # type: ignore[union-attr]
                )  # fmt: skip
            column = s.backend.reshape(root, (-1, 1))
            self.turns.append(column * s.constant(turn))
            self.back.append(s.constant(turn) / column)
            self.sizes.append(turn.shape[1])
            scales.append(scale)
        self.points, self.steps = _points(scales)
        rows = [
            xp.concat([
                xp.matmul(xp.matmul(xp.matrix_transpose(self.turns[m]), blocks[m][n]), self.turns[n])
                for n in range(len(sides))
            ], axis=1) for m in range(len(sides))
        ]  # fmt: skip
        self.K = xp.concat(rows, axis=0)

    def _directions(self, covariance: Array, root: Array) -> tuple[np.ndarray[Any, Any], float, int]:
        backend = self.session.backend
        numbers = np.asarray(backend.to_numpy(backend.detach(covariance)))
        roots = np.asarray(backend.to_numpy(backend.detach(root)), dtype=np.float64)
        values, vectors = np.linalg.eigh(numbers.astype(np.float64) * roots[:, None] * roots)
        there = values > 4 * len(values) * np.finfo(numbers.dtype).eps * max(values[-1], 0.0)
        total = float(np.sum(values[there]))
        return vectors[:, there], 1 / total if total > 0 else 1.0, int(there.sum())

    def at(self, part: slice) -> tuple[Array, list[list[Array]]]:
        """The mass, and the covariances of all pairs of families, at some points."""
        s, xp = self.session, self.session.backend.xp
        points = self.points[part]
        count, n = len(points), sum(self.sizes)
        root = np.sqrt(2 * np.concatenate([np.repeat(points[:, k : k + 1], m, 1) for k, m in enumerate(self.sizes)], 1))
        b = s.constant(root)
        across, down = s.backend.reshape(b, (count, 1, n)), s.backend.reshape(b, (count, n, 1))
        inner = down * self.K * across + s.eye(n)
        size = xp.sqrt(xp.linalg.diagonal(inner))
        rows, columns = s.backend.reshape(size, (count, n, 1)), s.backend.reshape(size, (count, 1, n))
        # Scaled to a diagonal of ones, in which directions of very different sizes do not drown each other.
        lower = xp.linalg.cholesky(inner / rows / columns)
        mass = s.constant(self.steps[part]) / xp.prod(size * xp.linalg.diagonal(lower), axis=-1)
        for k, side in enumerate(self.sides):
            mass = mass * xp.exp(-(s.constant(points[:, k]) * side.offset()))
        half = xp.linalg.solve(lower, down * self.K / rows)
        whole = xp.linalg.solve(xp.matrix_transpose(lower), half) / rows / down
        starts = np.cumsum([0, *self.sizes])
        return mass, [
            [
                xp.matmul(
                    xp.matmul(self.back[m], whole[:, starts[m] : starts[m + 1], starts[k] : starts[k + 1]]),
                    xp.matrix_transpose(self.back[k]),
                )
                for k in range(len(self.sides))
            ]
            for m in range(len(self.sides))
        ]

    def factor(self, part: slice, exponents: Sequence[float]) -> Array:
        """s^(r - 1) / Gamma(r) for every norm."""
        found = np.prod(
            [self.points[part, k] ** (r - 1) / math.gamma(r) for k, r in enumerate(exponents)], axis=0
        )
        return self.session.constant(found)


def _points(scales: Sequence[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points, a column for each norm, and ds there."""
    y = np.arange(norms.START, (FAR if len(scales) == 1 else norms.END) + norms.STEP / 2, norms.STEP)
    grids = [scale * np.exp(np.pi / 2 * np.sinh(y)) for scale in scales]
    steps = [grid * (np.pi / 2) * np.cosh(y) * norms.STEP for grid in grids]
    if len(grids) == 1:
        return grids[0][:, None], steps[0]
    first, second = np.meshgrid(*grids, indexing="ij")
    return np.stack([first.ravel(), second.ravel()], axis=1), np.outer(*steps).ravel()


def _integrand(
    of: Any, left: Normalised, right: Normalised, tilted: _Tilted, part: slice, tangents: Array
) -> Array:
    """The sum over some points of the four expectations."""
    s: Session = of.session
    backend, xp = s.backend, s.backend.xp
    mass, covariances = tilted.at(part)
    LL, LR, RR = covariances[0][0], covariances[0][-1], covariances[-1][-1]
    w, v = tilted.weights[0], tilted.weights[-1]
    count = int(mass.shape[0])
    a = backend.reshape(xp.linalg.diagonal(LL), (count, -1, 1))
    b = backend.reshape(xp.linalg.diagonal(RR), (count, 1, -1))
    f, g = nonlinearity(left.tree, 1, 0), nonlinearity(right.tree, 1, 0)
    df, dg = (nonlinearity(derived(tree, 0, 1, 0), 1, 0) for tree in (left.tree, right.tree))
    value = duals.pair(backend, f, g, a, b, LR)
    slope = duals.pair(backend, df, dg, a, b, LR)
    # Euler's relation; a member that does not vary differs from none, so nothing is lost with it.
    first = _divided(xp, left.degree * value - LR * slope, a)
    second = _divided(xp, right.degree * value - LR * slope, b)

    weighed = backend.reshape(w, (-1, 1)) * tangents  # w_k T_kj
    weighted = tangents * backend.reshape(v, (1, -1))  # T_il w_l
    both = backend.reshape(w, (-1, 1)) * weighted
    alpha = xp.sum(weighted * LR, axis=-1)
    beta = xp.sum(weighed * LR, axis=-2)
    inside = xp.matmul(LL, both)
    gamma = xp.sum(inside * LR, axis=-1)
    delta = xp.sum(xp.matmul(both, RR) * LR, axis=-2)
    crossed = xp.matmul(xp.matmul(LR, xp.matrix_transpose(both)), LR)
    trace = xp.sum(both * LR, axis=(-2, -1))

    def column(array: Array) -> Array:
        return backend.reshape(array, (count, -1, 1))

    def row(array: Array) -> Array:
        return backend.reshape(array, (count, 1, -1))

    one = tangents * slope
    other = column(alpha) * first + xp.matmul(weighted, RR) * slope
    another = xp.matmul(LL, weighed) * slope + row(beta) * second
    last = (
        backend.reshape(trace, (count, 1, 1)) * value + column(gamma) * first + row(delta) * second
        + (xp.matmul(inside, RR) + crossed) * slope
    )  # fmt: skip
    r, q = -float(left.exponent), -float(right.exponent)
    terms = ((one, 1.0, 0, 0), (other, -2 * q, 0, 1), (another, -2 * r, 1, 0), (last, 4 * r * q, 1, 1))
    total: Array | None = None
    for term, number, m, n in terms:
        exponents = [r + m + q + n] if len(tilted.sides) == 1 else [r + m, q + n]
        weight = backend.reshape(mass * tilted.factor(part, exponents), (count, 1, 1))
        found = number * xp.sum(weight * term, axis=0)
        total = found if total is None else total + found
    assert total is not None
    return total


def _divided(xp: Any, numerator: Array, denominator: Array) -> Array:
    there = denominator > 0
    return xp.where(there, numerator / xp.where(there, denominator, xp.ones_like(denominator)), 0.0 * numerator)
