"""muP plans of Keras models: the same roles and numbers as for PyTorch, without hooks and groups."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import BackendError, LimitError
from tensoria.limits.laws import Law

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers


def net(n: int) -> Any:
    return keras.Sequential([
        layers.Input((8,)), layers.Dense(n, activation="relu"), layers.Dense(n, activation="relu"),
        layers.LayerNormalization(), layers.Dense(3, name="head"),
    ])  # fmt: skip


X = tf.constant(np.random.default_rng(0).standard_normal((4, 8)), tf.float32)
Y = tf.constant(np.random.default_rng(1).standard_normal((4, 3)), tf.float32)


@pytest.fixture(scope="module")
def of() -> Any:
    return tn.limits.widened(net, (X,), widths=(32, 64, 128))


def test_laws_are_those_of_the_layers_initialisers(of: Any) -> None:
    assert of.law("dense_1.kernel") == Law(1.0, Fraction(-1), "uniform")  # Glorot: 2 / (n + n)
    assert of.law("dense.kernel") == Law(2.0, Fraction(-1), "uniform")  # 2 / (8 + n)
    assert of.law("head.bias") == Law(0.0)
    assert of.law("layer_normalization.gamma") == Law(0.0, mean=1.0)


def test_initialisers_of_every_kind_have_the_variance_that_is_measured() -> None:
    kinds = keras.initializers
    for initialiser in (
        kinds.HeNormal(), kinds.LecunUniform(), kinds.GlorotNormal(), kinds.RandomNormal(stddev=0.3),
        kinds.TruncatedNormal(stddev=0.3), kinds.RandomUniform(-0.2, 0.4), kinds.Constant(0.7), kinds.Ones(),
    ):  # fmt: skip
        model = keras.Sequential([layers.Input((200,)), layers.Dense(300, kernel_initializer=initialiser)])
        with get("tensorflow").watching() as laws:
            law = laws(model)["dense.kernel"]
        kernel = model.layers[-1].kernel.numpy()
        assert kernel.mean() == pytest.approx(law.mean, abs=0.01)
        assert kernel.var() == pytest.approx(law.variance, rel=0.02, abs=1e-12)


def test_the_default_initialisers_let_the_first_layer_vanish(of: Any) -> None:
    found = tn.limits.powers(of)
    assert any("dense.kernel has uniform, variance 2 n^-1" in finding.origin for finding in found.findings)


def test_roles_and_numbers_are_those_of_the_tables(of: Any) -> None:
    plan = tn.mup.plan(of, base=32, optimizer="adam")
    roles = {name: entry.role for name, entry in plan.entries.items()}
    assert roles["dense.kernel"] == "input"
    assert roles["dense_1.kernel"] == "hidden"
    assert (roles["head.kernel"], roles["head.bias"]) == ("output", "scalar")
    assert plan.entries["dense.kernel"].drawn == Fraction(1, 2)
    rates = plan.rates(128)
    assert rates["dense_1.kernel"].rate == 0.25
    assert plan.findings == ()


def test_every_table_trains_the_same_function(of: Any) -> None:
    results = []
    for table in ("T3", "T8", "T9"):
        keras.utils.set_random_seed(0)
        plan = tn.mup.plan(of, base=32, optimizer="sgd", table=table)
        model = plan.apply(net(64))
        assert plan.apply(model) is model  # once more changes nothing
        optimizer = plan.scaled_optimizer(keras.optimizers.SGD(0.05))
        model.compile(optimizer, loss="mse")
        model.fit(X, Y, epochs=3, batch_size=4, verbose=0)
        results.append(np.asarray(model(X)))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=2e-4, atol=1e-5)


def test_the_steps_of_adam_have_each_variable_s_rate_and_epsilon(of: Any) -> None:
    plan = tn.mup.plan(of, base=32, optimizer="adam")
    model = plan.apply(net(128))
    optimizer = plan.scaled_optimizer(keras.optimizers.Adam(0.1, epsilon=1e-30))
    before = {v.path: v.numpy() for v in model.trainable_variables}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(X) ** 2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    optimizer.apply(gradients, model.trainable_variables)
    steps = {v.path.partition("/")[2]: np.abs(v.numpy() - before[v.path]).max() for v in model.trainable_variables}
    assert {name.rpartition("/")[2]: round(float(step), 5) for name, step in steps.items() if "head" in name} == {
        "kernel": 0.1, "bias": 0.1
    }  # fmt: skip
    hidden = model.layers[1].kernel.path.partition("/")[2]
    assert steps[hidden] == pytest.approx(0.025, rel=1e-4)
    assert optimizer.epsilon == 1e-30


def test_the_coordinate_check_tells_the_parametrizations_apart(of: Any) -> None:
    options: dict[str, Any] = {"target": Y, "widths": (64, 128, 256), "seeds": 2, "steps": 1, "lr": 0.02}
    assert not tn.mup.coord_check(net, (X,), optimizer="adam", **options).passed
    plan = tn.mup.plan(of, base=64, optimizer="adam")
    check = tn.mup.coord_check(net, (X,), plan=plan, **options)
    assert check.passed, str(check)


def test_groups_are_for_frameworks_that_have_them(of: Any) -> None:
    plan = tn.mup.plan(of, base=32, optimizer="adamw")
    with pytest.raises(BackendError, match="have no groups"):
        plan.param_groups(0.1, plan.apply(net(64)))
    other = keras.Sequential([layers.Input((8,)), layers.Dense(3)])
    with pytest.raises(LimitError, match="the model lacks the parameter"):
        plan.apply(other)
