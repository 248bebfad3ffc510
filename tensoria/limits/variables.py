"""What is known of every vector of a program in the limit, and expectations of it.

A vector is a polynomial in Gaussians and atoms, or, once a coefficient comes from particles, particles only. Every
expectation takes the first tier that may and can do it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.backend import Array
from tensoria.errors import LimitError
from tensoria.limits.expectation.algebra import Algebra, Polynomial, of
from tensoria.limits.expectation.closed_forms import ONE, Pair, Term, UnknownPairError
from tensoria.limits.expectation.estimate import Estimate, from_groups, times, worst
from tensoria.limits.expectation.exact import ROUNDING, Means
from tensoria.limits.expectation.particles import Particles
from tensoria.limits.expectation.recognition import recognised
from tensoria.limits.language.instructions import (
    Initial,
    LinComb,
    MatMul,
    Matrix,
    Nonlin,
    OuterNonlin,
    Scalar,
    Vector,
)
from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.limits.language.numbers import Number, shortened

__all__ = ["Node", "Use", "Variables"]

INNER = 1024
"""Samples of the other copies in an outer nonlinearity of particles."""


@dataclass(eq=False)
class Use:
    """One product with a matrix: what was multiplied, and the hat.

    Attributes:
        operand: x of W x.
        hat: as a polynomial, if it is known exactly enough.
        array: as particles, if not.
        own: the Gaussian that the hat has beyond those before it, if there is one.
    """

    operand: Vector
    hat: Polynomial | None
    array: Array | None = None
    own: int | None = None


@dataclass(eq=False)
class Node:
    """What is known of a vector.

    Attributes:
        z: Z^x as a polynomial, or None if it depends on particles.
        tier: the worst tier of what defines it.
        error: the largest error of a coefficient in it.
        bias: of what outer nonlinearities of particles leave in squares, since their inner samples are finitely many.
        hat, dots: of a MatMul the hat, and the dot's coefficients by vector.
    """

    z: Polynomial | None
    tier: str = "A"
    error: float = 0.0
    bias: float = 0.0
    hat: Use | None = None
    dots: list[tuple[Vector, Any]] = field(default_factory=list)


class Variables:
    """The variables of a program in the limit.

    Args:
        program: a Tensor Program.
        particles: how many, a seed or key, and the backend: where particles are needed.
        tiers: which tiers may be used.
        quadrature: up to how many Gaussians tier C takes.
    """

    def __init__(self, program: Any, particles: tuple[int, Any, str], tiers: str, quadrature: int) -> None:
        self.program = program
        self.allowed = tiers
        self.algebra = Algebra()
        self.means = Means(self.algebra, quadrature if "C" in tiers else 0)
        self.nodes: dict[Vector, Node] = {}
        self.scalars: dict[Scalar, Estimate] = {}
        self.uses: dict[tuple[Matrix, bool], list[Use]] = {}
        self._particles = particles
        self._cloud: Particles | None = None
        self._inner: dict[tuple[int, int], Estimate] = {}
        self._arrays: dict[Any, Array] = {}

    # -- expectations ---------------------------------------------------------------------------------------------

    def product(self, x: Vector, y: Vector) -> Estimate:
        """E[Z^x Z^y].

        Raises:
            LimitError: the vectors are of different widths.
        """
        self._one_width((x, y))
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
            if self.algebra.affine(a) and self.algebra.affine(b):
                value = shortened(self.algebra.covariance(a, b))
                rounding = 0.0 if isinstance(value, Fraction) else ROUNDING * abs(value)
                return Estimate(value, inherited + rounding, tier)
            product = self.algebra.product(a, b)
            exact = self.means.exact(product)
            if exact is not None:
                return Estimate(shortened(exact), inherited, tier)
            closed = self._closed(x, y) if "B" in self.allowed else None
            if closed is not None:
                return Estimate(closed, ROUNDING * 4 * (1 + abs(closed)) + inherited, worst("B", tier))
            found = self.means.mean(product)
            if found is not None and found.tier in self.allowed:
                return Estimate(found.value, found.error + inherited, worst(found.tier, tier))
        of_hats = self._of_hats(x, y)
        if of_hats is not None:
            return of_hats
        cloud = self.particles()
        return self._sampled(cloud.inner(self.array(x), self.array(y)), (x, y))

    def _of_hats(self, x: Vector, y: Vector) -> Estimate | None:
        """E[hat^{Wu} hat^{Wv}] is s^2 E[Z^u Z^v], which has less error than particles of the hats."""
        first, second = (self.program.rules[of.position] for of in (x, y))
        if not (isinstance(first, MatMul) and isinstance(second, MatMul)):
            return None
        if any(of.hat is None or of.dots for of in (self.nodes[x], self.nodes[y])):
            return None
        matrix, other = first.matrix, second.matrix
        if matrix.base is not other.base or matrix.transposed != other.transposed:
            return None
        rho = matrix.base.rows.ratio / matrix.base.columns.ratio
        scale: Number = matrix.base.variance * (rho if matrix.transposed else 1)
        return times(Estimate(scale), self.product(first.operand, second.operand))

    def _sampled(self, values: np.ndarray[Any, Any], vectors: Sequence[Vector]) -> Estimate:
        """A mean over particles, whose error has the bias of outer nonlinearities."""
        found = from_groups(values)
        bias = max((self.nodes[x].bias for x in vectors), default=0.0)
        return replace(found, error=found.error + bias) if bias else found

    def _one_width(self, vectors: Sequence[Vector]) -> None:
        widths = {x.dimension.root: x for x in vectors}
        if len(widths) > 1:
            names = " and ".join(f"{x.name} ({x.dimension})" for x in widths.values())
            raise LimitError(
                f"inconsistent widths: {names} have no coordinates in common.",
                legal='vectors of one width: p.vectors([...]), or dimension="n" for each',
            )

    def with_hat(self, use: Use, x: Vector) -> Estimate:
        """E[hat^{Wy} Z^x]."""
        z = self.nodes[x].z
        if z is not None and use.hat is not None and self.algebra.affine(z):
            return Estimate(self.algebra.covariance(use.hat, z), self.nodes[x].error, self.nodes[x].tier)
        if z is not None and use.hat is not None:
            found = self.means.mean(self.algebra.product(use.hat, z))
            if found is not None and found.tier in self.allowed:
                return Estimate(found.value, found.error + self.nodes[x].error, worst(found.tier, self.nodes[x].tier))
        cloud = self.particles()
        return self._sampled(cloud.inner(self.hat_array(use), self.array(x)), (x,))

    def _closed(self, x: Vector, y: Vector) -> float | None:
        """E[phi(u) psi(v)] of centred Gaussians u and v from the table."""
        first, second = self._activation(x), self._activation(y)
        if first is None or second is None:
            return None
        (phi, u), (psi, v) = first, second
        a, b, c = (float(self.algebra.covariance(*of_)) for of_ in ((u, u), (v, v), (u, v)))
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

    def expected(self, function: Any, vectors: Sequence[Vector], scalars: Sequence[Scalar]) -> Estimate:
        """E phi(Z^x1, ..., Z^xk; theta)."""
        self._one_width(vectors)
        arguments = self.polynomials(vectors, scalars)
        nodes = [self.nodes[x] for x in vectors]
        inherited = max((*(n.error for n in nodes), *(self.scalars[c].error for c in scalars)), default=0.0)
        tier = worst(*(n.tier for n in nodes), *(self.scalars[c].tier for c in scalars))
        if arguments is not None:
            p = self.algebra.applied(function, arguments)
            exact = self.means.exact(p)
            if exact is not None:
                return Estimate(shortened(exact), inherited, tier)
            found = self.means.mean(p)
            if found is not None and found.tier in self.allowed:
                return Estimate(found.value, found.error + inherited, worst(found.tier, tier))
        cloud = self.particles()
        arrays = [*(self.array(x) for x in vectors), *(self.scalar_array(c) for c in scalars)]
        values = cloud.means(self._values(function, arrays))
        if not vectors and all(self.scalars[c].groups is None for c in scalars):
            return Estimate(float(values[0]), inherited, tier)
        return self._sampled(values, vectors)

    # -- particles ------------------------------------------------------------------------------------------------

    def particles(self) -> Particles:
        """The particles, drawn when they are first needed.

        Raises:
            LimitError: tier D may not be used.
        """
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
            self._arrays[key] = self.particles().normal() * deviation
        return self._arrays[key]

    def _linear_array(self, p: Polynomial) -> Array:
        """A linear function of the Gaussians."""
        total: Any = None
        for m, c in p.terms.items():
            part = self.particles().constant(float(c)) if not m else self._gaussian_array(m[0][0]) * float(c)
            total = part if total is None else total + part
        return self.particles().constant(0.0) if total is None else total

    def hat_array(self, use: Use) -> Array:
        """Particles of a hat."""
        if use.array is not None:
            return use.array
        assert use.hat is not None
        return self._linear_array(use.hat)

    def _values(self, function: Nonlinearity, arrays: Sequence[Array]) -> Array:
        """A function of particles; what a `where` does not choose may be NaN without a warning."""
        with np.errstate(all="ignore"):
            return function.evaluate(self.particles().backend, arrays)

    def scalar_array(self, c: Scalar) -> Array:
        """A scalar's limit: one number, or one for each group of particles."""
        value = self.scalars[c]
        return self.particles().constant(float(value.value) if value.groups is None else value.groups)

    def array(self, x: Vector) -> Array:
        """Particles of Z^x."""
        found = self._arrays.get(x)
        if found is None:
            found = self._arrays[x] = self._evaluated(x)
        return found

    def _evaluated(self, x: Vector) -> Array:
        rule = self.program.rules[x.position]
        node = self.nodes[x]
        cloud = self.particles()
        if isinstance(rule, Initial):
            assert node.z is not None
            return self._linear_array(node.z)
        if isinstance(rule, MatMul):
            total = self.hat_array(node.hat) if node.hat is not None else cloud.constant(0.0)
            for y, c in node.dots:
                total = total + self.array(y) * cloud.constant(float(c.value) if c.groups is None else c.groups)
            return total
        if isinstance(rule, LinComb):
            total = None
            for c_, y in zip(rule.coefficients, rule.operands, strict=True):
                factor = self.scalar_array(c_) if isinstance(c_, Scalar) else cloud.constant(float(c_))
                part = self.array(y) if not isinstance(c_, Scalar) and c_ == 1 else self.array(y) * factor
                total = part if total is None else total + part
            return total
        if isinstance(rule, Nonlin):
            arrays = [*(self.array(y) for y in rule.operands), *(self.scalar_array(c) for c in rule.scalars)]
            return self._values(rule.function, arrays)
        assert isinstance(rule, OuterNonlin)
        return self._outer_array(rule)

    def _outer_array(self, rule: OuterNonlin) -> Array:
        """The mean over other particles of the same group, each copy starting at another one."""
        cloud = self.particles()
        xp, count = cloud.backend.xp, min(INNER, cloud.size)
        own = [self.array(x) for x in rule.own]
        scalars = [self.scalar_array(c) for c in rule.scalars]
        total: Any = None
        squares: Any = None
        step = max(1, cloud.size // count)
        for m in range(count):
            inner = []
            for n, copy in enumerate(rule.copies):
                at = (m * step + n * (cloud.size // (len(rule.copies) + 1) + 1)) % cloud.size
                inner += [xp.broadcast_to(self.array(x), (cloud.groups, cloud.size))[:, at : at + 1] for x in copy]
            part = self._values(rule.function, [*own, *inner, *scalars])
            total = part if total is None else total + part
            squares = part * part if squares is None else squares + part * part
        mean = total * (1.0 / count)
        spread = cloud.means(squares * (1.0 / count) - mean * mean)
        self.nodes[rule.result].bias = max(self.nodes[rule.result].bias, float(spread.mean()) / count)
        return mean

    def polynomials(self, vectors: Sequence[Vector], scalars: Sequence[Scalar]) -> list[Polynomial] | None:
        """The polynomials of vectors, then the numbers of scalars; None if one depends on particles."""
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
