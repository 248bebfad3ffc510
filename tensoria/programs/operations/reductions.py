"""Operations along axes: reductions, running reductions, positions, order. Axes are given, sorted and not negative."""

from __future__ import annotations

from collections.abc import Callable

from tensoria.dtypes import DType, bool_, int64
from tensoria.errors import AxisError, DTypeError, ShapeError
from tensoria.programs.operations.elementwise import ANY, INEXACT, NUMBERS, REAL
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS", "checked_axes", "reduced"]


def checked_axes(name: str, ndim: int, axes: tuple[int, ...]) -> None:
    """Raise unless axes are sorted, distinct and there.

    Raises:
        AxisError: they are not.
    """
    if list(axes) != sorted(set(axes)) or any(not 0 <= axis < ndim for axis in axes):
        raise AxisError(f"{name} over the axes {axes} of {ndim}; they are given in order, each once.")


def reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape without some axes, or with size 1 there."""
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _same(of: DType) -> DType:
    return of


def _reduction(
    name: str,
    kinds: tuple[str, ...],
    meaning: str,
    result: Callable[[DType], DType] = _same,
    *,
    more: tuple[str, ...] = (),
    empty: bool = True,
) -> Operation:
    def infer(x: Type, *, axes: tuple[int, ...], keepdims: bool, **_: object) -> tuple[Type, ...]:
        checked_axes(name, x.ndim, axes)
        if x.dtype.kind not in kinds:
            raise DTypeError(f"{name} takes {' or '.join(kinds)} components, not {x.dtype}.")
        if not empty and any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError(f"{name} over no components: the shape is {x.shape}.")
        return (Type(result(x.dtype), reduced(x.shape, axes, keepdims)),)

    return Operation(name, ("x",), meaning, infer, ("axes", "keepdims", *more))


def _position(name: str, meaning: str) -> Operation:
    def infer(x: Type, *, axis: int, keepdims: bool) -> tuple[Type, ...]:
        checked_axes(name, x.ndim, (axis,))
        if x.shape[axis] == 0:
            raise ShapeError(f"{name} over no components: the shape is {x.shape}.")
        return (Type(int64, reduced(x.shape, (axis,), keepdims)),)

    return Operation(name, ("x",), meaning, infer, ("axis", "keepdims"))


def _running(name: str, meaning: str) -> Operation:
    def infer(x: Type, *, axis: int, include_initial: bool) -> tuple[Type, ...]:
        checked_axes(name, x.ndim, (axis,))
        if not include_initial:
            return (x,)
        return (Type(x.dtype, tuple(n + 1 if i == axis else n for i, n in enumerate(x.shape))),)

    return Operation(name, ("x",), meaning, infer, ("axis", "include_initial"))


def _ordered(name: str, meaning: str, result: Callable[[DType], DType]) -> Operation:
    def infer(x: Type, *, axis: int, descending: bool, stable: bool) -> tuple[Type, ...]:
        checked_axes(name, x.ndim, (axis,))
        return (Type(result(x.dtype), x.shape),)

    return Operation(name, ("x",), meaning, infer, ("axis", "descending", "stable"))


def _searchsorted(x1: Type, x2: Type, *, side: str) -> tuple[Type, ...]:
    same_dtype("searchsorted", (x1, x2))
    if x1.ndim != 1:
        raise ShapeError(f"searchsorted looks in one axis, not in {x1.ndim}.")
    return (Type(int64, x2.shape),)


ROWS = {
    row.name: row
    for row in (
        _reduction("sum", NUMBERS, "sum over axes"),
        _reduction("prod", NUMBERS, "product over axes"),
        _reduction("max", REAL, "largest component over axes; NaN if there is one", empty=False),
        _reduction("min", REAL, "smallest component over axes; NaN if there is one", empty=False),
        _reduction("mean", INEXACT, "mean over axes"),
        _reduction(
            "var", ("float",), "variance over axes: squares divided by count - correction", more=("correction",)
        ),
        _reduction("all", ANY, "whether every component is true", lambda of: bool_),
        _reduction("any", ANY, "whether some component is true", lambda of: bool_),
        _reduction("count_nonzero", ANY, "how many components are not zero", lambda of: int64),
        _position("argmax", "position of the first largest component along an axis"),
        _position("argmin", "position of the first smallest component along an axis"),
        _running("cumulative_sum", "sums up to each component along an axis"),
        _running("cumulative_prod", "products up to each component along an axis"),
        _ordered("sort", "components in order along an axis", _same),
        _ordered("argsort", "positions that bring an axis in order", lambda of: int64),
        Operation("searchsorted", ("x1", "x2"), "where x2 would be inserted in x1", _searchsorted, ("side",)),
    )
}
"""The operations of this chapter, by name."""
