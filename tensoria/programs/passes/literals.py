"""A constant array that repeats one number becomes that number, where the other operand has the whole shape."""

from __future__ import annotations

from tensoria.errors import TensoriaError
from tensoria.programs.base import P
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.elementwise import ROWS
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Literal, Operand

__all__ = ["spread_literals"]

REPEATED = frozenset(("full", "broadcast_to", "reshape", "expand_dims"))
"""Operations that make an array of one number out of a number."""
COORDINATEWISE = frozenset(name for name, row in ROWS.items() if len(row.operands) > 1)


def spread_literals(program: P) -> P:
    """The program with `maximum(x, 0)` in place of `maximum(x, full(0))`."""
    numbers: dict[Operand, Literal] = {}

    def rewrite(builder: Builder, made: Instruction) -> tuple[Operand] | None:
        first = made.operands[0] if made.operands else None
        if made.operation in REPEATED and first is not None:
            number = first if isinstance(first, Literal) else numbers.get(first)
            if number is not None:
                numbers[made.results[0]] = number
        if made.operation not in COORDINATEWISE:
            return None
        operands = list(made.operands)
        for n, operand in enumerate(operands):
            shorter = [*operands[:n], numbers.get(operand, operand), *operands[n + 1 :]]
            if _type(made, shorter) == made.results[0].type:
                operands = shorter
        return None if operands == list(made.operands) else (builder.add(made.operation, operands, **made.attributes),)

    return rewritten(program, rewrite)


def _type(made: Instruction, operands: list[Operand]) -> object:
    try:
        return OPERATIONS[made.operation].infer(*(x.type for x in operands), **made.attributes)[0]
    except TensoriaError:
        return None
