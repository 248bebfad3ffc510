"""Reductions: many numbers become one, along some axes or along all."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tensoria_conformance.claims import exactly, same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import booleans, floats, integers

STATISTICAL = "Array API 2025.12, Statistical functions"
AXES = st.sampled_from((None, 0, -1, (0, 2), (1,)))
nan, inf = float("nan"), float("inf")


@contract(
    "reductions",
    rule="sum and mean go over one axis, several, or all.",
    source=STATISTICAL,
    x=floats((2, 3, 2)),
    axis=AXES,
)
def test_sums_go_over_axes(xp: Any, x: Any, axis: Any) -> None:
    same(xp.sum(xp.asarray(x), axis=axis), x.sum(axis=axis))
    same(xp.mean(xp.asarray(x), axis=axis), x.mean(axis=axis))


@contract(
    "reductions",
    rule="prod multiplies along axes.",
    source=STATISTICAL,
    x=floats((2, 3, 2), low=0.5, high=2.0),
    axis=AXES,
)
def test_products_go_over_axes(xp: Any, x: Any, axis: Any) -> None:
    same(xp.prod(xp.asarray(x), axis=axis), x.prod(axis=axis))


@contract(
    "reductions",
    rule="max and min return an element, never another number.",
    source=STATISTICAL,
    x=floats((2, 3, 2)),
    axis=AXES,
)
def test_extremes_are_elements(xp: Any, x: Any, axis: Any) -> None:
    exactly(xp.max(xp.asarray(x) + 0.0, axis=axis), (x + 0.0).max(axis=axis))
    exactly(xp.min(xp.asarray(x) + 0.0, axis=axis), (x + 0.0).min(axis=axis))


@contract(
    "reductions",
    rule="var and std divide by the number of elements less the correction.",
    source=STATISTICAL,
    x=floats((3, 4)),
    correction=st.sampled_from((0, 1, 0.5)),
)
def test_variances_have_a_correction(xp: Any, x: Any, correction: float) -> None:
    same(xp.var(xp.asarray(x), axis=1, correction=correction), x.var(axis=1) * 4 / (4 - correction))
    same(xp.std(xp.asarray(x), correction=correction), np.sqrt(x.var() * 12 / (12 - correction)))


@contract("reductions", rule="keepdims leaves axes of size 1.", source=STATISTICAL, axis=AXES)
def test_kept_axes_have_size_one(xp: Any, axis: Any) -> None:
    x = np.arange(12.0).reshape(2, 3, 2)
    for name in ("sum", "max", "mean"):
        same(getattr(xp, name)(xp.asarray(x), axis=axis, keepdims=True), getattr(np, name)(x, axis=axis, keepdims=True))


@contract(
    "reductions",
    rule="The sum of nothing is 0, the product 1, all of nothing holds and any does not.",
    source=f"{STATISTICAL}; all, any",
)
def test_reductions_of_nothing_are_neutral(xp: Any) -> None:
    x = np.ones((0, 3))
    same(xp.sum(xp.asarray(x), axis=0), np.zeros(3))
    same(xp.prod(xp.asarray(x), axis=0), np.ones(3))
    exactly(xp.all(xp.asarray(x == 0), axis=0), np.ones(3, bool))
    exactly(xp.any(xp.asarray(x == 0), axis=0), np.zeros(3, bool))


@contract(
    "reductions",
    rule="NaN is never lost: sums, maxima and minima that have seen one are NaN.",
    source="Array API 2025.12, max, min, sum: special cases",
    place=st.integers(0, 3),
)
def test_nan_is_never_lost(xp: Any, place: int) -> None:
    x = np.array([1.0, inf, -inf, 0.0])
    x[place] = nan
    for name in ("max", "min", "sum", "mean", "prod"):
        exactly(getattr(xp, name)(xp.asarray(x)), np.float64(nan))


@contract(
    "reductions",
    rule="all and any are conjunction and disjunction.",
    source="Array API 2025.12, Utility functions",
    p=booleans((2, 3)),
    axis=st.sampled_from((None, 0, 1)),
)
def test_all_and_any(xp: Any, p: Any, axis: Any) -> None:
    exactly(xp.all(xp.asarray(p), axis=axis), p.all(axis=axis))
    exactly(xp.any(xp.asarray(p), axis=axis), p.any(axis=axis))


@contract(
    "reductions",
    rule="Cumulative sums and products end at the sum and the product, and may begin at 0 and 1.",
    source="Array API 2025.12, cumulative_sum, cumulative_prod",
    x=floats((3, 2), low=0.5, high=2.0),
    initial=st.booleans(),
)
def test_cumulative_sums_begin_where_they_are_told(xp: Any, x: Any, initial: bool) -> None:
    def begun(array: Any, start: float) -> Any:
        return np.concatenate([np.full((1, 2), start), array]) if initial else array

    same(xp.cumulative_sum(xp.asarray(x), axis=0, include_initial=initial), begun(np.cumsum(x, axis=0), 0.0))
    same(xp.cumulative_prod(xp.asarray(x), axis=0, include_initial=initial), begun(np.cumprod(x, axis=0), 1.0))


@contract(
    "reductions",
    rule="diff is the difference of neighbours, n times.",
    source="Array API 2025.12, diff",
    x=integers((3, 5)),
    n=st.integers(0, 3),
)
def test_differences_of_neighbours(xp: Any, x: Any, n: int) -> None:
    exactly(xp.diff(xp.asarray(x), axis=1, n=n), np.diff(x, axis=1, n=n))


@contract(
    "reductions",
    rule="A long sum in single precision has the error of pairwise summation, not of one by one.",
    source="Higham, Accuracy and Stability of Numerical Algorithms, 4.2",
)
def test_long_sums_stay_accurate(xp: Any) -> None:
    x = np.full(1 << 16, 0.1, "float32")
    same(xp.sum(xp.asarray(x)), np.float32(np.sum(x.astype("float64"))), rtol=1e-5)


@contract(
    "reductions",
    rule="count_nonzero counts what is not zero.",
    source="Array API 2025.12, count_nonzero",
    x=integers((3, 4), low=-1, high=1),
)
def test_nonzero_elements_are_counted(xp: Any, x: Any) -> None:
    got = xp.count_nonzero(xp.asarray(x), axis=0)
    same(got, np.count_nonzero(x, axis=0), dtype=got.dtype.name)
    assert got.dtype.kind == "int"
