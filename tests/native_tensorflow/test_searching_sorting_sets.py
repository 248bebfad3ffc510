"""Searching, sorting and sets agree with NumPy wherever there is NaN, a tie, an infinity or nothing at all."""

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import COMPLEX, FLOATS, INTS, UINTS, arrays, both_ways, few, same

REAL = (*INTS, *UINTS, *FLOATS, "float16")


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@few
@given(data=st.data())
def test_extreme_places(name, data):
    x = data.draw(arrays(REAL))
    axis = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim)]))
    keepdims = data.draw(st.booleans())
    try:
        expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    except ValueError:
        with pytest.raises(ValueError, match="length zero"):
            getattr(xp, name)(tf.constant(x), axis=axis, keepdims=keepdims)
        return
    for got in both_ways(lambda a: getattr(xp, name)(a, axis=axis, keepdims=keepdims), x):
        same(got, expected)


@few
@given(arrays((*REAL, *COMPLEX, "bool")), st.data())
def test_nonzero(x, data):
    axis = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim)]))
    for got in both_ways(lambda a: xp.count_nonzero(a, axis=axis), x):
        same(got, np.asarray(np.count_nonzero(x, axis=axis), "int64"))
    if x.ndim:
        for got in both_ways(xp.nonzero, x):
            for ours, theirs in zip(got, np.nonzero(x), strict=True):
                same(ours, theirs)


@few
@given(arrays(REAL, shape=(7,)), st.data())
def test_searchsorted(x, data):
    values = np.concatenate([x[:4], x[:4] + np.ones((), x.dtype), np.zeros(1, x.dtype)]).reshape(3, 3)
    for side in ("left", "right"):
        expected = np.searchsorted(np.sort(x), values, side)
        for got in both_ways(lambda a, b, s=side: xp.searchsorted(a, b, side=s), np.sort(x), values):
            same(got, expected)
        order = np.argsort(x)
        got = xp.searchsorted(tf.constant(x), tf.constant(values), side=side, sorter=tf.constant(order))
        same(got, expected)
    same(xp.searchsorted(tf.constant(np.sort(x)), 1), np.searchsorted(np.sort(x), 1))
    same(xp.searchsorted(tf.constant(x[:0]), tf.constant(x)), np.searchsorted(x[:0], x))


@few
@given(arrays((*REAL, "bool", *COMPLEX)))
def test_where(x):
    condition = np.resize([True, False, False], x.shape)
    y = np.ones((), x.dtype)
    for got in both_ways(xp.where, condition, x, y):
        same(got, np.where(condition, x, y))
    if x.dtype != bool:
        same(xp.where(tf.constant(condition), tf.constant(x), 1), np.where(condition, x, y))
        same(xp.where(tf.constant(condition), 1, tf.constant(x)), np.where(condition, y, x))


def test_where_refuses_numbers_as_condition():
    with pytest.raises(TypeError, match="truth"):
        xp.where(tf.constant([1, 0]), 1.0, tf.zeros(2))


@pytest.mark.parametrize("descending", [False, True])
@few
@given(data=st.data())
def test_sorting_is_stable_and_puts_nan_last(descending, data):
    x = data.draw(arrays(REAL, shape=data.draw(st.sampled_from([(9,), (3, 4), (2, 3, 4), (0,), (2, 0), (3, 1)]))))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    if descending:  # stable: the reversed ascending order of the reversed array
        backwards = np.argsort(np.flip(x, axis), axis=axis, stable=True)
        order = np.flip(x.shape[axis] - 1 - backwards, axis)
    else:
        order = np.argsort(x, axis=axis, stable=True)
    for got in both_ways(lambda a: xp.argsort(a, axis=axis, descending=descending), x):
        same(got, order)
    for got in both_ways(lambda a: xp.sort(a, axis=axis, descending=descending), x):
        same(got, np.take_along_axis(x, order, axis))


def test_sorting_carries_gradients():
    v = tf.Variable([[3.0, 1.0, 2.0]])
    with tf.GradientTape() as tape:
        out = xp.sum(xp.multiply(xp.sort(v), tf.constant([10.0, 20.0, 30.0])))
    same(tape.gradient(out, v), np.array([[30, 10, 20]], "f4"))


@few
@given(arrays((*REAL, "bool", "complex64")))
def test_sets(x):
    expected = np.unique_all(x)
    for got in both_ways(xp.unique_all, x):
        np.testing.assert_array_equal(got.values.numpy(), expected.values)
        same(got.counts, expected.counts)
        # Among several NaNs NumPy's order is its own affair.
        np.testing.assert_array_equal(x.reshape(-1)[got.indices.numpy()], expected.values)
        np.testing.assert_array_equal(got.values.numpy()[got.inverse_indices.numpy()], x)
        if not np.isnan(x.astype(complex)).any():
            same(got.indices, expected.indices)
            same(got.inverse_indices, expected.inverse_indices)
    t = tf.constant(x)
    same(xp.unique_counts(t).counts, expected.counts)
    assert xp.unique_inverse(t).inverse_indices.shape == x.shape
    assert xp.unique_values(t).shape == expected.values.shape


@few
@given(arrays((*REAL, "bool", "complex64")), st.booleans())
def test_isin(x, invert):
    table = np.concatenate([x.reshape(-1)[::2], np.ones(1, x.dtype)])
    for got in both_ways(lambda a, b: xp.isin(a, b, invert=invert), x, table):
        same(got, np.isin(x, table, invert=invert))
    empty = table[:0]
    same(xp.isin(tf.constant(x), tf.constant(empty), invert=invert), np.isin(x, empty, invert=invert))


def test_isin_of_scalars():
    same(xp.isin(tf.constant([1, 2]), 2), np.array([False, True]))
    same(xp.isin(3, tf.constant([1, 2])), np.array(False))


def test_ranks_above_eight():
    x = np.random.default_rng(0).normal(size=(2,) * 9)
    same(xp.argmax(tf.constant(x), axis=3), np.argmax(x, 3))
    same(xp.argmin(tf.constant(x), axis=-1, keepdims=True), np.argmin(x, -1, keepdims=True))
    same(xp.sort(tf.constant(x), axis=2), np.sort(x, 2))
    for ours, theirs in zip(xp.nonzero(tf.constant(x > 0)), np.nonzero(x > 0), strict=True):
        same(ours, theirs)
