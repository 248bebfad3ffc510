"""Tier D of tangent kernels: functions of many Gaussian vectors at a time, such as pooled functions and gates.

For F_i(u) and G_j(v), u and v Gaussian families, T(F_i, G_j) is the sum over their members k and l of
E[dF_i/du_k dG_j/dv_l] T(u_k, v_l). Points of (u, v) are drawn as for covariances (`particles`); at each of them all
derivatives are taken forwards, one direction for each member, and contracted with T.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensoria.backend import Array
from tensoria.limits.kernels.particles import NUMBERS, Draw, gaussians
from tensoria.limits.reading.expressions import derived, nonlinearity
from tensoria.limits.reading.families import unsupported
from tensoria.limits.reading.nodes import (
    Constant,
    Detached,
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

__all__ = ["Slopes"]

Known = dict[tuple[int, int], Array]


class Slopes(Draw):
    """Products of derivatives, contracted with tangents.

    Args:
        of: the session's covariances.
        left, right: the factors.
        a, b: the families that they are factors of, whose axes the result has.
        mode: the runs.
        tangents: T of the `gaussians` of the left and of the right, where it is not zero, by their numbers.
    """

    def __init__(
        self, of: Any, left: Sequence[Node], right: Sequence[Node], a: Node, b: Node, mode: Any,
        tangents: dict[tuple[int, int], Array],
    ) -> None:  # fmt: skip
        super().__init__(of, left, right, a, b, mode)
        self.sides = gaussians(left), gaussians(right)
        self.directions = tuple(
            [math.prod(self.session.shape(x.sizes, run)) for x in side]
            for side, run in zip(self.sides, mode[:2], strict=True)
        )
        s, xp = self.session, self.session.backend.xp
        lead = (self.counts[mode[0]],) if self.aligned else (self.counts[mode[0]], self.counts[mode[1]])
        rows = []
        for m, (x, size) in enumerate(zip(self.sides[0], self.directions[0], strict=True)):
            row = []
            for n, (y, other) in enumerate(zip(self.sides[1], self.directions[1], strict=True)):
                found = tangents.get((m, n))
                if found is None:
                    found = s.backend.reshape(s.number(0.0), (1,) * (len(lead) + len(x.sizes) + len(y.sizes)))
                whole = (*lead, *s.shape(x.sizes, mode[0]), *s.shape(y.sizes, mode[1]))
                row.append(s.backend.reshape(xp.broadcast_to(found, whole), (*lead, size, other)))
            rows.append(xp.concat(row, axis=-1))
        self.tangents = xp.concat(rows, axis=-2)
        if self.widest > NUMBERS:
            raise unsupported(
                "a tangent kernel of functions of several Gaussian vectors at a time",
                f"{self.widest} derivatives at every point, more than {NUMBERS}", a.where,
                "block=... takes fewer examples at a time",
            )  # fmt: skip

    @property
    def name(self) -> str:
        """What is averaged, where errors are reported."""
        return f"the slopes of {super().name}"

    @property
    def widest(self) -> int:
        """So many numbers has one point at most."""
        s = self.session
        members = [math.prod(s.shape(x.sizes, run)) for x, run in zip((self.a, self.b), self.mode[:2], strict=True)]
        inner = [
            max([math.prod(s.shape(x.sizes, run)) for x in side] + [m])
            for side, run, m in zip(self.sides, self.mode[:2], members, strict=True)
        ]
        counts = [self.counts[run] for run in self.mode[:2]]
        own = [sum(of) * m * count for of, m, count in zip(self.directions, inner, counts, strict=True)]
        pairs = counts[0] * (1 if self.aligned else counts[1])
        return int(max([super().widest, *own, pairs * members[0] * sum(self.directions[1])]))

    def _summed(self, known: Known) -> Array:
        s, backend = self.session, self.session.backend
        xp = backend.xp
        first = self._derivatives(self.left, 0, known, self.a)
        second = self._derivatives(self.right, 1, known, self.b)
        m, n = s.shape(self.a.sizes, self.mode[0]), s.shape(self.b.sizes, self.mode[1])
        i, j = math.prod(m), math.prod(n)
        k, points, p, _ = first.shape
        l, _, q, _ = second.shape
        f = backend.reshape(xp.permute_dims(first, (2, 1, 3, 0)), (p, points * i, k))
        if self.aligned:
            moved = backend.reshape(xp.matmul(f, self.tangents), (p, points, i, l))
            moved = backend.reshape(xp.permute_dims(moved, (0, 2, 1, 3)), (p, i, points * l))
            g = backend.reshape(xp.permute_dims(second, (2, 1, 0, 3)), (p, points * l, j))
            return backend.reshape(xp.matmul(moved, g), (p, *m, *n))
        flat = backend.reshape(xp.permute_dims(self.tangents, (0, 2, 1, 3)), (p, k, q * l))
        moved = backend.reshape(xp.matmul(f, flat), (p, points, i, q, l))
        moved = backend.reshape(xp.permute_dims(moved, (0, 3, 2, 1, 4)), (p, q, i, points * l))
        g = backend.reshape(xp.permute_dims(second, (2, 1, 0, 3)), (1, q, points * l, j))
        return backend.reshape(xp.matmul(moved, g), (p, q, *m, *n))

    def _derivatives(self, factors: Sequence[Node], side: int, known: Known, whole: Node) -> Array:
        """Directions by points by examples by members."""
        s, xp, run = self.session, self.session.backend.xp, self.mode[side]
        slopes: dict[int, Array | None] = {}
        start, total = 0, sum(self.directions[side])
        for x, size in zip(self.sides[side], self.directions[side], strict=True):
            unit = s.padded(s.eye(size), 0, start, total - start - size)
            slopes[id(x)] = s.backend.reshape(unit, (total, 1, 1, *s.shape(x.sizes, run)))
            start += size
        found = self._product_slope(factors, run, known, slopes)
        count = max(array.shape[0] for array in known.values())
        members = s.shape(whole.sizes, run)
        if found is None:
            found = s.backend.reshape(s.number(0.0), (1,) * (3 + len(members)))
        found = xp.broadcast_to(found, (total, count, self.counts[run], *members))
        return s.backend.reshape(found, (total, count, self.counts[run], math.prod(members)))

    # -- forwards -------------------------------------------------------------------------------------------------

    def _slope(self, x: Node, run: int, known: Known, slopes: dict[int, Array | None]) -> Array | None:
        """The derivatives of a node at every point; None if they are zero."""
        if id(x) not in slopes:
            slopes[id(x)] = self._differentiated(x, run, known, slopes)
        return slopes[id(x)]

    def _product_slope(
        self, factors: Sequence[Node], run: int, known: Known, slopes: dict[int, Array | None]
    ) -> Array | None:
        parts = []
        for n, x in enumerate(factors):
            part = self._slope(x, run, known, slopes)
            if part is not None:
                for m, other in enumerate(factors):
                    if m != n:
                        part = part * self._beside(self._value(other, run, known))
                parts.append(part)
        return _added(parts)

    def _beside(self, array: Array) -> Array:
        return self.session.backend.xp.expand_dims(array, axis=0)

    def _differentiated(self, x: Node, run: int, known: Known, slopes: dict[int, Array | None]) -> Array | None:
        s = self.session
        if isinstance(x, (Constant, Detached)):
            return None
        if isinstance(x, Product):
            return self._product_slope(x.factors, run, known, slopes)
        if isinstance(x, Nonlin):
            return self._of_function(x, run, known, slopes)
        if isinstance(x, Sum):
            terms = [self._slope(of, run, known, slopes) for of in x.terms if of.power == x.power]
            return _added([term for term in terms if term is not None])
        assert isinstance(x, (Scale, Weigh, Place, Map, Mix, Quadratic))
        inner = self._slope(x.x, run, known, slopes)
        if inner is None:
            return None
        if isinstance(x, Quadratic):
            total = x.total.apply(s, run, s.stretched(inner * self._beside(self._value(x.x, run, known)),
                                                      x.x.sizes, 3, run), 3)  # fmt: skip
            squares = self._squares(x, run, known) ** (float(x.exponent) - 1)
            return s.placed(2 * float(x.exponent) * self._beside(squares) * total, 3, x.places, len(x.sizes))
        return self._moved(x, run, inner)

    def _moved(self, x: Scale | Weigh | Place | Map | Mix, run: int, inner: Array) -> Array:
        """What a linear node makes of derivatives."""
        s = self.session
        if isinstance(x, Scale):
            return inner * x.number
        if isinstance(x, Weigh):
            return inner * self._beside(self._det(x.value, x.places, len(x.sizes), run))
        if isinstance(x, Place):
            return s.placed(inner, 3, x.places, len(x.sizes))
        if isinstance(x, Map):
            return x.apply(s, run, inner, 3)
        inner = s.stretched(inner, x.x.sizes, 3, run)
        weight = self._beside(self._mixing(x, run))
        return s.contracted([weight, inner], *self._labels(x))

    def _of_function(self, x: Nonlin, run: int, known: Known, slopes: dict[int, Array | None]) -> Array | None:
        s = self.session
        given = [self._value(of, run, known) for of in x.variables]
        given += [self._det(det, places, len(x.sizes), run) for det, places in x.scalars]
        parts = []
        for n, of in enumerate(x.variables):
            inner = self._slope(of, run, known, slopes)
            if inner is None:
                continue
            tree = derived(x.tree, n, len(x.variables), len(x.scalars))
            slope = nonlinearity(tree, len(x.variables), len(x.scalars)).evaluate(s.backend, given)
            parts.append(self._beside(slope) * inner)
        return _added(parts)


def _added(parts: Sequence[Array]) -> Array | None:
    total = None
    for part in parts:
        total = part if total is None else total + part
    return total
