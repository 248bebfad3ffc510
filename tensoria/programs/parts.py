"""Which instructions can be written as which call of which module of the source: regions, nested as the calls were.

Every instruction knows the path of its module and how often that had been called (`Source`). What stands between is
found from these: a path with instructions of its own, or with children that are called by names, is a module; numbers
(`layer.0`) are places in a list. Passes may have moved values across the borders. A region is kept as long as it can
be one call: everything that it needs is there before, and nothing of it is needed while it runs. Else it is dissolved.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tensoria.programs.types import Instruction, Operand, Source, Value

__all__ = ["Item", "Part", "parts", "where_used"]

Item: TypeAlias = "Instruction | Part"
MOVEMENTS = ("reshape", "expand_dims", "squeeze")
"""Operations that cost nothing."""
AGAIN = re.compile(r"@\d+")


@dataclass(eq=False)
class Part:
    """One call of a module.

    Attributes:
        path: the module's path; empty for the whole.
        instance: which call of it.
        kind: the module's class, if it is known.
        items: its instructions and the calls inside of it, in an order in which they can be run.
    """

    path: str
    instance: int = 0
    kind: str = ""
    items: list[Item] = field(default_factory=list)

    def instructions(self) -> Iterator[Instruction]:
        """All instructions inside."""
        for item in self.items:
            yield from _inside(item)


def _inside(item: Item) -> Iterator[Instruction]:
    if isinstance(item, Part):
        yield from item.instructions()
    else:
        yield item


def parts(instructions: Sequence[Instruction]) -> Part:
    """The whole, with its calls of modules inside."""
    paths = [AGAIN.sub("", made.source.module) for made in instructions]
    called = _called(paths)
    counts = _counts(instructions, paths, called)
    whole, known = Part(""), dict[tuple[str, int], Part]()
    places = {id(made): n for n, made in enumerate(instructions)}
    for made, path in zip(instructions, paths, strict=True):
        above = whole
        for prefix in _prefixes(path):
            if prefix not in called:
                continue
            instance = made.source.call * counts[prefix] // counts[path]
            if (prefix, instance) not in known:
                known[prefix, instance] = Part(prefix, instance)
                above.items.append(known[prefix, instance])
            above = known[prefix, instance]
        if above.path == path and made.source.kind:
            above.kind = made.source.kind
        above.items.append(made)
    _split(whole, places)
    _order(whole)
    return whole


def _prefixes(path: str) -> list[str]:
    names = path.split(".") if path else []
    return [".".join(names[: n + 1]) for n in range(len(names))]


def _called(paths: Sequence[str]) -> set[str]:
    """The paths that are modules and no lists of them."""
    children: dict[str, set[str]] = {}
    for path in paths:
        names = path.split(".")
        for n in range(1, len(names)):
            children.setdefault(".".join(names[:n]), set()).add(names[n])
    named = {path for path, names in children.items() if not all(name.isdigit() for name in names)}
    return ({*paths} | named) - {""}


def _counts(instructions: Sequence[Instruction], paths: Sequence[str], called: set[str]) -> dict[str, int]:
    """How often each module is called: as often as shares out evenly the calls inside of it.

    Of a module that has instructions of its own the calls are counted; those around it are called so often at most.
    """
    own: dict[str, int] = {}
    for made, path in zip(instructions, paths, strict=True):
        own[path] = max(own.get(path, 0), made.source.call + 1)
    counts: dict[str, int] = {}
    for path, count in own.items():
        for prefix in _prefixes(path):
            if prefix in called:
                counts[prefix] = math.gcd(counts.get(prefix, 0), count)
    return {"": 1, **counts, **{path: own[path] for path in own if path}}


# -- repeated calls ---------------------------------------------------------------------------------------------------


def _split(part: Part, places: dict[int, int]) -> None:
    """Parts that do the same several times, one time after the other, become as many: not every source counts calls."""
    items: list[Item] = []
    for item in part.items:
        runs = _runs(item, places) if isinstance(item, Part) else []
        if isinstance(item, Part) and len(runs) > 1:
            items += [_only(item, set(map(id, run)), n) for n, run in enumerate(runs)]
        else:
            items.append(item)
    part.items = sorted(items, key=lambda item: min(places[id(made)] for made in _inside(item)))
    for item in part.items:
        if isinstance(item, Part):
            _split(item, places)


def _runs(part: Part, places: dict[int, int]) -> list[list[Instruction]]:
    """The uninterrupted sequences of a part's instructions, if all of them are alike."""
    runs: list[list[Instruction]] = []
    for made in sorted(part.instructions(), key=lambda made: places[id(made)]):
        if not runs or places[id(made)] != places[id(runs[-1][-1])] + 1:
            runs.append([])
        runs[-1].append(made)
    said = {tuple((made.operation, made.source.module) for made in run) for run in runs}
    return runs if len(said) == 1 else []


def _only(part: Part, kept: set[int], instance: int) -> Part:
    """A part with some of its instructions."""
    items: list[Item] = []
    for item in part.items:
        if not isinstance(item, Part):
            items += [item] * (id(item) in kept)
        elif (inner := _only(item, kept, instance)).items:
            items.append(inner)
    return Part(part.path, instance, part.kind, items)


# -- order ------------------------------------------------------------------------------------------------------------


def _order(part: Part) -> None:
    """Bring items in an order in which they can run, and dissolve parts that can not be one call."""
    while (stuck := _sorted(part)) is not None:
        place = part.items.index(stuck)
        part.items[place : place + 1] = stuck.items
    for item in part.items:
        if isinstance(item, Part):
            _order(item)


def _sorted(part: Part) -> Part | None:
    """Sort a part's items; or a part among them that waits for itself."""
    items = part.items
    makers = {value: n for n, item in enumerate(items) for made in _inside(item) for value in made.results}
    needs: list[set[int]] = []
    for n, item in enumerate(items):
        operands = (x for made in _inside(item) for x in made.operands if isinstance(x, Value))
        needs.append({makers[x] for x in operands if makers.get(x, n) != n})
    done: set[int] = set()
    order: list[int] = []
    waiting = list(range(len(items)))
    while waiting:
        ready = next((n for n in waiting if needs[n] <= done), None)
        if ready is None:
            stuck = [item for item in (items[n] for n in waiting) if isinstance(item, Part)]
            return min(stuck, key=lambda item: sum(1 for _ in item.instructions()))
        order.append(ready)
        done.add(ready)
        waiting.remove(ready)
    part.items = [items[n] for n in order]
    return None


# -- what is shared ---------------------------------------------------------------------------------------------------


def where_used(instructions: Sequence[Instruction]) -> tuple[Instruction, ...]:
    """The instructions with those that only move components once in each module that uses them, where it does.

    What two modules of a kind do alike was computed once; if the first one did it for the others, they would differ.
    """
    makers = {value: made for made in instructions for value in made.results}
    out: list[Instruction] = []
    known: dict[tuple[Value, str, int], Value] = {}

    def here(x: Operand, source: Source) -> Operand:
        made = makers.get(x) if isinstance(x, Value) else None
        if made is None or made.operation not in MOVEMENTS:
            return x
        module = made.source.module
        if module != source.module and (not module or source.module.startswith(f"{module}.")):
            return x  # what is around a module gives it to all inside
        key = made.results[0], source.module, source.call
        if key not in known:
            near = dataclasses.replace(made.source, module=source.module, call=source.call, kind=source.kind)
            value = Value(made.results[0].type, made.results[0].name)
            operands = tuple(here(of, near) for of in made.operands)
            out.append(Instruction(made.operation, operands, made.attributes, (value,), near))
            known[key] = value
        return known[key]

    for made in instructions:
        if made.operation not in MOVEMENTS:
            made = dataclasses.replace(made, operands=tuple(here(x, made.source) for x in made.operands))
        out.append(made)
    return tuple(out)
