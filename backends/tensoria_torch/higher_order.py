"""PyTorch's operators that hold graphs, `torch.cond`, `while_loop` and `scan`, as those of programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from tensoria.programs.control import cond, while_loop
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import namespace as xp
from tensoria.programs.symbolic import backend
from tensoria.tensor import Tensor

__all__ = ["HOLDING", "inner_graphs"]

Inside = Callable[[Any, Sequence[Any]], list[Any]]
"""From a graph, and what its placeholders are, to its results."""


def inner_graphs(graph: Any) -> Iterator[Any]:
    """A graph's module and those of the operators in it that hold graphs, the outer one first."""
    yield graph
    for node in graph.graph.nodes:
        if node.op == "get_attr" and isinstance(getattr(graph, node.target, None), torch.fx.GraphModule):
            yield from inner_graphs(getattr(graph, node.target))


def _arrays(found: Any) -> tuple[SymbolicArray, ...]:
    return tuple(x._array for x in found)


def _tensors(found: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(Tensor(x) for x in found)


def _parted(given: Sequence[Any]) -> tuple[tuple[Tensor, ...], Callable[[Sequence[Any]], list[Any]]]:
    """The arrays among operands, and a function that puts others of them among the sizes."""
    held = [isinstance(x, SymbolicArray) for x in given]

    def whole(arrays: Sequence[Any]) -> list[Any]:
        rest = iter(arrays)
        return [next(rest) if own else x for own, x in zip(held, given, strict=True)]

    return _tensors([x for x in given if isinstance(x, SymbolicArray)]), whole


def _cond(inside: Inside, condition: SymbolicArray, then: Any, otherwise: Any, operands: Sequence[Any] = ()) -> Any:
    arrays, whole = _parted(operands)

    def branch(graph: Any) -> Callable[..., Any]:
        return lambda *given: _tensors(inside(graph, whole(_arrays(given))))

    return _arrays(cond(Tensor(xp.reshape(condition, ())), branch(then), branch(otherwise), *arrays))


def _while_loop(inside: Inside, test: Any, body: Any, state: Sequence[Any], more: Sequence[Any] = ()) -> Any:
    arrays, whole = _parted(state)

    def results(graph: Any, given: Any) -> list[Any]:
        return inside(graph, [*whole(_arrays(given)), *more])

    def going(given: Any) -> Tensor:
        return Tensor(xp.reshape(results(test, given)[0], ()))

    found = while_loop(going, lambda given: _tensors(results(body, given)), arrays)
    return _arrays(found)


def _scan(inside: Inside, body: Any, state: Sequence[Any], xs: Sequence[Any], more: Sequence[Any] = ()) -> Any:
    def step(now: Sequence[Any], given: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        found = inside(body, [*now, *given, *more])
        return found[: len(now)], found[len(now) :]

    last, found = backend.scan(step, list(state), list(xs), xs[0].shape[0], False)
    return (*last, *found)


HOLDING: Mapping[str, Callable[..., Any]] = {"cond": _cond, "while_loop": _while_loop, "scan": _scan}
"""What each records, given a function that records graphs, and the operands, graphs among them."""
