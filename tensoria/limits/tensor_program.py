"""A Tensor Program with everything that can be done with it: built, classified, simulated, taken to its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensoria.limits.language.builder import BaseTensorProgram
from tensoria.limits.language.classification import Classification, classified
from tensoria.limits.simulation import Convergence, Simulation, converge, simulate
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

    def simulate(self, width: int, seeds: int = 1, **options: Any) -> Simulation:
        """Sample the program at a finite width, and run it; the options are those of `simulation.simulate`."""
        return simulate(self, width, seeds, **options)

    def converge(
        self, widths: Sequence[int] = (64, 128, 256, 512, 1024), seeds: int = 16, **options: Any
    ) -> Convergence:
        """Its distance to the limit at several widths; see `simulation.converge`.

        Args:
            widths, seeds: what to run.
            options: those of `converge`, and `limit` if it has been taken already.
        """
        limit = options.pop("limit", None)
        return converge(self, self.limit() if limit is None else limit, widths, seeds, **options)

    def classify(self, limit: Limit | None = None) -> Classification:
        """The smallest sufficient language, whether its conditions hold, and whether kernels may drop the dots.

        Args:
            limit: the limit, if it is there; else scalars may have any value, and Gram matrices are unknown.

        >>> import tensoria as tn
        >>> p = TensorProgram()
        >>> W, x = p.matrix("W"), p.vector("x")
        >>> z = p.nonlin("relu", W @ x, name="z")
        >>> print(p.classify())
        language: NETSOR
        z = relu(g1): controlled? yes: at most a power 1
        rank stability: yes: NETSOR does not ask for it
        gradient independence: yes: there are no transposes
        """
        return classified(self, limit)
