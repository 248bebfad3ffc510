"""Instructions whose results nobody uses are removed, and constants likewise."""

from __future__ import annotations

import dataclasses

from tensoria.programs.base import P
from tensoria.programs.types import Value

__all__ = ["remove_dead_code"]


def remove_dead_code(program: P) -> P:
    """The program without what does not reach its outputs; inputs and parameters stay."""
    needed = {operand for operand in program.outputs if isinstance(operand, Value)}
    kept = []
    for made in reversed(program.instructions):
        if any(value in needed for value in made.results):
            kept.append(made)
            needed.update(operand for operand in made.operands if isinstance(operand, Value))
    held = set(program.parameters.values())
    return dataclasses.replace(
        program,
        instructions=tuple(reversed(kept)),
        arrays={value: array for value, array in program.arrays.items() if value in needed or value in held},
    )
