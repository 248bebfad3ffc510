"""Views where arrays are immutable: writing into a part reaches the whole, as it does where memory is shared.

A part remembers what it was taken from and how; a write binds both to new arrays. A view that is only read has the
components of when it was taken: whether views see writes is unspecified, and no write is ever lost or undone by one.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import NamedTuple

from tensoria.backend import Array
from tensoria.core import BaseTensor, T
from tensoria.indices import Axes, axes

__all__ = ["View", "rebound", "refresh", "view"]


class View(NamedTuple):
    """What a tensor is a part of, where arrays are immutable."""

    whole: Callable[[], BaseTensor | None]
    take: Callable[[Array], Array]
    place: Callable[[Array, Array], Array]
    seen: Array
    """The whole's array, of which the part has the components."""


def view(whole: BaseTensor, part: T, take: Callable[[Array], Array], place: Callable[[Array, Array], Array]) -> T:
    """What would share the whole's memory, if arrays were mutable: it remembers how it is written into the whole.

    Args:
        whole: what the part is taken from.
        part: it.
        take: the part's array, from the whole's.
        place: the whole's new array, from its present one and the part's new one.
    """
    # A view of a view keeps the one between alive, and nobody the whole.
    of = (lambda: whole) if hasattr(whole, "_whole") else weakref.ref(whole)
    part._whole = View(of, take, place, whole._array)
    return part


def refresh(t: BaseTensor) -> None:
    """Before a view is written: take it again, if the whole has been written since."""
    if hasattr(t, "_whole") and (found := t._whole.whole()) is not None:
        refresh(found)
        if found._array is not t._whole.seen:
            t._array, t._whole = t._whole.take(found._array), t._whole._replace(seen=found._array)


def rebound(t: BaseTensor, array: Array) -> None:
    """Bind a tensor to the array that a write made, and what it is a view of to one that has it.

    So a function that writes into `x[k]` changes `x` where arrays are immutable, too. The other way round, a view that
    is only read has the components of when it was taken.
    """
    t._array = array
    if type(t._axes) is not Axes:
        t._axes = axes(t._axes)  # what is written need not have a declared symmetry
    if t._backend.immutable and hasattr(t, "_whole") and (found := t._whole.whole()) is not None:
        rebound(found, t._whole.place(found._array, array))
        t._whole = t._whole._replace(seen=found._array)
