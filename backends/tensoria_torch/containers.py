"""Objects with tensors in them as containers: caches of keys and values, and whatever a user registers.

A program's arguments and results are tensors in dictionaries, lists and tuples. PyTorch knows further containers
(`torch.utils._pytree`): what is registered there becomes a dictionary or a list of what it holds. `register_container`
registers a class whose instances hold tensors in their attributes; the caches of transformers are registered when a
model is captured, so that a model which takes and returns one becomes a program that does.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

__all__ = ["caches_registered", "plain", "register_container"]


def register_container(kind: type, attributes: Sequence[str] | None = None) -> None:
    """Let instances of a class be arguments and results of models that are ported.

    In a program such an object is a dictionary of those attributes that hold tensors, in containers or not; what else
    it holds is as it was in the example. A class that PyTorch knows as a container already stays as it is.

    Args:
        kind: the class.
        attributes: which attributes hold tensors; by default those that do, object by object.

    >>> import torch
    >>> import tensoria as tn
    >>> class Pair:
    ...     def __init__(self, first, second):
    ...         self.first, self.second = first, second
    >>> register_container(Pair)
    >>> class Swapped(torch.nn.Module):
    ...     def forward(self, pair):
    ...         return Pair(pair.second, pair.first)
    >>> p = tn.port(Swapped(), (Pair(torch.zeros(2), torch.ones(3)),))
    >>> print(p)
    program Swapped(pair_first: float32[2], pair_second: float32[3])
      return pair_second, pair_first
    >>> sorted(p.run({"first": torch.zeros(2), "second": torch.ones(3)}))
    ['first', 'second']
    """
    if kind in pytree.SUPPORTED_NODES:
        return

    def parts(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        own = vars(value)
        names = [n for n in own if _has_tensors(own[n])] if attributes is None else [n for n in attributes if n in own]
        return {n: own[n] for n in names}, {n: x for n, x in own.items() if n not in names}

    def flat(value: Any) -> tuple[list[Any], Any]:
        held, rest = parts(value)
        return list(held.values()), (tuple(held), rest)

    def keyed(value: Any) -> tuple[list[Any], Any]:
        held, rest = parts(value)
        return [(pytree.GetAttrKey(name), x) for name, x in held.items()], (tuple(held), rest)

    def built(values: Any, context: Any) -> Any:
        names, rest = context
        made = kind.__new__(kind)
        made.__dict__.update({**copy.deepcopy(rest), **dict(zip(names, values, strict=True))})
        return made

    pytree.register_pytree_node(
        kind, flat, built, flatten_with_keys_fn=keyed, serialized_type_name=f"{kind.__module__}.{kind.__qualname__}"
    )


def _has_tensors(value: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(value))


def caches_registered() -> None:
    """Register the caches of transformers, if it is loaded, and the layers that they consist of."""
    module = sys.modules.get("transformers.cache_utils")
    if module is None:
        return
    kinds = [x for x in vars(module).values() if isinstance(x, type) and x.__module__ == module.__name__]
    for kind in kinds:
        if kind.__name__.endswith(("Cache", "Layer")):
            register_container(kind)


def plain(value: Any) -> Any:
    """Containers as dictionaries, lists and tuples; a dictionary's subclass (a model's output) is one."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        items = [plain(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    node = pytree.SUPPORTED_NODES.get(type(value))
    if node is None:
        return value
    if node.flatten_with_keys_fn is None:
        return [plain(item) for item in node.flatten_fn(value)[0]]
    pairs, _ = node.flatten_with_keys_fn(value)
    names = [getattr(key, "name", getattr(key, "key", None)) for key, _ in pairs]
    if all(isinstance(name, str) for name in names):
        return {name: plain(item) for name, (_, item) in zip(names, pairs, strict=True)}
    return [plain(item) for _, item in pairs]
