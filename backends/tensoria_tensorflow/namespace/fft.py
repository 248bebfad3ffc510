"""The standard's `fft` extension: TensorFlow's four one-dimensional kernels, and what is made of them.

The kernels transform the last axis, with inverse ones dividing by its length; other axes are moved there, several
axes are transformed one after the other, and the other normalisations are a factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .. import kernels
from ..kernels import raw, read
from .creation import asarray, zeros
from .data_types import COMPLEX_OF, COMPONENT, HALVES, astype, check, to_dtype
from .elementwise import conj, multiply
from .indexing import getitem
from .manipulation import moveaxis, roll
from .shapes import axes_of, axis_of, extents, rank

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

Array = Any
INVERSE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}
"""The normalisation of the inverse transform that divides by what this one multiplies with."""


def _resized(x: Array, length: Any) -> Array:
    """The last axis cut, or filled with zeros, to a length."""
    have = extents(x)
    if isinstance(have[-1], int) and isinstance(length, int):
        if have[-1] == length:
            return x
        if have[-1] > length:
            return getitem(x, (..., slice(0, length)))
    filled = kernels.concat([x, zeros((*have[:-1], length), dtype=x.dtype)], rank(x) - 1)
    return getitem(filled, (..., slice(0, length)))


def _scaled(x: Array, length: Any, norm: str, inverse: bool) -> Array:
    """The normalisation beyond the kernels' own."""
    if norm not in INVERSE:
        raise ValueError(f"fft: norm is 'backward', 'forward' or 'ortho', not {norm!r}")
    if norm == "backward":
        return x
    real = COMPONENT.get(x.dtype, x.dtype)
    size = tf.cast(length, real)
    factor = size if norm == "forward" else tf.sqrt(size)
    return multiply(x, astype(factor if inverse else 1 / factor, x.dtype))


def _lengths(length: Any) -> Array:
    return kernels.ints((length,)) if isinstance(length, int) else tf.reshape(tf.cast(length, tf.int32), (1,))


def _positive(name: str, length: Any) -> None:
    if isinstance(length, int) and length < 1:
        raise ValueError(f"fft.{name}: there is nothing to transform along an axis of length {length}")


def _complex(name: str, x: Array) -> Array:
    x = read(x)
    check(f"fft.{name}", "floating", x.dtype)
    return astype(x, COMPLEX_OF.get(x.dtype, x.dtype))


def _real(name: str, x: Array) -> Array:
    x = read(x)
    check(f"fft.{name}", "real floating", x.dtype)
    return kernels.cast(x, tf.float32) if x.dtype in HALVES else x


def _full(name: str, x: Array, n: int | None, axis: int, norm: str) -> Array:
    x = _complex(name, x)
    axis = axis_of(axis, rank(x))
    x = moveaxis(x, axis, -1)
    length = extents(x)[-1] if n is None else n
    _positive(name, length)
    inverse = name.startswith("i")
    x = _resized(x, length)
    out = raw.IFFT(input=x) if inverse else raw.FFT(input=x)
    return moveaxis(_scaled(out, length, norm, inverse), -1, axis)


def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The discrete Fourier transform along an axis, cut or filled with zeros to length n."""
    return _full("fft", x, n, axis, norm)


def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The inverse of `fft`."""
    return _full("ifft", x, n, axis, norm)


def rfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The transform of real numbers: the n // 2 + 1 frequencies that are not negative."""
    x = _real("rfft", x)
    axis = axis_of(axis, rank(x))
    x = moveaxis(x, axis, -1)
    length = extents(x)[-1] if n is None else n
    _positive("rfft", length)
    out = raw.RFFT(input=_resized(x, length), fft_length=_lengths(length), Tcomplex=COMPLEX_OF[x.dtype])
    return moveaxis(_scaled(out, length, norm, False), -1, axis)


def irfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The inverse of `rfft`: n real numbers (2 (m - 1) by default) of the m frequencies that are not negative."""
    x = _complex("irfft", x)
    axis = axis_of(axis, rank(x))
    x = moveaxis(x, axis, -1)
    length = 2 * (extents(x)[-1] - 1) if n is None else n
    _positive("irfft", length)
    x = _resized(x, length // 2 + 1)
    out = raw.IRFFT(input=x, fft_length=_lengths(length), Treal=COMPONENT[x.dtype])
    return moveaxis(_scaled(out, length, norm, True), -1, axis)


def hfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The transform of a signal that is Hermitian in time: n real numbers (2 (m - 1) by default) of m samples."""
    return irfft(conj(_complex("hfft", x)), n=n, axis=axis, norm=INVERSE.get(norm, norm))


def ihfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """The inverse of `hfft`."""
    return conj(rfft(x, n=n, axis=axis, norm=INVERSE.get(norm, norm)))


# --- several axes ------------------------------------------------------------------------------------------------


def _places(name: str, x: Array, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int, int | None]]:
    """The axes to transform, each with the length to cut or fill to."""
    ndim = rank(x)
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    places = [axis_of(axis, ndim) for axis in axes]  # in the order given: the real transforms halve the last one
    lengths: Sequence[int | None] = [None] * len(places) if s is None else s
    if len(lengths) != len(places):
        raise ValueError(f"fft.{name}: {len(lengths)} lengths for {len(places)} axes")
    return [(axis, None if length == -1 else length) for axis, length in zip(places, lengths, strict=True)]


def fftn(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Array:
    """`fft` along several axes."""
    x = _complex("fftn", x)
    for axis, n in _places("fftn", x, s, axes):
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


def ifftn(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Array:
    """The inverse of `fftn`."""
    x = _complex("ifftn", x)
    for axis, n in _places("ifftn", x, s, axes):
        x = ifft(x, n=n, axis=axis, norm=norm)
    return x


def rfftn(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Array:
    """`rfft` along the last one of several axes, `fft` along the others."""
    x = _real("rfftn", x)
    *others, (last, n) = _places("rfftn", x, s, axes)
    x = rfft(x, n=n, axis=last, norm=norm)
    for axis, m in others:
        x = fft(x, n=m, axis=axis, norm=norm)
    return x


def irfftn(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Array:
    """The inverse of `rfftn`."""
    x = _complex("irfftn", x)
    *others, (last, n) = _places("irfftn", x, s, axes)
    for axis, m in others:
        x = ifft(x, n=m, axis=axis, norm=norm)
    return irfft(x, n=n, axis=last, norm=norm)


# --- frequencies -------------------------------------------------------------------------------------------------


def _frequencies(name: str, n: int, d: float, count: int, dtype: Any, device: Any) -> Array:
    if n < 1:
        raise ValueError(f"fft.{name}: there are no frequencies of {n} samples")
    wanted = tf.float32 if dtype is None else to_dtype(dtype)
    check(f"fft.{name}", "real floating", wanted)
    whole = np.arange(count)
    if name == "fftfreq":
        whole = np.where(whole < math.ceil(n / 2), whole, whole - n)
    return asarray(whole / (n * d), dtype=wanted, device=device)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: tf.DType | None = None, device: Any = None) -> Array:
    """The frequencies of `fft`, for n samples at distance d."""
    return _frequencies("fftfreq", n, d, n, dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: tf.DType | None = None, device: Any = None) -> Array:
    """The frequencies of `rfft`, for n samples at distance d."""
    return _frequencies("rfftfreq", n, d, n // 2 + 1, dtype, device)


def _shifted(x: Array, axes: int | Sequence[int] | None, sign: int) -> Array:
    x = read(x)
    places = axes_of(tuple(axes) if isinstance(axes, (list, range)) else axes, rank(x))
    sizes = extents(x)
    for axis in places:
        half = sizes[axis] // 2
        # Rolling backwards by half, rounded down, is rolling forwards by half, rounded up.
        x = roll(x, half if sign > 0 else sizes[axis] - half, axis=axis)
    return x


def fftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """The frequency zero moved to the middle of the axes (None: all)."""
    return _shifted(x, axes, 1)


def ifftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of `fftshift`."""
    return _shifted(x, axes, -1)
