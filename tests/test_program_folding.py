"""Batch normalisations become part of the convolutions before them: equal results, and where they must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import TracingError  # noqa: E402

F = nn.functional


def program(module: Any, *shape: int, **options: Any) -> tuple[Any, Any, Any]:
    """A module with statistics that are not the neutral ones, an input, and the module's program."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.3, 3)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    x = torch.randn(*shape)
    return module.eval(), x, tn.port(module, (x,), **options)


def close(found: Any, expected: Any) -> None:
    expected = np.asarray(expected.detach())
    assert np.abs(np.asarray(found) - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


MODULES = {
    "bias": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)),
    "no bias": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, 2, bias=False), nn.BatchNorm2d(6)),
    "not affine": lambda: nn.Sequential(nn.Conv2d(4, 6, (1, 3)), nn.BatchNorm2d(6, affine=False)),
    "groups": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
    "depthwise": lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.BatchNorm2d(8)),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2), nn.BatchNorm2d(6)),
    "two in a row": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.BatchNorm2d(6)),
    "epsilon": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, eps=0.5), nn.ReLU()),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 5), nn.BatchNorm1d(5), nn.ReLU()),
    "linear without bias": lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 5, bias=False), nn.BatchNorm1d(5)),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_batch_norm_goes_into_the_map_before_it_and_nothing_changes(name: str) -> None:
    module, x, p = program(MODULES[name](), 3, 4, 8, 8)
    before = str(p)
    folded = p.optimised(["folding"])
    assert p.operations()["batch_norm"]
    assert "batch_norm" not in folded.operations()
    for backend in ("numpy", "torch"):
        close(folded.run(x.numpy(), backend=backend).array, module(x))
        given = x if backend == "torch" else x.numpy()
        close(p.compile(backend).native(given)[0], module(x))
    assert str(p) == before
    assert not folded.trainable


@pytest.mark.parametrize("numbers", [("NHWC", "HWIO", "NHWC"), ("NHWC", "OHWI", "NCHW"), ("NCHW", "OIHW", "NHWC")])
@pytest.mark.parametrize("groups", [1, 2])
def test_dimension_numbers_say_where_the_channels_are(numbers: tuple[str, str, str], groups: int) -> None:
    from tensoria.programs.passes.rewriting import rewritten

    module, x, p = program(nn.Sequential(nn.Conv2d(4, 6, (2, 3), groups=groups), nn.BatchNorm2d(6)), 2, 4, 5, 7)

    def turned(builder: Any, made: Any) -> Any:
        """The same with other dimension numbers, and axes permuted around."""
        if made.operation == "convolution":
            a, kernel, *bias = made.operands
            a = builder.add("permute_dims", (a,), axes=tuple(map("NCHW".index, numbers[0])))
            kernel = builder.add("permute_dims", (kernel,), axes=tuple(map("OIHW".index, numbers[1])))
            return (builder.add("convolution", (a, kernel, *bias), **{**made.attributes, "numbers": numbers}),)
        if made.operation != "batch_norm":
            return None
        y = builder.add("batch_norm", made.operands, axis=numbers[2].index("C"), epsilon=made.attributes["epsilon"])
        return (builder.add("permute_dims", (y,), axes=tuple(map(numbers[2].index, "NCHW"))),)

    other = rewritten(p, turned)
    folded = other.optimised(["folding"])
    assert other.operations()["batch_norm"]
    assert "batch_norm" not in folded.operations()
    for backend in ("numpy", "torch"):
        close(folded.run(x.numpy(), backend=backend).array, module(x))


class Twice(nn.Module):
    """A convolution with a batch normalisation, and what else is said."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.map, self.norm = what, nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Any) -> Any:
        y = self.map(x)
        if self.what == "returned too":
            return self.norm(y), y
        if self.what == "added":
            return self.norm(y) + y
        if self.what == "a nonlinearity between":
            return self.norm(torch.relu(y))
        return self.norm(F.conv2d(x, x[:1].sum((2, 3)).reshape(3, 1, 1, 1), groups=3))


@pytest.mark.parametrize("what", ["returned too", "added", "a nonlinearity between", "a kernel that is not known"])
def test_it_stays_where_the_result_is_used_elsewhere_or_another_map_is_between(what: str) -> None:
    _, _, p = program(Twice(what), 2, 3, 4, 4)
    assert p.operations()["batch_norm"] == 1
    assert p.optimised(["folding"]) is p


def test_channels_that_are_not_the_last_axis_of_a_linear_map_stay() -> None:
    _, _, p = program(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)), 3, 5, 4)
    assert p.operations()["batch_norm"] == 1
    assert p.optimised(["folding"]) is p


def test_programs_that_change_their_statistics_or_are_trained_keep_everything() -> None:
    module, x, p = program(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), 2, 3, 4, 4, train=True)
    train = p.train()
    assert train.updates
    assert train.optimised(["folding"]) is train
    module = module.eval()
    evaluated = tn.port(module, (x,))
    assert "batch_norm" in evaluated.pure().optimised(["folding"]).operations()
    assert set(dict(evaluated.to_torch().named_parameters())) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    with pytest.raises(TracingError, match="keeps them"):
        evaluated.to_torch(passes=["folding"])
    close(evaluated.optimised(["folding"]).to_torch()(x).detach(), module(x))


def test_a_parameter_that_serves_elsewhere_too_stays_one() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x: Any) -> Any:
            return self.norm(self.map(x)) @ self.map.weight

    module, x, p = program(Shared(), 3, 4)
    folded = p.optimised(["folding"])
    assert folded.trainable == {"map.weight"}
    close(folded.run(x.numpy()).array, module(x))


def test_a_variance_without_a_root_is_left_to_the_program() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    _, _, p = program(module, 2, 3, 4, 4)
    broken = p.load_state({**p.state(), "1.running_var": np.array([-1, 1, 1, 1], "float32")})
    assert broken.optimised(["folding"]) is broken


def test_no_pass_folds_unless_it_is_named_and_compile_does_by_default() -> None:
    _, _, p = program(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), 2, 3, 4, 4)
    assert "batch_norm" in p.optimised().operations()
    assert "batch_norm(" not in p.compile("torch").text
    assert "batch_norm(" not in p.compile("torch", passes=["folding"]).text
    assert "batch_norm(" in p.compile("torch", passes=["constants"]).text
    assert "batch_norm(" in p.source("torch", form="function")
