"""TensorFlow and Keras models, in small configurations, and the arguments that they are ported with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

__all__ = ["APPLICATIONS", "MODELS", "Block", "Example", "Module", "Transformer", "looping", "stressed"]

random = np.random.default_rng(0)


@dataclass(frozen=True)
class Example:
    """A model, its arguments, and others of sizes that were left open.

    Attributes:
        differentiable: whether the gradients are compared: of what loops until numbers say so there are none.
    """

    make: Callable[[], Any]
    args: tuple[Any, ...]
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Any, ...] = ()
    differentiable: bool = True


def stressed(model: Any) -> Any:
    """A model whose normalisations have statistics and weights that are not the neutral ones."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(0, 0.5, shape))
            layer.moving_variance.assign(random.uniform(0.5, 2, shape))
        if isinstance(layer, (layers.BatchNormalization, layers.LayerNormalization)):
            if layer.gamma is not None:
                layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape))
            if layer.beta is not None:
                layer.beta.assign(random.normal(0, 0.3, layer.beta.shape))
    return model


def perceptron() -> Any:
    """Dense layers, dropout, normalisation."""
    return keras.Sequential([
        keras.Input((6,)), layers.Dense(8, activation="gelu"), layers.LayerNormalization(), layers.Dropout(0.3),
        layers.Dense(8, activation="swish"), layers.Dense(3, activation="softmax"),
    ])  # fmt: skip


def images() -> Any:
    """Convolutions of all kinds, batch normalisation, pooling, resizing."""
    return keras.Sequential([
        keras.Input((12, 12, 3)), layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(), layers.ReLU(6.0), layers.DepthwiseConv2D(3, padding="same"),
        layers.BatchNormalization(scale=False), layers.Conv2D(8, 3, groups=2), layers.LeakyReLU(),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"), layers.UpSampling2D(2, interpolation="bilinear"),
        layers.MaxPooling2D(3, 2, padding="same"), layers.AveragePooling2D(2), layers.SpatialDropout2D(0.2),
        layers.Flatten(), layers.Dense(4),
    ])  # fmt: skip


def resnet() -> Any:
    """ResNet50 (He et al. 2016)."""
    return keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=5)


def mobilenet() -> Any:
    """MobileNetV2 (Sandler et al. 2018)."""
    return keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=5, alpha=0.35)


class Block(layers.Layer):
    """Attention and a perceptron, each beside what it is given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.first, self.second = layers.LayerNormalization(), layers.LayerNormalization()
        self.inner, self.outer = layers.Dense(2 * width, activation="gelu"), layers.Dense(width)

    def call(self, x: Any, mask: Any = None) -> Any:
        y = self.first(x)
        x = x + self.attention(y, y, use_causal_mask=True, attention_mask=mask)
        return x + self.outer(self.inner(self.second(x)))


class Transformer(keras.Model):
    """A language model of two blocks, with a mask of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = layers.Embedding(11, 8), layers.Embedding(16, 8)
        self.blocks = [Block(8, 2) for _ in range(2)]
        self.norm, self.head = layers.LayerNormalization(), layers.Dense(11)

    def call(self, tokens: Any, mask: Any = None) -> Any:
        x = self.tokens(tokens) + self.positions(tf.range(tf.shape(tokens)[1]))
        for block in self.blocks:
            x = block(x, mask)
        return {"logits": self.head(self.norm(x)), "last": x[:, -1]}


def recurrent() -> Any:
    """LSTM in both directions, and a GRU that returns its last state."""
    x = keras.Input((None, 3), name="x")
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    return keras.Model(x, layers.GRU(5)(y))


@tf.function
def looping(x: Any, limit: Any) -> Any:
    """A loop that numbers end, a choice, and a loop over a range."""
    total = tf.reduce_sum(tf.abs(x)) + 0.1
    count = tf.constant(0)
    while total < limit:
        total = total * 1.5
        count += 1
    if tf.reduce_mean(x) > 0:
        y = x * total
    else:
        y = x - total
    for k in tf.range(3):
        y = tf.tanh(y) + tf.cast(k, y.dtype) * x
    return y, count


@tf.function
def chosen(x: Any, which: Any) -> Any:
    """One of three functions."""
    return tf.switch_case(which, [lambda: tf.sin(x), lambda: x * x, lambda: tf.reduce_sum(x) + x])


class Affine(tf.Module):
    """A weight and a bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w = tf.Variable(random.normal(size=(inputs, outputs)), dtype=tf.float64)
        self.b = tf.Variable(random.normal(size=outputs), dtype=tf.float64)

    def __call__(self, x: Any) -> Any:
        return x @ self.w + self.b


class Module(tf.Module):
    """Modules in a list, in float64; a loop over a part of the argument."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [Affine(3, 4), Affine(4, 4)]
        self.scale = tf.Variable(2.0, dtype=tf.float64)

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = tf.nn.softplus(part(x))
        total = tf.zeros_like(x)
        for row in tf.range(2):
            total += x * self.scale + tf.cast(row, x.dtype)
        return tf.concat([total, tf.cumsum(x, axis=1)], axis=1)


def _real(*shape: int, of: str = "float32") -> Any:
    return tf.constant(random.normal(size=shape), of)


def _models() -> dict[str, Example]:
    image = {"inputs": ("batch", None, None, None)}
    tokens = tf.constant(random.integers(0, 11, (2, 6)), tf.int32)
    return {
        "perceptron": Example(perceptron, (_real(3, 6),), {"inputs": ("batch", None)}, (_real(1, 6),)),
        "images": Example(images, (_real(2, 12, 12, 3),), image, (_real(1, 12, 12, 3),)),
        "resnet": Example(resnet, (_real(2, 32, 32, 3),), image, (_real(1, 32, 32, 3),)),
        "mobilenet": Example(mobilenet, (_real(2, 32, 32, 3),), image, (_real(3, 32, 32, 3),)),
        "transformer": Example(
            Transformer, (tokens, tf.ones((2, 6, 6), tf.bool)),
            {"tokens": ("batch", "time"), "mask": ("batch", "time", "time")},
            (tokens[:1, :4], tf.linalg.band_part(tf.ones((1, 4, 4), tf.bool), 1, 0)),
        ),
        "recurrent": Example(recurrent, (_real(2, 5, 3),), {"inputs": ("batch", "time", None)}, (_real(3, 7, 3),)),
        "looping": Example(
            lambda: looping, (_real(2, 3), tf.constant(90.0)), {"x": ("batch", None)},
            (-abs(_real(4, 3)), tf.constant(900.0)), False,
        ),
        "chosen": Example(lambda: chosen, (_real(2, 3), tf.constant(1)), {}, (_real(2, 3), tf.constant(7))),
        "module": Example(Module, (_real(2, 3, of="float64"),), {"x": ("batch", None)}, (_real(4, 3, of="float64"),)),
    }  # fmt: skip


MODELS = _models()
APPLICATIONS = {
    name: (getattr(keras.applications, name), size) for name, size in (
        ("ResNet50", 64), ("ResNet50V2", 64), ("MobileNet", 64), ("MobileNetV2", 64), ("MobileNetV3Small", 64),
        ("EfficientNetB0", 64), ("EfficientNetV2B0", 64), ("ConvNeXtTiny", 64), ("DenseNet121", 64), ("Xception", 96),
        ("InceptionV3", 96), ("NASNetMobile", 64), ("VGG16", 64),
    )
}  # fmt: skip
"""Constructors of Keras's models, and the size of the images."""
