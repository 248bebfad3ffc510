"""A ported program beside its model, operator by operator.

Two errors are measured at every value that the model's framework has too, relative to the value's largest component.
The *local* one is that of the operator alone: it is given the model's own numbers. The *cumulative* one is that of the
program so far. The first divergence is the first operator whose local error exceeds its tolerance; where float32 is
computed, both sides run again in float64, and an error that collapses there is rounding, not meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend, convert, get
from tensoria.dtypes import DType, float32, float64
from tensoria.errors import PortingError
from tensoria.porting.models import capturing
from tensoria.programs.base import described
from tensoria.programs.captured import Captured
from tensoria.programs.dimensions import Dim
from tensoria.programs.evaluation import evaluate, sized
from tensoria.programs.program import Program
from tensoria.programs.types import Instruction, Literal, Operand, Source, Value

__all__ = ["TOLERANCES", "Comparison", "Parity", "parity"]

SUMMED = frozenset((
    "matmul", "contract", "linear", "convolution", "convolution_transpose", "attention", "lstm", "gru", "sum", "mean",
    "var", "prod", "cumulative_sum", "cumulative_prod", "layer_norm", "rms_norm", "group_norm", "batch_norm",
    "softmax", "log_softmax", "mean_pool", "adaptive_mean_pool", "linalg.vector_norm",
))  # fmt: skip
"""Operations that add many numbers up, in an order that is each framework's own."""
TOLERANCES: Mapping[str, tuple[float, float]] = {
    "float64": (1e-12, 1e-12), "float32": (2e-6, 1e-5), "float16": (5e-3, 5e-3), "bfloat16": (5e-2, 5e-2),
    "complex64": (2e-6, 1e-5), "complex128": (1e-12, 1e-12),
}  # fmt: skip
"""What an error may be, relative to the largest component: elementwise, and where numbers are added up."""
ARBITER = 1e-10
"""An error in float64 beyond this is no rounding."""


@dataclass(frozen=True)
class Comparison:
    """One value on one backend.

    Attributes:
        backend: where the program ran.
        operation: the instruction, as programs print it.
        source: the model's module and line.
        local, cumulative: the errors.
        tolerance: what the local one may be.
        wide: the local error of the same in float64, if it was measured.
    """

    backend: str
    operation: str
    source: Source
    local: float
    cumulative: float
    tolerance: float
    wide: float | None = None

    @property
    def diverges(self) -> bool:
        """Whether the operator computes something else, as far as rounding can be told from it."""
        return not self.local <= self.tolerance and (self.wide is None or not self.wide <= ARBITER)

    def __str__(self) -> str:
        wide = "" if self.wide is None else f", in float64 {self.wide:.1e}"
        return (
            f"{self.backend}: {self.operation}: local {self.local:.1e} (tolerance {self.tolerance:.0e}{wide}), "
            f"cumulative {self.cumulative:.1e}, {self.source}"
        )


@dataclass(frozen=True)
class Parity:
    """A program beside its model.

    Attributes:
        comparisons: every value that was compared, in order, for each backend.
    """

    comparisons: tuple[Comparison, ...]

    @property
    def first(self) -> Comparison | None:
        """The first divergence; None if there is none."""
        return next((found for found in self.comparisons if found.diverges), None)

    def worst(self, backend: str) -> tuple[float, float]:
        """The largest local and cumulative error on a backend."""
        own = [found for found in self.comparisons if found.backend == backend]
        return max((x.local for x in own), default=0.0), max((x.cumulative for x in own), default=0.0)

    def __str__(self) -> str:
        lines = []
        for backend in dict.fromkeys(found.backend for found in self.comparisons):
            local, cumulative = self.worst(backend)
            count = sum(found.backend == backend for found in self.comparisons)
            lines.append(f"{backend}: {count} values, local {local:.1e}, cumulative {cumulative:.1e} at most")
        lines.append("no divergence" if self.first is None else f"first divergence: {self.first}")
        return "\n".join(lines)


def parity(
    program: Program, *, source: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None,
    to: Sequence[str] = ("numpy",),
) -> Parity:  # fmt: skip
    """How far a ported program is from its model, operator by operator.

    Args:
        program: what `tn.port` made of the model, perhaps changed since.
        source: the model.
        args, kwargs: its arguments, native tensors of its framework.
        to: the backends to compare.

    Raises:
        PortingError: the program has not the model's instructions.
    """
    try:
        home, found = capturing(source, args, kwargs, _opened(program))
    except PortingError as error:
        raise PortingError(f"the program's instructions are not those of this model: {error.message}") from error
    if found.program is None or not _alike(program, found.program):
        raise PortingError("the program's instructions are not those of this model.", legal="tn.port(model, ...)")
    leaves = [x for x in _leaves(args, kwargs) if home.owns(x)]
    ours = dict(zip(_results(found.program), _results(program), strict=True))
    rows: list[Comparison] = []
    for name in to:
        target = get(name)
        run = _Run(program, target, home, found, ours, leaves)
        rows += run.compared()
    return Parity(tuple(rows))


def _opened(program: Program) -> dict[str, tuple[Dim | None, ...]]:
    """Which axes are open, as `port` is told."""
    return {
        value.name: tuple(size if isinstance(size, Dim) else None for size in value.type.shape)
        for value in program.inputs
        if any(isinstance(size, Dim) for size in value.type.shape)
    }


def _alike(a: Program, b: Program) -> bool:
    return [made.operation for made in a.instructions] == [made.operation for made in b.instructions]


def _results(program: Program) -> list[Value]:
    return [value for made in program.instructions for value in made.results]


def _leaves(args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> list[Any]:
    def walk(item: Any) -> Iterator[Any]:
        if isinstance(item, (list, tuple)):
            for part in item:
                yield from walk(part)
        elif isinstance(item, dict):
            for part in item.values():
                yield from walk(part)
        else:
            yield item

    return list(walk([*args, *(kwargs or {}).values()]))


class _Run:
    """A program on one backend, each instruction with the model's numbers and with its own."""

    def __init__(
        self, program: Program, target: Backend, home: Backend, found: Captured, ours: Mapping[Value, Value],
        leaves: Sequence[Array],
    ) -> None:  # fmt: skip
        self.program, self.target, self.home, self.leaves = program, target, home, leaves
        self.found, self.ours = found, ours

    def compared(self) -> list[Comparison]:
        rows = list(self._rows(wide=False))
        if any(row.diverges and made.results[0].type.dtype is float32 for made, row in rows):
            wide = {id(made): row.local for made, row in self._rows(wide=True)}
            rows = [(made, _with(row, wide.get(id(made)))) for made, row in rows]
        return [row for _, row in rows]

    def _rows(self, wide: bool) -> Iterator[tuple[Instruction, Comparison]]:
        program, target = self.program, self.target
        theirs = {
            self.ours[value]: self._moved(array) for value, array in self.found.replay(self.leaves, wide)
            if value in self.ours
        }  # fmt: skip
        inputs = [self._moved(_widened(array, self.home) if wide else array) for array in self.leaves]
        sizes = program.bind(target, inputs) if not wide else program.bind(self.home, list(self.leaves))
        start = {
            value: target.asarray(array, _wide(value.type.dtype, wide), None, True)
            for value, array in program.arrays.items()
        } | dict(zip(program.inputs, inputs, strict=True))
        local, whole = dict(start), dict(start)
        for made in program.instructions:
            attributes = {
                name: _wide(value, wide) if isinstance(value, DType) else sized(value, sizes)
                for name, value in made.attributes.items()
            }
            for known, given in ((local, theirs), (whole, {})):
                operands = tuple(self._read(x, known, given, wide) for x in made.operands)
                result = evaluate(target, made.operation, operands, attributes)
                known.update(zip(made.results, (result,) if len(made.results) == 1 else result, strict=True))
            if made.results[0] in theirs:
                yield made, self._comparison(made, theirs, local, whole, wide)

    def _read(
        self, x: Operand, known: Mapping[Value, Array], given: Mapping[Value, Array], wide: bool
    ) -> Array:
        if isinstance(x, Literal):
            return self.target.asarray(x.number, _wide(x.dtype, wide), None, None)
        return given.get(x, known[x])

    def _moved(self, array: Array) -> Array:
        return convert(self.home.detach(array), self.home, self.target)

    def _comparison(
        self, made: Instruction, theirs: Mapping[Value, Array], local: Mapping[Value, Array],
        whole: Mapping[Value, Array], wide: bool,
    ) -> Comparison:  # fmt: skip
        errors = [
            max(self._error(known[value], theirs[value]) for value in made.results if value in theirs)
            for known in (local, whole)
        ]
        names = TOLERANCES.get(made.results[0].type.dtype.name, (0.0, 0.0))
        tolerance = names[made.operation in SUMMED]
        return Comparison(self.target.name, described(made), made.source, errors[0], errors[1], tolerance)

    def _error(self, found: Array, expected: Array) -> float:
        a, b = (np.asarray(self.target.to_numpy(x)) for x in (found, expected))
        if a.shape != b.shape:
            return float("inf")
        if not a.size:
            return 0.0
        kind = np.complex128 if np.iscomplexobj(b) else np.float64
        a, b = a.astype(kind), b.astype(kind)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        if same.all():
            return 0.0
        finite = np.abs(b[np.isfinite(b)])
        difference = np.where(same, 0, np.abs(a - b)).max()
        return float(difference / max(finite.max(initial=0.0), np.finfo(np.float64).tiny))


def _with(row: Comparison, wide: float | None) -> Comparison:
    return Comparison(row.backend, row.operation, row.source, row.local, row.cumulative, row.tolerance, wide)


def _wide(of: DType, wide: bool) -> DType:
    return float64 if wide and of is float32 else of


def _widened(array: Array, backend: Backend) -> Array:
    if backend.dtype(array) is not float32:
        return array
    return backend.kernels.cast(array, backend.native_dtype(float64))
