"""Dropout: which components are kept follows from a key (`tensoria.random`), the same ones on every backend."""

from __future__ import annotations

import math
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.indices import PLAIN
from tensoria.programs.definitions.performing import reshaped
from tensoria.programs.dimensions import product
from tensoria.random.bits import words
from tensoria.random.keys import fold_in, opened
from tensoria.random.words import top
from tensoria.tensor import Tensor

__all__ = ["DEFINITIONS"]


def _dropout(
    backend: Backend, x: Array, key: Array, *, rate: float, stream: int, shared: tuple[int, ...]
) -> Array:
    xp = backend.xp
    _, pair = opened(fold_in(Tensor.from_parts(key, PLAIN, backend), stream))
    shape: list[Any] = [1 if axis in shared else size for axis, size in enumerate(x.shape)]
    (drawn,) = words(backend, pair, product(shape), 1)
    # The upper 24 bits are the numbers of `tn.random.uniform` in units of 2^-24.
    keep = xp.greater_equal(reshaped(backend, top(backend, drawn, 24), *shape), math.ceil(rate * 2**24))
    return xp.where(keep, xp.multiply(x, 1 / (1 - rate) if rate < 1 else 0.0), 0.0)


DEFINITIONS = {"dropout": _dropout}
"""The definitions of this chapter, by the operation's name."""
