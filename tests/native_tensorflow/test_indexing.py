"""`getitem` and `setitem` follow NumPy's rules for every kind of key, eagerly and traced, and carry gradients."""

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import few, graph, same

DTYPES = ("float32", "int64", "bool", "uint16")


@st.composite
def slices(draw, length):
    bound = st.none() | st.integers(-length - 2, length + 2)
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2])))


@st.composite
def basic(draw, with_arrays=False):
    """An array and a key for it, of integers, slices, None, Ellipsis and perhaps masks and index arrays."""
    shape = tuple(draw(st.lists(st.integers(0 if not with_arrays else 1, 4), max_size=4)))
    x = np.arange(1, 1 + int(np.prod(shape))).astype(draw(st.sampled_from(DTYPES))).reshape(shape)
    used = draw(st.integers(0, len(shape)))
    dots = draw(st.integers(0, used)) if draw(st.booleans()) else None
    common = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    key, axis = [], 0
    while axis < used:
        if draw(st.integers(0, 5)) == 0:
            key.append(None)
        if axis == dots:
            key.append(Ellipsis)
            axis += len(shape) - used
            dots, used = None, len(shape)
            if axis >= used:
                break
        length = shape[axis]
        kind = draw(st.integers(0, 5 if with_arrays else 2))
        if kind == 0 and length:
            key.append(draw(st.integers(-length, length - 1)))
        elif kind in (3, 4):
            form = common if draw(st.booleans()) else (1,) * len(common)
            size = int(np.prod(form))
            values = [draw(st.integers(-length, length - 1)) for _ in range(size)]
            key.append(np.array(values, draw(st.sampled_from(["int64", "int32"]))).reshape(form))
        elif kind == 5:
            count = draw(st.integers(1, min(2, used - axis)))
            mask = np.array(draw(st.lists(st.booleans(), min_size=16, max_size=16)))
            covered = shape[axis : axis + count]
            key.append(np.resize(mask, covered))
            axis += count - 1
        else:
            key.append(draw(slices(length)))
        axis += 1
    if draw(st.integers(0, 5)) == 0:
        key.append(None)
    return x, (key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key))


def native(key):
    def one(item):
        return tf.constant(item) if isinstance(item, np.ndarray) else item

    return tuple(map(one, key)) if isinstance(key, tuple) else one(key)


def check(x, key):
    try:
        expected = x[key]
    except IndexError:  # index arrays that do not broadcast
        with pytest.raises(IndexError):
            xp.getitem(tf.constant(x), native(key))
        return None
    same(xp.getitem(tf.constant(x), native(key)), expected)
    return expected


@few
@given(basic())
def test_basic_keys(drawn):
    x, key = drawn
    check(x, key)
    same(graph(lambda a: xp.getitem(a, key), x), x[key])


@few
@given(basic(with_arrays=True))
def test_keys_with_arrays(drawn):
    x, key = drawn
    if check(x, key) is not None:
        same(graph(lambda a: xp.getitem(a, native(key)), x), x[key])


@pytest.mark.parametrize("with_arrays", [False, True])
@few
@given(data=st.data())
def test_setitem(with_arrays, data):
    x, key = data.draw(basic(with_arrays))
    try:
        shape = x[key].shape
    except IndexError:
        return
    value = np.arange(100, 100 + int(np.prod(shape))).astype(x.dtype).reshape(shape)
    if data.draw(st.booleans()) and len(shape):
        value = value[..., :1]
    arrays = [item for item in (key if isinstance(key, tuple) else (key,)) if isinstance(item, np.ndarray)]
    if any(item.dtype != bool for item in arrays):
        value = value[(0,) * value.ndim] if value.size else value  # elements named twice have one value
    expected = x.copy()
    expected[key] = value
    same(xp.setitem(tf.constant(x), native(key), tf.constant(value)), expected)
    same(graph(lambda a, b: xp.setitem(a, native(key), b), x, np.asarray(value)), expected)


def test_masks_traced_with_unknown_lengths():
    x = np.arange(12.0).reshape(3, 4)
    for mask in (x > 5, np.array([True, False, True]), np.array(True), np.array(False)):
        same(graph(lambda a, m: xp.getitem(a, m), x, mask), x[mask])
        expected = x.copy()
        expected[mask] = -1
        same(graph(lambda a, m: xp.setitem(a, m, -1.0), x, mask), expected)
    same(xp.getitem(tf.constant(x), True), x[True])
    same(xp.getitem(tf.constant(x), (0, False)), x[0, False])


def test_arrays_apart_go_first():
    x = np.arange(120).reshape(2, 3, 4, 5)
    i, j = np.array([[0], [1]]), np.array([3, 0, 1])
    for key in [(i, slice(None), j), (slice(None), i, j), (0, slice(None), j), (i, None, j), (..., i, j), (i, ..., 0)]:
        check(x, key)
    check(x, (i, slice(None), slice(None), i))


def test_tensors_as_bounds_while_traced():
    x = np.arange(10)

    @tf.function
    def f(a, n):
        return xp.getitem(a, slice(None, n)), xp.getitem(a, n), xp.setitem(a, slice(n, None), 0)

    head, one, changed = f(tf.constant(x), tf.constant(3))
    same(head, x[:3])
    same(one, x[3])
    same(changed, np.where(x < 3, x, 0))
    same(xp.getitem(tf.constant(x), tf.constant(-1)), x[-1])


def test_lengths_stay_known_where_they_are():
    f = tf.function(lambda a: xp.getitem(a, (slice(1, 3), None, 0, ..., slice(None, None, -1))))
    assert f.get_concrete_function(tf.TensorSpec((4, 2, None, 5))).output_shapes.as_list() == [2, 1, None, 5]


@pytest.mark.parametrize(
    "key", [(2,), (-3,), (0, 3), (0, 0, 0), (slice(None), tf.constant([0, 3])), (tf.constant([2]), 0), (..., ...)]
)
def test_out_of_bounds(key):
    with pytest.raises(IndexError):
        xp.getitem(tf.zeros((2, 3)), key)
    with pytest.raises(IndexError):
        xp.setitem(tf.zeros((2, 3)), key, 1.0)


def test_keys_and_values_without_a_meaning():
    x = tf.zeros((2, 3))
    with pytest.raises(IndexError):
        xp.getitem(x, tf.constant([1.0]))
    with pytest.raises(IndexError):
        xp.getitem(x, tf.constant([True, False, True]))
    with pytest.raises(ValueError, match="step"):
        xp.getitem(x, slice(None, None, 0))
    with pytest.raises(ValueError, match="does not broadcast"):
        xp.setitem(x, 0, tf.zeros(2))
    with pytest.raises(TypeError):
        xp.setitem(x, 0, tf.zeros(3, tf.float64))
    with pytest.raises(TypeError):
        xp.setitem(tf.zeros(3, tf.int32), 0, 0.5)
    with pytest.raises(TypeError):
        xp.setitem(x, 0, 1j)


def test_ranks_above_eight():
    x = np.arange(2**10, dtype="float32").reshape((2,) * 10)
    i = np.array([1, 0, 1])
    for key in [
        (0, slice(None), 1, ..., -1), (..., slice(None, None, -1), None), (slice(None), i, 0, ..., i), x > 100, -1
    ]:  # fmt: skip
        check(x, key)
        expected = x.copy()
        expected[key] = 7
        same(xp.setitem(tf.constant(x), native(key), 7.0), expected)


@pytest.mark.parametrize(
    "key",
    [
        (0, slice(None, None, -2)), (None, 1), (..., 0), tf.constant([1, 0, 1]), (slice(None), tf.constant([2, 2])),
        tf.constant(np.arange(12).reshape(3, 4) % 3 == 0), (tf.constant([0, 2]), tf.constant([1, 3])),
    ],
)  # fmt: skip
def test_gradients(key):
    x = tf.Variable(np.arange(12.0).reshape(3, 4))
    with tf.GradientTape() as tape:
        out = xp.getitem(x, key)
        total = xp.sum(xp.multiply(out, tf.constant(np.arange(1.0, 1 + out.shape.num_elements()).reshape(out.shape))))
    expected = np.zeros((3, 4))
    plain = tuple(k.numpy() if isinstance(k, tf.Tensor) else k for k in (key if isinstance(key, tuple) else (key,)))
    np.add.at(expected, plain, np.arange(1.0, 1 + out.shape.num_elements()).reshape(out.shape))
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(total, x)).numpy(), expected)


@pytest.mark.parametrize("key", [(0, slice(None, None, -2)), (None, 1), tf.constant([2, 0]), (slice(None), 1)])
def test_gradients_of_setitem(key):
    x, value = tf.Variable(np.ones((3, 4))), tf.Variable(2.0, dtype=tf.float64)
    with tf.GradientTape() as tape:
        total = xp.sum(xp.square(xp.setitem(x, key, xp.multiply(value, xp.asarray(1.0, dtype=tf.float64)))))
    at_x, at_value = tape.gradient(total, [x, value])
    inside = np.zeros((3, 4), bool)
    inside[tuple(k.numpy() if isinstance(k, tf.Tensor) else k for k in (key if isinstance(key, tuple) else (key,)))] = 1
    np.testing.assert_array_equal(at_x.numpy(), np.where(inside, 0, 2))
    assert at_value.numpy() == 4 * inside.sum()


def test_take():
    x = np.arange(24).reshape(2, 3, 4)
    index = np.array([2, 0, -1, 0])
    for dtype in ("int32", "int64", "uint8"):
        i = np.abs(index).astype(dtype)
        same(xp.take(tf.constant(x), tf.constant(i), axis=1), np.take(x, i, axis=1))
    same(xp.take(tf.constant(x), tf.constant(index), axis=-1), np.take(x, index, axis=-1))
    same(graph(lambda a, i: xp.take(a, i, axis=2), x, index), np.take(x, index, axis=2))
    same(xp.take(tf.constant(x[0, 0]), tf.constant(index)), np.take(x[0, 0], index))
    with pytest.raises(ValueError, match="axis"):
        xp.take(tf.constant(x), tf.constant(index))
    with pytest.raises(IndexError):
        xp.take(tf.constant(x), tf.constant([3]), axis=1)


def test_take_along_axis():
    x = np.arange(24).reshape(2, 3, 4)
    rng = np.random.default_rng(0)
    for axis in (-3, -2, -1, 0, 1, 2):
        shape = list(x.shape)
        shape[axis] = 5
        index = rng.integers(-x.shape[axis], x.shape[axis], shape)
        same(xp.take_along_axis(tf.constant(x), tf.constant(index), axis=axis), np.take_along_axis(x, index, axis))
        same(
            graph(lambda a, i, ax=axis: xp.take_along_axis(a, i, axis=ax), x, index), np.take_along_axis(x, index, axis)
        )
    index = rng.integers(0, 4, (1, 3, 2))
    same(xp.take_along_axis(tf.constant(x), tf.constant(index)), np.take_along_axis(x, index, -1))
    empty = np.zeros((2, 3, 0), "int64")
    same(xp.take_along_axis(tf.constant(x), tf.constant(empty)), np.take_along_axis(x, empty, -1))


def test_out_of_range_is_an_error_where_kernels_read_zeros_there(monkeypatch):
    """As on GPUs: https://www.tensorflow.org/api_docs/python/tf/gather."""
    native = xp.indexing.kernels.gather

    def forgiving(x, index, axis, batch_dims=0):
        size = x.shape[axis]
        inside = tf.logical_and(index >= 0, index < size)
        found = native(x, tf.where(inside, index, 0), axis, batch_dims)
        shape = [*x.shape[:axis], *index.shape[batch_dims:], *[1] * (len(x.shape) - axis - 1)]
        return tf.where(tf.reshape(inside, shape if not batch_dims else index.shape), found, tf.zeros_like(found))

    monkeypatch.setattr(xp.indexing.kernels, "gather", forgiving)
    monkeypatch.setattr(xp.indexing, "_on_gpu", lambda *arrays: True)
    monkeypatch.setattr(xp.indexing, "_known", lambda index: None)
    x = tf.reshape(tf.range(12.0), (3, 4))
    good, high, low = (tf.constant(n, tf.int64) for n in ([0, -3], [0, 3], [-4, 0]))
    same(xp.getitem(x, good), x.numpy()[[0, -3]])
    rows = np.take_along_axis(x.numpy(), np.array([[0], [0]]), 0)
    same(xp.take_along_axis(x, tf.reshape(good, (2, 1)), axis=0), rows)
    for bad in (high, low):
        for read in (
            lambda key: xp.getitem(x, key), lambda key: xp.getitem(x, (key, good)), lambda key: xp.take(x, key, axis=0),
            lambda key: xp.take_along_axis(x, tf.reshape(key, (2, 1)), axis=0), lambda key: xp.setitem(x, key, 1.0),
        ):  # fmt: skip
            read(good)
            with pytest.raises(IndexError, match="out of bounds"):
                read(bad)
