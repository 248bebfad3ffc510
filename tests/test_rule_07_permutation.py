"""Rule 7: permuting axes never changes variance; conjugation keeps up and down; the adjoint needs a metric."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, MetricError, ModeError

U, V = tn.Space("U", 2, metric=[[2, 1], [1, 3]]), tn.Space("V", 3, metric=[1, 2, 4])
H = np.array([[2, 1j], [-1j, 3]])
C = tn.Space("C", 2, field="complex", metric=H)
rng = np.random.default_rng(7)


def test_permuting_keeps_every_index(backend: str) -> None:
    data = rng.normal(size=(2, 3, 4))
    t = tn.tensor(native(backend, data), "^u _v n", u=U, v=V)
    for order in itertools.permutations("uvn"):
        s = t.permuted(" ".join(order))
        assert s.names == order
        assert {index.name: index.variance for index in s.indices} == {"u": 1, "v": -1, "n": 0}
        np.testing.assert_array_equal(values(s), np.einsum(f"uvn->{''.join(order)}", data))
    assert t.permuted(["n", "u", "v"]).names == ("n", "u", "v")


def test_permuting_leaves_anonymous_axes_in_front(backend: str) -> None:
    data = rng.normal(size=(4, 2, 3))
    t = tn.tensor(native(backend, data), "... ^u _v", u=U, v=V)
    np.testing.assert_array_equal(values(t.permuted("v u")), np.swapaxes(data, 1, 2))


@pytest.mark.parametrize("names", ["u", "u u", "u v w", "u w", ""])
def test_a_permutation_names_every_axis_once(names: str) -> None:
    refusal(AxisError, lambda b: tn.tensor(native(b, np.ones((2, 3))), "^u _v", u=U, v=V).permuted(names), "^u _v")


def test_permuting_by_name_needs_names() -> None:
    refusal(ModeError, lambda b: tn.asarray(native(b, np.ones((2, 3)))).permuted("a b"), "plain", "Legal:")


def test_the_dual_map_is_the_same_tensor_read_the_other_way(backend: str) -> None:
    data = rng.normal(size=(2, 3))
    A = tn.tensor(native(backend, data), "^u _v", u=U, v=V)
    alpha = rng.normal(size=2)
    s = tn.tensor(native(backend, alpha), "_u", u=U) * A
    np.testing.assert_allclose(values(s), alpha @ data)
    assert [str(x) for x in s.indices] == ["_v"]


def test_conj_goes_to_the_conjugate_space_and_keeps_up_and_down(backend: str) -> None:
    data = rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))
    t = tn.tensor(native(backend, data), "^c _d", c=C, d=C)
    s = t.conj()
    assert [str(x) for x in s.indices] == ["^c*", "_d*"]
    assert s.indices[0].space is C.conj()
    np.testing.assert_allclose(values(s), data.conj())
    assert s.conj().axes is t.axes


def test_conj_of_a_real_space_stays_there(backend: str) -> None:
    t = tn.tensor(native(backend, [1.0, 2.0]), "^u", u=U)
    assert t.conj().axes is t.axes


def test_the_adjoint_satisfies_its_equation(backend: str) -> None:
    """<A x, y>_U = <x, A^dagger y>_V with real metrics."""
    data, x, y = rng.normal(size=(2, 3)), rng.normal(size=3), rng.normal(size=2)
    A = tn.tensor(native(backend, data), "^u _v", u=U, v=V)
    v, u = tn.tensor(native(backend, x), "^v", v=V), tn.tensor(native(backend, y), "^u", u=U)
    dagger = A.adjoint()
    assert [str(index) for index in dagger.indices] == ["^v", "_u"]
    left, right = tn.inner(A @ v, u), tn.inner(v, dagger @ u)
    np.testing.assert_allclose(float(left), float(right))
    np.testing.assert_allclose(float(left), (data @ x) @ np.array([[2, 1], [1, 3]]) @ y)


def test_the_adjoint_of_a_complex_map_is_hermitian(backend: str) -> None:
    def z(*shape: int) -> Any:
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    data, x, y = z(2, 2), z(2), z(2)
    A = tn.tensor(native(backend, data), "^c _d", c=C, d=C)
    v, u = tn.tensor(native(backend, x), "^d", d=C), tn.tensor(native(backend, y), "^c", c=C)
    left, right = complex(tn.inner(A @ v, u)), complex(tn.inner(v, A.adjoint() @ u))
    np.testing.assert_allclose(left, (data @ x).conj() @ H @ y)
    np.testing.assert_allclose(left, right)
    assert [str(index) for index in A.adjoint().indices] == ["^d", "_c"]


def test_the_adjoint_needs_a_metric() -> None:
    bare = tn.Space("bare", 2)
    refusal(
        MetricError,
        lambda b: tn.tensor(native(b, np.ones((2, 2))), "^i _j", i=bare, j=bare).adjoint(),
        "bare(2)",
        "no metric",
        "Legal:",
    )
