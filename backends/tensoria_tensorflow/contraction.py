"""How TensorFlow contracts fastest: the raw matrix products with their transposition flags, never `tf.einsum` eagerly.

`tf.einsum` takes 40 us of Python before the kernel of a 4x4 product starts; the raw op takes 8 to 15. Every transpose
is a copy here, but the products read either operand transposed for nothing. (Their batched form conjugates what it
transposes, so complex operands are transposed by hand.) While a `tf.function` traces with unknown sizes, `tf.einsum`
does the work once, in the graph.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
from tensoria.planning import Costs, Kernels

from tensoria_tensorflow import kernels as native

__all__ = ["kernels"]

Array = Any
_matmul, _batch_matmul = tf.raw_ops.MatMul, tf.raw_ops.BatchMatMulV2


def _swapped(a: Array) -> Array:
    rank = a.shape.rank
    return native.transpose(a, (*range(rank - 2), rank - 1, rank - 2))


def _dot(a: Array, b: Array, transpose_a: bool, transpose_b: bool) -> Array:
    """The product of 1-D or 2-D operands; a vector becomes a row or a column for the kernel."""
    rows, columns = a.shape.rank == 2, b.shape.rank == 2
    if not rows and not columns:
        return native.reduce_sum(native.multiply(a, b), (0,))
    if not rows:
        result = _matmul(a=native.reshape(a, (1, -1)), b=b, transpose_a=False, transpose_b=transpose_b)
        return native.reshape(result, (-1,))
    if not columns:
        result = _matmul(a=a, b=native.reshape(b, (-1, 1)), transpose_a=transpose_a, transpose_b=False)
        return native.reshape(result, (-1,))
    return _matmul(a=a, b=b, transpose_a=transpose_a, transpose_b=transpose_b)


def _batched(a: Array, b: Array, transpose_a: bool, transpose_b: bool) -> Array:
    if a.dtype.is_complex:
        if transpose_a:
            a = _swapped(a)
        if transpose_b:
            b = _swapped(b)
        return _batch_matmul(x=a, y=b)
    return _batch_matmul(x=a, y=b, adj_x=transpose_a, adj_y=transpose_b)


def _dot_nn(a: Array, b: Array) -> Array:
    return _dot(a, b, False, False)


def _dot_nt(a: Array, b: Array) -> Array:
    return _dot(a, b, False, True)


def _dot_tn(a: Array, b: Array) -> Array:
    return _dot(a, b, True, False)


def _dot_tt(a: Array, b: Array) -> Array:
    return _dot(a, b, True, True)


def _matmul_nn(a: Array, b: Array) -> Array:
    return _batch_matmul(x=a, y=b)


def _matmul_nt(a: Array, b: Array) -> Array:
    return _batched(a, b, False, True)


def _matmul_tn(a: Array, b: Array) -> Array:
    return _batched(a, b, True, False)


def _matmul_tt(a: Array, b: Array) -> Array:
    return _batched(a, b, True, True)


def _vecdot(a: Array, b: Array) -> Array:
    return native.reduce_sum(native.multiply(a, b), (-1,))


kernels = Kernels(
    transpose=native.transpose,
    reshape=native.reshape,
    dot=_dot_nn,
    matmul=_matmul_nn,
    dot_nt=_dot_nt,
    dot_tn=_dot_tn,
    dot_tt=_dot_tt,
    matmul_nt=_matmul_nt,
    matmul_tn=_matmul_tn,
    matmul_tt=_matmul_tt,
    multiply=native.multiply,
    vecdot=_vecdot,
    einsum=tf.einsum,
    cast=native.cast,
    costs=Costs(
        call=10.0,
        view=6.0,
        copy=900.0,
        gemm=30.0,
        batch=0.1,
        multiply=8.0,
        einsum=math.inf,
        einsum_rate=math.inf,
        slow_rate=500.0,
        outer_as_gemm=False,
        lazy_transpose=False,
    ),
)
