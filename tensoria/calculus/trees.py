"""Trees: nested containers of tensors, such as a model's parameters, taken apart into leaves and built again.

A dict, list, tuple, named tuple or dataclass is a node, None a node without children; whatever optree knows as a node
is one too, once a program has loaded optree. Everything else is a leaf. What is left without the leaves is a `Tree`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tensoria.core import BaseTensor
from tensoria.discovery import backend_of
from tensoria.errors import ModeError

__all__ = ["LEAF", "Tree", "flatten", "leaves_like", "mapped", "unflatten"]


class Tree(NamedTuple):
    """The structure of nested containers: how to build one, what names its children, and their trees."""

    kind: type | None
    names: tuple[Any, ...]
    children: tuple[Tree, ...]
    build: Callable[[Sequence[Any]], Any] | None = None

    def same(self, other: Tree) -> bool:
        """Whether both have the same containers in the same places."""
        return (
            self.kind is other.kind
            and self.names == other.names
            and len(self.children) == len(other.children)
            and all(a.same(b) for a, b in zip(self.children, other.children, strict=True))
        )


LEAF = Tree(None, (), ())
"""The tree of a leaf."""


def _node(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], Callable[[Sequence[Any]], Any]] | None:
    """The names and values of a node's children, and how to build it of others; None for a leaf."""
    kind = type(value)
    if isinstance(value, BaseTensor):
        return None
    if value is None:
        return (), (), lambda children: None
    if kind is list or kind is tuple:
        return tuple(range(len(value))), tuple(value), kind
    if kind in (dict, OrderedDict, defaultdict):
        names = tuple(value)
        empty: Any = defaultdict(value.default_factory) if isinstance(value, defaultdict) else kind()

        def fill(children: Sequence[Any]) -> Any:
            made = empty.copy()
            made.update(zip(names, children, strict=True))
            return made

        return names, tuple(value.values()), fill
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return tuple(value._fields), tuple(value), lambda children: kind(*children)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = tuple(field.name for field in dataclasses.fields(value) if field.init)
        return (
            fields,
            tuple(getattr(value, name) for name in fields),
            lambda children: dataclasses.replace(value, **dict(zip(fields, children, strict=True))),
        )
    if (
        backend_of(value) is None
        and (optree := sys.modules.get("optree")) is not None
        and not optree.tree_is_leaf(value)
    ):
        children, metadata, entries, build = optree.tree_flatten_one_level(value)
        return tuple(entries), tuple(children), lambda new: build(metadata, tuple(new))
    return None


def flatten(tree: Any) -> tuple[list[Any], Tree]:
    """The leaves of a tree in order, and its structure.

    >>> leaves, structure = flatten({"w": 1, "layers": [(2, 3), None]})
    >>> leaves, unflatten(structure, [x * 10 for x in leaves])
    ([1, 2, 3], {'w': 10, 'layers': [(20, 30), None]})
    """
    node = _node(tree)
    if node is None:
        return [tree], LEAF
    names, values, build = node
    leaves: list[Any] = []
    below = []
    for value in values:
        found, structure = flatten(value)
        leaves += found
        below.append(structure)
    return leaves, Tree(type(tree), names, tuple(below), build)


def unflatten(structure: Tree, leaves: Sequence[Any]) -> Any:
    """The tree of that structure with these leaves."""
    left = list(leaves)
    left.reverse()

    def build(of: Tree) -> Any:
        if of.build is None:
            return left.pop()
        return of.build([build(child) for child in of.children])

    return build(structure)


def leaves_like(structure: Tree, tree: Any, what: str) -> list[Any]:
    """The leaves of a tree that must have a given structure; the order of a dict's keys does not matter.

    Raises:
        ModeError: it has another one.
    """
    if structure.build is None:
        return [tree]
    node = _node(tree)
    if node is None or type(tree) is not structure.kind or set(node[0]) != set(structure.names):
        raise ModeError(
            f"{what} is a {type(tree).__name__} where a {getattr(structure.kind, '__name__', 'leaf')} of "
            f"{len(structure.names)} belongs.",
            legal="a tree of the same structure",
        )
    by_name = dict(zip(node[0], node[1], strict=True))
    found: list[Any] = []
    for name, child in zip(structure.names, structure.children, strict=True):
        found += leaves_like(child, by_name[name], what)
    return found


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with a function applied to its leaves."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [function(leaf) for leaf in leaves])
