"""The shape of arguments and results: nested dictionaries, lists and tuples with tensors at their leaves.

A `Tree` is a value that can be compared, printed and written to a file; what is not a tensor (a number, a string, None)
is part of it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.errors import TracingError

__all__ = ["LEAF", "Tree", "flatten", "unflatten"]


@dataclass(frozen=True)
class Tree:
    """One node.

    Attributes:
        kind: `leaf`, `static`, `list`, `tuple`, `namedtuple` or `dict`.
        keys: of a dictionary its keys, of a named tuple its type's name and fields.
        children: the nodes below.
        value: of a static node what it stands for.
    """

    kind: str
    keys: tuple[Any, ...] = ()
    children: tuple[Tree, ...] = ()
    value: Any = None

    def __str__(self) -> str:
        if self.kind == "leaf":
            return "*"
        if self.kind == "static":
            return repr(self.value)
        inside = [str(child) for child in self.children]
        if self.kind == "dict":
            return "{" + ", ".join(f"{key!r}: {text}" for key, text in zip(self.keys, inside, strict=True)) + "}"
        if self.kind == "list":
            return f"[{', '.join(inside)}]"
        return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"

    def names(self, root: str = "") -> Iterator[str]:
        """A name for each leaf: the path that leads to it, joined by underscores."""
        if self.kind == "leaf":
            yield root
        keys = self.keys[1:] if self.kind == "namedtuple" else self.keys or range(len(self.children))
        for key, child in zip(keys, self.children, strict=True):
            yield from child.names(f"{root}_{key}" if root else str(key))


LEAF = Tree("leaf")


def flatten(value: Any, is_leaf: Callable[[Any], bool]) -> tuple[list[Any], Tree]:
    """The leaves of nested containers, in order, and their shape.

    Raises:
        TracingError: a dictionary's key is no string or integer.

    >>> flatten({"a": [1.5, "x"], "b": (2.5,)}, lambda item: isinstance(item, float))[0]
    [1.5, 2.5]
    """
    leaves: list[Any] = []

    def walk(item: Any) -> Tree:
        if is_leaf(item):
            leaves.append(item)
            return LEAF
        if isinstance(item, dict):
            for key in item:
                if not isinstance(key, (str, int)):
                    raise TracingError(f"a dictionary with the key {key!r}; keys are strings or integers.")
            return Tree("dict", tuple(item), tuple(walk(child) for child in item.values()))
        if isinstance(item, list):
            return Tree("list", (), tuple(walk(child) for child in item))
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return Tree("namedtuple", (type(item).__name__, *item._fields), tuple(walk(child) for child in item))
        if isinstance(item, tuple):
            return Tree("tuple", (), tuple(walk(child) for child in item))
        return Tree("static", value=item)

    return leaves, walk(value)


def unflatten(tree: Tree, leaves: Sequence[Any]) -> Any:
    """The containers with other leaves."""
    rest = iter(leaves)

    def build(node: Tree) -> Any:
        if node.kind == "leaf":
            return next(rest)
        if node.kind == "static":
            return node.value
        children = [build(child) for child in node.children]
        if node.kind == "dict":
            return dict(zip(node.keys, children, strict=True))
        if node.kind == "namedtuple":
            return _named(node.keys[0], node.keys[1:])(*children)
        return children if node.kind == "list" else tuple(children)

    return build(tree)


_types: dict[tuple[str, tuple[str, ...]], Any] = {}


def _named(name: str, fields: tuple[str, ...]) -> Any:
    return _types.setdefault((name, fields), namedtuple(name, fields))
