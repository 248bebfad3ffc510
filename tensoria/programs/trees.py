"""The shape of arguments and results: nested dictionaries, lists and tuples with tensors at their leaves.

A `Tree` is a value that can be compared, printed and written to a file; what is not a tensor (a number, a string, None)
is part of it. Named tuples and objects of dataclasses (attrs' too) that hold tensors are containers as well. A tree
knows their types by name: what is built again has the type that was last taken apart under this name, or one like it,
if the program was read from a file.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from typing import Any

from tensoria.errors import TracingError

__all__ = ["LEAF", "NAMED", "Tree", "flatten", "unflatten"]


@dataclass(frozen=True)
class Tree:
    """One node.

    Attributes:
        kind: `leaf`, `static`, `list`, `tuple`, `namedtuple`, `object` or `dict`.
        keys: of a dictionary its keys, of a named tuple and an object its type's name and fields.
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
        if self.kind == "object":
            named = [f"{key}={text}" for key, text in zip(self.keys[1:], inside, strict=True)]
            return f"{self.keys[0]}({', '.join(named)})"
        return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"

    def names(self, root: str = "") -> Iterator[str]:
        """A name for each leaf: the path that leads to it, joined by underscores."""
        if self.kind == "leaf":
            yield root
        keys = self.keys[1:] if self.kind in NAMED else self.keys or range(len(self.children))
        for key, child in zip(keys, self.children, strict=True):
            yield from child.names(f"{root}_{key}" if root else str(key))


LEAF = Tree("leaf")
NAMED = ("namedtuple", "object")
"""Kinds whose first key is the name of a type."""


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
            return named("namedtuple", item, item._fields)
        if isinstance(item, tuple):
            return Tree("tuple", (), tuple(walk(child) for child in item))
        own, before = _fields(item), len(leaves)
        tree = named("object", item, own) if own else None
        return Tree("static", value=item) if tree is None or len(leaves) == before else tree

    def named(kind: str, item: Any, own: tuple[str, ...]) -> Tree:
        keys = type(item).__name__, *own
        _types[kind, keys] = type(item)
        return Tree(kind, keys, tuple(walk(getattr(item, name)) for name in own))

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
        if node.kind in NAMED:
            return _built(node, children)
        return children if node.kind == "list" else tuple(children)

    return build(tree)


_types: dict[tuple[str, tuple[str, ...]], Any] = {}
"""The types that were taken apart, by kind, name and fields."""


def _fields(item: Any) -> tuple[str, ...]:
    """The fields of an object of a dataclass; none of what is no such object."""
    if isinstance(item, type):
        return ()
    if is_dataclass(item):
        return tuple(field.name for field in fields(item))
    return tuple(field.name for field in getattr(type(item), "__attrs_attrs__", ()))


def _built(node: Tree, children: list[Any]) -> Any:
    """A named tuple, or an object of a dataclass."""
    name, *names = node.keys
    kind = _types.get((node.kind, node.keys))
    if node.kind == "namedtuple":
        kind = kind or _types.setdefault((node.kind, node.keys), namedtuple(name, names))
        return kind(*children)
    kind = kind or _types.setdefault((node.kind, node.keys), make_dataclass(name, names))
    values = dict(zip(names, children, strict=True))
    own: Sequence[Any] = fields(kind) if is_dataclass(kind) else kind.__attrs_attrs__
    made = kind(**{getattr(field, "alias", None) or field.name: values[field.name] for field in own if field.init})
    for field in own:
        if not field.init:
            object.__setattr__(made, field.name, values[field.name])
    return made
