"""From TensorFlow's operations to the instructions of programs: one row for each."""

from __future__ import annotations

from typing import Final

from tensoria_tensorflow.lowerings import elementwise, neural, reductions, shapes
from tensoria_tensorflow.lowerings.call import Call, Lowering

__all__ = ["EITHER", "HOST", "IGNORED", "LOWERINGS", "Call"]

CHAPTERS = (elementwise, reductions, shapes, neural)
LOWERINGS: Final[dict[str, Lowering]] = {name: row for chapter in CHAPTERS for name, row in chapter.LOWERINGS.items()}
"""What each operation records."""
HOST: Final[dict[str, tuple[int, ...]]] = {name: row for chapter in CHAPTERS for name, row in chapter.HOST.items()}
"""Which of its operands have to be known before anything runs."""
EITHER: Final[dict[str, tuple[int, ...]]] = shapes.EITHER
"""Which of its operands are handed on as known numbers where they are known."""
IGNORED: Final[frozenset[str]] = frozenset(("Assert", "NoOp", "Print", "PrintV2"))
"""Operations that check or show and compute nothing; a program checks its inputs' types and shapes."""
