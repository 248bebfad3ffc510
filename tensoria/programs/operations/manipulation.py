"""Operations that move components: shapes, orders of axes, joining, triangles."""

from __future__ import annotations

from tensoria.errors import AxisError, ShapeError
from tensoria.programs.dimensions import Size, product
from tensoria.programs.operations.elementwise import broadcast
from tensoria.programs.operations.reductions import checked_axes
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS"]


def _reshape(x: Type, *, shape: Shape) -> tuple[Type, ...]:
    if product(x.shape) != product(shape):
        raise ShapeError(f"a value of shape {x.shape} does not reshape to {shape}.")
    return (Type(x.dtype, shape),)


def _permute(x: Type, *, axes: tuple[int, ...]) -> tuple[Type, ...]:
    if sorted(axes) != list(range(x.ndim)):
        raise AxisError(f"{axes} is no order of {x.ndim} axes.")
    return (Type(x.dtype, tuple(x.shape[axis] for axis in axes)),)


def _expand(x: Type, *, axes: tuple[int, ...]) -> tuple[Type, ...]:
    checked_axes("expand_dims", x.ndim + len(axes), axes)
    sizes = iter(x.shape)
    return (Type(x.dtype, tuple(1 if n in axes else next(sizes) for n in range(x.ndim + len(axes)))),)


def _squeeze(x: Type, *, axes: tuple[int, ...]) -> tuple[Type, ...]:
    checked_axes("squeeze", x.ndim, axes)
    for axis in axes:
        if x.shape[axis] != 1:
            raise ShapeError(f"axis {axis} has size {x.shape[axis]}; only axes of size 1 are squeezed.")
    return (Type(x.dtype, tuple(size for axis, size in enumerate(x.shape) if axis not in axes)),)


def _broadcast_to(x: Type, *, shape: Shape) -> tuple[Type, ...]:
    if broadcast((x.shape, shape), "broadcast_to") != shape:
        raise ShapeError(f"a value of shape {x.shape} does not broadcast to {shape}.")
    return (Type(x.dtype, shape),)


def _concat(*types: Type, axis: int) -> tuple[Type, ...]:
    same_dtype("concat", types)
    first = types[0]
    checked_axes("concat", first.ndim, (axis,))
    total: Size = 0
    for of in types:
        others = [(m, n) for i, (m, n) in enumerate(zip(of.shape, first.shape, strict=False)) if i != axis]
        if of.ndim != first.ndim or any(m != n for m, n in others):
            raise ShapeError(f"concat along axis {axis} of shapes {first.shape} and {of.shape}.")
        total = total + of.shape[axis]
    return (Type(first.dtype, (*first.shape[:axis], total, *first.shape[axis + 1 :])),)


def _stack(*types: Type, axis: int) -> tuple[Type, ...]:
    same_dtype("stack", types)
    first = types[0]
    checked_axes("stack", first.ndim + 1, (axis,))
    for of in types:
        if of.shape != first.shape:
            raise ShapeError(f"stack of shapes {first.shape} and {of.shape}.")
    return (Type(first.dtype, (*first.shape[:axis], len(types), *first.shape[axis:])),)


def _flip(x: Type, *, axes: tuple[int, ...]) -> tuple[Type, ...]:
    checked_axes("flip", x.ndim, axes)
    return (x,)


def _roll(x: Type, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> tuple[Type, ...]:
    for axis in axes:
        checked_axes("roll", x.ndim, (axis,))
    if len(shifts) != len(axes):
        raise ShapeError(f"roll by {len(shifts)} shifts over {len(axes)} axes.")
    return (x,)


def _repeat(x: Type, *, repeats: int, axis: int) -> tuple[Type, ...]:
    checked_axes("repeat", x.ndim, (axis,))
    return (Type(x.dtype, tuple(n * repeats if i == axis else n for i, n in enumerate(x.shape))),)


def _tile(x: Type, *, repetitions: tuple[int, ...]) -> tuple[Type, ...]:
    if len(repetitions) != x.ndim:
        raise ShapeError(f"tile by {len(repetitions)} numbers of a value with {x.ndim} axes.")
    return (Type(x.dtype, tuple(n * count for n, count in zip(x.shape, repetitions, strict=True))),)


def _triangle(x: Type, *, k: int) -> tuple[Type, ...]:
    if x.ndim < 2:
        raise ShapeError("a triangle is one of a matrix.")
    return (x,)


ROWS = {
    row.name: row
    for row in (
        Operation("reshape", ("x",), "the same components in another shape", _reshape, ("shape",)),
        Operation("permute_dims", ("x",), "axes in another order", _permute, ("axes",)),
        Operation("expand_dims", ("x",), "new axes of size 1 at these places of the result", _expand, ("axes",)),
        Operation("squeeze", ("x",), "without some axes of size 1", _squeeze, ("axes",)),
        Operation("broadcast_to", ("x",), "repeated to a shape", _broadcast_to, ("shape",)),
        Operation("concat", ("arrays*",), "joined along an axis", _concat, ("axis",)),
        Operation("stack", ("arrays*",), "joined along a new axis", _stack, ("axis",)),
        Operation("flip", ("x",), "components in reverse order along axes", _flip, ("axes",)),
        Operation("roll", ("x",), "components shifted cyclically along axes", _roll, ("shifts", "axes")),
        Operation("repeat", ("x",), "each component repeated along an axis", _repeat, ("repeats", "axis")),
        Operation("tile", ("x",), "the whole repeated along every axis", _tile, ("repetitions",)),
        Operation("tril", ("x",), "zero above the k-th diagonal", _triangle, ("k",)),
        Operation("triu", ("x",), "zero below the k-th diagonal", _triangle, ("k",)),
    )
}
"""The operations of this chapter, by name."""
