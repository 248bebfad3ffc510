"""Promotion is the standard's table, and conversions lose nothing silently."""

import itertools

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp

from .drawn import COMPLEX, FLOATS, INTS, UINTS, same

ALL = ("bool", *INTS, *UINTS, "float16", "bfloat16", *FLOATS, *COMPLEX)
BAD = [("uint64", other) for other in INTS]


def kind(dtype):
    return xp.isdtype(dtype, "numeric") + 2 * xp.isdtype(dtype, "integral")


@pytest.mark.parametrize(("left", "right"), itertools.combinations_with_replacement(ALL, 2))
def test_promotion_is_numpys_within_a_kind(left, right):
    a, b = getattr(xp, left), getattr(xp, right)
    if kind(a) != kind(b) or {left, right} in [set(pair) for pair in BAD]:
        with pytest.raises(TypeError, match="astype"):
            xp.result_type(a, b)
        return
    assert xp.result_type(a, b) is xp.result_type(b, a)
    if "bfloat16" not in (left, right):
        assert xp.result_type(a, b).name == np.result_type(left, right).name
    assert xp.can_cast(a, b) == (xp.result_type(a, b) is b)


def test_promotion_with_bfloat16():
    assert xp.result_type(xp.bfloat16, xp.float16) is xp.float32
    assert xp.result_type(xp.bfloat16, xp.bfloat16) is xp.bfloat16
    assert xp.result_type(xp.bfloat16, xp.float64) is xp.float64
    assert xp.result_type(xp.bfloat16, xp.complex64) is xp.complex64


def test_python_scalars_are_weak():
    assert xp.result_type(xp.float16, 1, 2.5) is xp.float16
    assert xp.result_type(xp.float32, 1j) is xp.complex64
    assert xp.result_type(tf.ones(2, tf.float64), 1j) is xp.complex128
    assert xp.result_type(xp.int8, 1) is xp.int8
    assert xp.result_type(xp.bool, True) is xp.bool
    for dtype, scalar in [(xp.int8, 0.5), (xp.bool, 1), (xp.int8, True), (xp.int64, 1j)]:
        with pytest.raises(TypeError):
            xp.result_type(dtype, scalar)
    with pytest.raises(ValueError, match="at least one"):
        xp.result_type(1, 2)


@pytest.mark.parametrize(("have", "want"), itertools.product(ALL, ALL))
def test_astype(have, want):
    np_have, np_want = (getattr(ml_dtypes, n, None) or np.dtype(n) for n in (have, want))
    x = np.array([0, 1, 2, 100]).astype(np_have)
    if have in COMPLEX and want not in COMPLEX and want != "bool":
        with pytest.raises(TypeError, match="imaginary"):
            xp.astype(tf.constant(x), getattr(xp, want))
        return
    got = xp.astype(tf.constant(x), getattr(xp, want))
    assert got.dtype is getattr(xp, want)
    np.testing.assert_array_equal(got.numpy(), x.astype(np_want))


def test_truth_keeps_imaginary_parts_and_nan():
    same(xp.astype(tf.constant([1j, 0j, 2 + 0j]), xp.bool), np.array([True, False, True]))
    same(xp.astype(tf.constant([0.25, np.nan, 0.0, -0.0]), xp.bool), np.array([True, True, False, False]))


def test_gradients_through_astype():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        out = xp.sum(xp.astype(xp.abs(xp.astype(v, xp.complex64)), xp.float64))
    same(tape.gradient(out, v), np.ones(2, "f4"))


def test_limits():
    for name in (*INTS, *UINTS):
        ours, theirs = xp.iinfo(getattr(xp, name)), np.iinfo(name)
        assert (ours.min, ours.max, ours.bits) == (theirs.min, theirs.max, theirs.bits)
    for name in ("float16", *FLOATS, *COMPLEX):
        ours, theirs = xp.finfo(getattr(xp, name)), np.finfo(name)
        for field in ("bits", "eps", "max", "min", "smallest_normal"):
            assert getattr(ours, field) == getattr(theirs, field)
    assert xp.finfo(tf.ones(2, tf.bfloat16)).eps == 2**-7
    assert xp.finfo(xp.complex64).dtype is xp.float32
    with pytest.raises(TypeError):
        xp.iinfo(xp.float32)


def test_isdtype():
    assert xp.isdtype(xp.int8, "signed integer")
    assert xp.isdtype(xp.uint8, ("bool", "unsigned integer"))
    assert xp.isdtype(xp.float32, xp.float32)
    assert xp.isdtype(xp.bfloat16, "real floating")
    assert not xp.isdtype(xp.bool, "numeric")
    with pytest.raises(ValueError, match="unknown kind"):
        xp.isdtype(xp.bool, "boolean")
