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
from tensoria.limits.kernels.covariance import LINEAR, Covariance, Scaled, combined, times
from tensoria.limits.kernels.session import Mode
from tensoria.limits.reading.expressions import Expression, applied, literal, nonlinearity, rays, scalar, variable
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
from tensoria.programs.types import Literal

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
            self._pairs[key] = self._of(a, b, mode)
        return self._pairs[key]

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
            name = next(iter(a.sources))
            if b.sources != a.sources or name not in self.trained:
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
            for of in x.variables:
                self.covariance.require_gaussian(of)
            if not all(of.gaussian for of in x.variables):
                raise unsupported(
                    _shown(x), "the tangent kernel of a function of sums of functions over a finite axis is not there",
                    x.where, "tp.simulate(..., ntk=True) estimates it",
                )  # fmt: skip
            for n, of in enumerate(x.variables):
                tree = _derivative(x.tree, n, len(x.variables), len(x.scalars))
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


def _shown(x: Nonlin) -> str:
    return str(x.tree)


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


def _derivative(tree: Expression, n: int, vectors: int, scalars: int) -> Expression:
    """The derivative of a tree by one of its variables, as a tree."""
    ray = rays(tree) if vectors == 1 and not scalars else None
    if ray is not None and ray[0] == 0:
        return literal(0.0)
    if ray is not None and ray[0] == 1:  # linear on both sides of zero: a step
        x = variable(0)
        right, left = literal(ray[1]), literal(-ray[2])
        return applied("where", applied("greater", x, literal(0.0)), right, left)
    found = nonlinearity(tree, vectors, scalars).derivative(n).program
    known: dict[object, Expression] = {
        value: variable(k) if k < vectors else scalar(k - vectors) for k, value in enumerate(found.inputs)
    }

    def read(operand: object) -> Expression:
        return literal(operand.number) if isinstance(operand, Literal) else known[operand]

    for made in found.instructions:
        known[made.results[0]] = applied(made.operation, *(read(x) for x in made.operands), **dict(made.attributes))
    return read(found.outputs[0])
