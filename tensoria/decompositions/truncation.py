"""The leading left singular vectors of an unfolding or a matrix, by the cheapest way that is accurate enough.

The singular value decomposition of an unfolding (n x q, q much larger than n) costs many times the product of the
unfolding with its own adjoint, whose eigenvectors are the same vectors. But the Gram matrix has the squares of the
singular values: what is smaller than sqrt(eps) times the largest one is lost in it. A vector with singular value s is
mixed with others by about eps (s_1 / s)^2, which moves the approximation by eps s_1^2 / s; so the Gram matrix serves as
long as every kept s is above eps^(1/4) s_1 (the approximation is then right to eps^(3/4) of the norm) and, where a
tolerance decides, what may be discarded is above the rounding error of the eigenvalues. Otherwise, and while a
framework traces, when numbers can not be looked at, it is the singular value decomposition.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tensoria.backend import Array, Backend
from tensoria.decompositions.framing import contracted, known, number
from tensoria.decompositions.normal_equations import conjugated
from tensoria.decompositions.residual import epsilon
from tensoria.errors import BackendError

__all__ = ["Truncation", "gram", "leading", "split", "unfolded"]


class Truncation(NamedTuple):
    """What is kept: a number of singular vectors, or as few as leave out no more than a squared norm."""

    rank: int | None
    allowed: float = 0.0


def leading(backend: Backend, x: Array, n: int, keep: Truncation) -> Array:
    """The leading left singular vectors of the mode-n unfolding, as orthonormal columns (size, rank)."""
    size, rest = x.shape[n], math.prod(x.shape) // x.shape[n]
    if size > rest or not known(backend, x):
        return split(backend, unfolded(backend, x, n), keep)[0]
    found = _by_gram(backend, gram(backend, x, n), keep)
    return _by_svd(backend, unfolded(backend, x, n), keep)[0] if found is None else found


def split(backend: Backend, matrix: Array, keep: Truncation) -> tuple[Array, Array]:
    """A matrix as U R with orthonormal columns in U (rows, rank), truncated: R is U^H times the matrix."""
    rows, columns = matrix.shape
    if not known(backend, matrix):
        return _by_svd(backend, matrix, keep)
    if rows <= columns:
        u = _by_gram(backend, gram(backend, matrix, 0), keep)
        if u is not None:
            return u, contracted(backend, conjugated(backend, u), (0, 1), matrix, (0, 2), (1, 2))
        return _by_svd(backend, matrix, keep)
    v = _by_gram(backend, conjugated(backend, gram(backend, matrix, 1)), keep)
    if v is None:
        return _by_svd(backend, matrix, keep)
    # The columns of X V are orthogonal up to the rounding of the Gram matrix; QR makes them so to the last digit.
    q, r = backend.xp.linalg.qr(contracted(backend, matrix, (0, 1), v, (1, 2), (0, 2)), mode="reduced")
    return q, contracted(backend, r, (0, 1), conjugated(backend, v), (2, 1), (0, 2))


def unfolded(backend: Backend, x: Array, n: int) -> Array:
    """The mode-n unfolding, the last mode varying fastest."""
    rank = len(x.shape)
    moved = backend.kernels.transpose(x, (n, *(m for m in range(rank) if m != n)))
    return backend.reshape(moved, (x.shape[n], math.prod(x.shape) // x.shape[n]))


def gram(backend: Backend, x: Array, n: int) -> Array:
    """X_(n) X_(n)^H."""
    term = tuple(range(len(x.shape)))
    other = (*term[:n], len(term), *term[n + 1 :])
    return contracted(backend, x, term, conjugated(backend, x), other, (n, len(term)))


def _by_gram(backend: Backend, matrix: Array, keep: Truncation) -> Array | None:
    """The eigenvectors to the leading eigenvalues; None where these are too small to be right."""
    xp = backend.xp
    values, vectors = xp.linalg.eigh(matrix)
    squares = xp.flip(values)
    size, eps = squares.shape[0], epsilon(backend, matrix)
    largest = number(backend, squares[0])
    rank = keep.rank
    if rank is None:
        if keep.allowed < 10 * size * eps * largest:
            return None
        rank = _enough(backend, squares, keep.allowed)
    if not number(backend, squares[rank - 1]) > math.sqrt(eps) * largest:
        return None
    return xp.flip(vectors[:, size - rank :], axis=1)


def _by_svd(backend: Backend, matrix: Array, keep: Truncation) -> tuple[Array, Array]:
    xp = backend.xp
    u, s, vh = xp.linalg.svd(matrix, full_matrices=False)
    rank = keep.rank
    if rank is None:
        if not known(backend, matrix):
            raise BackendError(
                "a tolerance chooses ranks by the numbers it meets, which are not known while a framework traces.",
                legal="give the ranks",
            )
        rank = _enough(backend, xp.square(s), keep.allowed)
    rest = xp.multiply(xp.expand_dims(xp.astype(s[:rank], vh.dtype), axis=1), vh[:rank, :])
    return u[:, :rank], rest


def _enough(backend: Backend, squares: Array, allowed: float) -> int:
    """The smallest rank whose discarded squares (descending ones) sum up to no more than what is allowed."""
    xp = backend.xp
    ascending = xp.flip(xp.where(squares > 0, squares, xp.zeros_like(squares)))
    kept = xp.astype(xp.cumulative_sum(ascending) > allowed, squares.dtype)
    return max(1, round(number(backend, xp.sum(kept))))
