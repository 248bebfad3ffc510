"""A program in float64 for float32: what is left of an error there is no rounding."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tensoria.dtypes import DType, float32, float64
from tensoria.programs.base import BaseProgram, P
from tensoria.programs.types import Instruction, Literal, Operand, Region, Type, Value

__all__ = ["wide_dtype", "widened"]


def wide_dtype(of: DType) -> DType:
    """float64 for float32; any other data type as it is."""
    return float64 if of is float32 else of


def widened(program: P) -> tuple[P, dict[Value, Value]]:
    """The program with float64 wherever it has float32, inside of its regions too, and what each value has become."""
    became: dict[Value, Value] = {}
    made = _widened(program, became)
    arrays = {
        became[value]: array.astype(np.float64) if value.type.dtype is float32 else array
        for value, array in program.arrays.items()
    }
    changed: P = dataclasses.replace(
        made,
        arrays=arrays,
        parameters={name: became[value] for name, value in program.parameters.items()},
        updates={name: _operand(x, became) for name, x in program.updates.items()},
        key=None if program.key is None else became[program.key],
        modes={},
    )
    return changed, became


def _widened(program: P, became: dict[Value, Value]) -> P:
    for value in (*program.inputs, *program.arrays):
        _value(value, became)
    instructions = []
    for made in program.instructions:
        operands = tuple(_operand(x, became) for x in made.operands)
        attributes = {name: _attribute(value, became) for name, value in made.attributes.items()}
        results = tuple(_value(x, became) for x in made.results)
        instructions.append(Instruction(made.operation, operands, attributes, results, made.source))
    return dataclasses.replace(
        program,
        inputs=tuple(became[value] for value in program.inputs),
        instructions=tuple(instructions),
        outputs=tuple(_operand(x, became) for x in program.outputs),
    )


def _value(value: Value, became: dict[Value, Value]) -> Value:
    made = Value(Type(wide_dtype(value.type.dtype), value.type.shape), value.name, value.axes)
    became[value] = made
    return made


def _operand(x: Operand, became: dict[Value, Value]) -> Operand:
    return Literal(x.number, wide_dtype(x.dtype)) if isinstance(x, Literal) else became[x]


def _attribute(value: Any, became: dict[Value, Value]) -> Any:
    if isinstance(value, DType):
        return wide_dtype(value)
    if isinstance(value, Region):
        assert isinstance(value, BaseProgram)
        return _widened(value, became)
    return value
