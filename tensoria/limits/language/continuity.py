"""Kinks and jumps, and the conditions that languages put on nonlinearities.

A nonlinearity is written with masks, step(a). It is continuous where every mask's factor vanishes at a = 0 (relu is
x step(x)), and has a kink there; else it jumps. A continuous function whose derivatives grow polynomially is
pseudo-Lipschitz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tensoria.limits.expectation.algebra import Algebra, Polynomial
from tensoria.limits.language.growth import Growth, Interval, growth
from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.limits.language.numbers import shown

__all__ = [
    "Answer", "breaks_of", "continuous", "controlled", "parameter_controlled", "polynomially_bounded",
    "pseudo_lipschitz",
]  # fmt: skip

JUMPING = frozenset(("floor", "ceil", "round", "trunc", "remainder", "floor_divide", "signbit", "copysign"))
POLES = frozenset(("tan", "log", "log2", "log10", "acosh", "atanh"))


@dataclass(frozen=True)
class Answer:
    """Whether a condition holds (None: it can not be decided), and why."""

    holds: bool | None
    reason: str

    def __str__(self) -> str:
        return f"{ {True: 'yes', False: 'no', None: 'cannot decide'}[self.holds] }: {self.reason}"


def _written(function: Nonlinearity) -> tuple[Algebra, Polynomial, int]:
    algebra = Algebra()
    count = function.vectors + function.scalars
    return algebra, algebra.applied(function, [algebra.gaussian(Fraction(1)) for _ in range(count)]), count


def breaks_of(function: Nonlinearity) -> tuple[list[str], list[str]]:
    """Where it has kinks, and where jumps: the functions that are zero there, as text."""
    algebra, p, count = _written(function)
    names = [f"x{n + 1}" if n < function.vectors else f"c{n + 1 - function.vectors}" for n in range(count)]
    kinks: list[str] = []
    jumps: list[str] = []
    for n, vanishing in _masks(algebra, p):
        symbol = algebra.symbols[n]
        text = f"{_text(algebra, symbol.arguments[0], names)} = 0" if symbol.operation == "step" else symbol.operation
        (kinks if vanishing else jumps).append(text)
    return kinks, jumps


def _text(algebra: Algebra, p: Polynomial, names: Sequence[str]) -> str:
    parts = []
    for m, c in sorted(p.terms.items(), key=lambda term: not term[0]):
        factors = [
            (names[n] if n < len(names) else f"{algebra.symbols[n].operation}(...)") + (f"**{k}" if k > 1 else "")
            for n, k in m
        ]
        if abs(c) != 1 or not m:
            factors = [shown(c), *factors]
        parts.append(("-" if c == -1 and m else "") + " ".join(factors))
    return " + ".join(parts).replace("+ -", "- ") or "0"


def _masks(algebra: Algebra, p: Polynomial) -> list[tuple[int, bool | None]]:
    """The masks and jumping operations in it; of each whether what it multiplies vanishes where it switches."""
    found: dict[int, bool | None] = {}

    def visit(q: Polynomial) -> None:
        for n in q.symbols():
            symbol = algebra.symbols[n]
            if symbol.operation == "step":
                factor = Polynomial({
                    tuple((k, e) for k, e in m if k != n): c for m, c in q.terms.items() if any(k == n for k, _ in m)
                })  # fmt: skip
                vanishes = _vanishes(algebra, factor, symbol.arguments[0])
                before = found.get(n, True)
                found[n] = vanishes if before else before
            elif symbol.operation in JUMPING:
                found[n] = False
            elif symbol.operation == "where":
                found[n] = None
            for argument in symbol.arguments:
                visit(argument)

    visit(p)
    return list(found.items())


def _vanishes(algebra: Algebra, factor: Polynomial, line: Polynomial) -> bool | None:
    """Whether a factor is zero where a line is."""
    lead = next((m[0][0] for m in line.terms if len(m) == 1 and m[0][1] == 1
                 and algebra.symbols[m[0][0]].operation == "gaussian"), None)  # fmt: skip
    if lead is not None and algebra.affine(line):
        c = line.terms[((lead, 1),)]
        rest = Polynomial({m: -d / c for m, d in line.terms.items() if m != ((lead, 1),)})
        renamed = {n: Polynomial({((n, 1),): Fraction(1)}) for n in algebra.gaussians(factor)}
        renamed[lead] = rest
        left = algebra.substituted(factor, renamed)
        return all(abs(float(d)) < 1e-12 for d in left.terms.values())
    # Not a line: the factor vanishes if it is a multiple of it.
    if line.terms.keys() == factor.terms.keys():
        ratios = {factor.terms[m] / line.terms[m] for m in line.terms}
        if len(ratios) == 1:
            return True
    return None


def continuous(function: Nonlinearity) -> Answer:
    """Whether it has no jumps."""
    kinks, jumps = breaks_of(function)
    algebra, p, _ = _written(function)
    undecided = [n for n, vanishing in _masks(algebra, p) if vanishing is None]
    if undecided:
        return Answer(None, f"{algebra.symbols[undecided[0]].operation} at an unknown place")
    if jumps:
        return Answer(False, f"it jumps at {jumps[0]}")
    poles = sorted({made.operation for made in function.program.instructions} & POLES)
    if poles:
        return Answer(None, f"{poles[0]} may have a pole")
    return Answer(True, f"kinks at {', '.join(kinks)}" if kinks else "it is smooth")


def controlled(function: Nonlinearity, scalars: Sequence[Interval] = ()) -> Answer:
    """abs(f(x)) <= exp(C norm(x)^(2 - eps) + c)."""
    found = growth(function, scalars)
    return Answer(found.controlled, str(found))


def polynomially_bounded(function: Nonlinearity, scalars: Sequence[Interval] = ()) -> Answer:
    """abs(f(x)) <= C (1 + norm(x)^d)."""
    found = growth(function, scalars)
    return Answer(found.polynomial, str(found))


def pseudo_lipschitz(function: Nonlinearity, scalars: Sequence[Interval] = ()) -> Answer:
    """abs(f(x) - f(y)) <= C norm(x - y) (1 + norm(x)^d + norm(y)^d), in vectors and scalars together."""
    whole = continuous(function)
    if whole.holds is not True:
        return whole
    largest: Growth | None = None
    for n in range(function.vectors + function.scalars):
        found = growth(function.derivative(n), scalars)
        if not found.polynomial:
            name = "a scalar" if n >= function.vectors else f"x{n + 1}" if function.vectors > 1 else "x"
            return Answer(found.polynomial, f"the derivative by {name}: {found}")
        largest = found if largest is None or (found.power or 0) > (largest.power or 0) else largest
    return Answer(True, f"{whole.reason}; derivatives {largest}" if largest else whole.reason)


def parameter_controlled(function: Nonlinearity, scalars: Sequence[Interval] = ()) -> Answer:
    """Polynomially bounded at theta0, and abs(f(x; theta) - f(x; theta0)) <= g(theta) h(x) near it.

    Args:
        scalars: a neighbourhood of theta0, over which derivatives by theta have to be polynomially bounded.
    """
    bounded = polynomially_bounded(function, scalars)
    if bounded.holds is not True or not function.scalars:
        return bounded
    for n in range(function.vectors, function.vectors + function.scalars):
        found = growth(function.derivative(n), scalars)
        if not found.polynomial:
            return Answer(found.polynomial, f"the derivative by a scalar: {found}")
    algebra, p, count = _written(function)
    thetas = set(range(function.vectors, count))
    for n, vanishing in _masks(algebra, p):
        if vanishing is not True and algebra.symbols[n].gaussians & thetas:
            return Answer(None, "a jump whose place depends on a scalar")
    return Answer(True, f"{bounded.reason}, and so are the derivatives by its scalars near their limits")

