"""PyTorch's symbolic sizes as tensoria's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy
import torch
from torch.utils._sympy import functions

from tensoria.errors import PortingError
from tensoria.programs.dimensions import Size, maximum, minimum, product

__all__ = ["Sizes"]


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
        function = FUNCTIONS.get(expression.func)
        if function is None:
            raise PortingError(f"the size {expression} has no counterpart.")
        return function(*map(self._read, expression.args))
