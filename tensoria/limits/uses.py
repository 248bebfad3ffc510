"""Where a program uses its parameters, and which of their axes are summed there.

A parameter may be moved before it is used: transposed, split into heads, cut into pieces. Such values are *views* of
it. What uses a view together with data contracts some axes (they are the fan-in) and keeps the others (they are the
output's), whatever the order in which a framework stores them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, TypeAlias

from tensoria.errors import LimitError
from tensoria.limits.sums import Labelled, contracted_labels
from tensoria.limits.widths import Widened
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.types import Instruction, Literal, Operand, Region, Source, Value

__all__ = ["Contraction", "Use", "Uses", "View", "around", "uses_of"]

Axes: TypeAlias = frozenset[int]
NONE: Final[Axes] = frozenset()
ZERO: Final = Fraction(0)


@dataclass(frozen=True)
class View:
    """A value that is a parameter, moved.

    Attributes:
        parameter: the name.
        axes: for each axis of the value the parameter's axes that it consists of.
        power: the power of n of the numbers that it was multiplied by.
    """

    parameter: str
    axes: tuple[Axes, ...]
    power: Fraction = ZERO

    def among(self, axes: Sequence[int]) -> Axes:
        """The parameter's axes in these axes of the value."""
        return NONE.union(*(self.axes[axis] for axis in axes))


@dataclass(frozen=True)
class Use:
    """One use of a parameter.

    Attributes:
        parameter: the name.
        number, operand: the instruction and the place of the operand.
        operation: the instruction's.
        summed: the parameter's axes that are contracted (or looked up, if they are finite).
        kept: those that the result has.
        source: the line.
        power: the power of n of the numbers that the program multiplies the parameter by before.
    """

    parameter: str
    number: int
    operand: int
    operation: str
    summed: Axes
    kept: Axes
    source: Source
    power: Fraction = ZERO


@dataclass(frozen=True)
class Contraction:
    """A sum over a width axis of products of values that are no parameters.

    Attributes:
        number: the instruction.
        sizes: of the axes that grow with the width.
        source: the line.
    """

    number: int
    sizes: tuple[Size, ...]
    source: Source


@dataclass(frozen=True)
class Uses:
    """All uses.

    Attributes:
        of: for the name of each parameter that training changes its uses.
        views: the values that are parameters, moved.
        contractions: sums over width axes without a parameter.
    """

    of: Mapping[str, list[Use]]
    views: Mapping[Value, View]
    contractions: list[Contraction] = field(default_factory=list)


def uses_of(of: Widened, names: Sequence[str] | None = None) -> Uses:
    """Where a program uses its parameters.

    Args:
        of: the program.
        names: the parameters that count; all of them by default.

    Raises:
        LimitError: a parameter with a width axis is used in a way that is not followed; the line is named.
    """
    reading = _Reading(of, list(of.parameters) if names is None else list(names))
    for number, made in enumerate(of.program.instructions):
        reading.instruction(number, made)
    last = len(of.program.instructions)
    for operand in of.program.outputs:
        if isinstance(operand, Value) and operand in reading.views:
            reading.use(operand, last, 0, "return", (), Source())
    return Uses(reading.uses, reading.views, reading.contractions)


def around(of: Widened, use: Use) -> Fraction:
    """The power of n of the numbers that a program multiplies beside a use: its data before, its result after.

    Only what nothing else sees counts.
    """
    reading = _Reading(of, [])
    readers: dict[Value, list[Instruction]] = {}
    for made in of.program.instructions:
        for operand in made.operands:
            if isinstance(operand, Value):
                readers.setdefault(operand, []).append(made)
    total = ZERO
    made = of.program.instructions[use.number]
    value = made.results[0]
    while value not in of.program.outputs and len(readers.get(value, ())) == 1:
        (reader,) = readers[value]
        power = _beside(reading, reader, value)
        if power is None:
            break
        total, value = total + power, reader.results[0]
    data: Operand | None = made.operands[0]
    while isinstance(data, Value) and data in reading.makers and len(readers[data]) == 1:
        maker = reading.makers[data]
        inner = next((x for x in maker.operands if isinstance(x, Value) and x.type.shape), None)
        power = _beside(reading, maker, inner) if inner is not None else None
        if power is None:
            break
        total, data = total + power, inner
    return total


def _beside(reading: _Reading, made: Instruction, value: Value) -> Fraction | None:
    """The power of the number that an instruction multiplies a value by; None if it does something else."""
    if made.operation in PLACED and made.operands[0] is value:
        return ZERO
    if made.operation not in ("multiply", "divide"):
        return None
    position = 1 if made.operands[0] is value else 0
    if made.operands[position].type.shape or (made.operation == "divide" and position == 0):
        return None
    power = reading.number(made, position)
    return power if power is None or made.operation == "multiply" else -power


class _Reading:
    """One walk over a program."""

    def __init__(self, of: Widened, names: Sequence[str]) -> None:
        self.of = of
        self.uses: dict[str, list[Use]] = {name: [] for name in names}
        self.views: dict[Value, View] = {
            value: View(name, tuple(frozenset((axis,)) for axis in range(value.type.ndim)))
            for name, value in of.parameters.items() if name in self.uses
        }  # fmt: skip
        self.contractions: list[Contraction] = []
        self.numbers = {made: number for number, made in enumerate(of.program.instructions)}
        self.makers = {value: made for made in of.program.instructions for value in made.results}
        self.given = {*of.program.inputs, *of.parameters.values()}

    def view(self, operand: Operand) -> View | None:
        """What an operand is a view of."""
        return self.views.get(operand) if isinstance(operand, Value) else None

    def grows(self, size: Size) -> bool:
        """Whether a size grows with the width."""
        return self.of.is_width(size)

    def width_axes(self, parameter: str) -> Axes:
        """The parameter's axes that grow."""
        return frozenset(self.of.width_axes(self.of.parameters[parameter]))

    def use(
        self, operand: Operand, number: int, position: int, operation: str, summed: Sequence[int], source: Source
    ) -> None:
        """Note that an operand is used, and which of its axes are summed."""
        view = self.view(operand)
        if view is None:
            return
        assert isinstance(operand, Value)
        gone = view.among(summed)
        kept = view.among([axis for axis in range(operand.type.ndim) if axis not in summed])
        if both := (gone & kept & self.width_axes(view.parameter)):
            raise self.unsupported(operation, view.parameter, f"axis {min(both)} is summed in part", source)
        self.uses[view.parameter].append(
            Use(view.parameter, number, position, operation, gone - kept, kept - gone, source, view.power)
        )

    def number(self, made: Instruction, position: int) -> Fraction | None:
        """The power of n of an operand that is a number; None if that is not known."""
        operand = made.operands[position]
        if not isinstance(operand, Value):
            return self.of.scalars.get((self.numbers[made], position), (1.0, ZERO))[1]
        if operand in self.of.program.arrays or operand in self.given:
            return ZERO
        maker = self.makers.get(operand)
        if maker is None:
            return None
        if maker.operation == "size":
            return Fraction(self.of.degree(maker.attributes["size"]))
        inner = [self.number(maker, k) for k in range(len(maker.operands))]
        if any(power is None for power in inner):
            return None
        return _of_number(maker, [power for power in inner if power is not None])

    def unsupported(self, operation: str, parameter: str, reason: str, source: Source) -> LimitError:
        """What is said of a use that is not followed."""
        where = f", at {source}" if str(source) else ""
        return LimitError(f"unsupported: {operation}, {reason} (parameter {parameter}){where}.")

    # -- instructions ---------------------------------------------------------------------------------------------

    def instruction(self, number: int, made: Instruction) -> None:
        """One instruction: a movement of a view, a contraction, or any other use."""
        moved = MOVES.get(made.operation)
        operand = made.operands[0] if made.operands else None
        if made.operation == "multiply" and operand is not None and _is_number(self, operand):
            operand = made.operands[1]
        view = self.view(operand) if operand is not None else None
        if moved is not None and view is not None and isinstance(operand, Value):
            rest = moved(self, operand, view, made)
            if rest is not None:
                self.views[made.results[0]] = rest
                return
        labelled = contracted_labels(made)
        if labelled is not None:
            self.contraction(number, made, labelled)
            return
        for position, other in enumerate(made.operands):
            found = self.view(other)
            if found is None or not isinstance(other, Value):
                continue
            growing = [axis for axis, size in enumerate(other.type.shape) if self.grows(size)]
            summed = _reduced(made, position, other)
            if summed is None and growing:
                raise self.unsupported(made.operation, found.parameter, "this use is not followed", made.source)
            if made.operation not in COMPONENTWISE and len(self.width_axes(found.parameter)) > 1 and not summed:
                raise self.unsupported(
                    made.operation, found.parameter, "a function of a matrix that grows in both directions", made.source
                )
            self.use(other, number, position, made.operation, summed or (), made.source)

    def contraction(self, number: int, made: Instruction, labelled: Labelled) -> None:
        """A sum of products; of two parameters the one with fewer width axes is data for the other one."""
        terms, out = labelled
        views = [self.view(operand) for operand in made.operands]
        sizes: dict[int, Size] = {}
        for operand, term in zip(made.operands, terms, strict=True):
            for label, size in zip(term, operand.type.shape, strict=True):
                if sizes.get(label, 1) == 1:
                    sizes[label] = size
        gone = {label for label in sizes if label not in out}
        growing = {label for label in gone if self.grows(sizes[label])}
        for label in sorted(growing):
            members = [k for k, term in enumerate(terms) if label in term]
            matrices = [k for k in members if views[k] is not None]
            if len(matrices) > 1:
                rank = {k: len(self.width_axes(views[k].parameter)) for k in matrices}  # type: ignore[union-attr]
                top = [k for k in matrices if rank[k] == max(rank.values())]
                if len(top) > 1:
                    first, second = (views[k].parameter for k in top[:2])  # type: ignore[union-attr]
                    reason = f"it multiplies the parameters {first} and {second} over the width"
                    raise self.unsupported(made.operation, first, reason, made.source)
                for k in matrices:
                    if k != top[0]:
                        views[k] = None
                        self.use(made.operands[k], number, k, made.operation, (), made.source)
        if growing and all(view is None for view in views):
            self.contractions.append(
                Contraction(number, tuple(sizes[label] for label in sorted(growing)), made.source)
            )
        for k, (operand, view) in enumerate(zip(made.operands, views, strict=True)):
            if view is not None:
                summed = [axis for axis, label in enumerate(terms[k]) if label in gone]
                self.use(operand, number, k, made.operation, summed, made.source)
                grown = [axis for axis in summed if self.grows(operand.type.shape[axis])]
                if len(grown) > 1 and len(made.operands) > 2:
                    self.contractions.append(
                        Contraction(number, tuple(operand.type.shape[axis] for axis in grown[1:]), made.source)
                    )


# -- movements --------------------------------------------------------------------------------------------------------

Move: TypeAlias = Callable[[_Reading, Value, View, Instruction], View | None]


def _permuted(of: _Reading, x: Value, view: View, made: Instruction) -> View:
    return replace(view, axes=tuple(view.axes[axis] for axis in made.attributes["axes"]))


def _expanded(of: _Reading, x: Value, view: View, made: Instruction) -> View:
    rest = iter(view.axes)
    new = made.attributes["axes"]
    return replace(view, axes=tuple(NONE if n in new else next(rest) for n in range(x.type.ndim + len(new))))


def _squeezed(of: _Reading, x: Value, view: View, made: Instruction) -> View:
    gone = made.attributes["axes"]
    return replace(view, axes=tuple(axes for n, axes in enumerate(view.axes) if n not in gone))


def _broadcast(of: _Reading, x: Value, view: View, made: Instruction) -> View:
    shape = made.attributes["shape"]
    lead = len(shape) - x.type.ndim
    stays = tuple(
        axes if size == before else NONE
        for axes, size, before in zip(view.axes, shape[lead:], x.type.shape, strict=True)
    )
    return replace(view, axes=(NONE,) * lead + stays)


def _reshaped(of: _Reading, x: Value, view: View, made: Instruction) -> View:
    """Groups of axes of equal size before and after: each new axis consists of its group's."""
    before, after = list(x.type.shape), list(made.attributes["shape"])
    axes: list[Axes] = []
    i = j = 0
    while i < len(before) or j < len(after):
        start = i
        left: Size = before[i] if i < len(before) else 1
        right: Size = after[j] if j < len(after) else 1
        i, j, first = i + 1, j + 1, j
        while left != right:
            if (i < len(before) and _smaller(left, right)) or j >= len(after):
                if i >= len(before):
                    break
                left, i = left * before[i], i + 1
            else:
                right, j = right * after[j], j + 1
        group = NONE.union(*view.axes[start : min(i, len(before))])
        axes += [group if after[k] != 1 else NONE for k in range(first, min(j, len(after)))]
    return replace(view, axes=tuple(axes))


def _smaller(a: Size, b: Size) -> bool:
    if isinstance(a, Dim) and isinstance(b, Dim):
        difference = a - b
        return difference < 0 if isinstance(difference, int) else difference.bounds()[1] < 0
    if isinstance(a, Dim) or isinstance(b, Dim):
        return not isinstance(a, Dim)  # what grows is larger in the end
    return a < b


def _selected(of: _Reading, x: Value, view: View, made: Instruction) -> View | None:
    if len(made.operands) > 1:
        return None
    axes: list[Axes] = []
    at = 0
    for part in made.attributes["key"]:
        if part is None:
            axes.append(NONE)
        elif isinstance(part, Cut):
            axes.append(view.axes[at])
            at += 1
        elif isinstance(part, At):
            return None
        else:
            at += 1
    return replace(view, axes=(*axes, *view.axes[at:]))


def _same(of: _Reading, x: Value, view: View, made: Instruction) -> View:
    return view


def _scaled(of: _Reading, x: Value, view: View, made: Instruction) -> View | None:
    """A product with a number is the parameter still."""
    position = 1 if made.operands[0] is x else 0
    if not _is_number(of, made.operands[position]):
        return None
    power = of.number(made, position)
    if power is None:
        return None
    return replace(view, power=view.power - power if made.operation == "divide" else view.power + power)


def _is_number(of: _Reading, operand: Operand) -> bool:
    return not operand.type.shape and of.view(operand) is None


def _of_number(made: Instruction, powers: Sequence[Fraction]) -> Fraction | None:
    """The power of n of a number that is computed from numbers."""
    name = made.operation
    if name in ("astype", "reshape", "negative"):
        return powers[0]
    if name in ("sqrt", "square", "reciprocal"):
        return powers[0] * {"sqrt": Fraction(1, 2), "square": Fraction(2), "reciprocal": Fraction(-1)}[name]
    if name in ("multiply", "divide"):
        return powers[0] + (powers[1] if name == "multiply" else -powers[1])
    if name == "pow" and isinstance(made.operands[1], Literal) and not isinstance(made.operands[1].number, complex):
        return powers[0] * Fraction(made.operands[1].number).limit_denominator(64)
    return None if any(powers) else ZERO


MOVES: Final[Mapping[str, Move]] = {
    "permute_dims": _permuted, "expand_dims": _expanded, "squeeze": _squeezed, "broadcast_to": _broadcast,
    "reshape": _reshaped, "getitem": _selected, "astype": _same, "negative": _same, "flip": _same, "roll": _same,
    "multiply": _scaled, "divide": _scaled,
}  # fmt: skip
"""Operations whose result is the parameter, moved."""
PLACED: Final = frozenset(("permute_dims", "expand_dims", "squeeze", "reshape", "astype"))
"""Operations that move a value as a whole."""


# -- other uses -------------------------------------------------------------------------------------------------------

COMPONENTWISE: Final = frozenset(
    "add subtract multiply divide embedding take take_along_axis getitem concat stack layer_norm rms_norm group_norm "
    "batch_norm where setitem add_at scatter".split()
)
"""Operations in which a parameter stands beside data, component by component, or is looked up."""
REDUCTIONS: Final = frozenset("sum mean max min prod var".split())


def _reduced(made: Instruction, position: int, operand: Value) -> tuple[int, ...] | None:
    """The axes of an operand that an instruction sums or looks up; None if that is not known."""
    name = made.operation
    if name in REDUCTIONS:
        return tuple(made.attributes["axes"])
    if name == "embedding":
        return (0,)
    if name in ("take", "take_along_axis") and position == 0:
        return (made.attributes["axis"],)
    if name == "getitem":
        return tuple(_looked_up(made.attributes["key"]))
    if name in COMPONENTWISE:
        return ()
    if any(isinstance(value, Region) for value in made.attributes.values()):
        return None
    if len(made.results) == 1 and made.results[0].type.shape[-operand.type.ndim :] == operand.type.shape:
        return ()
    return () if len(made.results) == 1 and _broadcasts(operand, made.results[0]) else None


def _broadcasts(operand: Value, result: Value) -> bool:
    pairs = itertools.zip_longest(reversed(operand.type.shape), reversed(result.type.shape), fillvalue=1)
    return all(size in (1, whole) for size, whole in pairs)


def _looked_up(key: Sequence[Any]) -> list[int]:
    found, axis = [], 0
    for part in key:
        if part is None:
            continue
        if not isinstance(part, Cut):
            found.append(axis)
        axis += 1
    return found
