"""Compiled programs: open sizes, names that mean something else, devices, and the frameworks' own compilers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, native, values

import tensoria as tn
from tensoria.discovery import get
from tensoria.tensor import Tensor

random = np.random.default_rng(0)
OPEN: dict[str, Callable[[Tensor], Any]] = {
    "reshape": lambda x: tn.reshape(x, (-1, 2)),
    "flat": lambda x: tn.reshape(x, (-1,)) * x.shape[0],
    "half": lambda x: x[: x.shape[0] // 2],
    "reversed": lambda x: x[::-1, 1:],
    "joined": lambda x: tn.concat([x, x[:1]], axis=0) + tn.zeros((x.shape[0] + 1, 1), dtype=x.dtype),
    "spread": lambda x: tn.broadcast_to(x[None], (3, *x.shape)),
    "range": lambda x: x + tn.arange(x.shape[0], dtype=x.dtype)[:, None],
    "eye": lambda x: tn.eye(x.shape[0], dtype=x.dtype, k=1) @ x,
    "square eye": lambda x: tn.eye(x.shape[0], dtype=x.dtype) @ x,
    "mean": lambda x: tn.sum(x, axis=0) / x.shape[0],
    "variance": lambda x: tn.std(x, axis=0, correction=1),
    "assigned": lambda x: tn.where(x > 0, x, tn.zeros_like(x)),
    "last": lambda x: x[-1],
    "gather": lambda x: x[tn.asarray([0, -1])],
    "taken": lambda x: tn.take_along_axis(x, tn.argsort(x, axis=0), axis=0),
    "spectrum": lambda x: tn.fft.ifft(tn.fft.fft(x, axis=0, norm="ortho"), axis=0, norm="ortho"),
    "half spectrum": lambda x: tn.fft.irfft(tn.fft.rfft(x, axis=0), n=x.shape[0], axis=0),
    "factors": lambda x: tn.linalg.matrix_rank(x.T @ x),
    "norm": lambda x: x / tn.linalg.vector_norm(x, axis=-1, keepdims=True),
    "tiled": lambda x: tn.tile(x, (2, 1)),
    "triangle": lambda x: tn.tril(x @ x.T, k=-1),
    "shorter": lambda x: tn.maximum(x[:4], x[-4:]),
}


@pytest.mark.parametrize("name", OPEN)
def test_compiled_programs_take_other_sizes(backend: str, name: str) -> None:
    run = OPEN[name]
    program = tn.trace(run, tn.asarray(np.ones((6, 4))), dynamic={"x": (tn.dim("n", lower=4), None)})
    compiled = program.compile(backend)
    for size in (4, 7):
        x = random.standard_normal((size, 4))
        found = compiled(native(backend, x))
        np.testing.assert_allclose(values(found), values(run(tn.asarray(x))), rtol=1e-10, atol=1e-12)


def test_one_graph_takes_all_sizes() -> None:
    tf = pytest.importorskip("tensorflow")
    arguments = tn.asarray(np.ones((6, 4)))
    programs = [tn.trace(run, arguments, dynamic={"x": (tn.dim("n", lower=4), None)}) for run in OPEN.values()]
    functions = [program.compile("tensorflow") for program in programs]

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float64)], autograph=False)
    def graph(x: Any) -> Any:
        return [function(x) for function in functions]

    for size in (4, 7):
        x = random.standard_normal((size, 4))
        for name, found in zip(OPEN, graph(tf.constant(x)), strict=True):
            expected = values(OPEN[name](tn.asarray(x)))
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-12, err_msg=name)


def test_names_that_mean_something_else_are_changed(backend: str) -> None:
    def f(np: Tensor, torch: Tensor, tf: Tensor, max: Tensor, argsort: Tensor, f: Tensor, n: Tensor) -> Tensor:
        rows = tn.tile(n, (2, 1))[: n.shape[0]]
        order = tn.astype(tn.argsort(argsort, descending=True), f.dtype)
        return np + torch * tf - max + order + f + tn.minimum(rows, n) * n.shape[0]

    arrays = [random.standard_normal((3, 4)) for _ in range(7)]
    names = ("np", "torch", "tf", "max", "argsort", "f", "n")
    program = tn.trace(f, *map(tn.asarray, arrays), dynamic=dict.fromkeys(names, ("n", None)))
    expected = values(f(*map(tn.asarray, arrays)))
    found = program.compile(backend)(*(native(backend, array) for array in arrays))
    np.testing.assert_allclose(values(found), expected)


def test_numbers_keep_the_data_type_that_the_program_says(backend: str) -> None:
    def f(x: Tensor) -> list[Tensor]:
        chosen = tn.where(x > 0, tn.ones_like(x), tn.zeros_like(x))
        return [chosen, (-2.0) ** x, tn.where(x > 0, 0.0, x), tn.maximum(tn.zeros_like(x), x)]

    for dtype in ("float32", "float64"):
        x = np.array([-1, 0, 1, 2], dtype=dtype)
        found = tn.trace(f, x).compile(backend).native(native(backend, x))
        for a, b in zip(found, f(tn.asarray(x)), strict=True):
            assert tn.asarray(a, backend=backend).dtype is b.dtype
            np.testing.assert_allclose(values(a), values(b))


def test_the_frameworks_compiler_takes_the_whole_program(backend: str) -> None:
    w = tn.asarray(random.standard_normal((4, 4)))

    def f(x: Tensor) -> Tensor:
        return tn.einsum("ab, cb, c -> a", x, tn.tanh(x @ w), tn.sum(x, axis=1))

    x = random.standard_normal((5, 4))
    if backend == "torch":
        import torch

        calls: list[int] = []

        def counting(graph: Any, inputs: Any) -> Any:
            calls.append(len(inputs))
            return graph.forward

        found = torch.compile(tn.trace(f, x).compile(backend).native, fullgraph=True, backend=counting)(
            native(backend, x)
        )[0]
        assert len(calls) == 1
    else:
        found = tn.trace(f, x).compile(backend, jit=True)(native(backend, x))
    np.testing.assert_allclose(values(found), values(f(tn.asarray(x))))


def test_a_choice_is_compiled_by_the_framework() -> None:
    pytest.importorskip("tensorflow")

    def f(x: Tensor) -> Tensor:
        return tn.cond(tn.sum(x) > 0, lambda x: tn.exp(x) * 2, lambda x: x - 1, x)

    compiled = tn.trace(f, np.ones(3)).compile("tensorflow", jit=True)
    for x in (np.ones(3), -np.ones(3)):
        np.testing.assert_allclose(values(compiled(native("tensorflow", x))), values(f(tn.asarray(x))))


def test_constants_go_where_the_first_input_is() -> None:
    torch = pytest.importorskip("torch")
    w = tn.asarray(random.standard_normal((4, 3)))
    program = tn.trace(lambda x: tn.atan2(x @ w + tn.arange(3, dtype=x.dtype), 0.5), np.ones((2, 4)))
    compiled = program.compile("torch")
    found = compiled(torch.ones((2, 4), dtype=torch.float64, device="meta"))  # a device without numbers
    assert found.device.type == "meta"
    assert found.shape == (2, 3)
    assert compiled(torch.ones((2, 4), dtype=torch.float64)).device.type == "cpu"


def test_source_is_short_and_readable() -> None:
    def layer(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return tn.maximum(x @ w.T + b, tn.zeros_like(x @ w.T))

    program = tn.trace(layer, np.ones((5, 4), "float32"), np.ones((3, 4), "float32"), np.ones(3, "float32"))
    expected = {
        "numpy": "np.maximum(x @ w.T + b, 0.0)",
        "torch": "(x @ w.T + b).clamp(min=0.0)",
        "tensorflow": "tf.maximum(tf.matmul(x, w, transpose_b=True) + b, 0.0)",
    }
    for name in installed():
        head, line, result = program.source(name).splitlines()[-3:]
        assert head == "def layer(x, w, b):"
        assert line.split(" = ")[1].split("  #")[0] == expected[name]
        assert result.strip() == f"return {line.split()[0]},"


def test_what_is_not_needed_any_more_is_let_go() -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0

    class Counted(np.ndarray[Any, Any]):
        def __array_finalize__(self, of: Any) -> None:
            nonlocal most
            alive.append(weakref.ref(self))
            most = max(most, sum(ref() is not None for ref in alive))

    def f(x: Tensor) -> Tensor:
        for _ in range(20):
            y = tn.tanh(x)
            x = y * y - x
        return x

    x = np.zeros(3)
    compiled = tn.trace(f, x).compile("numpy").native
    alive.clear()
    compiled(x.view(Counted))
    assert most < 8  # of 60


def test_what_a_framework_traces_is_not_kept() -> None:
    """Constants that were made inside of a graph are out of scope after it."""
    tf = pytest.importorskip("tensorflow")
    program = tn.trace(lambda x: x @ tn.asarray(np.arange(9.0).reshape(3, 3)), np.ones(3))
    x, wanted = tf.constant([1.0, 2.0, 3.0], tf.float64), [1.0, 2.0, 3.0] @ np.arange(9.0).reshape(3, 3)
    for _ in range(2):
        inside = tf.function(lambda x: program.run(x).array, autograph=False)
        np.testing.assert_array_equal(inside(x), wanted)
    np.testing.assert_array_equal(program.run(x).array, wanted)
    np.testing.assert_array_equal(inside(x), wanted)


def test_arguments_of_other_backends_come_to_the_first_one_of_this(backend: str) -> None:
    device = get(backend).devices()[-1]
    program = tn.trace(lambda x, W: x @ W + 1, np.ones(3), np.eye(3))
    x = tn.asarray([1.0, 2.0, 3.0], dtype="float64", backend=backend, device=device)
    for found in (program.run(x, np.eye(3), backend=backend), program.compile(backend)(x, np.eye(3))):
        assert found.device == device
        np.testing.assert_array_equal(np.asarray(found), [2.0, 3.0, 4.0])
