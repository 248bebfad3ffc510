"""A graph run by TensorFlow itself, operation by operation, in its own precision or in float64.

The operations are TensorFlow's, called with the attributes that the graph has; functions that it calls are walked
through as capture does. In float64 every attribute that says float32 says float64, and an operation without a kernel
for it computes in float32.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.eager import context, execute
from tensorflow.python.framework import function_def_to_graph

from tensoria.errors import PortingError
from tensoria.programs.trees import flatten
from tensoria_tensorflow.exporting import plain

__all__ = ["Replay", "executed", "function_of", "needed", "replayed"]

EFFECTS = frozenset(("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"))
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
FUNCTIONS = {
    "PartitionedCall": ("f",), "StatefulPartitionedCall": ("f",), "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"), "While": ("cond", "body"), "StatelessWhile": ("cond", "body"),
}  # fmt: skip
"""The attributes that hold functions."""


def functions(operation: Any) -> tuple[str, ...]:
    """The attributes of an operation that hold one function each."""
    return FUNCTIONS.get(operation.type, ())


def function_of(graph: Any, name: str) -> Any:
    """The graph of a function that another one calls."""
    return _function(_Key(graph), name)


class _Key:
    """A graph by identity, for a cache."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.graph is other.graph

    def __hash__(self) -> int:
        return id(self.graph)


@functools.lru_cache(maxsize=512)
def _function(key: _Key, name: str) -> Any:
    graph: Any = key.graph
    while graph is not None:
        found = graph._get_function(name) if hasattr(graph, "_get_function") else None
        if found is not None and getattr(found, "graph", None) is not None:
            return found.graph
        graph = getattr(graph, "outer_graph", None)
    definition = context.context().get_function_def(name)
    if definition is None:
        raise PortingError(f"the graph calls {name}, which is not there.")
    return function_def_to_graph.function_def_to_graph(definition)


def needed(graph: Any, wanted: tuple[int, ...] | None = None) -> list[Any]:
    """The operations that results (of these numbers; all for None) and assignments need, in order."""
    return _needed(_Key(graph), wanted)


@functools.lru_cache(maxsize=512)
def _needed(key: _Key, wanted: tuple[int, ...] | None) -> list[Any]:
    graph = key.graph
    waiting = [t.op for n, t in enumerate(graph.outputs) if wanted is None or n in wanted]
    waiting += [of for of in graph.get_operations() if _changes(of)]
    found = set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found.add(operation.name)
            waiting += [t.op for t in operation.inputs]
    return [operation for operation in graph.get_operations() if operation.name in found]


def _changes(operation: Any) -> bool:
    """Whether an operation, or a function that it calls, assigns to a variable."""
    if operation.type in EFFECTS:
        return True
    return any(
        any(_changes(inner) for inner in function_of(operation.graph, operation.get_attr(name).name).get_operations())
        for name in functions(operation)
    )


def executed(operation: Any, inputs: Sequence[Any], wide: bool = False) -> list[Any]:
    """The results of an operation on native tensors, by TensorFlow's kernel."""
    if operation.type == "Const":
        found = tf.constant(tf.make_ndarray(operation.get_attr("value")), dtype=operation.outputs[0].dtype)
        return [_widened(found) if wide else found]
    if not wide:
        return _run(operation, inputs, False)
    try:
        return [_widened(x) for x in _run(operation, inputs, True)]
    except (tf.errors.OpError, TypeError):
        pairs = zip(inputs, operation.inputs, strict=True)
        narrow = [tf.cast(x, t.dtype) if x.dtype != t.dtype else x for x, t in pairs]
        return [_widened(x) for x in _run(operation, narrow, False)]


def _run(operation: Any, inputs: Sequence[Any], wide: bool) -> list[Any]:
    attributes: list[Any] = []
    for definition in operation.op_def.attr:
        value = operation.node_def.attr[definition.name]
        attributes += [definition.name, _attribute(value, operation, definition.name, wide)]
    results = list(execute.execute(
        operation.type, len(operation.outputs), inputs=list(inputs), attrs=tuple(attributes), ctx=context.context()
    ))  # fmt: skip
    if results and execute.must_record_gradient():
        execute.record_gradient(operation.type, list(inputs), tuple(attributes), results)
    return results


def _attribute(value: Any, operation: Any, name: str, wide: bool) -> Any:
    kind = value.WhichOneof("value")
    if kind == "type":
        return types_pb2.DT_DOUBLE if wide and value.type == types_pb2.DT_FLOAT else value.type
    if kind == "list" and value.list.type:
        return [types_pb2.DT_DOUBLE if wide and of == types_pb2.DT_FLOAT else of for of in value.list.type]
    if kind == "shape":
        return value.shape
    if kind == "s":
        return value.s
    return operation.get_attr(name)


def _widened(x: Any) -> Any:
    return tf.cast(x, tf.float64) if x.dtype == tf.float32 else x


def replayed(given: Any, arrays: Sequence[Any], wide: bool) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Every tensor of the graph and of the functions that it calls: the calls, its name, its numbers."""
    run = Replay(wide, given)
    tensors = [tf.cast(x, t.dtype) if x.dtype != t.dtype else x for x, t in zip(arrays, given.inputs, strict=True)]
    yield from run.walk(given.function.graph, run.inputs([_widened(x) if wide else x for x in tensors]), ())


class Replay:
    """The interpreter: what variables are by now, and what each graph returned."""

    def __init__(self, wide: bool, given: Any) -> None:
        self.wide, self.given = wide, given
        self.state: dict[int, Any] = {}
        self.results: list[Any] = []

    def walk(self, graph: Any, inputs: Sequence[Any], path: tuple[str, ...]) -> Iterator[tuple[Any, str, Any]]:
        """Run a graph; its results are in `results` afterwards."""
        known: dict[str, Any] = {t.name: x for t, x in zip(graph.inputs, inputs, strict=True)}
        for operation in needed(graph):
            if operation.type == "Placeholder":
                continue
            given = [known[t.name] for t in operation.inputs]
            if operation.type in CALLS:
                inner = function_of(graph, operation.get_attr("f").name)
                yield from self.walk(inner, given, (*path, operation.name))
                results = self.results
            else:
                results = self.one(operation, given)
            for tensor, result in zip(operation.outputs, results, strict=True):
                known[tensor.name] = result
                yield path, tensor.name, result
        self.results = [known[t.name] for t in graph.outputs]

    def inputs(self, tensors: Sequence[Any]) -> list[Any]:
        """What the model's graph takes: the arguments' tensors, and what it closes over."""
        graph = self.given.function.graph
        outer = {id(inner): tensor for tensor, inner in graph.captures}
        return [*tensors, *(outer[id(placeholder)] for placeholder in graph.inputs[len(tensors) :])]

    def results_of(self, tensors: Sequence[Any]) -> list[Any]:
        """The results of the model's graph, in the order of its structured results."""
        graph = self.given.function.graph
        found = {t.name: x for t, x in zip(graph.outputs, self.whole(graph, self.inputs(tensors)), strict=True)}
        return [found[t.name] for t in flatten(plain(graph.structured_outputs), tf.is_tensor)[0]]

    def whole(self, graph: Any, inputs: Sequence[Any]) -> list[Any]:
        """The results of a graph."""
        for _ in self.walk(graph, inputs, ()):
            pass
        return self.results

    def one(self, operation: Any, given: list[Any]) -> list[Any]:
        """The results of an operation."""
        kind = operation.type
        inner = [function_of(operation.graph, operation.get_attr(name).name) for name in functions(operation)]
        if kind == "ReadVariableOp":
            return [self.read(given[0], operation.outputs[0].dtype)]
        if kind in EFFECTS:
            return self.assign(kind, given)
        if kind == "ResourceGather":
            table = self.read(given[0], operation.outputs[0].dtype)
            return [tf.gather(table, given[1])]
        if kind in ("If", "StatelessIf"):
            return self.whole(inner[0] if bool(given[0]) else inner[1], given[1:])
        if kind in ("While", "StatelessWhile"):
            test, body = inner
            while bool(self.whole(test, given)[0]):
                given = self.whole(body, given)
            return given
        if kind == "Case":
            branches = operation.get_attr("branches")
            place = int(given[0])
            place = place if 0 <= place < len(branches) else len(branches) - 1
            return self.whole(function_of(operation.graph, branches[place].name), given[1:])
        return executed(operation, given, self.wide)

    def read(self, handle: Any, of: Any) -> Any:
        """A variable's value by now."""
        if id(handle) not in self.state:
            value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=of)
            self.state[id(handle)] = _widened(value) if self.wide else value
        return self.state[id(handle)]

    def assign(self, kind: str, given: list[Any]) -> list[Any]:
        """What a variable is from now on, here; the model's stays as it is."""
        handle, value = given
        if kind != "AssignVariableOp":
            before = self.read(handle, value.dtype)
            value = before + value if kind == "AssignAddVariableOp" else before - value
        self.state[id(handle)] = value
        return []
