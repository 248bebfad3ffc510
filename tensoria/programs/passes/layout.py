"""Channels last: images keep their channels behind the axes of space from one convolution to the next.

TensorFlow's convolutions want (batch, height, width, channels), and a model of PyTorch computes with (batch, channels,
height, width). A convolution is rewritten to the other order; what follows it, coordinatewise or by channel, is too,
as long as it can, so that axes are permuted where images come in and where something needs the first order again. The
permuted kernels are stored so (`storage.stored`). Weights of linear maps are turned to (in, out) likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from tensoria.programs.base import P
from tensoria.programs.operations.neural import image
from tensoria.programs.passes.rewriting import COORDINATEWISE, Builder, rewritten
from tensoria.programs.types import Instruction, Literal, Operand, Value

__all__ = ["channels_last"]

REDUCTIONS: Final = frozenset(("mean", "sum", "max", "min", "var"))


def last(space: int) -> tuple[int, ...]:
    """The permutation that brings channels behind the axes of space."""
    return (0, *range(2, 2 + space), 1)


def first(space: int) -> tuple[int, ...]:
    """The one back."""
    return (0, 1 + space, *range(1, 1 + space))


def channels_last(program: P) -> P:
    """The program with convolutions, and what stands between them, on channels that come last."""
    layout = _Layout(program)
    return rewritten(program, layout.rewrite)


class _Layout:
    """What is known while a program is rewritten.

    Attributes:
        turned: of images in the first order the same in the last one.
        weights: parameters that are weights of linear maps and nothing else.
    """

    def __init__(self, program: Any) -> None:
        self.turned: dict[Operand, Value] = {}
        self.made: dict[Operand, Instruction] = {}
        held = set(program.parameters.values())
        others: set[Operand] = {*program.outputs, *program.updates.values()}
        weights: set[Operand] = set()
        for made in program.instructions:
            for n, x in enumerate(made.operands):
                (weights if made.operation == "linear" and n == 1 else others).add(x)
        self.weights = {x for x in weights - others if x in held}

    def rewrite(self, builder: Builder, made: Instruction) -> Sequence[Operand] | None:
        row = TABLE.get(made.operation)
        if builder.inner or row is None:
            found = None
        else:
            found = row(self, builder, made)
        if found is None:
            self.made.update(dict.fromkeys(made.results, made))
            return None
        return (found,)

    def image(self, builder: Builder, x: Operand) -> Value:
        """An image with its channels last."""
        if x not in self.turned:
            order = last(x.type.ndim - 2)
            self.turned[x] = builder.add("permute_dims", (x,), axes=order)
        return self.turned[x]

    def back(self, builder: Builder, y: Value) -> Value:
        """The image with its channels first, which dead code takes away again if nobody wants it."""
        found = builder.add("permute_dims", (y,), axes=first(y.type.ndim - 2))
        self.turned[found] = y
        return found

    def beside(self, builder: Builder, x: Operand, ndim: int) -> Operand | None:
        """An operand beside images with their channels last; None if that would move an image."""
        if isinstance(x, Literal) or not x.type.ndim:
            return x
        if x in self.turned and x.type.ndim == ndim:
            return self.turned[x]
        shape = (*(1,) * (ndim - x.type.ndim), *x.type.shape)
        if any(size != 1 for n, size in enumerate(shape) if n != 1):
            return None
        return builder.add("reshape", (x,), shape=(*(1,) * (ndim - 1), shape[1]))


Row: TypeAlias = Callable[[_Layout, Builder, Instruction], "Operand | None"]


def _convolution(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x, kernel, *bias = made.operands
    space = len(made.attributes["strides"])
    channels = "OI" if made.operation == "convolution" else "IO"
    if made.attributes["numbers"] != (image(space), image(space, channels), image(space)):
        return None
    letters = image(space)[2:]
    numbers = (f"N{letters}C", f"{letters}{channels[::-1]}", f"N{letters}C")
    turned = builder.add("permute_dims", (kernel,), axes=(*range(2, 2 + space), 1, 0))
    attributes = {**made.attributes, "numbers": numbers}
    return layout.back(builder, builder.add(made.operation, (layout.image(builder, x), turned, *bias), **attributes))


def _coordinatewise(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    ndim = made.results[0].type.ndim
    if not any(x in layout.turned and x.type.ndim == ndim for x in made.operands):
        return None
    operands = [layout.beside(builder, x, ndim) for x in made.operands]
    if any(x is None for x in operands):
        return None
    known = [x for x in operands if x is not None]
    return layout.back(builder, builder.add(made.operation, known, **made.attributes))


def _batch_norm(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x, *rest = made.operands
    if x not in layout.turned or made.attributes["axis"] != 1:
        return None
    y = layout.turned[x]
    return layout.back(builder, builder.add(
        "batch_norm", (y, *rest), axis=y.type.ndim - 1, epsilon=made.attributes["epsilon"]
    ))  # fmt: skip


def _pool(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x = made.operands[0]
    if x not in layout.turned or len(made.attributes["window"]) != x.type.ndim - 2:
        return None
    more = {"window": 1, "strides": 1, "dilation": 1, "padding": (0, 0)}
    attributes = {name: (*value, more[name]) if name in more else value for name, value in made.attributes.items()}
    return layout.back(builder, builder.add(made.operation, (layout.turned[x],), **attributes))


def _adaptive(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x = made.operands[0]
    if x not in layout.turned or any(size != 1 for size in made.attributes["sizes"]):
        return None
    axes = tuple(range(1, x.type.ndim - 1))
    return layout.back(builder, builder.add("mean", (layout.turned[x],), axes=axes, keepdims=True))


def _reduction(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x = made.operands[0]
    if x not in layout.turned:
        return None
    order = last(x.type.ndim - 2)
    axes = tuple(sorted(order.index(n % x.type.ndim) for n in made.attributes["axes"]))
    keep = made.attributes["keepdims"]
    if not keep and axes != tuple(range(1, x.type.ndim - 1)):
        return None
    attributes = {**made.attributes, "axes": axes}
    found = builder.add(made.operation, (layout.turned[x],), **attributes)
    return layout.back(builder, found) if keep else found


def _concat(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    if not all(x in layout.turned for x in made.operands):
        return None
    ndim = made.results[0].type.ndim
    axis = last(ndim - 2).index(made.attributes["axis"] % ndim)
    return layout.back(builder, builder.add("concat", [layout.turned[x] for x in made.operands], axis=axis))


def _pad(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x = made.operands[0]
    if x not in layout.turned:
        return None
    padding = tuple(made.attributes["padding"][n] for n in last(x.type.ndim - 2))
    return layout.back(
        builder, builder.add("pad", (layout.turned[x],), padding=padding, value=made.attributes["value"])
    )


def _reshape(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    """An image without axes of space reads the same in both orders."""
    x = made.operands[0]
    if x not in layout.turned or any(size != 1 for size in x.type.shape[2:]):
        return None
    return builder.add("reshape", (layout.turned[x],), shape=made.results[0].type.shape)


def _permute(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    x, axes = made.operands[0], made.attributes["axes"]
    if x.type.ndim < 4:
        return None
    if axes == last(x.type.ndim - 2) and x in layout.turned:
        return layout.turned[x]
    if axes == first(x.type.ndim - 2) and isinstance(x, Value):
        return layout.back(builder, x)
    return None


def _linear(layout: _Layout, builder: Builder, made: Instruction) -> Operand | None:
    """With a weight (in, out), if nothing else wants it the other way round."""
    x, weight, *bias = made.operands
    before = layout.made.get(weight)
    flipped = before is not None and before.operation == "permute_dims" and before.attributes["axes"] == (1, 0)
    if not (weight in layout.weights or flipped):
        return None
    turned = builder.add("permute_dims", (weight,), axes=(1, 0))
    found = builder.add("matmul", (x, turned))
    return builder.add("add", (found, bias[0])) if bias else found


TABLE: Final[dict[str, Row]] = {
    **dict.fromkeys(COORDINATEWISE, _coordinatewise), **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(("convolution", "convolution_transpose"), _convolution), "batch_norm": _batch_norm,
    **dict.fromkeys(("max_pool", "mean_pool"), _pool), "adaptive_mean_pool": _adaptive, "concat": _concat, "pad": _pad,
    **dict.fromkeys(("reshape", "squeeze"), _reshape), "permute_dims": _permute, "linear": _linear,
}  # fmt: skip
"""How operations go on with images whose channels come last."""
