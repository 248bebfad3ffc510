"""How a factor is found from its normal equations V A = M: least squares, and nonnegative least squares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.components import Components
from tensoria.decompositions.residual import epsilon
from tensoria.structure import Cache, structural

__all__ = ["Update", "least_squares", "nonnegative_least_squares"]

Update = Callable[[Backend, Array, Array, Array], Array]
"""(backend, V, M, the factor so far) to the new factor (rank, size)."""
INNER = 3
"""Passes over the components in a nonnegative update: M costs far more than a pass (Gillis and Glineur, Neural
Computation 24, 2012)."""


def least_squares(backend: Backend, v: Array, m: Array, current: Array) -> Array:
    """The solution of V A = M.

    Columns of norm 1 put ones on V's diagonal, or less. Where V is singular (components that are parallel, or fewer
    equations than unknowns), a multiple of the identity of the size of V's own rounding errors chooses a bounded
    solution; elsewhere it is as harmless as these.
    """
    xp = backend.xp
    rank = m.shape[0]
    ridge = backend.constant(_ridge(rank, rank * epsilon(backend, m)), backend.dtype(v), v)
    v = backend.add(v, ridge)
    if len(v.shape) == 2:
        return xp.linalg.solve(v, m)
    rows = xp.linalg.solve(v, xp.expand_dims(xp.matrix_transpose(m), axis=-1))
    return xp.matrix_transpose(rows[..., 0])


@structural
def _ridge(size: int, height: float) -> Components:
    return _ridges[size, height]


_ridges: Cache[tuple[int, float], Components] = Cache(lambda key: Components(key[1] * np.eye(key[0])), limit=64)


def nonnegative_least_squares(backend: Backend, v: Array, m: Array, current: Array) -> Array:
    """A few passes of hierarchical least squares: each component in turn, at its best and not negative.

    A pass never raises the error. A component that V says nothing about (its other factors are zero) is left alone.
    These are many steps on few numbers, which a framework's calls would take far longer to start than to do, so that
    they are done in host memory.
    """
    normal, right = backend.to_numpy(v), backend.to_numpy(m)
    factor = np.array(backend.to_numpy(current))
    for _ in range(INNER):
        for r in range(len(factor)):
            own = normal[..., r, r]
            model = normal[r] @ factor if normal.ndim == 2 else np.einsum("is,si->i", normal[:, r], factor)
            step = np.divide(right[r] - model, own, out=np.zeros_like(factor[r]), where=own > 0)
            factor[r] = np.maximum(factor[r] + step, 0)
    return backend.asarray(factor, backend.dtype(m), backend.device(m), True)
