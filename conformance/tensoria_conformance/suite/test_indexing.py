"""Indexing: what stands in square brackets, read and assigned."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensoria as tn
from tensoria.errors import AxisError
from tensoria_conformance.claims import exactly, refused
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import booleans

INDEXING = "Array API 2025.12, Indexing"
CUBE = np.arange(24.0).reshape(2, 3, 4)
KEYS, PLACES = (hnp.basic_indices(CUBE.shape, allow_newaxis=newaxis) for newaxis in (True, False))


@contract(
    "indexing",
    rule="Integers, slices, ... and None select as in NumPy.",
    source=f"{INDEXING}, Multi-axis indexing",
    key=KEYS,
    examples=60,
)
def test_basic_keys_select(xp: Any, key: Any) -> None:
    exactly(xp.asarray(CUBE)[key], CUBE[key])


@contract(
    "indexing",
    rule="Assigning changes what the key selects, and nothing else.",
    source=INDEXING,
    key=PLACES,
    examples=40,
)
def test_basic_keys_assign(xp: Any, key: Any) -> None:
    t, want = xp.asarray(CUBE.copy(), copy=True), CUBE.copy()
    value = 100.0 + np.arange(want[key].size).reshape(want[key].shape)
    t[key] = xp.asarray(value)
    want[key] = value
    exactly(t, want)


@contract(
    "indexing", rule="A number is assigned to every place that is selected.", source=INDEXING, key=PLACES, examples=20
)
def test_a_number_is_assigned_everywhere(xp: Any, key: Any) -> None:
    t, want = xp.asarray(CUBE.copy(), copy=True), CUBE.copy()
    t[key] = -1.0
    want[key] = -1.0
    exactly(t, want)


@contract(
    "indexing",
    rule="A mask selects where it is true, in row-major order.",
    source=f"{INDEXING}, Boolean array indexing",
    mask=booleans((2, 3, 4)),
)
def test_masks_select(xp: Any, mask: Any) -> None:
    exactly(xp.asarray(CUBE)[xp.asarray(mask)], CUBE[mask])


@contract(
    "indexing",
    rule="A mask assigns where it is true.",
    source=f"{INDEXING}, Boolean array indexing",
    mask=booleans((2, 3, 4)),
)
def test_masks_assign(xp: Any, mask: Any) -> None:
    t, want = xp.asarray(CUBE.copy(), copy=True), CUBE.copy()
    t[xp.asarray(mask)] = 0.5
    want[mask] = 0.5
    exactly(t, want)


@contract(
    "indexing",
    rule="Integer arrays gather elements, negative positions from the end.",
    source=f"{INDEXING}, Integer array indexing",
    rows=st.lists(st.integers(-2, 1), min_size=3, max_size=3),
    columns=st.lists(st.integers(-3, 2), min_size=3, max_size=3),
)
def test_integer_arrays_gather(xp: Any, rows: Any, columns: Any) -> None:
    t, i, j = xp.asarray(CUBE), np.array(rows), np.array(columns)
    exactly(t[xp.asarray(i), xp.asarray(j), xp.asarray(i)], CUBE[i, j, i])
    exactly(t[0, 0, ...][xp.asarray(i)], CUBE[0, 0][i])


@contract(
    "indexing",
    rule="take gathers along one axis, take_along_axis element by element.",
    source="Array API 2025.12, take, take_along_axis",
    axis=st.integers(-3, 2),
)
def test_take_gathers_along_an_axis(xp: Any, axis: int) -> None:
    positions = np.array([1, 0, 1])
    exactly(xp.take(xp.asarray(CUBE), xp.asarray(positions), axis=axis), np.take(CUBE, positions, axis=axis))
    order = np.argsort(-CUBE, axis=axis)
    exactly(
        xp.take_along_axis(xp.asarray(CUBE), xp.asarray(order), axis=axis), np.take_along_axis(CUBE, order, axis=axis)
    )


@contract(
    "indexing", rule="A tensor of integers without axes is a position.", source="Array API 2025.12, __index__; Indexing"
)
def test_a_scalar_tensor_is_a_position(xp: Any) -> None:
    t = xp.asarray(CUBE)
    exactly(t[xp.asarray(1), 0, 2], CUBE[1, 0, 2])
    exactly(t[0, 1, xp.asarray(-1)], CUBE[0, 1, -1])


@contract(
    "indexing", rule="A position out of range is an IndexError, not a number.", source=f"{INDEXING}; Python, IndexError"
)
def test_positions_out_of_range_are_index_errors(xp: Any) -> None:
    t = xp.asarray(CUBE)
    for key in (2, -3, (0, 3), (0, 0, 0, 0)):
        try:
            found = t[key]
        except IndexError:
            continue
        raise AssertionError(f"t[{key}] is {found!r}")


@contract(
    "indexing",
    rule="A copy does not see what is assigned to the original.",
    source="Array API 2025.12, asarray, copy=True",
)
def test_a_copy_keeps_its_numbers(xp: Any) -> None:
    t = xp.asarray(CUBE.copy(), copy=True)
    kept = xp.asarray(t, copy=True)
    t[0, ...] = 0.0
    exactly(kept, CUBE)


@contract(
    "indexing",
    rule="nonzero and a mask agree on what is selected.",
    source="Array API 2025.12, nonzero",
    mask=booleans((3, 4)),
)
def test_nonzero_finds_what_a_mask_selects(xp: Any, mask: Any) -> None:
    for got, want in zip(xp.nonzero(xp.asarray(mask)), np.nonzero(mask), strict=True):
        exactly(got, want)


@contract(
    "indexing",
    rule="A sliced index becomes a plain axis; a slice that takes everything keeps it; an integer removes it.",
    source="docs/rules.md, rule 1",
)
def test_part_of_a_space_is_a_plain_axis(xp: Any) -> None:
    P = tn.Space("P", 3, privileged=True)
    t = tn.tensor(xp.asarray(np.arange(6.0).reshape(2, 3)), "b ^p", p=P)
    for key, axes in (((0,), "^p"), ((slice(None), slice(0, 2)), "b p"), ((slice(None), slice(None)), "b ^p")):
        got = t[key]
        assert str(got.axes) == axes
        exactly(got.components, np.arange(6.0).reshape(2, 3)[key])
    refused(AxisError, lambda xp: tn.tensor(xp.ones((2, 3)), "b ^p", p=P)[0, 0, 0], xp)
