"""Reshape and views: numbers that only change their places."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria_conformance.claims import exactly, same
from tensoria_conformance.contracts import NotApplicable, contract
from tensoria_conformance.strategies import floats, shapes

MANIPULATION = "Array API 2025.12, Manipulation functions"
CUBE = np.arange(24.0).reshape(2, 3, 4)


@contract(
    "reshape",
    rule="reshape keeps the order of the elements, the last axis running fastest.",
    source="Array API 2025.12, reshape",
    x=floats(shapes(max_dims=4)),
    last=st.booleans(),
)
def test_reshape_keeps_row_major_order(xp: Any, x: Any, last: bool) -> None:
    exactly(xp.reshape(xp.asarray(x), (-1,)), x.reshape(-1))
    shape = (*x.shape, 1) if last else (1, *x.shape)
    exactly(xp.reshape(xp.asarray(x), shape), x.reshape(shape))


@contract(
    "reshape", rule="One size of a shape may be -1; it follows from the others.", source="Array API 2025.12, reshape"
)
def test_one_size_follows_from_the_others(xp: Any) -> None:
    for shape in ((4, -1), (-1, 6), (2, -1, 2)):
        exactly(xp.reshape(xp.asarray(CUBE), shape), CUBE.reshape(shape))


@contract(
    "reshape",
    rule="reshape reads a transposed array in its new order, not in its memory's.",
    source="Array API 2025.12, reshape",
    order=st.permutations(range(3)),
)
def test_reshape_does_not_see_memory(xp: Any, order: Any) -> None:
    t = xp.permute_dims(xp.asarray(CUBE), tuple(order))
    exactly(xp.reshape(t, (6, 4)), CUBE.transpose(order).reshape(6, 4))


@contract(
    "reshape",
    rule="permute_dims, moveaxis and mT move axes, and nothing else.",
    source=MANIPULATION,
    order=st.permutations(range(3)),
)
def test_axes_are_permuted(xp: Any, order: Any) -> None:
    t = xp.asarray(CUBE)
    exactly(xp.permute_dims(t, tuple(order)), CUBE.transpose(order))
    exactly(xp.moveaxis(t, 0, order[0]), np.moveaxis(CUBE, 0, order[0]))
    exactly(t.mT, np.swapaxes(CUBE, 1, 2))


@contract("reshape", rule="expand_dims and squeeze undo each other.", source=MANIPULATION, axis=st.integers(-4, 3))
def test_axes_of_size_one_come_and_go(xp: Any, axis: int) -> None:
    t = xp.expand_dims(xp.asarray(CUBE), axis=axis)
    exactly(t, np.expand_dims(CUBE, axis))
    exactly(xp.squeeze(t, axis=axis), CUBE)


@contract(
    "reshape",
    rule="flip reverses axes; all of them without an axis.",
    source=MANIPULATION,
    axis=st.sampled_from((None, 0, -1, (0, 2))),
)
def test_flip_reverses(xp: Any, axis: Any) -> None:
    exactly(xp.flip(xp.asarray(CUBE), axis=axis), np.flip(CUBE, axis))


@contract(
    "reshape",
    rule="roll moves elements around the end; over all axes without an axis.",
    source=MANIPULATION,
    shift=st.integers(-5, 5),
    axis=st.sampled_from((None, 0, 1, -1)),
)
def test_roll_goes_around(xp: Any, shift: int, axis: Any) -> None:
    exactly(xp.roll(xp.asarray(CUBE), shift, axis=axis), np.roll(CUBE, shift, axis))


@contract(
    "reshape",
    rule="concat joins along an axis that is there; stack along a new one, which unstack takes apart.",
    source=MANIPULATION,
    axis=st.integers(-2, 1),
    x=floats((2, 2)),
    y=floats((2, 2)),
)
def test_arrays_are_joined(xp: Any, axis: int, x: Any, y: Any) -> None:
    t, u = xp.asarray(x), xp.asarray(y)
    exactly(xp.concat([t, u], axis=axis), np.concatenate([x, y], axis))
    stacked = xp.stack([t, u], axis=axis)
    exactly(stacked, np.stack([x, y], axis))
    for got, want in zip(xp.unstack(stacked, axis=axis), (x, y), strict=True):
        exactly(got, want)


@contract(
    "reshape", rule="repeat repeats elements, tile the whole array.", source=MANIPULATION, count=st.integers(1, 3)
)
def test_repeat_and_tile(xp: Any, count: int) -> None:
    t = xp.asarray(CUBE)
    exactly(xp.repeat(t, count, axis=1), np.repeat(CUBE, count, axis=1))
    exactly(xp.tile(t, (count, 1, 2)), np.tile(CUBE, (count, 1, 2)))


@contract(
    "reshape",
    rule="What is computed of a view is what is computed of a copy.",
    source="Array API 2025.12, Copy-view behaviour",
    key=st.sampled_from(
        ((slice(None, None, -1), ...), (..., slice(None, None, 2)), (0, ...), (slice(1, 2), 1, slice(None)))
    ),
)
def test_views_compute_like_copies(xp: Any, key: Any) -> None:
    view, want = xp.permute_dims(xp.asarray(CUBE), (2, 0, 1))[key], CUBE.transpose(2, 0, 1)[key]
    same(view * 2.0 + view, want * 3.0)
    same(xp.sum(view, axis=-1), want.sum(axis=-1))
    same(tn.einsum("...i,...i->...", view, view), np.einsum("...i,...i->...", want, want))


@contract(
    "reshape",
    rule="A pattern splits and merges axes in the order in which it names them.",
    source="einops, Rogozhnikov 2022",
)
def test_patterns_split_and_merge(xp: Any) -> None:
    try:
        tn.rearrange(xp.asarray(CUBE), "a b c -> c b a")
    except RuntimeError as unknown:
        if "unknown to einops" in str(unknown):
            raise NotApplicable(str(unknown)) from None
        raise
    exactly(
        tn.rearrange(xp.asarray(CUBE), "a b (c d) -> (b a) d c", c=2),
        CUBE.reshape(2, 3, 2, 2).transpose(1, 0, 3, 2).reshape(6, 2, 2),
    )
    same(tn.reduce(xp.asarray(CUBE), "a b c -> b a", "sum"), CUBE.sum(axis=2).T)


@contract(
    "reshape",
    rule="tril and triu keep what lies on and beside a diagonal, of stacks as well.",
    source="Array API 2025.12, tril, triu",
    k=st.integers(-3, 3),
)
def test_triangles(xp: Any, k: int) -> None:
    exactly(xp.tril(xp.asarray(CUBE), k=k), np.tril(CUBE, k))
    exactly(xp.triu(xp.asarray(CUBE), k=k), np.triu(CUBE, k))
