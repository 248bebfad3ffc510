"""PyTorch's export of a module, made ready for lowering: open axes, gradients, and operators that stay whole."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import operator
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv
from torch.utils import _pytree as pytree

import tensoria
from tensoria.errors import PortingError, TensoriaError
from tensoria.programs.captured import Dynamic, open_axes
from tensoria.programs.dimensions import Dim
from tensoria.programs.trees import flatten
from tensoria_torch.containers import plain
from tensoria_torch.higher_order import inner_graphs
from tensoria_torch.leaves import kept_whole, replaced
from tensoria_torch.lowerings import IGNORED, LOWERINGS
from tensoria_torch.sizes import OWN

__all__ = ["exported", "in_mode", "is_size", "name_of", "named", "opened", "quantised"]


def named(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, positional ones first, as PyTorch flattens them.

    Raises:
        PortingError: the module can not be called with them.
    """
    signature = inspect.signature(module.forward)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = type(module).__name__
        raise PortingError(
            f"{name} can not be called with these arguments: {error}.",
            legal=f"examples of those of {name}{signature}: tn.port(model, args, kwargs), or a factory that returns "
            "(model, args, kwargs)",
        ) from error
    names: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}_{n}" for n in range(len(args) - len(names))]
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names.append(name)
    return {**dict(zip(names, args, strict=False)), **kwargs}


@contextlib.contextmanager
def in_mode(module: Any, train: bool | None) -> Iterator[None]:
    """For the duration of a `with` block the module trains or does not; as it stands for None.

    A module that trains already keeps the parts that do not.
    """
    before = [(part, part.training) for part in module.modules()]
    if train is not None and train != module.training:
        module.train(train)
    elif train is False:
        module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


QUANTISED = re.compile(
    r"Linear4bit|Linear8bitLt|Params4bit|Int8Params|QuantLinear|WQLinear|Quantized|HQQLinear|QTensor"
)
"""How classes of quantised modules and weights are called."""


def quantised(module: Any) -> list[str]:
    """The weights that are stored in fewer bits, which have no counterpart, by name."""
    found = []
    for name, part in module.named_modules():
        kind = type(part)
        if QUANTISED.search(kind.__name__) or ".quantized" in kind.__module__:
            found.append(f"{name or 'the model'}, a {kind.__name__}")
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        kind, short = type(tensor), str(tensor.dtype).removeprefix("torch.")
        few = short.startswith(("q", "float8", "float4", "bits"))
        if tensor.is_quantized or QUANTISED.search(kind.__name__) or few:
            found.append(f"{name}, a {kind.__name__} of {short}")
    return found


def exported(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic, given: Mapping[str, Any],
    distinct: bool = False,
) -> Any:  # fmt: skip
    """The module's graph of functional operators.

    Args:
        distinct: whether open axes have sizes of their own in the example, each another one: PyTorch takes sizes that
            are equal in the example for equal where the model compares them.

    Raises:
        PortingError: PyTorch does not export it.
    """
    large, shapes = _examples(given, dynamic, distinct)
    positional = tuple(list(large.values())[: len(args)])
    named = {name: large[name] for name in kwargs}
    try:
        with warnings.catch_warnings(), kept_whole(), _lines_of_models(), _without_log():
            warnings.simplefilter("ignore")
            made = torch.export.export(module, positional, named, strict=False, dynamic_shapes=shapes)
            _keep_gradient_guards(made.graph_module)
            inside = list(_cast_regions(made.graph_module))
            made = made.run_decompositions({})
            _placed(made.graph, inside)
            for _ in range(3):
                nodes = (node for part in inner_graphs(made.graph_module) for node in part.graph.nodes)
                unknown = {node.target for node in nodes if node.op == "call_function" and not _known(node)}
                if not unknown:
                    break
                known = {**_further(), **torch.export.default_decompositions()}
                table = {of: known[of] for of in unknown if of in known}
                if not table:
                    break
                made = made.run_decompositions(table)
    except TensoriaError:
        raise
    except GuardOnDataDependentSymNode as error:
        raise PortingError(
            f"{type(module).__name__} decides in Python by a number that depends on its input{_line_of(error)}.",
            legal="torch.where, or torch.cond and torch.while_loop, which programs have too",
        ) from error
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        what = f"PyTorch does not export {type(module).__name__}: {type(error).__name__}: {first}"
        raise PortingError(what.rstrip(".") + _line_of(error)) from error
    return made


def _line_of(error: Exception) -> str:
    """The last line of a model's own code that an error went through, if there is one."""
    ours = (os.path.dirname(torch.__file__), os.path.dirname(tensoria.__file__), os.path.dirname(__file__))
    library = os.path.dirname(os.__file__)
    own = [
        f"{of.filename}:{of.lineno}" for of in traceback.extract_tb(error.__traceback__)
        if not of.filename.startswith((*ours, "<"))
        and ("site-packages" in of.filename or not of.filename.startswith(library))
    ]  # fmt: skip
    return f", at {own[-1]}" if own else ""


@contextlib.contextmanager
def _lines_of_models() -> Iterator[None]:
    """A block in which what fixes a size is remembered with the model's line, and not with one of PyTorch's own."""
    before = ShapeEnv._get_user_frame

    def frame(self: Any) -> Any:
        found = inspect.currentframe()
        while found is not None and found.f_code.co_filename.startswith((OWN, os.path.dirname(__file__))):
            if found.f_code is exported.__code__:
                return before(self)
            found = found.f_back
        return found

    with replaced((ShapeEnv, "_get_user_frame", frame)):
        yield


_TALKING = ("torch._subclasses.fake_tensor", "torch.fx.experimental.symbolic_shapes")


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """A block in which PyTorch does not print what it raises anyway, its own frames and the graph so far."""
    loggers = [logging.getLogger(name) for name in _TALKING]
    before = [logger.disabled for logger in loggers]
    printed, graph = io.StringIO(), ""
    for logger in loggers:
        logger.disabled = True
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except Exception as error:
        graph = f"{error.partial_fx_graph}\n" if hasattr(error, "partial_fx_graph") else ""
        raise
    finally:
        # What the model itself prints stays.
        text = printed.getvalue()
        sys.stderr.write(text.replace(graph, "") if graph else text)
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was


def opened(dynamic: Dynamic, given: Mapping[str, Any]) -> list[tuple[str, Any, Sequence[Any]]]:
    """The arguments' tensors in order: the argument's name, the tensor, and what each of its axes is to be called.

    Raises:
        PortingError: an entry fits no tensor.
    """
    found = []
    for root, value in given.items():
        leaves, tree = flatten(plain(value), lambda leaf: isinstance(leaf, torch.Tensor))
        found += [(root, path, leaf) for path, leaf in zip(tree.names(root), leaves, strict=True)]
    names = open_axes(dynamic, [(root, path, leaf.ndim) for root, path, leaf in found])
    return [(root, leaf, sizes) for (root, _, leaf), sizes in zip(found, names, strict=True)]


def _examples(given: Mapping[str, Any], dynamic: Dynamic, distinct: bool) -> tuple[dict[str, Any], Any]:
    """The arguments with sizes that keep open axes open, and what export is told about their shapes."""
    found = opened(dynamic, given)
    sizes = _sizes(found, distinct)
    made: dict[str, list[Any]] = {root: [] for root in given}
    shapes = torch.export.ShapesCollection()
    for root, leaf, names in found:
        for axis, name in enumerate(names):
            if name is not None and leaf.shape[axis] != sizes[str(name)]:
                leaf = leaf.index_select(axis, torch.arange(sizes[str(name)]) % leaf.shape[axis])
        leaf = leaf.detach().clone().requires_grad_(leaf.requires_grad and leaf.is_leaf)  # told by its identity
        made[root].append(leaf)
        axes = {axis: torch.export.Dim.AUTO for axis, name in enumerate(names) if name is not None}
        if axes:
            shapes[leaf] = axes
    arguments = {}
    for root, value in given.items():
        leaves, tree = pytree.tree_flatten(value)
        rest = iter(made[root])
        leaves = [next(rest) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        arguments[root] = pytree.tree_unflatten(leaves, tree)
    return arguments, shapes if dynamic else None


def _sizes(found: Sequence[tuple[str, Any, Sequence[Any]]], distinct: bool) -> dict[str, int]:
    """A size for each name: the example's; but none of 0 or 1, which PyTorch takes for the only one."""
    sizes: dict[str, int] = {}
    taken = {n for _, leaf, names in found for n, name in zip(leaf.shape, names or (None,) * leaf.ndim, strict=True)
             if name is None}  # fmt: skip
    for _, leaf, names in found:
        for size, name in zip(leaf.shape, names, strict=bool(names)):
            if name is None or str(name) in sizes:
                continue
            size = max(size, 2)
            upper = name.bounds()[1] if isinstance(name, Dim) else None
            times = 1
            while distinct and size * times in taken and (upper is None or size * (times + 1) <= upper):
                times += 1
            sizes[str(name)] = size * times
            taken.add(size * times)
    return sizes


FURTHER = (
    "dist.default", "ldexp.Tensor", "convolution_backward.default",
    "native_batch_norm_backward.default", "max_pool2d_with_indices_backward.default", "avg_pool2d_backward.default",
    "_native_batch_norm_legit.default",
)  # fmt: skip
"""Operators that PyTorch can take apart and by default does not."""


def _further() -> dict[Any, Any]:
    from torch._decomp import decomposition_table

    return {of: how for of, how in decomposition_table.items() if str(of).removeprefix("aten.") in FURTHER}


REGION = "a region of automatic casts"


def _cast_regions(graph: Any) -> Iterator[tuple[str, Any]]:
    """The operators in regions of automatic casts, and what their nodes know of module and line; regions are marked."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and getattr(node.target, "__name__", "") == "wrap_with_autocast":
            node.meta["stack_trace"] = REGION
            body = getattr(graph, node.args[4].target)
            for part in body.graph.nodes:
                if part.op == "call_function":
                    yield name_of(part), part.meta
            yield from _cast_regions(body)


def _placed(graph: Any, inside: Sequence[tuple[str, Any]]) -> None:
    """Give nodes of such regions their lines back, which decomposition forgets: they are in the same order."""
    at = 0
    for node in graph.nodes:
        if not inside or node.op != "call_function" or REGION not in (node.meta.get("stack_trace") or ""):
            continue
        found = next((n for n in range(at, len(inside)) if inside[n][0] == name_of(node)), None)
        meta = inside[min(at, len(inside) - 1) if found is None else found][1]
        at = at if found is None else found + 1
        for key in ("stack_trace", "nn_module_stack"):
            if key in meta:
                node.meta[key] = meta[key]


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
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target)
    name = getattr(node.target, "__name__", "")
    return f"{name}({node.args[1]})" if name == "with_effects" else name


def is_size(node: Any) -> bool:
    """Whether a node is a number and no tensor."""
    return isinstance(node.meta.get("val"), (int, float, bool, torch.SymInt, torch.SymBool, torch.SymFloat))


def _known(node: Any) -> bool:
    return is_size(node) or node.target is operator.getitem or name_of(node) in LOWERINGS or name_of(node) in IGNORED
