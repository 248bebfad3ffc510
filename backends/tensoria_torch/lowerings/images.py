"""ATen's operators on windows of images: their largest places, means of uneven windows, resizing without aliasing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria.errors import PortingError
from tensoria.programs.recorder import SymbolicArray
from tensoria_torch.lowerings.call import Call, Lowering, one, xp

__all__ = ["LOWERINGS", "largest_places", "window_counts"]

Array = SymbolicArray


def _fixed(sizes: Sequence[Any], what: str) -> tuple[int, ...]:
    if not all(isinstance(n, int) for n in sizes):
        raise PortingError(f"{what} of an image of open size is not ported.", legal="give its axes their sizes")
    return tuple(sizes)


Windows = Sequence[Sequence[Sequence[int]]]
"""For each axis of space, and each place along it, the positions of its window; those outside of the image too."""


def largest_places(
    x: Array, counts: Sequence[Any], window: Sequence[int], strides: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int],
) -> Array:  # fmt: skip
    """Where the largest component of each window is, as a position in the flat image."""
    axes = [
        [[i * s - p + k * d for k in range(w)] for i in range(m)]
        for m, w, s, p, d in zip(_fixed(counts, "the largest place"), window, strides, padding, dilation, strict=True)
    ]
    return _largest(x, axes)


def _largest(x: Array, axes: Windows) -> Array:
    space, counts = len(axes), [len(windows) for windows in axes]
    sizes = _fixed(x.shape[x.ndim - space :], "the largest place")
    places = []
    for at in itertools.product(*(range(m) for m in counts)):
        inside = itertools.product(*(axes[n][i] for n, i in enumerate(at)))
        places.append([
            int(np.ravel_multi_index(point, sizes))
            if all(0 <= c < n for c, n in zip(point, sizes, strict=True)) else -1
            for point in inside
        ])  # fmt: skip
    flat = xp.reshape(x, (*x.shape[: x.ndim - space], math.prod(sizes)))
    longest = max(map(len, places))
    table = np.array([[*row, *[-1] * (longest - len(row))] for row in places])
    taken = xp.take(flat, xp.asarray(np.maximum(table, 0).ravel().tolist()), axis=flat.ndim - 1)
    windows = xp.reshape(taken, (*flat.shape[:-1], *table.shape))
    own = x.recorder.constant(table >= 0)
    best = xp.argmax(xp.where(own, windows, -math.inf), axis=-1)
    rows = x.recorder.constant(np.arange(len(table)) * table.shape[1])
    at = xp.take(x.recorder.constant(table.ravel()), xp.reshape(xp.add(best, rows), (-1,)), axis=0)
    return xp.reshape(at, (*flat.shape[:-1], *counts))


def _adaptive_largest(call: Call, x: Array, sizes: Any) -> tuple[Any, ...]:
    """The largest component of each of as many bins, and where it is."""
    found = one(x, "adaptive_max_pool", sizes=tuple(sizes))
    if call.wanted is not None and 1 not in call.wanted:
        return found, None
    before = _fixed(x.shape[x.ndim - len(sizes) :], "the largest place")
    axes = [
        [list(range(i * n // m, -(-(i + 1) * n // m))) for i in range(m)] for n, m in zip(before, sizes, strict=True)
    ]
    return found, _largest(x, axes)


def window_counts(
    sizes: Sequence[Any], counts: Sequence[Any], window: Sequence[int], strides: Sequence[int],
    padding: Sequence[int], padded: bool,
) -> Any:  # fmt: skip
    """What a mean is divided by at each place: windows end at the padding, or (not padded) at the image."""
    total: Any = np.ones((), dtype=np.int64)
    dimensions = zip(_fixed(sizes, "a mean"), _fixed(counts, "a mean"), window, strides, padding, strict=True)
    for n, m, k, s, p in dimensions:
        begin = np.arange(m) * s - p
        end = np.minimum(begin + k, n + p)
        along = end - begin if padded else np.minimum(end, n) - np.maximum(begin, 0)
        total = total[..., None] * along
    return total


# -- resizing ---------------------------------------------------------------------------------------------------------


def _triangle(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: Any) -> Any:
    """Keys' kernel with a = -1/2, as PyTorch's antialiasing has it."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x < 1, near, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * a, 0))


def _weights(before: int, after: int, scale: float, kernel: Any, reach: int) -> Any:
    """The matrix that resizes one axis: a kernel as wide as the step between results."""
    table = np.zeros((after, before))
    wide = max(scale, 1.0)
    support = reach / 2 * wide
    for i in range(after):
        centre = scale * (i + 0.5)
        low = max(int(centre - support + 0.5), 0)
        high = min(int(centre + support + 0.5), before)
        own = kernel((np.arange(low, high) - centre + 0.5) / wide)
        table[i, low:high] = own / own.sum()
    return table


def _smooth(kernel: Any, reach: int) -> Lowering:
    def lower(call: Call, x: Array, size: Any, corners: bool = False, *scales: Any) -> Array:
        given = list(scales[0]) if scales and isinstance(scales[0], (list, tuple)) else [*scales, None, None][:2]
        before = _fixed(x.shape[2:], "resizing without aliasing")
        after = _fixed(call.shape[2:], "resizing without aliasing")
        for axis, (n, m, factor) in enumerate(zip(before, after, given, strict=True), 2):
            if corners:
                scale = (n - 1) / (m - 1) if m > 1 else 0.0
            else:
                scale = 1 / factor if factor else n / m
            table = x.recorder.constant(_weights(n, m, scale, kernel, reach).astype(x.dtype.name))
            turned = xp.moveaxis(x, axis, -1)
            x = xp.moveaxis(xp.matmul(turned, xp.matrix_transpose(table)), -1, axis)
        return x

    return lower


def _windows(call: Call, x: Array, axis: int, size: int, step: int) -> Array:
    """Windows along an axis, as a further axis behind."""
    if not x.ndim:
        return xp.broadcast_to(x, call.shape)
    place = axis % x.ndim
    count = (x.shape[place] - size) // step + 1
    begin = xp.multiply(xp.arange(count), step)
    at = xp.add(xp.expand_dims(begin, axis=1), xp.arange(size))
    taken = xp.take(x, xp.reshape(at, (-1,)), axis=place)
    wide = xp.reshape(taken, (*x.shape[:place], count, size, *x.shape[place + 1 :]))
    return xp.moveaxis(wide, place + 1, -1)


def _strided(call: Call, x: Array, sizes: Any, strides: Any, offset: Any = None) -> Array:
    """Components by their places in memory, of an array that lies there in order."""
    given = call.given[0]
    sizes = _fixed(tuple(sizes), "as_strided")
    if not given.is_contiguous() or given.storage_offset():
        raise PortingError("as_strided of an array that is itself a view is not ported.", legal="slices, unfold")
    place = np.full((), offset or 0)
    for n, step in zip(sizes, strides, strict=True):
        place = place[..., None] + np.arange(n) * step
    flat = xp.reshape(x, (-1,))
    return xp.reshape(one(flat, "take", x.recorder.constant(place.ravel()), axis=0), sizes)


LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(("_upsample_bilinear2d_aa.default", "_upsample_bilinear2d_aa.vec"), _smooth(_triangle, 2)),
    **dict.fromkeys(("_upsample_bicubic2d_aa.default", "_upsample_bicubic2d_aa.vec"), _smooth(_cubic, 4)),
    **{f"adaptive_max_pool{n}d.default": _adaptive_largest for n in (2, 3)},
    "unfold.default": _windows, "as_strided.default": _strided,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
