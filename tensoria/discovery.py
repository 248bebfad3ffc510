"""Which backends there are, which one owns an array, and which one makes new tensors, on which device.

A framework is imported when it is first used, never at `import tensoria`; an array that arrives proves that its
framework is loaded already, so adoption looks through `sys.modules` before it loads anything. Third parties add a
backend by an entry point in the group `tensoria.backends`, named like the framework's module.
"""

from __future__ import annotations

import contextlib
import contextvars
import copyreg
import sys
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tensoria.backend import Backend
from tensoria.errors import BackendNotFoundError

if TYPE_CHECKING:
    import importlib.metadata

__all__ = [
    "GROUP",
    "NATIVE_TYPES",
    "available",
    "backend_of",
    "current",
    "get",
    "home",
    "loaded",
    "register",
    "run_on",
    "takes",
    "use",
]

GROUP = "tensoria.backends"

_current: contextvars.ContextVar[str] = contextvars.ContextVar("tensoria backend", default="numpy")
_loaded: dict[str, Backend] = {}
_loading = threading.RLock()
_entry_points: dict[str, importlib.metadata.EntryPoint] | None = None


def available() -> tuple[str, ...]:
    """The names of all registered backends, whether their frameworks are installed or not.

    >>> "numpy" in available()
    True
    """
    return tuple(_registered())


def _registered() -> dict[str, importlib.metadata.EntryPoint]:
    global _entry_points
    if _entry_points is None:
        import importlib.metadata  # costs as much as all of tensoria, and `import tensoria` needs no backend

        _entry_points = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    return _entry_points


def get(name: str) -> Backend:
    """The backend of that name, loaded with its framework on first use.

    Raises:
        BackendNotFoundError: none is registered by that name, or its framework is not installed.

    >>> get("numpy")
    <backend 'numpy'>
    """
    found = _loaded.get(name)
    if found is not None:
        return found
    with _loading:
        if name in _loaded:
            return _loaded[name]
        point = _registered().get(name)
        if point is None:
            known = ", ".join(map(repr, available()))
            raise BackendNotFoundError(f"no backend is named {name!r}; registered are {known}.")
        try:
            backend = point.load()
        except ModuleNotFoundError as error:
            raise BackendNotFoundError(
                f"the backend {name!r} needs the module {error.name!r}, which is not installed.",
                legal=f"pip install 'tensoria[{name}]'",
            ) from error
        except (ImportError, OSError) as error:
            raise BackendNotFoundError(f"the backend {name!r} is installed and does not load: {error}") from error
        _remember(name, backend)
        return backend  # type: ignore[no-any-return]


def register(backend: Backend, of: type) -> None:
    """Make a backend known that has no entry point: tensoria's own, whose arrays are of one type."""
    _remember(backend.name, backend)
    NATIVE_TYPES[of] = backend


def _remember(name: str, backend: Backend) -> None:
    # A pickle of a backend holds its name: there is one in a process.
    copyreg.pickle(type(backend), lambda known: (get, (known.name,)))
    _loaded[name] = backend


def loaded() -> tuple[Backend, ...]:
    """The backends that have been used already, so that their frameworks are imported."""
    return tuple(_loaded.values())


def backend_of(value: Any) -> Backend | None:
    """The backend that owns a native array, or None; the answer is remembered for each type."""
    return NATIVE_TYPES[type(value)] if type(value) in NATIVE_TYPES else _recognise(value)


def _recognise(value: Any) -> Backend | None:
    # An array's framework is imported already; among registered backends only such can own it. A backend whose name
    # is not its framework's is asked last, and only if it is loaded.
    for name in sorted(_registered(), key=lambda known: known != "numpy"):
        if name in sys.modules or name in _loaded:
            try:
                backend = get(name)
            except BackendNotFoundError:
                continue
            if backend.owns(value):
                NATIVE_TYPES.setdefault(type(value), backend)
                return backend
    return None


NATIVE_TYPES: dict[type, Backend] = {}
"""The backends of the types of native arrays that have been met."""


def current() -> Backend:
    """The backend on which new tensors are made: set by `use`, else NumPy."""
    return get(_current.get())


_homes: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar(
    "tensoria devices", default=MappingProxyType({})
)
_homed = 0
"""How many `use` blocks with a device are open, in any thread: compilers read a number, and no context variable."""


@contextlib.contextmanager
def use(backend: str, device: str | None = None) -> Iterator[Backend]:
    """Make a backend the one on which new tensors are made, for the duration of a `with` block.

    Args:
        backend: its name.
        device: where that backend's new tensors are made: what is made of numbers, shapes, seeds and other backends'
            tensors. Native arrays, and what is computed of tensors, stay where they are. Without it, the device of
            an outer block that names this backend, else the framework's own choice.

    The choices are context variables: threads and asynchronous tasks do not see each other's.

    Raises:
        BackendNotFoundError: there is none of that name.
        BackendError: it has no such device.

    >>> with use("numpy", device="cpu") as backend:
    ...     backend.name
    'numpy'
    """
    found = get(backend)
    with _placing(found, device):
        token = _current.set(backend)
        try:
            yield found
        finally:
            _current.reset(token)


@contextlib.contextmanager
def _placing(backend: Backend, device: str | None) -> Iterator[None]:
    global _homed
    if device is None:
        yield
        return
    token = _homes.set({**_homes.get(), backend.name: backend.known_device(device)})
    with _loading:
        _homed += 1
    try:
        yield
    finally:
        with _loading:
            _homed -= 1
        _homes.reset(token)


def home(backend: Backend, device: str | None = None) -> str | None:
    """Where a new tensor is made: on the device that is given, else on that of `use`; None if the framework chooses."""
    return _homes.get().get(backend.name) if device is None and _homed else device


_moved: contextvars.ContextVar[frozenset[tuple[Backend, Backend]]] = contextvars.ContextVar(
    "tensoria moved functions", default=frozenset()
)


@contextlib.contextmanager
def run_on(engine: Backend, own: Backend) -> Iterator[Backend]:
    """Run a function of one backend's tensors on another one, for the duration of a `with` block.

    New tensors are made there, and the former backend's that the function holds become constants beside its arguments.
    """
    with use(engine.name) as found:
        if own is engine:
            yield found
            return
        token = _moved.set(_moved.get() | {(own, engine)})
        try:
            yield found
        finally:
            _moved.reset(token)


def takes(target: Backend, source: Backend) -> bool:
    """Whether tensors of one backend become constants beside those of another: a program's, or a moved function's."""
    return target.lifts or (source, target) in _moved.get()
