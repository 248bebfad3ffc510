"""What a graph holds beside arrays: variables, lists of tensors, counters of loops, random numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensoria.dtypes import DType, int64
from tensoria.errors import PortingError
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import Array, one, xp

__all__ = ["Counter", "Drawn", "Seed", "TensorList", "Variable", "WrittenList"]


@dataclass(eq=False)
class Variable:
    """A variable of the model.

    Attributes:
        name: what its parameter is called.
        native: TensorFlow's variable.
        seed: whether random numbers come from it, which a program draws from its key.
    """

    name: str
    native: Any
    seed: bool = False


@dataclass(frozen=True)
class Seed:
    """Numbers that a seed became: the program's key stands in their place."""


@dataclass(frozen=True)
class Drawn:
    """Uniform random numbers from 0 to 1.

    Attributes:
        shape: how many.
        stream: which draw of the program this is.
        of: their data type.
        stateless: whether the model draws them from a seed; those of a hidden state serve dropout only.
    """

    shape: tuple[Size, ...]
    stream: int
    of: DType
    stateless: bool


@dataclass(frozen=True)
class Counter:
    """What a loop counts: start + step n in its n-th pass.

    Attributes:
        passes: n, as an array of the program; made when it is first asked for.
    """

    start: Size
    step: int
    of: DType
    passes: Any

    def array(self) -> Array:
        """The number in this pass."""
        number = cast(self.passes(), self.of)
        if self.step != 1:
            number = xp.multiply(number, self.step)
        start = number.recorder.size(self.start, self.of)
        return number if isinstance(self.start, int) and self.start == 0 else one(number, "add", start)


@dataclass(frozen=True)
class TensorList:
    """Tensors of one type, in order; a new value for each change.

    Attributes:
        length: how many.
        of: their data type.
        shape: the shape of each, where it is known.
        stacked: all of them along a first axis, if they came or went so.
        items: some of them by their place.
    """

    length: Size
    of: DType
    shape: tuple[Size, ...] | None = None
    stacked: Array | None = None
    items: dict[int, Array] = field(default_factory=dict)

    def element(self) -> tuple[Size, ...]:
        """The shape of each.

        Raises:
            PortingError: it is not known.
        """
        if self.stacked is not None:
            return self.stacked.shape[1:]
        for item in self.items.values():
            return item.shape
        if self.shape is None:
            raise PortingError("a list of tensors whose shape is not known is not ported.")
        return self.shape

    def whole(self, recorder: Any) -> Array:
        """All of them along a first axis; 0 where there is none."""
        if self.stacked is None:
            zero = recorder.literal(0, self.of)
            element = self.element()
            if isinstance(self.length, Dim) or len(self.items) < self.length // 2:
                found = xp.broadcast_to(zero, (self.length, *element))
                for place, item in self.items.items():
                    found = _set(found, recorder.literal(place, int64), item)
                return found
            rows = [self.items.get(n) for n in range(self.length)]
            filled = [xp.broadcast_to(zero, element) if row is None else row for row in rows]
            return xp.stack(filled, axis=0) if filled else xp.broadcast_to(zero, (0, *element))
        found = self.stacked
        for place, item in self.items.items():
            found = _set(found, recorder.literal(place, int64), item)
        return found

    def get(self, recorder: Any, index: Any) -> Array:
        """One of them; the index is known, or an array."""
        if isinstance(index, np.ndarray) and not isinstance(index.item(), Dim):
            place = int(index)
            if place in self.items:
                return self.items[place]
            if self.stacked is not None:
                return getitem(self.stacked, place)
        return getitem(self.whole(recorder), _place(recorder, index))

    def set(self, recorder: Any, index: Any, value: Array) -> TensorList:
        """The list with another one at a place."""
        if isinstance(index, np.ndarray) and not isinstance(index.item(), Dim):
            # A list that may grow is written to behind its end.
            length = self.length if isinstance(self.length, Dim) else max(self.length, int(index) + 1)
            if self.stacked is not None and length != self.length:
                raise PortingError("a list of tensors that grows after a loop is not ported.")
            return TensorList(length, self.of, self.shape, self.stacked, {**self.items, int(index): value})
        if self.shape is None and self.stacked is None and not self.items:
            return TensorList(self.length, self.of, value.shape).set(recorder, index, value)
        found = _set(self.whole(recorder), _place(recorder, index), value)
        return TensorList(self.length, self.of, self.shape, found)


@dataclass(frozen=True)
class WrittenList:
    """A list that a loop's pass has written to, and not read.

    Attributes:
        number: which of the loop's values it is.
        of: its data type.
        index, value: what was written where; None if nothing was.
    """

    number: int
    of: DType
    index: Any = None
    value: Array | None = None


def _place(recorder: Any, index: Any) -> Array:
    if isinstance(index, Counter):
        return cast(index.array(), int64)
    if isinstance(index, np.ndarray):
        return recorder.size(index.item(), int64)  # type: ignore[no-any-return]
    return cast(index, int64)


def _set(x: Array, place: Array, value: Array) -> Array:
    return one(x, "setitem", value, place, key=(At(1), *(Cut(),) * (x.ndim - 1)))
