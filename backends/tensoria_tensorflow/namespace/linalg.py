"""The standard's `linalg` extension: factorisations, and what is made of them.

TensorFlow's kernels take float32, float64 and their complex types and expect equal batch axes; 16-bit types go by way
of float32 here and batch axes broadcast. Some kernels return more than asked for (complex eigenvalues of Hermitian
matrices) or overflow where a scaled input does not (Qr, near the square root of the largest number).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from .. import kernels
from ..kernels import cast, ints, raw, read
from . import derivatives, edges, factorisations
from .creation import eye
from .data_types import COMPLEX_OF, COMPONENT, HALVES, astype, check, common, finfo
from .elementwise import abs as absolute
from .elementwise import conj, divide, multiply, not_equal, real, subtract
from .elementwise import pow as power
from .linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from .manipulation import broadcast_arrays
from .shapes import (
    aligned,
    axes_of,
    axis_of,
    broadcast_extents,
    extents,
    product,
    rank,
    reshaped,
    spread,
    static,
)
from .statistical import max as maximum_over
from .statistical import min as minimum_over
from .statistical import sum as sum_over

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

Array = Any


class EigResult(NamedTuple):
    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    U: Array
    S: Array
    Vh: Array


def _matrices(name: str, x: Array, square: bool = False) -> tuple[Array, Callable[[Array], Array]]:
    """A stack of floating-point matrices in a type with kernels, and the way back to its own."""
    x = read(x)
    check(f"linalg.{name}", "floating", x.dtype)
    shape = static(x) if rank(x) >= 2 else ()
    if not shape:
        raise ValueError(f"linalg.{name} takes matrices, got an array of {rank(x)} axes")
    if square and None not in shape[-2:] and shape[-2] != shape[-1]:
        raise ValueError(f"linalg.{name} takes square matrices, got {shape[-2]} by {shape[-1]}")
    dtype = x.dtype
    if dtype in HALVES:
        return cast(x, tf.float32), lambda y: cast(y, dtype)
    return x, lambda y: y


def _adjoint(x: Array) -> Array:
    return conj(matrix_transpose(x))


def _batched(x: Array, factor: Array) -> Array:
    """`x` times a factor per matrix."""
    return multiply(x, reshaped(factor, (*extents(factor), 1, 1)))


# --- products and parts ------------------------------------------------------------------------------------------


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of length three along `axis`; the other axes broadcast."""
    a, b = common("linalg.cross", "numeric", read(x1), read(x2))
    if any(static(x)[axis_of(axis, rank(x))] not in (3, None) for x in (a, b)):
        raise ValueError(f"linalg.cross takes vectors of length 3, got shapes {static(a)} and {static(b)}")
    a, b = broadcast_arrays(a, b)
    place = axis_of(axis, rank(a))
    u, v = (kernels.unpack(x, 3, place) for x in (a, b))
    parts = [subtract(multiply(u[i - 2], v[i - 1]), multiply(u[i - 1], v[i - 2])) for i in range(3)]
    return kernels.pack(parts, place)


def outer(x1: Array, x2: Array, /) -> Array:
    """The products of all elements of one vector with all those of another."""
    a, b = common("linalg.outer", "numeric", read(x1), read(x2))
    if rank(a) != 1 or rank(b) != 1:
        raise ValueError("linalg.outer takes two vectors")
    return multiply(kernels.reshape(a, (-1, 1)), kernels.reshape(b, (1, -1)))


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """The diagonal of each matrix, `offset` places right of the main one."""
    x = read(x)
    if rank(x) < 2:
        raise ValueError(f"linalg.diagonal takes matrices, got an array of {rank(x)} axes")
    *batch, rows, columns = extents(x)
    # Element (i, i + offset) stands at i (columns + 1) + offset, or at (i - offset) columns + i below the diagonal.
    first = offset if offset >= 0 else -offset * columns
    lengths = (rows, columns - offset) if offset >= 0 else (rows + offset, columns)
    if all(isinstance(length, int) for length in lengths):
        count: Any = max(min(lengths), 0)
    else:
        count = tf.maximum(tf.minimum(*lengths), 0)
    index = tf.range(tf.cast(count, tf.int64), dtype=tf.int64)
    index = index * tf.cast(columns + 1, tf.int64) + tf.cast(first, tf.int64)
    flat = reshaped(x, (*batch, product((rows, columns))))
    return kernels.gather(flat, index, len(batch))


def trace(x: Array, /, *, offset: int = 0, dtype: tf.DType | None = None) -> Array:
    """The sum of each diagonal, in the type of `sum`."""
    return sum_over(diagonal(x, offset=offset), axis=-1, dtype=dtype)


# --- solving -----------------------------------------------------------------------------------------------------


def det(x: Array, /) -> Array:
    """The determinant of each square matrix."""
    x, back = _matrices("det", x, square=True)
    return derivatives.determinant(x) if x.dtype.is_complex else back(raw.MatrixDeterminant(input=x))


def slogdet(x: Array, /) -> SlogdetResult:
    """The sign (a unit complex number) of each determinant, and the logarithm of its absolute value."""
    x, back = _matrices("slogdet", x, square=True)
    sign, logarithm = raw.LogMatrixDeterminant(input=x)
    return SlogdetResult(back(sign), back(real(logarithm)))


def inv(x: Array, /) -> Array:
    """The inverse of each square matrix; TensorFlow raises InvalidArgumentError for a singular one."""
    x, back = _matrices("inv", x, square=True)
    return back(raw.MatrixInverse(input=x))


def solve(x1: Array, x2: Array, /) -> Array:
    """The solution of x1 @ x = x2, for a vector x2 (one axis) or stacks of matrices, whose batch axes broadcast."""
    a, b = common("linalg.solve", "floating", read(x1), read(x2))
    a, back = _matrices("solve", a, square=True)
    vector = rank(b) == 1
    b = cast(b, a.dtype)
    if vector:
        b = kernels.reshape(b, (-1, 1))
    sizes_a, sizes_b = extents(a), extents(b)
    if isinstance(sizes_a[-1], int) and isinstance(sizes_b[-2], int) and sizes_a[-1] != sizes_b[-2]:
        raise ValueError(f"linalg.solve: {sizes_a[-1]} unknowns, but right-hand sides of length {sizes_b[-2]}")
    if static(a)[:-2] != static(b)[:-2] or None in static(a)[:-2]:
        batch = broadcast_extents(*(tf.zeros(tf.shape(x)[:-2]) if None in static(x) else _empty(x) for x in (a, b)))
        a, b = spread(a, (*batch, *sizes_a[-2:])), spread(b, (*batch, *sizes_b[-2:]))
    out = raw.MatrixSolve(matrix=a, rhs=b)
    return back(kernels.squeeze(out, (-1,)) if vector else out)


def _empty(x: Array) -> Array:
    return tf.zeros(static(x)[:-2], tf.bool)


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """The triangular factor of each Hermitian positive-definite matrix: x = L L^H, or U^H U with `upper`."""
    x, back = _matrices("cholesky", x, square=True)
    # The kernel reads the lower triangle only; for `upper` the upper one is given to it.
    return back(_adjoint(raw.Cholesky(input=_adjoint(x))) if upper else raw.Cholesky(input=x))


def matrix_power(x: Array, n: int, /) -> Array:
    """The n-th power of each square matrix; a negative n inverts it."""
    x, back = _matrices("matrix_power", x, square=True)
    if n < 0:
        x, n = raw.MatrixInverse(input=x), -n
    out = None
    while n:
        if n & 1:
            out = x if out is None else matmul(out, x)
        n >>= 1
        x = matmul(x, x) if n else x
    if out is None:
        out = spread(eye(extents(x)[-1], dtype=x.dtype), extents(x))
    return back(out)


# --- eigenvalues and singular values -----------------------------------------------------------------------------


def eigh(x: Array, /) -> EighResult:
    """Ascending eigenvalues (real) and orthonormal eigenvectors of each Hermitian matrix (its lower triangle)."""
    x, back = _matrices("eigh", x, square=True)
    values, vectors = factorisations.eigh(x)
    return EighResult(back(values), back(vectors))


def near_eigh(x: Array, close: float) -> EighResult:
    """The same, whose derivative takes eigenvalues that are relatively so close as equal."""
    x, back = _matrices("eigh", x, square=True)
    values, vectors = factorisations.eigh(x, close)
    return EighResult(back(values), back(vectors))


def eigvalsh(x: Array, /) -> Array:
    """Ascending eigenvalues of each Hermitian matrix."""
    return eigh(x).eigenvalues  # with the vectors: TensorFlow has no gradient of the kernel without them


def eig(x: Array, /) -> EigResult:
    """Eigenvalues and right eigenvectors of each square matrix, complex, in no particular order."""
    x, _ = _matrices("eig", x, square=True)
    return EigResult(*factorisations.eig(x, COMPLEX_OF.get(x.dtype, x.dtype)))


def eigvals(x: Array, /) -> Array:
    """Eigenvalues of each square matrix, complex, in no particular order."""
    return eig(x).eigenvalues


def svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition x = U diag(S) Vh, S descending; U and Vh square if `full_matrices`."""
    x, back = _matrices("svd", x)
    return SVDResult(*map(back, factorisations.svd(x, full_matrices)))


def near_svd(x: Array, close: float) -> SVDResult:
    """The reduced decomposition, whose derivative takes singular values that are relatively so close as equal."""
    x, back = _matrices("svd", x)
    return SVDResult(*map(back, factorisations.svd(x, False, close)))


def svdvals(x: Array, /) -> Array:
    """Descending singular values of each matrix."""
    x, back = _matrices("svdvals", x)
    return back(factorisations.svdvals(x))


def qr(x: Array, /, *, mode: str = "reduced") -> QRResult:
    """x = Q R with orthonormal columns and an upper triangle; square Q if `mode` is "complete"."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f"linalg.qr: mode is 'reduced' or 'complete', not {mode!r}")
    x, back = _matrices("qr", x)
    if 0 in static(x)[-2:]:
        return _qr_of_nothing(x, mode, back)
    # The kernel squares the elements: near 1e19 in float32 they overflow.
    size = tf.stop_gradient(maximum_over(absolute(x), axis=(-2, -1)))
    usable = raw.LogicalAnd(x=raw.Greater(x=size, y=tf.zeros((), size.dtype)), y=raw.IsFinite(x=size))
    size = astype(kernels.select(usable, size, tf.ones((), size.dtype)), x.dtype)
    scaled = _batched(x, divide(1, size))
    if None in static(x)[-2:] and mode == "reduced":
        q, r = derivatives.reduced_qr(scaled)
    else:
        q, r = raw.Qr(input=scaled, full_matrices=mode == "complete")
    return QRResult(back(q), back(_batched(r, size)))


def _qr_of_nothing(x: Array, mode: str, back: Callable[[Array], Array]) -> QRResult:
    *batch, rows, columns = extents(x)
    inner = rows if mode == "complete" else 0
    q = spread(eye(rows, inner, dtype=x.dtype), (*batch, rows, inner))
    return QRResult(back(q), back(spread(tf.zeros((), x.dtype), (*batch, inner, columns))))


def _tolerance(name: str, rtol: Any, values: Array, x: Array) -> Array:
    """The least singular value that counts: `rtol` times the greatest one."""
    if rtol is None:
        rtol = finfo(x.dtype).eps * max(static(x)[-2] or 0, static(x)[-1] or 0)
        if None in static(x)[-2:]:
            longest = tf.reduce_max(tf.shape(x)[-2:])
            rtol = tf.cast(longest, values.dtype) * finfo(x.dtype).eps
    greatest = maximum_over(values, axis=-1, keepdims=True)
    if isinstance(rtol, (int, float)):
        return multiply(greatest, float(rtol))
    rtol = astype(rtol, values.dtype)
    return multiply(greatest, reshaped(rtol, (*extents(rtol), 1)) if rank(rtol) else rtol)


def matrix_rank(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """How many singular values exceed `rtol` (max(M, N) times the type's epsilon) times the greatest."""
    x, _ = _matrices("matrix_rank", x)
    if 0 in static(x)[-2:]:
        return spread(tf.zeros((), tf.int64), extents(x)[:-2])
    values = svdvals(x)
    counted = aligned(lambda x, y: raw.Greater(x=x, y=y), values, _tolerance("matrix_rank", rtol, values, x))
    return kernels.reduce_sum(cast(counted, tf.int64), (rank(values) - 1,))


def pinv(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """The Moore-Penrose pseudo-inverse of each matrix; singular values below `rtol` times the greatest count as zero.

    The gradient is that of Golub and Pereyra (SIAM J. Numer. Anal. 10 (1973), 413), valid where the rank is constant.
    """
    x, back = _matrices("pinv", x)
    if 0 in static(x)[-2:]:
        *batch, rows, columns = extents(x)
        return back(spread(tf.zeros((), x.dtype), (*batch, columns, rows)))

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def inverse(x: Array) -> Any:
        u, values, vh = svd(x, full_matrices=False)
        counted = raw.Greater(x=values, y=_tolerance("pinv", rtol, values, x))
        one, zero = tf.ones((), values.dtype), tf.zeros((), values.dtype)
        reciprocal = kernels.select(counted, divide(one, kernels.select(counted, values, one)), zero)
        weights = reshaped(astype(reciprocal, x.dtype), (*extents(reciprocal), 1))
        out = matmul(_adjoint(vh), multiply(weights, _adjoint(u)))

        def gradient(up: Array) -> Array:
            p, ph, gh = out, _adjoint(out), _adjoint(up)
            off_rows = subtract(gh, matmul(x, matmul(p, gh)))
            off_columns = subtract(gh, matmul(matmul(gh, p), x))
            first = matmul(off_rows, matmul(p, ph))
            second = matmul(matmul(ph, p), off_columns)
            return subtract(first + second, matmul(ph, matmul(up, ph)))

        return out, gradient

    return back(inverse(x))


# --- norms -------------------------------------------------------------------------------------------------------


def vector_norm(
    x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """The norm (sum |x|^ord)^(1/ord) over the given axes (None: all); inf and -inf are extremes, 0 counts nonzeros."""
    x = read(x)
    check("linalg.vector_norm", "floating", x.dtype)
    axes = axes_of(axis, rank(x))
    if ord == 0:
        dtype = COMPONENT.get(x.dtype, x.dtype)
        return sum_over(cast(not_equal(x, tf.zeros((), x.dtype)), dtype), axis=axes, keepdims=keepdims)
    size = absolute(x)
    if ord in (float("inf"), float("-inf")):
        over = maximum_over if ord > 0 else minimum_over
        return over(size, axis=axes, keepdims=keepdims)
    if ord == 1:
        return sum_over(size, axis=axes, keepdims=keepdims)
    if ord == 2 and size.dtype in HALVES:
        return cast(vector_norm(cast(size, tf.float32), axis=axes, keepdims=keepdims), size.dtype)

    def norm(size: Array, keepdims: bool) -> Array:
        if ord == 2 and edges.recorded(size):  # the kernel's derivative divides by what it is given
            return raw.Sqrt(x=sum_over(raw.Square(x=size), axis=axes, keepdims=keepdims))
        if ord == 2:
            return raw.EuclideanNorm(input=size, axis=ints(axes), keep_dims=keepdims)
        return power(sum_over(power(size, float(ord)), axis=axes, keepdims=keepdims), 1 / ord)

    if ord > 0 and edges.recorded(size):
        return edges.without_zeros(norm, size, ints(axes), keepdims)
    return norm(size, keepdims)


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The Frobenius ("fro"), nuclear ("nuc") or operator norm (1, 2, inf; -1, -2, -inf: the least) of each matrix."""
    x, back = _matrices("matrix_norm", x)
    if ord is None or ord == "fro":
        return back(vector_norm(x, axis=(-2, -1), keepdims=keepdims))
    if ord in (1, -1, float("inf"), float("-inf")):
        summed = -2 if abs(ord) == 1 else -1
        sums = sum_over(absolute(x), axis=summed, keepdims=True)
        out = (maximum_over if ord > 0 else minimum_over)(sums, axis=-3 - summed, keepdims=True)
    elif ord in (2, -2, "nuc"):
        values = svdvals(x)
        over = sum_over if ord == "nuc" else maximum_over if ord > 0 else minimum_over
        out = over(values, axis=-1)
        out = reshaped(out, (*extents(out), 1, 1))
    else:
        raise ValueError(f"linalg.matrix_norm: unknown order {ord!r}")
    return back(out if keepdims else kernels.squeeze(out, (-2, -1)))
