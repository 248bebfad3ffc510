"""Images in other sizes: adaptive pooling and interpolation, one axis after the other."""

from __future__ import annotations

from typing import Any

from tensoria.backend import Array, Backend
from tensoria.dtypes import int64
from tensoria.programs.definitions.performing import reshaped

__all__ = ["DEFINITIONS"]


def _positions(backend: Backend, size: Any, like: Array) -> Array:
    return backend.arange_like(size, int64, like)


def _adaptive_mean_pool(backend: Backend, x: Array, *, sizes: tuple[Any, ...]) -> Array:
    xp, lead = backend.xp, len(x.shape) - len(sizes)
    for axis, m in enumerate(sizes, lead):
        n = x.shape[axis]
        if isinstance(m, int) and m == 1:
            x = xp.mean(x, axis=axis, keepdims=True)
            continue
        if isinstance(n, int) and n == m:
            continue
        # A matrix with the weight of each component in each bin.
        place, number = _positions(backend, n, x), reshaped(backend, _positions(backend, m, x), m, 1)
        first = xp.floor_divide(xp.multiply(number, n), m)
        last = xp.floor_divide(xp.add(xp.multiply(xp.add(number, 1), n), m - 1), m)
        inside = xp.logical_and(xp.greater_equal(place, first), xp.less(place, last))
        weights = xp.divide(xp.astype(inside, x.dtype), xp.astype(xp.subtract(last, first), x.dtype))
        moved = xp.matmul(xp.moveaxis(x, axis, -1), xp.matrix_transpose(weights))
        x = xp.moveaxis(moved, -1, axis)
    return x


def _taken(backend: Backend, x: Array, axis: int, positions: Array) -> Array:
    return backend.get_item(x, (*(slice(None),) * axis, positions, Ellipsis))


def _resize(
    backend: Backend, x: Array, *, sizes: tuple[Any, ...], method: str, rule: str, steps: tuple[float, ...]
) -> Array:
    xp, lead = backend.xp, len(x.shape) - len(sizes)
    for axis, (m, step) in enumerate(zip(sizes, steps, strict=True), lead):
        last = x.shape[axis] - 1
        number = xp.astype(_positions(backend, m, x), x.dtype)
        if rule == "half_pixel":
            place = xp.subtract(xp.multiply(xp.add(number, 0.5), step), 0.5)
        else:
            place = xp.multiply(number, step)
        if method == "nearest":
            offset = 0.5 if rule == "half_pixel" else 0.0
            nearest = xp.astype(xp.floor(xp.add(place, offset)), backend.native_dtype(int64))
            x = _taken(backend, x, axis, xp.minimum(nearest, last))
            continue
        place = xp.maximum(place, 0.0)
        low = xp.minimum(xp.astype(xp.floor(place), backend.native_dtype(int64)), last)
        high = xp.minimum(xp.add(low, 1), last)
        share = xp.minimum(xp.subtract(place, xp.astype(low, x.dtype)), 1.0)
        share = reshaped(backend, share, m, *(1,) * (len(x.shape) - axis - 1))
        first, second = _taken(backend, x, axis, low), _taken(backend, x, axis, high)
        x = xp.add(xp.multiply(first, xp.subtract(1.0, share)), xp.multiply(second, share))
    return x


DEFINITIONS = {"adaptive_mean_pool": _adaptive_mean_pool, "resize": _resize}
"""The definitions of this chapter, by the operation's name."""
