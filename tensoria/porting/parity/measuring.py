"""Every value of a program beside the model's, on one backend: the operator alone, and the program so far.

Two errors are measured, relative to the value's largest component. The *local* one is that of the operator alone: it is
given the model's own numbers. The *cumulative* one is that of the program so far. Both are measured once in the
program's precision and once with float64 in place of float32, where an error of rounding disappears.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.conversion import convert
from tensoria.dtypes import float32
from tensoria.errors import TensoriaError
from tensoria.porting.parity.widening import wide_dtype, widened
from tensoria.programs.base import BaseProgram, described
from tensoria.programs.captured import Captured
from tensoria.programs.dimensions import evaluated
from tensoria.programs.evaluation import evaluate, sized
from tensoria.programs.types import Instruction, Literal, Operand, Source, Value

__all__ = [
    "ARBITER", "ROUNDED", "TOLERANCES", "Comparison", "Given", "compared", "keyed", "moved", "relative",
    "tolerance", "worst",
]  # fmt: skip

SUMMED = frozenset((
    "matmul", "contract", "linear", "convolution", "convolution_transpose", "attention", "lstm", "gru", "sum", "mean",
    "var", "prod", "cumulative_sum", "cumulative_prod", "layer_norm", "rms_norm", "group_norm", "batch_norm",
    "softmax", "log_softmax", "mean_pool", "adaptive_mean_pool", "linalg.vector_norm",
))  # fmt: skip
"""Operations that add many numbers up, in an order that is each framework's own."""
MOVEMENTS = frozenset(("permute_dims", "reshape", "expand_dims", "squeeze"))
"""Operations whose operand is their result in another order."""
TOLERANCES: Mapping[str, tuple[float, float]] = {
    "float64": (1e-12, 1e-12), "float32": (2e-6, 1e-5), "float16": (5e-3, 5e-3), "bfloat16": (5e-2, 5e-2),
    "complex64": (2e-6, 1e-5), "complex128": (1e-12, 1e-12),
}  # fmt: skip
"""What an error may be, relative to the largest component: elementwise, and where numbers are added up."""
ARBITER = 1e-10
"""An error in float64 beyond this is no rounding of what was computed."""
ROUNDED = 1e-6
"""One beyond this is no rounding of a constant to float32 either."""


@dataclass(frozen=True)
class Comparison:
    """One value on one backend.

    Attributes:
        backend: where the program ran.
        operation: the instruction, as programs print it.
        source: the model's module and line.
        local, cumulative: the errors.
        tolerance: what the local one may be.
        wide: the local error with float64 for float32; None where there is no float32.
        number: the instruction's, from 0.
        reason: why there is no result, if the operator failed.
        case: what was tried.
    """

    backend: str
    operation: str
    source: Source
    local: float
    cumulative: float
    tolerance: float
    wide: float | None = None
    number: int = 0
    reason: str = ""
    case: str = "as given"

    @property
    def name(self) -> str:
        """The operation, without its operands."""
        return self.operation.partition("(")[0]

    @property
    def diverges(self) -> bool:
        """Whether the operator computes something else: more than rounding explains."""
        if self.wide is None:
            return not self.local <= self.tolerance
        return not self.wide <= ROUNDED or (not self.local <= self.tolerance and not self.wide <= ARBITER)

    @property
    def verdict(self) -> str:
        """In one word: "same", "rounding" (beyond the tolerance, and gone in float64), "semantic"."""
        if self.diverges:
            return "semantic"
        return "same" if self.local <= self.tolerance else "rounding"

    def __str__(self) -> str:
        wide = "" if self.wide is None else f", in float64 {self.wide:.1e}"
        reason = f" ({self.reason})" if self.reason else ""
        return (
            f"{self.backend}: {self.operation}: local {self.local:.1e} (tolerance {self.tolerance:.0e}{wide}), "
            f"cumulative {self.cumulative:.1e}, {self.source}{reason}"
        )


def tolerance(operation: str, dtype: str) -> float:
    """What the local error of an operation may be."""
    return TOLERANCES.get(dtype, (0.0, 0.0))[operation in SUMMED]


def relative(found: Any, expected: Any, least: float = 0.0) -> float:
    """The largest difference, in units of the largest component (of `least`, if that is more)."""
    a, b = np.asarray(found), np.asarray(expected)
    if a.shape != b.shape:
        return math.inf
    if not a.size:
        return 0.0
    kind = np.complex128 if np.iscomplexobj(b) else np.float64
    a, b = a.astype(kind), b.astype(kind)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    scale = max(np.abs(b[np.isfinite(b)]).max(initial=0.0), least, np.finfo(np.float64).tiny)
    with np.errstate(invalid="ignore", over="ignore"):
        return float((np.where(same, 0, np.abs(a - b)) / scale).max())


def moved(array: Array, home: Backend, target: Backend) -> Array:
    """An array without its history, on another backend."""
    return convert(home.detach(array), home, target)


def keyed(program: BaseProgram, backend: Backend, leaves: Sequence[Array]) -> list[Array]:
    """A program's arguments: the model's, and a key of zeros where the program draws."""
    given = list(leaves)
    if program.key is not None and len(given) == len(program.inputs) - 1:
        given.append(backend.asarray([0, 0], program.key.type.dtype, None, None))
    return given


@dataclass(frozen=True)
class Given:
    """A model with the arguments that it is compared for.

    Attributes:
        program: what is compared with it.
        home: the model's backend.
        found: the model, captured for these arguments.
        pairs: the model's value for each of the program's results that it has.
        leaves: the arguments' tensors.
    """

    program: BaseProgram
    home: Backend
    found: Captured
    pairs: Mapping[Value, Value]
    leaves: Sequence[Array]
    _numbers: dict[bool, dict[Value, Array]] = field(default_factory=dict)

    @property
    def narrow(self) -> bool:
        """Whether the program has float32 anywhere."""
        return any(value.type.dtype is float32 for value in self.program.values())

    def sizes(self) -> dict[str, int]:
        """The open sizes."""
        return self.program.bind(self.home, keyed(self.program, self.home, self.leaves))

    def numbers(self, wide: bool) -> dict[Value, Array]:
        """The model's numbers for the program's results; the model is run once."""
        if wide not in self._numbers:
            wanted = set(self.pairs.values())
            held = {value: array for value, array in self.found.replay(self.leaves, wide) if value in wanted}
            model = self.found.program
            assert model is not None
            for value, array in (*zip(model.inputs, self.leaves, strict=False), *model.arrays.items()):
                if value in wanted:
                    held[value] = array
            self._carry_back(model, held)
            self._numbers[wide] = {ours: held[value] for ours, value in self.pairs.items() if value in held}
        return self._numbers[wide]

    def _carry_back(self, model: BaseProgram, held: dict[Value, Array]) -> None:
        """Also what the model has only in another order: an operator is measured, not what moves its result."""
        sizes = self.sizes()
        for made in reversed(model.instructions):
            x = made.operands[0] if made.operands else None
            if made.operation not in MOVEMENTS or x in held or made.results[0] not in held:
                continue
            assert isinstance(x, Value)
            array = held[made.results[0]]
            if made.operation == "permute_dims":
                axes = made.attributes["axes"]
                held[x] = self.home.xp.permute_dims(array, tuple(axes.index(n) for n in range(len(axes))))
            else:
                held[x] = self.home.xp.reshape(array, tuple(evaluated(n, sizes) for n in x.type.shape))


def compared(given: Given, target: Backend) -> list[Comparison]:
    """The comparisons of all values on one backend, in order."""
    rows = list(_rows(given, target, wide=False))
    if not given.narrow:
        return rows
    wide = {row.number: row for row in _rows(given, target, wide=True)}
    return [
        dataclasses.replace(row, wide=wide[row.number].local, reason=row.reason or wide[row.number].reason)
        if row.number in wide else row for row in rows
    ]  # fmt: skip


def _rows(given: Given, target: Backend, wide: bool) -> Iterator[Comparison]:
    program, became = widened(given.program) if wide else (given.program, None)
    theirs = {
        value if became is None else became[value]: moved(array, given.home, target) if given.home.owns(array)
        else target.asarray(array, None, None, True)
        for value, array in given.numbers(wide).items()
    }  # fmt: skip
    return _Run(program, target, theirs, given, wide).rows()


class _Run:
    """A program on one backend, each instruction with the model's numbers and with its own."""

    def __init__(
        self, program: BaseProgram, target: Backend, theirs: Mapping[Value, Array], given: Given, wide: bool
    ) -> None:
        self.program, self.target, self.theirs, self.given, self.wide = program, target, theirs, given, wide

    def rows(self) -> Iterator[Comparison]:
        """A comparison for every instruction whose result the model has."""
        start = self._start()
        local, whole = dict(start), dict(start)
        sizes = self.given.sizes()
        last = {x: n for n, made in enumerate(self.program.instructions) for x in made.operands if isinstance(x, Value)}
        for number, (made, shown) in enumerate(
            zip(self.program.instructions, self.given.program.instructions, strict=True)
        ):
            attributes = {name: sized(value, sizes) for name, value in made.attributes.items()}
            own = [value for value in made.results if value in self.theirs]
            reason = self._step(made, attributes, local, self.theirs)
            self._step(made, attributes, whole, {})
            if made.operation == "dropout" and own:
                given = self._operand(made.operands[0], local, self.theirs)
                errors = [_dropped(made, given, self.theirs[own[0]], self.target)] * 2
                whole[own[0]] = self.theirs[own[0]]
            else:
                errors = [max((self._error(known, value) for value in own), default=0.0) for known in (local, whole)]
            if own:
                limit = tolerance(made.operation, shown.results[0].type.dtype.name)
                yield Comparison(
                    self.target.name, described(shown), made.source, errors[0], errors[1], limit, None, number, reason
                )
            for value in (*made.results, *made.operands):
                if isinstance(value, Value) and last.get(value, number) <= number:
                    local.pop(value, None)
                    whole.pop(value, None)

    def _start(self) -> dict[Value, Array]:
        held = {
            value: self.target.asarray(array, value.type.dtype, None, True)
            for value, array in self.program.arrays.items()
        }
        return held | dict(zip(self.program.inputs, self._inputs(self.target, self.program), strict=True))

    def _inputs(self, backend: Backend, program: BaseProgram) -> list[Array]:
        """The arguments on a backend, in the program's types; a key of zeros."""
        arrays = keyed(program, backend, [moved(x, self.given.home, backend) for x in self.given.leaves])
        return [
            x if backend.dtype(x) is value.type.dtype or wide_dtype(backend.dtype(x)) is not value.type.dtype
            else backend.kernels.cast(x, backend.native_dtype(value.type.dtype))
            for x, value in zip(arrays, program.inputs, strict=True)
        ]  # fmt: skip

    def _step(
        self, made: Instruction, attributes: Mapping[str, Any], known: dict[Value, Array],
        given: Mapping[Value, Array],
    ) -> str:  # fmt: skip
        """Compute an instruction; why it could not be computed, if so."""
        try:
            operands = tuple(self._operand(x, known, given) for x in made.operands)
            result = evaluate(self.target, made.operation, operands, attributes)
        except KeyError:
            return "what it is computed from is missing"
        except Exception as error:  # whatever a framework raises where shapes do not fit
            return error.message if isinstance(error, TensoriaError) else f"{type(error).__name__}: {error}"
        known.update(zip(made.results, (result,) if len(made.results) == 1 else result, strict=True))
        return ""

    def _operand(self, x: Operand, known: Mapping[Value, Array], given: Mapping[Value, Array]) -> Array:
        if isinstance(x, Literal):
            return self.target.asarray(x.number, x.dtype, None, None)
        if x not in given:
            return known[x]
        array = given[x]
        same = self.target.dtype(array) is x.type.dtype
        return array if same else self.target.kernels.cast(array, self.target.native_dtype(x.type.dtype))

    def _error(self, known: Mapping[Value, Array], value: Value) -> float:
        if value not in known:
            return math.inf
        return relative(self.target.to_numpy(known[value]), self.target.to_numpy(self.theirs[value]))


def _dropped(made: Instruction, x: Array, theirs: Array, target: Backend) -> float:
    """The error of what the model kept; infinite if it dropped another share than chance allows."""
    a, b = (np.asarray(target.to_numpy(array)).astype(np.float64) for array in (x, theirs))
    rate = float(made.attributes["rate"])
    kept, there = b != 0, a != 0
    n = np.count_nonzero(there)
    if a.shape != b.shape or abs(np.count_nonzero(~kept & there) - rate * n) > 6 * math.sqrt(rate * (1 - rate) * n) + 1:
        return math.inf
    return relative(b[kept], a[kept] / (1 - rate)) if kept.any() else 0.0


def worst(errors: Iterable[float]) -> float:
    """The largest error; NaN counts as infinite."""
    return max((math.inf if math.isnan(x) else x for x in errors), default=0.0)
