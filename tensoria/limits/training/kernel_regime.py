"""Training where features stay what they are: the output moves by a kernel of the program at initialisation.

With r > 0 (the dynamical dichotomy) every vector of the forward and the backward pass keeps its limit, and the output
moves to first order in the weights. A step of SGD is (TP IV, theorem 3.6 and section 4)

    f_t+1(x) = f_t(x) - eta sum over examples of K(x, x_i) L'(f_t(x_i)),

where K is the tangent kernel, restricted to the weights whose updates reach the output. A step of Adam puts the
gradients of all examples and steps through Q before they meet (TP IVb, section 2.9, the neural tangent Q operator):
with g^s = sum over i of L'(f_s(x_i)) dx_i, a vector's part is E[dx Q_t(g^1, ..., g^t)], a matrix's the expectation over
two independent coordinates, E[dy_a Q_t(g^1_ab, ..., g^t_ab) x_b], g_ab = sum over i of L'_i dy_ia x_ib.

If the output has a + b = 1/2, f_0 is a Gaussian process that is independent of all these vectors, and training moves
every network of the ensemble on its own. So outputs are vectors along an axis of networks: f_0 = R x with iid readouts
R, and the steps are LinCombs and Nonlins along it, outer nonlinearities over the neurons. All of it is one program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.errors import LimitError
from tensoria.limits.language.instructions import Constant, Initial, LinComb, MatMul, Scalar, Vector
from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.limits.language.numbers import number
from tensoria.limits.simulation import simulate
from tensoria.limits.tensor_program import TensorProgram
from tensoria.limits.training.optimizers import SGD, Adam
from tensoria.limits.training.scaling import Scaling
from tensoria.limits.training.tape import Parameters, Tape, TrainedMatrix, TrainedVector, ratio

__all__ = ["Outputs", "by_kernel"]

Outputs = tuple[tuple[Any, ...], ...]
"""By step and input: scalars, or vectors along the axis of networks."""
NETWORKS = "networks"


@dataclass(frozen=True)
class _Part:
    """What the weights of one parameter do to the outputs.

    Attributes:
        gradients: by input the pairs (left, right) whose outer products are summed; right is () for vectors.
        factor: of a matrix, columns by rows, for SGD.
    """

    gradients: list[list[tuple[tuple[Vector, ...], ...]]]
    factor: Fraction = Fraction(1)


def by_kernel(
    parameters: Parameters, tapes: Sequence[Tape], outputs: Sequence[Scalar], goals: Sequence[Scalar],
    slope: Nonlinearity, optimizer: SGD | Adam, scaling: Scaling, steps: int,
) -> tuple[Outputs, list[list[Scalar]] | None]:  # fmt: skip
    """Write the training of the outputs into the program.

    Args:
        tapes, outputs: by input the forward pass, and the output as muP has it.
        goals: the targets of the first inputs; further ones are only looked at.
        slope: the derivative of the loss.

    Returns:
        The outputs by step, and for SGD the kernel of inputs by training inputs.

    Raises:
        LimitError: the output is no linear function of readouts, or weights decay.
    """
    if isinstance(optimizer, Adam) and optimizer.decay:
        raise LimitError(
            "unsupported: weight decay where features are not learnt: it moves the weights that the kernel belongs to.",
            legal="Adam(..., decay=0)",
        )
    program = parameters.program
    one = program.scalar(1)
    for tape, f in zip(tapes, outputs, strict=True):
        tape.pull(f, one)
    if scaling.output:
        _require_linear(parameters, tapes, outputs)
    parts = [found for of in parameters.trained.values() if not scaling.effects[of.role]
             and (found := _part(of, tapes)) is not None]  # fmt: skip
    run: _Run = (_Ensemble if scaling.output == Fraction(1, 2) else _Certain)(program)
    row = run.start(parameters, tapes)
    rows, history = [tuple(row)], []
    rate = program.scalar(-number(optimizer.rate, "a learning rate"))
    share = Fraction(1, len(goals))
    kernel = _kernel(program, parts, len(outputs), len(goals)) if isinstance(optimizer, SGD) else None
    weights = [[k * rate for k in line] for line in kernel or ()]
    for t in range(steps):
        history.append([run.slope(slope, f, y, share) for f, y in zip(row, goals, strict=False)])
        if parts and isinstance(optimizer, SGD):
            row = [run.moved(f, line, history[-1]) for f, line in zip(row, weights, strict=True)]
        elif parts and isinstance(optimizer, Adam):
            q = optimizer.step(t + 1)
            row = [
                run.moved(f, [rate] * len(parts), [run.tangent(part, n, q, history) for part in parts])
                for n, f in enumerate(row)
            ]
        rows.append(tuple(row))
    return tuple(rows), kernel


# -- gradients at initialisation --------------------------------------------------------------------------------------


def _part(of: TrainedVector | TrainedMatrix, tapes: Sequence[Tape]) -> _Part | None:
    """The gradients of every output by one parameter."""
    if isinstance(of, TrainedVector):
        found = [tape.gradient(of.now) if of in tape.moved else None for tape in tapes]
        gradients: Any = [[] if g is None else [((g,),)] for g in found]
        return _Part(gradients) if any(gradients) else None
    gradients = [[((a,), (b,)) for a, b in tape.outer.get(of, [])] for tape in tapes]
    return _Part(gradients, 1 / ratio(of)) if any(gradients) else None


def _kernel(program: TensorProgram, parts: Sequence[_Part], count: int, trained: int) -> list[list[Scalar]]:
    """K of all inputs with those that are trained on."""
    known: dict[frozenset[Vector], Scalar] = {}

    def overlap(a: Vector, b: Vector) -> Scalar:
        key = frozenset((a, b))
        if key not in known:
            known[key] = program.moment(lambda a, b: a * b, a, b)
        return known[key]

    def entry(n: int, m: int) -> Scalar:
        terms = []
        for part in parts:
            for first in part.gradients[n]:
                for second in part.gradients[m]:
                    term = overlap(first[0][0], second[0][0])
                    if len(first) == 2:
                        term = term * overlap(first[1][0], second[1][0])
                    terms.append(term if part.factor == 1 else term * program.scalar(part.factor))
        total = terms[0] if terms else program.scalar(0)
        for term in terms[1:]:
            total = total + term
        return total

    rows: list[list[Scalar]] = []
    for n in range(count):
        rows.append([rows[m][n] if m < n and n < trained else entry(n, m) for m in range(trained)])
    return rows


def _require_linear(parameters: Parameters, tapes: Sequence[Tape], outputs: Sequence[Scalar]) -> None:
    """The output is a sum of readouts of weights that nothing else sees: then it is Gaussian, of the size n^-1/2."""
    program = parameters.program
    readouts = [of for of in parameters.trained.values() if isinstance(of, TrainedVector) and of.role == "output"]
    names = ", ".join(of.start.name for of in readouts)
    legal = "v @ h / n with the output's weights v, used nowhere else"
    found = [(of, tape.gradient(of.now)) for tape in tapes for of in readouts if of in tape.moved]
    for of, x in found:
        if x is not None and _depends(program, x, {other.start for other in readouts}):
            raise LimitError(
                f"unsupported: the output is no linear function of {of.start.name}, and without feature learning it "
                "has no limit then.",
                legal=legal,
            )
        if program.rules[of.start.position].mean[0]:  # type: ignore[attr-defined]
            raise LimitError(f"{of.start.name} has a mean, so the output grows with the width.", legal="mean=0")
    # What is left of the output without its readouts is a number, to be seen at any width.
    run = simulate(program, 16, seeds=1, key=1)
    numbers = run.scalars[0]
    for tape, f in zip(tapes, outputs, strict=True):
        whole = 0.0
        for of in readouts:
            x = tape.gradient(of.now) if of in tape.moved else None
            if x is not None:
                whole += float(np.mean(np.asarray(run.vectors[0][of.now]) * np.asarray(run.vectors[0][x])))
        value = float(np.asarray(numbers[f]))
        if abs(value - whole) > 1e-9 * (abs(value) + abs(whole) + 1e-3):
            raise LimitError(
                f"unsupported: the output has other terms than readouts of {names}, which grow like n^1/2.", legal=legal
            )


def _depends(program: TensorProgram, x: Vector, on: set[Vector]) -> bool:
    """Whether a vector is made of one of others."""
    pending: list[Any] = [x]
    seen: set[Any] = set()
    while pending:
        of = pending.pop()
        if of in on:
            return True
        if of in seen:
            continue
        seen.add(of)
        rule: Any = program.rules[of.position]
        if isinstance(rule, MatMul):
            pending.append(rule.operand)
        elif isinstance(rule, LinComb):
            pending += [*rule.operands, *(c for c in rule.coefficients if isinstance(c, Scalar))]
        elif not isinstance(rule, (Initial, Constant)):
            pending += _read(rule.function, (*rule.operands, *rule.scalars))
    return False


def _read(function: Nonlinearity, operands: Sequence[Any]) -> list[Any]:
    """The operands that a function's value depends on: a derivative takes all, and may use few of them."""
    needed: set[Any] = {function.output}
    for made in reversed(function.program.instructions):
        if made.results[0] in needed:
            needed.update(made.operands)
    return [x for value, x in zip(function.program.inputs, operands, strict=True) if value in needed]


# -- outputs that move ------------------------------------------------------------------------------------------------


class _Run:
    """The instructions for outputs of one kind."""

    def __init__(self, program: TensorProgram) -> None:
        self.program = program

    def start(self, parameters: Parameters, tapes: Sequence[Tape]) -> list[Any]:
        """The outputs at initialisation."""
        raise NotImplementedError

    def slope(self, slope: Nonlinearity, f: Any, y: Scalar, share: Fraction) -> Any:
        """The derivative of the loss at an output, times an example's share."""
        raise NotImplementedError

    def moved(self, f: Any, weights: Sequence[Scalar], by: Sequence[Any]) -> Any:
        """An output and a linear combination."""
        raise NotImplementedError

    def averaged(self, function: Callable[..., Any], copies: Sequence[Sequence[Vector]], slopes: Sequence[Any]) -> Any:
        """The mean of a function of slopes and of neurons over the latter, independent ones for each copy."""
        raise NotImplementedError

    def tangent(self, part: _Part, n: int, q: Callable[..., Any], history: Sequence[Sequence[Any]]) -> Any:
        """What a parameter's step Q_t(g^1, ..., g^t) does to the n-th output, for a rate of -1."""
        trained = part.gradients[: len(history[0])]
        terms = [pair for pairs in trained for pair in pairs]
        examples = [m for m, pairs in enumerate(trained) for _ in pairs]
        slopes = [chi for step in history for chi in step]
        own = part.gradients[n]
        if not terms or not own:
            return None
        count, each, depth = len(terms), len(history[0]), len(terms[0])

        def function(chis: Sequence[Any], *copies: Sequence[Any]) -> Any:
            products = [_product([copy[k] for copy in copies]) for k in range(count + len(own))]
            gradients = [
                _total([products[k] * chis[t * each + examples[k]] for k in range(count)]) for t in range(len(history))
            ]
            return q(*gradients) * _total(products[count:])

        copies = [[pair[side][0] for pair in (*terms, *own)] for side in range(depth)]
        return self.averaged(function, copies, slopes)


class _Certain(_Run):
    """Outputs without randomness: they begin at zero, since a + b > 1/2."""

    def start(self, parameters: Parameters, tapes: Sequence[Tape]) -> list[Any]:
        return [self.program.scalar(0) for _ in tapes]

    def slope(self, slope: Nonlinearity, f: Any, y: Scalar, share: Fraction) -> Any:
        chi = self.program.moment(slope, scalars=[f, y])
        return chi if share == 1 else chi * self.program.scalar(share)

    def moved(self, f: Any, weights: Sequence[Scalar], by: Sequence[Any]) -> Any:
        for weight, x in zip(weights, by, strict=True):
            f = f if x is None else f + weight * x
        return f

    def averaged(self, function: Callable[..., Any], copies: Sequence[Sequence[Vector]], slopes: Sequence[Any]) -> Any:
        sizes = [len(copy) for copy in copies]

        def called(*given: Any) -> Any:
            *neurons, chis = _split(given, [*sizes, len(slopes)])
            return function(chis, *neurons)

        if len(copies) == 1:
            return self.program.moment(called, *copies[0], scalars=slopes)
        x = self.program.outer_nonlin(called, copies[0], *copies[1:], scalars=slopes)
        return self.program.moment(lambda x: x, x)


class _Ensemble(_Run):
    """Outputs that begin as a Gaussian process, one for each network."""

    def start(self, parameters: Parameters, tapes: Sequence[Tape]) -> list[Any]:
        program = self.program
        readouts: dict[TrainedVector, Any] = {}
        for of in parameters.trained.values():
            if isinstance(of, TrainedVector) and of.role == "output":
                variance = program.rules[of.start.position].covariance[0][0]  # type: ignore[attr-defined]
                name = f"{of.start.name} of {NETWORKS}"
                readouts[of] = program.matrix(name, variance=variance, rows=NETWORKS, columns=of.start.dimension)
        out = []
        for tape in tapes:
            products = []
            for of, matrix in readouts.items():
                x = tape.gradient(of.now) if of in tape.moved else None
                if x is not None:
                    products.append(program.matmul(matrix, x))
            if not products:
                out.append(program.vector(f"nothing{len(program.rules)}", variance=0, dimension=NETWORKS))
            else:
                out.append(products[0] if len(products) == 1 else program.lincomb([1] * len(products), products))
        return out

    def slope(self, slope: Nonlinearity, f: Any, y: Scalar, share: Fraction) -> Any:
        chi = self.program.nonlin(lambda f, y: slope(f, y), f, scalars=[y])
        return chi if share == 1 else self.program.lincomb([share], [chi])

    def moved(self, f: Any, weights: Sequence[Scalar], by: Sequence[Any]) -> Any:
        there = [(weight, x) for weight, x in zip(weights, by, strict=True) if x is not None]
        return self.program.lincomb([1, *(weight for weight, _ in there)], [f, *(x for _, x in there)])

    def averaged(self, function: Callable[..., Any], copies: Sequence[Sequence[Vector]], slopes: Sequence[Any]) -> Any:
        sizes = [len(copy) for copy in copies]

        def called(*given: Any) -> Any:
            chis, *neurons = _split(given, [len(slopes), *sizes])
            return function(chis, *neurons)

        return self.program.outer_nonlin(called, slopes, *copies)


def _split(given: Sequence[Any], sizes: Sequence[int]) -> list[Sequence[Any]]:
    out, at = [], 0
    for size in sizes:
        out.append(given[at : at + size])
        at += size
    return out


def _product(xs: Sequence[Any]) -> Any:
    total = xs[0]
    for x in xs[1:]:
        total = total * x
    return total


def _total(xs: Sequence[Any]) -> Any:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total
