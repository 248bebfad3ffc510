"""Choices and loops that depend on numbers: run at once on tensors that have some, recorded while a function is traced.

While a framework traces a graph of its own, they become its own choices and loops (`Backend.deferred`).

`cond`, `while_loop` and `scan` are functions of functions. What these capture from around them is noticed and becomes
an operand; a state keeps its structure, types and labels from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.backend import Backend
from tensoria.core import BaseTensor, same_backend
from tensoria.discovery import backend_of, use
from tensoria.errors import DTypeError, ShapeError, TracingError
from tensoria.indices import PLAIN, Axes
from tensoria.programs import recorder
from tensoria.programs.base import BaseProgram, is_leaf
from tensoria.programs.dimensions import Size
from tensoria.programs.passes.inlining import region
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.symbolic import backend as symbolic
from tensoria.programs.trees import LEAF, Tree, flatten, unflatten
from tensoria.programs.types import Type, Value
from tensoria.tensor import Tensor

__all__ = ["cond", "scan", "while_loop"]


# -- what users call --------------------------------------------------------------------------------------------------


def cond(condition: Any, then: Callable[..., Any], otherwise: Callable[..., Any], *operands: Any) -> Any:
    """The result of one of two functions.

    Args:
        condition: one truth value: a tensor without axes, or Python's.
        then, otherwise: functions of the operands, whose results have the same structure, types and labels.
        operands: what the chosen one is called with: tensors, in dictionaries, lists and tuples as one likes.

    Raises:
        DTypeError, ShapeError, TracingError: (while tracing) the functions' results differ in type.

    >>> import tensoria as tn
    >>> p = tn.trace(lambda x: cond(tn.sum(x) > 0, tn.sqrt, tn.negative, x), tn.asarray([4.0]))
    >>> p.run(tn.asarray([4.0])).array, p.run(tn.asarray([-4.0])).array
    (array([2.]), array([4.]))
    """
    if not (recorder.tracing() and _is_symbolic(condition)):
        backend = _deferred([condition])
        if backend is not None:
            return _deferred_cond(backend, condition, (then, otherwise), operands)
        return (then if bool(condition) else otherwise)(*operands)
    into = recorder.current()
    leaves, tree = flatten(operands, is_leaf)
    arguments = [_lifted(leaf, into) for leaf in leaves]
    parts = [_part(into, function, tree, arguments) for function in (then, otherwise)]
    _require_same("the functions of cond return", parts[1], parts[0])
    first, second, captured = _closed(parts)
    operands = (_lifted(condition, into)._array, *(t._array for t in arguments), *captured)
    return _unpacked(into.record("cond", operands, then=first, otherwise=second), parts[0])


def while_loop(test: Callable[[Any], Any], body: Callable[[Any], Any], state: Any) -> Any:
    """The state after a function has changed it as long as a test of it holds.

    Reverse-mode derivatives need to know the number of steps: differentiate `scan` instead.

    Args:
        test: from the state to one truth value.
        body: from the state to the next one, of the same structure, types and labels.
        state: tensors, in dictionaries, lists and tuples as one likes.

    Raises:
        DTypeError, ShapeError, TracingError: the state's type changes.

    >>> import tensoria as tn
    >>> while_loop(lambda x: tn.sum(x) < 10, lambda x: 2 * x, tn.asarray([1.0])).array
    array([16.])
    """
    leaves, tree = flatten(state, is_leaf)
    if not recorder.tracing():
        backend = _deferred(leaves)
        if backend is not None:
            return _deferred_loop(backend, test, body, leaves, tree)
        given = _facts(leaves)
        while bool(test(state)):
            state = body(state)
            found, changed = flatten(state, is_leaf)
            _require("the body of while_loop makes a state", (changed, _facts(found)), (tree, given))
        return state
    into = recorder.current()
    arguments = [_lifted(leaf, into) for leaf in leaves]
    of = Tree("tuple", (), (tree,))
    parts = [_part(into, function, of, arguments) for function in (test, body)]
    _require_state("while_loop", parts[1].output_tree, parts[1].outputs, tree, arguments)
    first, second, captured = _closed(parts)
    operands = (*(t._array for t in arguments), *captured)
    results = into.record("while_loop", operands, test=first, body=second, states=len(arguments))
    return _unpacked(results, parts[1])


def scan(
    body: Callable[[Any, Any], tuple[Any, Any]], state: Any, xs: Any = None, *, length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """A function carried along an axis: the last state, and what each step returned, stacked.

    Args:
        body: from the state and one slice to the next state, of the same structure, types and labels, and a result.
        state: tensors, in dictionaries, lists and tuples as one likes; None for none.
        xs: tensors that are cut along their first axis, which is anonymous; None for none.
        length: the number of steps, if there are no xs.
        reverse: from the last slice to the first; the results keep their places.

    Raises:
        ShapeError: there are no steps, or the xs differ in length.
        DTypeError, ShapeError, TracingError: the state's type changes.

    >>> import tensoria as tn
    >>> total, sums = scan(lambda s, x: (s + x, s + x), tn.asarray(0.0), tn.asarray([1.0, 2.0, 3.0]))
    >>> float(total), sums.array
    (6.0, array([1., 3., 6.]))
    """
    leaves, tree = flatten(state, is_leaf)
    slices, cut = flatten(xs, is_leaf)
    count = _length([Tensor(x) if not isinstance(x, BaseTensor) else x for x in slices], length)
    if not recorder.tracing():
        backend = _deferred([*leaves, *slices])
        if backend is not None:
            return _deferred_scan(backend, body, (leaves, tree), (slices, cut), count, reverse)
        return _scanned(body, state, [Tensor(x) for x in slices], cut, count, reverse)
    into = recorder.current()
    arguments, arrays = ([_lifted(leaf, into) for leaf in given] for given in (leaves, slices))
    inner = [(Type(t.dtype, t._array.shape[1:]), t.axes) for t in arrays]
    part = _part(into, body, Tree("tuple", (), (tree, cut)), arguments, inner)
    if part.output_tree.kind != "tuple" or len(part.output_tree.children) != 2:
        raise TracingError("the body of scan returns a pair: the next state, and the step's result.")
    kept = len(arguments)
    _require_state("scan", part.output_tree.children[0], part.outputs[:kept], tree, arguments)
    made, captured = _closed([part])
    operands = (*(t._array for t in (*arguments, *arrays)), *captured)
    results = into.record(
        "scan", operands, body=made, states=kept, scanned=len(arrays), length=count, reverse=reverse
    )  # fmt: skip
    state, ys = _unpacked(results, part)
    return state, ys


# -- at once ----------------------------------------------------------------------------------------------------------


def _scanned(
    body: Callable[[Any, Any], Any], state: Any, xs: Sequence[Tensor], cut: Tree, count: Size, reverse: bool
) -> tuple[Any, Any]:
    found, tree = flatten(state, is_leaf)
    given, steps, shape = _facts(found), [], Tree("static")
    assert isinstance(count, int)
    for n in reversed(range(count)) if reverse else range(count):
        state, y = body(state, unflatten(cut, [x[n] for x in xs]))
        found, changed = flatten(state, is_leaf)
        _require("the body of scan makes a state", (changed, _facts(found)), (tree, given))
        ys, shape = flatten(y, is_leaf)
        steps.append([t if isinstance(t, Tensor) else Tensor(t) for t in ys])
    if reverse:
        steps.reverse()
    stacked = [
        Tensor.from_parts(t[0]._backend.xp.stack([y._array for y in t], axis=0), t[0].axes, t[0]._backend)
        for t in zip(*steps, strict=True)
    ]
    return state, unflatten(shape, stacked)


def _length(xs: Sequence[BaseTensor], length: Size | None) -> Size:
    sizes = [] if length is None else [length]
    for x in xs:
        if not x.lead:
            raise ShapeError("scan cuts tensors along an anonymous first axis, and one has none.")
        sizes.append(x._array.shape[0])
    if not sizes:
        raise ShapeError("scan over nothing: the number of steps is not known.", legal="scan(..., length=10)")
    if any(size != sizes[0] for size in sizes):
        raise ShapeError(f"scan over arrays of different lengths: {', '.join(map(str, sizes))}.")
    if sizes[0] == 0:
        raise ShapeError("a scan over no steps.")
    return sizes[0]


def _facts(leaves: Sequence[Any]) -> list[Any]:
    """What may not change of a state, as it is told."""
    tensors = [leaf if isinstance(leaf, BaseTensor) else Tensor(leaf) for leaf in leaves]
    return [(t.dtype, tuple(t._array.shape), t.axes) for t in tensors]


# -- in a framework's graph ------------------------------------------------------------------------------------------


def _deferred(leaves: Sequence[Any]) -> Backend | None:
    """The backend whose framework is tracing a graph, if there is one."""
    for leaf in leaves:
        backend = leaf._backend if isinstance(leaf, BaseTensor) else backend_of(leaf)
        if backend is not None and backend.deferred():
            return backend
    return None


class _Native:
    """A function of tensors as one of native arrays; what it returned is kept for the structure."""

    def __init__(self, function: Callable[..., Any], given: Sequence[Any], tree: Tree) -> None:
        tensors = [leaf if isinstance(leaf, BaseTensor) else Tensor(leaf) for leaf in given]
        self.function, self.tree = function, tree
        self.axes = [t.axes for t in tensors]
        self.backends = [t._backend for t in tensors]
        self.arrays = [t._array for t in tensors]
        self.facts: list[Any] = []
        self.axes_out: list[Axes] = []
        self.tree_out = LEAF

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        parts = zip(arrays, self.axes, self.backends, strict=True)
        result = self.function(*unflatten(self.tree, [Tensor.from_parts(x, axes, b) for x, axes, b in parts]))
        leaves, self.tree_out = flatten(result, is_leaf)
        tensors = [leaf if isinstance(leaf, BaseTensor) else Tensor(leaf) for leaf in leaves]
        self.facts, self.axes_out = _facts(leaves), [t.axes for t in tensors]
        return [t._array for t in tensors]

    def unpacked(self, arrays: Sequence[Any], backend: Backend) -> Any:
        """Native results in the function's structure, with its labels."""
        parts = zip(arrays, self.axes_out, strict=True)
        return unflatten(self.tree_out, [Tensor.from_parts(x, axes, backend) for x, axes in parts])


def _deferred_cond(
    backend: Backend, condition: Any, functions: Sequence[Callable[..., Any]], operands: tuple[Any, ...]
) -> Any:
    given, tree = flatten(operands, is_leaf)
    first, second = (_Native(function, given, tree) for function in functions)
    truth = condition._array if isinstance(condition, BaseTensor) else condition

    def other() -> list[Any]:
        found = second(second.arrays)
        _require("the functions of cond return", (second.tree_out, second.facts), (first.tree_out, first.facts))
        return found

    found = backend.cond(truth, lambda: first(first.arrays), other)
    return first.unpacked(found, backend)


def _deferred_loop(
    backend: Backend, test: Callable[[Any], Any], body: Callable[[Any], Any], given: Sequence[Any], tree: Tree
) -> Any:
    of = Tree("tuple", (), (tree,))
    asked, step = _Native(test, given, of), _Native(body, given, of)
    facts = _facts(given)

    def checked(arrays: Sequence[Any]) -> list[Any]:
        found = step(arrays)
        _require("the body of while_loop makes a state", (step.tree_out, step.facts), (tree, facts))
        return found

    found = backend.while_loop(lambda arrays: asked(arrays)[0], checked, step.arrays)
    return step.unpacked(found, backend)


def _deferred_scan(
    backend: Backend, body: Callable[[Any, Any], Any], state: tuple[list[Any], Tree], xs: tuple[list[Any], Tree],
    count: Size, reverse: bool,
) -> tuple[Any, Any]:  # fmt: skip
    given = [*state[0], *(Tensor(x)[0] for x in xs[0])]
    step = _Native(body, given, Tree("tuple", (), (state[1], xs[1])))
    kept, facts = len(state[0]), _facts(state[0])

    def run(now: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        found = step([*now, *slices])
        if step.tree_out.kind != "tuple" or len(step.tree_out.children) != 2:
            raise TracingError("the body of scan returns a pair: the next state, and the step's result.")
        made = step.tree_out.children[0], step.facts[:kept]
        _require("the body of scan makes a state", made, (state[1], facts))
        return found[:kept], found[kept:]

    arrays = [Tensor(x)._array for x in xs[0]]
    last, ys = backend.scan(run, step.arrays[:kept], arrays, count, reverse)  # type: ignore[arg-type]
    found: tuple[Any, Any] = step.unpacked([*last, *ys], backend)
    return found


# -- recorded ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A function that was traced inside of another."""

    into: Recorder
    inputs: tuple[Value, ...]
    outputs: list[Tensor]
    output_tree: Tree


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, BaseTensor) and value._backend is symbolic


def _lifted(leaf: Any, into: Recorder) -> Tensor:
    """A tensor of the program that is being recorded."""
    t = leaf if isinstance(leaf, BaseTensor) else Tensor(leaf)
    if t._backend is not symbolic:
        anchor = Tensor.from_parts(into.literal(0, t.dtype), PLAIN, symbolic)
        t = same_backend(anchor, t)[1]
    return Tensor.from_parts(into.owned(t._array), t.axes, symbolic)


def _part(
    parent: Recorder,
    function: Callable[..., Any],
    tree: Tree,
    arguments: Sequence[Tensor],
    more: Sequence[tuple[Type, Axes]] = (),
) -> _Part:
    """A function traced by itself, for arguments of these types."""
    into = Recorder(parent)
    types = [*((t._array.type, t.axes) for t in arguments), *more]
    inputs = tuple(Value(of, "", axes) for of, axes in types)
    tensors = [Tensor.from_parts(SymbolicArray(value, into), value.axes, symbolic) for value in inputs]
    with recorder.recording(into), use("symbolic"):
        result = function(*unflatten(tree, tensors))
        leaves, output_tree = flatten(result, is_leaf)
        outputs = [_lifted(leaf, into) for leaf in leaves]
    return _Part(into, inputs, outputs, output_tree)


def _closed(parts: Sequence[_Part]) -> tuple[Any, ...]:
    """The parts as programs with the same captures, and what these are in the surrounding program."""
    captured: dict[Value, None] = {value: None for part in parts for value in part.into.captures}
    made: list[BaseProgram] = []
    for part in parts:
        inner = [part.into.captures.get(value) or Value(value.type, value.name, value.axes) for value in captured]
        made.append(region(part.into, (*part.inputs, *inner), [t._array for t in part.outputs]))
    parent = parts[0].into.parent
    assert parent is not None
    return (*made, [SymbolicArray(value, parent) for value in captured])


def _unpacked(results: Sequence[SymbolicArray], part: _Part) -> Any:
    tensors = [Tensor.from_parts(x, t.axes, symbolic) for x, t in zip(results, part.outputs, strict=True)]
    return unflatten(part.output_tree, tensors)


def _require_same(what: str, part: _Part, other: _Part) -> None:
    _require(what, (part.output_tree, _facts(part.outputs)), (other.output_tree, _facts(other.outputs)))


def _require_state(name: str, found: Tree, outputs: Sequence[Tensor], tree: Tree, arguments: Sequence[Tensor]) -> None:
    _require(f"the body of {name} makes a state", (found, _facts(outputs)), (tree, _facts(arguments)))


def _require(what: str, found: tuple[Tree, list[Any]], expected: tuple[Tree, list[Any]]) -> None:
    """Raise unless structure, data types, shapes and labels agree.

    Raises:
        TracingError, DTypeError, ShapeError: they do not.
    """
    if found[0] != expected[0]:
        raise TracingError(f"{what} {found[0]}, and not {expected[0]}.")
    for (dtype, shape, axes), (dtype_, shape_, axes_) in zip(found[1], expected[1], strict=True):
        if dtype is not dtype_:
            raise DTypeError(f"{what} of {dtype}, and not {dtype_}.", legal=f't.to(dtype="{dtype_.name}")')
        if shape != shape_:
            raise ShapeError(f"{what} of shape {shape}, and not {shape_}.")
        if axes is not axes_:
            raise TracingError(f"{what} with the labels {axes or 'none'}, and not {axes_ or 'none'}.")
