"""Rule 6: what depends on the basis needs a privileged one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import BasisError

V = tn.Space("V", 3)
N = tn.Space("neurons", 3, privileged=True)
turned = N.basis("turned", [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
x = np.array([1.0, 2.0, 4.0])
y = np.array([2.0, 2.0, 2.0])

COORDINATEWISE: dict[str, Callable[[Any, Any], Any]] = {
    "**": lambda a, b: a**b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def vector(b: str, space: Any, data: Any = x) -> tn.Tensor:
    return tn.tensor(native(b, data), "^i", i=space)


@pytest.mark.parametrize("symbol", COORDINATEWISE)
def test_coordinatewise_operators_keep_the_variance_in_a_privileged_basis(backend: str, symbol: str) -> None:
    call = COORDINATEWISE[symbol]
    s = call(vector(backend, N), vector(backend, N, y))
    assert s.indices == vector(backend, N).indices
    np.testing.assert_allclose(values(s), call(x, y))


@pytest.mark.parametrize("symbol", COORDINATEWISE)
@pytest.mark.parametrize("space", [V, turned], ids=["bare", "turned"])
def test_coordinatewise_operators_refuse_other_bases(symbol: str, space: Any) -> None:
    shown = "^i:V(3)" if space is V else "'turned'"
    legal = "privileged=True" if space is V else "to_basis(neurons.standard)"
    call = COORDINATEWISE[symbol]
    refusal(BasisError, lambda b: call(vector(b, space), vector(b, space, y)), symbol, shown, legal, "Legal:")


def test_coordinatewise_operators_with_numbers_follow_the_same_rule(backend: str) -> None:
    np.testing.assert_allclose(values(vector(backend, N) ** 2), x**2)
    np.testing.assert_allclose(values(1 / vector(backend, N)), 1 / x)
    np.testing.assert_array_equal(values(vector(backend, N) > 1.5), x > 1.5)
    refusal(BasisError, lambda b: vector(b, V) ** 2, "**", "^i:V(3)", "Legal:")
    refusal(BasisError, lambda b: 1 / vector(b, V), "/", "^i:V(3)", "Legal:")
    refusal(BasisError, lambda b: vector(b, V) > 0, ">", "^i:V(3)", "Legal:")
    refusal(BasisError, lambda b: abs(vector(b, V)), "abs", "^i:V(3)", "Legal:")


def test_coordinatewise_operators_align_like_sums(backend: str) -> None:
    z = np.arange(6.0).reshape(2, 3) + 1
    s = tn.tensor(native(backend, z), "n ^i", i=N) / vector(backend, N, x)
    np.testing.assert_allclose(values(s), z / x)
    t = tn.tensor(native(backend, z.T.copy()), "^i n", i=N) ** tn.tensor(native(backend, z), "n ^i", i=N)
    assert t.names == ("i", "n")
    np.testing.assert_allclose(values(t), z.T**z.T)


def test_every_index_counts_for_coordinatewise_operators() -> None:
    def call(b: str) -> Any:
        return tn.tensor(native(b, np.ones((3, 3))), "^i _j", i=N, j=V) ** 2

    refusal(BasisError, call, "_j:V(3)")


def test_linear_operations_are_allowed_in_every_basis(backend: str) -> None:
    s = 2 * vector(backend, V) - vector(backend, V, y) / 2 + (-vector(backend, V))
    np.testing.assert_allclose(values(s), 2 * x - y / 2 - x)


def test_slices_need_only_their_own_index_to_be_privileged(backend: str) -> None:
    z = np.arange(9.0).reshape(3, 3)
    t = tn.tensor(native(backend, z), "^i _j", i=N, j=V)
    np.testing.assert_array_equal(values(t[1]), z[1])
    assert t[1].names == ("j",)
    np.testing.assert_array_equal(values(t[0:2]), z[:2])
    np.testing.assert_array_equal(values(t[::-1, :]), z[::-1])


def test_what_a_slice_leaves_of_an_index_is_a_plain_axis(backend: str) -> None:
    cut = vector(backend, N)[0:2]
    assert cut.indices[0].is_plain
    assert cut.names == ("i",)
    assert vector(backend, N)[0:3].indices == vector(backend, N).indices


def test_slicing_an_index_in_no_privileged_basis_is_refused() -> None:
    for key in (0, slice(0, 2), slice(None, None, -1), (Ellipsis, 1)):
        refusal(BasisError, lambda b, key=key: vector(b, V)[key], "^i:V(3)", "privileged", "Legal:")
        refusal(BasisError, lambda b, key=key: vector(b, turned)[key], "^i", "turned", "Legal:")


def test_writing_components_follows_the_rule_of_reading_them() -> None:
    def call(b: str) -> None:
        t = vector(b, V)
        t[0] = 1.0

    refusal(BasisError, call, "^i:V(3)", "Legal:")


@pytest.mark.parametrize("reduction", ["sum", "mean", "max", "min", "prod"])
def test_reductions_need_their_index_to_be_privileged(backend: str, reduction: Any) -> None:
    z = np.arange(6.0).reshape(2, 3) + 1
    t = tn.tensor(native(backend, z), "n ^i", i=N)
    np.testing.assert_allclose(values(tn.reduce(t, "n i -> n", reduction)), getattr(z, reduction)(axis=1))
    np.testing.assert_allclose(values(tn.reduce(t, "n i -> i", reduction)), getattr(z, reduction)(axis=0))
    refusal(
        BasisError,
        lambda b: tn.reduce(tn.tensor(native(b, z), "n ^i", i=V), "n i -> n", reduction),
        "^i:V(3)",
        "Legal:",
    )


def test_the_standard_basis_of_a_privileged_space_can_be_taken_again(backend: str) -> None:
    t = vector(backend, N).to_basis(turned)
    np.testing.assert_allclose(values(t.to_basis(N.standard) ** 2), x**2)
