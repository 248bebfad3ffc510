"""Passes: from a program to an equivalent one. Each is a function that can be called by itself and compared."""

from __future__ import annotations

from tensoria.programs.base import P
from tensoria.programs.passes.contraction import lower_contractions
from tensoria.programs.passes.dead_code import remove_dead_code
from tensoria.programs.passes.subexpressions import share_subexpressions

__all__ = ["lower_contractions", "lowered", "remove_dead_code", "share_subexpressions"]


def lowered(program: P) -> P:
    """The program in operations that every framework has: contractions become matrix products."""
    return remove_dead_code(lower_contractions(program))
