"""Programs that do the same with other numbers, as one program: sizes become affine in n, numbers c n^e.

What differs by more is refused, with the line of the model that it comes from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, TypeAlias

import numpy as np

from tensoria.errors import LimitError
from tensoria.limits.laws import power_law
from tensoria.programs.base import BaseProgram
from tensoria.programs.dimensions import Dim, dim, product
from tensoria.programs.program import Program
from tensoria.programs.types import Instruction, Literal, Operand, Region, Source, Type, Value

__all__ = ["SYMBOL", "Place", "Scale", "Unified"]

Place: TypeAlias = tuple[int, int | str]
"""An instruction's number, and the position of an operand or the name of an attribute."""
Scale: TypeAlias = tuple[float, Fraction]
"""c and e of a number c n^e."""
SYMBOL: Final = "n"
PRINTED: Final = 60


class Unified:
    """One pass over captures, in step; the first pass finds the unit, the second one has it."""

    def __init__(self, programs: Sequence[Program], widths: Sequence[int], unit: int) -> None:
        self.programs, self.widths = programs, widths
        self.counted, self.unit = unit, unit
        """What this pass counts in, and what the next one has to."""
        self.counts = [Fraction(n, unit) for n in widths]
        self.symbol = dim(SYMBOL)
        self.values: dict[Value, Value] = {}
        self.others: list[dict[Value, Value]] = [{} for _ in programs]
        """For each capture its value of the first capture's."""
        self.scalars: dict[Place, Scale] = {}
        self.place: tuple[int, ...] = ()
        self.source = Source()

    def program(self) -> Program:
        """The unified program, with the first capture's arrays left out."""
        first = self.programs[0]
        self._same("signatures", [program.signature for program in self.programs])
        self._same("parameters", [tuple(program.parameters) for program in self.programs])
        self._same("argument trees", [program.input_tree for program in self.programs])
        self._same("result trees", [program.output_tree for program in self.programs])
        inputs = tuple(self._value(of) for of in self._aligned([p.inputs for p in self.programs], "inputs"))
        parameters = {
            name: self._value([program.parameters[name] for program in self.programs]) for name in first.parameters
        }
        constants = [[v for v in p.arrays if v not in set(p.parameters.values())] for p in self.programs]
        for of in self._aligned(constants, "constants"):
            self._value(of)
        made = [
            self._instruction(of, (number,))
            for number, of in enumerate(self._aligned([p.instructions for p in self.programs], "instructions"))
        ]
        outputs = tuple(self._operand(of, None) for of in self._aligned([p.outputs for p in self.programs], "results"))
        return dataclasses.replace(
            first, inputs=inputs, parameters=parameters, arrays={}, instructions=tuple(made), outputs=outputs,
            **self._rest(first),
        )  # fmt: skip

    def _rest(self, first: Program) -> dict[str, Any]:
        """What else a program has: a random key is an input, and a width has no state that training updates."""
        key = getattr(first, "key", None)
        return {
            **({} if key is None else {"key": self.values[key]}),
            **{name: {} for name in ("updates", "modes") if getattr(first, name, None)},
        }

    def array(self, number: int, value: Value) -> np.ndarray[Any, Any]:
        """An array of one of the captures, for a value of the first one."""
        return self.programs[number].arrays[self.others[number][value]]

    def used_at(self, value: Value) -> str:
        """The line that uses a value of the first capture or of the unified program."""
        for made in self.programs[0].instructions:
            if any(self.values.get(operand) is value for operand in made.operands if isinstance(operand, Value)):
                return str(made.source) or "an unknown line"
        return "no line"

    # -- parts ----------------------------------------------------------------------------------------------------

    def _aligned(self, parts: Sequence[Sequence[Any]], what: str) -> list[list[Any]]:
        counts = [len(part) for part in parts]
        if len(set(counts)) > 1 and what == "instructions":
            self._first_difference(parts)
        if len(set(counts)) > 1:
            listed = ", ".join(f"{count} at {n}" for count, n in zip(counts, self.widths, strict=True))
            raise LimitError(f"the captures have different {what}: {listed}.")
        return [list(of) for of in zip(*parts, strict=True)]

    def _first_difference(self, parts: Sequence[Sequence[Instruction]]) -> None:
        for of in zip(*parts, strict=False):
            self.source = of[0].source
            self._same("operations", [made.operation for made in of])
        longest = max(parts, key=len)
        self.source = longest[min(map(len, parts))].source
        raise self._refused("some widths compute more than others")

    def _instruction(self, of: Sequence[Instruction], place: tuple[int, ...]) -> Instruction:
        first = of[0]
        self.place, self.source = place, first.source
        self._same("operations", [made.operation for made in of])
        operands = [
            self._operand(operand, position)
            for position, operand in enumerate(self._aligned([made.operands for made in of], "operands"))
        ]
        attributes = {}
        for name in first.attributes:
            self.place, self.source = place, first.source
            attributes[name] = self._attribute([made.attributes[name] for made in of], name, top=True)
        if first.attributes.get("groups", 1) != 1:
            self._groups(of)
        self.source = first.source
        results = tuple(self._value(value) for value in self._aligned([made.results for made in of], "results"))
        return Instruction(first.operation, tuple(operands), attributes, results, first.source)

    def _groups(self, of: Sequence[Instruction]) -> None:
        """Channels in groups are counted in the channels of one group."""
        counts = [made.attributes["groups"] for made in of]
        words = of[0].attributes.get("numbers", ())
        values = [(*made.operands[:2], *made.results) for made in of]
        for kinds, word in zip(zip(*values, strict=True), words, strict=False):
            for letter, sizes in zip(word, zip(*[value.type.shape for value in kinds], strict=True), strict=True):
                divides = all(isinstance(n, int) and n % count == 0 for n, count in zip(sizes, counts, strict=True))
                if letter in "CO" and divides and len(set(sizes)) > 1:
                    self._size([n // count for n, count in zip(sizes, counts, strict=True)], "the channels of a group")

    def _operand(self, of: Sequence[Operand], position: int | None) -> Operand:
        first = of[0]
        if isinstance(first, Value):
            if any(not isinstance(x, Value) or self.others[k].get(first) is not x for k, x in enumerate(of)):
                raise self._refused(f"the captures use different values: {', '.join(map(str, of))}")
            return self.values[first]
        if any(not isinstance(other, Literal) or other.dtype is not first.dtype for other in of):
            raise self._refused(f"the captures use different operands: {', '.join(map(str, of))}")
        self._scalar([other.number for other in of if isinstance(other, Literal)], position)
        return first

    def _value(self, of: Sequence[Value]) -> Value:
        first = of[0]
        self._same("data types", [value.type.dtype for value in of])
        self._same("numbers of axes", [value.type.ndim for value in of])
        self._same("labels", [value.axes for value in of])
        shape = tuple(self._size(sizes, f"a size of {first.name}") for sizes in zip(*[v.type.shape for v in of],
                                                                                     strict=True))
        made = Value(Type(first.type.dtype, shape), first.name, first.axes)
        self.values[first] = made
        for number, value in enumerate(of):
            self.others[number][first] = value
        return made

    def _attribute(self, of: Sequence[Any], name: str, *, top: bool = False) -> Any:
        first = of[0]
        if isinstance(first, Region):
            return self._region(of, name)
        if all(_equal(first, other) for other in of[1:]):
            return first
        if any(type(other) is not type(first) for other in of):
            raise self._refused(f"{name} is {', '.join(map(str, of))}")
        if isinstance(first, bool):
            raise self._refused(f"{name} is {', '.join(map(str, of))}")
        if isinstance(first, (int, Dim)):
            return self._size(of, name)
        if isinstance(first, float):
            if not top:
                raise self._refused(f"{name} has the numbers {', '.join(map(str, of))}")
            self._scalar(of, name)
            return first
        if isinstance(first, (tuple, list)):
            if len({len(other) for other in of}) > 1:
                raise self._refused(f"{name} has different lengths: {', '.join(map(str, of))}")
            return type(first)(self._attribute(parts, name) for parts in zip(*of, strict=True))
        if dataclasses.is_dataclass(first) and not isinstance(first, type):
            changed = {
                part.name: self._attribute([getattr(other, part.name) for other in of], name)
                for part in dataclasses.fields(first) if part.init
            }  # fmt: skip
            return dataclasses.replace(first, **changed)
        raise self._refused(f"{name} is {', '.join(map(str, of))}")

    def _region(self, of: Sequence[Region], name: str) -> Region:
        place = self.place
        inputs = tuple(self._value(value) for value in self._aligned([r.inputs for r in of], "inputs"))
        made = tuple(
            self._instruction(inner, (*place, number))
            for number, inner in enumerate(self._aligned([r.instructions for r in of], "instructions"))
        )
        self.place = (*place, -1)
        outputs = tuple(self._operand(x, None) for x in self._aligned([r.outputs for r in of], f"results of {name}"))
        assert isinstance(of[0], BaseProgram)
        return dataclasses.replace(of[0], inputs=inputs, instructions=made, outputs=outputs)

    # -- numbers --------------------------------------------------------------------------------------------------

    def _size(self, sizes: Sequence[Any], what: str) -> Any:
        """A size that is affine in the width."""
        first = sizes[0]
        if all(size == first for size in sizes):
            return first
        if any(isinstance(size, Dim) for size in sizes):
            return self._open_size(sizes, what)
        slope = Fraction(sizes[1] - first) / (self.counts[1] - self.counts[0])
        rest = first - slope * self.counts[0]
        listed = ", ".join(f"{size} at {n}" for size, n in zip(sizes, self.widths, strict=True))
        if any(size != slope * n + rest for size, n in zip(sizes, self.counts, strict=True)):
            raise self._refused(f"{what} is not affine in the width: {listed}")
        if len(sizes) == 2 and rest:
            raise self._refused(
                f"{what} is {listed}: two widths do not tell a + b n from n^2", legal="widths= of three widths"
            )
        if slope.denominator != 1 or rest.denominator != 1:
            unit = math.lcm(self.unit, self.counted * slope.denominator)
            if rest.denominator != 1 or any(n % unit for n in self.widths):
                raise self._refused(f"{what} is no whole multiple of a part of the width: {listed}")
            self.unit = unit
            return first
        return int(slope) * self.symbol + int(rest)

    def _open_size(self, sizes: Sequence[Any], what: str) -> Any:
        """A size with open sizes of data in it, as a batch of heads: each coefficient is affine in the width."""
        terms: list[dict[Any, int]] = [dict(size.terms) if isinstance(size, Dim) else {(): size} for size in sizes]
        if any(of.keys() != terms[0].keys() for of in terms):
            raise self._refused(f"{what} is {', '.join(map(str, sizes))}")
        parts = [
            product((self._size([of[monomial] for of in terms], what), Dim([(monomial, 1)]) if monomial else 1))
            for monomial in terms[0]
        ]
        return sum(parts[1:], parts[0])

    def _scalar(self, numbers: Sequence[Any], position: int | str | None) -> None:
        """A number that is c n^e."""
        first = numbers[0]
        if all(_equal(first, other) for other in numbers[1:]):
            return
        listed = ", ".join(f"{number} at {n}" for number, n in zip(numbers, self.widths, strict=True))
        if position is None or len(self.place) != 1:
            raise self._refused(f"a number depends on the width where that is not followed: {listed}")
        if any(isinstance(number, (complex, bool)) for number in numbers):
            raise self._refused(f"a number is {listed}")
        found = power_law([float(number) for number in numbers], [float(n) for n in self.counts])  # type: ignore[misc]
        if found is None:
            raise self._refused(f"a number is no c n^e: {listed}")
        self.scalars[self.place[0], position] = found

    def _same(self, what: str, parts: Sequence[Any]) -> None:
        if any(part != parts[0] for part in parts[1:]):
            listed = "; ".join(f"{_short(part)} at {n}" for part, n in zip(parts, self.widths, strict=True))
            raise self._refused(f"the captures have different {what}: {listed}")

    def _refused(self, what: str, legal: str | None = None) -> LimitError:
        where = f", at {self.source}" if str(self.source) else ""
        return LimitError(f"{what}{where}.", legal=legal)


def _equal(a: Any, b: Any) -> bool:
    """Equality in which NaN equals itself."""
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _short(part: Any) -> str:
    text = str(part)
    return text if len(text) <= PRINTED else text[: PRINTED - 3] + "..."
