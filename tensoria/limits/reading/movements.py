"""What operations do along finite axes: selection, joining, padding, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensoria.limits.reading.axes import aligned, leading
from tensoria.limits.reading.nodes import Coordinate, Det, Initial, MatMul, Matrix, Node, Place, Scale, Sum, View
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.limits.reading.rules import all_known, finite_axis, known, node_of
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.types import Instruction

__all__ = ["RULES", "taken"]


# -- selection --------------------------------------------------------------------------------------------------------


def getitem(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A subscript: of finite axes by integers and slices, of a table by positions that the data say."""
    if all_known(views):
        return known(reader, made, views)
    key = made.attributes["key"]
    view = views[0]
    if isinstance(view.of, Det):
        raise reader.families.refuse("known numbers at random positions")
    key = tuple(_position(views, part) if isinstance(part, At) else part for part in key)
    if any(isinstance(part, At) for part in key):
        return _looked_up(reader, view, views[1:], key)
    axes: list[tuple[Any, ...]] = []
    parts: dict[int, Any] = {}
    axis = 0
    for part in key:
        if part is None:
            axes.append(())
            continue
        slots = view.axes[axis]
        axis += 1
        if isinstance(part, Cut) and part.start is None and part.stop is None and part.step == 1:
            axes.append(slots)
        elif not slots:
            axes += [()] if isinstance(part, Cut) else []
        else:
            slot, place, shown = _cut(reader, view, axis - 1, slots, part)
            parts[slot] = place
            axes += shown
    return taken(reader, view, parts, axes)


def _position(views: Sequence[View], part: At) -> Any:
    """A position as a number, if the program holds it: a counter of a loop, say."""
    view = views[part.operand]
    number = view.of.number if isinstance(view.of, Det) and not view.axes else None
    return part if number is None else int(number)


def take(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Members at positions along an axis: one that the program holds, or rows of a table."""
    if all_known(views):
        return known(reader, made, views)
    view, positions = views
    axis = made.attributes["axis"]
    if isinstance(view.of, Det):
        raise reader.families.refuse("known numbers at random positions")
    number = positions.of.number if isinstance(positions.of, Det) and not any(positions.axes) else None
    if number is None:
        return _looked_up(reader, view, [positions], (*(Cut(),) * axis, At(1), *(Cut(),) * (len(view.axes) - axis - 1)))
    if not view.axes[axis]:
        return view
    slot = finite_axis(reader, view, axis)
    return taken(reader, view, {slot: int(number)}, [*view.axes[:axis], (), *view.axes[axis + 1 :]])


def _cut(reader: Reader, view: View, axis: int, slots: tuple[Any, ...], part: Any) -> tuple[int, Any, list[Any]]:
    """A part of one axis: of a finite one, or whole blocks of a width."""
    coordinates = [slot for slot in slots if isinstance(slot, Coordinate) and slot.wide]
    if coordinates and isinstance(part, Cut) and part.step == 1:
        slot = coordinates[0]
        number, _ = leading(slot.size, reader.decisions.widths)
        if len(slots) == 1:
            unit = _unit(slot.size)
            if unit is None or number == 1:
                raise reader.families.refuse("a part of a width that is no block of it")
            reader.decisions.split(slot, (int(number), unit))
        block, first = slot.size, slots[0]
        if len(slots) == 2 and isinstance(first, int):
            start = 0 if part.start is None else _blocks(part.start, block)
            stop = view.of.sizes[first] if part.stop is None else _blocks(part.stop, block)
            if start is not None and stop is not None:
                if stop - start == 1:
                    return first, start, [(slot,)]
                return first, Cut(start, stop), [(first, slot)]
        raise reader.families.refuse("a part of a width that is no block of it")
    return finite_axis(reader, view, axis), part, [] if not isinstance(part, Cut) else [slots]


def _unit(size: Size) -> Size | None:
    if not isinstance(size, Dim):
        return None
    ((_, coefficient), *more) = size.terms
    return None if more else size // coefficient


def _blocks(place: Size, block: Size) -> Any:
    if isinstance(place, int) and place == 0:
        return 0
    quotient, rest = divmod(place, block)  # type: ignore[operator]
    return quotient if rest == 0 and isinstance(quotient, int) else None


def taken(reader: Reader, view: View, parts: dict[int, Any], axes: list[tuple[Any, ...]]) -> View:
    """A family at positions or slices of its finite axes, shown with these axes."""
    node = reader.node(view)
    gone = {slot for slot, part in parts.items() if not isinstance(part, Cut)}
    numbers = {old: n for n, old in enumerate(k for k in range(len(node.sizes)) if k not in gone)}
    shown = tuple(tuple(numbers[s] if isinstance(s, int) else s for s in slots) for slots in axes)
    if not parts:
        return View(node, shown)
    if isinstance(node, (Matrix, Initial)) and len(gone) == len(parts):
        return View(_fixed(reader, node, parts), shown)
    if len(gone) == len(parts) and (made := _picked(reader, node, parts)) is not None:
        return View(made, shown)
    if isinstance(node, Matrix):
        raise reader.families.refuse("a slice of a family of matrices", "slice its product with a vector")
    sizes = tuple(
        part.length(size) if isinstance(part := parts.get(n), Cut) else size
        for n, size in enumerate(node.sizes) if n not in gone
    )  # fmt: skip

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, node.sizes, k, run)
        key: list[Any] = [slice(None)] * k
        for n in range(len(node.sizes)):
            part = parts.get(n, slice(None))
            if isinstance(part, Cut):
                start, stop = (
                    None if end is None else session.size(end, run) for end in (part.start, part.stop)
                )
                part = slice(start, stop, part.step)
            elif not isinstance(part, slice):
                part = session.size(part, run)
            key.append(part)
        return session.backend.get_item(array, (*key, Ellipsis))

    text = ", ".join(f"{n}: {part}" for n, part in parts.items())
    return View(reader.families.map(node, apply, f"take {text} of {node.sizes}", sizes, True), shown)


def _picked(reader: Reader, node: Node, parts: dict[int, Any]) -> Node | None:
    """Members of products whose position says which matrix: those of that matrix; None where it does not.

    What is cut out of one product with queries' and keys' matrices is random by one of them alone.
    """
    f = reader.families
    if isinstance(node, Initial):
        return _fixed(reader, node, parts)
    if isinstance(node, Scale):
        inner = _picked(reader, node.x, parts)
        return None if inner is None else f.scale(inner, node.number, node.exponent)
    if isinstance(node, Sum):
        found = [_picked(reader, of, parts) for of in node.terms]
        terms = [of for of in found if of is not None]
        return f.sum(terms) if terms and len(terms) == len(found) else None
    left = [n for n in range(len(node.sizes)) if n not in parts]
    if isinstance(node, Place):
        inside = {k: parts[n] for k, n in enumerate(node.places) if n in parts}
        inner = _picked(reader, node.x, inside) if inside else node.x
        places = tuple(left.index(n) for n in node.places if n not in parts)
        return None if inner is None else f.place(inner, places, [node.sizes[n] for n in left])
    if not isinstance(node, MatMul):
        return None
    wanted = {node.out[n]: part for n, part in parts.items()}
    if any(label in node.of_x or label not in node.of_matrix for label in wanted):
        return None
    matrix = _fixed(reader, node.matrix, {n: wanted[k] for n, k in enumerate(node.of_matrix) if k in wanted})
    assert isinstance(matrix, Matrix)
    of_matrix = tuple(label for label in node.of_matrix if label not in wanted)
    out = tuple(node.out[n] for n in left)
    return f.matmul(matrix, node.x, node.side, node.count, node.degree, of_matrix, node.of_x, out, node.wide)


def _fixed(reader: Reader, node: Matrix | Initial, parts: dict[int, Any]) -> Node:
    """A parameter at positions of its finite axes."""
    free = [n for n, at in enumerate(node.fixed) if at is None]
    fixed = list(node.fixed)
    for slot, part in parts.items():
        position = part if part >= 0 else part + node.sizes[slot]
        fixed[free[slot]] = position
    sizes = [size for n, size in enumerate(node.sizes) if n not in parts]
    if isinstance(node, Matrix):
        return reader.families.matrix(node.name, node.law, sizes, tuple(fixed), node.number, node.power)
    return reader.families.initial(node.name, node.law, sizes, node.wide, tuple(fixed), node.fresh)


def _looked_up(reader: Reader, view: View, positions: Sequence[View], key: Sequence[Any]) -> View:
    """Rows of a table."""
    node = reader.node(view)
    places = [n for n, part in enumerate(key) if isinstance(part, At)]
    whole = all(isinstance(part, (At, Cut)) and (isinstance(part, At) or str(part) == ":") for part in key)
    if len(places) == 1 and whole:
        slot = finite_axis(reader, view, places[0])
        indices = positions[0]
        if isinstance(node, Initial) and node.sizes and len(node.sizes) == 1 and isinstance(indices.of, Det):
            made = reader.families.gathered(node, indices.of)
            return View(made, (*view.axes[: places[0]], *indices.axes, *view.axes[places[0] + 1 :]))
        del slot
    if isinstance(node, Matrix):
        for slots in view.axes:
            for of in slots:
                if isinstance(of, Coordinate) and not of.wide:
                    reader.decisions.make_finite(of)
    raise reader.families.refuse("vectors at positions that the data say, other than rows of a parameter")


def embedding(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Rows of a table of vectors."""
    if all_known(views):
        return known(reader, made, views)
    weight, indices = views
    return _looked_up(reader, weight, [indices], (At(1), Cut()))


# -- joining ----------------------------------------------------------------------------------------------------------


def concat(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Families joined along a finite axis."""
    if all_known(views):
        return known(reader, made, views)
    axis = made.attributes["axis"]
    return _joined(reader, views, axis, [made_of.type.shape[axis] for made_of in made.operands], False)


def stack(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Families joined along a new axis."""
    if all_known(views):
        return known(reader, made, views)
    axis = made.attributes["axis"]
    opened = [View(view.of, (*view.axes[:axis], (), *view.axes[axis:])) for view in views]
    return _joined(reader, opened, axis, [1] * len(views), True)


def _joined(reader: Reader, views: Sequence[View], axis: int, lengths: Sequence[Size], new: bool) -> View:
    """Each part with zeros where the others are, and all added."""
    f = reader.families
    for view, length in zip(views, lengths, strict=True):
        if view.axes[axis]:
            finite_axis(reader, view, axis)
        elif not new and length != 1:
            raise f.refuse("a join along an axis that is none")
    total: Size = 0
    for length in lengths:
        total = total + length
    # The joined axis stands last in every family; the others are aligned without it.
    hidden = [_without(view, axis) for view in views]
    found = aligned([View(of, axes) for of, axes, _ in hidden], reader.decisions)
    terms: list[Node] = []
    before: Size = 0
    count = len(found.sizes)
    for view, (_, _, slot), places, length in zip(views, hidden, found.places, lengths, strict=True):
        whole = range(len(view.of.sizes))
        real = dict(zip([n for n in whole if n != slot], places, strict=True))
        own = tuple(count if n == slot else real[n] for n in whole)
        node = node_of(reader, view, own, (*found.sizes, length))
        terms.append(_padded(reader, node, {count: (before, total - before - length)}, (*found.sizes, total)))
        before = before + length
    axes = list(found.axes)
    axes[axis] = (count,)
    return View(f.sum(terms), tuple(axes))


def _without(view: View, axis: int) -> tuple[Any, tuple[tuple[Any, ...], ...], int | None]:
    """A view without one of its axes: the family, the axes left, and the number of the axis."""
    slots = view.axes[axis]
    axes = (*view.axes[:axis], (), *view.axes[axis + 1 :])
    if not slots:
        return view.of, axes, None
    (slot,) = slots
    return _Hidden(view.of, slot), tuple(
        tuple((s - (s > slot)) if isinstance(s, int) else s for s in part) for part in axes
    ), slot


class _Hidden:
    """A family seen without one of its finite axes, while the others are aligned."""

    def __new__(cls, of: Any, slot: int) -> Any:
        made = object.__new__(cls)
        made.of, made.slot = of, slot
        return made

    of: Any
    slot: int

    @property
    def sizes(self) -> tuple[Size, ...]:
        return tuple(size for n, size in enumerate(self.of.sizes) if n != self.slot)


def _padded(reader: Reader, node: Node, around: dict[int, tuple[Size, Size]], sizes: Sequence[Size]) -> Node:
    """Zeros around a family along some axes."""
    if not any(any(not (isinstance(n, int) and n == 0) for n in pair) for pair in around.values()):
        return node

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, node.sizes, k, run)
        for axis, (low, high) in around.items():
            array = session.padded(array, k + axis, session.size(low, run), session.size(high, run))
        return array

    return reader.families.map(node, apply, f"pad {around} of {node.sizes}", sizes, True)


def pad(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Zeros around finite axes."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    if made.attributes["value"] != 0:
        raise reader.families.refuse("a pad with another number than 0")
    around = {}
    node = reader.node(view)
    sizes = list(node.sizes)
    for axis, (low, high) in enumerate(made.attributes["padding"]):
        if low or high:
            slot = finite_axis(reader, view, axis)
            around[slot] = (low, high)
            sizes[slot] = sizes[slot] + low + high
    return View(_padded(reader, node, around, sizes), view.axes)


def flip(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Finite axes in reverse order."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    node = reader.node(view)
    slots = [finite_axis(reader, view, axis) for axis in made.attributes["axes"]]

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, node.sizes, k, run)
        return session.backend.xp.flip(array, axis=tuple(k + slot for slot in slots))

    return View(reader.families.map(node, apply, f"flip {slots} of {node.sizes}", node.sizes, True), view.axes)


def roll(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Finite axes shifted cyclically."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    node = reader.node(view)
    slots = [finite_axis(reader, view, axis) for axis in made.attributes["axes"]]
    shifts = made.attributes["shifts"]

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, node.sizes, k, run)
        return session.backend.xp.roll(array, shifts, axis=tuple(k + slot for slot in slots))

    name = f"roll {shifts} along {slots} of {node.sizes}"
    return View(reader.families.map(node, apply, name, node.sizes, True), view.axes)


RULES: dict[str, Rule] = {
    "getitem": getitem, "take": take, "embedding": embedding, "concat": concat, "stack": stack,
    "pad": pad, "flip": flip, "roll": roll,
}  # fmt: skip
"""The rules of this chapter, by the operation's name."""
