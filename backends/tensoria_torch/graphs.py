"""Expressions of generated code as nodes of a `torch.fx` graph.

The table of PyTorch's text (`source.ROWS`) says how every operation is written; here the same text is read again, so
that there is one table. What an expression may hold is what the rows write: calls, operators, subscripts, attributes,
numbers and containers.
"""

from __future__ import annotations

import ast
import builtins
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import Graph, Node

from tensoria.errors import PortingError
from tensoria_torch.composed import COMPOSED
from tensoria_torch.neural import KERNELS

__all__ = ["fused", "noted"]

GLOBALS: Mapping[str, Any] = {**vars(builtins), "torch": torch, **COMPOSED, **KERNELS}
"""What names mean that are no values of the program."""
OWN = frozenset((*COMPOSED.values(), *KERNELS.values()))
BINARY: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.MatMult: operator.matmul,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.USub: operator.neg,
    ast.Invert: operator.invert,
}  # fmt: skip


def noted(graph: Graph, text: str, known: Mapping[str, Any]) -> Any:
    """An expression as a node, or as a number or container where it names no value.

    Args:
        graph: what the nodes are added to.
        text: the expression.
        known: the nodes, or numbers, of the values that it names.
    """
    return _Reader(graph, known).read(ast.parse(text, mode="eval").body)


def relu_in_place(x: Any) -> Any:
    """relu of what nothing else reads: in its memory, where nothing is differentiated."""
    return torch.relu(x) if torch.is_grad_enabled() else torch.relu_(x)


def hardtanh_in_place(x: Any, *, low: float, high: float) -> Any:
    """hardtanh of what nothing else reads, likewise."""
    function = torch.nn.functional.hardtanh if torch.is_grad_enabled() else torch.nn.functional.hardtanh_
    return function(x, low, high)


IN_PLACE: Mapping[Any, Callable[..., Any]] = {
    KERNELS["relu"]: relu_in_place, KERNELS["hardtanh"]: hardtanh_in_place,
}  # fmt: skip


def normed_convolution(
    x: Any, kernel: Any, *bias: Any, norm: Sequence[Any], axis: int, epsilon: float, numbers: Sequence[str], **how: Any
) -> Any:
    """A convolution and the batch norm of its channels; one convolution where nothing is differentiated and it is less.

    A product with the kernel is cheap beside one with the result where a channel's kernel is smaller than its image.
    """
    channels, out = numbers[0].index("C"), numbers[1].index("O")
    how["numbers"] = numbers
    if (
        torch.is_grad_enabled() or torch.compiler.is_compiling() or x.dtype not in (torch.float32, torch.float64)
        or 2 * (kernel.numel() // kernel.shape[out]) * math.prod(how["strides"]) * x.shape[channels] > x.numel()
    ):  # fmt: skip
        return KERNELS["batch_norm"](KERNELS["convolution"](x, kernel, *bias, **how), *norm, axis=axis, epsilon=epsilon)
    mean, variance, *scale = norm
    factor = torch.rsqrt(variance + epsilon) * (scale[0] if scale else 1)
    shift = ((bias[0] if bias else 0) - mean) * factor + (scale[1] if len(scale) > 1 else 0)
    kernel = kernel * factor[(slice(None), *(None,) * (kernel.ndim - out - 1))]
    return KERNELS["convolution"](x, kernel, shift, **how)


FRESH = frozenset((
    KERNELS["batch_norm"], KERNELS["convolution"], normed_convolution, KERNELS["linear"], operator.add,
))  # fmt: skip
"""Functions whose result is in memory of its own."""


def fused(graph: Graph) -> None:
    """Let what follows a function use its memory or be computed with it, where nothing else reads its result.

    A batch norm behind a convolution becomes `normed_convolution`; an activation behind what made its result writes it
    there. Only behind a function, never behind a module: a hook may keep what a module returned.
    """
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if not isinstance(before, Node) or len(before.users) > 1:
            continue
        if node.target in IN_PLACE and before.target in FRESH:
            node.target = IN_PLACE[node.target]
        elif (
            node.target is KERNELS["batch_norm"] and before.target is KERNELS["convolution"]
            and node.kwargs["axis"] == before.kwargs["numbers"][2].index("C")
        ):  # fmt: skip
            norm, node.target = node.args[1:], normed_convolution
            node.args, node.kwargs = before.args, {"norm": norm, **node.kwargs, **before.kwargs}
            graph.erase_node(before)


class _Reader:
    def __init__(self, graph: Graph, known: Mapping[str, Any]) -> None:
        self.graph, self.known = graph, known

    def read(self, node: ast.AST) -> Any:
        row = READERS.get(type(node))
        if row is None:
            raise PortingError(f"{ast.unparse(node)} is no expression of a graph.")
        return row(self, node)

    def noted(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """A node, or what the function says where nothing depends on a node."""
        if any(_depends(x) for x in (*arguments, *named.values())) or _makes(function):
            node = self.graph.call_function(function, arguments, named)
            if function in OWN:
                node.meta["is_wrapped"] = True  # whole too when a pickled graph is traced again
            return node
        return function(*arguments, **named)

    def constant(self, node: ast.Constant) -> Any:
        return node.value

    def name(self, node: ast.Name) -> Any:
        return self.known[node.id] if node.id in self.known else GLOBALS[node.id]

    def tuple(self, node: ast.Tuple) -> Any:
        return (*self._items(node.elts),)

    def list(self, node: ast.List) -> Any:
        return self._items(node.elts)

    def _items(self, nodes: Any) -> Any:
        found: Any = []
        for item in nodes:
            if isinstance(item, ast.Starred):
                found += [*self.read(item.value)]
            else:
                found.append(self.read(item))
        return found

    def slice(self, node: ast.Slice) -> Any:
        return builtins.slice(*(None if end is None else self.read(end) for end in (node.lower, node.upper, node.step)))

    def subscript(self, node: ast.Subscript) -> Any:
        return self.noted(operator.getitem, self.read(node.value), self.read(node.slice))

    def attribute(self, node: ast.Attribute) -> Any:
        value = self.read(node.value)
        return self.noted(getattr, value, node.attr) if isinstance(value, Node) else getattr(value, node.attr)

    def call(self, node: ast.Call) -> Any:
        arguments, named = self._items(node.args), {str(k.arg): self.read(k.value) for k in node.keywords}
        if isinstance(node.func, ast.Attribute):
            value = self.read(node.func.value)
            if isinstance(value, Node):
                return self.graph.call_method(node.func.attr, (value, *arguments), named)
        return self.noted(self.read(node.func), *arguments, **named)

    def binary(self, node: ast.BinOp) -> Any:
        return self.noted(BINARY[type(node.op)], self.read(node.left), self.read(node.right))

    def unary(self, node: ast.UnaryOp) -> Any:
        return self.noted(BINARY[type(node.op)], self.read(node.operand))

    def compare(self, node: ast.Compare) -> Any:
        return self.noted(BINARY[type(node.ops[0])], self.read(node.left), self.read(node.comparators[0]))


READERS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Constant: _Reader.constant, ast.Name: _Reader.name, ast.Tuple: _Reader.tuple, ast.List: _Reader.list,
    ast.Slice: _Reader.slice, ast.Subscript: _Reader.subscript, ast.Attribute: _Reader.attribute,
    ast.Call: _Reader.call, ast.BinOp: _Reader.binary, ast.UnaryOp: _Reader.unary, ast.Compare: _Reader.compare,
}  # fmt: skip
"""How each kind of expression is read."""


def _depends(value: Any) -> bool:
    found: list[Any] = []
    torch.fx.node.map_arg(value, found.append)
    return bool(found)


def _makes(function: Callable[..., Any]) -> bool:
    """Whether a function makes tensors, which is for the run."""
    return not isinstance(function, type) and function not in _PLAIN


_PLAIN = frozenset((*BINARY.values(), getattr, min, max, abs, operator.getitem, functools.partial))
