"""Parameters in the order of axes in which alone a program uses them."""

from __future__ import annotations

import dataclasses

import numpy as np

from tensoria.programs.base import P
from tensoria.programs.types import Instruction, Operand, Type, Value

__all__ = ["stored"]


def stored(program: P) -> tuple[P, dict[str, tuple[int, ...]]]:
    """The program with parameters in the order of axes in which alone it uses them, and these orders.

    A parameter that every instruction permutes in the same way first is stored permuted, and the permutation is gone.
    """
    uses: dict[Value, list[Instruction | None]] = {}
    for made in program.instructions:
        for operand in made.operands:
            if isinstance(operand, Value):
                uses.setdefault(operand, []).append(made)
    for operand in (*program.outputs, *program.updates.values()):
        if isinstance(operand, Value):
            uses.setdefault(operand, []).append(None)
    layouts, became, arrays, parameters = {}, dict[Operand, Operand](), dict(program.arrays), dict(program.parameters)
    for name, value in program.parameters.items():
        axes = {made.attributes["axes"] if made is not None and made.operation == "permute_dims" else None
                for made in uses.get(value, ())}  # fmt: skip
        if len(axes) != 1 or None in axes or name in program.updates:
            continue
        (order,) = axes
        assert order is not None
        of = Type(value.type.dtype, tuple(value.type.shape[n] for n in order))
        kept = Value(of, value.name)
        layouts[name], parameters[name] = order, kept
        arrays = {kept if v is value else v: np.array(np.transpose(a, order), order="C") if v is value else a
                  for v, a in arrays.items()}  # fmt: skip
        became.update((user.results[0], kept) for user in uses[value] if user is not None)
    if not layouts:
        return program, {}
    instructions = [
        dataclasses.replace(made, operands=tuple(became.get(x, x) for x in made.operands))
        for made in program.instructions
        if made.results[0] not in became
    ]
    outputs = tuple(became.get(x, x) for x in program.outputs)
    updates = {name: became.get(x, x) for name, x in program.updates.items()}
    changed = dataclasses.replace(
        program, parameters=parameters, arrays=arrays, instructions=tuple(instructions), outputs=outputs,
        updates=updates,
    )  # fmt: skip
    return changed, layouts
