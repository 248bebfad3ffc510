"""Native models of programs with both modes: one state, and the mode that each framework's own switch says."""

from __future__ import annotations

import copy
import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import PortingError  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

OPEN = {"input": ("batch", None, None, None)}


def network(dropout: float = 0.0) -> Any:
    """Two normalisations that learn, of images and of vectors, and a kernel that TensorFlow stores turned."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5),
        nn.BatchNorm1d(5, affine=False, momentum=0.3), nn.Dropout(dropout),
    )  # fmt: skip


def ported(module: Any, x: Any) -> Program:
    return tn.port(module, (x,), dynamic=OPEN, train=True)


@functools.cache
def program(dropout: float = 0.0) -> Program:
    """The network's, in train mode."""
    return ported(network(dropout), images(2))


def images(count: int, dtype: Any = torch.float32) -> Any:
    return torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(count), dtype=dtype)


def same_state(model: Any, module: Any) -> None:
    found = {name: np.asarray(value) for name, value in model.state_dict().items()}
    assert set(found) == set(module.state_dict())
    for name, value in module.state_dict().items():
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_module_of_pytorch_follows_train_and_eval_and_learns_its_statistics_itself() -> None:
    module = network()
    model = program().to_torch()
    assert model.training
    assert {type(part) for part in model.modules()} >= {nn.Conv2d, nn.BatchNorm2d, nn.BatchNorm1d, nn.Linear}
    for x in (images(5), images(7)):
        np.testing.assert_allclose(model(x).detach(), module(x).detach(), rtol=1e-5, atol=1e-6)
    same_state(model, module)
    model.eval(), module.eval()
    np.testing.assert_allclose(model(images(3)).detach(), module(images(3)).detach(), rtol=1e-5, atol=1e-6)
    same_state(model, module)
    assert not program().eval().to_torch().training


def test_copies_and_pickles_have_both_modes_over_one_state() -> None:
    model, x = program(0.5).to_torch(), images(4)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.training
        assert (other(x) == 0).any()
        other.eval()
        # What training changed is what use sees, and the original has seen nothing of it.
        assert int(other.get_buffer("1.num_batches_tracked")) == 1
        assert not (other(x) == 0).any()
        assert other.double()(x.double()).dtype == torch.float64
    assert int(model.get_buffer("1.num_batches_tracked")) == 0


def test_compiled_and_exported_modules_follow_their_mode() -> None:
    model, x = program(0.5).to_torch(), images(4)
    whole = torch.compile(model, backend="eager", fullgraph=True)
    assert (whole(x) == 0).any()
    model.eval()
    expected = model(x).detach()
    np.testing.assert_allclose(whole(x).detach(), expected, rtol=1e-5, atol=1e-6)
    used = torch.export.export(model, (x,)).module()
    np.testing.assert_allclose(used(x).detach(), expected, rtol=1e-5, atol=1e-6)
    model.train()
    trains = torch.export.export(model, (x,)).module()
    assert (trains(x) == 0).any()


def test_steps_of_training_in_float64_are_the_source_modules(backend: str) -> None:
    if backend == "numpy":
        pytest.skip("NumPy trains nothing")
    module = network().double()
    model = ported(module, images(2, torch.float64)).to(backend)
    descent = [torch.optim.SGD(of.parameters(), 0.05) for of in (module, model) if isinstance(of, nn.Module)]
    for count in (4, 6, 8):
        x = images(count, torch.float64)
        module(x).pow(3).sum().backward()
        if backend == "torch":
            model(x).pow(3).sum().backward()
        else:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(x.numpy(), training=True) ** 3)
            pairs = zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True)
            for variable, gradient in pairs:
                variable.assign_sub(0.05 * gradient)
        for optimizer in descent:
            optimizer.step()
            optimizer.zero_grad()
    for name, value in module.state_dict().items():
        np.testing.assert_allclose(np.asarray(model.state_dict()[name]), value.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["numpy", "tensorflow", "keras"])
def test_elsewhere_training_says_which_mode_a_call_has(kind: str) -> None:
    module = network(0.5)
    for of in (program(0.5), program(0.5).eval()):
        model, x = of.to(kind), images(4)
        module.eval()
        np.testing.assert_allclose(
            np.asarray(model(x.numpy(), training=False)), module(x).detach(), rtol=1e-4, atol=1e-5
        )
        assert int(model.state_dict()["1.num_batches_tracked"]) == 0
        assert (np.asarray(model(x.numpy(), training=True)) == 0).any()
        assert int(model.state_dict()["1.num_batches_tracked"]) == 1
        drops = (np.asarray(model(x.numpy())) == 0).any()
        assert drops == (of.key is not None)


@pytest.mark.parametrize("kind", ["numpy", "tensorflow"])
def test_a_mode_that_was_not_captured_is_refused(kind: str) -> None:
    model = tn.port(network(), (images(2),)).to(kind)
    with pytest.raises(PortingError, match="captured in one mode only") as caught:
        model(images(2).numpy(), training=True)
    assert "train=True" in str(caught.value)


def test_keras_trains_in_fit_uses_in_predict_and_a_file_has_both(tmp_path: Path) -> None:
    import keras

    model, x = program(0.5).to_keras(), images(8).numpy()
    model.compile(keras.optimizers.SGD(0.01), "mse")
    model.fit(x, np.zeros((8, 5), "float32"), epochs=2, batch_size=4, verbose=0)
    assert int(model.state_dict()["1.num_batches_tracked"]) == 4
    used = model.predict(x, verbose=0)
    np.testing.assert_array_equal(used, model.predict(x, verbose=0))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), used, rtol=1e-6, atol=1e-7)
    assert (np.asarray(again(x, training=True)) == 0).any()


def test_a_saved_model_serves_what_is_used(tmp_path: Path) -> None:
    model, x = program(0.5).to_tensorflow(), images(3).numpy()
    model.save(tmp_path)
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](input=tf.constant(x))
    np.testing.assert_allclose(served["output_0"], model(x, training=False), rtol=1e-6, atol=1e-6)


class Frozen(nn.Module):
    """One normalisation that is never in train mode, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.still, self.twice = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.still.train(False)
        return self

    def forward(self, input: Any) -> Any:
        return self.twice(2 * self.twice(self.still(input)) + 1)


def test_normalisations_that_do_not_learn_or_learn_twice_are_computed_as_they_were() -> None:
    module = Frozen()
    model = ported(module.train(), images(2)).to_torch()
    for x in (images(4), images(5)):
        np.testing.assert_allclose(model(x).detach(), module(x).detach(), rtol=1e-4, atol=1e-5)
        same_state(model, module)
    model.eval(), module.eval()
    np.testing.assert_allclose(model(images(3)).detach(), module(images(3)).detach(), rtol=1e-4, atol=1e-5)
