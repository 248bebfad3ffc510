"""Kernels through choices and loops: those of the same function without them, and of networks of finite width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits import Law

X = np.random.default_rng(0).normal(size=(3, 4, 3))
LAWS = {"U": Law(0.5), "W": Law(1.2, -1), "v": Law(1.0, -1)}  # type: ignore[arg-type]


def read(function: Callable[..., Any], **sizes: Any) -> Any:
    n, batch = tn.dim("n"), tn.dim("batch")
    ones = [np.ones((2, 4, 3)), np.ones((3, 5)), np.ones((5, 5)), np.ones(5)]
    dynamic = {"x": (batch, None, None), "U": (None, n), "W": (n, n), "v": (n,), **sizes}
    return tn.limits.analyse(tn.trace(function, *ones, dynamic=dynamic), widths=("n",), laws=LAWS)


def same(a: Any, b: Any, x: Any = X) -> None:
    np.testing.assert_allclose(a.nngp(x).array, b.nngp(x).array, rtol=1e-12)
    for first, second in zip(a.ntk_powers(x).values(), b.ntk_powers(x).values(), strict=True):
        np.testing.assert_allclose(first.array, second.array, rtol=1e-12)


def recurrent(x: Any, U: Any, W: Any, v: Any) -> Any:
    h = tn.tanh(x[:, 0] @ U)
    for t in range(1, 4):
        h = tn.tanh(h @ W + x[:, t] @ U)
    return h @ v


def test_a_scan_is_read_step_by_step() -> None:
    def scanned(x: Any, U: Any, W: Any, v: Any) -> Any:
        def body(h: Any, at: Any) -> Any:
            h = tn.tanh(h @ W + at @ U)
            return h, h @ v

        return tn.scan(body, tn.tanh(x[:, 0] @ U), tn.permute_dims(x, (1, 0, 2))[1:])[1][-1]

    def backwards(x: Any, U: Any, W: Any, v: Any) -> Any:
        def body(h: Any, at: Any) -> Any:
            h = tn.tanh(h @ W + at @ U)
            return h, h

        x = tn.flip(tn.permute_dims(x, (1, 0, 2)), axis=0)
        last, states = tn.scan(body, tn.tanh(x[3] @ U), x[:3], reverse=True)
        return (last + states[0]) @ v / 2

    expected = read(recurrent)
    same(read(scanned), expected)
    same(read(backwards), expected)


def test_a_loop_of_a_known_number_of_steps_is_read() -> None:
    def looped(x: Any, U: Any, W: Any, v: Any) -> Any:
        def body(state: Any) -> Any:
            t, h = state
            at = tn.squeeze(tn.take(x, tn.reshape(t, (1,)), axis=1), axis=1)
            return t + 1, tn.tanh(h @ W + at @ U)

        def more(state: Any) -> Any:
            return tn.logical_and(state[0] < 4, state[0] > -1)

        return tn.while_loop(more, body, (tn.asarray(1), tn.tanh(x[:, 0] @ U)))[1] @ v

    def stored(x: Any, U: Any, W: Any, v: Any) -> Any:
        """Vectors are looked up at the counter of the loop."""
        inputs = tn.permute_dims(x, (1, 0, 2)) @ U

        def body(state: Any) -> Any:
            t, h = state
            return t + 1, tn.tanh(h @ W + tn.squeeze(tn.take(inputs, tn.reshape(t, (1,)), axis=0), axis=0))

        return tn.while_loop(lambda state: state[0] < 4, body, (tn.asarray(1), tn.tanh(inputs[0])))[1] @ v

    same(read(looped), read(recurrent))
    same(read(stored), read(recurrent))


@pytest.mark.parametrize("of", ["a number", "data", "a moment"])
def test_a_choice_that_is_not_random_is_made(of: str) -> None:
    def condition(x: Any, h: Any) -> Any:
        if of == "a number":
            return tn.asarray(3) > 2
        return tn.sum(x) > 0 if of == "data" else tn.mean(h * h) > 0.25

    def first(h: Any, W: Any) -> Any:
        return tn.tanh(h @ W)

    def second(h: Any, W: Any) -> Any:
        return tn.relu(h @ W)

    def chosen(x: Any, U: Any, W: Any, v: Any) -> Any:
        h = tn.tanh(x[:, 0] @ U)
        return tn.cond(condition(x, h), lambda h: first(h, W), lambda h: second(h, W), h) @ v

    def always(which: Any) -> Any:
        return read(lambda x, U, W, v: which(tn.tanh(x[:, 0] @ U), W) @ v)

    model = read(chosen)
    moment = read(lambda x, U, W, v: tn.tanh(x[:, 0] @ U) @ v)  # E h^2, example by example
    for x in (X, -X, 0.1 * X):
        yes = {
            "a number": True, "data": x.sum() > 0, "a moment": np.trace(moment.nngp(x).array) / 3 > 0.25
        }[of]  # fmt: skip
        same(model, always(first if yes else second), x)


def test_what_is_no_finite_program_is_refused_with_its_line() -> None:
    def refused(match: str, function: Callable[..., Any], **sizes: Any) -> None:
        with pytest.raises(LimitError, match=match + r"(.|\n)*test_kernels_control\.py:\d+"):
            read(function, **sizes)

    def start(x: Any, U: Any) -> Any:
        return tn.tanh(x[:, 0] @ U)

    refused(
        "unsupported: cond, the condition stays random",
        lambda x, U, W, v: tn.cond(tn.sum(start(x, U) @ v) > 0, tn.tanh, tn.relu, start(x, U)) @ v,
    )
    refused(
        "unsupported: while_loop, the number of its steps depends on data",
        lambda x, U, W, v: tn.while_loop(lambda h: tn.mean(h * h) > 0.01, lambda h: tn.tanh(h @ W), start(x, U)) @ v,
    )
    refused(
        "unsupported: scan, a loop of time steps, an open size",
        lambda x, U, W, v: tn.scan(
            lambda h, at: (tn.tanh(h @ W + at @ U), None), start(x, U), tn.permute_dims(x, (1, 0, 2))
        )[0] @ v,
        x=(tn.dim("batch"), tn.dim("time"), None),
    )


# -- recurrent layers of Keras ----------------------------------------------------------------------------------------


def of_keras(kind: str) -> Any:
    keras = pytest.importorskip("keras")
    given = {"dtype": "float64", "kernel_initializer": "lecun_normal"}

    def model(n: int) -> Any:
        cell = getattr(keras.layers, kind)(n, recurrent_initializer="lecun_normal", **given)
        return keras.Sequential([keras.Input((4, 3), dtype="float64"), cell, keras.layers.Dense(1, **given)])

    return tn.limits.analyse(model, (X[:2],), widths=(8, 16, 24), gaussian=True)


def test_the_recurrent_layer_of_keras_has_the_kernel_of_the_written_out_network() -> None:
    n, batch = tn.dim("n"), tn.dim("batch")
    ones = [np.ones((2, 4, 3)), np.ones((3, 5)), np.ones((5, 5)), np.ones(5)]
    sizes = {"x": (batch, None, None), "U": (None, n), "W": (n, n), "v": (n,)}
    laws = {"U": Law(1 / 3), "W": Law(1.0, -1), "v": Law(1.0, -1)}  # type: ignore[arg-type]
    written = tn.limits.analyse(tn.trace(recurrent, *ones, dynamic=sizes), widths=("n",), laws=laws)
    found = of_keras("SimpleRNN").nngp(X).array
    np.testing.assert_allclose(np.asarray(found).reshape(3, 3), written.nngp(X).array, rtol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", pytest.param("GRU", marks=pytest.mark.matrix)])
def test_gated_layers_of_keras_have_the_kernel_of_wide_networks(kind: str) -> None:
    model = of_keras(kind)
    kernel = np.asarray(model.nngp(X[:2]).array).reshape(2, 2)
    # The readout is Gaussian, so its variance over networks is the kernel's; 4 standard errors, and 1/n.
    found = model.simulate(X[:2], width=128, seeds=100).nngp
    assert (abs(found.mean.reshape(2, 2) - kernel) < 4 * found.error.reshape(2, 2) + kernel.max() / 64).all()


def test_rows_that_are_taken_are_those_of_an_embedding() -> None:
    n, batch = tn.dim("n"), tn.dim("batch")
    laws = {"E": Law(1.0, distribution="uniform"), "v": Law(1.0, -1)}  # type: ignore[arg-type]

    def table(look: Callable[..., Any]) -> Any:
        p = tn.trace(
            lambda i, E, v: tn.relu(look(E, i)) @ v, np.array([0, 1]), np.ones((5, 4)), np.ones(4),
            dynamic={"i": (batch,), "E": (None, n), "v": (n,)},
        )  # fmt: skip
        return tn.limits.analyse(p, widths=("n",), laws=laws).nngp(np.array([0, 3, 3])).array

    found = table(lambda E, i: tn.take(E, i, axis=0))
    np.testing.assert_array_equal(found, table(lambda E, i: E[i]))
    # u uniform on (-sqrt 3, sqrt 3): E relu(u)^2 = 1/2, (E relu(u))^2 = 3/16.
    np.testing.assert_allclose(found, np.where(np.array([[1, 0, 0], [0, 1, 1], [0, 1, 1]]), 1 / 2, 3 / 16), rtol=5e-3)
