"""Axes of values as slots of families: broadcast against each other, merged, split, and decided on.

What an axis of a parameter is, is not known when the parameter is first met: an axis of finite size may be one that
inputs are summed over, or one along which outputs are iid. The reading begins with a guess and starts again when an
operation decides otherwise: `Decisions` is what has been learnt, `Again` the signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tensoria.errors import LimitError
from tensoria.limits.reading.nodes import BATCH, Coordinate, Slot, View
from tensoria.programs.dimensions import Dim, Size, product

__all__ = ["Again", "Aligned", "Decisions", "aligned", "leading", "slot_size", "slots_for"]


class Again(Exception):  # noqa: N818
    """Something was learnt: the reading starts again."""


@dataclass
class Decisions:
    """What is known of axes.

    Attributes:
        widths: the names of the width symbols.
        batch: the size of the axis along which examples stand, if it is a symbol.
        mapped: whether the examples do not see each other.
        layouts: for parameters' axes (by class) the parts that they consist of: sizes, and None for the width.
        finite: axes (by class) that are finite although they are a parameter's.
    """

    widths: frozenset[str]
    batch: Size | None
    mapped: bool = True
    layouts: dict[Any, tuple[Size, ...]] = field(default_factory=dict)
    finite: set[Any] = field(default_factory=set)
    _parents: dict[Any, Any] = field(default_factory=dict)

    def root(self, owner: Any) -> Any:
        """The class of an axis."""
        while owner in self._parents:
            owner = self._parents[owner]
        return owner

    def join(self, a: Any, b: Any) -> None:
        """Two axes are one width; what is known of one holds for both.

        Raises:
            Again: something was known of one of them.
        """
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        self._parents[b] = a
        learnt = b in self.layouts or b in self.finite or a in self.layouts or a in self.finite
        if b in self.layouts:
            self.layouts.setdefault(a, self.layouts.pop(b))
        if b in self.finite:
            self.finite.add(a)
        if learnt:
            raise Again

    def make_finite(self, slot: Coordinate) -> None:
        """An axis that was taken as one of outputs is summed over, indexed or mixed."""
        self.finite.add(self.root(slot.owner))
        raise Again

    def split(self, slot: Coordinate, parts: tuple[Size, ...]) -> None:
        """A width axis consists of parts; it is read again so.

        Raises:
            LimitError: it consists of others already.
        """
        root = self.root(slot.owner)
        if self.layouts.get(root, parts) != parts or root in self.layouts:
            raise LimitError(
                f"unsupported: reshape, an axis of {slot.size} is taken apart as {parts} and as {self.layouts[root]}"
            )
        self.layouts[root] = parts
        raise Again

    def parts(self, owner: Any, size: Size) -> list[tuple[Any, Size]]:
        """What an axis consists of, with the owner of each part.

        A part of an axis is a width of its own, as what it meets is not the whole axis; it may consist of parts again:
        the rows of a matrix for queries, keys and values are three of the width, each of these so many heads.
        """
        layout = self.layouts.get(self.root(owner))
        if layout is None:
            return [(owner, size)]
        return [found for part in layout for found in self.parts((*owner, str(part)), part)]

    def unbatch(self) -> None:
        """Examples see each other: their axis is a finite one."""
        if not self.mapped:
            raise LimitError("unsupported: an operation mixes examples in two ways")
        self.mapped = False
        raise Again

    def wide(self, size: Size) -> bool:
        """Whether a size grows with the width."""
        return isinstance(size, Dim) and any(symbol.name in self.widths for symbol in size.symbols())


def leading(size: Size, widths: frozenset[str]) -> tuple[float, int]:
    """c and e of the leading power c n^e of a size, all widths growing alike."""
    if not isinstance(size, Dim):
        return float(size), 0
    degrees: dict[int, float] = {}
    for monomial, coefficient in size.terms:
        degree = sum(str(atom) in widths for atom in monomial)
        if degree != len(monomial):
            raise LimitError(f"unsupported: the size {size}, a width times an open size")
        degrees[degree] = degrees.get(degree, 0.0) + coefficient
    top = max(degrees)
    return degrees[top], top


def slot_size(view: View, slot: Slot, decisions: Decisions) -> Size:
    """How long a part of an axis is."""
    if slot is BATCH:
        assert decisions.batch is not None
        return decisions.batch
    return slot.size if isinstance(slot, Coordinate) else view.of.sizes[slot]


def slots_for(shape: Sequence[Size], decisions: Decisions) -> tuple[tuple[tuple[Slot, ...], ...], tuple[Size, ...]]:
    """The slots of numbers that are known, and the sizes of their finite axes."""
    axes: list[tuple[Slot, ...]] = []
    sizes: list[Size] = []
    for axis, size in enumerate(shape):
        if size == 1 and not isinstance(size, Dim):
            axes.append(())
        elif decisions.wide(size):
            axes.append((Coordinate(("known", axis, str(size)), size, True),))
        elif decisions.mapped and decisions.batch is not None and size == decisions.batch:
            axes.append((BATCH,))
        elif decisions.mapped and decisions.batch is not None and isinstance(size, Dim) and size % decisions.batch == 0:
            axes.append((BATCH, len(sizes)))
            sizes.append(size // decisions.batch)
        else:
            axes.append((len(sizes),))
            sizes.append(size)
    return tuple(axes), tuple(sizes)


@dataclass(frozen=True)
class Aligned:
    """Values whose axes were broadcast against each other.

    Attributes:
        axes, sizes: slots of the result, and the sizes of its finite axes.
        places: for each value, for each of its finite axes, the number in the result.
    """

    axes: tuple[tuple[Slot, ...], ...]
    sizes: tuple[Size, ...]
    places: tuple[tuple[int, ...], ...]


def aligned(views: Sequence[View], decisions: Decisions) -> Aligned:
    """The axes of a result of values that broadcast."""
    ndim = max((len(view.axes) for view in views), default=0)
    columns = []
    for axis in range(ndim):
        column = [
            view.axes[axis - (ndim - len(view.axes))] if axis >= ndim - len(view.axes) else () for view in views
        ]
        columns.append(column)
    return joined(views, columns, decisions)


def _same_for_all(slots: tuple[Slot, ...]) -> bool:
    return all(isinstance(slot, Coordinate) and slot.owner[0] == "known" for slot in slots)


def joined(views: Sequence[View], columns: Sequence[Sequence[tuple[Slot, ...]]], decisions: Decisions) -> Aligned:
    """The axes of a result, given for each of them the slots that every value has there."""
    axes: list[tuple[Slot, ...]] = []
    sizes: list[Size] = []
    places: list[dict[int, int]] = [{} for _ in views]
    for column in columns:
        finest = max(column, key=len)
        # Known numbers along a width are the same for all its neurons, and so for the parts of it.
        column = [() if len(slots) < len(finest) and _same_for_all(slots) else slots for slots in column]
        merged: list[Slot] = []
        for part in range(len(finest)):
            merged.append(_met(views, column, part, len(finest), sizes, places, decisions))
        axes.append(tuple(merged))
    return Aligned(
        tuple(axes), tuple(sizes), tuple(tuple(of[n] for n in range(len(of))) for of in places)
    )


def _met(
    views: Sequence[View], column: Sequence[tuple[Slot, ...]], part: int, count: int, sizes: list[Size],
    places: list[dict[int, int]], decisions: Decisions,
) -> Slot:  # fmt: skip
    """One part of one axis of the result."""
    present = [(n, slots) for n, slots in enumerate(column) if slots]
    for n, slots in present:
        if len(slots) != count:
            finer = next((views[m], other) for m, other in present if len(other) == count)
            _reconcile(views[n], slots, finer, decisions)
    parts = [(n, slots[part]) for n, slots in present]
    coordinates = [slot for _, slot in parts if isinstance(slot, Coordinate)]
    others = [slot for _, slot in parts if not isinstance(slot, Coordinate)]
    if coordinates and others:
        for slot in coordinates:
            if not slot.wide:
                decisions.make_finite(slot)
        raise LimitError("unsupported: a width axis meets an axis of finite size")
    if coordinates:
        owned = [slot for slot in coordinates if slot.owner[0] != "known"] or coordinates
        for slot in owned[1:]:
            decisions.join(owned[0].owner, slot.owner)
        return owned[0]
    if any(slot is BATCH for slot in others):
        if not all(slot is BATCH for slot in others):
            decisions.unbatch()
        return BATCH
    number = len(sizes)
    sizes.append(views[parts[0][0]].of.sizes[parts[0][1]])
    for n, slot in parts:
        places[n][slot] = number
    return number


def _reconcile(view: View, slots: tuple[Slot, ...], finer: tuple[View, tuple[Slot, ...]], decisions: Decisions) -> None:
    """An axis is one in this value, and taken apart in another."""
    parts = tuple(
        slot.size if isinstance(slot, Coordinate) else slot_size(finer[0], slot, decisions) for slot in finer[1]
    )
    for slot in slots:
        if isinstance(slot, Coordinate):
            if slot.owner[0] == "known":
                raise LimitError("unsupported: numbers that are known along an axis of width and finite parts")
            decisions.split(slot, parts)
    raise LimitError(
        f"unsupported: broadcasting an axis of {product(slot_size(view, s, decisions) for s in slots)} that is "
        f"merged of {parts} elsewhere"
    )
