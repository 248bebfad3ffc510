"""Operations of neural networks that a graph has taken apart, put together again."""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.programs.recorder import Recorder
from tensoria.programs.types import Instruction, Operand

__all__ = ["fused"]


def fused(instructions: Sequence[Instruction], wanted: Sequence[Operand], recorder: Recorder) -> list[Instruction]:
    """The instructions with compositions replaced by the operation that they are."""
    return list(instructions)
