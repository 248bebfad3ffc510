"""A program of any width at one width: a number for the symbol, in sizes and in numbers c n^e."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from tensoria.errors import LimitError
from tensoria.limits.unification import Place, Scale
from tensoria.programs.base import BaseProgram
from tensoria.programs.dimensions import Call, Dim, Size
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.program import Program
from tensoria.programs.types import Instruction, Literal, Operand, Region, Type, Value

__all__ = ["Instance"]


class Instance:
    """A program with a number for its width symbol.

    Attributes:
        values: for each value of the program the one that stands for it.
    """

    def __init__(self, program: Program, scalars: Mapping[Place, Scale], symbol: str, n: int) -> None:
        self.of, self.scalars, self.symbol, self.n = program, scalars, symbol, n
        self.values: dict[Value, Value] = {}

    def program(self, growing: Iterable[Value] = ()) -> Program:
        """The program, without arrays; `growing` are constants that have none."""
        of = self.of
        inputs = tuple(self._value(value) for value in of.inputs)
        parameters = {name: self._value(value) for name, value in of.parameters.items()}
        for value in (*of.arrays, *growing):
            if value not in self.values:
                self._value(value)
        made = []
        for number, instruction in enumerate(of.instructions):
            made.append(self._instruction(instruction, number))
        key = getattr(of, "key", None)
        more: dict[str, Any] = {} if key is None else {"key": self.values[key]}
        return dataclasses.replace(
            of, inputs=inputs, parameters=parameters, arrays={}, instructions=tuple(made),
            outputs=tuple(self._operand(x, None, None) for x in of.outputs), **more,
        )  # fmt: skip

    def _number(self, number: int | None, place: Any, before: Any) -> Any:
        if (number, place) not in self.scalars:
            return before
        c, e = self.scalars[number, place]  # type: ignore[index]
        return type(before)(c * self.n ** float(e))

    def _instruction(self, made: Instruction, number: int | None) -> Instruction:
        operands = tuple(self._operand(x, number, position) for position, x in enumerate(made.operands))
        attributes = {
            name: self._number(number, name, self._attribute(value)) for name, value in made.attributes.items()
        }
        results = tuple(self._value(value) for value in made.results)
        return Instruction(made.operation, operands, attributes, results, made.source)

    def _operand(self, operand: Operand, number: int | None, position: int | None) -> Operand:
        if isinstance(operand, Value):
            return self.values[operand]
        return Literal(self._number(number, position, operand.number), operand.dtype)

    def _value(self, value: Value) -> Value:
        shape = tuple(self._attribute(size) for size in value.type.shape)
        made = self.values[value] = Value(Type(value.type.dtype, shape), value.name, value.axes)
        return made

    def _attribute(self, value: Any) -> Any:
        if isinstance(value, Dim):
            if all(symbol.name == self.symbol for symbol in value.symbols()):
                return value.evaluate({self.symbol: self.n})
            return _substituted(value, self.symbol, self.n)
        if isinstance(value, Region):
            assert isinstance(value, BaseProgram)
            inputs = tuple(self._value(x) for x in value.inputs)
            made = tuple(self._instruction(x, None) for x in value.instructions)
            outputs = tuple(self._operand(x, None, None) for x in value.outputs)
            return dataclasses.replace(value, inputs=inputs, instructions=made, outputs=outputs)
        if isinstance(value, (tuple, list)):
            return type(value)(self._attribute(item) for item in value)
        if isinstance(value, Cut):
            return Cut(self._attribute(value.start), self._attribute(value.stop), value.step)
        return value


def _substituted(size: Dim, name: str, n: int) -> Size:
    """An expression in several symbols with a number for one of them (polynomials only)."""
    total: Size = 0
    for monomial, coefficient in size.terms:
        term: Size = coefficient
        for atom in monomial:
            if isinstance(atom, Call):
                raise LimitError(f"the size {size} is no polynomial.")
            term = term * (n if str(atom) == name else Dim({(atom,): 1}.items()))
        total = total + term
    return total
