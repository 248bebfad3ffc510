"""PyTorch's compiler and transforms take labelled tensors: one graph, one trace for each structure, gradients."""

from __future__ import annotations

from typing import Any

import pytest

import tensoria as tn

torch = pytest.importorskip("torch", reason="the torch backend's framework is not installed")
from compiled_operations import OPERATIONS, V, i, j  # noqa: E402
from torch._dynamo.testing import CompileCounter  # noqa: E402


def operands(seed: int = 0) -> tuple[tn.Tensor, tn.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        tn.tensor(torch.rand(3, 3, generator=generator), [i, -j]),
        tn.tensor(torch.rand(3, generator=generator), [j]),
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_compiles_to_one_graph_and_never_again(name: str) -> None:
    function = OPERATIONS[name]
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(function, fullgraph=True, backend=counter)
    for seed in range(3):
        A, v = operands(seed)
        got, expected = compiled(A, v), function(A, v)
        assert got.axes is expected.axes
        # Processors round inverses and determinants differently: what is compared is which graph ran.
        torch.testing.assert_close(got.array, expected.array, rtol=1e-5, atol=1e-5)
    assert counter.frame_count == 1


def test_each_structure_is_compiled_once_whatever_else_the_caches_hold() -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(lambda A, v: A * v, fullgraph=True, backend=counter)
    A, v = operands()
    compiled(A, v)
    for number in range(20):  # other structures pass through the same caches meanwhile
        space = tn.Space(f"other{number}", 3)
        a, b = tn.indices("a b", space)
        _ = tn.tensor(torch.ones(3, 3), [a, -b]) * tn.tensor(torch.ones(3), [b])
    compiled(A, v)
    assert counter.frame_count == 1
    compiled(A.renamed(i="m"), v)
    assert counter.frame_count == 2
    compiled(A.renamed(i="m"), v)
    compiled(A, v)
    assert counter.frame_count == 2


def test_a_compiled_function_with_a_dynamic_batch_is_compiled_at_most_twice() -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(lambda A, x: A * x, fullgraph=True, backend=counter)
    A, _ = operands()
    for size in (2, 5, 7, 11):
        x = tn.tensor(torch.rand(size, 3), ["b", j])
        got = compiled(A, x)
        assert str(got.axes) == "b ^i"
        torch.testing.assert_close(got.array, x.array @ A.array.T)
    assert counter.frame_count <= 2


def test_inductor_gives_the_same_numbers_and_gradients() -> None:
    torch._dynamo.reset()
    x = torch.rand(3, 3, requires_grad=True)
    _, v = operands()

    def function(array: Any) -> Any:
        A = tn.tensor(array, [i, -j])
        return tn.inner(A * v, A * v).array

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    (expected,) = torch.autograd.grad(function(x), x)
    (got,) = torch.autograd.grad(compiled(x), x)
    torch.testing.assert_close(got, expected)


def test_gradients_flow_through_wrapping_contraction_and_unwrapping() -> None:
    x = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)
    v = tn.tensor(torch.rand(3, dtype=torch.float64), [j])
    assert torch.autograd.gradcheck(lambda a: tn.inner(tn.tensor(a, [i, -j]) * v, v.renamed(j="i")).array, (x,))


def test_a_parameter_stays_a_parameter() -> None:
    weight = torch.nn.Parameter(torch.rand(3, 3))
    A = tn.tensor(weight, [i, -j])
    assert A.array is weight
    assert (A * operands()[1]).array.requires_grad


def test_functional_transforms_take_and_return_tensors() -> None:
    A, v = operands()

    def energy(v: tn.Tensor) -> Any:
        return tn.inner(v, v).array

    slope = torch.func.grad(energy)(v)
    assert isinstance(slope, tn.Tensor)
    metric = torch.tensor(V.metric, dtype=torch.float32)
    torch.testing.assert_close(slope.array, 2 * metric @ v.array)

    batch = torch.rand(5, 3)
    mapped = torch.vmap(lambda array: (A * tn.tensor(array, [j])).array)(batch)
    torch.testing.assert_close(mapped, batch @ A.array.T)

    result, change = torch.func.jvp(lambda v: A * v, (v,), (v,))
    assert result.axes is change.axes
    torch.testing.assert_close(change.array, (A * v).array)


def test_an_exported_program_takes_and_returns_tensors() -> None:
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.rand(3, 3))

        def forward(self, v: tn.Tensor) -> tn.Tensor:
            return tn.tensor(self.weight, [i, -j]) * v

    layer, (_, v) = Layer(), operands()
    for strict in (False, True):
        program = torch.export.export(layer, (v,), strict=strict)
        got = program.module()(v)
        assert got.axes is layer(v).axes
        torch.testing.assert_close(got.array, layer(v).array)


def test_a_tensor_is_a_node_of_torch_and_optree_pytrees() -> None:
    A, v = operands()
    leaves, tree = torch.utils._pytree.tree_flatten({"A": A, "more": [v, 1]})
    assert [type(leaf) for leaf in leaves] == [torch.Tensor, torch.Tensor, int]
    again = torch.utils._pytree.tree_unflatten(leaves, tree)
    assert again["A"].axes is A.axes
    optree = pytest.importorskip("optree", reason="optree is optional")
    doubled = optree.tree_map(lambda x: 2 * x, {"A": A, "v": v})
    assert doubled["v"].axes is v.axes
    torch.testing.assert_close(doubled["A"].array, 2 * A.array)
