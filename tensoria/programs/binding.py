"""What sizes symbols have, found from the shapes of arguments."""

from __future__ import annotations

from collections.abc import Iterable

from tensoria.errors import ShapeError
from tensoria.programs.dimensions import Call, Dim, Size, evaluated

__all__ = ["bind"]


def bind(shapes: Iterable[tuple[tuple[Size, ...], tuple[int, ...], str]]) -> dict[str, int]:
    """The sizes that symbols have, from expressions and the integers that they stand for.

    Args:
        shapes: a declared shape, the actual one, and what it is the shape of (for errors).

    Raises:
        ShapeError: a size contradicts its expression or its symbol's bounds, or nothing determines a symbol.

    >>> from tensoria.programs.dimensions import dim
    >>> n = dim("n")
    >>> bind([((n, 4), (3, 4), "x"), ((2 * n + 1,), (7,), "y")])
    {'n': 3}
    """
    sizes: dict[str, int] = {}
    origin: dict[str, str] = {}
    waiting: list[tuple[Size, int, str]] = []
    for declared, actual, what in shapes:
        if len(declared) != len(actual):
            raise ShapeError(f"{what} has the shape {tuple(actual)}, and {declared} is declared.")
        waiting += [(d, a, f"axis {axis} of {what}") for axis, (d, a) in enumerate(zip(declared, actual, strict=True))]
    while waiting:
        left = [item for item in waiting if not _settle(*item, sizes, origin)]
        if len(left) == len(waiting):
            size, found, place = left[0]
            raise ShapeError(f"{place} is {found}, declared as {size}: this does not determine its symbols.")
        waiting = left
    return sizes


def _settle(declared: Size, actual: int, what: str, sizes: dict[str, int], origin: dict[str, str]) -> bool:
    """Hold an actual size against its expression, solving it for the one symbol that is not known yet."""
    unknown = [s for s in declared.symbols() if s.name not in sizes] if isinstance(declared, Dim) else []
    if not unknown:
        if (wanted := evaluated(declared, sizes)) != actual:
            shown = f"{declared} = {wanted}" if isinstance(declared, Dim) else str(declared)
            symbols = sorted(declared.symbols(), key=lambda s: s.order) if isinstance(declared, Dim) else []
            known = ", ".join(f"{s.name} = {sizes[s.name]} from {origin[s.name]}" for s in symbols)
            raise ShapeError(f"{what} is {actual}, declared as {shown}{f' ({known})' if known else ''}.")
        return True
    assert isinstance(declared, Dim)
    (symbol, *others) = unknown
    linear = [c for monomial, c in declared.terms if monomial == (symbol,)]
    plain = all(symbol not in m or m == (symbol,) for m, _ in declared.terms) and not others
    if not plain or not linear or any(isinstance(atom, Call) for m, _ in declared.terms for atom in m):
        return False
    value, rest = divmod(actual - declared.evaluate({**sizes, symbol.name: 0}), linear[0])
    low, high = symbol.bounds()
    if rest or not low <= value <= high:
        limits = f"{symbol.lower} <= {symbol.name}" + ("" if symbol.upper is None else f" <= {symbol.upper}")
        raise ShapeError(f"{what} is {actual}, declared as {declared} with {limits}.")
    sizes[symbol.name], origin[symbol.name] = value, what
    return True
