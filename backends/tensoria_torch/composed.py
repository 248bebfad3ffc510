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


def sign(x):
    """The sign of real numbers; of NaN, NaN."""
    return torch.where(torch.isnan(x), x, torch.sign(x))


def floor_divide(x, y):
    """The quotient rounded down: of whole numbers by zero it is zero, of infinities it is infinite."""
    if x.is_floating_point():
        return torch.where(torch.isinf(x) | torch.isinf(y), torch.floor(x / y), torch.div(x, y, rounding_mode="floor"))
    return torch.where(y == 0, 0, torch.div(x, torch.where(y == 0, 1, y), rounding_mode="floor"))


def remainder(x, y):
    """The rest of a division of whole numbers that is rounded down; by zero it is zero."""
    return torch.where(y == 0, 0, x % torch.where(y == 0, 1, y))


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
    function.__name__: function for function in (
        prod, sign, floor_divide, remainder, cumulative, assigned, places, added, assigned_reversed,
    )
}  # fmt: skip
"""The functions by name."""
PRELUDE = {name: inspect.getsource(function) for name, function in COMPOSED.items()}
"""Their text."""
