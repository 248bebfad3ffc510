"""Operations of neural networks: activations, normalisation, attention, convolution, pooling, resampling.

Each has a definition in operations of the other chapters (`programs.definitions`), which says what it means on every
backend; a backend may have a kernel for it. Optional operands stand last and may be left out.

Images have a batch axis, an axis of channels, and axes of space behind them: (batch, channels, *space). A convolution
carries dimension numbers, three words that name the axes of input, kernel and result: `N` for batch, `C` for channels,
`I` and `O` for a kernel's input and output channels, `D`, `H`, `W` for space.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.dtypes import DType, int64, uint32
from tensoria.errors import DomainError, DTypeError, ShapeError
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.elementwise import WHOLE, broadcast
from tensoria.programs.operations.reductions import checked_axes
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS", "Pairs", "image", "windows"]

Pairs = tuple[tuple[int, int], ...]
SPACE = "DHW"


def image(space: int, channels: str = "NC") -> str:
    """The dimension number of (batch, channels, *space), or with `OI` of a kernel.

    >>> image(2), image(1, "OI")
    ('NCHW', 'OIW')
    """
    return channels + SPACE[len(SPACE) - space :]


def windows(
    sizes: Shape, window: Sequence[int], strides: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> Shape:
    """How many windows fit along each axis: floor((size + padding - dilation (window - 1) - 1) / stride) + 1."""
    return tuple(
        (n + low + high - d * (k - 1) - 1) // s + 1
        for n, k, s, (low, high), d in zip(sizes, window, strides, padding, dilation, strict=True)
    )


def _floating(name: str, types: Sequence[Type]) -> None:
    same_dtype(name, types)
    if types[0].dtype.kind != "float":
        raise DTypeError(f"{name} takes float components, not {types[0].dtype}.")


def _vectors(name: str, size: Size, types: Sequence[Type]) -> None:
    for of in types:
        if of.shape != (size,):
            raise ShapeError(f"{name} of {size} channels with a vector of shape {of.shape}.")


def _elementwise(name: str, meaning: str, *attributes: str) -> Operation:
    def infer(x: Type, **_: object) -> tuple[Type, ...]:
        _floating(name, (x,))
        return (x,)

    return Operation(name, ("x",), meaning, infer, attributes)


def _hardtanh(x: Type, *, low: float, high: float) -> tuple[Type, ...]:
    _floating("hardtanh", (x,))
    if not low <= high:
        raise DomainError(f"hardtanh between {low} and {high}: the lower end comes first.")
    return (x,)


def _along(name: str, meaning: str) -> Operation:
    def infer(x: Type, *, axis: int) -> tuple[Type, ...]:
        _floating(name, (x,))
        checked_axes(name, x.ndim, (axis,))
        return (x,)

    return Operation(name, ("x",), meaning, infer, ("axis",))


def _linear(x: Type, weight: Type, *bias: Type) -> tuple[Type, ...]:
    same_dtype("linear", (x, weight, *bias))
    if weight.ndim != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        raise ShapeError(f"linear of the shape {x.shape} with a weight of shape {weight.shape}, (out, in).")
    _vectors("linear", weight.shape[0], bias)
    return (Type(x.dtype, (*x.shape[:-1], weight.shape[0])),)


def _normalised(name: str) -> object:
    def infer(x: Type, *scale: Type, axes: tuple[int, ...], epsilon: float) -> tuple[Type, ...]:
        _floating(name, (x, *scale))
        checked_axes(name, x.ndim, axes)
        if axes != tuple(range(x.ndim - len(axes), x.ndim)) or not axes:
            raise ShapeError(f"{name} is over the last axes, not over {axes} of {x.ndim}.")
        for of in scale:
            if of.shape != x.shape[axes[0] :]:
                raise ShapeError(f"{name} over the shape {x.shape[axes[0] :]} with a weight of shape {of.shape}.")
        return (x,)

    return infer


def _group_norm(x: Type, *scale: Type, groups: int, epsilon: float) -> tuple[Type, ...]:
    _floating("group_norm", (x, *scale))
    if x.ndim < 2 or x.shape[1] % groups != 0:
        raise ShapeError(f"group_norm of the shape {x.shape} in {groups} groups of channels, which are axis 1.")
    _vectors("group_norm", x.shape[1], scale)
    return (x,)


def _batch_norm(
    x: Type, mean: Type, variance: Type, *scale: Type, axis: int, epsilon: float
) -> tuple[Type, ...]:
    _floating("batch_norm", (x, mean, variance, *scale))
    checked_axes("batch_norm", x.ndim, (axis,))
    _vectors("batch_norm", x.shape[axis], (mean, variance, *scale))
    return (x,)


def _attention(
    query: Type, key: Type, value: Type, *mask: Type, causal: bool, scale: float
) -> tuple[Type, ...]:
    _floating("attention", (query, key, value))
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(f"attention of queries {query.shape} with keys {key.shape}.")
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(f"attention of keys {key.shape} with values {value.shape}: as many of each.")
    lead = broadcast((query.shape[:-2], key.shape[:-2], value.shape[:-2]), "attention")
    scores = (*lead, query.shape[-2], key.shape[-2])
    for of in mask:
        if of.dtype.kind != "bool" and of.dtype is not query.dtype:
            raise DTypeError(f"attention of {query.dtype} with a mask of {of.dtype}; a mask is bool, or is added.")
        if broadcast((scores, of.shape), "attention's mask") != scores:
            raise ShapeError(f"attention with scores of shape {scores} and a mask of shape {of.shape}.")
    return (Type(query.dtype, (*lead, query.shape[-2], value.shape[-1])),)


def _embedding(weight: Type, indices: Type) -> tuple[Type, ...]:
    if indices.dtype.kind not in WHOLE:
        raise DTypeError(f"embedding looks up positions, not {indices.dtype}.")
    if weight.ndim != 2:
        raise ShapeError(f"embedding looks up in a table of vectors, not in the shape {weight.shape}.")
    return (Type(weight.dtype, (*indices.shape, weight.shape[1])),)


def _lettered(
    name: str, x: Type, kernel: Type, bias: Sequence[Type], numbers: tuple[str, str, str]
) -> tuple[dict[str, Size], dict[str, Size], str]:
    """The sizes of image and kernel by the letters of their axes, and the letters of space."""
    same_dtype(name, (x, kernel, *bias))
    of_x, of_kernel, of_result = numbers
    space = of_x.replace("N", "").replace("C", "")
    named = sorted(of_x) == sorted("NC" + space) and len(of_x) == x.ndim and len(of_kernel) == kernel.ndim
    if not named or sorted(of_kernel) != sorted("OI" + space) or sorted(of_result) != sorted("NC" + space):
        raise ShapeError(f"{name} of {x} with {kernel}: the dimension numbers {numbers} name other axes.")
    return dict(zip(of_x, x.shape, strict=True)), dict(zip(of_kernel, kernel.shape, strict=True)), space


def _convolution(
    x: Type, kernel: Type, *bias: Type, strides: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...],
    groups: int, numbers: tuple[str, str, str],
) -> tuple[Type, ...]:  # fmt: skip
    size, along, space = _lettered("convolution", x, kernel, bias, numbers)
    if size["C"] != along["I"] * groups or along["O"] % groups != 0:
        raise ShapeError(
            f"convolution of {size['C']} channels in {groups} groups with a kernel {kernel.shape} ({numbers[1]})."
        )
    _vectors("convolution", along["O"], bias)
    window = tuple(_known("convolution", along[letter]) for letter in space)
    count = windows(tuple(size[letter] for letter in space), window, strides, padding, dilation)
    found = {"N": size["N"], "C": along["O"], **dict(zip(space, count, strict=True))}
    return (Type(x.dtype, tuple(found[letter] for letter in numbers[2])),)


def _known(name: str, size: Size) -> int:
    if isinstance(size, Dim):
        raise ShapeError(f"{name} with a window of the size {size}, which has to be known.")
    return size


def _convolution_transpose(
    x: Type, kernel: Type, *bias: Type, strides: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...],
    groups: int, numbers: tuple[str, str, str],
) -> tuple[Type, ...]:  # fmt: skip
    size, along, space = _lettered("convolution_transpose", x, kernel, bias, numbers)
    if size["C"] != along["I"] or size["C"] % groups != 0:
        raise ShapeError(
            f"convolution_transpose of {size['C']} channels in {groups} groups with a kernel {kernel.shape} "
            f"({numbers[1]})."
        )
    channels = along["O"] * groups
    _vectors("convolution_transpose", channels, bias)
    found = {"N": size["N"], "C": channels}
    for letter, s, (low, high), d in zip(space, strides, padding, dilation, strict=True):
        reach = d * (_known("convolution_transpose", along[letter]) - 1)
        found[letter] = (size[letter] - 1) * s + reach + 1 - low - high
    return (Type(x.dtype, tuple(found[letter] for letter in numbers[2])),)


def _max_pool(
    x: Type, *, window: tuple[int, ...], strides: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]
) -> tuple[Type, ...]:
    _floating("max_pool", (x,))
    lead = x.ndim - len(window)
    return (Type(x.dtype, (*x.shape[:lead], *windows(x.shape[lead:], window, strides, padding, dilation))),)


def _mean_pool(
    x: Type, *, window: tuple[int, ...], strides: tuple[int, ...], padding: Pairs, padded: bool
) -> tuple[Type, ...]:
    _floating("mean_pool", (x,))
    lead = x.ndim - len(window)
    ones = (1,) * len(window)
    return (Type(x.dtype, (*x.shape[:lead], *windows(x.shape[lead:], window, strides, padding, ones))),)


def _resampled(name: str) -> object:
    def infer(x: Type, *, sizes: Shape, **_: object) -> tuple[Type, ...]:
        _floating(name, (x,))
        if len(sizes) >= x.ndim:
            raise ShapeError(f"{name} of the shape {x.shape} to {sizes}.")
        return (Type(x.dtype, (*x.shape[: x.ndim - len(sizes)], *sizes)),)

    return infer


def _take_at(x: Type, indices: Type) -> tuple[Type, ...]:
    if indices.dtype.kind not in WHOLE or not indices.shape:
        raise DTypeError(f"take_at reads places along the last axis of its indices, which are {indices}.")
    count = _known("take_at", indices.shape[-1])
    if not 0 < count <= x.ndim:
        raise ShapeError(f"take_at from {x.ndim} axes at places of {count} numbers.")
    return (Type(x.dtype, (*indices.shape[:-1], *x.shape[count:])),)


def _pad(x: Type, *, padding: Pairs, value: complex) -> tuple[Type, ...]:
    if len(padding) != x.ndim or any(n < 0 for pair in padding for n in pair):
        raise ShapeError(f"pad of the shape {x.shape} by {padding}: two numbers for each axis, none negative.")
    return (Type(x.dtype, tuple(low + n + high for n, (low, high) in zip(x.shape, padding, strict=True))),)


def _top_k(x: Type, *, k: int, axis: int, largest: bool) -> tuple[Type, ...]:
    checked_axes("top_k", x.ndim, (axis,))
    size = x.shape[axis]
    if isinstance(size, int) and not 0 <= k <= size:
        raise ShapeError(f"top_k takes {k} of {size} components.")
    shape = tuple(k if n == axis else size for n, size in enumerate(x.shape))
    return Type(x.dtype, shape), Type(int64, shape)


def _scatter(x: Type, indices: Type, updates: Type, *, axis: int, add: bool) -> tuple[Type, ...]:
    same_dtype("scatter", (x, updates))
    checked_axes("scatter", x.ndim, (axis,))
    if indices.shape != updates.shape or indices.ndim != x.ndim:
        raise ShapeError(f"scatter of updates {updates.shape} at {indices.shape} into {x.shape}.")
    if any(m != n for i, (m, n) in enumerate(zip(indices.shape, x.shape, strict=True)) if i != axis):
        raise ShapeError(f"scatter into {x.shape} along axis {axis} at {indices.shape}: the other axes agree.")
    return (x,)


def _gated(name: str, gates: int, states: int) -> object:
    def infer(x: Type, *more: Type, reverse: bool) -> tuple[Type, ...]:
        held, weights = more[:states], more[states:]
        _floating(name, (x, *more))
        if x.ndim != 3 or len(weights) not in (2, 4) or weights[0].shape[1:] != x.shape[2:]:
            raise ShapeError(f"{name} of the shape {x.shape}, (time, batch, features).")
        size = weights[1].shape[1]
        for of, wanted in zip(weights[1:], ((gates * size, size), (gates * size,), (gates * size,)), strict=False):
            if of.shape != wanted:
                raise ShapeError(f"{name} with {size} units has a weight of shape {of.shape}, not {wanted}.")
        for of in held:
            if of.shape != (x.shape[1], size):
                raise ShapeError(f"{name} of {x} begins with a state of shape {of.shape}.")
        return (Type(x.dtype, (*x.shape[:2], size)), *held)

    return infer


def _dropout(x: Type, key: Type, *, rate: float, stream: int, shared: tuple[int, ...]) -> tuple[Type, ...]:
    _floating("dropout", (x,))
    if key.dtype is not uint32 or key.shape != (2,):
        raise DTypeError(f"dropout takes a key, uint32[2], not {key}.", legal="tn.random.key(0)")
    if not 0 <= rate <= 1:
        raise DomainError(f"dropout with the rate {rate}, which is no probability.")
    checked_axes("dropout", x.ndim, shared)
    return (x,)


def _random(key: Type, *, shape: Shape, dtype: DType, stream: int) -> tuple[Type, ...]:
    if key.dtype is not uint32 or key.shape != (2,):
        raise DTypeError(f"a key is uint32[2], not {key}.", legal="tn.random.key(0)")
    if dtype.kind != "float":
        raise DTypeError(f"random numbers are floats, not {dtype}.")
    return (Type(dtype, shape),)


def _row(name: str, operands: str, meaning: str, infer: object, attributes: str = "") -> Operation:
    return Operation(name, tuple(operands.split()), meaning, infer, tuple(attributes.split()))  # type: ignore[arg-type]


ROWS = {
    row.name: row
    for row in (
        _elementwise("erf", "error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x"),
        _elementwise("sigmoid", "1 / (1 + exp(-x))"),
        _elementwise("relu", "x where it is positive, else 0; the derivative at 0 is 0"),
        _row(
            "hardtanh", "x", "x between two numbers, and the nearer one of them outside; the derivative at both is 0",
            _hardtanh, "low high",
        ),
        _elementwise("silu", "x sigmoid(x)"),
        _elementwise(
            "gelu", "x times the normal distribution function; `tanh` approximates it (Hendrycks and Gimpel 2016)",
            "approximate",
        ),
        _along("softmax", "exp(x) / sum(exp(x)) along an axis"),
        _along("log_softmax", "x - log(sum(exp(x))) along an axis"),
        _row("linear", "x weight bias*", "x times the transposed weight, plus the bias", _linear),
        _row(
            "layer_norm", "x scale*",
            "(x - mean) / sqrt(variance + epsilon) over the last axes, times weight, plus bias",
            _normalised("layer_norm"), "axes epsilon",
        ),
        _row(
            "rms_norm", "x scale*", "x / sqrt(mean(x^2) + epsilon) over the last axes, times weight",
            _normalised("rms_norm"), "axes epsilon",
        ),
        _row("group_norm", "x scale*", "layer_norm of groups of channels, weight and bias by channel", _group_norm,
             "groups epsilon"),
        _row(
            "batch_norm", "x mean variance scale*", "(x - mean) / sqrt(variance + epsilon) by channel, scaled",
            _batch_norm, "axis epsilon",
        ),
        _row(
            "attention", "query key value mask*",
            "softmax(scale query key^T + mask) value; a row without anything to attend to is 0",
            _attention, "causal scale",
        ),
        _row("embedding", "weight indices", "rows of a table; negative positions count from the end", _embedding),
        _row(
            "convolution", "x kernel bias*", "cross-correlation of images with a kernel, zeros around them",
            _convolution, "strides padding dilation groups numbers",
        ),
        _row(
            "convolution_transpose", "x kernel bias*",
            "the adjoint of a convolution, whose output channels are the kernel's `I`; padding is cut from the result",
            _convolution_transpose, "strides padding dilation groups numbers",
        ),
        _row("max_pool", "x", "the largest component of each window", _max_pool, "window strides padding dilation"),
        _row(
            "mean_pool", "x", "the mean of each window; `padded` counts the zeros around the image",
            _mean_pool, "window strides padding padded",
        ),
        _row(
            "adaptive_mean_pool", "x", "means of as many bins: bin i is floor(i n / m) to ceil((i + 1) n / m)",
            _resampled("adaptive_mean_pool"), "sizes",
        ),
        _row(
            "adaptive_max_pool", "x", "the largest component of each of as many bins, as in adaptive_mean_pool",
            _resampled("adaptive_max_pool"), "sizes",
        ),
        _row(
            "resize", "x",
            "interpolated between `nearest`, `linear` or `cubic` (Keys 1981, a = -3/4) neighbours; position i of the "
            "result is at i step (corners), (i + 1/2) step - 1/2 (half_pixel) or floor(i step) (asymmetric); no "
            "step is the ratio of the sizes",
            _resampled("resize"), "sizes method rule steps",
        ),
        _row("pad", "x", "a value repeated around x", _pad, "padding value"),
        _row("top_k", "x", "the k largest (or smallest) components along an axis in order, and their positions",
             _top_k, "k axis largest"),
        _row(
            "take_at", "x indices",
            "components, or parts, of x at places along its first axes, which the last axis of indices holds; "
            "negative ones count from the end", _take_at,
        ),
        _row("scatter", "x indices updates", "x with updates written (or added) at positions along an axis", _scatter,
             "axis add"),
        _row(
            "lstm", "x hidden cell weights*",
            "long short-term memory over time: input, forget, cell and output gates; weights by input and by state, "
            "and their biases",
            _gated("lstm", 4, 2), "reverse",
        ),
        _row("gru", "x hidden weights*", "gated recurrent unit over time: reset, update and new gates",
             _gated("gru", 3, 1), "reverse"),
        _row(
            "dropout", "x key",
            "x / (1 - rate), and 0 where uniform(fold_in(key, stream), x.shape) < rate; one draw along shared axes",
            _dropout, "rate stream shared",
        ),
        _row("random_uniform", "key", "tn.random.uniform(fold_in(key, stream), shape): numbers in [0, 1)", _random,
             "shape dtype stream"),
        _row("random_normal", "key", "tn.random.normal(fold_in(key, stream), shape): standard normal numbers", _random,
             "shape dtype stream"),
    )
}  # fmt: skip
"""The operations of this chapter, by name."""
