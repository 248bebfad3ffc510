"""Derivatives that TensorFlow has not, or has for known sizes only, or has wrong.

Each function is a kernel with a gradient of its own. The conventions are TensorFlow's: for complex arrays a gradient
is d/dx + i d/dy, and what arrives as `up` is that of the outputs.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.eager.record import could_possibly_record

from ..kernels import EagerTensor, cast, raw

__all__ = ["determinant", "directions", "reduced_qr"]

Array = Any


def _matmul(a: Array, b: Array, adjoint_a: bool = False, adjoint_b: bool = False) -> Array:
    return raw.BatchMatMulV2(x=a, y=b, adj_x=adjoint_a, adj_y=adjoint_b)


def _recorded(x: Array) -> bool:
    """Whether somebody may ask for derivatives; a custom gradient costs 150 us, wanted or not."""
    return type(x) is not EagerTensor or could_possibly_record()


def directions(x: Array) -> Array:
    """z / |z| of complex numbers, 0 at 0; TensorFlow's derivative of the kernel is 0 everywhere, as for real ones."""
    return _directions(x) if _recorded(x) else raw.Sign(x=x)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _directions(x: Array) -> Any:
    out = raw.Sign(x=x)

    def gradient(up: Array) -> Array:
        # Only the part of the change across z turns it.
        across = tf.math.imag(tf.math.conj(out) * up)
        size = tf.math.abs(x)
        return out * tf.complex(tf.zeros_like(across), tf.math.divide_no_nan(across, size))

    return out, gradient


def determinant(x: Array) -> Array:
    """The determinant of complex matrices: d det = det tr(x^-1 dx), where TensorFlow forgets to conjugate `det`."""
    return _determinant(x) if _recorded(x) else raw.MatrixDeterminant(input=x)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _determinant(x: Array) -> Any:
    out = raw.MatrixDeterminant(input=x)

    def gradient(up: Array) -> Array:
        return (up * tf.math.conj(out))[..., None, None] * raw.MatrixInverse(input=x, adjoint=True)

    return out, gradient


def reduced_qr(x: Array) -> tuple[Array, Array]:
    """The factors of matrices whose sizes are not known: of the leading square block or all columns, and the rest."""
    sizes = tf.shape(x)
    q, r = _tall_qr(x[..., : tf.minimum(sizes[-2], sizes[-1])])
    return q, tf.concat([r, _matmul(q, x[..., tf.shape(q)[-1] :], adjoint_a=True)], -1)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _tall_qr(x: Array) -> Any:
    """The factors of matrices of full rank, no wider than high, with the gradient of Walter et al., arXiv:1009.6112."""
    q, r = raw.Qr(input=x, full_matrices=False)

    def gradient(up_q: Array, up_r: Array) -> Array:
        both = _matmul(up_r, r, adjoint_b=True) - _matmul(q, up_q, adjoint_a=True)
        upper = tf.linalg.band_part(both, 0, -1)
        joined = upper + tf.linalg.adjoint(upper)
        joined = tf.linalg.set_diag(joined, cast(tf.math.real(tf.linalg.diag_part(both)), x.dtype))
        right = up_q + _matmul(q, joined)
        # right @ r^-H
        return tf.linalg.adjoint(raw.MatrixTriangularSolve(matrix=r, rhs=tf.linalg.adjoint(right), lower=False))

    return (q, r), gradient
