"""E[Z^x Z^y] of families, by the Master Theorem (TP II, theorem 4.9; TP III, section 2), array by array.

Linear nodes are pushed out of the expectation; two products with one matrix have the covariance s^2 E[Z^x Z^y], with
different matrices none (rule 3 of the specification); functions of Gaussian vectors have that of their dual
activations. Each pair of nodes is computed once. There are no dots here: that no matrix is used as its transpose is
checked when the program is read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array
from tensoria.limits.expectation import duals
from tensoria.limits.kernels import norms, particles
from tensoria.limits.kernels.entries import same_entries, same_rows
from tensoria.limits.kernels.session import Mode, Session
from tensoria.limits.reading.expressions import Expression, nonlinearity, variable
from tensoria.limits.reading.families import Families, unsupported
from tensoria.limits.reading.nodes import (
    Constant,
    Detached,
    Gathered,
    Initial,
    Map,
    MatMul,
    Mix,
    Node,
    Nonlin,
    Place,
    Product,
    Quadratic,
    Scale,
    Sources,
    Sum,
    Weigh,
)
from tensoria.limits.reading.settling import settled

__all__ = ["LINEAR", "Covariance", "Scaled", "combined", "factors_of", "times"]

Scaled = tuple[Array, float]
"""An array and a number to multiply it by: numbers are gathered, so that large arrays are gone over once."""
LINEAR = (Sum, Scale, Weigh, Place, Map, Mix, Detached)


def factors_of(x: Node) -> tuple[Node, ...]:
    """The factors of a product."""
    return x.factors if isinstance(x, Product) else (x,)


def times(of: Scaled) -> Array:
    """The array times the number."""
    return of[0] if of[1] == 1.0 else of[0] * of[1]


def combined(parts: Sequence[Scaled]) -> Scaled | None:
    """Their sum; the largest array is written once and added to."""
    if len(parts) < 2:
        return parts[0] if parts else None
    first, *rest = sorted(parts, key=lambda of: -_count(of[0]))
    total, fresh = times(first), first[1] != 1.0
    for part in rest:
        if fresh and _fits(part[0], total):
            total += times(part)
        else:
            total, fresh = total + times(part), True
    return total, 1.0


def _count(array: Array) -> int:
    return math.prod(array.shape)


def _fits(array: Array, into: Array) -> bool:
    return all(m in (1, n) for m, n in zip(array.shape, into.shape, strict=True))


class Covariance:
    """Covariances of the nodes of one session.

    Attributes:
        session: the data.
        families: what makes nodes.
        paired: functions whose derivative's dual is wanted together with their own, and their derivatives' nodes.
    """

    session: Session

    def __init__(self, families: Families, points: int = 1 << 16) -> None:
        self.families = families
        self._settled: dict[int, Node] = {}
        self._pairs: dict[tuple[int, int, Mode], Scaled | None] = {}
        self._means: dict[tuple[int, int], Array | None] = {}
        self._diagonals: dict[tuple[int, int], Array] = {}
        self.paired: Callable[[Nonlin], Nonlin | None] | None = None
        self.tiers: dict[str, str] = {}
        self.errors: dict[str, float] = {}
        self.points = points

    # -- pairs ----------------------------------------------------------------------------------------------------

    def of(self, a: Node, b: Node, mode: Mode) -> Array | None:
        """E[a b]; None if it is zero whatever the data."""
        found = self.scaled(a, b, mode)
        if found is None:
            return None
        if found[1] != 1.0:
            found = self._pairs[id(a), id(b), mode] = times(found), 1.0
        return found[0]

    def scaled(self, a: Node, b: Node, mode: Mode) -> Scaled | None:
        """E[a b] as an array and a number."""
        key = id(a), id(b), mode
        if key not in self._pairs:
            if mode[0] == mode[1] and (other := (id(b), id(a), mode)) in self._pairs:
                self._pairs[key] = self.turned(self._pairs[other], a, b, mode)
            else:
                self._pairs[key] = self._of(a, b, mode)
        return self._pairs[key]

    def turned(self, found: Scaled | None, a: Node, b: Node, mode: Mode) -> Scaled | None:
        """E[a b] from E[b a] of one run."""
        if found is None:
            return None
        lead, m, n = self.session.lead(mode), len(b.sizes), len(a.sizes)
        order = (*range(lead), *range(lead + m, lead + m + n), *range(lead, lead + m))
        if lead == 2:
            order = (1, 0, *order[2:])
        if order == tuple(range(len(order))):
            return found
        return self.session.backend.xp.permute_dims(found[0], order), found[1]

    def settled(self, x: Node) -> Node:
        """The node whose values are wanted: parameters that are constant at first are numbers there."""
        found = self._settled.get(id(x))
        if found is None:
            found = self._settled[id(x)] = settled(self.families, x)
        return found

    def _of(self, a: Node, b: Node, mode: Mode) -> Scaled | None:
        x, y = self.settled(a), self.settled(b)
        if x is not a or y is not b:
            return self.scaled(x, y, mode)
        if isinstance(a, LINEAR):
            return self._pushed(a, b, mode, 0)
        if isinstance(b, LINEAR):
            return self._pushed(b, a, mode, 1)
        if isinstance(a, MatMul) and isinstance(b, MatMul):
            return self.matmuls(a, b, mode, self.scaled, a.matrix.law.variance)
        if isinstance(a, Constant) or isinstance(b, Constant):
            found = self._separately(a, b, mode)
        elif isinstance(a, (Initial, Gathered)) and isinstance(b, (Initial, Gathered)):
            found = self.initials(a, b, mode, with_mean=True)
        elif not a.sources & b.sources:
            found = self._separately(a, b, mode)
        else:
            found = self.functions(a, b, mode)
        return None if found is None else (found, 1.0)

    # -- linear nodes ---------------------------------------------------------------------------------------------

    def _pushed(self, a: Node, b: Node, mode: Mode, side: int) -> Scaled | None:
        """The rule of a linear node, which stands on one side."""

        def inner(x: Node) -> Scaled | None:
            return self.scaled(x, b, mode) if side == 0 else self.scaled(b, x, mode)

        if isinstance(a, Sum):
            parts = [inner(x) for x in a.terms if x.power == a.power]
            return combined([x for x in parts if x is not None])
        assert isinstance(a, (Scale, Weigh, Place, Map, Mix, Detached))
        found = inner(a.x)
        if found is None or isinstance(a, Detached):
            return found
        if isinstance(a, Scale):
            return found[0], found[1] * a.number
        return self.moved(a, b, found[0], mode, side), found[1]

    def moved(self, a: Node, b: Node, found: Array, mode: Mode, side: int) -> Array:
        """What a linear node along finite axes makes of a covariance of what it is made of."""
        s, lead = self.session, self.session.lead(mode)
        run = mode[side]
        before, after = (0, len(b.sizes)) if side == 0 else (len(b.sizes), 0)
        k = lead + before
        if isinstance(a, Weigh):
            weight = s.placed(s.family(a.value, run), 1, a.places, len(a.sizes))
            return found * self.session.beside(weight, mode, side, before, after)
        if isinstance(a, Place):
            return self._placed(found, a, lead, before, after)
        if isinstance(a, Map):
            return a.apply(s, run, found, k)
        assert isinstance(a, Mix)
        found = s.stretched(found, a.x.sizes, k, run)
        value = self.session.beside(s.family(a.value, run), mode, side, 0, 0)
        others = [("other", n) for n in range(before + after)]
        labels = (others[:before], a.of_x, others[before:])
        numbers = {label: n for n, label in enumerate(dict.fromkeys([*a.of_value, *itertools.chain(*labels)]))}
        of_value = [numbers[x] for x in a.of_value]
        of_found = [numbers[x] for x in itertools.chain(*labels)]
        out = [numbers[x] for x in (*others[:before], *a.out, *others[before:])]
        value = s.stretched(value, a.value.sizes, lead, run)
        return s.contracted([value, found], [of_value, of_found], out)

    def _placed(self, found: Array, a: Place, lead: int, before: int, after: int) -> Array:
        places = [*range(before), *(before + n for n in a.places), *(before + len(a.sizes) + n for n in range(after))]
        return self.session.placed(found, lead, places, before + len(a.sizes) + after)

    def added(self, arrays: Sequence[Array]) -> Array | None:
        """Their sum."""
        total = None
        for array in arrays:
            total = array if total is None else total + array
        return total

    # -- leaves ---------------------------------------------------------------------------------------------------

    def matmuls(
        self, a: MatMul, b: MatMul, mode: Mode, of: Callable[[Node, Node, Mode], Scaled | None], factor: float
    ) -> Scaled | None:
        """A factor times E[x y], for products with one matrix; summed over the finite axes that both matrices share."""
        if a.matrix.name != b.matrix.name:
            return None
        if a.side != b.side:
            raise unsupported("a transpose", f"{a.matrix.name} is used as its transpose too", a.where)
        if any(m is not None and n is not None and m != n for m, n in zip(a.matrix.fixed, b.matrix.fixed, strict=True)):
            return None
        found = of(a.x, b.x, mode)
        if found is None:
            return None
        factor *= found[1] * a.matrix.number * b.matrix.number * a.count
        return same_rows(self.session, a, b, found[0], mode), factor

    def initials(self, a: Initial | Gathered, b: Initial | Gathered, mode: Mode, with_mean: bool) -> Array | None:
        """The covariance of a parameter's entries: where they are the same one, its variance."""
        first, second = (x.of if isinstance(x, Gathered) else x for x in (a, b))
        mean = first.law.mean * second.law.mean if with_mean else 0.0
        variance = (first.law.variance if with_mean else 1.0) if first.name == second.name else 0.0
        if first.law.mean and first.law.exponent < 0 and with_mean:
            variance = 0.0
        if not mean and not variance:
            return None
        same = same_entries(self.session, a, b, mode) if variance else None
        if same is None:
            if not mean:
                return None
            shape = (1,) * (self.session.lead(mode) + len(a.sizes) + len(b.sizes))
            return self.session.backend.reshape(self.session.number(mean), shape)
        same = same * variance
        return same + mean if mean else same

    # -- means ----------------------------------------------------------------------------------------------------

    def mean(self, x: Node, run: int) -> Array | None:
        """E[x], with one axis of examples; None if it is zero whatever the data."""
        key = id(x), run
        if key not in self._means:
            self._means[key] = self._mean(x, run)
        return self._means[key]

    def _mean(self, x: Node, run: int) -> Array | None:
        s = self.session
        if (other := self.settled(x)) is not x:
            return self.mean(other, run)
        if isinstance(x, Sum):
            means = [self.mean(of, run) for of in x.terms if of.power == x.power]
            return self.added([mean for mean in means if mean is not None])
        if isinstance(x, LINEAR):
            assert isinstance(x, (Scale, Weigh, Place, Map, Mix, Detached))
            inner = self.mean(x.x, run)
            if inner is None or isinstance(x, Detached):
                return inner
            if isinstance(x, Scale):
                return inner * x.number
            return self.moved(x, self._nothing, inner, (run, run, True), 0)
        if isinstance(x, MatMul):
            return None
        if isinstance(x, Initial):
            shape = (1,) * (1 + len(x.sizes))
            return s.backend.reshape(s.number(x.law.mean), shape) if x.law.mean else None
        if isinstance(x, Gathered):
            return s.backend.reshape(s.number(x.of.law.mean), (1,) * (1 + len(x.sizes))) if x.of.law.mean else None
        if isinstance(x, Constant):
            return s.placed(s.family(x.value, run), 1, x.places, len(x.sizes))
        return self._expected(factors_of(x), run, x)

    _nothing: Node

    def _separately(self, a: Node, b: Node, mode: Mode) -> Array | None:
        """E[a] E[b]."""
        first, second = self.mean(a, mode[0]), self.mean(b, mode[1])
        if first is None or second is None:
            return None
        s = self.session
        return s.beside(first, mode, 0, 0, len(b.sizes)) * s.beside(second, mode, 1, len(a.sizes), 0)

    def variance(self, g: Node, run: int) -> Array:
        """E[g^2] of every member of a family, with one axis of examples; of what vanishes, 0."""
        key = id(g), run
        if key not in self._diagonals:
            s = self.session
            found = None if g.power < 0 else self.of(g, g, (run, run, True))
            if found is None:
                found = s.backend.reshape(s.number(0.0), (1,) * (1 + len(g.sizes)))
            else:
                found = s.diagonal(found, 1, g.sizes, run)
            self._diagonals[key] = found
        return self._diagonals[key]

    # -- functions of Gaussian vectors ----------------------------------------------------------------------------

    def functions(self, a: Node, b: Node, mode: Mode) -> Array | None:
        """E[a b] of products of functions: those that share no parameter are independent."""
        factors = [(x, 0) for x in factors_of(a)] + [(x, 1) for x in factors_of(b)]
        total: Array | None = None
        for group in connected(factors):
            found = self._group(group, a, b, mode)
            if found is None:
                return None
            total = found if total is None else total * found
        return total

    def _group(self, group: Sequence[tuple[Node, int]], a: Node, b: Node, mode: Mode) -> Array | None:
        """The expectation of factors that depend on each other."""
        left = [x for x, side in group if side == 0]
        right = [x for x, side in group if side == 1]
        if not right or not left:
            mean = self._expected(left or right, mode[0] if left else mode[1], a)
            if mean is None:
                return None
            place = (mode, 0, 0, len(b.sizes)) if left else (mode, 1, len(a.sizes), 0)
            return self.session.beside(mean, *place)
        if len(left) == len(right) == 1:
            x, y = left[0], right[0]
            if not isinstance(x, (Nonlin, Quadratic, Product)) and not isinstance(y, (Nonlin, Quadratic, Product)):
                return self.of(x, y, mode)
            if self._plain(x, mode[0]) and self._plain(y, mode[1]):
                return self.dual(x, y, mode)
            if not (a is x and b is y) and not isinstance(x, Quadratic) and not isinstance(y, Quadratic):
                return self.of(x, y, mode)
        if norms.exact(self.session, left, mode[0]) and norms.exact(self.session, right, mode[1]):
            return norms.expected(self, left, right, a, b, mode)
        if all(x.gaussian for x, _ in group) and not any(self._offset(x, mode[side]) for x, side in group):
            return self._wick([*((x, 0) for x in left), *((x, 1) for x in right)], a, b, mode)
        self._sampled(group)
        return particles.expected(self, left, right, a, b, mode, self.points)

    def _sampled(self, group: Sequence[tuple[Node, int]]) -> None:
        """Note that functions are computed by samples."""
        for x, _ in group:
            self.tiers[self.named(x)] = "D"

    def named(self, x: Node) -> str:
        """What a function is called where it is reported."""
        return _named(x)

    def _offset(self, x: Node, run: int) -> bool:
        return self.mean(x, run) is not None

    def _wick(self, xs: Sequence[tuple[Node, int]], a: Node, b: Node, mode: Mode) -> Array | None:
        """A moment of Gaussian vectors with mean zero: the sum over pairings (Isserlis 1918)."""
        if not xs:
            ones = (1,) * (self.session.lead(mode) + len(a.sizes) + len(b.sizes))
            return self.session.backend.reshape(self.session.number(1.0), ones)
        if len(xs) % 2:
            return None
        if len(xs) > 12:
            raise unsupported("a product", f"of {len(xs)} Gaussian vectors that depend on each other", a.where)
        (first, side), *rest = xs
        parts = []
        for n, (other, of_side) in enumerate(rest):
            covariance = self._beside_each_other(first, side, other, of_side, a, b, mode)
            if covariance is None:
                continue
            remaining = self._wick([*rest[:n], *rest[n + 1 :]], a, b, mode)
            if remaining is not None:
                parts.append(covariance * remaining)
        return self.added(parts)

    def _beside_each_other(
        self, x: Node, side: int, y: Node, of_side: int, a: Node, b: Node, mode: Mode
    ) -> Array | None:
        """E[x y] where both stand; on one side they stand at the same member."""
        if side != of_side:
            return self.of(x, y, mode) if side == 0 else self.of(y, x, mode)
        run = mode[side]
        found = self.of(x, y, (run, run, True))
        if found is None:
            return None
        found = self.session.diagonal(found, 1, x.sizes, run)
        before, after = (0, len(b.sizes)) if side == 0 else (len(a.sizes), 0)
        return self.session.beside(found, mode, side, before, after)

    def _expected(self, factors: Sequence[Node], run: int, whole: Node) -> Array | None:
        """E of a product of functions at the same member."""
        s = self.session
        total: Array | None = None
        for group in connected([(x, 0) for x in factors]):
            nodes = [x for x, _ in group]
            if norms.exact(s, nodes, run):
                found = norms.expected(self, nodes, [], whole, self._nothing, (run, run, True))
            elif len(nodes) == 1 and not isinstance(nodes[0], (Nonlin, Quadratic)):
                found = self.mean(nodes[0], run)
            elif len(nodes) == 2:
                both = self.of(nodes[0], nodes[1], (run, run, True))
                found = None if both is None else s.diagonal(both, 1, nodes[0].sizes, run)
            elif len(nodes) == 1 and self._plain(nodes[0], run):
                found = self._single_mean(nodes[0], run)
            elif all(x.gaussian for x in nodes) and not any(self._offset(x, run) for x in nodes):
                found = self._wick([(x, 0) for x in nodes], nodes[0], self._nothing, (run, run, True))
            else:
                self._sampled(group)
                found = particles.expected(self, nodes, [], whole, self._nothing, (run, run, True), self.points)
            if found is None:
                return None
            total = found if total is None else total * found
        return total

    def _single_mean(self, x: Node, run: int) -> Array:
        (g,) = x.variables  # type: ignore[attr-defined]
        return duals.mean(self.session.backend, _function(x), self.variance(g, run))

    def dual(self, x: Node, y: Node, mode: Mode) -> Array:
        """E[phi(u) psi(v)] of functions of one Gaussian vector each."""
        s = self.session
        u, v = (of.variables[0] if isinstance(of, Nonlin) else of for of in (x, y))
        c = self.of(u, v, mode)
        if c is None or u.power < 0 or v.power < 0:
            c = s.backend.reshape(s.number(0.0), (1,) * (self.session.lead(mode) + len(x.sizes) + len(y.sizes)))
        variances = self.variance(u, mode[0]), self.variance(v, mode[1])
        if u is v and mode[0] == mode[1] and not mode[2] and c.shape[0] == c.shape[1] > 1:
            # Those on the diagonal, so that the correlation of an example with itself is 1 to the last digit.
            variances = (s.diagonal(s.itself(c), 1, u.sizes, mode[0]),) * 2
        a = self.session.beside(variances[0], mode, 0, 0, len(y.sizes))
        b = self.session.beside(variances[1], mode, 1, len(x.sizes), 0)
        phi, psi = _function(x), _function(y)
        self._note(x, y)
        if self.paired is not None and isinstance(x, Nonlin) and isinstance(y, Nonlin) and x.tree == y.tree:
            slopes = self.paired(x), self.paired(y)
            if slopes[0] is not None and slopes[1] is not None and self.wants(mode):
                found, slope = duals.both(s.backend, phi, a, b, c)
                self._pairs[id(slopes[0]), id(slopes[1]), mode] = slope, 1.0
                return found
        return duals.pair(s.backend, phi, psi, a, b, c)

    def wants(self, mode: Mode) -> bool:
        """Whether derivatives are wanted in this mode."""
        return not mode[2]

    def _note(self, x: Node, y: Node) -> None:
        """Which tier computed a function."""
        for of in (x, y):
            if isinstance(of, Nonlin):
                name = str(of.tree)
                if name not in self.tiers:
                    self.tiers[name] = duals.tier(_function(of), _function(of))

    def _plain(self, x: Node, run: int) -> bool:
        """Whether a node is a function of one centred Gaussian vector, without other numbers."""
        if not _single(x):
            return False
        g = x.variables[0] if isinstance(x, Nonlin) else x
        return g.gaussian and not self._offset(g, run)


def _single(x: Node) -> bool:
    """Whether a node is a function of one Gaussian vector, without other numbers."""
    return (isinstance(x, Nonlin) and len(x.variables) == 1 and not x.scalars) or x.gaussian


def _function(x: Node) -> Any:
    tree: Expression = x.tree if isinstance(x, Nonlin) else variable(0)
    return nonlinearity(tree, 1, 0)


def _named(x: Node) -> str:
    return str(x.tree) if isinstance(x, Nonlin) else type(x).__name__.lower()


def connected(factors: Sequence[tuple[Node, int]]) -> list[list[tuple[Node, int]]]:
    """Factors in groups that share parameters; different groups are independent."""
    groups: list[tuple[Sources, list[tuple[Node, int]]]] = []
    for x, side in factors:
        sources, members = x.sources, [(x, side)]
        rest = []
        for names, group in groups:
            if names & sources:
                sources, members = sources | names, [*group, *members]
            else:
                rest.append((names, group))
        groups = [*rest, (sources, members)]
    return [members for _, members in groups]


Covariance._nothing = Node()
Covariance._nothing.sizes = ()
