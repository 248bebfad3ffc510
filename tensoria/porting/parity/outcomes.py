"""The whole program beside the whole model: results, gradients, rows of attention that see nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.errors import PortingError, TensoriaError
from tensoria.porting.parity.cases import Case
from tensoria.porting.parity.measuring import Given, keyed, moved, relative, tolerance
from tensoria.porting.parity.widening import widened
from tensoria.programs.base import BaseProgram, described
from tensoria.programs.captured import Reference
from tensoria.programs.derivatives.reverse import differentiable
from tensoria.programs.differentiation import pullback
from tensoria.programs.evaluation import evaluate
from tensoria.programs.types import Instruction, Literal, Source, Value

__all__ = ["Model", "Outcome", "gradients", "hidden_rows", "results"]

SETTLED = 1e-9
"""A whole program's error in float64 beyond this is no rounding."""
END_TO_END = {"float64": 1e-12, "complex128": 1e-12, "float32": 1e-5, "complex64": 1e-5, "float16": 1e-2,
              "bfloat16": 1e-1}  # fmt: skip
"""What the error of a whole program may be before float64 is asked."""
FLOOR = 1e-4
"""The share of the norm of all gradients that the errors of smaller ones are relative to."""


@dataclass(frozen=True)
class Outcome:
    """One result, gradient or row of a whole program.

    Attributes:
        case: what was tried.
        backend: where the program ran.
        kind: "result", "gradient" or "hidden row".
        name: the result's number, the parameter or argument, or the instruction.
        error: relative to the largest component; of a gradient to a share of the norm of all, if that is more.
        tolerance: what it may be.
        wide: the error with float64 for float32, where it was asked.
        source: the line and module of the instruction that it belongs to.
        number: that instruction's number; -1 for none.
        note: why there is no result, or no comparison.
    """

    case: str
    backend: str
    kind: str
    name: str
    error: float
    tolerance: float
    wide: float | None = None
    source: Source = Source()  # noqa: RUF009
    number: int = -1
    note: str = ""

    @property
    def diverges(self) -> bool:
        """Whether rounding does not explain the error."""
        return not self.error <= self.tolerance and (self.wide is None or not self.wide <= SETTLED)

    def __str__(self) -> str:
        wide = "" if self.wide is None else f", in float64 {self.wide:.1e}"
        where = f", {self.source}" if str(self.source) else ""
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.backend}: {self.kind} {self.name}, {self.case}: {self.error:.1e} "
            f"(tolerance {self.tolerance:.0e}{wide}){where}{note}"
        )


class Model:
    """A model with its backend, and the arguments' containers."""

    def __init__(
        self, home: Backend, model: Any, packed: Callable[[Sequence[Array]], Any], train: bool | None
    ) -> None:
        self.home, self.model, self.packed, self.train = home, model, packed, train

    def run(
        self, case: Case, pull: Callable[[list[Array]], Sequence[Array | None]] | None = None, wide: bool = False
    ) -> Reference:
        """What the model itself computes."""
        args, kwargs = self.packed(case.leaves)
        found: Reference = self.home.reference(self.model, args, kwargs, pull, wide, self.train)
        return found

    def changed(self, case: Case) -> contextlib.AbstractContextManager[None]:
        """The model with the case's numbers."""
        return self.home.substituted(self.model, case.arrays) if case.arrays else contextlib.nullcontext()


def _held(program: BaseProgram, case: Case) -> BaseProgram:
    """The program with the case's numbers."""
    changed = {program.parameters[name]: array for name, array in case.arrays.items()}
    return dataclasses.replace(program, arrays={**program.arrays, **changed}) if changed else program


def results(program: BaseProgram, of: Model, case: Case, targets: Sequence[Backend]) -> Iterator[Outcome]:
    """Every result on every backend. What the model itself refuses is noted."""
    program = _held(program, case)
    try:
        expected = of.run(case).results
    except Exception as error:  # whatever the framework raises for arguments that the model does not take
        for target in targets:
            yield Outcome(case.name, target.name, "result", "0", 0.0, 0.0, note=f"the model refuses: {_short(error)}")
        return
    if len(expected) != len(program.outputs):
        raise PortingError(f"the model has {len(expected)} results, and the program {len(program.outputs)}.")
    wide = _Lazy(lambda: of.run(case, wide=True).results)
    for target in targets:
        own = _Ours(program, of.home, target, case.leaves)
        yield from _compared(program, own, expected, wide, of.home, case.name)


class _Lazy:
    """What is computed when it is first asked for; None where the framework can not."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._made = make, False

    def __call__(self) -> Any:
        if not self._made:
            try:
                self._value = self._make()
            except Exception:
                self._value = None
            self._made = True
        return self._value


class _Ours:
    """A program's results on a backend, in its precision and with float64 for float32."""

    def __init__(
        self, program: BaseProgram, home: Backend, target: Backend, leaves: Sequence[Array], more: Sequence[Any] = ()
    ) -> None:
        self.program, self.home, self.target, self.leaves, self.more = program, home, target, leaves, more

    def __call__(self, wide: bool) -> list[np.ndarray[Any, Any]]:
        program = widened(self.program)[0] if wide else self.program
        arrays = [moved(x, self.home, self.target) for x in self.leaves]
        arrays += [self.target.asarray(x, None, None, True) for x in self.more]
        given = [
            x if self.target.dtype(x) is value.type.dtype or (not wide and n < len(self.leaves))
            else self.target.kernels.cast(x, self.target.native_dtype(value.type.dtype))
            for n, (x, value) in enumerate(zip(arrays, program.inputs, strict=True))
        ]  # fmt: skip
        return [np.asarray(self.target.to_numpy(x)) for x in program.evaluate(self.target, given)]


def _compared(
    program: BaseProgram, own: _Ours, expected: Sequence[Array], wide: _Lazy, home: Backend, case: str
) -> Iterator[Outcome]:
    target = own.target
    made: dict[Any, tuple[int, Source]] = {
        value: (n, made.source) for n, made in enumerate(program.instructions) for value in made.results
    }
    try:
        found = own(False)
    except Exception as failure:  # whatever a framework raises where shapes do not fit
        yield Outcome(case, target.name, "result", "0", math.inf, 0.0, note=_short(failure))
        return
    again = _Lazy(lambda: own(True))
    for n, (ours, theirs, x) in enumerate(zip(found, expected, program.outputs, strict=True)):
        error = relative(ours, home.to_numpy(home.detach(theirs)))
        limit = END_TO_END.get(x.type.dtype.name, 0.0)
        exact = None
        if not error <= limit and wide() is not None and again() is not None:
            exact = relative(again()[n], home.to_numpy(home.detach(wide()[n])))
        number, source = made.get(x, (-1, Source()))
        yield Outcome(case, target.name, "result", str(n), error, limit, exact, source, number)


def _short(error: Exception) -> str:
    text = error.message if isinstance(error, TensoriaError) else f"{type(error).__name__}: {error}"
    return text.strip().split("\n")[0][:200]


# -- gradients --------------------------------------------------------------------------------------------------------


def gradients(program: BaseProgram, of: Model, case: Case, targets: Sequence[Backend]) -> Iterator[Outcome]:
    """The gradients of all parameters and arguments, of a random combination of the results.

    Raises:
        PortingError: the model draws random numbers of its own.
    """
    if program.key is not None:
        raise PortingError(
            f"{program.name} draws random numbers, and the model draws its own: their gradients differ.",
            legal="tn.parity(p.eval(), ..., grads=True)",
        )
    names = [name for name in program.parameters if name in program.trainable]
    spans, start = [], 0
    for n, tree in enumerate(program.input_tree.children):
        stop = start + sum(1 for _ in tree.names())
        if stop > start and all(differentiable(x.type) for x in program.inputs[start:stop]):
            spans.append((n, range(start, stop)))
        start = stop
    if not names and not spans:
        return
    pulled = pullback(program, tuple(n for n, _ in spans) if spans else None, names if names else False)
    random = [np.random.default_rng(n) for n in range(len(program.outputs))]
    weights: dict[int, np.ndarray[Any, Any]] = {}

    def pull(found: Sequence[Array]) -> list[Array | None]:
        given: list[Array | None] = []
        for n, (y, x) in enumerate(zip(found, program.outputs, strict=True)):
            if not differentiable(x.type):
                given.append(None)
                continue
            if n not in weights:
                weights[n] = random[n].standard_normal(tuple(of.home.shape(y)))  # type: ignore[arg-type]
            given.append(of.home.asarray(weights[n], of.home.dtype(y), of.home.device(y), None))
        return given

    expected = of.run(case, pull)
    wide = _Lazy(lambda: of.run(case, pull, wide=True))
    places = [n for _, span in spans for n in span]
    labels = [program.inputs[n].name for n in places] + names
    counts = len(program.outputs)
    uses = _uses(program)
    values = [program.inputs[n] for n in places] + [program.parameters[name] for name in names]

    def theirs(found: Reference) -> list[np.ndarray[Any, Any] | None]:
        chosen = [found.inputs[n] for n in places] + [found.parameters.get(name) for name in names]
        return [None if g is None else np.asarray(of.home.to_numpy(of.home.detach(g))) for g in chosen]

    for target in targets:
        more = [weights[n].astype(_numpy(x)) for n, x in enumerate(program.outputs) if n in weights]
        own = _Ours(pulled, of.home, target, case.leaves, more)
        exact = _Lazy(lambda own=own: own(True)[counts:])  # type: ignore[misc]
        yield from _gradients(own(False)[counts:], theirs(expected), exact, wide, theirs, labels, values, uses, target)


def _gradients(
    ours: Sequence[Any], theirs: Sequence[Any], exact: _Lazy, wide: _Lazy, read: Callable[[Reference], list[Any]],
    labels: Sequence[str], values: Sequence[Value], uses: Mapping[Value, tuple[int, Instruction]], target: Backend,
) -> Iterator[Outcome]:  # fmt: skip
    floor = FLOOR * _norm(theirs)
    for n, (a, b, name, value) in enumerate(zip(ours, theirs, labels, values, strict=True)):
        error = relative(a, np.zeros_like(a) if b is None else b, floor)
        limit, again = END_TO_END.get(value.type.dtype.name, 0.0), None
        if not error <= limit and wide() is not None and exact() is not None:
            found = read(wide())
            a, b = exact()[n], found[n]
            again = relative(a, np.zeros_like(a) if b is None else b, FLOOR * _norm(found))
        number, by = uses.get(value, (-1, None))
        note = "the model has none" if b is None else ""
        yield Outcome(
            "as given", target.name, "gradient", name, error, limit, again, by.source if by else Source(), number, note
        )


def _numpy(x: Value | Literal) -> str:
    return "float32" if x.type.dtype.name == "bfloat16" else x.type.dtype.name


def _norm(arrays: Sequence[Any]) -> float:
    return math.sqrt(sum(float(np.square(np.abs(x.astype(np.float64))).sum()) for x in arrays if x is not None))


def _uses(program: BaseProgram) -> dict[Value, tuple[int, Instruction]]:
    """The last instruction that reads each value: the first one on the way back."""
    return {
        x: (n, made) for n, made in enumerate(program.instructions) for x in made.operands if isinstance(x, Value)
    }


# -- rows that see nothing --------------------------------------------------------------------------------------------


def hidden_rows(given: Given, targets: Sequence[Backend]) -> Iterator[Outcome]:
    """Every attention that has a mask with one that hides everything from its first query."""
    home, program = given.home, given.program
    numbers = dict(zip(program.inputs, keyed(program, home, given.leaves), strict=True)) | given.numbers(False)
    sizes = given.sizes()
    for number, made in enumerate(program.instructions):
        if made.operation != "attention" or len(made.operands) < 4:
            continue
        first = [x for x in made.operands[:3] if isinstance(x, Value)]
        for x in first:
            if x in program.arrays and x not in numbers:
                numbers[x] = home.asarray(program.arrays[x], x.type.dtype, None, True)
        read = [numbers[x] for x in first if x in numbers]
        if len(read) < 3:
            continue
        of = made.operands[3].type
        shape = [n if isinstance(n, int) else n.evaluate(sizes) for n in of.shape]
        shape[-2] = home.shape(read[0])[-2] or 1
        mask = np.ones(shape, bool)
        mask[..., 0, :] = False
        array = mask if of.dtype.kind == "bool" else np.where(mask, 0.0, -np.inf)
        found = []
        for target in (home, *targets):
            operands = [moved(x, home, target) for x in read]
            operands.append(target.asarray(array, of.dtype, None, True))
            result = evaluate(target, "attention", tuple(operands), made.attributes)
            found.append(np.asarray(target.to_numpy(result)))
        for target, result in zip(targets, found[1:], strict=True):
            limit = tolerance("attention", made.results[0].type.dtype.name)
            yield Outcome(
                "a query that sees nothing", target.name, "hidden row", described(made), relative(result, found[0]),
                limit, None, made.source, number,
            )  # fmt: skip
