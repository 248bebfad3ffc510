"""ATen's linear algebra, its Fourier transforms, and complex numbers as pairs of real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria.dtypes import complex64, complex128, float32, float64
from tensoria.errors import PortingError
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, getitem
from tensoria_torch.lowerings.call import Call, Lowering, one, positions, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray


# -- factorisations ---------------------------------------------------------------------------------------------------


def _info(x: Array) -> Array:
    """What tells a failure, which is raised where the numbers are."""
    return xp.zeros(x.shape[:-2], dtype="int32")


def _inverse(call: Call, x: Array, *_: Any, **__: Any) -> tuple[Any, ...]:
    return xp.linalg.inv(x), _info(x)


def _cholesky(call: Call, x: Array, *, upper: bool = False, **_: Any) -> tuple[Any, ...]:
    return xp.linalg.cholesky(x, upper=upper), _info(x)


def _solved(call: Call, a: Array, b: Array, *, left: bool = True, **_: Any) -> tuple[Any, ...]:
    if not left:
        turned = _solved(call, xp.matrix_transpose(a), xp.matrix_transpose(b))[0]
        return (xp.matrix_transpose(turned), None, None, None)
    if b.ndim == a.ndim - 1:
        return (xp.squeeze(xp.linalg.solve(a, xp.expand_dims(b, axis=-1)), axis=-1), None, None, _info(a))
    return (xp.linalg.solve(a, b), None, None, _info(a))


def _triangular(
    call: Call, a: Array, b: Array, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Array:
    a = one(a, "triu" if upper else "tril", k=0)
    if unitriangular:
        diagonal = xp.expand_dims(xp.linalg.diagonal(a), axis=-1)
        a = xp.add(a, xp.multiply(xp.eye(a.shape[-1], dtype=a.dtype), xp.subtract(1.0, diagonal)))
    found: Array = _solved(call, a, b, left=left)[0]
    return found


def _svd(call: Call, x: Array, full_matrices: bool = False, compute_uv: bool = True, **_: Any) -> tuple[Any, ...]:
    if not compute_uv:
        return None, xp.linalg.svdvals(x), None
    return tuple(xp.linalg.svd(x, full_matrices=full_matrices))


def _qr(call: Call, x: Array, mode: str = "reduced") -> tuple[Any, ...]:
    if mode == "r":
        return None, xp.linalg.qr(x)[1]
    return tuple(xp.linalg.qr(x, mode=mode))


def _eigh(call: Call, x: Array, uplo: str = "L", compute_v: bool = True) -> tuple[Any, ...]:
    if uplo != "L":
        x = xp.matrix_transpose(x if x.dtype.kind != "complex" else xp.conj(x))
    return (xp.linalg.eigvalsh(x), None) if not compute_v else tuple(xp.linalg.eigh(x))


def _eig(call: Call, x: Array) -> tuple[Any, ...]:
    return tuple(xp.linalg.eig(x))


def _eigenvalues(call: Call, x: Array) -> Array:
    found: Array = xp.linalg.eigvals(x)
    return found


def _factored(call: Call, factor: Array, upper: bool) -> Array:
    """The lower factor of a Cholesky decomposition."""
    return _adjoint(one(factor, "triu", k=0)) if upper else one(factor, "tril", k=0)


def _adjoint(x: Array) -> Array:
    return xp.matrix_transpose(xp.conj(x) if x.dtype.kind == "complex" else x)


def _cholesky_solved(call: Call, b: Array, factor: Array, upper: bool = False) -> Array:
    lower = _factored(call, factor, upper)
    found: Array = xp.linalg.solve(_adjoint(lower), xp.linalg.solve(lower, b))
    return found


def _cholesky_inverse(call: Call, factor: Array, upper: bool = False) -> Array:
    inverse = xp.linalg.inv(_factored(call, factor, upper))
    return xp.matmul(_adjoint(inverse), inverse)


def _pseudoinverse(
    call: Call, x: Array, *, atol: Array | None = None, rtol: Array | None = None, hermitian: bool = False
) -> Array:
    """By singular values; those that are small beside the largest one count as 0."""
    m, n = x.shape[-2:]
    if not (isinstance(m, int) and isinstance(n, int)):
        raise PortingError("the pseudoinverse of a matrix of open size is not ported.", legal="torch.linalg.solve")
    of = float64 if x.dtype in (float64, complex128) else float32
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    least = 0.0 if atol is None else xp.expand_dims(cast(atol, of), axis=-1)
    relative: Any = max(m, n) * np.finfo(of.name).eps
    if rtol is not None:
        relative = xp.expand_dims(cast(rtol, of), axis=-1)
    elif atol is not None:  # a bound that is given is the only one
        relative = xp.multiply(cast(xp.less_equal(least, 0.0), of), relative)
    bound = xp.maximum(xp.multiply(xp.max(s, axis=-1, keepdims=True), relative), least)
    kept = xp.greater(s, bound)
    inverse = xp.where(kept, xp.reciprocal(xp.where(kept, s, 1.0)), 0.0)
    return xp.matmul(xp.multiply(_adjoint(vh), cast(xp.expand_dims(inverse, axis=-2), x.dtype)), _adjoint(u))


PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
"""Of the exponential function, of degree 13 (Higham, 2005), exact to float64 where the norm is below 5.37."""
SQUARINGS = 24


def _exponential(call: Call, x: Array) -> Array:
    """Scaling and squaring; every matrix is halved as often as its own norm asks for, which is at most 24 times."""
    size = x.shape[-1]
    wide = complex128 if x.dtype.kind == "complex" else float64
    a = cast(x, wide)
    norm = xp.max(xp.sum(xp.abs(a), axis=-2), axis=-1)
    halvings = xp.ceil(xp.log2(xp.maximum(norm, 5.37) / 5.37))
    halvings = xp.expand_dims(one(halvings, "stop_gradient"), axis=(-2, -1))
    a = xp.multiply(a, cast(xp.pow(0.5, xp.minimum(halvings, float(SQUARINGS))), wide))
    unit = xp.eye(size, dtype=wide)
    squares = [unit, xp.matmul(a, a)]
    squares += [xp.matmul(squares[1], squares[1])]
    squares += [xp.matmul(squares[1], squares[2])]

    def combined(numbers: Sequence[float]) -> Array:
        first, *rest = (xp.multiply(square, float(n)) for square, n in zip(squares, numbers, strict=False))
        for term in rest:
            first = xp.add(first, term)
        return first

    odd = xp.add(xp.matmul(squares[3], combined([0, *PADE[9::2]])), combined(PADE[1:8:2]))
    even = xp.add(xp.matmul(squares[3], combined([0, *PADE[8::2]])), combined(PADE[0:7:2]))
    odd = xp.matmul(a, odd)
    found = xp.linalg.solve(xp.subtract(even, odd), xp.add(even, odd))
    for n in range(SQUARINGS):
        more = xp.greater(halvings, float(n))
        once = xp.where(more, found, cast(xp.zeros_like(halvings), wide))
        found = xp.where(more, xp.matmul(once, once), found)
    found = xp.where(xp.greater(halvings, float(SQUARINGS)), xp.full_like(found, math.nan), found)
    return cast(found, x.dtype)


def _slogdet(call: Call, x: Array) -> tuple[Any, ...]:
    return (*xp.linalg.slogdet(x), None, None)


# -- transforms -------------------------------------------------------------------------------------------------------

FORWARD, INVERSE = ("backward", "ortho", "forward"), ("forward", "ortho", "backward")
"""How PyTorch's numbers for normalisation (none, by the root, by n) are called for transforms and their inverses."""


def _complex(x: Array) -> Array:
    return x if x.dtype.kind == "complex" else cast(x, complex128 if x.dtype is float64 else complex64)


def _c2c(call: Call, x: Array, axes: Any, normalisation: int, forward: bool) -> Array:
    function, names = (xp.fft.fftn, FORWARD) if forward else (xp.fft.ifftn, INVERSE)
    return function(_complex(x), axes=positions(axes, x.ndim), norm=names[normalisation])


def _r2c(call: Call, x: Array, axes: Any, normalisation: int, onesided: bool) -> Array:
    if not onesided:
        return _c2c(call, x, axes, normalisation, True)
    *first, last = (axis % x.ndim for axis in axes)
    found = xp.fft.rfft(x, axis=last, norm=FORWARD[normalisation])
    return xp.fft.fftn(found, axes=tuple(first), norm=FORWARD[normalisation]) if first else found


def _c2r(call: Call, x: Array, axes: Any, normalisation: int, size: Any) -> Array:
    *first, last = (axis % x.ndim for axis in axes)
    if first:
        x = xp.fft.ifftn(x, axes=tuple(first), norm=INVERSE[normalisation])
    return xp.fft.irfft(x, n=size, axis=last, norm=INVERSE[normalisation])


# -- complex numbers --------------------------------------------------------------------------------------------------


def _joined(call: Call, real: Array, imaginary: Array) -> Array:
    return xp.add(cast(real, call.dtype), xp.multiply(cast(imaginary, call.dtype), 1j))


def _polar(call: Call, size: Array, angle: Array) -> Array:
    return _joined(call, xp.multiply(size, xp.cos(angle)), xp.multiply(size, xp.sin(angle)))


def _pairs(call: Call, x: Array) -> Array:
    return xp.stack((xp.real(x), xp.imag(x)), axis=-1)


def _unpaired(call: Call, x: Array) -> Array:
    first, second = (getitem(x, (Ellipsis, n)) for n in (0, 1))
    return _joined(call, first, second)


def _angle(call: Call, x: Array) -> Array:
    if x.dtype.kind == "complex":
        return xp.atan2(xp.imag(x), xp.real(x))
    x = cast(x, call.dtype)
    return xp.where(xp.isnan(x), x, xp.where(xp.less(x, 0.0), xp.full_like(x, math.pi), xp.zeros_like(x)))


# -- distances --------------------------------------------------------------------------------------------------------


def _distance(difference: Array, order: float) -> Array:
    size = xp.abs(difference)
    if order == 0:
        return xp.sum(cast(xp.not_equal(size, 0.0), difference.dtype), axis=-1)
    if math.isinf(order):
        return xp.max(size, axis=-1)
    if order == 1:
        return xp.sum(size, axis=-1)
    total = xp.sum(xp.square(size) if order == 2 else xp.pow(size, float(order)), axis=-1)
    if order == 2:
        # The root's derivative at 0 is 0, as PyTorch has it.
        apart = xp.greater(total, 0.0)
        return xp.where(apart, xp.sqrt(xp.where(apart, total, 1.0)), 0.0)
    return xp.pow(total, 1 / float(order))


def _distances(call: Call, a: Array, b: Array, order: float = 2.0, *_: Any) -> Array:
    return _distance(xp.subtract(xp.expand_dims(a, axis=-2), xp.expand_dims(b, axis=-3)), order)


def _own_distances(call: Call, x: Array, order: float = 2.0) -> Array:
    count = x.shape[0]
    if not isinstance(count, int):
        raise PortingError("distances between an open number of points in one list.", legal="torch.cdist")
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    first, second = (xp.take(x, xp.asarray([pair[n] for pair in pairs]), axis=0) for n in (0, 1))
    return _distance(xp.subtract(first, second), order)


def _trilinear(
    call: Call, a: Array, b: Array, c: Array, expand_a: Any, expand_b: Any, expand_c: Any, summed: Any, *_: Any
) -> Array:
    """The product of three arrays with further axes, summed over some."""
    for axes, n in ((expand_a, 0), (expand_b, 1), (expand_c, 2)):
        for axis in sorted(axes):
            a, b, c = (xp.expand_dims(x, axis=axis) if k == n else x for k, x in enumerate((a, b, c)))
    return xp.sum(xp.multiply(xp.multiply(a, b), c), axis=tuple(summed))


LOWERINGS: dict[str, Lowering] = {
    "_linalg_det.default": lambda call, x: (xp.linalg.det(x), None, None),
    "linalg_inv_ex.default": _inverse, "linalg_cholesky_ex.default": _cholesky, "_linalg_solve_ex.default": _solved,
    "linalg_solve_triangular.default": _triangular, "_linalg_svd.default": _svd, "linalg_qr.default": _qr,
    "_linalg_eigh.default": _eigh, "_linalg_slogdet.default": _slogdet, "linalg_eig.default": _eig,
    "linalg_eigvals.default": _eigenvalues, "_linalg_eigvals.default": _eigenvalues,
    "cholesky_solve.default": _cholesky_solved, "cholesky_inverse.default": _cholesky_inverse,
    "linalg_pinv.atol_rtol_tensor": _pseudoinverse, "linalg_matrix_exp.default": _exponential,
    "_fft_c2c.default": _c2c, "_fft_r2c.default": _r2c, "_fft_c2r.default": _c2r,
    "complex.default": _joined, "polar.default": _polar, "view_as_real.default": _pairs,
    "view_as_complex.default": _unpaired, "angle.default": _angle,
    "real.default": lambda call, x: xp.real(x) if x.dtype.kind == "complex" else x,
    "imag.default": lambda call, x: xp.imag(x),
    "_cdist_forward.default": _distances, "_pdist_forward.default": _own_distances, "_trilinear.default": _trilinear,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
