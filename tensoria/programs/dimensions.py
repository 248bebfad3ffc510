"""Sizes that are not known yet: integer expressions over named symbols.

A `Dim` is a polynomial with integer coefficients over atoms; an atom is a symbol (`batch`) or one of four functions of
expressions (floor division, remainder, minimum, maximum). It is kept in one normal form, so that equal expressions are
equal values, and an expression without symbols is a Python integer. A symbol stands for every size within its bounds;
a comparison is answered if the bounds decide it, and refused with the symbol's name if not: a program that took one
branch would be wrong for other sizes.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, Union

from tensoria.errors import ShapeError

__all__ = ["Call", "Dim", "Size", "Symbol", "dim", "evaluated", "maximum", "minimum", "product"]

_NAME = re.compile(r"[^\W\d]\w*\Z")
_INFINITY = math.inf

Size: TypeAlias = Union[int, "Dim"]
"""A size: an integer, or an expression over symbols."""
Atom: TypeAlias = "Symbol | Call"
Monomial: TypeAlias = tuple[Atom, ...]
Bounds: TypeAlias = tuple[float, float]


class Symbol:
    """A named size; equal by name and bounds."""

    __slots__ = ("_key", "lower", "name", "upper")

    def __init__(self, name: str, lower: int, upper: int | None) -> None:
        self.name, self.lower, self.upper = name, lower, upper
        self._key = ("", name, (lower, upper))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self.name

    @property
    def order(self) -> tuple[Any, ...]:
        """By what symbols are sorted."""
        return ("", self.name, self.lower, self.upper or 0)

    def bounds(self) -> Bounds:
        """The least and the greatest size."""
        return self.lower, _INFINITY if self.upper is None else self.upper

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The size that the symbol is bound to.

        Raises:
            ShapeError: it is bound to none.
        """
        if self.name not in sizes:
            raise ShapeError(f"the size {self.name} is not known.", legal=f"known are {', '.join(sizes) or 'none'}")
        return sizes[self.name]

    def symbols(self) -> Iterator[Symbol]:
        """The symbol itself."""
        yield self


class Call:
    """A function of expressions that is no polynomial of them."""

    __slots__ = ("arguments", "function")

    def __init__(self, function: str, arguments: tuple[Size, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and (self.function, self.arguments) == (other.function, other.arguments)

    def __hash__(self) -> int:
        return hash((self.function, self.arguments))

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"

    @property
    def order(self) -> tuple[Any, ...]:
        """By what calls are sorted, after the symbols."""
        return (self.function, str(self), 0, 0)

    def bounds(self) -> Bounds:
        """An interval that holds every value."""
        return _FUNCTIONS[self.function][1](*map(_bounds, self.arguments))

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value for these sizes."""
        return _FUNCTIONS[self.function][0](*(evaluated(argument, sizes) for argument in self.arguments))

    def symbols(self) -> Iterator[Symbol]:
        """The symbols in the arguments."""
        for argument in self.arguments:
            if isinstance(argument, Dim):
                yield from argument.symbols()


def _quotient_bounds(a: Bounds, b: Bounds) -> Bounds:
    if b[0] <= 0:
        return -_INFINITY, _INFINITY
    low = a[0] // (b[1] if a[0] >= 0 else b[0]) if not math.isinf(a[0]) else a[0]
    high = a[1] // (b[0] if a[1] >= 0 else b[1]) if not math.isinf(a[1]) else a[1]
    return (0.0 if math.isnan(low) else low), (high if not math.isnan(high) else _INFINITY)


def _remainder_bounds(a: Bounds, b: Bounds) -> Bounds:
    return (0.0, b[1] - 1) if b[0] > 0 else (-_INFINITY, _INFINITY)


_FUNCTIONS: dict[str, tuple[Callable[..., int], Callable[..., Bounds]]] = {
    "floordiv": (lambda a, b: a // b, _quotient_bounds),
    "mod": (lambda a, b: a % b, _remainder_bounds),
    "min": (min, lambda a, b: (min(a[0], b[0]), min(a[1], b[1]))),
    "max": (max, lambda a, b: (max(a[0], b[0]), max(a[1], b[1]))),
}
"""What each function of sizes computes, and what bounds of its arguments say about it."""


class Dim:
    """An integer expression over symbols, in normal form; made by `dim` and by arithmetic.

    >>> n, m = dim("n"), dim("m")
    >>> (n + 1) * (n - 1) - n * n, (2 * n * m) // m, (4 * n + 2) % 4
    (-1, 2*n, 2)
    """

    __slots__ = ("_hash", "_terms")

    _terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: Iterable[tuple[Monomial, int]]) -> None:
        self._terms = tuple(sorted(terms, key=_term_order))
        self._hash = hash(self._terms)

    # -- identity -------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self._terms == other._terms

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        parts = []
        for monomial, coefficient in self._terms:
            factors = "*".join(map(str, monomial))
            size = abs(coefficient)
            text = str(size) if not monomial else factors if size == 1 else f"{size}*{factors}"
            parts.append(("- " if coefficient < 0 else "+ ") + text)
        first, *rest = parts
        return " ".join([first[2:] if first[0] == "+" else "-" + first[2:], *rest])

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def symbols(self) -> frozenset[Symbol]:
        """The symbols that occur."""
        return frozenset(s for monomial, _ in self._terms for atom in monomial for s in atom.symbols())

    @property
    def terms(self) -> tuple[tuple[Monomial, int], ...]:
        """The polynomial: monomials with their coefficients."""
        return self._terms

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value when every symbol has a size.

        Raises:
            ShapeError: a symbol has none.

        >>> (2 * dim("n") + 1).evaluate({"n": 3})
        7
        """
        return sum(c * math.prod(atom.evaluate(sizes) for atom in monomial) for monomial, c in self._terms)

    # -- arithmetic -----------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if not _is_size(other):
            return NotImplemented
        total = dict(self._terms)
        for monomial, coefficient in _terms_of(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return _made(total)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return _made({monomial: -c for monomial, c in self._terms})

    def __sub__(self, other: Any) -> Any:
        return self + -other if _is_size(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other if _is_size(other) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if not _is_size(other):
            return NotImplemented
        total: dict[Monomial, int] = {}
        for a, m in self._terms:
            for b, n in _terms_of(other):
                joined = tuple(sorted(a + b, key=lambda atom: atom.order))
                total[joined] = total.get(joined, 0) + m * n
        return _made(total)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return _divided(self, other)[0] if _is_size(other) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return _divided(other, self)[0] if _is_size(other) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return _divided(self, other)[1] if _is_size(other) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return _divided(other, self)[1] if _is_size(other) else NotImplemented

    def __divmod__(self, other: Any) -> Any:
        return _divided(self, other) if _is_size(other) else NotImplemented

    # -- comparison: by bounds, or refused ------------------------------------------------------------------------

    def bounds(self) -> Bounds:
        """The least and greatest value that the symbols' bounds allow (an interval that holds all values).

        >>> (2 * ((dim("n") + 1) // 2) - dim("n")).bounds()
        (0.0, 1.0)
        """
        low, high = self._spread()
        relaxed = self._relaxed(-1), self._relaxed(1)
        if relaxed[0] is not None:
            low = max(low, float(relaxed[0]) if isinstance(relaxed[0], int) else relaxed[0]._spread()[0])
        if relaxed[1] is not None:
            high = min(high, float(relaxed[1]) if isinstance(relaxed[1], int) else relaxed[1]._spread()[1])
        return low, high

    def _relaxed(self, side: int) -> Size | None:
        """Something without quotients k floor(e / k) that is at most (side -1) or at least (1) this; None without any.

        Such a quotient lies between e - (k - 1) and e.
        """
        found = False
        total: Size = 0
        for monomial, coefficient in self._terms:
            atom = monomial[0] if len(monomial) == 1 else None
            if isinstance(atom, Call) and atom.function == "floordiv" and isinstance(atom.arguments[1], int):
                e, k = atom.arguments
                if coefficient % k == 0:
                    times = coefficient // k
                    total = total + times * (e - (k - 1) if times * side < 0 else e)
                    found = True
                    continue
            total = total + _made({monomial: coefficient})
        return total if found else None

    def _spread(self) -> Bounds:
        """The bounds of the terms, added up."""
        low = high = 0.0
        for monomial, coefficient in self._terms:
            ends = (1.0, 1.0)
            for atom in monomial:
                a, b = atom.bounds()
                corners = [_times(x, y) for x in ends for y in (a, b)]
                ends = (min(corners), max(corners))
            scaled = sorted(_times(coefficient, end) for end in ends)
            low, high = low + scaled[0], high + scaled[1]
        return low, high

    def __lt__(self, other: Any) -> Any:
        return _compared(self, other, "<")

    def __le__(self, other: Any) -> Any:
        return _compared(self, other, "<=")

    def __gt__(self, other: Any) -> Any:
        return _compared(self, other, ">")

    def __ge__(self, other: Any) -> Any:
        return _compared(self, other, ">=")

    def __bool__(self) -> bool:
        low, high = self.bounds()
        if low > 0 or high < 0:
            return True
        raise _undecided(f"{self} != 0", self)

    def __index__(self) -> int:
        raise _undecided(f"the number {self}", self)

    __int__ = __index__
    __float__ = __index__


numbers.Number.register(Dim)  # a size may stand where a Python number may


def dim(name: str, *, lower: int = 1, upper: int | None = None) -> Dim:
    """A named size, which every call of a program binds.

    Args:
        name: an identifier.
        lower: the least size.
        upper: the greatest size; None for no limit.

    Raises:
        ShapeError: the name is no identifier, or the bounds are not 0 <= lower <= upper.

    >>> batch = dim("batch")
    >>> 2 * batch + 3
    3 + 2*batch
    """
    if not _NAME.match(name):
        raise ShapeError(f"a size is named by an identifier, not {name!r}.", legal='tn.dim("batch")')
    if lower < 0 or (upper is not None and upper < lower):
        raise ShapeError(f"the size {name} has the bounds {lower} and {upper}.", legal="0 <= lower <= upper")
    return Dim({((Symbol(name, lower, upper)),): 1}.items())


def evaluated(size: Size, sizes: Mapping[str, int]) -> int:
    """A size as an integer, given its symbols'."""
    return size.evaluate(sizes) if isinstance(size, Dim) else size


def minimum(a: Size, b: Size) -> Size:
    """The smaller of two sizes.

    >>> minimum(dim("n"), 4), minimum(dim("n"), 1)
    (min(4, n), 1)
    """
    return _extreme("min", a, b)


def maximum(a: Size, b: Size) -> Size:
    """The larger of two sizes."""
    return _extreme("max", a, b)


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def _extreme(which: str, a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return _FUNCTIONS[which][0](a, b)
    low, high = _bounds(a - b)
    if low >= 0:
        return a if which == "max" else b
    if high <= 0:
        return b if which == "max" else a
    return _call(which, *sorted((a, b), key=str))


# -- normal form ------------------------------------------------------------------------------------------------------


def _term_order(term: tuple[Monomial, int]) -> Any:
    return len(term[0]), [atom.order for atom in term[0]]


def _is_size(value: Any) -> bool:
    return isinstance(value, Dim) or (isinstance(value, int) and not isinstance(value, bool))


def _terms_of(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return size._terms if isinstance(size, Dim) else (((), size),)


def _made(terms: Mapping[Monomial, int]) -> Size:
    left = {monomial: c for monomial, c in terms.items() if c}
    if not left:
        return 0
    if set(left) == {()}:
        return left[()]
    return Dim(left.items())


def _call(function: str, *arguments: Size) -> Dim:
    return Dim({(Call(function, arguments),): 1}.items())


def _bounds(size: Size) -> Bounds:
    return size.bounds() if isinstance(size, Dim) else (size, size)


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _divided(a: Size, b: Size) -> tuple[Size, Size]:
    """Floor quotient and remainder; what the divisor divides term by term goes out of the call."""
    if b == 0:
        raise ZeroDivisionError(f"{a} divided by zero")
    terms = _terms_of(b)
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    if len(terms) == 1:
        divisor, number = terms[0]
        for monomial, c in _terms_of(a):
            left = _without(monomial, divisor)
            if left is None:
                rest[monomial] = c
                continue
            q, r = divmod(c, number)
            if q:
                whole[left] = q
            if r:
                rest[monomial] = r
    else:
        if a == b:
            return 1, 0
        rest = dict(_terms_of(a))
    out, over = _made(whole), _made(rest)
    if over == 0:
        return out, 0
    low, high = _bounds(over)
    least = _bounds(b)[0]
    if low >= 0 and high < least:
        return out, over
    if isinstance(over, int) and isinstance(b, int):
        return out + over // b, over % b
    quotient: Size = _call("floordiv", *_merged(over, b))
    return out + quotient, _call("mod", over, b)


def _merged(a: Size, b: Size) -> tuple[Size, Size]:
    """Numerator and denominator of floor(a / b); of floor((floor(e / k) + c) / b) those of floor((e + c k) / (k b)).

    >>> (dim("n") // 5 + 1) // 2
    floordiv(5 + n, 10)
    """
    if isinstance(b, int) and b > 0 and isinstance(a, Dim):
        calls = [(m[0], c) for m, c in a._terms if m]
        constant = dict(a._terms).get((), 0)
        if len(calls) == 1 and calls[0][1] == 1 and len(a._terms) <= 2 and isinstance(calls[0][0], Call):
            call = calls[0][0]
            numerator, k = call.arguments
            if call.function == "floordiv" and isinstance(k, int) and len(next(m for m, _ in a._terms if m)) == 1:
                return _merged(numerator + constant * k, k * b)
    return a, b


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


_ORDERS: dict[str, Callable[[Bounds], bool | None]] = {
    "<": lambda d: True if d[1] < 0 else False if d[0] >= 0 else None,
    "<=": lambda d: True if d[1] <= 0 else False if d[0] > 0 else None,
    ">": lambda d: True if d[0] > 0 else False if d[1] <= 0 else None,
    ">=": lambda d: True if d[0] >= 0 else False if d[1] < 0 else None,
}


def _compared(a: Dim, b: Any, sign: str) -> Any:
    if not _is_size(b):
        return NotImplemented
    answer = _ORDERS[sign](_bounds(a - b))
    if answer is None:
        raise _undecided(f"{a} {sign} {b}", a)
    return answer


def _undecided(question: str, size: Dim) -> ShapeError:
    names = ", ".join(s.name for s in sorted(size.symbols(), key=lambda s: s.order))
    return ShapeError(
        f"{question} depends on the size of {names}, which is not known while tracing.",
        legal=f"tn.dim({names.split(', ')[0]!r}, lower=..., upper=...) bounds it, or trace with that axis fixed",
    )
