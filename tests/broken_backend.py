"""Copies of the NumPy backend that are wrong on purpose, registered for the duration of a `with` block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tensoria import discovery as registry
from tensoria import modules
from tensoria.backend import Backend
from tensoria.discovery import get

NAME = "broken"
H = 1e-5


class Overlay:
    """A namespace with some of its functions replaced; a name such as `linalg.qr` replaces one of an extension."""

    def __init__(self, native: Any, replaced: Mapping[str, Callable[..., Any]]) -> None:
        self._native, self._replaced = native, dict(replaced)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._native, name)
        if isinstance(value, ModuleType):
            inner = {key.removeprefix(f"{name}."): f for key, f in self._replaced.items() if key.startswith(f"{name}.")}
            return Overlay(value, inner)
        change = self._replaced.get(name)
        return value if change is None else change(value)


def copy_of_numpy(
    xp: Mapping[str, Callable[..., Any]] = {},
    operators: Mapping[str, Callable[..., Any]] = {},
    kernels: Mapping[str, Callable[..., Any]] = {},
    methods: Mapping[str, Callable[..., Any]] = {},
) -> Backend:
    """The NumPy backend with some functions changed; each entry makes the wrong function of the right one.

    It differentiates, by difference quotients, so that gradients can be wrong where no other framework is installed.
    """
    whole = get("numpy")
    made = type(whole)()
    made.name = NAME
    made.xp = Overlay(whole.xp, xp)
    made.operators = {key: operators[key](f) if key in operators else f for key, f in whole.operators.items()}
    changed = {key: change(getattr(whole.kernels, key)) for key, change in kernels.items()}
    made.kernels = whole.kernels._replace(**changed)
    vars(made).update(version=whole.version, differentiates=True, vjp=difference_quotients)
    for key, change in methods.items():
        vars(made)[key] = change(getattr(made, key))
    return made


Function = Callable[..., tuple[list[Any], list[Any]]]
Pull = Callable[[Sequence[Any]], list[Any]]


def difference_quotients(
    function: Function, arrays: Sequence[Any], reuse: bool = True
) -> tuple[list[Any], list[Any], Pull]:
    """Reverse derivatives by central differences of fourth order, d/dx - i d/dy for complex x (see `Backend.vjp`)."""
    outputs, further = function(*arrays)

    def pull(cotangents: Sequence[Any]) -> list[Any]:
        gradients = []
        for n, array in enumerate(arrays):
            gradient = np.zeros(array.shape, array.dtype)
            for place in np.ndindex(array.shape):
                for unit in (1, 1j) if np.iscomplexobj(array) else (1,):

                    def moved(step: float, n: int = n, place: Any = place, unit: complex = unit) -> float:
                        there = np.array(arrays[n])
                        there[place] += step * unit
                        values = function(*arrays[:n], there, *arrays[n + 1 :])[0]
                        return float(np.real(sum(np.sum(c * y) for c, y in zip(cotangents, values, strict=True))))

                    slope = (8 * (moved(H) - moved(-H)) - (moved(2 * H) - moved(-2 * H))) / (12 * H)
                    gradient[place] += slope if unit == 1 else -1j * slope
            gradients.append(gradient)
        return gradients

    return outputs, further, pull


def pulled(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A wrong `vjp`: every gradient is changed."""

    def wrong(right: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            outputs, further, pull = right(*arguments, **options)
            return outputs, further, lambda cotangents: [change(g) for g in pull(cotangents)]

        return call

    return wrong


class EntryPoint:
    """What importlib.metadata would find if the backend were installed."""

    def __init__(self, name: str, backend: Backend) -> None:
        self.name, self.backend = name, backend

    def load(self) -> Backend:
        return self.backend


@contextlib.contextmanager
def registered(backend: Backend) -> Iterator[str]:
    """Have a backend as if its package were installed."""
    name, before = backend.name, registry._registered()
    assert name not in before, f"{name} is registered already"
    registry._entry_points = {**before, name: EntryPoint(name, backend)}  # type: ignore[dict-item]
    try:
        yield name
    finally:
        registry._entry_points = before
        registry._loaded.pop(name, None)
        modules._made.pop(name, None)
        for kind in [kind for kind, found in registry.NATIVE_TYPES.items() if found is backend]:
            del registry.NATIVE_TYPES[kind]
