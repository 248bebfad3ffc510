"""Layers, losses and operators that hold graphs, which PyTorch's export takes apart, fixes or refuses by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import PortingError  # noqa: E402

F = nn.functional


class Applied(nn.Module):
    """A function of its arguments, with a module that it may use."""

    def __init__(self, function: Callable[..., Any], module: Any = None) -> None:
        super().__init__()
        self.function, self.module = function, module

    def forward(self, x: Any, y: Any = None) -> Any:
        given = (x,) if y is None else (x, y)
        return self.function(*given) if self.module is None else self.function(self.module, *given)


def agree(module: Any, program: Any, given: tuple[Any, ...], backends: tuple[str, ...] = ("numpy",)) -> None:
    expected = module(*given)
    for backend in backends:
        found = program.run(*(x.numpy() for x in given), backend=backend)
        pairs = zip(*((y if isinstance(y, tuple) else (y,)) for y in (found, expected)), strict=True)
        for ours, theirs in pairs:
            theirs = theirs.detach().numpy()
            ours = np.asarray(ours.to(backend="numpy").array)
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= 2e-6 * max(1, np.abs(theirs).max())


RESIZED: dict[str, dict[str, Any]] = {
    "twice": {"scale_factor": 2, "mode": "bilinear"}, "to a size": {"size": (7, 5), "mode": "bilinear"},
    "from corner to corner": {"scale_factor": 2, "mode": "bilinear", "align_corners": True},
    "nearest": {"size": (7, 5)}, "nearest, by a factor": {"scale_factor": 1.5},
    "nearest, exactly": {"size": (7, 5), "mode": "nearest-exact"}, "cubic": {"size": (9, 4), "mode": "bicubic"},
}  # fmt: skip


@pytest.mark.parametrize("name", RESIZED)
def test_images_of_open_size_are_resized(name: str) -> None:
    module = Applied(lambda x: F.interpolate(x, **RESIZED[name]))
    p = tn.port(module, (torch.randn(2, 3, 6, 8),), dynamic={"x": ("batch", None, "height", "width")})
    for shape in ((1, 3, 5, 9), (3, 3, 11, 4)):
        agree(module, p, (torch.randn(shape),), ("numpy", "tensorflow"))


def test_a_model_is_resized_to_the_size_of_another_image() -> None:
    module = Applied(lambda x, y: F.interpolate(x, size=y.shape[2:], mode="bilinear") * y)
    open_sizes = {"x": ("batch", None, "h", "w"), "y": ("batch", None, "height", "width")}
    p = tn.port(module, (torch.randn(2, 3, 4, 5), torch.randn(2, 3, 8, 9)), dynamic=open_sizes)
    for small, large in (((3, 7), (9, 5)), ((6, 2), (6, 6))):
        agree(module, p, (torch.randn(1, 3, *small), torch.randn(1, 3, *large)))


def test_numbers_that_follow_from_open_sizes_are_computed() -> None:
    def function(x: Any) -> Any:
        n = x.shape[1]
        return torch.softmax(x / n**0.5, -1) + n / (x.shape[0] + 1) + torch.full((1,), 1 / n)

    module = Applied(function)
    p = tn.port(module, (torch.randn(3, 5),), dynamic={"x": ("batch", "n")})
    for shape in ((2, 4), (5, 7)):
        agree(module, p, (torch.randn(shape),), ("numpy", "tensorflow"))


def test_padding_in_a_circle_does_not_bring_back_what_it_cuts_off() -> None:
    module = nn.CircularPad1d((-1, 2))
    x = torch.arange(6.0)[None, None]
    found = tn.port(module, (x,)).run(x.numpy())
    assert found.array.ravel().tolist() == [1, 2, 3, 4, 5, 1, 2]


def test_pooling_of_one_axis_leaves_it_open() -> None:
    module = nn.MaxPool1d(3, 2, 1)
    p = tn.port(module, (torch.randn(2, 4, 12),), dynamic={"input": ("batch", None, "length")})
    agree(module, p, (torch.randn(3, 4, 9),))


def test_an_lstm_with_projections_of_open_length() -> None:
    torch.manual_seed(0)
    module = Applied(lambda m, x: m(x)[0], nn.LSTM(4, 5, 2, proj_size=3, bidirectional=True))
    p = tn.port(module, (torch.randn(6, 2, 4),), dynamic={"x": ("time", "batch", None)})
    for shape in ((3, 1, 4), (19, 2, 4)):
        agree(module, p, (torch.randn(shape),))


@pytest.mark.parametrize("function", ["tanh", "relu"])
def test_a_simple_network_of_open_length(function: str) -> None:
    torch.manual_seed(0)
    network = nn.RNN(4, 5, 2, nonlinearity=function, bidirectional=True, batch_first=True)
    p = tn.port(network, (torch.randn(2, 6, 4),), dynamic={"input": ("batch", "time", None)})
    for shape in ((1, 3, 4), (2, 19, 4)):
        agree(network, p, (torch.randn(shape),), ("numpy", "tensorflow"))


def test_an_adaptive_softmax_and_its_gradient_are_pytorchs() -> None:
    torch.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 12], div_value=2.0, head_bias=True).double()
    x, target = torch.randn(4, 8, dtype=torch.float64), torch.tensor([1, 7, 13, 3])
    p = tn.port(layer, (x, target), dynamic={"input_": ("batch", None), "target_": ("batch",)})
    agree(layer, p, (x, target))
    agree(layer, p, (torch.randn(7, 8, dtype=torch.float64), torch.tensor([19, 5, 0, 12, 11, 4, 6])))
    agree(layer, tn.port(layer, (x[0], target[0])), (x[0], target[0]))
    chosen = Applied(lambda m, x: m.predict(x), layer)
    agree(chosen, tn.port(chosen, (x,)), (x,))
    loss = Applied(lambda x: layer(x, target).loss)
    leaf = x.clone().requires_grad_()
    loss(leaf).backward()
    np.testing.assert_allclose(tn.port(loss, (x,)).grad().run(x.numpy()).array, leaf.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_samples_between_pixels_have_pytorchs_derivatives_at_the_border_too(padding: str) -> None:
    corners = torch.tensor([-1.0, -0.4, 0.3, 1.0], dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(corners, corners, corners, indexing="ij"), -1)[None]
    image = torch.rand(1, 2, 3, 4, 5, dtype=torch.float64)
    weights = torch.rand(1, 2, 4, 4, 4, dtype=torch.float64)
    module = Applied(lambda x, y: (F.grid_sample(x, y, "bilinear", padding, True) * weights).sum())
    given = image.requires_grad_(), grid.clone().requires_grad_()
    module(*given).backward()
    p = tn.port(module, (image.detach(), grid))
    for n, leaf in enumerate(given):
        found = p.grad(n).run(image.detach().numpy(), grid.numpy()).array
        np.testing.assert_allclose(found, leaf.grad.numpy(), atol=1e-12)


TARGETS, LENGTHS, COUNTS = torch.tensor([[1, 1, 3], [2, 4, 0], [3, 0, 0]]), [7, 6, 4], [3, 2, 1]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("flat", [False, True])
def test_the_loss_over_alignments_and_its_gradient_are_pytorchs(reduction: str, flat: bool) -> None:
    targets = torch.cat([row[:n] for row, n in zip(TARGETS, COUNTS, strict=True)]) if flat else TARGETS

    def loss(x: Any) -> Any:
        return F.ctc_loss(x, targets, LENGTHS, COUNTS, reduction=reduction, zero_infinity=True)

    module, x = Applied(loss), torch.randn(7, 3, 5, dtype=torch.float64).log_softmax(-1)
    p = tn.port(module, (x,), dynamic={"x": ("time", None, None)})
    agree(module, p, (x,))
    summed = Applied(lambda x: loss(x).sum())
    leaf = x.clone().requires_grad_()
    summed(leaf).backward()
    found = tn.port(summed, (x,)).grad().run(x.numpy()).array
    np.testing.assert_allclose(found, leaf.grad.numpy(), atol=1e-12)


def test_a_sequence_that_no_alignment_fits_is_infinitely_unlikely() -> None:
    module = Applied(lambda x: F.ctc_loss(x, torch.tensor([[1, 1]]), [2], [2], reduction="none"))
    x = torch.randn(2, 1, 3).log_softmax(-1)
    assert np.isinf(tn.port(module, (x,)).run(x.numpy()).array).all()
    assert bool(module(x).isinf().all())


def test_a_gaussian_likelihood_is_exported_without_the_question_for_the_sign_of_variances() -> None:
    module = Applied(lambda x, y: F.gaussian_nll_loss(x, 0.5 * x + 1, y, full=True))
    given = (torch.randn(4, 3), torch.rand(4, 3) + 0.1)
    agree(module, tn.port(module, given), given)


def _nested(layer: Any, x: Any) -> Any:
    def positive(x: Any) -> Any:
        return torch.cond(x.sum() > 5, lambda x: layer(x) * x.shape[0], lambda x: x.cos(), (x,))

    return torch.cond(x.sum() > 0, positive, lambda x: x - 1, (x,))


def _counted(x: Any) -> Any:
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda n, y: n < 3, lambda n, y: (n + 1, y * 1.5 + n), (torch.tensor(0), x.clone()))[1]


def _carried(x: Any, y: Any) -> Any:
    from torch._higher_order_ops.scan import scan

    def step(state: Any, given: Any) -> Any:
        after = state * given[0] + given[1]
        return after, after.clone()

    last, states = scan(step, torch.zeros_like(x[0]), (x, y))
    return states + last


@pytest.mark.parametrize("name", ["cond", "while_loop", "scan"])
def test_operators_that_hold_graphs_become_those_of_programs(name: str) -> None:
    torch.manual_seed(0)
    function = {"cond": _nested, "while_loop": _counted, "scan": _carried}[name]
    module = Applied(function, nn.Linear(4, 4) if name == "cond" else None)
    given = [torch.rand(3, 4) for _ in range(2 if name == "scan" else 1)]
    p = tn.port(module, tuple(given), dynamic=dict.fromkeys(("x", "y")[: len(given)], ("n", None)))
    assert name in p.operations()
    for shift in (-1.0, 0.1, 2.0):
        agree(module, p, tuple(torch.rand(5, 4) + shift for _ in given), ("numpy", "tensorflow"))


@pytest.mark.parametrize("function", [torch.nonzero, torch.unique, lambda x: torch.bincount(x.long())])
def test_an_operator_whose_result_has_a_shape_that_depends_on_numbers_is_refused_with_the_reason(function: Any) -> None:
    with pytest.raises(PortingError, match=r"the shape of its result depends on numbers, at .*test_porting_layers.py"):
        tn.port(Applied(function), (torch.arange(3.0),))
