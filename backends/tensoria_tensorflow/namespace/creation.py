"""Creating arrays.

Python numbers become int64, float32 and complex64 unless a dtype is given; NumPy arrays keep theirs. Shapes may hold
scalar tensors beside integers, so that `zeros((x.shape[0], 3))` is also possible where the length is known at run
time only. Memory is never shared silently: a TensorFlow tensor is immutable, and an array that aliases it would not
be, so `asarray` copies foreign memory unless `copy=False` asks for the alias.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
from typing import Any

import numpy as np
import tensorflow as tf

from .. import kernels
from ..kernels import ints, raw, read
from .data_types import COMPONENT, DEFAULTS, KINDS, astype, common, constant, kind_of, to_dtype
from .shapes import aligned, extents, rank, spread, to_shape, vector

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]

Array = Any


def _on(device: Any) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if device is None else tf.device(device)


def _scalar_dtype(value: Any) -> tf.DType:
    if isinstance(value, (bool, np.bool_)):
        return DEFAULTS["bool"]
    if isinstance(value, int):
        return DEFAULTS["integral"]
    return DEFAULTS["complex floating" if isinstance(value, complex) else "real floating"]


def asarray(obj: Any, /, *, dtype: tf.DType | None = None, device: Any = None, copy: bool | None = None) -> Array:
    """A tensor from a tensor, a variable, a NumPy array, a Python number or nested sequences of these.

    `copy=False` shares the memory of a foreign array, which must be contiguous and aligned to 64 bytes, or raises
    ValueError.
    """
    wanted = None if dtype is None else to_dtype(dtype)
    with _on(device):
        if isinstance(obj, (tf.Tensor, tf.Variable)):
            x = read(obj)
            x = x if wanted is None else astype(x, wanted)
            return tf.identity(x) if copy or device is not None else x
        if copy is False:
            x = from_dlpack(obj, copy=False)
            if wanted not in (None, x.dtype):
                raise ValueError(f"converting {x.dtype.name} to {wanted.name} needs a copy")
            return x
        if isinstance(obj, (bool, int, float, complex)):
            return constant(obj, wanted or _scalar_dtype(obj)) if wanted is not tf.bool else tf.constant(bool(obj))
        if isinstance(obj, (list, tuple)):
            return _from_sequence(obj, wanted)
        if not isinstance(obj, (np.ndarray, np.generic)) and hasattr(obj, "__tf_tensor__"):
            return asarray(tf.convert_to_tensor(obj), dtype=wanted)
        if not hasattr(obj, "__array__") and hasattr(obj, "__dlpack__"):
            return asarray(from_dlpack(obj), dtype=wanted)
        values = np.asarray(obj)
        x = tf.constant(values)  # which copies
        return x if wanted is None else astype(x, wanted)


def _leaves(obj: Any) -> Any:
    for item in obj:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _from_sequence(obj: Any, wanted: tf.DType | None) -> Array:
    leaves = list(_leaves(obj))
    if any(isinstance(leaf, (tf.Tensor, tf.Variable)) for leaf in leaves):
        parts = [item if isinstance(item, (int, float, complex)) else asarray(item, dtype=wanted) for item in obj]
        return kernels.pack(common("asarray", "any", *parts))
    values = np.asarray(obj)
    if wanted is None and not any(isinstance(leaf, (np.ndarray, np.generic)) for leaf in leaves):
        # Python numbers only: NumPy has chosen int64, float64 or complex128.
        wanted = DEFAULTS[kind_of(tf.as_dtype(values.dtype))] if leaves else DEFAULTS["real floating"]
        if values.dtype == np.uint64:
            raise OverflowError("a Python integer is out of bounds for int64; name a dtype")
    if wanted is None:
        return tf.constant(values)
    if wanted in KINDS["integral"] and values.dtype.kind in "iu" and values.size:
        constant(int(values.min()), wanted), constant(int(values.max()), wanted)
    return tf.constant(values.astype(wanted.as_numpy_dtype))


class _DLTensor(ctypes.Structure):
    # The head of DLPack's DLTensor: the data pointer, the device's type and number; byte_offset comes last.
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    ]


def _address(capsule: Any) -> int:
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    held = _DLTensor.from_address(pointer(capsule, b"dltensor"))
    return int((held.data or 0) + held.byte_offset)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """A tensor that shares the memory of `x`, or a copy where TensorFlow could not use it.

    TensorFlow aborts the process on memory that is not aligned to 64 bytes, so that is copied (`copy=False`:
    ValueError).
    """
    if isinstance(x, tf.Tensor):
        return tf.identity(x) if copy else x
    with _on(device):
        try:
            values = np.from_dlpack(x) if x.__dlpack_device__()[0] == 1 else None
        except (BufferError, RuntimeError):  # a data type that NumPy lacks
            values = None
        if values is not None:
            usable = values.flags.c_contiguous and values.ctypes.data % 64 == 0 and values.size > 0
            if copy or not usable:
                if copy is False:
                    raise ValueError("this memory cannot be shared: not contiguous, not aligned to 64 bytes, or empty")
                return tf.constant(np.array(values, order="C"))  # of memory that nobody else has
        capsule = x.__dlpack__()
        in_place = _address(capsule) % 64 == 0
        if not in_place:
            if copy is False:
                raise ValueError("this memory cannot be shared: not aligned to 64 bytes")
            capsule = x.__dlpack__(copy=True)
            if _address(capsule) % 64:
                raise ValueError("this memory is not aligned to 64 bytes, nor is a copy of it")
        out = tf.experimental.dlpack.from_dlpack(capsule)
        return raw.DeepCopy(x=out) if copy and in_place else out


def full(shape: Any, fill_value: Any, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    """An array of `shape` filled with one number (a Python scalar or a 0-d tensor)."""
    with _on(device):
        value = asarray(fill_value, dtype=dtype)
        return raw.Fill(dims=vector(to_shape(shape)), value=value)


def zeros(shape: Any, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    return full(shape, 0, dtype=dtype or DEFAULTS["real floating"], device=device)


def ones(shape: Any, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    return full(shape, 1, dtype=dtype or DEFAULTS["real floating"], device=device)


def empty(shape: Any, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    """An array of unspecified contents; here zeros, since TensorFlow has no uninitialised tensors."""
    return zeros(shape, dtype=dtype, device=device)


def full_like(x: Array, /, fill_value: Any, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    x = read(x)
    return full(extents(x), fill_value, dtype=dtype or x.dtype, device=device)


def zeros_like(x: Array, /, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    return full_like(x, 0, dtype=dtype, device=device)


def ones_like(x: Array, /, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x: Array, /, *, dtype: tf.DType | None = None, device: Any = None) -> Array:
    return zeros_like(x, dtype=dtype, device=device)


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: tf.DType | None = None, device: Any = None
) -> Array:
    """Evenly spaced numbers from `start` (0 if only one bound is given) up to, not including, `stop`.

    The bounds may be scalar integer tensors.
    """
    if stop is None:
        start, stop = 0, start
    bounds = (start, stop, step)
    wanted = None if dtype is None else to_dtype(dtype)
    with _on(device):
        if any(isinstance(bound, (tf.Tensor, tf.Variable)) for bound in bounds):
            first, last, by = common("arange", "real", *bounds)
            bounds_type = first.dtype
            integral = bounds_type in KINDS["integral"]
            first, last, by = (kernels.cast(bound, tf.int64 if integral else tf.float64) for bound in (first, last, by))
            ahead = raw.Maximum(x=first, y=last)
            last = kernels.select(by > 0, ahead, raw.Minimum(x=first, y=last))
            return kernels.cast(raw.Range(start=first, limit=last, delta=by), wanted or DEFAULTS[kind_of(bounds_type)])
        if step == 0:
            raise ValueError("arange: step must not be zero")
        if all(isinstance(bound, int) for bound in bounds):
            wanted = wanted or DEFAULTS["integral"]
            # The kernel refuses bounds in the wrong order, which mean an empty range.
            stop = start + step * len(range(start, stop, step))
            first, last, by = (tf.constant(bound, tf.int64) for bound in (start, stop, step))
            return astype(raw.Range(start=first, limit=last, delta=by), wanted)
        wanted = wanted or DEFAULTS["real floating"]
        count = max(math.ceil((stop - start) / step), 0)
        return astype(_progression(start, step, count), wanted)


def _progression(start: Any, step: Any, count: int) -> Array:
    """`start + step * k` for k below `count`, in double precision."""
    dtype = tf.complex128 if isinstance(start, complex) or isinstance(step, complex) else tf.float64
    steps = tf.range(tf.constant(count, tf.int64))
    return astype(steps, dtype) * tf.constant(step, dtype) + tf.constant(start, dtype)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: tf.DType | None = None, device: Any = None, endpoint: bool = True
) -> Array:
    """`num` evenly spaced numbers from `start` to `stop`, which is included unless `endpoint` is False."""
    if num < 0:
        raise ValueError(f"linspace: num must not be negative, got {num}")
    complex_ = isinstance(start, complex) or isinstance(stop, complex)
    wanted = DEFAULTS["complex floating" if complex_ else "real floating"] if dtype is None else to_dtype(dtype)
    gaps = num - 1 if endpoint else num
    with _on(device):
        out = _progression(start, (stop - start) / gaps if gaps > 0 else 0.0, num)
        if endpoint and num > 1:  # the last one exactly, free of rounding
            out = kernels.concat([out[:-1], tf.constant([stop], out.dtype)], 0)
        if wanted in COMPONENT or wanted in KINDS["real floating"]:
            return astype(out, wanted)
        return astype(tf.floor(out), wanted)


_FAR = 2**62


def _distance(rows: Any, columns: Any, k: int) -> Array:
    """The matrix of `column - row - k`: zero on the k-th diagonal, negative below it."""
    zero, one = tf.constant(0, tf.int64), tf.constant(1, tf.int64)
    down = raw.Range(start=zero, limit=tf.cast(rows, tf.int64), delta=one)
    across = raw.Range(start=zero, limit=tf.cast(columns, tf.int64), delta=one)
    k = max(-_FAR, min(k, _FAR))  # any Python integer is allowed, and no matrix reaches as far
    return across - down[:, None] - tf.constant(k, tf.int64)


def eye(n_rows: Any, n_cols: Any = None, /, *, k: int = 0, dtype: tf.DType | None = None, device: Any = None) -> Array:
    """Ones on the k-th diagonal, zeros elsewhere."""
    wanted = DEFAULTS["real floating"] if dtype is None else to_dtype(dtype)
    with _on(device):
        diagonal = tf.equal(_distance(n_rows, n_rows if n_cols is None else n_cols, k), tf.constant(0, tf.int64))
        return astype(diagonal, wanted)


def _triangle(name: str, x: Array, k: int, lower: bool) -> Array:
    x = read(x)
    if rank(x) < 2:
        raise ValueError(f"{name} needs at least two axes, got {rank(x)}")
    rows, columns = extents(x)[-2:]
    distance = _distance(rows, columns, k)
    keep = (tf.less_equal if lower else tf.greater_equal)(distance, tf.constant(0, tf.int64))
    return aligned(kernels.select, keep, x, tf.zeros((), x.dtype))


def tril(x: Array, /, *, k: int = 0) -> Array:
    """The lower triangle of the last two axes, up to and including the k-th diagonal."""
    return _triangle("tril", x, k, True)


def triu(x: Array, /, *, k: int = 0) -> Array:
    """The upper triangle of the last two axes, from the k-th diagonal on."""
    return _triangle("triu", x, k, False)


def meshgrid(*arrays: Array, indexing: str = "xy") -> tuple[Array, ...]:
    """Coordinate arrays of the grid spanned by one-dimensional arrays."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    vectors = [read(x) for x in arrays]
    if any(rank(x) > 1 for x in vectors):
        raise ValueError("meshgrid takes one-dimensional arrays")
    vectors = [x if rank(x) else kernels.reshape(x, (1,)) for x in vectors]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        order[:2] = [1, 0]
    sizes = [extents(vectors[place])[0] for place in order]
    out = []
    for place, x in enumerate(vectors):
        shape: list[Any] = [1] * len(vectors)
        shape[order.index(place)] = -1
        out.append(spread(raw.Reshape(tensor=x, shape=ints(tuple(shape))), sizes))
    return tuple(out)
