"""Created arrays agree with NumPy; foreign memory is copied unless it is asked for and can be shared."""

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import COMPLEX, FLOATS, INTS, UINTS, arrays, both_ways, few, graph, same

ANY = ("bool", *INTS, *UINTS, *FLOATS, *COMPLEX, "float16")


@few
@given(arrays(ANY))
def test_asarray_keeps_numpy_types_and_copies(x):
    t = xp.asarray(x)
    same(t, x)
    before = x.copy()
    x[...] = np.ones((), x.dtype)
    same(t, before)


def test_asarray_of_python_numbers():
    for value, dtype in [(True, tf.bool), (3, tf.int64), (0.5, tf.float32), (1j, tf.complex64)]:
        for obj in (value, [value, value], [[value], [value]]):
            assert xp.asarray(obj).dtype is dtype
            np.testing.assert_array_equal(xp.asarray(obj).numpy(), np.asarray(obj))
    assert xp.asarray([]).dtype is tf.float32
    assert xp.asarray([1, 2], dtype=tf.uint8).dtype is tf.uint8
    assert xp.asarray([1, 2.5]).dtype is tf.float32
    with pytest.raises(OverflowError):
        xp.asarray([1, 300], dtype=tf.uint8)
    same(xp.asarray([tf.constant(1.0), 2.0]), np.array([1, 2], "f4"))


def test_asarray_of_tensors_and_variables():
    t, v = tf.constant([1.0]), tf.Variable([2.0])
    assert xp.asarray(t) is t
    assert xp.asarray(t, copy=True) is not t
    same(xp.asarray(v, dtype=tf.float64), np.array([2.0]))
    same(graph(lambda a: xp.asarray(a, dtype=tf.int32), np.array([1.7, -1.7])), np.array([1, -1], "int32"))


def test_zeros_keep_their_sign():
    # tf.constant answers with the tensor of whichever zero was made first in the process.
    tf.constant(-0.0)
    assert not np.signbit(xp.asarray(0.0).numpy())
    assert np.signbit(xp.asarray(-0.0).numpy())
    assert not np.signbit(xp.zeros(1).numpy()[0])
    assert not np.signbit(xp.add(tf.constant([-0.0]), 0.0).numpy()[0])
    assert np.signbit(xp.add(tf.constant([-0.0]), -0.0).numpy()[0])


def test_memory_is_shared_on_request_where_it_can_be():
    raw = np.zeros(80, "float32")
    start = (-raw.ctypes.data % 64) // 4
    aligned, askew = raw[start : start + 16], raw[start + 1 : start + 17]
    shared = xp.asarray(aligned, copy=False)
    aligned[0] = 5
    assert shared.numpy()[0] == 5
    for bad in (askew, aligned[::2], aligned[:0]):
        with pytest.raises(ValueError, match="cannot be shared"):
            xp.asarray(bad, copy=False)
        same(xp.from_dlpack(bad), bad)
    copied = xp.from_dlpack(aligned, copy=True)
    aligned[0] = 6
    assert copied.numpy()[0] == 5


@pytest.mark.parametrize("shape", [(), 3, (2, 3), (0, 2), (1,) * 9])
@pytest.mark.parametrize("dtype", ANY)
def test_filled(shape, dtype):
    native = tf.as_dtype(dtype)
    same(xp.zeros(shape, dtype=native), np.zeros(shape, dtype))
    same(xp.ones(shape, dtype=native), np.ones(shape, dtype))
    same(xp.full(shape, 1, dtype=native), np.full(shape, 1, dtype))
    assert xp.empty(shape, dtype=native).shape == np.zeros(shape).shape
    x = np.zeros(shape, dtype)
    for got in both_ways(xp.ones_like, x):
        same(got, np.ones_like(x))
    same(xp.zeros_like(tf.constant(x), dtype=tf.int8), np.zeros_like(x, dtype="int8"))
    same(xp.full_like(tf.constant(x), 1), np.full_like(x, 1))


def test_defaults():
    assert xp.zeros(2).dtype is tf.float32
    assert xp.full(2, 3).dtype is tf.int64
    assert xp.full(2, True).dtype is tf.bool
    assert xp.arange(3).dtype is tf.int64
    assert xp.arange(3.0).dtype is tf.float32
    same(xp.zeros((tf.constant(2), 3)), np.zeros((2, 3), "f4"))
    same(graph(lambda a: xp.zeros((tf.shape(a)[0], 2)), np.zeros(5)), np.zeros((5, 2), "f4"))


@few
@given(
    st.integers(-20, 20), st.integers(-20, 20), st.sampled_from([1, 2, 3, -1, -4]), st.sampled_from([*INTS, *FLOATS])
)
def test_arange_of_integers(start, stop, step, dtype):
    same(xp.arange(start, stop, step, dtype=tf.as_dtype(dtype)), np.arange(start, stop, step, dtype=dtype))


@few
@given(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from([0.5, 0.1, -0.25]))
def test_arange_of_floats(start, stop, step):
    same(xp.arange(start, stop, step, dtype=tf.float64), np.arange(start, stop, step), rtol=1e-12)


def test_arange_of_tensors():
    same(xp.arange(tf.constant(4)), np.arange(4))
    assert xp.arange(tf.constant(-4)).shape == (0,)
    same(graph(lambda a: xp.arange(tf.shape(a)[0]), np.zeros(6)), np.arange(6))
    with pytest.raises(ValueError, match="step"):
        xp.arange(0, 3, 0)


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 7, 50])
def test_linspace(num, endpoint):
    for start, stop in [(0, 1), (-3.5, 2), (2, 2), (5, -1)]:
        got = xp.linspace(start, stop, num, dtype=tf.float64, endpoint=endpoint)
        same(got, np.linspace(start, stop, num, endpoint=endpoint), rtol=1e-15)
    same(xp.linspace(0, 1j, num, endpoint=endpoint), np.linspace(0, 1j, num, endpoint=endpoint, dtype="c8"), rtol=1e-6)


@pytest.mark.parametrize("k", [-5, -1, 0, 2, 9])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (0, 3), (2, 3, 2), (2,) * 9])
def test_triangles(shape, k):
    x = np.arange(np.prod(shape), dtype="int32").reshape(shape)
    for got in both_ways(lambda a: xp.tril(a, k=k), x):
        same(got, np.tril(x, k))
    same(xp.triu(tf.constant(x), k=k), np.triu(x, k))
    rows, columns = shape[-2:]
    same(xp.eye(rows, columns, k=k, dtype=tf.int8), np.eye(rows, columns, k, dtype="int8"))
    same(xp.eye(rows), np.eye(rows, dtype="f4"))


def test_meshgrid():
    parts = [np.arange(2), np.arange(3), np.arange(4)]
    for count in (1, 2, 3):
        for indexing in ("xy", "ij"):
            for got in both_ways(lambda *a, i=indexing: xp.meshgrid(*a, indexing=i), *parts[:count]):
                assert isinstance(got, tuple)
                for ours, theirs in zip(got, np.meshgrid(*parts[:count], indexing=indexing), strict=True):
                    same(ours, theirs)
