"""Tier C: the mean of a product of atoms that depend on up to three Gaussians, over points with weights.

Atoms of affine functions depend on as many directions as these span, however many Gaussians there are; what is
perpendicular to them appears in powers only, and is integrated by Isserlis' formula. Smooth integrands take the
trapezoidal rule in each direction. With kinks the plane is cut: an integral over the last direction is broken where a
kink crosses it, and what remains is smooth but where two kinks cross, or one is parallel to the last direction. So the
breaks of each outer direction come from eliminating the inner one, as in Fourier and Motzkin's method.
Two resolutions give the error.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tensoria.discovery import get
from tensoria.limits.expectation.algebra import Algebra, Monomial, Polynomial, Symbol
from tensoria.programs.evaluation import evaluate

__all__ = ["ALLOWANCE", "Cloud", "Quadrature"]

Floats: TypeAlias = "np.ndarray[Any, Any]"
SPACINGS = {1: (0.2, 0.1, 0.05, 0.02), 2: (0.2, 0.1, 0.05, 0.03), 3: (0.3, 0.2, 0.15)}
"""Distances of points of the trapezoidal rule, by number of directions, each tried if the one before is not enough."""
POINTS = {1: (10, 16, 24), 2: (8, 12, 18), 3: (6, 9, 12)}
"""Gauss-Legendre points in a panel."""
PANELS = {
    1: (-9.5, -6.0, -4.0, -2.5, -1.2, 0.0, 1.2, 2.5, 4.0, 6.0, 9.5),
    2: (-9.5, -6.0, -4.0, -2.5, -1.2, 0.0, 1.2, 2.5, 4.0, 6.0, 9.5),
    3: (-8.5, -4.0, -1.5, 1.5, 4.0, 8.5),
}
REACH = 9.5
GOAL = 2e-12
"""The relative difference of two resolutions that is small enough."""
MOST_KINKS = 40
MOST_POINTS = 6_000_000
ALLOWANCE = 30_000_000
"""So many points in three directions are spent before particles take over: a second or two."""
JUMPS = frozenset(("floor", "ceil", "round", "trunc", "remainder", "floor_divide", "signbit", "copysign"))
Plane: TypeAlias = "tuple[float, ...]"
"""Normal and offset: n . u + offset = 0."""


@dataclass(eq=False)
class Cloud:
    """Points with weights, and the values of symbols there.

    Attributes:
        points: (count, directions).
        weights: (count,), of the standard normal density.
    """

    points: Floats
    weights: Floats
    values: dict[Any, Floats] = field(default_factory=dict)


@dataclass(eq=False)
class _Directions:
    """What a product of atoms depends on.

    Attributes:
        gaussians: the symbols.
        basis: (gaussians, directions): orthonormal, in units of each Gaussian's deviation.
        deviations: of the Gaussians.
        whole: whether the directions are the Gaussians themselves.
    """

    gaussians: list[int]
    basis: Floats
    deviations: Floats
    whole: bool
    planes: list[Plane] | None


class Quadrature:
    """Means of products of atoms, with caches of clouds."""

    def __init__(self, algebra: Algebra, most: int = 3) -> None:
        self.algebra, self.most = algebra, most
        self.left = ALLOWANCE
        self._backend = get("numpy")
        self._clouds: dict[Any, Cloud] = {}
        self._directions: dict[frozenset[int], _Directions | None] = {}

    def mean(self, product: Monomial) -> tuple[float, float] | None:
        """The mean of a product of symbols that hang together, and its error; None if it is too much for quadrature."""
        atoms = frozenset(n for n, _ in product if self.algebra.symbols[n].operation != "gaussian")
        if atoms not in self._directions:
            self._directions[atoms] = self._found(atoms)
        of = self._directions[atoms]
        if of is None or of.basis.shape[1] > self.most:
            return None
        count = of.basis.shape[1]
        if count > 2 and self.left <= 0:
            return None
        levels = SPACINGS[count] if not of.planes else POINTS[count]
        before: float | None = None
        error = math.inf
        for level in levels:
            cloud = self._cloud(atoms, of, level)
            if cloud is None:
                break
            value, size = self._sum(product, of, cloud)
            if count > 2:
                self.left -= len(cloud.weights)
            if not math.isfinite(value):
                return None
            if before is not None:
                error = abs(value - before)
            before = value
            if error <= GOAL * max(size, 1e-300):
                break
        return None if before is None or error == math.inf else (before, error)

    # -- directions and kinks -------------------------------------------------------------------------------------

    def _found(self, atoms: frozenset[int]) -> _Directions | None:
        algebra = self.algebra
        gaussians = sorted({g for n in atoms for g in algebra.symbols[n].gaussians})
        deviations = np.array([math.sqrt(float(algebra.symbols[g].variance)) for g in gaussians])
        place = {g: i for i, g in enumerate(gaussians)}
        lines: list[Floats] = []
        kinks: list[tuple[Floats, float]] = []
        whole = False
        seen: set[int] = set()

        def visit(n: int) -> bool:
            """Whether all kinks in a symbol are known."""
            nonlocal whole
            if n in seen:
                return True
            seen.add(n)
            symbol = algebra.symbols[n]
            if symbol.operation in JUMPS or symbol.operation == "where":
                return False
            if symbol.operation == "expected":
                whole = True
                return bool(dict(symbol.attributes)["smooth"])
            for argument in symbol.arguments:
                if algebra.affine(argument):
                    line = np.zeros(len(gaussians))
                    for m, c in argument.terms.items():
                        if m:
                            line[place[m[0][0]]] = float(c) * deviations[place[m[0][0]]]
                    lines.append(line)
                    if symbol.operation == "step":
                        kinks.append((line, float(argument.terms.get((), 0))))
                else:
                    whole = True
                    if symbol.operation == "step":
                        return False
                    inner = [m for m in argument.symbols() if algebra.symbols[m].operation != "gaussian"]
                    if not all(visit(m) for m in inner):
                        return False
            return True

        if not all(visit(n) for n in atoms):
            return None
        if whole:
            if len(gaussians) > self.most:
                return None
            basis = np.eye(len(gaussians))
        else:
            basis = orthonormal([line for line, _ in kinks] + lines)
            if basis.shape[1] > self.most:
                return None
        planes = [(*(basis.T @ line), offset) for line, offset in kinks]
        return _Directions(gaussians, basis, deviations, whole, planes)

    # -- points ---------------------------------------------------------------------------------------------------

    def _cloud(self, atoms: frozenset[int], of: _Directions, level: float) -> Cloud | None:
        key = (atoms, level)
        found = self._clouds.get(key)
        if found is None:
            count = of.basis.shape[1]
            made = broken(of.planes, count, int(level)) if of.planes else regular(count, level)
            if made is None:
                return None
            if count > 2:
                self.left -= 4 * len(made.weights)
            if sum(len(c.weights) for c in self._clouds.values()) > MOST_POINTS:
                self._clouds.clear()
            found = self._clouds[key] = made
        return found

    # -- values ---------------------------------------------------------------------------------------------------

    def _sum(self, product: Monomial, of: _Directions, cloud: Cloud) -> tuple[float, float]:
        with np.errstate(all="ignore"):
            total: Floats = cloud.weights
            powers: list[int] = []
            for n, times in product:
                if self.algebra.symbols[n].operation == "gaussian":
                    powers += [n] * times
                else:
                    value = self.value(n, of, cloud)
                    total = total * (value if times == 1 else value**times)
            if powers:
                total = total * self._wick(tuple(powers), of, cloud)
            return float(total.sum()), float(np.abs(total).sum())

    def _wick(self, powers: tuple[int, ...], of: _Directions, cloud: Cloud) -> Any:
        """The mean of a product of Gaussians where the directions are known."""
        places = [of.gaussians.index(n) for n in powers]
        rest = np.eye(len(of.gaussians)) - of.basis @ of.basis.T
        covariance = of.deviations[:, None] * rest * of.deviations[None, :]

        def mean(these: tuple[int, ...]) -> Any:
            if not these:
                return 1.0
            first, *others = these
            total = self._gaussian(first, of, cloud) * mean(tuple(others))
            for i, other in enumerate(others):
                if abs(covariance[first, other]) > 1e-15 * of.deviations[first] * of.deviations[other]:
                    total = total + covariance[first, other] * mean((*others[:i], *others[i + 1 :]))
            return total

        return mean(tuple(places))

    def _gaussian(self, place: int, of: _Directions, cloud: Cloud) -> Floats:
        key = ("gaussian", place)
        if key not in cloud.values:
            cloud.values[key] = of.deviations[place] * (cloud.points @ of.basis[place])
        return cloud.values[key]

    def value(self, n: int, of: _Directions, cloud: Cloud) -> Floats:
        """A symbol's values at the points."""
        found = cloud.values.get(n)
        if found is None:
            symbol = self.algebra.symbols[n]
            if symbol.operation == "gaussian":
                return self._gaussian(of.gaussians.index(n), of, cloud)
            if symbol.operation == "expected":
                found = self._expected(symbol, of, cloud)
            else:
                found = operated(symbol, [self.polynomial(p, of, cloud) for p in symbol.arguments])
            cloud.values[n] = found
        return found

    def polynomial(self, p: Polynomial, of: _Directions, cloud: Cloud) -> Floats:
        """A polynomial's values at the points."""
        total: Any = 0.0
        for m, c in p.terms.items():
            part: Any = float(c)
            for n, times in m:
                value = self.value(n, of, cloud)
                part = part * (value if times == 1 else value**times)
            total = total + part
        return total if isinstance(total, np.ndarray) else np.full(len(cloud.weights), float(total))

    def _expected(self, symbol: Symbol, of: _Directions, cloud: Cloud) -> Floats:
        """A mean over other Gaussians, at every point: a second cloud, a block of points at a time."""
        over = sorted(dict(symbol.attributes)["over"])
        inner = regular(len(over), 0.1 if len(over) == 1 else 0.25)
        assert inner is not None
        count = len(cloud.weights)
        out = np.empty(count)
        size = max(1, 2_000_000 // len(inner.weights))
        for start in range(0, count, size):
            part = slice(start, start + size)
            arrays: dict[int, Floats] = {}
            for g in of.gaussians:
                arrays[g] = self._gaussian(of.gaussians.index(g), of, cloud)[part, None]
            for i, g in enumerate(over):
                arrays[g] = math.sqrt(float(self.algebra.symbols[g].variance)) * inner.points[None, :, i]
            found = on_arrays(self.algebra, symbol.arguments[0], arrays)
            out[part] = (found * inner.weights).sum(axis=-1)
        return out


def orthonormal(lines: Sequence[Floats]) -> Floats:
    """Orthonormal columns that span some vectors, each new one the rest of the vector that is farthest from the others.

    In this basis the first kink crosses the outermost direction only, the second one two, and so on.
    """
    rest = [line / max(float(np.linalg.norm(line)), 1e-300) for line in lines]
    columns: list[Floats] = []
    while True:
        sizes = [float(np.linalg.norm(line)) for line in rest]
        best = int(np.argmax(sizes))
        if sizes[best] < 1e-10:
            break
        unit = rest[best] / sizes[best]
        columns.append(unit)
        rest = [line - (line @ unit) * unit for line in rest]
    return np.stack(columns, axis=1)


def on_arrays(algebra: Algebra, p: Polynomial, known: dict[int, Floats]) -> Any:
    """A polynomial's values where symbols are known; what is computed is kept there."""
    total: Any = 0.0
    for m, c in p.terms.items():
        part: Any = float(c)
        for n, times in m:
            if n not in known:
                symbol = algebra.symbols[n]
                known[n] = operated(symbol, [on_arrays(algebra, q, known) for q in symbol.arguments])
            part = part * (known[n] if times == 1 else known[n] ** times)
        total = total + part
    return total


def operated(symbol: Symbol, arguments: Sequence[Any]) -> Floats:
    """A function of arrays."""
    if symbol.operation == "let":
        return np.asarray(arguments[0])
    if symbol.operation == "step":
        return np.asarray(np.greater(arguments[0], 0), dtype=np.float64)
    if symbol.operation == "where":
        return np.asarray(np.where(np.greater(arguments[0], 0.5), arguments[1], arguments[2]))
    arrays = tuple(np.asarray(a, dtype=np.float64) for a in arguments)
    return np.asarray(evaluate(get("numpy"), symbol.operation, arrays, dict(symbol.attributes)))


def regular(count: int, spacing: float) -> Cloud | None:
    """A regular grid."""
    reach = REACH if count < 3 else 8.5
    x = np.arange(-round(reach / spacing), round(reach / spacing) + 1) * spacing
    w = spacing * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    if len(x) ** count > MOST_POINTS:
        return None
    points = np.stack(np.meshgrid(*[x] * count, indexing="ij"), axis=-1).reshape(-1, count)
    weights = w
    for _ in range(count - 1):
        weights = np.multiply.outer(weights, w)
    weights = weights.reshape(-1)
    # Corners of the cube weigh nothing.
    kept = weights > 1e-24 * weights.max()
    return Cloud(points[kept], weights[kept])


def eliminated(planes: Sequence[Plane]) -> list[Plane]:
    """Where the integral over the last direction may have kinks, in the directions before it."""
    found: dict[Plane, None] = {}

    def add(plane: Sequence[float]) -> None:
        size = math.hypot(*plane[:-1])
        if size > 1e-12:
            sign = next(x for x in plane[:-1] if abs(x) > 1e-12 * size)
            scale = math.copysign(size, sign)
            found.setdefault(tuple(round(x / scale, 12) for x in plane))

    steep = []
    for *before, last, offset in planes:
        rest = math.hypot(*before) if before else 0.0
        if abs(last) > 1e-12 * max(rest, 1e-300):
            steep.append((*before, last, offset))
        if abs(last) < 0.5 * rest:
            # Nearly parallel to the last direction: what is left changes within a short distance.
            for m in (0.0, 1.5, -1.5, 6.0, -6.0) if abs(last) > 1e-12 * rest else (0.0,):
                add((*before, offset + m * last))
    for a, b in itertools.combinations(steep, 2):
        mixed = [b[-2] * x - a[-2] * y for x, y in zip(a, b, strict=True)]
        add((*mixed[:-2], mixed[-1]))
    return list(found)


def broken(planes: Sequence[Plane], count: int, points: int) -> Cloud | None:
    """Gauss-Legendre points in panels that end at kinks."""
    levels = [list(planes)]
    for _ in range(count - 1):
        levels.append(eliminated(levels[-1]))
    levels.reverse()
    if any(len(level) > MOST_KINKS for level in levels):
        return None
    x, w = np.polynomial.legendre.leggauss(points)
    at, weights = np.zeros((1, 0)), np.ones(1)
    for level in levels:
        ends = [np.full(len(at), end) for end in PANELS[count]]
        reach = PANELS[count][-1]
        for *before, last, offset in level:
            if abs(last) > 1e-14:
                ends.append(np.clip(-(at @ np.array(before, dtype=float) + offset) / last, -reach, reach))
        edges = np.sort(np.stack(ends, axis=-1), axis=-1)
        low, half = edges[:, :-1], np.diff(edges, axis=-1) / 2
        u = (low + half)[..., None] + half[..., None] * x
        v = half[..., None] * w * np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        total = (v * weights[:, None, None]).reshape(-1)
        kept = total > 1e-22
        if kept.sum() > MOST_POINTS:
            return None
        spread = np.broadcast_to(at[:, None, None, :], (*u.shape, at.shape[1])).reshape(u.size, at.shape[1])
        at = np.concatenate([spread[kept], u.reshape(-1, 1)[kept]], axis=1)
        weights = total[kept]
    return Cloud(at, weights)
