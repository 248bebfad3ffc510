"""The Master Theorem, run: every vector x of a program becomes a scalar random variable Z^x, rule by rule.

    Z^{phi(x; theta)} = phi(Z^x; theta0),   theta0 = E phi(Z^x),   Z^{Wx} = hat + dot.

The hats of one matrix are jointly Gaussian with covariance s^2 E[Z^x Z^y]. The dots are what W has seen before: of
W x, s^2 times the sum over earlier W^T y of Z^y E[dZ^x / dhat^{W^T y}]. Stein's lemma gives the derivatives as a
regression, C a = b with C_ij = E[Z^{y_i} Z^{y_j}] and b_i = E[hat^{W^T y_i} Z^x], which holds for functions without
derivatives too (TP III, theorem 7.4 and definition 7.3; for matrices of n x m, rho = n / m).

Z^x is a polynomial in independent Gaussians and functions of them (`expectation.algebra`). Every expectation takes the
first tier that can do it: exact, closed form, quadrature, particles; what depends on particles is particles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.errors import LimitError
from tensoria.limits.expectation.algebra import Polynomial, of
from tensoria.limits.expectation.estimate import Estimate, from_groups, grouped, plus, times, worst
from tensoria.limits.expectation.particles import regression
from tensoria.limits.expectation.quadrature import ALLOWANCE
from tensoria.limits.language.instructions import (
    Constant,
    Initial,
    LinComb,
    MatMul,
    Matrix,
    Moment,
    Nonlin,
    OuterNonlin,
    Rule,
    Scalar,
    Vector,
)
from tensoria.limits.language.nonlinearity import traced
from tensoria.limits.language.numbers import Number, negligible, residual, shown
from tensoria.limits.outer import integrated
from tensoria.limits.variables import Node, Use, Variables

__all__ = ["Limit"]

PARTICLES = 2**17
NOTHING = 1e-14
"""A float coefficient below this part of the largest one is rounding."""


class Limit(Variables):
    """The limit of a program.

    Args:
        program: a `TensorProgram`.
        particles: how many, where particles are needed.
        key: a seed, or a key of tn.random on the backend.
        backend: where particles live.
        tiers: which tiers may be used; "ABCD" by default.
        quadrature: up to how many Gaussians tier C takes (3 at most, and those for a second or two only: a long
            program goes on with particles then).

    Raises:
        LimitError: an expectation is beyond the tiers that may be used.
    """

    def __init__(
        self,
        program: Any,
        *,
        particles: int | None = None,
        key: Any = 0,
        backend: str = "numpy",
        tiers: str = "ABCD",
        quadrature: int = 3,
    ) -> None:
        if set(tiers) - set("ABCD") or not tiers:
            raise LimitError(f"the tiers are A, B, C and D, not {tiers!r}.")
        super().__init__(program, (PARTICLES if particles is None else particles, key, backend), tiers, quadrature)
        self._products: dict[Any, Vector] = {}
        self._done = 0
        self.advance()

    def advance(self) -> Limit:
        """Take in what the program has got since: instructions that were written after the limit was taken."""
        for rule in self.program.rules[self._done :]:
            self._run(rule)
            self._done += 1
        return self

    # -- what is asked --------------------------------------------------------------------------------------------

    def expect(self, function: Any, *vectors: Vector | Scalar, scalars: Iterable[Scalar] = ()) -> Estimate:
        """E phi(Z^x1, ..., Z^xk; theta), with its error and tier: the limit of the mean over coordinates.

        Args:
            function: an ordinary function of tensors, or an activation's name.
            vectors: vectors of one width; scalars of the program may follow.
        """
        xs = [self._found(x) for x in vectors if not isinstance(x, Scalar)]
        self.means.quadrature.left = ALLOWANCE
        cs: list[Scalar] = [*(x for x in vectors if isinstance(x, Scalar)), *scalars]
        return self.expected(traced(function, len(xs), len(cs)), xs, cs)

    def covariance(self, x: Vector, y: Vector) -> Estimate:
        """E[Z^x Z^y] (uncentred, as kernels are)."""
        self.means.quadrature.left = ALLOWANCE
        return self.product(self._found(x), self._found(y))

    def mean(self, x: Vector) -> Estimate:
        """E Z^x."""
        return self.expect(lambda x: x, x)

    def gram(self, vectors: Sequence[Vector]) -> np.ndarray[Any, Any]:
        """The matrix of E[Z^x Z^y]."""
        return np.array([[float(self.covariance(x, y)) for y in vectors] for x in vectors])

    def __getitem__(self, scalar: Scalar | str) -> Estimate:
        found = self.program[scalar] if isinstance(scalar, str) else scalar
        if not isinstance(found, Scalar):
            raise LimitError(f"{found.name} is a vector; its limit is a random variable.", legal="lim.expect(f, x)")
        return self.scalars[found]

    def dots(self, x: Vector) -> dict[Vector, Estimate]:
        """The coefficients of earlier vectors in the dot part of Z^x: what x remembers through a matrix.

        For a sum of products it is the sum of theirs. In message passing this is the Onsager term.
        """
        rule, node = self.program.rules[self._found(x).position], self.nodes[x]
        if isinstance(rule, MatMul) and node.hat is not None:
            return dict(node.dots)
        parts: list[tuple[Vector, Estimate]] = []
        if isinstance(rule, MatMul):
            parts = node.dots
        elif isinstance(rule, LinComb):
            values = [self.scalars[c] if isinstance(c, Scalar) else Estimate(c) for c in rule.coefficients]
            parts = list(zip(rule.operands, values, strict=True))
        out: dict[Vector, Estimate] = {}
        for y, value in parts:
            for z, inner in self.dots(y).items():
                product = times(value, inner)
                out[z] = plus(out[z], product) if z in out else product
        return out

    def samples(self, x: Vector) -> Any:
        """Particles of Z^x, on the backend, (groups, size)."""
        return self.array(self._found(x))

    @property
    def tiers(self) -> dict[str, str]:
        """By variable the worst tier that its definition took."""
        found = {x.name: node.tier for x, node in self.nodes.items()}
        return {**found, **{c.name: e.tier for c, e in self.scalars.items()}}

    def rank_stable(self) -> dict[str, tuple[bool, str]]:
        """For each matrix and orientation whether what it multiplies has a limit Gram matrix of full rank.

        That suffices for rank stability (TP III, assumption 7.1): linear dependencies that appear in the limit only
        are excluded.
        """
        out: dict[str, tuple[bool, str]] = {}
        for (matrix, transposed), uses in self.uses.items():
            xs = list(dict.fromkeys(use.operand for use in uses))
            if not xs:
                continue
            eigenvalues = np.linalg.eigvalsh(self.gram(xs))
            rank = int((eigenvalues > 1e-9 * max(float(eigenvalues.max()), 1e-300)).sum())
            name = matrix.name + ("^T" if transposed else "")
            names = ", ".join(x.name for x in xs)
            full = rank == len(xs)
            out[name] = (full, f"the Gram matrix of {names} has rank {rank} of {len(xs)}")
        return out

    def __str__(self) -> str:
        rows = []
        for rule in self.program.rules:
            for x in rule.results:
                if isinstance(x, Scalar):
                    rows.append((x.name, str(self.scalars[x]), self.scalars[x].tier))
                else:
                    node = self.nodes[x]
                    rows.append((x.name, self._described(rule, node), node.tier))
        left = max((len(row[0]) for row in rows), default=0)
        return "\n".join(f"{name:<{left}}  {tier}  {text}" for name, text, tier in rows)

    def __repr__(self) -> str:
        return f"<limit of {self.program!r}>"

    def _described(self, rule: Rule, node: Node) -> str:
        if not isinstance(rule, MatMul):
            return f"Z = {rule.text()}"
        dots = "".join(f" + {shown(float(c.value)) if isinstance(c, Estimate) else shown(c)} Z^{x.name}"
                       for x, c in node.dots)  # fmt: skip
        return f"Z = hat{dots}" + (f"   (error {node.error:.1e})" if node.error else "")

    def _found(self, x: Any) -> Vector:
        if not isinstance(x, Vector) or x.program is not self.program:
            raise LimitError(f"{x!r:.60} is no vector of this program.")
        return x

    # -- rules ----------------------------------------------------------------------------------------------------

    def _run(self, rule: Rule) -> None:
        if isinstance(rule, Initial):
            self._initial(rule)
        elif isinstance(rule, Constant):
            self.scalars[rule.result] = Estimate(rule.value)
        elif isinstance(rule, MatMul):
            self.nodes[rule.result] = self._matmul(rule)
        elif isinstance(rule, LinComb):
            self.nodes[rule.result] = self._lincomb(rule)
        elif isinstance(rule, Nonlin):
            self.nodes[rule.result] = self._nonlin(rule)
        elif isinstance(rule, Moment):
            self.scalars[rule.result] = self.expected(rule.function, rule.operands, rule.scalars)
        elif isinstance(rule, OuterNonlin):
            self.nodes[rule.result] = self._outer(rule)

    def _initial(self, rule: Initial) -> None:
        """Each vector regressed on those before it, plus a Gaussian of the variance that is left."""
        z: list[Polynomial] = []
        for n, x in enumerate(rule.results):
            before = [list(row[:n]) for row in rule.covariance[:n]]
            right = list(rule.covariance[n][:n])
            found, left = residual(before, right, rule.covariance[n][n])
            centred = self.algebra.gaussian(left) if left else of(Fraction(0))
            for a, b in zip(found, z, strict=True):
                centred = centred + b.scaled(a) if a else centred
            z.append(centred)
            assert isinstance(x, Vector)
            self.nodes[x] = Node(centred + of(rule.mean[n]))

    def _lincomb(self, rule: LinComb) -> Node:
        total = of(Fraction(0))
        tier, error = "A", 0.0
        known = True
        for c, x in zip(rule.coefficients, rule.operands, strict=True):
            node = self.nodes[x]
            value = self.scalars[c] if isinstance(c, Scalar) else Estimate(c)
            tier, error = worst(tier, node.tier, value.tier), max(error, node.error, value.error)
            if node.z is None or value.groups is not None:
                known = False
            elif known:
                total = total + node.z.scaled(value.value)
        return Node(total if known else None, tier, error, self._bias(rule.operands))

    def _bias(self, vectors: Sequence[Vector]) -> float:
        return max((self.nodes[x].bias for x in vectors), default=0.0)

    def _nonlin(self, rule: Nonlin) -> Node:
        nodes = [self.nodes[x] for x in rule.operands]
        values = [self.scalars[c] for c in rule.scalars]
        tier = worst(*(node.tier for node in nodes), *(value.tier for value in values))
        error = max((*(node.error for node in nodes), *(value.error for value in values)), default=0.0)
        arguments = self.polynomials(rule.operands, rule.scalars)
        z = None if arguments is None else self.algebra.applied(rule.function, arguments)
        return Node(z, tier, error, self._bias(rule.operands))

    def _outer(self, rule: OuterNonlin) -> Node:
        nodes = [self.nodes[x] for x in rule.operands]
        tier = worst(*(node.tier for node in nodes))
        arguments = self.polynomials(rule.operands, rule.scalars)
        if arguments is not None:
            found = integrated(self.means, rule, arguments)
            if found is not None:
                z, how, error = found
                return Node(z, worst(tier, how), error)
        node = Node(None, "D", max((node.error for node in nodes), default=0.0), self._bias(rule.operands))
        self.nodes[rule.result] = node
        # The particles are drawn now, since the bias is known then.
        self.array(rule.result)
        return node

    # -- products with matrices -----------------------------------------------------------------------------------

    def _matmul(self, rule: MatMul) -> Node:
        matrix, x = rule.matrix, rule.operand
        split = self._split(matrix, x)
        if split is not None:
            return split
        base, transposed = matrix.base, matrix.transposed
        rho = base.rows.ratio / base.columns.ratio
        scale: Number = base.variance * (rho if transposed else 1)
        same = self.uses.setdefault((base, transposed), [])
        other = self.uses.setdefault((base, not transposed), [])
        use, hat = self._hat(scale, same, x)
        backwards: Number = base.variance * (1 if transposed else rho)
        dots = self._dots(backwards, other, x, rho if transposed else 1 / rho)
        tiers = [self.nodes[x].tier, hat.tier, *(c.tier for _, c in dots), *(self.nodes[y].tier for y, _ in dots)]
        error = max(hat.error, *(c.error for _, c in dots), 0.0) if dots else hat.error
        node = Node(None, worst(*tiers), error, self._bias([x, *(y for y, _ in dots)]), use, list(dots))
        if use.hat is not None and all(c.groups is None and self.nodes[y].z is not None for y, c in dots):
            z = use.hat
            for y, c in dots:
                if c.value:
                    inner = self.nodes[y].z
                    assert inner is not None
                    z = z + inner.scaled(c.value)
            node.z = z
        same.append(use)
        self._products[base, transposed, x] = rule.result
        return node

    def _split(self, matrix: Matrix, x: Vector) -> Node | None:
        """W(y + z) is W y + W z wherever those are there: the same vectors, so the same limit (TP III, remark 2.11)."""
        leaves = self._leaves(x)
        known = [self._products.get((matrix.base, matrix.transposed, y)) for y in leaves]
        if any(product is None for product in known):
            return None
        total: Polynomial | None = of(Fraction(0))
        tier, error = "A", 0.0
        dots: list[tuple[Vector, Any]] = []
        for product, c in zip(known, leaves.values(), strict=True):
            assert product is not None
            node = self.nodes[product]
            tier, error = worst(tier, node.tier, c.tier), max(error, node.error, c.error)
            total = None if node.z is None or total is None or c.groups is not None else total + node.z.scaled(c.value)
            dots.append((product, c))
        return Node(total, tier, error, self._bias([x]), None, dots)

    def _leaves(self, x: Vector) -> dict[Vector, Estimate]:
        """The vectors that a vector is a linear combination of, as the program writes it."""
        rule = self.program.rules[x.position]
        if not isinstance(rule, LinComb):
            return {x: Estimate(Fraction(1))}
        out: dict[Vector, Estimate] = {}
        for c, y in zip(rule.coefficients, rule.operands, strict=True):
            value = self.scalars[c] if isinstance(c, Scalar) else Estimate(c)
            for leaf, inner in self._leaves(y).items():
                product = times(value, inner)
                out[leaf] = plus(out[leaf], product) if leaf in out else product
        return out

    def _hat(self, scale: Number, same: list[Use], x: Vector) -> tuple[Use, Estimate]:
        """The hat, and an estimate that carries its tier and error."""
        right = [self.product(use.operand, x) for use in same]
        square = self.product(x, x)
        everything = [square, *right]
        tier, error = worst(*(e.tier for e in everything)), max(e.error for e in everything)
        report = Estimate(square.value, error, tier)
        if all(e.groups is None for e in everything) and all(use.hat is not None for use in same):
            return self._drawn(same, x, [scale * e.value for e in right], scale * square.value, error), report
        cloud = self.particles()
        rows = self._grams(same)
        values = np.stack([grouped(e, cloud.groups) for e in right], axis=1) if right else np.zeros((cloud.groups, 0))
        found_ = regression(rows, values)
        left_ = grouped(square, cloud.groups) - np.einsum("gi,gi->g", found_, values)
        array = cloud.normal() * cloud.constant(np.sqrt(np.maximum(float(scale) * left_, 0.0)))
        for n, use in enumerate(same):
            array = array + self.hat_array(use) * cloud.constant(found_[:, n])
        return Use(x, None, array), report

    def _drawn(self, same: list[Use], x: Vector, right: list[Number], variance: Number, error: float) -> Use:
        """A hat of known covariances with those before it.

        The earlier hats are sums of Gaussians, each with one of its own, so these sums are a Cholesky factor, and the
        new hat's coefficients come from it row by row.
        """
        found: dict[int, Number] = {}
        for use, c in zip(same, right, strict=True):
            if use.own is not None:
                found[use.own] = self._row(use, c, found) / self.algebra.symbols[use.own].variance
        left = variance
        for n, a in found.items():
            left = left - a * a * self.algebra.symbols[n].variance
        settled = _settled(list(found.values()), max(NOTHING * _largest(list(found.values())), error))
        hat = Polynomial({((n, 1),): a for n, a in zip(found, settled, strict=True)})
        if negligible(left, variance):
            return Use(x, hat)
        fresh = self.algebra.gaussian(left)
        return Use(x, hat + fresh, own=len(self.algebra.symbols) - 1)

    def _row(self, use: Use, value: Number, known: dict[int, Number]) -> Number:
        """A number less what the Gaussians before the hat's own contribute: coefficient times variance times known."""
        assert use.hat is not None
        for m, c in use.hat.terms.items():
            n = m[0][0]
            if n != use.own and n in known:
                value = value - c * known[n] * self.algebra.symbols[n].variance
        return value

    def _solved(self, uses: list[Use], right: list[Number]) -> list[Number]:
        """C^-1 b with C the covariance of hats, from their sums of Gaussians; 0 for hats that depend on others."""
        forward: dict[int, Number] = {}
        for use, b in zip(uses, right, strict=True):
            if use.own is not None:
                forward[use.own] = self._row(use, b, forward) / self.algebra.symbols[use.own].variance
        out: dict[int, Number] = {}
        for use in reversed(uses):
            if use.own is not None:
                value = forward[use.own]
                for later in uses:
                    if later.own in out and later.hat is not None:
                        c = later.hat.terms.get(((use.own, 1),))
                        value = value - c * out[later.own] if c else value
                out[use.own] = value
        return [out[use.own] if use.own is not None else Fraction(0) for use in uses]

    def _dots(self, scale: Number, other: list[Use], x: Vector, factor: Number) -> list[tuple[Vector, Estimate]]:
        """The coefficients of Z^{y_i} for the earlier products W^T y_i.

        Args:
            scale: hats of these have the covariance scale E[Z^{y_i} Z^{y_j}].
            other: the products.
            x: what is multiplied now.
            factor: rho, or 1 / rho.
        """
        if not other:
            return []
        right = [self.with_hat(use, x) for use in other]
        if all(e.groups is None and not e.value and not e.error for e in right):
            return []
        ys = [use.operand for use in other]
        tier, error = worst(*(e.tier for e in right)), max(e.error for e in right)
        if all(e.groups is None for e in right):
            squares = [self.product(y, y) for y in ys]
            if all(use.hat is not None for use in other):
                found = [scale * a for a in self._solved(other, [e.value for e in right])]
                least = min((float(e.value) for e in squares if e.value), default=1.0)
                tier = worst(tier, *(e.tier for e in squares))
                loose = abs(float(factor)) * error / math.sqrt(least)
                return [
                    (y, Estimate(factor * a, loose, tier))
                    for y, a in zip(ys, _settled(found, max(NOTHING * _largest(found), error)), strict=True) if a
                ]  # fmt: skip
        cloud = self.particles()
        values = np.stack([grouped(e, cloud.groups) for e in right], axis=1)
        found_ = regression(self._grams(other), values) * float(factor)
        return [(y, from_groups(found_[:, n])) for n, y in enumerate(ys)]

    def _grams(self, uses: list[Use]) -> np.ndarray[Any, Any]:
        groups = self.particles().groups
        size = len(uses)
        out = np.zeros((groups, size, size))
        for i in range(size):
            for j in range(i, size):
                out[:, i, j] = out[:, j, i] = grouped(self.product(uses[i].operand, uses[j].operand), groups)
        return out


def _largest(values: Sequence[Number]) -> float:
    return max((abs(float(a)) for a in values), default=0.0)


def _settled(values: Sequence[Number], nothing: float) -> list[Number]:
    """Coefficients without those floats that are no more than their error: a zero that is not known exactly."""
    return [Fraction(0) if isinstance(a, float) and abs(a) <= nothing else a for a in values]
