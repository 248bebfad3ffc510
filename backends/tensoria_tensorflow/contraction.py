"""How TensorFlow contracts fastest: the raw matrix products with their transposition flags, or the raw einsum.

`tf.einsum` takes 40 us for a 4x4 product, most of it Python; the raw op behind it 20, a raw matrix product 15. Every
transpose is a copy here, but the products read either operand transposed for nothing. (Their batched form conjugates
what it transposes, so complex operands are transposed by hand.) The raw einsum does in one call what would take
several, but has no shortcut for thin products.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tensoria.planning import Costs, Kernels
from tensoria_tensorflow import kernels as native

__all__ = ["kernels"]

Array = Any
_matmul, _raw_einsum = tf.raw_ops.MatMul, tf.raw_ops.Einsum


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


def _dot_nn(a: Array, b: Array) -> Array:
    return _dot(a, b, False, False)


def _dot_nt(a: Array, b: Array) -> Array:
    return _dot(a, b, False, True)


def _dot_tn(a: Array, b: Array) -> Array:
    return _dot(a, b, True, False)


def _dot_tt(a: Array, b: Array) -> Array:
    return _dot(a, b, True, True)


def _matmul_nt(a: Array, b: Array) -> Array:
    return native.matmul(a, b, False, True)


def _matmul_tn(a: Array, b: Array) -> Array:
    return native.matmul(a, b, True, False)


def _matmul_tt(a: Array, b: Array) -> Array:
    return native.matmul(a, b, True, True)


def _vecdot(a: Array, b: Array) -> Array:
    return native.reduce_sum(native.multiply(a, b), (-1,))


def _einsum(equation: str, *arrays: Array) -> Array:
    return _raw_einsum(inputs=arrays, equation=equation)


kernels = Kernels(
    transpose=native.transpose,
    reshape=native.reshape,
    dot=_dot_nn,
    inner=_vecdot,
    matvec=_dot_nn,
    matmul=native.matmul,
    dot_nt=_dot_nt,
    dot_tn=_dot_tn,
    dot_tt=_dot_tt,
    matmul_nt=_matmul_nt,
    matmul_tn=_matmul_tn,
    matmul_tt=_matmul_tt,
    multiply=native.multiply,
    vecdot=_vecdot,
    einsum=_einsum,
    cast=native.cast,
    costs=Costs(
        call=14.7,
        batched=18.8,
        reshape=8.4,
        transpose=13.5,
        copy=260.0,
        copy_rows=125.0,
        gemm=20.0,
        integer=330.0,
        batch=0.06,
        vector=17.0,
        multiply=9.9,
        multiply_rate=110.0,
        vecdot=20.0,
        vecdot_rate=180.0,
        einsum=20.4,
        einsum_rate=22.0,
        einsum_thin=320.0,
        outer_as_gemm=False,
        lazy_transpose=False,
    ),
)
