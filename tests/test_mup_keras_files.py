"""Plans of Keras models in files: multipliers, rates by variable and the plan come back; tied embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensoria as tn

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
X = np.random.default_rng(0).standard_normal((4, 8)).astype("float32")
Y = np.random.default_rng(1).standard_normal((4, 3)).astype("float32")
TOKENS = np.arange(10).reshape(2, 5) % 7


def net(n: int) -> Any:
    return keras.Sequential([
        layers.Input((8,)), layers.Dense(n, activation="tanh", name="first"), layers.LayerNormalization(),
        layers.Dense(3, name="head"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def of() -> Any:
    return tn.limits.widened(net, (tf.constant(X),), widths=(32, 64, 128))


def trained(of: Any, table: str, optimizer: str = "adam") -> tuple[Any, Any]:
    plan = tn.mup.plan(of, base=32, optimizer=optimizer, table=table)
    keras.utils.set_random_seed(0)
    model = plan.apply(net(128))
    kind = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimizer]
    model.compile(plan.scaled_optimizer(kind(0.02)), loss="mse")
    model.fit(X, Y, epochs=2, verbose=0)
    return plan, model


@pytest.mark.parametrize("table", ["T3", "T8", "T9"])
def test_a_model_that_is_read_has_its_multipliers_its_plan_and_its_rates(of: Any, table: str, tmp_path: Path) -> None:
    plan, model = trained(of, table)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert tn.mup.recorded(again) == tn.mup.recorded(model) == plan
    assert plan.apply(again) is again  # it follows the plan already
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    for each in (model, again):  # with the state of the optimiser, whose rates are those of before
        each.fit(X, Y, epochs=2, verbose=0)
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    assert plan.scaled_optimizer(again.optimizer, again) is again.optimizer


def test_weights_say_which_plan_they_follow(of: Any, tmp_path: Path) -> None:
    plan, model = trained(of, "T8")
    path = tmp_path / "numbers.weights.h5"
    model.save_weights(path)
    same = plan.apply(net(128))
    same.load_weights(path)
    np.testing.assert_array_equal(same.predict(X, verbose=0), model.predict(X, verbose=0))
    other = tn.mup.plan(of, base=32, optimizer="adam", table="T9").apply(net(128))
    with pytest.raises(ValueError, match=r"the weights follow another muP plan \(table T8, base 32, width 128\)"):
        other.load_weights(path)
    with pytest.raises(ValueError, match="first"):  # a model without multipliers does not take them in silence
        net(128).load_weights(path)
    plain = net(128)
    plain.save_weights(path)
    same.load_weights(path)  # numbers that follow no plan are the caller's responsibility, as in PyTorch
    np.testing.assert_array_equal(same.layers[0].kernel.numpy(), plain.layers[0].kernel.numpy())


def test_clones_follow_the_plan_and_models_that_ran_before_are_compiled_anew(of: Any) -> None:
    plan = tn.mup.plan(of, base=32, optimizer="sgd", table="T8")
    model = net(128)
    before = model.predict(X, verbose=0)
    plan.apply(model, rescale=False)
    np.testing.assert_allclose(model.predict(X, verbose=0), before / 4, rtol=1e-5)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    assert tn.mup.recorded(clone) == plan


def tied(n: int) -> Any:
    table = layers.ReversibleEmbedding(7, n, name="table", embeddings_initializer="random_normal")
    tokens = layers.Input((5,), dtype="int32")
    x = layers.Dense(n, activation="relu", name="mix")(table(tokens))
    return keras.Model(tokens, table(x, reverse=True))


@pytest.mark.parametrize(("table", "embedding", "readout", "scale"), [("T8", 1, 1 / 4, 1), ("T9", 2, 1 / 2, 1 / 2)])
def test_a_tied_embedding_is_divided_as_a_readout_only(
    table: str, embedding: float, readout: float, scale: float, tmp_path: Path
) -> None:
    plan = tn.mup.plan(tied, (tf.constant(TOKENS),), widths=(32, 64, 128), base=32, optimizer="adam", table=table)
    assert plan.entries["table.embeddings"].role == "tied"
    model = tied(128)
    numbers = model.get_layer("table").embeddings.numpy()
    plan.apply(model)
    layer = model.get_layer("table")
    np.testing.assert_allclose(layer.embeddings.numpy(), numbers * scale, rtol=1e-6)
    np.testing.assert_allclose(layer(TOKENS), (numbers * scale * embedding)[TOKENS], rtol=1e-6)
    h = np.random.default_rng(2).standard_normal((2, 128)).astype("float32")
    np.testing.assert_allclose(layer(h, reverse=True), h * readout @ (numbers * scale).T, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "tied.keras")
    again = keras.saving.load_model(tmp_path / "tied.keras")
    np.testing.assert_array_equal(again.predict(TOKENS, verbose=0), model.predict(TOKENS, verbose=0))
