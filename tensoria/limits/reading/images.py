"""What operations do to images: windows, convolutions, pooling.

A convolution is a sum of MatMuls, one for each offset of its kernel (TP I, section "convolutions"); averages over
windows are linear maps of a family.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tensoria.dtypes import int64
from tensoria.limits.reading.contractions import contraction
from tensoria.limits.reading.movements import taken
from tensoria.limits.reading.nodes import Coordinate, Det, View
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.limits.reading.reductions import largest
from tensoria.limits.reading.rules import all_known, coordinatewise, finite_axis, known, reshape
from tensoria.programs.dimensions import Size, evaluated
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.types import Instruction, Type, Value

__all__ = ["RULES"]


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
    space = [letter for letter in of_out if letter not in "NC"]
    shapes = dict(zip(of_x, made.operands[0].type.shape, strict=True))
    window = [int(evaluated(dict(zip(of_kernel, made.operands[1].type.shape, strict=True))[s], {})) for s in space]
    for letter in space:
        for slot in kernel.axes[of_kernel.index(letter)]:
            if isinstance(slot, Coordinate):
                reader.decisions.make_finite(slot)
    counts = dict(zip(of_out, made.results[0].type.shape, strict=True))
    groups = attributes["groups"]
    if groups != 1:
        x = _grouped(reader, x, made.operands[0].type, of_x.index("C"), groups)
        filters = made.operands[1].type
        kernel = _grouped(reader, kernel, filters, of_kernel.index("O"), groups)
        of_x, of_kernel, of_out = of_x.replace("C", "GC"), of_kernel.replace("O", "GO"), of_out.replace("C", "GC")
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
        part = _kernel(reader, kernel, key)
        terms.append(
            contraction(reader, [shifted, part], [
                ["I" if s == "C" else s for s in of_x], [s for s in of_kernel if s not in space]
            ], ["O" if s == "C" else s for s in of_out])
        )  # fmt: skip
    total = terms[0]
    if len(terms) > 1:
        nodes = [reader.node(term) for term in terms]
        total = View(reader.families.sum(nodes), terms[0].axes)
    channel = of_out.index("C")
    if groups != 1:
        channel -= 1
        merged = (*total.axes[channel], *total.axes[channel + 1])
        total = View(total.of, (*total.axes[:channel], merged, *total.axes[channel + 2 :]))
    if not bias:
        return total
    (slots,) = bias[0].axes
    spread_ = View(bias[0].of, tuple(slots if n == channel else () for n in range(len(total.axes))))
    added = Instruction("add", (), {}, made.results, made.source)
    return coordinatewise(reader, added, [total, spread_])


def _grouped(reader: Reader, view: View, of: Type, axis: int, groups: Size) -> View:
    """An axis of channels as two: groups, and the channels of each.

    A fixed number of groups is a finite axis, with a matrix for each. Where the number grows, groups are the width, and
    a kernel is a vector of weights that channels are multiplied by (depthwise convolutions).
    """
    shape = of.shape
    if groups == shape[axis] and not isinstance(view.of, Det):  # whatever groups channels are in elsewhere
        return View(view.of, (*view.axes[: axis + 1], (), *view.axes[axis + 1 :]))
    parts = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    made = Instruction("reshape", (), {"shape": parts}, (Value(Type(of.dtype, parts), "grouped"),))
    found = reshape(reader, made, [view])
    assert isinstance(found, View)
    return found


def _kernel(reader: Reader, kernel: View, key: tuple[Any, ...]) -> View:
    """A convolution's matrix at one offset."""
    parts: dict[int, Any] = {}
    axes: list[tuple[Any, ...]] = []
    for slots, part in zip(kernel.axes, key, strict=True):
        if isinstance(part, Cut):
            axes.append(slots)
        elif slots:
            parts[slots[0]] = part
    return taken(reader, kernel, parts, axes)


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
    return largest(reader, made, parts, "maximum")


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


RULES: dict[str, Rule] = {
    "mean_pool": windows, "adaptive_mean_pool": windows, "resize": windows,
    "convolution": convolution, "max_pool": max_pool,
}  # fmt: skip
"""The rules of this chapter, by the operation's name."""
