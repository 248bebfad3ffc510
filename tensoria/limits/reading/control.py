"""Choices and loops: their programs are read in place, step by step.

A number of steps that is known makes a loop a finite program. A choice by numbers that are known in the limit (data,
moments) is one; by a number that stays random it is none, nor is a loop whose number of steps the data say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tensoria.errors import LimitError
from tensoria.limits.reading.nodes import Det, View
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.limits.reading.rules import all_known, known, where
from tensoria.programs.types import Instruction, Region, Type, Value

__all__ = ["RULES"]

MOST: Final = 10_000
"""So many steps of a loop at most."""


def _results(reader: Reader, region: Region, views: Sequence[View]) -> list[View]:
    """What a program inside of an instruction makes of views."""
    for value, view in zip(region.inputs, views, strict=True):
        reader.known[value] = view
    for made in region.instructions:
        reader.instruction(None, made)
    return [reader.view(x) for x in region.outputs]


def _refused(reader: Reader, made: Instruction, reason: str, legal: str | None = None) -> LimitError:
    """The refusal of the choice or loop itself, after its programs were read."""
    reader.families.where, reader.families.operation = str(made.source) or reader.families.where, made.operation
    return reader.families.refuse(reason, legal)


def cond(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """One of two programs; where only the data say which, both, and a choice between their results."""
    if all_known(views):
        return known(reader, made, views)
    condition, operands = views[0], views[1:]
    then, otherwise = made.attributes["then"], made.attributes["otherwise"]
    if not isinstance(condition.of, Det):
        raise _refused(
            reader, made,
            "the condition stays random in the limit, so which of the two programs runs is not known",
            "a condition on data, or on means over the width",
        )
    if condition.of.number is not None:
        return _results(reader, then if condition.of.number else otherwise, operands)
    first, second = (_results(reader, region, operands) for region in (then, otherwise))
    found = []
    for result, a, b in zip(made.results, first, second, strict=True):
        if a.of is b.of and a.axes == b.axes:
            found.append(a)
            continue
        choice = Instruction("where", (), {}, (result,), made.source)
        (chosen,) = reader.many(where(reader, choice, [condition, a, b]))
        found.append(chosen)
    return found


def scan(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A program for each slice, one after the other."""
    if all_known(views):
        return known(reader, made, views)
    body, states, scanned = (made.attributes[name] for name in ("body", "states", "scanned"))
    length = made.attributes["length"]
    if not isinstance(length, int):
        raise _refused(
            reader, made,
            f"a loop of {length} steps, an open size: every number of steps is another Tensor Program",
            "a fixed length: leave it out of dynamic=",
        )
    if length > MOST:
        raise _refused(reader, made, f"a loop of {length} steps, more than {MOST}")
    state, xs, captured = list(views[:states]), views[states : states + scanned], views[states + scanned :]
    types = [value.type for value in body.inputs[states : states + scanned]]
    steps: dict[int, list[View]] = {}
    for n in reversed(range(length)) if made.attributes["reverse"] else range(length):
        slices = [
            _by_rule(reader, "getitem", {"key": (n,)}, of, [x], made) for x, of in zip(xs, types, strict=True)
        ]
        found = _results(reader, body, [*state, *slices, *captured])
        state, steps[n] = found[:states], found[states:]
    columns = zip(*(steps[n] for n in range(length)), strict=True)
    wanted = made.results[states:]
    return [
        *state,
        *(_by_rule(reader, "stack", {"axis": 0}, of.type, ys, made) for of, ys in zip(wanted, columns, strict=True)),
    ]


def _by_rule(
    reader: Reader, operation: str, attributes: dict[str, object], of: Type, views: Sequence[View], made: Instruction
) -> View:
    (found,) = reader.many(
        reader.rules[operation](reader, Instruction(operation, (), attributes, (Value(of),), made.source), views)
    )
    return found


def while_loop(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A program that is repeated as long as numbers that the program holds say so."""
    if all_known(views):
        return known(reader, made, views)
    states = made.attributes["states"]
    state, captured = list(views[:states]), views[states:]
    for _ in range(MOST):
        (test,) = _results(reader, made.attributes["test"], [*state, *captured])
        number = test.of.number if isinstance(test.of, Det) else None
        if number is None:
            raise _refused(
                reader, made,
                "the number of its steps depends on data or on random numbers, and is no part of the program",
                "a loop of a fixed number of steps",
            )
        if not number:
            return state
        state = _results(reader, made.attributes["body"], [*state, *captured])
    raise _refused(reader, made, f"a loop of more than {MOST} steps")


RULES: dict[str, Rule] = {"cond": cond, "scan": scan, "while_loop": while_loop}
"""The rules of this chapter, by the operation's name."""
