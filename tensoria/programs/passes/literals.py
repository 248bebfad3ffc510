"""A constant array that repeats one number becomes that number, where the other operand has the whole shape.

What a number leaves as it is needs no instruction: x * 1, x and true.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensoria.errors import TensoriaError
from tensoria.programs.base import P
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.elementwise import ROWS, WHOLE
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Literal, Operand

__all__ = ["spread_literals"]

REPEATED = frozenset(("full", "broadcast_to", "reshape", "expand_dims"))
"""Operations that make an array of one number out of a number."""
COORDINATEWISE = frozenset(name for name, row in ROWS.items() if len(row.operands) > 1)
NEUTRAL: Mapping[str, tuple[int, tuple[int, ...], tuple[str, ...]]] = {
    "add": (0, (0, 1), WHOLE), "subtract": (0, (1,), WHOLE),  # a sum with 0.0 takes the sign of -0.0
    "multiply": (1, (0, 1), (*WHOLE, "float")), "divide": (1, (1,), ("float",)),
    "logical_and": (1, (0, 1), ("bool",)), "logical_or": (0, (0, 1), ("bool",)),
    "bitwise_and": (1, (0, 1), ("bool",)), "bitwise_or": (0, (0, 1), ("bool", *WHOLE)),
}  # fmt: skip
"""The number that changes nothing, as which operand, and for which kinds of data types."""


def spread_literals(program: P) -> P:
    """The program with `maximum(x, 0)` in place of `maximum(x, full(0))`, and `x` in place of `x * 1`."""
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
        unchanged = _unchanged(made, operands)
        if unchanged is not None:
            return (unchanged,)
        return None if operands == list(made.operands) else (builder.add(made.operation, operands, **made.attributes),)

    return rewritten(program, rewrite)


def _unchanged(made: Instruction, operands: list[Operand]) -> Operand | None:
    """The operand that the other one leaves as it is."""
    number, places, kinds = NEUTRAL.get(made.operation, (0, (), ()))
    for place in places:
        one, other = operands[place], operands[1 - place]
        if isinstance(one, Literal) and one.number == number and other.type == made.results[0].type:
            return other if one.dtype.kind in kinds else None
    return None


def _type(made: Instruction, operands: list[Operand]) -> object:
    try:
        return OPERATIONS[made.operation].infer(*(x.type for x in operands), **made.attributes)[0]
    except TensoriaError:
        return None
