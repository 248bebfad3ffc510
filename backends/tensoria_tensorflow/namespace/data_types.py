"""Data types: the standard's dtypes are TensorFlow's own `tf.DType` objects, and promotion is one table.

TensorFlow does not promote: `float32 + float64` is an error there. The table below is the standard's lattice
(integers among themselves, floating-point types among themselves and into the complex ones), extended by bfloat16,
which meets float16 at float32. What the standard leaves open (integers with floating-point arrays, uint64 with signed
integers) is an error that names `astype`, not a guess. Python scalars take the dtype of the array beside them.
Operands of all other chapters pass through `common`, the one reader of the table.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf

from .. import kernels
from ..kernels import read

__all__ = [
    "astype",
    "bfloat16",
    "bool",
    "can_cast",
    "complex64",
    "complex128",
    "finfo",
    "float16",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

Array = Any
Scalar = (int, float, complex)  # a Python bool is an int; a NumPy float64 is a float

bool = tf.bool
int8, int16, int32, int64 = tf.int8, tf.int16, tf.int32, tf.int64
uint8, uint16, uint32, uint64 = tf.uint8, tf.uint16, tf.uint32, tf.uint64
float16, bfloat16, float32, float64 = tf.float16, tf.bfloat16, tf.float32, tf.float64
complex64, complex128 = tf.complex64, tf.complex128

# int64 rather than TensorFlow's int32 for Python integers: the standard wants indices and sums to fit, and on an
# accelerator int32 tensors live in host memory.
DEFAULTS: dict[str, tf.DType] = {
    "bool": bool,
    "integral": int64,
    "real floating": float32,
    "complex floating": complex64,
}

_SIGNED, _UNSIGNED = (int8, int16, int32, int64), (uint8, uint16, uint32, uint64)
_REAL, _COMPLEX = (float16, bfloat16, float32, float64), (complex64, complex128)
KINDS: dict[str, frozenset[tf.DType]] = {
    "bool": frozenset({bool}),
    "signed integer": frozenset(_SIGNED),
    "unsigned integer": frozenset(_UNSIGNED),
    "integral": frozenset(_SIGNED + _UNSIGNED),
    "real floating": frozenset(_REAL),
    "complex floating": frozenset(_COMPLEX),
    "floating": frozenset(_REAL + _COMPLEX),
    "real": frozenset(_SIGNED + _UNSIGNED + _REAL),
    "numeric": frozenset(_SIGNED + _UNSIGNED + _REAL + _COMPLEX),
    "bool or integral": frozenset({bool, *_SIGNED, *_UNSIGNED}),
    "any": frozenset({bool, *_SIGNED, *_UNSIGNED, *_REAL, *_COMPLEX}),
}
COMPONENT = {complex64: float32, complex128: float64}  # of a complex number
COMPLEX_OF = {float16: complex64, bfloat16: complex64, float32: complex64, float64: complex128}
HALVES = frozenset({float16, bfloat16})


def _lattice() -> dict[tuple[tf.DType, tf.DType], tf.DType]:
    rows: dict[tuple[tf.DType, tf.DType], tf.DType] = {(bool, bool): bool}

    def row(left: tf.DType, right: tf.DType, out: tf.DType) -> None:
        rows[left, right] = rows[right, left] = out

    for family in (_SIGNED, _UNSIGNED, (float16, float32, float64), (bfloat16, float32, float64), _COMPLEX):
        for place, out in enumerate(family):
            for smaller in family[: place + 1]:
                row(smaller, out, out)
    for place, unsigned in enumerate(_UNSIGNED):  # the signed type that holds both; none holds uint64
        for other, signed in enumerate(_SIGNED):
            if place < 3:
                row(unsigned, signed, _SIGNED[max(place + 1, other)])
    row(float16, bfloat16, float32)
    for real, component in COMPLEX_OF.items():
        for complex_ in _COMPLEX:
            row(real, complex_, complex128 if complex128 in (component, complex_) else complex64)
    return rows


PROMOTIONS = _lattice()


def kind_of(dtype: tf.DType) -> str:
    """The one of bool, integral, real floating and complex floating that `dtype` belongs to."""
    return next(kind for kind in DEFAULTS if dtype in KINDS[kind])


def to_dtype(dtype: Any) -> tf.DType:
    """A dtype argument: a `tf.DType`, or whatever TensorFlow understands as one (a name, a NumPy dtype)."""
    return dtype if isinstance(dtype, tf.DType) else tf.as_dtype(dtype)


def _promote(left: tf.DType, right: tf.DType) -> tf.DType:
    found = PROMOTIONS.get((left, right))
    if found is None:
        raise TypeError(f"{left.name} and {right.name} have no common type; convert one of them with astype()")
    return found


def _with_scalar(dtype: tf.DType, scalar: Any) -> tf.DType:
    """The type of an array of `dtype` beside a Python scalar."""
    if isinstance(scalar, (builtins.bool, np.bool_)):
        fits = dtype is bool
    elif isinstance(scalar, int):
        fits = dtype is not bool
    elif isinstance(scalar, float):
        fits = dtype in KINDS["floating"]
    else:
        fits, dtype = dtype in KINDS["floating"], COMPLEX_OF.get(dtype, dtype)
    if not fits:
        raise TypeError(f"a Python {type(scalar).__name__} does not mix with {dtype.name}; convert with astype()")
    return dtype


def result_type(*arrays_and_dtypes: Any) -> tf.DType:
    """The type that the arguments (arrays, dtypes, Python scalars) promote to.

    Raises TypeError where the standard defines no promotion, ValueError if there are only scalars.
    """
    dtypes = [x if isinstance(x, tf.DType) else x.dtype for x in arrays_and_dtypes if not isinstance(x, Scalar)]
    if not dtypes:
        raise ValueError("result_type needs at least one array or dtype")
    out = to_dtype(dtypes[0])
    for dtype in dtypes[1:]:
        if dtype is not out:
            out = _promote(out, to_dtype(dtype))
    for x in arrays_and_dtypes:
        if isinstance(x, Scalar):
            out = _with_scalar(out, x)
    return out


def constant(scalar: Any, dtype: tf.DType) -> Array:
    """A Python scalar as a 0-d tensor; raises OverflowError for an integer that `dtype` does not hold."""
    if dtype in KINDS["integral"]:
        if not dtype.min <= scalar <= dtype.max:
            raise OverflowError(f"Python integer {scalar} is out of bounds for {dtype.name}")
        return kernels.scalar(int(scalar), dtype)
    if dtype in COMPONENT:
        return kernels.scalar(complex(scalar), dtype)
    return kernels.scalar(scalar, dtype)


def common(name: str, kind: str, *operands: Any) -> list[Array]:
    """The operands of the function `name` as tensors of their common type, which must be of `kind`."""
    tensors = [x if isinstance(x, Scalar) else read(x) for x in operands]
    try:
        dtype = result_type(*tensors)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: {error}") from None
    check(name, kind, dtype)
    return [constant(x, dtype) if isinstance(x, Scalar) else _cast(x, dtype) for x in tensors]


def check(name: str, kind: str, dtype: tf.DType) -> None:
    """Raises TypeError if the function `name`, defined for the types of `kind`, meets another one."""
    if dtype not in KINDS[kind]:
        raise TypeError(f"{name} is defined for {kind} types, not for {dtype.name}")


def _cast(x: Array, dtype: tf.DType) -> Array:
    have = x.dtype
    if have is dtype:
        return x
    if dtype is bool:
        # Casting a complex number to bool would drop its imaginary part.
        return kernels.raw.NotEqual(x=x, y=tf.constant(0, have))
    if dtype in COMPONENT and have not in COMPONENT:
        real = kernels.cast(x, COMPONENT[dtype])
        # The gradient of Cast from real to complex logs a warning about discarded imaginary parts; Complex's does not.
        return kernels.raw.Complex(real=real, imag=kernels.raw.ZerosLike(x=real), Tout=dtype)
    return kernels.cast(x, dtype)


def astype(x: Array, dtype: tf.DType, /, *, copy: Any = True, device: Any = None) -> Array:
    """`x` converted to `dtype`; tensors are immutable, so `copy` makes no difference.

    Raises TypeError from complex to real (take `real` or `abs`).
    """
    x, dtype = read(x), to_dtype(dtype)
    if x.dtype in COMPONENT and dtype not in COMPONENT and dtype is not bool:
        raise TypeError(f"astype does not drop imaginary parts: {x.dtype.name} to {dtype.name}; take real() or abs()")
    if device is not None:
        with tf.device(device):
            return tf.identity(_cast(x, dtype))
    return _cast(x, dtype)


def can_cast(from_: Any, to: tf.DType, /) -> Any:
    """Whether type promotion alone turns `from_` (an array or a dtype) into `to`."""
    have = from_ if isinstance(from_, tf.DType) else from_.dtype
    return PROMOTIONS.get((have, to)) is to


def isdtype(dtype: tf.DType, kind: tf.DType | str | tuple[tf.DType | str, ...]) -> Any:
    """Whether `dtype` is, or is of, one of the given dtypes and kinds; raises ValueError for an unknown kind."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in ("bool", *_STANDARD_KINDS):
            raise ValueError(f"unknown kind {kind!r}; the kinds are bool, {', '.join(_STANDARD_KINDS)}")
        return dtype in KINDS[kind]
    return dtype == kind


_STANDARD_KINDS = ("signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")


@dataclass(frozen=True)
class finfo_object:  # noqa: N801 (the standard's name)
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: tf.DType


@dataclass(frozen=True)
class iinfo_object:  # noqa: N801
    bits: int
    max: int
    min: int
    dtype: tf.DType


def finfo(type: Any, /) -> finfo_object:
    """Machine limits of a floating-point type; for a complex one, those of its components."""
    dtype = type if isinstance(type, tf.DType) else type.dtype
    check("finfo", "floating", dtype)
    real = COMPONENT.get(dtype, dtype)
    limits = ml_dtypes.finfo(real.as_numpy_dtype)  # type: ignore[no-untyped-call]
    eps, largest, least, normal = (float(v) for v in (limits.eps, limits.max, limits.min, limits.smallest_normal))
    return finfo_object(int(limits.bits), eps, largest, least, normal, real)


def iinfo(type: Any, /) -> iinfo_object:
    """Machine limits of an integer type."""
    dtype = type if isinstance(type, tf.DType) else type.dtype
    check("iinfo", "integral", dtype)
    return iinfo_object(dtype.size * 8, int(dtype.max), int(dtype.min), dtype)
