"""Native models made of programs: they compute, train, take and give state, and are saved by their frameworks."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

from models import MODELS, flat, stressed  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import BackendNotFoundError, PortingError  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

KINDS = ("numpy", "torch", "tensorflow", "keras")


@functools.cache
def ported(name: str) -> tuple[Any, Program, Any]:
    torch.manual_seed(0)
    example = MODELS[name]
    module = stressed(example.module)
    return module, tn.port(module, example.args, example.kwargs, dynamic=example.dynamic), example


def arguments(program: Program, module: Any, args: Any, kwargs: Any, kind: str) -> dict[str, Any]:
    """Arguments by name, in the arrays of a framework."""
    given = inspect.signature(module.forward).bind(*args, **kwargs).arguments

    def native(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: native(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(native(item) for item in value)
        return value.numpy() if isinstance(value, torch.Tensor) and kind != "torch" else value

    return {name: native(value) for name, value in given.items() if name in program.signature}


def numbers(value: Any) -> list[Any]:
    return [np.asarray(x.detach() if hasattr(x, "detach") else x) for x in flat(value)]


def close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    for a, b in zip(numbers(found), numbers(expected), strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= tolerance * np.abs(b).max(initial=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_kind_compute_what_the_source_does_at_other_sizes(name: str) -> None:
    module, program, example = ported(name)
    args, kwargs = example.others if example.others != ((), {}) else (example.args, example.kwargs)
    for kind in KINDS[:3]:
        model = program.to(kind)
        close(model(**arguments(program, module, args, kwargs, kind)), module(*args, **kwargs))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_go_through_a_model_unchanged_whatever_it_stores(kind: str) -> None:
    module, program, example = ported("images")
    module, model = copy.deepcopy(module), program.to(kind)
    state = {name: np.asarray(value) for name, value in model.state_dict().items()}
    for name, array in program.parameters.items():
        np.testing.assert_array_equal(state[name], program.arrays[array])
    torch.manual_seed(1)
    other = {
        name: torch.rand_like(value) + 0.5 if value.is_floating_point() else value + 3
        for name, value in module.state_dict().items()
    }
    assert set(other) == set(state)
    if kind == "torch":
        model.load_state_dict(other)
    else:
        model.load_state_dict({name: value.numpy() for name, value in other.items()})
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), other[name].numpy())
    module.load_state_dict(other)
    x = example.args[0]
    close(model(x if kind == "torch" else x.numpy()), module(x))


@pytest.mark.parametrize("kind", ["numpy", "tensorflow", "keras"])
def test_a_state_of_other_names_or_shapes_is_refused_with_what_differs(kind: str) -> None:
    _, program, _ = ported("perceptron")
    model = program.to(kind)
    state = dict(model.state_dict())
    with pytest.raises(PortingError, match=r"missing are layers\.0\.bias"):
        model.load_state_dict({name: x for name, x in state.items() if name != "layers.0.bias"})
    with pytest.raises(PortingError, match="unknown more"):
        model.load_state_dict({**state, "more": state["layers.0.bias"]})
    with pytest.raises(PortingError, match=r"layers\.0\.bias has the shape \(3,\), not \(8,\)"):
        model.load_state_dict({**state, "layers.0.bias": np.zeros(3, "float32")})
    model.load_state_dict({"layers.0.bias": state["layers.0.bias"] + 1}, strict=False)
    np.testing.assert_array_equal(model.state_dict()["layers.0.bias"], state["layers.0.bias"] + 1)


def test_a_kind_that_nobody_makes_is_refused_with_those_that_there_are() -> None:
    program = tn.trace(lambda x: x + 1, tn.asarray([1.0]))
    with pytest.raises(BackendNotFoundError, match=r"no backend makes models of the kind 'caffe'"):
        program.to("caffe")


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def test_parameters_that_belong_to_a_module_of_pytorch_get_it() -> None:
    module, program, _ = ported("transformer")
    model = program.to_torch()
    found = {path: type(part) for path, part in model.named_modules()}
    for path, part in module.named_modules():
        if isinstance(part, (torch.nn.LayerNorm, torch.nn.Linear)) and "self_attn" not in path:
            assert found[path] is type(part)
    assert set(model.state_dict()) == set(module.state_dict())
    images = ported("images")[1].to_torch()
    kinds = {type(part) for part in images.modules()}
    assert {torch.nn.Conv2d, torch.nn.Linear} <= kinds
    upward = {type(part) for part in ported("upward")[1].to_torch().modules()}
    assert {torch.nn.ConvTranspose2d, torch.nn.GroupNorm} <= upward


def test_tied_weights_stay_tied() -> None:
    module, program, example = ported("tied")
    model = program.to_torch()
    given = arguments(program, module, example.args, example.kwargs, "torch")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sum(x.square().sum() for x in flat(model(**given)) if x.is_floating_point()).backward()
    optimizer.step()
    state = model.state_dict()
    tied = [name for name, value in state.items() if value.shape == (11, 4)]
    assert all(state[name].data_ptr() == state[tied[0]].data_ptr() for name in tied)


@pytest.mark.parametrize("name", ["images", "transformer", "upward"])
def test_modules_are_exported_compiled_copied_and_pickled(name: str) -> None:
    module, program, example = ported(name)
    model, expected = program.to_torch(), module(*example.args, **example.kwargs)
    exported = torch.export.export(model, example.args, dict(example.kwargs)).module()
    close(exported(*example.args, **example.kwargs), expected)
    whole = torch.compile(model, backend="eager", fullgraph=True)
    close(whole(*example.args, **example.kwargs), expected)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        close(other(*example.args, **example.kwargs), expected)
        assert set(other.state_dict()) == set(model.state_dict())


def test_training_in_float64_is_the_source_models_training_on_every_framework() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.LayerNorm(7), torch.nn.Linear(7, 2))
    module = module.double().eval()
    x = torch.randn(6, 5, dtype=torch.float64)
    program = tn.port(module, (x,), dynamic={"input": ("batch", None)})
    mine, theirs = program.to_torch(), program.to_tensorflow()
    losses: dict[str, list[float]] = {"source": [], "torch": [], "tensorflow": []}
    optimizers = {name: torch.optim.SGD(of.parameters(), lr=0.05) for name, of in (("source", module), ("torch", mine))}
    for _ in range(10):
        for name, of in (("source", module), ("torch", mine)):
            loss = of(x).square().mean()
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name].append(loss.item())
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(theirs(x.numpy())))
        for variable, gradient in zip(
            theirs.trainable_variables, tape.gradient(loss, theirs.trainable_variables), strict=True
        ):
            variable.assign_sub(0.05 * gradient)
        losses["tensorflow"].append(float(loss))
    assert losses["source"][-1] < 0.9 * losses["source"][0]
    np.testing.assert_allclose(losses["torch"], losses["source"], rtol=1e-12)
    np.testing.assert_allclose(losses["tensorflow"], losses["source"], rtol=1e-12)


def test_choices_and_loops_run_in_modules_and_are_exported() -> None:
    def f(x: Any, n: Any) -> Any:
        y = tn.cond(tn.sum(x) > 0, lambda x: x * 2, lambda x: -x, x)
        _, y = tn.while_loop(lambda state: state[0] > 0, lambda state: (state[0] - 1, state[1] * 1.5), (n, y))
        total, steps = tn.scan(lambda carry, row: (carry + row, carry * row), tn.zeros_like(y[0]), y)
        return y, total, steps

    x = np.arange(6.0).reshape(3, 2) - 2
    program = tn.trace(f, tn.asarray(x), tn.asarray(3), dynamic={"x": ("rows", None)})
    for sign in (1, -1):
        given = sign * np.concatenate([x, x])
        expected = [np.asarray(y.array) for y in program.run(given, np.asarray(2))]
        for kind in ("numpy", "torch", "tensorflow"):
            wrapped = (lambda a: torch.from_numpy(np.asarray(a))) if kind == "torch" else np.asarray
            close(program.to(kind)(wrapped(given), wrapped(2)), expected, 1e-12)


def test_an_activation_in_place_changes_no_result_and_no_argument() -> None:
    function = torch.nn.functional

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("middle", torch.linspace(-1, 1, 3))
            self.register_buffer("spread", torch.linspace(0.5, 2, 3))

        def forward(self, x: Any) -> Any:
            y = function.relu6(function.batch_norm(x, self.middle, self.spread))
            z = function.batch_norm(y, self.middle, self.spread)
            return torch.relu(z), z  # the second one is read elsewhere

    module, x = Block().eval(), torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    model, before = tn.port(module, (x,)).to_torch(), x.clone()
    assert [node.target.__name__ for node in model.graph.nodes if "relu" in str(node) or "hardtanh" in str(node)] == [
        "hardtanh_in_place", "relu",
    ]  # fmt: skip
    with torch.no_grad():
        for of in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            close(of(x), module(x))
    close(model(x), module(x))
    assert torch.equal(x, before)


def test_a_convolution_takes_up_the_norm_behind_it_where_nothing_is_differentiated() -> None:
    layers = tf.keras.layers
    given = layers.Input((None, None, 3), dtype="float64")
    y = layers.BatchNormalization(dtype="float64")(layers.Conv2D(8, 3, strides=2, dtype="float64")(given))
    z = layers.DepthwiseConv2D(3, padding="same", use_bias=False, dtype="float64")(layers.ReLU(6.0)(y))
    z = layers.ReLU()(layers.BatchNormalization(scale=False, dtype="float64")(z))
    kept = layers.Conv2D(4, 1, dtype="float64")(z)
    source = tf.keras.Model(given, [layers.BatchNormalization(dtype="float64")(kept), kept])
    random = np.random.default_rng(0)
    source.set_weights([random.uniform(0.5, 2, size=w.shape) for w in source.get_weights()])
    model = tn.port(source, (np.zeros((2, 9, 9, 3)),), dynamic={"inputs": ("b", "h", "w", None)}).to_torch()
    shown = [node.target.__name__ for node in model.graph.nodes if "convolution" in str(node.target)]
    assert shown == ["normed_convolution", "normed_convolution", "convolution"]  # whose result is read elsewhere
    for size in (5, 40):  # where the kernel is the larger one, and where the image is
        x = random.standard_normal((2, size, size, 3))
        expected = [y.numpy() for y in source(x)]
        x = torch.from_numpy(x)
        close(model(x), expected, 1e-12)
        with torch.no_grad():
            exported = torch.export.export(model, (x,)).module()
            for of in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), exported):
                close(of(x), expected, 1e-12)
            close(torch.vmap(model)(x[:, None]), [y[:, None] for y in expected], 1e-12)
            close(torch.func.jvp(model, (x,), (x,))[0], expected, 1e-12)


def test_kernels_with_channels_last_lie_in_memory_as_pytorch_reads_them() -> None:
    layers = tf.keras.layers
    convolutions = [layers.Conv2D(4, 3), layers.Conv2DTranspose(5, 3, strides=2), layers.DepthwiseConv2D(3)]
    source = tf.keras.Sequential([layers.Input((8, 8, 3)), *convolutions])
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3), dtype=np.float32)
    program = tn.port(source, (x,))
    compiled, scope = program.compile("torch"), {"__name__": "written"}
    exec(program.source("torch", form="classes"), scope)
    *_, made = [x for x in scope.values() if isinstance(x, type) and x.__module__ == "written"]
    weights = {name: np.asarray(program.arrays[value]) for name, value in program.parameters.items()}
    classes = made(weights, "")
    for held in (
        program.to_torch().parameters(), compiled.native.__globals__.values(), classes.parameters()
    ):  # fmt: skip
        kernels = [x for x in held if isinstance(x, torch.Tensor) and x.ndim == 4]
        assert len(kernels) == 3
        for kernel in kernels:
            read = kernel.permute(3, 2, 0, 1)
            assert read.is_contiguous(memory_format=torch.channels_last) or min(read.shape[:2]) == 1
    for function in (compiled, program.to_torch(), classes):
        close(function(torch.from_numpy(x)), source(x).numpy())


# -- TensorFlow and Keras ---------------------------------------------------------------------------------------------

SERVE = """
import sys
import numpy as np
import tensorflow as tf
served = tf.saved_model.load({folder!r}).signatures["serving_default"]
given = np.load({folder!r} + "/given.npz")
found = served(**{{name: tf.constant(given[name]) for name in given.files}})
np.savez({folder!r} + "/found.npz", **{{name: x.numpy() for name, x in found.items()}})
assert not {{"torch", "tensoria"}} & set(sys.modules)
"""


def test_a_saved_model_serves_other_sizes_without_tensoria_and_pytorch(tmp_path: Path) -> None:
    module, program, example = ported("transformer")
    folder = tmp_path / "saved"
    tf.saved_model.save(program.to_tensorflow(), str(folder))
    args, kwargs = example.others
    given = arguments(program, module, args, kwargs, "numpy")
    flat_given = dict(zip((value.name for value in program.inputs), numbers(list(given.values())), strict=True))
    np.savez(folder / "given.npz", **flat_given)
    code = SERVE.format(folder=str(folder))
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=120,
        env={"TF_CPP_MIN_LOG_LEVEL": "3"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as found:
        close([found[f"output_{n}"] for n in range(len(found.files))], module(*args, **kwargs))


def test_variables_are_named_tracked_and_restored_by_checkpoints(tmp_path: Path) -> None:
    _, program, _ = ported("images")
    model = program.to_tensorflow()
    assert {variable.name.removesuffix(":0") for variable in model.variables} == set(program.parameters)
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    other = program.to_tensorflow()
    other.load_state_dict({name: np.zeros_like(x) for name, x in other.state_dict().items()})
    tf.train.Checkpoint(model=other).read(path).assert_consumed()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_a_keras_model_of_a_float64_program_takes_float64() -> None:
    program = tn.trace(lambda x: tn.sin(x) * x.shape[0], tn.asarray(np.ones(3)), dynamic={"x": ("n",)})
    model = program.to_keras()
    np.testing.assert_allclose(model(np.arange(4.0)), 4 * np.sin(np.arange(4.0)), rtol=0, atol=1e-15)
    again = type(model).from_config(model.get_config())
    assert again(np.ones(2)).dtype == "float64"


def test_a_keras_model_fits_and_is_saved_and_read_again(tmp_path: Path) -> None:
    import keras

    module, program, example = ported("images")
    model = program.to_keras()
    x = example.args[0].numpy()
    before = model.predict(x, verbose=0)
    close(before, module(example.args[0]))
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
    history = model.fit(x, np.zeros((len(x), 4), "float32"), epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    after = model.predict(x, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), after)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)
    assert {weight.name for weight in again.weights} == set(program.parameters)


def test_a_keras_model_of_several_arguments_takes_a_list_or_names() -> None:
    program = tn.trace(lambda x, y: {"sum": x + y, "product": x * y}, *(tn.asarray(np.ones((2, 3), "float32")),) * 2,
                       dynamic={"x": ("n", None), "y": ("n", None)})  # fmt: skip
    model = program.to_keras()
    x, y = np.full((4, 3), 2, "float32"), np.full((4, 3), 5, "float32")
    for given in ([x, y], {"x": x, "y": y}):
        found = model.predict(given, verbose=0)
        np.testing.assert_array_equal(found["sum"], x + y)
        np.testing.assert_array_equal(found["product"], x * y)
