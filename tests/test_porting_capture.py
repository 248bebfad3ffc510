"""What capture keeps: open sizes where a model allows them, the line that fixes others, own derivatives, containers."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensoria_torch.containers import plain, register_container  # noqa: E402
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import BackendError, BackendNotFoundError, PortingError, ShapeError  # noqa: E402


class Compared(nn.Module):
    """Python compares two sizes, which are equal in the example."""

    def forward(self, x: Any) -> Any:
        return x * 2 if x.shape[0] == x.shape[1] else x * 3


def test_sizes_that_are_equal_by_chance_stay_apart() -> None:
    """The model is captured again with sizes of their own: two names mean two sizes."""
    program = tn.port(Compared(), (torch.ones(4, 4),), dynamic={"x": ("rows", "columns")})
    assert str(program.inputs[0].type) == "float32[rows, columns]"
    np.testing.assert_array_equal(program.run(torch.ones(2, 5), backend="numpy").array, np.full((2, 5), 3, "float32"))


class Steps(nn.Module):
    """A loop of Python over an axis."""

    def forward(self, x: Any, y: Any) -> Any:
        total = x[:, 0]
        for n in range(1, x.shape[1]):
            total = total * 0.5 + x[:, n]
        return total + y.sum()


def test_the_line_that_fixes_a_size_is_told() -> None:
    with pytest.raises(PortingError, match=r"time, axis 1 of x, is 5") as caught:
        tn.port(Steps(), (torch.ones(2, 5), torch.ones(7)), dynamic={"x": ("batch", "time"), "y": ("n",)})
    assert f"test_porting_capture.py:{Steps.forward.__code__.co_firstlineno + 2}" in str(caught.value)
    assert "batch" not in str(caught.value)
    found = tn.coverage(Steps(), (torch.ones(2, 5), torch.ones(7)), dynamic={"x": ("batch", "time"), "y": ("n",)})
    assert [(of.name, of.size) for of in found.fixed] == [("time", "5")]


class Fitted(nn.Module):
    """A size that follows from another one's number."""

    def forward(self, x: Any) -> Any:
        return (x * 2).view(3, 4)


class Chosen(nn.Module):
    """As many results as numbers say."""

    def forward(self, x: Any) -> Any:
        return x[x > 0].sum()


def test_the_line_that_fits_a_size_into_a_shape_is_told() -> None:
    found = tn.coverage(Fitted(), (torch.ones(3, 4),), dynamic={"x": ("batch", None)})
    assert [(of.name, of.size) for of in found.fixed] == [("batch", "3")]
    assert f"test_porting_capture.py:{Fitted.forward.__code__.co_firstlineno + 1}" in str(found)


def test_what_an_operator_refuses_is_covered_with_one_line() -> None:
    (why,) = tn.coverage(Chosen(), (torch.ones(3, 4),)).refused
    assert "a boolean subscript" in why
    assert "Legal: tn.where" in why
    assert why.count(".py:") == why.count(f"test_porting_capture.py:{Chosen.forward.__code__.co_firstlineno + 1}") == 1
    with pytest.raises(PortingError, match="a boolean subscript"):
        tn.port(Chosen(), (torch.ones(3, 4),))


class Talking(nn.Module):
    """Says something while it is captured."""

    def forward(self, x: Any) -> Any:
        print("scale:", None, file=sys.stderr)
        return x + 1


def test_what_a_model_prints_stays(capsys: pytest.CaptureFixture[str]) -> None:
    tn.port(Talking(), (torch.ones(3),))
    assert "scale: None\n" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("example", [(1, 1), (3, 4)])
def test_recurrent_networks_have_open_batches_and_lengths(backend: str, kind: Any, example: Any) -> None:
    torch.manual_seed(0)
    module = kind(3, 2, 2, batch_first=True, bidirectional=True).double()
    opened = {"input": ("batch", "time", None)}
    program = tn.port(module, (torch.zeros(*example, 3).double(),), dynamic=opened)
    for shape in ((1, 6, 3), (4, 1, 3), (2, 5, 3)):
        x = torch.randn(*shape, dtype=torch.float64)
        found, expected = program.run(x, backend=backend)[0], module(x)[0].detach().numpy()
        np.testing.assert_allclose(found.to(backend="numpy").array, expected, rtol=0, atol=1e-12)


def test_an_entry_for_a_container_is_one_for_its_tensors() -> None:
    class Added(nn.Module):
        def forward(self, xs: Any) -> Any:
            return xs["a"] + xs["b"][0] + xs["c"]

    xs = {"a": torch.ones(3, 2), "b": [torch.ones(3, 2)], "c": torch.tensor(1.0)}
    program = tn.port(Added(), (xs,), dynamic={"xs": ("n", None)})
    assert [str(value.type) for value in program.inputs] == ["float32[n, 2]", "float32[n, 2]", "float32[]"]
    by_path = tn.port(Added(), (xs,), dynamic={"xs_a": ("n", None), "xs_b_0": ("n", None)})
    assert str(by_path) == str(program)
    with pytest.raises(PortingError, match="no tensor with as many axes"):
        tn.port(Added(), (xs,), dynamic={"xs": ("n", None, None)})
    with pytest.raises(PortingError, match="dynamic= names 'other'"):
        tn.port(Added(), (xs,), dynamic={"other": ("n",)})


def test_what_is_no_call_and_what_names_no_axes_is_refused() -> None:
    model, x = nn.Linear(3, 3), torch.ones(2, 3)
    with pytest.raises(PortingError, match="args= is a Tensor, and not a tuple"):
        tn.port(model, x)
    with pytest.raises(PortingError, match="dynamic= is a tuple, and not a dictionary"):
        tn.port(model, (x,), dynamic=("batch", None))  # type: ignore[arg-type]
    entries: tuple[Any, ...] = ({0: "batch"}, "bc", (2, None), (1.5, None))
    for entry in entries:
        with pytest.raises(ShapeError, match="dynamic= has"):
            tn.port(model, (x,), dynamic={"input": entry})
    for entry in entries[:2]:
        with pytest.raises(ShapeError, match="not one entry for each axis"):
            tn.trace(lambda x: x, tn.asarray(np.ones((2, 3))), dynamic={"x": entry})
    with pytest.raises(BackendNotFoundError, match="Linear is a class"):
        tn.port(nn.Linear, (x,))
    with pytest.raises(BackendNotFoundError, match="nowhere is no file or folder"):
        tn.port("nowhere")


def test_a_number_of_a_tensor_in_python_is_refused() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * x.max().item()

    with pytest.raises(PortingError):
        tn.port(Scaled(), (torch.ones(3),))


class Held:
    """What a model keeps between calls."""

    def __init__(self, sums: Any, count: int) -> None:
        self.sums, self.count = sums, count


def test_an_object_with_tensors_is_an_argument_and_a_result(backend: str) -> None:
    register_container(Held)

    class Counts(nn.Module):
        def forward(self, x: Any, held: Any) -> Any:
            return x * held.count, Held([held.sums[0] + x, held.sums[1]], held.count)

    held = Held([torch.zeros(2), torch.ones(3)], 2)
    program = tn.port(Counts(), (torch.ones(2), held))
    assert plain(held) == {"sums": held.sums}
    y, after = program.run(torch.ones(2), {"sums": [torch.ones(2), torch.ones(3)]}, backend=backend)
    np.testing.assert_array_equal(y.to(backend="numpy").array, [2, 2])
    np.testing.assert_array_equal(after["sums"][0].to(backend="numpy").array, [2, 2])


class Written(torch.autograd.Function):
    """The square, with its own derivative written out."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (x,) = context.saved_tensors
        return gradient * 2 * x


class Bounded(torch.autograd.Function):
    """The identity, whose gradient is bounded: another derivative for large ones only."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return gradient.clamp(-10, 10)


def calls(function: Any) -> Any:
    class Calls(nn.Module):
        def forward(self, x: Any) -> Any:
            return function.apply(x).sum()

    return Calls()


def test_a_derivative_that_is_only_written_out_is_captured_and_another_one_refused() -> None:
    program = tn.port(calls(Written), (torch.ones(3),), dynamic={"x": ("n",)})
    found = program.grad().run(torch.arange(4.0), backend="numpy").array
    np.testing.assert_array_equal(found, [0, 2, 4, 6])
    with pytest.raises(PortingError, match=r"autograd\.Function Bounded"):
        tn.port(calls(Bounded), (torch.ones(3),))


def test_a_lowering_of_a_users_own_is_held_against_its_types() -> None:
    @torch.library.custom_op("tensoria_tests::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x])

    double.register_fake(lambda x: torch.empty(2 * x.shape[0], dtype=x.dtype))

    class Doubled(nn.Module):
        def forward(self, x: Any) -> Any:
            return double(x) + 1

    with pytest.raises(PortingError, match=r"tensoria_tests\.double\.default, 1 times"):
        tn.port(Doubled(), (torch.ones(2),))

    @tn.lowering("tensoria_tests::double", backend="torch")
    def wrong(x: Any) -> Any:
        return x

    with pytest.raises(PortingError, match=r"is torch.float32\[4\] in PyTorch and became float32\[2\]"):
        tn.port(Doubled(), (torch.ones(2),))

    @tn.lowering("tensoria_tests::double", backend="torch")
    def right(x: Any) -> Any:
        return tn.concat([x, x])

    program = tn.port(Doubled(), (torch.ones(2),), dynamic={"x": ("n",)})
    np.testing.assert_array_equal(program.run(torch.ones(3), backend="numpy").array, np.full(6, 2, "float32"))
    with pytest.raises(PortingError, match="no operator 'tensoria_tests::triple'"):
        tn.lowering("tensoria_tests::triple", backend="torch")(right)
    with pytest.raises(BackendError, match="does not capture models"):
        tn.lowering("x::y", backend="numpy")(right)


@pytest.mark.parametrize(
    ("args", "kwargs", "why"),
    [
        ((), {}, "missing a required argument: 'input'"),
        ((torch.ones(2, 3), torch.ones(1)), {}, "too many positional arguments"),
        ((torch.ones(2, 3),), {"y": torch.ones(1)}, "got an unexpected keyword argument 'y'"),
    ],
)
def test_arguments_that_the_module_does_not_take_are_refused(args: Any, kwargs: Any, why: str) -> None:
    with pytest.raises(PortingError, match=rf"Linear can not be called with these arguments: {why}"):
        tn.port(nn.Linear(3, 4), args, kwargs)


class Deciding(nn.Module):
    def forward(self, x: Any) -> Any:
        if x.sum() > 0:
            return x
        return -x


class Counting(nn.Module):
    def forward(self, x: Any) -> Any:
        for _ in range(int(x.max())):
            x = x + 1
        return x


@pytest.mark.parametrize("kind", [Deciding, Counting])
def test_a_choice_of_python_by_a_number_is_refused_with_its_line_and_the_remedy(kind: Any, capfd: Any) -> None:
    line = inspect.getsourcelines(kind.forward)[1] + 1
    with pytest.raises(PortingError, match=rf"decides in Python by a number.*:{line}\.\n.*torch\.cond"):
        tn.port(kind(), (torch.ones(3, 2),), dynamic={"x": ("batch", None)})
    assert capfd.readouterr().err == ""


class Reshaping(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.reshape(3, -1).sum()


class Adding(nn.Module):
    def forward(self, x: Any) -> Any:
        return x + torch.ones(3, 2)


@pytest.mark.parametrize("kind", [Reshaping, Adding])
def test_a_size_that_the_model_fixes_is_told_with_the_models_line(kind: Any) -> None:
    line = inspect.getsourcelines(kind.forward)[1] + 1
    with pytest.raises(PortingError, match=rf"batch, axis 0 of x, is 3 \(.*\), at .*test_porting_capture\.py:{line}"):
        tn.port(kind(), (torch.ones(3, 2),), dynamic={"x": ("batch", None)})
