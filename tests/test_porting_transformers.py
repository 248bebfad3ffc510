"""Real architectures become programs: the same numbers for other sizes, gradients and training as in PyTorch.

Some models are trained on every run; all of them are with `python tests/full_matrix.py`, whose result is in
docs/porting.md.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from across import here  # noqa: E402
from models import flat  # noqa: E402
from real_models import MODELS, Model, Objective, tensors  # noqa: E402
from tensoria_torch.containers import plain  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.conversion import convert  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

PORTED: dict[str, Any] = {}
TRAINED: dict[str, Any] = {}
WIDE: dict[str, Any] = {}
ALWAYS = ("bert", "sequences", "unet")
"""What is trained on every run."""
WRITTEN = {"llama", "mobilenetv2"}
"""What is written out on every run, the others are run."""
LARGE = {"t5", "minilm", "resnet50"}
"""What is left to the matrix."""
STEPS = 10


def each(always: Any) -> Any:
    """Every model, of which some always."""
    return pytest.mark.parametrize(
        "name", [name if name in always else pytest.param(name, marks=pytest.mark.matrix) for name in MODELS]
    )


def ported(name: str) -> tuple[Any, Program, list[tuple[Any, list[Any]]]]:
    """A model, its program, and arguments with the model's results; made once."""
    if name not in PORTED:
        torch.manual_seed(0)
        model: Model = MODELS[name]
        module, cases = model.make(), [model.example(), model.other()]
        program = tn.port(module, (), cases[0], dynamic=model.dynamic)
        with torch.no_grad():
            PORTED[name] = module, program, [(case, flat(plain(module(**case)))) for case in cases]
    found: tuple[Any, Program, list[tuple[Any, list[Any]]]] = PORTED[name]
    return found


def close(results: list[Any], expected: list[Any], tolerance: float = 1e-5) -> None:
    """Assert equal numbers, relative to each tensor's largest."""
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        scale = float(theirs.abs().max())
        assert scale > 1e-3
        np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), rtol=0, atol=tolerance * scale)


@each(MODELS.keys() - WRITTEN - LARGE)
def test_a_model_computes_the_same_on_every_backend_for_open_sizes(backend: str, name: str) -> None:
    _, program, cases = ported(name)
    for case, expected in cases:
        results = flat(program.run(backend=backend, **tensors(case)))
        close([x.to(backend="numpy")._array for x in results], expected)


@each(WRITTEN)
def test_a_model_is_written_out_and_computes_the_same(backend: str, name: str) -> None:
    _, program, cases = ported(name)
    compiled, target = program.compile(backend), get(backend)
    for case, expected in cases:
        native = compiled.native(*here(backend, [convert(x, get("torch"), target) for x in tensors(case).values()]))
        close([target.to_numpy(target.detach(x)) for x in native], expected)


@each(MODELS.keys() - LARGE)
def test_every_parameter_is_there_once_under_the_models_name(name: str) -> None:
    module, program, _ = ported(name)
    given = dict(module.named_parameters())
    assert set(program.parameters) <= {*given, *dict(module.named_buffers())}
    used = [array.size for value, array in program.arrays.items() if value in program.parameters.values()]
    assert sum(used) >= 0.9 * sum(parameter.numel() for parameter in given.values())
    tied = {key for key, _ in module.named_parameters(remove_duplicate=False)} - set(given)
    assert tied <= set(program.aliases)


def test_a_language_model_has_no_divergence() -> None:
    module, program, cases = ported("llama")
    found = tn.parity(program, source=module, kwargs=cases[0][0], to=["numpy"])
    assert found.first is None, str(found)


# -- training ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def wide(model: Model) -> Iterator[None]:
    """For the duration of a `with` block a model that asks for float32 in some part gets float64."""
    with pytest.MonkeyPatch.context() as patch:
        if model.narrow:
            patch.setattr(torch, "float32", torch.float64)
            patch.setattr(torch, "float", torch.float64)
            patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        yield


def trained(name: str) -> Any:
    """A model with an objective in float64, its program with gradients, and PyTorch's own training; made once."""
    if name not in TRAINED:
        torch.manual_seed(1)
        model: Model = MODELS[name]
        module = Objective(model.make()).double()
        case = {
            key: x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
            for key, x in model.example().items()
        }
        module.train(model.trains)
        with wide(model):
            program = tn.port(module, (), case).value_and_grad(parameters=True)
            after, losses, first = copy.deepcopy(module), [], {}
            optimiser = torch.optim.SGD(after.parameters(), lr=model.rate)
            for n in range(STEPS):
                optimiser.zero_grad()
                loss = after(**case)
                loss.backward()
                if not n:
                    first = {key: p.grad.clone() for key, p in after.named_parameters() if p.grad is not None}
                optimiser.step()
                losses.append(loss.item())
        TRAINED[name] = program, tensors(case), first, losses, after.state_dict()
    return TRAINED[name]


@each(ALWAYS)
def test_gradients_and_ten_steps_are_the_models_own(backend: str, name: str) -> None:
    """Against the eager model, in float64: every gradient, ten losses, and the parameters after ten steps."""
    program, case, first, losses, expected = trained(name)
    state, found, rate = program.state(), [], MODELS[name].rate
    floor = 1e-3 * max(float(g.abs().max()) for g in first.values())
    for n in range(STEPS):
        (loss, gradients), after = program.apply(state, backend=backend, **case)
        gradients = {key: g.to(backend="numpy").array for key, g in gradients.items()}
        if not n:
            for key, g in first.items():
                scale = max(float(g.abs().max()), floor)
                np.testing.assert_allclose(gradients[program.aliases.get(key, key)], g, rtol=0, atol=1e-10 * scale)
        found.append(float(loss.to(backend="numpy").array))
        state = {key: x.to(backend="numpy").array for key, x in after.items()}
        state = {key: x - rate * gradients[key] if key in gradients else x for key, x in state.items()}
    np.testing.assert_allclose(found, losses, rtol=1e-9)
    assert losses[-1] != losses[0]
    for key, x in state.items():
        wanted = expected[key].double().numpy()
        np.testing.assert_allclose(x, wanted, rtol=0, atol=1e-8 * max(float(np.abs(wanted).max()), 1e-3))


@each(("llama",))
def test_a_model_in_float64_agrees_to_the_last_places(backend: str, name: str) -> None:
    model = MODELS[name]
    if name not in WIDE:
        torch.manual_seed(2)
        module = model.make().double()
        cases = [
            {k: x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for k, x in make().items()}
            for make in (model.example, model.other)
        ]
        with wide(model), torch.no_grad():
            program = tn.port(module, (), cases[0], dynamic=model.dynamic)
            WIDE[name] = program, [(case, flat(plain(module(**case)))) for case in cases]
    program, found = WIDE[name]
    for case, expected in found:
        results = flat(program.run(backend=backend, **tensors(case)))
        close([x.to(backend="numpy")._array for x in results], expected, 1e-12)
