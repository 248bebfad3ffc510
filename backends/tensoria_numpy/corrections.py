"""Where NumPy, through array_api_compat, misses the standard: special values of four functions."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as base
import numpy as np

from tensoria import special_values

__all__ = ["expm1", "floor_divide", "log1p", "tanh"]

Array = Any


def _complex(real: Array, imag: Array) -> Array:
    out = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag
    return out[()]


def expm1(x: Array, /) -> Array:
    """NumPy loses digits and signs of complex numbers near zero (numpy#21746)."""
    return special_values.expm1(base, _complex, x) if x.dtype.kind == "c" else np.expm1(x)


def log1p(x: Array, /) -> Array:
    """NumPy loses digits of complex numbers near zero."""
    return special_values.log1p(base, _complex, x) if x.dtype.kind == "c" else np.log1p(x)


def tanh(x: Array, /) -> Array:
    """NumPy's imaginary part at infinity has the sign of sin(2 y)."""
    out = np.tanh(x)
    return special_values.tanh(base, _complex, x, out) if out.dtype.kind == "c" else out


def floor_divide(x1: Array, x2: Array, /) -> Array:
    """NumPy follows Python, where inf // 2 is NaN (numpy#23860)."""
    out = np.floor_divide(x1, x2)
    return special_values.floor_divide(base, x1, x2, out) if out.dtype.kind == "f" else out
