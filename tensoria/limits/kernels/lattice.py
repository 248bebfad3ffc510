"""Gaussian points that are spread evenly: a lattice rule with random shifts.

A rank-1 lattice sequence takes the multiples of one vector modulo 1, here in the order of van der Corput, so that any
power of two of points is a lattice. Cools, Kuo and Nuyens chose the vector ("Constructing embedded lattice rules for
multivariate integration", SIAM J. Sci. Comput. 28, 2006) for up to 2^20 points, with all pairs of dimensions taken into
account. Shifted at random, each group of points is an unbiased estimate by itself, so the scatter of groups is an
honest standard error, which is much smaller than that of independent points where few dimensions matter. The directions
of largest variance come first; those beyond the table are independent.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tensoria.discovery import get
from tensoria.random.normal import percentile

__all__ = ["gaussian"]

BITS: Final = 20
VECTOR: Final = (
    1, 182667, 469891, 498753, 110745, 446247, 250185, 118627, 245333, 283199, 408519, 391023, 246327, 126539, 399185,
    461527, 300343, 69681, 516695, 436179, 106383, 238523, 413283, 70841, 47719, 300129, 113029, 123925, 410745, 211325,
    17489, 511893, 40767, 186077, 519471, 255369, 101819, 243573, 66189, 152143, 503455, 113217, 132603, 463967, 297717,
    157383, 224015, 502917, 36237, 94049, 170665, 79397, 123963, 223451, 323871, 303633, 98567, 318855, 494245, 477137,
    177975, 64483, 26695, 88779, 94497, 239429, 381007, 110205, 339157, 73397, 407559, 181791, 442675, 301397, 32569,
    147737, 189949, 138655, 350241, 63371, 511925, 515861, 434045, 383435, 249187, 492723, 479195, 84589, 99703, 239831,
)  # fmt: skip
"""The generating vector, for 2^20 points."""


def gaussian(shift: np.ndarray[Any, Any], random: np.random.Generator, start: int, count: int) -> np.ndarray[Any, Any]:
    """Standard normal numbers, points by dimensions.

    Args:
        shift: of each dimension, between 0 and 1.
        random: what dimensions beyond the table take.
        start, count: which points of the sequence.
    """
    dimensions = len(shift)
    even = min(dimensions, len(VECTOR))
    vector = np.array(VECTOR[:even], dtype=np.int64)
    places = _reversed(np.arange(start, start + count))
    turned = places[:, None] * vector[None] % (1 << BITS) / (1 << BITS) + shift[:even]
    centred = np.clip(turned - np.floor(turned), 2.0**-53, 1 - 2.0**-53) - 0.5
    points = np.asarray(percentile(get("numpy"), centred, True))
    if even == dimensions:
        return points
    return np.concatenate([points, random.standard_normal((count, dimensions - even))], axis=1)


def _reversed(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bits of numbers in reverse order."""
    found = np.zeros_like(numbers)
    for _ in range(BITS):
        found, numbers = found * 2 + numbers % 2, numbers // 2
    return found
