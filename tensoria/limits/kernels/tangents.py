"""The neural tangent kernel: sums over all parameters of products of derivatives, coordinate by coordinate.

For families x and y let T(x, y) be the limit of the sum over all trained entries w of (dx_a/dw)(dy_a/dw), at one
coordinate a. Under gradient independence (TP II, section 6: no matrix is used as its transpose, and the readout is
independent and used nowhere else) it follows from the program, forwards:

    T(Wx, Wy) = s^2 T(x, y) + n E[x y],    T(phi(u), psi(v)) = E[phi'(u) psi'(v)] T(u, v),

bilinear in everything linear; the tangents of Moments vanish like 1/n. Unrolled, this is the sum over all pairs of uses
of each matrix of E[dy dy'] E[x x'] (TP II, theorem 7.2), so that shared weights need nothing else. Powers of n are
kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

from tensoria.backend import Array
from tensoria.limits.kernels import norm_tangents, sampled_tangents
from tensoria.limits.kernels.covariance import LINEAR, Covariance, Scaled, combined, connected, factors_of, times
from tensoria.limits.kernels.particles import gaussians
from tensoria.limits.kernels.session import Mode
from tensoria.limits.reading.expressions import derived
from tensoria.limits.reading.families import Families, unsupported
from tensoria.limits.reading.nodes import (
    Constant,
    Det,
    Detached,
    Gathered,
    Initial,
    MatMul,
    Node,
    Nonlin,
    Product,
    Quadratic,
    Scale,
    Sum,
)
from tensoria.limits.reading.settling import constant

__all__ = ["Powers", "Tangents", "evaluated"]

Powers = dict[Fraction, Scaled]
"""Arrays, and numbers in front of them, by their power of n."""


class Tangents:
    """T of pairs of nodes of one session."""

    def __init__(self, covariance: Covariance, families: Families, trained: Collection[str]) -> None:
        self.covariance, self.families, self.trained = covariance, families, frozenset(trained)
        self._pairs: dict[tuple[int, int, Mode], Powers] = {}
        self._slopes: dict[int, list[tuple[Node, Node]]] = {}
        covariance.paired = self.slope

    def of(self, a: Node, b: Node, mode: Mode) -> Powers:
        """T(a, b), by powers of n."""
        key = id(a), id(b), mode
        if key not in self._pairs:
            other = self._pairs.get((id(b), id(a), mode)) if mode[0] == mode[1] else None
            self._pairs[key] = self._of(a, b, mode) if other is None else self._turned(other, a, b, mode)
        return self._pairs[key]

    def _turned(self, found: Powers, a: Node, b: Node, mode: Mode) -> Powers:
        """T(a, b) from T(b, a)."""
        out: Powers = {}
        for power, of in found.items():
            turned = self.covariance.turned(of, a, b, mode)
            assert turned is not None
            out[power] = turned
        return out

    def _of(self, a: Node, b: Node, mode: Mode) -> Powers:
        if isinstance(a, (Constant, Detached)) or isinstance(b, (Constant, Detached)):
            return {}
        if isinstance(a, LINEAR):
            return self._linear(a, b, mode, 0)
        if isinstance(b, LINEAR):
            return self._linear(b, a, mode, 1)
        if isinstance(a, MatMul) and isinstance(b, MatMul):
            return self._matmuls(a, b, mode)
        if isinstance(a, (Initial, Gathered)) and isinstance(b, (Initial, Gathered)):
            names = {x.of.name if isinstance(x, Gathered) else x.name for x in (a, b)}
            if len(names) > 1 or not names <= self.trained:
                return {}
            found = self.covariance.initials(a, b, mode, with_mean=False)
            return {} if found is None else {Fraction(0): (found, 1.0)}
        if a.gaussian and b.gaussian and not isinstance(a, Product) and not isinstance(b, Product):
            return {}
        return self._functions(a, b, mode)

    def _linear(self, a: Node, b: Node, mode: Mode, side: int) -> Powers:
        def inner(x: Node) -> Powers:
            return self.of(x, b, mode) if side == 0 else self.of(b, x, mode)

        if isinstance(a, Sum):
            return _summed([inner(x) for x in a.terms])
        total: Powers = {}
        for power, (array, number) in inner(a.x).items():  # type: ignore[attr-defined]
            if isinstance(a, Scale):
                total[power + a.exponent] = array, number * a.number
            else:
                moved = self.covariance.moved(a, b, array, mode, side)
                total[power + a.power - a.x.power] = moved, number  # type: ignore[attr-defined]
        return total

    def _matmuls(self, a: MatMul, b: MatMul, mode: Mode) -> Powers:
        c = self.covariance
        if a.matrix.name != b.matrix.name:
            return {}
        parts: list[Powers] = []
        outside = a.matrix.power + b.matrix.power
        if a.matrix.name in self.trained:
            found = c.matmuls(a, b, mode, c.scaled, 1.0)
            if found is not None:
                parts.append({outside + a.degree + a.x.power + b.x.power: found})
        for power, of in self.of(a.x, b.x, mode).items():
            moved = c.matmuls(a, b, mode, lambda *_, of=of: of, a.matrix.law.variance)
            if moved is not None:
                parts.append({power + outside + a.matrix.law.exponent + a.degree: moved})
        return _summed(parts)

    def _functions(self, a: Node, b: Node, mode: Mode) -> Powers:
        if _mixing(a) or _mixing(b):
            return self._mixed(a, b, mode)
        parts: list[Powers] = []
        c = self.covariance
        for u, du in self.slopes(a):
            for v, dv in self.slopes(b):
                tangents = self.of(u, v, mode)
                weight = c.scaled(du, dv, mode) if tangents else None
                if weight is None:
                    continue
                for power, (array, number) in tangents.items():
                    parts.append({power + du.power + dv.power: (weight[0] * array, weight[1] * number)})
        return _summed(parts)

    def _mixed(self, a: Node, b: Node, mode: Mode) -> Powers:
        """Functions of norms, and of sums of functions, over finite axes: of tangents of all their members."""
        c = self.covariance
        x, y = c.settled(a), c.settled(b)
        if x is not a or y is not b:
            return _summed([self._by_constants(a, b, mode), self.of(x, y, mode)])
        groups = connected([*((of, 0) for of in factors_of(a)), *((of, 1) for of in factors_of(b))])
        if len(groups) > 1:
            return self._apart(groups, a, b, mode)
        left = norm_tangents.normalised(c, factors_of(a), mode[0])
        right = norm_tangents.normalised(c, factors_of(b), mode[1])
        parts: list[Powers] = []
        if left is not None and right is not None:
            for power, (array, number) in self.of(left.variable, right.variable, mode).items():
                parts.append({power: (norm_tangents.expected(c, left, right, a, b, mode, array), number)})
            return _summed(parts)
        return self._sampled(a, b, mode)

    def _apart(self, groups: Sequence[list[tuple[Node, int]]], a: Node, b: Node, mode: Mode) -> Powers:
        """Factors that share no parameter: T of each group, times the expectations of the others."""
        f, s = self.families, self.covariance.session
        sides = [[[x for x, at in group if at == side] for side in range(2)] for group in groups]
        values: list[Scaled | None] = []
        for left, right in sides:
            if left and right:
                values.append(self.covariance.scaled(f.product(left), f.product(right), mode))
                continue
            mean = self.covariance.mean(f.product(left or right), mode[0] if left else mode[1])
            at = (mode, 0, 0, len(b.sizes)) if left else (mode, 1, len(a.sizes), 0)
            values.append(None if mean is None else (s.beside(mean, *at), 1.0))
        parts: list[Powers] = []
        for n, (left, right) in enumerate(sides):
            others = [value for m, value in enumerate(values) if m != n]
            if not left or not right or None in others:
                continue
            for power, (array, number) in self.of(f.product(left), f.product(right), mode).items():
                for other in others:
                    assert other is not None
                    array, number = array * other[0], number * other[1]
                parts.append({power: (array, number)})
        return _summed(parts)

    def _sampled(self, a: Node, b: Node, mode: Mode) -> Powers:
        """By points, at which all derivatives are taken."""
        c = self.covariance
        left, right = factors_of(a), factors_of(b)
        by_power: dict[Fraction, dict[tuple[int, int], Array]] = {}
        for m, u in enumerate(gaussians(left)):
            for n, v in enumerate(gaussians(right)):
                for power, found in self.of(u, v, mode).items():
                    by_power.setdefault(power, {})[m, n] = times(found)
        if not by_power:
            return {}
        self._require_sampled(a, b)
        for x in (*left, *right):
            c.tiers[c.named(x)] = "D"
        out: Powers = {}
        for power, tangents in by_power.items():
            draw = sampled_tangents.Slopes(c, left, right, a, b, mode, tangents)
            out[power] = draw.average(c.points), 1.0
        return out

    def _require_sampled(self, *nodes: Node) -> None:
        """Raise unless tangents of functions of these families can be drawn."""
        for x in nodes:
            if not x.wide:
                raise unsupported(
                    _shown(x), "the tangent kernel of a nonlinear function of the network's Gaussian output is random",
                    x.where, "analyse the output before the function",
                )  # fmt: skip
            if x.power or any(u.power > 0 for u in gaussians(factors_of(x))):
                raise unsupported(
                    _shown(x), "it is a function of what grows with the width", x.where,
                    "a multiplier or a variance that is smaller by that power",
                )  # fmt: skip

    def _by_constants(self, a: Node, b: Node, mode: Mode) -> Powers:
        """What constant parameters, such as gains, contribute to T."""
        parts: list[Powers] = []
        for u, du in self._constant_slopes(a):
            for v, dv in self._constant_slopes(b):
                tangents = self.of(u, v, mode)
                weight = self.covariance.scaled(du, dv, mode) if tangents else None
                if weight is not None:
                    for power, (array, number) in tangents.items():
                        parts.append({power + du.power + dv.power: (weight[0] * array, weight[1] * number)})
        return _summed(parts)

    def _constant_slopes(self, x: Node) -> list[tuple[Node, Node]]:
        f = self.families
        f.where = x.where
        if isinstance(x, Product):
            return [
                (of, f.product([slope, *x.factors[:n], *x.factors[n + 1 :]]))
                for n, factor in enumerate(x.factors) for of, slope in self._constant_slopes(factor)
            ]  # fmt: skip
        if constant(x) is not None:
            return [(x, self._one(x))]
        if not isinstance(x, Nonlin):
            return []
        return [
            (of, f._nonlin(derived(x.tree, n, len(x.variables), len(x.scalars)), x.variables, x.scalars, x.sizes))
            for n, of in enumerate(x.variables) if constant(of) is not None
        ]  # fmt: skip

    # -- derivatives ----------------------------------------------------------------------------------------------

    def slope(self, x: Nonlin) -> Nonlin | None:
        """The derivative of a function of one vector, if it is one."""
        if len(x.variables) != 1 or x.scalars:
            return None
        ((_, found),) = self.slopes(x)
        return found if isinstance(found, Nonlin) else None

    def slopes(self, x: Node) -> list[tuple[Node, Node]]:
        """The Gaussian families that a node is a function of, and its derivatives by them."""
        if id(x) not in self._slopes:
            self._slopes[id(x)] = self._derivatives(x)
        return self._slopes[id(x)]

    def _derivatives(self, x: Node) -> list[tuple[Node, Node]]:
        f = self.families
        f.where = x.where
        if isinstance(x, Nonlin):
            if not x.wide:
                raise unsupported(
                    _shown(x), "the tangent kernel of a nonlinear function of the network's Gaussian output is random",
                    x.where, "analyse the output before the function",
                )  # fmt: skip
            out = []
            if not all(_affine(of) for of in x.variables):
                raise unsupported(
                    _shown(x), "the tangent kernel of a function of sums of functions over a finite axis is not there",
                    x.where, "tp.simulate(..., ntk=True) estimates it",
                )  # fmt: skip
            for n, of in enumerate(x.variables):
                tree = derived(x.tree, n, len(x.variables), len(x.scalars))
                out.append((of, f._nonlin(tree, x.variables, x.scalars, x.sizes)))
            return out
        if isinstance(x, Product):
            out = []
            for n, factor in enumerate(x.factors):
                rest = [of for m, of in enumerate(x.factors) if m != n]
                if not x.wide and sum(not of.wide for of in x.factors) > 1:
                    raise unsupported("a product of outputs", "its tangent kernel is random", x.where)
                for of, slope in self.slopes(factor):
                    out.append((of, f.product([slope, *rest])))
            return out
        if isinstance(x, Quadratic):
            raise unsupported(
                "a norm over a finite axis", "every member's tangents enter it, and no rule has them yet", x.where,
                "tp.simulate(..., ntk=True) estimates it",
            )  # fmt: skip
        return [(x, self._one(x))]

    def _one(self, x: Node) -> Node:
        one = Det(lambda session, run: session.number(1.0), (), (), number=1.0)
        return self.families.constant(one, (), x.sizes)


def _mixing(x: Node) -> bool:
    """Whether a family is more than a product of functions of one Gaussian member each."""
    return any(
        isinstance(of, Quadratic) or (isinstance(of, LINEAR) and not of.gaussian)
        or (isinstance(of, Nonlin) and not all(_affine(v) for v in of.variables))
        or (isinstance(of, Nonlin) and sum(constant(v) is None for v in of.variables) > 1)
        for of in factors_of(x)
    )  # fmt: skip


def _affine(x: Node) -> bool:
    """Whether a family is Gaussian, or a linear combination of parameters that keep their law."""
    if x.gaussian or isinstance(x, (Initial, Gathered)):
        return True
    return isinstance(x, LINEAR) and all(_affine(of) for of in x.below())


def _shown(x: Node) -> str:
    return str(x.tree) if isinstance(x, Nonlin) else f"a {type(x).__name__.lower()} of functions"


def _summed(parts: Sequence[Powers]) -> Powers:
    """Their sum, power by power."""
    gathered: dict[Fraction, list[Scaled]] = {}
    for of in parts:
        for power, found in of.items():
            gathered.setdefault(power, []).append(found)
    return {power: total for power, found in gathered.items() if (total := combined(found)) is not None}


def evaluated(powers: Powers) -> dict[Fraction, Array]:
    """The arrays, times their numbers."""
    return {power: times(of) for power, of in powers.items()}
