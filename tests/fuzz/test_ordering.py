"""NaN is the last and the extreme, zeros of both signs are one number, and equal numbers keep their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, DTypeError, ShapeError

from .drawn import FLOATS, INTS, UINTS, agree, arrays, same, tensor, wide

SPECIAL = np.array([np.nan, 2.0, -0.0, 0.0, np.inf, -np.inf, 0.0, np.nan, -0.0, 2.0, -1.0, -np.nan])
REAL = (*INTS, *UINTS, *FLOATS)


def descending(x: Any, axis: int) -> Any:
    """The stable order from the greatest to the least: what the ascending order of the reversed array is, reversed."""
    order = np.flip(np.argsort(np.flip(x, axis), axis=axis, stable=True), axis)
    return x.shape[axis] - 1 - order


@given(x=arrays(REAL), data=st.data())
def test_sort_and_argsort(backend: str, x: Any, data: Any) -> None:
    if not x.ndim:
        return
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    t = tensor(backend, x)
    order = np.argsort(x, axis=axis, stable=True)
    np.testing.assert_array_equal(values(tn.argsort(t, axis=axis)), order)
    same(tn.sort(t, axis=axis), np.take_along_axis(x, order, axis))
    order = descending(x, axis)
    np.testing.assert_array_equal(values(tn.argsort(t, axis=axis, descending=True)), order)
    same(tn.sort(t, axis=axis, descending=True), np.take_along_axis(x, order, axis))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_special_numbers_are_ordered_as_in_numpy(backend: str, dtype: str) -> None:
    x = SPECIAL.astype(dtype)
    t = tensor(backend, x)
    np.testing.assert_array_equal(values(tn.argsort(t)), np.argsort(x, stable=True))
    np.testing.assert_array_equal(values(tn.argsort(t, descending=True)), descending(x, 0))
    for name in ("argmax", "argmin", "max", "min"):
        agree(lambda name=name: getattr(tn, name)(t), lambda name=name: getattr(np, name)(x))
    for rest in (x[1:7], x[10:11], x[2:4], x[3:1:-1]):
        for name in ("argmax", "argmin"):
            agree(
                lambda name=name, rest=rest: getattr(tn, name)(tensor(backend, rest)),
                lambda name=name, rest=rest: getattr(np, name)(rest),
            )
    y = x[::-1].copy()
    for name in ("maximum", "minimum"):
        found, wanted = values(getattr(tn, name)(t, tensor(backend, y))), getattr(np, name)(x, y)
        np.testing.assert_array_equal(found, wanted)


@given(x=arrays(REAL), data=st.data())
def test_extremes_and_their_places(backend: str, x: Any, data: Any) -> None:
    axis = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1))) if x.ndim else None
    keepdims = data.draw(st.booleans())
    t = tensor(backend, x)
    for name in ("argmax", "argmin", "max", "min"):
        # Which zero is the greatest of 0.0 and -0.0, neither the standard nor NumPy says.
        zero = 0.0 if x.dtype.kind == "f" and name in ("max", "min") else None

        def ours(name: str = name, zero: Any = zero) -> Any:
            found = getattr(tn, name)(t, axis=axis, keepdims=keepdims)
            return found if zero is None else found + zero

        def numpys(name: str = name, zero: Any = zero) -> Any:
            found = getattr(np, name)(x, axis=axis, keepdims=keepdims)
            return found if zero is None else found + zero

        error = agree(ours, numpys)
        assert error is None or isinstance(error, ShapeError)


@given(x=arrays(REAL, shape=st.integers(0, 6).map(lambda n: (n,))), data=st.data())
def test_searchsorted(backend: str, x: Any, data: Any) -> None:
    x = np.sort(x)
    y = data.draw(arrays((x.dtype.name,)))
    for side in ("left", "right"):
        found = tn.searchsorted(tensor(backend, x), tensor(backend, y), side=side)
        same(found, np.searchsorted(x, y, side=side), dtype=False)


@pytest.mark.parametrize("rank", [9, 12, 16])
def test_orders_of_many_axes(backend: str, rank: int) -> None:
    x = np.random.default_rng(0).permutation(27).reshape(wide(rank, 3)).astype(float)
    t = tensor(backend, x)
    for axis in (0, rank // 2, -1):
        same(tn.sort(t, axis=axis), np.sort(x, axis=axis))
        same(tn.argsort(t, axis=axis), np.argsort(x, axis=axis))
        same(tn.argmax(t, axis=axis), np.argmax(x, axis=axis))
        same(tn.max(t, axis=axis, keepdims=True), np.max(x, axis=axis, keepdims=True))


def test_what_has_no_order_says_so_in_the_same_words() -> None:
    z, b = np.array([1j, 2.0]), np.array([True, False])
    for name in ("sort", "argsort", "max", "min", "argmax", "argmin"):
        refusal(DTypeError, lambda x, name=name: getattr(tn, name)(tensor(x, z)), name, "real numbers", "complex128")
        refusal(DTypeError, lambda x, name=name: getattr(tn, name)(tensor(x, b)), name, "real numbers", "bool")
    for name in ("max", "min", "argmax", "argmin"):
        refusal(ShapeError, lambda x, name=name: getattr(tn, name)(tensor(x, np.zeros((0, 3)))), name, "(0, 3)")
        refusal(ShapeError, lambda x, name=name: getattr(tn, name)(tensor(x, np.zeros((0, 3))), axis=0), name, "(0, 3)")
    for name in ("sort", "argsort"):
        refusal(AxisError, lambda x, name=name: getattr(tn, name)(tensor(x, 1.0)), name, "0 axes")
        refusal(AxisError, lambda x, name=name: getattr(tn, name)(tensor(x, np.ones(3)), axis=1), name, "axis 1")
    refusal(ShapeError, lambda x: tn.searchsorted(tensor(x, np.ones((2, 2))), tensor(x, 1.0)), "(2, 2)")
    refusal(ShapeError, lambda x: tn.searchsorted(tensor(x, np.ones(2)), tensor(x, 1.0), side="middle"), "'middle'")
