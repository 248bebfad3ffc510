"""Images in other sizes: adaptive pooling and interpolation, one axis after the other."""

from __future__ import annotations

import math
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.dtypes import int64
from tensoria.programs.definitions.performing import reshaped
from tensoria.programs.dimensions import maximum

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
        first, last, inside = _bins(backend, n, m, x)
        weights = xp.divide(xp.astype(inside, x.dtype), xp.astype(xp.subtract(last, first), x.dtype))
        moved = xp.matmul(xp.moveaxis(x, axis, -1), xp.matrix_transpose(weights))
        x = xp.moveaxis(moved, -1, axis)
    return x


def _adaptive_max_pool(backend: Backend, x: Array, *, sizes: tuple[Any, ...]) -> Array:
    xp, lead = backend.xp, len(x.shape) - len(sizes)
    for axis, m in enumerate(sizes, lead):
        n = x.shape[axis]
        # Every component beside every bin: what lies outside is no maximum.
        moved = xp.expand_dims(xp.moveaxis(x, axis, -1), axis=-2)
        inside = _bins(backend, n, m, x)[2]
        x = xp.moveaxis(xp.max(xp.where(inside, moved, -math.inf), axis=-1), -1, axis)
    return x


def _bins(backend: Backend, n: Any, m: Any, like: Array) -> tuple[Array, Array, Array]:
    """Where each of m bins of n components begins and ends, and a matrix of which components are in which."""
    xp = backend.xp
    place, number = _positions(backend, n, like), reshaped(backend, _positions(backend, m, like), m, 1)
    first = xp.floor_divide(xp.multiply(number, n), m)
    last = xp.floor_divide(xp.add(xp.multiply(xp.add(number, 1), n), m - 1), m)
    return first, last, xp.logical_and(xp.greater_equal(place, first), xp.less(place, last))


def _taken(backend: Backend, x: Array, axis: int, positions: Array) -> Array:
    return backend.get_item(x, (*(slice(None),) * axis, positions, Ellipsis))


def _ratio(backend: Backend, x: Array, axis: int, m: Any, rule: str) -> Any:
    """The step of a whole axis: by sizes, or between the first and the last component (corners)."""
    xp, n = backend.xp, x.shape[axis]
    top, bottom = (n - 1, maximum(m - 1, 1)) if rule == "corners" else (n, m)
    if isinstance(top, int) and isinstance(bottom, int):
        return top / bottom
    one = xp.ones((), dtype=x.dtype)
    return xp.divide(xp.multiply(one, top), xp.multiply(one, bottom))


def _resize(
    backend: Backend, x: Array, *, sizes: tuple[Any, ...], method: str, rule: str, steps: tuple[float | None, ...]
) -> Array:
    xp, lead = backend.xp, len(x.shape) - len(sizes)
    for axis, (m, given) in enumerate(zip(sizes, steps, strict=True), lead):
        last = x.shape[axis] - 1
        step = _ratio(backend, x, axis, m, rule) if given is None else given
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
        if method == "cubic":
            x = _cubic(backend, x, axis, m, place)
            continue
        place = xp.maximum(place, 0.0)
        low = xp.minimum(xp.astype(xp.floor(place), backend.native_dtype(int64)), last)
        high = xp.minimum(xp.add(low, 1), last)
        share = xp.minimum(xp.subtract(place, xp.astype(low, x.dtype)), 1.0)
        share = reshaped(backend, share, m, *(1,) * (len(x.shape) - axis - 1))
        first, second = _taken(backend, x, axis, low), _taken(backend, x, axis, high)
        x = xp.add(xp.multiply(first, xp.subtract(1.0, share)), xp.multiply(second, share))
    return x


KEYS = -0.75
"""The free number of cubic convolution (Keys, "Cubic convolution interpolation for digital image processing", 1981)."""


def _cubic(backend: Backend, x: Array, axis: int, m: Any, place: Array) -> Array:
    """Four neighbours; beyond the ends the outermost component."""
    xp, last = backend.xp, x.shape[axis] - 1
    low = xp.floor(place)
    share = xp.subtract(place, low)
    start = xp.astype(low, backend.native_dtype(int64))
    total: Any = None
    for n in range(4):
        at = xp.maximum(xp.minimum(xp.add(start, n - 1), last), 0)
        # The distance t of a neighbour: (a+2) t^3 - (a+3) t^2 + 1 up to 1, a t^3 - 5a t^2 + 8a t - 4a up to 2.
        t = (xp.add(share, 1.0), share, xp.subtract(1.0, share), xp.subtract(2.0, share))[n]
        near = n in (1, 2)
        factors = (KEYS + 2, -KEYS - 3, 0.0, 1.0) if near else (KEYS, -5 * KEYS, 8 * KEYS, -4 * KEYS)
        weight = xp.add(xp.multiply(t, factors[0]), factors[1])
        for factor in factors[2:]:
            weight = xp.add(xp.multiply(weight, t), factor)
        weight = reshaped(backend, weight, m, *(1,) * (len(x.shape) - axis - 1))
        part = xp.multiply(_taken(backend, x, axis, at), weight)
        total = part if total is None else xp.add(total, part)
    return total


DEFINITIONS = {
    "adaptive_mean_pool": _adaptive_mean_pool, "adaptive_max_pool": _adaptive_max_pool, "resize": _resize,
}  # fmt: skip
"""The definitions of this chapter, by the operation's name."""
