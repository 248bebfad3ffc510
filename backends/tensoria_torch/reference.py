"""A PyTorch module as it is: its results and gradients, which its program is compared with.

The module itself is called, never its export, for an export may have lost a derivative. It is left as it was: what a
call changes in buffers (running statistics) is put back, and `.grad` is not touched.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from tensoria.errors import PortingError
from tensoria.programs.captured import Reference

__all__ = ["reference", "substituted", "unpacked"]

Pull = Callable[[list[Any]], Sequence[Any]]


def unpacked(value: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The tensors in containers of any kind that PyTorch knows, and a function that puts others in their place."""
    leaves, spec = pytree.tree_flatten(value)
    places = [n for n, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def packed(tensors: Sequence[Any]) -> Any:
        changed = list(leaves)
        for n, tensor in zip(places, tensors, strict=True):
            changed[n] = tensor
        return pytree.tree_unflatten(changed, spec)

    return [leaves[n] for n in places], packed


def reference(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], pull: Pull | None, wide: bool, train: bool | None
) -> Reference:
    """The module's results, and the gradients that belong to cotangents of them.

    Args:
        module, args, kwargs: what is called with what.
        pull: gives for each result its cotangent, or None; None for no gradients.
        wide: whether float64 stands for float32, in a copy of the module.
        train: the mode; the module's for None.

    Raises:
        PortingError: the module can not be copied.
    """
    leaves, packed = unpacked((tuple(args), dict(kwargs)))
    if wide:
        try:
            module = copy.deepcopy(module).double()
        except Exception as error:
            raise PortingError(f"{type(module).__name__} has no copy in float64: {error}") from error
        leaves = [x.double() if x.dtype == torch.float32 else x for x in leaves]
    if pull is not None:
        leaves = [x.detach().requires_grad_() if x.is_floating_point() else x for x in leaves]
    args, kwargs = packed(leaves)
    with _kept(module, train), torch.set_grad_enabled(pull is not None):
        results = unpacked(module(*args, **kwargs))[0]
        if pull is None:
            return Reference(results, {}, [])
        given = [(y, g) for y, g in zip(results, pull([y.detach() for y in results]), strict=True) if g is not None]
        given = [(y, g.to(y.dtype)) for y, g in given if y.requires_grad]
        named = {name: x for name, x in module.named_parameters() if x.requires_grad}
        wanted = [*named.values(), *(x for x in leaves if x.requires_grad)]
        found: list[Any] = [None] * len(wanted)
        if given and wanted:
            outputs, cotangents = map(list, zip(*given, strict=True))
            found = list(torch.autograd.grad(outputs, wanted, cotangents, allow_unused=True))
        inputs = iter(found[len(named) :])
        return Reference(
            [y.detach() for y in results], dict(zip(named, found, strict=False)),
            [next(inputs) if x.requires_grad else None for x in leaves],
        )  # fmt: skip


@contextlib.contextmanager
def _kept(module: Any, train: bool | None) -> Iterator[None]:
    """Another mode; in the end buffers have their numbers, and modules their modes."""
    before = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    modes = [(part, part.training) for part in module.modules()]
    try:
        if train is not None:
            module.train(train)
        yield
    finally:
        for part, mode in modes:
            part.training = mode
        with torch.no_grad():
            for buffer, numbers in before:
                buffer.copy_(numbers)


@contextlib.contextmanager
def substituted(module: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Iterator[None]:
    """The module with other numbers in parameters and buffers, which get their own back in the end."""
    state = module.state_dict(keep_vars=True)
    held = {name: state[name] for name in arrays if name in state}
    before = {name: tensor.detach().clone() for name, tensor in held.items()}
    try:
        with torch.no_grad():
            for name, tensor in held.items():
                tensor.copy_(torch.as_tensor(arrays[name]))
        yield
    finally:
        with torch.no_grad():
            for name, tensor in held.items():
                tensor.copy_(before[name])
