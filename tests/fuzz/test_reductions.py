"""Sums, products, means, truth and running totals over any axes, of nothing and of everything, as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import refusal
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, DTypeError

from .drawn import COMPLEX, FLOATS, INTS, UINTS, agree, arrays, tensor, wide

ANY = ("bool", *INTS, *UINTS, *FLOATS, *COMPLEX)
SUMS = ("sum", "prod")
MOMENTS = ("mean", "var", "std")


@st.composite
def axes(draw: Any, ndim: int) -> Any:
    """None, one axis, or several, counted from either end."""
    if not ndim or draw(st.booleans()):
        return draw(st.sampled_from([None, ()])) if not ndim else None
    if draw(st.booleans()):
        return draw(st.integers(-ndim, ndim - 1))
    chosen = draw(st.lists(st.integers(0, ndim - 1), unique=True, max_size=ndim))
    return tuple(n - ndim * draw(st.booleans()) for n in chosen)


def accumulated(name: str, x: Any, **options: Any) -> Any:
    """NumPy's result; it accumulates float32 in float32, integers and truth values in 64 bits, as the standard asks."""
    return getattr(np, name)(x, **options)


@given(x=arrays(ANY, special=False), data=st.data())
def test_sums_and_truth(backend: str, x: Any, data: Any) -> None:
    axis, keepdims = data.draw(axes(x.ndim)), data.draw(st.booleans())
    t = tensor(backend, x)
    for name in (*SUMS, "all", "any"):
        agree(
            lambda name=name: getattr(tn, name)(t, axis=axis, keepdims=keepdims),
            lambda name=name: accumulated(name, x, axis=axis, keepdims=keepdims),
            rtol=1e-5,
        )
    agree(
        lambda: tn.count_nonzero(t, axis=axis, keepdims=keepdims),
        lambda: np.asarray(np.count_nonzero(x, axis=axis, keepdims=keepdims)),
    )


@given(x=arrays((*FLOATS, *COMPLEX), special=False), data=st.data())
def test_moments(backend: str, x: Any, data: Any) -> None:
    axis, keepdims = data.draw(axes(x.ndim)), data.draw(st.booleans())
    t = tensor(backend, x)
    agree(lambda: tn.mean(t, axis=axis, keepdims=keepdims), lambda: np.mean(x, axis=axis, keepdims=keepdims), rtol=1e-5)
    if x.dtype.kind == "f":
        correction = data.draw(st.sampled_from([0, 1, 0.5, 7]))
        for name in ("var", "std"):
            agree(
                lambda name=name: getattr(tn, name)(t, axis=axis, keepdims=keepdims, correction=correction),
                lambda name=name: getattr(np, name)(x, axis=axis, keepdims=keepdims, ddof=correction),
                rtol=1e-4,
            )


@given(x=arrays((*INTS, *UINTS, *FLOATS), special=False), data=st.data())
def test_running_totals(backend: str, x: Any, data: Any) -> None:
    if not x.ndim:
        return
    axis, initial = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.booleans())
    t = tensor(backend, x)
    for name in ("cumulative_sum", "cumulative_prod"):
        agree(
            lambda name=name: getattr(tn, name)(t, axis=axis, include_initial=initial),
            lambda name=name: getattr(np, name)(x, axis=axis, include_initial=initial),
            rtol=1e-5,
        )
    n = data.draw(st.integers(0, 3))
    agree(lambda: tn.diff(t, axis=axis, n=n), lambda: np.diff(x, axis=axis, n=n), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_special_numbers_go_through(backend: str, value: float) -> None:
    x = np.array([[1.0, value], [2.0, 3.0], [value, value]])
    for name in (*SUMS, *MOMENTS, "max", "min", "all", "any"):
        for axis in (None, 0, 1):
            agree(
                lambda name=name, axis=axis: getattr(tn, name)(tensor(backend, x), axis=axis),
                lambda name=name, axis=axis: getattr(np, name)(x, axis=axis),
            )


def test_of_nothing_there_is_a_sum_and_no_mean(backend: str) -> None:
    x = np.zeros((0, 3))
    for name in (*SUMS, *MOMENTS, "all", "any"):
        for axis in (None, 0, 1):
            agree(
                lambda name=name, axis=axis: getattr(tn, name)(tensor(backend, x), axis=axis),
                lambda name=name, axis=axis: getattr(np, name)(x, axis=axis),
            )


@pytest.mark.parametrize("rank", [9, 12, 16])
def test_reductions_of_many_axes(backend: str, rank: int) -> None:
    x = np.random.default_rng(0).normal(size=wide(rank, 3))
    t = tensor(backend, x)
    for axis in (None, 0, -1, (0, rank // 2), tuple(range(1, rank)), tuple(range(0, rank, 2))):
        for keepdims in (False, True):
            for name in (*SUMS, *MOMENTS, "max", "min"):
                agree(
                    lambda name=name, axis=axis, k=keepdims: getattr(tn, name)(t, axis=axis, keepdims=k),
                    lambda name=name, axis=axis, k=keepdims: getattr(np, name)(x, axis=axis, keepdims=k),
                    rtol=1e-12,
                )
            agree(
                lambda axis=axis, k=keepdims: tn.any(t > 0, axis=axis, keepdims=k),
                lambda axis=axis, k=keepdims: np.any(x > 0, axis=axis, keepdims=k),
            )
    for axis in (0, rank // 2, -1):
        agree(
            lambda axis=axis: tn.cumulative_sum(t, axis=axis),
            lambda axis=axis: np.cumulative_sum(x, axis=axis),
            rtol=1e-12,
        )
        agree(lambda axis=axis: tn.diff(t, axis=axis), lambda axis=axis: np.diff(x, axis=axis))


def test_reductions_that_have_no_meaning_say_so_in_the_same_words() -> None:
    for name in (*SUMS, *MOMENTS, "max", "argmin", "all", "any", "count_nonzero"):
        refusal(AxisError, lambda b, name=name: getattr(tn, name)(tensor(b, np.ones((2, 3))), axis=2), name, "axis 2")
        refusal(AxisError, lambda b, name=name: getattr(tn, name)(tensor(b, np.ones((2, 3))), axis=1.5), name, "1.5")
    for name in ("sum", "mean", "max", "all"):
        refusal(AxisError, lambda b, name=name: getattr(tn, name)(tensor(b, np.ones((2, 3))), axis=(0, -2)), "twice")
    for name in MOMENTS:
        refusal(DTypeError, lambda b, name=name: getattr(tn, name)(tensor(b, [1, 2])), name, "floating-point", "int64")
    refusal(AxisError, lambda b: tn.cumulative_sum(tensor(b, np.ones((2, 3)))), "needs an axis")
