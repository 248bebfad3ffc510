"""Operations of neural networks by PyTorch's own kernels; programs written in PyTorch contain the text of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["KERNELS", "NEEDS", "PRELUDE"]


def erf(x):
    """Error function."""
    return torch.erf(x)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


def relu(x):
    """x where it is positive, else 0."""
    return torch.relu(x)


def hardtanh(x, *, low, high):
    """x between two numbers."""
    return torch.nn.functional.hardtanh(x, low, high)


def silu(x):
    """x sigmoid(x)."""
    return torch.nn.functional.silu(x)


def gelu(x, *, approximate):
    """x times the normal distribution function, or its approximation by tanh."""
    return torch.nn.functional.gelu(x, approximate=approximate)


def softmax(x, *, axis):
    """exp(x) / sum(exp(x))."""
    return torch.softmax(x, axis)


def log_softmax(x, *, axis):
    """x - log(sum(exp(x)))."""
    return torch.log_softmax(x, axis)


def linear(x, weight, *bias):
    """x times the transposed weight, plus the bias."""
    return torch.nn.functional.linear(x, weight, *bias)


def layer_norm(x, *scale, axes, epsilon):
    """Zero mean and unit variance over the last axes, times a weight, plus a bias."""
    return torch.nn.functional.layer_norm(x, x.shape[axes[0] :], *scale, eps=epsilon)


def rms_norm(x, *scale, axes, epsilon):
    """Unit mean square over the last axes, times a weight."""
    return torch.nn.functional.rms_norm(x, x.shape[axes[0] :], *scale, eps=epsilon)


def group_norm(x, *scale, groups, epsilon):
    """Zero mean and unit variance of groups of channels, scaled by channel."""
    return torch.nn.functional.group_norm(x, groups, *scale, eps=epsilon)


def batch_norm(x, mean, variance, *scale, axis, epsilon):
    """Centred and scaled by channel."""
    if mean.requires_grad or variance.requires_grad:  # PyTorch's kernel takes them for constants
        spread = (slice(None), *(None,) * (x.ndim - axis - 1))
        x = (x - mean[spread]) * torch.rsqrt(variance + epsilon)[spread]
        x = x * scale[0][spread] if scale else x
        return x + scale[1][spread] if len(scale) > 1 else x
    if axis == x.ndim - 1 > 1 and x.dtype in (torch.float32, torch.float64):
        # Where channels stand last one product and sum takes a fifth less than the kernel, which computes the same.
        factor = torch.rsqrt(variance + epsilon) * (scale[0] if scale else 1)
        return torch.addcmul((scale[1] if len(scale) > 1 else 0) - mean * factor, x, factor)
    found = torch.nn.functional.batch_norm(x.movedim(axis, 1), mean, variance, *scale, eps=epsilon)
    return found.movedim(1, axis)


def attention(query, key, value, *mask, causal, scale):
    """softmax(scale query key^T + mask) value; rows without anything to attend to are 0."""
    if mask and causal:
        size = query.shape[-2], key.shape[-2]
        lower = torch.ones(size, dtype=torch.bool, device=query.device).tril()
        of = mask[0]
        mask = (of & lower if of.dtype == torch.bool else torch.where(lower, of, -torch.inf),)
        causal = False
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, *mask, is_causal=causal, scale=scale)


def embedding(weight, indices):
    """Rows of a table."""
    return weight[indices]


def convolution(x, kernel, *bias, strides, padding, dilation, groups, numbers):
    """Images under a kernel."""
    space = len(strides)
    letters = "".join(letter for letter in numbers[0] if letter not in "NC")
    kernel = kernel.permute([numbers[1].index(letter) for letter in "OI" + letters])
    last = numbers[0] == numbers[2] == "N" + letters + "C"
    if last and groups == 1 and kernel.shape[2:].numel() == 1 and not any(map(any, padding)):
        # A window of one place is a linear map of the channels, which stand last: one product, of rows without gaps.
        x = x[(slice(None), *(slice(None, None, step) for step in strides))].contiguous()
        return torch.nn.functional.linear(x, kernel.flatten(1), *bias)
    x = x.permute([numbers[0].index(letter) for letter in "NC" + letters])
    around, kept = [low for low, high in padding], None
    if any(low != high for low, high in padding):
        if groups > 1:
            # A channel of its own is cheap: windows outside of the wanted ones cost less than a larger copy of x.
            before = [max(-(-(high - low) // step), 0) for (low, high), step in zip(padding, strides, strict=True)]
            around = [low + n * step for (low, high), step, n in zip(padding, strides, before, strict=True)]
            kept = (slice(None), slice(None), *(
                slice(n, n + (size + low + high - wide * (width - 1) - 1) // step + 1)
                for n, size, (low, high), wide, width, step in zip(
                    before, x.shape[2:], padding, dilation, kernel.shape[2:], strides, strict=True
                )
            ))
        else:
            x = torch.nn.functional.pad(x, [n for pair in reversed(padding) for n in pair])
            around = [0] * space
    function = getattr(torch.nn.functional, f"conv{space}d")
    found = function(x, kernel, *bias, stride=strides, padding=around, dilation=dilation, groups=groups)
    found = found if kept is None else found[kept]
    return found.permute([("NC" + letters).index(letter) for letter in numbers[2]])


def convolution_transpose(x, kernel, *bias, strides, padding, dilation, groups, numbers):
    """The adjoint of a convolution; what the padding says is cut from the result."""
    space = len(strides)
    letters = "".join(letter for letter in numbers[0] if letter not in "NC")
    x = x.permute([numbers[0].index(letter) for letter in "NC" + letters])
    kernel = kernel.permute([numbers[1].index(letter) for letter in "IO" + letters])
    function = getattr(torch.nn.functional, f"conv_transpose{space}d")
    axes = zip(padding, strides, dilation, strict=True)
    if all(0 <= low - high < max(step, d) and high >= 0 for (low, high), step, d in axes):
        cut, more = [low for low, high in padding], [low - high for low, high in padding]
        found = function(
            x, kernel, *bias, stride=strides, padding=cut, output_padding=more, dilation=dilation, groups=groups
        )
    else:
        found = function(x, kernel, *bias, stride=strides, dilation=dilation, groups=groups)
        found = torch.nn.functional.pad(found, [-n for pair in reversed(padding) for n in pair])
    return found.permute([("NC" + letters).index(letter) for letter in numbers[2]])


def max_pool(x, *, window, strides, padding, dilation):
    """The largest component of each window."""
    space = len(window)
    around = [low for low, high in padding]
    if any(low != high or 2 * low > k for (low, high), k in zip(padding, window, strict=True)):
        x = torch.nn.functional.pad(x, [n for pair in reversed(padding) for n in pair], value=-torch.inf)
        around = [0] * space
    function = getattr(torch.nn.functional, f"max_pool{space}d")
    return function(x, window, strides, around, dilation)


def mean_pool(x, *, window, strides, padding, padded):
    """The mean of each window, of the zeros around the image too, or of its own components."""
    space = len(window)
    function = getattr(torch.nn.functional, f"avg_pool{space}d")
    if all(low == high and 2 * low <= k for (low, high), k in zip(padding, window, strict=True)):
        return function(x, window, strides, [low for low, high in padding], False, padded)
    around = [n for pair in reversed(padding) for n in pair]
    found = function(torch.nn.functional.pad(x, around), window, strides)
    return found if padded else found / function(torch.nn.functional.pad(torch.ones_like(x), around), window, strides)


def adaptive_mean_pool(x, *, sizes):
    """Means of so many bins."""
    space = len(sizes)
    function = getattr(torch.nn.functional, f"adaptive_avg_pool{space}d")
    return function(x, sizes)


def pad(x, *, padding, value):
    """A value around x."""
    return torch.nn.functional.pad(x, [n for pair in reversed(padding) for n in pair], value=value)


def top_k(x, *, k, axis, largest):
    """The first k components of the sorted axis, equal ones in the order in which they are."""
    found = torch.sort(x, dim=axis, descending=largest, stable=True)
    return found.values.narrow(axis, 0, k), found.indices.narrow(axis, 0, k)


def scatter(x, indices, updates, *, axis, add):
    """x with updates written or added at positions along an axis."""
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    return x.scatter_add(axis, indices, updates) if add else x.scatter(axis, indices, updates)


def recurrent(function, x, held, weights, reverse):
    """A network of one layer and one direction by PyTorch's kernel."""
    x = x.flip(0) if reverse else x
    found = function(x, held, weights, len(weights) > 2, 1, 0.0, False, False, False)
    return (found[0].flip(0) if reverse else found[0], *(state[0] for state in found[1:]))


def lstm(x, hidden, cell, *weights, reverse):
    """Long short-term memory over the first axis."""
    return recurrent(torch.lstm, x, (hidden[None], cell[None]), weights, reverse)


def gru(x, hidden, *weights, reverse):
    """Gated recurrent unit over the first axis."""
    return recurrent(torch.gru, x, hidden[None], weights, reverse)


def take_at(x, indices):
    """Parts of x at places along its first axes."""
    return x[indices.long().unbind(-1)]


def adaptive_max_pool(x, *, sizes):
    """The largest component of each of as many bins."""
    function = getattr(torch.nn.functional, f"adaptive_max_pool{len(sizes)}d")
    return function(x.reshape(-1, *x.shape[-len(sizes) - 1 :]), sizes).reshape(*x.shape[: -len(sizes)], *sizes)


def threefry(k0, k1, c0, c1):
    """Counters of two words encrypted by a key of two words: Threefry-2x32-20 (Salmon et al. 2011), in int64."""
    mask = 0xFFFFFFFF
    keys = (k0, k1, k0 ^ k1 ^ 0x1BD11BDA)
    x0, x1 = (c0 + k0) & mask, (c1 + k1) & mask
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << rotation | x1 >> 32 - rotation) ^ x0) & mask
        x0 = x0 + keys[(group + 1) % 3]
        x1 = (x1 + (keys[(group + 2) % 3] + (group + 1))) & mask
    return x0 & mask, x1


def dropout(x, key, *, rate, stream, shared):
    """x / (1 - rate), and 0 where a uniform number that belongs to the key and the stream is below the rate."""
    k0, k1 = key.long()[:1], key.long()[1:]
    for number in (stream >> 32, stream & 0xFFFFFFFF):
        k0, k1 = threefry(k0, k1, torch.full_like(k0, number), torch.full_like(k0, 2 << 24))
    shape = [1 if axis in shared else size for axis, size in enumerate(x.shape)]
    count = 1
    for size in shape:
        count = count * size
    pairs = threefry(k0, k1, torch.arange((count + 1) // 2, device=x.device), torch.zeros_like(k0))
    drawn = torch.stack(pairs, dim=-1).reshape(-1)[:count].reshape(shape) >> 8
    return torch.where(drawn >= rate * 2**24, x * (1 / (1 - rate) if rate < 1 else 0), 0)


KERNELS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        erf, sigmoid, relu, hardtanh, silu, gelu, softmax, log_softmax, linear, layer_norm, rms_norm, group_norm,
        batch_norm, attention, embedding, convolution, convolution_transpose, max_pool, mean_pool, adaptive_mean_pool,
        pad, top_k, scatter, lstm, gru, dropout, take_at, adaptive_max_pool,
    )
}  # fmt: skip
"""The kernels, by the operation's name."""
NEEDS = {"lstm": ("recurrent",), "gru": ("recurrent",), "dropout": ("threefry",)}
"""Which other functions of this file a kernel calls."""
PRELUDE = {function.__name__: inspect.getsource(function) for function in (*KERNELS.values(), recurrent, threefry)}
"""Their text."""
