"""Loops of TensorFlow whose step is that of an LSTM or a GRU are that operation; all others stay loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from keras import layers  # noqa: E402

import tensoria as tn  # noqa: E402

random = np.random.default_rng(0)
SERIES = tf.constant(random.normal(size=(3, 5, 4)), "float64")
LONGER = tf.constant(random.normal(size=(2, 9, 4)), "float64")


def moved(layer: Any) -> Any:
    """A layer whose weights are not those that it begins with, in float64."""
    layer(SERIES)
    for variable in layer.variables:
        if "float" in variable.dtype:
            variable.assign(variable + 0.3 * random.normal(size=variable.shape))
    return layer


def numbers(found: Any) -> list[Any]:
    """The arrays of results."""
    found = found if isinstance(found, (list, tuple)) else [found]
    return [np.asarray(tn.asarray(x).to(backend="numpy").array) for x in found]


RECOGNISED: dict[str, tuple[str, Callable[[], Any]]] = {
    "LSTM": ("lstm", lambda: layers.LSTM(3, dtype="float64")),
    "LSTM-plain": ("lstm", lambda: layers.LSTM(3, use_bias=False, return_sequences=True, dtype="float64")),
    "LSTM-states": ("lstm", lambda: layers.LSTM(3, return_sequences=True, return_state=True, dtype="float64")),
    "GRU": ("gru", lambda: layers.GRU(3, return_state=True, dtype="float64")),
    "GRU-plain": ("gru", lambda: layers.GRU(3, use_bias=False, return_sequences=True, dtype="float64")),
    "both ways": ("gru", lambda: layers.Bidirectional(layers.GRU(3, dtype="float64"), dtype="float64")),
}
LOOPS: dict[str, Callable[[], Any]] = {
    "reset before the product": lambda: layers.GRU(3, reset_after=False, dtype="float64"),
    "another activation": lambda: layers.LSTM(3, activation="relu", dtype="float64"),
    "a gate of its own": lambda: layers.LSTM(3, recurrent_activation="hard_sigmoid", dtype="float64"),
    "a simple step": lambda: layers.SimpleRNN(3, dtype="float64"),
}


def ported(model: Any) -> Any:
    return tn.port(model, (SERIES,), dynamic={next(iter(_names(model))): ("batch", "time", None)})


def _names(model: Any) -> Any:
    return tn.port(model, (SERIES,)).signature


@pytest.mark.parametrize("name", RECOGNISED)
def test_layers_are_one_operation_with_the_layers_numbers(backend: str, name: str) -> None:
    operation, make = RECOGNISED[name]
    model = moved(make())
    program = ported(model)
    assert operation in program.operations()
    assert "scan" not in program.operations()
    for x in (SERIES, LONGER):
        for a, b in zip(numbers(program.run(x, backend=backend)), numbers(model(x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", LOOPS)
def test_what_is_no_such_step_stays_a_loop(name: str) -> None:
    model = moved(LOOPS[name]())
    program = ported(model)
    assert "scan" in program.operations()
    for a, b in zip(numbers(program.run(LONGER, backend="numpy")), numbers(model(LONGER)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


class Cell(tf.Module):
    """A cell with a weight for each gate, in another order, as one writes it oneself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = [tf.Variable(random.normal(size=(4, 3))) for _ in range(4)]
        self.own = [tf.Variable(random.normal(size=(3, 3))) for _ in range(4)]
        self.bias = [tf.Variable(random.normal(size=3)) for _ in range(4)]

    def __call__(self, x: Any) -> Any:
        h, c = tf.zeros((x.shape[0], 3), x.dtype), tf.zeros((x.shape[0], 3), x.dtype)
        steps = tf.TensorArray(x.dtype, x.shape[1]).unstack(tf.transpose(x, (1, 0, 2)))
        found = tf.TensorArray(x.dtype, x.shape[1])
        for n in tf.range(x.shape[1]):
            now = steps.read(n)
            leave, enter, new, forget = (
                bias + tf.matmul(h, own) + tf.matmul(now, inner)
                for inner, own, bias in zip(self.inner, self.own, self.bias, strict=True)
            )
            c = tf.tanh(new) * tf.sigmoid(enter) + c * tf.sigmoid(forget)
            h = tf.tanh(c) * tf.sigmoid(leave)
            found = found.write(n, h)
        return found.stack(), c


class Swapped(Cell):
    """The same with the tangent of the wrong state: no LSTM."""

    def __call__(self, x: Any) -> Any:
        h, c = tf.zeros((x.shape[0], 3), x.dtype), tf.zeros((x.shape[0], 3), x.dtype)
        steps = tf.TensorArray(x.dtype, x.shape[1]).unstack(tf.transpose(x, (1, 0, 2)))
        for n in tf.range(x.shape[1]):
            now = steps.read(n)
            leave, enter, new, forget = (
                tf.matmul(h, own) + tf.matmul(now, inner) for inner, own in zip(self.inner, self.own, strict=True)
            )
            before = c
            c = tf.tanh(new) * tf.sigmoid(enter) + c * tf.sigmoid(forget)
            h = tf.tanh(before) * tf.sigmoid(leave)
        return h, c


def test_a_cell_written_by_hand_is_found_whatever_the_order_of_its_sums(backend: str) -> None:
    model = Cell()
    program = tn.port(model, (SERIES,))
    assert "lstm" in program.operations()
    assert "scan" not in program.operations()
    for a, b in zip(numbers(program.run(SERIES, backend=backend)), numbers(model(SERIES)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_a_cell_that_reads_the_wrong_state_is_none() -> None:
    model = Swapped()
    program = tn.port(model, (SERIES,))
    assert "scan" in program.operations()
    for a, b in zip(numbers(program.run(SERIES, backend="numpy")), numbers(model(SERIES)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_gradients_through_it_are_tensorflows() -> None:
    model = moved(layers.LSTM(3, dtype="float64"))
    with tf.GradientTape() as tape:
        tape.watch(SERIES)
        y = tf.reduce_sum(tf.sin(model(SERIES)))
    variables = model.trainable_variables
    wanted = tape.gradient(y, [SERIES, *(v.value for v in variables)])
    pulled = ported(model).vjp((0,), parameters=True)
    _, (by_input, by_name) = pulled.run(SERIES, tf.cos(model(SERIES)), backend="numpy")
    found = [*numbers(by_input), *(numbers(by_name[v.path])[0] for v in variables)]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-12)


def test_in_pytorch_its_own_kernel_runs() -> None:
    torch = pytest.importorskip("torch")
    model = moved(layers.LSTM(3, dtype="float64"))
    native = ported(model).to_torch()
    assert "neural_lstm" in native.code
    found = native(torch.tensor(LONGER.numpy())).detach().numpy()
    np.testing.assert_allclose(found, model(LONGER).numpy(), rtol=0, atol=1e-13)
