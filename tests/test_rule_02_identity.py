"""Rule 2: indices match when name, space and basis agree; one name with other data is an error, never a product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, ShapeError, SpaceError

X = tn.Space("position", 3)
P = tn.Space("momentum", 3)
V = tn.Space("V", 2)
polar = V.basis("polar", [[1, 2], [0, 1]])
T = tn.Space("tokens", "T", privileged=True)
S = tn.Space("memory", "T", privileged=True)


def meetings() -> list[Any]:
    return [
        lambda a, b: a * b,
        lambda a, b: tn.einsum("^i, _i ->", a, b),
        lambda a, b: tn.einsum("i,i->", a, b),
    ]


@pytest.mark.parametrize("number", range(3))
def test_position_does_not_contract_with_momentum(number: int) -> None:
    def meet(b: str) -> Any:
        return meetings()[number](
            tn.tensor(native(b, np.ones(3)), "^i", i=X), tn.tensor(native(b, np.ones(3)), "_i", i=P)
        )

    refusal(SpaceError, meet, "position(3)", "momentum(3)", "^i", "_i", "Legal:")


@pytest.mark.parametrize("number", range(3))
def test_one_space_in_two_bases_does_not_contract(number: int) -> None:
    def meet(b: str) -> Any:
        x, y = native(b, np.ones(2)), native(b, np.ones(2))
        return meetings()[number](tn.tensor(x, "^i", i=V), tn.tensor(y, "_i", i=polar))

    refusal(SpaceError, meet, "V(2)", "'polar'", "two bases", "Legal:", "to_basis")


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (tn.Space("V", 3), "dimension 2 against 3"),
        (tn.Space("V", 2, metric=[1, 2]), "different metrics"),
        (tn.Space("V", 2, field="complex"), "field 'real' against 'complex'"),
        (tn.Space("V", 2, privileged=True), "privileged False against True"),
        (tn.Space("V", 2, position="independent"), "position 'fixed' against 'independent'"),
    ],
)
def test_the_same_name_with_different_data_is_an_error_when_they_meet(other: tn.Space, difference: str) -> None:
    def meet(b: str) -> Any:
        size = other.dimension
        assert isinstance(size, int)
        return tn.tensor(native(b, np.ones(2)), "^i", i=V) * tn.tensor(native(b, np.ones(size)), "_i", i=other)

    refusal(SpaceError, meet, "two spaces are named 'V'", difference, "Legal:")


def test_the_same_name_in_a_sum_over_another_space_is_an_error() -> None:
    def meet(b: str) -> Any:
        return tn.tensor(native(b, np.ones(3)), "^i", i=X) + tn.tensor(native(b, np.ones(3)), "^i", i=P)

    refusal(SpaceError, meet, "position(3)", "momentum(3)", "Legal:")


def test_a_plain_name_and_an_index_of_that_name_do_not_meet() -> None:
    for symbol in ("*", "+"):

        def meet(b: str, symbol: str = symbol) -> Any:
            x, y = tn.tensor(native(b, np.ones(3)), ["i"]), tn.tensor(native(b, np.ones(3)), "^i", i=X)
            return eval(f"x {symbol} y", {"x": x, "y": y})

        refusal(SpaceError, meet, "'i'", "^i:position(3)", "Legal:")


def test_different_names_over_different_spaces_are_a_tensor_product(backend: str) -> None:
    a, b = np.arange(3.0), np.arange(2.0)
    t = tn.tensor(native(backend, a), "^i", i=X) * tn.tensor(native(backend, b), "_k", k=V)
    np.testing.assert_array_equal(values(t), np.outer(a, b))


def test_a_symbol_is_bound_per_call(backend: str) -> None:
    for size in (2, 5):
        x = np.arange(float(size))
        t = tn.tensor(native(backend, x), "^t", t=T) * tn.tensor(native(backend, x), "_t", t=T)
        assert float(t) == x @ x


def test_a_symbol_bound_to_two_sizes_in_one_call_is_an_error() -> None:
    def product(b: str) -> Any:
        return tn.tensor(native(b, np.ones(2)), "^t", t=T) * tn.tensor(native(b, np.ones(3)), "_t", t=T)

    def outer(b: str) -> Any:
        return tn.tensor(native(b, np.ones(2)), "^t", t=T) * tn.tensor(native(b, np.ones(3)), "^s", s=S)

    def einsum(b: str) -> Any:
        x, y = tn.tensor(native(b, np.ones(2)), "^t", t=T), tn.tensor(native(b, np.ones(3)), "^s", s=S)
        return tn.einsum("^t, ^s -> ^t ^s", x, y)

    def one(b: str) -> Any:
        return tn.tensor(native(b, np.ones((2, 3))), "^t ^s", t=T, s=S)

    def added(b: str) -> Any:
        return tn.tensor(native(b, np.ones(1)), "^t", t=T) + tn.tensor(native(b, np.ones(3)), "^t", t=T)

    for call in (product, outer, einsum, one, added):
        refusal(ShapeError, call, "2" if call is not added else "1", "3")


def test_an_indexed_axis_never_broadcasts() -> None:
    def product(b: str) -> Any:
        return tn.tensor(native(b, np.ones(1)), "^t", t=T) * tn.tensor(native(b, np.ones(3)), "_t", t=T)

    refusal(ShapeError, product, "1", "3")


def test_a_name_occurs_once_in_a_tensor() -> None:
    refusal(AxisError, lambda b: tn.tensor(native(b, np.ones((3, 3))), "^i ^i", i=X), "'i'", "Legal:")
    refusal(AxisError, lambda b: tn.tensor(native(b, np.ones((3, 3))), ["b", "b"]), "'b'", "Legal:")


def test_bond_spaces_are_unique(backend: str) -> None:
    i, j = tn.indices("i j", tn.Space("E", 2, metric=[1, 1]))
    t = tn.tensor(native(backend, [[1.0, 2.0], [3.0, 4.0]]), [i, -j])
    first, second = tn.svd(t, "i", "j"), tn.svd(t, "i", "j")
    with pytest.raises(SpaceError, match="bond"):
        first.U * second.S
