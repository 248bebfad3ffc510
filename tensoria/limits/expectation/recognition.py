"""Which nonlinearities have closed forms: sums of terms of `closed_forms`, whatever way they are written.

A function is turned into a polynomial in x and atoms (`algebra`), so that `where(x > 0, x, 0.1 x)`, `max(x, 0.1 x)` and
a leaky relu are the same thing, and a derivative is recognised as well as the function.
"""

from __future__ import annotations

import functools
import math

from tensoria.limits.expectation.algebra import Algebra, Monomial, Polynomial
from tensoria.limits.expectation.closed_forms import ONE, STEP, Atom, Term
from tensoria.limits.language.nonlinearity import Nonlinearity

__all__ = ["recognised"]


@functools.lru_cache(maxsize=512)
def recognised(function: Nonlinearity) -> tuple[Term, ...] | None:
    """The terms of a function of one variable, or None if it is no such sum."""
    if (function.vectors, function.scalars) != (1, 0):
        return None
    algebra = Algebra()
    x = algebra.gaussian(1.0)
    return terms_of(algebra, algebra.applied(function, [x]), 0)


def terms_of(algebra: Algebra, p: Polynomial, variable: int) -> tuple[Term, ...] | None:
    """The terms of a polynomial in one Gaussian and atoms of it."""
    found: list[Term] = []
    for monomial, weight in p.terms.items():
        part = _term(algebra, monomial, float(weight), variable)
        if part is None:
            return None
        found += part
    return tuple(found)


def _term(algebra: Algebra, monomial: Monomial, weight: float, variable: int) -> list[Term] | None:
    power, tilt, step = 0, 0.0, False
    atoms: list[Atom] = []
    for n, times in monomial:
        symbol = algebra.symbols[n]
        if n == variable:
            power += times
            continue
        if symbol.operation not in ("step", "erf", "exp", "sin", "cos") or symbol.gaussians != {variable}:
            return None
        line = _quadratic(symbol.arguments[0], variable)
        if line is None:
            return None
        added, factor, square = line
        if symbol.operation == "exp":
            tilt -= times * square
            weight *= math.exp(times * added)
            if factor:
                atoms.append(("exp", times * factor, 0.0))
            continue
        if square or (added and symbol.operation in ("step", "erf")):
            return None
        if symbol.operation == "step":
            step = True
        elif symbol.operation == "erf":
            atoms += [("erf", factor, 0.0)] * times
        else:
            atoms += [("cos", factor, added - (math.pi / 2 if symbol.operation == "sin" else 0.0))] * times
    if tilt < 0 or (step and atoms):
        return None
    if step:
        return [Term(weight, power, STEP, tilt)]
    kinds = {kind for kind, _, _ in atoms}
    if kinds == {"exp"}:
        return [Term(weight, power, ("exp", sum(k for _, k, _ in atoms), 0.0), tilt)]
    if kinds == {"cos"}:
        return [Term(weight * w, power, atom, tilt) for w, atom in _waves(atoms)]
    if len(atoms) > 1:
        return None
    return [Term(weight, power, atoms[0] if atoms else ONE, tilt)]


def _quadratic(p: Polynomial, variable: int) -> tuple[float, float, float] | None:
    """The coefficients of 1, x and x^2, if it has no others."""
    found = {0: 0.0, 1: 0.0, 2: 0.0}
    for monomial, c in p.terms.items():
        if monomial and (len(monomial) > 1 or monomial[0][0] != variable or monomial[0][1] > 2):
            return None
        found[monomial[0][1] if monomial else 0] = float(c)
    return found[0], found[1], found[2]


def _waves(atoms: list[Atom]) -> list[tuple[float, Atom]]:
    """A product of cosines as a sum of them."""
    found = [(1.0, atoms[0])]
    for _, k, d in atoms[1:]:
        found = [
            (w / 2, ("cos", m + sign * k, e + sign * d)) for w, (_, m, e) in found for sign in (1, -1)
        ]
    return found
