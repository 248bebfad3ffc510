"""Relative errors without the loss of digits that a difference of squares brings.

||X - Y||^2 = ||X||^2 - ... costs next to nothing inside of an iteration, but its rounding error is that of ||X||^2, so
that a relative error below the square root of the machine epsilon is noise. Only there Y is computed and compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tensoria.backend import Array, Backend
from tensoria.decompositions.framing import number, real_part

__all__ = ["epsilon", "norm_of", "relative_error", "squared_norm"]


def epsilon(backend: Backend, array: Array) -> float:
    """The distance from 1 to the next number of the array's data type."""
    return float(backend.xp.finfo(array.dtype).eps)


def squared_norm(backend: Backend, array: Array) -> Array:
    """The sum of the squared absolute values, as a 0-d array."""
    xp = backend.xp
    flat = backend.reshape(array, (-1,))
    return real_part(backend, xp.vecdot(flat, flat))


def norm_of(backend: Backend, array: Array) -> float:
    """The norm of an array."""
    return math.sqrt(number(backend, squared_norm(backend, array)))


def relative_error(
    backend: Backend, x: Array, squared: float, norm: float, approximation: Callable[[], Array]
) -> float:
    """||X - Y|| / ||X|| from an estimate of its numerator's square, or from Y itself where that would be noise."""
    # About a hundred roundings of numbers as large as ||X||^2 meet in the estimate.
    if squared > 100 * epsilon(backend, x) * norm**2:
        return math.sqrt(squared) / norm
    if math.isnan(squared):
        return squared
    difference = backend.subtract(x, approximation())
    return math.sqrt(number(backend, squared_norm(backend, difference))) / norm
