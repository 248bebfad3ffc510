"""ATen's samples of an image at points between its pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from tensoria.dtypes import int64
from tensoria.errors import PortingError
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, getitem
from tensoria_torch.lowerings.call import Call, Lowering, one, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray
LINEAR, NEAREST, CUBIC = range(3)
ZEROS, BORDER, REFLECTION = range(3)


def _pixels(x: Array, size: int, corners: bool) -> Array:
    """Coordinates from -1 to 1 as those of pixels: their centres at the ends, or their outer edges."""
    return xp.add(xp.multiply(x, (size - 1) / 2 if corners else size / 2), (size - 1) / 2)


def _reflected(x: Array, low: float, high: float) -> Array:
    if low == high:
        return xp.zeros_like(x)
    span = high - low
    away = xp.abs(xp.subtract(x, low))
    rest = xp.remainder(away, span)
    odd = xp.equal(xp.remainder(xp.floor(xp.divide(away, span)), 2.0), 1.0)
    return xp.add(xp.where(odd, xp.subtract(span, rest), rest), low)


def _led_inside(x: Array, size: int, padding: int, corners: bool) -> Array:
    """Coordinates outside of the image, as the kind of padding has it."""
    if padding == ZEROS:
        return x
    if padding == REFLECTION:
        x = _reflected(x, 0.0, size - 1.0) if corners else _reflected(x, -0.5, size - 0.5)
    # At the border itself the derivative is 0, as it is in PyTorch's kernels.
    return xp.where(xp.less_equal(x, 0.0), 0.0, xp.where(xp.greater_equal(x, size - 1.0), size - 1.0, x))


def _read(image: Array, places: Sequence[Array], sizes: Sequence[int]) -> Array:
    """The pixels at whole coordinates, one list of them for each image; 0 outside."""
    inside: Any = None
    flat: Any = None
    for place, size in zip(places, sizes, strict=True):
        here = xp.logical_and(xp.greater_equal(place, 0.0), xp.less(place, float(size)))
        inside = here if inside is None else xp.logical_and(inside, here)
        at = cast(xp.where(here, place, 0.0), int64)
        flat = at if flat is None else xp.add(xp.multiply(flat, size), at)
    pixels = xp.reshape(image, (*image.shape[:2], math.prod(sizes)))
    wide = xp.broadcast_to(xp.expand_dims(flat, axis=1), (*image.shape[:2], flat.shape[1]))
    return xp.where(xp.expand_dims(inside, axis=1), one(pixels, "take_along_axis", wide, axis=2), 0.0)


def _linear(t: Array) -> tuple[Array, ...]:
    """The weights of two."""
    return xp.subtract(1.0, t), t


def _cubic(t: Array) -> tuple[Array, ...]:
    """The weights of four pixels in a row: Keys' kernel with a = -3/4."""
    a = -0.75

    def inner(x: Array) -> Array:
        return ((a + 2) * x - (a + 3)) * x * x + 1.0

    def outer(x: Array) -> Array:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)


def _sampled(call: Call, image: Array, grid: Array, mode: int = 0, padding: int = 0, corners: bool = False) -> Array:
    space = image.ndim - 2
    sizes = image.shape[2:]
    if not all(isinstance(n, int) for n in sizes):
        raise PortingError("samples of an image of open size are not ported.", legal="give its axes their sizes")
    points = xp.reshape(grid, (grid.shape[0], -1, space))
    # The grid's last coordinate is that of the image's first axis.
    at = [_pixels(getitem(points, (Ellipsis, space - 1 - n)), size, corners) for n, size in enumerate(sizes)]
    if mode != CUBIC:
        at = [_led_inside(x, size, padding, corners) for x, size in zip(at, sizes, strict=True)]
    if mode == NEAREST:
        found = _read(image, [xp.round(x) for x in at], sizes)
    else:
        first = [xp.floor(x) for x in at]
        weigh = _cubic if mode == CUBIC else _linear
        weights = [weigh(xp.subtract(x, low)) for x, low in zip(at, first, strict=True)]
        begin = -1 if mode == CUBIC else 0
        found = None
        for corner in itertools.product(range(len(weights[0])), repeat=space):
            places = [xp.add(low, float(n + begin)) for low, n in zip(first, corner, strict=True)]
            if mode == CUBIC:
                places = [_led_inside(x, size, padding, corners) for x, size in zip(places, sizes, strict=True)]
            weight: Any = 1.0
            for of, n in zip(weights, corner, strict=True):
                weight = xp.multiply(of[n], weight)
            part = xp.multiply(_read(image, places, sizes), xp.expand_dims(weight, axis=1))
            found = part if found is None else xp.add(found, part)
    return xp.reshape(found, (*image.shape[:2], *grid.shape[1:-1]))


LOWERINGS: dict[str, Lowering] = {f"grid_sampler_{n}d.default": _sampled for n in (2, 3)}
"""The lowerings of this chapter, by the operator's overload."""
