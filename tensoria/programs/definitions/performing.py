"""How one definition uses another operation: the backend's own, else the definition that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tensoria.backend import Array, Backend

__all__ = ["Definition", "cut", "performed", "reshaped"]

Definition: TypeAlias = Callable[..., Any]


def performed(backend: Backend, definition: Definition, name: str, *operands: Array, **attributes: Any) -> Any:
    """The result of an operation, by the backend's kernel if it has one."""
    kernel = backend.primitives.get(name)
    return definition(backend, *operands, **attributes) if kernel is None else kernel(*operands, **attributes)


def cut(backend: Backend, x: Array, axis: int, start: Any, stop: Any, step: int = 1) -> Array:
    """The components from start to stop along one axis."""
    return backend.get_item(x, (*(slice(None),) * axis, slice(start, stop, step), Ellipsis))


def reshaped(backend: Backend, x: Array, *shape: Any) -> Array:
    """The array in another shape, which is recorded with every size."""
    return backend.xp.reshape(x, shape)
