"""Which value of a program is which value of its model, however the program was changed since it was captured.

The model is captured once more, and the two lists of instructions are aligned: first those that agree in operation,
place and types, then, between them, those that agree in operation and place, and the last ones of a place where others
stand. What was put between two instructions that belong together stands for the value that the model hands over there.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Sequence

from tensoria.programs.base import BaseProgram
from tensoria.programs.types import Instruction, Region, Value

__all__ = ["matched"]

Sign = Callable[[Instruction], Hashable]
Pairs = list[tuple[Instruction, Instruction]]


def matched(program: BaseProgram, model: BaseProgram) -> dict[Value, Value]:
    """The model's value for each of the program's results that it has; several may be one of the model's."""
    pairs = _aligned(program.instructions, model.instructions, [_exact, _alike])
    found: dict[Value, Value] = {}
    for ours, theirs in pairs:
        found.update(zip(ours.results, theirs.results, strict=False))
    made = {value: made for made in program.instructions for value in made.results}
    beside = {id(ours): theirs for ours, theirs in pairs}
    for ours in reversed(program.instructions):
        other = beside.get(id(ours))
        if other is None or not _same(ours, other):
            continue
        for x, y in zip(ours.operands, other.operands, strict=True):
            if x in made and x not in found and isinstance(y, Value) and x.type == y.type:
                assert isinstance(x, Value)
                found[x] = y
    return found


def _aligned(ours: Sequence[Instruction], theirs: Sequence[Instruction], signs: Sequence[Sign]) -> Pairs:
    if not ours or not theirs:
        return []
    if not signs:
        return _ends(ours, theirs)
    sign, *weaker = signs
    a, b = [sign(made) for made in ours], [sign(made) for made in theirs]
    if a == b:
        return list(zip(ours, theirs, strict=True))
    found: Pairs = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        part = ours[i:j], theirs[k:m]
        found += zip(*part, strict=True) if tag == "equal" else _aligned(*part, weaker)
    return found


def _ends(ours: Sequence[Instruction], theirs: Sequence[Instruction]) -> Pairs:
    """Other instructions in one place: what the last of them gives is the same value."""
    last = {(made.source.module, made.source.line): made for made in theirs}
    mine = {(made.source.module, made.source.line): made for made in ours}
    return [
        (made, last[place]) for place, made in mine.items()
        if place in last and [x.type for x in made.results] == [x.type for x in last[place].results]
    ]  # fmt: skip


def _alike(made: Instruction) -> Hashable:
    return made.operation, made.source.module, made.source.file, made.source.line


def _exact(made: Instruction) -> Hashable:
    return *_alike(made), tuple(str(value.type) for value in made.results)  # type: ignore[misc]


def _same(a: Instruction, b: Instruction) -> bool:
    """Whether two instructions do the same with their operands."""
    if a.operation != b.operation or len(a.operands) != len(b.operands):
        return False
    given = ({n: x for n, x in made.attributes.items() if not isinstance(x, Region)} for made in (a, b))
    return str(next(given)) == str(next(given))
