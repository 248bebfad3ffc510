"""What follows from constants and literals alone is computed once, with NumPy, when the program is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tensoria.discovery import get
from tensoria.dtypes import dtype
from tensoria.errors import TensoriaError
from tensoria.programs.base import P
from tensoria.programs.dimensions import Dim
from tensoria.programs.evaluation import evaluate
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Literal, Operand, Type, Value, regions

__all__ = ["fold_constants"]

Array = np.ndarray[Any, Any]
LIMIT: Final = 4096
"""So many components a computed constant may have, unless what it is computed of has more."""
MADE: Final = frozenset(("full", "arange", "eye", "size"))
"""Operations that say in a few words what a constant says at length: they stay, and what follows from them goes."""
EMPTY: Final = np.zeros(0)


def fold_constants(program: P) -> P:
    """The program with constants in place of what is computed of constants; parameters are none."""
    held = set(program.parameters.values())
    known: dict[Value, Array] = {
        value: array for value, array in program.arrays.items() if value not in held and _plain(value.type, array)
    }
    folded: dict[Value, Array] = {}

    def rewrite(builder: Builder, made: Instruction) -> tuple[Operand, ...] | None:
        results = None if regions(made) else _computed(made, known)
        if results is None or (builder.inner and made.operation not in MADE and any(x.ndim for x in results)):
            return None  # programs inside of instructions have no constants but numbers
        if made.operation in MADE:
            known[made.results[0]] = results[0]
            return None
        out: list[Operand] = []
        for value, array in zip(made.results, results, strict=True):
            if not array.ndim:
                out.append(Literal(array.item(), value.type.dtype))
                continue
            constant = Value(value.type, builder.fresh("c"), value.axes)
            known[constant] = folded[constant] = array
            out.append(constant)
        return tuple(out)

    program = rewritten(program, rewrite)
    return dataclasses.replace(program, arrays={**program.arrays, **folded})


def _plain(of: Type, array: Array) -> bool:
    return array.dtype.kind in "biufc" and dtype(array.dtype) is of.dtype


def _computed(made: Instruction, known: Mapping[Value, Array]) -> tuple[Array, ...] | None:
    """The results of an instruction whose operands are known, or None."""
    operands = [_number(x) if isinstance(x, Literal) else known.get(x, EMPTY) for x in made.operands]
    if any(x is EMPTY for x in operands) or _open(tuple(made.attributes.values())):
        return None
    sizes = [_count(value.type) for value in made.results]
    if None in sizes or max(x or 0 for x in sizes) > max([LIMIT, *(x.size for x in operands)]):
        return None
    try:
        with np.errstate(all="ignore"):
            found = evaluate(get("numpy"), made.operation, tuple(operands), made.attributes)
    except (TensoriaError, ArithmeticError, ValueError, IndexError, np.linalg.LinAlgError):
        return None  # it shall be raised when the program runs
    results = tuple(np.array(x) for x in ((found,) if len(made.results) == 1 else found))
    types = [value.type for value in made.results]
    fit = all(_plain(of, x) and x.shape == of.shape for of, x in zip(types, results, strict=True))
    return results if fit else None


def _number(literal: Literal) -> Array:
    name = literal.dtype.name
    return EMPTY if name == "bfloat16" else np.array(literal.number, dtype=name)


def _count(of: Type) -> int | None:
    count = 1
    for size in of.shape:
        if not isinstance(size, int):
            return None
        count *= size
    return count


def _open(value: Any) -> bool:
    """Whether an attribute depends on a size that is not known."""
    if isinstance(value, tuple):
        return any(map(_open, value))
    return isinstance(value, Dim) or (isinstance(value, Cut) and _open((value.start, value.stop)))
