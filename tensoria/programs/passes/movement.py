"""Reshapes of reshapes, permutations of permutations and casts that are undone become one of them, or none.

What is looked up at all places in order, as masks are by batched rules, is there already.
"""

from __future__ import annotations

from tensoria.dtypes import DType, promoted
from tensoria.errors import DTypeError
from tensoria.programs.base import P
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import At
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Operand, Shape

__all__ = ["collapse_movement"]

SHAPES = frozenset(("reshape", "expand_dims", "squeeze", "broadcast_to"))
"""Operations that keep the components and their order (`broadcast_to` if the shape stays)."""


def collapse_movement(program: P) -> P:
    """The program without movement that other movement undoes or continues."""
    by: dict[Operand, Instruction] = {}

    def rewrite(builder: Builder, made: Instruction) -> tuple[Operand] | None:
        row = {"permute_dims": _permuted, "astype": _cast, "getitem": _looked_up}.get(made.operation)
        row = _shaped if made.operation in SHAPES else row
        found = None if row is None else row(builder, made, by)
        if found is None:
            by.update(dict.fromkeys(made.results, made))
            return None
        if builder.instructions and found in builder.instructions[-1].results:
            by[found] = builder.instructions[-1]
        return (found,)

    return rewritten(program, rewrite)


def _shaped(builder: Builder, made: Instruction, by: dict[Operand, Instruction]) -> Operand | None:
    x, shape = made.operands[0], made.results[0].type.shape
    if x.type.shape == shape:
        return x
    before = by.get(x)
    if made.operation == "broadcast_to" or before is None:
        return None
    if before.operation not in SHAPES or before.operation == "broadcast_to":
        return None
    root = before.operands[0]
    return root if root.type.shape == shape else builder.add("reshape", (root,), shape=shape)


def _permuted(builder: Builder, made: Instruction, by: dict[Operand, Instruction]) -> Operand | None:
    x, axes = made.operands[0], made.attributes["axes"]
    before = by.get(x)
    if before is not None and before.operation == "permute_dims":
        x, axes = before.operands[0], tuple(before.attributes["axes"][n] for n in axes)
    elif axes != tuple(range(len(axes))):
        return None
    return x if axes == tuple(range(len(axes))) else builder.add("permute_dims", (x,), axes=axes)


def _cast(builder: Builder, made: Instruction, by: dict[Operand, Instruction]) -> Operand | None:
    x, to = made.operands[0], made.attributes["dtype"]
    if x.type.dtype is to:
        return x
    before = by.get(x)
    if before is None or before.operation != "astype" or not _holds(x.type.dtype, before.operands[0].type.dtype):
        return None
    root = before.operands[0]
    return root if root.type.dtype is to else builder.add("astype", (root,), dtype=to)


def _looked_up(builder: Builder, made: Instruction, by: dict[Operand, Instruction]) -> Operand | None:
    """x[rows, columns] of all rows and columns in order, along axes of the result in the order of those of x."""
    x, key, result = made.operands[0], made.attributes["key"], made.results[0].type
    if len(key) != x.type.ndim or not all(isinstance(part, At) for part in key):
        return None
    along = []
    for size, part in zip(x.type.shape, key, strict=True):
        places = made.operands[part.operand]
        axes = enumerate(places.type.shape, result.ndim - places.type.ndim)
        own = [n for n, of in axes if isinstance(of, Dim) or of != 1]
        while (before := by.get(places)) is not None and before.operation in SHAPES - {"broadcast_to"}:
            places = before.operands[0]
        counted = before is not None and before.operation == "arange"
        if not counted or len(own) != 1 or before is None:
            return None
        if (before.attributes["start"], before.attributes["stop"], before.attributes["step"]) != (0, size, 1):
            return None
        along += own
    if along != sorted(set(along)) or result.shape != _spread(x.type.shape, along, result.ndim):
        return None
    return builder.add("reshape", (x,), shape=result.shape)


def _spread(sizes: Shape, along: list[int], ndim: int) -> Shape:
    """The shape with sizes along some axes, and 1 along the others."""
    shape: list[Size] = [1] * ndim
    for n, size in zip(along, sizes, strict=True):
        shape[n] = size
    return tuple(shape)


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether every number of a data type is one of another."""
    try:
        return promoted(wide, narrow) is wide
    except DTypeError:
        return False
