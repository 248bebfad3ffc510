"""What operations do along finite axes: sums and means, selection, joining, windows, convolutions, tables.

A convolution is a sum of MatMuls, one for each offset of its kernel (TP I, section "convolutions"); pooling and padding
are linear maps of a family; the mean over a width is a Moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tensoria.dtypes import int64
from tensoria.limits.reading.axes import aligned, leading
from tensoria.limits.reading.contractions import contraction, moment
from tensoria.limits.reading.nodes import BATCH, Coordinate, Det, Initial, Matrix, Node, View
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.limits.reading.rules import all_known, coordinatewise, finite_axis, known, node_of
from tensoria.programs.dimensions import Dim, Size, evaluated
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.types import Instruction

__all__ = ["RULES"]


# -- sums and means ---------------------------------------------------------------------------------------------------


def reduction(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A sum or mean over axes of width or finite size."""
    (view,) = views
    axes, keepdims = made.attributes["axes"], made.attributes["keepdims"]
    slots = [slot for axis in axes for slot in view.axes[axis]]
    coordinates = [slot for slot in slots if isinstance(slot, Coordinate)]
    if isinstance(view.of, Det):
        if any(slot is BATCH for slot in slots):
            reader.decisions.unbatch()
        if not coordinates or made.operation == "mean":
            return known(reader, made, views)
        number, degree = 1.0, 0
        for slot in coordinates:
            c, e = leading(slot.size, reader.decisions.widths)
            number, degree = number * c, degree + e
        found = reader.det(made, made.results[0], views, view.of.power + degree)
        return View(_times(found.of, number, 0), found.axes)
    if any(slot is BATCH for slot in slots):
        reader.decisions.unbatch()
    left: list[tuple[Any, ...]] = []
    for n, part in enumerate(view.axes):
        if n not in axes:
            left.append(part)
        elif keepdims:
            left.append(())
    finite = sorted(slot for slot in slots if isinstance(slot, int))
    node = reader.node(view)
    if isinstance(node, Matrix):
        for slot in coordinates:
            if not slot.wide:
                reader.decisions.make_finite(slot)
        raise reader.families.refuse("a sum over a matrix' axis", "matmul with a vector of ones")
    if finite:
        node = _reduced(reader, node, finite, mean=made.operation == "mean")
        numbers = {old: n for n, old in enumerate(k for k in range(len(finite) + len(node.sizes)) if k not in finite)}
        left = [tuple(numbers[s] if isinstance(s, int) else s for s in part) for part in left]
    if not coordinates:
        return View(node, tuple(left))
    for slot in coordinates:
        if not slot.wide:
            reader.decisions.make_finite(slot)
    det = moment(reader, node, None)
    if made.operation == "sum":
        number, degree = leading(coordinates[0].size, reader.decisions.widths)
        det = _times(det, number, degree)
    return View(_like(det, tuple(left)), tuple(left))


def _times(det: Any, number: float, degree: int) -> Det:
    """A number times n^degree times known numbers."""
    found = None if det.number is None else det.number * number
    return Det(lambda s, r: det.compute(s, r) * number, det.axes, det.sizes, det.power + degree, found)


def _like(det: Det, axes: tuple[tuple[Any, ...], ...]) -> Det:
    def compute(session: Any, run: int) -> Any:
        return session.shown(det.compute(session, run), axes, det.sizes, run)

    return Det(compute, axes, det.sizes, det.power, det.number)


def _reduced(reader: Reader, node: Node, finite: list[int], mean: bool) -> Node:
    name = "mean" if mean else "sum"

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, node.sizes, k, run)
        return getattr(session.backend.xp, name)(array, axis=tuple(k + n for n in finite))

    sizes = [size for n, size in enumerate(node.sizes) if n not in finite]
    return reader.families.map(node, apply, f"{name} {finite} of {node.sizes}", sizes, False)


def variance(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """The mean of squares of what differs from the mean."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    axes, keepdims = made.attributes["axes"], made.attributes["keepdims"]
    if made.attributes.get("correction"):
        finite = [s for axis in axes for s in view.axes[axis] if not isinstance(s, Coordinate)]
        if finite:
            raise reader.families.refuse("a variance divided by count - 1 over a finite axis", "correction=0")
    mean_of = Instruction("mean", made.operands, {"axes": axes, "keepdims": True}, made.results, made.source)
    middle = reduction(reader, mean_of, views)
    less = coordinatewise(reader, Instruction("subtract", (), {}, made.results, made.source), [view, middle])  # type: ignore[list-item]
    squared = coordinatewise(reader, Instruction("square", (), {}, made.results, made.source), [less])  # type: ignore[list-item]
    whole = Instruction("mean", made.operands, {"axes": axes, "keepdims": keepdims}, made.results, made.source)
    return reduction(reader, whole, [squared])  # type: ignore[list-item]


# -- selection --------------------------------------------------------------------------------------------------------


def getitem(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A subscript: of finite axes by integers and slices, of a table by positions that the data say."""
    if all_known(views):
        return known(reader, made, views)
    key = made.attributes["key"]
    view = views[0]
    if isinstance(view.of, Det):
        raise reader.families.refuse("known numbers at random positions")
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
            slot, taken, shown = _cut(reader, view, axis - 1, slots, part)
            parts[slot] = taken
            axes += shown
    return _taken(reader, view, parts, axes)


def _cut(reader: Reader, view: View, axis: int, slots: tuple[Any, ...], part: Any) -> tuple[int, Any, list[Any]]:
    """A part of one axis: of a finite one, or whole blocks of a width."""
    coordinates = [slot for slot in slots if isinstance(slot, Coordinate) and slot.wide]
    if coordinates and isinstance(part, Cut) and part.step == 1:
        slot = coordinates[0]
        number, _ = leading(slot.size, reader.decisions.widths)
        if len(slots) == 1:
            unit = _unit(slot.size, reader.decisions.widths)
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


def _unit(size: Size, widths: frozenset[str]) -> Size | None:
    if not isinstance(size, Dim):
        return None
    ((_, coefficient), *more) = size.terms
    return None if more else size // coefficient


def _blocks(place: Size, block: Size) -> Any:
    if isinstance(place, int) and place == 0:
        return 0
    quotient, rest = divmod(place, block)  # type: ignore[operator]
    return quotient if rest == 0 and isinstance(quotient, int) else None


def _taken(reader: Reader, view: View, parts: dict[int, Any], axes: list[tuple[Any, ...]]) -> View:
    node = reader.node(view)
    gone = {slot for slot, part in parts.items() if not isinstance(part, Cut)}
    numbers = {old: n for n, old in enumerate(k for k in range(len(node.sizes)) if k not in gone)}
    shown = tuple(tuple(numbers[s] if isinstance(s, int) else s for s in slots) for slots in axes)
    if not parts:
        return View(node, shown)
    if isinstance(node, (Matrix, Initial)) and len(gone) == len(parts):
        return View(_fixed(reader, node, parts), shown)
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
    return _joined(reader, views, axis, [made_of.type.shape[axis] for made_of in made.operands], made, False)


def stack(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Families joined along a new axis."""
    if all_known(views):
        return known(reader, made, views)
    axis = made.attributes["axis"]
    opened = [View(view.of, (*view.axes[:axis], (), *view.axes[axis:])) for view in views]
    return _joined(reader, opened, axis, [1] * len(views), made, True)


def _joined(
    reader: Reader, views: Sequence[View], axis: int, lengths: Sequence[Size], made: Instruction, new: bool
) -> View:
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


# -- images -----------------------------------------------------------------------------------------------------------


def windows(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Means over windows of the last axes, and interpolation: linear maps of a family."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    node = reader.node(view)
    attributes = made.attributes
    space = len(attributes["window"] if "window" in attributes else attributes["sizes"])
    lead = len(view.axes) - space
    shape = made.results[0].type.shape[lead:]
    slots = [finite_axis(reader, view, axis) if view.axes[axis] else None for axis in range(lead, len(view.axes))]
    if None in slots:
        if any(size != 1 for size in shape):
            raise reader.families.refuse("windows along an axis of size 1")
        if all(slot is None for slot in slots):
            return view
    sizes = list(node.sizes)
    gone = []
    for slot, size in zip(slots, shape, strict=True):
        if slot is not None:
            sizes[slot] = size
            if isinstance(size, int) and size == 1:
                gone.append(slot)
    left = [size for n, size in enumerate(sizes) if n not in gone]

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, node.sizes, k, run)
        return session.spatial(made, array, k, slots, gone, run)

    text = ", ".join(f"{name}={value}" for name, value in sorted(attributes.items()))
    mapped = reader.families.map(node, apply, f"{made.operation}({text}) along {slots} of {node.sizes}", left, False)
    numbers = {old: n for n, old in enumerate(n for n in range(len(sizes)) if n not in gone)}
    axes = tuple(
        tuple(numbers[s] if isinstance(s, int) else s for s in part if not (isinstance(s, int) and s in gone))
        for part in view.axes
    )
    return View(mapped, axes)


def convolution(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A sum over the kernel's offsets of products with the channels."""
    if all_known(views):
        return known(reader, made, views)
    x, kernel, *bias = views
    attributes = made.attributes
    of_x, of_kernel, of_out = attributes["numbers"]
    if attributes["groups"] != 1:
        raise reader.families.refuse(
            f"a convolution in {attributes['groups']} groups: its matrix is made of blocks, each for some channels",
            "groups=1, or a convolution for each group, joined",
        )
    space = [letter for letter in of_out if letter not in "NC"]
    shapes = dict(zip(of_x, made.operands[0].type.shape, strict=True))
    window = [int(evaluated(dict(zip(of_kernel, made.operands[1].type.shape, strict=True))[s], {})) for s in space]
    for letter in space:
        for slot in kernel.axes[of_kernel.index(letter)]:
            if isinstance(slot, Coordinate):
                reader.decisions.make_finite(slot)
    counts = dict(zip(of_out, made.results[0].type.shape, strict=True))
    terms: list[View] = []
    # The order of axes in every term: those of the result.
    for offset in itertools.product(*(range(w) for w in window)):
        shifted = x
        for letter, at, stride, (low, _), dilation in zip(
            space, offset, attributes["strides"], attributes["padding"], attributes["dilation"], strict=True
        ):
            start = at * dilation - low
            shifted = _shifted(reader, shifted, of_x.index(letter), start, stride, counts[letter], shapes[letter])
        key = tuple(
            offset[space.index(letter)] if letter in space else Cut() for letter in of_kernel
        )  # fmt: skip
        part = _kernel(reader, kernel, key, of_kernel)
        terms.append(
            contraction(reader, [shifted, part], [
                ["I" if s == "C" else s for s in of_x], [s for s in of_kernel if s not in space]
            ], ["O" if s == "C" else s for s in of_out])
        )  # fmt: skip
    total = terms[0]
    if len(terms) > 1:
        nodes = [reader.node(term) for term in terms]
        total = View(reader.families.sum(nodes), terms[0].axes)
    if not bias:
        return total
    channel = of_out.index("C")
    (slots,) = bias[0].axes
    spread_ = View(bias[0].of, tuple(slots if n == channel else () for n in range(len(of_out))))
    added = Instruction("add", (), {}, made.results, made.source)
    return coordinatewise(reader, added, [total, spread_])


def _kernel(reader: Reader, kernel: View, key: tuple[Any, ...], letters: str) -> View:
    """A convolution's matrix at one offset."""
    parts: dict[int, Any] = {}
    axes: list[tuple[Any, ...]] = []
    for slots, part in zip(kernel.axes, key, strict=True):
        if isinstance(part, Cut):
            axes.append(slots)
        elif slots:
            parts[slots[0]] = part
    return _taken(reader, kernel, parts, axes)


def _shifted(
    reader: Reader, view: View, axis: int, start: int, stride: int, count: Size, size: Size
) -> View:
    """The components at start, start + stride, ... along an axis, zeros outside of it."""
    if not view.axes[axis]:  # one position: it is met, or padding is
        if not (isinstance(size, int) and size == 1):
            raise reader.families.refuse("a convolution along an axis of size 1")
        if isinstance(count, int) and count == 1:
            return view if start == 0 else View(_nothing(reader, view), view.axes)
        raise reader.families.refuse("a convolution along an axis of size 1, with padding")
    sizes = view.of.sizes
    if isinstance(view.of, Det):
        det = view.of
        slot = view.axes[axis][0]

        def compute(session: Any, run: int) -> Any:
            return session.strided(session.known(det, run), axis, start, stride, session.size(count, run))

        made = Det(compute, det.axes, tuple(count if n == slot else s for n, s in enumerate(sizes)), det.power)
        return View(made, view.axes)
    slot = finite_axis(reader, view, axis)

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        array = session.stretched(array, sizes, k, run)
        return session.strided(array, k + slot, start, stride, session.size(count, run))

    inside = isinstance(size, int) and isinstance(count, int) and start >= 0
    inside = inside and start + stride * (count - 1) < size
    name = f"{'take' if inside else 'pad'} strided {slot} from {start} by {stride} to {count} of {sizes}"
    left = tuple(count if n == slot else s for n, s in enumerate(sizes))
    return View(reader.families.map(reader.node(view), apply, name, left, True), view.axes)


def _nothing(reader: Reader, view: View) -> Any:
    if isinstance(view.of, Det):
        det = view.of
        return Det(lambda s, r: s.known(det, r) * 0.0, det.axes, det.sizes, det.power)
    return reader.families.zero(view.of.sizes)


def max_pool(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """The largest of each window: a function of as many vectors as it has positions."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    attributes = made.attributes
    lead = len(view.axes) - len(attributes["window"])
    shape, sizes = made.results[0].type.shape, made.operands[0].type.shape
    parts = []
    for offset in itertools.product(*(range(w) for w in attributes["window"])):
        part = view
        for n, (at, width, stride, dilation, (low, high)) in enumerate(
            zip(offset, *(attributes[k] for k in ("window", "strides", "dilation", "padding")), strict=True), lead
        ):
            if low or high:
                window = range(-low, dilation * width - low, dilation)
                part = _nearest(reader, part, n, window, at, stride, shape[n], sizes[n])
            else:
                part = _shifted(reader, part, n, at * dilation, stride, shape[n], sizes[n])
        parts.append(part)
    return _extreme(reader, made, parts, "maximum")


def _nearest(
    reader: Reader, view: View, axis: int, window: Sequence[int], at: int, stride: int, count: Size, size: Size
) -> View:  # fmt: skip
    """A position of every window, or where it is padding the nearest one that is not, which changes no maximum."""
    if not isinstance(size, int) or not isinstance(count, int):
        raise reader.families.refuse("padding of an axis whose size is open", "a size that is known, or pad=0")
    places = []
    for n in range(count):
        inside = [stride * n + k for k in window if 0 <= stride * n + k < size]
        if not inside:
            raise reader.families.refuse("a window of nothing but padding", "pad=0")
        wanted = stride * n + window[at]
        places.append(min((abs(k - wanted), k) for k in inside)[1])
    if not view.axes[axis] and count == 1:
        return view
    slot, sizes = finite_axis(reader, view, axis), view.of.sizes

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        backend = session.backend
        indices = backend.asarray(places, int64, backend.device(session.like), None)
        return backend.xp.take(session.stretched(array, sizes, k, run), indices, axis=k + slot)

    left = tuple(count if n == slot else s for n, s in enumerate(sizes))
    name = f"take {places} along {slot} of {sizes}"
    return View(reader.families.map(reader.node(view), apply, name, left, True), view.axes)


def extreme(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """The largest or smallest along finite axes: a function of as many vectors."""
    (view,) = views
    axes = made.attributes["axes"]
    if all_known(views):
        if any(reader.is_batch(view.axes[axis]) for axis in axes):
            reader.decisions.unbatch()
        return known(reader, made, views)
    if len(axes) != 1:
        raise reader.families.refuse("along several axes at a time", "one axis after the other")
    (axis,) = axes
    if not view.axes[axis]:
        kept = made.attributes["keepdims"]
        return View(view.of, view.axes if kept else (*view.axes[:axis], *view.axes[axis + 1 :]))
    slot = finite_axis(reader, view, axis)
    count = reader.node(view).sizes[slot]
    if isinstance(count, Dim):
        raise reader.families.refuse(f"along an axis of {count}, which is open")
    left = [() if n == axis else slots for n, slots in enumerate(view.axes)]
    shown = left if made.attributes["keepdims"] else [slots for n, slots in enumerate(left) if n != axis]
    parts = [_taken(reader, view, {slot: n}, shown) for n in range(count)]
    return _extreme(reader, made, parts, "maximum" if made.operation == "max" else "minimum")


def _extreme(reader: Reader, made: Instruction, parts: Sequence[View], operation: str) -> View:
    """The largest or smallest of several families."""
    total = parts[0]
    for part in parts[1:]:
        one = Instruction(operation, (), {}, made.results, made.source)
        found = coordinatewise(reader, one, [total, part])
        assert isinstance(found, View)
        total = found
    return total


def softmax(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Over a finite axis of numbers that are known in the limit."""
    (view,) = views
    if isinstance(view.of, Det):
        if view.of.power > 0:
            raise reader.families.refuse(
                f"its argument grows like n^{view.of.power}", "attention logits q.k divided by the width"
            )
        axis = made.attributes["axis"]
        if reader.is_batch(view.axes[axis]):
            reader.decisions.unbatch()
        if view.of.power < 0:
            det = view.of
            view = View(Det(lambda s, r: s.known(det, r) * 0.0, det.axes, det.sizes), view.axes)
        return known(reader, made, [view])
    axis = made.attributes["axis"]
    finite_axis(reader, view, axis)
    raise reader.families.refuse("its argument stays random: it is Gaussian in the limit")


RULES: dict[str, Rule] = {
    "sum": reduction, "mean": reduction, "var": variance,
    "getitem": getitem, "embedding": embedding, "concat": concat, "stack": stack,
    "pad": pad, "flip": flip, "roll": roll,
    "mean_pool": windows, "adaptive_mean_pool": windows, "resize": windows,
    "convolution": convolution, "max_pool": max_pool, "max": extreme, "min": extreme,
    "softmax": softmax, "log_softmax": softmax,
}  # fmt: skip
"""The rules of this chapter, by the operation's name."""
