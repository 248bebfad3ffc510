"""Outer nonlinearities in the limit: y -> f(x), f(a) = E psi(a; x^(1); ...; x^(r)) over iid copies (TP IVb, 2.3).

The copies' Gaussians are new ones. A product whose factors are functions of x or of the copies alone splits, and its
copies' part is a number; what mixes both becomes an atom, `expected`, that integrates over the copies at every point.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tensoria.limits.expectation.algebra import Algebra, Polynomial, of
from tensoria.limits.expectation.estimate import worst
from tensoria.limits.expectation.exact import Means
from tensoria.limits.language.instructions import OuterNonlin

__all__ = ["integrated"]

MOST = 2
"""So many Gaussians of the copies are integrated over at every point."""


def integrated(
    means: Means, rule: OuterNonlin, arguments: Sequence[Polynomial]
) -> tuple[Polynomial, str, float] | None:
    """Z^y, the tier, and its error; None if it is too much for quadrature.

    Args:
        arguments: for the function's inputs the polynomials of the vectors, then the scalars.
    """
    algebra = means.algebra
    given = list(arguments[: len(rule.own)])
    place = len(rule.own)
    new: set[int] = set()
    for copy in rule.copies:
        renamed: dict[int, Polynomial] = {}
        for _ in copy:
            given.append(algebra.substituted(arguments[place], renamed, fresh=True))
            place += 1
        new |= {n for p in renamed.values() for n in p.symbols() if algebra.symbols[n].operation == "gaussian"}
    given += arguments[place:]
    p = algebra.applied(rule.function, given)
    total, tier, error = of(Fraction(0)), "A", 0.0
    for monomial, c in p.terms.items():
        part = of(c)
        for factor in means._factors(monomial):
            product = Polynomial({factor: Fraction(1)})
            over = algebra.gaussians(product)
            if not over & new:
                part = algebra.product(part, product)
            elif over <= new:
                found = means.mean(product)
                if found is None:
                    return None
                part = part.scaled(found.value)
                tier, error = worst(tier, found.tier), error + abs(float(c)) * found.error
            else:
                if len(over & new) > MOST or not smooth(algebra, product):
                    return None
                part = algebra.product(part, algebra.expected(product, over & new))
                tier = worst(tier, "C")
        total = total + part
    return total, tier, error


def smooth(algebra: Algebra, p: Polynomial) -> bool:
    """Whether no mask is in it."""
    pending, seen = list(p.symbols()), set[int]()
    while pending:
        n = pending.pop()
        if n in seen:
            continue
        seen.add(n)
        symbol = algebra.symbols[n]
        if symbol.operation in ("step", "where", "floor", "ceil", "round", "trunc"):
            return False
        pending += [m for a in symbol.arguments for m in a.symbols()]
    return True
