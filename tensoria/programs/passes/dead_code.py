"""Instructions whose results nobody uses are removed, and constants likewise.

Of choices and loops only the results that are used remain: in the programs inside of them, what these results do not
need is removed too, and with it the operands that served nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tensoria.programs.base import P
from tensoria.programs.types import Instruction, Operand, Region, Value

__all__ = ["live", "remove_dead_code"]


def remove_dead_code(program: P) -> P:
    """The program without what reaches neither outputs nor updates; inputs and parameters stay."""
    needed = _values((*program.outputs, *program.updates.values()))
    kept = live(program.instructions, needed)
    held = set(program.parameters.values())
    return dataclasses.replace(
        program,
        instructions=kept,
        arrays={value: array for value, array in program.arrays.items() if value in needed or value in held},
    )


def _values(operands: Iterable[Operand]) -> set[Value]:
    return {operand for operand in operands if isinstance(operand, Value)}


def live(instructions: Sequence[Instruction], needed: set[Value]) -> tuple[Instruction, ...]:
    """The instructions that some values need; the values that these need are added to the set."""
    kept = []
    for made in reversed(instructions):
        if any(value in needed for value in made.results):
            prune = PRUNE.get(made.operation)
            made = made if prune is None else prune(made, needed)
            kept.append(made)
            needed.update(_values(made.operands))
    return tuple(reversed(kept))


def _reached(region: Region, outputs: Iterable[int]) -> list[bool]:
    """Which inputs some outputs need."""
    needed = _values(region.outputs[n] for n in outputs)
    live(region.instructions, needed)
    return [value in needed for value in region.inputs]


def _narrowed(region: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    """A program inside of an instruction with some of its inputs and outputs."""
    results = tuple(region.outputs[n] for n in outputs)
    return dataclasses.replace(
        region,
        signature=tuple(region.signature[n] for n in inputs),
        inputs=tuple(region.inputs[n] for n in inputs),
        instructions=live(region.instructions, _values(results)),
        outputs=results,
        input_tree=dataclasses.replace(region.input_tree, children=region.input_tree.children[: len(inputs)]),
        output_tree=dataclasses.replace(region.output_tree, children=region.output_tree.children[: len(outputs)]),
        output_axes=region.output_axes[: len(outputs)],
    )


def _taken(items: Sequence[Any], places: Sequence[int]) -> tuple[Any, ...]:
    return tuple(items[n] for n in places)


def _cond(made: Instruction, needed: set[Value]) -> Instruction:
    outputs = [n for n, value in enumerate(made.results) if value in needed]
    regions = {name: made.attributes[name] for name in ("then", "otherwise")}
    used = [any(pair) for pair in zip(*(_reached(region, outputs) for region in regions.values()), strict=True)]
    inputs = [n for n, is_used in enumerate(used) if is_used]
    return dataclasses.replace(
        made,
        operands=(made.operands[0], *_taken(made.operands[1:], inputs)),
        attributes={name: _narrowed(region, inputs, outputs) for name, region in regions.items()},
        results=_taken(made.results, outputs),
    )


def _states(body: Region, states: int, first: Sequence[int], also: Sequence[bool] = ()) -> tuple[list[int], list[bool]]:
    """The states that some of the body's outputs need from step to step, and the inputs that are used."""
    live = {n for n in first if n < states} | {n for n, used in enumerate(also[:states]) if used}
    more = [n for n in first if n >= states]
    while True:
        used = _reached(body, [*live, *more])
        found = live | {n for n in range(states) if used[n]}
        if found == live:
            return sorted(live), used
        live = found


def _while_loop(made: Instruction, needed: set[Value]) -> Instruction:
    test, body, states = (made.attributes[name] for name in ("test", "body", "states"))
    tested = _reached(test, [0])
    live, used = _states(body, states, [n for n, value in enumerate(made.results) if value in needed], tested)
    captured = [n for n in range(states, len(made.operands)) if used[n] or tested[n]]
    inputs = [*live, *captured]
    return dataclasses.replace(
        made,
        operands=_taken(made.operands, inputs),
        attributes={
            "test": _narrowed(test, inputs, [0]), "body": _narrowed(body, inputs, live), "states": len(live),
        },
        results=_taken(made.results, live),
    )  # fmt: skip


def _scan(made: Instruction, needed: set[Value]) -> Instruction:
    body, states, scanned = (made.attributes[name] for name in ("body", "states", "scanned"))
    wanted = [n for n, value in enumerate(made.results) if value in needed]
    live, used = _states(body, states, wanted)
    xs = [n for n in range(states, states + scanned) if used[n]]
    inputs = [*live, *xs, *(n for n in range(states + scanned, len(made.operands)) if used[n])]
    outputs = [*live, *(n for n in wanted if n >= states)]
    return dataclasses.replace(
        made,
        operands=_taken(made.operands, inputs),
        attributes={
            **made.attributes, "body": _narrowed(body, inputs, outputs), "states": len(live), "scanned": len(xs),
        },
        results=_taken(made.results, outputs),
    )  # fmt: skip


PRUNE: dict[str, Callable[[Instruction, set[Value]], Instruction]] = {
    "cond": _cond, "while_loop": _while_loop, "scan": _scan,
}  # fmt: skip
"""How instructions lose results that nobody uses."""
