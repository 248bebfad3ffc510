"""PyTorch's symbolic sizes as tensoria's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import sympy
import torch
from torch.utils._sympy import functions

from tensoria.errors import PortingError
from tensoria.programs.dimensions import Dim, Size, maximum, minimum, product
from tensoria.programs.types import Source

__all__ = ["Sizes", "guard_of", "line_of"]


def _power(base: Size, exponent: Size) -> Size:
    if not isinstance(exponent, int) or exponent < 0:
        raise PortingError(f"the size {base}**{exponent} is no expression of whole numbers.")
    return product([base] * exponent)


def _folded(function: Callable[[Size, Size], Size]) -> Callable[..., Size]:
    def fold(first: Size, *rest: Size) -> Size:
        for other in rest:
            first = function(first, other)
        return first

    return fold


def _quotient(a: Size, b: Size) -> Size:
    return a // b


def _ceiling(a: Size, b: Size) -> Size:
    return (a + b - 1) // b


def _binary(n: int) -> bool:
    """Whether a quotient by n is exact in floating point."""
    return n & (n - 1) == 0


def _towards_zero(a: Size, b: int) -> Size:
    if (a.bounds()[0] if isinstance(a, Dim) else a) < 0:
        raise PortingError(f"the size {a}/{b} may be negative, and is rounded towards zero.")
    return a // b


ROUNDED: dict[str, Callable[[Size, Size], Size]] = {
    "FloorToInt": _quotient, "CeilToInt": _ceiling, "TruncToInt": _towards_zero,
}
"""How a real number becomes a size."""
EXACT = 2**20
"""The largest numerator and denominator of a factor: times a size below 2^33 its product is exact in float64."""


FUNCTIONS: dict[Any, Callable[..., Size]] = {
    sympy.Add: _folded(lambda a, b: a + b), sympy.Mul: _folded(lambda a, b: a * b), sympy.Pow: _power,
    sympy.Max: _folded(maximum), sympy.Min: _folded(minimum), sympy.Mod: lambda a, b: a % b,
    **{getattr(functions, name): function for name, function in {
        "FloorDiv": _quotient, "CleanDiv": _quotient, "CeilDiv": _ceiling, "Mod": lambda a, b: a % b,
        "PythonMod": lambda a, b: a % b, "Max": _folded(maximum), "Min": _folded(minimum),
        "ModularIndexing": lambda a, b, c: (a // b) % c,
    }.items() if hasattr(functions, name)},
}  # fmt: skip
"""What each function of an expression is."""


LINE = re.compile(r'"?([^" ]+\.py)"?[:,] ?(?:line )?(\d+)')
OWN = torch.__file__.rsplit("/", 1)[0] + "/"


def guard_of(shapes: Any, argument: str, axis: int, size: int) -> Any:
    """The condition by which a model fixes the size of an argument's axis: the axis's own symbol is followed to it."""
    place = f".size()[{axis}]"
    known = {
        str(symbol) for symbol, sources in shapes.var_to_sources.items()
        for source in sources if place in source.name and f"'{argument}'" in source.name.replace('"', "'")
    }  # fmt: skip
    numbers = [guard for guard in shapes.guards if getattr(guard.expr, "rel_op", "") == "=="]
    for _ in numbers:
        for guard in numbers:
            sides = [str(side) for side in guard.expr.args]
            if {str(symbol) for symbol in guard.expr.free_symbols} <= known:  # s = 3, 4 s = 12
                return guard
            if known.intersection(sides):
                known.update(side for side in sides if side.isidentifier())
    return next((guard for guard in reversed(numbers) if str(size) in map(str, guard.expr.args)), None)


def line_of(guard: Any) -> Source:
    """The line of a model that a condition comes from, if PyTorch knows one that is not its own."""
    for frame in (guard.sloc.maybe_user_loc, guard.sloc.framework_loc):
        found = LINE.search(str(frame or ""))
        if found and not found[1].startswith(OWN):
            return Source(found[1], int(found[2]))
    return Source()


class Sizes:
    """Reads sizes, given what the symbols of an export are called here."""

    def __init__(self, symbols: Mapping[Any, Size]) -> None:
        self.symbols = dict(symbols)

    def __call__(self, size: Any) -> Size:
        """An integer, a symbolic integer or its expression as a size.

        Raises:
            PortingError: it depends on numbers, or is no expression of whole numbers.
        """
        if isinstance(size, int) and not isinstance(size, bool):
            return int(size)
        if isinstance(size, torch.SymInt):
            return self._read(size.node.expr)
        return self._read(size)

    def shape(self, shape: Any) -> tuple[Size, ...]:
        """A shape."""
        return tuple(map(self, shape))

    def _read(self, expression: Any) -> Size:
        if expression.is_Integer:
            return int(expression)
        if expression.is_Symbol:
            if expression not in self.symbols:
                raise PortingError(f"the size {expression} depends on the numbers of a tensor.")
            return self.symbols[expression]
        if isinstance(expression, sympy.Mul):
            # A fraction times a sum whose parts are divisible: PyTorch writes exact quotients so.
            numerator, denominator = expression.as_numer_denom()
            if denominator != 1:
                return self._read(numerator) // self._read(denominator)
        rounding = ROUNDED.get(type(expression).__name__)
        if rounding is not None:
            return rounding(*self._fraction(expression.args[0]))
        function = FUNCTIONS.get(expression.func)
        if function is None:
            raise PortingError(f"the size {expression} has no counterpart.")
        return function(*map(self._read, expression.args))

    def _fraction(self, expression: Any) -> tuple[Size, int]:
        """A real number that follows from sizes as a numerator and a denominator.

        A model computes it in floating point, so factors are those whose products with sizes are exact there.

        Raises:
            PortingError: it is no such number.
        """
        name = type(expression).__name__
        if name == "ToFloat":
            return self._read(expression.args[0]), 1
        if expression.is_Float or expression.is_Integer:
            top, bottom = float(expression).as_integer_ratio()
            if bottom <= EXACT and abs(top) <= EXACT:
                return top, bottom
        elif isinstance(expression, sympy.Mul):
            parts = [self._fraction(part) for part in expression.args]
            if all(_binary(bottom) for _, bottom in parts):
                return product(top for top, _ in parts), math.prod(bottom for _, bottom in parts)
        elif isinstance(expression, sympy.Add):
            parts = [self._fraction(part) for part in expression.args]
            if sum(not _binary(bottom) for _, bottom in parts) <= 1:
                whole = math.lcm(*(bottom for _, bottom in parts))
                return sum((top * (whole // bottom) for top, bottom in parts), 0), whole
        elif name in ("IntTrueDiv", "FloatTrueDiv"):
            read = self._fraction if name == "FloatTrueDiv" else lambda of: (self._read(of), 1)
            (top, bottom), (below, above) = map(read, expression.args)
            if isinstance(below, int) and below > 0 and _binary(bottom) and _binary(above):
                return top * above, bottom * below
        raise PortingError(f"the size {expression} is rounded from a number that has no exact fraction.")
