"""Tracing: a function of tensors is run once on symbolic ones, and what it does is the program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoria.core import BaseTensor, same_backend
from tensoria.discovery import use
from tensoria.errors import TracingError
from tensoria.indices import PLAIN, Axes, bare
from tensoria.programs import recorder
from tensoria.programs.base import is_leaf
from tensoria.programs.dimensions import Dim, Size, dim
from tensoria.programs.naming import named_values
from tensoria.programs.program import Program
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.size_notation import require_entries
from tensoria.programs.symbolic import backend as symbolic
from tensoria.programs.trees import Tree, flatten, unflatten
from tensoria.programs.types import Operand, Type, Value
from tensoria.tensor import Tensor

__all__ = ["TracedTensor", "trace"]

Dynamic = Mapping[str, Sequence[str | int | Dim | None]]


class TracedTensor(Tensor):
    """A tensor that tells the recorder which labels it gives to its array."""

    __slots__ = ()

    @property
    def _axes(self) -> Axes:
        axes: Axes = BaseTensor.__dict__["_axes"].__get__(self)
        return axes

    @_axes.setter
    def _axes(self, of: Axes) -> None:
        BaseTensor.__dict__["_axes"].__set__(self, of)
        if of is not PLAIN:
            recorder.labelled(self._array, bare(of))


symbolic.tensor_class = TracedTensor


def trace(function: Callable[..., Any], *arguments: Any, dynamic: Dynamic | None = None, **named: Any) -> Program:
    """The program that a function of tensors computes.

    The function is called once, with tensors that have types and no numbers. What else it is given (numbers, strings,
    None) becomes part of the program, and so do tensors that it closes over. Axes over spaces whose dimension is a
    symbol stay open; `dynamic` opens others.

    Args:
        function: takes and returns tensors, in dictionaries, lists and tuples as it likes.
        arguments, named: examples of its arguments; of tensors only the data type, the shape and the labels matter.
        dynamic: for the name of an argument one entry for each axis: the name of an open size, a `tn.dim`, or None
            for the example's size. Axes with the same name have the same size.

    Raises:
        TracingError: the function asks for numbers (a truth value, `float(t)`, a data-dependent shape); the line and
            a remedy are named.

    >>> import numpy as np
    >>> import tensoria as tn
    >>> print(trace(lambda x, w: tn.tanh(x @ w), tn.asarray(np.ones((5, 3))), tn.asarray(np.ones((3, 2))),
    ...             dynamic={"x": ("batch", None)}))
    program lambda(x: float64[batch, 3], w: float64[3, 2])
      v1: float64[batch, 2] = matmul(x, w)
      v2: float64[batch, 2] = tanh(v1)
      return v2
    """
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    try:
        bound = inspect.signature(function).bind(*arguments, **named)
    except TypeError as error:
        raise TracingError(f"{name}: {error}") from None
    bound.apply_defaults()
    given = _spread(bound)
    leaves, tree = flatten(tuple(given.values()), is_leaf)
    paths = [path for key, child in zip(given, tree.children, strict=True) for path in child.names(key)]
    roots = [key for key, child in zip(given, tree.children, strict=True) for _ in child.names(key)]
    open_sizes = _opened(dynamic or {}, given)
    made = Recorder()
    inputs = []
    for path, root, leaf in zip(paths, roots, leaves, strict=True):
        t = leaf if isinstance(leaf, BaseTensor) else Tensor(leaf)
        shape = _shape(t, path, open_sizes.get(path, open_sizes.get(root)))
        inputs.append(Value(Type(t.dtype, shape), path, t.axes))
    tensors = [Tensor.from_parts(SymbolicArray(value, made), value.axes, symbolic) for value in inputs]
    with recorder.recording(made), use("symbolic"):
        result = _call(function, bound, given, tree, tensors)
        outputs, output_tree = flatten(result, is_leaf)
        _require_open(name, output_tree)
        found = [_output(leaf, tensors, made) for leaf in outputs]
    program = Program(
        name=name,
        signature=tuple(given),
        inputs=tuple(inputs),
        parameters={},
        arrays=made.constants,
        instructions=tuple(made.instructions),
        outputs=tuple(operand for operand, _ in found),
        input_tree=tree,
        output_tree=output_tree,
        output_axes=tuple(axes for _, axes in found),
    )
    named_values(program)
    return program


def _spread(bound: inspect.BoundArguments) -> dict[str, Any]:
    """The arguments by name; `*args` and `**options` are spread under names of their own."""
    given: dict[str, Any] = {}
    for name, parameter in bound.signature.parameters.items():
        value = bound.arguments[name]
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            given.update({f"{name}_{n}": item for n, item in enumerate(value)})
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given.update(value)
        else:
            given[name] = value
    return given


def _require_open(name: str, tree: Tree) -> None:
    """Raise if a result hides tensors in a container that is none of ours: they would not be results.

    Raises:
        TracingError: it does.
    """
    for child in tree.children:
        _require_open(name, child)
    held = getattr(tree.value, "__dict__", {}) if tree.kind == "static" else {}
    if not isinstance(tree.value, type) and any(is_leaf(part) for part in held.values()):
        raise TracingError(
            f"{name} returns a {type(tree.value).__name__}, whose tensors would not be results.",
            legal="a dictionary, a list, a tuple, a named tuple or a dataclass of them",
        )


def _call(
    function: Callable[..., Any], bound: inspect.BoundArguments, given: dict[str, Any], tree: Any, tensors: Any
) -> Any:
    filled = dict(zip(given, unflatten(tree, tensors), strict=True))
    positional: list[Any] = []
    options: dict[str, Any] = {}
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            positional += [filled[f"{name}_{n}"] for n in range(len(bound.arguments[name]))]
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            options.update({key: filled[key] for key in bound.arguments[name]})
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            options[name] = filled[name]
        else:
            positional.append(filled[name])
    return function(*positional, **options)


def _opened(dynamic: Dynamic, given: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    for name in dynamic:
        if name not in given and not any(name.startswith(f"{known}_") for known in given):
            raise TracingError(f"dynamic= names {name!r}; the arguments are {', '.join(given)}.")
        require_entries(name, dynamic[name], (str, int, Dim))
    return {name: tuple(sizes) for name, sizes in dynamic.items()}


def _shape(t: BaseTensor, path: str, opened: tuple[Any, ...] | None) -> tuple[Size, ...]:
    shape: list[Size] = list(t.shape)
    for n, index in enumerate(t._axes.indices, t.lead):
        if isinstance(index.dimension, str):
            shape[n] = dim(index.dimension)
    if opened is not None:
        if len(opened) != len(shape):
            raise TracingError(f"dynamic= has {len(opened)} entries for {path}, which has {len(shape)} axes.")
        for n, entry in enumerate(opened):
            if entry is not None:
                shape[n] = dim(entry) if isinstance(entry, str) else entry
    return tuple(shape)


def _output(leaf: Any, tensors: Sequence[Tensor], made: Recorder) -> tuple[Operand, Axes]:
    t = leaf if isinstance(leaf, BaseTensor) else Tensor(leaf)
    if not isinstance(t._array, SymbolicArray):
        anchor = Tensor.from_parts(made.literal(0, t.dtype), PLAIN, symbolic)
        t = same_backend(anchor, t)[1]
    if t._array.recorder is not made:
        raise TracingError("the function returns a tensor of another trace.")
    return t._array.operand, t.axes
