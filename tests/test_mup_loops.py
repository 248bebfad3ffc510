"""muP plans of models with loops in them: what a loop's body uses has the role that it has in every step."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.limits.laws import Law

STEPS = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)


def traced(matrix: Law, dynamic: dict[str, Any], net: Any, **arrays: Any) -> Any:
    program = tn.trace(net, *arrays.values(), dynamic=dynamic)
    laws = {"U": Law(1.0), "W": matrix, "v": Law(1.0, Fraction(-1))}
    return tn.limits.widened(program, widths=("n",), laws=laws)


def recurrent(looped: bool, power: Fraction = Fraction(-1)) -> Any:
    def step(h: Any, x: Any, U: Any, W: Any) -> Any:
        return tn.tanh(x @ U + h @ W)

    def net(x: Any, h: Any, U: Any, W: Any, v: Any) -> Any:
        if looped:
            h, every = tn.scan(lambda h, x: (step(h, x, U, W),) * 2, h, x)
            return (h + every[0]) @ v
        first = step(h, x[0], U, W)
        h = step(step(first, x[1], U, W), x[2], U, W)
        return (h + first) @ v

    shapes = {"x": (3, 5, 2), "h": (5, 8), "U": (2, 8), "W": (8, 8), "v": (8, 1)}
    dynamic = {"h": (None, "n"), "U": (None, "n"), "W": ("n", "n"), "v": ("n", None)}
    return traced(Law(1.0, power), dynamic, net, **{k: tn.asarray(np.ones(s)) for k, s in shapes.items()})


def test_a_loop_has_the_plan_of_its_steps_written_out() -> None:
    plans = [tn.mup.plan(recurrent(looped), base=8, optimizer="adam") for looped in (True, False)]
    looped, plain = ({name: (e.role, e.row, e.drawn) for name, e in plan.entries.items()} for plan in plans)
    assert looped == plain
    assert [looped[name][0] for name in "UWv"] == ["input", "hidden", "output"]


def test_what_grows_inside_of_a_loop_is_found_once() -> None:
    found, plain = (tn.limits.powers(recurrent(looped, Fraction(0))) for looped in (True, False))
    assert found.outputs == plain.outputs
    (finding,) = {(of.kind, of.what, of.power) for of in found.findings if of.what == "the argument of tanh"}
    assert finding == ("diverges", "the argument of tanh", Fraction(1, 2))
    assert tn.limits.powers(recurrent(True)).findings == tn.limits.powers(recurrent(False)).findings == ()


# An orthogonal matrix has entries of the variance 1/n.
ORTHOGONAL = {"*.recurrent_kernel": Law(1.0, Fraction(-1))}


def of_keras(kind: str) -> Any:
    keras = pytest.importorskip("keras")

    def net(n: int) -> Any:
        layer = getattr(keras.layers, kind)
        return keras.Sequential([
            keras.layers.Input((5, 3)), layer(n, return_sequences=True, name="first"), layer(n, name="second"),
            keras.layers.Dense(2, name="head"),
        ])  # fmt: skip

    return net


@pytest.mark.parametrize("kind", [
    "LSTM", "GRU", pytest.param("SimpleRNN", marks=pytest.mark.matrix),
])  # fmt: skip
def test_recurrent_layers_of_keras_have_the_roles_of_their_matrices(kind: str) -> None:
    tf = pytest.importorskip("tensorflow")
    plan = tn.mup.plan(of_keras(kind), (tf.constant(STEPS),), widths=(16, 32, 64), laws=ORTHOGONAL)
    roles = {f"{name.partition('.')[0]} {name.rpartition('.')[2]}": e.role for name, e in plan.entries.items()}
    assert roles == {
        "first kernel": "input", "first recurrent_kernel": "hidden", "first bias": "vector", "second kernel": "hidden",
        "second recurrent_kernel": "hidden", "second bias": "vector", "head kernel": "output", "head bias": "scalar",
    }  # fmt: skip


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "SimpleRNN"])
def test_recurrent_layers_of_keras_train_the_same_function_in_every_table(kind: str) -> None:
    tf, keras = pytest.importorskip("tensorflow"), pytest.importorskip("keras")
    x, net = tf.constant(STEPS), of_keras(kind)
    of = tn.limits.widened(net, (x,), widths=(16, 32, 64), laws=ORTHOGONAL)
    results = []
    for table in ("T3", "T8", "T9"):
        keras.utils.set_random_seed(0)
        plan = tn.mup.plan(of, base=16, optimizer="sgd", table=table)
        model = plan.apply(net(64))
        model.compile(plan.scaled_optimizer(keras.optimizers.SGD(0.05)), loss="mse")
        model.fit(x, tf.ones((4, 2)), epochs=3, batch_size=4, verbose=0)
        results.append(np.asarray(model(x)))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=2e-4, atol=1e-5)
