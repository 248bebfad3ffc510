"""What is known of a mask without its numbers: that it is the lower triangle, or one number everywhere."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tensoria.programs.dimensions import Dim
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.passes.matching import Work, number_of, sizes_of
from tensoria.programs.types import Literal, Operand, Value

__all__ = ["always_some", "filled", "kind_of"]


def kind_of(work: Work, x: Operand) -> str:
    """What is known of an array of constants: `true`, `one`, `zero`, the lower `triangle`, what lies `ahead` of it."""
    if isinstance(x, Literal):
        if x.dtype.kind == "bool":
            return "true" if x.number else "zero"
        return {1: "one", 0: "zero"}.get(x.number, "")  # type: ignore[call-overload, no-any-return]
    made = work.makers.get(x)
    if made is None:
        return _constant(work.arrays.get(x))
    first = made.operands[0] if made.operands else None
    if made.operation in ("broadcast_to", "full", "reshape", "expand_dims") and first is not None:
        return kind_of(work, first) if made.operation != "reshape" or sizes_of(first) == sizes_of(x) else ""
    if made.operation == "getitem" and len(made.operands) == 1 and sizes_of(made.operands[0]) == sizes_of(x):
        forwards = all(not isinstance(part, Cut) or part.step == 1 for part in made.attributes["key"])
        return kind_of(work, made.operands[0]) if forwards else ""
    if made.operation == "astype" and first is not None:
        inner = kind_of(work, first)
        boolean = made.attributes["dtype"].kind == "bool"
        return {"true": "one", "one": "one"}.get(inner, inner) if not boolean else {"one": "true"}.get(inner, inner)
    if made.operation in ("tril", "triu") and first is not None:
        name = {("tril", 0): "triangle", ("triu", 1): "ahead"}.get((made.operation, made.attributes["k"]), "")
        return name if kind_of(work, first) in ("one", "true") else ""
    if made.operation == "not_equal" and number_of(made.operands[1]) == 0 and first is not None:
        inner = kind_of(work, first)
        return {"one": "true"}.get(inner, inner)
    if made.operation == "logical_not" and first is not None:
        return {"triangle": "ahead", "ahead": "triangle", "zero": "true", "true": "zero"}.get(kind_of(work, first), "")
    if made.operation in COMPARED:
        left, right = (_places(work, of, x.type.ndim) for of in made.operands)
        return COMPARED[made.operation].get((left, right), "")
    if made.operation == "logical_and" or (made.operation == "bitwise_and" and x.type.dtype.kind == "bool"):
        kinds = [kind_of(work, of) for of in made.operands]
        if "true" in kinds:
            kinds.remove("true")
            return kinds[0]
        return "triangle" if kinds == ["triangle", "triangle"] else ""
    return ""


def _places(work: Work, x: Operand, ndim: int) -> str:
    """Whether an array counts the `rows` or the `columns` of one with so many axes."""
    shape = x.type.shape
    along = [ndim - x.type.ndim + n for n, size in enumerate(shape) if isinstance(size, Dim) or size != 1]
    while (made := work.maker(x, "reshape", "expand_dims", "squeeze", "broadcast_to", "add", "astype")) is not None:
        if made.operation == "add" and number_of(made.operands[1]) != 0:
            return ""
        if made.operation == "astype" and made.attributes["dtype"].kind not in ("int", "uint", "float"):
            return ""
        if sizes_of(made.operands[0]) != sizes_of(x):
            return ""
        x = made.operands[0]
    made = work.maker(x, "arange")
    if made is None or made.attributes["start"] != 0 or made.attributes["step"] != 1 or len(along) != 1:
        return ""
    return {ndim - 2: "rows", ndim - 1: "columns"}.get(along[0], "")


COMPARED: Final = {
    "greater_equal": {("rows", "columns"): "triangle"}, "less_equal": {("columns", "rows"): "triangle"},
    "greater": {("columns", "rows"): "ahead"}, "less": {("rows", "columns"): "ahead"},
}  # fmt: skip
"""What comparisons of places are."""


def _constant(array: Any) -> str:
    if array is None or str(getattr(array, "dtype", "")) != "bool" or not array.ndim:
        return ""
    if array.all():
        return "true"
    lower = np.tril(np.ones(array.shape[-2:], bool)) if array.ndim > 1 else np.True_
    return "triangle" if (array == lower).all() else "ahead" if (array == ~lower).all() else ""


def filled(work: Work, x: Operand) -> float | None:
    """The number that every component of an array is."""
    if isinstance(x, Literal):
        return number_of(x)
    made = work.makers.get(x)
    if made is None:
        array = work.arrays.get(x)
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or not array.size:
            return None
        return float(array.flat[0]) if (array == array.flat[0]).all() else None
    if made.operation in ("full", "broadcast_to", "reshape", "expand_dims"):
        return filled(work, made.operands[0])
    if made.operation == "add":
        numbers = [filled(work, of) for of in made.operands]
        return sum(of for of in numbers if of is not None) if None not in numbers else None
    return None


def always_some(work: Work, condition: Operand, hides: bool) -> bool:
    """Whether a condition that is known leaves something to attend to in every row."""
    array = work.arrays.get(condition) if isinstance(condition, Value) else None
    if not isinstance(array, np.ndarray) or not array.ndim:
        return False
    return bool((~array if hides else array).any(axis=-1).all())
