"""Recurrent networks, one step of time after the other.

Weights have the gates one after the other along their first axis: the product of the input with its transposed weight
is made for all times at once, that of the state at each step (Hochreiter and Schmidhuber 1997; Cho et al. 2014).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.errors import TracingError
from tensoria.programs.definitions import activations, normalisation
from tensoria.programs.definitions.performing import cut, performed

__all__ = ["DEFINITIONS"]


def _linear(backend: Backend, x: Array, *weights: Array) -> Array:
    return performed(backend, normalisation.linear, "linear", x, *weights)


def _sigmoid(backend: Backend, x: Array) -> Array:
    return performed(backend, activations.sigmoid, "sigmoid", x)


def _steps(
    backend: Backend, x: Array, weights: tuple[Array, ...], reverse: bool, step: Callable[[Array], Array]
) -> Array:
    """The states after each step, which is given the input's part of the gates."""
    count = x.shape[0]
    if not isinstance(count, int):
        raise TracingError(
            f"a recurrence over {count} steps of time is not written out.", legal="give the time axis its size"
        )
    gates = _linear(backend, x, weights[0], *weights[2:3])
    found: list[Any] = [None] * count
    for time in reversed(range(count)) if reverse else range(count):
        found[time] = step(backend.get_item(gates, (time, Ellipsis)))
    return backend.xp.stack(found, axis=0)


def _lstm(
    backend: Backend, x: Array, hidden: Array, cell: Array, *weights: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    xp, n = backend.xp, hidden.shape[1]
    state = [hidden, cell]

    def step(given: Array) -> Array:
        gates = xp.add(given, _linear(backend, state[0], weights[1], *weights[3:]))
        parts = [cut(backend, gates, 1, k * n, (k + 1) * n) for k in range(4)]
        enter, forget, leave = (_sigmoid(backend, parts[k]) for k in (0, 1, 3))
        state[1] = xp.add(xp.multiply(forget, state[1]), xp.multiply(enter, xp.tanh(parts[2])))
        state[0] = xp.multiply(leave, xp.tanh(state[1]))
        return state[0]

    states = _steps(backend, x, weights, reverse, step)
    return states, state[0], state[1]


def _gru(backend: Backend, x: Array, hidden: Array, *weights: Array, reverse: bool) -> tuple[Array, Array]:
    xp, n = backend.xp, hidden.shape[1]
    state = [hidden]

    def step(given: Array) -> Array:
        own = _linear(backend, state[0], weights[1], *weights[3:])
        mine, theirs = ([cut(backend, g, 1, k * n, (k + 1) * n) for k in range(3)] for g in (given, own))
        reset, update = (_sigmoid(backend, xp.add(mine[k], theirs[k])) for k in range(2))
        new = xp.tanh(xp.add(mine[2], xp.multiply(reset, theirs[2])))
        state[0] = xp.add(new, xp.multiply(update, xp.subtract(state[0], new)))
        return state[0]

    states = _steps(backend, x, weights, reverse, step)
    return states, state[0]


DEFINITIONS = {"lstm": _lstm, "gru": _gru}
"""The definitions of this chapter, by the operation's name."""
