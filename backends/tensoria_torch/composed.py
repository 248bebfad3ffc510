"""What programs written in PyTorch need beside PyTorch's own functions; they contain the text of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["COMPOSED", "PRELUDE"]


def prod(x, axes, keepdim):
    """Product over several axes."""
    for axis in reversed(axes):
        x = torch.prod(x, dim=axis, keepdim=keepdim, dtype=x.dtype)
    return x


def cumulative(function, x, axis, start):
    """Sums or products up to each component, with the empty one first."""
    first = x.new_full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), start)
    return getattr(torch, function)(torch.cat([first, x], dim=axis), dim=axis)


def assigned(x, key, value):
    """A copy of x with a value where a subscript selects."""
    x = x.clone()
    x[key] = value
    return x


def places(x):
    """The number of each component of x, in the order of a flat array."""
    return torch.arange(x.numel(), device=x.device).reshape(x.shape)


def added(x, places, value):
    """A copy of x with a value added at places, as often as one occurs."""
    flat = torch.index_add(x.reshape(-1), 0, places.reshape(-1), value.expand(places.shape).reshape(-1))
    return flat.reshape(x.shape)


def assigned_reversed(x, key, axes, value):
    """The same for slices with negative steps: the key has positive ones, along axes of the place to be reversed."""
    x = x.clone()
    place = x[key]
    place.copy_(torch.flip(value.broadcast_to(place.shape), axes))
    return x


COMPOSED: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for function in (prod, cumulative, assigned, places, added, assigned_reversed)
}
"""The functions by name."""
PRELUDE = {name: inspect.getsource(function) for name, function in COMPOSED.items()}
"""Their text."""
