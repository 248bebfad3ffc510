"""Sums over permutations of an array's axes: what symmetric parts and wedge products are made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from tensoria.backend import Array, Backend
from tensoria.dtypes import float64

__all__ = ["averaged", "is_odd", "shuffled"]


def averaged(backend: Backend, array: Array, places: Sequence[int], antisymmetric: bool) -> Array:
    """The mean, or the signed mean, over all permutations of the axes at these places; integers become float64."""
    orders = (([places[n] for n in order], is_odd(order)) for order in itertools.permutations(range(len(places))))
    total = _summed(backend, array, places, orders, antisymmetric)
    if backend.dtype(total).kind not in ("float", "complex"):
        total = backend.kernels.cast(total, backend.native_dtype(float64))
    return backend.operators["divide"](total, float(math.factorial(len(places))))


def shuffled(backend: Backend, array: Array, first: Sequence[int], second: Sequence[int]) -> Array:
    """The signed sum over all (p, q)-shuffles of the axes at these places, which is antisymmetric in all of them.

    The array is antisymmetric in the first p and in the second q of them already, and the sum is then
    (p + q)! / (p! q!) times its antisymmetric part, from fewer terms.
    """
    places = (*first, *second)
    return _summed(backend, array, places, _shuffles(first, second), antisymmetric=True)


def _shuffles(first: Sequence[int], second: Sequence[int]) -> Iterator[tuple[list[int], bool]]:
    total = len(first) + len(second)
    for chosen in itertools.combinations(range(total), len(first)):
        ours, theirs = iter(range(len(first))), iter(range(len(first), total))
        order = [next(ours) if slot in chosen else next(theirs) for slot in range(total)]
        yield [(*first, *second)[n] for n in order], is_odd(order)


def _summed(
    backend: Backend,
    array: Array,
    places: Sequence[int],
    orders: Iterator[tuple[list[int], bool]],
    antisymmetric: bool,
) -> Array:
    xp, kernels = backend.xp, backend.kernels
    total = None
    for order, odd in orders:
        perm = list(range(len(array.shape)))
        for target, source in zip(places, order, strict=True):
            perm[target] = source
        term = array if perm == sorted(perm) else kernels.transpose(array, tuple(perm))
        if total is None:  # the first order is the identity
            total = term
        else:
            total = xp.subtract(total, term) if odd and antisymmetric else xp.add(total, term)
    return total


def is_odd(order: Sequence[int]) -> bool:
    """Whether a permutation of 0, 1, ... is odd."""
    return sum(a > b for a, b in itertools.combinations(order, 2)) % 2 == 1
