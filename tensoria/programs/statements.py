"""Assignments of generated code, before they are lines: one inside of another, and names that are let go.

What one line of the user's code made becomes one line again: a value that is used once, by an instruction of the same
line, stands inside of its expression. Frameworks free such a value as soon as it has been used (NumPy writes the next
one into its memory); what has a name is deleted after its last use, or all values would live until the end.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tensoria.programs.types import Source

__all__ = ["Statement", "last_uses", "nested", "numbered", "renamed"]

WIDTH: Final = 100
"""So many characters an expression may have that holds another one."""
NAMELESS = re.compile(r"(?<![.\w])h\d*\b")
"""The names of values that have none."""
MOVES = {"reshape", "transpose", "permute", "permute_dims", "expand_dims", "unsqueeze", "squeeze"}
"""Functions and methods that leave a value's components as they are."""


@dataclass(frozen=True)
class Statement:
    """An assignment.

    Attributes:
        names: what is assigned.
        text: the expression.
        source: the user's line.
        inner: whether no one but other statements uses it.
    """

    names: tuple[str, ...]
    text: str
    source: Source
    inner: bool


def nested(statements: Sequence[Statement], *, anywhere: bool = False) -> list[Statement]:
    """The statements with those inside of others that are used once there, on the same line of the user's code.

    Args:
        statements: assignments in order.
        anywhere: whether they may come from different lines.

    >>> line = Source("f.py", 1)
    >>> made = [Statement(("a",), "x + y", line, True), Statement(("b",), "a * z", line, False)]
    >>> [f"{', '.join(s.names)} = {s.text}" for s in nested(made)]
    ['b = (x + y) * z']
    """
    uses: Counter[str] = Counter()
    for statement in statements:
        uses.update(_named(statement.text))
    waiting: dict[str, Statement] = {}
    out: dict[str, Statement] = {}
    for statement in statements:
        text = statement.text
        for name in _named(text):
            held = waiting.get(name)
            if held is None or uses[name] != 1 or not (anywhere or held.source == statement.source):
                continue
            whole = _replaced(text, name, held.text)
            if len(whole) <= WIDTH:
                text = whole
                del out[name]
        made = Statement(statement.names, text, statement.source, statement.inner)
        out[made.names[0]] = made
        if made.inner and len(made.names) == 1 and (anywhere or made.source.file):
            waiting[made.names[0]] = made
    return list(out.values())


def last_uses(statements: Sequence[Statement], kept: set[str]) -> list[list[str]]:
    """The names that each statement is the last one to use, of those that statements assign and nobody keeps."""
    last: dict[str, int] = {}
    for number, statement in enumerate(statements):
        last.update(dict.fromkeys(statement.names, number))
        last.update({name: number for name in _named(statement.text) if name in last})
    out: list[list[str]] = [[] for _ in statements]
    for name, number in last.items():
        if name not in kept:
            out[number].append(name)
    return out


def renamed(lines: list[str], taken: set[str]) -> list[str]:
    """Lines whose values without a name are called after the module whose result they are, or counted without gaps."""
    found = dict.fromkeys(name for line in lines for name in NAMELESS.findall(line))
    wanted = {}
    for line in lines:
        name, assigned, text = line.partition(" = ")
        if assigned and name in found and name not in wanted:
            wanted[name] = _called_after(text, taken) or "h"
    used = {name for line in lines for name in re.findall(r"(?<![.\w])[^\W\d]\w*", line)} - set(found)
    names: dict[str, str] = {}
    for name in found:
        names[name] = numbered(wanted.get(name, "h"), {*taken, *used, *names.values()})
    return [NAMELESS.sub(lambda match: names[match.group()], line) for line in lines]


def _called_after(text: str, taken: set[str]) -> str:
    """The module whose result an expression only moves; empty if it does more."""
    node: Any = ast.parse(text, mode="eval").body
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        above = node.func.value
        if isinstance(above, ast.Name) and above.id == "self":
            return node.func.attr
        if node.func.attr not in MOVES:
            return ""
        node = node.args[0] if isinstance(above, ast.Name) and above.id in taken and node.args else above
    return ""


def numbered(name: str, taken: set[str]) -> str:
    """A name, with a number if it is taken."""
    name = re.sub(r"\W", "_", name)
    count, base = 1, name
    while name in taken:
        count += 1
        name = f"{base}{count}"
    return name


def _named(text: str) -> list[str]:
    """The names in an expression, as often as they occur."""
    return [node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)]


def _replaced(text: str, name: str, by: str) -> str:
    """An expression with another one for a name; parentheses where they are needed."""
    return ast.unparse(_Replacing(name, ast.parse(by, mode="eval").body).visit(ast.parse(text, mode="eval")))


class _Replacing(ast.NodeTransformer):
    def __init__(self, name: str, by: ast.expr) -> None:
        self.name, self.by = name, by

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.by if node.id == self.name else node
