"""Data type functions: conversion, promotion and limits."""

from __future__ import annotations

from typing import Any

from tensoria import dtypes
from tensoria.core import BaseTensor, new
from tensoria.dtypes import DType
from tensoria.errors import DTypeError
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = [
    "astype",
    "can_cast",
    "isdtype",
    "result_type",
]


def astype(x: Any, dtype: DType | str, /, *, copy: bool = True) -> Tensor:
    """The tensor in another data type, labels kept."""
    t = tensor_of(x, "astype")
    native = t._backend.native_dtype(dtypes.dtype(dtype))
    array = t._backend.kernels.cast(t._array, native)
    return new(t, t._backend.copy(array) if copy and array is t._array else array, t._axes)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The data type that tensors and data types promote to.

    Raises:
        DTypeError: the standard leaves it open.

    >>> result_type("float32", "complex64")
    tensoria.complex64
    """
    found = [x.dtype if isinstance(x, BaseTensor) else dtypes.dtype(x) for x in arrays_and_dtypes]
    result = found[0]
    for other in found[1:]:
        result = dtypes.promoted(result, other)
    return result


def can_cast(from_: Any, to: DType | str, /) -> bool:
    """Whether promotion leads from one data type to another."""
    source = from_.dtype if isinstance(from_, BaseTensor) else dtypes.dtype(from_)
    target = dtypes.dtype(to)
    try:
        return dtypes.promoted(source, target) is target
    except DTypeError:
        return False


def isdtype(dtype: DType | str, kind: Any) -> bool:
    """Whether a data type is of a kind: one data type, `"bool"`, `"integral"`, `"real floating"`, `"numeric"`, ...

    >>> isdtype("int8", ("integral", "bool"))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    found = dtypes.dtype(dtype)
    if isinstance(kind, str) and kind in KINDS:
        return found.kind in KINDS[kind]
    return found is dtypes.dtype(kind)


KINDS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int",),
    "unsigned integer": ("uint",),
    "integral": ("int", "uint"),
    "real floating": ("float",),
    "complex floating": ("complex",),
    "numeric": ("int", "uint", "float", "complex"),
}
"""The standard's names for kinds of data types."""
