"""A backend of a third party: a subclass of `Backend` and an entry point, nothing else.

array_api_strict, the standard's reference implementation, serves as a framework that tensoria knows nothing of: its
arrays have only what the Array API demands. What the base class leaves to do is in `strict_backend.StrictBackend`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from broken_backend import registered
from strict_backend import StrictBackend, strict
from tensoria_conformance.contracts import CONTRACTS
from tensoria_conformance.running import contracts

import tensoria as tn
from tensoria import discovery as registry
from tensoria.backend import Backend
from tensoria.errors import BackendNotFoundError


class EntryPoint:
    """What importlib.metadata would find if the package were installed."""

    def __init__(self, name: str, backend: Backend | Exception) -> None:
        self.name, self.backend = name, backend

    def load(self) -> Backend:
        if isinstance(self.backend, Exception):
            raise self.backend
        return self.backend


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    points: dict[str, Any] = {**registry._registered()}
    points["array_api_strict"] = EntryPoint("array_api_strict", StrictBackend())
    points["absent"] = EntryPoint("absent", ModuleNotFoundError("No module named 'absent'", name="absent"))
    points["broken"] = EntryPoint("broken", OSError("libbroken.so: cannot open shared object file"))
    monkeypatch.setattr(registry, "_entry_points", points)
    yield "array_api_strict"
    registry._loaded.pop("array_api_strict", None)
    for kind in [kind for kind, found in registry.NATIVE_TYPES.items() if found.name == "array_api_strict"]:
        del registry.NATIVE_TYPES[kind]


V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
i, j = tn.indices("i j", V)
RNG = np.random.default_rng(0)
A, v = RNG.random((3, 3)), RNG.random(3)


def test_labelled_tensors_work_on_a_framework_that_tensoria_does_not_know(third_party: str) -> None:
    with tn.use(third_party):
        M, x = tn.tensor(A.tolist(), [i, -j]), tn.tensor(v.tolist(), [j])
        assert M.backend == third_party
        metric = np.asarray(V.metric)
        for got, expected in (
            (M * x, A @ v),
            (M @ x, A @ v),
            (M + 2 * M, 3 * A),
            (M.lowered(), metric @ A),
            (M.trace("i", "j"), np.trace(A)),
            (tn.inner(x, x), v @ metric @ v),
            (M.fused("i j", "k").split("k", "i j"), A),
            (tn.einsum("^i _j, ^j _k, ^k -> ^i", M, M, x), A @ A @ v),
            (tn.svd(M, "i", "j").S.components, None),
        ):
            if expected is not None:
                np.testing.assert_allclose(np.asarray(got.array), expected)


def test_its_native_arrays_are_adopted_and_move_to_other_backends(third_party: str) -> None:
    native = strict.asarray(A)
    t = tn.tensor(native, [i, -j])
    assert t.array is native
    moved = t.to(backend="numpy")
    assert (moved.backend, moved.axes) == ("numpy", t.axes)
    np.testing.assert_array_equal(moved.array, A)
    np.testing.assert_array_equal(np.asarray(moved.to(backend=third_party).array), A)
    np.testing.assert_allclose(np.asarray(tn.einsum("ij,jk->ik", native, native)), A @ A)


def test_random_numbers_are_the_same_on_it(third_party: str) -> None:
    here, there = tn.random.key(5, backend=third_party), tn.random.key(5)
    for draw in (
        lambda key: tn.random.split(key, 3),
        lambda key: tn.random.uniform(key, 9, low=-3.3, high=7.1),
        lambda key: tn.random.integers(key, -5, 2**40, 9),
        lambda key: tn.random.permutation(key, 9),
        lambda key: tn.random.choice(key, 3, 9, p=[0.2, 0.3, 0.5]),
        lambda key: tn.random.normal(key, 9),
    ):
        np.testing.assert_array_equal(np.asarray(draw(here).array), draw(there).array)


def test_a_backend_whose_framework_is_missing_says_how_to_install_it(third_party: str) -> None:
    with pytest.raises(BackendNotFoundError, match=r"pip install 'tensoria\[absent\]'"):
        registry.get("absent")
    with pytest.raises(BackendNotFoundError, match="does not load: libbroken"):
        registry.get("broken")
    with pytest.raises(BackendNotFoundError, match="no backend is named 'nowhere'"):
        registry.get("nowhere")


KNOWN = {"test_membership": "array_api_strict.isin ignores invert"}
"""Contracts that the reference implementation itself does not keep, and why."""


@pytest.mark.parametrize("name", [contract.name for contract in contracts()])
def test_it_keeps_the_contracts(name: str) -> None:
    with registered(StrictBackend()) as backend:
        outcome = CONTRACTS[name].check(backend)
    assert (outcome.status == "fails") == (name in KNOWN), outcome.message
