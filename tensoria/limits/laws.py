"""The law of a parameter: how its entries are drawn, as a function of the width.

A law comes from the initialiser that the framework ran, or from the caller (`laws=`), never from the numbers that came
out of it. Its variance is c n^e for the width n. Entries that are independent but not Gaussian have the same limits
(universality: Golikov and Yang 2022, "Non-Gaussian Tensor Programs"); a law remembers its distribution, so that this
can be said.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from tensoria.errors import LimitError

__all__ = ["DISTRIBUTIONS", "Drawn", "Law", "chosen", "law_of", "power_law"]

DISTRIBUTIONS: Final = ("normal", "uniform", "truncated normal", "mask", "constant")
"""The distributions that entries have: independent ones (a mask's are 0 or one number), or all entries equal."""
CUT: Final = 0.8796256610342398
"""The standard deviation of a normal variable that is cut at two of its own."""


@dataclass(frozen=True)
class Drawn:
    """How one parameter's entries are drawn at one width.

    Attributes:
        distribution: one of `DISTRIBUTIONS`; another name for what is not independent ("orthogonal").
        mean, variance: of each entry.
    """

    distribution: str
    mean: float
    variance: float


@dataclass(frozen=True)
class Law:
    """How a parameter's entries are drawn: independent, with the variance c n^e.

    Attributes:
        variance: c.
        exponent: e.
        distribution: one of `DISTRIBUTIONS`.
        mean: the mean, which is the same at every width.

    >>> print(Law(2.0, Fraction(-1)), Law(1 / 3, Fraction(-1), "uniform"), Law(0.0, mean=1.0), sep="; ")
    normal, variance 2 n^-1; uniform, variance 0.333333 n^-1 (normal by universality); constant 1
    """

    variance: float
    exponent: Fraction = Fraction(0)
    distribution: str = "normal"
    mean: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.variance) and self.variance >= 0 and math.isfinite(self.mean)):
            raise LimitError(f"a law with the variance {self.variance} and the mean {self.mean}; a variance is >= 0.")
        if self.distribution not in DISTRIBUTIONS:
            raise LimitError(
                f"the distribution {self.distribution!r} is not one of independent entries.",
                legal=", ".join(DISTRIBUTIONS),
            )
        if self.variance == 0:
            object.__setattr__(self, "distribution", "constant")
        if self.distribution == "constant" and self.variance:
            raise LimitError("a constant has the variance 0.", legal="tn.limits.Law(0.0, mean=...)")
        if self.distribution == "mask" and (not self.mean or self.exponent):
            raise LimitError(
                "a mask has a mean, and does not depend on the width.",
                legal='Law((1 - p) / p, distribution="mask", mean=1.0), which is 1/p with the probability p',
            )
        object.__setattr__(self, "exponent", Fraction(self.exponent) if self.variance else Fraction(0))

    @property
    def constant(self) -> bool:
        """Whether all entries are equal."""
        return self.variance == 0

    @property
    def universal(self) -> bool:
        """Whether a limit holds for these entries by universality only: they are random and not Gaussian."""
        return self.distribution not in ("normal", "constant")

    @property
    def mask(self) -> tuple[float, float]:
        """Of a mask the number that entries are if they are not 0, and its probability.

        >>> Law(0.25, distribution="mask", mean=1.0).mask
        (1.25, 0.8)
        """
        value = (self.mean**2 + self.variance) / self.mean
        return value, self.mean / value

    def at(self, n: int) -> Drawn:
        """The law at one width."""
        return Drawn(self.distribution, self.mean, self.variance * n ** float(self.exponent))

    def sample(self, n: int, shape: Sequence[int], random: np.random.Generator) -> np.ndarray[Any, Any]:
        """Entries at one width, in float64."""
        scale = math.sqrt(self.at(n).variance)
        if self.distribution == "constant":
            return np.full(tuple(shape), self.mean)
        if self.distribution == "uniform":
            return self.mean + scale * math.sqrt(3) * random.uniform(-1, 1, tuple(shape))
        if self.distribution == "mask":
            value, kept = self.mask
            return value * (random.uniform(0, 1, tuple(shape)) < kept)
        found = random.standard_normal(tuple(shape))
        if self.distribution == "truncated normal":
            while (far := np.abs(found) > 2).any():
                found[far] = random.standard_normal(int(far.sum()))
            found /= CUT
        return self.mean + scale * found

    def __str__(self) -> str:
        if self.constant:
            return f"constant {self.mean:g}"
        power = f" n^{self.exponent}" if self.exponent else ""
        mean = f", mean {self.mean:g}" if self.mean else ""
        return f"{self.distribution}, variance {self.variance:g}{power}{mean}" + (
            " (normal by universality)" if self.universal and self.distribution != "mask" else ""
        )


def power_law(
    values: Sequence[float], widths: Sequence[int], tolerance: float = 1e-6
) -> tuple[float, Fraction] | None:
    """c and e such that the values are c n^e at these widths; None if there are none, e with a denominator up to 4.

    >>> power_law([0.125, 0.0625], [64, 256])
    (1.0, Fraction(-1, 2))
    >>> power_law([1.0, 2.0, 5.0], [1, 2, 4]) is None
    True
    """
    first = values[0]
    if all(value == first for value in values):
        return _plain(first), Fraction(0)
    if not all(map(math.isfinite, values)) or any(value * first <= 0 for value in values):
        return None
    slope = math.log(values[-1] / first) / math.log(widths[-1] / widths[0])
    exponent = Fraction(round(12 * slope), 12)
    constant = first / widths[0] ** float(exponent)
    fits = all(
        math.isclose(value, constant * n ** float(exponent), rel_tol=tolerance)
        for value, n in zip(values, widths, strict=True)
    )
    return (_plain(constant), exponent) if fits and exponent.denominator <= 4 else None


def law_of(drawn: Sequence[Drawn], widths: Sequence[int]) -> Law:
    """The law that gives what was seen at several widths.

    The variance is a power of n, or its inverse is affine in n (a fan of n + 3): then its leading power counts.

    Raises:
        LimitError: the distribution or the mean depends on the width, or the variance is no power of it.
    """
    first = drawn[0]
    for other, n in zip(drawn[1:], widths[1:], strict=True):
        if other.distribution != first.distribution or not math.isclose(other.mean, first.mean, abs_tol=1e-12):
            raise LimitError(
                f"it is {first.distribution} with the mean {first.mean:g} at the width {widths[0]}, and "
                f"{other.distribution} with the mean {other.mean:g} at {n}."
            )
    variances = [of.variance for of in drawn]
    found = power_law(variances, widths)
    if found is None and all(variances) and len(widths) > 2:
        inverse = [1 / value for value in variances]
        slope = (inverse[1] - inverse[0]) / (widths[1] - widths[0])
        straight = [inverse[0] + slope * (n - widths[0]) for n in widths]
        if slope > 0 and np.allclose(straight, inverse, rtol=1e-6):
            found = 1 / slope, Fraction(-1)
    if found is None:
        shown = ", ".join(f"{value:g}" for value in variances)
        raise LimitError(f"its variance is {shown} at the widths {', '.join(map(str, widths))}: no c n^e.")
    return Law(found[0], found[1], first.distribution, first.mean)


def chosen(laws: Mapping[str, Law] | None, names: Sequence[str]) -> dict[str, Law]:
    """The laws that a caller gives, by name: an exact name goes before patterns, and those go in order.

    Raises:
        LimitError: a name or pattern fits no parameter, or what is given is no law.

    >>> sorted(chosen({"*.weight": Law(1.0)}, ["a.weight", "a.bias", "b.weight"]))
    ['a.weight', 'b.weight']
    """
    found: dict[str, Law] = {}
    for wanted, law in sorted((laws or {}).items(), key=lambda item: item[0] not in names):
        if not isinstance(law, Law):
            raise LimitError(f"laws= gives {law!r} for {wanted!r}.", legal="tn.limits.Law(variance, exponent)")
        fitting = [wanted] if wanted in names else fnmatch.filter(names, wanted)
        if not fitting:
            raise LimitError(f"laws= names {wanted!r}; the parameters are {', '.join(names) or 'none'}.")
        for name in fitting:
            found.setdefault(name, law)
    return found


def _plain(number: float) -> float:
    """A constant without the error of its computation, if it is near a number that people write."""
    simple = float(Fraction(number).limit_denominator(64)) if abs(number) < 1e6 else number
    return simple if math.isclose(simple, number, rel_tol=1e-9) else number
