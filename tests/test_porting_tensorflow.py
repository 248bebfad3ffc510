"""TensorFlow's and Keras's models become programs: the same numbers everywhere, names and lines kept, refusals told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from keras import layers  # noqa: E402
from tensorflow_models import APPLICATIONS, MODELS, Block, Module, Transformer, stressed  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.conversion import convert  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.errors import PortingError  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

LARGE = ("resnet", "mobilenet")
each = pytest.mark.parametrize("name", MODELS)


def most(*large: str, of: Any = MODELS) -> Any:
    """A mark for tests of models, of which large ones are left to the matrix."""
    return pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.matrix) if n in large else n for n in of])


PORTED: dict[str, tuple[Any, Program]] = {}
EXPECTED: dict[str, Any] = {}
GRADIENTS: dict[str, tuple[Program, Any, list[Any], dict[str, Any]]] = {}


def ported(name: str) -> tuple[Any, Program]:
    """A model and its program; made once."""
    if name not in PORTED:
        keras.utils.clear_session()  # names of layers begin anew
        keras.utils.set_random_seed(7)
        example = MODELS[name]
        model = example.make()
        if isinstance(model, keras.Layer):
            model(*example.args)
            stressed(model)
        PORTED[name] = model, tn.port(model, example.args, dynamic=example.dynamic)
    return PORTED[name]


def expected(name: str, args: Any, part: str) -> list[Any]:
    """The model's own results."""
    if name + part not in EXPECTED:
        EXPECTED[name + part] = flat(ported(name)[0](*args))
    return EXPECTED[name + part]  # type: ignore[no-any-return]


def flat(value: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for item in value for leaf in flat(item)] if isinstance(value, (list, tuple)) else [value]


def numbers(x: Any) -> np.ndarray[Any, Any]:
    """A tensor's numbers in NumPy."""
    return np.asarray(tn.asarray(x).to(backend="numpy")._array)


def close(found: Any, theirs: Any, tolerance: float) -> None:
    """Assert equal numbers, relative to each tensor's largest."""
    results, wanted = flat(found), flat(theirs)
    assert len(results) == len(wanted)
    for a, b in zip(results, wanted, strict=True):
        scale = float(np.abs(numbers(b)).max())
        assert scale > 1e-6
        limit = tolerance if numbers(b).dtype == np.float64 else max(tolerance, 1e-5)
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=0, atol=limit * scale)


# -- numbers ----------------------------------------------------------------------------------------------------------


@most(*LARGE)
def test_a_ported_model_computes_the_models_numbers_for_sizes_that_were_open(backend: str, name: str) -> None:
    example, (_, program) = MODELS[name], ported(name)
    for part, args in (("", example.args), ("others", example.others)):
        close(program.run(*args, backend=backend), expected(name, args, part), 1e-12)


@most(*LARGE)
@pytest.mark.parametrize("target", ["numpy", "torch", "tensorflow"])
def test_a_ported_model_is_written_out_and_computes_the_same(name: str, target: str) -> None:
    pytest.importorskip(target)
    example, (_, program) = MODELS[name], ported(name)
    compiled = program.compile(target)
    assert "tensoria" not in compiled.text.replace("by tensoria", "")
    for part, args in (("", example.args), ("others", example.others)):
        arguments = [tn.asarray(x.numpy(), backend=target) for x in args]
        close(compiled(*arguments), expected(name, args, part), 1e-12)


def weights(results: Any) -> list[Any]:
    """A cotangent for each result, in which no two components are alike."""
    count = 0
    found = []
    for y in flat(results):
        size = int(np.prod(y.shape))
        found.append(np.cos(np.arange(count, count + size)).reshape(y.shape).astype(y.dtype.as_numpy_dtype))
        count += size
    return found


def named(model: Any) -> dict[str, Any]:
    """A model's variables by the names that parameters have."""
    if isinstance(model, keras.Layer):
        return {variable.path: variable.value for variable in model.trainable_variables}
    if isinstance(model, tf.Module):
        found = model._flatten(predicate=lambda x: isinstance(x, tf.Variable), with_path=True)
        return {".".join(map(str, path)): variable for path, variable in found}
    return {}


def gradients(name: str) -> tuple[Program, Any, list[Any], dict[str, Any]]:
    """The program that pulls cotangents back, cotangents, and what GradientTape makes of them; made once."""
    if name not in GRADIENTS:
        example, (model, program) = MODELS[name], ported(name)
        leaves = [x for x in example.args if x.dtype.is_floating]
        variables = named(model)
        assert set(variables) == program.trainable
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            result = model(*example.args)
        given = weights(result)
        cotangents = [tf.constant(g) for g in given]
        found = tape.gradient(flat(result), [leaves, list(variables.values())], cotangents)
        dense = [tf.convert_to_tensor(g) for g in found[1]]
        places = tuple(n for n, x in enumerate(example.args) if x.dtype.is_floating)
        own = program.vjp(places, parameters=True) if variables else program.vjp(places)
        structure = dict(zip(result, given, strict=True)) if isinstance(result, dict) else given[0]
        GRADIENTS[name] = own, structure, found[0], dict(zip(variables, dense, strict=True))
    return GRADIENTS[name]


@most("resnet", of=[name for name, example in MODELS.items() if example.differentiable])
def test_gradients_are_those_of_the_model_itself(backend: str, name: str) -> None:
    own, cotangents, inputs, parameters = gradients(name)
    arguments = [tn.asarray(x.numpy(), backend=backend) for x in MODELS[name].args]
    _, found = own.run(*arguments, _on(backend, cotangents))
    by_input, by_name = found if parameters else (found, {})
    assert set(by_name) == set(parameters)
    pairs = [*zip(by_input, inputs, strict=True), *((by_name[key], parameters[key]) for key in parameters)]
    # A gradient that is zero but for rounding is held against the others.
    floor = 1e-2 * max(float(np.abs(numbers(g)).max()) for _, g in pairs)
    for a, b in pairs:
        scale = max(float(np.abs(numbers(b)).max()), floor)
        tolerance = 1e-12 if b.dtype == tf.float64 else 1e-4 if name in LARGE else 1e-5
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=0, atol=tolerance * scale)


def _on(backend: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _on(backend, item) for key, item in value.items()}
    return tn.asarray(value, backend=backend)


@pytest.mark.matrix
@pytest.mark.parametrize("name", APPLICATIONS)
def test_keras_applications_compute_the_same(name: str) -> None:
    keras.utils.set_random_seed(7)
    make, size = APPLICATIONS[name]
    model = stressed(make(weights=None, input_shape=(size, size, 3), classes=5))
    x = tf.random.uniform((2, size, size, 3), maxval=255.0)
    program = tn.port(model, (x,), dynamic={"inputs": ("batch", None, None, None)})
    for backend in ("numpy", "torch", "tensorflow"):
        for part in (x, x[:1]):
            close(program.run(part, backend=backend), model(part), 2e-5)


@pytest.mark.parametrize("name", ["images", "transformer", "recurrent"])
@pytest.mark.parametrize("kind", ["torch", "keras", "numpy"])
def test_a_ported_model_becomes_native_elsewhere(name: str, kind: str) -> None:
    example, (_, program) = MODELS[name], ported(name)
    backend = get("tensorflow" if kind == "keras" else kind)
    native = program.to(kind)
    for part, args in (("", example.args), ("others", example.others)):
        arguments = [convert(x, get("tensorflow"), backend) for x in args]
        # A Keras model has one argument, which may be a list.
        found = native(arguments) if kind == "keras" and len(arguments) > 1 else native(*arguments)
        found = [backend.to_numpy(backend.detach(y)) for y in flat(found)]
        close(found, expected(name, args, part), 1e-5)


# -- training ---------------------------------------------------------------------------------------------------------


class Loss(keras.Model):
    """A model with its loss."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def call(self, x: Any, target: Any, training: Any = None) -> Any:
        return tf.reduce_mean(tf.square(self.model(x, training=training) - target))


def small() -> Any:
    """Convolution and batch normalisation; in float64."""
    return keras.Sequential([
        layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(momentum=0.8), layers.ReLU(),
        layers.GlobalAveragePooling2D(), layers.Dense(2),
    ])  # fmt: skip


def attentive() -> Any:
    """Attention, layer normalisation, recurrence; in float64."""
    return keras.Sequential([Block(4, 2), layers.LSTM(4, return_sequences=True), layers.GRU(2)])


@pytest.mark.parametrize(("make", "shape"), [(small, (4, 6, 6, 3)), (attentive, (3, 5, 4))])
def test_ten_steps_of_momentum_are_tensorflows(backend: str, make: Any, shape: Any) -> None:
    """The losses, the parameters and the moving averages, over the program's gradients; in float64."""
    keras.utils.set_random_seed(3)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = Loss(make())
        x, target = tf.random.normal(shape, dtype=tf.float64), tf.random.normal((shape[0], 2), dtype=tf.float64)
        model(x, target)
        step = tn.port(model, (x, target), train=True).value_and_grad(parameters=True)
    finally:
        keras.config.set_dtype_policy(policy)
    state = step.state()
    velocity = {v.path: tf.zeros_like(v.value) for v in model.trainable_variables}
    ours: dict[str, Any] = dict.fromkeys(step.trainable, 0.0)
    assert set(ours) == set(velocity)
    arguments = [tn.asarray(of.numpy(), backend=backend) for of in (x, target)]
    for _ in range(10):
        with tf.GradientTape() as tape:
            expected = model(x, target, training=True)
        found = tape.gradient(expected, [v.value for v in model.trainable_variables])
        for variable, g in zip(model.trainable_variables, found, strict=True):
            velocity[variable.path] = 0.9 * velocity[variable.path] + g
            variable.value.assign_sub(0.05 * velocity[variable.path])
        (loss, gradients), state = step.apply(state, *arguments)
        np.testing.assert_allclose(float(numbers(loss)), float(expected), rtol=1e-12)
        for name, g in gradients.items():
            ours[name] = 0.9 * ours[name] + numbers(g)
            state[name] = tn.asarray(numbers(state[name]) - 0.05 * ours[name], backend=backend)
    for variable in model.variables:
        if variable.path in state:
            a, b = numbers(state[variable.path]), variable.numpy()
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11 * max(1.0, np.abs(b).max()))
    assert {v.path for v in model.variables if "seed" not in v.path} == set(state)


def test_what_is_dropped_follows_from_the_key(backend: str) -> None:
    model, _ = ported("images")
    x = MODELS["images"].args[0]
    program = tn.port(model, (x,), dynamic=MODELS["images"].dynamic, train=True)
    drawn = [made for made in program.instructions if made.operation == "dropout"]
    assert [(made.attributes["rate"], made.attributes["shared"]) for made in drawn] == [(pytest.approx(0.2), (1, 2))]
    assert not any("seed" in name for name in program.parameters)
    assert set(program.updates) == {v.path for v in model.variables if "moving" in v.path}
    first, again, other = (numbers(program.run(x, key=tn.random.key(n), backend=backend)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_allclose(
        numbers(program.eval().run(x, backend=backend)), model(x).numpy(), rtol=0, atol=1e-5 * np.abs(model(x)).max()
    )


class Counting(tf.Module):
    """Counts its calls, and changes a variable in one of two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.scale = tf.Variable(0.0), tf.Variable([1.0, 2.0])

    @tf.function
    def __call__(self, x: Any) -> Any:
        self.count.assign_add(1.0)
        if tf.reduce_sum(x) > 0:
            self.scale.assign(self.scale * x)
        else:
            self.scale.assign_sub(x)
        return x * self.count + self.scale


def test_what_a_call_assigns_is_an_update(backend: str) -> None:
    module = Counting()
    program = tn.port(module, (tf.ones(2),))
    assert set(program.updates) == {"count", "scale"}
    state = program.state()
    for x in (tf.constant([1.5, 2.0]), tf.constant([-1.0, 0.5]), tf.constant([3.0, 1.0])):
        y, state = program.apply(state, tn.asarray(x.numpy(), backend=backend))
        np.testing.assert_allclose(numbers(y), module(x).numpy(), rtol=1e-6)
    for name, variable in (("count", module.count), ("scale", module.scale)):
        np.testing.assert_allclose(numbers(state[name]), variable.numpy(), rtol=1e-6)


@tf.function
def listed(x: Any) -> Any:
    """Lists that are written in another order, in one place, and behind their end; maps and scans over an axis."""
    n = tf.shape(x)[0]
    backwards = tf.TensorArray(tf.float32, size=n, element_shape=(3,))
    growing = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    last = tf.TensorArray(tf.float32, size=1)
    h = tf.zeros((3,))
    for i in tf.range(n):
        h = tf.tanh(h + x[i])
        backwards, last = backwards.write(n - 1 - i, h), last.write(0, h)
    for i in tf.range(3):
        growing = growing.write(i, x * tf.cast(i, tf.float32))
    return (
        backwards.stack(), growing.stack(), last.stack(), tf.scan(lambda a, b: a * b, x), tf.foldl(tf.add, x),
        tf.map_fn(tf.reduce_sum, x), tf.gather_nd(x, [[1, 2], [0, 1]]),
    )  # fmt: skip


def test_lists_of_tensors_in_loops(backend: str) -> None:
    program = tn.port(listed, (tf.random.normal((4, 3)),), dynamic={"x": ("rows", None)})
    assert "while_loop" not in program.operations()
    for rows in (4, 6):
        x = tf.random.normal((rows, 3))
        close(program.run(x, backend=backend), listed(x), 1e-5)


def test_masks_and_containers_of_arguments(backend: str) -> None:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(7, 4, mask_zero=True)(tokens)
    results = {"states": layers.LSTM(3, return_sequences=True)(x), "last": layers.GRU(3)(x)}
    masked = keras.Model({"tokens": tokens}, results)
    given = {"tokens": tf.constant([[1, 2, 0, 0], [3, 4, 5, 0]])}
    program = tn.port(masked, (given,), dynamic={"inputs_tokens": ("batch", "time")})
    for argument in (given, {"tokens": tf.constant([[1, 0, 0]])}):
        found, theirs = program.run(argument, backend=backend), masked(argument)
        assert list(found) == list(theirs) == ["states", "last"]
        close(found, theirs, 1e-5)


# -- names, lines, files ----------------------------------------------------------------------------------------------


def test_parameters_have_the_names_of_variables_and_their_numbers() -> None:
    model, program = ported("mobilenet")
    assert set(program.parameters) == {variable.path for variable in model.variables}
    assert program.trainable == {variable.path for variable in model.trainable_variables}
    for variable in model.variables:
        np.testing.assert_array_equal(program.arrays[program.parameters[variable.path]], variable.numpy())
    _, program = ported("module")
    assert list(program.parameters) == ["parts.0.w", "parts.0.b", "parts.1.w", "parts.1.b", "scale"]


def test_every_instruction_knows_its_layer_its_class_and_its_line() -> None:
    _, program = ported("transformer")
    line = Block.call.__code__.co_firstlineno
    sources = {made.source.module: made.source for made in program.instructions}
    found = {"embedding", "block.layer_normalization", "block.multi_head_attention.query", "block_1.dense_3"}
    assert found <= set(sources)
    assert sources["block.multi_head_attention.query"].kind.endswith("EinsumDense")
    assert sources["block.layer_normalization"].line == line + 1
    assert sources["block_1.dense_3"].line == line + 3
    assert all(source.file == Transformer.call.__code__.co_filename for source in sources.values())
    _, program = ported("module")
    assert {made.source.module for made in program.instructions} == {"", "parts.0", "parts.1"}
    (gru,) = [made for made in ported("recurrent")[1].instructions if made.operation == "gru"]
    assert gru.source.module == "gru"
    assert program.instructions[0].source.kind.endswith("Affine")


def test_a_layer_that_is_called_twice_counts_its_calls() -> None:
    dense = layers.Dense(3)
    x = keras.Input((3,))
    program = tn.port(keras.Model(x, dense(dense(x))), (tf.ones((1, 3)),))
    calls = [made.source.call for made in program.instructions if made.operation == "linear"]
    assert calls == [0, 1]
    assert len(program.parameters) == 2


def test_what_was_taken_apart_is_whole_again() -> None:
    assert ported("resnet")[1].operations() == {
        "add": 16, "batch_norm": 53, "convolution": 53, "linear": 1, "max_pool": 1, "mean": 1, "pad": 1,
        "permute_dims": 3, "relu": 49, "softmax": 1,
    }  # fmt: skip
    counted = ported("perceptron")[1].operations()
    assert counted == {"gelu": 1, "layer_norm": 1, "linear": 3, "permute_dims": 3, "silu": 1, "softmax": 1}
    counted = ported("recurrent")[1].operations()
    assert (counted["lstm"], counted["gru"], counted.get("scan", 0)) == (2, 1, 0)


def test_saved_models_and_keras_files_are_models_too(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, _ = ported("recurrent")
    (x,), expected = MODELS["recurrent"].args, ported("recurrent")[0](*MODELS["recurrent"].args)
    model.export(tmp_path / "served", verbose=False)
    model.save(tmp_path / "kept.keras")
    tf.saved_model.save(ported("module")[0], tmp_path / "module", signatures=None)
    for path, name in ((tmp_path / "served", "x"), (str(tmp_path / "kept.keras"), "inputs")):
        program = tn.port(path, (x,), dynamic={name: ("batch", "time", None)})
        close(program.run(x, backend="numpy"), expected, 1e-5)
        assert any(key.endswith("recurrent_kernel") for key in program.parameters)
    with pytest.raises(tn.errors.BackendNotFoundError):
        tn.port(str(tmp_path / "nothing"), (x,))


def test_a_model_without_variables_is_built_first() -> None:
    model = keras.Sequential([layers.Normalization(mean=[1.0] * 3, variance=[2.0] * 3), layers.Dense(2)])
    x = tf.random.normal((4, 3))
    close(tn.port(model, (x,)).run(x, backend="numpy"), model(x), 1e-6)
    with pytest.raises(PortingError, match="Dense can not be called with these arguments"):
        tn.port(layers.Dense(2), (tf.zeros((0,)),) * 7)


def test_a_folder_with_several_signatures_names_them(tmp_path: Path) -> None:
    class Served(tf.Module):
        """Two functions, and none that is called."""

        @tf.function(input_signature=[tf.TensorSpec([None, 2])])
        def first(self, x: Any) -> Any:
            return {"y": tf.sin(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([])])
        def second(self, x: Any, scale: Any) -> Any:
            return {"y": x * scale}

    served = Served()
    signatures = {"first": served.first, "second": served.second}
    tf.saved_model.save(served, tmp_path / "two", signatures=signatures)
    x, scale = tf.ones((3, 2)), tf.constant(2.0)
    program = tn.port(tmp_path / "two", (), {"signature": "second", "x": x, "scale": scale})
    close(program.run(x=x, scale=scale, backend="numpy"), 2 * x, 1e-6)
    with pytest.raises(PortingError, match="no signature 'serving_default'; it has first, second"):
        tn.port(tmp_path / "two", (x,))


def test_a_saved_function_keeps_its_variables_and_structure(tmp_path: Path) -> None:
    class Served(tf.Module):
        """Returns a dictionary."""

        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(tf.random.normal((3, 2)), name="weight")

        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def __call__(self, x: Any) -> Any:
            return {"product": x @ self.w, "total": tf.reduce_sum(x)}

    module, x = Served(), tf.random.normal((4, 3))
    tf.saved_model.save(module, tmp_path)
    program = tn.port(tmp_path, (x,), dynamic={"x": ("batch", None)})
    assert list(program.parameters) == ["w"]
    found = program.run(x, backend="numpy")
    np.testing.assert_allclose(numbers(found["product"]), module(x)["product"].numpy(), rtol=1e-5)


def test_a_mixed_policy_is_casts() -> None:
    model = keras.Sequential([
        keras.Input((8,)), layers.Dense(4, activation="relu", dtype="mixed_float16"), layers.Dense(2, dtype="float32"),
    ])  # fmt: skip
    x = tf.random.normal((3, 8))
    program = tn.port(model, (x,))
    kinds = [made.results[0].type.dtype.name for made in program.instructions if made.operation in ("matmul", "linear")]
    assert kinds == ["float16", "float32"]
    np.testing.assert_allclose(numbers(program.run(x, backend="numpy")), model(x).numpy(), atol=2e-3)


def test_capture_leaves_the_model_as_it_is() -> None:
    model, _ = ported("images")
    before = [variable.numpy() for variable in model.variables]
    calls = keras.Layer.__call__, Module.__call__
    tn.port(model, MODELS["images"].args, train=True)
    tn.port(ported("module")[0], MODELS["module"].args)
    assert calls == (keras.Layer.__call__, Module.__call__)
    for variable, numbers_ in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), numbers_)


# -- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["perceptron", "images", "recurrent", "transformer"])
def test_a_ported_model_has_no_divergence(name: str) -> None:
    example, (model, program) = MODELS[name], ported(name)
    found = tn.parity(program, source=model, args=example.args, to=["numpy", "torch"], grads=name == "images")
    assert found.first is None, str(found)
    assert found.worst("numpy")[1] < 1e-5


def test_the_graph_is_run_in_float64_where_rounding_is_told_from_meaning() -> None:
    example, (model, program) = MODELS["images"], ported("images")
    changed = [
        dataclasses.replace(made, attributes={**made.attributes, "epsilon": 0.01})
        if made.operation == "batch_norm" else made for made in program.instructions
    ]  # fmt: skip
    wrong = dataclasses.replace(program, instructions=tuple(changed))
    first = tn.parity(wrong, source=model, args=example.args, to=["numpy"]).first
    assert first is not None
    assert first.operation.startswith("batch_norm(")
    assert first.source.module == "batch_normalization"
    assert first.wide is not None
    assert first.wide > 1e-6
