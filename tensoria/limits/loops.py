"""Loops of a fixed body as their first steps, written out: what scaling needs to know of them.

A parameter that a loop uses has the same role in every step, and a state whose size stays in the second step stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from tensoria.limits.widths import Widened
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.types import Instruction, Operand, Region, Type, Value

__all__ = ["written_out"]

STEPS: Final = 2
"""So many steps are written out: the first state is given, and the second one depends on the parameters."""


def written_out(of: Widened) -> Widened:
    """A program in which every scan is its first two steps.

    Slices are those of these steps, and all results along time are the last one's: the program has the same uses
    and sizes, but not the same numbers.

    Args:
        of: the program; the same one comes back if it has no scan.
    """
    if not any(made.operation == "scan" for made in of.program.instructions):
        return of
    known: dict[Value, Operand] = {}
    made_of: list[Instruction] = []
    places: dict[int, int] = {}
    for number, made in enumerate(of.program.instructions):
        places[number] = len(made_of)
        made_of += _written(made, known)
    program = replace(
        of.program, instructions=tuple(made_of), outputs=tuple(_seen(x, known) for x in of.program.outputs)
    )
    scalars = {(places[number], position): scale for (number, position), scale in of.scalars.items()}
    return replace(of, program=program, scalars=scalars)


def _seen(operand: Operand, known: Mapping[Value, Operand]) -> Operand:
    return known.get(operand, operand) if isinstance(operand, Value) else operand


def _written(made: Instruction, known: dict[Value, Operand]) -> Iterator[Instruction]:
    """An instruction on the operands that stand for its own; a scan as steps."""
    operands = tuple(_seen(x, known) for x in made.operands)
    if made.operation == "scan":
        yield from _steps(made, operands, known)
    elif operands == made.operands:
        yield made
    else:
        yield replace(made, operands=operands)


def _steps(made: Instruction, operands: tuple[Operand, ...], known: dict[Value, Operand]) -> Iterator[Instruction]:
    body: Region = made.attributes["body"]
    states, scanned, length = (made.attributes[name] for name in ("states", "scanned", "length"))
    state, arrays, captured = operands[:states], operands[states : states + scanned], operands[states + scanned :]
    results: tuple[Operand, ...] = ()
    for step in range(STEPS if isinstance(length, Dim) else max(1, min(length, STEPS))):
        slices = []
        for array, of in zip(arrays, body.inputs[states : states + scanned], strict=True):
            key = (step, *(Cut() for _ in of.type.shape))
            slices.append(Value(of.type, f"{of.name}_{step}"))
            yield Instruction("getitem", (array,), {"key": key}, (slices[-1],), made.source)
        inside: dict[Value, Operand] = dict(zip(body.inputs, (*state, *slices, *captured), strict=True))
        for inner in body.instructions:
            fresh = tuple(Value(value.type, f"{value.name}_{step}", value.axes) for value in inner.results)
            yield from _written(replace(inner, results=fresh), inside)
            inside.update((old, inside.get(new, new)) for old, new in zip(inner.results, fresh, strict=True))
        results = tuple(_seen(x, inside) for x in body.outputs)
        state = results[:states]
    known.update(zip(made.results[:states], state, strict=True))
    for value, operand in zip(made.results[states:], results[states:], strict=True):
        yield from _repeated(value, operand, length, made)


def _repeated(value: Value, operand: Operand, length: Size, made: Instruction) -> Iterator[Instruction]:
    """The same value for each step."""
    one = Value(Type(value.type.dtype, (1, *operand.type.shape)), f"{value.name}_step")
    attributes: dict[str, Any] = {"axes": (0,)}
    yield Instruction("expand_dims", (operand,), attributes, (one,), made.source)
    yield Instruction("broadcast_to", (one,), {"shape": (length, *operand.type.shape)}, (value,), made.source)
