"""A program is read: each instruction in turn, from views of families to views of families.

What an instruction does to families is one row of a table (`rules`). One that has no row and is defined by simpler ones
(`programs.definitions`) is read as those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from tensoria.errors import LimitError, TensoriaError
from tensoria.limits.reading.axes import Again, Decisions, slots_for
from tensoria.limits.reading.families import Families
from tensoria.limits.reading.nodes import BATCH, ZERO, Coordinate, Det, Node, Slot, View
from tensoria.limits.widths import Widened
from tensoria.programs import recorder as recording
from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.symbolic import backend as symbolic
from tensoria.programs.types import Instruction, Literal, Operand, Region, Value

__all__ = ["Reader", "Reading", "Rule", "read"]

Rule = Callable[["Reader", Instruction, Sequence[View]], "View | Sequence[View]"]
ATTEMPTS: Final = 200
"""So often a reading begins again; each time something is learnt of an axis."""


@dataclass(frozen=True)
class Reading:
    """A program as families.

    Attributes:
        widened: the program.
        outputs: its results.
        values: every value of the program that was read.
        decisions: what its axes are.
        families: what makes nodes.
        parameters: the names of what is drawn at random.
    """

    widened: Widened
    outputs: tuple[View, ...]
    values: Mapping[Value, View]
    decisions: Decisions
    families: Families
    parameters: tuple[str, ...]


class Reader:
    """Reads one program with what is known of its axes."""

    def __init__(self, widened: Widened, rules: Mapping[str, Rule], decisions: Decisions) -> None:
        self.widened, self.rules, self.decisions = widened, rules, decisions
        self.families = Families()
        self.known: dict[Value, View] = {}

    # -- what a program begins with -------------------------------------------------------------------------------

    def parameter(self, name: str, value: Value, fresh: bool = False) -> View:
        """A parameter: matrices if it has two width axes, else vectors."""
        law = self.widened.law(name)
        axes: list[tuple[Slot, ...]] = []
        sizes: list[Size] = []
        for axis, size in enumerate(value.type.shape):
            owner = name, axis
            root = self.decisions.root(owner)
            if self.decisions.mapped and fresh and size == self.decisions.batch:
                axes.append((BATCH,))
                continue
            parts = self.decisions.parts(owner, size)
            slots: list[Slot] = []
            for of, part in parts:
                if self.decisions.wide(part):
                    slots.append(Coordinate(of, part, True))
                elif root in self.decisions.finite or len(parts) > 1:
                    slots.append(len(sizes))
                    sizes.append(part)
                elif not (isinstance(part, int) and part == 1):
                    slots.append(Coordinate(owner, part, False))
            axes.append(tuple(slots))
        coordinates = [slot for slots in axes for slot in slots if isinstance(slot, Coordinate)]
        fixed = (None,) * len(sizes)
        narrow = [of for of in coordinates if not of.wide]
        if len(coordinates) > 2 and narrow:  # a kernel of a convolution, say: its axes of space are finite
            self.decisions.finite.update(self.decisions.root(of.owner) for of in narrow)
            raise Again
        if len(coordinates) > 2:
            raise LimitError(
                f"unsupported: {name}, a parameter with {len(coordinates)} axes that grow or that outputs stand along"
            )
        if len(coordinates) == 2:
            return View(self.families.matrix(name, law, sizes, fixed, power=ZERO), tuple(axes))
        wide = any(of.wide for of in coordinates)
        return View(self.families.initial(name, law, sizes, wide, fixed, fresh), tuple(axes))

    def data(self, number: int, value: Value) -> View:
        """An input of the program: numbers that are known."""
        axes, sizes = slots_for(value.type.shape, self.decisions)
        return View(Det(lambda session, run: session.input(number, run), axes, sizes), axes)

    def array(self, value: Value) -> View:
        """A constant of the program."""
        axes, sizes = slots_for(value.type.shape, self.decisions)
        held = self.widened.program.arrays[value]
        number = None if value.type.shape or value.type.dtype.kind == "complex" else float(held)
        return View(Det(_constant(held), axes, sizes, number=number), axes)

    def literal(self, number: complex, power: Fraction = ZERO) -> View:
        """A number of the program."""
        real = number.real if isinstance(number, complex) else number
        det = Det(lambda session, run: session.number(real), (), (), power, float(real))
        return View(det, ())

    # -- instructions ---------------------------------------------------------------------------------------------

    def run(self) -> Reading:
        """All instructions."""
        program = self.widened.program
        names = {value: name for name, value in self.widened.parameters.items()}
        for number, value in enumerate(program.inputs):
            if value in names:
                fresh = value.type.shape[:1] == (self.decisions.batch,) and self.decisions.batch is not None
                self.known[value] = self.parameter(names[value], value, fresh)
            else:
                self.known[value] = self.data(number, value)
        for value in {*program.parameters.values(), *program.arrays}:
            drawn = value in names and (names[value] in self.widened.laws or value not in program.arrays)
            self.known[value] = self.parameter(names[value], value) if drawn else self.array(value)
        for number, made in enumerate(program.instructions):
            self.instruction(number, made)
        outputs = tuple(self.view(x) for x in program.outputs)
        return Reading(self.widened, outputs, self.known, self.decisions, self.families, tuple(names.values()))

    def view(self, operand: Operand, number: int | None = None, place: Any = None) -> View:
        """An operand's family."""
        if isinstance(operand, Literal):
            found = self.widened.scalars.get((number, place)) if number is not None else None
            return self.literal(*found) if found is not None else self.literal(operand.number)
        return self.known[operand]

    def instruction(self, number: int | None, made: Instruction) -> None:
        """One instruction."""
        self.families.where, self.families.operation = str(made.source) or self.families.where, made.operation
        views = [self.view(x, number, n) for n, x in enumerate(made.operands)]
        rule = self.rules.get(made.operation)
        try:
            if rule is None and made.operation in DEFINITIONS and not all(isinstance(v.of, Det) for v in views):
                self.define(number, made, views)
                return
            found = rule(self, made, views) if rule is not None else self.rules["known"](self, made, views)
        except LimitError as error:
            inside = any(isinstance(value, Region) for value in made.attributes.values())
            for view in () if inside else views:  # an operation that outputs do not allow: their axis is a finite one
                for slots in view.axes:
                    for slot in slots:
                        if isinstance(slot, Coordinate) and not slot.wide:
                            self.decisions.make_finite(slot)
            if "at " not in error.message and self.families.where:
                error.message += f", at {self.families.where}"
                error.args = (error.message,)
            raise
        for value, view in zip(made.results, self.many(found), strict=True):
            self.known[value] = view

    def many(self, found: View | Sequence[View]) -> Sequence[View]:
        """The results of an instruction, also where it is one."""
        return (found,) if isinstance(found, View) else found

    def scaled(self, number: int | None, name: str) -> tuple[float, Fraction] | None:
        """What an attribute is that depends on the width."""
        return self.widened.scalars.get((number, name)) if number is not None else None

    def define(self, number: int | None, made: Instruction, views: Sequence[View]) -> None:
        """An operation as the simpler ones that it is defined by."""
        attributes = dict(made.attributes)
        power = self.scaled(number, "scale")
        record = Recorder()
        operands = [SymbolicArray(operand, record) for operand in made.operands]
        if power is not None:  # attention's scale depends on the width: the queries are scaled before
            query = Value(made.operands[0].type, "scaled")
            scaling = Instruction("multiply", (), {}, (query,), made.source)
            (self.known[query],) = self.many(self.rules["multiply"](self, scaling, [views[0], self.literal(*power)]))
            operands[0] = SymbolicArray(query, record)
            attributes["scale"] = 1.0
        with recording.recording(record), record.sourced(made.source):
            results = DEFINITIONS[made.operation](symbolic, *operands, **attributes)
        for value, array in record.constants.items():
            axes, sizes = slots_for(value.type.shape, self.decisions)
            self.known[value] = View(Det(_constant(array), axes, sizes), axes)
        for inner in record.instructions:
            self.instruction(None, inner)
        for value, x in zip(made.results, results if isinstance(results, tuple) else (results,), strict=True):
            self.known[value] = self.view(x.operand)

    # -- values that are known ------------------------------------------------------------------------------------

    def det(
        self, made: Instruction, result: Value, views: Sequence[View], power: Fraction = ZERO, which: int | None = None,
        number: float | None = None,
    ) -> View:  # fmt: skip
        """The result of an operation on known numbers."""
        axes, sizes = slots_for(result.type.shape, self.decisions)
        dets = [view.of for view in views]

        def compute(session: Any, run: int) -> Any:
            return session.evaluated(made, [session.whole(det, run) for det in dets], run, which)

        return View(Det(compute, axes, sizes, power, number), axes)

    def node(self, view: View) -> Node:
        """A view's family of vectors."""
        assert isinstance(view.of, Node)
        return view.of

    def is_batch(self, slots: Sequence[Slot]) -> bool:
        """Whether an axis is that of the examples."""
        return any(slot is BATCH for slot in slots)


def _constant(array: Any) -> Callable[[Any, int], Any]:
    return lambda session, run: session.constant(array)


def read(widened: Widened, rules: Mapping[str, Rule], batch: Size | None) -> Reading:
    """A program as families.

    Args:
        widened: the program, its widths and laws.
        rules: what each operation does.
        batch: the size of the axis along which examples stand; None if there is none that is a symbol.

    Raises:
        LimitError: it is outside of the languages of Tensor Programs.
    """
    decisions = Decisions(frozenset(widened.widths), batch, batch is not None)
    for _ in range(ATTEMPTS):
        try:
            return Reader(widened, rules, decisions).run()
        except Again:
            continue
        except LimitError:
            raise
        except TensoriaError as error:
            raise LimitError(f"unsupported: {error.message}") from error
    raise LimitError("the axes of the program contradict each other.")


def batch_symbol(widened: Widened) -> Size | None:
    """The size of the examples' axis: the first symbol of the inputs' leading axes that is no width."""
    names = set(widened.parameters.values())
    for value in widened.program.inputs:
        if value in names or not value.type.shape:
            continue
        size = value.type.shape[0]
        if isinstance(size, Dim) and not widened.is_width(size):
            return size
    return None
