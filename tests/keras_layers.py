"""The layers of Keras in ordinary configurations, and what each is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

__all__ = ["LAYERS", "OPEN", "REFUSED", "moved"]

random = np.random.default_rng(0)


def _real(*shape: int) -> Any:
    return tf.constant(random.normal(size=shape), "float32")


def _bytes(*shape: int) -> Any:
    return tf.constant(random.uniform(0, 255, size=shape), "float32")


def _whole(high: int, *shape: int) -> Any:
    return tf.constant(random.integers(0, high, shape), "int32")


def _adapted(layer: Any, data: Any) -> Any:
    layer.adapt(data)
    return layer


def _called(layer: Any, **more: Any) -> Any:
    """A layer with arguments that are no tensors."""

    class Called(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer

        def call(self, *args: Any) -> Any:
            return self.inner(*args, **more)

    return Called()


def _masked(*more: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: keras.Sequential([layers.Embedding(7, 4, mask_zero=True), *(make() for make in more)])


def _text(*shape: int) -> Any:
    """Numbers of words, 0 behind the end."""
    found = random.integers(1, 7, shape)
    for n, row in enumerate(found):
        row[2 + n :] = 0
    return tf.constant(found, "int32")


SERIES, ROW = _real(3, 6, 4), _real(3, 8)
LINE, IMAGE, VOLUME = _real(2, 9, 4), _real(2, 9, 8, 4), _real(2, 5, 6, 5, 4)
WORDS = _text(3, 6)
QUERY, VALUE = _real(2, 5, 8), _real(2, 7, 8)
OTHER = _real(2, 5, 8)
MASK = tf.constant(random.uniform(size=(2, 5, 7)) < 0.7)
FRAMES = _real(2, 3, 6, 5, 2)

Row = tuple[Callable[[], Any], tuple[Any, ...]]
LAYERS: dict[str, Row] = {
    "Activation": (lambda: layers.Activation("tanh"), (ROW,)),
    "ActivityRegularization": (lambda: layers.ActivityRegularization(0.1), (ROW,)),
    **{f"Adaptive{kind}Pooling{n}D": (lambda kind=kind, n=n: getattr(layers, f"Adaptive{kind}Pooling{n}D")(3), (x,))
       for kind in ("Average", "Max") for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    "Add": (lambda: _several(layers.Add()), (ROW, _real(3, 8))),
    "Subtract": (lambda: _several(layers.Subtract()), (ROW, _real(3, 8))),
    "Multiply": (lambda: _several(layers.Multiply()), (ROW, _real(3, 8))),
    "Average": (lambda: _several(layers.Average()), (ROW, _real(3, 8))),
    "Maximum": (lambda: _several(layers.Maximum()), (ROW, _real(3, 8))),
    "Minimum": (lambda: _several(layers.Minimum()), (ROW, _real(3, 8))),
    "Concatenate": (lambda: _several(layers.Concatenate()), (ROW, _real(3, 2))),
    "Dot": (lambda: _several(layers.Dot(axes=2)), (SERIES, _real(3, 5, 4))),
    "Dot-normalised": (lambda: _several(layers.Dot(axes=1, normalize=True)), (ROW, _real(3, 8))),
    "AdditiveAttention": (lambda: _several(layers.AdditiveAttention()), (QUERY, VALUE)),
    "Attention": (lambda: _several(layers.Attention(use_scale=True)), (QUERY, VALUE)),
    "Attention-concat": (lambda: _several(layers.Attention(score_mode="concat")), (QUERY, VALUE)),
    "Attention-causal": (lambda: _several(Causal()), (QUERY, OTHER)),
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(2, 4), (QUERY, VALUE)),
    "MultiHeadAttention-mask": (lambda: Masked(layers.MultiHeadAttention(2, 4, value_dim=3)), (QUERY, VALUE, MASK)),
    "MultiHeadAttention-causal": (
        lambda: _called(layers.MultiHeadAttention(2, 4, use_bias=False), use_causal_mask=True), (QUERY, OTHER)),
    "MultiHeadAttention-scores": (
        lambda: _called(layers.MultiHeadAttention(2, 4), return_attention_scores=True), (QUERY, VALUE)),
    "MultiHeadAttention-axes": (
        lambda: layers.MultiHeadAttention(2, 4, attention_axes=(1, 2)), (FRAMES, _real(2, 3, 6, 5, 2))),
    "GroupQueryAttention": (lambda: layers.GroupQueryAttention(4, 4, 2), (QUERY, VALUE)),
    "GroupQueryAttention-mask": (lambda: Masked(layers.GroupQueryAttention(4, 4, 2)), (QUERY, VALUE, MASK)),
    "GroupQueryAttention-causal": (
        lambda: _called(layers.GroupQueryAttention(4, 4, 2), use_causal_mask=True), (QUERY, OTHER)),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.3), (ROW,)),
    "Dropout": (lambda: layers.Dropout(0.3), (ROW,)),
    "Dropout-shared": (lambda: layers.Dropout(0.3, noise_shape=(None, 1, None)), (SERIES,)),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.3), (ROW,)),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.3), (ROW,)),
    "SpatialDropout1D": (lambda: layers.SpatialDropout1D(0.3), (LINE,)),
    "SpatialDropout2D": (lambda: layers.SpatialDropout2D(0.3), (IMAGE,)),
    "SpatialDropout3D": (lambda: layers.SpatialDropout3D(0.3), (VOLUME,)),
    **{f"AveragePooling{n}D-{padding}": (
        lambda n=n, padding=padding: getattr(layers, f"AveragePooling{n}D")(3, 2, padding=padding), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME)) for padding in ("same", "valid")},
    **{f"MaxPooling{n}D-{padding}": (
        lambda n=n, padding=padding: getattr(layers, f"MaxPooling{n}D")(3, 2, padding=padding), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME)) for padding in ("same", "valid")},
    **{f"Global{kind}Pooling{n}D": (
        lambda kind=kind, n=n: getattr(layers, f"Global{kind}Pooling{n}D")(keepdims=n == 2), (x,))
       for kind in ("Average", "Max") for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    "GlobalAveragePooling1D-masked": (_masked(lambda: layers.GlobalAveragePooling1D()), (WORDS,)),
    "BatchNormalization": (lambda: layers.BatchNormalization(), (IMAGE,)),
    "BatchNormalization-row": (lambda: layers.BatchNormalization(momentum=0.8), (ROW,)),
    "BatchNormalization-series": (lambda: layers.BatchNormalization(), (SERIES,)),
    "BatchNormalization-first": (lambda: layers.BatchNormalization(axis=1), (IMAGE,)),
    "BatchNormalization-volume": (lambda: layers.BatchNormalization(), (VOLUME,)),
    "BatchNormalization-masked": (_masked(lambda: layers.BatchNormalization()), (WORDS,)),
    "LayerNormalization": (lambda: layers.LayerNormalization(), (SERIES,)),
    "LayerNormalization-two": (lambda: layers.LayerNormalization(axis=[1, 2]), (SERIES,)),
    "LayerNormalization-first": (lambda: layers.LayerNormalization(axis=1), (SERIES,)),
    "LayerNormalization-plain": (lambda: layers.LayerNormalization(center=False, scale=False), (SERIES,)),
    "RMSNormalization": (lambda: layers.RMSNormalization(), (SERIES,)),
    "GroupNormalization": (lambda: layers.GroupNormalization(2), (IMAGE,)),
    "GroupNormalization-instance": (lambda: layers.GroupNormalization(-1), (IMAGE,)),
    "UnitNormalization": (lambda: layers.UnitNormalization(), (SERIES,)),
    "SpectralNormalization": (lambda: layers.SpectralNormalization(layers.Dense(5)), (ROW,)),
    "SpectralNormalization-conv": (lambda: layers.SpectralNormalization(layers.Conv2D(5, 3)), (IMAGE,)),
    "Normalization": (lambda: _adapted(layers.Normalization(), np.asarray(ROW)), (ROW,)),
    "Normalization-given": (lambda: layers.Normalization(mean=[1.0] * 8, variance=[2.0] * 8), (ROW,)),
    "Normalization-inverse": (lambda: layers.Normalization(mean=0.5, variance=2.0, axis=None, invert=True), (ROW,)),
    "Bidirectional-LSTM": (lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True)), (SERIES,)),
    "Bidirectional-GRU-sum": (lambda: layers.Bidirectional(layers.GRU(3), merge_mode="sum"), (SERIES,)),
    "Bidirectional-masked": (_masked(lambda: layers.Bidirectional(layers.LSTM(3))), (WORDS,)),
    "Bidirectional-GRU-masked": (
        _masked(lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True))), (WORDS,)),
    "LSTM": (lambda: layers.LSTM(3), (SERIES,)),
    "LSTM-states": (lambda: layers.LSTM(3, return_sequences=True, return_state=True), (SERIES,)),
    "LSTM-backwards": (lambda: layers.LSTM(3, go_backwards=True, return_sequences=True), (SERIES,)),
    "LSTM-unroll": (lambda: layers.LSTM(3, unroll=True), (SERIES,)),
    "LSTM-stateful": (lambda: layers.LSTM(3, stateful=True), (SERIES,)),
    "LSTM-dropout": (lambda: layers.LSTM(3, dropout=0.2, recurrent_dropout=0.1), (SERIES,)),
    "LSTM-hard": (lambda: layers.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid"), (SERIES,)),
    "LSTM-initial": (lambda: Initial(layers.LSTM(3)), (SERIES, _real(3, 3), _real(3, 3))),
    "LSTM-masked": (_masked(lambda: layers.LSTM(3)), (WORDS,)),
    "LSTM-masked-sequences": (_masked(lambda: layers.LSTM(3, return_sequences=True)), (WORDS,)),
    "LSTM-zeros": (_masked(lambda: layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)), (WORDS,)),
    "GRU": (lambda: layers.GRU(3), (SERIES,)),
    "GRU-states": (lambda: layers.GRU(3, return_sequences=True, return_state=True), (SERIES,)),
    "GRU-before": (lambda: layers.GRU(3, reset_after=False), (SERIES,)),
    "GRU-masked": (_masked(lambda: layers.GRU(3)), (WORDS,)),
    "GRU-stateful": (lambda: layers.GRU(3, stateful=True), (SERIES,)),
    "SimpleRNN": (lambda: layers.SimpleRNN(3, return_sequences=True), (SERIES,)),
    "SimpleRNN-masked": (_masked(lambda: layers.SimpleRNN(3)), (WORDS,)),
    "RNN-stacked": (lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)]), (SERIES,)),
    "RNN-cell": (lambda: layers.RNN(layers.SimpleRNNCell(3), return_state=True), (SERIES,)),
    "LSTMCell": (lambda: Cell(layers.LSTMCell(3)), (ROW, _real(3, 3), _real(3, 3))),
    "GRUCell": (lambda: Cell(layers.GRUCell(3)), (ROW, _real(3, 3))),
    "SimpleRNNCell": (lambda: Cell(layers.SimpleRNNCell(3)), (ROW, _real(3, 3))),
    "ConvLSTM1D": (lambda: layers.ConvLSTM1D(3, 3), (_real(2, 3, 6, 2),)),
    "ConvLSTM2D": (lambda: layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True), (FRAMES,)),
    "ConvLSTM3D": (lambda: layers.ConvLSTM3D(2, 2), (_real(1, 3, 4, 4, 3, 2),)),
    "TimeDistributed": (lambda: layers.TimeDistributed(layers.Conv2D(3, 3)), (FRAMES,)),
    "TimeDistributed-dense": (lambda: layers.TimeDistributed(layers.Dense(3)), (SERIES,)),
    "CategoryEncoding-one": (lambda: layers.CategoryEncoding(5, "one_hot"), (_whole(5, 4),)),
    "CategoryEncoding-multi": (lambda: layers.CategoryEncoding(5, "multi_hot"), (_whole(5, 4, 3),)),
    "CategoryEncoding-count": (lambda: layers.CategoryEncoding(5, "count"), (_whole(5, 4, 3),)),
    "Discretization": (lambda: layers.Discretization([-1.0, 0.0, 1.0]), (ROW,)),
    "Discretization-one": (lambda: layers.Discretization([-1.0, 0.0], output_mode="one_hot"), (_real(5, 1),)),
    "IntegerLookup": (lambda: layers.IntegerLookup(vocabulary=[2, 5, 7]), (_whole(9, 3, 4),)),
    "StringLookup": (lambda: layers.StringLookup(vocabulary=["a", "b"]), (tf.constant(["a", "c"]),)),
    "Hashing": (lambda: layers.Hashing(4), (_whole(9, 3, 4),)),
    "HashedCrossing": (lambda: _several(layers.HashedCrossing(4)), (_whole(9, 3), _whole(9, 3))),
    "TextVectorization": (lambda: layers.TextVectorization(vocabulary=["a", "b"]), (tf.constant([["a b"]]),)),
    "CenterCrop": (lambda: layers.CenterCrop(4, 5), (IMAGE,)),
    "CenterCrop-larger": (lambda: layers.CenterCrop(12, 11), (IMAGE,)),
    "Rescaling": (lambda: layers.Rescaling(1 / 127.5, -1), (IMAGE,)),
    **{f"Resizing-{how}": (lambda how=how: layers.Resizing(6, 11, interpolation=how), (IMAGE,))
       for how in ("bilinear", "nearest", "bicubic", "area", "lanczos3")},
    "Resizing-crop": (lambda: layers.Resizing(6, 6, crop_to_aspect_ratio=True), (IMAGE,)),
    "Resizing-pad": (lambda: layers.Resizing(6, 4, pad_to_aspect_ratio=True), (IMAGE,)),
    "Resizing-antialias": (lambda: layers.Resizing(4, 4, antialias=True), (IMAGE,)),
    **{f"Conv{n}D": (lambda n=n: getattr(layers, f"Conv{n}D")(5, 3, 2, padding="same"), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    **{f"Conv{n}D-groups": (lambda n=n: getattr(layers, f"Conv{n}D")(6, 2, groups=2, activation="relu"), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    **{f"Conv{n}D-dilated": (lambda n=n: getattr(layers, f"Conv{n}D")(3, 2, dilation_rate=2, padding="same"), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    "Conv1D-causal": (lambda: layers.Conv1D(3, 3, padding="causal", dilation_rate=2), (LINE,)),
    **{f"Conv{n}DTranspose": (lambda n=n: getattr(layers, f"Conv{n}DTranspose")(3, 3, 2, padding="same"), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    **{f"Conv{n}DTranspose-valid": (lambda n=n: getattr(layers, f"Conv{n}DTranspose")(3, 2, 3), (x,))
       for n, x in ((1, LINE), (2, IMAGE), (3, VOLUME))},
    "Conv2DTranspose-output": (lambda: layers.Conv2DTranspose(3, 3, 2, output_padding=1), (IMAGE,)),
    "Conv2DTranspose-dilated": (lambda: layers.Conv2DTranspose(3, 3, dilation_rate=2), (IMAGE,)),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (LINE,)),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2), (IMAGE,)),
    "DepthwiseConv2D-dilated": (lambda: layers.DepthwiseConv2D(3, dilation_rate=2), (IMAGE,)),
    "SeparableConv1D": (lambda: layers.SeparableConv1D(3, 3, padding="same"), (LINE,)),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(3, 3, 2), (IMAGE,)),
    "Cropping1D": (lambda: layers.Cropping1D((1, 2)), (LINE,)),
    "Cropping2D": (lambda: layers.Cropping2D(((1, 0), (2, 1))), (IMAGE,)),
    "Cropping3D": (lambda: layers.Cropping3D(1), (VOLUME,)),
    "ZeroPadding1D": (lambda: layers.ZeroPadding1D(2), (LINE,)),
    "ZeroPadding2D": (lambda: layers.ZeroPadding2D(((1, 0), (2, 1))), (IMAGE,)),
    "ZeroPadding3D": (lambda: layers.ZeroPadding3D(1), (VOLUME,)),
    "UpSampling1D": (lambda: layers.UpSampling1D(2), (LINE,)),
    **{f"UpSampling2D-{how}": (lambda how=how: layers.UpSampling2D((2, 3), interpolation=how), (IMAGE,))
       for how in ("nearest", "bilinear", "bicubic", "lanczos5")},
    "UpSampling3D": (lambda: layers.UpSampling3D(2), (VOLUME,)),
    "Dense": (lambda: layers.Dense(5, activation="relu"), (SERIES,)),
    "Dense-lora": (lambda: layers.Dense(5, lora_rank=2), (ROW,)),
    "EinsumDense": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (SERIES,)),
    "EinsumDense-dots": (lambda: layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"), (SERIES,)),
    "ELU": (lambda: layers.ELU(0.7), (ROW,)),
    "LeakyReLU": (lambda: layers.LeakyReLU(0.2), (ROW,)),
    "PReLU": (lambda: layers.PReLU("uniform", shared_axes=[1]), (SERIES,)),
    "ReLU": (lambda: layers.ReLU(), (ROW,)),
    "ReLU-all": (lambda: layers.ReLU(1.5, negative_slope=0.1, threshold=0.2), (ROW,)),
    "Softmax": (lambda: layers.Softmax(), (SERIES,)),
    "Softmax-two": (lambda: layers.Softmax(axis=(1, 2)), (SERIES,)),
    "Softmax-masked": (lambda: layers.Softmax(), (_real(2, 5, 7), MASK)),
    "Embedding": (lambda: layers.Embedding(7, 4), (WORDS,)),
    "ReversibleEmbedding": (lambda: layers.ReversibleEmbedding(7, 4), (WORDS,)),
    "ReversibleEmbedding-back": (lambda: _called(layers.ReversibleEmbedding(7, 4), reverse=True), (SERIES,)),
    "Flatten": (lambda: layers.Flatten(), (IMAGE,)),
    "Identity": (lambda: layers.Identity(), (ROW,)),
    "Lambda": (lambda: layers.Lambda(lambda x: tf.sin(x) * 2.0), (ROW,)),
    "Masking": (lambda: layers.Masking(0.0), (SERIES,)),
    "Masking-LSTM": (lambda: keras.Sequential([layers.Masking(0.0), layers.LSTM(3)]),
                     (SERIES * tf.cast(WORDS[..., None] > 0, tf.float32),)),
    "Permute": (lambda: layers.Permute((2, 1)), (SERIES,)),
    "RepeatVector": (lambda: layers.RepeatVector(3), (ROW,)),
    "Reshape": (lambda: layers.Reshape((2, -1)), (ROW,)),
    "MelSpectrogram": (lambda: layers.MelSpectrogram(
        num_mel_bins=8, sampling_rate=8000, sequence_stride=32, fft_length=64), (_real(2, 256),)),
    "STFTSpectrogram": (lambda: layers.STFTSpectrogram(
        mode="log", frame_length=32, frame_step=16, fft_length=32), (_real(2, 128, 1),)),
    "Pipeline": (lambda: layers.Pipeline([layers.Rescaling(2.0), layers.CenterCrop(4, 4)]), (IMAGE,)),
    "AutoContrast": (lambda: layers.AutoContrast(), (_bytes(2, 6, 6, 3),)),
}  # fmt: skip


OPEN = frozenset((
    "Conv1D", "Conv2D", "Conv3D", "Conv1D-dilated", "Conv2D-dilated", "Conv1D-causal", "DepthwiseConv2D",
    "DepthwiseConv2D-dilated", "MaxPooling2D-same", "AveragePooling2D-same", "AveragePooling3D-same",
    "Resizing-bilinear", "Resizing-nearest", "Conv2DTranspose", "LSTM", "GRU",
))  # fmt: skip
"""Layers of one tensor whose inner axes may stay open, and that compute something of their sizes."""
REFUSED = {
    "StringLookup": "table", "TextVectorization": "text", "Hashing": "text", "IntegerLookup": "table",
    "Resizing-lanczos3": "ScaleAndTranslate", "UpSampling2D-lanczos5": "ScaleAndTranslate",
    "HashedCrossing": "SparseCross",
    "Resizing-antialias": "ScaleAndTranslate",
}  # fmt: skip
"""Layers that are not ported, and what the refusal says."""


def moved(layer: Any) -> None:
    """Give a layer weights and statistics that are not those that it begins with; states begin at zero."""
    numbers = np.random.default_rng(1)
    for variable in layer.variables:
        if "moving_variance" in variable.path:
            variable.assign(numbers.uniform(0.5, 1.5, variable.shape))
        elif "float" in variable.dtype and "seed" not in variable.path:
            variable.assign(np.asarray(variable) + 0.1 * numbers.normal(size=variable.shape))


def _several(layer: Any) -> Any:
    """A layer of a list of tensors, as one of several."""

    class Several(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer

        def call(self, *args: Any) -> Any:
            return self.inner(list(args))

    return Several()


class Causal(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = layers.Attention()

    def call(self, xs: Any) -> Any:
        return self.inner(xs, use_causal_mask=True, return_attention_scores=True)


class Masked(layers.Layer):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, query: Any, value: Any, allowed: Any) -> Any:
        return self.inner(query, value, attention_mask=allowed)


class Initial(layers.Layer):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, x: Any, hidden: Any, cell: Any) -> Any:
        return self.inner(x, initial_state=[hidden, cell])


class Cell(layers.Layer):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, x: Any, *states: Any) -> Any:
        return self.inner(x, list(states))
