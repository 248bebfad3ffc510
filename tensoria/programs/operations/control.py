"""Operations that hold programs: a choice, and two loops.

A region is a function of its inputs alone. What a function captured from around it is an operand like its arguments,
and every region of an instruction has all of them as inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.errors import DTypeError, ShapeError
from tensoria.programs.dimensions import Size
from tensoria.programs.operations.row import Operation
from tensoria.programs.types import Region, Type

__all__ = ["ROWS"]


def _texts(types: Sequence[Type]) -> str:
    return ", ".join(map(str, types)) or "nothing"


def _require(what: str, found: Sequence[Type], expected: Sequence[Type]) -> None:
    if tuple(found) != tuple(expected):
        error = DTypeError if [x.dtype for x in found] != [x.dtype for x in expected] else ShapeError
        raise error(f"{what} {_texts(found)}, and not {_texts(expected)}.")


def _require_counts(operands: Sequence[Type], *counts: int) -> None:
    if any(n < 0 for n in counts) or sum(counts) > len(operands):
        raise ShapeError(f"{' and '.join(map(str, counts))} of {len(operands)} operands.")


def _truth(what: str, of: Type) -> None:
    if of.dtype.kind != "bool" or of.shape:
        raise DTypeError(f"{what} is {of}, and not one truth value.", legal="tn.any(...) or tn.all(...)")


def _cond(condition: Type, *operands: Type, then: Region, otherwise: Region) -> tuple[Type, ...]:
    _truth("the condition", condition)
    for region in (then, otherwise):
        _require("a branch takes", region.takes(), operands)
    _require("one branch returns", otherwise.gives(), then.gives())
    return then.gives()


def _while_loop(*operands: Type, test: Region, body: Region, states: int) -> tuple[Type, ...]:
    _require_counts(operands, states)
    _require("the test takes", test.takes(), operands)
    _require("the body takes", body.takes(), operands)
    if len(test.outputs) != 1:
        raise ShapeError(f"the test returns {_texts(test.gives())}, and not one truth value.")
    _truth("the test's result", test.gives()[0])
    _require("the body makes a state of", body.gives(), operands[:states])
    return operands[:states]


def _scan(*operands: Type, body: Region, states: int, scanned: int, length: Size, reverse: bool) -> tuple[Type, ...]:
    _require_counts(operands, states, scanned)
    if isinstance(length, int) and length < 1:
        raise ShapeError("a scan over no steps.")
    state, xs, captured = operands[:states], operands[states : states + scanned], operands[states + scanned :]
    for x in xs:
        if not x.shape or x.shape[0] != length:
            raise ShapeError(f"a scan over {length} steps of {x}.")
    slices = tuple(Type(x.dtype, x.shape[1:]) for x in xs)
    _require("the body takes", body.takes(), (*state, *slices, *captured))
    _require("the body makes a state of", body.gives()[:states], state)
    return (*state, *(Type(y.dtype, (length, *y.shape)) for y in body.gives()[states:]))


ROWS = {
    row.name: row
    for row in (
        Operation(
            "cond", ("condition", "operands*"), "the results of one of two programs", _cond, ("then", "otherwise")
        ),
        Operation(
            "while_loop", ("operands*",), "a state that a program changes as long as a test of it holds", _while_loop,
            ("test", "body", "states"),
        ),
        Operation(
            "scan", ("operands*",),
            "a state that a program changes, step by step, with the slices of arrays; what each step returns, stacked",
            _scan, ("body", "states", "scanned", "length", "reverse"),
        ),
    )
}  # fmt: skip
"""The operations of this chapter, by name."""
