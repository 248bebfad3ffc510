"""TensorFlow's linear algebra: matrices on the last two axes, their diagonals and factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.dtypes import int64
from tensoria.errors import PortingError, ShapeError
from tensoria.programs.dimensions import Size
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import Array, Call, Known, Lowering, literal_like, one, turned, whole, xp

__all__ = ["LOWERINGS"]


# -- equations and factors --------------------------------------------------------------------------------------------


def _solve(call: Call, a: Array, b: Array) -> Array:
    return one(turned(a, call.attribute("adjoint"), conjugate=True), "linalg.solve", b)


def _triangular(call: Call, a: Array, b: Array) -> Array:
    """The other triangle is not read."""
    a = one(a, "tril" if call.attribute("lower") else "triu", k=0)
    return one(turned(a, call.attribute("adjoint"), conjugate=True), "linalg.solve", b)


def _inverse(call: Call, a: Array) -> Array:
    return one(turned(a, call.attribute("adjoint"), conjugate=True), "linalg.inv")


def _singular(call: Call, x: Array) -> tuple[Any, ...]:
    """Values first; the right vectors are columns."""
    if not call.attribute("compute_uv"):
        return one(x, "linalg.svdvals"), None, None
    left, values, right = x.recorder.record("linalg.svd", (x,), full_matrices=call.attribute("full_matrices"))
    return values, left, turned(right, True, conjugate=True)


def _orthonormal(call: Call, x: Array) -> tuple[Array, ...]:
    return x.recorder.record("linalg.qr", (x,), mode="complete" if call.attribute("full_matrices") else "reduced")


def _symmetric(call: Call, x: Array) -> tuple[Any, ...]:
    if not call.attribute("compute_v"):
        return one(x, "linalg.eigvalsh"), None
    return x.recorder.record("linalg.eigh", (x,))


def _log_determinant(call: Call, x: Array) -> tuple[Array, ...]:
    sign, logarithm = x.recorder.record("linalg.slogdet", (x,))
    return cast(sign, call.dtype), cast(logarithm, call.dtype)


# -- diagonals --------------------------------------------------------------------------------------------------------


def _offset(k: Known) -> int:
    """The number of the only diagonal.

    Raises:
        PortingError: there are several.
    """
    numbers = {int(n) for n in np.reshape(k, -1)}
    if len(numbers) != 1:
        raise PortingError("several diagonals at once are not ported.", legal="one after the other")
    return numbers.pop()


def _on_diagonal(rows: Size, columns: Size, k: int) -> Array:
    """Where the k-th diagonal of a matrix is."""
    return xp.equal(xp.expand_dims(xp.add(xp.arange(rows), k), axis=1), xp.arange(columns))


def _spread(x: Array, rows: Size, columns: Size, k: int) -> Array:
    """The components of a diagonal, along the rows (or columns) that they stand in."""
    size = x.shape[-1]
    count = rows if k >= 0 else columns
    if size != count:
        last = x.recorder.size(size - 1, int64)
        x = getitem(x, (Ellipsis, xp.minimum(xp.arange(count), last)))
    return xp.expand_dims(x, axis=-1 if k >= 0 else -2)


def _diagonal(call: Call, x: Array) -> Array:
    """Matrices with vectors on their diagonals."""
    return _placed(x, 0, x.shape[-1], x.shape[-1], literal_like(x, 0))


def _placed(x: Array, k: int, rows: Size, columns: Size, padding: Array) -> Array:
    return one(_on_diagonal(rows, columns, k), "where", _spread(x, rows, columns, k), padding)


def _any_diagonal(call: Call, x: Array, k: Known, rows: Known, columns: Known, padding: Array) -> Array:
    place = _offset(k)
    if np.ndim(k) and len(k) == 2:
        x = getitem(x, (Ellipsis, 0, slice(None)))
    # A size that is not given is the least that there can be; if none is, the matrix is square.
    given, size = [whole(n) for n in (rows, columns)], x.shape[-1]
    unknown = [isinstance(n, int) and n < 0 for n in given]
    least = (size + max(-place, 0), size + max(place, 0))
    if all(unknown):
        least = (size + abs(place),) * 2
    sizes = [small if is_unknown else n for n, small, is_unknown in zip(given, least, unknown, strict=True)]
    return _placed(x, place, sizes[0], sizes[1], padding)


def _diagonal_part(call: Call, x: Array) -> Array:
    return xp.linalg.diagonal(x)


def _any_diagonal_part(call: Call, x: Array, k: Known, padding: Array) -> Array:
    found = xp.linalg.diagonal(x, offset=_offset(k))
    return xp.expand_dims(found, axis=-2) if np.ndim(k) and len(k) == 2 else found


def _with_diagonal(call: Call, x: Array, diagonal: Array, k: Known) -> Array:
    place = _offset(k)
    if np.ndim(k) and len(k) == 2:
        diagonal = getitem(diagonal, (Ellipsis, 0, slice(None)))
    rows, columns = x.shape[-2:]
    return one(_on_diagonal(rows, columns, place), "where", _spread(diagonal, rows, columns, place), x)


def _tensor_diagonal(call: Call, x: Array) -> Array:
    if x.ndim != 1:
        raise ShapeError(f"the diagonal of a tensor of {2 * x.ndim} axes is not ported.", legal="a vector")
    return _diagonal(call, x)


def _inverted(call: Call, x: Array) -> Array:
    """The inverse of a permutation."""
    return cast(xp.argsort(x), call.dtype)


def _whole_cross(call: Call, a: Array, b: Array) -> Array:
    return one(a, "linalg.cross", b, axis=a.ndim - 1)


def _plain(operation: str, **attributes: Any) -> Callable[..., Array]:
    return lambda call, x: one(x, operation, **attributes)


LOWERINGS: dict[str, Lowering] = {
    "Cholesky": _plain("linalg.cholesky", upper=False), "MatrixInverse": _inverse,
    "MatrixDeterminant": _plain("linalg.det"), "LogMatrixDeterminant": _log_determinant, "MatrixSolve": _solve,
    "MatrixTriangularSolve": _triangular, "Svd": _singular, "Qr": _orthonormal, "SelfAdjointEigV2": _symmetric,
    "Cross": _whole_cross, "MatrixDiag": _diagonal, "MatrixDiagPart": _diagonal_part, "MatrixDiagV3": _any_diagonal,
    "MatrixDiagPartV3": _any_diagonal_part, "MatrixSetDiagV3": _with_diagonal, "Diag": _tensor_diagonal,
    "InvertPermutation": _inverted,
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {"MatrixDiagV3": (1, 2, 3), "MatrixDiagPartV3": (1,), "MatrixSetDiagV3": (2,)}
"""Which operands have to be known before anything runs."""
