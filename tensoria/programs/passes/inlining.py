"""A program's instructions recorded again, on other operands: how programs become parts of programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensoria.indices import PLAIN
from tensoria.programs.base import BaseProgram
from tensoria.programs.recorder import Recorder, SymbolicArray, recording
from tensoria.programs.trees import LEAF, Tree
from tensoria.programs.types import Operand, Region, Value, regions

__all__ = ["copied", "inlined", "region"]


def region(
    into: Recorder, inputs: Sequence[Value], outputs: Sequence[SymbolicArray], name: str = "region"
) -> BaseProgram:
    """What was recorded, as a program inside of another one.

    Args:
        into: what has recorded it.
        inputs: what stands for the operands, captures among them.
        outputs: its results.
    """
    assert not into.constants, "the surrounding program holds all constants"
    return BaseProgram(
        name=name,
        signature=tuple(f"x{n}" for n in range(len(inputs))),
        inputs=tuple(inputs),
        parameters={},
        arrays={},
        instructions=tuple(into.instructions),
        outputs=tuple(into.owned(x).operand for x in outputs),
        input_tree=Tree("tuple", (), (LEAF,) * len(inputs)),
        output_tree=Tree("tuple", (), (LEAF,) * len(outputs)),
        output_axes=(PLAIN,) * len(outputs),
    )


def copied(given: Region) -> BaseProgram:
    """The same with values of its own, which may be named otherwise."""
    into = Recorder()
    inputs = tuple(Value(value.type, value.name, value.axes) for value in given.inputs)
    with recording(into):
        outputs = inlined(given, into, [SymbolicArray(value, into) for value in inputs])
    return region(into, inputs, outputs)


def inlined(
    program: Region, into: Recorder, operands: Sequence[SymbolicArray], held: Mapping[Value, Value] | None = None,
    also: Sequence[Operand] = (),
) -> list[SymbolicArray]:
    """The program's results for other operands.

    Args:
        program: what is recorded again; itself it does not change.
        into: where.
        operands: what stands for its inputs.
        held: what stands for its parameters and constants.
        also: values that are wanted after its results.
    """
    known: dict[Value, Operand] = {value: x.operand for value, x in zip(program.inputs, operands, strict=True)}
    known.update(held or {})

    def read(operand: Operand) -> SymbolicArray:
        return SymbolicArray(known[operand] if isinstance(operand, Value) else operand, into)

    for made in program.instructions:
        with into.sourced(made.source):
            attributes = {**made.attributes, **{name: copied(inner) for name, inner in regions(made).items()}}
            results = into.record(made.operation, [read(x) for x in made.operands], **attributes)
        for old, new in zip(made.results, results, strict=True):
            assert isinstance(new.operand, Value)
            new.operand.axes = old.axes
            known[old] = new.operand
    return [read(x) for x in (*program.outputs, *also)]
