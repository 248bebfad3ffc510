"""TensorFlow's operations on images in other sizes, colours and pieces; channels stand last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria.errors import ShapeError
from tensoria.programs.dimensions import Dim
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import Array, Call, Known, Lowering, literal_like, one, ordered, whole, xp
from tensoria_tensorflow.lowerings.neural import same_padding

__all__ = ["LOWERINGS"]


# -- other sizes ------------------------------------------------------------------------------------------------------


def _resized(method: str) -> Lowering:
    def lower(call: Call, x: Array, size: Known) -> Array:
        corners, half = call.attribute("align_corners"), call.attribute("half_pixel_centers")
        images = ordered(x, "NHWC", "NCHW")
        if method != "nearest":
            images = cast(images, call.dtype)
        sizes = whole(size)
        pairs = list(zip(images.shape[2:], sizes, strict=True))
        if method == "nearest" and corners:
            # Rounded to the nearest position.
            if any(isinstance(n, Dim) for pair in pairs for n in pair):
                raise ShapeError(f"images are resized from {images.shape[2:]} to {sizes} with aligned corners.")
            found = _nearest_corners(images, sizes, [(n - 1) / (m - 1) if m > 1 else 0.0 for n, m in pairs])
        else:
            rule = "corners" if corners else "half_pixel" if half else "asymmetric"
            found = one(images, "resize", sizes=tuple(sizes), method=method, rule=rule, steps=(None,) * len(pairs))
        return ordered(found, "NCHW", "NHWC")

    return lower


def _nearest_corners(x: Array, sizes: Sequence[int], steps: Sequence[float]) -> Array:
    for axis, (m, step) in enumerate(zip(sizes, steps, strict=True), 2):
        places = np.floor(np.arange(m, dtype=np.float32) * np.float32(step) + np.float32(0.5)).astype(np.int64)
        x = one(x, "take", x.recorder.constant(np.minimum(places, int(x.shape[axis]) - 1)), axis=axis)
    return x


def _weighted(call: Call, x: Array, size: Known, weights: Any) -> Array:
    """Rows and columns as weighted sums of those that there are."""
    x = cast(x, call.dtype)
    sizes = whole(size)
    if any(isinstance(n, Dim) for n in (*x.shape[1:3], *sizes)):
        raise ShapeError(f"images are resized from {x.shape[1:3]} to {sizes} by {call.operation.type}.")
    rows, columns = (
        call.recorder.constant(weights(int(n), int(m)).astype(x.dtype.name), x.dtype)
        for n, m in zip(x.shape[1:3], sizes, strict=True)
    )
    x = one(columns, "matmul", x)
    turned = one(rows, "matmul", xp.permute_dims(x, (0, 2, 1, 3)))
    return xp.permute_dims(turned, (0, 2, 1, 3))


TABLE = 1024
"""TensorFlow reads the weights of cubic convolution from a table of so many distances."""


def _keys(a: float) -> tuple[Any, Any]:
    """The weights of the nearer and the farther neighbour by distance (Keys 1981), in float32."""
    a_, x = np.float32(a), (np.arange(TABLE + 1) / TABLE).astype(np.float32)
    near = ((a_ + 2) * x - (a_ + 3)) * x * x + 1
    x = x + np.float32(1)
    return near, ((a_ * x - 5 * a_) * x + 8 * a_) * x - 4 * a_


def _cubic(call: Call, x: Array, size: Known) -> Array:
    """Four neighbours. Of half pixels those beyond the ends have no weight, else the outermost has theirs."""
    corners, half = call.attribute("align_corners"), call.attribute("half_pixel_centers")
    near, far = _keys(-0.5 if half else -0.75)

    def weights(n: int, m: int) -> Any:
        step = np.float32((n - 1) / (m - 1) if corners and m > 1 else n / m)
        number = np.arange(m, dtype=np.float32)
        place = (number + np.float32(0.5)) * step - np.float32(0.5) if half else number * step
        low = np.floor(place).astype(int)
        offset = np.rint((place - low) * TABLE).astype(int)
        found = np.zeros((m, n))
        for shift, share in ((-1, far[offset]), (0, near[offset]), (1, near[TABLE - offset]), (2, far[TABLE - offset])):
            at = np.clip(low + shift, 0, n - 1)
            np.add.at(found, (np.arange(m), at), np.where(at == low + shift, share, 0) if half else share)
        return found / found.sum(axis=1, keepdims=True) if half else found

    return _weighted(call, x, size, weights)


def _area(call: Call, x: Array, size: Known) -> Array:
    """The mean over the part of the image that each result covers."""
    corners = call.attribute("align_corners")

    def weights(n: int, m: int) -> Any:
        step = (n - 1) / (m - 1) if corners and m > 1 else n / m
        first, place = np.arange(m)[:, None] * step, np.arange(n)
        end = np.where(place == n - 1, np.inf, place + 1)  # the last component stands for what lies beyond
        covered = np.clip(np.minimum(first + step, end) - np.maximum(first, place), 0, None)
        return covered / step

    return _weighted(call, x, size, weights)


# -- pieces -----------------------------------------------------------------------------------------------------------


def _patches(call: Call, x: Array) -> Array:
    """The components of each window, one after the other along the channels."""
    window, strides, rates = (tuple(call.attribute(name)[1:3]) for name in ("ksizes", "strides", "rates"))
    around = same_padding(call, x.shape[1:3], window, strides, rates)
    if any(isinstance(n, Dim) or n for pair in around for n in pair):
        x = one(x, "pad", padding=((0, 0), *around, (0, 0)), value=x.recorder.literal(0, x.dtype).operand.number)  # type: ignore[union-attr]
    reach = [r * (k - 1) + 1 for r, k in zip(rates, window, strict=True)]
    count = [(n - r) // s for n, r, s in zip(x.shape[1:3], reach, strides, strict=True)]
    parts = []
    for row in range(window[0]):
        for column in range(window[1]):
            starts = (row * rates[0], column * rates[1])
            key = tuple(
                slice(begin, begin + number * step + 1, step)
                for begin, number, step in zip(starts, count, strides, strict=True)
            )
            parts.append(getitem(x, (slice(None), *key, slice(None))))
    return xp.concat(parts, axis=3) if len(parts) > 1 else parts[0]


def _neighbours(call: Call, x: Array) -> Array:
    """Local response normalisation over channels (Krizhevsky et al. 2012)."""
    radius = int(call.attribute("depth_radius"))
    bias, alpha, beta = (float(call.attribute(name)) for name in ("bias", "alpha", "beta"))
    squares = one(xp.square(x), "pad", padding=((0, 0),) * 3 + ((radius, radius),), value=0.0)
    total: Any = None
    for n in range(2 * radius + 1):
        part = getitem(squares, (Ellipsis, slice(n, n + x.shape[3])))
        total = part if total is None else xp.add(total, part)
    return xp.divide(x, xp.pow(xp.add(xp.multiply(total, alpha), bias), beta))


# -- colours ----------------------------------------------------------------------------------------------------------


def _contrast(call: Call, x: Array, factor: Array) -> Array:
    """Differences from the mean of each channel, enlarged."""
    axes = (x.ndim - 3, x.ndim - 2)
    mean = one(x, "mean", axes=axes, keepdims=True)
    return xp.add(xp.multiply(xp.subtract(x, mean), cast(factor, x.dtype)), mean)


def _channels(x: Array) -> list[Array]:
    return [getitem(x, (Ellipsis, n)) for n in range(3)]


def _hue(call: Call, x: Array) -> Array:
    """Hue, saturation and value of red, green and blue (Smith 1978)."""
    red, green, blue = _channels(x)
    value = xp.maximum(xp.maximum(red, green), blue)
    spread = xp.subtract(value, xp.minimum(xp.minimum(red, green), blue))
    zero, unit = literal_like(x, 0), literal_like(x, 1)
    bright = xp.greater(value, 0.0)
    saturation = xp.where(bright, xp.divide(spread, xp.where(bright, value, unit)), zero)
    grey = xp.logical_not(xp.greater(spread, 0.0))
    share = xp.divide(literal_like(x, 1 / 6), xp.where(grey, unit, spread))
    from_red = xp.multiply(share, xp.subtract(green, blue))
    from_green = xp.add(xp.multiply(share, xp.subtract(blue, red)), 2 / 6)
    from_blue = xp.add(xp.multiply(share, xp.subtract(red, green)), 4 / 6)
    hue = xp.where(xp.equal(red, value), from_red, xp.where(xp.equal(green, value), from_green, from_blue))
    hue = xp.where(grey, zero, hue)
    return xp.stack([xp.where(xp.less(hue, 0.0), xp.add(hue, 1.0), hue), saturation, value], axis=-1)


def _colour(call: Call, x: Array) -> Array:
    """Red, green and blue of hue, saturation and value."""
    hue, saturation, value = _channels(x)
    sector = xp.multiply(hue, 6.0)
    shares = (
        xp.subtract(xp.abs(xp.subtract(sector, 3.0)), 1.0), xp.subtract(2.0, xp.abs(xp.subtract(sector, 2.0))),
        xp.subtract(2.0, xp.abs(xp.subtract(sector, 4.0))),
    )  # fmt: skip
    rest = xp.subtract(1.0, saturation)
    return xp.stack([
        xp.multiply(xp.add(rest, xp.multiply(saturation, xp.minimum(xp.maximum(share, 0.0), 1.0))), value)
        for share in shares
    ], axis=-1)  # fmt: skip


LOWERINGS: dict[str, Lowering] = {
    "ResizeBilinear": _resized("linear"), "ResizeNearestNeighbor": _resized("nearest"), "ResizeBicubic": _cubic,
    "ResizeArea": _area, "ExtractImagePatches": _patches, "LRN": _neighbours, "AdjustContrastv2": _contrast,
    "RGBToHSV": _hue, "HSVToRGB": _colour,
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = dict.fromkeys(
    ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea"), (1,)
)
"""Which operands have to be known before anything runs."""
