"""Tier D: expectations of functions of many Gaussian vectors at a time, by samples of them.

All Gaussian vectors that the functions depend on, at all members and examples, are drawn jointly; the functions are
computed point by point, and products are averaged. Points are those of a lattice (`lattice`) and their negatives, with
random shifts of a fixed seed, so that results repeat; the standard error is estimated from groups of points, each with
a shift of its own, and kept in the session.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tensoria.backend import Array
from tensoria.limits.kernels.entries import same_entries
from tensoria.limits.kernels.lattice import gaussian
from tensoria.limits.kernels.session import Session
from tensoria.limits.language.nonlinearity import traced
from tensoria.limits.laws import Law
from tensoria.limits.quantiles import quantile
from tensoria.limits.reading.expressions import nonlinearity
from tensoria.limits.reading.families import unsupported
from tensoria.limits.reading.nodes import (
    Constant,
    Detached,
    Gathered,
    Initial,
    Map,
    Mix,
    Node,
    Nonlin,
    Place,
    Product,
    Quadratic,
    Scale,
    Sum,
    Weigh,
)

__all__ = ["GROUPS", "NUMBERS", "Draw", "expected", "gaussians"]

GROUPS: Final = 16
"""The points are averaged in so many groups, whose means tell the standard error."""
NUMBERS: Final = 1 << 22
"""So many numbers of one family are held at a time."""
LIMIT: Final = 4096
"""So many Gaussian numbers are drawn jointly at most: their covariance is factorised."""


def gaussians(factors: Sequence[Node]) -> list[Node]:
    """The Gaussian families that nodes are made of, and parameters that are not, which keep their law.

    Several selections of one family, such as the positions of windows, are drawn as that family.
    """
    found: dict[int, Node] = {}
    for x in factors:
        _gather(x, found)
    parts: dict[int, list[Map]] = {}
    for x in found.values():
        if isinstance(x, Map) and x.gaussian:
            parts.setdefault(id(x.x), []).append(x)
    for maps in parts.values():
        base = maps[0].x
        if len(maps) > 1 and (id(base) in found or sum(map(_members, maps)) >= _members(base)):
            for x in maps:
                del found[id(x)]
            found[id(base)] = base
    return list(found.values())


def _members(x: Node) -> int:
    """How many members a family has, open sizes left out."""
    return math.prod(size for size in x.sizes if isinstance(size, int))


def _gather(x: Node, found: dict[int, Node]) -> None:
    if isinstance(x, Constant):
        return
    if x.gaussian or isinstance(x, (Initial, Gathered)):
        found[id(x)] = x
        return
    for inner in x.below():
        _gather(inner, found)


def expected(of: Any, left: Sequence[Node], right: Sequence[Node], a: Node, b: Node, mode: Any, points: int) -> Array:
    """E of the product of all factors, those on the left at the members of a, those on the right at those of b.

    Args:
        of: the session's covariances.
        left, right: the factors; none on the right for a mean.
        a, b: the families whose axes the result has.
        mode: the runs.
        points: how many samples.
    """
    return Draw(of, left, right, a, b, mode).average(points)


def _law(x: Node) -> Law:
    of = x.of if isinstance(x, Gathered) else x
    assert isinstance(of, Initial)
    return of.law


def _name(x: Initial | Gathered) -> str:
    return x.of.name if isinstance(x, Gathered) else x.name


def _normal(session: Session, x: Node, y: Node, mode: Any) -> Array | None:
    """The covariance of the normal variables that entries of parameters are functions of."""
    if isinstance(x, (Initial, Gathered)) and isinstance(y, (Initial, Gathered)) and _name(x) == _name(y):
        return same_entries(session, x, y, mode)
    return None


class Draw:
    """One joint distribution, and functions of it."""

    def __init__(self, of: Any, left: Sequence[Node], right: Sequence[Node], a: Node, b: Node, mode: Any) -> None:
        self.of, self.left, self.right, self.a, self.b, self.mode = of, left, right, a, b, mode
        self.session: Session = of.session
        self.aligned = mode[2]
        runs = [mode[0], mode[1]] if right else [mode[0]]
        self.runs = list(dict.fromkeys(runs))
        self.variables: list[tuple[Node, int]] = []
        for run in self.runs:
            factors = [x for of, at in ((left, mode[0]), (right, mode[1])) for x in of if at == run]
            self.variables += [(x, run) for x in gaussians(factors)]
        self.counts = {run: self.session.runs[run].count for run in self.runs}
        self.lengths = [math.prod(self.session.shape(x.sizes, run)) for x, run in self.variables]
        own = [1 if self.aligned else self._examples(x, run) for x, run in self.variables]
        self.blocks = [n * m for n, m in zip(own, self.lengths, strict=True)]
        total = sum(self.blocks)
        if total > LIMIT:
            raise unsupported(
                "an expectation over several Gaussian vectors at a time",
                f"{total} Gaussian numbers would be drawn jointly, more than {LIMIT}", a.where,
                "block=... takes fewer examples at a time",
            )  # fmt: skip
        self.root = self._root()

    def _root(self) -> Array:
        """A square root of the joint covariance, for each example if examples are by themselves."""
        xp = self.session.backend.xp
        rows = [xp.concat([self._block(x, y) for y in self.variables], axis=-1) for x in self.variables]
        joint = xp.concat(rows, axis=-2)
        values, vectors = xp.linalg.eigh(joint)
        size = xp.sqrt(xp.where(values > 0, values, xp.zeros_like(values)))
        return xp.flip(vectors * xp.expand_dims(size, axis=-2), axis=-1)  # the directions of largest variance first

    def _examples(self, x: Node, run: int) -> int:
        """For how many examples a family is drawn: entries of a parameter are the same for all."""
        return 1 if isinstance(x, Initial) and not x.gaussian and not x.fresh else self.counts[run]

    def _block(self, x: tuple[Node, int], y: tuple[Node, int]) -> Array:
        s, backend = self.session, self.session.backend
        (first, r), (second, q) = x, y
        plain = first.gaussian and second.gaussian
        mode = (r, q, self.aligned)
        found = self.of.of(first, second, mode) if plain else _normal(s, first, second, mode)
        m, n = math.prod(s.shape(first.sizes, r)), math.prod(s.shape(second.sizes, q))
        if found is None or first.power < 0 or second.power < 0:
            found = s.number(0.0)
        means = self.of.mean(first, r), self.of.mean(second, q)
        if plain and means[0] is not None and means[1] is not None:
            one = s.beside(means[0], mode, 0, 0, len(second.sizes))
            found = found - one * s.beside(means[1], mode, 1, len(first.sizes), 0)
        shape = (*s.shape(first.sizes, r), *s.shape(second.sizes, q))
        if self.aligned:
            found = backend.xp.broadcast_to(found, (self.counts[r], *shape))
            return backend.reshape(found, (self.counts[r], m, n))
        counts = self._examples(first, r), self._examples(second, q)
        found = backend.xp.broadcast_to(found, (*counts, *shape))
        found = backend.reshape(found, (*counts, m, n))
        found = backend.xp.permute_dims(found, (0, 2, 1, 3))
        return backend.reshape(found, (counts[0] * m, counts[1] * n))

    @property
    def name(self) -> str:
        """What is averaged, where errors are reported."""
        return str(self.of.named(self.left[0] if self.left else self.right[0]))

    @property
    def widest(self) -> int:
        """So many numbers has one point at most."""
        sizes = [math.prod(self.session.shape(x.sizes, run)) * self.counts[run] for x, run in self.variables]
        return int(max([1, *sizes]))

    def average(self, points: int) -> Array:
        """The mean over all points, in groups."""
        largest = max(1, NUMBERS // (2 * self.widest)) * 2
        group = max(2, points // GROUPS)
        random = np.random.default_rng(0)
        groups = []
        for _ in range(GROUPS):
            shift = random.uniform(size=int(self.root.shape[-1]))
            total, done = None, 0
            while done < group:
                count = min(largest, group - done)
                count += count % 2
                part = self._summed(self._drawn(random, shift, done // 2, count))
                total = part if total is None else total + part
                done += count
            assert total is not None
            groups.append(total / done)
        xp = self.session.backend.xp
        stacked = xp.stack(groups)
        mean = xp.mean(stacked, axis=0)
        detached = self.session.backend.to_numpy(self.session.backend.detach(stacked))
        error = float((detached.std(axis=0, ddof=1) / math.sqrt(GROUPS)).max())
        self.of.errors[self.name] = max(error, self.of.errors.get(self.name, 0.0))
        return mean

    def _drawn(
        self, random: np.random.Generator, shift: np.ndarray[Any, Any], start: int, count: int
    ) -> dict[tuple[int, int], Array]:
        """All Gaussian families at some points, the second half the negative of the first."""
        s, backend = self.session, self.session.backend
        xp = backend.xp
        half = gaussian(shift, random, start, count // 2)
        z = s.constant(np.concatenate([half, -half]))
        if self.aligned:  # points by examples by Gaussian numbers
            drawn = xp.permute_dims(xp.matmul(z, xp.matrix_transpose(self.root)), (1, 0, 2))
        else:
            drawn = xp.matmul(z, xp.matrix_transpose(self.root))
        known: dict[tuple[int, int], Array] = {}
        start = 0
        for (x, run), size in zip(self.variables, self.blocks, strict=True):
            part = drawn[..., start : start + size]
            examples = self.counts[run] if self.aligned else self._examples(x, run)
            part = backend.reshape(part, (count, examples, *s.shape(x.sizes, run)))
            mean = self.of.mean(x, run)
            entry = quantile(_law(x)) if not x.gaussian and x.power >= 0 else None
            if entry is not None:
                known[id(x), run] = traced(entry, 1, 0).evaluate(backend, [part])
            else:
                known[id(x), run] = part if mean is None else part + xp.expand_dims(mean, axis=0)
            start += size
        return known

    def _summed(self, known: dict[tuple[int, int], Array]) -> Array:
        """The sum over points that were drawn."""
        s, backend = self.session, self.session.backend
        xp = backend.xp
        first = self._product(self.left, self.mode[0], known, self.a)
        if not self.right:
            return xp.sum(first, axis=0)
        second = self._product(self.right, self.mode[1], known, self.b)
        count = int(first.shape[0])
        m, n = s.shape(self.a.sizes, self.mode[0]), s.shape(self.b.sizes, self.mode[1])
        if self.aligned:
            k = self.counts[self.mode[0]]
            f = xp.permute_dims(backend.reshape(first, (count, k, math.prod(m))), (1, 2, 0))
            g = xp.permute_dims(backend.reshape(second, (count, k, math.prod(n))), (1, 0, 2))
            return backend.reshape(xp.matmul(f, g), (k, *m, *n))
        p, q = self.counts[self.mode[0]], self.counts[self.mode[1]]
        f = backend.reshape(first, (count, p * math.prod(m)))
        g = backend.reshape(second, (count, q * math.prod(n)))
        found = backend.reshape(xp.matmul(xp.matrix_transpose(f), g), (p, math.prod(m), q, math.prod(n)))
        return backend.reshape(xp.permute_dims(found, (0, 2, 1, 3)), (p, q, *m, *n))

    def _product(self, factors: Sequence[Node], run: int, known: dict[tuple[int, int], Array], whole: Node) -> Array:
        total: Array | None = None
        for x in factors:
            value = self._value(x, run, known)
            total = value if total is None else total * value
        s = self.session
        if total is None:
            total = s.backend.reshape(s.number(1.0), (1,) * (2 + len(whole.sizes)))
        count = max(array.shape[0] for array in known.values())
        shape = (count, self.counts[run], *s.shape(whole.sizes, run))
        return s.backend.xp.broadcast_to(total, shape)

    # -- the value of a node at every point -----------------------------------------------------------------------

    def _value(self, x: Node, run: int, known: dict[tuple[int, int], Array]) -> Array:
        key = id(x), run
        if key not in known:
            known[key] = self._computed(x, run, known)
        return known[key]

    def _det(self, det: Any, places: Sequence[int], count: int, run: int) -> Array:
        s = self.session
        return s.backend.xp.expand_dims(s.placed(s.family(det, run), 1, places, count), axis=0)

    def _computed(self, x: Node, run: int, known: dict[tuple[int, int], Array]) -> Array:
        s = self.session

        def value(of: Node) -> Array:
            return self._value(of, run, known)

        if isinstance(x, Constant):
            return self._det(x.value, x.places, len(x.sizes), run)
        if isinstance(x, Sum):
            total = None
            for of in x.terms:
                if of.power == x.power:
                    total = value(of) if total is None else total + value(of)
            return total
        if isinstance(x, Scale):
            return value(x.x) * x.number
        if isinstance(x, Detached):
            return value(x.x)
        if isinstance(x, Weigh):
            return value(x.x) * self._det(x.value, x.places, len(x.sizes), run)
        if isinstance(x, Place):
            return s.placed(value(x.x), 2, x.places, len(x.sizes))
        if isinstance(x, Map):
            return x.apply(s, run, value(x.x), 2)
        if isinstance(x, Mix):
            inner = s.stretched(value(x.x), x.x.sizes, 2, run)
            return s.contracted([self._mixing(x, run), inner], *self._labels(x))
        if isinstance(x, Product):
            total = value(x.factors[0])
            for of in x.factors[1:]:
                total = total * value(of)
            return total
        if isinstance(x, Nonlin):
            given = [value(of) for of in x.variables]
            given += [self._det(det, places, len(x.sizes), run) for det, places in x.scalars]
            return nonlinearity(x.tree, len(x.variables), len(x.scalars)).evaluate(s.backend, given)
        assert isinstance(x, Quadratic)
        return s.placed(self._squares(x, run, known) ** float(x.exponent), 2, x.places, len(x.sizes))

    def _squares(self, x: Quadratic, run: int, known: dict[tuple[int, int], Array]) -> Array:
        """What a norm is a power of."""
        s = self.session
        inner = s.backend.xp.square(self._value(x.x, run, known))
        total = x.total.apply(s, run, s.stretched(inner, x.x.sizes, 2, run), 2)
        if x.offset is None:
            return total
        return total + s.backend.reshape(s.family(x.offset, run), (1, 1, *(1,) * len(x.total.sizes)))

    def _mixing(self, x: Mix, run: int) -> Array:
        """The weights of a sum of members."""
        s = self.session
        return s.backend.xp.expand_dims(s.stretched(s.family(x.value, run), x.value.sizes, 1, run), axis=0)

    def _labels(self, x: Mix) -> tuple[list[list[int]], list[int]]:
        numbers = {label: n for n, label in enumerate(dict.fromkeys([*x.of_value, *x.of_x]))}
        return [[numbers[k] for k in x.of_value], [numbers[k] for k in x.of_x]], [numbers[k] for k in x.out]
