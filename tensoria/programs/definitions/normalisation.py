"""Linear maps, normalisation and attention."""

from __future__ import annotations

import math
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.programs.definitions.performing import reshaped
from tensoria.programs.dimensions import product

__all__ = ["DEFINITIONS", "linear"]


def linear(backend: Backend, x: Array, weight: Array, *bias: Array) -> Array:
    """x times the transposed weight, plus the bias."""
    xp = backend.xp
    found = xp.matmul(x, xp.permute_dims(weight, (1, 0)))
    return xp.add(found, bias[0]) if bias else found


def _scaled(backend: Backend, x: Array, scale: tuple[Array, ...]) -> Array:
    xp = backend.xp
    for number, array in enumerate(scale):
        x = xp.add(x, array) if number else xp.multiply(x, array)
    return x


def _layer_norm(backend: Backend, x: Array, *scale: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    xp = backend.xp
    centred = xp.subtract(x, xp.mean(x, axis=axes, keepdims=True))
    variance = xp.mean(xp.square(centred), axis=axes, keepdims=True)
    return _scaled(backend, xp.divide(centred, xp.sqrt(xp.add(variance, epsilon))), scale)


def _rms_norm(backend: Backend, x: Array, *scale: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    xp = backend.xp
    size = xp.sqrt(xp.add(xp.mean(xp.square(x), axis=axes, keepdims=True), epsilon))
    return _scaled(backend, xp.divide(x, size), scale)


def _by_channel(backend: Backend, vector: Array, ndim: int, axis: int) -> Array:
    return reshaped(backend, vector, *(vector.shape[0] if n == axis else 1 for n in range(ndim)))


def _group_norm(backend: Backend, x: Array, *scale: Array, groups: int, epsilon: float) -> Array:
    batch, channels, *space = x.shape
    grouped = reshaped(backend, x, batch, groups, channels // groups * product(space))
    normal = _layer_norm(backend, grouped, axes=(2,), epsilon=epsilon)
    vectors = tuple(_by_channel(backend, vector, len(x.shape), 1) for vector in scale)
    return _scaled(backend, reshaped(backend, normal, *x.shape), vectors)


def _batch_norm(
    backend: Backend, x: Array, mean: Array, variance: Array, *scale: Array, axis: int, epsilon: float
) -> Array:
    xp = backend.xp
    factor = xp.reciprocal(xp.sqrt(xp.add(variance, epsilon)))
    if scale:
        factor = xp.multiply(factor, scale[0])
    centred = xp.subtract(x, _by_channel(backend, mean, len(x.shape), axis))
    found = xp.multiply(centred, _by_channel(backend, factor, len(x.shape), axis))
    return xp.add(found, _by_channel(backend, scale[1], len(x.shape), axis)) if len(scale) > 1 else found


def _attention(
    backend: Backend, query: Array, key: Array, value: Array, *mask: Array, causal: bool, scale: float
) -> Array:
    xp = backend.xp
    scores = xp.matmul(xp.multiply(query, scale), xp.matrix_transpose(key))
    masks: list[Any] = list(mask)
    if causal:
        rows, columns = (xp.arange(size) for size in scores.shape[-2:])
        masks.append(xp.less_equal(columns, reshaped(backend, rows, scores.shape[-2], 1)))
    for of in masks:
        if backend.dtype(of).kind == "bool":
            scores = xp.where(of, scores, -math.inf)
        else:
            scores = xp.add(scores, of)
    if not masks:
        raised = xp.exp(xp.subtract(scores, xp.max(scores, axis=-1, keepdims=True)))
        return xp.matmul(xp.divide(raised, xp.sum(raised, axis=-1, keepdims=True)), value)
    # A row in which everything is masked has the maximum -inf and the sum 0; its result is 0.
    largest = xp.max(scores, axis=-1, keepdims=True)
    raised = xp.exp(xp.subtract(scores, xp.where(xp.isinf(largest), xp.zeros_like(largest), largest)))
    total = xp.sum(raised, axis=-1, keepdims=True)
    return xp.matmul(xp.divide(raised, xp.where(xp.equal(total, 0.0), xp.ones_like(total), total)), value)


DEFINITIONS = {
    "linear": linear, "layer_norm": _layer_norm, "rms_norm": _rms_norm, "group_norm": _group_norm,
    "batch_norm": _batch_norm, "attention": _attention,
}  # fmt: skip
"""The definitions of this chapter, by the operation's name."""
