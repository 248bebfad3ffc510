"""ATen's linear algebra, its Fourier transforms, and complex numbers as pairs of real ones."""

from __future__ import annotations

import math
from typing import Any

from tensoria.dtypes import complex64, complex128, float64
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
    "_linalg_eigh.default": _eigh, "_linalg_slogdet.default": _slogdet,
    "_fft_c2c.default": _c2c, "_fft_r2c.default": _r2c, "_fft_c2r.default": _c2r,
    "complex.default": _joined, "polar.default": _polar, "view_as_real.default": _pairs,
    "view_as_complex.default": _unpaired, "angle.default": _angle,
    "real.default": lambda call, x: xp.real(x) if x.dtype.kind == "complex" else x,
    "imag.default": lambda call, x: xp.imag(x),
    "_cdist_forward.default": _distances, "_pdist_forward.default": _own_distances, "_trilinear.default": _trilinear,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
