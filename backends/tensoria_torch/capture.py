"""A PyTorch module as a program: exported, made functional, and lowered operator by operator.

`torch.export` gives a graph of ATen operators, in which every node knows the type of its result, the path of its
module and its line. `run_decompositions({})` removes what happens in place and keeps `linear`, `layer_norm`, `lstm` and
their like whole. An operator without a lowering is taken apart by PyTorch's own decomposition of it, if there is one.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.utils import _pytree as pytree

from tensoria.errors import PortingError, TensoriaError
from tensoria.indices import PLAIN
from tensoria.programs.captured import Captured, Dynamic, Fixed, Operator
from tensoria.programs.dimensions import Dim, Size, dim
from tensoria.programs.naming import named_values
from tensoria.programs.passes import remove_dead_code
from tensoria.programs.program import Program
from tensoria.programs.recorder import Recorder, SymbolicArray, recording
from tensoria.programs.standard import cast
from tensoria.programs.standard import namespace as xp
from tensoria.programs.trees import LEAF, Tree, flatten
from tensoria.programs.types import Operand, Source, Type, Value
from tensoria_torch.containers import caches_registered, plain
from tensoria_torch.exporting import exported, in_mode, is_size, name_of, named, opened, quantised
from tensoria_torch.higher_order import HOLDING, inner_graphs
from tensoria_torch.leaves import derivatives_noted, own_derivatives
from tensoria_torch.lowerings import IGNORED, LOWERINGS, Call
from tensoria_torch.lowerings.call import Draws, own_dtype
from tensoria_torch.reals import Real
from tensoria_torch.sizes import Sizes, guard_of, line_of

__all__ = ["capture"]

FRAME = re.compile(r'File "([^"]+)", line (\d+)')
CALL = re.compile(r"@(\d+)$")
TORCH = torch.__file__.rsplit("/", 1)[0] + "/"


def capture(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic, train: bool | None = None
) -> Captured:
    """What a module computes for arguments like these.

    Args:
        train: whether it is captured as it trains; as it stands for None.

    Raises:
        PortingError: the module can not be exported; PyTorch's reason is in the message.
    """
    weights = quantised(module)
    if weights:
        raise PortingError(
            f"{type(module).__name__} has quantised weights: {'; '.join(weights[:8])}"
            f"{f' and {len(weights) - 8} more' if len(weights) > 8 else ''}.",
            legal="the model with weights in floating point",
        )
    caches_registered()
    given = named(module, args, kwargs)
    found: list[_Capture] = []
    failures: list[PortingError] = []
    with in_mode(module, train):
        for distinct in (False, True) if dynamic else (False,):
            try:
                with derivatives_noted() as own:
                    program = exported(module, args, kwargs, dynamic, given, distinct)
            except PortingError as error:
                failures.append(error)
                continue
            refused = [f"a derivative of its own: the autograd.Function {name}" for name in own_derivatives(own)]
            found.append(_Capture(module, program, given, dynamic, refused))
            if not found[-1].fixed:
                break
    if not found:
        raise failures[0]
    return min(found, key=lambda made: len(made.fixed)).captured()


class _Capture:
    """An exported program on its way into ours."""

    def __init__(
        self, module: Any, exported: Any, given: Mapping[str, Any], dynamic: Dynamic, refused: Sequence[str]
    ) -> None:
        self.name, self.exported, self.dynamic = type(module).__name__, exported, dynamic
        self.given = {name: plain(value) for name, value in given.items()}
        self.learnt = {name for name, of in module.named_parameters(remove_duplicate=False) if of.requires_grad}
        self.recorder = Recorder()
        self.inputs: list[Value] = []
        self.parameters: dict[str, Value] = {}
        self.aliases: dict[str, str] = {}
        self.updates: dict[str, Operand] = {}
        self.draws = Draws(self.recorder, "random_key" if "key" in given else "key")
        self.arrays: dict[Value, Any] = {}
        self.held: dict[Any, Any] = {}
        """What each node has become."""
        self.made: dict[str, set[str]] = {}
        self.calls: dict[str, list[Source]] = {}
        self.missing: set[str] = set()
        self.refused = list(refused)
        self.fixed: list[Fixed] = []
        self.sizes = self._symbols()
        self._storages: dict[Any, str] = {}

    # -- sizes ----------------------------------------------------------------------------------------------------

    def _tensors(self) -> Iterator[tuple[str, Any, Any]]:
        """The arguments' tensors: the path, what the argument is called, and the node."""
        specs = [spec for spec in self.exported.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
        nodes = {node.name: node for node in self.exported.graph.nodes if node.op == "placeholder"}
        leaves = [(name, leaf) for name, value in self.given.items() for leaf in pytree.tree_leaves(value)]
        for spec, (name, leaf) in zip(specs, leaves, strict=True):
            if isinstance(leaf, torch.Tensor):
                yield name, spec.arg.name, nodes[spec.arg.name]

    def _symbols(self) -> Sizes:
        ranges = self.exported.range_constraints
        names: dict[Any, Any] = {}
        wanted_axes = opened(self.dynamic, self.given)
        for (root, _, node), (_, _, sizes) in zip(self._tensors(), wanted_axes, strict=True):
            for axis, wanted in enumerate(sizes):
                if wanted is None:
                    continue
                size = node.meta["val"].shape[axis]
                expression = size.node.expr if isinstance(size, torch.SymInt) else None
                text = str(wanted)
                if expression is None or expression.is_number:
                    self.fixed.append(self._fixed(root, axis, text, int(size), node))
                elif expression.is_Symbol and names.setdefault(expression, wanted) != wanted:
                    self.fixed.append(Fixed(root, axis, text, str(names[expression])))
        symbols: dict[Any, Size] = {}
        for expression, of in ranges.items():
            if not of.lower.is_Integer:
                continue  # a number of a tensor (`x.item()`), and no size
            wanted = names.get(expression, str(expression))
            symbols[expression] = wanted if isinstance(wanted, Dim) else self._bounded(wanted, names, ranges)
        return Sizes(symbols)

    def _bounded(self, name: str, names: Mapping[Any, Any], ranges: Mapping[Any, Any]) -> Dim:
        """A size with the bounds of all symbols that are called so. 2 is PyTorch's least for any open size."""
        own = [of for symbol, of in ranges.items() if names.get(symbol, str(symbol)) == name]
        lower = max(int(of.lower) for of in own)
        uppers = [int(of.upper) for of in own if of.upper.is_Integer]
        return dim(name, lower=1 if lower <= 2 else lower, upper=min(uppers) if uppers else None)

    def _fixed(self, root: str, axis: int, name: str, size: int, node: Any) -> Fixed:
        """With the guard that fixed it, if PyTorch remembers one."""
        guard = guard_of(node.meta["val"].fake_mode.shape_env, root, axis, size)
        if guard is None:
            return Fixed(root, axis, name, str(size))
        return Fixed(root, axis, name, str(size), str(guard.expr), line_of(guard))

    # -- the graph ------------------------------------------------------------------------------------------------

    def captured(self) -> Captured:
        """All of it."""
        graph = self.exported.graph
        for node in (node for part in inner_graphs(self.exported.graph_module) for node in part.graph.nodes):
            if node.op == "call_function" and not is_size(node) and node.target is not operator.getitem:
                name = name_of(node)
                if name not in IGNORED:
                    self.calls.setdefault(name, []).append(_source(node))
                    if name not in LOWERINGS and name not in HOLDING:
                        self.missing.add(name)
                        if free_unbacked_symbols(node.meta.get("val")):
                            why = f"{name}: the shape of its result depends on numbers, at {_source(node)}"
                            self.refused.append(why)
        self._side_effects()
        program = None
        if not (self.missing or self.refused or self.fixed):
            try:
                program = self._program(graph)
            except PortingError as error:
                self.refused.append(" ".join(str(error).split()))
        operators = tuple(
            Operator(name, tuple(sources), name not in self.missing, tuple(sorted(self.made.get(name, ()))))
            for name, sources in self.calls.items()
        )
        return Captured(program, operators, tuple(self.fixed), tuple(self.refused), self._replay)

    def _side_effects(self) -> None:
        """Changed buffers become updates; a changed argument has to be among the results."""
        specs = self.exported.graph_signature.output_specs
        results = {spec.arg.name for spec in specs if spec.kind.name == "USER_OUTPUT"}
        for spec in specs:
            kind = spec.kind.name
            returned = kind == "USER_INPUT_MUTATION" and spec.arg.name in results
            if kind not in ("USER_OUTPUT", "BUFFER_MUTATION", "TOKEN") and not returned:
                what = kind.lower().replace("_", " ")
                self.refused.append(f"a side effect, {what} of {spec.target}")

    def _program(self, graph: Any) -> Program:
        self._arguments()
        with recording(self.recorder):
            self._nodes(self.exported.graph_module)
            self._changes(graph)
        leaves, tree = self._results(graph)
        signature = tuple(name for name, value in self.given.items() if _has_tensors(value))
        trees = [_tree(self.given[name]) for name in signature]
        key = self.draws.key
        names = {self.aliases.get(name, name) for name in self.learnt}
        program = Program(
            name=self.name,
            signature=signature if key is None else (*signature, key.name),
            inputs=tuple(self.inputs) if key is None else (*self.inputs, key),
            parameters=self.parameters,
            arrays={**self.arrays, **self.recorder.constants},
            instructions=tuple(self.recorder.instructions),
            outputs=tuple(leaves),
            input_tree=Tree("tuple", (), tuple(trees if key is None else (*trees, LEAF))),
            output_tree=tree,
            output_axes=(PLAIN,) * len(leaves),
            updates=self.updates,
            trainable=frozenset(name for name in self.parameters if name in names),
            aliases=self.aliases,
            key=key,
        )
        program = remove_dead_code(program)
        named_values(program)
        return program

    def _nodes(self, graph: Any) -> None:
        """Lower the nodes of the whole graph, or of one that an operator holds."""
        for node in graph.graph.nodes:
            if node.op == "call_function":
                self._lower(node)
            elif node.op == "get_attr":
                found = getattr(graph, node.target)
                self.held[node] = found if isinstance(found, torch.fx.GraphModule) else self._constant(found)

    def _inside(self, graph: Any, given: Sequence[Any]) -> list[Any]:
        """The results of a graph that an operator holds."""
        places = [node for node in graph.graph.nodes if node.op == "placeholder"]
        self.held.update(zip(places, given, strict=True))
        self._nodes(graph)
        (results,) = next(node for node in graph.graph.nodes if node.op == "output").args
        return [self._argument(x) for x in (results if isinstance(results, (tuple, list)) else (results,))]

    def _arguments(self) -> None:
        nodes = {node.name: node for node in self.exported.graph.nodes if node.op == "placeholder"}
        stored = self.exported.state_dict
        changed = set(self.exported.graph_signature.buffers_to_mutate.values())
        for spec in self.exported.graph_signature.input_specs:
            node = nodes[spec.arg.name]
            if spec.kind.name in ("PARAMETER", "BUFFER") and (spec.target in stored or spec.target in changed):
                found = stored.get(spec.target)
                self.held[node] = self._parameter(
                    spec.target, self.exported.constants[spec.target] if found is None else found
                )
            elif spec.kind.name in ("BUFFER", "CONSTANT_TENSOR"):  # which belongs to no state
                self.held[node] = self._constant(self.exported.constants[spec.target])
        for name, tensor in stored.items():
            own = self._storages.get(_place(tensor))
            if own is not None and own != name:
                self.aliases[name] = own
        paths = dict(zip((id(n) for _, _, n in self._tensors()), self._paths(), strict=True))
        for root, _, node in self._tensors():
            fake = node.meta["val"]
            value = Value(Type(own_dtype(fake.dtype), self._declared(root, fake)), paths[id(node)])
            self.inputs.append(value)
            self.held[node] = SymbolicArray(value, self.recorder)

    def _declared(self, root: str, fake: Any) -> tuple[Size, ...]:
        return self.sizes.shape(fake.shape)

    def _paths(self) -> Iterator[str]:
        for name, value in self.given.items():
            if _has_tensors(value):
                yield from _tree(value).names(name)

    def _parameter(self, path: str, tensor: Any) -> SymbolicArray:
        """A parameter or buffer; those that share memory are one."""
        key = _place(tensor)
        if key not in self._storages:
            value = Value(Type(own_dtype(tensor.dtype), tuple(tensor.shape)), path)
            self._storages[key] = name = self._first_name(path, tensor)
            self.parameters[name] = value
            self.arrays[value] = _numbers(tensor)
        return SymbolicArray(self.parameters[self._storages[key]], self.recorder)

    def _first_name(self, path: str, tensor: Any) -> str:
        """The first name under which the module has this tensor."""
        place = _place(tensor)
        return next((str(name) for name, x in self.exported.state_dict.items() if _place(x) == place), path)

    def _constant(self, tensor: Any) -> SymbolicArray:
        return self.recorder.constant(_numbers(tensor), own_dtype(tensor.dtype), origin=tensor)

    def _lower(self, node: Any) -> None:
        if is_size(node):
            return
        if node.target is operator.getitem:
            if name_of(node.args[0]) in IGNORED:
                return
            found = self.held[node] = self.held[node.args[0]][node.args[1]]
            if found is None and node.users:
                of = node.args[0]
                raise PortingError(f"result {node.args[1]} of {name_of(of)} is not ported, at {_source(of)}.")
            return
        name = name_of(node)
        if name in IGNORED:
            return
        source = _source(node)
        before = len(self.recorder.instructions)
        fakes = tuple(a.meta.get("val") if isinstance(a, torch.fx.Node) else a for a in node.args)
        picked = [user.args[1] for user in node.users if user.target is operator.getitem]
        wanted = frozenset(picked) if len(picked) == len(node.users) else None
        call = Call(self.recorder, node.meta["val"], fakes, self.sizes, self.draws, wanted)
        args = [self._argument(a) for a in node.args]
        kwargs = {key: self._argument(a) for key, a in node.kwargs.items() if key not in PLACED}
        try:
            with self.recorder.sourced(source):
                if name in HOLDING:
                    result = HOLDING[name](self._inside, *args, **kwargs)
                else:
                    result = LOWERINGS[name](call, *args, **kwargs)
                self.held[node] = result
        except TensoriaError as error:
            where = f", at {source}" if source.file and str(source) not in error.message else ""
            raise PortingError(f"{name}{where}: {error.message}", legal=error.legal) from error
        self._check(name, node, result)
        made = self.recorder.instructions[before:]
        self.made.setdefault(name, set()).update(instruction.operation for instruction in made)

    def _check(self, name: str, node: Any, result: Any) -> None:
        """PyTorch knows the types of all results: one that differs is a mistake in the table of lowerings."""
        fakes = node.meta["val"]
        for found, fake in zip(result, fakes, strict=True) if isinstance(result, tuple) else [(result, fakes)]:
            if found is None or not isinstance(fake, torch.Tensor):
                continue
            sizes = zip(found.shape, self.sizes.shape(fake.shape), strict=False)
            differ = any(m != n for m, n in sizes if isinstance(m, int) and isinstance(n, int))
            if differ or found.dtype is not own_dtype(fake.dtype) or found.ndim != fake.ndim:
                raise PortingError(
                    f"{name} is {fake.dtype}{list(fake.shape)} in PyTorch and became {found.type}, at {_source(node)}."
                )

    def _argument(self, value: Any) -> Any:
        """An argument of a node with arrays, sizes and data types of ours."""
        if isinstance(value, torch.fx.Node):
            found = value.meta.get("val")
            if isinstance(found, (torch.SymInt, int)) and not isinstance(found, bool):
                return self.sizes(found)
            if isinstance(found, torch.SymFloat):
                return Real(found.node.expr, self.sizes)
            if isinstance(found, torch.SymBool):
                raise PortingError(f"a condition on open sizes, {found}, is not ported.")
            return found if isinstance(found, (bool, float)) else self.held[value]
        if isinstance(value, (list, tuple)):
            return [self._argument(item) for item in value]
        if isinstance(value, torch.SymInt):
            return self.sizes(value)
        return own_dtype(value) if isinstance(value, torch.dtype) else value

    def _results(self, graph: Any) -> tuple[list[Operand], Tree]:
        nodes = next(node for node in graph.nodes if node.op == "output").args[0]
        specs = self.exported.graph_signature.output_specs
        found: list[Any] = []
        operands: dict[int, Operand] = {}
        for node, spec in zip(nodes, specs, strict=True):
            if spec.kind.name != "USER_OUTPUT":
                continue
            if isinstance(node, torch.fx.Node) and not is_size(node):
                found.append(torch.empty(0))  # stands for the result in containers that look at what they hold
                operands[id(found[-1])] = self.held[node].operand
            else:
                found.append(self._number(node))
        nested = pytree.tree_unflatten(found, self.exported.module_call_graph[0].signature.out_spec)
        leaves, tree = flatten(plain(nested), lambda item: id(item) in operands)
        return [operands[id(leaf)] for leaf in leaves], tree

    def _number(self, node: Any) -> Any:
        """A result that is no tensor.

        Raises:
            PortingError: it depends on the arguments' sizes.
        """
        value = node.meta["val"] if isinstance(node, torch.fx.Node) else node
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            raise PortingError(f"{self.name} returns the number {value}, which depends on open sizes.")
        return value

    def _changes(self, graph: Any) -> None:
        """The values that buffers have after the call."""
        nodes = next(node for node in graph.nodes if node.op == "output").args[0]
        for node, spec in zip(nodes, self.exported.graph_signature.output_specs, strict=True):
            if spec.kind.name != "BUFFER_MUTATION":
                continue
            name = self.aliases.get(spec.target, spec.target)
            of = self.parameters[name].type
            after = cast(self.held[node], of.dtype)
            self.updates[name] = (after if after.shape == of.shape else xp.broadcast_to(after, of.shape)).operand

    def _replay(self, arrays: Sequence[Any], wide: bool = False) -> Iterator[tuple[Value, Any]]:
        """The exported graph run by PyTorch itself, with each value that an operator's result has become."""

        def widened(x: Any) -> Any:
            return x.double() if wide and isinstance(x, torch.Tensor) and x.dtype == torch.float32 else x

        def wider(x: Any) -> Any:
            return torch.float64 if wide and x is torch.float32 else x

        values = dict(zip([id(node) for _, _, node in self._tensors()], map(widened, arrays), strict=True))
        known: dict[Any, Any] = {}
        state = {**self.exported.state_dict, **self.exported.constants}
        specs = {spec.arg.name: spec for spec in self.exported.graph_signature.input_specs}
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                spec = specs[node.name]
                if id(node) in values:
                    known[node] = values[id(node)]
                elif spec.target is not None:
                    known[node] = widened(state[spec.target].detach())
                else:
                    known[node] = getattr(spec.arg, "value", None)
            elif node.op == "get_attr":
                known[node] = widened(getattr(self.exported.graph_module, node.target))
            elif node.op == "call_function":
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
                args, kwargs = pytree.tree_map(wider, (args, kwargs))
                with torch.no_grad():
                    known[node] = node.target(*args, **kwargs)
                held = self.held.get(node)
                for ours, theirs in _pairs(held, known[node]):
                    if isinstance(ours.operand, Value):
                        yield ours.operand, theirs


PLACED = frozenset(("device", "layout", "pin_memory", "memory_format", "non_blocking", "implicit", "copy"))
"""Arguments about memory, which no program has."""


def _place(tensor: Any) -> tuple[Any, ...]:
    """Where a tensor's numbers are: tied parameters are those in one place."""
    tensor = tensor.detach()
    return (
        tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype,
        tensor.device,
    )  # fmt: skip


def _pairs(ours: Any, theirs: Any) -> Iterator[tuple[SymbolicArray, Any]]:
    if isinstance(ours, SymbolicArray) and isinstance(theirs, torch.Tensor):
        yield ours, theirs
    elif isinstance(ours, tuple):
        for a, b in zip(ours, theirs, strict=True):
            yield from _pairs(a, b)


def _has_tensors(value: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(value))


def _tree(value: Any) -> Tree:
    return LEAF if isinstance(value, torch.Tensor) else flatten(value, lambda leaf: isinstance(leaf, torch.Tensor))[1]


def _numbers(tensor: Any) -> Any:
    """A tensor's numbers in memory of their own; bfloat16 as float32, which holds them all."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy().copy()


def _source(node: Any) -> Source:
    """The innermost line that is not PyTorch's, and the innermost module."""
    frames = FRAME.findall(node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not frame[0].startswith((TORCH, "<"))]
    file, line = (own or frames or [("", "0")])[-1]
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    if path.startswith("_empty_nn"):
        path = ""
    again = CALL.search(path)
    of = stack[-1][1] if stack and path else ""
    kind = of if isinstance(of, str) else f"{of.__module__}.{of.__qualname__}"
    return Source(file, int(line), CALL.sub("", path), int(again[1]) if again else 0, kind)

