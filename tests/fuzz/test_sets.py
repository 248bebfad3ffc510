"""Distinct components, their places and counts, as in NumPy; each NaN is distinct, as the standard has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from across import refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import DTypeError

from .drawn import COMPLEX, FLOATS, INTS, UINTS, arrays, same, tensor, wide

ANY = ("bool", *INTS, *UINTS, *FLOATS, *COMPLEX)


def firsts(x: Any) -> tuple[Any, Any, Any, Any]:
    """NumPy's `unique_all`, with every NaN apart."""
    found = np.unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    return found[0], found[1], found[2].reshape(x.shape), found[3]


@given(x=arrays(ANY))
def test_distinct_components(backend: str, x: Any) -> None:
    t = tensor(backend, x)
    everything = tn.unique_all(t)
    distinct, _, _, counts = firsts(x)
    # 0.0 and -0.0 are one; which of them stands for both is the first in x.
    np.testing.assert_array_equal(values(everything.values), distinct)
    np.testing.assert_array_equal(values(everything.counts), counts)
    assert everything.inverse_indices.shape == x.shape
    np.testing.assert_array_equal(values(everything.values)[values(everything.inverse_indices)], x)
    np.testing.assert_array_equal(x.reshape(-1)[values(everything.indices)], distinct)
    assert all(
        np.all(x.reshape(-1)[:n] != v) for v, n in zip(distinct, values(everything.indices), strict=True) if v == v
    )
    same(tn.unique_values(t), values(everything.values))
    for one, other in zip(tn.unique_counts(t), (distinct, counts), strict=True):
        np.testing.assert_array_equal(values(one), other)
    np.testing.assert_array_equal(values(tn.unique_inverse(t).inverse_indices), values(everything.inverse_indices))


@given(x=arrays(ANY), data=st.data())
def test_isin(backend: str, x: Any, data: Any) -> None:
    y = data.draw(arrays((x.dtype.name,)))
    for invert in (False, True):
        found = tn.isin(tensor(backend, x), tensor(backend, y), invert=invert)
        same(found, np.isin(x, y, invert=invert))


def test_sets_of_many_axes(backend: str) -> None:
    x = (np.arange(8) % 3).reshape(wide(12)).astype(float)
    same(tn.unique_inverse(tensor(backend, x)).inverse_indices, firsts(x)[2])
    same(tn.isin(tensor(backend, x), tensor(backend, x[:1])), np.isin(x, x[:1]))


def test_sets_of_mixed_kinds_are_refused() -> None:
    refusal(DTypeError, lambda b: tn.isin(tensor(b, [1.0]), tensor(b, [1])), "float64", "int64")
