"""Truth of whole arrays, and differences of neighbours."""

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import COMPLEX, FLOATS, INTS, UINTS, arrays, both_ways, few, same


@few
@given(arrays(("bool", *INTS, *UINTS, *FLOATS, *COMPLEX)), st.data())
def test_truth(x, data):
    axis = data.draw(st.sampled_from([None, (), *range(-x.ndim, x.ndim), tuple(range(x.ndim))]))
    keepdims = data.draw(st.booleans())
    for name in ("all", "any"):
        for got in both_ways(lambda a, n=name: getattr(xp, n)(a, axis=axis, keepdims=keepdims), x):
            same(got, getattr(np, name)(x, axis=axis, keepdims=keepdims))


@few
@given(arrays(("bool", *INTS, *UINTS, *FLOATS), special=False), st.data())
def test_diff(x, data):
    if not x.ndim:
        return
    axis, n = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.integers(0, 3))
    for got in both_ways(lambda a: xp.diff(a, axis=axis, n=n), x):
        same(got, np.diff(x, n=n, axis=axis))
    got = xp.diff(tf.constant(x), axis=axis, n=n, prepend=tf.constant(x), append=tf.constant(x))
    same(got, np.diff(x, n=n, axis=axis, prepend=x, append=x))


def test_diff_of_negative_order():
    with pytest.raises(ValueError, match="negative"):
        xp.diff(tf.ones(3), n=-1)
