"""Truth of whole arrays, and differences of neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .. import kernels
from ..kernels import ints, raw, read
from .data_types import astype, common
from .indexing import getitem
from .shapes import axes_of, axis_of, rank

__all__ = ["all", "any", "diff"]

Array = Any


def _truth(kernel: Callable[..., Array], x: Array, axis: Any, keepdims: bool) -> Array:
    x = astype(x, tf.bool)
    return kernel(input=x, axis=ints(axes_of(axis, rank(x))), keep_dims=keepdims)


def all(x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Whether every element over the given axes (None: all) is nonzero; NaN is, and so is every element of none."""
    return _truth(raw.All, x, axis, keepdims)


def any(x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Whether some element over the given axes (None: all) is nonzero; NaN is."""
    return _truth(raw.Any, x, axis, keepdims)


def diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    """The n-th differences of neighbours along `axis`, of `x` with `prepend` before and `append` behind it."""
    if n < 0:
        raise ValueError(f"diff: a negative order, {n}")
    x = read(x)
    place = axis_of(axis, rank(x))
    if n == 0:
        return x
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = kernels.concat(common("diff", "any", *parts), place)
    kernel = raw.NotEqual if x.dtype is tf.bool else raw.Sub
    before = (slice(None),) * place
    for _ in range(n):
        x = kernel(x=getitem(x, (*before, slice(1, None))), y=getitem(x, (*before, slice(None, -1))))
    return x
