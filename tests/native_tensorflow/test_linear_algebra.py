"""Products and factorisations agree with NumPy, batch axes broadcast, and factors multiply to what was factored."""

import numpy as np
import pytest
import tensorflow as tf
import tensoria_tensorflow.namespace as xp
from hypothesis import given
from hypothesis import strategies as st

from .drawn import COMPLEX, FLOATS, INTS, UINTS, both_ways, few, same

la = xp.linalg
rng = np.random.default_rng(7)


def close(dtype):
    return 2e-4 if np.dtype(dtype) in ("float32", "complex64", "float16") else 1e-9


def draw(shape, dtype):
    x = rng.normal(size=shape) * 3
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    if np.dtype(dtype).kind == "u":
        x = np.abs(x)
    return x.astype(dtype)


SHAPES = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((1, 4, 2, 3), (5, 1, 3, 2)), ((2, 0), (0, 3)), ((0, 2), (2, 3)),
    ((2, 3, 0), (0,)), ((0, 2, 3), (3, 2)), ((2, 0, 3), (2, 3, 1)), ((2,) * 8 + (2, 3), (2,) * 8 + (3, 1)),
    ((2, 1) * 4 + (2, 3), (1, 2) * 4 + (3, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("dtype", ["int8", "uint64", "int32", "float32", "complex128"])
def test_matmul(left, right, dtype):
    x, y = draw(left, dtype), draw(right, dtype)
    for got in both_ways(xp.matmul, x, y):
        same(got, np.matmul(x, y), rtol=close(dtype) if np.dtype(dtype).kind in "fc" else 0)


@pytest.mark.parametrize("dtype", [*INTS, *UINTS, *FLOATS, *COMPLEX, "float16"])
def test_products_of_every_type(dtype):
    x, y = draw((3, 4), dtype), draw((4, 3), dtype)
    tolerance = close(dtype) * 30 if np.dtype(dtype).kind in "fc" else 0
    same(xp.matmul(tf.constant(x), tf.constant(y)), x @ y, rtol=tolerance)
    axes = ((0, 1), (1, 0))
    same(xp.tensordot(tf.constant(x), tf.constant(y), axes=axes), np.tensordot(x, y, axes), rtol=tolerance)
    same(xp.vecdot(tf.constant(x), tf.constant(y.T)), np.vecdot(x, y.T), rtol=tolerance)
    same(la.outer(tf.constant(x[0]), tf.constant(y[0])), np.linalg.outer(x[0], y[0]), rtol=tolerance)
    same(la.cross(tf.constant(y), tf.constant(y[::-1].copy())), np.linalg.cross(y, y[::-1]), rtol=tolerance)


@few
@given(st.data())
def test_tensordot(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 3), min_size=0, max_size=4)))
    count = data.draw(st.integers(0, len(shape)))
    over = tuple(data.draw(st.permutations(range(len(shape)))))[:count]
    x = draw(shape, "float64")
    y = draw([*(shape[i] for i in over), 2], "float64")
    expected = np.tensordot(x, y, (over, tuple(range(count))))
    for got in both_ways(lambda a, b: xp.tensordot(a, b, axes=(over, tuple(range(count)))), x, y):
        same(got, expected, rtol=1e-12)


def test_vecdot_conjugates_the_left():
    x, y = draw((4, 1, 3), "complex128"), draw((2, 3), "complex128")
    for got in both_ways(xp.vecdot, x, y):
        same(got, np.vecdot(x, y), rtol=1e-12)
    same(xp.vecdot(tf.constant(x), tf.constant(x), axis=0), np.vecdot(x, x, axis=0), rtol=1e-12)


def test_matrix_transpose():
    x = draw((2, 3, 4), "float32")
    for got in both_ways(xp.matrix_transpose, x):
        same(got, np.matrix_transpose(x))


@pytest.mark.parametrize("offset", [-7, -2, -1, 0, 1, 3, 4, 9])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3), (2, 0, 3), (2, 2, 3, 3)])
def test_diagonal_and_trace(shape, offset):
    x = draw(shape, "int8")
    for got in both_ways(lambda a: la.diagonal(a, offset=offset), x):
        same(got, np.linalg.diagonal(x, offset=offset))
    same(la.trace(tf.constant(x), offset=offset), np.linalg.trace(x, offset=offset, dtype="int64"))


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
@pytest.mark.parametrize("batch", [(), (2, 3), (0,)])
def test_square_matrices(batch, dtype):
    x = draw((*batch, 3, 3), dtype) + 5 * np.eye(3, dtype=dtype)
    t, tolerance = tf.constant(x), close(dtype)
    for name in ("det", "inv"):
        for got in both_ways(getattr(la, name), x):
            same(got, getattr(np.linalg, name)(x), rtol=tolerance * 300 if name == "det" else tolerance)
    sign, logabs = la.slogdet(t)
    same(sign, np.linalg.slogdet(x).sign, rtol=tolerance)
    same(logabs, np.linalg.slogdet(x).logabsdet, rtol=tolerance)
    for n in (-2, 0, 1, 5):
        same(la.matrix_power(t, n), np.linalg.matrix_power(x, n), rtol=tolerance * 1e4 if n == 5 else tolerance)
    h = x @ np.conj(np.matrix_transpose(x))
    same(la.cholesky(tf.constant(h)), np.linalg.cholesky(h), rtol=tolerance)
    same(la.cholesky(tf.constant(h), upper=True), np.linalg.cholesky(h, upper=True), rtol=tolerance)
    values, vectors = la.eigh(tf.constant(h))
    same(values, np.linalg.eigvalsh(h), rtol=tolerance * 100)
    same(la.eigvalsh(tf.constant(h)), np.linalg.eigvalsh(h), rtol=tolerance * 100)
    v = vectors.numpy()
    same(xp.matmul(tf.constant(h), vectors), v * values.numpy()[..., None, :], rtol=tolerance * 100)
    values, vectors = la.eig(t)
    v = vectors.numpy()
    same(xp.matmul(xp.astype(t, v.dtype), vectors), v * values.numpy()[..., None, :], rtol=tolerance * 10)
    assert la.eigvals(t).dtype.is_complex


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 4, 4), (0, 3), (3, 0), (2, 3, 0), (0, 0), (0, 2, 3)])
def test_factorisations(shape, dtype):
    x = draw(shape, dtype)
    t, tolerance = tf.constant(x), close(dtype)
    for full in (True, False):
        expected = np.linalg.svd(x, full_matrices=full)
        u, s, vh = la.svd(t, full_matrices=full)
        assert u.shape == expected.U.shape
        assert vh.shape == expected.Vh.shape
        same(s, expected.S, rtol=tolerance)
        k = s.shape[-1]
        scaled = xp.multiply(u[..., :k], xp.astype(s, u.dtype)[..., None, :])
        same(xp.matmul(scaled, vh[..., :k, :]), x, rtol=tolerance)
        mode = "complete" if full else "reduced"
        q, r = la.qr(t, mode=mode)
        assert q.shape == np.linalg.qr(x, mode).Q.shape
        same(xp.matmul(q, r), x, rtol=tolerance)
        same(r, np.triu(r.numpy()), rtol=tolerance)
    same(la.svdvals(t), np.linalg.svdvals(x), rtol=tolerance)
    same(la.pinv(t), np.linalg.pinv(x), rtol=tolerance)
    same(la.matrix_rank(t), np.linalg.matrix_rank(x))


def test_qr_of_great_numbers():
    x = (draw((3, 3), "float64") * 1e25).astype("float32")
    q, r = la.qr(tf.constant(x))
    same(xp.divide(xp.matmul(q, r), 1e25), x / np.float32(1e25), rtol=1e-5)


def test_rank_and_pseudo_inverse_of_singular_matrices():
    x = draw((4, 2), "float64") @ draw((2, 5), "float64")
    same(la.matrix_rank(tf.constant(x)), np.linalg.matrix_rank(x))
    same(la.pinv(tf.constant(x), rtol=1e-10), np.linalg.pinv(x, rtol=1e-10), rtol=1e-9)
    same(la.matrix_rank(tf.constant(np.stack([x, x])), rtol=tf.constant([1e-10, 10.0], tf.float64)), np.array([2, 0]))


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 2)), ((1, 2, 3, 3), (4, 1, 3, 1)),
     ((2, 3, 3), (3,)), ((0, 3, 3), (3, 2)), ((0, 0), (0, 2))],
)  # fmt: skip
def test_solve(left, right):
    x, y = draw(left, "float64"), draw(right, "float64")
    if x.shape[-1]:
        x = x + 9 * np.eye(3)
    for got in both_ways(la.solve, x, y):
        same(got, np.linalg.solve(x, y), rtol=1e-9)


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
def test_norms(dtype):
    x = draw((2, 3, 4), dtype)
    for keepdims in (False, True):
        for order in (2, 1, 0, np.inf, -np.inf, 3, 0.5, -1):
            for axis in (None, 1, (0, 2)):
                expected = np.linalg.vector_norm(x, ord=order, axis=axis, keepdims=keepdims)
                got = la.vector_norm(tf.constant(x), ord=order, axis=axis, keepdims=keepdims)
                same(got, expected, rtol=close(dtype) * max(1, float(np.abs(expected).max())))
        for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
            expected = np.linalg.matrix_norm(x, ord=order, keepdims=keepdims)
            same(la.matrix_norm(tf.constant(x), ord=order, keepdims=keepdims), expected, rtol=close(dtype))


def test_halves_go_by_way_of_single_precision():
    x = (draw((3, 3), "float64") + 5 * np.eye(3)).astype("float16")
    same(la.inv(tf.constant(x)), np.linalg.inv(x.astype("f4")).astype("float16"), rtol=1e-3)
    assert la.svd(tf.constant(x)).U.dtype is tf.float16


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: xp.matmul(tf.ones((2, 3)), tf.ones((2, 3))), ValueError),
        (lambda: xp.matmul(tf.ones(()), tf.ones((2, 3))), ValueError),
        (lambda: xp.matmul(tf.ones((2, 2)), tf.ones((2, 2), tf.int32)), TypeError),
        (lambda: xp.tensordot(tf.ones((2, 3)), tf.ones((2, 3)), axes=1), ValueError),
        (lambda: xp.vecdot(tf.ones(2), tf.ones(3)), ValueError),
        (lambda: la.inv(tf.ones((2, 3))), ValueError),
        (lambda: la.inv(tf.ones((2, 2), tf.int32)), TypeError),
        (lambda: la.cross(tf.ones(2), tf.ones(2)), ValueError),
        (lambda: la.solve(tf.ones((2, 2)), tf.ones(3)), ValueError),
    ],
)
def test_what_has_no_meaning_is_refused(call, error):
    with pytest.raises(error):
        call()


@pytest.mark.parametrize(
    "function",
    [
        la.det, la.inv, lambda x: la.slogdet(x).logabsdet, lambda x: la.matrix_power(x, 3), lambda x: la.qr(x).R,
        la.pinv, lambda x: xp.matmul(xp.stack([x, x]), xp.stack([x, x])),
        lambda x: la.eigvalsh(xp.matmul(x, xp.matrix_transpose(x))), la.svdvals, la.trace, la.matrix_norm,
        lambda x: la.cholesky(xp.matmul(x, xp.matrix_transpose(x))), lambda x: la.solve(x, x[0]), la.diagonal,
        lambda x: la.pinv(x[:, :2]), lambda x: la.cross(x, xp.flip(x)), lambda x: xp.matmul(x, x[0]),
    ],
)  # fmt: skip
def test_gradients(function):
    x = np.array([[3.0, 0.5, -0.2], [0.1, -2.0, 0.3], [0.7, 0.4, 1.5]])
    weights = None

    def value(x):
        nonlocal weights
        out = function(x)
        weights = np.cos(np.arange(out.shape.num_elements())).reshape(out.shape) if weights is None else weights
        return xp.sum(xp.multiply(out, tf.constant(weights)))

    v = tf.Variable(x)
    with tf.GradientTape() as tape:
        out = value(v)
    expected = np.zeros_like(x)
    for place in np.ndindex(3, 3):
        up, down = x.copy(), x.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        expected[place] = (value(tf.constant(up)) - value(tf.constant(down))).numpy() / 2e-6
    np.testing.assert_allclose(tape.gradient(out, v).numpy(), expected, rtol=1e-5, atol=1e-6)
