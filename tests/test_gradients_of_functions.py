"""Every differentiable function of the namespace keeps its gradient: the frameworks' against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import installed
from differences import CASES, arrays_of, close, derivative, weights
from differences import flat as flattened
from namespace_table import ARRAYS

import tensoria as tn
from tensoria.tensor import Tensor

DIFFERENTIABLE = [case for case, row in CASES.items() if row.by]
FRAMEWORKS = [name for name in ("torch", "tensorflow") if name in installed()]


def torch_gradients(case: str) -> list[Any]:
    import torch

    row = CASES[case]
    arrays = [torch.tensor(ARRAYS[name], requires_grad=name in row.by) for name in row.inputs]
    results = flattened(row.function(tn.namespace("torch"), *map(Tensor, arrays)))
    total = sum(
        (result * torch.tensor(weight)).real.sum()
        for result, weight in zip(results, weights(case), strict=True)
        if weight is not None
    )
    by = [arrays[row.inputs.index(name)] for name in row.by]
    found = torch.autograd.grad(total, by, allow_unused=True, materialize_grads=True)  # type: ignore[arg-type]
    return [x.resolve_conj().numpy() for x in found]


def tensorflow_gradients(case: str) -> list[Any]:
    import tensorflow as tf

    row = CASES[case]
    arrays = [tf.constant(array) for array in arrays_of(case)]
    by = [arrays[row.inputs.index(name)] for name in row.by]
    with tf.GradientTape() as tape:
        tape.watch(by)
        results = flattened(row.function(tn.namespace("tensorflow"), *map(Tensor, arrays)))
        total = tf.add_n([
            tf.cast(tf.reduce_sum(tf.math.real(result * tf.constant(weight))), tf.float64)
            for result, weight in zip(results, weights(case), strict=True)
            if weight is not None
        ])  # fmt: skip
    found = tape.gradient(total, by, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(x).numpy() for x in found]


GRADIENTS = {"torch": torch_gradients, "tensorflow": tensorflow_gradients}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("case", DIFFERENTIABLE)
def test_the_gradient_is_that_of_finite_differences(case: str, framework: str) -> None:
    for found, wanted in zip(GRADIENTS[framework](case), derivative(case), strict=True):
        close(found, wanted, rtol=1e-5, atol=2e-7 * (1 + np.abs(wanted).max(initial=0)))


THROUGH_GRAD = [
    "Tensor.__setitem__/row", "Tensor.__setitem__/complex", "Tensor.__setitem__/tensor at a mask",
    "Tensor.__getitem__/integer arrays", "Tensor.__matmul__", "Tensor.__iadd__", "where", "sort", "take_along_axis",
    "cumulative_prod", "linalg.solve", "linalg.svdvals", "linalg.inv/complex", "fft.fft", "fft.irfft",
]  # fmt: skip


@pytest.mark.parametrize("case", THROUGH_GRAD)
def test_grad_goes_through_functions_and_assignments(backend: str, case: str) -> None:
    row, xp = CASES[case], tn.namespace(backend)
    chosen = [row.inputs.index(name) for name in row.by]
    given = [xp.asarray(array, copy=True) for array in arrays_of(case)]
    constants = [None if weight is None else xp.asarray(weight) for weight in weights(case)]

    def total(*arguments: Any) -> Any:
        where = tn.namespace(arguments[0].backend)  # NumPy's gradients are another backend's
        results = [Tensor(x) for x in flattened(row.function(where, *arguments[: len(given)]))]
        parts = [
            where.sum(where.real(result * weight))
            for result, weight in zip(results, arguments[len(given) :], strict=True)
            if weight is not None
        ]
        return sum(parts[1:], start=parts[0])

    for found, wanted in zip(tn.grad(total, chosen)(*given, *constants), derivative(case), strict=True):
        assert found.backend == backend
        close(np.asarray(found.detach()), wanted.conj(), rtol=1e-5, atol=1e-6)
