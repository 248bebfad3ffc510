"""Where NumPy, through array_api_compat, misses the standard (special values of four functions) or takes a detour."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat.numpy as base
import numpy as np

from tensoria import special_values

__all__ = ["expm1", "floor_divide", "log1p", "max", "min", "prod", "sum", "tanh"]

Array = Any
Axis = int | tuple[int, ...] | None


def _complex(real: Array, imag: Array) -> Array:
    out = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag
    return out[()]


def _matrix_rank(x: Array, /, *, rtol: Any = None) -> Array:
    """NumPy has no rank of a matrix without components, which is zero."""
    if 0 in x.shape[-2:]:
        return np.zeros(x.shape[:-2], np.int64)[()]
    return base.linalg.matrix_rank(x, rtol=rtol)


def _slogdet(x: Array, /) -> Any:
    """The sign of what is not a number is none either, where NumPy says 1."""
    found = base.linalg.slogdet(x)
    if x.dtype.kind == "c":
        return found
    return found._replace(sign=np.where(np.isnan(found.logabsdet), x.dtype.type("nan"), found.sign)[()])


LINALG = ModuleType("tensoria_numpy.linalg")
vars(LINALG).update(
    {name: getattr(base.linalg, name) for name in base.linalg.__all__ if name != "__builtins__"}
    | {"matrix_rank": _matrix_rank, "slogdet": _slogdet}
)
"""The extension `linalg`, corrected."""


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


# np.sum and its siblings end in these, after one microsecond of questions about arguments that the standard has not.


def sum(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """The sum over the given axes (None: all); short integers are added in the default one."""
    return np.add.reduce(x, axis, dtype, None, keepdims)


def prod(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """The product over the given axes (None: all); short integers are multiplied in the default one."""
    return np.multiply.reduce(x, axis, dtype, None, keepdims)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest component over the given axes (None: all)."""
    return np.maximum.reduce(x, axis, None, None, keepdims)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest component over the given axes (None: all)."""
    return np.minimum.reduce(x, axis, None, None, keepdims)
