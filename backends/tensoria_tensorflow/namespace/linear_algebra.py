"""Products: the linear algebra that the standard keeps at top level.

TensorFlow multiplies matrices of real and complex numbers, int32 and int64; shorter and unsigned integers go by way
of int64, whose arithmetic modulo 2**64 restricts to theirs. A contraction is a transposition, a reshape and one
matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .. import kernels
from ..kernels import EagerTensor, cast, read
from .data_types import COMPONENT, HALVES, KINDS, common
from .elementwise import conj
from .shapes import aligned, axes_of, axis_of, extents, product, rank, reshaped, static

__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]

Array = Any

_MULTIPLIED = frozenset({tf.int32, tf.int64} | KINDS["floating"])  # types that MatMul has kernels for


def _product(a: Array, b: Array) -> Array:
    """The matrix product of two tensors of one numeric type, at least two axes each."""
    dtype = a.dtype
    if dtype in _MULTIPLIED:
        return kernels.matmul(a, b)
    return cast(kernels.matmul(cast(a, tf.int64), cast(b, tf.int64)), dtype)


def matmul(x1: Array, x2: Array, /) -> Array:
    """The matrix product over the last two axes; the leading ones broadcast.

    A vector is a row on the left and a column on the right. Raises ValueError for scalars and for lengths that do not
    match.
    """
    if (
        type(x1) is EagerTensor and type(x2) is EagerTensor and x1.ndim == 2 == x2.ndim
        and x1.dtype is x2.dtype and x1.dtype is tf.float32
    ):  # fmt: skip
        try:
            return kernels.raw.MatMul(a=x1, b=x2)
        except tf.errors.InvalidArgumentError:
            pass  # the lengths differ: said below
    a, b = common("matmul", "numeric", read(x1), read(x2))
    rank_a, rank_b = rank(a), rank(b)
    if not rank_a or not rank_b:
        raise ValueError("matmul takes arrays of at least one axis; multiply() scales")
    inner_a, inner_b = static(a)[-1], static(b)[max(rank_b - 2, 0)]
    if None not in (inner_a, inner_b) and inner_a != inner_b:
        raise ValueError(f"matmul: lengths {inner_a} and {inner_b} do not match, for {static(a)} @ {static(b)}")
    if rank_a > 2 >= rank_b:
        # One matrix on the right: the rows of all the matrices on the left are one tall matrix.
        sizes = extents(a)
        b = b if rank_b == 2 else kernels.reshape(b, (-1, 1))
        out = _product(reshaped(a, (product(sizes[:-1]), sizes[-1])), b)
        return reshaped(out, (*sizes[:-1], extents(b)[-1]) if rank_b == 2 else sizes[:-1])
    if rank_a == 1:
        a = reshaped(a, (1, *extents(a)))
    if rank_b == 1:
        b = reshaped(b, (*extents(b), 1))
    out = _product(a, b)
    dropped = tuple(place for place, r in ((-2, rank_a), (-1, rank_b)) if r == 1)
    return kernels.squeeze(out, dropped)


def matrix_transpose(x: Array, /) -> Array:
    """`x` with its last two axes exchanged; raises ValueError if it has fewer."""
    x = read(x)
    ndim = rank(x)
    if ndim < 2:
        raise ValueError(f"matrix_transpose needs at least two axes, got {ndim}")
    return kernels.transpose(x, (*range(ndim - 2), ndim - 1, ndim - 2))


def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """The contraction of axes of `x1` with axes of `x2`: the last with the first `axes`, or two lists of axes."""
    a, b = common("tensordot", "numeric", read(x1), read(x2))
    rank_a, rank_b = rank(a), rank(b)
    if isinstance(axes, int):
        if not 0 <= axes <= min(rank_a, rank_b):
            raise ValueError(f"tensordot: {axes} axes of arrays of {rank_a} and {rank_b}")
        over_a, over_b = tuple(range(rank_a - axes, rank_a)), tuple(range(axes))
    else:
        over_a, over_b = (axes_of(_sequence(one), r) for one, r in zip(axes, (rank_a, rank_b), strict=True))
    if len(over_a) != len(over_b):
        raise ValueError(f"tensordot: {len(over_a)} axes against {len(over_b)}")
    sizes_a, sizes_b = extents(a), extents(b)
    for i, j in zip(over_a, over_b, strict=True):
        if isinstance(sizes_a[i], int) and isinstance(sizes_b[j], int) and sizes_a[i] != sizes_b[j]:
            raise ValueError(f"tensordot: axis {i} has length {sizes_a[i]}, axis {j} has length {sizes_b[j]}")
    free_a = tuple(i for i in range(rank_a) if i not in over_a)
    free_b = tuple(j for j in range(rank_b) if j not in over_b)
    rows, columns = [sizes_a[i] for i in free_a], [sizes_b[j] for j in free_b]
    inner = product([sizes_a[i] for i in over_a])
    left = reshaped(_permuted(a, free_a + over_a), (product(rows), inner))
    right = reshaped(_permuted(b, over_b + free_b), (inner, product(columns)))
    return reshaped(_product(left, right), rows + columns)


def _sequence(axes: Any) -> tuple[int, ...]:
    return tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)


def _permuted(x: Array, order: tuple[int, ...]) -> Array:
    return x if order == tuple(range(len(order))) else kernels.transpose(x, order)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The inner product along `axis`, the left operand conjugated; the other axes broadcast."""
    a, b = common("vecdot", "numeric", read(x1), read(x2))
    if axis >= 0 and rank(a) != rank(b):
        raise ValueError("vecdot: with arrays of different rank, count the axis from the end")
    length_a, length_b = (static(x)[axis_of(axis, rank(x))] for x in (a, b))
    if None not in (length_a, length_b) and length_a != length_b:
        raise ValueError(f"vecdot: lengths {length_a} and {length_b} along axis {axis}")
    dtype = a.dtype
    if dtype in HALVES:
        a, b = cast(a, tf.float32), cast(b, tf.float32)
    terms = aligned(kernels.multiply, conj(a) if dtype in COMPONENT else a, b)
    return cast(kernels.reduce_sum(terms, (axis_of(axis, rank(terms)),)), dtype)
