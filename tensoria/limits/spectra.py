"""Random-matrix laws from programs: a vector v, a symmetric operator M applied to it, and E[Z^v Z^{M^k v}].

For v with iid standard entries, (1/n) v^T M^k v tends to the same as (1/n) tr M^k, so the moments of M's spectrum are
covariances of the program. They are exact fractions where the program is linear or piecewise linear.

The density comes from the moments by the recursion method (Haydock 1980): orthogonal polynomials give the first
coefficients of the Stieltjes transform's continued fraction; what follows is taken as constant from the last ones on,
which closes it with a square root. For the semicircle and the Marchenko-Pastur law that is exact. Laws with a stronger
singularity (products of matrices at 0) are approached as moments are added; `coefficients` shows how settled they are.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tensoria.errors import LimitError
from tensoria.limits.expectation.estimate import Estimate
from tensoria.limits.language.instructions import Matrix, Vector
from tensoria.limits.language.nonlinearity import traced
from tensoria.limits.language.numbers import Number, exact
from tensoria.limits.tensor_program import TensorProgram
from tensoria.limits.theorem import Limit

__all__ = ["SpectralLaw", "jacobian", "marchenko_pastur", "product", "semicircle", "spectrum"]


@dataclass(frozen=True)
class SpectralLaw:
    """A limit distribution of eigenvalues.

    Attributes:
        name: what it is of.
        estimates: the moments from the zeroth on, with errors and tiers.
    """

    name: str
    estimates: tuple[Estimate, ...]

    @property
    def moments(self) -> tuple[Number, ...]:
        """The moments from the zeroth on; fractions if they are exact."""
        return tuple(e.value for e in self.estimates)

    @cached_property
    def coefficients(self) -> tuple[list[Number], list[Number]]:
        """The recurrence x p_k = p_{k+1} + a_k p_k + b_k p_{k-1} of the law's orthogonal polynomials.

        By Chebyshev's algorithm, in fractions if the moments are. It ends early for a law of finitely many points.
        """
        m = [x if isinstance(x, Fraction) else float(x) for x in self.moments]
        size = len(m) // 2
        a: list[Number] = [m[1] / m[0]] if len(m) > 1 else []
        b: list[Number] = [m[0]]
        before: list[Number] = [Fraction(0)] * len(m)
        row: list[Number] = list(m)
        for k in range(1, size):
            fresh: list[Number] = [Fraction(0)] * len(m)
            for n in range(k, len(m) - k):
                fresh[n] = row[n + 1] - a[k - 1] * row[n] - b[k - 1] * before[n]
            if abs(float(fresh[k])) < 1e-12:
                break
            a.append(fresh[k + 1] / fresh[k] - row[k] / row[k - 1])
            b.append(fresh[k] / row[k - 1])
            before, row = row, fresh
        return a, b

    def stieltjes(self, z: complex) -> complex:
        """E 1 / (z - x)."""
        a, b = self.coefficients
        last_a, last_b = float(a[-1]), float(b[-1]) if len(b) > 1 else 0.0
        # The rest of the continued fraction solves t = b / (z - a - t).
        middle = z - last_a
        root = cmath.sqrt(middle * middle - 4 * last_b)
        root = root if root.imag * middle.imag >= 0 and (root.imag or (root.real * middle.real >= 0)) else -root
        rest = (middle - root) / 2 if last_b else 0.0
        for k in reversed(range(len(a))):
            rest = float(b[k]) / (z - float(a[k]) - rest)
        return rest

    @property
    def edges(self) -> tuple[float, float]:
        """The ends of the support, as far as the last coefficients are settled."""
        a, b = self.coefficients
        reach = 2 * math.sqrt(float(b[-1])) if len(b) > 1 else 0.0
        return float(a[-1]) - reach, float(a[-1]) + reach

    def density(self, x: Any) -> np.ndarray[Any, Any]:
        """The density at points; what is a point mass shows as none."""
        points = np.atleast_1d(np.asarray(x, dtype=float))
        found = [-self.stieltjes(complex(p, 1e-12)).imag / math.pi for p in points.ravel()]
        density: np.ndarray[Any, Any] = np.maximum(np.array(found), 0.0).reshape(points.shape)
        return density

    def plot(self, axes: Any = None, eigenvalues: Any = None, points: int = 400) -> Any:
        """The density, over a histogram of measured eigenvalues if there are some."""
        import matplotlib.pyplot as plt

        axes = plt.subplots(layout="constrained")[1] if axes is None else axes
        low, high = self.edges
        x = np.linspace(low, high, points + 2)[1:-1]
        if eigenvalues is not None:
            axes.hist(np.ravel(eigenvalues), bins=60, density=True, color="0.8", label="measured")
        axes.plot(x, self.density(x), color="C0", label="limit")
        axes.set_xlabel("eigenvalue")
        axes.set_ylabel("density")
        axes.set_title(self.name)
        axes.legend()
        return axes

    def __str__(self) -> str:
        parts = [str(m) if exact(m) else f"{float(m):.8g}" for m in self.moments]
        return f"{self.name}: moments {', '.join(parts)}"


def spectrum(
    program: TensorProgram,
    operator: Callable[[Vector], Vector],
    count: int,
    *,
    dimension: Any = None,
    name: str = "spectrum",
    **options: Any,
) -> SpectralLaw:
    """The law of a symmetric operator's eigenvalues.

    Args:
        program: what the operator's matrices belong to.
        operator: from a vector to M times it, written with the program.
        count: the highest moment.
        dimension: the width of the vectors that it acts on.
        options: of `Limit`.
    """
    if count < 1:
        raise LimitError(f"moments up to the {count}th.")
    powers = [program.vector("v", dimension=dimension)]
    for _ in range((count + 1) // 2):
        powers.append(operator(powers[-1]))
    limit = Limit(program, **options)
    found = [limit.covariance(powers[k // 2], powers[k - k // 2]) for k in range(count + 1)]
    return SpectralLaw(name, tuple(found))


def semicircle(count: int = 12, **options: Any) -> SpectralLaw:
    """A = W + W^T with entries of variance 1/n off the diagonal (Wigner 1955; TP III, section 4.1).

    >>> print(semicircle(8))
    W + W^T: moments 1, 0, 1, 0, 2, 0, 5, 0, 14
    """
    p = TensorProgram()
    W = p.matrix("W", variance=Fraction(1, 2))
    return spectrum(p, lambda v: (W @ v) + (W.T @ v), count, name="W + W^T", **options)


def marchenko_pastur(ratio: Any = 1, count: int = 8, **options: Any) -> SpectralLaw:
    """A A^T for an A of m x n with entries of variance 1/n and m / n = ratio (Marchenko and Pastur 1967)."""
    p = TensorProgram()
    p.dimension("n", 1)
    p.dimension("m", ratio)
    A = p.matrix("A", rows="m", columns="n")
    return spectrum(p, lambda v: A @ (A.T @ v), count, dimension="m", name=f"A A^T, ratio {ratio}", **options)


def product(depth: int, count: int = 8, **options: Any) -> SpectralLaw:
    """J J^T for a product J of square matrices with entries of variance 1/n (Fuss-Catalan)."""
    p = TensorProgram()
    W = [p.matrix(f"W{k + 1}") for k in range(depth)]
    return spectrum(p, lambda v: _there_and_back(p, W, None, v), count, name=f"product of {depth}", **options)


def jacobian(activation: Any, depth: int, *, variance: Any, count: int = 8, **options: Any) -> SpectralLaw:
    """J J^T for the Jacobian J = D_L W_L ... D_1 W_1 of a deep network at initialisation (Pennington et al. 2018).

    Args:
        activation: a function or its name.
        depth: L.
        variance: s_w^2; the input's coordinates have variance 1.

    >>> print(jacobian("relu", 2, variance=2, count=4))
    Jacobian of 2 layers: moments 1, 1, 5, 33, 249
    """
    p = TensorProgram()
    phi = traced(activation, 1)
    slope = phi.derivative()
    x = p.vector("x")
    W, slopes = [], []
    for k in range(depth):
        W.append(p.matrix(f"W{k + 1}", variance=variance))
        h = p.matmul(W[-1], x)
        slopes.append(p.nonlin(slope, h))
        x = p.nonlin(phi, h)
    return spectrum(p, lambda v: _there_and_back(p, W, slopes, v), count, name=f"Jacobian of {depth} layers", **options)


def _there_and_back(p: TensorProgram, W: Sequence[Matrix], slopes: Sequence[Vector] | None, v: Vector) -> Vector:
    """J J^T v."""
    for k in reversed(range(len(W))):
        v = p.matmul(W[k].T, v if slopes is None else v * slopes[k])
    for k in range(len(W)):
        v = p.matmul(W[k], v)
        v = v if slopes is None else v * slopes[k]
    return v
