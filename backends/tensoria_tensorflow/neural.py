"""Operations of neural networks by TensorFlow's own kernels, where they compute what the definition says.

On the processor TensorFlow's convolutions want channels last; the definition's order is restored behind them. Left to
the definitions is the resampling of images, whose coordinates TensorFlow has other rules for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

__all__ = ["KERNELS", "NEEDS", "PRELUDE"]


def erf(x):
    """Error function."""
    return tf.math.erf(x)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return tf.math.sigmoid(x)


def relu(x):
    """x where it is positive, else 0."""
    return tf.nn.relu(x)


def hardtanh(x, *, low, high):
    """x between two numbers, with the derivative 0 at both."""
    if (low, high) == (0, 6):
        return tf.nn.relu6(x)
    low, high = tf.constant(low, x.dtype), tf.constant(high, x.dtype)
    return tf.where(x <= low, low, tf.where(x >= high, high, x))


def gelu(x, *, approximate):
    """x times the normal distribution function, or its approximation by tanh."""
    if approximate == "tanh":
        return 0.5 * x * (1 + tf.tanh((2 / 3.141592653589793) ** 0.5 * (x + 0.044715 * (x * x * x))))
    return x * (0.5 * (1 + tf.math.erf(x * 0.5**0.5)))


def softmax(x, *, axis):
    """exp(x) / sum(exp(x))."""
    return tf.nn.softmax(x, axis=axis)


def log_softmax(x, *, axis):
    """x - log(sum(exp(x)))."""
    return tf.nn.log_softmax(x, axis=axis)


def linear(x, weight, *bias):
    """x times the transposed weight, as one matrix product, plus the bias."""
    if x.shape.rank == 2:
        found = tf.matmul(x, weight, transpose_b=True)
    else:
        shape = tf.shape(x)
        flat = tf.matmul(tf.reshape(x, tf.stack([-1, shape[-1]])), weight, transpose_b=True)
        found = tf.reshape(flat, tf.concat([shape[:-1], tf.shape(weight)[:1]], axis=0))
        found = tf.ensure_shape(found, (*x.shape[:-1], weight.shape[0]))
    return found + bias[0] if bias else found


def layer_norm(x, *scale, axes, epsilon):
    """Zero mean and unit variance over the last axes, times a weight, plus a bias."""
    x = x - tf.reduce_mean(x, axes, keepdims=True)
    x = x / tf.sqrt(tf.reduce_mean(x * x, axes, keepdims=True) + epsilon)
    x = x * scale[0] if scale else x
    return x + scale[1] if len(scale) > 1 else x


def batch_norm(x, mean, variance, *scale, axis, epsilon):
    """Centred and scaled by channel, as one product and one sum."""
    factor = 1 / tf.sqrt(variance + epsilon) * (scale[0] if scale else 1)
    offset = (scale[1] if len(scale) > 1 else 0) - mean * factor
    shape = [-1 if n == axis else 1 for n in range(x.shape.rank)]
    return x * tf.reshape(factor, shape) + tf.reshape(offset, shape)


def attention(query, key, value, *mask, causal, scale):
    """softmax(scale query key^T + mask) value; rows without anything to attend to are 0."""
    scores = tf.matmul(query * scale, key, transpose_b=True)
    if causal:
        mask = (*mask, tf.linalg.band_part(tf.ones(tf.shape(scores)[-2:], tf.bool), -1, 0))
    if not mask:
        return tf.matmul(tf.nn.softmax(scores), value)
    keep = True
    for of in mask:
        allowed = of if of.dtype == tf.bool else of > float("-inf")
        keep = keep & allowed
        if of.dtype != tf.bool:
            scores = scores + tf.where(allowed, of, 0)
    some = tf.reduce_any(keep, axis=-1, keepdims=True)
    weights = tf.nn.softmax(tf.where(keep | ~some, scores, float("-inf")))
    return tf.where(some, tf.matmul(weights, value), 0)


def embedding(weight, indices):
    """Rows of a table; negative positions count from the end, as TensorFlow's do not."""
    return tf.gather(weight, tf.where(indices < 0, indices + tf.shape(weight, indices.dtype)[0], indices))


def convolution(x, kernel, *bias, strides, padding, dilation, groups, numbers):
    """Images under a kernel, channels last; one axis of space is two for TensorFlow."""
    space = len(strides)
    letters = "".join(letter for letter in numbers[0] if letter not in "NC")
    x = tf.transpose(x, [numbers[0].index(letter) for letter in "N" + letters + "C"])
    kernel = tf.transpose(kernel, [numbers[1].index(letter) for letter in letters + "IO"])
    if space == 1:
        x, kernel = x[:, None], kernel[None]
        strides, padding, dilation = (1, *strides), ((0, 0), *padding), (1, *dilation)
    around = [[0, 0], *map(list, padding), [0, 0]]
    if len(strides) == 3:
        # Beside dilations there are no strides: every place is computed, and some are taken.
        parts = tf.split(tf.pad(x, around), groups, axis=-1), tf.split(kernel, groups, axis=-1)
        steps = (1, 1, 1) if max(dilation) > 1 else strides
        if max(dilation) > 1:
            results = [tf.nn.convolution(a, b, 1, "VALID", dilations=dilation) for a, b in zip(*parts, strict=True)]
        else:
            results = [tf.nn.conv3d(a, b, (1, *steps, 1), "VALID") for a, b in zip(*parts, strict=True)]
        found = tf.concat(results, axis=-1)
        if steps != strides:
            found = found[:, :: strides[0], :: strides[1], :: strides[2]]
    elif groups > 1 and kernel.shape[2] == 1 and kernel.shape[3] == groups and strides[0] == strides[1]:
        # The depthwise kernel has no strides beside dilations, and no padding of its own on every device.
        kernel = tf.transpose(kernel, (0, 1, 3, 2))
        if max(dilation) > 1 and max(strides) > 1:
            found = tf.nn.depthwise_conv2d(tf.pad(x, around), kernel, (1, 1, 1, 1), "VALID", dilations=dilation)
            found = found[:, :: strides[0], :: strides[1]]
        else:
            found = tf.nn.depthwise_conv2d(tf.pad(x, around), kernel, (1, *strides, 1), "VALID", dilations=dilation)
    else:
        parts = tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1)
        results = [tf.nn.conv2d(a, b, strides, around, dilations=dilation) for a, b in zip(*parts, strict=True)]
        found = results[0] if groups == 1 else tf.concat(results, axis=-1)
    if space == 1:
        found = found[:, 0]
    if bias:
        found = found + bias[0]
    return tf.transpose(found, [("N" + letters + "C").index(letter) for letter in numbers[2]])


def mean_pool(x, *, window, strides, padding, padded):
    """The mean of each window, of the zeros around the image too, or of its own components."""
    space, lead = len(window), x.shape.rank - len(window)
    around = [(0, 0)] * lead + list(padding)
    letters = [0, *range(lead, lead + space), *range(1, lead)]

    def summed(x):
        for axis in range(space):
            places = [slice(None)] * (lead + space)
            parts = []
            for k in range(window[axis]):
                places[lead + axis] = slice(k, k - window[axis] + 1 or None, strides[axis])
                parts.append(x[tuple(places)])
            x = tf.add_n(parts)
        return x

    if padded or not any(map(any, padding)):
        size = 1
        for n in window:
            size *= n
        if lead == 2 and space == 2:
            x = tf.nn.avg_pool2d(tf.transpose(tf.pad(x, around), letters), window, strides, "VALID")
            return tf.transpose(x, [0, 3, 1, 2])
        return summed(tf.pad(x, around)) / size
    inside = tf.ones(tf.concat([tf.ones([lead], tf.int32), tf.shape(x)[lead:]], axis=0), x.dtype)
    return summed(tf.pad(x, around)) / summed(tf.pad(inside, around))


def convolution_transpose(x, kernel, *bias, strides, padding, dilation, groups, numbers):
    """The adjoint of a convolution, channels last; what the padding says is cut from the ends, or added."""
    space = len(strides)
    letters = "".join(letter for letter in numbers[0] if letter not in "NC")
    x = tf.transpose(x, [numbers[0].index(letter) for letter in "N" + letters + "C"])
    kernel = tf.transpose(kernel, [numbers[1].index(letter) for letter in letters + "OI"])
    for axis, wide in enumerate(dilation):
        if wide > 1:
            apart = [kernel, *[tf.zeros_like(kernel)] * (wide - 1)]
            sizes = tf.shape(kernel)
            stretched = tf.concat([sizes[:axis], [sizes[axis] * wide], sizes[axis + 1 :]], axis=0)
            kernel = tf.reshape(tf.stack(apart, axis=axis + 1), stretched)
            kernel = tf.split(kernel, [(sizes[axis] - 1) * wide + 1, wide - 1], axis=axis)[0]
    reach, sizes = tf.shape(kernel), tf.shape(x)
    full = [(sizes[n + 1] - 1) * strides[n] + reach[n] for n in range(space)]
    shape = tf.stack([sizes[0], *full, reach[space]])
    parts = tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1)
    results = [tf.nn.conv_transpose(a, b, shape, strides, "VALID") for a, b in zip(*parts, strict=True)]
    found = results[0] if groups == 1 else tf.concat(results, axis=-1)
    ends = [(max(-low, 0), max(-high, 0)) for low, high in padding]
    found = tf.pad(found, [(0, 0), *ends, (0, 0)])
    cut = [slice(max(low, 0), -high if high > 0 else None) for low, high in padding]
    found = found[(slice(None), *cut, slice(None))]
    if bias:
        found = found + bias[0]
    return tf.transpose(found, [("N" + letters + "C").index(letter) for letter in numbers[2]])


def max_pool(x, *, window, strides, padding, dilation):
    """The largest component of each window."""
    space = len(window)
    if space == 3:
        # One axis after the other: the kernel for three has no float64.
        for axis in range(3):
            around = [padding[axis] if n == axis + 2 else (0, 0) for n in range(5)]
            x = tf.pad(x, around, constant_values=float("-inf"))
            reach = (window[axis] - 1) * dilation[axis]
            places = [slice(None)] * 5
            parts = []
            for k in range(window[axis]):
                start = k * dilation[axis]
                places[axis + 2] = slice(start, start - reach or None, strides[axis])
                parts.append(x[tuple(places)])
            x = tf.reduce_max(tf.stack(parts), axis=0)
        return x
    last = [0, *range(2, 2 + space), 1]
    x = tf.transpose(tf.pad(x, [(0, 0), (0, 0), *padding], constant_values=float("-inf")), last)
    if max(dilation) == 1 and space == 2:
        x = tf.nn.max_pool2d(x, window, strides, "VALID")
    elif max(dilation) == 1 and space == 1:
        x = tf.nn.max_pool1d(x, window, strides, "VALID")
    else:
        x = tf.nn.pool(x, window, "MAX", strides=strides, padding="VALID", dilations=dilation)
    return tf.transpose(x, [0, 1 + space, *range(1, 1 + space)])


def pad(x, *, padding, value):
    """A value around x."""
    return tf.pad(x, padding, constant_values=tf.cast(value, x.dtype))


def lstm(x, hidden, cell, *weights, reverse):
    """Long short-term memory over the first axis, of any length."""

    def step(state, given):
        own = tf.matmul(state[0], weights[1], transpose_b=True)
        enter, forget, new, leave = tf.split(given + own + (weights[3] if weights[2:] else 0), 4, axis=1)
        memory = tf.sigmoid(forget) * state[1] + tf.sigmoid(enter) * tf.tanh(new)
        return tf.sigmoid(leave) * tf.tanh(memory), memory

    gates = tf.matmul(x, weights[0], transpose_b=True) + (weights[2] if weights[2:] else 0)
    states, memories = tf.scan(step, gates, (hidden, cell), reverse=reverse)
    last = 0 if reverse else -1
    return states, states[last], memories[last]


def gru(x, hidden, *weights, reverse):
    """Gated recurrent unit over the first axis, of any length."""

    def step(state, given):
        own = tf.matmul(state, weights[1], transpose_b=True) + (weights[3] if weights[2:] else 0)
        first, second = tf.split(given, 3, axis=1), tf.split(own, 3, axis=1)
        new = tf.tanh(first[2] + tf.sigmoid(first[0] + second[0]) * second[2])
        return new + tf.sigmoid(first[1] + second[1]) * (state - new)

    gates = tf.matmul(x, weights[0], transpose_b=True) + (weights[2] if weights[2:] else 0)
    states = tf.scan(step, gates, hidden, reverse=reverse)
    return states, states[0 if reverse else -1]


def take_at(x, indices):
    """Parts of x at places along its first axes; negative positions count from the end, as TensorFlow's do not."""
    sizes = tf.shape(x, indices.dtype)[: tf.shape(indices)[-1]]
    return tf.gather_nd(x, tf.where(indices < 0, indices + sizes, indices))


def adaptive_max_pool(x, *, sizes):
    """The largest component of each of as many bins."""
    for axis, m in enumerate(sizes, x.shape.rank - len(sizes)):
        n = tf.shape(x)[axis]
        bins = [tf.range(i * n // m, ((i + 1) * n + m - 1) // m) for i in range(m)]
        x = tf.stack([tf.reduce_max(tf.gather(x, places, axis=axis), axis) for places in bins], axis)
    return x


def threefry(k0, k1, c0, c1):
    """Counters of two words encrypted by a key of two words: Threefry-2x32-20 (Salmon et al. 2011)."""
    left, right, xor = tf.bitwise.left_shift, tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    keys = (k0, k1, xor(xor(k0, k1), tf.constant(0x1BD11BDA, tf.uint32)))
    x0, x1 = c0 + k0, c1 + k1
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            low, high = tf.constant(rotation, tf.uint32), tf.constant(32 - rotation, tf.uint32)
            x0 = x0 + x1
            x1 = xor(tf.bitwise.bitwise_or(left(x1, low), right(x1, high)), x0)
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + (keys[(group + 2) % 3] + tf.constant(group + 1, tf.uint32))
    return x0, x1


def dropout(x, key, *, rate, stream, shared):
    """x / (1 - rate), and 0 where a uniform number that belongs to the key and the stream is below the rate."""
    k0, k1 = key[:1], key[1:]
    for number in (stream >> 32, stream & 0xFFFFFFFF):
        k0, k1 = threefry(k0, k1, tf.constant([number], tf.uint32), tf.constant([2 << 24], tf.uint32))
    sizes = tf.shape(x, tf.int64)
    once = tf.constant([axis in shared for axis in range(x.shape.rank)], tf.bool)
    shape = tf.where(once, tf.ones_like(sizes), sizes)
    count = tf.reduce_prod(shape)
    numbers = tf.cast(tf.range((count + 1) // 2), tf.uint32)
    pairs = threefry(k0, k1, numbers, tf.zeros([1], tf.uint32))
    drawn = tf.reshape(tf.reshape(tf.stack(pairs, axis=-1), [-1])[:count], shape)
    keep = tf.cast(tf.bitwise.right_shift(drawn, tf.constant(8, tf.uint32)), tf.int64) >= int(-(-rate * 2**24 // 1))
    return tf.where(keep, x * tf.constant(1 / (1 - rate) if rate < 1 else 0, x.dtype), tf.zeros([], x.dtype))


KERNELS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        erf, sigmoid, relu, hardtanh, gelu, softmax, log_softmax, linear, layer_norm, batch_norm, attention, embedding,
        convolution, convolution_transpose, max_pool, mean_pool, pad, lstm, gru,
        dropout, take_at, adaptive_max_pool,
    )
}  # fmt: skip
"""The kernels, by the operation's name."""
NEEDS: Mapping[str, tuple[str, ...]] = {"dropout": ("threefry",)}
"""Which other functions of this file a kernel calls."""
PRELUDE = {function.__name__: inspect.getsource(function) for function in (*KERNELS.values(), threefry)}
"""Their text."""
