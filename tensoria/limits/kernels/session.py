"""One computation of kernels: data on a backend, and what has been computed of them.

Examples come in *runs*, one for each set of inputs. Arrays of families have the examples' axes first (one for what is
known of a run, and for covariances in which an example meets itself; two for covariances of two sets), then the finite
axes of the first family, then those of the second. An axis of size 1 stands for one along which nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, int64
from tensoria.limits.reading.nodes import BATCH, Coordinate, Det, Node, Slot
from tensoria.planning import pattern
from tensoria.programs.dimensions import Size, evaluated
from tensoria.programs.evaluation import evaluate, place, sized
from tensoria.programs.types import Instruction

__all__ = ["Mode", "Run", "Session"]

Mode = tuple[int, int, bool]
"""The runs of both families, and whether each example meets itself only."""


@dataclass(frozen=True)
class Run:
    """One set of inputs.

    Attributes:
        arrays: native arrays, by the number of the program's input.
        sizes: of the program's symbols; a width has size 1 in what is constant along it.
        count: how many examples there are; 1 if the program does not tell them apart.
    """

    arrays: Mapping[int, Array]
    sizes: Mapping[str, int]
    count: int


class Session:
    """Data, and the arrays of what is known in the limit."""

    def __init__(self, backend: Backend, of: DType, runs: Sequence[Run], like: Array, covariance: Any) -> None:
        self.backend, self.of, self.runs, self.like = backend, of, runs, like
        self.covariance = covariance
        self._known: dict[tuple[int, int], Array] = {}
        self._kept: list[Any] = []

    # -- numbers --------------------------------------------------------------------------------------------------

    def number(self, value: complex) -> Array:
        """A number as an array."""
        return self.backend.scalar_like(value, self.of, self.like)

    def size(self, size: Size, run: int) -> int:
        """A size in a run."""
        return evaluated(size, self.runs[run].sizes)

    def shape(self, sizes: Sequence[Size], run: int) -> tuple[int, ...]:
        """Sizes in a run."""
        return tuple(evaluated(size, self.runs[run].sizes) for size in sizes)

    def floats(self, array: Array) -> Array:
        """In the data type of the computation."""
        found = self.backend.dtype(array)
        return array if found is self.of else self.backend.kernels.cast(array, self.backend.native_dtype(self.of))

    def input(self, number: int, run: int) -> Array:
        """An input of the program."""
        array = self.runs[run].arrays[number]
        return self.floats(array) if self.backend.dtype(array).kind == "float" else array

    def constant(self, array: np.ndarray[Any, Any]) -> Array:
        """A constant of the program."""
        made = self.backend.asarray(array, None, self.backend.device(self.like), True)
        return self.floats(made) if self.backend.dtype(made).kind == "float" else made

    def evaluated(self, made: Instruction, arrays: Sequence[Array], run: int, which: int | None) -> Array:
        """An instruction on known numbers."""
        attributes = {name: sized(value, self.runs[run].sizes) for name, value in made.attributes.items()}
        if made.operation in ("astype",) and made.attributes["dtype"].kind == "float":
            attributes["dtype"] = self.of
        floating = [self.backend.dtype(x).kind == "float" for x in arrays]
        arrays = [self.floats(x) if yes else x for x, yes in zip(arrays, floating, strict=True)]
        found = evaluate(self.backend, made.operation, tuple(arrays), attributes, place(self.backend, [self.like]))
        return found if which is None else found[which]

    # -- what is known --------------------------------------------------------------------------------------------

    def known(self, det: Det, run: int) -> Array:
        """Known numbers, with the axes that the program gives them."""
        key = id(det), run
        if key not in self._known:
            self._known[key] = det.compute(self, run)
            self._kept.append(det)
        return self._known[key]

    def whole(self, det: Det, run: int) -> Array:
        """Known numbers as operations along axes need them: finite axes have their size where all numbers agree."""
        array = self.known(det, run)
        if det.number is not None and not det.axes:
            return array
        before = tuple(array.shape)
        shape = tuple(
            math.prod(self._full(slot, det.sizes, run) for slot in part)
            if length == 1 and not any(isinstance(slot, Coordinate) for slot in part) else length
            for length, part in zip(before, det.axes, strict=True)
        )  # fmt: skip
        return array if shape == before else self.backend.xp.broadcast_to(array, shape)

    def family(self, det: Det, run: int) -> Array:
        """Known numbers with the examples' axis first, then the finite ones."""
        array = self.known(det, run)
        if det.number is not None and not det.axes:
            return self.backend.reshape(array, (1,) * (1 + len(det.sizes)))
        slots = [slot for slots in det.axes for slot in slots]
        shape, order = [], []
        for axis, part in enumerate(det.axes):
            wide = [slot for slot in part if isinstance(slot, Coordinate)]
            if wide and array.shape[axis] != 1:
                array = self.backend.get_item(array, (*(slice(None),) * axis, slice(0, 1), Ellipsis))
            shape += [self._length(det, slot, run, array.shape[axis]) for slot in part]
        if tuple(shape) != tuple(array.shape):
            array = self.backend.reshape(array, tuple(shape))
        order = [n for n, slot in enumerate(slots) if slot is BATCH]
        order += sorted((n for n, slot in enumerate(slots) if isinstance(slot, int)), key=lambda n: slots[n])
        order += [n for n, slot in enumerate(slots) if isinstance(slot, Coordinate)]
        if order != sorted(order):
            array = self.backend.xp.permute_dims(array, tuple(order))
        lengths = tuple(array.shape)
        first = lengths[:1] if BATCH in slots else (1,)
        count = 1 if BATCH in slots else 0
        wanted = (*first, *lengths[count : count + len(det.sizes)])
        return array if wanted == lengths else self.backend.reshape(array, wanted)

    def _length(self, det: Det, slot: Slot, run: int, present: int) -> int:
        if isinstance(slot, Coordinate):
            return 1
        if slot is BATCH:
            count = self.runs[run].count
            return count if present % count == 0 else 1
        size = self.size(det.sizes[slot], run)
        return size if present != 1 else 1

    def shown(self, array: Array, axes: Sequence[Sequence[Slot]], sizes: Sequence[Size], run: int) -> Array:
        """Numbers with the examples' axis first, as a value with those axes has them."""
        slots = [slot for part in axes for slot in part if not isinstance(slot, Coordinate)]
        if BATCH not in slots:
            array = self.backend.reshape(array, tuple(array.shape)[1:]) if array.shape[0] == 1 else array[0]
            order = slots
            lengths: dict[Any, int] = dict(enumerate(array.shape))
        else:
            order = [0 if slot is BATCH else slot + 1 for slot in slots]
            lengths = {**dict(enumerate(tuple(array.shape)[1:])), BATCH: array.shape[0]}
        if list(order) != sorted(order):
            array = self.backend.xp.permute_dims(array, tuple(order))
        whole = {slot: self._full(slot, sizes, run) for slot in slots}
        merged = any(len([s for s in part if not isinstance(s, Coordinate)]) > 1 for part in axes)
        if merged:
            array = self.backend.xp.broadcast_to(array, tuple(whole[slot] for slot in slots))
            lengths = whole
        shape = tuple(math.prod(lengths[s] for s in part if not isinstance(s, Coordinate)) for part in axes)
        return self.backend.reshape(array, shape)

    def _full(self, slot: Slot, sizes: Sequence[Size], run: int) -> int:
        return self.runs[run].count if slot is BATCH else self.size(sizes[slot], run)

    # -- arrays ---------------------------------------------------------------------------------------------------

    def placed(self, array: Array, lead: int, places: Sequence[int], count: int, after: int = 0) -> Array:
        """An array's finite axes at their places among `count`, with size 1 at the others; `after` more at the end."""
        order = sorted(range(len(places)), key=lambda n: places[n])
        if order != list(range(len(places))):
            array = self.backend.xp.permute_dims(array, (*range(lead), *(lead + n for n in order)))
        lengths = tuple(array.shape)
        shape = [1] * count
        for n, k in enumerate(order):
            shape[places[k]] = lengths[lead + n]
        wanted = (*lengths[:lead], *shape, *(1,) * after)
        return array if wanted == lengths else self.backend.reshape(array, wanted)

    def spread(self, array: Array, places: Sequence[int], sizes: Sequence[Size], run: int) -> Array:
        """Known numbers at their places, repeated to all sizes."""
        array = self.placed(array, 1, places, len(sizes))
        return self.stretched(array, sizes, 1, run)

    def stretched(self, array: Array, sizes: Sequence[Size], k: int, run: int) -> Array:
        """The axes from the k-th on repeated to their sizes."""
        shape = tuple(array.shape)
        wanted = (*shape[:k], *self.shape(sizes, run), *shape[k + len(sizes) :])
        return array if wanted == shape else self.backend.xp.broadcast_to(array, wanted)

    def contracted(self, arrays: Sequence[Array], places: Sequence[Sequence[int]], out: Sequence[int]) -> Array:
        """Products summed over all labels that the result has not; what stands before the labelled axes broadcasts."""
        made = pattern(tuple(tuple(p) for p in places), tuple(out), frozenset())
        if len(arrays) == 1:
            return self.backend.reduce_axes(made, arrays[0])
        if len(arrays) == 2:
            return self.backend.contract(made, arrays[0], arrays[1])
        return self.backend.contract_network(made, list(arrays))

    def diagonal(self, array: Array, lead: int, sizes: Sequence[Size], run: int) -> Array:
        """The components at which both families' finite axes agree."""
        count = len(sizes)
        if not count:
            return array
        array = self.stretched(self.stretched(array, sizes, lead, run), sizes, lead + count, run)
        lengths = tuple(array.shape)[:lead]
        n = math.prod(self.shape(sizes, run))
        flat = self.backend.reshape(array, (*lengths, n * n))
        flat = self.backend.get_item(flat, (Ellipsis, slice(None, None, n + 1)))
        return self.backend.reshape(flat, (*lengths, *self.shape(sizes, run)))

    def itself(self, array: Array) -> Array:
        """Of covariances of a set with itself those of each example with itself."""
        n, *rest = tuple(array.shape)[1:]
        flat = self.backend.reshape(array, (n * n, *rest))
        return self.backend.get_item(flat, (slice(None, None, n + 1), Ellipsis))

    def eye(self, count: int) -> Array:
        """The identity."""
        xp = self.backend.xp
        n = self.backend.arange_like(count, int64, self.like)
        return self.floats(xp.equal(self.backend.reshape(n, (count, 1)), self.backend.reshape(n, (1, count))))

    def padded(self, array: Array, axis: int, low: int, high: int) -> Array:
        """Zeros around one axis."""
        xp = self.backend.xp
        parts = []
        for length in (low, None, high):
            if length is None:
                parts.append(array)
            elif length:
                shape = [length if n == axis else size for n, size in enumerate(array.shape)]
                parts.append(xp.broadcast_to(self.number(0.0), tuple(shape)))
        parts = [self.floats(part) for part in parts]
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)

    def strided(self, array: Array, axis: int, start: int, stride: int, count: int) -> Array:
        """`count` components at start, start + stride, ... along an axis; zeros outside of it."""
        size = array.shape[axis]
        low = max(0, -start)
        high = max(0, start + stride * (count - 1) + 1 - size)
        if low or high:
            array = self.padded(array, axis, low, high)
        first = start + low
        key = (*(slice(None),) * axis, slice(first, first + stride * (count - 1) + 1, stride), Ellipsis)
        return self.backend.get_item(array, key)

    def kept(self, array: Array, k: int, kept: Sequence[int], count: int) -> Array:
        """A sum over all of `count` axes from the k-th on but some, which come in their order."""
        gone = [n for n in range(count) if n not in kept]
        if gone:
            array = self.backend.xp.sum(array, axis=tuple(k + n for n in gone))
        rank = {n: i for i, n in enumerate(sorted(kept))}
        order = [rank[n] for n in kept]
        after = range(k + len(kept), array.ndim if hasattr(array, "ndim") else len(array.shape))
        if order != sorted(order):
            array = self.backend.xp.permute_dims(array, (*range(k), *(k + n for n in order), *after))
        return array

    def spatial(
        self, made: Instruction, array: Array, k: int, slots: Sequence[int | None], gone: Sequence[int], run: int
    ) -> Array:
        """An operation on the last axes of images, along finite axes of a family."""
        there = [slot for slot in slots if slot is not None]
        ndim = len(array.shape)
        axes = [k + slot for slot in there]
        others = [n for n in range(ndim) if n not in axes]
        moved = self.backend.xp.permute_dims(array, (*others, *axes))
        lead = [moved.shape[n] for n in range(len(others))]
        lengths = iter(tuple(moved.shape)[len(others) :])
        flat = self.backend.reshape(moved, (math.prod(lead), 1, *(1 if s is None else next(lengths) for s in slots)))
        found = self.evaluated(made, [flat], run, None)
        left = [n for slot, n in zip(slots, tuple(found.shape)[2:], strict=True) if slot is not None]
        found = self.backend.reshape(found, (*lead, *left))
        back = [0] * ndim
        for n, axis in enumerate([*others, *axes]):
            back[axis] = n
        found = self.backend.xp.permute_dims(found, tuple(back))
        if gone:
            shape = [n for axis, n in enumerate(found.shape) if axis - k not in gone]
            found = self.backend.reshape(found, tuple(shape))
        return found

    # -- moments, by the covariances that belong to this session --------------------------------------------------

    def mean(self, x: Node, run: int) -> Array:
        """The mean of a family over its coordinates."""
        found = self.covariance.mean(x, run)
        if found is None:
            return self.backend.reshape(self.number(0.0), (1,) * (1 + len(x.sizes)))
        return found

    def inner(self, a: Node, b: Node, run: int, places: Sequence[Sequence[int]], out: Sequence[int]) -> Array:
        """E[a b] of each example with itself, over labelled finite axes."""
        found = self.covariance.of(a, b, (run, run, True))
        if found is None:
            return self.backend.reshape(self.number(0.0), (1,) * (1 + len(out)))
        found = self.stretched(self.stretched(found, a.sizes, 1, run), b.sizes, 1 + len(a.sizes), run)
        return self.contracted([found], [[*places[0], *places[1]]], out)

    # -- beside covariances ---------------------------------------------------------------------------------------

    def lead(self, mode: Mode) -> int:
        """How many axes of examples an array has."""
        return 1 if mode[2] else 2

    def beside(self, array: Array, mode: Mode, side: int, before: int, after: int) -> Array:
        """What is known of one run, as it stands beside covariances: with the other side's axes of size 1."""
        shape = tuple(array.shape)
        first = shape[:1] if mode[2] else ((shape[0], 1) if side == 0 else (1, shape[0]))
        wanted = (*first, *(1,) * before, *shape[1:], *(1,) * after)
        return array if wanted == shape else self.backend.reshape(array, wanted)
