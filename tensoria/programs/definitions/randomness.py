"""Random numbers, and dropout: what is drawn follows from a key (`tensoria.random`), the same on every backend."""

from __future__ import annotations

import math
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, float32, float64
from tensoria.indices import PLAIN
from tensoria.programs.definitions.performing import reshaped
from tensoria.programs.dimensions import product
from tensoria.random.bits import words
from tensoria.random.keys import fold_in, opened
from tensoria.random.normal import standard
from tensoria.random.uniform import FLOATS, unit
from tensoria.random.words import cast, top
from tensoria.tensor import Tensor

__all__ = ["DEFINITIONS"]


def _dropout(
    backend: Backend, x: Array, key: Array, *, rate: float, stream: int, shared: tuple[int, ...]
) -> Array:
    xp = backend.xp
    _, pair = opened(fold_in(Tensor.from_parts(key, PLAIN, backend), stream))
    shape: list[Any] = [1 if axis in shared else size for axis, size in enumerate(x.shape)]
    count: Any = product(shape)  # (that of the components may be an expression)
    (drawn,) = words(backend, pair, count, 1)
    # The upper 24 bits are the numbers of `tn.random.uniform` in units of 2^-24.
    keep = xp.greater_equal(reshaped(backend, top(backend, drawn, 24), *shape), math.ceil(rate * 2**24))
    return xp.where(keep, xp.multiply(x, 1 / (1 - rate) if rate < 1 else 0.0), 0.0)


def _drawn(backend: Backend, key: Array, shape: tuple[Any, ...], dtype: DType, stream: int) -> tuple[Array, ...]:
    """Words for a draw: two for each number of 64 bits, else one."""
    _, pair = opened(fold_in(Tensor.from_parts(key, PLAIN, backend), stream))
    count: Any = product(shape)
    return words(backend, pair, count, 2 if dtype is float64 else 1)


def _uniform(backend: Backend, key: Array, *, shape: tuple[Any, ...], dtype: DType, stream: int) -> Array:
    form = FLOATS[dtype]
    u = unit(backend, _drawn(backend, key, shape, dtype, stream), form)
    return reshaped(backend, cast(backend, u, dtype), *shape)


def _normal(backend: Backend, key: Array, *, shape: tuple[Any, ...], dtype: DType, stream: int) -> Array:
    (z,) = standard(backend, _drawn(backend, key, shape, dtype, stream), dtype is float64)
    if dtype is not float64:
        z = cast(backend, z, float32)
    return reshaped(backend, cast(backend, z, dtype), *shape)


DEFINITIONS = {"dropout": _dropout, "random_uniform": _uniform, "random_normal": _normal}
"""The definitions of this chapter, by the operation's name."""
