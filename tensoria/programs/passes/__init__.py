"""Passes: from a program to an equivalent one. Each is a function that can be called by itself and compared.

`OPTIMISATIONS` are those that a caller switches on and off by name, in the order in which they run.
`lower_contractions` runs among them whenever a program is written out: frameworks have no other contraction that is
as fast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable
from typing import Any, Final, TypeAlias

from tensoria.errors import TracingError
from tensoria.programs.base import P
from tensoria.programs.passes.constants import fold_constants
from tensoria.programs.passes.contraction import lower_contractions
from tensoria.programs.passes.dead_code import remove_dead_code
from tensoria.programs.passes.definitions import apply_definitions
from tensoria.programs.passes.folding import fold_batch_norms
from tensoria.programs.passes.fusion import fuse_primitives
from tensoria.programs.passes.layout import channels_last
from tensoria.programs.passes.literals import spread_literals
from tensoria.programs.passes.movement import collapse_movement
from tensoria.programs.passes.order import order_contractions
from tensoria.programs.passes.rows import vectors_as_rows
from tensoria.programs.passes.storage import stored
from tensoria.programs.passes.subexpressions import share_subexpressions

__all__ = [
    "OPTIMISATIONS",
    "Chosen",
    "apply_definitions",
    "channels_last",
    "collapse_movement",
    "fold_batch_norms",
    "fold_constants",
    "fuse_primitives",
    "lower_contractions",
    "lowered",
    "optimised",
    "order_contractions",
    "remove_dead_code",
    "share_subexpressions",
    "spread_literals",
    "stored",
    "vectors_as_rows",
]

EARLY: Final[dict[str, Callable[[Any], Any]]] = {
    "constants": fold_constants, "literals": spread_literals, "subexpressions": share_subexpressions,
    "order": order_contractions,
}  # fmt: skip
LATE: Final[dict[str, Callable[[Any], Any]]] = {
    "movement": collapse_movement, "dead code": remove_dead_code,
}  # fmt: skip
"""After contractions have become matrix products between reshapes."""
SPECIAL: Final[dict[str, Callable[[Any], Any]]] = {
    "fusion": fuse_primitives, "folding": fold_batch_norms, "layout": channels_last, "rows": vectors_as_rows,
}  # fmt: skip
"""What suits some backends or uses only: it runs if it is named, or where the backend or the use asks for it."""
OPTIMISATIONS: Final = {**SPECIAL, **EARLY, **LATE}
"""The passes by name, in order."""

Chosen: TypeAlias = bool | Iterable[str]
"""All passes but the special ones, none, or those of some names."""


def optimised(program: P, passes: Chosen = True) -> P:
    """The program after passes: all, none, or those of some names.

    Raises:
        TracingError: there is no pass of that name.
    """
    for name in _names(passes):
        program = OPTIMISATIONS[name](program)
    return program


def lowered(
    program: P, passes: Chosen = True, known: Container[str] = (), *, also: Iterable[str] = (),
    updates: bool = False,
) -> P:  # fmt: skip
    """The program in operations that every framework has: contractions become matrix products, between passes.

    Args:
        passes: the passes.
        known: operations that stay, although they have a definition in simpler ones.
        also: the special passes that belong to all passes here.
        updates: whether what a call changes in the state is kept, which is no result (but one of the pure form).

    Raises:
        TracingError: there is no pass of that name, or "folding" is to go into a model whose parameters stay.
    """
    names = _names(passes)
    special = list(also) if passes is True else [name for name in names if name in SPECIAL]
    if "folding" in special and updates:
        raise TracingError(
            "a model with parameters of its own keeps them: the pass 'folding' would leave some without effect.",
            legal='p.optimised(["folding"]) first, which makes them constants',
        )
    if program.updates and not updates:
        special = [name for name in special if name != "folding"]
        program = dataclasses.replace(program, updates={})
    for name in (name for name in SPECIAL if name in special):
        program = remove_dead_code(collapse_movement(SPECIAL[name](program)))
    program = apply_definitions(program, known)
    early, late = ([name for name in names if name in group] for group in (EARLY, LATE))
    # Lowering repeats moves of shared operands, which the late passes and one more look for repetition remove.
    program = lower_contractions(optimised(program, early))
    program = optimised(program, [name for name in late if name != "dead code"])
    if "subexpressions" in names:
        program = share_subexpressions(program)
    return remove_dead_code(program)


def _names(passes: Chosen) -> list[str]:
    if isinstance(passes, bool):
        return [name for name in OPTIMISATIONS if name not in SPECIAL] if passes else []
    wanted = [passes] if isinstance(passes, str) else list(passes)
    for name in wanted:
        if name not in OPTIMISATIONS:
            raise TracingError(f"there is no pass {name!r}.", legal=", ".join(OPTIMISATIONS))
    return [name for name in OPTIMISATIONS if name in wanted]
