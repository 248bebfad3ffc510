"""The same thing on every backend: arrays made and read there, and errors that must read the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from tensoria.discovery import available, backend_of, get, home
from tensoria.errors import BackendNotFoundError, TensoriaError
from tensoria.tensor import Tensor

__all__ = ["here", "installed", "native", "needs_host_memory", "refusal", "values"]


@cache
def installed() -> tuple[str, ...]:
    """The names of the backends whose frameworks are installed."""
    found = []
    for name in available():
        try:
            get(name)
        except BackendNotFoundError:
            continue
        found.append(name)
    return tuple(found)


def native(backend: str, data: Any, dtype: str | None = None) -> Any:
    """A native array of these numbers, in memory of its own, on the device that is tested."""
    found = get(backend)
    return found.asarray(np.array(data, dtype=dtype), None, home(found), True)


def here(backend: str, value: Any) -> Any:
    """A native array, or what is in dictionaries and sequences of them, on the device that is tested."""
    found = get(backend)
    if isinstance(value, dict):
        return {name: here(backend, item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(here(backend, item) for item in value)
    device = home(found)
    return found.to_device(value, device) if device is not None and found.owns(value) else value


def needs_host_memory(backend: str) -> None:
    """Skip a test that lets NumPy look into the memory of tensors."""
    if home(get(backend)) not in (None, "cpu"):
        pytest.skip("NumPy sees host memory only")


def values(x: Any) -> np.ndarray[Any, Any]:
    """The numbers of a tensor (labels aside) or of a native array."""
    array = x.array if isinstance(x, Tensor) else x
    found = backend_of(array)
    assert found is not None
    return found.to_numpy(found.detach(array))


def refusal(kind: type[TensoriaError], action: Callable[[str], object], *parts: str) -> str:
    """What a refused action says, the same on every installed backend.

    Args:
        kind: the exact class of the error.
        action: what is refused; called with a backend's name.
        parts: texts that the message must contain.
    """
    said: dict[str, str] = {}
    for name in installed():
        try:
            result = action(name)
        except kind as error:
            if type(error) is not kind:
                raise AssertionError(f"{name}: {kind.__name__} expected, not {type(error).__name__}") from error
            said[name] = str(error)
        else:
            raise AssertionError(f"{name}: {kind.__name__} expected, and the result is {result!r}")
    texts = set(said.values())
    assert len(texts) == 1, f"the message differs between backends: {said}"
    (text,) = texts
    for part in parts:
        assert part in text, f"{part!r} is missing in:\n{text}"
    return text
