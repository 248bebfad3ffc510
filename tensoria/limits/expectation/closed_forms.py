"""Tier B: E[phi(u) psi(v)] of two centred Gaussians in closed form, elementwise over arrays of covariances.

A function that is a sum of terms weight x^p A(x) exp(-t x^2), with A one of `1`, `step`, `erf(k x)`, `exp(k x)`,
`cos(k x + d)`, has closed forms: Stein's lemma E[u F] = a E[dF/du] + c E[dF/dv] takes the powers away one by one, the
factor exp(-t x^2) changes the covariance, and what remains is a table of pairs (`BASES`). So the classical dual
activations are all rows of one table and one recursion:

| activations | pair | formula |
|---|---|---|
| relu, leaky relu, abs, step, sign, rectified monomials | step, step | Cho and Saul 2009, eq. 4-6 (arc-cosine) |
| erf | erf, erf | Williams 1997, eq. 11 |
| gelu | erf, erf with powers | Tsuchida et al. 2021, prop. 3 |
| sin, cos, rbf | cos, cos | Rahimi and Recht 2007; Pearce et al. 2019 |
| exp | exp, exp | Mairal et al. 2014, eq. 3; the normal moment generating function |
| gaussian | 1, 1 after tilting | Williams 1997, eq. 13 |
| monomials, Hermite polynomials | 1, 1 with powers | Isserlis 1918; Daniely et al. 2016, lemma 11 |
| one of the above with another | step, erf; exp, step; ... | Sheppard 1899; Owen 1980, 10,010.8 |

The angle between u and v is atan2(s, c) with s^2 = ab - c^2. Where c^2 is close to ab, s has lost digits, but sums such
as s + (pi - atan2(s, c)) c depend on that error only in second order; acos(c / sqrt(ab)) beside s would not.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tensoria.backend import Array, Backend
from tensoria.programs.evaluation import evaluate

__all__ = ["BASES", "ONE", "STEP", "Atom", "Pair", "Term", "UnknownPairError"]

Atom: TypeAlias = "tuple[str, float, float]"
"""`1`, `step`, `erf`, `exp` or `cos`, with the factor of x and what is added to it."""
ONE: Final[Atom] = ("1", 0.0, 0.0)
STEP: Final[Atom] = ("step", 1.0, 0.0)
DENSITY: Final = 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Term:
    """weight x^power A(x) exp(-tilt x^2)."""

    weight: float
    power: int = 0
    atom: Atom = ONE
    tilt: float = 0.0


class UnknownPairError(Exception):
    """No closed form is known for a pair."""


class Pair:
    """Two centred Gaussians u and v, for arrays of covariances: everything that is computed of them, once.

    Args:
        backend: where.
        a, b, c: arrays that broadcast: E u^2, E v^2, E uv.
    """

    def __init__(self, backend: Backend, a: Array, b: Array, c: Array, square: Array | None = None) -> None:
        self.backend, self.xp = backend, backend.xp
        self.a, self.b, self.c = a, b, c
        self._square = square
        self._known: dict[Any, Any] = {}

    def _once(self, key: Any, compute: Callable[[], Any]) -> Any:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = compute()
        return found

    # -- roots and angles -----------------------------------------------------------------------------------------

    def root(self, x: Array) -> Array:
        """The square root, whose derivative at 0 is taken as 0: what multiplies it there is 0 too."""
        xp = self.xp
        if not self.backend.differentiates:
            return xp.sqrt(x)
        positive = x > 0.0
        return xp.where(positive, xp.sqrt(xp.where(positive, x, 1.0)), 0.0)

    @property
    def square(self) -> Array:
        """s^2 = ab - c^2, not negative."""
        if self._square is None:
            self._square = self.xp.maximum(self.a * self.b - self.c * self.c, 0.0)
        return self._square

    @property
    def s(self) -> Array:
        """s."""
        return self._once("s", lambda: self.root(self.square))

    @property
    def agreeing(self) -> Array:
        """P(u > 0 and v > 0) = (pi - angle) / (2 pi)."""

        def compute() -> Array:
            c, xp = self.c, self.xp
            if self.backend.differentiates:
                c = xp.where((c == 0.0) & (self.square == 0.0), 1.0, c)
            return 0.5 - xp.atan2(self.s, c) * (0.5 / math.pi)

        return self._once("agreeing", compute)

    def deviation(self, which: int) -> Array:
        """sqrt(a) or sqrt(b)."""
        return self._once(("deviation", which), lambda: self.root(self.b if which else self.a))

    def slope(self) -> Array:
        """c / sqrt(b), which is 0 where b is."""

        def compute() -> Array:
            zero = self.b == 0.0
            return self.xp.where(zero, 0.0, self.c / self.root(self.xp.where(zero, 1.0, self.b)))

        return self._once("slope", compute)

    def over(self, which: int) -> Array:
        """The variance of the one given that the other is 0: s^2 / b or s^2 / a."""

        def compute() -> Array:
            of = self.b if which else self.a
            zero = of == 0.0
            return self.xp.where(zero, 0.0, self.square / self.xp.where(zero, 1.0, of))

        return self._once(("over", which), compute)

    # -- the recursion --------------------------------------------------------------------------------------------

    def swapped(self) -> Pair:
        """The same pair the other way round."""
        found: Pair | None = self._known.get("swapped")
        if found is None:
            found = Pair(self.backend, self.b, self.a, self.c, self.square)
            found._known["swapped"] = self
            for key in ("s", "agreeing"):
                if key in self._known:
                    found._known[key] = self._known[key]
            self._known["swapped"] = found
        return found

    def tilted(self, t: float, r: float) -> tuple[Array, Pair]:
        """E[exp(-t u^2 - r v^2)], and the pair whose density has that factor."""

        def compute() -> tuple[Array, Pair]:
            delta = 1.0 + 2 * t * self.a + 2 * r * self.b + 4 * t * r * self.square
            a = (self.a + 2 * r * self.square) / delta
            b = (self.b + 2 * t * self.square) / delta
            pair = Pair(self.backend, a, b, self.c / delta, self.square / delta)
            return 1.0 / self.xp.sqrt(delta), pair

        found: tuple[Array, Pair] = self._once(("tilted", t, r), compute)
        return found

    def single(self, power: int, atom: Atom, variance: Array) -> Array:
        """E[w^p A(w)] of one Gaussian of a variance."""
        if atom is ONE or atom[0] == "1":
            return math.prod(range(1, power, 2)) * variance ** (power // 2) if power % 2 == 0 else 0.0 * variance
        if atom[0] == "step":
            if power % 2 == 0:
                return 0.5 * math.prod(range(1, power, 2)) * variance ** (power // 2)
            return DENSITY * math.prod(range(2, power, 2)) * self.root(variance) * variance ** (power // 2)
        zero = 0.0 * variance
        return Pair(self.backend, variance, zero, zero, zero).moment(power, atom, 0, ONE)

    def moment(self, p: int, first: Atom, q: int, second: Atom) -> Array:
        """E[u^p A(u) v^q B(v)].

        Raises:
            UnknownPairError: no closed form is known.
        """
        return self._once((p, first, q, second), lambda: self._moment(p, first, q, second))

    def _moment(self, p: int, first: Atom, q: int, second: Atom) -> Array:
        if p == 0 and q > 0:
            return self.swapped().moment(q, second, 0, first)
        if p == 0:
            return self._base(first, second)
        # u F with F = u^(p-1) A(u) v^q B(v).
        parts: list[Array] = []
        if p > 1:
            parts.append(self.a * ((p - 1) * self.moment(p - 2, first, q, second)))
        if first[0] == "step":
            if p == 1 and second[0] == "step" and q % 2:
                # sqrt(a) sqrt(s^2 / a) is s, without another root.
                part = (DENSITY**2 * math.prod(range(2, q, 2))) * self.s
                parts.append(part if q == 1 else part * self.over(0) ** (q // 2))
            elif p == 1:
                parts.append(DENSITY * self.deviation(0) * self.single(q, second, self.over(0)))
        elif first[0] != "1":
            parts.append(self.a * self._sloped(p - 1, first, q, second))
        if q > 0:
            part = self.moment(p - 1, first, q - 1, second)
            parts.append(self.c * part if q == 1 else self.c * (q * part))
        if second[0] == "step":
            if q == 0:
                parts.append(DENSITY * self.slope() * self.single(p - 1, first, self.over(1)))
        elif second[0] != "1":
            parts.append(self.c * self.swapped()._sloped(q, second, p - 1, first))
        return functools.reduce(operator.add, parts) if parts else 0.0 * self.c

    def _sloped(self, p: int, first: Atom, q: int, second: Atom) -> Array:
        """E[u^p A'(u) v^q B(v)] for a smooth A."""
        kind, k, d = first
        if kind == "exp":
            return k * self.moment(p, first, q, second)
        if kind == "cos":
            return k * self.moment(p, ("cos", k, d + math.pi / 2), q, second)
        factor, pair = self.tilted(k * k, 0.0)
        return (2 * k / math.sqrt(math.pi)) * factor * pair.moment(p, ONE, q, second)

    def _base(self, first: Atom, second: Atom) -> Array:
        rule = BASES.get((first[0], second[0]))
        if rule is not None:
            return rule(self, first, second)
        rule = BASES.get((second[0], first[0]))
        if rule is None:
            raise UnknownPairError
        return rule(self.swapped(), second, first)

    def expectation(self, phi: tuple[Term, ...], psi: tuple[Term, ...]) -> Array:
        """E[phi(u) psi(v)] of sums of terms.

        Raises:
            UnknownPairError: no closed form is known for some pair of terms.
        """
        total: Any = None
        for x in phi:
            for y in psi:
                factor, pair = (None, self) if not x.tilt and not y.tilt else self.tilted(x.tilt, y.tilt)
                part = pair.moment(x.power, x.atom, y.power, y.atom)
                weight = x.weight * y.weight
                part = part if weight == 1.0 else weight * part
                part = part if factor is None else factor * part
                total = part if total is None else total + part
        return 0.0 * self.c if total is None else total

    def erf(self, x: Array) -> Array:
        """The error function."""
        return evaluate(self.backend, "erf", (x,), {})


def _ones(pair: Pair, *_: Atom) -> Array:
    return 0.0 * pair.c + 1.0


def _exp(pair: Pair, _: Atom, second: Atom) -> Array:
    return pair.xp.exp(0.5 * second[1] ** 2 * pair.b) + 0.0 * pair.c


def _cos(pair: Pair, _: Atom, second: Atom) -> Array:
    return math.cos(second[2]) * pair.xp.exp(-0.5 * second[1] ** 2 * pair.b) + 0.0 * pair.c


def _step_erf(pair: Pair, _: Atom, second: Atom) -> Array:
    # E[sign(u) erf(k v)] = (2/pi) asin of the correlation of u and v + N(0, 1/(2 k^2)), with its angle by atan2.
    k = math.sqrt(2.0) * second[1]
    return pair.xp.atan2(k * pair.c, pair.xp.sqrt(pair.a + k * k * pair.square)) * (1 / math.pi)


def _erf_erf(pair: Pair, first: Atom, second: Atom) -> Array:
    k, m = 2 * first[1] ** 2, 2 * second[1] ** 2
    left = pair.xp.sqrt(1.0 + k * pair.a + m * pair.b + k * m * pair.square)
    return pair.xp.atan2((2 * first[1] * second[1]) * pair.c, left) * (2 / math.pi)


def _exp_exp(pair: Pair, first: Atom, second: Atom) -> Array:
    k, m = first[1], second[1]
    return pair.xp.exp(0.5 * k * k * pair.a + k * m * pair.c + 0.5 * m * m * pair.b)


def _exp_cos(pair: Pair, first: Atom, second: Atom) -> Array:
    k, m = first[1], second[1]
    return pair.xp.exp(0.5 * k * k * pair.a - 0.5 * m * m * pair.b) * pair.xp.cos(k * m * pair.c + second[2])


def _exp_step(pair: Pair, first: Atom, _: Atom) -> Array:
    k = first[1]
    return pair.xp.exp(0.5 * k * k * pair.a) * (0.5 + 0.5 * pair.erf((k / math.sqrt(2)) * pair.slope()))


def _exp_erf(pair: Pair, first: Atom, second: Atom) -> Array:
    k, m = first[1], second[1]
    moved = (m * k) * pair.c / pair.xp.sqrt(1.0 + 2 * m * m * pair.b)
    return pair.xp.exp(0.5 * k * k * pair.a) * pair.erf(moved)


def _cos_cos(pair: Pair, first: Atom, second: Atom) -> Array:
    k, d = first[1:]
    m, e = second[1:]
    same, mixed = 0.5 * (k * k * pair.a + m * m * pair.b), k * m * pair.c
    near, far = pair.xp.exp(mixed - same), pair.xp.exp(-mixed - same)
    return 0.5 * math.cos(d - e) * near + 0.5 * math.cos(d + e) * far


BASES: Final[dict[tuple[str, str], Callable[[Pair, Atom, Atom], Array]]] = {
    ("1", "1"): _ones,
    ("1", "step"): lambda pair, *_: 0.0 * pair.c + 0.5,
    ("1", "erf"): lambda pair, *_: 0.0 * pair.c,
    ("1", "exp"): _exp,
    ("1", "cos"): _cos,
    ("step", "step"): lambda pair, *_: pair.agreeing,
    ("step", "erf"): _step_erf,
    ("erf", "erf"): _erf_erf,
    ("exp", "exp"): _exp_exp,
    ("exp", "step"): _exp_step,
    ("exp", "erf"): _exp_erf,
    ("exp", "cos"): _exp_cos,
    ("cos", "cos"): _cos_cos,
}
"""E[A(u) B(v)] for what is left when powers and Gaussian factors are gone."""
