"""Operations of neural networks in NumPy alone: programs run them, and programs written in NumPy contain their text.

Each function uses NumPy and its own arguments only (or another function of this file, which `NEEDS` says), and makes
one pass less over memory than the definition.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["KERNELS", "NEEDS", "PRELUDE"]


def erf(x):
    """Error function; SciPy's where it is installed, else Python's."""
    try:
        from scipy.special import erf as function
    except ImportError:
        import math

        return np.vectorize(math.erf, otypes=[x.dtype])(x)
    return function(x).astype(x.dtype, copy=False)


def sigmoid(x):
    """1 / (1 + exp(-x)), by an exponential that does not overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, x.dtype.type(1)) / (1 + small)


def relu(x):
    """x where it is positive, else 0."""
    return np.maximum(x, 0)


def hardtanh(x, *, low, high):
    """x between two numbers."""
    return np.clip(x, x.dtype.type(low), x.dtype.type(high))


def silu(x):
    """x / (1 + exp(-x))."""
    return x * sigmoid(x)


def gelu(x, *, approximate):
    """x times the normal distribution function, or its approximation by tanh."""
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * (x * x * x))))
    return 0.5 * x * (1 + erf(x * 0.5**0.5))


def softmax(x, *, axis):
    """exp(x) / sum(exp(x))."""
    x = np.exp(x - x.max(axis=axis, keepdims=True))
    return x / x.sum(axis=axis, keepdims=True)


def log_softmax(x, *, axis):
    """x - log(sum(exp(x)))."""
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def linear(x, weight, *bias):
    """x times the transposed weight, as one matrix product, plus the bias."""
    found = (x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1]) @ weight.T).reshape(*x.shape[:-1], weight.shape[0])
    return found + bias[0] if bias else found


def layer_norm(x, *scale, axes, epsilon):
    """Zero mean and unit variance over the last axes, times a weight, plus a bias."""
    x = x - x.mean(axis=axes, keepdims=True)
    x = x / np.sqrt((x * x).mean(axis=axes, keepdims=True) + epsilon)
    if scale:
        x = x * scale[0]
    return x + scale[1] if len(scale) > 1 else x


def rms_norm(x, *scale, axes, epsilon):
    """Unit mean square over the last axes, times a weight."""
    x = x / np.sqrt((x * x).mean(axis=axes, keepdims=True) + epsilon)
    return x * scale[0] if scale else x


def group_norm(x, *scale, groups, epsilon):
    """Zero mean and unit variance of groups of channels, scaled by channel."""
    grouped = x.reshape(x.shape[0], groups, -1)
    grouped = grouped - grouped.mean(axis=2, keepdims=True)
    found = (grouped / np.sqrt((grouped * grouped).mean(axis=2, keepdims=True) + epsilon)).reshape(x.shape)
    vectors = [vector.reshape(-1, *(1,) * (x.ndim - 2)) for vector in scale]
    if vectors:
        found = found * vectors[0]
    return found + vectors[1] if len(vectors) > 1 else found


def batch_norm(x, mean, variance, *scale, axis, epsilon):
    """Centred and scaled by channel: one product and one sum."""
    factor = 1 / np.sqrt(variance + epsilon)
    if scale:
        factor = factor * scale[0]
    spread = (slice(None), *(None,) * (x.ndim - axis - 1))
    found = (x - mean[spread]) * factor[spread]
    return found + scale[1][spread] if len(scale) > 1 else found


def attention(query, key, value, *mask, causal, scale):
    """softmax(scale query key^T + mask) value; rows without anything to attend to are 0."""
    scores = (query * scale) @ key.swapaxes(-1, -2)
    masks = [*mask, np.tri(*scores.shape[-2:], dtype=bool)] if causal else mask
    for of in masks:
        scores = np.where(of, scores, -np.inf) if of.dtype == bool else scores + of
    largest = scores.max(axis=-1, keepdims=True)
    if masks:
        largest = np.where(np.isinf(largest), 0, largest)
    scores = np.exp(scores - largest).astype(query.dtype, copy=False)
    total = scores.sum(axis=-1, keepdims=True)
    return (scores / np.where(total == 0, 1, total).astype(query.dtype, copy=False)) @ value


def embedding(weight, indices):
    """Rows of a table."""
    return weight[indices]


def windowed(x, window, strides, padding, dilation, value):
    """The windows of an image as a view: (..., *places, *window)."""
    lead = x.ndim - len(window)
    if any(map(any, padding)):
        x = np.pad(x, [(0, 0)] * lead + list(padding), constant_values=value)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True))
    x = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(lead, x.ndim)))
    return x[(..., *(slice(None, None, step) for step in (*strides, *dilation)))]


def convolution(x, kernel, *bias, strides, padding, dilation, groups, numbers):
    """Images under a kernel: a matrix product with the windows, or for one channel in each group a sum over them."""
    space = len(strides)
    letters = "".join(letter for letter in numbers[0] if letter not in "NC")
    x = x.transpose([numbers[0].index(letter) for letter in "NC" + letters])
    kernel = kernel.transpose([numbers[1].index(letter) for letter in "OI" + letters])
    outputs, inputs, window = kernel.shape[0], kernel.shape[1], kernel.shape[2:]
    view = windowed(x, window, strides, padding, dilation, 0)
    batch, places = x.shape[0], view.shape[2 : 2 + space]
    if inputs == 1 and outputs == groups:
        found = np.zeros((batch, outputs, *places), dtype=x.dtype)
        for place in np.ndindex(window):
            found += view[(..., *place)] * kernel[(slice(None), 0, *place)].reshape(-1, *(1,) * space)
    else:
        # (batch, channels, *window, *places), so that the channels of a group and its window are one axis.
        columns = view.transpose(0, 1, *range(2 + space, 2 + 2 * space), *range(2, 2 + space))
        columns = columns.reshape(batch, groups, inputs * int(np.prod(window)), int(np.prod(places)))
        weights = kernel.reshape(groups, outputs // groups, -1)
        found = (weights @ columns).reshape(batch, outputs, *places)
    if bias:
        found = found + bias[0].reshape(-1, *(1,) * space)
    return found.transpose([("NC" + letters).index(letter) for letter in numbers[2]])


def convolution_transpose(x, kernel, *bias, strides, padding, dilation, groups, numbers):
    """A convolution of the image with zeros between its components, with the kernel turned round."""
    space = len(strides)
    letters = "DHW"[3 - space :]
    x = x.transpose([numbers[0].index(letter) for letter in "NC" + letters])
    kernel = kernel.transpose([numbers[1].index(letter) for letter in "IO" + letters])
    size = tuple((n - 1) * step + 1 for n, step in zip(x.shape[2:], strides, strict=True))
    wide = np.zeros((*x.shape[:2], *size), dtype=x.dtype)
    wide[(..., *(slice(None, None, step) for step in strides))] = x
    around = []
    for axis, ((low, high), d) in enumerate(zip(padding, dilation, strict=True), 2):
        reach = d * (kernel.shape[axis] - 1)
        around.append((max(reach - low, 0), max(reach - high, 0)))
        inside = slice(max(low - reach, 0), wide.shape[axis] - max(high - reach, 0))
        wide = wide[(*(slice(None),) * axis, inside)]
    inputs, outputs, *window = kernel.shape
    kernel = kernel.reshape(groups, inputs // groups, outputs, *window).swapaxes(1, 2)
    kernel = np.flip(kernel.reshape(groups * outputs, inputs // groups, *window), axis=tuple(range(2, 2 + space)))
    return convolution(
        wide, kernel, *bias, strides=(1,) * space, padding=tuple(around), dilation=dilation, groups=groups,
        numbers=("NC" + letters, "OI" + letters, numbers[2]),
    )  # fmt: skip


def max_pool(x, *, window, strides, padding, dilation):
    """The largest component of each window."""
    return windowed(x, window, strides, padding, dilation, -np.inf).max(axis=tuple(range(-len(window), 0)))


def mean_pool(x, *, window, strides, padding, padded):
    """The mean of each window, of the zeros around the image too, or of its own components."""
    ones, axes = (1,) * len(window), tuple(range(-len(window), 0))
    view = windowed(x, window, strides, padding, ones, 0)
    if padded or not any(map(any, padding)):
        return view.mean(axis=axes)
    inside = np.ones(x.shape[x.ndim - len(window) :], dtype=x.dtype)
    return view.sum(axis=axes) / windowed(inside, window, strides, padding, ones, 0).sum(axis=axes)


def pad(x, *, padding, value):
    """A value around x."""
    return np.pad(x, padding, constant_values=value)


def top_k(x, *, k, axis, largest):
    """The first k components of the sorted axis, equal ones in the order in which they are."""
    order = np.argsort(-x if largest else x, axis=axis, stable=True)
    places = np.take(order, np.arange(k), axis=axis)
    return np.take_along_axis(x, places, axis=axis), places


def scatter(x, indices, updates, *, axis, add):
    """x with updates written or added at positions along an axis."""
    x = x.copy()
    places = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    if add:
        np.add.at(x, tuple(places), updates)
    else:
        x[tuple(places)] = updates
    return x


def lstm(x, hidden, cell, *weights, reverse):
    """Long short-term memory over the first axis."""
    n = hidden.shape[1]
    gates = linear(x, weights[0], *weights[2:3])
    states = np.empty((*x.shape[:2], n), dtype=x.dtype)
    for time in range(len(x))[:: -1 if reverse else 1]:
        now = gates[time] + linear(hidden, weights[1], *weights[3:])
        enter, forget, leave = (sigmoid(now[:, k * n : (k + 1) * n]) for k in (0, 1, 3))
        cell = forget * cell + enter * np.tanh(now[:, 2 * n : 3 * n])
        states[time] = hidden = leave * np.tanh(cell)
    return states, hidden, cell


def gru(x, hidden, *weights, reverse):
    """Gated recurrent unit over the first axis."""
    n = hidden.shape[1]
    gates = linear(x, weights[0], *weights[2:3])
    states = np.empty((*x.shape[:2], n), dtype=x.dtype)
    for time in range(len(x))[:: -1 if reverse else 1]:
        own = linear(hidden, weights[1], *weights[3:])
        reset, update = np.split(sigmoid(gates[time][:, : 2 * n] + own[:, : 2 * n]), 2, axis=1)
        new = np.tanh(gates[time][:, 2 * n :] + reset * own[:, 2 * n :])
        states[time] = hidden = new + update * (hidden - new)
    return states, hidden


def take_at(x, indices):
    """Parts of x at places along its first axes."""
    return x[tuple(indices[..., n] for n in range(indices.shape[-1]))]


def adaptive_max_pool(x, *, sizes):
    """The largest component of each of as many bins."""
    for axis, m in enumerate(sizes, x.ndim - len(sizes)):
        n = x.shape[axis]
        bins = [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        x = np.stack([x.take(places, axis).max(axis) for places in bins], axis)
    return x


def threefry(k0, k1, c0, c1):
    """Counters of two words encrypted by a key of two words: Threefry-2x32-20 (Salmon et al. 2011)."""
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = c0 + k0, c1 + k1
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << rotation | x1 >> 32 - rotation) ^ x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + (keys[(group + 2) % 3] + np.uint32(group + 1))
    return x0, x1


def dropout(x, key, *, rate, stream, shared):
    """x / (1 - rate), and 0 where a uniform number that belongs to the key and the stream is below the rate."""
    k0, k1 = key[:1], key[1:]
    for number in (stream >> 32, stream & 0xFFFFFFFF):
        k0, k1 = threefry(k0, k1, np.array([number], np.uint32), np.array([2 << 24], np.uint32))
    shape = [1 if axis in shared else size for axis, size in enumerate(x.shape)]
    count = int(np.prod(shape))
    pairs = threefry(k0, k1, np.arange((count + 1) // 2, dtype=np.uint32), np.zeros(1, np.uint32))
    drawn = np.stack(pairs, axis=-1).reshape(-1)[:count].reshape(shape) >> 8
    kept = x * x.dtype.type(1 / (1 - rate) if rate < 1 else 0)
    return np.where(drawn >= np.ceil(rate * 2**24), kept, x.dtype.type(0))


KERNELS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        erf, sigmoid, relu, hardtanh, silu, gelu, softmax, log_softmax, linear, layer_norm, rms_norm, group_norm,
        batch_norm, attention, embedding, convolution, convolution_transpose, max_pool, mean_pool, pad, top_k,
        scatter, lstm, gru, dropout, take_at, adaptive_max_pool,
    )
}  # fmt: skip
"""The kernels, by the operation's name."""
NEEDS = {
    "silu": ("sigmoid",), "gelu": ("erf",), "convolution": ("windowed",), "lstm": ("linear", "sigmoid"),
    "convolution_transpose": ("windowed", "convolution"), "max_pool": ("windowed",), "mean_pool": ("windowed",),
    "gru": ("linear", "sigmoid"), "dropout": ("threefry",),
}  # fmt: skip
"""Which other functions of this file a kernel calls."""
PRELUDE = {function.__name__: inspect.getsource(function) for function in (*KERNELS.values(), windowed, threefry)}
"""Their text."""
