"""What passes are made of: a program rebuilt instruction by instruction, with values replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

from tensoria.programs.base import P
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.elementwise import ROWS
from tensoria.programs.types import Instruction, Operand, Source, Value, assigned, regions

__all__ = ["COORDINATEWISE", "Builder", "rewritten"]

COORDINATEWISE: Final = frozenset((
    *ROWS, "erf", "sigmoid", "relu", "hardtanh", "silu", "gelu", "astype", "stop_gradient",
))  # fmt: skip
"""Operations that make each component of those in its place, whatever the order of axes."""


class Builder:
    """Adds instructions to a program that is being rebuilt."""

    def __init__(self, names: set[str], *, inner: bool = False) -> None:
        self.instructions: list[Instruction] = []
        self.names = names
        self.inner = inner
        """Whether it rebuilds a program inside of an instruction, which sees nothing but its inputs."""
        self.source = Source()
        self._count = 0

    def add(self, operation: str, operands: Sequence[Operand], /, **attributes: Any) -> Value:
        """An instruction with one result, whose type is inferred."""
        (of,) = OPERATIONS[operation].infer(*(operand.type for operand in operands), **attributes)
        value = Value(of, self.fresh())
        self.instructions.append(Instruction(operation, tuple(operands), attributes, (value,), self.source))
        return value

    def fresh(self, prefix: str = "t") -> str:
        """A name that no value has."""
        while True:
            self._count += 1
            if (name := f"{prefix}{self._count}") not in self.names:
                self.names.add(name)
                return name


Rewrite = Callable[[Builder, Instruction], Sequence[Operand] | None]


def rewritten(program: P, rewrite: Rewrite) -> P:
    """The program with every instruction passed through a function.

    Args:
        rewrite: adds what shall stand in an instruction's place and returns the operands that its results become;
            None keeps the instruction (whose operands have been replaced by then).
    """
    names = {value.name for value in (*program.inputs, *program.arrays, *assigned(program))}
    return _rewritten(program, rewrite, names, inner=False)


def _rewritten(program: P, rewrite: Rewrite, names: set[str], *, inner: bool) -> P:
    builder = Builder(names, inner=inner)
    became: dict[Value, Operand] = {}

    def now(operand: Operand) -> Operand:
        return became.get(operand, operand) if isinstance(operand, Value) else operand

    for made in program.instructions:
        within = {
            name: _rewritten(of, rewrite, names, inner=True)  # type: ignore[type-var]
            for name, of in regions(made).items()
        }
        made = dataclasses.replace(
            made, operands=tuple(map(now, made.operands)), attributes={**made.attributes, **within}
        )
        builder.source = made.source
        results = rewrite(builder, made)
        if results is None:
            builder.instructions.append(made)
            continue
        for old, new in zip(made.results, results, strict=True):
            if isinstance(new, Value) and new.axes is not old.axes and not new.axes:
                new.axes = old.axes
            became[old] = new
    return dataclasses.replace(
        program,
        instructions=tuple(builder.instructions),
        outputs=tuple(map(now, program.outputs)),
        updates={name: now(operand) for name, operand in program.updates.items()},
    )
