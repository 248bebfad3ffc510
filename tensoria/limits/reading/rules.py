"""What operations do to families: coordinatewise ones, and those that move axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

from tensoria.limits.reading.axes import aligned, leading, slot_size
from tensoria.limits.reading.components import function, linear
from tensoria.limits.reading.families import Placed
from tensoria.limits.reading.nodes import (
    BATCH,
    ZERO,
    Coordinate,
    Det,
    Matrix,
    Node,
    View,
)
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.types import Instruction

__all__ = ["RULES", "finite_axis", "node_of"]


def all_known(views: Sequence[View]) -> bool:
    """Whether all operands are numbers that are known in the limit."""
    return all(isinstance(view.of, Det) for view in views)


def number_of(view: View) -> float | None:
    """The number that an operand is, if the program holds it."""
    return view.of.number if isinstance(view.of, Det) else None


# -- known numbers, and their powers of n -----------------------------------------------------------------------------


def _power(made: Instruction, views: Sequence[View]) -> Fraction | None:
    """The power of n of a result of known numbers, where the operation is homogeneous; None where it is not."""
    powers = [view.of.power for view in views]
    operation = made.operation
    if not any(powers):
        return ZERO
    if operation == "multiply":
        return powers[0] + powers[1]
    if operation == "divide":
        return powers[0] - powers[1]
    if operation in ("negative", "abs", "astype", "reshape", "permute_dims", "expand_dims", "squeeze", "broadcast_to",
                     "getitem", "sum", "mean", "full", "stop_gradient", "relu", "max", "min"):  # fmt: skip
        return powers[0]
    if operation == "sqrt":
        return powers[0] / 2
    if operation == "reciprocal":
        return -powers[0]
    if operation == "square":
        return 2 * powers[0]
    if operation == "pow" and powers[1] == 0 and (exponent := number_of(views[1])) is not None:
        return powers[0] * Fraction(exponent).limit_denominator(64)
    if operation in ("add", "subtract") and powers[0] == powers[1]:
        return powers[0]
    if all(power <= 0 for power in powers):
        return ZERO
    return None


NUMBERS: Final[dict[str, Callable[..., float]]] = {
    "negative": lambda a: -a, "sqrt": math.sqrt, "square": lambda a: a * a, "reciprocal": lambda a: 1 / a,
    "multiply": lambda a, b: a * b, "divide": lambda a, b: a / b, "pow": lambda a, b: a**b, "astype": lambda a: a,
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "full": lambda a: a, "broadcast_to": lambda a: a,
    "reshape": lambda a: a, "expand_dims": lambda a: a, "squeeze": lambda a: a, "permute_dims": lambda a: a,
    "less": lambda a, b: float(a < b), "less_equal": lambda a, b: float(a <= b), "equal": lambda a, b: float(a == b),
    "greater": lambda a, b: float(a > b), "greater_equal": lambda a, b: float(a >= b),
    "not_equal": lambda a, b: float(a != b), "logical_and": lambda a, b: float(bool(a and b)),
    "logical_or": lambda a, b: float(bool(a or b)), "logical_not": lambda a: float(not a),
    "minimum": min, "maximum": max,
}  # fmt: skip


def known(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """An operation on known numbers."""
    if not all_known(views):
        given = made.attributes.get("axes", made.attributes.get("axis", ()))
        for axis in given if isinstance(given, tuple) else (given,):
            if any(isinstance(slot, Coordinate) and slot.wide for slot in views[0].axes[axis]):
                raise reader.families.refuse("along the width, where only sums and means have a limit")
        raise reader.families.refuse("it has no rule for vectors that grow with the width")
    power = _power(made, views)
    if power is None:
        if made.operation in ("add", "subtract"):
            powers = [view.of.power for view in views]
            larger = views[powers.index(max(powers))]
            number = number_of(larger)
            if number is not None and made.results[0].type.shape == ():
                sign = -1.0 if made.operation == "subtract" and larger is views[1] else 1.0
                return reader.literal(sign * number, larger.of.power)
        raise reader.families.refuse(
            f"its argument grows like n^{max(view.of.power for view in views)} or stays random, and has no limit",
            "divide an inner product over the width by the width, as in attention with logits q.k/d",
        )
    held = [view.of for view in views]
    vanish = [Det(lambda s, r: s.number(0.0), (), (), ZERO, 0.0) if of.power < 0 and power == 0
              and made.operation not in ("multiply", "divide", "pow") and not made.results[0].type.shape else of
              for of in held]  # fmt: skip
    views = [View(of, view.axes) if of is view.of else View(of, ()) for of, view in zip(vanish, views, strict=True)]
    numbers = [number_of(view) for view in views]
    whole = NUMBERS[made.operation](*numbers) if made.operation in NUMBERS and None not in numbers else None
    many = len(made.results) > 1
    found = [
        reader.det(made, result, views, power, n if many else None, whole) for n, result in enumerate(made.results)
    ]
    return found if many else found[0]


def size(reader: Reader, made: Instruction, views: Sequence[View]) -> View:
    """A size as a number: a width is a power of n."""
    of: Size = made.attributes["size"]
    if reader.decisions.wide(of):
        number, degree = leading(of, reader.decisions.widths)
        return reader.literal(number, Fraction(degree))
    return reader.det(made, made.results[0], views)


# -- coordinatewise operations ----------------------------------------------------------------------------------------


def node_of(reader: Reader, view: View, places: tuple[int, ...], sizes: Sequence[Size]) -> Node:
    """An operand as a family over the result's axes."""
    if isinstance(view.of, Det):
        return reader.families.constant(view.of, places, sizes)
    return reader.families.place(view.of, places, sizes)


def coordinatewise(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """An operation on components one by one."""
    if all_known(views):
        return known(reader, made, views)
    f = reader.families
    found = aligned(views, reader.decisions)
    coordinates = {slot for slots in found.axes for slot in slots if isinstance(slot, Coordinate)}
    if any(isinstance(view.of, Matrix) for view in views):
        return _of_matrices(reader, made, views)
    if len(coordinates) > 1:
        for slot in coordinates:
            if not slot.wide:
                reader.decisions.make_finite(slot)
        raise f.refuse("an outer product of vectors, coordinate by coordinate")
    operands: list[Node | Placed] = []
    for view, places in zip(views, found.places, strict=True):
        if isinstance(view.of, Det):
            operands.append((view.of, places))
        else:
            operands.append(f.place(view.of, places, found.sizes))
    node = linear(f, made.operation, operands, found.sizes)
    if node is None:
        node = function(f, made.operation, operands, found.sizes, **made.attributes)
    return View(node, found.axes)


def _of_matrices(reader: Reader, made: Instruction, views: Sequence[View]) -> View:
    """Numbers times matrices; everything else is outside of the languages."""
    f = reader.families
    matrix = next(view for view in views if isinstance(view.of, Matrix))
    others = [view for view in views if view is not matrix]
    for slots in matrix.axes:
        for slot in slots:
            if isinstance(slot, Coordinate) and not slot.wide and made.operation not in ("negative", "astype"):
                number = others[0].of.number if others and isinstance(others[0].of, Det) else None
                if number is None:
                    reader.decisions.make_finite(slot)
    if made.operation == "astype":
        return matrix
    if made.operation == "negative":
        return View(f.scale(reader.node(matrix), -1.0), matrix.axes)
    if made.operation in ("multiply", "divide") and others and isinstance(others[0].of, Det):
        det = others[0].of
        if det.number is not None and (made.operation == "multiply" or views[1] is not matrix):
            number, power = (det.number, det.power) if made.operation == "multiply" else (1 / det.number, -det.power)
            return View(f.scale(reader.node(matrix), number, power), matrix.axes)
    raise f.refuse("a function of a matrix with two width axes, coordinate by coordinate")


def where(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A choice: by known truth values it is linear."""
    if not isinstance(views[0].of, Det) or all_known(views):
        return coordinatewise(reader, made, views)
    f = reader.families
    found = aligned(views, reader.decisions)
    mask, places = views[0].of, found.places[0]
    terms = []
    for n, flipped in ((1, False), (2, True)):
        x = node_of(reader, views[n], found.places[n], found.sizes)

        def compute(session: Any, run: int, flipped: bool = flipped) -> Any:
            truth = session.known(mask, run)
            return session.floats(session.backend.xp.logical_not(truth) if flipped else truth)

        terms.append(f.weigh(Det(compute, mask.axes, mask.sizes), places, x))
    return View(f.sum(terms), found.axes)


# -- axes -------------------------------------------------------------------------------------------------------------


def permute(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Axes in another order."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    return View(view.of, tuple(view.axes[axis] for axis in made.attributes["axes"]))


def expand(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """New axes of size 1."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    old = iter(view.axes)
    axes = made.attributes["axes"]
    return View(view.of, tuple(() if n in axes else next(old) for n in range(len(view.axes) + len(axes))))


def squeeze(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Without axes of size 1."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    gone = made.attributes["axes"]
    if any(view.axes[n] for n in gone):  # a slice of a finite axis, which has kept it
        key = tuple(0 if n in gone else Cut(None, None, 1) for n in range(len(view.axes)))
        cut = Instruction("getitem", (), {"key": key}, made.results, made.source)
        return list(reader.many(reader.rules["getitem"](reader, cut, views)))
    return View(view.of, tuple(slots for n, slots in enumerate(view.axes) if n not in gone))


def reshape(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Axes merged and split: slots are dealt out again."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    decisions = reader.decisions
    waiting = [(slot, slot_size(view, slot, decisions)) for slots in view.axes for slot in slots]
    axes: list[tuple[Any, ...]] = []
    shape = made.attributes["shape"]
    for wanted in shape:
        taken: list[Any] = []
        total: Size = 1
        while total != wanted:
            if not waiting:
                raise reader.families.refuse(f"the shape {shape} takes axes apart")
            slot, length = waiting.pop(0)
            if _fits(total * length, wanted):
                taken.append(slot)
                total = total * length
                continue
            part = _quotient(wanted, total)
            if part is None or _quotient(length, part) is None:
                raise reader.families.refuse(f"the shape {shape} mixes axes of the sizes {length} and {wanted}")
            if isinstance(slot, Coordinate):
                rest = [_quotient(length, part)]
                index = len(axes) + 1
                parts: list[Size] = [part]
                while rest[0] != 1 and index < len(shape):
                    following = shape[index]
                    left = _quotient(rest[0], following)  # type: ignore[arg-type]
                    if left is None:
                        break
                    parts.append(following)
                    rest, index = [left], index + 1
                if rest[0] != 1:
                    parts.append(rest[0])  # type: ignore[arg-type]
                decisions.split(slot, tuple(of for of in parts if not (isinstance(of, int) and of == 1)))
            if slot is BATCH:
                decisions.unbatch()
            return _refined(reader, made, view, slot, part)
        axes.append(tuple(taken))
    if waiting:
        raise reader.families.refuse(f"the shape {shape}")
    return View(view.of, tuple(axes))


def _fits(total: Size, wanted: Size) -> bool:
    return total == wanted or _quotient(wanted, total) is not None


def _quotient(a: Size, b: Size) -> Size | None:
    """a / b, if that is a size."""
    if isinstance(a, int) and isinstance(b, Dim):
        return None
    quotient, rest = divmod(a, b)  # type: ignore[operator]
    return quotient if rest == 0 and not (isinstance(quotient, int) and quotient == 0) else None


def _refined(reader: Reader, made: Instruction, view: View, slot: int, part: Size) -> View | list[View]:
    """A finite axis taken apart, and the reshape tried again."""
    node = reader.node(view)
    rest = _quotient(node.sizes[slot], part)
    assert rest is not None
    sizes = (*node.sizes[:slot], part, rest, *node.sizes[slot + 1 :])

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        shape = tuple(array.shape)
        lengths = (session.size(part, run), session.size(rest, run))
        return session.backend.reshape(array, (*shape[: k + slot], *lengths, *shape[k + slot + 1 :]))

    split = reader.families.map(node, apply, f"split {slot} by {part}", sizes, True)
    axes = tuple(
        tuple(
            new for of in slots
            for new in (((slot, slot + 1) if of == slot else (of + (of > slot),)) if isinstance(of, int) else (of,))
        )
        for slots in view.axes
    )  # fmt: skip
    return reshape(reader, made, [View(split, axes)])


def broadcast_to(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """Repeated: new axes, along which a family is constant."""
    if all_known(views):
        return known(reader, made, views)
    (view,) = views
    shape = made.attributes["shape"]
    node = view.of
    axes: list[tuple[Any, ...]] = [*((),) * (len(shape) - len(view.axes)), *view.axes]
    assert isinstance(node, Node)
    sizes = list(node.sizes)
    for n, wanted in enumerate(shape):
        if axes[n] == () and not (isinstance(wanted, int) and wanted == 1):
            if reader.decisions.wide(wanted):
                raise reader.families.refuse("a random number repeated along a width")
            if reader.decisions.mapped and wanted == reader.decisions.batch:
                axes[n] = (BATCH,)
            else:
                axes[n] = (len(sizes),)
                sizes.append(wanted)
    return View(reader.families.place(node, tuple(range(len(node.sizes))), sizes), tuple(axes))


def finite_axis(reader: Reader, view: View, axis: int) -> int:
    """The finite axis of the family that an axis of its value is."""
    slots = view.axes[axis]
    if len(slots) == 1:
        (slot,) = slots
        if isinstance(slot, int):
            return slot
        if slot is BATCH:
            reader.decisions.unbatch()
        if isinstance(slot, Coordinate) and not slot.wide:
            reader.decisions.make_finite(slot)
        raise reader.families.refuse("along the width, where coordinates have no order and no limit")
    if any(slot is BATCH for slot in slots):
        reader.decisions.unbatch()
    raise reader.families.refuse("along an axis of size 1 or one that was merged of others")


COORDINATEWISE = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor log log10 log1p log2 logical_not negative "
    "reciprocal round sign signbit sin sinh sqrt square tan tanh trunc add atan2 copysign divide equal greater "
    "greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum minimum multiply "
    "not_equal pow subtract astype stop_gradient erf sigmoid relu hardtanh silu gelu"
).split()
RULES: dict[str, Rule] = {
    **dict.fromkeys(COORDINATEWISE, coordinatewise),
    "where": where, "known": known, "size": size,
    "permute_dims": permute, "expand_dims": expand, "squeeze": squeeze, "reshape": reshape,
    "broadcast_to": broadcast_to,
}  # fmt: skip
"""The rules of this chapter, by the operation's name."""
