"""Tier D: particles. Every Gaussian is drawn for N particles, every vector is an array of its values there.

The particles stand in groups, and each group goes through the whole recursion by itself: its own coefficients, its own
covariances. So the scatter of a result over groups is its standard error, with all that earlier steps contributed.
Within a group the second half of the Gaussians is the negative of the first (antithetic pairs): odd functions have no
sampling error at the start. A new hat is drawn given the earlier hats of its matrix: a regression on them, plus a
Gaussian of the variance that is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.discovery import get
from tensoria.dtypes import float64
from tensoria.errors import LimitError
from tensoria.random.keys import fold_in, key
from tensoria.random.normal import normal

__all__ = ["Particles", "regression"]

GROUPS = 32
"""So many groups give a standard error that is itself known to an eighth."""
SMALLEST = 64
"""Particles in a group."""


class Particles:
    """N particles on a backend.

    Args:
        count: N, rounded up to whole groups.
        seed: an integer or a key of tn.random.
        backend: by name.
    """

    def __init__(self, count: int, seed: Any, backend: str) -> None:
        if count < GROUPS * SMALLEST:
            raise LimitError(f"{count} particles are too few for a standard error: {GROUPS * SMALLEST} at least.")
        self.groups, self.size = GROUPS, -(-count // (2 * GROUPS)) * 2
        self.backend: Backend = get(backend)
        self.key = key(seed, backend=backend) if isinstance(seed, int) else seed
        self._drawn = 0

    @property
    def count(self) -> int:
        """N."""
        return self.groups * self.size

    def normal(self) -> Array:
        """Standard normal numbers, (groups, size), the second half the negative of the first."""
        drawn = normal(fold_in(self.key, self._drawn), (self.groups, self.size // 2), dtype="float64")._array
        self._drawn += 1
        return self.backend.xp.concat([drawn, -drawn], axis=1)

    def constant(self, values: Any) -> Array:
        """A number for every group, (groups, 1), or for all."""
        found = np.asarray(values, dtype=np.float64)
        if found.ndim == 0:
            return self.backend.asarray(float(found), float64, self.key.device, None)
        return self.backend.asarray(found.reshape(self.groups, 1), float64, self.key.device, None)

    def means(self, array: Array) -> np.ndarray[Any, Any]:
        """The mean over each group."""
        shape = self.backend.shape(array)
        if not shape or shape[-1] == 1:
            found = np.asarray(self.backend.to_numpy(array), dtype=np.float64).reshape(-1)
            return np.broadcast_to(found, (self.groups,))
        return np.asarray(self.backend.to_numpy(self.backend.xp.mean(array, axis=-1)), dtype=np.float64)

    def inner(self, x: Array, y: Array) -> np.ndarray[Any, Any]:
        """The mean of a product over each group."""
        return self.means(x * y)


def regression(
    matrix: np.ndarray[Any, Any], right: np.ndarray[Any, Any], cutoff: float = 1e-9
) -> np.ndarray[Any, Any]:
    """Solutions of C a = b in each group: (groups, k, k), (groups, k) -> (groups, k).

    Directions whose variance is rounding are left out.
    """
    if not matrix.shape[-1]:
        return right
    scale = np.sqrt(np.maximum(np.einsum("gii->gi", matrix), 1e-300))
    normal_ = matrix / scale[:, :, None] / scale[:, None, :]
    found = np.linalg.pinv(normal_, rcond=cutoff, hermitian=True)
    out: np.ndarray[Any, Any] = np.einsum("gij,gj->gi", found, right / scale) / scale
    return out
