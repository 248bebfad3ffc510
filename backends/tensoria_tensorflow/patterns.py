"""What a graph of TensorFlow does around its operations, and does without: axes of size 1, rows in one axis, masks.

They are looked for before the compositions that every program's pass "fusion" knows
(`tensoria.programs.passes.fusion`), which find their parts side by side once the movements between them are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tensoria.programs.operations.indexing import Cut
from tensoria.programs.passes import matching
from tensoria.programs.passes.fusion import COMPOSED
from tensoria.programs.passes.masks import kind_of
from tensoria.programs.passes.matching import Patterns, Work, is_number, number_of
from tensoria.programs.types import Instruction, Operand, Value

__all__ = ["fused"]


def fused(
    instructions: Sequence[Instruction], wanted: Sequence[Operand], parameters: Iterable[Value]
) -> tuple[tuple[Instruction, ...], dict[Value, Operand]]:
    """The instructions with compositions replaced by the operations that they are, and values that are others.

    Args:
        wanted: what is needed afterwards.
        parameters: the values that are weights.
    """
    return matching.fused(instructions, wanted, COMPOSED, free=MOVEMENTS, parameters=parameters, exact=True)


def _reshape(work: Work, made: Instruction) -> Any:
    """Axes of size 1 that are added and taken away; a matrix product of rows that were all in one axis."""
    (x,) = made.operands
    inner = x
    while (before := work.maker(inner, "reshape", "squeeze", "expand_dims")) is not None:
        inner = before.operands[0]
        if inner.type == made.results[0].type:
            return inner
    product = work.maker(x, "matmul", "linear") if made.operation == "reshape" else None
    if product is None or not work.once(x):
        return None
    rows = work.maker(product.operands[0], "reshape")
    wanted, shape = product.operands[1], made.results[0].type.shape
    if rows is None or len(rows.results[0].type.shape) != 2 or wanted.type.ndim != 2:
        return None
    (whole,) = rows.operands
    if whole.type.shape[:-1] != shape[:-1] or whole.type.shape[-1] != rows.results[0].type.shape[-1]:
        return None
    return (product.operation, (whole, *product.operands[1:]), dict(product.attributes))


def _permuted(work: Work, made: Instruction) -> Any:
    """Two orders of axes that are none together."""
    before = work.maker(made.operands[0], "permute_dims")
    if before is None:
        return None
    first, second = before.attributes["axes"], made.attributes["axes"]
    order = tuple(first[n] for n in second)
    if order == tuple(range(len(order))):
        return before.operands[0]
    return ("permute_dims", before.operands, {"axes": order})


def _picked(work: Work, made: Instruction) -> Any:
    """One of several values that were joined along a new axis."""
    joined = work.maker(made.operands[0], "stack")
    if joined is None or len(made.operands) > 1:
        return None
    axis, key = joined.attributes["axis"], made.attributes["key"]
    rest = [part for n, part in enumerate(key) if n != axis]
    if isinstance(key[axis], int) and all(part == Cut() for part in rest):
        return joined.operands[key[axis]]
    return None


def _where_true(work: Work, made: Instruction) -> Any:
    """A conjunction with what is always true."""
    a, b = made.operands
    for x, other in ((a, b), (b, a)):
        if kind_of(work, x) == "true" and other.type == made.results[0].type:
            return other
    return None


def _neutral(work: Work, made: Instruction) -> Any:
    """A product with 1."""
    for x, number in (made.operands, made.operands[::-1]):
        if number_of(number) == 1 and x.type == made.results[0].type:
            return x
    return None


def _embedded(work: Work, made: Instruction) -> Any:
    """Positions that count from the end if they are negative, which a look-up does by itself."""
    table, at = made.operands
    chosen = work.parts(at, "where")
    if not chosen:
        return None
    condition, moved, plain = chosen
    below = work.parts(condition, "less")
    if below and below[0] is plain and number_of(below[1]) == 0:
        for x, count in work.both(moved, "add"):
            if x is plain and number_of(count) == table.type.shape[0]:
                return ("embedding", (table, plain), {})
    return None


def _dropout(work: Work, made: Instruction) -> Any:
    """Where a drawn mask is not 0, x / (1 - rate); else 0."""
    condition, scaled, zero = made.operands
    if number_of(zero) != 0 and not (isinstance(zero, Value) and kind_of(work, zero) == "zero"):
        return None
    chosen = work.parts(condition, "not_equal")
    drawn = work.maker(chosen[0], "dropout") if chosen else None
    if drawn is None or kind_of(work, drawn.operands[0]) != "one":
        return None
    rate = drawn.attributes["rate"]
    shape, whole = drawn.operands[0].type.shape, made.results[0].type.shape
    if len(shape) != len(whole):
        return None
    shared = tuple(n for n, (m, size) in enumerate(zip(shape, whole, strict=True)) if m != size)
    attributes = {**drawn.attributes, "shared": shared}
    for x, number in work.both(scaled, "multiply"):
        if rate < 1 and is_number(number, 1 / (1 - rate)) and x.type.shape == whole:
            return ("dropout", (x, drawn.operands[1]), attributes)
    divided = work.parts(scaled, "divide")
    if divided and rate < 1 and is_number(divided[1], 1 - rate):
        return ("dropout", (divided[0], drawn.operands[1]), attributes)
    return None


MOVEMENTS: Final[Patterns] = {
    "reshape": (_reshape,), "squeeze": (_reshape,), "expand_dims": (_reshape,), "permute_dims": (_permuted,),
    "getitem": (_picked,), "logical_and": (_where_true,), "multiply": (_neutral,), "where": (_dropout,),
    "embedding": (_embedded,),
}  # fmt: skip
"""What may end in each operation."""
