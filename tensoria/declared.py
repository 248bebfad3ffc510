"""Symmetries that a tensor remembers: T_(ij) = T_(ji), F_[ij] = -F_[ji].

`DeclaredAxes` are `Axes` with groups of positions that may be exchanged. They are interned like all axes, so that two
tensors with the same declaration still meet in one pointer comparison: sums and differences of theirs keep it at no
cost. Everything else forgets it by default, because `core.new` puts bare axes on what it makes; what provably keeps a
symmetry (multiples, renaming, permuting, moving all of a group's indices) says so with `core.kept` or `carried`.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Hashable, Sequence
from typing import Any

from tensoria.indices import MARKS, Axes, axes
from tensoria.structure import structural

__all__ = ["DeclaredAxes", "Groups", "bracketed", "carried", "common", "declare", "groups_of", "reordered"]

Groups = tuple[tuple[tuple[int, ...], bool], ...]
"""The positions of each group, ascending, and whether exchanging two of them changes the sign."""
_lock = threading.RLock()
_declared: weakref.WeakValueDictionary[Hashable, DeclaredAxes] = weakref.WeakValueDictionary()


class DeclaredAxes(Axes):
    """Axes some of which may be exchanged."""

    groups: Groups

    def __reduce__(self) -> tuple[Any, ...]:
        return declare, (axes(self.indices), self.groups)

    def __str__(self) -> str:
        return bracketed([(MARKS[index.variance], index.name) for index in self.indices], self.groups)


@structural
def declare(of: Axes, groups: Groups) -> Axes:
    """Axes with these symmetries (and no others); groups of one are none."""
    wanted = tuple(sorted((tuple(sorted(places)), odd) for places, odd in groups if len(places) > 1))
    if not wanted:
        return axes(of)
    with _lock:
        found = _declared.get((of.indices, wanted))
        if found is None:
            found = object.__new__(DeclaredAxes)
            found.__dict__.update(axes(of).__dict__)
            found.groups = wanted
            _declared[of.indices, wanted] = found
        return found


@structural
def groups_of(of: Axes) -> Groups:
    """The declared symmetries; none for bare axes."""
    return of.groups if isinstance(of, DeclaredAxes) else ()


@structural
def carried(old: Axes, new: Axes) -> Axes:
    """The new axes with those symmetries of the old ones that they can have.

    The positions correspond, counted from the last; a group whose indices have come to differ in space, basis or
    variance is no group any more.
    """
    shift = len(new.indices) - len(old.indices)
    kept = []
    for places, odd in groups_of(old):
        moved = tuple(n + shift for n in places)
        if len({(new.indices[n].basis, new.indices[n].variance) for n in moved}) == 1:
            kept.append((moved, odd))
    return declare(new, tuple(kept))


@structural
def reordered(of: Axes, order: tuple[int, ...]) -> Axes:
    """The axes in another order, where each goes with its symmetries."""
    made = axes(tuple(of.indices[n] for n in order))
    target = {old: new for new, old in enumerate(order)}
    return declare(made, tuple((tuple(target[n] for n in places), odd) for places, odd in groups_of(of)))


@structural
def common(left: Axes, right: Axes, result: Axes) -> Axes:
    """A sum's axes with the symmetries that both operands have."""

    def named(of: Axes) -> set[tuple[frozenset[str], bool]]:
        return {(frozenset(of.names[n] for n in places), odd) for places, odd in groups_of(of)}

    both = named(left) & named(right)
    return declare(result, tuple((tuple(result.position[x] for x in names), odd) for names, odd in both))


def bracketed(labels: Sequence[tuple[str, str]], groups: Groups) -> str:
    """Marks and names written with the groups' brackets, `"_[i j]"`; bars exclude what stands between, `"_[i |k| j]"`.

    >>> bracketed([("_", "i"), ("^", "k"), ("_", "j")], (((0, 2), True),))
    '_[i |^k| j]'
    """
    words = [mark + name for mark, name in labels]
    spans = sorted((places[0], places[-1]) for places, _ in groups)
    if any(first[1] > second[0] for first, second in itertools.pairwise(spans)):
        # Interleaved groups can not be written in one line; they are told one by one.
        told = ("[" + " ".join(labels[n][1] for n in p) + "]" if odd else
                "(" + " ".join(labels[n][1] for n in p) + ")" for p, odd in groups)  # fmt: skip
        return f"{' '.join(words)} with {', '.join(told)}"
    for places, odd in groups:
        first, last = places[0], places[-1]
        mark = labels[first][0]
        for n in range(first, last + 1):
            own, name = labels[n]
            word = name if own == mark else own + name
            if n not in places:
                word = ("" if n - 1 not in places else "|") + word + ("" if n + 1 not in places else "|")
            words[n] = word
        words[first] = mark + ("[" if odd else "(") + words[first]
        words[last] += "]" if odd else ")"
    return " ".join(words)
