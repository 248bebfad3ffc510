"""PyTorch's export of a module, made ready for lowering: open axes, gradients, and operators that stay whole."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from tensoria.errors import PortingError, TensoriaError
from tensoria.programs.captured import Dynamic
from tensoria_torch.leaves import kept_whole
from tensoria_torch.lowerings import IGNORED, LOWERINGS

__all__ = ["exported", "is_size", "name_of", "named"]


def named(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, positional ones first, as PyTorch flattens them."""
    names: list[str] = []
    for name, parameter in inspect.signature(module.forward).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}_{n}" for n in range(len(args) - len(names))]
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names.append(name)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def exported(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic, given: Mapping[str, Any]
) -> Any:
    """The module's graph of functional operators.

    Raises:
        PortingError: PyTorch does not export it.
    """
    for name in dynamic:
        if name not in given:
            raise PortingError(f"dynamic= names {name!r}; the arguments are {', '.join(given)}.")
    shapes = {name: _open(dynamic.get(name), value, name) for name, value in given.items()}
    large = {name: _enlarged(dynamic.get(name), value) for name, value in given.items()}
    positional = tuple(list(large.values())[: len(args)])
    named = {name: large[name] for name in kwargs}
    # Arguments by names that the module does not have (those of `*args`) are told by position.
    plain = set(given) <= set(inspect.signature(module.forward).parameters)
    wanted: Any = shapes if plain else (*list(shapes.values())[: len(args)], *(shapes[name] for name in kwargs))
    try:
        with warnings.catch_warnings(), kept_whole():
            warnings.simplefilter("ignore")
            made = torch.export.export(
                module, positional, named, strict=False, dynamic_shapes=wanted if dynamic else None
            )
            _keep_gradient_guards(made.graph_module)
            made = made.run_decompositions({})
            for _ in range(3):
                unknown = {node.target for node in made.graph.nodes if node.op == "call_function" and not _known(node)}
                known = torch.export.default_decompositions()
                table = {of: known[of] for of in unknown if of in known}
                if not table:
                    break
                made = made.run_decompositions(table)
    except TensoriaError:
        raise
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        what = f"PyTorch does not export {type(module).__name__}: {type(error).__name__}: {first}"
        raise PortingError(what) from error
    return made


def _open(sizes: Sequence[Any] | None, value: Any, name: str) -> Any:
    """What export is told: which axes may change."""
    if sizes is not None:
        if not isinstance(value, torch.Tensor) or len(sizes) != value.ndim:
            raise PortingError(f"dynamic= has {len(sizes)} entries for {name}, which does not have as many axes.")
        return {axis: torch.export.Dim.AUTO for axis, size in enumerate(sizes) if size is not None}
    return pytree.tree_map(lambda leaf: None, value)


def _enlarged(sizes: Sequence[Any] | None, value: Any) -> Any:
    """An example in which no open axis has the size 0 or 1, which PyTorch takes for the only one."""
    for axis, size in enumerate(sizes or ()):
        if size is not None and value.shape[axis] == 1:
            value = value.repeat_interleave(2, dim=axis)
    return value


def _keep_gradient_guards(graph: Any) -> None:
    """A region without gradients, of which decomposition forgets that it is one, becomes what it computes, detached."""
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or getattr(node.target, "__name__", "") != "wrap_with_set_grad_enabled":
            continue
        enabled, inner, *operands = node.args
        body = getattr(graph, inner.target)
        _keep_gradient_guards(body)
        held = dict(zip([n for n in body.graph.nodes if n.op == "placeholder"], operands, strict=True))
        with graph.graph.inserting_before(node):
            for part in body.graph.nodes:
                if part.op == "output":
                    results = part.args[0]
                elif part.op == "get_attr":
                    name = f"{inner.target}_{part.target}".replace(".", "_")
                    setattr(graph, name, getattr(body, part.target))
                    held[part] = graph.graph.get_attr(name)
                    held[part].meta = dict(part.meta)
                elif part.op != "placeholder":
                    held[part] = graph.graph.node_copy(part, held.__getitem__)
            found = []
            for result in results if isinstance(results, (tuple, list)) else (results,):
                now = held[result] if isinstance(result, torch.fx.Node) else result
                value = now.meta.get("val") if isinstance(now, torch.fx.Node) else None
                if not enabled and isinstance(value, torch.Tensor) and value.dtype.is_floating_point:
                    detached = graph.graph.call_function(torch.ops.aten.detach.default, (now,))
                    detached.meta = dict(now.meta)
                    now = detached
                found.append(now)
        for user in list(node.users):
            if user.target is operator.getitem:
                user.replace_all_uses_with(found[user.args[1]])
                graph.graph.erase_node(user)
        if node.users:
            node.replace_all_uses_with(found[0])
        graph.graph.erase_node(node)
    graph.graph.lint()
    graph.recompile()


def name_of(node: Any) -> str:
    """The operator's overload, `aten.add.Tensor`."""
    return str(node.target) if isinstance(node.target, torch._ops.OpOverload) else getattr(node.target, "__name__", "")


def is_size(node: Any) -> bool:
    """Whether a node is a number and no tensor."""
    return isinstance(node.meta.get("val"), (int, float, bool, torch.SymInt, torch.SymBool, torch.SymFloat))


def _known(node: Any) -> bool:
    return is_size(node) or node.target is operator.getitem or name_of(node) in LOWERINGS or name_of(node) in IGNORED
