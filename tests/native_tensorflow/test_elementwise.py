"""Elementwise functions agree with NumPy on every type, and where the standard says so differ from TensorFlow."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import COMPLEX, FLOATS, INTS, UINTS, arrays, both_ways, few, pairs, same, some

NUMERIC = (*INTS, *UINTS, *FLOATS)
ROUNDED = 4e-6  # of float32 transcendental functions


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


EXACT_UNARY = ["abs", "negative", "positive", "square", "floor", "ceil", "trunc", "round", "isnan", "isinf", "isfinite"]


@pytest.mark.parametrize("name", EXACT_UNARY)
@some
@given(data=st.data())
def test_unary_exact(name, data):
    x = data.draw(arrays(NUMERIC))
    same(getattr(xp, name)(tf.constant(x)), getattr(np, name)(x))


@few
@given(arrays(NUMERIC))
def test_sign(x):
    # TensorFlow's sign of -0.0 is 0.0, as is NumPy's.
    same(xp.sign(tf.constant(x)), np.sign(x))


TRANSCENDENTAL = [
    "sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "reciprocal",
]  # fmt: skip


@pytest.mark.parametrize("name", TRANSCENDENTAL)
@some
@given(data=st.data())
def test_transcendental(name, data):
    x = data.draw(arrays(FLOATS))
    same(getattr(xp, name)(tf.constant(x)), getattr(np, name)(x), rtol=ROUNDED)


@pytest.mark.parametrize("name", TRANSCENDENTAL)
@pytest.mark.parametrize("dtype", COMPLEX)
def test_transcendental_complex(name, dtype):
    parts = np.linspace(-2.3, 2.9, 9)
    x = (parts[:, None] + 1j * parts[None, :]).astype(dtype)
    same(getattr(xp, name)(tf.constant(x)), getattr(np, name)(x), rtol=3e-5 if dtype == "complex64" else 1e-11)


@few
@given(arrays(COMPLEX))
def test_parts_of_complex_numbers(x):
    t = tf.constant(x)
    for name in ("conj", "real", "imag", "round", "isnan", "isfinite", "isinf"):
        same(getattr(xp, name)(t), getattr(np, name)(x))
    same(xp.abs(t), np.abs(x), rtol=1e-6)
    same(xp.sign(t), np.sign(x), rtol=1e-6)


EXACT_BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "floor_divide", "remainder"]
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]


@pytest.mark.parametrize("name", EXACT_BINARY + COMPARISONS)
@few
@given(data=st.data())
def test_binary_exact(name, data):
    x, y = data.draw(pairs(NUMERIC))
    expected = getattr(np, name)(x, y)
    got = getattr(xp, name)(tf.constant(x), tf.constant(y))
    if name in ("maximum", "minimum"):  # of 0.0 and -0.0, either
        got, expected = xp.add(got, 0), expected + np.zeros((), expected.dtype)
    same(got, expected)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
def test_division_of_floats_at_the_edges(name):
    def wanted(x, y):
        found = getattr(np, name)(x, y)
        if name == "remainder":
            return found
        # NumPy follows Python where an operand is infinite, the standard divides and rounds down.
        return np.where(np.isinf(x) | np.isinf(y), np.floor(x / y), found)

    values = np.array([0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 3.5, -7.25, 1e30, -1e30, np.inf, -np.inf, np.nan], "float32")
    x, y = values[:, None], values[None, :]
    for got in both_ways(getattr(xp, name), x, y):
        same(got, wanted(x, y))
    x, y = x.astype("float16"), y.astype("float16")
    same(getattr(xp, name)(tf.constant(x), tf.constant(y)), wanted(x, y))


@pytest.mark.parametrize("dtype", [*INTS, *UINTS])
def test_integer_division_at_the_edges(dtype):
    limits = np.iinfo(dtype)
    values = np.unique(np.array([limits.min, limits.max, 0, 1, 2, 5, limits.max - 1, limits.min + 1], dtype))
    if limits.min:
        values = np.append(values, np.array([-1, -3], dtype))
    x, y = values[:, None], values[None, :]
    for name in ("floor_divide", "remainder"):
        for got in both_ways(getattr(xp, name), x, y):
            same(got, getattr(np, name)(x, y))


@pytest.mark.parametrize("name", ["divide", "atan2", "hypot", "logaddexp"])
@few
@given(data=st.data())
def test_binary_rounded(name, data):
    x, y = data.draw(pairs(FLOATS))
    same(getattr(xp, name)(tf.constant(x), tf.constant(y)), getattr(np, name)(x, y), rtol=ROUNDED)


@few
@given(pairs(FLOATS))
def test_bits_of_floats(operands):
    x, y = operands
    for name in ("copysign", "nextafter"):
        same(getattr(xp, name)(tf.constant(x), tf.constant(y)), getattr(np, name)(x, y))
    same(xp.signbit(tf.constant(x)), np.signbit(x))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_nextafter_of_halves(dtype):
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.0, 300.0, np.inf, -np.inf, np.nan, 1.5, -1.5], dtype)
    x, y = np.broadcast_arrays(values[:, None], values[None, :])
    got = xp.nextafter(tf.constant(x), tf.constant(y)).numpy()
    np.testing.assert_array_equal(got.astype("f4"), np.nextafter(x, y).astype("f4"))


@few
@given(pairs((*INTS, *UINTS)))
def test_bitwise(operands):
    x, y = operands
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        same(getattr(xp, name)(tf.constant(x), tf.constant(y)), getattr(np, name)(x, y))
    same(xp.bitwise_invert(tf.constant(x)), np.bitwise_invert(x))


@pytest.mark.parametrize("dtype", [*INTS, *UINTS])
def test_shifts_push_all_bits_out(dtype):
    limits = np.iinfo(dtype)
    x = np.array([[limits.min], [limits.max], [1], [5]], dtype)
    y = np.array([0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 100], dtype)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        for got in both_ways(getattr(xp, name), x, y):
            same(got, getattr(np, name)(x, y))


def test_logic():
    x, y = np.array([[True], [False]]), np.array([True, False])
    for name in ("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"):
        same(getattr(xp, name)(tf.constant(x), tf.constant(y)), getattr(np, name)(x, y))
    same(xp.logical_not(tf.constant(x)), ~x)
    same(xp.bitwise_invert(tf.constant(x)), ~x)


@pytest.mark.parametrize("dtype", [*NUMERIC, *COMPLEX])
def test_pow(dtype):
    x, y = np.array([[1], [2], [3], [7]], dtype), np.array([0, 1, 2, 3, 5], dtype)
    same(xp.pow(tf.constant(x), tf.constant(y)), np.power(x, y), rtol=1e-5)
    same(xp.pow(tf.constant(x), 3), x**3, rtol=1e-5)


@pytest.mark.parametrize("dtype", [*NUMERIC, "float16"])
def test_python_scalars_take_the_type_of_the_array(dtype):
    x = np.array([3, 1, 2], dtype)
    for name in (*EXACT_BINARY, *COMPARISONS):
        same(getattr(xp, name)(tf.constant(x), 2), getattr(np, name)(x, 2))
        same(getattr(xp, name)(2, tf.constant(x)), getattr(np, name)(2, x))


def test_promotion_within_a_kind():
    for left, right, out in [
        ("int8", "uint8", "int16"), ("int32", "int64", "int64"), ("uint32", "int8", "int64"),
        ("uint8", "uint16", "uint16"),
        ("float32", "float64", "float64"), ("float64", "complex64", "complex128"), ("float16", "float32", "float32"),
    ]:  # fmt: skip
        x, y = tf.constant(np.array([1, 2], left)), tf.constant(np.array([3, 4], right))
        same(xp.add(x, y), np.array([4, 6], out))
        same(xp.multiply(y, x), np.array([3, 8], out))


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("add", np.ones(2, "int32"), np.ones(2, "float32")),
        ("add", np.ones(2, "uint64"), np.ones(2, "int8")),
        ("add", np.ones(2, "bool"), np.ones(2, "bool")),
        ("add", np.ones(2, "bool"), np.ones(2, "int8")),
        ("less", np.ones(2, "complex64"), np.ones(2, "complex64")),
        ("logical_and", np.ones(2, "int8"), np.ones(2, "int8")),
        ("bitwise_or", np.ones(2, "float32"), np.ones(2, "float32")),
    ],
)
def test_types_without_a_meaning_are_refused(name, x, y):
    with pytest.raises(TypeError):
        getattr(xp, name)(tf.constant(x), tf.constant(y))


def test_scalars_without_a_meaning_are_refused():
    for x, scalar in [(np.ones(2, "int32"), 0.5), (np.ones(2, "bool"), 1), (np.ones(2, "float32"), True)]:
        with pytest.raises(TypeError):
            xp.add(tf.constant(x), scalar)
    with pytest.raises(OverflowError):
        xp.add(tf.constant([1], tf.uint8), 256)
    with pytest.raises(TypeError):
        xp.exp(tf.constant([1, 2]))
    with pytest.raises(ValueError, match="do not broadcast"):
        xp.add(tf.zeros((2, 3)), tf.zeros((2, 2)))


def test_clip():
    x = np.array([-5.0, -0.5, np.nan, 0.5, 7.0], "float32")
    same(xp.clip(tf.constant(x), -1, 1), np.clip(x, -1, 1))
    same(xp.clip(tf.constant(x), None, 1.0), np.clip(x, None, 1.0))
    same(xp.clip(tf.constant(x), tf.constant(x[::-1].copy()), None), np.clip(x, x[::-1], None))
    same(xp.clip(tf.constant([1, 200], tf.uint8), -7, 300), np.array([1, 200], "uint8"))
    same(xp.clip(tf.constant([1, 200], tf.uint8), 3), np.array([3, 200], "uint8"))


def test_ranks_above_eight():
    x, y = np.arange(32.0, dtype="float32").reshape([2, 1] * 5), np.arange(32.0, dtype="float32").reshape([1, 2] * 5)
    for name in ("add", "multiply", "less", "atan2", "remainder"):
        same(getattr(xp, name)(tf.constant(x), tf.constant(y)), getattr(np, name)(x, y), rtol=1e-6)
    same(xp.trunc(tf.constant(x / 4)), np.trunc(x / 4))
    same(xp.where(tf.constant(x > 7), tf.constant(x), tf.constant(y)), np.where(x > 7, x, y))
    a, b = tf.Variable(x), tf.Variable(y)
    with tf.GradientTape() as tape:
        out = xp.sum(xp.multiply(a, b))
    same(tape.gradient(out, a), np.full_like(x, y.sum()))


def test_variables_are_read():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        out = xp.sum(xp.multiply(v, v))
    same(tape.gradient(out, v), np.array([2.0, 4.0], "f4"))
    same(xp.add(v, 1.0), np.array([2.0, 3.0], "f4"))


@pytest.mark.parametrize("name", ["remainder", "hypot", "logaddexp", "copysign", "divide", "pow", "maximum"])
def test_gradients_of_two_arguments(name):
    x, y = np.array([[1.3], [2.2]]), np.array([0.7, 1.9, 3.1])
    step = 1e-6
    for ours in both_ways(_gradient_of(getattr(xp, name)), x, y):
        f = getattr(np, name)
        same(ours[0], ((f(x + step, y) - f(x - step, y)) / (2 * step)).sum(1, keepdims=True), rtol=1e-6)
        same(ours[1], ((f(x, y + step) - f(x, y - step)) / (2 * step)).sum(0), rtol=1e-6)


def _gradient_of(function):
    def gradient(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            out = function(x, y)
        return tape.gradient(out, [x, y], unconnected_gradients="zero")

    return gradient


@some
@given(pairs(FLOATS, special=False))
def test_traced_with_unknown_lengths(operands):
    x, y = operands
    for got in both_ways(lambda a, b: xp.add(xp.multiply(a, 2.0), xp.hypot(a, b)), x, y):
        same(got, x * x.dtype.type(2) + np.hypot(x, y), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_minus_wraps_around_in_unsigned_integers_in_graphs_too(dtype: str) -> None:
    x = np.array([0, 1, 200], dtype)
    for negative in (xp.negative, tf.function(xp.negative)):
        np.testing.assert_array_equal(negative(tf.constant(x)).numpy(), -x)
