"""Random variables as polynomials in symbols: independent Gaussians, and functions of other polynomials (atoms).

The limit of every vector is such a polynomial. Piecewise linear functions are polynomials too, with the atom
`step(a)`, which is its own square: relu(a) = a step(a), abs(a) = a (2 step(a) - 1), max(a, b) = b + relu(a - b).
Coefficients are fractions as long as they can be (`numbers`). Symbols are interned: the same function of the same
polynomial is the same symbol, so sums of products cancel, and independent factors are seen from the symbols alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.limits.language.numbers import Number, number, root
from tensoria.programs.types import Literal, Operand

__all__ = ["Algebra", "Monomial", "Polynomial", "Symbol", "of"]

Monomial: TypeAlias = "tuple[tuple[int, int], ...]"
"""Symbols by number, with their powers, in order."""
ONE: Final[Monomial] = ()
LARGEST: Final = 600
"""A product that would have more terms is left as it is: its factors become symbols."""
COMPARISONS: Final = frozenset(("less", "less_equal", "greater", "greater_equal"))
MOST_MASKS: Final = 4
"""A function of a polynomial with more masks than these stays one function."""
CANCELLED: Final = 2e-14
"""A sum of floats below this part of them is rounding."""
MOST_LINEAR: Final = 100_000
"""The same where one factor is linear: hats are sums of as many Gaussians as there are products with a matrix."""
SINGULAR: Final = frozenset(
    "log log10 log1p log2 divide reciprocal sqrt pow acos asin acosh atanh tan remainder".split()
)
"""Operations that may be infinite or undefined: a `where` guards them, and is not multiplied out."""


@dataclass(frozen=True, eq=False)
class Symbol:
    """A Gaussian of some variance, or a function of polynomials.

    Attributes:
        number: its place in the algebra.
        operation: `gaussian`, `step`, `let` (another name for a polynomial), or an operation of programs.
        arguments: of a function.
        attributes: of the operation.
        variance: of a Gaussian.
        gaussians: the Gaussians that it depends on.
    """

    number: int
    operation: str
    arguments: tuple[Polynomial, ...]
    attributes: tuple[tuple[str, Any], ...]
    variance: Number
    gaussians: frozenset[int]


class Polynomial:
    """A sum of monomials times numbers; equal if its terms are."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Mapping[Monomial, Number]) -> None:
        self.terms = {m: c for m, c in terms.items() if c}
        self._hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for m, c in other.terms.items():
            known = terms.get(m)
            terms[m] = c if known is None else _summed(known, c)
        return Polynomial(terms)

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other.scaled(Fraction(-1))

    def scaled(self, by: Number) -> Polynomial:
        """It times a number."""
        return self if by == 1 else Polynomial({m: c * by for m, c in self.terms.items()})

    @property
    def constant(self) -> Number | None:
        """Its value, if it is a number."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(ONE) if len(self.terms) == 1 else None

    def degree_one(self) -> bool:
        """Whether every monomial is one symbol or none."""
        return all(len(m) == 0 or (len(m) == 1 and m[0][1] == 1) for m in self.terms)

    def symbols(self) -> set[int]:
        """The symbols in it."""
        return {n for m in self.terms for n, _ in m}

    def __repr__(self) -> str:
        return f"Polynomial({self.terms})"


def _summed(a: Number, b: Number) -> Number:
    """The sum; what is left of two floats that cancel but for rounding is nothing."""
    total = a + b
    if isinstance(total, float) and abs(total) <= CANCELLED * (abs(float(a)) + abs(float(b))):
        return Fraction(0)
    return total


def of(value: Number) -> Polynomial:
    """A number as a polynomial."""
    return Polynomial({ONE: value})


Rule: TypeAlias = "Callable[..., Polynomial | None]"


class Algebra:
    """The table of symbols, and what operations do to polynomials in them."""

    def __init__(self) -> None:
        self.symbols: list[Symbol] = []
        self._interned: dict[Any, int] = {}
        self._lines: dict[int, tuple[Polynomial, Number]] = {}

    # -- symbols --------------------------------------------------------------------------------------------------

    def gaussian(self, variance: Number) -> Polynomial:
        """A new Gaussian with mean zero, independent of all others."""
        n = len(self.symbols)
        self.symbols.append(Symbol(n, "gaussian", (), (), variance, frozenset((n,))))
        return Polynomial({((n, 1),): Fraction(1)})

    def atom(self, operation: str, *arguments: Polynomial, attributes: Iterable[tuple[str, Any]] = ()) -> Polynomial:
        """A function of polynomials as a symbol."""
        key = (operation, arguments, tuple(attributes))
        n = self._interned.get(key)
        if n is None:
            n = self._interned[key] = len(self.symbols)
            depends = frozenset(g for a in arguments for g in self.gaussians(a))
            if operation == "step":
                line = Polynomial({m: c for m, c in arguments[0].terms.items() if m})
                self._lines[n] = (line, arguments[0].terms.get(ONE, Fraction(0)))
            self.symbols.append(Symbol(n, operation, arguments, tuple(attributes), Fraction(0), depends))
        return Polynomial({((n, 1),): Fraction(1)})

    def expected(self, p: Polynomial, over: frozenset[int]) -> Polynomial:
        """The mean of a smooth function over some of its Gaussians, as a symbol that depends on the others."""
        key = ("expected", p, over)
        n = self._interned.get(key)
        if n is None:
            n = self._interned[key] = len(self.symbols)
            attributes = (("over", over), ("smooth", True))
            self.symbols.append(Symbol(n, "expected", (p,), attributes, Fraction(0), self.gaussians(p) - over))
        return Polynomial({((n, 1),): Fraction(1)})

    def gaussians(self, p: Polynomial) -> frozenset[int]:
        """The Gaussians that a polynomial depends on."""
        found: set[int] = set()
        for n in p.symbols():
            found |= self.symbols[n].gaussians
        return frozenset(found)

    def affine(self, p: Polynomial) -> bool:
        """Whether it is an affine function of Gaussians."""
        return p.degree_one() and all(self.symbols[n].operation == "gaussian" for n in p.symbols())

    def covariance(self, a: Polynomial, b: Polynomial) -> Number:
        """E[a b] of affine functions of the Gaussians."""
        total = a.terms.get(ONE, Fraction(0)) * b.terms.get(ONE, Fraction(0))
        short, long = (a, b) if len(a.terms) < len(b.terms) else (b, a)
        for m, c in short.terms.items():
            d = long.terms.get(m)
            if m and d:
                total = total + c * d * self.symbols[m[0][0]].variance
        return total

    # -- arithmetic -----------------------------------------------------------------------------------------------

    def product(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """a b; a step is its own square."""
        size = len(a.terms) * len(b.terms)
        if size > LARGEST and (size > MOST_LINEAR or not (self.affine(a) or self.affine(b))):
            a, b = (self.named(x) for x in (a, b))
        terms: dict[Monomial, Number] = {}
        for m, c in a.terms.items():
            for n, d in b.terms.items():
                key = self._times(m, n)
                terms[key] = _summed(terms[key], c * d) if key in terms else c * d
        return Polynomial(terms)

    def named(self, p: Polynomial) -> Polynomial:
        """Another name for a polynomial of several terms: one symbol, which is not multiplied out."""
        return p if len(p.terms) <= 1 else self.atom("let", p)

    def _times(self, m: Monomial, n: Monomial) -> Monomial:
        if not m or not n:
            return m or n
        powers = dict(m)
        for symbol, power in n:
            total = powers.get(symbol, 0) + power
            powers[symbol] = 1 if self.symbols[symbol].operation == "step" else total
        masks = [k for k in powers if k in self._lines]
        for i, a in enumerate(masks):
            for b in masks[:i]:
                # Of two masks x > s and x > t the stricter one is their product.
                if self._lines[a][0] == self._lines[b][0]:
                    powers.pop(b if self._lines[a][1] < self._lines[b][1] else a, None)
        return tuple(sorted(powers.items()))

    def power(self, a: Polynomial, n: int) -> Polynomial:
        """a to a power that is a natural number."""
        out = of(Fraction(1))
        for _ in range(n):
            out = self.product(out, a)
        return out

    def step(self, a: Polynomial) -> Polynomial:
        """1 where a is positive; its scale does not matter, and its sign does what it has to."""
        if a.constant is not None:
            return of(Fraction(1 if a.constant > 0 else 0))
        if len(a.terms) == 1:
            ((monomial, c),) = a.terms.items()
            if sum(power for _, power in monomial) > 1 and all(
                self.symbols[n].operation == "gaussian" for n, _ in monomial
            ):
                # The sign of a product is the product of signs.
                product = of(Fraction(1 if c > 0 else -1))
                for n, power in monomial:
                    if power % 2:
                        x = Polynomial({((n, 1),): Fraction(1)})
                        product = self.product(product, self.step(x).scaled(Fraction(2)) - of(Fraction(1)))
                return (product + of(Fraction(1))).scaled(Fraction(1, 2))
        split = self._by_masks("step", (a,), ())
        if split is not None:
            return split
        lead = min(m for m in a.terms if m)
        scale = a.terms[lead]
        size = scale if scale > 0 else -scale
        normal = Polynomial({m: c / size for m, c in a.terms.items()})
        if scale > 0:
            return self.atom("step", normal)
        return of(Fraction(1)) - self.atom("step", normal.scaled(Fraction(-1)))

    def relu(self, a: Polynomial) -> Polynomial:
        """a where it is positive."""
        return self.product(a, self.step(a))

    def substituted(self, p: Polynomial, renamed: dict[int, Polynomial], fresh: bool = False) -> Polynomial:
        """The same function of other variables.

        Args:
            renamed: what stands for symbols; what is found is added.
            fresh: whether other Gaussians become new, independent ones; else they stay.
        """
        total = of(Fraction(0))
        for monomial, c in p.terms.items():
            part = of(c)
            for n, power in monomial:
                part = self.product(part, self.power(self._replaced(n, renamed, fresh), power))
            total = total + part
        return total

    def _replaced(self, n: int, renamed: dict[int, Polynomial], fresh: bool) -> Polynomial:
        found = renamed.get(n)
        if found is None:
            symbol = self.symbols[n]
            if symbol.operation == "gaussian":
                found = self.gaussian(symbol.variance) if fresh else Polynomial({((n, 1),): Fraction(1)})
            else:
                inner = [self.substituted(a, renamed, fresh) for a in symbol.arguments]
                if symbol.operation == "step":
                    found = self.step(inner[0])
                else:
                    found = self.operated(symbol.operation, inner, symbol.attributes)
            renamed[n] = found
        return found

    # -- functions ------------------------------------------------------------------------------------------------

    def applied(self, function: Nonlinearity, arguments: Sequence[Polynomial]) -> Polynomial:
        """A nonlinearity of polynomials."""
        known: dict[Operand, Polynomial] = dict(zip(function.program.inputs, arguments, strict=True))
        guarded: set[Operand] = set()
        compared: dict[Operand, tuple[Operand, ...]] = {}

        def read(operand: Operand) -> Polynomial:
            if isinstance(operand, Literal):
                return of(number(float(operand.number.real) if operand.number is not True else 1.0))
            return known[operand]

        for made in function.program.instructions:
            given = [read(x) for x in made.operands]
            (result,) = made.results
            attributes = tuple(sorted(made.attributes.items()))
            if made.operation in COMPARISONS:
                compared[result] = made.operands
            # where(y <= 0, 0, y) does not protect y: it looks at it.
            looked = compared.get(made.operands[0], ()) if made.operands else ()
            protects = any(x in guarded and x not in looked for x in made.operands[1:])
            if made.operation == "where" and protects:
                known[result] = self.atom("where", *given)
                continue
            known[result] = self.operated(made.operation, given, attributes)
            singular = made.operation in SINGULAR and not _polynomial(made.operation, given)
            if any(x in guarded for x in made.operands) or (singular and known[result].constant is None):
                guarded.add(result)
        return read(function.output)

    def operated(
        self, operation: str, given: Sequence[Polynomial], attributes: tuple[tuple[str, Any], ...] = ()
    ) -> Polynomial:
        """One operation on polynomials: multiplied out where it can be, else an atom."""
        rule = RULES.get(operation)
        if rule is not None:
            found = rule(self, *given)
            if found is not None:
                return found
        constants = [a.constant for a in given]
        if all(c is not None for c in constants) and operation in NUMBERS:
            return of(_on_numbers(operation, [c for c in constants if c is not None]))
        if operation == "hardtanh":
            ends = dict(attributes)
            low, high = of(number(ends["low"])), of(number(ends["high"]))
            return low + self.relu(given[0] - low) - self.relu(given[0] - high)
        if operation == "gelu" and dict(attributes).get("approximate") == "none":
            inner = self.atom("erf", given[0].scaled(math.sqrt(0.5)))
            return self.product(given[0], inner + of(Fraction(1))).scaled(Fraction(1, 2))
        split = self._by_masks(operation, given, attributes)
        return self.atom(operation, *given, attributes=attributes) if split is None else split

    def _by_masks(
        self, operation: str, given: Sequence[Polynomial], attributes: tuple[tuple[str, Any], ...]
    ) -> Polynomial | None:
        """f(p) with a mask s in p is s f(p where s is 1) + (1 - s) f(p where s is 0): no kinks inside of functions."""
        masks = sorted({n for p in given for n in p.symbols() if self.symbols[n].operation == "step"})
        if not masks or len(masks) > MOST_MASKS or operation == "where" or operation in SINGULAR:
            return None
        s = Polynomial({((masks[0], 1),): Fraction(1)})
        inside, outside = (
            self.operated(operation, [self._settled(p, masks[0], value) for p in given], attributes)
            if operation != "step" else self.step(self._settled(given[0], masks[0], value))
            for value in (1, 0)
        )
        return outside + self.product(s, inside - outside)

    def _settled(self, p: Polynomial, mask: int, value: int) -> Polynomial:
        """A polynomial where a mask is 1 or 0."""
        terms: dict[Monomial, Number] = {}
        for m, c in p.terms.items():
            rest = tuple((n, power) for n, power in m if n != mask)
            if len(rest) == len(m) or value:
                terms[rest] = _summed(terms[rest], c) if rest in terms else c
        return Polynomial(terms)


def _polynomial(operation: str, given: Sequence[Polynomial]) -> bool:
    """Whether a possibly singular operation is a polynomial here."""
    if operation == "divide":
        return given[1].constant not in (None, 0)
    if operation == "pow":
        power = given[1].constant
        return power is not None and power == int(power) and power >= 0
    return False


def _divide(algebra: Algebra, a: Polynomial, b: Polynomial) -> Polynomial | None:
    c = b.constant
    if c:
        return a.scaled(1 / c)
    return None if c is not None else algebra.product(a, algebra.atom("reciprocal", b))


def _pow(algebra: Algebra, a: Polynomial, b: Polynomial) -> Polynomial | None:
    power, base = b.constant, a.constant
    if power is None:
        return None
    if power == int(power) and 0 <= power <= 12:
        return algebra.power(a, int(power))
    if base is not None and base > 0:
        if power in (Fraction(1, 2), Fraction(-1, 2)):
            half = root(base)
            return of(half if power > 0 else 1 / half)
        return of(base ** int(power) if power == int(power) else float(base) ** float(power))
    return None


def _comparison(strict: bool, swapped: bool) -> Rule:
    def rule(algebra: Algebra, a: Polynomial, b: Polynomial) -> Polynomial:
        a, b = (b, a) if swapped else (a, b)
        difference = a - b
        if difference.constant is not None and not strict:
            return of(Fraction(1 if difference.constant >= 0 else 0))
        return algebra.step(difference)

    return rule


def _where(algebra: Algebra, condition: Polynomial, a: Polynomial, b: Polynomial) -> Polynomial:
    return b + algebra.product(condition, a - b)


def _sign(algebra: Algebra, a: Polynomial) -> Polynomial:
    if a.constant is not None:
        return of(Fraction((a.constant > 0) - (a.constant < 0)))
    return algebra.step(a).scaled(Fraction(2)) - of(Fraction(1))


def _sqrt(algebra: Algebra, a: Polynomial) -> Polynomial | None:
    return of(root(a.constant)) if a.constant is not None and a.constant >= 0 else None


def _exclusive(algebra: Algebra, a: Polynomial, b: Polynomial) -> Polynomial:
    return a + b - algebra.product(a, b).scaled(Fraction(2))


RULES: Final[dict[str, Rule]] = {
    "add": lambda algebra, a, b: a + b,
    "subtract": lambda algebra, a, b: a - b,
    "negative": lambda algebra, a: a.scaled(Fraction(-1)),
    "multiply": lambda algebra, a, b: algebra.product(a, b),
    "square": lambda algebra, a: algebra.product(a, a),
    "divide": _divide,
    "reciprocal": lambda algebra, a: of(1 / a.constant) if a.constant else None,
    "pow": _pow,
    "sqrt": _sqrt,
    "relu": lambda algebra, a: algebra.relu(a),
    "abs": lambda algebra, a: algebra.product(a, _sign(algebra, a)),
    "sign": _sign,
    "maximum": lambda algebra, a, b: b + algebra.relu(a - b),
    "minimum": lambda algebra, a, b: a - algebra.relu(a - b),
    "greater": _comparison(True, False),
    "less": _comparison(True, True),
    "greater_equal": _comparison(False, False),
    "less_equal": _comparison(False, True),
    "where": _where,
    "logical_and": lambda algebra, a, b: algebra.product(a, b),
    "logical_or": lambda algebra, a, b: a + b - algebra.product(a, b),
    "logical_not": lambda algebra, a: of(Fraction(1)) - a,
    "logical_xor": _exclusive,
    "astype": lambda algebra, a: a,
    "stop_gradient": lambda algebra, a: a,
    "silu": lambda algebra, a: algebra.product(a, algebra.operated("sigmoid", [a])),
}
"""What operations do to polynomials; None leaves an atom."""


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


NUMBERS: Final[dict[str, Callable[..., float]]] = {
    **{name: getattr(math, name) for name in
       "exp expm1 log log10 log1p log2 sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh erf hypot "
       "atan2 copysign floor ceil".split()},
    "sigmoid": _sigmoid,
    "logaddexp": lambda a, b: max(a, b) + math.log1p(math.exp(-abs(a - b))),
}  # fmt: skip
"""Operations on numbers alone."""


ODD: Final = frozenset("sin tan tanh sinh erf asin atan expm1 log1p asinh".split())
"""Operations that leave zero what it is."""


def _on_numbers(operation: str, values: Sequence[Number]) -> Number:
    if operation in ("exp", "cos", "cosh") and values[0] == 0:
        return Fraction(1)
    if not any(values) and operation in ODD:
        return Fraction(0)
    return float(NUMBERS[operation](*map(float, values)))
