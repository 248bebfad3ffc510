"""A tensor as a node of a pytree: one leaf, its array; axes and backend are structure."""

from __future__ import annotations

import importlib.util
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.indices import Axes, bare
from tensoria.tensor import Tensor

__all__ = ["flatten", "register_optree", "unflatten"]

_registered = False


def flatten(t: Tensor) -> tuple[tuple[Array], tuple[Axes, Backend], tuple[str]]:
    """The leaf, the structure, and the leaf's name."""
    # A transformation may put anything in the leaf's place: declared symmetries stay behind.
    return (t._array,), (bare(t._axes), t._backend), ("array",)


def unflatten(structure: tuple[Axes, Backend], leaves: Any) -> Tensor:
    """The tensor again; its leaf may be anything that a transformation puts there."""
    (leaf,) = leaves
    return Tensor.from_parts(leaf, structure[0], structure[1])


def register_optree() -> None:
    """Tell optree, where it is installed, in its global namespace (once)."""
    global _registered
    if _registered or importlib.util.find_spec("optree") is None:
        return
    import optree

    _registered = True
    # optree's types ask for a collection, its code for any class.
    register: Any = optree.register_pytree_node
    register(Tensor, flatten, unflatten, namespace=optree.registry.__GLOBAL_NAMESPACE)
