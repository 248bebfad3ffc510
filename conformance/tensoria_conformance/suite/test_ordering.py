"""Ordering: sorting, searching, and sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tensoria_conformance.claims import exactly, numbers
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import floats, integers

SETS = "Array API 2025.12, Set functions"
FEW = integers((3, 5), low=-2, high=2)


@contract(
    "ordering",
    rule="sort puts an axis in order, ascending or descending.",
    source="Array API 2025.12, sort",
    x=floats((3, 4)),
    axis=st.sampled_from((0, 1, -1)),
    descending=st.booleans(),
)
def test_sort_orders_an_axis(xp: Any, x: Any, axis: int, descending: bool) -> None:
    x = x + 0.0
    want = np.sort(x, axis=axis)
    exactly(xp.sort(xp.asarray(x), axis=axis, descending=descending), np.flip(want, axis) if descending else want)


@contract(
    "ordering",
    rule="argsort is a permutation that sorts.",
    source="Array API 2025.12, argsort",
    x=FEW,
    descending=st.booleans(),
)
def test_argsort_is_a_permutation_that_sorts(xp: Any, x: Any, descending: bool) -> None:
    order = numbers(xp.argsort(xp.asarray(x), descending=descending))
    np.testing.assert_array_equal(np.sort(order, axis=-1), np.broadcast_to(np.arange(5), (3, 5)))
    steps = np.diff(np.take_along_axis(x, order, axis=-1), axis=-1)
    assert (steps <= 0 if descending else steps >= 0).all(), f"{x} is not in order by {order}"


@contract(
    "ordering",
    rule="Equal elements keep their order, descending as well.",
    source="Array API 2025.12, argsort, stable=True",
    x=FEW,
    descending=st.booleans(),
)
def test_sorting_is_stable(xp: Any, x: Any, descending: bool) -> None:
    want = np.argsort(-x if descending else x, axis=-1, kind="stable")
    got = xp.argsort(xp.asarray(x), descending=descending, stable=True)
    exactly(got, want, dtype=got.dtype.name)


@contract(
    "ordering",
    rule="argmax and argmin are the first of equal extremes.",
    source="Array API 2025.12, argmax, argmin",
    x=FEW,
    axis=st.sampled_from((None, 0, 1)),
)
def test_the_first_of_equal_extremes_counts(xp: Any, x: Any, axis: Any) -> None:
    for name in ("argmax", "argmin"):
        got = getattr(xp, name)(xp.asarray(x), axis=axis)
        exactly(got, getattr(np, name)(x, axis=axis), dtype=got.dtype.name)


@contract(
    "ordering",
    rule="searchsorted finds the place before equal elements, or after them.",
    source="Array API 2025.12, searchsorted",
    x=integers((6,), low=-3, high=3),
    v=integers((4,), low=-4, high=4),
    side=st.sampled_from(("left", "right")),
)
def test_places_are_found_on_either_side(xp: Any, x: Any, v: Any, side: str) -> None:
    x = np.sort(x)
    got = xp.searchsorted(xp.asarray(x), xp.asarray(v), side=side)
    exactly(got, np.searchsorted(x, v, "right" if side == "right" else "left"), dtype=got.dtype.name)


@contract("ordering", rule="unique_values has every value once.", source=SETS, x=FEW)
def test_every_value_once(xp: Any, x: Any) -> None:
    got = numbers(xp.unique_values(xp.asarray(x)))
    np.testing.assert_array_equal(np.sort(got), np.unique(x))


@contract("ordering", rule="unique_inverse puts the values back, and unique_counts counts them.", source=SETS, x=FEW)
def test_unique_values_know_where_they_were(xp: Any, x: Any) -> None:
    found = xp.unique_inverse(xp.asarray(x))
    np.testing.assert_array_equal(numbers(found.values)[numbers(found.inverse_indices)], x)
    counted = xp.unique_counts(xp.asarray(x))
    for value, count in zip(numbers(counted.values), numbers(counted.counts), strict=True):
        assert (x == value).sum() == count


@contract(
    "ordering", rule="unique_all gives the first place of every value.", source="Array API 2025.12, unique_all", x=FEW
)
def test_unique_values_know_their_first_places(xp: Any, x: Any) -> None:
    found = xp.unique_all(xp.asarray(x))
    for value, place in zip(numbers(found.values), numbers(found.indices), strict=True):
        assert np.flatnonzero(x == value)[0] == place


@contract(
    "ordering",
    rule="isin says which elements are members.",
    source="Array API 2025.12, isin",
    x=FEW,
    invert=st.booleans(),
)
def test_membership(xp: Any, x: Any, invert: bool) -> None:
    members = np.array([0, 2, 7])
    exactly(xp.isin(xp.asarray(x), xp.asarray(members), invert=invert), np.isin(x, members, invert=invert))


@contract(
    "ordering",
    rule="NaN is no value equal to another: each of them is unique.",
    source="Array API 2025.12, unique_values: NaN",
)
def test_every_nan_is_unique(xp: Any) -> None:
    got = numbers(xp.unique_values(xp.asarray(np.array([1.0, np.nan, 1.0, np.nan]))))
    assert np.isnan(got).sum() == 2
    assert got.shape == (3,)


@contract(
    "ordering",
    rule="maximum, minimum and clip choose one of their operands.",
    source="Array API 2025.12, maximum, minimum, clip",
    x=floats((4,)),
    low=st.floats(-5, 0),
    width=st.floats(0, 5),
)
def test_clip_stays_between_its_limits(xp: Any, x: Any, low: float, width: float) -> None:
    x = x + 0.0
    exactly(xp.clip(xp.asarray(x), low, low + width) + 0.0, np.clip(x, low, low + width) + 0.0)
    exactly(xp.maximum(xp.asarray(x), xp.asarray(x[::-1].copy())), np.maximum(x, x[::-1]))
    exactly(xp.minimum(xp.asarray(x), xp.asarray(x[::-1].copy())), np.minimum(x, x[::-1]))
