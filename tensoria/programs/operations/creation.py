"""Operations without operands: values that follow from sizes."""

from __future__ import annotations

from tensoria.dtypes import DType, int64
from tensoria.errors import ShapeError
from tensoria.programs.dimensions import Size, maximum
from tensoria.programs.operations.row import Operation
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS"]


def _full(value: Type, *, shape: Shape) -> tuple[Type, ...]:
    if value.shape:
        raise ShapeError(f"full repeats one component, not the shape {value.shape}.")
    return (Type(value.dtype, shape),)


def _arange(*, start: Size, stop: Size, step: int, dtype: DType) -> tuple[Type, ...]:
    count = (stop - start + step - (1 if step > 0 else -1)) // step
    return (Type(dtype, (maximum(count, 0),)),)


def _eye(*, rows: Size, columns: Size, k: int, dtype: DType) -> tuple[Type, ...]:
    return (Type(dtype, (rows, columns)),)


def _size(*, size: Size) -> tuple[Type, ...]:
    return (Type(int64),)


ROWS = {
    row.name: row
    for row in (
        Operation("full", ("value",), "one component repeated to a shape", _full, ("shape",)),
        Operation(
            "arange", (), "whole numbers from start to stop (exclusive)", _arange, ("start", "stop", "step", "dtype")
        ),
        Operation("eye", (), "ones on the k-th diagonal", _eye, ("rows", "columns", "k", "dtype")),
        Operation("size", (), "a size as a number", _size, ("size",)),
    )
}  # fmt: skip
"""The operations of this chapter, by name."""
