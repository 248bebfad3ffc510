"""Entries of any law as functions of Gaussian ones: a coordinatewise function of a Gaussian initial vector has any law.

With z ~ N(0, 1), the error function of z / sqrt(2) is uniform on (-1, 1); a step of z is a mask; and the inverse error
function of erf(2 / sqrt(2)) erf(z / sqrt(2)), times sqrt(2), is a normal variable that is cut at two deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final

from tensoria.limits.language.activations import erf
from tensoria.limits.laws import CUT, Law
from tensoria.namespace import elementwise as en

__all__ = ["quantile"]

GILES: Final = (
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06,
    3.43273939e-07, 2.81022636e-08,
)  # fmt: skip
"""The inverse error function by y = -log(1 - x^2) - 2.5 for y < 2.5 (Giles 2012, "Approximating erfinv")."""
NEWTON: Final = 2
"""So many Newton steps make double precision of its seven digits."""


def quantile(law: Law) -> Callable[[Any], Any] | None:
    """A function that makes an entry at n = 1 of a standard normal variable; None for normal and constant ones.

    >>> import numpy as np
    >>> import tensoria as tn
    >>> made = quantile(Law(1 / 3, distribution="uniform"))
    >>> made(tn.asarray(np.array([-9.0, 0.0, 9.0]))).array
    array([-1.,  0.,  1.])
    """
    if not law.universal:
        return None
    mean, deviation = law.mean, math.sqrt(law.variance)

    def uniform(z: Any) -> Any:
        return erf(z * math.sqrt(0.5)) * (math.sqrt(3) * deviation) + mean

    def truncated(z: Any) -> Any:
        return _inverse(erf(z * math.sqrt(0.5)) * math.erf(math.sqrt(2))) * (math.sqrt(2) / CUT * deviation) + mean

    def mask(z: Any) -> Any:
        value, kept = law.mask
        above = z > NormalDist().inv_cdf(1 - kept)
        return en.where(above, z * 0.0 + value, z * 0.0)

    return {"uniform": uniform, "truncated normal": truncated, "mask": mask}[law.distribution]


def _inverse(x: Any) -> Any:
    """The inverse error function between -0.96 and 0.96."""
    y = -en.log(1 - x * x) - 2.5
    total = y * 0.0 + GILES[-1]
    for c in reversed(GILES[:-1]):
        total = total * y + c
    found = x * total
    for _ in range(NEWTON):
        found = found - (erf(found) - x) * en.exp(found * found) * (math.sqrt(math.pi) / 2)
    return found
