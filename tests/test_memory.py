"""Memory that comes from elsewhere: of any alignment, stride and byte order, it is shared openly or copied.

TensorFlow ends the process where memory is not aligned to 64 bytes, and PyTorch has no negative strides, so such memory
is copied. An immutable tensor never shows what somebody writes elsewhere, unless `copy=False` asks for it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, values

import tensoria as tn
from tensoria.errors import ConversionError, DTypeError

pytorch = pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
tensorflow = pytest.mark.skipif("tensorflow" not in installed(), reason="TensorFlow is not installed")

WAYS: dict[str, Callable[..., tn.Tensor]] = {
    "from_dlpack": lambda x, backend, **more: tn.from_dlpack(x, backend=backend, **more),
    "asarray": lambda x, backend, **more: tn.asarray(x, backend=backend, **more),
    "to": lambda x, backend, **more: tn.asarray(x).to(backend=backend, **more),
}
"""The ways into a backend."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Callable[..., tn.Tensor]:
    return WAYS[request.param]


def aligned(count: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    """Numbers in writable memory that is aligned to 64 bytes."""
    size = np.dtype(dtype).itemsize
    memory = np.empty(count * size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    out = memory[start : start + count * size].view(dtype)
    out[:] = np.arange(count)
    assert out.ctypes.data % 64 == 0
    return out


def unaligned(count: int = 7) -> np.ndarray[Any, Any]:
    return aligned(count + 1)[1:]


LAYOUTS: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
    "unaligned": unaligned,
    "off its own size": lambda: np.frombuffer(b"x" + np.arange(4.0).tobytes(), np.float64, offset=1),
    "negative strides": lambda: np.arange(12.0).reshape(3, 4)[::-1, ::-2],
    "zero strides": lambda: np.broadcast_to(np.arange(3.0), (2, 3)),
    "Fortran order": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": lambda: np.arange(4, dtype=">f8"),
    "big-endian integers": lambda: np.arange(4, dtype=">i4"),
    "empty": lambda: np.zeros((0, 3)),
    "no axes": lambda: np.array(2.5),
    "truth values": lambda: np.array([True, False, True])[1:],
    "complex": lambda: aligned(5, "complex128")[1:],
}


def read_only() -> np.ndarray[Any, Any]:
    data = np.arange(4.0)
    data.setflags(write=False)
    return data


LAYOUTS["read only"] = read_only


@pytest.mark.parametrize("layout", LAYOUTS)
def test_numpy_memory_of_any_layout_is_taken(backend: str, way: Callable[..., tn.Tensor], layout: str) -> None:
    data = LAYOUTS[layout]()
    for copy in (None, True):
        t = way(data, backend, copy=copy)
        assert t.backend == backend
        assert t.dtype.name == data.dtype.name
        np.testing.assert_array_equal(values(t), data)
        np.testing.assert_array_equal(values(tn.stack([t, t])), np.stack([data, data]))  # kernels can read it


REFUSED = {
    "torch": ("negative strides", "zero strides", "big-endian", "big-endian integers", "read only", "off its own size"),
    "tensorflow": ("unaligned", "negative strides", "zero strides", "Fortran order", "big-endian", "truth values",
                   "big-endian integers", "read only", "complex", "off its own size"),
}  # fmt: skip
"""What cannot be shared."""


@pytest.mark.parametrize(("target", "layout"), [(b, layout) for b in REFUSED for layout in LAYOUTS])
def test_what_can_not_be_shared_is_refused_where_no_copy_is_wanted(
    way: Callable[..., tn.Tensor], target: str, layout: str
) -> None:
    if target not in installed():
        pytest.skip(f"{target} is not installed")
    data = LAYOUTS[layout]()
    if layout in REFUSED[target]:
        with pytest.raises(ConversionError, match="copy=False"):
            way(data, target, copy=False)
    elif target == "torch" or not data.size:
        np.testing.assert_array_equal(values(way(data, target, copy=False)), data)


def test_what_is_no_number_is_refused(backend: str) -> None:
    others = [
        np.array([1, "a"], dtype=object), np.array(["a", "b"]), np.array([b"a"]),
        np.array(["2020-01-01"], dtype="M8[D]"), np.zeros(2, dtype=[("part", "f4")]),
    ]  # fmt: skip
    for data in others:
        with pytest.raises(DTypeError, match="is no data type"):
            tn.asarray(data, backend=backend)
        with pytest.raises(DTypeError, match="is no data type"):
            tn.from_dlpack(data, backend=backend)


# -- who sees what is written -----------------------------------------------------------------------------------------


@tensorflow
def test_what_is_written_to_numpy_memory_does_not_show_in_an_immutable_tensor(way: Callable[..., tn.Tensor]) -> None:
    data = aligned(16)
    t = way(data, "tensorflow")
    data[0] = -1
    assert values(t)[0] == 0


@tensorflow
@pytorch
def test_what_is_written_to_a_pytorch_tensor_does_not_show_in_an_immutable_one(way: Callable[..., tn.Tensor]) -> None:
    import torch

    for dtype in (torch.float64, torch.bfloat16):
        x = torch.arange(64).to(dtype)
        t = way(x, "tensorflow")
        x[0] = -1
        assert float(t[0]) == 0


@tensorflow
def test_writing_to_what_came_from_an_immutable_tensor_leaves_that_alone(
    backend: str, way: Callable[..., tn.Tensor]
) -> None:
    import tensorflow as tf

    source = tf.range(64, dtype=tf.float64)
    t = way(source, backend)
    t[0] = -1.0
    assert float(t[0]) == -1
    assert float(source[0]) == 0


@tensorflow
def test_sharing_on_request_shares(way: Callable[..., tn.Tensor]) -> None:
    data = aligned(16)
    t = way(data, "tensorflow", copy=False)
    data[0] = -1
    assert values(t)[0] == -1


@tensorflow
def test_foreign_memory_is_copied_into_an_immutable_tensor() -> None:
    class Foreign:
        """An array of a library that tensoria does not know."""

        def __init__(self, data: np.ndarray[Any, Any]) -> None:
            self.data = data

        def __dlpack__(self, **options: Any) -> Any:
            return self.data.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.data.__dlpack_device__()

    for data in (aligned(16), unaligned()):
        before = data.copy()
        t = tn.from_dlpack(Foreign(data), backend="tensorflow")
        data[:] = -1
        np.testing.assert_array_equal(values(t), before)
    with pytest.raises(ConversionError, match="copy=False"):
        tn.from_dlpack(Foreign(unaligned()), backend="tensorflow", copy=False)


# -- tensors of PyTorch that are not what their memory says -----------------------------------------------------------


@pytorch
@pytest.mark.parametrize("kind", ["conjugate", "negative", "expanded", "transposed", "offset", "empty", "no axes"])
def test_views_of_pytorch_arrive_with_their_numbers(backend: str, way: Callable[..., tn.Tensor], kind: str) -> None:
    import torch

    x = {
        "conjugate": lambda: torch.tensor([1 + 2j, 3j]).conj(),
        "negative": lambda: torch.tensor([1 + 2j, 3j]).conj().imag,
        "expanded": lambda: torch.tensor([1.5]).expand(3),
        "transposed": lambda: torch.arange(6.0).reshape(2, 3).T,
        "offset": lambda: torch.arange(8.0)[1:],
        "empty": lambda: torch.zeros(0, 3),
        "no axes": lambda: torch.tensor(2.5),
    }[kind]()
    wanted = x.resolve_conj().resolve_neg().numpy().copy()
    np.testing.assert_array_equal(values(way(x, backend)), wanted)
    if kind in ("conjugate", "negative") and backend != "torch":
        with pytest.raises(ConversionError, match="copy=False"):
            way(x, backend, copy=False)


@pytorch
@tensorflow
def test_bfloat16_moves_between_the_frameworks_that_have_it(way: Callable[..., tn.Tensor]) -> None:
    import torch

    for start in (0, 1, 3):
        x = torch.arange(9).to(torch.bfloat16)[start:]
        t = way(x, "tensorflow")
        assert t.dtype is tn.bfloat16
        back = way(t.array, "torch")
        assert back.dtype is tn.bfloat16
        assert torch.equal(back.array, x)
        np.testing.assert_array_equal(values(t + t), 2 * x.float().numpy())


# -- processes that would end -----------------------------------------------------------------------------------------

SCRIPT = """
import sys
import numpy as np, tensoria as tn

sources = [np.frombuffer(b"x" * n + np.arange(9, dtype=d).tobytes(), d, offset=n, count=9)
           for d in ("float64", "float32", "int8", "complex128") for n in (1, 4, 8)]
sources += [x.copy()[1:] for x in sources] + [np.arange(9) > 3, (np.arange(9) > 3)[1:]]
if "torch" in sys.argv:
    import torch
    sources += [torch.arange(9).to(getattr(torch, d))[n:]
                for d in ("float64", "float32", "bfloat16", "int8", "uint8", "bool", "complex64") for n in (1, 2, 3)]
for x in sources:
    for t in (tn.from_dlpack(x, backend="tensorflow"), tn.asarray(x, backend="tensorflow"),
              tn.asarray(x).to(backend="tensorflow"), tn.namespace("tensorflow").asarray(x)):
        wanted = np.asarray(x.float() if str(x.dtype) == "torch.bfloat16" else x)
        found = tn.concat([t, tn.flip(t)])  # kernels that check the alignment
        assert np.array_equal(np.asarray(found.to(dtype="float32" if t.dtype is tn.bfloat16 else t.dtype)),
                              np.concatenate([wanted, wanted[::-1]])), x
print("alive", len(sources))
"""


@tensorflow
def test_memory_that_is_not_aligned_does_not_end_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *installed()], text=True, capture_output=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("alive")
