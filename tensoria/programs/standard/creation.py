"""Functions that create arrays, recorded: sizes may be expressions, numbers become constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.dtypes import DType, bool_, dtype, int64
from tensoria.programs import recorder
from tensoria.programs.dimensions import Size
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.operands import (
    as_dtype,
    cast,
    depends,
    dtype_of,
    one,
)
from tensoria.programs.types import Shape

__all__ = ["FUNCTIONS"]

Array = SymbolicArray


def _shape(shape: Any) -> Shape:
    return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)


def _default(value: Any) -> DType:
    return bool_ if isinstance(value, bool) else int64 if isinstance(value, int) else dtype(type(value))


def _full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    if isinstance(fill_value, SymbolicArray):
        value = fill_value if dtype is None else cast(fill_value, as_dtype(dtype))
    else:
        value = recorder.current().literal(fill_value, as_dtype(dtype, _default(fill_value)))
    return value if _shape(shape) == () else one(value, "full", shape=_shape(shape))


def _filled(number: float) -> Callable[..., Array]:
    def function(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
        return _full(shape, number, dtype=as_dtype(dtype))

    return function


def _filled_like(number: float) -> Callable[..., Array]:
    def function(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
        return _full_like(x, number, dtype=dtype)

    return function


def _full_like(x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    value = x.recorder.literal(fill_value, as_dtype(dtype, x.dtype))
    return value if x.shape == () else one(value, "full", shape=x.shape)


def _arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Array:
    if stop is None:
        start, stop = 0, start
    if any(isinstance(end, float) for end in (start, stop, step)):
        return recorder.current().constant(np.arange(start, stop, step), as_dtype(dtype))
    (made,) = recorder.current().record("arange", (), start=start, stop=stop, step=step, dtype=as_dtype(dtype, int64))
    return made


def _eye(n_rows: Size, n_cols: Size | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Array:
    columns = n_rows if n_cols is None else n_cols
    (made,) = recorder.current().record("eye", (), rows=n_rows, columns=columns, k=k, dtype=as_dtype(dtype))
    return made


def _linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Array:
    made = np.linspace(start, stop, num, endpoint=endpoint)
    return cast(recorder.current().constant(made), as_dtype(dtype, dtype_of(made)))


def _asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
    if isinstance(obj, SymbolicArray):
        return obj if dtype is None else cast(obj, as_dtype(dtype))
    made = recorder.current().constant(np.asarray(obj), origin=obj if isinstance(obj, np.ndarray) else None)
    return made if dtype is None else cast(made, as_dtype(dtype))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "full": _full, "zeros": _filled(0.0), "ones": _filled(1.0), "empty": _filled(0.0),
    "full_like": _full_like, "zeros_like": _filled_like(0.0), "ones_like": _filled_like(1.0),
    "empty_like": _filled_like(0.0), "arange": _arange, "eye": _eye, "linspace": _linspace, "asarray": _asarray,
    "from_dlpack": depends("from_dlpack"),
}  # fmt: skip
"""The functions of this chapter, by name."""
