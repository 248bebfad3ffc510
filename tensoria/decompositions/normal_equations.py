"""The least squares problems of a CP sweep, one for each mode, as their normal equations.

With all factors but one fixed, the best last factor A (rank, size) solves V A = M. What differs between the variants
of CP is only which entries the sum of squares goes over: all of them (`Full`), those that are observed (`Observed`), or
a random sample (`Sampled`). Each gives M and V for the modes in turn, and the error after the last one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.decompositions.framing import contracted, number, real_part
from tensoria.decompositions.mttkrp import kruskal, mttkrps
from tensoria.decompositions.residual import norm_of, relative_error, squared_norm
from tensoria.errors import DomainError

__all__ = ["Full", "Observed", "Problem", "Sampled", "conjugated"]


class Problem(Protocol):
    """The least squares problems of a sweep.

    Attributes:
        exact: whether the error of a sweep is that of all entries, and not an estimate.
    """

    exact: bool

    def equations(self, factors: Sequence[Array]) -> Iterator[tuple[int, Array, Array]]:
        """Each mode with V, (rank, rank) or one for each row of the factor (size, rank, rank), and M (rank, size).

        Factors have columns of norm 1 (along the last axis); the caller replaces the mode's own before it goes on.
        """
        ...

    def error(self, solved: tuple[Array, Array, Array], factors: Sequence[Array]) -> float:
        """The relative error after a sweep, from the last mode's V, M and solution A."""
        ...


class Full:
    """All entries: V is the entrywise product of the other factors' Gram matrices (Kolda and Bader, (3.4))."""

    exact = True

    def __init__(self, backend: Backend, x: Array) -> None:
        self.backend, self.x = backend, x
        self.norm = norm_of(backend, x)

    def equations(self, factors: Sequence[Array]) -> Iterator[tuple[int, Array, Array]]:
        """As `Problem.equations`."""
        backend, xp = self.backend, self.backend.xp
        count = len(factors)
        grams = [_gram(backend, factor) for factor in factors]
        conjugates = [conjugated(backend, factor) for factor in factors]
        for n, m in mttkrps(backend, self.x, conjugates):
            others = [grams[k] for k in range(count) if k != n]
            v = others[0]
            for gram in others[1:]:
                v = xp.multiply(v, gram)
            yield n, v, m
            if n < count - 1:
                grams[n], conjugates[n] = _gram(backend, factors[n]), conjugated(backend, factors[n])

    def error(self, solved: tuple[Array, Array, Array], factors: Sequence[Array]) -> float:
        """As `Problem.error`."""
        backend = self.backend
        squared = self.norm**2 + number(backend, _change(backend, *solved))
        ones = backend.xp.ones_like(real_part(backend, factors[0][:, 0]))
        whole = [*factors[:-1], solved[2]]
        return relative_error(backend, self.x, squared, self.norm, lambda: kruskal(backend, ones, whole))


class Observed:
    """Only the observed entries: each row of a factor has a V of its own, over the entries that are seen there.

    V and M come from the same sweep over the modes: V is the product of the mask with the Khatri-Rao product of rank^2
    columns (Tomasi and Bro, Chemometrics and Intelligent Laboratory Systems 75, 2005; here solved exactly, row by
    row, and not by imputation, which converges slowly if much is missing).
    """

    exact = True

    def __init__(self, backend: Backend, x: Array, mask: Array) -> None:
        self.backend, self.x = backend, x
        xp = backend.xp
        self.mask = xp.astype(mask, x.dtype)
        self.norm = norm_of(backend, x)
        for n in range(len(x.shape)):
            others = tuple(m for m in range(len(x.shape)) if m != n)
            seen = xp.any(mask, axis=others)
            if not bool(backend.detach(xp.all(seen))):
                row = int(np.argmin(backend.to_numpy(seen)))
                raise DomainError(
                    f"nothing is observed at {row} along axis {n}, so nothing determines that row of its factor.",
                    legal="leave that slice out",
                )

    def equations(self, factors: Sequence[Array]) -> Iterator[tuple[int, Array, Array]]:
        """As `Problem.equations`."""
        backend, xp = self.backend, self.backend.xp
        conjugates = [conjugated(backend, factor) for factor in factors]
        pairs = [_pairs(backend, factor) for factor in factors]
        rank = factors[0].shape[0]
        both = zip(mttkrps(backend, self.x, conjugates), mttkrps(backend, self.mask, pairs), strict=True)
        for (n, m), (_, flat) in both:
            v = backend.reshape(xp.matrix_transpose(flat), (m.shape[1], rank, rank))
            yield n, v, m
            conjugates[n], pairs[n] = conjugated(backend, factors[n]), _pairs(backend, factors[n])

    def error(self, solved: tuple[Array, Array, Array], factors: Sequence[Array]) -> float:
        """As `Problem.error`."""
        backend = self.backend
        squared = self.norm**2 + number(backend, _change(backend, *solved))
        ones = backend.xp.ones_like(real_part(backend, factors[0][:, 0]))
        whole = [*factors[:-1], solved[2]]

        def approximation() -> Array:
            return backend.multiply(self.mask, kruskal(backend, ones, whole))

        return relative_error(backend, self.x, squared, self.norm, approximation)


class Sampled:
    """A random sample of the equations: CPRAND (Battaglino, Ballard, Kolda, SIAM J. Matrix Anal. Appl. 39, 2018).

    For each mode, as many columns of the unfolding as there are samples, drawn anew in every sweep, so that a sweep
    costs nothing of the order of the tensor's size. The error is estimated over entries drawn once (their section 3.4).
    Columns are drawn uniformly, without their mixing: a tensor whose norm is in few entries is not for it.
    """

    exact = False
    ENTRIES = 2**14
    """How many entries the error is estimated from."""

    def __init__(self, backend: Backend, x: Array, samples: int, random: np.random.Generator) -> None:
        self.backend, self.samples, self.random = backend, samples, random
        self.shape = tuple(x.shape)
        self.flat = backend.reshape(x, (-1,))
        self.places = [random.integers(0, size, self.ENTRIES) for size in self.shape]
        self.entries = self._taken(self.flat, np.ravel_multi_index(self.places, self.shape))
        if not bool(backend.detach(backend.xp.any(self.entries != 0))):
            raise DomainError("all entries of a random sample are zero.", legal="samples=None uses all entries")
        self.norm = norm_of(backend, self.entries)

    def equations(self, factors: Sequence[Array]) -> Iterator[tuple[int, Array, Array]]:
        """As `Problem.equations`."""
        backend = self.backend
        for n in range(len(self.shape)):
            drawn = [self.random.integers(0, size, self.samples) for size in self.shape]
            drawn[n] = np.zeros(self.samples, dtype=np.int64)
            stride = math.prod(self.shape[n + 1 :])
            rows = np.ravel_multi_index(drawn, self.shape)[:, None] + stride * np.arange(self.shape[n])
            x = backend.reshape(self._taken(self.flat, rows.reshape(-1)), rows.shape)
            z = conjugated(backend, self._products(factors, drawn, skip=n))
            m = contracted(backend, z, (0, 2), x, (2, 1), (0, 1))
            yield n, contracted(backend, z, (0, 2), conjugated(backend, z), (1, 2), (0, 1)), m

    def error(self, solved: tuple[Array, Array, Array], factors: Sequence[Array]) -> float:
        """As `Problem.error`; an estimate."""
        backend, xp = self.backend, self.backend.xp
        model = xp.sum(self._products([*factors[:-1], solved[2]], self.places), axis=0)
        difference = backend.subtract(self.entries, model)
        return math.sqrt(number(backend, squared_norm(backend, difference))) / self.norm

    def _products(self, factors: Sequence[Array], drawn: Sequence[np.ndarray], skip: int = -1) -> Array:
        """Rows of the Khatri-Rao product: (rank, samples)."""
        made: Array = None
        for n, (factor, at) in enumerate(zip(factors, drawn, strict=True)):
            if n != skip:
                part = self._taken(factor, at, axis=1)
                made = part if made is None else self.backend.multiply(made, part)
        return made

    def _taken(self, array: Array, at: np.ndarray, axis: int = 0) -> Array:
        indices = self.backend.asarray(at, None, self.backend.device(array), True)
        return self.backend.xp.take(array, indices, axis=axis)


def conjugated(backend: Backend, array: Array) -> Array:
    """The complex conjugate; a real array as it is."""
    return backend.xp.conj(array) if backend.dtype(array).kind == "complex" else array


def _gram(backend: Backend, factor: Array) -> Array:
    return contracted(backend, conjugated(backend, factor), (0, 2), factor, (1, 2), (0, 1))


def _pairs(backend: Backend, factor: Array) -> Array:
    """conj(a_r) a_s for all pairs of components: (rank^2, size)."""
    made = contracted(backend, conjugated(backend, factor), (0, 2), factor, (1, 2), (0, 1, 2))
    return backend.reshape(made, (-1, factor.shape[1]))


def _change(backend: Backend, v: Array, m: Array, a: Array) -> Array:
    """||X - Y||^2 - ||X||^2 = sum conj(A) (V A - 2 M)."""
    xp = backend.xp
    applied = contracted(backend, v, (2, 0, 1) if len(v.shape) == 3 else (0, 1), a, (1, 2), (0, 2))
    return real_part(backend, xp.sum(xp.multiply(conjugated(backend, a), applied - 2 * m)))
