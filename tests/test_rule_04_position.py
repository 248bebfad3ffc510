"""Rule 4: two indices of one name and variance never contract by themselves, unless their space's position is free."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import MetricError, VarianceError

G = np.array([[2.0, 1.0], [1.0, 3.0]])
fixed = tn.Space("fixed", 2, metric=G)
free = tn.Space("free", 2, metric=G, position="free")
apart = tn.Space("apart", 2, metric=G, position="independent")
bare = tn.Space("bare", 2)
x, y = np.array([1.0, 2.0]), np.array([3.0, -1.0])


def up(b: str, space: tn.Space, data: Any = x) -> tn.Tensor:
    return tn.tensor(native(b, data), "^i", i=space)


def down(b: str, space: tn.Space, data: Any = x) -> tn.Tensor:
    return tn.tensor(native(b, data), "_i", i=space)


@pytest.mark.parametrize("space", [fixed, apart, bare])
def test_two_ups_of_one_name_are_an_error_that_proposes_lowered(space: tn.Space) -> None:
    for call in (
        lambda b: up(b, space) * up(b, space, y),
        lambda b: tn.einsum("^i, ^i ->", up(b, space), up(b, space, y)),
        lambda b: tn.einsum("i,i->", up(b, space), up(b, space, y)),
    ):
        refusal(VarianceError, call, "^i", str(space), 'lowered("i")', "Legal:")


def test_a_free_position_inserts_the_metric_in_products(backend: str) -> None:
    expected = x @ G @ y
    assert float(up(backend, free) * up(backend, free, y)) == pytest.approx(expected)
    assert float(down(backend, free) * down(backend, free, y)) == pytest.approx(x @ np.linalg.inv(G) @ y)


@pytest.mark.parametrize("notation", ["i,i->", "^i, ^i ->", "^a, ^a"])
def test_a_free_position_inserts_the_metric_in_einsum(backend: str, notation: str) -> None:
    got = tn.einsum(notation, up(backend, free), up(backend, free, y))
    assert float(got) == pytest.approx(x @ G @ y)


def test_a_free_position_inserts_the_metric_in_traces(backend: str) -> None:
    t = tn.tensor(native(backend, [[1.0, 2.0], [3.0, 4.0]]), "^i ^j", i=free, j=free)
    assert float(t.trace("i", "j")) == pytest.approx(np.einsum("ij,ij->", [[1, 2], [3, 4]], G))
    assert float(tn.einsum("ii->", t)) == pytest.approx(np.einsum("ij,ij->", [[1, 2], [3, 4]], G))


def test_a_free_position_inserts_the_metric_in_sums(backend: str) -> None:
    s = up(backend, free) + down(backend, free, y)
    assert s.indices[0].variance == 1
    np.testing.assert_allclose(values(s), x + np.linalg.inv(G) @ y)


def test_a_free_position_inserts_the_metric_in_a_multilinear_call(backend: str) -> None:
    assert float(up(backend, free)(up(backend, free, y))) == pytest.approx(x @ G @ y)


def test_a_fixed_position_uses_the_metric_on_request_only(backend: str) -> None:
    assert float(up(backend, fixed) * up(backend, fixed, y).lowered()) == pytest.approx(x @ G @ y)


def test_an_independent_position_refuses_to_raise_and_lower() -> None:
    refusal(MetricError, lambda b: up(b, apart).lowered(), "^i", "apart(2)", "independent", "Legal:")
    refusal(MetricError, lambda b: down(b, apart).raised("i"), "_i", "apart(2)", "independent", "Legal:")


def test_a_free_space_without_a_metric_says_so() -> None:
    metricless = tn.Space("metricless", 2, position="free")
    refusal(MetricError, lambda b: up(b, metricless) * up(b, metricless), "metricless(2)", "no metric", "Legal:")


def test_a_complex_space_can_not_be_free() -> None:
    with pytest.raises(MetricError, match="C is complex"):
        tn.Space("C", 2, field="complex", position="free")
