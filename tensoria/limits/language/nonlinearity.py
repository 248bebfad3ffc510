"""Nonlinearities: ordinary functions of tensors, traced to programs of coordinatewise operations on single numbers.

As data, a nonlinearity can be differentiated, evaluated on any backend at any shape, printed, and looked into: where
its kinks are, how fast it grows, whether it is linear. Its inputs are first the components of vectors, then scalars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.dtypes import bool_, float64
from tensoria.errors import LimitError, TensoriaError
from tensoria.indices import PLAIN
from tensoria.limits.language.activations import ACTIVATIONS
from tensoria.limits.language.numbers import number, shown
from tensoria.programs import recorder as recording
from tensoria.programs.dimensions import dim
from tensoria.programs.evaluation import evaluate, place
from tensoria.programs.naming import named_values
from tensoria.programs.program import Program
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.trace import trace
from tensoria.programs.trees import LEAF, Tree
from tensoria.programs.types import Instruction, Literal, Operand, Region, Type, Value
from tensoria.tensor import Tensor

__all__ = ["COORDINATEWISE", "Nonlinearity", "traced"]

COORDINATEWISE: Final = frozenset(
    "abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor log log10 log1p log2 logical_not negative "
    "reciprocal round sign signbit sin sinh sqrt square tan tanh trunc isfinite isinf isnan add atan2 copysign divide "
    "equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor "
    "maximum minimum multiply not_equal pow remainder subtract where astype stop_gradient erf sigmoid relu "
    "hardtanh silu gelu".split()
)
"""Operations that a nonlinearity may consist of."""
SAME: Final = frozenset(("broadcast_to", "reshape", "expand_dims", "squeeze", "full", "sum"))
"""Operations that do nothing to a single number; derivatives leave them behind."""
INFIX: Final = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "greater": ">", "less": "<",
    "greater_equal": ">=", "less_equal": "<=",
}  # fmt: skip
ADVICE: Final = {
    "sum": "moment(...) is the mean over a width, times the width's power where it is a sum",
    "mean": "moment(...) is the mean over a width",
    "size": "a width is no number in the limit",
    "softmax": "a softmax over a width has no limit; over a finite axis it is a nonlinearity of several vectors",
    "matmul": "matmul(W, x) is an instruction of its own",
    "contract": "matmul(W, x) is an instruction of its own",
}


@dataclass(frozen=True, eq=False)
class Nonlinearity:
    """A coordinatewise function of vectors and scalars.

    Attributes:
        name: how programs print it.
        program: its instructions on single float64 numbers: first the vectors' components, then the scalars.
        vectors, scalars: how many of each.
    """

    name: str
    program: Program
    vectors: int
    scalars: int
    _derivatives: dict[int, Nonlinearity] = field(default_factory=dict, repr=False)

    @property
    def output(self) -> Operand:
        """The value that it returns."""
        return self.program.outputs[0]

    def evaluate(self, backend: Backend, arrays: Sequence[Array]) -> Array:
        """Its values for native float64 arrays, one for each input, which broadcast."""
        device = place(backend, arrays)
        known: dict[Operand, Array] = dict(zip(self.program.inputs, arrays, strict=True))

        def read(operand: Operand) -> Array:
            if isinstance(operand, Literal):
                return backend.asarray(operand.number, operand.dtype, device, None)
            return known[operand]

        for made in self.program.instructions:
            known[made.results[0]] = evaluate(
                backend, made.operation, tuple([read(x) for x in made.operands]), made.attributes, device
            )
        return read(self.output)

    def __call__(self, *tensors: Any) -> Tensor:
        """Its value for tensors of one backend, symbolic ones too."""
        first = next(t for t in tensors if isinstance(t, Tensor))
        backend = first._backend
        arrays = [t._array if isinstance(t, Tensor) else backend.scalar_like(t, float64, first._array) for t in tensors]
        if isinstance(first._array, SymbolicArray):
            return Tensor.from_parts(_again(self.program, arrays, first._array.recorder), PLAIN, backend)
        return Tensor.from_parts(self.evaluate(backend, arrays), PLAIN, backend)

    def derivative(self, n: int = 0) -> Nonlinearity:
        """The derivative by one input, almost everywhere; its kinks become jumps, and jumps have derivative zero."""
        found = self._derivatives.get(n)
        if found is None:
            made = _simplified(self.program.grad(n))
            name = f"{self.name}'" if self.vectors + self.scalars == 1 else f"d{n + 1} {self.name}"
            found = self._derivatives[n] = Nonlinearity(name, made, self.vectors, self.scalars)
        return found

    def text(self, arguments: Sequence[str]) -> str:
        """It as a formula in its arguments, or `name(arguments)` if the formula is long."""
        known: dict[Operand, str] = dict(zip(self.program.inputs, arguments, strict=True))
        written = _formula(self.program.instructions, known, self.output)
        short = f"{self.name}({', '.join(arguments)})"
        return written if len(written) <= 60 else short

    def __str__(self) -> str:
        letters = ["x", "y", "z", *(f"x{n}" for n in range(3, self.vectors))][: self.vectors]
        if self.vectors > 3:
            letters = [f"x{n + 1}" for n in range(self.vectors)]
        return self.text([*letters, *(f"c{n + 1}" for n in range(self.scalars))])

    @classmethod
    def from_region(cls, region: Region, vectors: int, scalars: int = 0, name: str = "") -> Nonlinearity:
        """The coordinatewise function that instructions compute, whatever data type and shape they were traced with.

        Args:
            region: a program of one output, whose inputs are first vectors, then scalars.
            vectors, scalars: how many.
            name: how it is called.

        Raises:
            LimitError: an operation is not coordinatewise.
        """
        for made in region.instructions:
            _allowed(made)
        into = Recorder()
        inputs = tuple(Value(Type(float64)) for _ in region.inputs)
        with recording.recording(into):
            output = _again(region, [SymbolicArray(value, into) for value in inputs], into)
        return cls(name or "phi", _program(into, inputs, output), vectors, scalars)


def traced(function: Any, vectors: int, scalars: int = 0) -> Nonlinearity:
    """A nonlinearity from a function of tensors, or from an activation's name.

    Args:
        function: takes that many vectors, then that many scalars, and returns a tensor, coordinate by coordinate.

    Raises:
        LimitError: it is unknown, or does something that is not coordinatewise; the line is named.
    """
    if isinstance(function, Nonlinearity):
        if (function.vectors, function.scalars) != (vectors, scalars):
            raise LimitError(
                f"{function.name} takes {function.vectors} vectors and {function.scalars} scalars, "
                f"not {vectors} and {scalars}."
            )
        return function
    if isinstance(function, str):
        if function not in ACTIVATIONS:
            raise LimitError(f"unknown nonlinearity {function!r}.", legal=", ".join(sorted(ACTIVATIONS)))
        name, function = function, ACTIVATIONS[function]
    else:
        name = getattr(function, "__name__", type(function).__name__)
    if not callable(function):
        raise LimitError(f"a nonlinearity is a function of tensors or a name, not {function!r:.60}.")
    name = "phi" if name == "<lambda>" else name

    def called(*xs: Any) -> Any:
        return function(*xs)

    ones = [Tensor(np.ones(2)) for _ in range(vectors)]
    number_ = Tensor(np.float64(1.0))
    try:
        wide = trace(called, *ones, *([number_] * scalars), dynamic={f"xs_{n}": (dim("n"),) for n in range(vectors)})
    except TensoriaError as error:
        raise LimitError(f"unsupported: {name}, {error.message}", legal=error.legal) from error
    for made in wide.optimised(["literals", "dead code"]).instructions:
        _allowed(made)
    if len(wide.outputs) != 1 or (vectors and wide.outputs[0].type.shape not in ((dim("n"),), ())):
        raise LimitError(f"{name} returns {', '.join(str(x.type) for x in wide.outputs)}, not one vector.")
    return Nonlinearity(name, _simplified(trace(called, *([number_] * (vectors + scalars)))), vectors, scalars)


def _allowed(made: Instruction) -> None:
    if made.operation not in COORDINATEWISE and made.operation not in SAME - {"sum"}:
        reason = ADVICE.get(made.operation, "it is not coordinatewise")
        raise LimitError(f"unsupported: {made.operation}, {reason}; at {made.source}")


def _program(into: Recorder, inputs: tuple[Value, ...], output: SymbolicArray) -> Program:
    count = len(inputs)
    made = Program(
        name="phi", signature=tuple(f"x{n}" for n in range(count)), inputs=inputs, parameters={}, arrays={},
        instructions=tuple(into.instructions), outputs=(output.operand,),
        input_tree=Tree("tuple", (), (LEAF,) * count), output_tree=LEAF, output_axes=(PLAIN,),
    )  # fmt: skip
    made = made.optimised(["subexpressions", "dead code"])
    named_values(made)
    return made


def _simplified(program: Program) -> Program:
    """The same instructions without those that do nothing to single numbers."""
    into = Recorder()
    inputs = tuple(Value(Type(float64)) for _ in program.inputs)
    with recording.recording(into):
        output = _again(program, [SymbolicArray(value, into) for value in inputs], into)
    return _program(into, inputs, output)


def _again(region: Region, operands: Sequence[SymbolicArray], into: Recorder) -> SymbolicArray:
    """Instructions recorded again on single float64 numbers."""
    known: dict[Operand, SymbolicArray] = dict(zip(region.inputs, operands, strict=True))

    def read(operand: Operand) -> SymbolicArray:
        if isinstance(operand, Literal):
            kind = bool_ if operand.dtype is bool_ else float64
            value = operand.number
            return into.literal(value.real if isinstance(value, complex) else value, kind)
        return known[operand]

    def is_number(x: SymbolicArray, value: float) -> bool:
        return isinstance(x.operand, Literal) and x.operand.number == value

    for made in region.instructions:
        _allowed(made) if made.operation != "sum" else None
        given = [read(x) for x in made.operands]
        result: SymbolicArray
        if made.operation in SAME or (made.operation == "astype" and given[0].dtype is float64):
            result = given[0]
        elif made.operation == "multiply" and is_number(given[0], 1.0):
            result = given[1]
        elif made.operation == "multiply" and is_number(given[1], 1.0):
            result = given[0]
        else:
            attributes = dict(made.attributes)
            if made.operation == "astype":
                attributes["dtype"] = float64 if made.attributes["dtype"].kind != "bool" else bool_
            with into.sourced(made.source):
                (result,) = into.record(made.operation, given, **attributes)
        known[made.results[0]] = result
    return read(region.outputs[0])


def _formula(instructions: Sequence[Instruction], known: dict[Operand, str], output: Operand) -> str:
    """Infix text of a small expression."""

    def read(operand: Operand) -> str:
        if isinstance(operand, Literal):
            value = operand.number
            return str(value).lower() if isinstance(value, bool) else shown(number(value))
        return known[operand]

    for made in instructions:
        parts = [read(x) for x in made.operands]
        sign = INFIX.get(made.operation)
        if sign is not None:
            text = f" {sign} ".join(p if _tight(p) else f"({p})" for p in parts)
        elif made.operation == "negative":
            text = f"-{parts[0]}" if _tight(parts[0]) else f"-({parts[0]})"
        elif made.operation == "square":
            text = f"{parts[0]}**2" if _tight(parts[0]) else f"({parts[0]})**2"
        else:
            text = f"{made.operation}({', '.join(parts)})"
        if len(text) > 400:
            return " " * 61
        known[made.results[0]] = text
    return read(output)


def _tight(text: str) -> bool:
    """Whether a text needs no brackets: it has no operator outside of brackets."""
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter == " ":
            return False
    return not text.startswith("-")
