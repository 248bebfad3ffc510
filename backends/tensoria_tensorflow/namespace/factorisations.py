"""SVD and eigenvalue problems whose derivatives stay finite at equal values: TensorFlow's kernels, tensoria's formulas.

TensorFlow's own derivatives divide by differences of singular values and of eigenvalues, know no matrices of unknown
size, and no square singular vectors of matrices that are much higher than wide. The formulas are in
`tensoria.spectral`; here they become gradients of the kernels, in TensorFlow's convention, which is theirs.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from tensoria import spectral
from tensoria.spectral import Arithmetic, Near, nearly, no_basis

from ..kernels import cast, raw
from .edges import recorded

__all__ = ["eig", "eigh", "svd", "svdvals"]

Array = Any


def _eye(of: Array, like: Array) -> Array:
    size = of.shape[-1]
    return tf.eye(tf.shape(of)[-1] if size is None else size, dtype=like.dtype)


def _largest(x: Array, axis: int, keepdims: bool) -> Array:
    return tf.reduce_max(x, axis=axis, keepdims=keepdims)


def _solve(a: Array, b: Array) -> Array:
    try:
        return tf.linalg.solve(a, b)
    except tf.errors.InvalidArgumentError:
        raise no_basis() from None


def _astype(x: Array, dtype: tf.DType) -> Array:
    """TensorFlow's derivative of the cast to complex numbers warns that it drops the imaginary part."""
    return tf.complex(x, tf.zeros_like(x)) if dtype.is_complex and x.dtype.is_floating else cast(x, dtype)


MATHS = Arithmetic(
    SimpleNamespace(
        abs=tf.abs, astype=_astype, conj=tf.math.conj, equal=tf.equal, expand_dims=tf.expand_dims, greater=tf.greater,
        less_equal=tf.less_equal, matrix_transpose=tf.linalg.matrix_transpose, max=_largest, real=tf.math.real,
        zeros_like=tf.zeros_like, linalg=SimpleNamespace(diagonal=tf.linalg.diag_part, solve=_solve),
    ),
    tf.stop_gradient, _eye, lambda x: bool(x.dtype.is_complex),
)  # fmt: skip


def svd(x: Array, full: bool, close: float | None = None) -> tuple[Array, Array, Array]:
    """U, s (real) and V^H; singular values count as equal that are relatively so close."""
    if not recorded(x) or (full and None in x.shape[-2:]):
        values, u, v = raw.Svd(input=x, compute_uv=True, full_matrices=full)
        return u, tf.math.real(values), MATHS.adjoint(v)
    near = _near(x, close)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def decomposed(x: Array) -> Any:
        values, u, v = raw.Svd(input=x, compute_uv=True, full_matrices=full)

        def gradient(*ups: Array) -> Array:
            # What the caller got: these have derivatives again, by this very function.
            return spectral.svd_pulled(MATHS, x, found, ups, near, recorded(ups[0]), full)  # type: ignore[arg-type]

        return (u, tf.math.real(values), MATHS.adjoint(v)), gradient

    found: tuple[Array, Array, Array] = decomposed(x)
    return found


def _near(x: Array, close: float | None = None) -> Near:
    return nearly("complex" if x.dtype.is_complex else "float", x.dtype.size, close)


def svdvals(x: Array) -> Array:
    """Singular values, whose derivative at 0 is 0."""
    if not recorded(x):
        return tf.math.real(raw.Svd(input=x, compute_uv=False, full_matrices=False)[0])

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def values(x: Array) -> Any:
        def gradient(up: Array) -> Array:
            return spectral.svdvals_pulled(MATHS, svd(x, False), up, _near(x))

        return tf.math.real(raw.Svd(input=x, compute_uv=False, full_matrices=False)[0]), gradient

    return values(x)


def eigh(x: Array, close: float | None = None) -> tuple[Array, Array]:
    """Ascending eigenvalues (real) and eigenvectors of Hermitian matrices; `close` as for `svd`."""
    if not recorded(x):
        w, v = raw.SelfAdjointEigV2(input=x, compute_v=True)
        return tf.math.real(w), v
    near = _near(x, close)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def decomposed(x: Array) -> Any:
        w, v = raw.SelfAdjointEigV2(input=x, compute_v=True)

        def gradient(*ups: Array) -> Array:
            return spectral.eigh_pulled(MATHS, x, found, ups, near, recorded(ups[0]))  # type: ignore[arg-type]

        return (tf.math.real(w), v), gradient

    found: tuple[Array, Array] = decomposed(x)
    return found


def eig(x: Array, into: tf.DType) -> tuple[Array, Array]:
    """Eigenvalues and right eigenvectors of square matrices, in a complex data type."""
    if not recorded(x):
        return tuple(raw.Eig(input=x, compute_v=True, Tout=into))  # type: ignore[return-value]
    near = _near(x)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def decomposed(x: Array) -> Any:
        def gradient(*ups: Array) -> Array:
            out = spectral.eig_pulled(MATHS, found, ups, near)  # type: ignore[arg-type]
            return out if x.dtype.is_complex else tf.math.real(out)

        return tuple(raw.Eig(input=x, compute_v=True, Tout=into)), gradient

    found: tuple[Array, Array] = decomposed(x)
    return found
