"""A model's forward pass on a tape, and its gradients: all of it instructions of a Tensor Program.

A trained matrix is W_0 and what was added to it. An SGD step adds -eta chi (1/n) dy x^T, which is no new matrix: what
it does to a vector z is -eta chi mean(x z) dy, a Moment and a LinComb (TP IV, section 6). An Adam step adds
-eta (1/m) Q(dy_a x_b, ...), an outer nonlinearity (TP IVb, section 2). Gradients are taken as dx = n dL/dx, which have
a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tensoria.errors import LimitError
from tensoria.limits.language.instructions import Matrix, Scalar, Vector
from tensoria.limits.language.nonlinearity import Nonlinearity, traced
from tensoria.limits.language.numbers import Number
from tensoria.limits.tensor_program import TensorProgram

__all__ = ["Parameters", "Tape", "TrainedMatrix", "TrainedVector", "Update", "applied", "ratio", "scaled"]

# -- parameters -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Update:
    """What one step added to a matrix: a function of a_i and b_j, averaged over n.

    Attributes:
        left, right: vectors of the rows, and of the columns.
        scalars: what multiplies their products.
        function: of left, right and scalars; None for the sum over k of scalar_k left_k right_k.
        factor: a number before it.
    """

    left: tuple[Vector, ...]
    right: tuple[Vector, ...]
    scalars: tuple[Scalar, ...]
    function: Callable[..., Any] | None
    factor: Number


@dataclass(eq=False)
class TrainedMatrix:
    """A matrix that changes: scale W_0 and the sum of its updates."""

    start: Matrix
    role: str = "hidden"
    scale: Number = Fraction(1)
    updates: list[Update] = field(default_factory=list)


@dataclass(eq=False)
class TrainedVector:
    """A vector that changes."""

    now: Vector
    role: str
    start: Vector


class Parameters:
    """The parameters of a model, declared before it is trained."""

    def __init__(self) -> None:
        self.program = TensorProgram()
        self.trained: dict[str, TrainedMatrix | TrainedVector] = {}

    def matrix(self, name: str, *, variance: Any = 1, **widths: Any) -> TrainedMatrix:
        """A hidden matrix with entries N(0, variance / fan-in)."""
        made = TrainedMatrix(self.program.matrix(name, variance=variance, **widths))
        self.trained[name] = made
        return made

    def vector(
        self, name: str, *, role: str = "input", mean: Any = 0, variance: Any = 1, **width: Any
    ) -> TrainedVector:
        """Weights of an input feature, a bias or a gain (`role="input"`), or of an output (`role="output"`)."""
        if role not in ("input", "output"):
            raise LimitError(f"a vector's role is input or output, not {role!r}.")
        start = self.program.vector(name, mean=mean, variance=variance, **width)
        made = TrainedVector(start, role, start)
        self.trained[name] = made
        return made

    def reset(self) -> None:
        """All parameters as they begin."""
        for of in self.trained.values():
            if isinstance(of, TrainedMatrix):
                of.scale, of.updates = Fraction(1), []
            else:
                of.now = of.start

    def shrink(self, factor: Number) -> None:
        """The output's weights begin as this factor times what was declared."""
        for of in self.trained.values():
            if isinstance(of, TrainedVector) and of.role == "output":
                of.now = self.program.lincomb([factor], [of.start])

    def state(self) -> dict[str, Any]:
        """What training changes, for `restore`."""
        return {
            name: (of.scale, of.updates) if isinstance(of, TrainedMatrix) else of.now
            for name, of in self.trained.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """All parameters as they were."""
        for name, of in self.trained.items():
            if isinstance(of, TrainedMatrix):
                of.scale, of.updates = state[name]
            else:
                of.now = state[name]


# -- forward and backward ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One operation of the forward pass, and how to pull a gradient back through it."""

    result: Any
    back: Callable[[Any], None]


class Tape:
    """The forward pass: instructions of the language on parameters, remembered so that they can be read backwards."""

    def __init__(self, program: TensorProgram) -> None:
        self.program = program
        self._steps: list[_Step] = []
        self._vectors: dict[Vector, list[Vector]] = {}
        self._scalars: dict[Scalar, list[Scalar]] = {}
        self.outer: dict[TrainedMatrix, list[tuple[Vector, Vector]]] = {}
        self.moved: dict[TrainedVector, Vector] = {}

    # -- the language ---------------------------------------------------------------------------------------------

    def value(self, of: Any) -> Vector:
        """A parameter's vector, or a vector."""
        if isinstance(of, TrainedVector):
            self.moved[of] = of.now
            return of.now
        return of  # type: ignore[no-any-return]

    def matmul(self, W: TrainedMatrix, x: Any, *, transposed: bool = False) -> Vector:
        """W x, or W^T x, with W as it is now."""
        x = self.value(x)
        y = applied(self.program, W, x, transposed=transposed)
        # dx = (width of x) dL/dx, and the same for y.
        factor = ratio(W) if transposed else 1 / ratio(W)

        def back(dy: Vector) -> None:
            # The gradient is (1/rows) left right^T.
            pair = (scaled(self.program, x, factor), dy) if transposed else (dy, x)
            self.outer.setdefault(W, []).append(pair)
            self._add(x, scaled(self.program, applied(self.program, W, dy, transposed=not transposed), factor))

        self._steps.append(_Step(y, back))
        return y

    def lincomb(self, coefficients: Sequence[Any], vectors: Sequence[Any]) -> Vector:
        """A sum of vectors times numbers or scalars."""
        xs = [self.value(x) for x in vectors]
        y = self.program.lincomb(coefficients, xs)

        def back(dy: Vector) -> None:
            for c, x in zip(coefficients, xs, strict=True):
                self._add(x, scaled(self.program, dy, c))
                if isinstance(c, Scalar):
                    self._add_scalar(c, self.program.moment(lambda a, b: a * b, dy, x))

        self._steps.append(_Step(y, back))
        return y

    def nonlin(self, function: Any, *operands: Any) -> Vector:
        """phi of vectors, then scalars."""
        xs = [self.value(x) for x in operands if not isinstance(x, Scalar)]
        cs = [x for x in operands if isinstance(x, Scalar)]
        phi = traced(function, len(xs), len(cs))
        y = self.program.nonlin(phi, *xs, scalars=cs)

        def back(dy: Vector) -> None:
            for n, x in enumerate(xs):
                self._add(x, self.program.nonlin(_times(phi, n), dy, *xs, scalars=cs))
            for n, c in enumerate(cs, len(xs)):
                self._add_scalar(c, self.program.moment(_times(phi, n), dy, *xs, scalars=cs))

        self._steps.append(_Step(y, back))
        return y

    def moment(self, function: Any, *operands: Any) -> Scalar:
        """The mean of phi of vectors, then scalars."""
        xs = [self.value(x) for x in operands if not isinstance(x, Scalar)]
        cs = [x for x in operands if isinstance(x, Scalar)]
        phi = traced(function, len(xs), len(cs))
        y = self.program.moment(phi, *xs, scalars=cs)

        def back(dy: Scalar) -> None:
            for n, x in enumerate(xs):
                self._add(x, scaled(self.program, self.program.nonlin(phi.derivative(n), *xs, scalars=cs), dy))
            for n, c in enumerate(cs, len(xs)):
                self._add_scalar(c, dy * self.program.moment(phi.derivative(n), *xs, scalars=cs))

        self._steps.append(_Step(y, back))
        return y

    def readout(self, v: Any, x: Any) -> Scalar:
        """f = (1/n) v^T x."""
        return self.moment(lambda v, x: v * x, v, x)

    # -- backwards ------------------------------------------------------------------------------------------------

    def pull(self, f: Scalar, start: Scalar) -> None:
        """Pull a gradient of the output back to everything."""
        self._scalars[f] = [start]
        for step in reversed(self._steps):
            if isinstance(step.result, Scalar):
                parts = self._scalars.get(step.result)
                if parts:
                    step.back(_total(parts))
            else:
                found = self.gradient(step.result)
                if found is not None:
                    step.back(found)

    def gradient(self, x: Vector) -> Vector | None:
        """n dL/dx, if the output depends on x."""
        parts = self._vectors.get(x)
        if not parts:
            return None
        if len(parts) > 1:
            parts[:] = [self.program.lincomb([1] * len(parts), parts)]
        return parts[0]

    def _add(self, x: Vector, part: Vector) -> None:
        self._vectors.setdefault(x, []).append(part)

    def _add_scalar(self, c: Scalar, part: Scalar) -> None:
        self._scalars.setdefault(c, []).append(part)


def _total(parts: Sequence[Scalar]) -> Scalar:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def scaled(program: TensorProgram, x: Vector, c: Any) -> Vector:
    return x if not isinstance(c, Scalar) and c == 1 else program.lincomb([c], [x])


def _times(phi: Nonlinearity, n: int) -> Nonlinearity:
    """d times the derivative by the n-th input, of d and phi's inputs."""
    slope = phi.derivative(n)
    made = traced(lambda d, *xs: d * slope(*xs), phi.vectors + 1, phi.scalars)
    return Nonlinearity(f"d {slope.name}", made.program, made.vectors, made.scalars)


def ratio(W: TrainedMatrix) -> Fraction:
    """Rows by columns."""
    return W.start.rows.ratio / W.start.columns.ratio


def applied(program: TensorProgram, W: TrainedMatrix, x: Vector, *, transposed: bool) -> Vector:
    """W x, or W^T x, with W as it is now."""
    matrix = W.start.T if transposed else W.start
    first = program.matmul(matrix, x)
    coefficients: list[Any] = [W.scale]
    vectors = [first]
    for update in W.updates:
        left, right = (update.right, update.left) if transposed else (update.left, update.right)
        # (1/n) times a sum over the columns' width m is m/n times a mean.
        factor = update.factor * (1 if transposed else 1 / ratio(W))
        if update.function is None:
            for a, b, c in zip(left, right, update.scalars, strict=True):
                overlap = program.moment(lambda b, x, c: b * x * c, b, x, scalars=[c])
                coefficients.append(overlap if factor == 1 else overlap * factor)
                vectors.append(a)
        else:
            psi, count = update.function, len(left)

            def outer(*given: Any, psi: Any = psi, count: int = count) -> Any:
                own, other, x_, cs = given[:count], given[count : 2 * count], given[2 * count], given[2 * count + 1 :]
                return psi(*own, *other, *cs) * x_

            vectors.append(program.outer_nonlin(outer, left, (*right, x), scalars=update.scalars))
            coefficients.append(factor)
    return first if len(vectors) == 1 and W.scale == 1 else program.lincomb(coefficients, vectors)

