"""What export would take apart: recurrent networks, and derivatives that a model defines itself.

PyTorch's own `lstm` and `gru` are unrolled while their shapes are found, which fixes the sizes of batch and time. While
a model is captured, operators of ours stand in their place; they call PyTorch's kernels when the graph is run.
Of an `autograd.Function` export keeps what it computes and drops its derivative, so its calls are noted.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["derivatives_noted", "kept_whole"]

LOCK = threading.RLock()
OPTIONS = "bool biased, int layers, float dropout, bool train, bool both, bool batch_first"
library = torch.library.Library("tensoria", "FRAGMENT")
library.define(f"lstm(Tensor x, Tensor[] held, Tensor[] weights, {OPTIONS}) -> (Tensor, Tensor, Tensor)")
library.define(f"gru(Tensor x, Tensor held, Tensor[] weights, {OPTIONS}) -> (Tensor, Tensor)")


def _states(x: Tensor, first: Tensor, weights: Any, biased: bool, layers: int, both: bool) -> tuple[Tensor, Tensor]:
    ways = 1 + both
    projected = len(weights) // (layers * ways) > (4 if biased else 2)
    units = weights[-1].shape[0] if projected else weights[1].shape[1]
    return x.new_empty((*x.shape[:-1], ways * units)), torch.empty_like(first)


def _lstm_types(
    x: Any, held: Any, weights: Any, biased: bool, layers: int, dropout: float, train: bool, both: bool, first: bool
) -> Any:
    return (*_states(x, held[0], weights, biased, layers, both), torch.empty_like(held[1]))


def _gru_types(
    x: Any, held: Any, weights: Any, biased: bool, layers: int, dropout: float, train: bool, both: bool, first: bool
) -> Any:
    return _states(x, held, weights, biased, layers, both)


for name, kernel, types in (("lstm", torch.lstm, _lstm_types), ("gru", torch.gru, _gru_types)):
    library.impl(name, kernel, "CompositeExplicitAutograd")
    library._register_fake(name, types)


@contextlib.contextmanager
def kept_whole() -> Iterator[None]:
    """For the duration of a `with` block recurrent modules call these operators."""
    functions = torch.nn.modules.rnn._VF
    with LOCK:
        before = functions.lstm, functions.gru

        def lstm(x: Any, *given: Any) -> Any:
            packed = isinstance(given[0], Tensor)  # then the second argument is the batch's sizes
            return before[0](x, *given) if packed else torch.ops.tensoria.lstm(x, *given)

        def gru(x: Any, *given: Any) -> Any:
            packed = isinstance(given[1], Tensor)
            return before[1](x, *given) if packed else torch.ops.tensoria.gru(x, *given)

        functions.lstm, functions.gru = lstm, gru
        try:
            yield
        finally:
            functions.lstm, functions.gru = before


@contextlib.contextmanager
def derivatives_noted() -> Iterator[list[str]]:
    """For the duration of a `with` block the calls of functions with derivatives of their own: their classes."""
    found: list[str] = []
    kind: Any = torch.autograd.Function
    before = kind.__dict__["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if not cls.__module__.startswith("torch."):
            found.append(cls.__qualname__)
        return before.__get__(None, cls)(*args, **kwargs)

    with LOCK:
        kind.apply = classmethod(apply)
        try:
            yield found
        finally:
            kind.apply = before
