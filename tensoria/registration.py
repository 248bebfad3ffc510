"""Libraries that have to be told of the tensor: einops and autoray, which find a backend by an array's type.

Everything else asks the tensor itself (`__array_namespace__`) or its module (opt_einsum: `tensoria.tensordot`). These
two keep a register, and can be told only once they are imported: now, if they are, and else by a finder that waits
for their import. Neither is imported by us.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from tensoria.einsum import einsum
from tensoria.making import asarray
from tensoria.namespace import creation, data_types, linalg, manipulation, statistical, utility
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = ["NUMPY_NAMES", "register"]

NUMPY_NAMES = {
    "absolute": "abs", "amax": "max", "amin": "min", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin",
    "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "array": "asarray",
    "concatenate": "concat", "conjugate": "conj", "cumprod": "cumulative_prod", "cumsum": "cumulative_sum",
    "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "power": "pow",
    "right_shift": "bitwise_right_shift", "true_divide": "divide",
}  # fmt: skip
"""NumPy's names of functions that have other ones in the standard."""


def register_einops() -> None:
    """einops' functions on plain tensors; labelled ones have `t.rearrange`, which knows what becomes of indices."""
    from einops._backends import AbstractBackend

    class TensorBackend(AbstractBackend):  # type: ignore[misc]  # einops has no types
        framework_name = "tensoria"

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Tensor)

        def from_numpy(self, x: Any) -> Tensor:
            return asarray(x)

        def to_numpy(self, x: Tensor) -> Any:
            return x.__array__()

        def arange(self, start: int, stop: int) -> Tensor:
            return creation.arange(start, stop)

        def shape(self, x: Tensor) -> tuple[int, ...]:
            x.__array_namespace__()  # refuses labels
            return x.shape

        def reshape(self, x: Tensor, shape: Sequence[int]) -> Any:
            return manipulation.reshape(x, tuple(shape))

        def transpose(self, x: Tensor, axes: Sequence[int]) -> Any:
            return manipulation.permute_dims(x, tuple(axes))

        def reduce(self, x: Tensor, operation: str, axes: Sequence[int]) -> Any:
            chapter = utility if operation in ("any", "all") else statistical
            return getattr(chapter, operation)(x, axis=tuple(axes))

        def stack_on_zeroth_dimension(self, tensors: list[Tensor]) -> Any:
            return manipulation.stack(tensors)

        def add_axis(self, x: Tensor, new_position: int) -> Any:
            return manipulation.expand_dims(x, axis=new_position)

        def tile(self, x: Tensor, repeats: Sequence[int]) -> Any:
            return manipulation.tile(x, tuple(repeats))

        def concat(self, tensors: list[Tensor], axis: int) -> Any:
            return manipulation.concat(tensors, axis=axis)

        def is_float_type(self, x: Tensor) -> bool:
            return x.dtype.kind == "float"

        def einsum(self, pattern: str, *x: Tensor) -> Any:
            return einsum(pattern, *x)

    REGISTERED["einops"] = TensorBackend  # einops looks through the living subclasses of its own class


def register_autoray() -> None:
    """NumPy's names, which autoray's users write, for the standard's functions.

    autoray knows one backend for each type, and a tensor's type does not say its framework: `like=t` would create on
    the current backend (`tn.use`), `like="tensoria.torch"` creates on a named one.
    """
    from autoray import register_function

    for theirs, ours in NUMPY_NAMES.items():
        register_function("tensoria", theirs, alias=ours)
    for name in ("trace", "diagonal", "outer"):
        register_function("tensoria", name, fn=getattr(linalg, name))
    register_function("tensoria", "astype", fn=data_types.astype)
    register_function("tensoria", "ravel", fn=lambda x: manipulation.reshape(tensor_of(x, "ravel"), (-1,)))


REGISTERED: dict[str, Any] = {}
WAITING: dict[str, Callable[[], None]] = {"einops": register_einops, "autoray": register_autoray}
"""What is to be told to a library once it is imported."""


class Registrar:
    """Finds the libraries that are waited for as the other finders do, with a word to say after their import."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in WAITING:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = Telling(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class Telling:
    """A loader that tells a module of the tensor after another loader has loaded it.

    Neither class has a base: `importlib.abc` imports a good part of the standard library.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _tell(module.__name__)


def _tell(name: str) -> None:
    tell = WAITING.pop(name, None)
    if tell is not None:
        tell()


def register() -> None:
    """Tell what is imported, and wait for the rest."""
    for name in [name for name in WAITING if name in sys.modules]:
        _tell(name)
    if not any(isinstance(finder, Registrar) for finder in sys.meta_path):
        sys.meta_path.insert(0, Registrar())
