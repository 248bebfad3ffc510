"""Programs as modules of PyTorch: a graph of `torch.fx` with PyTorch's own modules where parameters belong to one.

A linear map whose parameters are `encoder.0.weight` and `encoder.0.bias` becomes an `nn.Linear` at `encoder.0`, and so
do convolutions, normalisations and embeddings; other parameters stand under their names as they are. So the state has
the program's names, and the module trains, compiles and exports like one that was written by hand. Of a program with
both modes there are two graphs over one state, and the module's `training` says which (`modes`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

from tensoria.errors import PortingError
from tensoria.programs.base import BaseProgram
from tensoria.programs.dialects import CONTROL, Writer
from tensoria.programs.dimensions import Dim
from tensoria.programs.operations.neural import image
from tensoria.programs.passes import Chosen, lowered
from tensoria.programs.state import in_modes
from tensoria.programs.trees import Tree
from tensoria.programs.types import Instruction, Literal, Operand, Region, Type, Value
from tensoria_torch.control import CONTROLLED
from tensoria_torch.graphs import fused, noted
from tensoria_torch.memory import orders
from tensoria_torch.modes import TwoModes
from tensoria_torch.source import DIALECT
from tensoria_torch.statistics import learning

__all__ = ["made"]

Spec: TypeAlias = "tuple[type[nn.Module], dict[str, Any], dict[str, Operand], tuple[Operand, ...]]"
"""A module's class, what it is made with, its parameters by role, and its arguments."""


class Constant(nn.Module):
    """Numbers that are no part of the state."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.register_buffer("value", value, persistent=False)

    def forward(self) -> Any:
        return self.value


class Drawn(nn.Module):
    """A random key, from PyTorch's generator if none is given."""

    def forward(self, key: Any = None) -> Any:
        return torch.randint(0, 2**32, (2,), dtype=torch.int64).to(torch.uint32) if key is None else key


def _fixed(kind: Any) -> Any:
    """A batch normalisation that keeps its statistics in training too: the program was captured so."""

    class Fixed(kind):  # type: ignore[misc]
        def train(self, mode: bool = True) -> Any:
            return super().train(False)

    Fixed.__name__ = Fixed.__qualname__ = f"Fixed{kind.__name__}"
    return Fixed


FixedBatchNorm1d, FixedBatchNorm2d, FixedBatchNorm3d = map(_fixed, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))


# -- PyTorch's own modules --------------------------------------------------------------------------------------------


def _roles(names: Sequence[str], operands: Sequence[Operand]) -> dict[str, Operand]:
    return dict(zip(names, operands, strict=False))


def _linear(made: Instruction) -> Spec | None:
    x, weight, *bias = made.operands
    out, width = weight.type.shape
    options = {"in_features": width, "out_features": out, "bias": bool(bias)}
    return nn.Linear, options, _roles(("weight", "bias"), (weight, *bias)), (x,)


def _embedding(made: Instruction) -> Spec | None:
    weight, indices = made.operands
    count, width = weight.type.shape
    return nn.Embedding, {"num_embeddings": count, "embedding_dim": width}, {"weight": weight}, (indices,)


def _convolution(made: Instruction) -> Spec | None:
    x, kernel, *bias = made.operands
    of = made.attributes
    space = len(of["strides"])
    even = all(low == high for low, high in of["padding"])
    if of["numbers"] != (image(space), image(space, "OI"), image(space)) or not even:
        return None
    options = {
        "in_channels": kernel.type.shape[1] * of["groups"], "out_channels": kernel.type.shape[0],
        "kernel_size": kernel.type.shape[2:], "stride": of["strides"], "padding": tuple(n for n, _ in of["padding"]),
        "dilation": of["dilation"], "groups": of["groups"], "bias": bool(bias),
    }  # fmt: skip
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[space - 1], options, _roles(("weight", "bias"), (kernel, *bias)), (x,)


def _convolution_transpose(made: Instruction) -> Spec | None:
    x, kernel, *bias = made.operands
    of = made.attributes
    space = len(of["strides"])
    more = tuple(low - high for low, high in of["padding"])
    if of["numbers"] != (image(space), image(space, "IO"), image(space)):
        return None
    if any(not 0 <= n < max(s, d) for n, s, d in zip(more, of["strides"], of["dilation"], strict=True)):
        return None
    options = {
        "in_channels": kernel.type.shape[0], "out_channels": kernel.type.shape[1] * of["groups"],
        "kernel_size": kernel.type.shape[2:], "stride": of["strides"], "padding": tuple(n for n, _ in of["padding"]),
        "output_padding": more, "dilation": of["dilation"], "groups": of["groups"], "bias": bool(bias),
    }  # fmt: skip
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[space - 1]
    return kind, options, _roles(("weight", "bias"), (kernel, *bias)), (x,)


def _layer_norm(made: Instruction) -> Spec | None:
    x, *scale = made.operands
    shape = x.type.shape[made.attributes["axes"][0] :]
    options = {"normalized_shape": shape, "eps": made.attributes["epsilon"], "bias": len(scale) > 1}
    return nn.LayerNorm, options, _roles(("weight", "bias"), scale), (x,)


def _group_norm(made: Instruction) -> Spec | None:
    x, *scale = made.operands
    if len(scale) != 2:
        return None
    options = {
        "num_groups": made.attributes["groups"], "num_channels": x.type.shape[1], "eps": made.attributes["epsilon"],
    }  # fmt: skip
    return nn.GroupNorm, options, _roles(("weight", "bias"), scale), (x,)


def _batch_norm(made: Instruction) -> Spec | None:
    x, mean, variance, *scale = made.operands
    if made.attributes["axis"] != 1 or len(scale) == 1 or not 2 <= x.type.ndim <= 5:
        return None
    kind = (FixedBatchNorm1d, FixedBatchNorm1d, FixedBatchNorm2d, FixedBatchNorm3d)[x.type.ndim - 2]
    options = {"num_features": mean.type.shape[0], "eps": made.attributes["epsilon"], "affine": bool(scale)}
    roles = _roles(("running_mean", "running_var", "weight", "bias"), (mean, variance, *scale))
    return kind, options, roles, (x,)


NATIVE: Mapping[str, Callable[[Instruction], Spec | None]] = {
    "linear": _linear, "embedding": _embedding, "convolution": _convolution, "layer_norm": _layer_norm,
    "convolution_transpose": _convolution_transpose, "group_norm": _group_norm, "batch_norm": _batch_norm,
}  # fmt: skip
"""What modules operations are; None for what no module computes."""
BUFFERS = frozenset(("running_mean", "running_var"))


# -- building ---------------------------------------------------------------------------------------------------------


class _Built:
    """A program on its way into a module.

    Attributes:
        momentum: of the batch normalisations that learn their statistics, by path.
        held: parameters and buffers by name.
        made: what modules of PyTorch were made with, by path.
    """

    def __init__(self, program: BaseProgram, momentum: Mapping[str, float], before: _Built | None = None) -> None:
        """Begin with a program, or with another mode of one whose module is there."""
        self.program, self.momentum = program, momentum
        self.root = nn.Module() if before is None else before.root
        self.held: dict[str, Any] = {} if before is None else before.held
        self.made: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {} if before is None else before.made
        self.writer = Writer(DIALECT, "torch")
        self.writer.begin(program, "forward")
        self.paths: dict[Value, list[str]] = {value: [name] for name, value in program.parameters.items()}
        for alias, name in program.aliases.items():
            self.paths[program.parameters[name]].append(alias)
        lie = orders(program)
        self.tensors = {value: self._tensor(name, lie.get(value)) for name, value in program.parameters.items()}
        self.specs: dict[str, tuple[Any, ...]] = {}
        """The modules of PyTorch that there are, by path."""
        self.count = 0 if before is None else before.count

    def _tensor(self, name: str, order: tuple[int, ...] | None) -> Any:
        if name not in self.held:
            value = self.program.parameters[name]
            found = tensor(self.program.arrays[value], value.type, order)
            self.held[name] = nn.Parameter(found) if name in self.program.trainable else found
        return self.held[name]

    def module(self) -> GraphModule:
        """The whole."""
        made = GraphModule(self.root, self.graph(), class_name=_class_name(self.program.name))
        self.state(made)
        return made

    def graph(self) -> Graph:
        """What is computed; the root gets the modules that it calls."""
        graph = Graph()
        known = self._arguments(graph)
        for value, array in self.program.arrays.items():
            if value in self.tensors:
                self._place(self.paths[value][0], self.tensors[value])
            else:
                name = self._submodule("constants", Constant(tensor(array, value.type)))
                known[self.writer.name(value)] = graph.call_module(name)
        self._region(graph, self.program, known)
        for name, operand in self.program.updates.items():
            value = graph.call_method("detach", (self._operand(graph, operand, known),))
            graph.call_method("copy_", (graph.get_attr(name), value))
        results = [self._operand(graph, x, known) for x in self.program.outputs]
        graph.output(_nested(self.program.output_tree, iter(results)))
        fused(graph)
        return graph

    def state(self, made: nn.Module) -> None:
        """Parameters that nothing uses, and further names of tied ones."""
        for value, names in self.paths.items():
            for name in names:
                _place(made, name, self.tensors[value])

    def _place(self, path: str, value: Any) -> None:
        _place(self.root, path, value)

    def _submodule(self, prefix: str, module: nn.Module) -> str:
        self.count += 1
        path = f"_{prefix}_{self.count}"
        self.root.add_module(path, module)
        return path

    def _arguments(self, graph: Graph) -> dict[str, Any]:
        """The signature's names as placeholders, and the tensors in them."""
        program, known = self.program, dict[str, Any]()
        values = iter(program.inputs)
        for name, tree in zip(program.signature, program.input_tree.children, strict=True):
            if next(tree.names("x"), None) is None:
                continue  # a number or an option, which is part of the program
            keyed = program.key is not None and name == program.signature[-1]
            node = graph.placeholder(name, default_value=None) if keyed else graph.placeholder(name)
            if keyed:
                node = graph.call_module(self._submodule("key", Drawn()), (node,))
            for leaf in _leaves(graph, node, tree):
                known[self.writer.name(next(values))] = leaf
        return known

    def _region(self, graph: Graph, region: Region, known: dict[str, Any]) -> None:
        """The instructions of a program, or of one inside of an instruction, as nodes; `known` gets their results."""
        texts = {
            n: self.writer.expression(made)
            for n, made in enumerate(region.instructions)
            if made.operation not in CONTROL and not self._owned(made)
        }
        if region is self.program:
            # Regions use sizes too, and what they use is known only when they have been written.
            self.writer.symbols.update(_symbols(self.program))
            for line in self.writer.bound(self.program.inputs):
                name, _, text = line.partition(" = ")
                known[name] = noted(graph, text, known)
        for n, made in enumerate(region.instructions):
            if made.operation in CONTROL:
                result = self._controlled(graph, made, known)
            elif n in texts:
                self._held(graph, made, known)
                result = noted(graph, texts[n], known)
            else:
                result = self._called(graph, made, known)
            if isinstance(result, Node) and made.source.file:
                result.meta["stack_trace"] = f'File "{made.source.file}", line {made.source.line}'
            if len(made.results) == 1 and made.operation not in CONTROL:
                known[self.writer.name(made.results[0])] = result
                continue
            for place, value in enumerate(made.results):
                known[self.writer.name(value)] = graph.call_function(operator.getitem, (result, place))

    def _held(self, graph: Graph, made: Instruction, known: dict[str, Any]) -> None:
        """Parameters that an instruction reads itself."""
        for operand in made.operands:
            if isinstance(operand, Value) and operand in self.tensors and self.writer.name(operand) not in known:
                known[self.writer.name(operand)] = graph.get_attr(self.paths[operand][0])

    def _operand(self, graph: Graph, operand: Operand, known: dict[str, Any]) -> Any:
        if isinstance(operand, Literal):
            return noted(graph, self.writer.operand(operand, True), known)
        if operand in self.tensors and self.writer.name(operand) not in known:
            known[self.writer.name(operand)] = graph.get_attr(self.paths[operand][0])
        return known[self.writer.name(operand)]

    # -- modules ------------------------------------------------------------------------------------------------------

    def _owned(self, made: Instruction) -> str | None:
        """The path of the module that an instruction is, if its parameters are one's."""
        spec = NATIVE[made.operation](made) if made.operation in NATIVE else None
        if spec is None or not spec[2]:
            return None
        kind, options, roles, _ = spec
        identity = (kind, *options.items(), *roles.items())
        for prefix in self._prefixes(roles):
            if prefix in self.momentum:
                kind, options = kind.__base__, {**options, "momentum": self.momentum[prefix]}
            if self.specs.setdefault(prefix, identity) == identity and self.made.setdefault(
                prefix, (kind, options)
            ) == (kind, options):
                self._make(prefix, kind, options, roles)
                return prefix
        return None

    def _prefixes(self, roles: Mapping[str, Operand]) -> list[str]:
        """The paths under which all roles are parameters of that name, and trainable ones or not as the role is."""
        found: list[str] | None = None
        for role, operand in roles.items():
            if not isinstance(operand, Value) or operand not in self.paths:
                return []
            if isinstance(self.tensors[operand], nn.Parameter) == (role in BUFFERS):
                return []
            own = [path.removesuffix(f".{role}") for path in self.paths[operand] if path.endswith(f".{role}")]
            found = own if found is None else [path for path in found if path in own]
        return found or []

    def _make(self, prefix: str, kind: Any, options: Mapping[str, Any], roles: Mapping[str, Operand]) -> None:
        parent, name = _parent(self.root, prefix)
        if isinstance(getattr(parent, name, None), kind):
            return
        if any(of.type.dtype is not next(iter(roles.values())).type.dtype for of in roles.values()):
            raise PortingError(f"{prefix} has parameters of several data types.")
        module = kind(**options, device="meta")
        if "num_batches_tracked" in dict(module.named_buffers()):
            module.num_batches_tracked = torch.zeros((), dtype=torch.int64)
        for role, operand in roles.items():
            assert isinstance(operand, Value)
            setattr(module, role, self.tensors[operand])
        module.train(False)
        parent.add_module(name, module) if not hasattr(parent, name) else _grafted(parent, name, module)

    def _called(self, graph: Graph, made: Instruction, known: dict[str, Any]) -> Any:
        spec = NATIVE[made.operation](made)
        assert spec is not None
        path = self._owned(made)
        assert path is not None
        return graph.call_module(path, tuple(self._operand(graph, x, known) for x in spec[3]))

    # -- choices and loops --------------------------------------------------------------------------------------------

    def _controlled(self, graph: Graph, made: Instruction, known: dict[str, Any]) -> Any:
        parts = {name: self._inner(of) if isinstance(of, Region) else of for name, of in made.attributes.items()}
        length = parts.pop("length", None)
        more = {} if length is None else {"opened": isinstance(length, Dim)}
        module = CONTROLLED[made.operation](**parts, **more)
        sizes = tuple(known[self.writer.names.get(name, name)] for name in sorted(self.writer.symbols))
        named = {} if length is None else {"length": noted(graph, self.writer.size(length), known)}
        operands = tuple(self._operand(graph, x, known) for x in made.operands)
        return graph.call_module(self._submodule(made.operation, module), (operands, sizes), named)

    def _inner(self, region: Region) -> GraphModule:
        """A program inside of an instruction, a function of its inputs and of all sizes."""
        graph, root = Graph(), nn.Module()
        outer, device = self.root, self.writer.device
        self.root = root
        known = {self.writer.name(value): graph.placeholder(self.writer.name(value)) for value in region.inputs}
        for name in sorted(self.writer.symbols):
            text = self.writer.names.get(name, name)
            known[text] = graph.placeholder(text)
        self.writer.device = f"{self.writer.name(region.inputs[0])}.device" if region.inputs else ""
        self._region(graph, region, known)
        graph.output(tuple(self._operand(graph, x, known) for x in region.outputs))
        self.root, self.writer.device = outer, device
        return GraphModule(root, graph)


def tensor(array: Any, of: Type, order: tuple[int, ...] | None = None) -> Any:
    """An array of NumPy in memory of its own, in which its axes may lie in another order."""
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    array = np.asarray(array, dtype=array.dtype.newbyteorder("="))
    array = np.array(array if order is None else array.transpose(order), order="C")
    found = torch.from_numpy(array).to(getattr(torch, of.dtype.name))
    return found if order is None else found.permute(tuple(np.argsort(order).tolist()))


def _symbols(program: BaseProgram) -> set[str]:
    return {symbol.name for value in program.inputs for size in value.type.shape if not isinstance(size, int)
            for symbol in size.symbols()}  # fmt: skip


def _class_name(name: str) -> str:
    text = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return text if text and not text[0].isdigit() else f"_{text}"


def _parent(root: nn.Module, path: str) -> tuple[nn.Module, str]:
    *parts, name = path.split(".")
    for part in parts:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    return root, name


def _place(root: nn.Module, path: str, value: Any) -> None:
    """Register a parameter or buffer under a path."""
    parent, name = _parent(root, path)
    if getattr(parent, name, None) is value:
        return
    if isinstance(value, nn.Parameter):
        parent.register_parameter(name, value)
    else:
        parent.register_buffer(name, value)


def _grafted(parent: nn.Module, name: str, module: nn.Module) -> None:
    """A module in the place of one that only holds parameters."""
    before = getattr(parent, name)
    for own, child in before.named_children():
        module.add_module(own, child)
    for own, value in (*before.named_parameters(recurse=False), *before.named_buffers(recurse=False)):
        if getattr(module, own, None) is not value:
            _place(module, own, value)
    setattr(parent, name, module)


def _leaves(graph: Graph, node: Any, tree: Tree) -> Any:
    """The tensors in a nested argument."""
    if tree.kind == "leaf":
        yield node
    keys = tree.keys if tree.kind == "dict" else range(len(tree.children))
    for key, child in zip(keys, tree.children, strict=True):
        if next(child.names("x"), None) is not None:
            yield from _leaves(graph, graph.call_function(operator.getitem, (node, key)), child)


def _nested(tree: Tree, leaves: Any) -> Any:
    if tree.kind == "leaf":
        return next(leaves)
    if tree.kind == "static":
        return tree.value
    children = [_nested(child, leaves) for child in tree.children]
    if tree.kind == "dict":
        return dict(zip(tree.keys, children, strict=True))
    return children if tree.kind == "list" else tuple(children)


def made(program: BaseProgram, kind: str, passes: Chosen) -> Any:
    """The module of a program."""
    own, programs = in_modes(program)
    parts: list[_Built] = []
    graphs: dict[str, Graph] = {}
    momentum: dict[str, float] = {}
    # Training comes first: which normalisations learn is seen there.
    for mode, one in sorted(programs.items(), reverse=True):
        one, found = learning(one)
        momentum.update(found)
        parts.append(_Built(lowered(one, passes, DIALECT.rows, updates=True), momentum, parts[-1] if parts else None))
        if len(programs) == 1:
            return parts[0].module()
        graphs[mode] = parts[-1].graph()
    for part in parts:
        part.state(parts[0].root)
    return TwoModes(parts[0].root, graphs, _class_name(program.name), own == "train")
