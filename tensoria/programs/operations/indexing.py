"""Operations that select: subscripts, and gathers along an axis.

A subscript is written as a tuple of parts, one for each axis of the operand and each new one: an integer, a `Cut`
(a slice), None for a new axis, or an `At` for an operand that holds positions. The rules are NumPy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tensoria.errors import AxisError, DTypeError, ShapeError
from tensoria.programs.dimensions import Dim, Size, maximum, minimum
from tensoria.programs.operations.elementwise import WHOLE, broadcast
from tensoria.programs.operations.reductions import checked_axes
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS", "At", "Cut", "Key", "selected"]


@dataclass(frozen=True)
class Cut:
    """A slice, whose bounds may be sizes of symbols; None is the end that the step's sign says."""

    start: Size | None = None
    stop: Size | None = None
    step: int = 1

    def __str__(self) -> str:
        start, stop = ("" if end is None else str(end) for end in (self.start, self.stop))
        return f"{start}:{stop}" + (f":{self.step}" if self.step != 1 else "")

    def length(self, size: Size) -> Size:
        """How many components it takes of an axis."""
        if self.start is None and self.stop is None and abs(self.step) == 1:
            return size
        if not any(isinstance(end, Dim) for end in (size, self.start, self.stop)):
            return len(range(*slice(self.start, self.stop, self.step).indices(size)))
        low, high = (0, size) if self.step > 0 else (-1, size - 1)
        start = (low if self.step > 0 else high) if self.start is None else _inside(self.start, size, low, high)
        stop = (high if self.step > 0 else low) if self.stop is None else _inside(self.stop, size, low, high)
        if self.step > 0:
            return maximum((stop - start + self.step - 1) // self.step, 0)
        return maximum((start - stop - self.step - 1) // -self.step, 0)


def _inside(position: Size, size: Size, low: Size, high: Size) -> Size:
    if isinstance(position, int) and position < 0:
        position = size + position
    return minimum(maximum(position, low), high)


@dataclass(frozen=True)
class At:
    """The place of an operand with positions: 1 is the first operand after the one that is subscripted."""

    operand: int

    def __str__(self) -> str:
        return f"<{self.operand}>"


Key: TypeAlias = tuple[int | Cut | At | None, ...]


def selected(shape: Shape, key: Key, positions: tuple[Type, ...]) -> Shape:
    """The shape that a subscript selects, by NumPy's rules.

    Raises:
        AxisError: the key has another number of parts than the operand has axes.
        IndexError: an integer is out of range.
    """
    if sum(part is not None for part in key) != len(shape):
        raise AxisError(f"a subscript of {sum(part is not None for part in key)} parts for {len(shape)} axes.")
    out: list[Size] = []
    places: list[int] = []
    axis = 0
    for n, part in enumerate(key):
        if part is None:
            out.append(1)
            continue
        size = shape[axis]
        if isinstance(part, Cut):
            out.append(part.length(size))
        elif isinstance(part, At):
            places.append(n)
        else:
            if isinstance(size, int) and not -size <= part < size:
                raise IndexError(f"position {part} is out of range for axis {axis} of size {size}.")
            if any(isinstance(other, At) for other in key):
                raise ShapeError("beside arrays of positions, integers are recorded as such arrays.")
        axis += 1
    if not places:
        return tuple(out)
    joined = broadcast([of.shape for of in positions], "positions")
    together = places[-1] - places[0] == len(places) - 1
    at = sum(1 for part in key[: places[0]] if part is None or isinstance(part, Cut)) if together else 0
    return (*out[:at], *joined, *out[at:])


def _getitem(x: Type, *positions: Type, key: Key) -> tuple[Type, ...]:
    _whole("a subscript", positions)
    return (Type(x.dtype, selected(x.shape, key, positions)),)


def _setitem(x: Type, value: Type, *positions: Type, key: Key) -> tuple[Type, ...]:
    _whole("a subscript", positions)
    same_dtype("setitem", (x, value))
    place = selected(x.shape, key, positions)
    if broadcast((place, value.shape), "setitem") != place:
        raise ShapeError(f"a value of shape {value.shape} does not broadcast to the place's shape {place}.")
    return (x,)


def _add_at(x: Type, value: Type, *positions: Type, key: Key) -> tuple[Type, ...]:
    if x.dtype.kind == "bool":
        raise DTypeError("add_at adds numbers, not bool.")
    return _setitem(x, value, *positions, key=key)


def _whole(what: str, types: tuple[Type, ...]) -> None:
    for of in types:
        if of.dtype.kind not in WHOLE:
            raise DTypeError(f"{what} takes positions, not {of.dtype}.")


def _take(x: Type, indices: Type, *, axis: int) -> tuple[Type, ...]:
    checked_axes("take", x.ndim, (axis,))
    _whole("take", (indices,))
    if indices.ndim != 1:
        raise ShapeError(f"take at positions of {indices.ndim} axes; the standard has one.", legal="a subscript, t[i]")
    return (Type(x.dtype, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])),)


def _take_along_axis(x: Type, indices: Type, *, axis: int) -> tuple[Type, ...]:
    checked_axes("take_along_axis", x.ndim, (axis,))
    _whole("take_along_axis", (indices,))
    if x.ndim != indices.ndim:
        raise ShapeError(f"take_along_axis of {x.ndim} axes with positions of {indices.ndim}.")
    shapes = [tuple(1 if i == axis else n for i, n in enumerate(of.shape)) for of in (x, indices)]
    shape = broadcast(shapes, "take_along_axis")
    return (Type(x.dtype, tuple(indices.shape[axis] if i == axis else n for i, n in enumerate(shape))),)


ROWS = {
    row.name: row
    for row in (
        Operation("getitem", ("x", "positions*"), "the components that a subscript selects", _getitem, ("key",)),
        Operation(
            "setitem", ("x", "value", "positions*"), "x with a value where a subscript selects", _setitem, ("key",)
        ),
        Operation(
            "add_at", ("x", "value", "positions*"), "x with a value added where a subscript selects, repeatedly if it "
            "selects a component repeatedly", _add_at, ("key",),
        ),
        Operation("take", ("x", "indices"), "the slices at positions along an axis", _take, ("axis",)),
        Operation(
            "take_along_axis", ("x", "indices"), "one component for each position along an axis", _take_along_axis,
            ("axis",),
        ),
    )
}  # fmt: skip
"""The operations of this chapter, by name."""
