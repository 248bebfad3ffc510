"""What a backend computes, step by step: the native operations that tensoria calls, with their results.

While a recording runs, the backend's functions are replaced by ones that note what they return: the Array API
functions, the operators, contractions, indexing, and the native calls that the core makes itself. A neutral function
makes the same calls on every backend (what a contraction does inside, which differs, is one step), so two recordings
can be laid side by side, and the first step at which they part is where the fault is. Only the thread that asked for
it is recorded; others compute as before.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from tensoria.backend import Backend
from tensoria.dtypes import float32
from tensoria.planning import Kernels
from tensoria.structure import Cache
from tensoria_conformance.comparison import agreement, coarsest

__all__ = ["Divergence", "Recording", "Step", "first_divergence", "recording"]

METHODS = (
    "add", "subtract", "multiply", "matmul", "contract", "contract_network", "reduce_axes", "reshape", "get_item",
    "set_item", "eig", "eigvals", "scalar_like",
)  # fmt: skip
"""The methods of a backend that compute."""
MOST_STEPS, MOST_ELEMENTS = 10_000, 1_000_000
"""Further steps are not recorded; larger results are recorded without their values."""


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        name: what was called.
        shape, dtype: those of the result.
        values: its numbers in host memory; None if it is too large.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    values: np.ndarray[Any, Any] | None


@dataclass
class Recording:
    """The steps of one run, and the depth of the call that is recorded now: what an operation calls is part of it."""

    backend: Backend
    steps: list[Step] = field(default_factory=list)
    busy: bool = False

    def note(self, name: str, result: Any) -> None:
        """Add the arrays in a result."""
        if isinstance(result, (tuple, list)):
            for number, item in enumerate(result):
                self.note(f"{name}[{number}]", item)
        elif len(self.steps) < MOST_STEPS and self.backend.owns(result):
            shape, of = self.backend.shape(result), self.backend.dtype(result)
            values = None
            if None not in shape and math.prod(n or 0 for n in shape) <= MOST_ELEMENTS:
                array = self.backend.detach(result)
                if of.name == "bfloat16":
                    array = self.backend.kernels.cast(array, self.backend.native_dtype(float32))
                # A copy: what comes later may write into the array.
                values = np.array(self.backend.to_numpy(array))
            self.steps.append(Step(name, shape, of.name, values))


_current: contextvars.ContextVar[Recording | None] = contextvars.ContextVar("tensoria recording", default=None)


@contextlib.contextmanager
def recording(backend: Backend) -> Iterator[Recording]:
    """Record what a backend computes inside of a `with` block, in this thread."""
    made = Recording(backend)
    before = dict(vars(backend))
    instance: dict[str, Any] = {
        name: _recorded(name, getattr(backend, name)) for name in METHODS if hasattr(backend, name)
    }
    instance["xp"] = _Namespace(backend.xp)
    instance["operators"] = {name: _recorded(name, function) for name, function in backend.operators.items()}
    instance["kernels"] = _kernels(backend.kernels)
    # The fast way round `contract` is not taken, and plans made now are forgotten: they hold what is replaced here.
    instance["immediate"] = False
    for name, plan in (("pairs", "_plan_pair"), ("formed", "_plan_formed"), ("networks", "_plan_network")):
        instance[name] = Cache(getattr(backend, plan))
    token = _current.set(made)
    vars(backend).update(instance)
    try:
        yield made
    finally:
        for name in instance:
            if name in before:
                setattr(backend, name, before[name])
            else:
                delattr(backend, name)
        _current.reset(token)


def _recorded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function, assigned=("__doc__",), updated=())
    def call(*arguments: Any, **options: Any) -> Any:
        found = _current.get()
        if found is None or found.busy:
            return function(*arguments, **options)
        found.busy = True
        try:
            result = function(*arguments, **options)
            shown = f"contract {arguments[0]}" if name in ("contract", "contract_network", "reduce_axes") else name
            found.note(shown, result)
        finally:
            found.busy = False
        return result

    return call


class _Namespace:
    """A namespace whose functions are recorded; data types, constants and classes are its own."""

    def __init__(self, native: Any, prefix: str = "") -> None:
        self._native, self._prefix = native, prefix

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._native, name)
        if isinstance(value, ModuleType):
            return _Namespace(value, f"{self._prefix}{name}.")
        if name.startswith("_") or not callable(value) or inspect.isclass(value):
            return value
        return _recorded(self._prefix + name, value)


def _kernels(kernels: Kernels) -> Kernels:
    functions: dict[str, Any] = {
        name: _recorded(name, value)
        for name, value in kernels._asdict().items()
        if name != "costs" and value is not None
    }
    return kernels._replace(**functions)


@dataclass(frozen=True)
class Divergence:
    """Where two recordings part.

    Attributes:
        position: the number of the step, from 1.
        name: the operation.
        text: how the results differ.
        before: the largest distance in ulps in all steps before.
    """

    position: int
    name: str
    text: str
    before: float

    def __str__(self) -> str:
        return f"step {self.position}, {self.name}: {self.text} (before it: at most {self.before:.6g} ulps)"


def first_divergence(
    got: Sequence[Step], want: Sequence[Step], precision: str | None, rtol: float | None = None
) -> Divergence | None:
    """The first step at which one recording is not what another one says.

    Args:
        got: what is checked.
        want: what it should be; in double precision, say.
        precision: the coarsest floating-point format on the way, by which both are compared.
        rtol: the relative tolerance; by default that of the data type.
    """
    worst = 0.0
    for position, (mine, other) in enumerate(zip(got, want, strict=False), 1):
        if mine.name != other.name:
            text = f"the run of reference calls {other.name} here"
            return Divergence(position, mine.name, text, worst)
        if mine.values is None or other.values is None:
            if mine.shape != other.shape:
                return Divergence(position, mine.name, f"the shape is {mine.shape} instead of {other.shape}", worst)
            continue
        name = coarsest(mine.dtype, *([precision] if precision else ())) or mine.dtype
        floating = coarsest(mine.dtype) is not None
        found = agreement(mine.values, other.values, name if floating else mine.dtype, rtol=rtol)
        if found.fault is not None:
            return Divergence(position, mine.name, found.fault, worst)
        worst = max(worst, found.ulps)
    if len(got) != len(want):
        longer, name = (got, "more") if len(got) > len(want) else (want, "fewer")
        step = longer[min(len(got), len(want))]
        return Divergence(
            min(len(got), len(want)) + 1, step.name, f"there are {name} steps than in the reference", worst
        )
    return None
