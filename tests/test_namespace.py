"""`tn.namespace(backend)`: a module with all of the Array API, and what array_api_compat leaves wrong beneath it."""

from __future__ import annotations

import copy
import importlib
import inspect
import math
import pickle
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from across import installed, needs_host_memory

import tensoria as tn
from tensoria.errors import AxisError, BackendNotFoundError, ConversionError, DTypeError, ModeError
from tensoria.namespace.signatures import ROWS

UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


@pytest.fixture
def xp(backend: str) -> ModuleType:
    return tn.namespace(backend)


# -- the module -------------------------------------------------------------------------------------------------------


def test_it_is_one_module(xp: ModuleType) -> None:
    name = xp.__name__.removeprefix("tensoria.")
    assert isinstance(xp, ModuleType)
    assert importlib.import_module(xp.__name__) is xp is tn.namespace(name)
    assert len({xp, tn.namespace(name)}) == 1
    assert importlib.import_module(f"{xp.__name__}.linalg") is xp.linalg
    assert pickle.loads(pickle.dumps(xp)) is xp
    assert copy.copy(xp) is xp
    assert xp.__array_api_version__ == "2025.12"
    assert xp.zeros(2).__array_namespace__() is xp


def test_frameworks_are_imported_when_a_module_is() -> None:
    code = "import sys, tensoria, tensoria.numpy; print('torch' in sys.modules, 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_what_is_no_backend_is_no_module() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tensoria.abacus")
    with pytest.raises(BackendNotFoundError):
        tn.namespace("abacus")


def test_creation_is_bound_and_says_so(xp: ModuleType) -> None:
    name = xp.__name__.removeprefix("tensoria.")
    for made in (xp.zeros((2,)), xp.asarray([1, 2]), xp.arange(3), xp.fft.fftfreq(4), xp.from_dlpack(np.ones(3))):
        assert made.backend == name
    assert "backend" not in inspect.signature(xp.zeros).parameters
    assert tuple(inspect.signature(xp.full).parameters) == ("shape", "fill_value", "dtype", "device")


def test_functions_are_those_of_the_top_level(xp: ModuleType) -> None:
    assert xp.sum is tn.sum
    assert xp.float32 is tn.float32
    assert xp.linalg.inv is tn.linalg.inv


@pytest.mark.parametrize("name", ROWS)
def test_made_functions_have_the_standards_signature(name: str) -> None:
    *part, last = name.split(".")
    holder = tn.namespace("numpy") if not part else getattr(tn.namespace("numpy"), part[0])
    if name != "repeat":  # which is einops' too
        assert str(inspect.signature(getattr(holder, last))) == f"({ROWS[name]})"


def test_inspection(xp: ModuleType) -> None:
    info = xp.__array_namespace_info__()
    assert info.default_device() in info.devices()
    assert info.dtypes(kind="unsigned integer").keys() == set(UNSIGNED)
    assert info.default_dtypes()["complex floating"] is xp.asarray(1j).dtype
    assert info.capabilities()["boolean indexing"]


# -- data types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_limits_are_those_of_numpy(name: str) -> None:
    ours, theirs = tn.finfo(name), np.finfo(name)
    for field in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(ours, field) == float(getattr(theirs, field))
        assert type(getattr(ours, field)) in (int, float)
    assert tn.finfo("complex64").dtype is tn.float32
    assert tn.iinfo("uint16") == (16, 65535, 0, tn.uint16)
    with pytest.raises(DTypeError):
        tn.finfo("int8")
    with pytest.raises(DTypeError):
        tn.iinfo("bool")


def test_promotion_with_numbers() -> None:
    assert tn.result_type("float32", 1j) is tn.complex64
    assert tn.result_type(tn.asarray([1], dtype="int8"), 1000) is tn.int8
    with pytest.raises(DTypeError):
        tn.result_type("int8", 1.5)
    with pytest.raises(DTypeError):
        tn.result_type(1, 2)


def test_imaginary_parts_are_not_dropped(xp: ModuleType) -> None:
    with pytest.raises(DTypeError):
        xp.astype(xp.asarray([1j]), xp.float32)
    assert bool(xp.astype(xp.asarray([1j]), xp.bool)[0])


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_unsigned_integers_count_as_unsigned(xp: ModuleType, dtype: str) -> None:
    top = int(np.iinfo(dtype).max)
    x = xp.asarray([3, top, 0, top - 2], dtype=getattr(xp, dtype))
    y = xp.asarray([2, top - 1, 7, 3], dtype=getattr(xp, dtype))
    assert np.asarray(x < y).tolist() == [False, False, True, False]
    assert np.asarray(x // y).tolist() == [1, 1, 0, (top - 2) // 3]
    assert np.asarray(x % y).tolist() == [1, 1, 0, (top - 2) % 3]
    assert np.asarray(x >> 1).tolist() == [1, top // 2, 0, (top - 2) // 2]
    assert np.asarray(x + y).tolist() == [5, top - 2, 7, 0]
    assert np.asarray(xp.sort(x)).tolist() == [0, 3, top - 2, top]
    assert int(xp.max(x)) == top
    assert int(xp.argmin(x)) == 2
    assert xp.sum(x).dtype is xp.uint64
    assert np.asarray(xp.unique_all(xp.concat([x, x])).counts).tolist() == [2, 2, 2, 2]
    assert np.asarray(x[::-1]).tolist() == [top - 2, 0, top, 3]
    x[x == top] = 1
    assert np.asarray(x).tolist() == [3, 1, 0, top - 2]


# -- special values ---------------------------------------------------------------------------------------------------


def test_floor_division_by_infinities(xp: ModuleType) -> None:
    x = xp.asarray([math.inf, -math.inf, 1.0, -1.0])
    y = xp.asarray([2.0, 2.0, -math.inf, math.inf])
    with np.errstate(all="ignore"):
        found = np.asarray(x // y)
    assert found.tolist() == [math.inf, -math.inf, 0.0, 0.0]
    assert np.signbit(found).tolist() == [False, True, True, True]


def test_complex_functions_near_zero_and_far_out(xp: ModuleType) -> None:
    tiny = xp.asarray([1e-12 + 1e-12j], dtype=xp.complex128)
    assert abs(complex(xp.expm1(tiny)[0]) - (1e-12 + 1e-12j)) < 1e-23
    assert abs(complex(xp.log1p(tiny)[0]) - (1e-12 + 1e-12j)) < 1e-23
    far = complex(xp.tanh(xp.asarray([complex(math.inf, 2.0)]))[0])
    assert far == 1
    assert math.copysign(1, far.imag) == 1


# -- tensors as array objects -----------------------------------------------------------------------------------------


def test_transposes(xp: ModuleType) -> None:
    x = xp.asarray([[1.0, 2.0, 3.0]])
    assert x.T.shape == x.mT.shape == (3, 1)
    with pytest.raises(AxisError):
        _ = xp.zeros((2, 2, 2)).T
    with pytest.raises(AxisError):
        _ = xp.zeros(2).mT
    with pytest.raises(ModeError):
        _ = tn.tensor([[1.0]], "a b").mT


def test_dlpack_round_trips(backend: str, xp: ModuleType) -> None:
    needs_host_memory(backend)
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    for other in installed():
        moved = tn.namespace(other).from_dlpack(x)
        assert moved.backend == other
        assert np.asarray(moved).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert xp.from_dlpack(np.arange(4)[::-1]).shape == (4,)  # strides that PyTorch can not have
    assert np.from_dlpack(xp.asarray([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_asarray_of_a_tensor_is_the_tensor(xp: ModuleType) -> None:
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x) is x
    same = xp.asarray(x, copy=False)
    x[0] = 5.0
    assert float(same[0]) == 5.0
    assert xp.asarray(x, copy=True) is not x
    with pytest.raises(ConversionError):
        xp.asarray(x, dtype=xp.complex64, copy=False)


@pytest.mark.parametrize("length", [None, 3, 6])
def test_fourier_transforms_are_numpys(xp: ModuleType, length: int | None) -> None:
    rng = np.random.default_rng(0)
    real, complex_ = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)) + 1j * rng.normal(size=(3, 5))
    for norm in ("backward", "ortho", "forward"):
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
            data = real if name in ("rfft", "ihfft") else complex_
            found = getattr(xp.fft, name)(xp.asarray(data), n=length, axis=0, norm=norm)
            np.testing.assert_allclose(
                np.asarray(found), getattr(np.fft, name)(data, n=length, axis=0, norm=norm), atol=1e-12
            )
        for name in ("fftn", "ifftn", "rfftn", "irfftn"):
            data = real if name == "rfftn" else complex_
            found = getattr(xp.fft, name)(xp.asarray(data), s=(4, 3), axes=(1, 0), norm=norm)
            wanted = getattr(np.fft, name)(data, s=(4, 3), axes=(1, 0), norm=norm)
            np.testing.assert_allclose(np.asarray(found), wanted, atol=1e-12)
    for n in (1, 4, 5):
        np.testing.assert_allclose(np.asarray(xp.fft.fftfreq(n, d=0.5)), np.fft.fftfreq(n, d=0.5))
        shifted = xp.fft.ifftshift(xp.fft.fftshift(xp.arange(n)))
        assert np.asarray(shifted).tolist() == list(range(n))
