"""Models of PyTorch become programs: the same numbers everywhere, names and lines kept, what is missing told."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from across import here  # noqa: E402
from models import MODELS, Example, Perceptron, Tied, flat, stressed  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.conversion import convert  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.errors import BackendNotFoundError, PortingError, ShapeError  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

each = pytest.mark.parametrize("name", MODELS)
PRECISIONS = {"float32": 1e-5, "float64": 1e-12}
GRADIENTS: dict[str, tuple[Any, Program]] = {}
PORTED: dict[tuple[str, str], tuple[Any, Program]] = {}


def in_precision(value: Any, precision: str) -> Any:
    """Floating tensors in a data type."""
    if isinstance(value, torch.Tensor):
        return value.to(getattr(torch, precision)) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: in_precision(item, precision) for key, item in value.items()}
    return type(value)(in_precision(item, precision) for item in value) if isinstance(value, (list, tuple)) else value


def ported(name: str, precision: str) -> tuple[Any, Program]:
    """A model in a data type, and its program; made once."""
    if (name, precision) not in PORTED:
        example = MODELS[name]
        module = stressed(copy.deepcopy(example.module).to(getattr(torch, precision)))
        args, kwargs = in_precision((example.args, dict(example.kwargs)), precision)
        PORTED[name, precision] = module, tn.port(module, args, kwargs, dynamic=example.dynamic)
    return PORTED[name, precision]


def tensors(kwargs: Any) -> dict[str, Any]:
    """The arguments that a program has."""
    return {key: value for key, value in kwargs.items() if isinstance(value, torch.Tensor)}


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Assert equal numbers, relative to each tensor's largest."""
    results, wanted = flat(found), flat(expected)
    assert len(results) == len(wanted)
    for ours, theirs in zip(results, wanted, strict=True):
        scale = float(theirs.detach().abs().max())
        assert scale > 1e-6
        ours = np.asarray(tn.asarray(ours).to(backend="numpy")._array)
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=tolerance * scale)


@each
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_ported_model_computes_the_models_numbers_for_sizes_that_were_open(
    backend: str, name: str, precision: str
) -> None:
    example: Example = MODELS[name]
    module, program = ported(name, precision)
    for args, kwargs in ((example.args, dict(example.kwargs)), example.others):
        args, kwargs = in_precision((tuple(args), dict(kwargs)), precision)
        with torch.no_grad():
            expected = module(*args, **kwargs)
        given, named = here(backend, (args, tensors(kwargs)))
        close(program.run(*given, backend=backend, **named), expected, PRECISIONS[precision])


@each
@pytest.mark.parametrize("target", ["numpy", "torch", "tensorflow"])
def test_a_ported_model_is_written_out_and_computes_the_same(name: str, target: str) -> None:
    pytest.importorskip(target)
    example: Example = MODELS[name]
    module, program = ported(name, "float32")
    compiled = program.compile(target)
    assert "tensoria" not in compiled.text.replace("by tensoria", "")
    for args, kwargs in ((example.args, example.kwargs), example.others):
        arrays = [convert(x, get("torch"), get(target)) for x in (*args, *tensors(kwargs).values())]
        with torch.no_grad():
            expected = module(*args, **kwargs)
            close([torch.as_tensor(np.asarray(x)) for x in compiled.native(*arrays)], expected, 1e-5)


def test_the_result_has_the_models_containers() -> None:
    result = ported("upward", "float32")[1].run(MODELS["upward"].args[0], backend="numpy")
    assert list(result) == ["up", "padded", "resized"]
    assert isinstance(result["resized"], list)


def test_a_ported_model_survives_a_file(tmp_path: Path) -> None:
    for name in ("tied", "recurrent"):
        example, (_, program) = MODELS[name], ported(name, "float32")
        program.save(tmp_path / "program")
        again = tn.load(tmp_path / "program")
        assert str(again) == str(program)
        assert list(again.parameters) == list(program.parameters)
        for a, b in zip(
            flat(program.run(*example.args, backend="numpy", **tensors(example.kwargs))),
            flat(again.run(*example.args, backend="numpy", **tensors(example.kwargs))), strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(a._array, b._array)


def test_parameters_and_buffers_have_their_names_and_tied_ones_are_one() -> None:
    module, program = ported("tied", "float32")
    assert set(program.parameters) == {"embedding.weight", "scale"}
    for name, value in program.parameters.items():
        np.testing.assert_array_equal(program.arrays[value], module.state_dict()[name].numpy())


def test_a_program_has_its_own_parameters() -> None:
    module = Perceptron().eval()
    program = tn.port(module, (torch.ones(2, 6),))
    before = program.run(torch.ones(2, 6), backend="numpy")._array
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(program.run(torch.ones(2, 6), backend="numpy")._array, before)


def test_every_instruction_knows_its_module_and_line() -> None:
    _, program = ported("perceptron", "float32")
    assert [made.source.module for made in program.instructions] == [f"layers.{n}" for n in range(5)]
    for made in program.instructions:
        assert made.source.file == Perceptron.forward.__code__.co_filename
        assert made.source.line == Perceptron.forward.__code__.co_firstlineno + 1


def test_what_is_computed_without_gradients_is_marked() -> None:
    _, program = ported("tied", "float32")
    stopped = [made for made in program.instructions if made.operation == "stop_gradient"]
    assert len(stopped) == 1
    assert stopped[0].source.line == Tied.forward.__code__.co_firstlineno + 3


def test_capture_leaves_the_model_as_it_is() -> None:
    module = stressed(copy.deepcopy(MODELS["images"].module))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tn.port(module, MODELS["images"].args)
    assert not module.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


class Weighed(torch.nn.Module):
    """One number of a module's results, to which every component contributes."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        results = flat(self.module(*args, **kwargs))
        return sum((y * torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos()).sum() for y in results)


@pytest.mark.parametrize("name", ["perceptron", "images", "upward", "tied"])
def test_gradients_by_all_parameters_are_those_of_the_model_itself(backend: str, name: str) -> None:
    example = MODELS[name]
    args, kwargs = in_precision((example.args, dict(example.kwargs)), "float64")
    if name not in GRADIENTS:
        made = Weighed(stressed(copy.deepcopy(example.module).double()))
        GRADIENTS[name] = made, tn.port(made, args, kwargs).grad(argnums=(), parameters=True)
    module, gradients = GRADIENTS[name]
    module.zero_grad()
    module(*args, **kwargs).backward()
    expected = {key: parameter.grad.numpy() for key, parameter in module.named_parameters()}
    found = gradients.run(*args, backend=backend, **tensors(kwargs))
    found = found[-1] if isinstance(found, tuple) else found
    assert set(expected) <= set(found)
    # A gradient that is zero but for rounding is held against the others.
    floor = 1e-3 * max(float(np.abs(gradient).max()) for gradient in expected.values())
    for key, gradient in expected.items():
        scale = max(float(np.abs(gradient).max()), floor)
        np.testing.assert_allclose(found[key].to(backend="numpy")._array, gradient, rtol=0, atol=1e-11 * scale)


# -- what can not be ported -------------------------------------------------------------------------------------------


class Unusual(torch.nn.Module):
    """Operators without a counterpart."""

    def forward(self, x: Any) -> Any:
        y = torch.special.bessel_y0(x)
        return torch.special.bessel_j0(y) + torch.special.bessel_j0(x)


def test_operators_without_a_counterpart_are_all_named_with_their_lines() -> None:
    line = Unusual.forward.__code__.co_firstlineno
    with pytest.raises(PortingError, match=r"special_bessel_j0.*2 times") as caught:
        tn.port(Unusual(), (torch.eye(3),))
    assert "special_bessel_y0" in str(caught.value)
    assert f"test_porting.py:{line + 1}" in str(caught.value)
    found = tn.coverage(Unusual(), (torch.eye(3),))
    assert not found.complete
    assert {operator.name for operator in found.missing} == {
        "aten.special_bessel_y0.default", "aten.special_bessel_j0.default"
    }  # fmt: skip
    assert "1 calls are ported" in str(found)


class Halves(torch.nn.Module):
    """Fixes the size of its first axis."""

    def forward(self, x: Any) -> Any:
        return x + torch.ones(4, 3)


def test_an_axis_that_the_model_fixes_is_never_fixed_silently() -> None:
    with pytest.raises(PortingError, match=r"batch, axis 0 of x, is 4"):
        tn.port(Halves(), (torch.ones(4, 3),), dynamic={"x": ("batch", None)})
    assert tn.coverage(Halves(), (torch.ones(4, 3),), dynamic={"x": ("batch", None)}).fixed


class Sum(torch.nn.Module):
    """Makes two sizes one."""

    def forward(self, x: Any, y: Any) -> Any:
        return x + y


def test_two_names_of_one_size_are_refused() -> None:
    with pytest.raises(PortingError, match="rows, axis 0 of y, is batch"):
        tn.port(Sum(), (torch.ones(4, 3), torch.ones(4, 3)), dynamic={"x": ("batch", None), "y": ("rows", None)})


def test_an_example_of_size_one_leaves_its_axis_open() -> None:
    program = tn.port(Perceptron().eval(), (torch.ones(1, 6),), dynamic={"x": ("batch", None)})
    assert str(program.inputs[0].type) == "float32[batch, 6]"
    with pytest.raises(ShapeError):
        program.run(torch.ones(2, 5), backend="numpy")


class Clipped(torch.autograd.Function):
    """The identity with another derivative."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return gradient.clamp(-1, 1)


class Straight(torch.nn.Module):
    """Calls it."""

    def forward(self, x: Any) -> Any:
        return Clipped.apply(x)


def test_a_derivative_that_export_would_drop_is_refused() -> None:
    with pytest.raises(PortingError, match=r"derivative of its own: the autograd\.Function Clipped"):
        tn.port(Straight(), (torch.ones(3),))
    assert Clipped.apply.__func__ is torch.autograd.Function.apply.__func__


def test_a_model_that_no_backend_knows_is_refused() -> None:
    with pytest.raises(BackendNotFoundError, match="type int"):
        tn.port(3)


def test_coverage_names_operators_that_a_backend_composes() -> None:
    example = MODELS["upward"]
    found = tn.coverage(example.module.eval(), example.args, to=["numpy", "torch"])
    assert found.complete
    assert found.composed["numpy"] == ("resize",) == found.composed["torch"]
    assert "numpy composes resize" in str(found)


# -- parity -----------------------------------------------------------------------------------------------------------

FAULTS = {
    "gelu": {"approximate": "tanh"}, "layer_norm": {"epsilon": 1e-3}, "batch_norm": {"epsilon": 1e-2},
    "convolution": {"padding": ((0, 2), (0, 2))},
}  # fmt: skip


@pytest.mark.parametrize("name", ["perceptron", "images", "tied", "recurrent"])
def test_a_ported_model_has_no_divergence(name: str) -> None:
    example = MODELS[name]
    module, program = ported(name, "float32")
    found = tn.parity(program, source=module, args=example.args, kwargs=example.kwargs, to=["numpy", "torch"])
    assert found.first is None, str(found)
    assert sum(x.backend == "numpy" for x in found.comparisons) >= len(program.outputs)
    assert found.worst("torch")[1] <= found.worst("numpy")[1] + 1e-6


@pytest.mark.parametrize("operation", FAULTS)
def test_the_first_divergence_is_the_operator_that_is_wrong(operation: str) -> None:
    name = "perceptron" if operation in ("gelu", "layer_norm") else "images"
    example, (module, program) = MODELS[name], ported(name, "float32")
    changed = [
        dataclasses.replace(made, attributes={**made.attributes, **FAULTS[operation]})
        if made.operation == operation and made.attributes.get("groups", 1) == 1 else made
        for made in program.instructions
    ]  # fmt: skip
    wrong = dataclasses.replace(program, instructions=tuple(changed))
    found = tn.parity(wrong, source=module, args=example.args, to=["numpy"]).first
    assert found is not None
    assert found.operation.startswith(f"{operation}(")
    assert found.source.file.endswith("models.py")
    assert found.wide is not None
    assert found.wide > 1e-6


def test_parity_refuses_another_models_program() -> None:
    with pytest.raises(PortingError, match="not those of this model"):
        tn.parity(ported("tied", "float32")[1], source=MODELS["images"].module, args=MODELS["images"].args)
