"""Training unrolled into a program: forward, backward, update, step after step, and the limit of it all.

A finite number of steps stays inside the languages. Where the parametrization learns features, the limit of the whole
program is the limit of training; where it does not, training is that of a kernel (`kernel_regime`). At a finite width
every parametrization is the same program with powers of the width as numbers, which is what `Trained.sampled` runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.errors import LimitError
from tensoria.limits.expectation.estimate import Estimate
from tensoria.limits.language.instructions import Scalar, Vector
from tensoria.limits.language.nonlinearity import traced
from tensoria.limits.language.numbers import Number, number
from tensoria.limits.parametrizations import Dichotomy
from tensoria.limits.simulation import simulate
from tensoria.limits.tensor_program import TensorProgram
from tensoria.limits.theorem import Limit
from tensoria.limits.training.kernel_regime import by_kernel
from tensoria.limits.training.optimizers import SGD, Adam
from tensoria.limits.training.scaling import Exponents, Scaling, scaling
from tensoria.limits.training.tape import Parameters, Tape, TrainedMatrix, TrainedVector, Update, ratio

__all__ = ["Trained", "train"]


@dataclass(frozen=True)
class Trained:
    """Training and its limit.

    Attributes:
        program: all steps as one Tensor Program; it can be simulated at a finite width.
        outputs: for each step (the first before any update) the outputs for the inputs: scalars, or vectors along an
            axis of networks where the outputs at initialisation stay random.
        limit: the limit.
        parameters: as they are after the last step; where no features are learnt, as they were.
        report: the parametrization in the dynamical dichotomy.
        kernel: where a kernel trains by SGD, its scalars: inputs by training inputs.
    """

    program: TensorProgram
    outputs: tuple[tuple[Any, ...], ...]
    limit: Limit
    parameters: Parameters
    report: Dichotomy
    kernel: list[list[Scalar]] | None = None
    _run: Callable[[int], tuple[TensorProgram, list[list[Scalar]]]] | None = field(default=None, repr=False)

    @property
    def curve(self) -> list[list[Estimate]]:
        """The outputs in the limit, by step and input; their means, where they are random."""
        return [[self.limit.mean(f) if isinstance(f, Vector) else self.limit[f] for f in row] for row in self.outputs]

    @property
    def deviations(self) -> list[list[float]]:
        """The standard deviations of outputs over initialisations, by step and input: 0 where they are certain."""
        out = []
        for row, means in zip(self.outputs, self.curve, strict=True):
            squares = [float(self.limit.covariance(f, f)) if isinstance(f, Vector) else 0.0 for f in row]
            out.append([
                max(s - float(m) ** 2, 0.0) ** 0.5 if isinstance(f, Vector) else 0.0
                for f, s, m in zip(row, squares, means, strict=True)
            ])  # fmt: skip
        return out

    def sampled(self, width: int, seeds: int = 1, *, backend: str = "numpy", key: Any = 0) -> np.ndarray[Any, Any]:
        """The outputs of networks of a finite width, trained in this parametrization.

        Args:
            width: n; every power of it in the parametrization is taken at this number.
            seeds: how many networks.
            backend, key: as for `simulate`.

        Returns:
            Outputs by network, step and input.
        """
        assert self._run is not None
        program, rows = self._run(width)
        run = simulate(program, width, seeds, backend=backend, key=key)
        return np.array([[run[f].values for f in row] for row in rows]).transpose(2, 0, 1)

    def __str__(self) -> str:
        lines = [f"step {t}: " + ", ".join(map(str, row)) for t, row in enumerate(self.curve)]
        kind = self.report.kind
        if kind == "kernel":
            lines.insert(0, f"a kernel regime: features move by n^-{self.report.r}")
        if kind == "trivial":
            effects = "; ".join(of.effect for of in self.report.nontrivial)
            lines.insert(0, f"trivial: the outputs stay what they are ({effects})")
        return "\n".join(lines)


def train(
    parameters: Parameters,
    model: Callable[..., Scalar],
    inputs: Sequence[Any],
    targets: Sequence[Any],
    *,
    steps: int,
    optimizer: SGD | Adam,
    loss: Any = None,
    parametrization: str | Exponents = "mup",
    **options: Any,
) -> Trained:
    """Full-batch training of a model for a finite number of steps, in the limit of infinite width.

    Args:
        parameters: what it trains.
        model: `model(tape, input)` returns the output, written with the tape's `matmul`, `nonlin`, `lincomb`,
            `moment` and `readout`. It is the same model in every parametrization, with the output (1/n) v^T x.
        inputs, targets: the examples. Inputs beyond the targets are not trained on; their outputs are followed.
        steps: how many.
        optimizer: `SGD(rate)` or `Adam(rate, ...)`.
        loss: a function of output and target, (f - y)^2 / 2 by default; the batch's loss is the mean.
        parametrization: a name of `training.scaling.PARAMETRIZATIONS`, or by role (input, hidden and output) the
            exponents (a, b, c), and for Adam (a, b, c, d) too.
        options: of `Limit`.

    Raises:
        LimitError: the parametrization is unstable or unfaithful, with what diverges or vanishes; or it learns no
            features and the output is no readout, or weights decay.

    >>> import tensoria as tn
    >>> q = Parameters()
    >>> u, v = q.vector("u"), q.vector("v", role="output")
    >>> def model(t, x):
    ...     return t.readout(v, t.nonlin(tn.tanh, t.lincomb([x], [u])))
    >>> net = train(q, model, [1], [1], steps=2, optimizer=SGD("1/2"))
    >>> [round(float(f), 9) for (f,) in net.curve]
    [0.0, 0.401021035, 0.61427892]
    >>> net = train(q, model, [1], [1], steps=2, optimizer=SGD("1/2"), parametrization="ntk")
    >>> [round(float(f), 9) for (f,) in net.curve], [round(s, 9) for (s,) in net.deviations]
    ([0.0, 0.429348696, 0.67435709], [0.62792873, 0.358328349, 0.204480539])
    """
    if not targets or len(inputs) < len(targets):
        raise LimitError(f"{len(inputs)} inputs and {len(targets)} targets.", legal="an input for each target, or more")
    roles = frozenset(of.role for of in parameters.trained.values())
    found = scaling(parametrization, roles, adam=isinstance(optimizer, Adam))
    parameters.reset()
    program = parameters.program
    given = _Given(parameters, model, tuple(inputs), tuple(targets), steps, optimizer, loss, found)
    base = len(program.rules)

    def at_width(n: int) -> tuple[TensorProgram, list[list[Scalar]]]:
        return given.alone(base, lambda: given.unrolled(n))

    if found.report.kind == "feature learning":
        outputs: Any = given.unrolled(None)
        kernel = None
    else:
        outputs, kernel = given.lazy()
    limit, rows = Limit(program, **options), tuple(map(tuple, outputs))
    return Trained(program, rows, limit, parameters, found.report, kernel, at_width)


@dataclass(frozen=True)
class _Given:
    """What is trained, and how."""

    parameters: Parameters
    model: Callable[..., Scalar]
    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]
    steps: int
    optimizer: SGD | Adam
    loss: Any
    scaling: Scaling

    def slope(self) -> Any:
        """The derivative of the loss by the output."""
        return traced(_squared if self.loss is None else self.loss, 0, 2).derivative(0)

    def goals(self) -> list[Scalar]:
        """The targets, as scalars."""
        return [self.parameters.program.scalar(y) for y in self.targets]

    def unrolled(self, n: int | None) -> list[list[Scalar]]:
        """All steps as instructions, in the limit or with the powers of a width n; the outputs by step."""
        program, scaling = self.parameters.program, self.scaling

        def size(power: Fraction) -> Number:
            return Fraction(1) if not power else Fraction(0) if n is None else float(n) ** -float(power)

        rates = {role: size(r) for role, r in scaling.updates.items()}
        slope, goals = self.slope(), self.goals()
        whole = size(-scaling.output) if scaling.output else Fraction(1)
        if scaling.start:
            self.parameters.shrink(size(scaling.start))
        share = Fraction(1, len(goals))
        rows: list[list[Scalar]] = []
        history: dict[Any, list[Any]] = {}
        for t in range(self.steps + 1):
            tapes = [Tape(program) for _ in self.inputs]
            row = [self.model(tape, x) for tape, x in zip(tapes, self.inputs, strict=True)]
            rows.append(row if whole == 1 else [f * program.scalar(whole) for f in row])
            if t == self.steps:
                break
            trained = list(zip(tapes, row, rows[-1], goals, strict=False))
            starts = [program.moment(slope, scalars=[f, y]) for _, _, f, y in trained]
            for (tape, f, _, _), chi in zip(trained, starts, strict=True):
                tape.pull(f, chi if share == 1 else chi * share)
            _moved(self.parameters, tapes[: len(goals)], self.optimizer, rates, history)
        return rows

    def lazy(self) -> tuple[Any, Any]:
        """All steps of the outputs, by the kernel at initialisation."""
        program = self.parameters.program
        tapes = [Tape(program) for _ in self.inputs]
        row = [self.model(tape, x) for tape, x in zip(tapes, self.inputs, strict=True)]
        return by_kernel(
            self.parameters, tapes, row, self.goals(), self.slope(), self.optimizer, self.scaling, self.steps
        )

    def alone(self, base: int, write: Callable[[], Any]) -> tuple[TensorProgram, Any]:
        """What is written, as a program that has only that beyond the first instructions; ours stays as it is."""
        program, before = self.parameters.program, self.parameters.state()
        rules, names, matrices = program.rules, program._names, program.matrices
        self.parameters.reset()
        try:
            program.rules, program._names = rules[:base], set(names)
            program.matrices = dict(matrices)
            rows = write()
            made = copy.copy(program)
        finally:
            program.rules, program._names, program.matrices = rules, names, matrices
            self.parameters.restore(before)
        return made, rows


def _squared(f: Any, y: Any) -> Any:
    return (f - y) * (f - y) * 0.5


# -- steps ------------------------------------------------------------------------------------------------------------


def _moved(
    parameters: Parameters, tapes: Sequence[Tape], optimizer: SGD | Adam, rates: Mapping[str, Number],
    history: dict[Any, list[Any]],
) -> None:  # fmt: skip
    """One step of all parameters.

    Args:
        rates: by role what the learning rate is multiplied by; 0 if the update vanishes in the limit.
    """
    program, rate = parameters.program, number(optimizer.rate, "a learning rate")
    kept = 1 - rate * number(optimizer.decay) if isinstance(optimizer, Adam) else Fraction(1)
    one = program.scalar(1)
    moved: list[Callable[[], None]] = []
    for of in parameters.trained.values():
        own = rate * rates[of.role]
        if isinstance(of, TrainedVector):
            parts = [g for tape in tapes if of in tape.moved and (g := tape.gradient(of.now)) is not None]
            if parts and (own or kept != 1):
                moved.append(_vector_step(program, of, parts, optimizer, own, kept, history))
        else:
            pairs = [pair for tape in tapes for pair in tape.outer.get(of, [])]
            if pairs and (own or kept != 1):
                moved.append(_matrix_step(of, pairs, optimizer, own, kept, history, one))
    for move in moved:
        move()


def _vector_step(
    program: TensorProgram, of: TrainedVector, parts: list[Vector], optimizer: SGD | Adam, rate: Number, kept: Number,
    history: dict[Any, list[Any]],
) -> Callable[[], None]:  # fmt: skip
    if isinstance(optimizer, SGD):
        new = program.lincomb([kept, *([-rate] * len(parts))], [of.now, *parts])
    elif not rate:
        new = program.lincomb([kept], [of.now])
    else:
        gradients = history.setdefault(of, [])
        gradients.append(parts[0] if len(parts) == 1 else program.lincomb([1] * len(parts), parts))
        update = program.nonlin(optimizer.step(len(gradients)), *gradients)
        new = program.lincomb([kept, -rate], [of.now, update])

    def move() -> None:
        of.now = new

    return move


def _matrix_step(
    of: TrainedMatrix, pairs: list[tuple[Vector, Vector]], optimizer: SGD | Adam, rate: Number, kept: Number,
    history: dict[Any, list[Any]], one: Scalar,
) -> Callable[[], None]:  # fmt: skip
    left, right = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    if isinstance(optimizer, SGD):
        update = Update(left, right, (one,) * len(pairs), None, -rate)
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
        update = Update(
            tuple(x for a, _ in steps for x in a), tuple(x for _, b in steps for x in b), (), psi, -rate * ratio(of)
        )

    def move() -> None:
        of.scale = of.scale * kept
        for before in of.updates:
            before.factor = before.factor * kept
        if rate:
            of.updates.append(update)

    return move
