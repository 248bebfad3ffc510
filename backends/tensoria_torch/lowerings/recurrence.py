"""ATen's recurrent networks, and the loss that sums over all alignments in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensoria.dtypes import bool_, int64
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, getitem
from tensoria.programs.symbolic import backend
from tensoria_torch.lowerings.call import Call, Lowering, one, xp
from tensoria_torch.lowerings.randomness import dropped

__all__ = ["LOWERINGS"]

Array = SymbolicArray


# -- networks ---------------------------------------------------------------------------------------------------------


SIMPLE = {"rnn_tanh": "tanh", "rnn_relu": "relu"}
"""Networks with one function instead of gates."""


def _projected(
    x: Array, held: Sequence[Array], weights: Sequence[Array], projection: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """An LSTM whose hidden state is a linear map of what its output gate lets out (Sak et al. 2014)."""
    units = held[1].shape[1]
    gates = one(x, "linear", weights[0], *weights[2:3])

    def step(state: Sequence[Array], given: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        now = xp.add(given[0], one(state[0], "linear", weights[1], *weights[3:4]))
        parts = [getitem(now, (slice(None), slice(k * units, (k + 1) * units))) for k in range(4)]
        enter, forget, leave = (one(parts[k], "sigmoid") for k in (0, 1, 3))
        memory = xp.add(xp.multiply(forget, state[1]), xp.multiply(enter, xp.tanh(parts[2])))
        hidden = one(xp.multiply(leave, xp.tanh(memory)), "linear", projection)
        return [hidden, memory], [hidden]

    (hidden, memory), (found,) = backend.scan(step, list(held), [gates], x.shape[0], reverse)
    return found, hidden, memory


def _simple(x: Array, held: Array, weights: Sequence[Array], function: str, reverse: bool) -> tuple[Array, Array]:
    """Elman's network (1990)."""
    moved = one(x, "linear", weights[0], *weights[2:3])

    def step(state: Sequence[Array], given: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        now = one(xp.add(given[0], one(state[0], "linear", weights[1], *weights[3:4])), function)
        return [now], [now]

    (last,), (found,) = backend.scan(step, [held], [moved], x.shape[0], reverse)
    return found, last


def _recurrent(name: str, states: int) -> Lowering:
    def lower(
        call: Call, x: Array, held: Any, weights: Any, biased: bool, layers: int, dropout: float, train: bool,
        both: bool, batch_first: bool,
    ) -> tuple[Array, ...]:  # fmt: skip
        held = list(held) if isinstance(held, (list, tuple)) else [held]
        x = xp.moveaxis(x, 0, 1) if batch_first else x
        ways = 1 + both
        count = len(weights) // (layers * ways)
        plain = 4 if biased else 2
        ends: list[list[Array]] = [[] for _ in range(states)]
        for layer in range(layers):
            found = []
            for way in range(ways):
                n = layer * ways + way
                own = weights[n * count : (n + 1) * count]
                begins = [getitem(state, (n, Ellipsis)) for state in held]
                if name in SIMPLE:
                    result, *last = _simple(x, begins[0], own, SIMPLE[name], bool(way))
                elif count > plain:
                    result, *last = _projected(x, begins, own[:plain], own[plain], bool(way))
                else:
                    result, *last = x.recorder.record(name, (x, *begins, *own), reverse=bool(way))
                found.append(result)
                for state, end in zip(ends, last, strict=True):
                    state.append(end)
            x = found[0] if ways == 1 else xp.concat(found, axis=-1)
            if layer + 1 < layers:
                x = dropped(call, x, dropout, train)
        x = xp.moveaxis(x, 0, 1) if batch_first else x
        return (x, *(xp.stack(state, axis=0) for state in ends))

    return lower


# -- alignments -------------------------------------------------------------------------------------------------------


def _alignments(call: Call, x: Array, targets: Array, lengths: Array, counts: Array, blank: int) -> Array:
    """Minus the logarithm of the probability of all alignments of a label sequence (Graves et al. 2006).

    Args:
        x: logarithms of probabilities, (time, batch, classes).
        targets: labels, (batch, labels), or of all examples one after the other.
        lengths, counts: how many times, and how many labels, each example has.
    """
    batch = x.shape[1]
    if targets.ndim == 1:
        starts = xp.subtract(xp.cumulative_sum(counts), counts)
        at = xp.add(xp.expand_dims(starts, axis=1), xp.arange(targets.shape[0], dtype=counts.dtype))
        at = xp.minimum(at, targets.shape[0] - 1)
        targets = xp.reshape(one(targets, "take", xp.reshape(at, (-1,)), axis=0), at.shape)
    room = targets.shape[1]
    there = xp.less(xp.arange(room, dtype=counts.dtype), xp.expand_dims(counts, axis=1))
    targets = xp.where(there, targets, blank)
    # A blank before each label, and one behind all.
    blanks = xp.full_like(targets, blank)
    pairs = xp.reshape(xp.stack((blanks, targets), axis=2), (batch, 2 * room))
    labels = xp.concat((pairs, xp.full((batch, 1), blank, dtype=targets.dtype)), axis=1)
    skipped = xp.not_equal(getitem(labels, (slice(None), slice(2, None))), getitem(labels, (slice(None), slice(0, -2))))
    other = xp.not_equal(getitem(labels, (slice(None), slice(2, None))), blank)
    leaps = xp.concat((xp.zeros((batch, 2), dtype=bool_), xp.logical_and(skipped, other)), axis=1)
    places = xp.arange(2 * room + 1, dtype=int64)
    first = xp.where(xp.equal(places, 0), xp.zeros_like(places, dtype=x.dtype), -math.inf)
    state = xp.broadcast_to(first, (batch, 2 * room + 1))

    def step(state: Sequence[Array], given: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        (before,), (now, time) = state, given
        ways = [before, _later(before, 1), xp.where(leaps, _later(before, 2), -math.inf)]
        after = xp.add(_together(ways), one(now, "take_along_axis", labels, axis=1))
        running = xp.expand_dims(xp.less(time, lengths), axis=1)
        return [xp.where(running, after, before)], []

    times = xp.arange(x.shape[0], dtype=lengths.dtype)
    (last,), _ = backend.scan(step, [state], [x, times], x.shape[0], False)
    end = xp.expand_dims(xp.multiply(cast(counts, int64), 2), axis=1)
    ends = [one(last, "take_along_axis", at, axis=1) for at in (end, xp.maximum(xp.subtract(end, 1), 0))]
    ends[1] = xp.where(xp.greater(end, 0), ends[1], -math.inf)
    loss = xp.negative(xp.squeeze(_together(ends), axis=1))
    # PyTorch's derivative takes the probabilities at each time for a distribution, whose sum does not move: it has
    # that of this sum beside.
    sure = xp.exp(x)
    running = xp.expand_dims(xp.less(xp.expand_dims(times, axis=1), lengths), axis=2)
    return xp.add(loss, xp.sum(xp.where(running, xp.subtract(sure, one(sure, "stop_gradient")), 0.0), axis=(0, 2)))


def _later(x: Array, count: int) -> Array:
    """Moved along the last axis, with nothing (-inf) where nothing was."""
    space = xp.full((x.shape[0], count), -math.inf, dtype=x.dtype)
    return xp.concat((space, getitem(x, (slice(None), slice(0, -count)))), axis=1)


def _together(ways: Sequence[Array]) -> Array:
    """log(sum(exp(x))), -inf if every part is, and there without a derivative that is no number."""
    largest = ways[0]
    for way in ways[1:]:
        largest = xp.maximum(largest, way)
    none = xp.isinf(largest)
    largest = one(xp.where(none, 0.0, largest), "stop_gradient")
    total = xp.exp(xp.subtract(ways[0], largest))
    for way in ways[1:]:
        total = xp.add(total, xp.exp(xp.subtract(way, largest)))
    return xp.where(none, -math.inf, xp.add(xp.log(xp.where(none, 1.0, total)), largest))


LOWERINGS: dict[str, Lowering] = {
    "lstm.input": _recurrent("lstm", 2), "gru.input": _recurrent("gru", 1),
    "tensoria.lstm.default": _recurrent("lstm", 2), "tensoria.gru.default": _recurrent("gru", 1),
    **{f"tensoria.{name}.default": _recurrent(name, 1) for name in SIMPLE}, "tensoria.ctc_loss.default": _alignments,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
