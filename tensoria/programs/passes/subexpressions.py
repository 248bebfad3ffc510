"""Equal instructions on equal operands are computed once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from tensoria.programs.base import P
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Literal, Operand, Value

__all__ = ["share_subexpressions"]


def share_subexpressions(program: P) -> P:
    """The program without repeated instructions."""
    seen: dict[Hashable, tuple[Value, ...]] = {}

    def rewrite(builder: Builder, made: Instruction) -> tuple[Operand, ...] | None:
        # What a choice or a loop computes inside, nothing outside of it sees.
        key = (builder, made.operation, tuple(map(_key, made.operands)), tuple(sorted(made.attributes.items())))
        if key in seen:
            return seen[key]
        seen[key] = made.results
        return None

    return rewritten(program, rewrite)


def _key(operand: Operand) -> Any:
    # 0.0 and -0.0 are equal numbers, and not the same literal.
    return (repr(operand.number), operand.dtype) if isinstance(operand, Literal) else operand
