"""Reductions agree with NumPy over any axes, with the standard's types."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import COMPLEX, FLOATS, INTS, UINTS, arrays, both_ways, few, same


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "Mean of empty slice"
        yield


@st.composite
def with_axes(draw, dtypes, special=True):
    x = draw(arrays(dtypes, special=special))
    axes = draw(st.sets(st.integers(0, x.ndim - 1))) if x.ndim else set()
    form = draw(st.sampled_from(["none", "tuple", "one"]))
    axis = None if form == "none" else tuple(axes) if form == "tuple" or not axes else min(axes) - x.ndim
    return x, axis, draw(st.booleans())


@few
@given(with_axes((*INTS, *UINTS, "bool")))
def test_sums_and_products_of_integers(drawn):
    x, axis, keepdims = drawn
    for name in ("sum", "prod"):
        for got in both_ways(lambda a, n=name: getattr(xp, n)(a, axis=axis, keepdims=keepdims), x):
            same(got, getattr(np, name)(x, axis=axis, keepdims=keepdims))


@few
@given(with_axes((*FLOATS, *COMPLEX), special=False))
def test_sums_products_and_moments(drawn):
    x, axis, keepdims = drawn
    tolerance = 3e-5 if x.dtype in ("float32", "complex64") else 1e-10
    names = ["sum", "prod", "mean", "std", "var"]
    for name in names:
        for got in both_ways(lambda a, n=name: getattr(xp, n)(a, axis=axis, keepdims=keepdims), x):
            expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
            same(got, expected, rtol=tolerance * max(1.0, float(np.nanmax(np.abs(expected), initial=0))))
    if x.dtype.kind == "f":
        got = xp.var(tf.constant(x), axis=axis, correction=1.0, keepdims=keepdims)
        same(got, np.var(x, axis=axis, ddof=1, keepdims=keepdims), rtol=1e-4)


@few
@given(with_axes((*INTS, *UINTS, *FLOATS)))
def test_extremes(drawn):
    x, axis, keepdims = drawn
    for name in ("max", "min"):
        try:
            expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
        except ValueError:
            with pytest.raises(ValueError, match="length zero"):
                getattr(xp, name)(tf.constant(x), axis=axis, keepdims=keepdims)
            continue
        for got in both_ways(lambda a, n=name: getattr(xp, n)(a, axis=axis, keepdims=keepdims), x):
            same(xp.add(got, 0), expected + np.zeros((), x.dtype))  # of 0.0 and -0.0, either


@few
@given(arrays((*INTS, *UINTS, *FLOATS), special=False), st.data())
def test_running_sums_and_products(x, data):
    if not x.ndim:
        return
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    initial = data.draw(st.booleans())
    for name in ("cumulative_sum", "cumulative_prod"):
        expected = getattr(np, name)(x, axis=axis, include_initial=initial)
        for got in both_ways(lambda a, n=name: getattr(xp, n)(a, axis=axis, include_initial=initial), x):
            same(got, expected, rtol=3e-5 if x.dtype.kind == "f" else 0)


def test_halves_are_accumulated_in_single_precision():
    x = np.ones((5000, 2), "float16")
    same(xp.sum(tf.constant(x), axis=0), np.array([5000, 5000], "float16"))
    same(xp.mean(tf.ones(70000, tf.float16)), np.float16(1))
    assert xp.sum(tf.ones((4096, 2), tf.bfloat16), axis=0).numpy().tolist() == [4096, 4096]


def test_types_of_the_results():
    t = tf.constant([1, 2], tf.int8)
    assert xp.sum(t).dtype is tf.int64
    assert xp.sum(t, dtype=tf.float32).dtype is tf.float32
    assert xp.prod(tf.constant([1], tf.uint8)).dtype is tf.uint64
    assert xp.cumulative_sum(t).dtype is tf.int64
    for call in (xp.mean, xp.var, xp.std):
        with pytest.raises(TypeError):
            call(t)
    with pytest.raises(ValueError, match="needs an axis"):
        xp.cumulative_sum(tf.ones((2, 2)))
    with pytest.raises(ValueError, match="out of bounds"):
        xp.sum(tf.ones((2, 2)), axis=2)


def test_ranks_above_eight():
    x = np.arange(2.0**10, dtype="float32").reshape((2,) * 10)
    for name in ("sum", "max", "min", "mean", "prod"):
        same(getattr(xp, name)(tf.constant(x), axis=(0, 3, 5, 8)), getattr(np, name)(x, axis=(0, 3, 5, 8)), rtol=1e-5)
    same(xp.cumulative_sum(tf.constant(x), axis=4), np.cumsum(x, 4), rtol=1e-6)


def test_the_gradient_of_running_products_holds_at_zeros():
    x = np.array([[2.0, 0.0, 3.0, 5.0, 0.0], [1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 0.0, 1.0, 1.0, 2.0]])
    weights = np.array([1.0, -2.0, 3.0, 0.5, 7.0])
    expected = np.zeros_like(x)
    for i in range(5):
        for j in range(i, 5):
            expected[:, i] += weights[j] * np.prod(np.delete(x[:, : j + 1], i, axis=1), axis=1)

    def gradient(t):
        with tf.GradientTape() as tape:
            tape.watch(t)
            out = xp.sum(xp.multiply(xp.cumulative_prod(t, axis=1), tf.constant(weights)))
        return tape.gradient(out, t)

    for got in both_ways(gradient, x):
        same(got, expected, rtol=1e-12)


def test_gradients():
    x = np.array([[1.0, 2.0, 4.0], [3.0, -1.0, 0.5]])
    for function in (xp.sum, xp.prod, xp.mean, xp.var, xp.std, xp.max, xp.cumulative_sum, xp.cumulative_prod):
        extra = {"axis": 1}
        v = tf.Variable(x)
        with tf.GradientTape() as tape:
            out = xp.sum(function(v, **extra))
        got = tape.gradient(out, v).numpy()
        expected = np.zeros_like(x)
        for place in np.ndindex(*x.shape):
            up, down = x.copy(), x.copy()
            up[place] += 1e-6
            down[place] -= 1e-6
            ends = [xp.sum(function(tf.constant(one), **extra)).numpy() for one in (up, down)]
            expected[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
