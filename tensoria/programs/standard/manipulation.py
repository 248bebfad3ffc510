"""Functions that move components, recorded; a shape's -1 is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensoria.errors import AxisError, ShapeError, TracingError
from tensoria.programs.dimensions import Size, product
from tensoria.programs.operations.elementwise import broadcast
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.indexing import getitem
from tensoria.programs.standard.operands import (
    axes_of,
    one,
    position,
    promote,
)

__all__ = ["FUNCTIONS", "broadcast_to", "concat", "expand", "moveaxis", "permute", "reshape"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


def reshape(x: Array, /, shape: Any, *, copy: bool | None = None) -> Array:
    sizes: list[Any] = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    open_ = [n for n, size in enumerate(sizes) if isinstance(size, int) and size == -1]
    if len(open_) > 1:
        raise ShapeError(f"a shape has one -1 at most: {tuple(sizes)}.")
    if open_:
        rest = product(size for n, size in enumerate(sizes) if n != open_[0])
        total = product(x.shape)
        size = 0 if rest == 0 else total // rest
        if rest != 0 and total % rest != 0:
            raise ShapeError(f"a value of shape {x.shape} does not reshape to {tuple(sizes)}.")
        sizes[open_[0]] = size
    wanted = tuple(sizes)
    return x if wanted == x.shape else one(x, "reshape", shape=wanted)


def permute(x: Array, /, axes: Sequence[int]) -> Array:
    order = tuple(position(axis, x.ndim) for axis in axes)
    return x if order == tuple(range(x.ndim)) else one(x, "permute_dims", axes=order)


def moveaxis(x: Array, source: Any, destination: Any, /) -> Array:
    sources, destinations = (
        [position(n, x.ndim) for n in (item if isinstance(item, (tuple, list)) else (item,))]
        for item in (source, destination)
    )
    order = [n for n in range(x.ndim) if n not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(place, axis)
    return permute(x, order)


def matrix_transpose(x: Array, /) -> Array:
    if x.ndim < 2:
        raise AxisError(f"matrix_transpose of {x.ndim} axes.")
    return permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def expand(x: Array, /, axis: Any = 0) -> Array:
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return one(x, "expand_dims", axes=axes_of(given, x.ndim + len(given)))


def _squeeze(x: Array, /, axis: Any) -> Array:
    return one(x, "squeeze", axes=axes_of(axis, x.ndim))


def broadcast_to(x: Array, /, shape: Sequence[Size]) -> Array:
    return x if tuple(shape) == x.shape else one(x, "broadcast_to", shape=tuple(shape))


def _broadcast_arrays(*arrays: Array) -> list[Array]:
    shape = broadcast([x.shape for x in arrays], "broadcast_arrays")
    return [broadcast_to(x, shape) for x in arrays]


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    parts = promote(arrays)
    if axis is None:
        parts, axis = [reshape(x, (-1,)) for x in parts], 0
    return one(parts[0], "concat", *parts[1:], axis=position(axis, parts[0].ndim))


def _stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    parts = promote(arrays)
    return one(parts[0], "stack", *parts[1:], axis=position(axis, parts[0].ndim + 1))


def _unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    place = position(axis, x.ndim)
    size = x.shape[place]
    if not isinstance(size, int):
        raise TracingError(f"unstack along an axis of size {size} makes a number of tensors that is not known.")
    return tuple(getitem(x, (*(slice(None),) * place, n)) for n in range(size))


def _flip(x: Array, /, *, axis: Axis = None) -> Array:
    return one(x, "flip", axes=axes_of(axis, x.ndim))


def _roll(x: Array, /, shift: Any, *, axis: Any = None) -> Array:
    if axis is None:
        return reshape(_roll(reshape(x, (-1,)), shift, axis=0), x.shape)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    return one(x, "roll", shifts=shifts, axes=tuple(position(n, x.ndim) for n in axes))


def _repeat(x: Array, repeats: Any, /, *, axis: int | None = None) -> Array:
    if not isinstance(repeats, int):
        raise TracingError("repeat by a tensor makes a size that is not known while tracing.", legal="an integer")
    if axis is None:
        return one(reshape(x, (-1,)), "repeat", repeats=repeats, axis=0)
    return one(x, "repeat", repeats=repeats, axis=position(axis, x.ndim))


def _tile(x: Array, repetitions: Sequence[int], /) -> Array:
    given = tuple(repetitions)
    if len(given) > x.ndim:
        x = reshape(x, (*(1,) * (len(given) - x.ndim), *x.shape))
    return one(x, "tile", repetitions=(*(1,) * (x.ndim - len(given)), *given))


def _triangle(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, k: int = 0) -> Array:
        return one(x, name, k=k)

    return function


def _meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    count = len(arrays)
    order = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    shape = tuple(arrays[order[n]].shape[0] for n in range(count))
    spread = []
    for n, x in enumerate(arrays):
        place = order.index(n)
        spread.append(broadcast_to(reshape(x, (*(1,) * place, x.shape[0], *(1,) * (count - place - 1))), shape))
    return spread


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "reshape": reshape, "permute_dims": permute, "moveaxis": moveaxis, "matrix_transpose": matrix_transpose,
    "expand_dims": expand, "squeeze": _squeeze, "broadcast_to": broadcast_to, "broadcast_arrays": _broadcast_arrays,
    "concat": concat, "stack": _stack, "unstack": _unstack, "flip": _flip, "roll": _roll, "repeat": _repeat,
    "tile": _tile, "tril": _triangle("tril"), "triu": _triangle("triu"), "meshgrid": _meshgrid,
}  # fmt: skip
"""The functions of this chapter, by name."""
