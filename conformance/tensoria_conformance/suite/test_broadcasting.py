"""Broadcasting: arrays of several shapes meet as if their axes of size 1 were repeated."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tensoria_conformance.claims import same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import broadcastable, floats

BROADCASTING = "Array API 2025.12, Broadcasting"


@contract("broadcasting", rule="Operands of operators broadcast from the last axis.", source=BROADCASTING,
          pair=broadcastable().flatmap(lambda two: st.tuples(*map(floats, two))))  # fmt: skip
def test_operands_broadcast_from_the_last_axis(xp: Any, pair: Any) -> None:
    x, y = pair
    same(xp.asarray(x) + xp.asarray(y), x + y)
    same(xp.asarray(x) * xp.asarray(y), x * y)
