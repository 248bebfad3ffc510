"""Data type functions: conversion, promotion and limits."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tensoria import dtypes
from tensoria.casting import cast
from tensoria.coordinatewise import is_scalar, number
from tensoria.core import BaseTensor, kept
from tensoria.discovery import backend_of
from tensoria.dtypes import DType
from tensoria.errors import DTypeError
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = [
    "astype",
    "can_cast",
    "finfo",
    "iinfo",
    "isdtype",
    "result_type",
]


def astype(x: Any, dtype: DType | str, /, *, copy: bool = True, device: str | None = None) -> Tensor:
    """The tensor in another data type, labels kept.

    Raises:
        DTypeError: complex numbers would lose their imaginary parts, or a number does not fit into the integers (NaN
            and infinities never do).
    """
    t = tensor_of(x, "astype")
    into = dtypes.dtype(dtype)
    array = cast(t._backend, t._array, into)
    if device is not None:
        array = t._backend.to_device(array, device)
    return kept(t, t._backend.copy(array) if copy and array is t._array else array)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The data type that tensors and data types promote to.

    Raises:
        DTypeError: the standard leaves it open.

    >>> result_type("float32", "complex64")
    tensoria.complex64
    """
    scalars = [number(x) for x in arrays_and_dtypes if is_scalar(x)]
    found = [_dtype_of(x) for x in arrays_and_dtypes if not is_scalar(x)]
    if not found:
        raise DTypeError("result_type needs a tensor or a data type.", legal='tn.result_type("float32", 2.0)')
    result = functools.reduce(dtypes.promoted, found)
    for value in scalars:
        result = dtypes.beside(value, result)
    return result


def _dtype_of(x: Any) -> DType:
    if isinstance(x, BaseTensor):
        return x.dtype
    owner = backend_of(x)
    return dtypes.dtype(x) if owner is None else owner.dtype(x)


class FloatInfo(NamedTuple):
    """The limits of a floating-point data type; for complex numbers, those of their parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IntegerInfo(NamedTuple):
    """The limits of an integer data type."""

    bits: int
    max: int
    min: int
    dtype: DType


LAYOUT = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}
"""How many bits of a floating-point number are its exponent and its fraction."""
PART = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}
"""The data type of a complex number's real part."""


def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating-point data type, or of a tensor's.

    Raises:
        DTypeError: it is none.

    >>> finfo("float32").eps
    1.1920928955078125e-07
    """
    found = _dtype_of(type)
    real = PART.get(found, found)
    if real.name not in LAYOUT:
        raise DTypeError(f"finfo is about floating-point numbers, and {found} are none.", legal="tn.iinfo")
    exponent, fraction = LAYOUT[real.name]
    top = 2 ** (exponent - 1) - 1
    largest = (2 - 2.0**-fraction) * 2.0**top
    return FloatInfo(real.itemsize * 8, 2.0**-fraction, largest, -largest, 2.0 ** (1 - top), real)


def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer data type, or of a tensor's.

    Raises:
        DTypeError: it is none.

    >>> iinfo("int8").max
    127
    """
    found = _dtype_of(type)
    if found.kind not in ("int", "uint"):
        raise DTypeError(f"iinfo is about integers, and {found} are none.", legal="tn.finfo")
    bits = found.itemsize * 8
    least = -(2 ** (bits - 1)) if found.kind == "int" else 0
    return IntegerInfo(bits, least + 2**bits - 1, least, found)


def can_cast(from_: Any, to: DType | str, /) -> bool:
    """Whether promotion leads from one data type to another."""
    source = _dtype_of(from_)
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
