"""Convolution and pooling: one slice of the image for each component of the window."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.programs.definitions.performing import cut, performed, reshaped
from tensoria.programs.dimensions import product
from tensoria.programs.operations.neural import Pairs, image, windows

__all__ = ["DEFINITIONS"]


def _pad(backend: Backend, x: Array, *, padding: Pairs, value: float) -> Array:
    xp = backend.xp
    for axis, pair in enumerate(padding):
        parts = [x]
        for count, at in zip(pair, (0, 2), strict=True):
            if not isinstance(count, int) or count:
                shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
                parts.insert(at, xp.full(shape, value, dtype=x.dtype))
        x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
    return x


def _patches(
    backend: Backend, x: Array, window: Sequence[int], strides: Sequence[int], padding: Pairs,
    dilation: Sequence[int], value: float,
) -> Iterator[Array]:  # fmt: skip
    """The image under each component of the window, the last of them first to change."""
    lead = len(x.shape) - len(window)
    count = windows(tuple(x.shape[lead:]), window, strides, padding, dilation)
    x = performed(backend, _pad, "pad", x, padding=((0, 0),) * lead + tuple(padding), value=value)
    for place in itertools.product(*map(range, window)):
        part = x
        for axis, (k, n, step, d) in enumerate(zip(place, count, strides, dilation, strict=True), lead):
            part = cut(backend, part, axis, k * d, k * d + (n - 1) * step + 1, step)
        yield part


def _ordered(backend: Backend, x: Array, source: str, target: str) -> Array:
    """Axes named by the letters of one word in the order of another."""
    order = tuple(source.index(letter) for letter in target)
    return x if order == tuple(range(len(order))) else backend.xp.permute_dims(x, order)


def _convolution(
    backend: Backend, x: Array, kernel: Array, *bias: Array, strides: Sequence[int], padding: Pairs,
    dilation: Sequence[int], groups: int, numbers: tuple[str, str, str],
) -> Array:  # fmt: skip
    xp, space = backend.xp, len(strides)
    letters = image(space)[2:]
    x = _ordered(backend, x, numbers[0], "NC" + letters)
    kernel = _ordered(backend, kernel, numbers[1], "OI" + letters)
    outputs, inputs, *window = kernel.shape
    count = windows(tuple(x.shape[2:]), window, strides, padding, dilation)
    batch, places, size = x.shape[0], product(count), math.prod(window)
    parts = list(_patches(backend, x, window, strides, padding, dilation, 0.0))
    stacked = xp.stack([reshaped(backend, part, batch, groups, inputs, places) for part in parts], axis=3)
    columns = reshaped(backend, stacked, batch, groups, inputs * size, places)
    weights = reshaped(backend, kernel, groups, outputs // groups, inputs * size)
    found = reshaped(backend, xp.matmul(weights, columns), batch, outputs, *count)
    if bias:
        found = xp.add(found, reshaped(backend, bias[0], outputs, *(1,) * space))
    return _ordered(backend, found, "NC" + letters, numbers[2])


def _convolution_transpose(
    backend: Backend, x: Array, kernel: Array, *bias: Array, strides: Sequence[int], padding: Pairs,
    dilation: Sequence[int], groups: int,
) -> Array:  # fmt: skip
    """A convolution of the image with zeros between its components, with the kernel turned round."""
    xp, space = backend.xp, len(strides)
    around: list[tuple[int, int]] = []
    for axis, (step, (low, high), d) in enumerate(zip(strides, padding, dilation, strict=True), 2):
        if step > 1:
            size, rest = x.shape[axis], x.shape[axis + 1 :]
            wide = xp.expand_dims(x, axis=axis + 1)
            zeros = performed(
                backend, _pad, "pad", wide, value=0.0,
                padding=tuple((0, step - 1) if n == axis + 1 else (0, 0) for n in range(len(x.shape) + 1)),
            )  # fmt: skip
            x = reshaped(backend, zeros, *x.shape[:axis], size * step, *rest)
            x = cut(backend, x, axis, 0, (size - 1) * step + 1)
        reach = d * (kernel.shape[axis] - 1)
        ends = (reach - low, reach - high)
        around.append((max(ends[0], 0), max(ends[1], 0)))
        if min(ends) < 0:
            x = cut(backend, x, axis, max(-ends[0], 0), x.shape[axis] - max(-ends[1], 0))
    inputs, outputs, *window = kernel.shape
    kernel = reshaped(backend, kernel, groups, inputs // groups, outputs, *window)
    kernel = xp.permute_dims(kernel, (0, 2, 1, *range(3, 3 + space)))
    kernel = reshaped(backend, kernel, groups * outputs, inputs // groups, *window)
    kernel = xp.flip(kernel, axis=tuple(range(2, 2 + space)))
    return performed(
        backend, _convolution, "convolution", x, kernel, *bias, strides=(1,) * space, padding=tuple(around),
        dilation=tuple(dilation), groups=groups, numbers=(image(space), image(space, "OI"), image(space)),
    )  # fmt: skip


def _max_pool(
    backend: Backend, x: Array, *, window: Sequence[int], strides: Sequence[int], padding: Pairs,
    dilation: Sequence[int],
) -> Array:  # fmt: skip
    first, *rest = _patches(backend, x, window, strides, padding, dilation, -math.inf)
    for part in rest:
        first = backend.xp.maximum(first, part)
    return first


def _mean_pool(
    backend: Backend, x: Array, *, window: Sequence[int], strides: Sequence[int], padding: Pairs, padded: bool
) -> Array:
    xp, ones = backend.xp, (1,) * len(window)

    def total(of: Array) -> Array:
        first, *rest = _patches(backend, of, window, strides, padding, ones, 0.0)
        for part in rest:
            first = xp.add(first, part)
        return first

    if padded or not any(map(any, padding)):
        return xp.multiply(total(x), 1 / math.prod(window))
    lead = len(x.shape) - len(window)
    count: Any = total(xp.ones((*(1,) * lead, *x.shape[lead:]), dtype=x.dtype))
    return xp.divide(total(x), count)


DEFINITIONS = {
    "pad": _pad, "convolution": _convolution, "convolution_transpose": _convolution_transpose,
    "max_pool": _max_pool, "mean_pool": _mean_pool,
}  # fmt: skip
"""The definitions of this chapter, by the operation's name."""
