"""Reverse mode: instructions read backwards, each with its rule, into a recorder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from tensoria.calculus.lifting import opposite
from tensoria.errors import TracingError
from tensoria.programs import recorder as recording
from tensoria.programs.derivatives import RULES, WITHOUT
from tensoria.programs.derivatives.rule import Array, Call, fitted, zeros
from tensoria.programs.passes.dead_code import live
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.types import Instruction, Operand, Type, Value

__all__ = ["differentiable", "pulled", "pulled_back", "pushed", "reached"]


def differentiable(of: Type) -> bool:
    """Whether a value of a type has derivatives: it is of floating-point or complex numbers."""
    return of.dtype.kind in ("float", "complex")


def reached(instructions: Iterable[Instruction], wanted: Collection[Value]) -> set[Value]:
    """The values that depend differentiably on some others, these included."""
    found = {value for value in wanted if differentiable(value.type)}
    for made in instructions:
        if made.operation not in WITHOUT and any(x in found for x in made.operands):
            found.update(value for value in made.results if differentiable(value.type))
    return found


def pulled_back(
    into: Recorder, instructions: Sequence[Instruction], given: Mapping[Value, Array], wanted: Collection[Value]
) -> dict[Value, Array]:
    """The cotangents of values, from those of others that were computed from them.

    Args:
        into: what the derivative is written into; the instructions' values are known there.
        instructions: what leads from the one to the others.
        given: the cotangents of results; a value may be given that is wanted itself.
        wanted: the values whose cotangents are asked for. One that nothing depends on is missing in the result.
    """
    on_path = reached(instructions, wanted)
    cotangents = {value: g for value, g in given.items() if value in on_path}

    def add(operand: Operand, g: Any) -> None:
        if not isinstance(operand, Value) or operand not in on_path:
            return
        g = g() if callable(g) else g
        if g is None:
            return
        g = fitted(g, operand.type)
        known = cotangents.get(operand)
        cotangents[operand] = total = g if known is None else known + g
        recording.labelled(total, opposite(operand.axes))

    for made in reversed(instructions):
        if not any(value in cotangents for value in made.results):
            continue
        needed = tuple(x in on_path for x in made.operands)
        if not any(needed):
            continue
        call = Call(
            tuple(SymbolicArray(x, into) for x in made.operands),
            tuple(SymbolicArray(x, into) for x in made.results),
            made.attributes,
            needed,
            _through,
            into,
        )
        rule = RULES.get(made.operation)
        if rule is None:
            raise TracingError(f"{made.operation} has no derivative rule, at {made.source}.")
        with into.sourced(made.source):
            found = rule(call, *(cotangents.get(value) for value in made.results))
            for operand, g in zip(made.operands, found, strict=True):
                add(operand, g)
    return {value: cotangents[value] for value in wanted if value in cotangents}


def pulled(
    into: Recorder,
    instructions: Sequence[Instruction],
    outputs: Sequence[Array],
    cotangents: Sequence[Array | None],
    inputs: Sequence[Array],
) -> list[Array]:
    """The cotangents of inputs, zeros among them, from those of outputs (None where there is none)."""
    found = _found(into, instructions, outputs, cotangents, inputs)
    return [zeros(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def _found(
    into: Recorder,
    instructions: Sequence[Instruction],
    outputs: Sequence[Array],
    cotangents: Sequence[Array | None],
    inputs: Sequence[Array],
) -> list[Array | None]:
    """The same with None for inputs that nothing depends on."""
    given: dict[Value, Array] = {}
    for y, g in zip(outputs, cotangents, strict=True):
        if g is not None and isinstance(y.operand, Value):
            given[y.operand] = given[y.operand] + g if y.operand in given else g
    found = pulled_back(into, instructions, given, [x.operand for x in inputs if isinstance(x.operand, Value)])
    return [found.get(x.operand) for x in inputs]


def pushed(
    into: Recorder,
    instructions: Sequence[Instruction],
    outputs: Sequence[Array],
    inputs: Sequence[Array],
    tangents: Sequence[Array],
) -> list[Array]:
    """The tangents of outputs from those of inputs.

    Pulling back is linear in the cotangents, and its transpose pushes tangents forward. The cotangents that are pulled
    back for this have no numbers, and nothing of what was recorded with them remains.
    """
    start = len(into.instructions)
    slots = [SymbolicArray(Value(y.type), into) if differentiable(y.type) else None for y in outputs]
    found = pulled(into, instructions, outputs, slots, inputs)
    made = into.instructions[start:]
    wanted = [slot for slot in slots if slot is not None]
    along = iter(pulled(into, made, found, tangents, wanted))
    results = [zeros(y) if slot is None else next(along) for y, slot in zip(outputs, slots, strict=True)]
    kept = live(into.instructions[start:], {x.operand for x in results if isinstance(x.operand, Value)})
    into.instructions[start:] = kept
    used = {x for instruction in kept for x in instruction.operands}
    if any(slot.operand in used for slot in wanted):
        raise TracingError("a derivative is not linear in what it is applied to.")
    return results


def _through(
    definition: Callable[..., Sequence[Array]], cotangents: Sequence[Array | None], *operands: Array
) -> list[Array | None]:
    into: Recorder = operands[0].recorder
    start = len(into.instructions)
    results = definition(*operands)
    return _found(into, into.instructions[start:], results, cotangents, operands)
