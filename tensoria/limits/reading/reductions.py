"""Axes that are summed over: sums and means, variances, extremes, softmax.

The mean over a width is a Moment; along finite axes a sum is a linear map of a family, and an extreme a function of as
many vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensoria.limits.reading.axes import leading
from tensoria.limits.reading.contractions import moment, shaped
from tensoria.limits.reading.movements import taken
from tensoria.limits.reading.nodes import BATCH, Coordinate, Det, Matrix, Node, View
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.limits.reading.rules import all_known, coordinatewise, finite_axis, known
from tensoria.programs.dimensions import Dim
from tensoria.programs.types import Instruction

__all__ = ["RULES", "largest"]


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
    det = moment(reader, node)
    if made.operation == "sum":
        number, degree = leading(coordinates[0].size, reader.decisions.widths)
        det = _times(det, number, degree)
    return View(shaped(det, tuple(left)), tuple(left))


def _times(det: Any, number: float, degree: int) -> Det:
    """A number times n^degree times known numbers."""
    found = None if det.number is None else det.number * number
    return Det(lambda s, r: det.compute(s, r) * number, det.axes, det.sizes, det.power + degree, found)


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
    parts = [taken(reader, view, {slot: n}, shown) for n in range(count)]
    return largest(reader, made, parts, "maximum" if made.operation == "max" else "minimum")


def largest(reader: Reader, made: Instruction, parts: Sequence[View], operation: str) -> View:
    """The largest or smallest of several families."""
    total = parts[0]
    for part in parts[1:]:
        one = Instruction(operation, (), {}, made.results, made.source)
        found = coordinatewise(reader, one, [total, part])
        assert isinstance(found, View)
        total = found
    return total


def softmax(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Over a finite axis: of numbers that are known in the limit, or of vectors whose coordinates are heads, say."""
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
    finite_axis(reader, view, made.attributes["axis"])
    coordinates = [slot for slots in view.axes for slot in slots if isinstance(slot, Coordinate)]
    if not any(slot.wide for slot in coordinates):
        raise reader.families.refuse("its argument stays random: it is Gaussian in the limit")
    reader.define(None, made, views)
    return [reader.known[value] for value in made.results]


RULES: dict[str, Rule] = {
    "sum": reduction, "mean": reduction, "var": variance, "max": extreme, "min": extreme,
    "softmax": softmax, "log_softmax": softmax,
}  # fmt: skip
"""The rules of this chapter, by the operation's name."""
