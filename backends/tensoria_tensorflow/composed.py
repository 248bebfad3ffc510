"""What programs written in TensorFlow need beside TensorFlow's own functions; they contain the text of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

__all__ = ["COMPOSED", "PRELUDE"]


def size(x, axis):
    """The size of an axis: a number, or a tensor while a tf.function traces and does not know it."""
    return tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]


def signbit(x):
    """Whether the sign bit is set."""
    return tf.bitcast(x, {2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size]) < 0


def logaddexp(x, y):
    """Logarithm of a sum of exponentials; equal terms apart, whose difference is no number if they are infinite."""
    gap = tf.where(x == y, tf.zeros_like(x), tf.abs(x - y))
    return tf.where(x == y, x / 2 + y / 2 + 0.6931471805599453, tf.maximum(x, y) + tf.math.log1p(tf.exp(-gap)))


def variance(x, axis, correction, keepdims):
    """Squares of the distances from the mean, summed and divided by their number without the correction."""
    count = tf.cast(tf.reduce_prod(tf.gather(tf.shape(x), axis)), x.dtype)
    squares = tf.square(x - tf.reduce_mean(x, axis=axis, keepdims=True))
    return tf.reduce_sum(squares, axis=axis, keepdims=keepdims) / (count - correction)


def argsort(x, axis, direction):
    """Positions that bring an axis in order, equal components in the order in which they are; NaN is the greatest."""
    if x.dtype.is_floating:
        # Whole numbers in the same order: those of the bits, inverted for negative numbers.
        bits = tf.bitcast(tf.where(x == 0, tf.zeros_like(x), x), {2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size])
        greatest = tf.constant(bits.dtype.max, bits.dtype)
        x = tf.where(tf.math.is_nan(x), greatest, tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, greatest), bits))
    return tf.cast(tf.argsort(x, axis=axis, direction=direction, stable=True), tf.int64)


def place(function, x, axis):
    """Where tf.argmax or tf.argmin finds an extreme component along an axis; the first NaN is one."""
    missing = tf.math.is_nan(x)
    first = tf.argmax(tf.cast(missing, tf.int8), axis=axis)
    return tf.where(tf.reduce_any(missing, axis=axis), first, function(x, axis=axis))


def floor_divide(x, y):
    """The quotient rounded down: of whole numbers by zero it is zero, of infinities and by zero it is infinite."""
    if x.dtype.is_integer:
        return tf.where(y == 0, tf.zeros_like(x), x // tf.where(y == 0, tf.ones_like(y), y))
    infinite = (y == 0) | tf.math.is_inf(x) | tf.math.is_inf(y)
    return tf.where(infinite, tf.floor(x / y), tf.round((x - x % y) / y))


def remainder(x, y):
    """The rest of a division of whole numbers that is rounded down; by zero it is zero."""
    return tf.where(y == 0, tf.zeros_like(x), x % tf.where(y == 0, tf.ones_like(y), y))


def gather(x, positions, axis):
    """The slices at positions along an axis; negative ones count from the end."""
    return tf.gather(x, tf.where(positions < 0, positions + tf.shape(x, positions.dtype)[axis], positions), axis=axis)


def gather_nd(x, positions, axes):
    """The components at positions along several axes, in front of the other axes."""
    x = tf.transpose(x, [*axes, *(n for n in range(x.shape.rank) if n not in axes)])
    positions = [tf.where(p < 0, p + tf.shape(x, p.dtype)[n], p) for n, p in enumerate(positions)]
    zero = sum(map(tf.zeros_like, positions))
    return tf.gather_nd(x, tf.stack([p + zero for p in positions], axis=-1))


def numbered(x):
    """The places of x, counted along its flattened axes."""
    return tf.reshape(tf.range(tf.size(x)), tf.shape(x))


def assigned(x, places, value):
    """A copy of x with a value at places, which are counted along its flattened axes."""
    value = tf.broadcast_to(value, tf.shape(places))
    flat, places, value = tf.reshape(x, [-1]), tf.reshape(places, [-1, 1]), tf.reshape(value, [-1])
    return tf.reshape(tf.tensor_scatter_nd_update(flat, places, value), tf.shape(x))


def added(x, places, value):
    """A copy of x with a value added at places, as often as one occurs."""
    value = tf.broadcast_to(value, tf.shape(places))
    flat, places, value = tf.reshape(x, [-1]), tf.reshape(places, [-1, 1]), tf.reshape(value, [-1])
    return tf.reshape(tf.tensor_scatter_nd_add(flat, places, value), tf.shape(x))


def svd(x, full_matrices):
    """Singular vectors as columns, values, vectors as rows."""
    s, u, v = tf.linalg.svd(x, full_matrices=full_matrices)
    return u, s, tf.linalg.adjoint(v)


def slogdet(x):
    """Sign and logarithm of the size of the determinant, the latter real."""
    sign, logarithm = tf.linalg.slogdet(x)
    return sign, tf.math.real(logarithm)


def eigh(x):
    """Eigenvalues, which are real, and eigenvectors of a Hermitian matrix."""
    w, v = tf.linalg.eigh(x)
    return tf.math.real(w), v


def solve(a, b):
    """Solutions of linear equations; leading axes broadcast."""
    lead = tf.broadcast_dynamic_shape(tf.shape(a)[:-2], tf.shape(b)[:-2])
    a, b = (tf.broadcast_to(x, tf.concat([lead, tf.shape(x)[-2:]], axis=0)) for x in (a, b))
    return tf.linalg.solve(a, b)


def counted(x, s, rtol, eps):
    """Which singular values are above rtol (by default max(M, N) times the precision) times the largest one."""
    if rtol is None:
        rtol = tf.cast(tf.reduce_max(tf.shape(x)[-2:]), s.dtype) * eps
    return s > tf.reduce_max(s, axis=-1, keepdims=True) * rtol


def pinv(x, rtol, eps):
    """Pseudo-inverse, without the singular values that do not count."""
    s, u, v = tf.linalg.svd(x)
    keep = counted(x, s, rtol, eps)
    inverse = tf.where(keep, 1 / tf.where(keep, s, tf.ones_like(s)), tf.zeros_like(s))
    return tf.matmul(v * tf.cast(inverse, x.dtype)[..., tf.newaxis, :], u, adjoint_b=True)


def matrix_rank(x, rtol, eps):
    """Number of singular values that count."""
    keep = counted(x, tf.linalg.svd(x, compute_uv=False), rtol, eps)
    return tf.math.count_nonzero(keep, axis=-1)


def cross(x, y, axis):
    """Product of vectors in three dimensions along an axis."""
    (x1, x2, x3), (y1, y2, y3) = tf.unstack(x, 3, axis), tf.unstack(y, 3, axis)
    return tf.stack([x2 * y3 - x3 * y2, x3 * y1 - x1 * y3, x1 * y2 - x2 * y1], axis)


def matrix_power(x, n):
    """Integer power of square matrices."""
    if n < 0:
        return matrix_power(tf.linalg.inv(x), -n)
    if n == 0:
        return tf.zeros_like(x) + tf.eye(tf.shape(x)[-1], dtype=x.dtype)
    half = matrix_power(tf.matmul(x, x), n // 2) if n > 1 else None
    return x if half is None else tf.matmul(half, x) if n % 2 else half


def fourier(function, x, count, axis):
    """A transform of the last axis along another one, which is cut or filled with zeros to a number of components."""
    order = [*(n for n in range(x.shape.rank) if n != axis), axis]
    x = tf.transpose(x, order)[..., :count]
    x = tf.pad(x, [*[[0, 0]] * (x.shape.rank - 1), [0, count - tf.shape(x)[-1]]])
    return tf.transpose(function(x), sorted(range(len(order)), key=order.__getitem__))


COMPOSED: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for function in (
        size, signbit, logaddexp, variance, argsort, place, floor_divide, remainder, gather, gather_nd, numbered,
        assigned, added, svd, slogdet, eigh,
        solve, counted, pinv, matrix_rank, cross, matrix_power, fourier,
    )
}  # fmt: skip
"""The functions by name."""
PRELUDE = {name: inspect.getsource(function) for name, function in COMPOSED.items()}
"""Their text."""
