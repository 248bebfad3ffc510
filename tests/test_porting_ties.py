"""Where a function has no derivative, a program has the one that its model's framework gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import tensoria as tn

POINTS = np.array([-2, -1, -0.5, 0, 0.5, 1, 2], dtype="float32")


def compare(names: Iterable[str], found: Any, expected: Any) -> None:
    """Rows of derivatives, one for each function."""
    for name, ours, theirs in zip(names, found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)


# -- PyTorch -----------------------------------------------------------------------------------------------------------

TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "clamp": lambda t, x: x.clamp(-1, 1), "clamp from below": lambda t, x: x.clamp(min=0),
    "clamp_max": lambda t, x: t.clamp_max(x, 0.5), "clamp between tensors": lambda t, x: x.clamp(-x.abs(), x.abs()),
    "clamp between swapped bounds": lambda t, x: x.clamp(1, -1), "clip of a product": lambda t, x: (x * x).clip(0, 1),
    "maximum": lambda t, x: t.maximum(x, x * x), "fmax": lambda t, x: t.fmax(x, x * x),
    "fmin": lambda t, x: t.fmin(x, x * x), "hardsigmoid": lambda t, x: t.nn.functional.hardsigmoid(3 * x),
    "hardswish": lambda t, x: t.nn.functional.hardswish(3 * x), "elu": lambda t, x: t.nn.functional.elu(x, 0.5),
    "celu": lambda t, x: t.nn.functional.celu(x, 0.5), "selu": lambda t, x: t.selu(x),
    "leaky_relu": lambda t, x: t.nn.functional.leaky_relu(x), "threshold": lambda t, x: t.threshold(x, 0.5, 3.0),
    "softshrink": lambda t, x: t.nn.functional.softshrink(x), "hardshrink": lambda t, x: t.nn.functional.hardshrink(x),
    "relu": lambda t, x: t.relu(x), "abs": lambda t, x: x.abs(),
    "smooth_l1_loss": lambda t, x: t.nn.functional.smooth_l1_loss(x, 0 * x, reduction="none"),
    "huber_loss": lambda t, x: t.nn.functional.huber_loss(x, 0 * x, reduction="none", delta=0.5),
}  # fmt: skip


def test_derivatives_at_ties_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")

    class Summed(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return sum(function(torch, x[n]).sum() for n, function in enumerate(TORCH.values()))

    x = torch.tensor(POINTS).repeat(len(TORCH), 1).requires_grad_()
    Summed()(x).backward()
    found = tn.port(Summed(), (x.detach(),)).grad().run(x.detach().numpy(), backend="numpy").array
    compare(TORCH, found, x.grad.numpy())


# -- TensorFlow --------------------------------------------------------------------------------------------------------

TENSORFLOW: dict[str, Callable[[Any, Any], Any]] = {
    "clip_by_value": lambda t, x: t.clip_by_value(x, -1.0, 1.0),
    "ClipByValue": lambda t, x: t.raw_ops.ClipByValue(t=x, clip_value_min=-1.0, clip_value_max=1.0),
    "maximum of a number": lambda t, x: t.maximum(x, 0.0), "a number's maximum": lambda t, x: t.maximum(0.0, x),
    "another number's maximum": lambda t, x: t.maximum(0.5, x), "a number's minimum": lambda t, x: t.minimum(1.0, x),
    "maximum": lambda t, x: t.maximum(x, x * x), "minimum": lambda t, x: t.minimum(x * x, x),
    "elu": lambda t, x: t.nn.elu(x), "selu": lambda t, x: t.nn.selu(x), "leaky_relu": lambda t, x: t.nn.leaky_relu(x),
    "relu": lambda t, x: t.nn.relu(x), "abs": lambda t, x: t.abs(x),
    "clip of Keras": lambda t, x: keras("ops").clip(x, -1.0, 1.0),
    "hard_tanh of Keras": lambda t, x: keras("ops").hard_tanh(x),
    "ReLU of Keras": lambda t, x: keras("layers").ReLU(max_value=1.0, negative_slope=0.1, threshold=0.5)(x),
}  # fmt: skip


def keras(name: str) -> Any:
    return getattr(pytest.importorskip("keras"), name)


def test_derivatives_at_ties_are_tensorflows_and_kerass() -> None:
    tf = pytest.importorskip("tensorflow")

    @tf.function(autograph=False)
    def summed(x: Any) -> Any:
        return sum(tf.reduce_sum(function(tf, x[n])) for n, function in enumerate(TENSORFLOW.values()))

    x = tf.constant(np.tile(POINTS, (len(TENSORFLOW), 1)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = summed(x)
    # That it was differentiated before does not matter, though its graph has further results then.
    expected = tape.gradient(y, x).numpy()
    compare(TENSORFLOW, tn.port(summed, (x,)).grad().run(x.numpy(), backend="numpy").array, expected)
