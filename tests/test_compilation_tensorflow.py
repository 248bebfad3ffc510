"""TensorFlow's functions, loops and tapes take labelled tensors: one trace for each structure, gradients."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tensoria as tn

tf = pytest.importorskip("tensorflow", reason="the tensorflow backend's framework is not installed")

from compiled_operations import OPERATIONS, V, i, j  # noqa: E402


def operands(seed: int = 0) -> tuple[tn.Tensor, tn.Tensor]:
    rng = np.random.default_rng(seed)
    A, v = rng.random((3, 3), dtype=np.float32), rng.random(3, dtype=np.float32)
    return tn.tensor(tf.constant(A), [i, -j]), tn.tensor(tf.constant(v), [j])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_traced_once(name: str) -> None:
    function = OPERATIONS[name]
    traces = 0

    def counted(A: tn.Tensor, v: tn.Tensor) -> tn.Tensor:
        nonlocal traces
        traces += 1
        return function(A, v)

    graph = tf.function(counted)
    for seed in range(3):
        A, v = operands(seed)
        got, expected = graph(A, v), function(A, v)
        assert got.axes is expected.axes
        np.testing.assert_allclose(got.array, expected.array, rtol=1e-5, atol=1e-6)
    assert traces == 1


def test_each_structure_is_traced_once() -> None:
    traces = 0

    @tf.function
    def product(A: tn.Tensor, v: tn.Tensor) -> tn.Tensor:
        nonlocal traces
        traces += 1
        return A * v

    A, v = operands()
    for _ in range(2):
        product(A, v)
        product(A.renamed(i="m"), v)
    assert traces == 2


def test_an_unknown_batch_dimension_stays_unknown() -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, 3)), tf.TensorSpec((None, 3))])
    def scores(x: Any, y: Any) -> Any:
        queries, keys = tn.tensor(x, ["q", i]), tn.tensor(y, ["k", i])
        return tn.softmax(queries.lowered("i") * keys, "k").array

    assert scores.get_concrete_function().output_shapes.as_list() == [None, None]
    rng = np.random.default_rng(0)
    for sizes in ((4, 5), (1, 2), (3, 3)):
        x, y = (rng.random((size, 3), dtype=np.float32) for size in sizes)
        raw = np.exp(x @ V.metric @ y.T)
        np.testing.assert_allclose(scores(x, y), raw / raw.sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("known", [(None, None), (None, 1), (1, None), (None, 4), (4, None)])
def test_plain_axes_of_unknown_size_broadcast(known: tuple[int | None, int | None]) -> None:
    def product(x: Any, y: Any, z: Any) -> Any:
        queries, keys, weights = tn.tensor(x, ["h", "b", i]), tn.tensor(y, ["h", -i, "b"]), tn.tensor(z, ["h"])
        pair = queries * keys
        return pair.array, tn.einsum("h b ^i, h _i b, h -> h b", queries, keys, weights).array

    graph = tf.function(
        product,
        input_signature=[
            tf.TensorSpec((None, known[0], 3)), tf.TensorSpec((None, 3, known[1])), tf.TensorSpec((None,)),
        ],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    sizes = [(1, 4), (4, 1), (4, 4), (1, 1)]
    fitting = [pair for pair in sizes if all(k in (None, n) for k, n in zip(known, pair, strict=True))]
    for (m, n), heads in itertools.product(fitting, [(2, 1, 2), (1, 2, 1), (2, 2, 2)]):
        arrays = rng.random((heads[0], m, 3)), rng.random((heads[1], 3, n)), rng.random(heads[2])
        given = [tf.constant(array, tf.float32) for array in arrays]
        for found, wanted in zip(graph(*given), product(*given), strict=True):
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
    if known == (None, None):
        with pytest.raises(tf.errors.InvalidArgumentError):
            graph(tf.ones((1, 2, 3)), tf.ones((1, 3, 3)), tf.ones(1))


def test_loops_carry_tensors() -> None:
    A, v = operands()

    @tf.function
    def power(A: tn.Tensor, v: tn.Tensor, n: Any) -> tn.Tensor:
        _, result = tf.while_loop(
            lambda count, v: count < n, lambda count, v: (count + 1, (A * v).renamed(i="j")), (tf.constant(0), v)
        )
        return result

    expected = np.linalg.matrix_power(A.array.numpy(), 3) @ v.array.numpy()
    got = power(A, v, tf.constant(3))
    assert got.axes is v.axes
    np.testing.assert_allclose(got.array, expected, rtol=1e-5)


def test_gradients_flow_through_wrapping_contraction_and_unwrapping() -> None:
    A, v = operands()
    with tf.GradientTape() as tape:
        tape.watch(A.array)
        y = A * v
        loss = tn.inner(y, y).array
    y_lowered = V.metric @ (A.array.numpy() @ v.array.numpy())
    np.testing.assert_allclose(tape.gradient(loss, A.array), 2 * np.outer(y_lowered, v.array), rtol=1e-5)


def test_a_variable_is_kept_and_read_at_each_use() -> None:
    variable = tf.Variable(tf.ones((3, 3)))
    A, (_, v) = tn.tensor(variable, [i, -j]), operands()
    assert A.array is variable
    before = (A * v).array.numpy()
    variable.assign(2 * tf.ones((3, 3)))
    np.testing.assert_allclose((A * v).array, 2 * before, rtol=1e-6)
    with tf.GradientTape() as tape:
        loss = tn.inner(A * v, A * v).array
    assert tape.gradient(loss, variable).shape == (3, 3)


def test_a_tensor_is_a_node_of_nested_structures() -> None:
    A, v = operands()
    assert [leaf.shape.rank for leaf in tf.nest.flatten([A, {"v": v}])] == [2, 1]
    doubled = tf.nest.map_structure(lambda x: 2 * x, [A, {"v": v}])
    assert doubled[1]["v"].axes is v.axes
    np.testing.assert_allclose(doubled[0].array, 2 * A.array)


def test_an_argument_keeps_its_labels() -> None:
    """tf.function takes whatever has `__array__` for an array, and would drop them."""
    _, v = operands()
    seen = []

    @tf.function
    def f(x: tn.Tensor) -> Any:
        seen.append(str(x.axes))
        return x.array

    f(v)
    assert seen == ["^j"]
