"""A program's instructions recorded again, on other operands: how programs become parts of programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensoria.programs.base import BaseProgram
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.types import Operand, Value

__all__ = ["inlined"]


def inlined(
    program: BaseProgram, into: Recorder, operands: Sequence[SymbolicArray], held: Mapping[Value, Value] | None = None
) -> list[SymbolicArray]:
    """The program's results for other operands.

    Args:
        program: what is recorded again; itself it does not change.
        into: where.
        operands: what stands for its inputs.
        held: what stands for its parameters and constants.
    """
    known: dict[Value, Operand] = {value: x.operand for value, x in zip(program.inputs, operands, strict=True)}
    known.update(held or {})

    def read(operand: Operand) -> SymbolicArray:
        return SymbolicArray(known[operand] if isinstance(operand, Value) else operand, into)

    for made in program.instructions:
        with into.sourced(made.source):
            results = into.record(made.operation, [read(x) for x in made.operands], **made.attributes)
        for old, new in zip(made.results, results, strict=True):
            assert isinstance(new.operand, Value)
            new.operand.axes = old.axes
            known[old] = new.operand
    return [read(x) for x in program.outputs]
