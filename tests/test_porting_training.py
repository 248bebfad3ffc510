"""Train mode: dropout from a key, running statistics as updates, one state for training and use, steps as PyTorch's."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import stressed  # noqa: E402
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import PortingError, TracingError  # noqa: E402
from tensoria.programs import archives  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

IMAGE = {"x": ("batch", None, None, None)}


class Trained(nn.Module):
    """Batch normalisation, dropout by component and by channel, stochastic depth, attention with dropout."""

    def __init__(self, rate: float = 0.3) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.channels, self.drop = nn.Dropout2d(rate), nn.Dropout(rate)
        self.attention = nn.MultiheadAttention(4, 2, dropout=rate, batch_first=True)
        self.rate = rate

    def forward(self, x: Any) -> Any:
        y = self.channels(self.norm(self.conv(x)).relu()).flatten(2).transpose(1, 2)
        z = self.attention(y, y, y, need_weights=False)[0]
        if self.training and self.rate:
            keep = torch.rand(z.shape[0], 1, 1) < 0.8
            z = z * keep / 0.8
        return self.drop(y + z)


def result_of(backend: str, program: Program, *args: Any, **named: Any) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = program.run(*args, backend=backend, **named).to(backend="numpy").array
    return found


def test_what_is_dropped_follows_from_the_key_alone(backend: str) -> None:
    torch.manual_seed(0)
    module = Trained()
    program = tn.port(module, (torch.randn(2, 3, 4, 4),), dynamic=IMAGE, train=True)
    x = torch.randn(5, 3, 4, 4)
    first, again, other = (
        result_of(backend, program, x, key=tn.random.key(seed)) for seed in (1, 1, 2)
    )  # fmt: skip
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    elsewhere = result_of("numpy", program, x, key=tn.random.key(1))
    np.testing.assert_array_equal(first == 0, elsewhere == 0)
    np.testing.assert_allclose(first, elsewhere, atol=2e-6)
    written = program.compile(backend)(x, key=tn.random.key(1))
    np.testing.assert_allclose(tn.asarray(written).to(backend="numpy").array, elsewhere, atol=2e-6)


def test_dropout_keeps_the_share_and_the_mean() -> None:
    program = tn.port(nn.Dropout(0.25), (torch.ones(3, 3),), dynamic={"input": ("n", None)}, train=True)
    y = program.run(torch.ones(20000, 3), key=tn.random.key(0), backend="numpy").array
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    # Four standard deviations of a share among 60000.
    assert abs((y != 0).mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / y.size)


def test_a_program_that_draws_asks_for_its_key_and_use_needs_none() -> None:
    program = tn.port(nn.Sequential(nn.Linear(3, 3), nn.Dropout()), (torch.ones(2, 3),), train=True)
    with pytest.raises(TracingError, match="draws random numbers") as caught:
        program.run(torch.ones(2, 3))
    assert "key=tn.random.key(0)" in str(caught.value)
    assert program.eval().key is None
    assert program.eval().train().key is not None
    with pytest.raises(PortingError, match="one mode only"):
        tn.port(nn.Linear(3, 3), (torch.ones(2, 3),)).eval()


def test_capture_leaves_the_mode_of_every_part(backend: str) -> None:
    module = Trained().train()
    module.norm.eval()
    program = tn.port(module, (torch.randn(2, 3, 4, 4),), train=True)
    assert module.training
    assert not module.norm.training
    assert not program.updates  # a part that does not train keeps its statistics


def test_running_statistics_are_what_pytorch_makes_of_them(backend: str) -> None:
    torch.manual_seed(1)
    module = stressed(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    module.append(nn.BatchNorm2d(4, affine=False, momentum=0.3))
    program = tn.port(module, (torch.randn(2, 3, 6, 6),), dynamic={"input": ("batch", None, None, None)}, train=True)
    state = program.state()
    module.train()
    for batch in (4, 2, 3):
        x = torch.randn(batch, 3, 6, 6)
        y, state = program.apply(state, x, backend=backend)
        expected = module(x)
        np.testing.assert_allclose(y.to(backend="numpy").array, expected.detach().numpy(), atol=2e-5)
    for name, value in module.state_dict().items():
        np.testing.assert_allclose(state[name].to(backend="numpy").array, value.numpy(), rtol=2e-5, atol=2e-6)
    assert state["1.num_batches_tracked"].to(backend="numpy").array == 3
    module.eval()
    used, _ = program.eval().apply(state, x, backend=backend)
    np.testing.assert_allclose(used.to(backend="numpy").array, module(x).detach().numpy(), atol=2e-5)


def test_training_and_use_share_one_state_and_a_file_holds_both(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = stressed(Trained())
    example = torch.randn(2, 3, 4, 4)
    program = tn.port(module, (example,), train=True)
    for name, value in program.parameters.items():
        assert program.eval().arrays[program.eval().parameters[name]] is program.arrays[value]
    program.save(tmp_path / "both.safetensors")
    again = tn.load(tmp_path / "both.safetensors")
    assert str(again) == str(program)
    assert str(again.eval()) == str(program.eval())
    assert again.eval().trainable == program.trainable
    entries, _, _ = archives.opened((tmp_path / "both.safetensors").read_bytes())
    constants = set(program.arrays) - set(program.parameters.values())
    more = set(program.eval().arrays) - set(program.eval().parameters.values())
    assert len(entries) == len(program.parameters) + len(constants) + len(more)
    changed = program.load_state({name: x + 1 for name, x in program.state().items()})
    np.testing.assert_array_equal(
        changed.eval().state()["conv.bias"].array, program.state()["conv.bias"].array + np.float32(1)
    )


class Counter(nn.Module):
    """Changes a buffer, by views too; and one that is not stored, in another data type."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(3, 2))
        self.register_buffer("last", torch.zeros(3), persistent=False)

    def forward(self, x: Any) -> Any:
        self.count[1:].add_(x.sum())
        self.last.copy_(x.double())
        return x * self.count.sum()


def test_a_changed_buffer_is_an_update(backend: str) -> None:
    module = Counter()
    program = tn.port(module, (torch.ones(3),))
    assert set(program.updates) == {"count", "last"}
    state, module = program.state(), copy.deepcopy(module)
    for x in (torch.ones(3), torch.arange(3.0)):
        y, state = program.apply(state, x, backend=backend)
        np.testing.assert_allclose(y.to(backend="numpy").array, module(x).numpy())
    for name, value in module.named_buffers():
        np.testing.assert_allclose(state[name].to(backend="numpy").array, value.numpy())
    # `run` answers from the held state, which stays.
    np.testing.assert_allclose(result_of(backend, program, torch.ones(3)), result_of(backend, program, torch.ones(3)))


class Frozen(nn.Module):
    """One part does not learn, and one region is computed in another precision."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)
        self.first.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        y = self.first(x).tanh()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = self.second(y)
        return z.float().square().sum()


def test_frozen_parameters_are_not_trained_and_autocast_is_casts() -> None:
    program = tn.port(Frozen(), (torch.ones(3, 4),))
    assert program.trainable == {"second.weight", "second.bias"}
    assert "buffer first_weight" in str(program)
    gradients = program.grad(argnums=(), parameters=True).run(torch.ones(3, 4), backend="torch")
    assert set(gradients[-1] if isinstance(gradients, tuple) else gradients) == {"second.weight", "second.bias"}
    linear = [made for made in program.instructions if made.operation == "linear"]
    assert [made.results[0].type.dtype.name for made in linear] == ["float32", "bfloat16"]
    assert linear[1].source.module == "second"
    assert linear[1].source.kind == "torch.nn.modules.linear.Linear"


class Narrow(nn.Module):
    """Normalisations of what autocast made bfloat16, with parameters in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Sequential(
            nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4), nn.Unflatten(1, (4, 1)),
            nn.GroupNorm(2, 4), nn.BatchNorm1d(4), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.parts(x)
        assert y.dtype == torch.bfloat16
        return y.float()


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("train", [False, True])
def test_autocast_normalises_in_the_parameters_precision(backend: str, train: bool) -> None:
    """What PyTorch does: mean, variance, weight and bias in float32, and only the result is narrow again."""
    pytest.importorskip(backend)
    torch.manual_seed(0)
    module, x = Narrow().train(train), torch.randn(5, 8)
    program = tn.port(module, (x,), train=train)
    found = [made for made in program.instructions if made.operation in ("layer_norm", "group_norm", "batch_norm")]
    assert [made.results[0].type.dtype.name for made in found] == ["float32"] * 3
    # One unit in the last place of bfloat16, of numbers below 2.
    np.testing.assert_allclose(result_of(backend, program, x), module(x).detach().numpy(), rtol=0, atol=2.0**-6)


class Loss(nn.Module):
    """A model with its loss."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any, target: Any) -> Any:
        return nn.functional.mse_loss(self.module(x), target)


def test_ten_steps_of_adam_are_pytorchs(backend: str) -> None:
    """Kingma and Ba, Adam (2015), algorithm 1, written over the program's gradients; in float64."""
    torch.manual_seed(3)
    module = Loss(Trained(rate=0.0)).double()
    x, target = torch.randn(4, 3, 4, 4, dtype=torch.float64), torch.randn(4, 16, 4, dtype=torch.float64)
    step = tn.port(module, (x, target), train=True).value_and_grad(parameters=True)
    state, trained = step.state(), copy.deepcopy(module)
    optimiser = torch.optim.Adam(trained.parameters(), lr=0.01)
    first, second = (dict.fromkeys(step.trainable, 0.0) for _ in range(2))
    for n in range(1, 11):
        optimiser.zero_grad()
        expected = trained(x, target)
        expected.backward()
        optimiser.step()
        (loss, gradients), state = step.apply(state, x, target, backend=backend)
        np.testing.assert_allclose(float(loss.to(backend="numpy").array), expected.item(), rtol=1e-10)
        for name, g in gradients.items():
            g = g.to(backend="numpy").array
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g**2
            m, v = first[name] / (1 - 0.9**n), second[name] / (1 - 0.999**n)
            state[name] = tn.asarray(state[name].to(backend="numpy").array - 0.01 * m / (np.sqrt(v) + 1e-8))
    for name, value in trained.state_dict().items():
        found = state[name].to(backend="numpy").array
        np.testing.assert_allclose(found, value.numpy(), rtol=0, atol=1e-8 * max(1.0, float(value.abs().max())))


def test_the_pure_form_compiles_with_its_parameters_as_arguments(backend: str) -> None:
    torch.manual_seed(4)
    module = Loss(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1)))
    example = torch.randn(6, 4), torch.randn(6, 1)
    step = tn.port(module, example, train=True).value_and_grad(parameters=True)
    compiled = step.pure().compile(backend)
    state, key = step.state(), tn.random.key(5)
    (loss, gradients), after = compiled(state, *example, key=key)
    (expected, wanted), new = step.apply(state, *example, key=key, backend="numpy")
    assert list(after) == list(new) == list(step.parameters)
    pairs = [(loss, expected), *((gradients[n], wanted[n]) for n in wanted), *((after[n], new[n]) for n in new)]
    for a, b in pairs:
        np.testing.assert_allclose(a.to(backend="numpy").array, b.array, rtol=0, atol=2e-6)
    again = step.pure()
    assert again.parameters == {}
    assert len(again.inputs) == len(step.inputs) + len(step.parameters)


def test_a_state_that_does_not_fit_is_refused() -> None:
    program = tn.port(nn.Linear(3, 2), (torch.ones(1, 3),))
    state = program.state()
    with pytest.raises(TracingError, match=r"lacks bias, and also has head"):
        program.apply({"weight": state["weight"], "head": state["bias"]}, torch.ones(1, 3))
    with pytest.raises(tn.errors.ShapeError, match="bias"):
        program.apply({**state, "bias": np.zeros(3, "float32")}, torch.ones(1, 3))
    with pytest.raises(tn.errors.DTypeError, match="bias"):
        program.apply({**state, "bias": np.zeros(2)}, torch.ones(1, 3))
