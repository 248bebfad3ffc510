"""Ordinary differential equations on any backend: Dormand and Prince's method of order 5, with control of the steps.

States are lists of native arrays; everything runs on their backend, so that results carry derivatives by the initial
values, and a batch is integrated at once (with one step for all, the smallest that any needs). The steps themselves
are numbers: they are chosen by the host, and have no derivatives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.errors import BackendError, MetricError, ShapeError

__all__ = ["integrated"]

State = list[Array]
Derivative = Callable[[float, State], State]
STAGES: tuple[tuple[float, ...], ...] = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""Dormand and Prince, J. Comp. Appl. Math. 6 (1980) 19, table 2 (5(4)7M); the last row is the result of order 5."""
NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""The result of order 5 less that of order 4."""
SAFETY, SLOWEST, FASTEST = 0.9, 0.2, 5.0
LIMIT = 100_000
SMALLEST = 1e-10
"""Steps of less than this part of the interval lead nowhere."""


def integrated(
    backend: Backend,
    derivative: Derivative,
    state: State,
    times: Sequence[float],
    *,
    rtol: float,
    atol: float,
    steps: int | None,
) -> list[State]:
    """The states at all of the times, of which the first belongs to the given state.

    Args:
        backend: the backend of the arrays.
        derivative: the state's derivative at a time.
        state: the initial state.
        times: rising or falling.
        rtol, atol: what the error of one step may be, relative to the state and absolutely.
        steps: a fixed number of steps between two times, without a control of the error.

    Raises:
        MetricError: the steps become too small: the solution does not go on.
        BackendError: a framework traces, and errors have no numbers yet.
    """
    signs = {math.copysign(1, b - a) for a, b in itertools.pairwise(times) if b != a}
    if len(signs) > 1:
        raise ShapeError(f"the parameters neither rise nor fall: {list(times)}.")
    found = [state]
    slope = derivative(times[0], state)
    span = abs(times[-1] - times[0])
    step = 0.0 if steps is not None else _first_step(backend, state, slope, span)
    for start, stop in itertools.pairwise(times):
        if steps is not None:
            for n in range(steps):
                size = (stop - start) / steps
                state, slope, _ = _step(backend, derivative, start + n * size, size, state, slope)
        else:
            state, slope, step = _controlled(backend, derivative, (start, stop), (state, slope, step), (rtol, atol))
        found.append(state)
    return found


def _controlled(
    backend: Backend,
    derivative: Derivative,
    interval: tuple[float, float],
    at: tuple[State, State, float],
    tolerances: tuple[float, float],
) -> tuple[State, State, float]:
    time, stop = interval
    state, slope, step = at
    sign = math.copysign(1, stop - time)
    for _ in range(LIMIT):
        left = abs(stop - time)
        if left == 0:
            return state, slope, step
        size = min(step, left)
        if size < left and size <= SMALLEST * max(abs(stop - interval[0]), abs(time) * np.finfo(float).eps / SMALLEST):
            break
        after, end, error = _step(backend, derivative, time, sign * size, state, slope)
        wrong = _size(backend, error, state, after, tolerances)
        factor = FASTEST if wrong == 0 else min(FASTEST, max(SLOWEST, SAFETY * wrong**-0.2))
        if wrong <= 1:
            time = stop if size == left else time + sign * size
            state, slope = after, end
            # A step that was cut short by the interval's end says nothing against longer ones.
            step = max(step, size * factor) if size < step else size * factor
        else:
            step = size * factor if math.isfinite(wrong) else size * SLOWEST
    raise MetricError(
        f"the solution does not go on beyond the parameter {time:.6g}: its steps become too small or too many.",
        legal="a shorter interval, or larger tolerances",
    )


def _step(
    backend: Backend, derivative: Derivative, time: float, size: float, state: State, slope: State
) -> tuple[State, State, State]:
    """The state after a step, its derivative there (the next step's first), and the estimate of the error."""
    slopes = [slope]
    after = state
    for node, row in zip(NODES[1:], STAGES[1:], strict=True):
        after = _moved(backend, state, size, row, slopes)
        slopes.append(derivative(time + node * size, after))
    zero = [backend.subtract(x, x) for x in state]
    return after, slopes[-1], _moved(backend, zero, size, ERROR, slopes)


def _moved(backend: Backend, state: State, size: float, row: Sequence[float], slopes: Sequence[State]) -> State:
    made = []
    for n, x in enumerate(state):
        for factor, slope in zip(row, slopes, strict=True):
            if factor:
                x = backend.add(x, slope[n] * (size * factor))
        made.append(x)
    return made


def _numbers(backend: Backend, arrays: State) -> list[np.ndarray[Any, Any]]:
    found = [backend.numbers(array) for array in arrays]
    if any(x is None for x in found):
        raise BackendError("the size of a step depends on numbers, and there are none while a framework traces.",
                           legal="steps=100")  # fmt: skip
    return found  # type: ignore[return-value]


def _size(backend: Backend, error: State, before: State, after: State, tolerances: tuple[float, float]) -> float:
    rtol, atol = tolerances
    worst = 0.0
    with np.errstate(all="ignore"):
        for e, x, y in zip(*(_numbers(backend, part) for part in (error, before, after)), strict=True):
            ratio = np.abs(e) / (atol + rtol * np.maximum(np.abs(x), np.abs(y)))
            if ratio.size:
                worst = max(worst, float(ratio.max())) if np.isfinite(ratio).all() else math.inf
    return worst


def _first_step(backend: Backend, state: State, slope: State, span: float) -> float:
    """A step over which the greatest part of the state changes by a hundredth; the control of errors does the rest."""
    size, speed = (
        max((float(np.abs(x).max(initial=0)) for x in _numbers(backend, part)), default=0.0) for part in (state, slope)
    )
    wanted = 0.01 * size / speed if speed > 0 and math.isfinite(speed) else span
    return min(span, max(wanted, 1e-4 * span))
