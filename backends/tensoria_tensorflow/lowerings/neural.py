"""TensorFlow's products, and its operations of neural networks; images keep their channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria.errors import ShapeError
from tensoria.planning import pattern
from tensoria.programs.dimensions import Dim, Size, maximum
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import (
    Array,
    Call,
    Known,
    Lowering,
    literal_like,
    one,
    ordered,
    turned,
    whole,
    xp,
)

__all__ = ["LOWERINGS", "convolved", "same_padding"]

Pairs = tuple[tuple[Size, Size], ...]


# -- products ---------------------------------------------------------------------------------------------------------


def _matmul(call: Call, a: Array, b: Array) -> Array:
    return one(turned(a, call.attribute("transpose_a")), "matmul", turned(b, call.attribute("transpose_b")))


def _batched(call: Call, a: Array, b: Array) -> Array:
    first = turned(a, call.attribute("adj_x"), conjugate=True)
    return cast(one(first, "matmul", turned(b, call.attribute("adj_y"), conjugate=True)), call.dtype)


def _einsum(call: Call, *xs: Array) -> Array:
    equation = call.attribute("equation").replace(" ", "")
    terms, _, out = equation.partition("->")
    numbers: dict[str, int] = {}
    most = 0
    for term, x in zip(terms.split(","), xs, strict=True):
        if "..." in term:
            most = max(most, x.ndim - len(term.replace("...", "")))

    def labels(term: str, ndim: int | None) -> tuple[int, ...]:
        found: list[int] = []
        head, dots, tail = term.partition("...")
        count = most if ndim is None else ndim - len(head) - len(tail)
        names = [*head, *(f"...{n}" for n in range(most - count, most) if dots), *tail]
        for name in names:
            found.append(numbers.setdefault(name, len(numbers)))
        return tuple(found)

    given = tuple(labels(term, x.ndim) for term, x in zip(terms.split(","), xs, strict=True))
    plain = frozenset(n for name, n in numbers.items() if not name.startswith("..."))
    first, *rest = xs
    return one(first, "contract", *rest, pattern=pattern(given, labels(out, None), plain))


# -- images -----------------------------------------------------------------------------------------------------------


def _spatial(call: Call, name: str, letters: str) -> tuple[int, ...]:
    """One number for each axis of space, of those that the layout has for all axes."""
    return tuple(int(n) for n, letter in zip(call.attribute(name), letters, strict=True) if letter not in "NC")


def _layout(call: Call) -> str:
    """The axes' letters, `NHWC` or another order."""
    return str(call.attribute("data_format"))


def _padding(
    call: Call, letters: str, sizes: Sequence[Size], window: Sequence[int], strides: Sequence[int],
    dilation: Sequence[int],
) -> Pairs:  # fmt: skip
    """How much is added before and behind each axis of space."""
    kind = call.attribute("padding")
    if kind == "EXPLICIT":
        given = call.attribute("explicit_paddings")
        pairs = [(int(given[2 * n]), int(given[2 * n + 1])) for n in range(len(letters))]
        return tuple(pair for pair, letter in zip(pairs, letters, strict=True) if letter not in "NC")
    return same_padding(call, sizes, window, strides, dilation)


def same_padding(
    call: Call, sizes: Sequence[Size], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Pairs:
    """What the padding `SAME` or `VALID` adds before and behind each axis."""
    if call.attribute("padding") == "VALID":
        return ((0, 0),) * len(window)
    return tuple(_same(*given) for given in zip(sizes, window, strides, dilation, strict=True))


def _same(size: Size, window: int, stride: int, dilation: int) -> tuple[Size, Size]:
    """So much that there are ceil(size / stride) windows; the odd one stands behind."""
    reach = dilation * (window - 1) + 1
    rest = size % stride
    if isinstance(rest, Dim):
        if reach == 1:
            return (0, 0)
        # The last window begins at stride (ceil(size / stride) - 1), and reaches as far as a stride at least or not.
        missing: Size = (size - 1) // stride * stride + reach - size
        total = missing if reach >= stride else maximum(missing, 0)
    else:
        total = max(reach - (stride if rest == 0 else rest), 0)
    return total // 2, total - total // 2


def _surrounded(x: Array, letters: str, padding: Pairs, value: float) -> tuple[Array, Pairs]:
    """An image with what follows from open sizes around it, and the padding that is left."""
    if not any(isinstance(n, Dim) for pair in padding for n in pair):
        return x, padding
    rest = iter(padding)
    around = tuple((0, 0) if letter in "NC" else next(rest) for letter in letters)
    return one(x, "pad", padding=around, value=value), ((0, 0),) * len(padding)


def _space(x: Array, letters: str) -> tuple[Size, ...]:
    return tuple(size for size, letter in zip(x.shape, letters, strict=True) if letter not in "NC")


def _channels(x: Array, letters: str) -> int:
    size = x.shape[letters.index("C")]
    if isinstance(size, Dim):
        raise ShapeError(f"images with {size} channels.")
    return size


def _window(kernel: Array, count: int) -> tuple[int, ...]:
    sizes = kernel.shape[:count]
    return tuple(size for size in sizes if isinstance(size, int))


def _convolution(call: Call, x: Array, kernel: Array) -> Array:
    letters = _layout(call)
    window = _window(kernel, len(letters) - 2)
    strides, dilation = _spatial(call, "strides", letters), _spatial(call, "dilations", letters)
    around = _padding(call, letters, _space(x, letters), window, strides, dilation)
    return convolved(call, x, kernel, strides, dilation, around)


def convolved(
    call: Call, x: Array, kernel: Array, strides: tuple[int, ...], dilation: tuple[int, ...], around: Pairs
) -> Array:
    """The convolution that an operation is, of each channel alone or of groups of them."""
    letters = _layout(call)
    space = letters.replace("N", "").replace("C", "")
    x, around = _surrounded(x, letters, around, 0.0)
    if call.operation.type == "DepthwiseConv2dNative":
        *window, groups, times = kernel.shape
        kernel = xp.reshape(kernel, (*window, 1, groups * times))
    else:
        groups = _channels(x, letters) // int(kernel.shape[-2])
    return one(
        x, "convolution", kernel, strides=strides, dilation=dilation, padding=around, groups=groups,
        numbers=(letters, space + "IO", letters),
    )  # fmt: skip


def _transposed(call: Call, shape: Known, kernel: Array, x: Array) -> Array:
    """The adjoint of a convolution, for images of a given shape."""
    letters = _layout(call)
    space = letters.replace("N", "").replace("C", "")
    sizes = tuple(n for n, letter in zip(whole(shape), letters, strict=True) if letter not in "NC")
    window = _window(kernel, len(space))
    strides, dilation = _spatial(call, "strides", letters), _spatial(call, "dilations", letters)
    around = _padding(call, letters, sizes, window, strides, dilation)
    inner: list[tuple[int, int]] = []
    behind: list[tuple[int, int]] = []
    for n, m, s, k, d, (low, _) in zip(_space(x, letters), sizes, strides, window, dilation, around, strict=True):
        high = (n - 1) * s + d * (k - 1) + 1 - low - m
        if isinstance(high, Dim):
            raise ShapeError(f"a transposed convolution of {n} places to {m}.")
        # What lies beyond the last window is 0.
        inner.append((low, max(high, 0)))
        behind.append((0, max(-high, 0)))
    if kernel.shape[-1] != _channels(x, letters):
        raise ShapeError(f"a transposed convolution of {_channels(x, letters)} channels by {kernel.shape[-1]}.")
    groups = whole(shape)[letters.index("C")] // int(kernel.shape[-2])
    found = one(
        x, "convolution_transpose", kernel, strides=strides, dilation=dilation, padding=tuple(inner), groups=groups,
        numbers=(letters, space + "OI", letters),
    )  # fmt: skip
    if any(map(any, behind)):
        pairs = dict(zip(space, behind, strict=True))
        found = one(found, "pad", padding=tuple(pairs.get(letter, (0, 0)) for letter in letters), value=0.0)
    return found


def _pooled(operation: str) -> Lowering:
    def lower(call: Call, x: Array, *given: Known) -> Array:
        letters = _layout(call)
        if given:
            window, strides = (
                tuple(int(n) for n, letter in zip(whole(value), letters, strict=True) if letter not in "NC")
                for value in given
            )
        else:
            window, strides = _spatial(call, "ksize", letters), _spatial(call, "strides", letters)
        ones = (1,) * len(window)
        space = letters.replace("N", "").replace("C", "")
        around = _padding(call, letters, _space(x, letters), window, strides, ones)
        x = ordered(x, letters, "NC" + space)
        if operation == "max_pool":
            x, around = _surrounded(x, "NC" + space, around, -np.inf)
            found = one(x, operation, window=window, strides=strides, padding=around, dilation=ones)
        else:
            found = _means(x, window, strides, around)
        return ordered(found, "NC" + space, letters)

    return lower


def _means(x: Array, window: tuple[int, ...], strides: tuple[int, ...], around: Pairs) -> Array:
    """The means of windows, of what lies inside of the image only."""
    letters = "NCDHW"[: x.ndim]
    whole_image, rest = _surrounded(x, letters, around, 0.0)
    found = one(whole_image, "mean_pool", window=window, strides=strides, padding=rest, padded=False)
    if whole_image is x:
        return found
    inside = xp.broadcast_to(literal_like(x, 1), (1, 1, *x.shape[2:]))
    share = _surrounded(inside, letters, around, 0.0)[0]
    return xp.divide(found, one(share, "mean_pool", window=window, strides=strides, padding=rest, padded=False))


def _normalised(call: Call, x: Array, scale: Array, offset: Array, mean: Array, variance: Array) -> tuple[Any, ...]:
    """Batch normalisation; further results of training are the running statistics."""
    letters, epsilon = _layout(call), float(call.attribute("epsilon"))
    axis = letters.index("C")
    kind = x.dtype
    count = len(call.operation.outputs)
    x = cast(x, scale.dtype)
    if not call.attribute("is_training"):
        found = one(x, "batch_norm", mean, variance, scale, offset, axis=axis, epsilon=epsilon)
        return (cast(found, kind), mean, variance, *(None,) * (count - 3))
    axes = tuple(n for n in range(x.ndim) if n != axis)
    mine = one(x, "mean", axes=axes, keepdims=False)
    spread = one(x, "var", axes=axes, keepdims=False, correction=0.0)
    found = one(x, "batch_norm", mine, spread, scale, offset, axis=axis, epsilon=epsilon)
    total: Any = 1
    for n in axes:
        total = total * x.shape[n]
    # What is remembered is the unbiased variance.
    number = x.recorder.size(total, scale.dtype)
    unbiased = xp.multiply(spread, xp.divide(number, xp.maximum(xp.subtract(number, 1.0), 1.0)))
    share = float(call.attribute("exponential_avg_factor"))
    if share != 1.0:
        mine = xp.add(xp.multiply(mean, 1.0 - share), xp.multiply(mine, share))
        unbiased = xp.add(xp.multiply(variance, 1.0 - share), xp.multiply(unbiased, share))
    return (cast(found, kind), mine, unbiased, *(None,) * (count - 3))


# -- activations along an axis, and losses ----------------------------------------------------------------------------


def _along(operation: str) -> Lowering:
    return lambda call, x: x if 0 in x.shape else one(x, operation, axis=x.ndim - 1)


def _entropy(call: Call, x: Array, labels: Array) -> tuple[Array, Array]:
    """The cross entropy of labels with softmax, and its derivative."""
    logs = one(x, "log_softmax", axis=x.ndim - 1)
    loss = xp.negative(one(xp.multiply(labels, logs), "sum", axes=(1,), keepdims=False))
    return loss, xp.subtract(one(x, "softmax", axis=x.ndim - 1), labels)


def _sparse_entropy(call: Call, x: Array, labels: Array) -> tuple[Array, Array]:
    logs = one(x, "log_softmax", axis=x.ndim - 1)
    own = one(logs, "take_along_axis", xp.expand_dims(labels, axis=1), axis=1)
    hit = xp.equal(xp.expand_dims(labels, axis=1), xp.arange(x.shape[1], dtype=labels.dtype))
    return xp.negative(getitem(own, (slice(None), 0))), xp.subtract(xp.exp(logs), cast(hit, x.dtype))


LOWERINGS: dict[str, Lowering] = {
    "MatMul": _matmul, "BatchMatMul": _batched, "BatchMatMulV2": _batched, "BatchMatMulV3": _batched,
    "Einsum": _einsum, "Conv2D": _convolution, "Conv3D": _convolution, "DepthwiseConv2dNative": _convolution,
    "Conv2DBackpropInput": _transposed, "Conv3DBackpropInputV2": _transposed,
    "MaxPool": _pooled("max_pool"), "MaxPoolV2": _pooled("max_pool"), "MaxPool3D": _pooled("max_pool"),
    "AvgPool": _pooled("mean_pool"), "AvgPool3D": _pooled("mean_pool"),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _normalised),
    "Softmax": _along("softmax"), "LogSoftmax": _along("log_softmax"),
    "SoftmaxCrossEntropyWithLogits": _entropy, "SparseSoftmaxCrossEntropyWithLogits": _sparse_entropy,
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {
    "Conv2DBackpropInput": (0,), "Conv3DBackpropInputV2": (0,), "MaxPoolV2": (1, 2), "ResizeBilinear": (1,),
    "ResizeNearestNeighbor": (1,),
}
"""Which operands have to be known before anything runs."""
