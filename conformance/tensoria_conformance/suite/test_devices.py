"""Devices and backends: where a tensor lives, and that moving it changes nothing else."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import BackendError, BackendNotFoundError, ConversionError
from tensoria_conformance.claims import exactly, has_dtype, numbers, refusal, refused
from tensoria_conformance.contracts import NotApplicable, contract
from tensoria_conformance.strategies import floats

V = tn.Space("V", 3)
DTYPES = ("bool", "int8", "int32", "int64", "uint8", "float32", "float64", "complex64", "complex128")
SPECIAL = np.array([np.nan, np.inf, -0.0, 5e-324, 0.1])


def other(xp: Any) -> str:
    """A backend that is not the one that is checked: NumPy, which is always there."""
    name = tn.asarray(xp.ones(())).backend
    if name == "numpy":
        raise NotApplicable("NumPy is the other backend of this contract.")
    return "numpy"


@contract(
    "devices",
    rule="A tensor says on which device it lives, and that is one of the backend's.",
    source="Array API 2025.12, Device support",
)
def test_a_tensor_knows_its_device(xp: Any) -> None:
    t = xp.ones((2,))
    assert t.device in get(t.backend).devices(), f"{t.device} is none of {get(t.backend).devices()}"


@contract(
    "devices",
    rule="A tensor made on a device is there, and stays there in what is computed of it.",
    source="Array API 2025.12, Device support",
)
def test_results_stay_on_the_device(xp: Any) -> None:
    for device in get(xp.ones(()).backend).devices():
        t = xp.ones((2, 2), device=device)
        for got in (t, t + t, xp.exp(t), t @ t, tn.einsum("ij,jk->ik", t, t), xp.sum(t), xp.zeros_like(t)):
            assert got.device == device, f"{got.device} instead of {device}"


@contract(
    "devices",
    rule="Moving to a device keeps every bit; to the one where it is, the tensor's own array.",
    source="Array API 2025.12, to_device",
    x=floats((3,), special=True),
)
def test_moving_keeps_every_bit(xp: Any, x: Any) -> None:
    t = xp.asarray(x)
    for device in get(t.backend).devices():
        exactly(t.to_device(device), x)
    assert t.to_device(t.device).array is t.array


@contract("devices", rule="An unknown device is refused.", source="docs/rules.md, errors")
def test_unknown_devices_are_refused(xp: Any) -> None:
    refused(BackendError, lambda xp: xp.ones((2,)).to_device("the moon"), xp, "the moon", "names no device")


@contract(
    "devices",
    rule="NumPy's numbers arrive as they are, in every data type.",
    source="Array API 2025.12, asarray",
    name=st.sampled_from(DTYPES),
)
def test_data_types_survive_the_way_in(xp: Any, name: str) -> None:
    has_dtype(xp, name)
    x = np.array([[0, 1, 1], [1, 0, 1]]).astype(name)
    t = xp.asarray(x)
    exactly(t, x)
    assert np.asarray(t).dtype == x.dtype


@contract(
    "devices", rule="Moving to another backend and back keeps bits, data type and labels.", source="docs/backends.md"
)
def test_there_and_back_again(xp: Any) -> None:
    away = other(xp)
    t = tn.tensor(xp.asarray(SPECIAL.repeat(3).reshape(5, 3)), "b ^i", i=V)
    moved = t.to(backend=away)
    assert (moved.backend, str(moved.axes)) == (away, "b ^i")
    exactly(moved.components, SPECIAL.repeat(3).reshape(5, 3))
    back = moved.to(backend=t.backend)
    assert (back.backend, str(back.axes)) == (t.backend, "b ^i")
    exactly(back.components, SPECIAL.repeat(3).reshape(5, 3))


@contract(
    "devices",
    rule="Tensors of two backends do not meet; the error says how to move one.",
    source="docs/backends.md; docs/rules.md, errors",
)
def test_backends_do_not_mix(xp: Any) -> None:
    away = other(xp)
    t, u = xp.ones((2,)), tn.asarray(np.ones(2))
    actions: list[Callable[[Any], Any]] = [
        lambda xp: t + u,
        lambda xp: t * u,
        lambda xp: t @ u,
        lambda xp: tn.einsum("i,i->", t, u),
        lambda xp: tn.maximum(t, u),
    ]
    for action in actions:
        said = refusal(BackendError, action, xp)
        for part in (t.backend, away, ".to(backend="):
            assert part in said, said


@contract("devices", rule="A backend that is not there is refused by its name.", source="docs/backends.md")
def test_unknown_backends_are_refused(xp: Any) -> None:
    for action in (lambda xp: tn.namespace("nowhere"), lambda xp: xp.ones((2,)).to(backend="nowhere")):
        refused(BackendNotFoundError, action, xp, "nowhere", "registered are")


@contract(
    "devices",
    rule="DLPack exchanges arrays with NumPy as they are.",
    source="DLPack; Array API 2025.12, from_dlpack",
    x=floats((2, 3)),
)
def test_dlpack_exchanges_arrays(xp: Any, x: Any) -> None:
    t = xp.asarray(x)
    if t.device != "cpu":
        raise NotApplicable("NumPy sees host memory only.")
    np.testing.assert_array_equal(np.from_dlpack(t), x)
    exactly(xp.from_dlpack(x), x)


@contract(
    "devices",
    rule="copy=True makes memory of its own; copy=False never copies, and says so where it would have to.",
    source="Array API 2025.12, asarray: copy",
)
def test_copies_are_made_on_request(xp: Any) -> None:
    t = xp.ones((3,), dtype="float64")
    twin = xp.asarray(t, copy=True)
    twin[0] = 7.0
    exactly(t, np.ones(3))
    exactly(twin, np.array([7.0, 1.0, 1.0]))
    refused(
        ConversionError,
        lambda xp: xp.asarray(xp.ones((3,), dtype="float64"), dtype="float32", copy=False),
        xp,
        "copy=False",
    )


@contract(
    "devices",
    rule="Pickling and copying keep numbers, labels and backend.",
    source="Python, pickle; docs/rules.md, rule 2",
)
def test_pickles_come_back_whole(xp: Any) -> None:
    t = tn.tensor(xp.asarray(np.arange(3.0)), "^i", i=V)
    for got in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), copy.copy(t)):
        assert got.axes is t.axes
        assert got.backend == t.backend
        np.testing.assert_array_equal(numbers(got), np.arange(3.0))


@contract(
    "devices",
    rule="Functions that make arrays make them of the data type and shape that is asked.",
    source="Array API 2025.12, Creation functions",
    name=st.sampled_from(("int32", "float32", "float64")),
)
def test_arrays_are_made_as_asked(xp: Any, name: str) -> None:
    exactly(xp.zeros((2, 3), dtype=name), np.zeros((2, 3), name))
    exactly(xp.full((2,), 7, dtype=name), np.full((2,), 7, name))
    exactly(xp.arange(2, 11, 3, dtype=name), np.arange(2, 11, 3).astype(name))
    exactly(xp.eye(2, 3, k=1, dtype=name), np.eye(2, 3, 1, name))
    exactly(xp.ones_like(xp.zeros((2,), dtype=name)), np.ones(2, name))
    if name != "int32":
        exactly(xp.linspace(0, 1, 5, dtype=name), np.linspace(0, 1, 5, dtype=name))
