"""Lowerings of a user's own: what an operator of a framework means, written in tensoria.

An operator that no backend knows (a custom one, compiled for some device, say) is told once, as a function of tensors;
models that call it are then ported like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tensoria.discovery import get
from tensoria.indices import PLAIN
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.symbolic import backend as symbolic
from tensoria.tensor import Tensor

__all__ = ["lowering"]

F = TypeVar("F", bound=Callable[..., Any])


def lowering(operator: str, *, backend: str) -> Callable[[F], F]:
    """Say what an operator of a framework means, for all models that are ported from now on.

    Args:
        operator: its name: of PyTorch `"library::operator"`, or with an overload `"library.operator.overload"`; of
            TensorFlow the type of its node.
        backend: the framework's name.

    Returns:
        A decorator for a function that is given the operator's arguments in its order, tensors for tensors and what
        else there is as it is, and returns a tensor, or a tuple of them, by tensoria's functions. Results of another
        shape or data type than the framework's are refused when a model is ported.

    Raises:
        BackendError: the backend captures no models.

    >>> import torch
    >>> import tensoria as tn
    >>> @torch.library.custom_op("shop::softsign", mutates_args=())
    ... def softsign(x: torch.Tensor, scale: float) -> torch.Tensor:
    ...     return scale * x / (1 + x.abs())
    >>> _ = softsign.register_fake(lambda x, scale: torch.empty_like(x))
    >>> class Module(torch.nn.Module):
    ...     def forward(self, x):
    ...         return softsign(x, 2.0)
    >>> print(tn.coverage(Module(), (torch.ones(2),)))  # doctest: +ELLIPSIS
    1 operators, 1 calls; 0 calls are ported
      shop.softsign.default, 1 times: ...
    >>> @tn.lowering("shop::softsign", backend="torch")
    ... def lowered(x, scale):
    ...     return scale * x / (1 + tn.abs(x))
    >>> tn.port(Module(), (torch.ones(2),)).run(torch.ones(2), backend="numpy").array
    array([1., 1.], dtype=float32)
    """

    def register(function: F) -> F:
        def lower(*args: Any, **kwargs: Any) -> Any:
            found = function(*map(_given, args), **{name: _given(value) for name, value in kwargs.items()})
            return tuple(map(_array, found)) if isinstance(found, (tuple, list)) else _array(found)

        get(backend).register_lowering(operator, lower)
        return function

    return register


def _given(value: Any) -> Any:
    if isinstance(value, SymbolicArray):
        return Tensor.from_parts(value, PLAIN, symbolic)
    return [_given(item) for item in value] if isinstance(value, (list, tuple)) else value


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else value
