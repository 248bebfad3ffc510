"""A Tensor Program with everything that can be done with it: built, classified, simulated, taken to its limit."""

from __future__ import annotations

from typing import Any

from tensoria.limits.language.builder import BaseTensorProgram
from tensoria.limits.theorem import Limit

__all__ = ["TensorProgram"]


class TensorProgram(BaseTensorProgram):
    """A program in the languages NETSOR to NE-OR-T; how it is written is `BaseTensorProgram`'s.

    >>> import tensoria as tn
    >>> p = TensorProgram()
    >>> W, x = p.matrix("W"), p.vector("x")
    >>> y = W.T @ p.nonlin("relu", W @ x)
    >>> print(p.limit().covariance(y, x))
    1/2 (exact)
    """

    def limit(self, **options: Any) -> Limit:
        """Its limit by the Master Theorem; the options are those of `Limit`."""
        return Limit(self, **options)
