"""Expressions of sizes as text: what `str` prints of one, read again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tensoria.errors import ShapeError
from tensoria.programs.dimensions import Dim, Size, maximum, minimum

__all__ = ["parsed", "require_entries"]

_TOKEN = re.compile(r"\s*(?:(\d+)|([^\W\d]\w*)|([()*+,-]))")


def parsed(text: str, symbols: Mapping[str, Dim]) -> Size:
    """An expression read from what `str` printed.

    Args:
        text: the expression.
        symbols: the sizes that it may name.

    Raises:
        ShapeError: the text is no such expression.

    >>> from tensoria.programs.dimensions import dim
    >>> n = dim("n")
    >>> parsed("3 + 2*n*floordiv(n, 4)", {"n": n}) == 3 + 2 * n * (n // 4)
    True
    """
    tokens: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ShapeError(f"{text!r} is no size.", notation=text, span=(position, position + 1))
        tokens.append(match[0].strip())
        position = match.end()
    tokens.append("")
    size, rest = _sum(tokens, 0, symbols, text)
    if tokens[rest]:
        raise ShapeError(f"{text!r} is no size: {tokens[rest]!r} is left over.")
    return size


def _sum(tokens: list[str], at: int, symbols: Mapping[str, Dim], text: str) -> tuple[Size, int]:
    sign = 1
    if tokens[at] == "-":
        sign, at = -1, at + 1
    total, at = _term(tokens, at, symbols, text)
    total = sign * total
    while tokens[at] in ("+", "-"):
        sign = 1 if tokens[at] == "+" else -1
        term, at = _term(tokens, at + 1, symbols, text)
        total = total + sign * term
    return total, at


def _term(tokens: list[str], at: int, symbols: Mapping[str, Dim], text: str) -> tuple[Size, int]:
    total, at = _factor(tokens, at, symbols, text)
    while tokens[at] == "*":
        factor, at = _factor(tokens, at + 1, symbols, text)
        total = total * factor
    return total, at


_CALLS: dict[str, Callable[[Size, Size], Size]] = {
    "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b, "min": minimum, "max": maximum,
}  # fmt: skip


def _factor(tokens: list[str], at: int, symbols: Mapping[str, Dim], text: str) -> tuple[Size, int]:
    token = tokens[at]
    if token.isdigit():
        return int(token), at + 1
    if token in _CALLS and tokens[at + 1] == "(":
        a, at = _sum(tokens, at + 2, symbols, text)
        if tokens[at] == ",":
            b, at = _sum(tokens, at + 1, symbols, text)
            if tokens[at] == ")":
                return _CALLS[token](a, b), at + 1
    elif token in symbols:
        return symbols[token], at + 1
    raise ShapeError(f"{text!r} is no size: {token or 'its end'!r} was not expected.")


def require_entries(name: str, sizes: Any, kinds: tuple[type, ...] = (str, Dim)) -> None:
    """What `dynamic=` says of an argument has one entry for each axis.

    Raises:
        ShapeError: it is a name, a dictionary or something else, or an entry is none of these kinds.
    """
    legal = f'dynamic={{"{name}": ("batch", None)}}'
    if not isinstance(sizes, (tuple, list)):
        raise ShapeError(f"dynamic= has {sizes!r} for {name}, and not one entry for each axis.", legal=legal)
    for entry in sizes:
        if entry is not None and not isinstance(entry, kinds):
            raise ShapeError(f"dynamic= has the entry {entry!r} for {name}, which names no size.", legal=legal)
