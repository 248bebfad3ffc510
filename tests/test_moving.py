"""Moving between backends, devices, data types: values stay, memory is shared where it can be, never by surprise."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from across import installed, native, refusal, values

import tensoria as tn
from tensoria.discovery import current, get
from tensoria.errors import BackendError, BackendNotFoundError, ConversionError, DTypeError, NotationError

V = tn.Space("V", 3)
DATA = np.arange(6.0).reshape(2, 3)
DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


@pytest.fixture(params=installed())
def target(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_dtype_and_labels_move_along(backend: str, target: str, dtype: str) -> None:
    data = (DATA + (0.5j if dtype.startswith("complex") else 0)).astype(dtype)
    t = tn.tensor(native(backend, data), ["n", tn.Index("i", V)]).to(backend=target)
    assert t.backend == target
    assert t.dtype.name == dtype
    assert str(t.axes) == "n ^i"
    np.testing.assert_array_equal(values(t), data)
    back = t.to(backend=backend)
    assert back.backend == backend
    np.testing.assert_array_equal(values(back), data)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1)])
def test_scalars_and_empty_tensors_move(backend: str, target: str, shape: tuple[int, ...]) -> None:
    t = tn.asarray(native(backend, np.ones(shape))).to(backend=target)
    assert t.shape == shape
    np.testing.assert_array_equal(values(t), np.ones(shape))


@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed", "read only", "broadcast", "unaligned"])
def test_numpy_arrays_of_any_layout_move(target: str, layout: str) -> None:
    base = np.arange(24.0).reshape(4, 6)
    data = {
        "transposed": base.T,
        "strided": base[::2, 1::2],
        "reversed": base[::-1, ::-1],
        "read only": base.copy(),
        "broadcast": np.broadcast_to(base[0], (3, 6)),
        "unaligned": np.frombuffer(b"x" + base.tobytes(), np.float64, offset=1).reshape(4, 6),
    }[layout]
    if layout == "read only":
        data.setflags(write=False)
    t = tn.asarray(data).to(backend=target)
    np.testing.assert_array_equal(values(t), data)
    np.testing.assert_array_equal(values(tn.asarray(data, backend=target)), data)
    np.testing.assert_array_equal(values(t + 1), data + 1)


def test_to_the_same_backend_is_free(backend: str) -> None:
    t = tn.asarray(native(backend, DATA))
    assert t.to(backend=backend).array is t.array
    assert t.to(dtype="float64").array is t.array
    assert t.to(device=t.device).array is t.array
    assert t.to().array is t.array


def test_a_copy_has_memory_of_its_own(backend: str, target: str) -> None:
    t = tn.asarray(native(backend, DATA))
    other = t.to(backend=target, copy=True)
    other[0, 0] = 99.0
    assert values(t)[0, 0] == 0
    fresh = tn.asarray(t.array, copy=True)
    fresh[0, 0] = 99.0
    assert values(t)[0, 0] == 0


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
def test_numpy_and_pytorch_share_memory() -> None:
    data = DATA.copy()
    t = tn.asarray(data).to(backend="torch")
    data[0, 0] = 42
    assert values(t)[0, 0] == 42
    t[0, 1] = 43.0
    assert data[0, 1] == 43
    back = t.to(backend="numpy")
    back[1, 1] = 44.0
    assert data[1, 1] == 44
    assert np.shares_memory(back.array, data)


@pytest.mark.skipif("tensorflow" not in installed(), reason="TensorFlow is not installed")
def test_writable_numpy_memory_is_copied_into_tensorflow() -> None:
    data = DATA.copy()
    t = tn.asarray(data).to(backend="tensorflow")
    data[0, 0] = 42
    assert values(t)[0, 0] == 0


def test_conversions_that_need_a_copy_are_refused_on_request() -> None:
    refusal(ConversionError, lambda b: tn.asarray([1.0, 2.0], backend=b, copy=False), "copy=False")
    refusal(
        ConversionError, lambda b: tn.asarray(native(b, DATA), dtype="float32", copy=False), "float32", "copy=False"
    )
    refusal(ConversionError, lambda b: tn.asarray(native(b, DATA)).to(dtype="float32", copy=False), "copy=False")


def test_native_arrays_are_adopted_as_they_are(backend: str) -> None:
    x = native(backend, DATA)
    assert tn.asarray(x).array is x
    assert tn.asarray(x, copy=False).array is x
    assert tn.asarray(x, dtype="float64").array is x
    assert tn.tensor(x, ["n", "m"]).array is x
    assert tn.Tensor(x).array is x
    assert tn.asarray(tn.asarray(x)).array is x


def test_adopting_with_another_backend_moves(backend: str, target: str) -> None:
    t = tn.asarray(native(backend, DATA), backend=target)
    assert t.backend == target
    np.testing.assert_array_equal(values(t), DATA)
    labelled = tn.tensor(tn.asarray(native(backend, DATA)), ["n", "m"], backend=target, dtype="float32")
    assert labelled.backend == target
    assert labelled.dtype is tn.dtype("float32")


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
def test_a_tensor_that_requires_grad_does_not_leave_its_framework() -> None:
    import torch

    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    for t in (tn.asarray(x), tn.asarray(x) * 2):
        for other in installed():
            if other == "torch":
                continue
            with pytest.raises(ConversionError, match=r"\.detach\(\)") as caught:
                t.to(backend=other)
            assert "requires grad" in str(caught.value)
            with pytest.raises(ConversionError, match=r"\.detach\(\)"):
                tn.asarray(t, backend=other)
            np.testing.assert_array_equal(values(t.detach().to(backend=other)), values(t))
        with pytest.raises((ConversionError, RuntimeError), match="detach"):
            np.asarray(t)
    assert tn.asarray(x).to(dtype="float32").array.requires_grad


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
def test_parameters_and_variables_stay_what_they_are() -> None:
    import torch

    parameter = torch.nn.Parameter(torch.ones(3))
    assert tn.asarray(parameter).array is parameter
    assert tn.tensor(parameter, [tn.Index("i", V)]).array is parameter
    (tn.asarray(parameter) * 2).array.sum().backward()
    assert parameter.grad is not None
    np.testing.assert_array_equal(parameter.grad.numpy(), [2, 2, 2])


@pytest.mark.skipif("tensorflow" not in installed(), reason="TensorFlow is not installed")
def test_variables_are_read_at_each_use() -> None:
    import tensorflow as tf

    variable = tf.Variable([1.0, 2.0, 3.0])
    t = tn.tensor(variable, [tn.Index("i", V)])
    assert t.array is variable
    variable.assign([4.0, 5.0, 6.0])
    np.testing.assert_array_equal(values(t * 2), [8, 10, 12])
    np.testing.assert_array_equal(values(t + t), [8, 10, 12])


# -- data types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("int64", "float32"), ("float64", "float32"), ("float32", "complex64"),
                                               ("int8", "int64"), ("bool", "int32"), ("float32", "int32")])  # fmt: skip
def test_data_types_change_by_name(backend: str, first: str, second: str) -> None:
    data = np.array([0, 1, 2]).astype(first)
    t = tn.tensor(native(backend, data), ["n"]).to(dtype=second)
    assert t.dtype is tn.dtype(second)
    assert t.names == ("n",)
    np.testing.assert_array_equal(values(t), data.astype(second))


def test_data_types_have_one_identity_on_every_backend() -> None:
    kinds = {tn.asarray(native(b, DATA)).dtype for b in installed()}
    assert kinds == {tn.dtype("float64")}
    assert tn.dtype(float) is tn.dtype("float64")
    assert tn.dtype(np.float64) is tn.dtype(np.dtype("float64")) is tn.dtype("float64")
    for name in installed():
        assert tn.dtype(native(name, DATA).dtype) is tn.dtype("float64")


def test_unknown_data_types_are_errors() -> None:
    refusal(DTypeError, lambda b: tn.asarray(native(b, DATA)).to(dtype="float80"), "float80")
    refusal(DTypeError, lambda b: tn.asarray([1.0], backend=b, dtype="object"), "object")
    refusal(DTypeError, lambda b: tn.asarray(native(b, DATA)).to(dtype=3), "3")  # type: ignore[arg-type]


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
def test_a_data_type_that_a_backend_lacks_is_an_error_there() -> None:
    import torch

    t = tn.asarray(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(DTypeError, match="numpy backend has no data type bfloat16"):
        t.to(backend="numpy")
    with pytest.raises(DTypeError, match="numpy backend has no data type bfloat16"):
        tn.asarray([1.0], dtype="bfloat16", backend="numpy")
    assert t.to(backend="numpy", dtype="float32").dtype is tn.dtype("float32")


def test_what_is_no_rectangular_array_of_numbers_is_refused_in_the_same_words() -> None:
    for bad in ([[1, 2], [3]], "abc", [object()], {"a": 1}, [[1.0], 2.0], ["a"]):
        refusal(ConversionError, lambda b, bad=bad: tn.asarray(bad, backend=b), "number")


def test_spaces_without_indices_are_refused() -> None:
    refusal(NotationError, lambda b: tn.tensor(native(b, DATA), i=V), "Legal:")


def test_nested_lists_may_hold_tensors_and_numpy_arrays(backend: str) -> None:
    rows = [tn.asarray(native(backend, DATA[0])), DATA[1]]
    np.testing.assert_array_equal(values(tn.asarray(rows, backend=backend)), DATA)
    assert tn.asarray(rows, backend=backend).dtype is tn.dtype("float64")


# -- where ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "device", ["cpu", "CPU:0", "cpu:0", "/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"]
)
def test_devices_have_one_name_however_they_are_written(backend: str, device: str) -> None:
    t = tn.asarray([1.0, 2.0], backend=backend, device=device)
    assert t.device == "cpu"
    assert t.to(device=device).device == "cpu"
    assert "cpu" in get(backend).devices()


@pytest.mark.parametrize("device", ["quantum", "cuda:99", "tpu:7", "", "3", "cpu!", None.__class__])
def test_unknown_devices_are_backend_errors(backend: str, device: Any) -> None:
    t = tn.asarray(native(backend, DATA))
    for call in (lambda: t.to(device=device), lambda: tn.asarray([1.0], backend=backend, device=device)):
        with pytest.raises(BackendError):
            call()


def test_unknown_backends_are_errors_that_list_the_known_ones() -> None:
    for call in (
        lambda b: tn.asarray([1.0], backend="abacus"),
        lambda b: tn.asarray(native(b, DATA)).to(backend="abacus"),
        lambda b: tn.levi_civita(tn.Index("i", tn.Space("L", 1, metric=[1])), backend="abacus"),
        lambda b: tn.use("abacus").__enter__(),
    ):
        refusal(BackendNotFoundError, call, "'abacus'", "'numpy'", "'torch'", "'tensorflow'")


def test_use_sets_the_backend_of_new_tensors_for_a_block(backend: str) -> None:
    before = current().name
    with tn.use(backend):
        assert tn.asarray([1.0, 2.0]).backend == backend
        assert tn.tensor([1.0, 2.0, 3.0], "^i", i=V).backend == backend
        with tn.use("numpy"):
            assert tn.asarray([1.0]).backend == "numpy"
        assert tn.asarray([1.0]).backend == backend
        x, y = tn.indices("x y", tn.Space("E", 2, metric=[1, 1]))
        assert tn.levi_civita(-x, -y).backend == backend
        # A native array keeps its own backend.
        assert tn.asarray(np.ones(2)).backend == "numpy"
    assert current().name == before


def test_use_with_a_device_makes_new_tensors_there(backend: str) -> None:
    device = get(backend).devices()[-1]
    i, j = tn.indices("i j", tn.Space("E", 2, metric=[1, 1]))
    with tn.use(backend, device):
        made = (
            tn.asarray([1.0]), tn.asarray(DATA, backend=backend), tn.tensor([1.0, 2.0, 3.0], "^i", i=V), tn.ones(2),
            tn.fft.fftfreq(3), tn.random.key(1), tn.random.uniform(tn.random.key(1), (2,)),
            tn.levi_civita(-i, -j),
            tn.trace(lambda x: x @ tn.asarray(DATA.T), tn.asarray(DATA, backend="numpy")).run(DATA, backend=backend),
        )  # fmt: skip
        assert {t.device for t in made if t.backend == backend} == {device}
        with tn.use("numpy"), tn.use(backend):
            assert tn.ones(2).device == device
        assert tn.ones(2, device="cpu").device == "cpu"
        assert tn.asarray(tn.ones(2, device="cpu")).device == "cpu"


def test_use_refuses_a_device_that_is_not_there(backend: str) -> None:
    before = current().name
    with pytest.raises(BackendError, match="has no device 'cuda:99'"), tn.use(backend, "cuda:99"):
        pass
    assert current().name == before


def test_use_is_undone_by_an_error(backend: str) -> None:
    before = current().name
    with pytest.raises(KeyError), tn.use(backend):
        raise KeyError
    assert current().name == before


def test_threads_do_not_see_each_others_use() -> None:
    seen: dict[str, list[str]] = {}
    barrier = threading.Barrier(len(installed()) + 1)

    def work(name: str) -> None:
        with tn.use(name):
            barrier.wait()
            seen[name] = [tn.asarray([1.0]).backend for _ in range(50)]
            barrier.wait()

    threads = [threading.Thread(target=work, args=(name,)) for name in installed()]
    for thread in threads:
        thread.start()
    barrier.wait()
    outside = [tn.asarray([1.0]).backend for _ in range(50)]
    barrier.wait()
    for thread in threads:
        thread.join()
    assert seen == {name: [name] * 50 for name in installed()}
    assert set(outside) == {"numpy"}
