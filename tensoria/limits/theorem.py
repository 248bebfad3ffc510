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
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.backend import Array
from tensoria.errors import LimitError
from tensoria.limits.expectation.algebra import Algebra, Polynomial, of
from tensoria.limits.expectation.closed_forms import ONE, Pair, Term, UnknownPairError
from tensoria.limits.expectation.estimate import Estimate, from_groups, worst
from tensoria.limits.expectation.exact import ROUNDING, Means
from tensoria.limits.expectation.particles import Particles, regression
from tensoria.limits.expectation.recognition import recognised
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
from tensoria.limits.language.numbers import Number, residual, shown, solved
from tensoria.limits.outer import integrated

__all__ = ["Limit"]

PARTICLES = 2**17
NOTHING = 1e-14
"""A float coefficient below this part of the largest one is rounding."""
INNER = 1024
"""Samples of the other copies in an outer nonlinearity of particles."""


@dataclass(eq=False)
class _Use:
    """One product with a matrix: what was multiplied, and the hat.

    Attributes:
        operand: x of W x.
        hat: as a polynomial, if it is known exactly enough.
        array: as particles, if not.
    """

    operand: Vector
    hat: Polynomial | None
    array: Array | None = None


@dataclass(eq=False)
class _Node:
    """What is known of a vector.

    Attributes:
        z: Z^x as a polynomial, or None if it depends on particles.
        tier: the worst tier of what defines it.
        error: the largest error of a coefficient in it.
        parts: of a MatMul the hat and the dot's coefficients by vector.
    """

    z: Polynomial | None
    tier: str = "A"
    error: float = 0.0
    hat: _Use | None = None
    dots: list[tuple[Vector, Any]] = field(default_factory=list)


class Limit:
    """The limit of a program.

    Args:
        program: a `TensorProgram`.
        particles: how many, where particles are needed.
        key: a seed, or a key of tn.random on the backend.
        backend: where particles live.
        tiers: which tiers may be used; "ABCD" by default.
        quadrature: up to how many Gaussians tier C takes (3 at most).

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
        self.program = program
        self.allowed = tiers
        self.algebra = Algebra()
        self.means = Means(self.algebra, quadrature if "C" in tiers else 0)
        self._particles = (PARTICLES if particles is None else particles, key, backend)
        self._cloud: Particles | None = None
        self.nodes: dict[Vector, _Node] = {}
        self.scalars: dict[Scalar, Estimate] = {}
        self._uses: dict[tuple[Matrix, bool], list[_Use]] = {}
        self._products: dict[Any, Vector] = {}
        self._inner: dict[tuple[int, int], Estimate] = {}
        self._arrays: dict[Any, Array] = {}
        self._done = 0
        self.advance()

    def advance(self) -> Limit:
        """Take in what the program has got since: instructions that were written after the limit was taken."""
        for rule in self.program.rules[self._done :]:
            self._run(rule)
            self._done += 1
        return self

    # -- what is asked --------------------------------------------------------------------------------------------

    def expect(self, function: Any, *vectors: Vector, scalars: Iterable[Scalar] = ()) -> Estimate:
        """E phi(Z^x1, ..., Z^xk; theta), with its error and tier: the limit of the mean over coordinates.

        Args:
            function: an ordinary function of tensors, or an activation's name.
            vectors: vectors of one width; scalars of the program may follow.
        """
        xs = [self._found(x) for x in vectors if not isinstance(x, Scalar)]
        cs = [*(x for x in vectors if isinstance(x, Scalar)), *scalars]
        return self._expected(traced(function, len(xs), len(cs)), xs, cs)

    def covariance(self, x: Vector, y: Vector) -> Estimate:
        """E[Z^x Z^y] (uncentred, as kernels are)."""
        return self._product(self._found(x), self._found(y))

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
        rule = self.program.rules[self._found(x).position]
        if isinstance(rule, MatMul):
            return dict(self.nodes[x].dots)
        out: dict[Vector, Estimate] = {}
        if isinstance(rule, LinComb):
            for c, y in zip(rule.coefficients, rule.operands, strict=True):
                value = self.scalars[c] if isinstance(c, Scalar) else Estimate(c)
                for z, inner in self.dots(y).items():
                    product = _times(value, inner)
                    out[z] = _plus(out[z], product) if z in out else product
        return out

    def samples(self, x: Vector) -> Array:
        """Particles of Z^x, on the backend, (groups, size)."""
        return self._array(self._found(x))

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
        for (matrix, transposed), uses in self._uses.items():
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

    def _described(self, rule: Rule, node: _Node) -> str:
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
            self.scalars[rule.result] = self._expected(rule.function, rule.operands, rule.scalars)
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
            self.nodes[x] = _Node(centred + of(rule.mean[n]))

    def _lincomb(self, rule: LinComb) -> _Node:
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
        return _Node(total if known else None, tier, error)

    def _nonlin(self, rule: Nonlin) -> _Node:
        nodes = [self.nodes[x] for x in rule.operands]
        values = [self.scalars[c] for c in rule.scalars]
        tier = worst(*(node.tier for node in nodes), *(value.tier for value in values))
        error = max((*(node.error for node in nodes), *(value.error for value in values)), default=0.0)
        arguments = self._polynomials(rule.operands, rule.scalars)
        return _Node(None if arguments is None else self.algebra.applied(rule.function, arguments), tier, error)

    def _polynomials(self, vectors: Sequence[Vector], scalars: Sequence[Scalar]) -> list[Polynomial] | None:
        found: list[Polynomial] = []
        for x in vectors:
            z = self.nodes[x].z
            if z is None:
                return None
            found.append(z)
        for c in scalars:
            if self.scalars[c].groups is not None:
                return None
            found.append(of(self.scalars[c].value))
        return found

    def _outer(self, rule: OuterNonlin) -> _Node:
        nodes = [self.nodes[x] for x in rule.operands]
        tier = worst(*(node.tier for node in nodes))
        arguments = self._polynomials(rule.operands, rule.scalars)
        if arguments is not None:
            found = integrated(self.means, rule, arguments)
            if found is not None:
                z, how, error = found
                return _Node(z, worst(tier, how), error)
        return _Node(None, "D", max((node.error for node in nodes), default=0.0))

    # -- products with matrices -----------------------------------------------------------------------------------

    def _matmul(self, rule: MatMul) -> _Node:
        matrix, x = rule.matrix, rule.operand
        split = self._split(matrix, x)
        if split is not None:
            return split
        base, transposed = matrix.base, matrix.transposed
        rho = base.rows.ratio / base.columns.ratio
        scale: Number = base.variance * (rho if transposed else 1)
        same = self._uses.setdefault((base, transposed), [])
        other = self._uses.setdefault((base, not transposed), [])
        use, hat = self._hat(scale, same, x)
        dots = self._dots(other, x, rho if transposed else 1 / rho)
        tiers = [self.nodes[x].tier, hat.tier, *(c.tier for _, c in dots), *(self.nodes[y].tier for y, _ in dots)]
        error = max(hat.error, *(c.error for _, c in dots), 0.0) if dots else hat.error
        node = _Node(None, worst(*tiers), error, use, list(dots))
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

    def _split(self, matrix: Matrix, x: Vector) -> _Node | None:
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
        return _Node(total, tier, error, None, dots)

    def _leaves(self, x: Vector) -> dict[Vector, Estimate]:
        """The vectors that a vector is a linear combination of, as the program writes it."""
        rule = self.program.rules[x.position]
        if not isinstance(rule, LinComb):
            return {x: Estimate(Fraction(1))}
        out: dict[Vector, Estimate] = {}
        for c, y in zip(rule.coefficients, rule.operands, strict=True):
            value = self.scalars[c] if isinstance(c, Scalar) else Estimate(c)
            for leaf, inner in self._leaves(y).items():
                product = _times(value, inner)
                out[leaf] = _plus(out[leaf], product) if leaf in out else product
        return out

    def _hat(self, scale: Number, same: list[_Use], x: Vector) -> tuple[_Use, Estimate]:
        """The hat, and an estimate that carries its tier and error."""
        right = [self._product(use.operand, x) for use in same]
        square = self._product(x, x)
        everything = [square, *right]
        tier, error = worst(*(e.tier for e in everything)), max(e.error for e in everything)
        report = Estimate(square.value, error, tier)
        if all(e.groups is None for e in everything) and all(use.hat is not None for use in same):
            matrix = [[scale * self._product(a.operand, b.operand).value for b in same] for a in same]
            found, left = residual(matrix, [scale * e.value for e in right], scale * square.value)
            found = _settled(found, max(NOTHING * float(max(map(abs, found), default=0)), error))
            hat = self.algebra.gaussian(left) if left > 0 else of(Fraction(0))
            for a, use in zip(found, same, strict=True):
                assert use.hat is not None
                hat = hat + use.hat.scaled(a) if a else hat
            return _Use(x, hat), report
        cloud = self._particles_now()
        rows = self._grams(same)
        values = np.stack([_grouped(e, cloud.groups) for e in right], axis=1) if right else np.zeros((cloud.groups, 0))
        found_ = regression(rows, values)
        left_ = _grouped(square, cloud.groups) - np.einsum("gi,gi->g", found_, values)
        array = cloud.normal() * cloud.constant(np.sqrt(np.maximum(float(scale) * left_, 0.0)))
        for n, use in enumerate(same):
            array = array + self._hat_array(use) * cloud.constant(found_[:, n])
        return _Use(x, None, array), report

    def _dots(self, other: list[_Use], x: Vector, factor: Number) -> list[tuple[Vector, Estimate]]:
        """The coefficients of Z^{y_i} for the earlier products W^T y_i."""
        if not other:
            return []
        right = [self._with_hat(use, x) for use in other]
        if all(e.groups is None and not e.value and not e.error for e in right):
            return []
        ys = [use.operand for use in other]
        tier, error = worst(*(e.tier for e in right)), max(e.error for e in right)
        if all(e.groups is None for e in right):
            gram = [[self._product(a, b) for b in ys] for a in ys]
            if all(e.groups is None for row in gram for e in row):
                found = solved([[e.value for e in row] for row in gram], [e.value for e in right])
                least = min((float(gram[n][n].value) for n in range(len(ys)) if gram[n][n].value), default=1.0)
                tier = worst(tier, *(e.tier for row in gram for e in row))
                size = max(map(abs, found), default=Fraction(0))
                loose = abs(float(factor)) * error / math.sqrt(least or 1.0)
                return [
                    (y, Estimate(factor * a, loose, tier))
                    for y, a in zip(ys, _settled(found, max(NOTHING * float(size), error)), strict=True) if a
                ]  # fmt: skip
        cloud = self._particles_now()
        values = np.stack([_grouped(e, cloud.groups) for e in right], axis=1)
        found_ = regression(self._grams(other), values) * float(factor)
        return [(y, from_groups(found_[:, n])) for n, y in enumerate(ys)]

    def _grams(self, uses: list[_Use]) -> np.ndarray[Any, Any]:
        groups = self._particles_now().groups
        size = len(uses)
        out = np.zeros((groups, size, size))
        for i in range(size):
            for j in range(i, size):
                out[:, i, j] = out[:, j, i] = _grouped(self._product(uses[i].operand, uses[j].operand), groups)
        return out

    # -- expectations ---------------------------------------------------------------------------------------------

    def _product(self, x: Vector, y: Vector) -> Estimate:
        """E[Z^x Z^y]."""
        key = (min(id(x), id(y)), max(id(x), id(y)))
        found = self._inner.get(key)
        if found is None:
            found = self._inner[key] = self._computed(x, y)
        return found

    def _computed(self, x: Vector, y: Vector) -> Estimate:
        a, b = self.nodes[x].z, self.nodes[y].z
        inherited = max(self.nodes[x].error, self.nodes[y].error)
        tier = worst(self.nodes[x].tier, self.nodes[y].tier)
        if a is not None and b is not None:
            product = self.algebra.product(a, b)
            exact = self.means.exact(product)
            if exact is not None:
                return Estimate(exact, inherited, tier)
            closed = self._closed(x, y) if "B" in self.allowed else None
            if closed is not None:
                return Estimate(closed, ROUNDING * 4 * (1 + abs(closed)) + inherited, worst("B", tier))
            found = self.means.mean(product)
            if found is not None and found.tier in self.allowed:
                return Estimate(found.value, found.error + inherited, worst(found.tier, tier))
        cloud = self._particles_now()
        return from_groups(cloud.inner(self._array(x), self._array(y)))

    def _with_hat(self, use: _Use, x: Vector) -> Estimate:
        """E[hat^{Wy} Z^x]."""
        z = self.nodes[x].z
        if z is not None and use.hat is not None:
            found = self.means.mean(self.algebra.product(use.hat, z))
            if found is not None and found.tier in self.allowed:
                return Estimate(found.value, found.error + self.nodes[x].error, worst(found.tier, self.nodes[x].tier))
        cloud = self._particles_now()
        return from_groups(cloud.inner(self._hat_array(use), self._array(x)))

    def _closed(self, x: Vector, y: Vector) -> float | None:
        """E[phi(u) psi(v)] of centred Gaussians u and v from the table."""
        first, second = self._activation(x), self._activation(y)
        if first is None or second is None:
            return None
        (phi, u), (psi, v) = first, second
        a, b, c = (self._linear(*of_) for of_ in ((u, u), (v, v), (u, v)))
        backend = self.means.quadrature._backend
        one = np.asarray
        try:
            return float(Pair(backend, one(a), one(b), one(c)).expectation(phi, psi))
        except UnknownPairError:
            return None

    def _activation(self, x: Vector) -> tuple[tuple[Term, ...], Polynomial] | None:
        rule = self.program.rules[x.position]
        z = self.nodes[x].z
        if isinstance(rule, Nonlin) and len(rule.operands) == 1 and not rule.scalars:
            inner = self.nodes[rule.operands[0]].z
            terms = recognised(rule.function)
            if inner is not None and terms is not None and self.algebra.affine(inner) and not inner.terms.get(()):
                return terms, inner
        if z is not None and self.algebra.affine(z) and not z.terms.get(()):
            return (Term(1.0, 1, ONE),), z
        return None

    def _linear(self, u: Polynomial, v: Polynomial) -> float:
        """The covariance of linear functions of the Gaussians."""
        total = 0.0
        for m, c in u.terms.items():
            d = v.terms.get(m)
            if d:
                total += float(c) * float(d) * float(self.algebra.symbols[m[0][0]].variance)
        return total

    def _expected(self, function: Any, vectors: Sequence[Vector], scalars: Sequence[Scalar]) -> Estimate:
        arguments = self._polynomials(vectors, scalars)
        nodes = [self.nodes[x] for x in vectors]
        inherited = max((*(n.error for n in nodes), *(self.scalars[c].error for c in scalars)), default=0.0)
        tier = worst(*(n.tier for n in nodes), *(self.scalars[c].tier for c in scalars))
        if arguments is not None:
            p = self.algebra.applied(function, arguments)
            exact = self.means.exact(p)
            if exact is not None:
                return Estimate(exact, inherited, tier)
            found = self.means.mean(p)
            if found is not None and found.tier in self.allowed:
                return Estimate(found.value, found.error + inherited, worst(found.tier, tier))
        cloud = self._particles_now()
        arrays = [*(self._array(x) for x in vectors), *(self._scalar_array(c) for c in scalars)]
        values = cloud.means(function.evaluate(cloud.backend, arrays))
        if not vectors and all(self.scalars[c].groups is None for c in scalars):
            return Estimate(float(values[0]), inherited, tier)
        return from_groups(values)

    # -- particles ------------------------------------------------------------------------------------------------

    def _particles_now(self) -> Particles:
        if "D" not in self.allowed:
            raise LimitError(
                f"unsupported: an expectation beyond the tiers {self.allowed}: more Gaussians than quadrature takes.",
                legal='tiers="ABCD", particles=...',
            )
        if self._cloud is None:
            self._cloud = Particles(*self._particles)
        return self._cloud

    def _gaussian_array(self, n: int) -> Array:
        key = ("gaussian", n)
        if key not in self._arrays:
            deviation = math.sqrt(float(self.algebra.symbols[n].variance))
            self._arrays[key] = self._particles_now().normal() * deviation
        return self._arrays[key]

    def _linear_array(self, p: Polynomial) -> Array:
        """A linear function of the Gaussians."""
        total: Any = None
        for m, c in p.terms.items():
            part = self._particles_now().constant(float(c)) if not m else self._gaussian_array(m[0][0]) * float(c)
            total = part if total is None else total + part
        return self._particles_now().constant(0.0) if total is None else total

    def _hat_array(self, use: _Use) -> Array:
        if use.array is not None:
            return use.array
        assert use.hat is not None
        return self._linear_array(use.hat)

    def _scalar_array(self, c: Scalar) -> Array:
        value = self.scalars[c]
        return self._particles_now().constant(float(value.value) if value.groups is None else value.groups)

    def _array(self, x: Vector) -> Array:
        """Particles of Z^x."""
        found = self._arrays.get(x)
        if found is None:
            found = self._arrays[x] = self._evaluated(x)
        return found

    def _evaluated(self, x: Vector) -> Array:
        rule = self.program.rules[x.position]
        node = self.nodes[x]
        cloud = self._particles_now()
        if isinstance(rule, Initial):
            assert node.z is not None
            return self._linear_array(node.z) + 0.0 * cloud.constant(0.0)
        if isinstance(rule, MatMul):
            total = self._hat_array(node.hat) if node.hat is not None else cloud.constant(0.0)
            for y, c in node.dots:
                total = total + self._array(y) * cloud.constant(float(c.value) if c.groups is None else c.groups)
            return total
        if isinstance(rule, LinComb):
            total = None
            for c_, y in zip(rule.coefficients, rule.operands, strict=True):
                factor = self._scalar_array(c_) if isinstance(c_, Scalar) else cloud.constant(float(c_))
                part = self._array(y) if not isinstance(c_, Scalar) and c_ == 1 else self._array(y) * factor
                total = part if total is None else total + part
            return total
        if isinstance(rule, Nonlin):
            arrays = [*(self._array(y) for y in rule.operands), *(self._scalar_array(c) for c in rule.scalars)]
            return rule.function.evaluate(cloud.backend, arrays)
        assert isinstance(rule, OuterNonlin)
        return self._outer_array(rule)

    def _outer_array(self, rule: OuterNonlin) -> Array:
        """The mean over other particles of the same group, each copy starting at another one."""
        cloud = self._particles_now()
        xp, count = cloud.backend.xp, min(INNER, cloud.size)
        own = [self._array(x) for x in rule.own]
        scalars = [self._scalar_array(c) for c in rule.scalars]
        total: Any = None
        step = max(1, cloud.size // count)
        for m in range(count):
            inner = []
            for n, copy in enumerate(rule.copies):
                at = (m * step + n * (cloud.size // (len(rule.copies) + 1) + 1)) % cloud.size
                inner += [xp.broadcast_to(self._array(x), (cloud.groups, cloud.size))[:, at : at + 1] for x in copy]
            part = rule.function.evaluate(cloud.backend, [*own, *inner, *scalars])
            total = part if total is None else total + part
        return total * (1.0 / count)


def _settled(values: Sequence[Number], nothing: float) -> list[Number]:
    """Coefficients without those floats that are no more than their error: a zero that is not known exactly."""
    return [Fraction(0) if isinstance(a, float) and abs(a) <= nothing else a for a in values]


def _grouped(e: Estimate, groups: int) -> np.ndarray[Any, Any]:
    return np.full(groups, float(e.value)) if e.groups is None else e.groups


def _times(a: Estimate, b: Estimate) -> Estimate:
    groups = None
    if a.groups is not None or b.groups is not None:
        groups = (float(a.value) if a.groups is None else a.groups) * (float(b.value) if b.groups is None else b.groups)
        return from_groups(groups)
    return Estimate(a.value * b.value, abs(float(a.value)) * b.error + abs(float(b.value)) * a.error,
                    worst(a.tier, b.tier))  # fmt: skip


def _plus(a: Estimate, b: Estimate) -> Estimate:
    if a.groups is not None or b.groups is not None:
        groups = (float(a.value) if a.groups is None else a.groups) + (float(b.value) if b.groups is None else b.groups)
        return from_groups(groups)
    return Estimate(a.value + b.value, a.error + b.error, worst(a.tier, b.tier))
