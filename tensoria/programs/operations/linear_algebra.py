"""The extension `linalg`: matrices on the last two axes, and stacks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensoria.dtypes import DType, complex64, complex128, float32, float64, int64
from tensoria.errors import DTypeError, ShapeError
from tensoria.programs.dimensions import Size, maximum, minimum
from tensoria.programs.operations.elementwise import INEXACT, NUMBERS, broadcast
from tensoria.programs.operations.reductions import checked_axes, reduced
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS"]

Results = Callable[[Type, Shape, Size, Size], tuple[Type, ...]]


def _real(of: DType) -> DType:
    return (float64 if of.itemsize == 16 else float32) if of.kind == "complex" else of


def _complex(of: DType) -> DType:
    return of if of.kind == "complex" else complex128 if of is float64 else complex64


def _matrix(name: str, x: Type, square: bool) -> tuple[Shape, Size, Size]:
    if x.dtype.kind not in INEXACT:
        raise DTypeError(f"{name} takes float or complex matrices, not {x.dtype}.")
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(f"{name} takes {'square ' if square else ''}matrices; the shape is {x.shape}.")
    return x.shape[:-2], x.shape[-2], x.shape[-1]


def _row(name: str, meaning: str, results: Results, attributes: tuple[str, ...] = (), square: bool = True) -> Operation:
    def infer(x: Type, **_: Any) -> tuple[Type, ...]:
        return results(x, *_matrix(name, x, square))

    return Operation(name, ("x",), meaning, infer, attributes)


def _qr(x: Type, *, mode: str) -> tuple[Type, ...]:
    lead, m, n = _matrix("linalg.qr", x, False)
    inner = minimum(m, n) if mode == "reduced" else m
    return Type(x.dtype, (*lead, m, inner)), Type(x.dtype, (*lead, inner, n))


def _svd(x: Type, *, full_matrices: bool, close: float | None = None) -> tuple[Type, ...]:
    lead, m, n = _matrix("linalg.svd", x, False)
    k = minimum(m, n)
    left, right = (m, n) if full_matrices else (k, k)
    return Type(x.dtype, (*lead, m, left)), Type(_real(x.dtype), (*lead, k)), Type(x.dtype, (*lead, right, n))


def _solve(x1: Type, x2: Type) -> tuple[Type, ...]:
    same_dtype("linalg.solve", (x1, x2))
    lead, n, _ = _matrix("linalg.solve", x1, True)
    if x2.ndim == 1:
        if x2.shape[0] != n:
            raise ShapeError(f"linalg.solve of the shapes {x1.shape} and {x2.shape}.")
        return (Type(x1.dtype, (*lead, n)),)
    if x2.shape[-2] != n:
        raise ShapeError(f"linalg.solve of the shapes {x1.shape} and {x2.shape}.")
    return (Type(x1.dtype, (*broadcast((lead, x2.shape[:-2]), "linalg.solve"), n, x2.shape[-1])),)


def _diagonal(x: Type, *, offset: int) -> tuple[Type, ...]:
    if x.ndim < 2:
        raise ShapeError(f"linalg.diagonal takes matrices; the shape is {x.shape}.")
    m, n = x.shape[-2:]
    size = maximum(minimum(m, n - offset) if offset >= 0 else minimum(m + offset, n), 0)
    return (Type(x.dtype, (*x.shape[:-2], size)),)


def _cross(x1: Type, x2: Type, *, axis: int) -> tuple[Type, ...]:
    same_dtype("linalg.cross", (x1, x2))
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ShapeError(f"linalg.cross of vectors in three dimensions; the shapes are {x1.shape} and {x2.shape}.")
    return (Type(x1.dtype, broadcast((x1.shape, x2.shape), "linalg.cross")),)


def _vector_norm(x: Type, *, axes: tuple[int, ...], keepdims: bool, ord: float) -> tuple[Type, ...]:
    checked_axes("linalg.vector_norm", x.ndim, axes)
    return (Type(_real(x.dtype), reduced(x.shape, axes, keepdims)),)


def _matrix_norm(x: Type, *, keepdims: bool, ord: Any) -> tuple[Type, ...]:
    lead, _, _ = _matrix("linalg.matrix_norm", x, False)
    return (Type(_real(x.dtype), (*lead, 1, 1) if keepdims else lead),)


def _power(x: Type, *, n: int) -> tuple[Type, ...]:
    if x.dtype.kind not in NUMBERS or x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"linalg.matrix_power takes square matrices; this is {x}.")
    return (x,)


ROWS = {
    row.name: row
    for row in (
        _row("linalg.cholesky", "triangular factor", lambda x, *_: (x,), ("upper",)),
        _row("linalg.det", "determinant", lambda x, lead, m, n: (Type(x.dtype, lead),)),
        _row(
            "linalg.eig", "eigenvalues and eigenvectors (columns), complex",
            lambda x, lead, m, n: (Type(_complex(x.dtype), (*lead, n)), Type(_complex(x.dtype), (*lead, n, n))),
        ),
        _row("linalg.eigvals", "eigenvalues, complex", lambda x, lead, m, n: (Type(_complex(x.dtype), (*lead, n)),)),
        _row(
            "linalg.eigh", "eigenvalues, ascending, and eigenvectors (columns) of a Hermitian matrix",
            lambda x, lead, m, n: (Type(_real(x.dtype), (*lead, n)), x), ("close",),
        ),
        _row(
            "linalg.eigvalsh", "eigenvalues of a Hermitian matrix, ascending",
            lambda x, lead, m, n: (Type(_real(x.dtype), (*lead, n)),),
        ),
        _row("linalg.inv", "inverse", lambda x, *_: (x,)),
        _row(
            "linalg.pinv", "pseudo-inverse", lambda x, lead, m, n: (Type(x.dtype, (*lead, n, m)),), ("rtol",), False
        ),
        _row(
            "linalg.slogdet", "sign and logarithm of the size of the determinant",
            lambda x, lead, m, n: (Type(x.dtype, lead), Type(_real(x.dtype), lead)),
        ),
        _row(
            "linalg.svdvals", "singular values, descending",
            lambda x, lead, m, n: (Type(_real(x.dtype), (*lead, minimum(m, n))),), (), False,
        ),
        _row(
            "linalg.matrix_rank", "number of singular values above a threshold",
            lambda x, lead, m, n: (Type(int64, lead),), ("rtol",), False,
        ),
        Operation("linalg.qr", ("x",), "orthonormal and triangular factors", _qr, ("mode",)),
        Operation("linalg.svd", ("x",), "singular vectors and values", _svd, ("full_matrices", "close")),
        Operation("linalg.solve", ("x1", "x2"), "solution of linear equations", _solve),
        Operation("linalg.diagonal", ("x",), "the diagonal of the last two axes", _diagonal, ("offset",)),
        Operation("linalg.cross", ("x1", "x2"), "product of vectors in three dimensions", _cross, ("axis",)),
        Operation("linalg.vector_norm", ("x",), "norm over axes", _vector_norm, ("axes", "keepdims", "ord")),
        Operation("linalg.matrix_norm", ("x",), "norm of matrices", _matrix_norm, ("keepdims", "ord")),
        Operation("linalg.matrix_power", ("x",), "integer power of a square matrix", _power, ("n",)),
    )
}  # fmt: skip
"""The operations of this chapter, by name."""
