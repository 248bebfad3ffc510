"""TensorFlow's kernels, called the short way.

`tf.reshape(x, (2, 3))` takes six times as long as the kernel behind it: the public functions convert Python lists to
tensors, open name scopes and dispatch. This file calls `tf.raw_ops` directly and keeps the small integer arguments
(shapes, permutations, axes) as int32 constants in a bounded cache keyed by the tuple itself. The constants are made
under `tf.init_scope`, outside of every graph being traced, so that one constant serves eager code, every `tf.function`
(which inlines it, so static shapes stay known) and every `GradientTape`. Nothing here checks or promotes:
that is the work of `namespace`, whose functions end in these.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.core import config as autograph

__all__ = [
    "EagerTensor",
    "add",
    "cast",
    "concat",
    "gather",
    "ints",
    "matmul",
    "matrix_transpose",
    "multiply",
    "pack",
    "read",
    "reduce_sum",
    "reshape",
    "reverse",
    "scalar",
    "scatter",
    "select",
    "squeeze",
    "strided_slice",
    "strided_update",
    "transpose",
    "unpack",
]

Array = Any

# While tracing, AutoGraph rewrites every Python function it meets, ours too: slow, and it warns about syntax that it
# does not know. There is no public way to exempt a package other than a wrapper around each function.
autograph.CONVERSION_RULES = (
    autograph.DoNotConvert("tensoria"),
    autograph.DoNotConvert("tensoria_tensorflow"),
    *autograph.CONVERSION_RULES,
)

EagerTensor: Any = tf.__internal__.EagerTensor
raw = tf.raw_ops
_INT32_LAST = 2**31 - 1


class IntegerConstants:
    """A bounded, thread-safe cache from an integer, or a tuple of them, to a constant tensor.

    Reading takes no lock (a dict lookup is atomic); writing does. The oldest entry goes first. Values beyond int32
    make an int64 constant, which every shape argument also accepts.
    """

    __slots__ = ("_held", "_limit", "_lock")

    def __init__(self, limit: int = 4096) -> None:
        self._held: dict[int | tuple[int, ...], Array] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def __call__(self, values: int | tuple[int, ...]) -> Array:
        found = self._held.get(values)
        return self._make(values) if found is None else found

    def __len__(self) -> int:
        return len(self._held)

    def _make(self, values: int | tuple[int, ...]) -> Array:
        parts = values if isinstance(values, tuple) else (values,)
        wide = any(abs(value) > _INT32_LAST for value in parts)
        # Shape arguments live in host memory on every device, hence the explicit CPU.
        with tf.init_scope(), tf.device("CPU:0"):
            constant = tf.constant(values, tf.int64 if wide else tf.int32)
        # Inside a TF1 graph, init_scope does not lead out to eager mode; such a constant belongs to that graph alone.
        if type(constant) is EagerTensor:
            with self._lock:
                while len(self._held) >= self._limit:
                    del self._held[next(iter(self._held))]
                self._held[values] = constant
        return constant


ints = IntegerConstants()


def read(x: Any) -> Array:
    """The tensor that `x` stands for: itself, the present value of a variable, or a conversion of a foreign array."""
    if type(x) is EagerTensor or isinstance(x, tf.Tensor):
        return x
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes, list, tuple)):
        raise TypeError(f"expected an array, got {type(x).__name__}; make one with asarray()")
    return tf.convert_to_tensor(x)


def scalar(value: complex, dtype: tf.DType) -> Array:
    """A Python number as a 0-d tensor.

    TensorFlow caches the tensors of Python scalars by equality, and 0.0 == -0.0: after `tf.constant(-0.0)` every
    `tf.constant(0.0)` is negative. The integer 0 and NumPy's scalars have entries of their own, or none.
    """
    if isinstance(value, complex) or (isinstance(value, float) and value == 0):
        return tf.constant(np.asarray(value, dtype.as_numpy_dtype))
    return tf.constant(value, dtype)


_reshape, _transpose, _matmul, _batch_matmul = raw.Reshape, raw.Transpose, raw.MatMul, raw.BatchMatMulV2
_add, _multiply, _sum, _cast, _select = raw.AddV2, raw.Mul, raw.Sum, raw.Cast, raw.SelectV2
_concat, _pack, _gather, _reverse, _squeeze, _unpack = (
    raw.ConcatV2, raw.Pack, raw.GatherV2, raw.ReverseV2, raw.Squeeze, raw.Unpack
)  # fmt: skip
_strided, _strided_update, _scatter = raw.StridedSlice, raw.TensorStridedSliceUpdate, raw.TensorScatterUpdate


# On the CPU the second version of the batched product hands every matrix to the thread pool, which costs 80 us however
# small they are; the third one computes small ones (and large ones more slowly) where it is called.
_batch_matmul_v3 = raw.BatchMatMulV3
_V3_TYPES = frozenset({tf.float32, tf.float64, tf.complex64, tf.complex128})
_FEW_PRODUCTS = 2**20


def add(x: Array, y: Array) -> Array:
    return _add(x=x, y=y)


def multiply(x: Array, y: Array) -> Array:
    return _multiply(x=x, y=y)


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    return _reshape(tensor=x, shape=ints(shape))


def transpose(x: Array, perm: tuple[int, ...]) -> Array:
    return _transpose(x=x, perm=ints(perm))


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Matrix product over the last two axes, the leading ones broadcast; two plain matrices take the faster kernel.

    The batched kernels conjugate what they transpose, so complex batches are transposed beforehand.
    """
    if a.shape.rank == 2 and b.shape.rank == 2:
        return _matmul(a=a, b=b, transpose_a=transpose_a, transpose_b=transpose_b)
    if transpose_a and a.dtype.is_complex:
        a, transpose_a = matrix_transpose(a), False
    if transpose_b and b.dtype.is_complex:
        b, transpose_b = matrix_transpose(b), False
    if type(a) is EagerTensor and type(b) is EagerTensor and a.dtype in _V3_TYPES and a.device.endswith("CPU:0"):
        rows, columns = a._shape_tuple(), b._shape_tuple()
        if transpose_a or transpose_b:
            sizes = columns[-2] if transpose_b else columns[-1], rows[-1] if transpose_a else rows[-2]
        else:
            sizes = columns[-1], rows[-2]
        if math.prod(rows) * sizes[0] <= _FEW_PRODUCTS and math.prod(columns) * sizes[1] <= _FEW_PRODUCTS:
            return _batch_matmul_v3(x=a, y=b, Tout=a.dtype, adj_x=transpose_a, adj_y=transpose_b)
    return _batch_matmul(x=a, y=b, adj_x=transpose_a, adj_y=transpose_b)


def matrix_transpose(a: Array) -> Array:
    """The last two axes exchanged, without conjugation."""
    rank = a.shape.rank
    return transpose(a, (*range(rank - 2), rank - 1, rank - 2))


def reduce_sum(x: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    return _sum(input=x, axis=ints(axes), keep_dims=keepdims)


def cast(x: Array, dtype: tf.DType) -> Array:
    if x.dtype is dtype:
        return x
    if dtype is tf.bool and x.dtype.is_complex:
        return raw.NotEqual(x=x, y=tf.constant(0, x.dtype))  # the kernel drops the imaginary part
    return _cast(x=x, DstT=dtype)


def select(condition: Array, x: Array, y: Array) -> Array:
    return _select(condition=condition, t=x, e=y)


def concat(arrays: Sequence[Array], axis: int) -> Array:
    # The raw kernel takes no list of one.
    return _concat(values=list(arrays), axis=ints(axis)) if len(arrays) > 1 else arrays[0]


def pack(arrays: Sequence[Array], axis: int = 0) -> Array:
    return _pack(values=list(arrays), axis=axis)


def unpack(x: Array, num: int, axis: int) -> list[Array]:
    return _unpack(value=x, num=num, axis=axis) if num else []


def gather(x: Array, indices: Array, axis: int, batch_dims: int = 0) -> Array:
    return _gather(params=x, indices=indices, axis=ints(axis), batch_dims=batch_dims)


def reverse(x: Array, axes: tuple[int, ...]) -> Array:
    return _reverse(tensor=x, axis=ints(axes))


def squeeze(x: Array, axes: tuple[int, ...]) -> Array:
    # An empty list tells the kernel "every axis of length one", which is never what the standard means.
    return _squeeze(input=x, axis=list(axes)) if axes else x


def strided_slice(
    x: Array, begin: Array, end: Array, strides: Array, begin_mask: int, end_mask: int, new: int, shrink: int
) -> Array:
    return _strided(
        input=x, begin=begin, end=end, strides=strides, begin_mask=begin_mask, end_mask=end_mask,
        ellipsis_mask=0, new_axis_mask=new, shrink_axis_mask=shrink,
    )  # fmt: skip


def strided_update(
    x: Array, begin: Array, end: Array, strides: Array, begin_mask: int, end_mask: int, shrink: int, value: Array
) -> Array:
    return _strided_update(
        input=x, begin=begin, end=end, strides=strides, value=value, begin_mask=begin_mask, end_mask=end_mask,
        ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=shrink,
    )  # fmt: skip


def scatter(x: Array, indices: Array, updates: Array) -> Array:
    """`x` with the rows named by `indices` (shape `(..., 1)`) replaced by `updates`."""
    if indices.dtype is tf.int64 and not tf.executing_eagerly() and (x.shape.num_elements() or 2**31) < 2**31:
        indices = tf.cast(indices, tf.int32)  # vectorized_map joins them with its own, which are int32
    return _scatter(tensor=x, indices=indices, updates=updates)
