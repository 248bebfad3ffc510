"""The short calls: cached constants serve eager code, traced functions, tapes and threads alike."""

import threading

import numpy as np
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from tensoria_tensorflow import kernels
from tensoria_tensorflow.kernels import IntegerConstants, ints


def test_one_constant_serves_eager_and_traced_code():
    shape = (7, 11)
    traced = tf.function(lambda x: kernels.reshape(x, shape))
    out = traced(tf.ones(77))  # the constant is made while tracing
    assert out.shape == shape
    assert traced.get_concrete_function(tf.TensorSpec((77,))).output_shapes == shape
    held = ints(shape)
    assert ints(shape) is held
    assert type(held) is kernels.EagerTensor
    assert kernels.reshape(tf.ones(77), shape).shape == shape
    assert tf.function(lambda x: kernels.reshape(x, shape))(tf.ones(77)).shape == shape


def test_constants_made_under_a_tape():
    v = tf.Variable(np.arange(6.0).reshape(2, 3))
    with tf.GradientTape() as tape:
        y = kernels.reduce_sum(kernels.transpose(kernels.reshape(v, (3, 1, 2)), (2, 0, 1)), (0, 2))
        out = kernels.reduce_sum(kernels.multiply(y, y), (0,))
    x = v.numpy()
    np.testing.assert_array_equal(
        tape.gradient(out, v).numpy().reshape(3, 2), 2 * x.reshape(3, 2).sum(1, keepdims=True) + 0 * x.reshape(3, 2)
    )


def test_constants_in_a_graph_of_their_own():
    with tf.Graph().as_default():
        assert kernels.reshape(tf.ones(13 * 17), (13, 17)).shape == (13, 17)
    assert kernels.reshape(tf.ones(13 * 17), (13, 17)).shape == (13, 17)


def test_the_cache_is_bounded_and_shared_by_threads():
    cache = IntegerConstants(limit=16)
    wrong = []

    def work(seed):
        for k in range(300):
            pair = ((k * seed) % 40, k % 3)
            if tuple(cache(pair).numpy()) != pair:
                wrong.append(pair)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) <= 16


def test_values_beyond_int32():
    assert ints((2**31, 1)).dtype is tf.int64
    assert ints((2**31 - 1, -1)).dtype is tf.int32
    assert ints(()).shape == (0,)
    assert ints(3).shape == ()


def test_matmul_of_any_rank():
    a, b = np.random.default_rng(0).normal(size=(4, 2, 3)), np.random.default_rng(1).normal(size=(3, 5))
    np.testing.assert_allclose(kernels.matmul(tf.constant(a), tf.constant(b)).numpy(), a @ b)
    np.testing.assert_allclose(kernels.matmul(tf.constant(a[0]), tf.constant(b)).numpy(), a[0] @ b)
    np.testing.assert_allclose(kernels.add(tf.constant(a), tf.constant(a)).numpy(), 2 * a)


def test_compiled_by_xla():
    f = tf.function(lambda x: xp.sum(xp.matmul(xp.reshape(x, (2, 3)), xp.permute_dims(xp.reshape(x, (2, 3)), (1, 0)))),
                    jit_compile=True)  # fmt: skip
    x = np.arange(6.0, dtype="f4")
    assert f(tf.constant(x)).numpy() == (x.reshape(2, 3) @ x.reshape(2, 3).T).sum()


def test_autograph_leaves_the_library_alone():
    from tensorflow.python.autograph.impl import conversion

    for function in (xp.getitem, xp.add, xp.linalg.svd, kernels.reshape):
        assert conversion.is_allowlisted(function)


def test_every_name_is_there():
    assert len(set(xp.__all__)) == len(xp.__all__)
    assert all(hasattr(xp, name) for name in xp.__all__)
    assert xp.__array_api_version__ == "2025.12"
    assert xp.newaxis is None
