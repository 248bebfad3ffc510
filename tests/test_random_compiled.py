"""Random numbers under compilers: the same bits as without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import values
from draws import DRAWS, SEED, bits_of

import tensoria as tn
from tensoria import random

COMPILED = (
    "unpacked split", "fold_in", "a key made here", "bits", "uniform", "uniform shifted", "uniform float64 shifted",
    "integers", "integers, many", "permutation", "choice of rows", "weighted choice without replacement",
)  # fmt: skip
FEW = ("uniform shifted", "uniform float64 shifted", "integers", "permutation", "weighted choice, float32")


def together(names: tuple[str, ...]) -> Callable[[tn.Tensor], list[tn.Tensor]]:
    return lambda key: [DRAWS[name](key) for name in names]


def test_torch_compiles_draws_to_one_graph_with_the_same_bits() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch._dynamo.reset()
    graphs = 0

    def counting(graph: Any, inputs: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return graph.forward

    compiled = torch.compile(together(COMPILED), fullgraph=True, backend=counting)
    for seed in (SEED, 1):
        key = random.key(seed, backend="torch")
        for name, got in zip(COMPILED, compiled(key), strict=True):
            assert bits_of(got) == bits_of(DRAWS[name](random.key(seed))), name
    assert graphs == 1


def test_aot_autograd_keeps_the_bits() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch._dynamo.reset()
    compiled = torch.compile(together(FEW), fullgraph=True, backend="aot_eager")
    for name, got in zip(FEW, compiled(random.key(SEED, backend="torch")), strict=True):
        assert bits_of(got) == bits_of(DRAWS[name](random.key(SEED))), name


def test_sizes_steps_and_bounds_may_be_symbols_of_a_compiler() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch._dynamo.reset()

    def draws(key: tn.Tensor, x: Any, step: int, bound: float) -> list[tn.Tensor]:
        later = random.fold_in(key, step)
        return [
            random.uniform(later, x.shape, low=-bound, high=2 * bound),
            random.integers(key, 0, step, x.shape[0]),
            random.permutation(key, x.shape[0]),
            random.normal(key, 2, mean=bound),
        ]

    compiled = torch.compile(draws, fullgraph=True, backend="eager", dynamic=True)
    key = random.key(3, backend="torch")
    for size, step, bound in ((5, 3, 1.5), (9, 4, 2.5)):
        x = torch.ones(size, 3)
        for got, expected in zip(compiled(key, x, step, bound), draws(key, x, step, bound), strict=True):
            assert bits_of(got) == bits_of(expected)


def test_torch_maps_over_keys() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    keys = random.split(random.key(0, backend="torch"), 4)

    def draws(array: Any) -> tuple[Any, ...]:
        key = tn.asarray(array)
        p = random.uniform(key, 5)
        return random.normal(key, 3).array, random.permutation(key, 5).array, random.choice(key, 5, 2, p=p).array

    mapped = torch.vmap(draws)(keys.array)
    for n in range(4):
        for got, expected in zip(mapped, draws(keys.array[n]), strict=True):
            assert torch.equal(got[n], expected)


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "XLA"])
def test_tensorflow_compiles_draws_with_the_same_bits(xla: bool) -> None:
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    names = FEW if xla else COMPILED
    traces = 0

    @tf.function(jit_compile=xla, autograph=False)
    def compiled(key: tn.Tensor) -> list[tn.Tensor]:
        nonlocal traces
        traces += 1
        return together(names)(key)

    for seed in (SEED, 1):
        key = random.key(seed, backend="tensorflow")
        for name, got in zip(names, compiled(key), strict=True):
            assert bits_of(got) == bits_of(DRAWS[name](random.key(seed))), name
    assert traces == 1


def test_a_step_that_is_not_known_yet_is_folded_in() -> None:
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    key = random.key(0, backend="tensorflow")
    step = tf.function(lambda n: random.bits(random.fold_in(key, tn.asarray(n)), 3).array)
    np.testing.assert_array_equal(step(tf.constant(7)), values(random.bits(random.fold_in(key, 7), 3)))
