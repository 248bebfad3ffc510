"""Recurrent networks, one step of time after the other.

A program has the steps one by one if they are few, else one `scan`.

Weights have the gates one after the other along their first axis: the product of the input with its transposed weight
is made for all times at once, that of the state at each step (Hochreiter and Schmidhuber 1997; Cho et al. 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.programs.definitions import activations, normalisation
from tensoria.programs.definitions.performing import cut, performed

__all__ = ["DEFINITIONS"]

FEW = 16
"""So many steps are written one by one."""
Step = Callable[[Sequence[Array], Array], list[Array]]
"""From the state and the input's part of the gates to the next state, whose first array is the step's result."""


def _linear(backend: Backend, x: Array, *weights: Array) -> Array:
    return performed(backend, normalisation.linear, "linear", x, *weights)


def _sigmoid(backend: Backend, x: Array) -> Array:
    return performed(backend, activations.sigmoid, "sigmoid", x)


def _steps(
    backend: Backend, x: Array, state: list[Array], weights: tuple[Array, ...], reverse: bool, step: Step
) -> tuple[Array, ...]:
    """The results of all steps, and the last state."""
    count: Any = x.shape[0]
    gates = _linear(backend, x, weights[0], *weights[2:3])
    if not isinstance(count, int) or count > FEW:
        return _scanned(backend, gates, state, count, reverse, step)
    found: list[Any] = [None] * count
    for time in reversed(range(count)) if reverse else range(count):
        state = step(state, backend.get_item(gates, (time, Ellipsis)))
        found[time] = state[0]
    return backend.xp.stack(found, axis=0), *state


def _scanned(
    backend: Backend, gates: Array, state: list[Array], count: Any, reverse: bool, step: Step
) -> tuple[Array, ...]:
    def body(state: list[Array], given: list[Array]) -> tuple[list[Array], list[Array]]:
        after = step(state, given[0])
        return after, after[:1]

    after, (results,) = backend.scan(body, state, [gates], count, reverse)
    return results, *after


def _lstm(
    backend: Backend, x: Array, hidden: Array, cell: Array, *weights: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    xp, n = backend.xp, hidden.shape[1]

    def step(state: Sequence[Array], given: Array) -> list[Array]:
        gates = xp.add(given, _linear(backend, state[0], weights[1], *weights[3:]))
        parts = [cut(backend, gates, 1, k * n, (k + 1) * n) for k in range(4)]
        enter, forget, leave = (_sigmoid(backend, parts[k]) for k in (0, 1, 3))
        memory = xp.add(xp.multiply(forget, state[1]), xp.multiply(enter, xp.tanh(parts[2])))
        return [xp.multiply(leave, xp.tanh(memory)), memory]

    states, last, memory = _steps(backend, x, [hidden, cell], weights, reverse, step)
    return states, last, memory


def _gru(backend: Backend, x: Array, hidden: Array, *weights: Array, reverse: bool) -> tuple[Array, Array]:
    xp, n = backend.xp, hidden.shape[1]

    def step(state: Sequence[Array], given: Array) -> list[Array]:
        own = _linear(backend, state[0], weights[1], *weights[3:])
        mine, theirs = ([cut(backend, g, 1, k * n, (k + 1) * n) for k in range(3)] for g in (given, own))
        reset, update = (_sigmoid(backend, xp.add(mine[k], theirs[k])) for k in range(2))
        new = xp.tanh(xp.add(mine[2], xp.multiply(reset, theirs[2])))
        return [xp.add(new, xp.multiply(update, xp.subtract(state[0], new)))]

    states, last = _steps(backend, x, [hidden], weights, reverse, step)
    return states, last


DEFINITIONS = {"lstm": _lstm, "gru": _gru}
"""The definitions of this chapter, by the operation's name."""
