"""What the operations of neural networks mean, in operations that every backend has.

A definition is a function of a backend and its arrays. On a framework's backend it computes; on the symbolic one it
records simpler instructions, which is how a program is rewritten for a backend that has no row for an operation. One
that needs another operation asks the backend for it first (`primitives`), then for that one's definition.
"""

from __future__ import annotations

from typing import Final

from tensoria.programs.definitions import (
    activations,
    convolutions,
    normalisation,
    randomness,
    recurrence,
    resampling,
    selection,
)
from tensoria.programs.definitions.performing import Definition

__all__ = ["DEFINITIONS"]

CHAPTERS = (activations, normalisation, convolutions, resampling, selection, recurrence, randomness)
DEFINITIONS: Final[dict[str, Definition]] = {
    name: definition for chapter in CHAPTERS for name, definition in chapter.DEFINITIONS.items()
}
"""The definitions, by the operation's name."""
