"""How NumPy contracts fastest: the `ndarray.dot` method for two matrices, `matmul` for batches, `einsum` for the rest.

`a.dot(b)` reaches BLAS in 0.35 us where `np.matmul` takes 0.95 and `np.einsum` 1.9 (4x4). Operands that are transposed
views go to BLAS as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.planning import Costs, Kernels

__all__ = ["kernels"]

Array = Any


def _dot_nt(a: Array, b: Array) -> Array:
    return a.dot(b.T)


def _dot_tn(a: Array, b: Array) -> Array:
    return a.T.dot(b)


def _dot_tt(a: Array, b: Array) -> Array:
    return a.T.dot(b.T)


def _matmul_nt(a: Array, b: Array) -> Array:
    return np.matmul(a, b.swapaxes(-1, -2))


def _matmul_tn(a: Array, b: Array) -> Array:
    return np.matmul(a.swapaxes(-1, -2), b)


def _matmul_tt(a: Array, b: Array) -> Array:
    return np.matmul(a.swapaxes(-1, -2), b.swapaxes(-1, -2))


def _cast(a: Array, into: Any) -> Array:
    return a.astype(into, copy=False)


kernels = Kernels(
    transpose=np.ndarray.transpose,
    reshape=np.ndarray.reshape,
    dot=np.ndarray.dot,
    inner=np.ndarray.dot,
    matvec=np.ndarray.dot,
    matmul=np.matmul,
    dot_nt=_dot_nt,
    dot_tn=_dot_tn,
    dot_tt=_dot_tt,
    matmul_nt=_matmul_nt,
    matmul_tn=_matmul_tn,
    matmul_tt=_matmul_tt,
    multiply=np.multiply,
    vecdot=np.vecdot,
    einsum=np.einsum,
    cast=_cast,
    costs=Costs(
        call=0.35,
        batched=0.95,
        reshape=0.12,
        transpose=0.12,
        copy=700.0,
        copy_rows=140.0,
        gemm=20.0,
        integer=820.0,
        batch=0.03,
        vector=0.0,
        multiply=0.5,
        multiply_rate=270.0,
        vecdot=0.8,
        vecdot_rate=72.0,
        einsum=1.75,
        einsum_rate=160.0,
        einsum_thin=300.0,
        outer_as_gemm=True,
        lazy_transpose=True,
    ),
)
