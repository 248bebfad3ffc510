"""Exterior algebra in programs: traced with symbolic arrays, whose data nobody can see, and run on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import native, values

import tensoria as tn

V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
i, j, k = tn.indices("i j k", V)
rng = np.random.default_rng(0)
SKEW = np.array([[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]])
MAP, METRIC, VECTOR = rng.normal(size=(3, 3)), np.eye(3) + 0.1, rng.normal(size=3)
OPERATIONS: dict[str, Callable[..., tn.Tensor]] = {
    "wedge": lambda F, A, g, v: tn.wedge(F, v.lowered()),
    "wedge with a constant": lambda F, A, g, v: tn.wedge(tn.tensor(SKEW, [-i, -j], backend="numpy"), v.lowered()),
    "interior": lambda F, A, g, v: tn.interior(v, F),
    "star": lambda F, A, g, v: tn.hodge(F),
    "star of a metric": lambda F, A, g, v: tn.hodge(F, metric=g),
    "brackets": lambda F, A, g, v: tn.einsum("_i _j, ^j _k -> _[i k]", F, A)["_(a b)"] + A.lowered()["_[a b]"],
    "a constant in brackets": lambda F, A, g, v: tn.einsum("_[i j], ^j -> _i", tn.tensor(SKEW, [-i, -j]), v),
    "determinant": lambda F, A, g, v: tn.det(A) * v,
    "pullback": lambda F, A, g, v: tn.pullback(A, F),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_traced_operation_is_the_operation(backend: str, name: str) -> None:
    def arguments(on: str) -> list[Any]:
        data: list[tuple[Any, list[Any]]] = [(SKEW, [-i, -j]), (MAP, [i, -j]), (METRIC, [-i, -j]), (VECTOR, [j])]
        return [tn.tensor(native(on, x), labels) for x, labels in data]

    expected = OPERATIONS[name](*arguments("numpy"))
    got = tn.trace(OPERATIONS[name], *arguments(backend)).run(*arguments(backend))
    assert got.backend == backend
    assert got.axes is expected.axes
    np.testing.assert_allclose(values(got), values(expected), atol=1e-12)
