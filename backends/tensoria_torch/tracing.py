"""What PyTorch's compilers and transforms have to know of tensoria.

* `Tensor` is a pytree node: one array, and axes and backend as context, so that `torch.func`, `torch.export` and
  compiled functions take and return tensors.
* `Structure` values are constants ("opaque values", guarded by equality), and what the `oracle` is asked is answered
  for real at trace time: tracing through our caches would guard on dictionaries that grow, and recompile for ever.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch.utils._pytree as pytree
from torch._library.opaque_object import MemberType, register_opaque_type

from tensoria.indices import bare
from tensoria.pytree import register_optree
from tensoria.structure import Structure
from tensoria.tensor import Tensor
from tensoria_torch.backend import backend

__all__ = ["register"]


def _context(t: Tensor) -> Any:
    # Export writes contexts down as constants, and a backend is none: it is only named for another framework's tensor.
    # A transformation may put anything in the leaf's place: declared symmetries stay behind.
    of = bare(t._axes)
    return of if t._backend is backend else (of, t._backend)


def _flatten(t: Tensor) -> tuple[list[Any], Any]:
    return [t._array], _context(t)


def _flatten_with_keys(t: Tensor) -> tuple[list[tuple[Any, Any]], Any]:
    return [(pytree.GetAttrKey("array"), t._array)], _context(t)


def _unflatten(leaves: Sequence[Any], context: Any) -> Tensor:
    of, owner = context if type(context) is tuple else (context, backend)
    (leaf,) = leaves
    return Tensor.from_parts(leaf, of, owner)


_registered = False


def register() -> None:
    """Tell PyTorch once."""
    global _registered
    if _registered:
        return
    _registered = True
    pytree.register_pytree_node(
        Tensor,
        _flatten,
        _unflatten,
        serialized_type_name="tensoria.Tensor",
        flatten_with_keys_fn=_flatten_with_keys,
    )
    register_optree()
    if (name := "torch._dynamo.variables.builtin") in sys.modules:
        _teach_operators()
    else:
        sys.meta_path.insert(0, _AfterImport(name, _teach_operators))
    for kind in _kinds(Structure):
        members = {name: MemberType.USE_REAL for name in dir(kind) if callable(getattr(kind, name, None))}
        register_opaque_type(kind, typ="value", members=members)


def _teach_operators() -> None:
    """Let TorchDynamo trace `@` and `~` of user-defined objects, which PyTorch 2.13 leaves out of its operators."""
    from torch._dynamo.variables.builtin import BuiltinVariable
    from torch._dynamo.variables.user_defined import UserDefinedObjectVariable

    def call_invert(self: Any, tracer: Any, operand: Any) -> Any:
        # None leaves all other operands to the ways that PyTorch has for them.
        known = isinstance(operand, UserDefinedObjectVariable)
        return operand.call_method(tracer, "__invert__", [], {}) if known else None

    names = ["__matmul__", "__rmatmul__", "__imatmul__"]
    BuiltinVariable._binops().setdefault(operator.matmul, (names, operator.imatmul))
    if not hasattr(BuiltinVariable, "call_invert"):
        BuiltinVariable.call_invert = call_invert


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls back once, when a module that is expensive to import has been imported by somebody else."""

    def __init__(self, name: str, callback: Callable[[], None]) -> None:
        self.name, self.callback = name, callback

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            self.callback()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _kinds(base: type) -> list[type]:
    # A dataclass with slots is made twice; only the second one is what its module knows by that name.
    found = [base] if getattr(sys.modules[base.__module__], base.__name__, None) is base else []
    return found + [kind for below in base.__subclasses__() for kind in _kinds(below)]
