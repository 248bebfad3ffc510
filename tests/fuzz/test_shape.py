"""Reshaping, permuting, joining, repeating and taking: the same components in another shape, as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import refusal
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, DTypeError, ModeError, PositionError, ShapeError

from .drawn import COMPLEX, FLOATS, INTS, UINTS, agree, arrays, drawn_shapes, tensor, wide

ANY = ("bool", *INTS, *UINTS, *FLOATS, *COMPLEX)


@given(x=arrays(ANY, special=False), data=st.data())
def test_one_array(backend: str, x: Any, data: Any) -> None:
    t, n = tensor(backend, x), x.ndim
    order = tuple(data.draw(st.permutations(range(n))))
    new = data.draw(st.integers(-n - 1, n))
    shape = data.draw(st.lists(st.integers(-1, 6), max_size=3).map(tuple))
    wider = (*data.draw(st.sampled_from([(), (2,), (0,), (3, 1)])), *x.shape)
    for ours, numpys in (
        (lambda: tn.permute_dims(t, order), lambda: np.permute_dims(x, order)),
        (lambda: tn.expand_dims(t, new), lambda: np.expand_dims(x, new)),
        (lambda: tn.reshape(t, shape), lambda: np.reshape(x, shape)),
        (lambda: tn.reshape(t, (-1,)), lambda: np.reshape(x, (x.size,))),
        (lambda: tn.broadcast_to(t, wider), lambda: np.broadcast_to(x, wider)),
        (lambda: tn.flip(t), lambda: np.flip(x)),
        (lambda: tn.tile(t, (2, 1, 2)), lambda: np.tile(x, (2, 1, 2))),
        (lambda: tn.repeat(t, 2), lambda: np.repeat(x, 2)),
        (lambda: tn.stack([t, t], axis=new), lambda: np.stack([x, x], axis=new)),
    ):
        agree(ours, numpys)
    if n >= 2:
        k = data.draw(st.integers(-5, 5))
        agree(lambda: tn.tril(t, k=k), lambda: np.tril(x, k))
        agree(lambda: tn.triu(t, k=k), lambda: np.triu(x, k))
        agree(lambda: tn.matrix_transpose(t), lambda: np.matrix_transpose(x))


@given(x=arrays(ANY, special=False), data=st.data())
def test_along_an_axis(backend: str, x: Any, data: Any) -> None:
    if not x.ndim:
        return
    t, axis, other = tensor(backend, x), *(data.draw(st.integers(-x.ndim, x.ndim - 1)) for _ in range(2))
    shift = data.draw(st.integers(-7, 7))
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=x.shape[axis], max_size=x.shape[axis])), np.int64)
    y = np.flip(x, axis)[tuple(slice(1, None) if n == axis % x.ndim else slice(None) for n in range(x.ndim))]
    for ours, numpys in (
        (lambda: tn.flip(t, axis=axis), lambda: np.flip(x, axis)),
        (lambda: tn.roll(t, shift, axis=axis), lambda: np.roll(x, shift, axis)),
        (lambda: tn.roll(t, shift), lambda: np.roll(x, shift)),
        (lambda: tn.moveaxis(t, axis, other), lambda: np.moveaxis(x, axis, other)),
        (lambda: tn.repeat(t, 3, axis=axis), lambda: np.repeat(x, 3, axis)),
        (lambda: tn.repeat(t, tensor(backend, counts), axis=axis), lambda: np.repeat(x, counts, axis)),
        (lambda: tn.concat([t, tensor(backend, y)], axis=axis), lambda: np.concat([x, y], axis=axis)),
        (lambda: tn.concat([t, tensor(backend, y)], axis=None), lambda: np.concat([x, y], axis=None)),
        (lambda: tn.unstack(t, axis=axis), lambda: np.unstack(x, axis=axis)),
        (lambda: tn.squeeze(t[..., None], -1), lambda: x),
    ):
        agree(ours, numpys)
    size = x.shape[axis]
    if size:
        places = np.array(data.draw(st.lists(st.integers(-size, size - 1), max_size=4)), np.int64)
        agree(lambda: tn.take(t, tensor(backend, places), axis=axis), lambda: np.take(x, places, axis))
        inside = np.argsort(x, axis=axis) - size * data.draw(st.booleans())
        agree(
            lambda: tn.take_along_axis(t, tensor(backend, inside), axis=axis),
            lambda: np.take_along_axis(x, inside, axis),
        )


@given(shape=drawn_shapes, axes=st.lists(st.integers(-4, 3), max_size=4).map(tuple))
def test_axes_that_do_not_exist_are_refused(backend: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    t = tensor(backend, x)
    agree(lambda: tn.permute_dims(t, axes), lambda: np.permute_dims(x, axes))
    agree(lambda: tn.squeeze(t, axes), lambda: np.squeeze(x, axes))
    agree(lambda: tn.expand_dims(t, axes), lambda: np.expand_dims(x, axes))
    agree(lambda: tn.sum(t, axis=axes), lambda: np.sum(x, axis=axes))
    agree(lambda: tn.flip(t, axis=axes), lambda: np.flip(x, axes))


@pytest.mark.parametrize("rank", [9, 12, 16])
def test_many_axes(backend: str, rank: int) -> None:
    x = np.arange(27).reshape(wide(rank, 3)).astype(np.uint16)
    t, middle = tensor(backend, x), rank // 2
    for ours, numpys in (
        (lambda: tn.permute_dims(t, tuple(range(rank))[::-1]), lambda: x.T),
        (lambda: tn.flip(t), lambda: np.flip(x)),
        (lambda: tn.flip(t, axis=(0, middle)), lambda: np.flip(x, (0, middle))),
        (lambda: tn.roll(t, (1, 2), axis=(0, -1)), lambda: np.roll(x, (1, 2), (0, -1))),
        (lambda: tn.concat([t, t], axis=middle), lambda: np.concat([x, x], axis=middle)),
        (lambda: tn.stack([t, t], axis=middle), lambda: np.stack([x, x], axis=middle)),
        (lambda: tn.unstack(t, axis=middle), lambda: np.unstack(x, axis=middle)),
        (lambda: tn.tile(t, (2,) * rank)[(1,) * (rank - 1)], lambda: np.tile(x, (2,) * rank)[(1,) * (rank - 1)]),
        (lambda: tn.repeat(t, 2, axis=middle), lambda: np.repeat(x, 2, middle)),
        (lambda: tn.take(t, tensor(backend, [2, 0]), axis=middle), lambda: np.take(x, [2, 0], middle)),
        (lambda: tn.take_along_axis(t, tensor(backend, x // 9), axis=0), lambda: np.take_along_axis(x, x // 9, 0)),
        (lambda: tn.moveaxis(t, 0, -1), lambda: np.moveaxis(x, 0, -1)),
        (lambda: tn.tril(t), lambda: np.tril(x)),
        (lambda: tn.nonzero(t), lambda: np.nonzero(x)),
        (lambda: tn.broadcast_to(t, (2, *x.shape)), lambda: np.broadcast_to(x, (2, *x.shape))),
        (lambda: tn.squeeze(t, 1), lambda: np.squeeze(x, 1)),
        (lambda: tn.astype(t, "float32"), lambda: x.astype("float32")),
    ):
        agree(ours, numpys)


def test_what_has_no_shape_says_so_in_the_same_words() -> None:
    x, one = np.ones((2, 3)), np.array([0])

    def of(call: Any) -> Any:
        return lambda b: call(tensor(b, x), b)

    for kind, call, part in (
        (ShapeError, lambda t, b: tn.reshape(t, (4, 2)), "(4, 2)"),
        (ShapeError, lambda t, b: tn.reshape(t, (-1, -1)), "(-1, -1)"),
        (ShapeError, lambda t, b: tn.reshape(t, (-2, 3)), "(-2, 3)"),
        (ShapeError, lambda t, b: tn.reshape(t[:0], (0, -1)), "(0, -1)"),
        (ShapeError, lambda t, b: tn.reshape(t[0, 0], (1,) * 65), "65 axes"),
        (ShapeError, lambda t, b: tn.squeeze(t, 0), "size 2"),
        (AxisError, lambda t, b: tn.squeeze(t, 7), "axis 7"),
        (AxisError, lambda t, b: tn.permute_dims(t, (0,)), "(0,)"),
        (AxisError, lambda t, b: tn.permute_dims(t, (0, 0)), "twice"),
        (AxisError, lambda t, b: tn.moveaxis(t, (0, 1), (0,)), "not as many"),
        (AxisError, lambda t, b: tn.roll(t, (1, 1), axis=0), "not as many"),
        (AxisError, lambda t, b: tn.flip(t, axis=4), "axis 4"),
        (AxisError, lambda t, b: tn.expand_dims(t, 5), "axis 5"),
        (AxisError, lambda t, b: tn.unstack(t, axis=2), "axis 2"),
        (AxisError, lambda t, b: tn.stack([t, t], axis=4), "axis 4"),
        (AxisError, lambda t, b: tn.concat([t, t], axis=2), "axis 2"),
        (ShapeError, lambda t, b: tn.stack([t, t[0]]), "(3,)"),
        (ShapeError, lambda t, b: tn.concat([t, t[:, :2]]), "off axis 0"),
        (DTypeError, lambda t, b: tn.concat([t, tn.astype(t, "int64")]), "int64"),
        (DTypeError, lambda t, b: tn.stack([t, t > 0]), "bool"),
        (ModeError, lambda t, b: tn.concat([]), "no tensors"),
        (ShapeError, lambda t, b: tn.tile(t, (-1,)), "-1"),
        (ShapeError, lambda t, b: tn.repeat(t, -1), "-1"),
        (ShapeError, lambda t, b: tn.repeat(t, tensor(b, [1, 2]), axis=1), "(2,)"),
        (ShapeError, lambda t, b: tn.broadcast_to(t, (3,)), "(3,)"),
        (ShapeError, lambda t, b: tn.tril(t[0]), "2 axes"),
        (PositionError, lambda t, b: tn.take(t, tensor(b, [3]), axis=1), "position 3"),
        (PositionError, lambda t, b: tn.take(t, tensor(b, [-4, 0]), axis=1), "position -4"),
        (PositionError, lambda t, b: tn.take(t, t[0], axis=1), "float64"),
        (AxisError, lambda t, b: tn.take(t, tensor(b, one)), "axis"),
        (PositionError, lambda t, b: tn.take_along_axis(t, tensor(b, [[5], [0]])), "position 5"),
        (PositionError, lambda t, b: tn.take_along_axis(t, t), "float64"),
        (ShapeError, lambda t, b: tn.take_along_axis(t, tensor(b, one)), "(1,)"),
        (ShapeError, lambda t, b: tn.zeros((2, -1), backend=b), "-1"),
        (ShapeError, lambda t, b: tn.ones((1,) * 65, backend=b), "65 axes"),
        (ShapeError, lambda t, b: tn.eye(-1, backend=b), "-1"),
        (ShapeError, lambda t, b: tn.linspace(0, 1, -1, backend=b), "-1"),
        (ShapeError, lambda t, b: tn.arange(0, 5, 0, backend=b), "step"),
        (ShapeError, lambda t, b: tn.meshgrid(t), "(2, 3)"),
        (ShapeError, lambda t, b: tn.meshgrid(t[0], indexing="ab"), "'ab'"),
        (ShapeError, lambda t, b: tn.diff(t, n=-1), "n=-1"),
        (ShapeError, lambda t, b: tn.nonzero(t[0, 0]), "1 axes"),
    ):
        refusal(kind, of(call), part)
