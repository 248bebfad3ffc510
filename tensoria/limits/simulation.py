"""Programs at a finite width: sampled, run on any backend, and compared with their limit as the width grows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.discovery import get
from tensoria.dtypes import float64
from tensoria.errors import LimitError
from tensoria.limits.language.dimensions import Dimension
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
from tensoria.limits.language.nonlinearity import Nonlinearity, traced
from tensoria.random.keys import fold_in
from tensoria.random.keys import key as key_of
from tensoria.random.normal import normal

__all__ = ["Convergence", "Measured", "Simulation", "converge", "simulate"]

BLOCK = 2**24
"""Numbers at a time in an outer nonlinearity."""


@dataclass(frozen=True)
class Measured:
    """A mean over coordinates in several samples of the program.

    Attributes:
        values: one for each seed.
    """

    values: np.ndarray[Any, Any]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.values.mean())

    @property
    def error(self) -> float:
        """The standard error of the mean; infinite for one seed."""
        count = len(self.values)
        return float(self.values.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf

    def __float__(self) -> float:
        return self.mean

    def __str__(self) -> str:
        return f"{self.mean:.6g} +- {self.error:.1g}"


@dataclass(eq=False)
class Simulation:
    """Samples of a program at one width.

    Attributes:
        program, width: what was sampled.
        backend: where.
        vectors: for each seed the arrays by vector.
        scalars: for each seed the numbers by scalar.
        matrices: for each seed the sampled matrices, if they are kept.
    """

    program: Any
    width: int
    backend: Backend
    vectors: list[dict[Vector, Array]] = field(default_factory=list)
    scalars: list[dict[Scalar, Array]] = field(default_factory=list)
    matrices: list[dict[Matrix, Array]] = field(default_factory=list)

    def expect(self, function: Any, *vectors: Vector | Scalar, scalars: Iterable[Scalar] = ()) -> Measured:
        """The mean over coordinates of a function, as `Limit.expect`, in each sample."""
        xs = [x for x in vectors if isinstance(x, Vector)]
        cs: list[Scalar] = [*(x for x in vectors if isinstance(x, Scalar)), *scalars]
        found = traced(function, len(xs), len(cs))
        means = []
        for arrays, numbers in zip(self.vectors, self.scalars, strict=True):
            means.append(_mean(self.backend, found, [arrays[x] for x in xs], [numbers[c] for c in cs]))
        return Measured(np.array([float(self.backend.to_numpy(m)) for m in means]))

    def covariance(self, x: Vector, y: Vector) -> Measured:
        """The mean of x_a y_a over coordinates."""
        return self.expect(lambda x, y: x * y, x, y)

    def __getitem__(self, scalar: Scalar) -> Measured:
        return Measured(np.array([float(self.backend.to_numpy(numbers[scalar])) for numbers in self.scalars]))


def simulate(
    program: Any, width: int, seeds: int = 1, *, backend: str = "numpy", key: Any = 0, keep_matrices: bool = False
) -> Simulation:
    """Sample a program's matrices and initial vectors, and run it.

    Args:
        program: a Tensor Program.
        width: the base width n; a dimension of ratio rho gets round(rho n).
        seeds: how many samples.
        backend: where.
        key: a seed, or a key of tn.random on the backend.
        keep_matrices: whether the result holds the sampled matrices, too.

    Raises:
        LimitError: the width or the number of seeds is not positive.
    """
    if width < 1 or seeds < 1:
        raise LimitError(f"a simulation has a positive width and number of seeds, not {width} and {seeds}.")
    target = get(backend)
    start = key_of(key, backend=backend) if isinstance(key, int) else key
    made = Simulation(program, width, target)
    for seed in range(seeds):
        run = _Run(program, width, target, fold_in(start, seed))
        for rule in program.rules:
            run.perform(rule)
        made.vectors.append(run.vectors)
        made.scalars.append(run.scalars)
        if keep_matrices:
            made.matrices.append(run.matrices)
    return made


def _mean(
    backend: Backend, function: Nonlinearity, arrays: Sequence[Array], scalars: Sequence[Array]
) -> Array:
    value = function.evaluate(backend, [*arrays, *scalars])
    return backend.xp.mean(value) if arrays and backend.shape(value) else value


class _Run:
    """One sample."""

    def __init__(self, program: Any, width: int, backend: Backend, start: Any) -> None:
        self.width, self.backend, self.key = width, backend, start
        self.vectors: dict[Vector, Array] = {}
        self.scalars: dict[Scalar, Array] = {}
        self.matrices: dict[Matrix, Array] = {}
        self._order = {matrix: n for n, matrix in enumerate(program.matrices.values())}
        self._drawn = len(self._order)

    def size(self, of: Dimension) -> int:
        """A width at the base width."""
        return max(1, round(of.ratio * self.width))

    def number(self, value: float | Fraction) -> Array:
        """A float64 number on the backend."""
        return self.backend.asarray(float(value), float64, self.key.device, None)

    def matrix(self, of: Matrix) -> Array:
        """The sampled matrix, or its transpose."""
        base = of.base
        if base not in self.matrices:
            shape = (self.size(base.rows), self.size(base.columns))
            std = math.sqrt(float(base.variance) / shape[1])
            drawn = normal(fold_in(self.key, self._order[base]), shape, dtype="float64")._array
            self.matrices[base] = drawn * std
        found = self.matrices[base]
        return self.backend.xp.matrix_transpose(found) if of.transposed else found

    def perform(self, rule: Rule) -> None:
        """Run one instruction."""
        if isinstance(rule, Initial):
            self._initial(rule)
        elif isinstance(rule, Constant):
            self.scalars[rule.result] = self.number(rule.value)
        elif isinstance(rule, MatMul):
            self.vectors[rule.result] = self.backend.matmul(self.matrix(rule.matrix), self._wide(rule.operand))
        elif isinstance(rule, LinComb):
            total: Any = None
            for c, x in zip(rule.coefficients, rule.operands, strict=True):
                part = self.vectors[x] * (self.scalars[c] if isinstance(c, Scalar) else float(c))
                total = part if total is None else total + part
            self.vectors[rule.result] = total
        elif isinstance(rule, Nonlin):
            arrays = [*(self.vectors[x] for x in rule.operands), *(self.scalars[c] for c in rule.scalars)]
            self.vectors[rule.result] = rule.function.evaluate(self.backend, arrays)
        elif isinstance(rule, Moment):
            vectors = [self.vectors[x] for x in rule.operands]
            scalars = [self.scalars[c] for c in rule.scalars]
            self.scalars[rule.result] = _mean(self.backend, rule.function, vectors, scalars)
        elif isinstance(rule, OuterNonlin):
            self.vectors[rule.result] = self._outer(rule)

    def _wide(self, x: Vector) -> Array:
        """A vector with all its coordinates, also where a function of no vector made a number of it."""
        array = self.vectors[x]
        shape = (self.size(x.dimension),)
        return array if tuple(self.backend.shape(array)) == shape else self.backend.xp.broadcast_to(array, shape)

    def _initial(self, rule: Initial) -> None:
        size = self.size(rule.results[0].dimension)  # type: ignore[union-attr]
        count = len(rule.results)
        sigma = np.array([[float(c) for c in row] for row in rule.covariance])
        values, vectors = np.linalg.eigh(sigma)
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = normal(fold_in(self.key, self._drawn), (count, size), dtype="float64")._array
        self._drawn += 1
        for n, x in enumerate(rule.results):
            total: Any = self.number(rule.mean[n])
            for m in range(count):
                total = total + drawn[m] * float(factor[n, m])
            self.vectors[x] = total  # type: ignore[index]

    def _outer(self, rule: OuterNonlin) -> Array:
        """The mean over all tuples of coordinates, a block of them at a time."""
        xp, copies = self.backend.xp, len(rule.copies)
        own = [self._wide(x) for x in rule.own]
        others = []
        for n, copy in enumerate(rule.copies):
            shape = (1,) * (n + 1) + (-1,) + (1,) * (copies - n - 1)
            others += [self.backend.reshape(self._wide(x), shape) for x in copy]
        scalars = [self.scalars[c] for c in rule.scalars]
        each = math.prod(self.size(copy[0].dimension) for copy in rule.copies)
        step = max(1, BLOCK // each)
        parts = []
        for start in range(0, self.size(rule.own[0].dimension), step):
            block = [self.backend.reshape(x[start : start + step], (-1,) + (1,) * copies) for x in own]
            values = rule.function.evaluate(self.backend, [*block, *others, *scalars])
            parts.append(xp.mean(values, axis=tuple(range(1, copies + 1))))
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


# -- convergence ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Convergence:
    """How far a program is from its limit, by width.

    Attributes:
        widths, seeds: what was run.
        distances: for each quantity the root mean square over seeds of (measured - limit), by width.
        limits: the quantities in the limit.
    """

    widths: tuple[int, ...]
    seeds: int
    distances: Mapping[str, tuple[float, ...]]
    limits: Mapping[str, float]

    @property
    def slopes(self) -> dict[str, float]:
        """The power of the width with which each distance shrinks; -1/2 in theory."""
        logs = np.log(np.array(self.widths, dtype=float))
        out = {}
        for name, distances in self.distances.items():
            values = np.array(distances)
            out[name] = float(np.polyfit(logs, np.log(values), 1)[0]) if (values > 0).all() else math.nan
        return out

    @property
    def slope(self) -> float:
        """That of the root mean square over quantities, each in units of its distance at the first width."""
        rows = [np.array(d) / d[0] for d in self.distances.values() if d[0] > 0]
        if not rows:
            return math.nan
        whole = np.sqrt(np.mean(np.square(rows), axis=0))
        return float(np.polyfit(np.log(np.array(self.widths, dtype=float)), np.log(whole), 1)[0])

    def plot(self, axes: Any = None) -> Any:
        """The distances over the width, on logarithmic axes."""
        import matplotlib.pyplot as plt

        axes = plt.subplots(layout="constrained")[1] if axes is None else axes
        for name, distances in self.distances.items():
            axes.loglog(self.widths, distances, marker="o", label=name)
        first = max((d[0] for d in self.distances.values()), default=1.0)
        guide = [first * math.sqrt(self.widths[0] / n) for n in self.widths]
        axes.loglog(self.widths, guide, color="0.6", linestyle="--", label="width^(-1/2)")
        axes.set_xlabel("width")
        axes.set_ylabel("distance to the limit")
        axes.legend()
        return axes

    def __str__(self) -> str:
        left = max([*(len(name) for name in self.distances), 8])
        lines = [f"{'width':<{left}}  {'limit':>12}  " + "  ".join(f"{n:>9}" for n in self.widths) + "      slope"]
        slopes = self.slopes
        for name, distances in self.distances.items():
            cells = "  ".join(f"{d:9.2e}" for d in distances)
            lines.append(f"{name:<{left}}  {self.limits[name]:>12.6g}  {cells}  {slopes[name]:9.2f}")
        return "\n".join(lines)


def converge(
    program: Any,
    limit: Any,
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    seeds: int = 16,
    *,
    quantities: Mapping[str, Sequence[Any]] | None = None,
    backend: str = "numpy",
    key: Any = 0,
) -> Convergence:
    """Run a program at several widths, and measure its distance to the limit.

    Args:
        program, limit: a Tensor Program and its limit.
        widths, seeds: what to run.
        quantities: by name a function and its vectors, `{"E z^2": (tn.square, z)}`; by default the second moments of
            all vectors that no initial vector gives, and all moments of the program.
        backend, key: as for `simulate`.
    """
    asked = _default_quantities(program) if quantities is None else {n: tuple(q) for n, q in quantities.items()}
    goals = {name: float(limit[q[0]] if isinstance(q[0], Scalar) else limit.expect(*q)) for name, q in asked.items()}
    distances: dict[str, list[float]] = {name: [] for name in asked}
    start = key_of(key, backend=backend) if isinstance(key, int) else key
    for n, width in enumerate(widths):
        run = simulate(program, width, seeds, backend=backend, key=fold_in(start, n))
        for name, q in asked.items():
            measured = run[q[0]] if isinstance(q[0], Scalar) else run.expect(*q)
            distances[name].append(float(np.sqrt(np.mean((measured.values - goals[name]) ** 2))))
    return Convergence(tuple(widths), seeds, {n: tuple(d) for n, d in distances.items()}, goals)


def _default_quantities(program: Any) -> dict[str, tuple[Any, ...]]:
    out: dict[str, tuple[Any, ...]] = {}
    for rule in program.rules:
        for x in rule.results:
            if isinstance(x, Vector) and not isinstance(rule, Initial):
                out[f"E {x.name}^2"] = (lambda x: x * x, x)
            elif isinstance(x, Scalar) and isinstance(rule, Moment):
                out[x.name] = (x,)
    return out
