"""Derivatives of choices and loops: the programs inside of them are pulled back, and chosen or looped backwards.

A scan is run a second time for the states that its steps have met, and then from its end to its start, with the
cotangents as the state. A while loop has no number of steps that could be counted backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensoria.errors import TracingError
from tensoria.programs.base import BaseProgram
from tensoria.programs.derivatives.rule import Array, Call, Rule, zeros
from tensoria.programs.passes.inlining import inlined, region
from tensoria.programs.recorder import Recorder, SymbolicArray, recording
from tensoria.programs.types import Region, Type, Value

__all__ = ["RULES"]


def _inexact(of: Type) -> bool:
    return of.dtype.kind in ("float", "complex")


def _copies(values: Sequence[Value]) -> list[Value]:
    return [Value(value.type, value.name, value.axes) for value in values]


def _cond(call: Call, *cotangents: Array | None) -> list[Array | None]:
    _, *operands = call.operands
    given = [g for g in cotangents if g is not None]
    wanted = [n for n, needed in enumerate(call.needed[1:]) if needed]

    def pulled(inner: Region) -> BaseProgram:
        into = Recorder()
        inputs = _copies(inner.inputs)
        slots = [None if g is None else Value(g.type) for g in cotangents]
        with recording(into):
            xs = [SymbolicArray(value, into) for value in inputs]
            found = call.through(
                lambda *xs: inlined(inner, into, xs),
                [None if slot is None else SymbolicArray(slot, into) for slot in slots],
                *xs,
            )
            outputs = [_or_zeros(found[n], xs[n]) for n in wanted]
        return region(into, (*inputs, *(slot for slot in slots if slot is not None)), outputs)

    branches = {name: pulled(call[name]) for name in ("then", "otherwise")}
    results = iter(call.recorder.record("cond", (call.operands[0], *operands, *given), **branches))
    return [None, *(next(results) if needed else None for needed in call.needed[1:])]


def _or_zeros(g: Array | None, like: Array) -> Array:
    return zeros(like) if g is None else g


def _scan(call: Call, *cotangents: Array | None) -> list[Array | None]:
    body, k, m = call["body"], call["states"], call["scanned"]
    states, xs, captured = call.operands[:k], call.operands[k : k + m], call.operands[k + m :]
    moving = [n for n in range(k) if _inexact(states[n].type)]
    by_x = [n for n in range(m) if call.needed[k + n]]
    by_captured = [n for n in range(len(captured)) if call.needed[k + m + n]]
    fixed: dict[str, Any] = {"length": call["length"]}

    # Forwards once more, for the state before each step.
    met = call.recorder.record(
        "scan", call.operands, body=_with_states(body, k), states=k, scanned=m, reverse=call["reverse"], **fixed
    )[k:]

    # Backwards: cotangents of the state, and sums of the captured values'.
    into = Recorder()
    before = _copies(body.inputs)
    g_states = {n: Value(states[n].type) for n in moving}
    sums = [Value(captured[n].type) for n in by_captured]
    g_ys = [None if g is None else Value(Type(g.dtype, g.shape[1:])) for g in cotangents[k:]]
    with recording(into):
        inner = [SymbolicArray(value, into) for value in before]
        slots = [g_states.get(n) for n in range(k)] + g_ys
        found = call.through(
            lambda *xs: inlined(body, into, xs),
            [None if slot is None else SymbolicArray(slot, into) for slot in slots],
            *inner,
        )
        added = []
        for n, total in zip(by_captured, sums, strict=True):
            g, so_far = found[k + m + n], SymbolicArray(total, into)
            added.append(so_far if g is None else _sum(so_far, g))
        outputs = [
            *(_or_zeros(found[n], inner[n]) for n in moving),
            *added,
            *(_or_zeros(found[k + n], inner[k + n]) for n in by_x),
        ]
    ys = [g for g in g_ys if g is not None]
    inputs = (*g_states.values(), *sums, *before[:k], *before[k : k + m], *ys, *before[k + m :])
    count = len(moving) + len(sums)
    results = call.recorder.record(
        "scan",
        (
            *(_or_zeros(cotangents[n], states[n]) for n in moving),
            *(zeros(captured[n]) for n in by_captured),
            *met,
            *xs,
            *(g for g in cotangents[k:] if g is not None),
            *captured,
        ),
        body=region(into, inputs, outputs),
        states=count,
        scanned=k + m + len(ys),
        reverse=not call["reverse"],
        **fixed,
    )
    of: dict[int, Array] = dict(zip(moving, results, strict=False))
    of.update({k + m + n: x for n, x in zip(by_captured, results[len(moving) : count], strict=True)})
    of.update({k + n: x for n, x in zip(by_x, results[count:], strict=True)})
    return [of.get(n) for n in range(len(call.operands))]


def _sum(a: Array, b: Array) -> Array:
    return a + b


def _with_states(body: Region, k: int) -> BaseProgram:
    """The body that returns the state before it, in place of its results."""
    into = Recorder()
    inputs = _copies(body.inputs)
    with recording(into):
        xs = [SymbolicArray(value, into) for value in inputs]
        after = inlined(body, into, xs)[:k]
    return region(into, inputs, [*after, *xs[:k]])


def _while_loop(call: Call, *cotangents: Array | None) -> list[Array | None]:
    raise TracingError(
        "the number of steps of a while loop is not known, and there is no way back through it.",
        legal="tn.scan, or stop_gradient: t.detach()",
    )


RULES: dict[str, Rule] = {"cond": _cond, "scan": _scan, "while_loop": _while_loop}
"""The rules of this chapter, by operation."""
