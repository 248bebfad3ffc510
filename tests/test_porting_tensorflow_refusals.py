"""What of TensorFlow can not be ported, and what has to be said before it can: refused by name, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorflow_models import MODELS, looping  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import PortingError  # noqa: E402


@tf.function
def unusual(x: Any) -> Any:
    y = tf.math.zeta(x, x)
    return tf.math.igamma(y, x) + tf.math.igamma(x, x)


def test_operations_without_a_counterpart_are_all_named_with_their_lines() -> None:
    line = unusual.python_function.__code__.co_firstlineno
    with pytest.raises(PortingError, match=r"Igamma, 2 times") as caught:
        tn.port(unusual, (tf.ones(3),))
    assert f"Zeta, 1 times: {__file__}:{line + 2}" in str(caught.value)
    found = tn.coverage(unusual, (tf.ones(3),))
    assert {operator.name for operator in found.missing} == {"Zeta", "Igamma"}
    assert "1 calls are ported" in str(found)


def test_axes_that_the_model_fixes_are_all_told_with_the_line() -> None:
    @tf.function
    def fixes(x: Any, y: Any) -> Any:
        z = x + tf.ones((4, 3))
        return z, y + y[:, :1] * tf.ones((5,))

    args, dynamic = (tf.ones((4, 3)), tf.ones((2, 5))), {"x": ("batch", None), "y": ("rows", "columns")}
    found = tn.coverage(fixes, args, dynamic=dynamic).fixed
    assert [(of.name, of.size) for of in found] == [("batch", "4"), ("columns", "5")]
    assert [of.source.line for of in found] == [fixes.python_function.__code__.co_firstlineno + n for n in (2, 3)]
    both = {"x": ("batch", None), "y": ("rows", None)}
    with pytest.raises(PortingError, match="rows, axis 0 of y, is batch"):
        tn.port(tf.function(lambda x, y: x + y), (args[0], args[0]), dynamic=both)
    model = tf.function(lambda inputs: inputs * tf.ones((8, 1, 3)) + tf.ones((1, 8, 3)))
    with pytest.raises(PortingError, match=r"height, axis 1 of inputs, is 8 .*(\n|.)*width, axis 2 of inputs, is 8"):
        tn.port(model, (tf.ones((1, 8, 8, 3)),), dynamic={"inputs": (None, "height", "width", None)})


def test_a_derivative_of_ones_own_is_refused_and_those_of_tensorflow_that_are_derivatives_are_not() -> None:
    @tf.custom_gradient
    def clipped(x: Any) -> Any:
        return x * 1.0, lambda g: tf.clip_by_value(g, -1.0, 1.0)

    with pytest.raises(PortingError, match=r"derivative of its own: tf\.custom_gradient"):
        tn.port(tf.function(lambda x: clipped(x) + 1.0), (tf.ones(3),))
    program = tn.port(tf.function(lambda x: tf.nn.silu(x)), (tf.ones(3),))
    assert program.operations() == {"silu": 1}


def test_hidden_randomness_tables_strings_and_changing_shapes_are_refused() -> None:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant([1]), tf.constant([3])), 0)
    refused = {
        "RandomStandardNormal": lambda x: tf.random.normal((3,)) + x,
        "LookupTableFindV2": lambda x: table.lookup(tf.cast(x, tf.int32)), "Where": lambda x: tf.where(x > 0),
        "AsString": lambda x: tf.strings.length(tf.strings.as_string(x)),
        "hidden state": lambda x: tf.random.uniform((3,)) + x,
    }  # fmt: skip
    for name, function in refused.items():
        with pytest.raises(PortingError, match=name):
            tn.port(tf.function(function), (tf.ones(3),))
    with pytest.raises(PortingError, match="has one mode"):
        tn.port(looping, MODELS["looping"].args, train=True)
    with pytest.raises(PortingError, match="dynamic= names 'y', and no tensor with as many axes is called so"):
        tn.port(tf.function(lambda x: x), (tf.ones(3),), dynamic={"y": ("n",)})


def test_files_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"junk")
    (tmp_path / "model.keras").write_bytes(b"junk")
    for path in (tmp_path, tmp_path / "model.keras"):
        with pytest.raises(PortingError, match="can not be read"):
            tn.port(path, (tf.ones((2, 4)),))


def test_an_entry_for_a_container_is_one_for_its_tensors() -> None:
    function = tf.function(lambda xs: xs["a"] + xs["b"][0] + xs["c"])
    xs = {"a": tf.ones((3, 2)), "b": [tf.ones((3, 2))], "c": tf.constant(1.0)}
    program = tn.port(function, (xs,), dynamic={"xs": ("n", None)})
    assert [str(value.type) for value in program.inputs] == ["float32[n, 2]", "float32[n, 2]", "float32[]"]
    assert str(tn.port(function, (xs,), dynamic={"xs_a": ("n", None), "xs_b_0": ("n", None)})) == str(program)
    found = tn.parity(program, source=function, args=(xs,), sweep=True)
    assert found.holds, str(found)
    with pytest.raises(PortingError, match="no tensor with as many axes"):
        tn.port(function, (xs,), dynamic={"xs": ("n", None, None)})


def test_an_operation_can_be_told_what_it_means(backend: str) -> None:
    from tensoria_tensorflow.lowerings import LOWERINGS

    function = tf.function(lambda y, dy: tf.raw_ops.TanhGrad(y=y, dy=dy))
    args = tf.random.normal((3,)), tf.random.normal((3,))
    assert not tn.coverage(function, args).complete
    try:
        tn.lowering("TanhGrad", backend="tensorflow")(lambda y, dy: dy * (1 - y * y))
        found = np.asarray(tn.port(function, args).run(*args, backend=backend).to(backend="numpy"))
    finally:
        del LOWERINGS["TanhGrad"]
    np.testing.assert_allclose(found, function(*args).numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(PortingError, match="no operation 'Nothing'"):
        tn.lowering("Nothing", backend="tensorflow")(lambda x: x)
