"""Manipulation functions agree with NumPy, eagerly and traced with axes of unknown length."""

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import FLOATS, INTS, UINTS, arrays, both_ways, few, pairs, same, some

ANY = ("bool", *INTS, *UINTS, *FLOATS, "complex64", "float16")


@few
@given(pairs(ANY))
def test_broadcasting(operands):
    x, y = operands
    for got in both_ways(xp.broadcast_arrays, x, y):
        for ours, theirs in zip(got, np.broadcast_arrays(x, y), strict=True):
            same(ours, theirs)
    shape = np.broadcast_shapes(x.shape, y.shape)
    assert xp.broadcast_shapes(x.shape, y.shape) == shape
    same(xp.broadcast_to(tf.constant(x), shape), np.broadcast_to(x, shape))


@few
@given(arrays(ANY), st.data())
def test_axes(x, data):
    t, ndim = tf.constant(x), x.ndim
    perm = tuple(data.draw(st.permutations(range(ndim))))
    for got in both_ways(lambda a: xp.permute_dims(a, tuple(p - ndim for p in perm)), x):
        same(got, np.transpose(x, perm))
    source = perm[: ndim // 2]
    target = tuple(sorted(perm)[: ndim // 2])
    same(xp.moveaxis(t, source, target), np.moveaxis(x, source, target))
    axis = data.draw(st.integers(-ndim - 1, ndim))
    for got in both_ways(lambda a: xp.expand_dims(a, axis), x):
        same(got, np.expand_dims(x, axis))
    same(xp.expand_dims(t, (0, -1)), np.expand_dims(x, (0, -1)))
    y = np.expand_dims(x, (0, 1))
    for got in both_ways(lambda a: xp.squeeze(a, (0, 1)), y):
        same(got, x)


@few
@given(arrays(ANY), st.data())
def test_flip_and_roll(x, data):
    axes = tuple(data.draw(st.sets(st.integers(0, x.ndim - 1)))) if x.ndim else ()
    for got in both_ways(lambda a: xp.flip(a, axis=axes), x):
        same(got, np.flip(x, axes))
    same(xp.flip(tf.constant(x)), np.flip(x))
    shifts = tuple(data.draw(st.integers(-9, 9)) for _ in axes)
    for got in both_ways(lambda a: xp.roll(a, shifts, axis=axes), x):
        same(got, np.roll(x, shifts, axes) if axes else x)
    for got in both_ways(lambda a: xp.roll(a, 3), x):
        same(got, np.roll(x, 3))


@few
@given(arrays(ANY), st.data())
def test_repeat_and_tile(x, data):
    count = data.draw(st.integers(0, 3))
    for got in both_ways(lambda a: xp.repeat(a, count), x):
        same(got, np.repeat(x, count))
    if x.ndim:
        axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
        for got in both_ways(lambda a: xp.repeat(a, count, axis=axis), x):
            same(got, np.repeat(x, count, axis))
        counts = np.array([data.draw(st.integers(0, 2)) for _ in range(x.shape[axis])], "int64")
        for got in both_ways(lambda a, r: xp.repeat(a, r, axis=axis), x, counts):
            same(got, np.repeat(x, counts, axis))
    reps = tuple(data.draw(st.lists(st.integers(0, 3), max_size=4)))
    for got in both_ways(lambda a: xp.tile(a, reps), x):
        same(got, np.tile(x, reps))


@few
@given(arrays(ANY), st.data())
def test_joining(x, data):
    t = tf.constant(x)
    same(xp.concat([t, t], axis=None), np.concatenate([x, x], axis=None))
    axis = data.draw(st.integers(-x.ndim - 1, x.ndim))
    for got in both_ways(lambda a: xp.stack([a, a, a], axis=axis), x):
        same(got, np.stack([x, x, x], axis))
    if x.ndim:
        axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
        for got in both_ways(lambda a: xp.concat([a, a], axis=axis), x):
            same(got, np.concatenate([x, x], axis))
        same(xp.concat((t,), axis=axis), x)
        got = xp.unstack(t, axis=axis)
        assert isinstance(got, tuple)
        for ours, theirs in zip(got, np.unstack(x, axis=axis), strict=True):
            same(ours, theirs)


def test_joining_promotes():
    x, y = np.ones((2, 2), "int8"), np.ones((1, 2), "uint8")
    same(xp.concat([tf.constant(x), tf.constant(y)]), np.concatenate([x, y]))
    same(xp.stack([tf.constant(x), tf.constant(x.astype("int64"))]), np.stack([x, x.astype("int64")]))


@few
@given(arrays(ANY))
def test_reshape(x):
    for got in both_ways(lambda a: xp.reshape(a, (-1,)), x):
        same(got, x.reshape(-1))
    same(xp.reshape(tf.constant(x), (1, x.size, 1)), x.reshape(1, x.size, 1))
    for got in both_ways(lambda a: xp.reshape(xp.reshape(a, (-1,)), tf.shape(a)), x):
        same(got, x)


def test_reshape_errors():
    for shape in [(4, 2), (-1, 5), (-1, -1)]:
        with pytest.raises(ValueError, match="reshape"):
            xp.reshape(tf.zeros((2, 3)), shape)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: xp.permute_dims(t, (0, 0)),
        lambda t: xp.squeeze(t, 0),
        lambda t: xp.expand_dims(t, 5),
        lambda t: xp.concat([t, tf.zeros((3, 3))], axis=1),
        lambda t: xp.stack([t, tf.zeros((2, 2))]),
        lambda t: xp.broadcast_to(t, (2, 4)),
        lambda t: xp.flip(t, axis=2),
        lambda t: xp.moveaxis(t, (0, 1), (0,)),
        lambda t: xp.roll(t, (1, 2), axis=(0,)),
    ],
)
def test_what_does_not_fit_is_a_value_error(call):
    with pytest.raises(ValueError, match=r".+"):
        call(tf.zeros((2, 3)))


def test_ranks_above_eight():
    x = np.arange(2**10, dtype="int32").reshape((2,) * 10)
    t = tf.constant(x)
    same(xp.flip(t, axis=(0, 4, 9)), np.flip(x, (0, 4, 9)))
    same(xp.permute_dims(t, tuple(range(9, -1, -1))), x.T)
    y = x[:1, :, :1]
    same(xp.broadcast_to(tf.constant(y), x.shape), np.broadcast_to(y, x.shape))
    same(xp.tile(t, (2, 1, 3)), np.tile(x, (2, 1, 3)))
    same(xp.repeat(t, 2, axis=3), np.repeat(x, 2, 3))
    same(xp.roll(t, 1, axis=7), np.roll(x, 1, 7))


@some
@given(arrays(FLOATS, special=False))
def test_gradients_return_to_where_elements_came_from(x):
    v = tf.Variable(x, shape=x.shape)
    with tf.GradientTape() as tape:
        y = xp.flip(xp.repeat(xp.tile(xp.expand_dims(v, 0), (3,) + (1,) * x.ndim), 2))
        out = xp.sum(xp.multiply(xp.roll(y, 5), 1.0))
    same(tape.gradient(out, v), np.full_like(x, 6))


def test_lengths_stay_known_where_they_are():
    f = tf.function(
        lambda a: xp.expand_dims(xp.repeat(xp.reshape(a, (a.shape[0], 2, 3)), 2, axis=1), -1),
        input_signature=[tf.TensorSpec((4, 6))],
    )
    assert f.get_concrete_function().output_shapes == (4, 4, 3, 1)
    g = tf.function(lambda a: xp.tile(xp.flip(a), (1, 2)), input_signature=[tf.TensorSpec((None, 6))])
    assert g.get_concrete_function().output_shapes.as_list() == [None, 12]
