"""Training unrolled into a program: forward, backward, update, step after step, and the limit of it all.

A trained matrix is W_0 and what was added to it. An SGD step adds -eta chi (1/n) dy x^T, which is no new matrix: what
it does to a vector z is -eta chi mean(x z) dy, a Moment and a LinComb (TP IV, section 6). An Adam step adds
-eta (1/m) Q(dy_a x_b, ...), an outer nonlinearity (TP IVb, section 2). So a finite number of steps stays inside the
languages, and their limit is feature learning, where the parametrization has it.

Gradients are taken as dx = n dL/dx, which have a limit. In muP each parameter moves by its learning rate times that
(SGD), or times Q of that (Adam). In another abcd-parametrization (W = n^-a w, w ~ N(0, n^-2b), learning rate eta n^-c)
it moves by n^-r of that; r > 0 vanishes, r < 0 diverges, and the engine says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from tensoria.errors import LimitError
from tensoria.limits.expectation.estimate import Estimate
from tensoria.limits.language.instructions import Matrix, Scalar, Vector
from tensoria.limits.language.nonlinearity import Nonlinearity, traced
from tensoria.limits.language.numbers import Number, number
from tensoria.limits.tensor_program import TensorProgram
from tensoria.limits.theorem import Limit
from tensoria.namespace import elementwise as en

__all__ = ["PARAMETRIZATIONS", "SGD", "Adam", "Parameters", "Trained", "train", "update_exponents"]

PARAMETRIZATIONS: Final[dict[str, dict[str, tuple[Fraction, Fraction, Fraction]]]] = {
    "mup": {
        "input": (Fraction(-1, 2), Fraction(1, 2), Fraction(0)),
        "hidden": (Fraction(0), Fraction(1, 2), Fraction(0)),
        "output": (Fraction(1, 2), Fraction(1, 2), Fraction(0)),
    },
    "ntk": {
        "input": (Fraction(0), Fraction(0), Fraction(0)),
        "hidden": (Fraction(1, 2), Fraction(0), Fraction(0)),
        "output": (Fraction(1, 2), Fraction(0), Fraction(0)),
    },
    "standard": {
        "input": (Fraction(0), Fraction(0), Fraction(1)),
        "hidden": (Fraction(0), Fraction(1, 2), Fraction(1)),
        "output": (Fraction(0), Fraction(1, 2), Fraction(1)),
    },
    "mean-field": {
        "input": (Fraction(0), Fraction(0), Fraction(-1)),
        "output": (Fraction(1), Fraction(0), Fraction(-1)),
    },
}
"""(a, b, c) by role for SGD (TP IV, table 1); the mean-field one has one hidden layer, and no hidden weights."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Attributes:
        rate: eta.
    """

    rate: Any


@dataclass(frozen=True)
class Adam:
    """Adam, whose gradients are dx = n dL/dx, so that eps scales with them (TP IVb, faithful).

    Attributes:
        rate: eta.
        beta1, beta2, eps: as usual; eps stands outside of the root.
        decay: decoupled weight decay: a parameter shrinks by 1 - rate decay at each step.
    """

    rate: Any
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decay: float = 0.0

    def step(self, t: int) -> Callable[..., Any]:
        """Q_t as a function of the gradients up to t."""

        def update(*gradients: Any) -> Any:
            m: Any = None
            v: Any = None
            for k, g in enumerate(gradients):
                a = (1 - self.beta1) * self.beta1 ** (t - 1 - k) / (1 - self.beta1**t)
                b = (1 - self.beta2) * self.beta2 ** (t - 1 - k) / (1 - self.beta2**t)
                m = g * a if m is None else m + g * a
                v = g * g * b if v is None else v + g * g * b
            return m / (en.sqrt(v) + self.eps) if len(gradients) > 1 else m / (en.abs(m) + self.eps)

        return update


# -- parameters -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Update:
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
    updates: list[_Update] = field(default_factory=list)


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
        factor = _ratio(W) if transposed else 1 / _ratio(W)

        def back(dy: Vector) -> None:
            # The gradient is (1/rows) left right^T.
            pair = (_scaled(self.program, x, factor), dy) if transposed else (dy, x)
            self.outer.setdefault(W, []).append(pair)
            self._add(x, _scaled(self.program, applied(self.program, W, dy, transposed=not transposed), factor))

        self._steps.append(_Step(y, back))
        return y

    def lincomb(self, coefficients: Sequence[Any], vectors: Sequence[Any]) -> Vector:
        """A sum of vectors times numbers or scalars."""
        xs = [self.value(x) for x in vectors]
        y = self.program.lincomb(coefficients, xs)

        def back(dy: Vector) -> None:
            for c, x in zip(coefficients, xs, strict=True):
                self._add(x, _scaled(self.program, dy, c))
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
                self._add(x, _scaled(self.program, self.program.nonlin(phi.derivative(n), *xs, scalars=cs), dy))
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


def _scaled(program: TensorProgram, x: Vector, c: Any) -> Vector:
    return x if not isinstance(c, Scalar) and c == 1 else program.lincomb([c], [x])


def _times(phi: Nonlinearity, n: int) -> Nonlinearity:
    """d times the derivative by the n-th input, of d and phi's inputs."""
    slope = phi.derivative(n)
    made = traced(lambda d, *xs: d * slope(*xs), phi.vectors + 1, phi.scalars)
    return Nonlinearity(f"d {slope.name}", made.program, made.vectors, made.scalars)


def _ratio(W: TrainedMatrix) -> Fraction:
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
        factor = update.factor * (1 if transposed else 1 / _ratio(W))
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


# -- training ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """Training and its limit.

    Attributes:
        program: all steps as one Tensor Program; it can be simulated at a finite width.
        outputs: for each step (the first before any update) the outputs for the inputs.
        limit: the limit.
        parameters: as they are after the last step.
    """

    program: TensorProgram
    outputs: tuple[tuple[Scalar, ...], ...]
    limit: Limit
    parameters: Parameters

    @property
    def curve(self) -> list[list[Estimate]]:
        """The outputs in the limit, by step and input."""
        return [[self.limit[f] for f in row] for row in self.outputs]

    def __str__(self) -> str:
        return "\n".join(f"step {t}: " + ", ".join(map(str, row)) for t, row in enumerate(self.curve))


def train(
    parameters: Parameters,
    model: Callable[..., Scalar],
    inputs: Sequence[Any],
    targets: Sequence[Any],
    *,
    steps: int,
    optimizer: SGD | Adam,
    loss: Any = None,
    parametrization: str | Mapping[str, tuple[Any, Any, Any]] = "mup",
    **options: Any,
) -> Trained:
    """Full-batch training of a model for a finite number of steps, in the limit of infinite width.

    Args:
        parameters: what it trains.
        model: `model(tape, input)` returns the output, written with the tape's `matmul`, `nonlin`, `lincomb`,
            `moment` and `readout`.
        inputs, targets: the examples.
        steps: how many.
        optimizer: `SGD(rate)` or `Adam(rate, ...)`.
        loss: a function of output and target, (f - y)^2 / 2 by default; the batch's loss is the mean.
        parametrization: a name of `PARAMETRIZATIONS`, or (a, b, c) for the roles input, hidden and output.
        options: of `Limit`.

    Raises:
        LimitError: the parametrization diverges, or its output stays random (a kernel regime, or none).

    >>> import tensoria as tn
    >>> q = Parameters()
    >>> u, v = q.vector("u"), q.vector("v", role="output")
    >>> net = train(q, lambda t, x: t.readout(v, t.nonlin(tn.tanh, t.lincomb([x], [u]))), [1], [1], steps=2,
    ...             optimizer=SGD("1/2"))
    >>> [round(float(f), 9) for (f,) in net.curve]
    [0.0, 0.401021035, 0.61427892]
    """
    if len(inputs) != len(targets) or not inputs:
        raise LimitError(f"{len(inputs)} inputs and {len(targets)} targets.")
    exponents = update_exponents(parametrization, adam=isinstance(optimizer, Adam))
    missing = {of.role for of in parameters.trained.values()} - set(exponents)
    if missing:
        raise LimitError(f"the parametrization has no (a, b, c) for {', '.join(missing)} weights.")
    program = parameters.program
    slope = traced(_squared if loss is None else loss, 0, 2).derivative(0)
    goals = [program.scalar(y) for y in targets]
    share = Fraction(1, len(inputs))
    outputs = []
    history: dict[Any, list[Any]] = {}
    for t in range(steps + 1):
        tapes = [Tape(program) for _ in inputs]
        row = tuple(model(tape, x) for tape, x in zip(tapes, inputs, strict=True))
        outputs.append(row)
        if t == steps:
            break
        starts = [program.moment(slope, scalars=[f, y]) for f, y in zip(row, goals, strict=True)]
        for tape, f, chi in zip(tapes, row, starts, strict=True):
            tape.pull(f, chi if share == 1 else chi * share)
        _moved(parameters, tapes, optimizer, exponents, history)
    return Trained(program, tuple(outputs), Limit(program, **options), parameters)


def _squared(f: Any, y: Any) -> Any:
    return (f - y) * (f - y) * 0.5


def _moved(
    parameters: Parameters, tapes: Sequence[Tape], optimizer: SGD | Adam, exponents: Mapping[str, Fraction],
    history: dict[Any, list[Any]],
) -> None:  # fmt: skip
    """One step of all parameters."""
    program, rate = parameters.program, number(optimizer.rate, "a learning rate")
    one = program.scalar(1)
    moved: list[Callable[[], None]] = []
    for of in parameters.trained.values():
        if exponents[of.role] > 0:
            continue
        if isinstance(of, TrainedVector):
            parts = [g for tape in tapes if of in tape.moved and (g := tape.gradient(of.now)) is not None]
            if parts:
                moved.append(_vector_step(program, of, parts, optimizer, rate, history))
        else:
            pairs = [pair for tape in tapes for pair in tape.outer.get(of, [])]
            if pairs:
                moved.append(_matrix_step(of, pairs, optimizer, rate, history, one))
    for move in moved:
        move()


def _vector_step(
    program: TensorProgram, of: TrainedVector, parts: list[Vector], optimizer: SGD | Adam, rate: Number,
    history: dict[Any, list[Any]],
) -> Callable[[], None]:  # fmt: skip
    if isinstance(optimizer, SGD):
        new = program.lincomb([Fraction(1), *([-rate] * len(parts))], [of.now, *parts])
    else:
        gradients = history.setdefault(of, [])
        gradients.append(parts[0] if len(parts) == 1 else program.lincomb([1] * len(parts), parts))
        update = program.nonlin(optimizer.step(len(gradients)), *gradients)
        kept = 1 - rate * number(optimizer.decay)
        new = program.lincomb([kept, -rate], [of.now, update])

    def move() -> None:
        of.now = new

    return move


def _matrix_step(
    of: TrainedMatrix, pairs: list[tuple[Vector, Vector]], optimizer: SGD | Adam, rate: Number,
    history: dict[Any, list[Any]], one: Scalar,
) -> Callable[[], None]:  # fmt: skip
    left, right = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    if isinstance(optimizer, SGD):
        update = _Update(left, right, (one,) * len(pairs), None, -rate)
    else:
        steps = history.setdefault(of, [])
        steps.append((left, right))
        sizes = [len(a) for a, _ in steps]
        count, q = sum(sizes), optimizer.step(len(steps))

        def psi(*given: Any) -> Any:
            products = [given[k] * given[count + k] for k in range(count)]
            gradients, at = [], 0
            for size in sizes:
                total = products[at]
                for product in products[at + 1 : at + size]:
                    total = total + product
                gradients.append(total)
                at += size
            return q(*gradients)

        # muP's rate is eta / fan-in, and `applied` divides by the rows.
        update = _Update(
            tuple(x for a, _ in steps for x in a), tuple(x for _, b in steps for x in b), (), psi, -rate * _ratio(of)
        )

    def move() -> None:
        if isinstance(optimizer, Adam) and optimizer.decay:
            kept = 1 - rate * number(optimizer.decay)
            of.scale = of.scale * kept
            for before in of.updates:
                before.factor = before.factor * kept
        of.updates.append(update)

    return move


# -- parametrizations -------------------------------------------------------------------------------------------------


def update_exponents(
    parametrization: str | Mapping[str, tuple[Any, Any, Any]], *, adam: bool = False
) -> dict[str, Fraction]:
    """By role the power r of n by which an update is smaller than in muP.

    SGD: r = 2a + c + [input] for input and hidden weights, 2a + c - 1 for the output (TP IV, definition 3.2).
    Adam: a + c for the input, a + c - 1 for hidden weights and the output (TP IVb, definition 2.9.8).
    Both with a + b = 1 for the output, without which it has no deterministic limit.

    Raises:
        LimitError: the parametrization is unknown, unstable, or its output is random.

    >>> update_exponents("mup")
    {'input': Fraction(0, 1), 'hidden': Fraction(0, 1), 'output': Fraction(0, 1)}
    """
    if isinstance(parametrization, str):
        if parametrization not in PARAMETRIZATIONS:
            raise LimitError(f"unknown parametrization {parametrization!r}.", legal=", ".join(PARAMETRIZATIONS))
        if adam:
            if parametrization != "mup":
                raise LimitError(f"{parametrization!r} is a parametrization of SGD.", legal="(a, b, c) for each role")
            return dict.fromkeys(("input", "hidden", "output"), Fraction(0))
        table: Mapping[str, tuple[Any, Any, Any]] = PARAMETRIZATIONS[parametrization]
    else:
        table = parametrization
    if not {"input", "output"} <= set(table) <= {"input", "hidden", "output"}:
        raise LimitError(f"a parametrization has (a, b, c) for input, hidden and output, not for {', '.join(table)}.")
    abc = {role: tuple(Fraction(number(x)) for x in values) for role, values in table.items()}
    sums = {role: a + b for role, (a, b, _) in abc.items()}
    if sums["input"] != 0 or sums.get("hidden", Fraction(1, 2)) != Fraction(1, 2):
        raise LimitError("a + b is 0 for the input and 1/2 for hidden weights, else activations vanish or explode.")
    a, b, c = abc["output"]
    if a + b < 1:
        raise LimitError(
            f"the output has a + b = {a + b}: with 1/2 it is a Gaussian process at initialisation, and trains in a "
            "kernel regime if at all; its outputs are random, and have no deterministic limit.",
            legal='parametrization="mup", or the kernels of the program',
        )
    if a + b > 1:
        raise LimitError(f"the output has a + b = {a + b}, more than 1, and is trivial at initialisation.")
    found = {}
    for role, (a, _, c) in abc.items():
        if adam:
            found[role] = a + c - (role != "input")
        else:
            found[role] = 2 * a + c + (role == "input") - (role == "output")
    for role, r in found.items():
        if r < 0:
            raise LimitError(f"the {role} weights' update grows like n^{-r}: the parametrization is unstable.")
    return {role: Fraction(r) for role, r in found.items()}

