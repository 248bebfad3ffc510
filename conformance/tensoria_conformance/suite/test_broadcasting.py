"""Broadcasting: arrays of several shapes meet as if their axes of size 1 were repeated."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import ShapeError
from tensoria_conformance.claims import exactly, refused, same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import broadcastable, floats

BROADCASTING = "Array API 2025.12, Broadcasting"


def drawn(count: int = 2) -> st.SearchStrategy[Any]:
    """Arrays whose shapes broadcast."""
    return broadcastable(count).flatmap(lambda found: st.tuples(*map(floats, found)))


@contract(
    "broadcasting",
    rule="Operands of operators broadcast from the last axis.",
    source=BROADCASTING,
    pair=drawn(),
    examples=40,
)
def test_operands_broadcast_from_the_last_axis(xp: Any, pair: Any) -> None:
    x, y = pair
    same(xp.asarray(x) + xp.asarray(y), x + y)
    same(xp.asarray(x) * xp.asarray(y), x * y)
    same(xp.asarray(x) - xp.asarray(y), x - y)


@contract(
    "broadcasting",
    rule="Operands of functions broadcast as those of operators do.",
    source=BROADCASTING,
    pair=drawn(),
    examples=40,
)
def test_functions_of_two_arrays_broadcast(xp: Any, pair: Any) -> None:
    x, y = pair
    same(xp.maximum(xp.asarray(x), xp.asarray(y)), np.maximum(x, y))
    same(xp.atan2(xp.asarray(x), xp.asarray(y)), np.arctan2(x, y))


@contract(
    "broadcasting",
    rule="Comparisons broadcast, and their results are booleans.",
    source=BROADCASTING,
    pair=drawn(),
    examples=40,
)
def test_comparisons_broadcast(xp: Any, pair: Any) -> None:
    x, y = pair
    exactly(xp.asarray(x) < xp.asarray(y), x < y)
    exactly(xp.asarray(x) == xp.asarray(y), x == y)


@contract(
    "broadcasting",
    rule="where broadcasts its condition with both choices.",
    source="Array API 2025.12, where",
    three=drawn(3),
)
def test_where_broadcasts_all_three(xp: Any, three: Any) -> None:
    x, y, z = three
    exactly(xp.where(xp.asarray(x > 0), xp.asarray(y), xp.asarray(z)), np.where(x > 0, y, z))


@contract(
    "broadcasting",
    rule="broadcast_to and broadcast_arrays repeat along axes of size 1.",
    source="Array API 2025.12, broadcast_to, broadcast_arrays",
    pair=drawn(),
)
def test_arrays_are_broadcast_to_a_shape(xp: Any, pair: Any) -> None:
    x, y = np.broadcast_arrays(*pair)
    exactly(xp.broadcast_to(xp.asarray(pair[0]), x.shape), x)
    first, second = xp.broadcast_arrays(xp.asarray(pair[0]), xp.asarray(pair[1]))
    exactly(first, x)
    exactly(second, y)


@contract("broadcasting", rule="An axis of size 0 broadcasts with one of size 1, and stays empty.", source=BROADCASTING)
def test_empty_axes_broadcast(xp: Any) -> None:
    x, y = np.ones((0, 3)), np.ones((1, 3))
    same(xp.asarray(x) + xp.asarray(y), x + y)
    same(xp.asarray(x) * xp.asarray(1.0, dtype="float64"), x)


@contract(
    "broadcasting",
    rule="Shapes that do not broadcast are refused with both shapes, and nothing is computed.",
    source=f"{BROADCASTING}; docs/rules.md, errors",
)
def test_shapes_that_do_not_broadcast_are_refused(xp: Any) -> None:
    def of_ones(call: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
        return lambda xp: call(xp.ones((2,)), xp.ones((3,)))

    for call in (operator.add, operator.mul, operator.lt, tn.maximum):
        refused(ShapeError, of_ones(call), xp, "(2,)", "(3,)")


@contract(
    "broadcasting",
    rule="Plain named axes broadcast by name, wherever they stand.",
    source="docs/rules.md, rules 3 and 5",
    x=floats((2, 3)),
    y=floats((3,)),
)
def test_named_axes_broadcast_by_name(xp: Any, x: Any, y: Any) -> None:
    t, u = xp.asarray(x)["sample", "feature"], xp.asarray(y)["feature"]
    same(t + u, x + y, axes="sample feature")
    same(u * t, x.T * y[:, None], axes="feature sample")
    same(tn.maximum(t, u), np.maximum(x, y), axes="sample feature")
