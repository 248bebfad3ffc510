"""Layers of Keras, one by one: the layer's numbers and gradients, other batches, other sizes; refusals say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from keras_layers import LAYERS, OPEN, REFUSED, moved  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import PortingError  # noqa: E402

QUICK = frozenset((
    "Attention-causal", "MultiHeadAttention-mask", "MultiHeadAttention-axes", "GroupQueryAttention-causal",
    "BatchNormalization-masked", "Bidirectional-masked", "GRU-before", "RNN-stacked", "ConvLSTM2D", "TimeDistributed",
    "CategoryEncoding-multi", "Discretization", "Resizing-area", "Conv2D-dilated", "Conv3DTranspose",
    "SeparableConv2D", "EinsumDense", "PReLU", "ReversibleEmbedding-back", "MelSpectrogram",
))  # fmt: skip
QUICK_GRADIENTS = frozenset((
    "MultiHeadAttention-mask", "BatchNormalization-masked", "GRU-before", "ConvLSTM2D", "Resizing-area",
    "Conv2D-dilated", "Conv3DTranspose", "PReLU",
))  # fmt: skip
QUICK_OPEN = frozenset(("Conv2D-dilated", "AveragePooling2D-same", "Resizing-bilinear", "Conv2DTranspose", "GRU"))
PORTED = [name for name in LAYERS if name not in REFUSED]
STATEFUL = ("LSTM-stateful", "GRU-stateful")


def most(names: Any, quick: frozenset[str]) -> Any:
    """A mark: what is not quick is left to the matrix."""
    return pytest.mark.parametrize(
        "name", [name if name in quick else pytest.param(name, marks=pytest.mark.matrix) for name in names]
    )


def made(name: str) -> tuple[Any, tuple[Any, ...]]:
    """A layer that has been built, and its arguments."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    make, args = LAYERS[name]
    layer = make()
    layer(*args)
    moved(layer)
    if name in STATEFUL:
        layer.reset_state()
    return layer, args


def flat(value: Any) -> list[Any]:
    """The tensors of a result, in order."""
    return [leaf for item in value for leaf in flat(item)] if isinstance(value, (list, tuple)) else [value]


def numbers(x: Any) -> Any:
    return np.asarray(tn.asarray(x).to(backend="numpy").array)


def close(found: Any, wanted: Any, tolerance: float = 5e-6) -> None:
    results, expected = flat(found), flat(wanted)
    assert len(results) == len(expected)
    for a, b in zip(map(numbers, results), map(numbers, expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(initial=0), 1e-6))


def opened(program: Any, axes: Any) -> dict[str, Any]:
    """Names for some axes of every tensor that a program takes."""
    return {
        x.name: tuple(f"{x.name}{n}" if n and n in axes(x.type.ndim) else "batch" if n in axes(x.type.ndim) else None
                      for n in range(x.type.ndim))
        for x in program.inputs
    }  # fmt: skip


@most(PORTED, QUICK)
def test_a_layer_computes_its_numbers_of_any_batch(name: str) -> None:
    layer, args = made(name)
    program = tn.port(layer, args)
    found = program.run(*args, backend="numpy")
    close(found, layer(*args))
    if name in STATEFUL or name == "BatchNormalization-masked":
        return
    open_ = tn.port(layer, args, dynamic=opened(program, lambda ndim: (0,)))
    more = [tf.concat([x, x[:1]], 0) for x in args]
    close(open_.run(*more, backend="numpy"), layer(*more))


@pytest.mark.matrix
@pytest.mark.parametrize("target", ["torch", "tensorflow"])
@pytest.mark.parametrize("name", PORTED)
def test_a_layer_computes_its_numbers_elsewhere(name: str, target: str) -> None:
    pytest.importorskip(target)
    layer, args = made(name)
    close(tn.port(layer, args).run(*args, backend=target), layer(*args))


@most([name for name in PORTED if name in OPEN], QUICK_OPEN)
def test_inner_axes_stay_open(name: str) -> None:
    layer, (x,) = made(name)
    dynamic = opened(tn.port(layer, (x,)), lambda ndim: range(1, ndim - 1))
    program = tn.port(layer, (x,), dynamic=dynamic)
    for more in (1, 2, 3):
        y = x
        for axis in range(1, x.ndim - 1):
            y = tf.concat([y, tf.gather(y, list(range(more)), axis=axis)], axis)
        close(program.run(y, backend="numpy"), layer(y))


@most(PORTED, QUICK_GRADIENTS)
def test_gradients_are_those_of_the_layer(name: str) -> None:
    layer, args = made(name)
    leaves = [x for x in args if x.dtype.is_floating]
    variables = layer.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(leaves)
        result = layer(*args)
    outputs = flat(result)
    if not (leaves or variables) or not all(y.dtype.is_floating for y in outputs):
        return
    cotangents = [tf.constant(np.cos(np.arange(int(np.prod(y.shape)))).reshape(y.shape), y.dtype) for y in outputs]
    try:
        wanted = tape.gradient(outputs, [*leaves, *(v.value for v in variables)], cotangents)
    except LookupError:
        return  # TensorFlow has no derivative
    if name in STATEFUL:
        layer.reset_state()
    program = tn.port(layer, args)
    places = tuple(n for n, x in enumerate(args) if x.dtype.is_floating)
    given = tf.nest.pack_sequence_as(result, cotangents)
    _, found = program.vjp(places, parameters=bool(variables)).run(*args, given, backend="numpy")
    by_input, by_name = found if variables else (found, {})
    own = [*map(numbers, flat(by_input)), *(numbers(by_name[v.path]) if v.path in by_name else 0 for v in variables)]
    dense = [0 if g is None else np.asarray(tf.convert_to_tensor(g)) for g in wanted]
    scale = max(float(np.abs(g).max(initial=0)) for g in map(np.asarray, dense))
    for a, b in zip(own, dense, strict=True):
        np.testing.assert_allclose(a + np.zeros(np.shape(b)), b, rtol=0, atol=2e-5 * max(scale, 1e-6))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_why(name: str) -> None:
    make, args = LAYERS[name]
    with pytest.raises(PortingError, match=REFUSED[name]):
        tn.port(make(), args)
