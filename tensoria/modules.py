"""A module for each backend that holds all of the Array API: `tensoria.namespace("torch")`, or `import tensoria.torch`.

Functions of arrays are the ones of the top level, because a tensor knows its backend; functions that create tensors
are bound to the module's. The modules are made when they are first asked for, and their frameworks imported then: a
finder at the end of `sys.meta_path`, fed by the entry points, makes them importable.
"""

from __future__ import annotations

import functools
import importlib.machinery
import inspect
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tensoria import dtypes, making
from tensoria.discovery import available, get
from tensoria.errors import BackendNotFoundError
from tensoria.namespace import (
    constants,
    creation,
    data_types,
    elementwise,
    fft,
    indexing,
    inspection,
    linalg,
    linear_algebra,
    manipulation,
    searching,
    sets,
    sorting,
    statistical,
    utility,
)
from tensoria.structure import structural

__all__ = ["Namespace", "namespace"]

ROOT = "tensoria"
VERSION = "2025.12"
CHAPTERS = (
    constants, creation, data_types, elementwise, indexing, linear_algebra, manipulation, searching, sets, sorting,
    statistical, utility,
)  # fmt: skip
EXTENSIONS = {"fft": fft, "linalg": linalg}


class Namespace(ModuleType):
    """The Array API 2025.12 on one backend; a module, so that it is importable, hashable and one of a kind.

    >>> namespace("numpy").zeros((2, 3)).shape
    (2, 3)
    """

    def __repr__(self) -> str:
        return f"<Array API namespace {self.__name__!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


@structural
def namespace(backend: str) -> Namespace:
    """The module that holds all of the Array API, bound to a backend.

    Args:
        backend: the backend's name; its framework is imported now.

    Raises:
        BackendNotFoundError: none is registered by that name, or its framework is not installed.

    >>> xp = namespace("numpy")
    >>> xp.__name__, xp.sum(xp.asarray([1, 2])).array
    ('tensoria.numpy', np.int64(3))
    """
    found = _made.get(backend)
    if found is not None:
        return found
    get(backend)
    with _making:
        if backend not in _made:
            _made[backend] = _make(backend)
        return _made[backend]


_made: dict[str, Namespace] = {}
_making = threading.RLock()


def _make(backend: str) -> Namespace:
    module = Namespace(f"{ROOT}.{backend}", f"The Array API {VERSION} on the backend {backend!r}.")
    names = _names(CHAPTERS, backend) | {"asarray": _bound(making.asarray, backend)}
    for name, of in dtypes.DTYPES.items():
        names[name] = of
    for name, chapter in EXTENSIONS.items():
        names[name] = extension = Namespace(f"{module.__name__}.{name}", chapter.__doc__)
        found = _names((chapter,), backend)
        extension.__dict__.update(found, __all__=sorted(found))
    names["__array_namespace_info__"] = functools.partial(inspection.NamespaceInfo, backend)
    module.__dict__.update(
        names,
        __all__=sorted(name for name in names if not name.startswith("__")),
        __path__=[],  # a package, whose modules are the extensions
        __array_api_version__=VERSION,
        __version__=get(backend).version(),
    )
    return module


def _names(chapters: tuple[ModuleType, ...], backend: str) -> dict[str, Any]:
    found = {}
    for chapter in chapters:
        for name in chapter.__all__:
            value = getattr(chapter, name)
            creates = inspect.isfunction(value) and "backend" in inspect.signature(value).parameters
            found[name] = _bound(value, backend) if creates else value
    return found


def _bound(function: Callable[..., Any], backend: str) -> Callable[..., Any]:
    """A function that creates tensors, on one backend."""

    @functools.wraps(function)
    def bound(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, backend=backend, **options)

    whole = inspect.signature(function)
    kept = [parameter for name, parameter in whole.parameters.items() if name != "backend"]
    bound.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
    return bound


# -- importing --------------------------------------------------------------------------------------------------------


class Finder:
    """Finds and loads `tensoria.<backend>` and its extensions for every registered backend.

    It has no base class, since `importlib.abc` imports a good part of the standard library.
    """

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        root, _, rest = fullname.partition(".")
        backend, _, extension = rest.partition(".")
        if root != ROOT or backend not in available() or extension not in ("", *EXTENSIONS):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=not extension)  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        backend, _, extension = spec.name.partition(".")[2].partition(".")
        try:
            module = namespace(backend)
        except BackendNotFoundError as error:
            raise ModuleNotFoundError(str(error), name=spec.name) from error
        return getattr(module, extension) if extension else module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do: the module was made whole."""


if not any(isinstance(finder, Finder) for finder in sys.meta_path):
    sys.meta_path.append(Finder())
