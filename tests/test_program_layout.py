"""Channels last, rows, and parameters in the order of their use: passes that can be seen, and what they leave."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from models import MODELS, flat, stressed  # noqa: E402
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.programs.passes import OPTIMISATIONS, lowered, stored  # noqa: E402

KNOWN = ("convolution", "batch_norm", "relu", "max_pool", "mean_pool", "pad", "linear", "layer_norm", "gelu")
"""Operations that are not taken apart."""


class Residual(nn.Module):
    """A stem, bottlenecks with short cuts, pooling and a head, as a ResNet has them."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
            for _ in range(blocks)
        )
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x) * self.scale)
        x = torch.cat([x, nn.functional.pad(x, (1, 0, 0, 1))[:, :, 1:, :-1]], 1)
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


def ported(module: Any, x: Any) -> Any:
    torch.manual_seed(0)
    stressed(module)
    return module, tn.port(module, (x,), dynamic={"x": ("batch", None, None, None)})


@functools.cache
def example(name: str) -> tuple[Any, Any, Any, Any]:
    if name == "residual":
        x = torch.randn(2, 3, 32, 32)
        return *ported(Residual(1), x), (x,), {}
    known = MODELS[name]
    module = stressed(known.module)
    return module, tn.port(module, known.args, known.kwargs, dynamic=known.dynamic), known.args, known.kwargs


def test_a_network_of_convolutions_is_permuted_where_images_come_in_and_nowhere_else() -> None:
    x = torch.randn(2, 3, 32, 32)
    _, program = ported(Residual(4), x)
    before = lowered(program, True, KNOWN)
    after, layouts = stored(lowered(program, True, KNOWN, also=("layout",)))
    assert before.operations().get("permute_dims", 0) == 0
    moved = [made for made in after.instructions if made.operation == "permute_dims"]
    # The image, and the slices of the padded one.
    assert len([made for made in moved if made.results[0].type.ndim == 4]) <= 3
    assert {name for name, order in layouts.items() if order == (2, 3, 1, 0)} == {
        name for name, value in program.parameters.items() if value.type.ndim == 4
    }
    assert layouts["head.weight"] == (1, 0)
    for name, order in layouts.items():
        np.testing.assert_array_equal(
            after.arrays[after.parameters[name]], program.arrays[program.parameters[name]].transpose(order)
        )


def test_a_decoder_of_transposed_convolutions_is_permuted_at_its_ends_and_nowhere_else() -> None:
    parts = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), nn.BatchNorm2d(4), nn.ReLU(),
             nn.ConvTranspose2d(4, 6, 2, 2, groups=2), nn.Sigmoid()]  # fmt: skip
    x = torch.randn(2, 3, 8, 12)
    module = stressed(nn.Sequential(*parts))
    program = tn.port(module, (x,), dynamic={"input": ("batch", None, None, None)})
    after, layouts = stored(lowered(program, True, (*KNOWN, "convolution_transpose", "sigmoid"), also=("layout",)))
    moved = [made for made in after.instructions if made.operation == "permute_dims"]
    assert [made.attributes["axes"] for made in moved] == [(0, 2, 3, 1), (0, 3, 1, 2)]
    assert {layouts[f"{n}.weight"] for n in (0, 2, 5)} == {(2, 3, 1, 0)}
    for backend in ("numpy", "torch", "tensorflow"):
        found = program.optimised(["layout"]).run(x, backend=backend).to(backend="numpy").array
        np.testing.assert_allclose(found, module(x).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("passes", [["layout"], ["rows"], ["layout", "rows"], list(OPTIMISATIONS)])
@pytest.mark.parametrize("name", ["images", "upward", "transformer", "perceptron", "residual"])
def test_passes_keep_what_a_program_computes(name: str, passes: list[str]) -> None:
    module, program, args, kwargs = example(name)
    changed = program.optimised(passes)
    given = [leaf.numpy() for leaf in (*args, *kwargs.values()) if isinstance(leaf, torch.Tensor)]
    arrays = [get("numpy").asarray(leaf, None, None, None) for leaf in given]
    found = changed.evaluate(get("numpy"), arrays)
    for a, b in zip(found, flat(module(*args, **kwargs)), strict=True):
        b = b.detach().numpy()
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def test_a_weight_that_is_used_in_two_ways_stays_as_it_is() -> None:
    example = MODELS["tied"]
    program = tn.port(stressed(example.module), example.args, example.kwargs, dynamic=example.dynamic)
    _, layouts = stored(lowered(program, True, ("linear", "embedding"), also=("layout", "rows")))
    assert layouts == {}
