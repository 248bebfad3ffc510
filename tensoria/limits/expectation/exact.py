"""Tier A, and how an expectation falls apart: a polynomial's mean from those of its independent factors.

The Gaussians are independent, so a monomial is a product of factors that share none, and its mean the product of their
means. Powers of one Gaussian have moments (p - 1)!! r^(p/2); an even power beside its own mask has half of that, so the
masks of a ReLU network and all polynomials come out as fractions. What is left goes to quadrature.
"""

from __future__ import annotations

import math
from fractions import Fraction

from tensoria.limits.expectation.algebra import Algebra, Monomial, Polynomial
from tensoria.limits.expectation.estimate import Estimate, worst
from tensoria.limits.expectation.quadrature import Quadrature
from tensoria.limits.language.numbers import Number, exact

__all__ = ["ROUNDING", "Means", "gaussian_moment"]

ROUNDING = 4e-16


class Means:
    """Means of polynomials in one algebra.

    Args:
        most: up to how many directions quadrature may take.
    """

    def __init__(self, algebra: Algebra, most: int = 3) -> None:
        self.algebra = algebra
        self.quadrature = Quadrature(algebra, most)
        self._known: dict[Monomial, Estimate | None] = {}

    def exact(self, p: Polynomial) -> Number | None:
        """The mean if it is a fraction and needs no quadrature, else None."""
        total: Number = Fraction(0)
        for monomial, c in p.terms.items():
            part: Number = c
            for factor in self._factors(monomial):
                value = self._simple(factor)
                if value is None or not exact(value):
                    return None
                part = part * value
                if not part:
                    break
            total = total + part
        return total if exact(total) else None

    def mean(self, p: Polynomial) -> Estimate | None:
        """The mean, or None if some factor is too much for quadrature."""
        total: Number = Fraction(0)
        error, size, tier = 0.0, 0.0, "A"
        for monomial, c in p.terms.items():
            part = self._monomial(monomial)
            if part is None:
                return None
            total = total + c * part.value
            size += abs(float(c) * float(part.value))
            error += abs(float(c)) * part.error
            tier = worst(tier, part.tier) if part.value or part.error else tier
        if not exact(total):
            error += ROUNDING * size
        return Estimate(total, error, tier)

    def _monomial(self, monomial: Monomial) -> Estimate | None:
        value: Number = Fraction(1)
        error, tier = 0.0, "A"
        parts = []
        for factor in self._factors(monomial):
            if factor not in self._known:
                self._known[factor] = self._factor(factor)
            part = self._known[factor]
            if part is not None and not part.value and not part.error:
                return Estimate(Fraction(0))
            parts.append(part)
        for part in parts:
            if part is None:
                return None
            error = abs(float(value)) * part.error + abs(float(part.value)) * error
            value = value * part.value
            tier = worst(tier, part.tier)
        return Estimate(value, error, tier)

    def _factor(self, factor: Monomial) -> Estimate | None:
        simple = self._simple(factor)
        if simple is not None:
            masked = not exact(simple) and any(self.algebra.symbols[n].operation == "step" for n, _ in factor)
            return Estimate(simple, 0.0 if exact(simple) else ROUNDING * abs(float(simple)), "B" if masked else "A")
        found = self.quadrature.mean(factor)
        return None if found is None else Estimate(found[0], found[1], "C")

    def _factors(self, monomial: Monomial) -> list[Monomial]:
        """The parts of a product that share no Gaussian."""
        groups: list[tuple[set[int], list[tuple[int, int]]]] = []
        for n, power in monomial:
            gaussians = set(self.algebra.symbols[n].gaussians)
            members = [(n, power)]
            rest = []
            for group in groups:
                if group[0] & gaussians:
                    gaussians |= group[0]
                    members = [*group[1], *members]
                else:
                    rest.append(group)
            groups = [*rest, (gaussians, members)]
        return [tuple(sorted(members)) for _, members in groups]

    def _simple(self, factor: Monomial) -> Number | None:
        """The mean of powers of one Gaussian, with its mask or without."""
        symbols = self.algebra.symbols
        if all(symbols[n].operation == "gaussian" for n, _ in factor):
            ((n, power),) = factor
            return gaussian_moment(power, symbols[n].variance)
        masks = [symbols[n] for n, _ in factor if symbols[n].operation != "gaussian"]
        if len(masks) != 1 or masks[0].operation != "step":
            return None
        (line,) = masks[0].arguments
        if not self.algebra.affine(line) or () in line.terms:
            return None
        gaussians = [(n, power) for n, power in factor if symbols[n].operation == "gaussian"]
        if sum(power for _, power in gaussians) % 2 == 0:
            # Changing all signs swaps the two sides of the mask and leaves the rest, so each side has one half.
            half: Number = Fraction(1, 2)
            for n, power in gaussians:
                half = half * gaussian_moment(power, symbols[n].variance)
            return half
        if len(line.terms) > 1:
            return None
        ((n, power),) = gaussians
        sign = 1 if line.terms[((n, 1),)] > 0 else -1
        odd: float = math.prod(range(2, power, 2)) / math.sqrt(2 * math.pi)
        value: float = sign * odd * float(symbols[n].variance) ** (0.5 * power)
        return value


def gaussian_moment(power: int, variance: Number) -> Number:
    """E x^p of a centred Gaussian."""
    return Fraction(0) if power % 2 else math.prod(range(1, power, 2)) * variance ** (power // 2)
