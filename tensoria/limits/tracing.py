"""Ordinary functions of tensors as models that are trained in the limit.

`net(parameters, x)` is traced with parameters whose axes are a symbol, the width, and its instructions are done again
on a tape of Tensor Programs: products with matrices are MatMuls, operations on components are Nonlins, and a sum over
the width is the width times a Moment. Powers of the width are counted, and have to be gone from the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.discovery import get
from tensoria.errors import LimitError
from tensoria.indices import PLAIN
from tensoria.limits.language.dimensions import Dimension
from tensoria.limits.language.instructions import Scalar, Vector
from tensoria.limits.language.nonlinearity import COORDINATEWISE, Nonlinearity, traced
from tensoria.limits.training.tape import Parameters, Tape, TrainedMatrix, TrainedVector
from tensoria.programs.dimensions import Dim, dim
from tensoria.programs.symbolic import backend as symbolic
from tensoria.programs.trace import trace
from tensoria.programs.types import Instruction, Literal, Operand
from tensoria.tensor import Tensor

__all__ = ["traced_model"]

UNMOVED = frozenset(("astype", "stop_gradient"))


@dataclass(frozen=True)
class _Held:
    """What stands for a value of the traced program.

    Attributes:
        of: a vector, a parameter, a scalar, or a number.
        power: it is n to this power times that.
        transposed: of a matrix.
    """

    of: Any
    power: Fraction = Fraction(0)
    transposed: bool = False


def traced_model(parameters: Parameters, function: Callable[..., Any]) -> Callable[[Tape, Any], Scalar]:
    """A model for `train` from a function of tensors.

    Args:
        parameters: what it trains: vectors have the shape (n,), matrices (n, n), or the widths that they were given.
        function: `function(values, x)` takes the parameters' tensors by name and an input, which is a Python number or
            a structure of them, and returns one number.

    Raises:
        LimitError: (when it is called) an operation is not one of a Tensor Program, or the output grows or vanishes
            with the width.

    >>> import tensoria as tn
    >>> q = tn.limits.Parameters()
    >>> u, W, v = q.vector("u"), q.matrix("W"), q.vector("v", role="output")
    >>> def net(p, x):
    ...     h = p["W"] @ (p["u"] * x)
    ...     return p["v"] @ h / h.shape[0]
    >>> print(tn.limits.train(q, tn.limits.traced_model(q, net), [1], [1], steps=2, optimizer=tn.limits.SGD("1/4")))
    step 0: 0 (exact)
    step 1: 3/4 (exact)
    step 2: 65345/65536 (exact)
    """
    names = list(parameters.trained)
    sizes = [_sizes(of) for of in parameters.trained.values()]
    widths = {
        size: dimension.ratio
        for of, found in zip(parameters.trained.values(), sizes, strict=True)
        for size, dimension in zip(found, _dimensions(of), strict=True)
    }
    ones = [np.ones((2,) * len(of)) for of in sizes]

    def model(tape: Tape, x: Any) -> Scalar:
        def called(*xs: Any) -> Any:
            return function(dict(zip(names, xs, strict=True)), x)

        program = trace(called, *ones, dynamic={f"xs_{n}": of for n, of in enumerate(sizes)})
        program = program.optimised(["constants", "literals", "order", "dead code"])
        known: dict[Operand, _Held] = {
            value: _Held(of) for value, of in zip(program.inputs, parameters.trained.values(), strict=True)
        }
        reader = _Reader(tape, known, widths)
        for made in program.instructions:
            known[made.results[0]] = reader.read(made)
        if len(program.outputs) != 1:
            raise LimitError(f"the model returns {len(program.outputs)} tensors, not one number.")
        found = reader.operand(program.outputs[0])
        if not isinstance(found.of, Scalar):
            raise LimitError(f"the model returns {program.outputs[0].type}, not a number that depends on the width.")
        if found.power:
            raise LimitError(
                f"the model's output is of the size n^{found.power}: it has no limit.",
                legal="v @ h / n in every parametrization, whose a + b says by which power of n the output is larger",
            )
        return found.of

    return model


def _sizes(of: TrainedMatrix | TrainedVector) -> tuple[Dim, ...]:
    return tuple(dim(width.name if width.named else "n") for width in _dimensions(of))


def _dimensions(of: TrainedMatrix | TrainedVector) -> tuple[Dimension, ...]:
    return (of.start.rows, of.start.columns) if isinstance(of, TrainedMatrix) else (of.start.dimension,)


class _Reader:
    """The instructions of a traced program, done on a tape."""

    def __init__(self, tape: Tape, known: dict[Operand, _Held], widths: dict[Dim, Fraction]) -> None:
        self.tape, self.known, self.widths = tape, known, widths

    def operand(self, x: Operand) -> _Held:
        """What stands for an operand."""
        return _Held(float(x.number.real)) if isinstance(x, Literal) else self.known[x]

    def read(self, made: Instruction) -> _Held:
        """What stands for an instruction's result."""
        operands = [self.operand(x) for x in made.operands]
        rule = getattr(self, f"_{made.operation}", None)
        if rule is not None:
            return rule(made, *operands)  # type: ignore[no-any-return]
        if made.operation in COORDINATEWISE:
            return self._coordinatewise(made, operands)
        raise _unsupported(made, "no rule takes it to the limit")

    # -- products and sums ----------------------------------------------------------------------------------------

    def _size(self, made: Instruction) -> _Held:
        size = made.attributes["size"]
        if not isinstance(size, Dim):
            return _Held(float(size))
        if size not in self.widths:
            raise _unsupported(made, f"{size} is no width")
        return _Held(float(self.widths[size]), Fraction(1))

    def _permute_dims(self, made: Instruction, x: _Held) -> _Held:
        if isinstance(x.of, TrainedMatrix):
            return _Held(x.of, x.power, x.transposed != (made.attributes["axes"] == (1, 0)))
        return x

    _matrix_transpose = _permute_dims

    def _matmul(self, made: Instruction, a: _Held, b: _Held) -> _Held:
        power = a.power + b.power
        if isinstance(a.of, TrainedMatrix) and isinstance(b.of, (Vector, TrainedVector)):
            return _Held(self.tape.matmul(a.of, b.of, transposed=a.transposed), power)
        if isinstance(b.of, TrainedMatrix) and isinstance(a.of, (Vector, TrainedVector)):
            return _Held(self.tape.matmul(b.of, a.of, transposed=not b.transposed), power)
        if isinstance(a.of, (Vector, TrainedVector)) and isinstance(b.of, (Vector, TrainedVector)):
            return _Held(self._counted(a, self.tape.moment(lambda x, y: x * y, a.of, b.of)), power + 1)
        raise _unsupported(made, "a product of two matrices is no vector of a Tensor Program")

    def _contract(self, made: Instruction, *operands: _Held) -> _Held:
        pattern = made.attributes["pattern"]
        terms, out = [list(term) for term in pattern.terms], list(pattern.out)
        if len(operands) == 1:
            (x,) = operands
            if isinstance(x.of, TrainedMatrix) or len(terms[0]) != 1 or out:
                raise _unsupported(made, "a trace, or the sum over a matrix")
            return self._sum(made, x)
        if len(operands) != 2:
            raise _unsupported(made, "contract two tensors at a time")
        for (a, s), (b, t) in (((operands[0], terms[0]), (operands[1], terms[1])),
                               ((operands[1], terms[1]), (operands[0], terms[0]))):  # fmt: skip
            if isinstance(a.of, TrainedMatrix) and len(t) == 1 and len(out) == 1 and {*t, *out} == set(s):
                turned = a.transposed != (s[0] == t[0])
                return _Held(self.tape.matmul(a.of, b.of, transposed=turned), a.power + b.power)
        if terms[0] == terms[1] and len(terms[0]) == 1:
            if not out:
                return self._matmul(made, *operands)
            return self._coordinatewise(made, list(operands), "multiply")
        raise _unsupported(made, "no product of a matrix and a vector, or of two vectors")

    def _sum(self, made: Instruction, x: _Held) -> _Held:
        if not isinstance(x.of, (Vector, TrainedVector)):
            return x
        return _Held(self._counted(x, self.tape.moment(lambda x: x, x.of)), x.power + 1)

    def _mean(self, made: Instruction, x: _Held) -> _Held:
        if not isinstance(x.of, (Vector, TrainedVector)):
            return x
        return _Held(self.tape.moment(lambda x: x, x.of), x.power)

    def _counted(self, x: _Held, mean: Scalar) -> Scalar:
        """A sum over a width of rho n is rho n times a mean."""
        ratio = self.tape.value(x.of).dimension.ratio
        return mean if ratio == 1 else self.tape.moment(lambda c: c * float(ratio), mean)

    # -- operations on components ---------------------------------------------------------------------------------

    def _coordinatewise(self, made: Instruction, operands: Sequence[_Held], name: str = "") -> _Held:
        name = name or made.operation
        if any(isinstance(x.of, TrainedMatrix) for x in operands):
            raise _unsupported(made, "a function of a matrix's entries")
        power = self._power(made, name, operands)
        numbers = [x for x in operands if isinstance(x.of, float)]
        if len(numbers) == len(operands):
            return _Held(_on_numbers(name, [x.of for x in operands], made), power)
        if name in UNMOVED:
            return _Held(operands[0].of, power)
        vectors = [x.of for x in operands if isinstance(x.of, (Vector, TrainedVector))]
        linear = self._linear(name, operands, vectors)
        if linear is not None:
            return _Held(linear, power)
        scalars = [x.of for x in operands if isinstance(x.of, Scalar)]
        phi = _function(made, name, operands)
        if vectors:
            return _Held(self.tape.nonlin(phi, *vectors, *scalars), power)
        return _Held(self.tape.moment(phi, *scalars), power)

    def _linear(self, name: str, operands: Sequence[_Held], vectors: Sequence[Any]) -> Vector | None:
        """Sums of vectors, and multiples of one."""
        if name == "negative" and vectors:
            return self.tape.lincomb([-1], vectors)
        if name in ("add", "subtract") and len(vectors) == 2:
            return self.tape.lincomb([1, 1 if name == "add" else -1], vectors)
        if len(operands) == 2 and len(vectors) == 1:
            a, b = (x.of for x in operands)
            if name == "multiply":
                return self.tape.lincomb([b if a is vectors[0] else a], vectors)
            if name == "divide" and a is vectors[0] and isinstance(b, float):
                return self.tape.lincomb([1 / b], vectors)
        return None

    def _power(self, made: Instruction, name: str, operands: Sequence[_Held]) -> Fraction:
        """The power of n of a result."""
        powers = [x.power for x in operands]
        if not any(powers):
            return Fraction(0)
        if name == "multiply":
            return powers[0] + powers[1]
        if name == "divide":
            return powers[0] - powers[1]
        if name in ("negative", "astype", "stop_gradient", "relu", "abs") or (
            name in ("add", "subtract", "maximum", "minimum") and powers[0] == powers[1]
        ):
            return powers[0]
        if name == "sqrt":
            return powers[0] / 2
        if name in ("reciprocal", "square"):
            return -powers[0] if name == "reciprocal" else 2 * powers[0]
        if name == "pow" and isinstance(operands[1].of, float) and not powers[1]:
            return powers[0] * Fraction(operands[1].of).limit_denominator(1000)
        sizes = ", ".join(f"n^{p}" for p in powers)
        raise _unsupported(made, f"its operands are of the sizes {sizes}, which has no limit")


def _unsupported(made: Instruction, reason: str) -> LimitError:
    return LimitError(f"unsupported: {made.operation}, {reason}; at {made.source}")


def _function(made: Instruction, name: str, operands: Sequence[_Held]) -> Nonlinearity:
    """The instruction as a function of its vectors, then its scalars, with its numbers inside."""
    places = [n for n, x in enumerate(operands) if isinstance(x.of, (Vector, TrainedVector))]
    vectors = len(places)
    places += [n for n, x in enumerate(operands) if isinstance(x.of, Scalar)]

    def called(*xs: Tensor) -> Tensor:
        into = xs[0]._array.recorder
        arrays = [
            xs[places.index(n)]._array if n in places else into.literal(x.of, xs[0].dtype)
            for n, x in enumerate(operands)
        ]
        attributes = made.attributes if name == made.operation else {}
        (result,) = into.record(name, arrays, **attributes)
        return Tensor.from_parts(result, PLAIN, symbolic)

    found = traced(called, vectors, len(places) - vectors)
    return Nonlinearity(name, found.program, found.vectors, found.scalars)


def _on_numbers(name: str, values: Sequence[float], made: Instruction) -> float:
    if name in UNMOVED:
        return values[0]
    backend = get("numpy")
    found = getattr(backend.xp, name)(*(np.float64(v) for v in values))
    return float(found)
