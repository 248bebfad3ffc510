"""Parity: a fault in a ported program is named with its module and line, and nothing else is."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import json
import math
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import MODELS, stressed  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.dtypes import float16, float32  # noqa: E402
from tensoria.errors import FileError, PortingError  # noqa: E402
from tensoria.porting.parity.matching import matched  # noqa: E402
from tensoria.porting.parity.measuring import relative  # noqa: E402
from tensoria.porting.parity.widening import widened  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402
from tensoria.programs.types import Instruction, Source, Type, Value  # noqa: E402

nn = torch.nn


class Attending(nn.Module):
    """Attention with a mask, whose projections are square."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Any, mask: Any) -> Any:
        heads = [layer(x).unflatten(-1, (2, 3)).transpose(1, 2) for layer in (self.query, self.key, self.value)]
        seen = mask[:, None, None, :]
        found = nn.functional.scaled_dot_product_attention(*heads, attn_mask=seen)
        return found.transpose(1, 2).flatten(2)


class Seeing(nn.Module):
    """A convolution with normalisation, and images in another size."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve, self.normal = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)

    def forward(self, image: Any) -> Any:
        x = self.normal(self.convolve(image))
        return nn.functional.interpolate(x, size=(7, 9), mode="bilinear")


class Whole(nn.Module):
    """Both, and what stands between them."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.attend = Seeing(), Attending()
        self.normal, self.out = nn.LayerNorm(6), nn.Linear(6, 5)

    def forward(self, image: Any, x: Any, mask: Any) -> Any:
        y = self.normal(x + self.attend(x, mask))
        y = nn.functional.gelu(self.out(y))
        return self.see(image), y


TARGETS = [name for name in ("numpy", "tensorflow", "torch") if importlib.util.find_spec(name)]
MASK = [[True, True, True, False], [True, False, True, True]]


@cache
def model() -> tuple[Any, Program, tuple[Any, ...]]:
    """The model, its program, its arguments."""
    torch.manual_seed(0)
    module = stressed(Whole())
    args = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 6), torch.tensor(MASK)
    return module, tn.port(module, args, dynamic={"x": ("batch", None, None), "mask": ("batch", None)}), args


def line(of: Any, text: str) -> int:
    """The line of a function that contains a text."""
    lines, start = inspect.getsourcelines(of.forward)
    return start + next(n for n, written in enumerate(lines) if text in written)


def changed(operation: str, **attributes: Any) -> Callable[[Program], Program]:
    """Other attributes of an operation."""

    def change(program: Program) -> Program:
        assert any(made.operation == operation for made in program.instructions)
        made = tuple(
            dataclasses.replace(made, attributes={**made.attributes, **attributes}) if made.operation == operation
            else made for made in program.instructions
        )  # fmt: skip
        return dataclasses.replace(program, instructions=made)

    return change


def unmasked(program: Program) -> Program:
    """The attention without its mask."""
    made = tuple(
        dataclasses.replace(made, operands=made.operands[:3]) if made.operation == "attention" else made
        for made in program.instructions
    )
    return dataclasses.replace(program, instructions=made)


def transposed(name: str) -> Callable[[Program], Program]:
    """One square weight the wrong way round."""

    def change(program: Program) -> Program:
        value = program.parameters[name]
        return dataclasses.replace(program, arrays={**program.arrays, value: program.arrays[value].T.copy()})

    return change


def rounded(module: str) -> Callable[[Program], Program]:
    """What a linear map is given, through float16."""

    def change(program: Program) -> Program:
        made: list[Instruction] = []
        for instruction in program.instructions:
            if instruction.source.module == module and instruction.operation == "linear":
                x = instruction.operands[0]
                short, long = (Value(Type(of, x.type.shape), f"cast_{of.name}") for of in (float16, float32))
                made.append(Instruction("astype", (x,), {"dtype": float16}, (short,), instruction.source))
                made.append(Instruction("astype", (short,), {"dtype": float32}, (long,), instruction.source))
                instruction = dataclasses.replace(instruction, operands=(long, *instruction.operands[1:]))
            made.append(instruction)
        assert len(made) == len(program.instructions) + 2
        return dataclasses.replace(program, instructions=tuple(made))

    return change


FAULTS: dict[str, tuple[Callable[[Program], Program], str, str, Any, str]] = {
    "gelu form": (changed("gelu", approximate="tanh"), "gelu", "", Whole, "gelu("),
    "layer-norm epsilon": (changed("layer_norm", epsilon=1e-6), "layer_norm", "normal", Whole, "self.normal("),
    "batch-norm epsilon": (changed("batch_norm", epsilon=1e-3), "batch_norm", "see.normal", Seeing, "self.normal("),
    "padding": (changed("convolution", padding=((0, 2), (0, 2))), "convolution", "see.convolve", Seeing, "convolve("),
    "resize rule": (changed("resize", rule="corners"), "resize", "see", Seeing, "interpolate("),
    "mask": (unmasked, "attention", "attend", Attending, "scaled_dot_product_attention("),
    "transposed weight": (transposed("attend.key.weight"), "linear", "attend.key", Attending, "layer(x)"),
    "cast": (rounded("attend.value"), "astype", "attend.value", Attending, "layer(x)"),
}  # fmt: skip
"""What is done, and the operation, the module and the line that are to be named."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_module_and_line_and_nothing_else_is(fault: str) -> None:
    change, operation, module, of, text = FAULTS[fault]
    source, program, args = model()
    found = tn.parity(change(program), source=source, args=args, to=TARGETS)
    wrong = [x for x in found.comparisons if x.diverges]
    named = [(x.backend, x.name, x.source.module) for x in wrong]
    assert named == [(target, operation, module) for target in TARGETS], str(found)
    assert found.first_divergence is wrong[0]
    for x in wrong:
        assert x.source.file == __file__
        assert x.source.line == line(of, text)
        assert x.wide is not None
        assert x.wide > 1e-6
    assert f"first divergence: numpy: {operation}(" in str(found)
    assert found.changed == (("attend.key.weight",) if fault == "transposed weight" else ())


def test_a_right_program_has_no_divergence_however_it_is_tried() -> None:
    source, program, args = model()
    before = {name: x.clone() for name, x in source.state_dict().items()}
    found = tn.parity(program, source=source, args=args, to=TARGETS, grads=True, sweep=True, stress=True, masked=True)
    assert found.holds, str(found)
    assert found.first_divergence is None
    assert {x.case for x in found.outcomes} >= {"as given", "batch = 1", "batch = 3", "stressed normalisation"}
    gradients = {x.name for x in found.outcomes if x.kind == "gradient"}
    assert gradients == {*dict(source.named_parameters()), "image", "x"}
    assert all(x.wide is not None and x.wide < 1e-12 for x in found.comparisons)
    assert any(x.kind == "hidden row" for x in found.outcomes)
    assert any("hidden by mask" in x.case for x in found.outcomes)
    for name, x in source.state_dict().items():
        torch.testing.assert_close(x, before[name], rtol=0, atol=0)


def test_an_edited_program_that_computes_the_same_has_no_divergence(tmp_path: Path) -> None:
    source, program, args = model()
    for same in (program.optimised(), program.optimised(["literals", "subexpressions"])):
        found = tn.parity(same, source=source, args=args)
        assert found.holds, str(found)
        assert len(found.comparisons) > 0.7 * len(program.instructions)
    FAULTS["gelu form"][0](program).save(tmp_path / "program")
    found = tn.parity(tn.load(tmp_path / "program"), source=source, args=args)
    assert [x.name for x in found.comparisons if x.diverges] == ["gelu"]


def test_composed_operations_are_compared_where_their_result_is_the_models() -> None:
    from tensoria.programs.passes import apply_definitions

    source, program, args = model()
    simple = apply_definitions(program, ())
    found = tn.parity(simple, source=source, args=args)
    assert found.holds, str(found)
    wrong = tn.parity(apply_definitions(FAULTS["layer-norm epsilon"][0](program), ()), source=source, args=args)
    assert {x.source.module for x in wrong.comparisons if x.diverges} == {"normal"}


class Straight(nn.Module):
    """A step whose derivative is another function's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.last(torch.tanh(self.first(x)).detach() + self.first(x))


def test_a_wrong_gradient_is_named_by_its_parameter() -> None:
    torch.manual_seed(0)
    module, x = Straight(), torch.randn(5, 3)
    program = tn.port(module, (x,))
    assert tn.parity(program, source=module, args=(x,), grads=True).holds
    loose = tuple(
        dataclasses.replace(made, operation="multiply", operands=(made.operands[0], _one(made.operands[0])))
        if made.operation == "stop_gradient" else made for made in program.instructions
    )  # fmt: skip
    wrong = tn.parity(dataclasses.replace(program, instructions=loose), source=module, args=(x,), grads=True)
    assert not any(x.diverges for x in wrong.comparisons)
    first = wrong.first_divergence
    assert first is not None
    assert first.name in ("first.weight", "first.bias", "x")
    assert first.source.line == line(Straight, "self.last(")
    good = {x.name for x in wrong.outcomes if x.kind == "gradient" and not x.diverges}
    assert good == {"last.weight", "last.bias"}


def _one(x: Any) -> Any:
    from tensoria.programs.types import Literal

    return Literal(1.0, x.type.dtype)


class Fixed(nn.Module):
    """Refuses lengths beyond four."""

    def forward(self, x: Any) -> Any:
        if x.shape[0] > 4:
            raise ValueError("at most four")
        return x * 2


def test_what_the_model_itself_refuses_is_no_divergence() -> None:
    x = torch.randn(3, 2)
    program = tn.port(Fixed(), (x,), dynamic={"x": (tn.dim("n", upper=4), None)})
    free = dataclasses.replace(program)
    found = tn.parity(free, source=Fixed(), args=(x,), sweep=[{"n": 1}, {"n": 4}])
    assert found.holds
    assert [x.case for x in found.outcomes] == ["as given", "n = 1", "n = 4"]
    with pytest.raises(PortingError, match="out of its bounds"):
        tn.parity(free, source=Fixed(), args=(x,), sweep=[{"n": 9}])
    with pytest.raises(PortingError, match="open sizes are n"):
        tn.parity(free, source=Fixed(), args=(x,), sweep=[{"m": 2}])


class Pooled(nn.Module):
    """The mean over the length."""

    def forward(self, x: Any) -> Any:
        return x.sum(1) / x.shape[1]


def test_a_fault_that_only_other_sizes_show_is_found_by_the_sweep() -> None:
    x = torch.randn(2, 4, 3)
    program = tn.port(Pooled(), (x,), dynamic={"x": ("batch", "length", None)})
    frozen = tuple(
        dataclasses.replace(made, attributes={"size": 4}) if made.operation == "size" else made
        for made in program.instructions
    )
    assert frozen != program.instructions
    wrong = dataclasses.replace(program, instructions=frozen)
    assert tn.parity(wrong, source=Pooled(), args=(x,)).holds
    found = tn.parity(wrong, source=Pooled(), args=(x,), sweep=True)
    first = found.first_divergence
    assert first is not None
    assert first.source.line == line(Pooled, "x.sum(1)")
    assert "length" in first.case


def test_rounding_is_told_from_meaning() -> None:
    class Steep(nn.Module):
        def forward(self, x: Any) -> Any:
            return (x * 1e4).sin()

    x = torch.randn(50)
    short = tn.parity(tn.port(Steep(), (x,)), source=Steep(), args=(x,), to=TARGETS)
    assert short.holds
    row = dataclasses.replace(short.comparisons[0], local=1e-3, wide=1e-15)
    assert row.verdict == "rounding"
    assert dataclasses.replace(row, wide=1e-5).verdict == "semantic"
    assert dataclasses.replace(row, local=0.0, wide=1e-5).verdict == "semantic"
    assert dataclasses.replace(row, local=math.nan, wide=None).verdict == "semantic"


def test_a_program_widened_computes_in_float64() -> None:
    _, program, args = model()
    wide, became = widened(program)
    assert float32 not in {value.type.dtype for value in wide.values()}
    assert len(became) == len(list(program.values()))
    arrays = [x.double().numpy() if x.is_floating_point() else x.numpy() for x in args]
    for x in wide.evaluate(get("numpy"), arrays):
        assert x.dtype == np.float64


def test_every_value_of_an_unchanged_program_is_matched_with_itself() -> None:
    _, program, _ = model()
    pairs = matched(program, program)
    assert pairs == {value: value for made in program.instructions for value in made.results}


def test_errors_are_relative_to_the_largest_component() -> None:
    assert relative([1.0, 200.0], [2.0, 200.0]) == 1 / 200
    assert relative([0.0, 0.1], [0.0, 0.0], least=10.0) == 0.01
    assert relative([math.inf, math.nan], [math.inf, math.nan]) == 0
    assert relative([1.0], [[1.0]]) == math.inf
    assert math.isnan(relative([math.nan], [1.0]))
    assert relative([], []) == 0


class Reader(HTMLParser):
    """Counts elements, and sees that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.outside += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_text_json_and_one_page(tmp_path: Path) -> None:
    source, program, args = model()
    found = tn.parity(FAULTS["padding"][0](program), source=source, args=args, to=["numpy", "torch"], masked=True)
    assert "first divergence" in str(found)
    assert "convolution(" in found.table()
    assert "see.convolve" in found.table()
    found.save(tmp_path / "parity.json")
    document = json.loads((tmp_path / "parity.json").read_text())
    assert document == json.loads(found.json())
    assert document["schema"] == "tensoria-parity/1"
    assert len(document["comparisons"]) == len(found.comparisons)
    assert document["holds"] is False
    found.html(tmp_path / "parity.html")
    page = (tmp_path / "parity.html").read_text()
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    assert not reader.outside
    assert reader.count["tr"] >= len(found.comparisons)
    assert "<mark>" in page
    assert "self.convolve(image)" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parity.html", "parity.json"]
    with pytest.raises(FileError, match="can not be written"):
        found.html(tmp_path / "nowhere" / "parity.html")


def test_parity_of_another_models_program_is_refused() -> None:
    _, program, args = model()
    with pytest.raises(PortingError, match="not those of this model"):
        tn.parity(program, source=Pooled(), args=(args[1],))
    example = MODELS["perceptron"]
    with pytest.raises(PortingError, match="not those of this model"):
        tn.parity(program, source=example.module, args=example.args)


def test_the_model_keeps_its_running_statistics() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    x = torch.randn(2, 2, 3, 3)
    program = tn.port(module, (x,))
    module.train()
    mean = module[1].running_mean.clone()
    get("torch").reference(module, (x,), {}, train=True)
    torch.testing.assert_close(module[1].running_mean, mean, rtol=0, atol=0)
    module.eval()
    assert tn.parity(program, source=module, args=(x,), stress=True).holds


class Training(nn.Module):
    """Dropout and running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.normal, self.last = nn.Linear(5, 40), nn.BatchNorm1d(40), nn.Linear(40, 3)

    def forward(self, x: Any) -> Any:
        return self.last(nn.functional.dropout(self.normal(self.first(x)), 0.4, self.training))


def test_a_program_that_trains_is_compared_with_what_the_model_drew() -> None:
    torch.manual_seed(0)
    module, x = Training().eval(), torch.randn(30, 5)
    program = tn.port(module, (x,), train=True)
    found = tn.parity(program, source=module, args=(x,))
    assert found.holds, str(found)
    assert "dropout" in {row.name for row in found.comparisons}
    with pytest.raises(PortingError, match="draws random numbers"):
        tn.parity(program, source=module, args=(x,), grads=True)
    wrong = tn.parity(changed("dropout", rate=0.1)(program), source=module, args=(x,))
    assert [row.name for row in wrong.comparisons if row.diverges] == ["dropout"]
    assert tn.parity(program.eval(), source=module, args=(x,), grads=True).holds
    assert not module.training
    assert not any(part.training for part in module.modules())


def test_a_source_prints_where_it_is() -> None:
    assert str(Source("a.py", 3, "layer.0")) == "layer.0 (a.py:3)"


@cache
def keras_model() -> tuple[Any, Program, tuple[Any, ...]]:
    """A model of Keras with everything that the faults are in, its program, its arguments."""
    keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image, x = keras.Input((8, 8, 3), name="image"), keras.Input((4, 6), name="x")
    mask = keras.Input((4, 4), dtype="bool", name="mask")
    y = layers.Conv2D(4, 3, strides=2, padding="same", name="convolve")(image)
    y = layers.Resizing(7, 9, name="resize")(layers.BatchNormalization(name="normal")(y))
    z = layers.Add()([x, layers.MultiHeadAttention(2, 3, name="attend")(x, x, attention_mask=mask)])
    z = layers.Dense(6, activation="gelu", name="dense")(layers.LayerNormalization(name="last")(z))
    source = keras.Model([image, x, mask], [y, z])
    hidden = tf.constant([MASK] * 4)
    args = ([tf.random.normal((2, 8, 8, 3), seed=1), tf.random.normal((2, 4, 6), seed=2),
             tf.transpose(hidden, (1, 0, 2))],)  # fmt: skip
    dynamic = {"inputs": ("batch", None, None), "inputs_0": ("batch", None, None, None)}
    return source, tn.port(source, args, dynamic=dynamic), args


OTHERS = [name for name in TARGETS if name != "tensorflow"]
KERAS_FAULTS: dict[str, tuple[Callable[[Program], Program], str, str]] = {
    "gelu form": (changed("gelu", approximate="tanh"), "gelu", "dense"),
    "layer-norm epsilon": (changed("layer_norm", epsilon=1e-2), "layer_norm", "last"),
    "batch-norm epsilon": (changed("batch_norm", epsilon=1e-2), "batch_norm", "normal"),
    "padding": (changed("convolution", padding=((1, 0), (1, 0))), "convolution", "convolve"),
    "resize rule": (changed("resize", rule="corners"), "resize", "resize"),
    "mask": (unmasked, "attention", "attend"),
    "transposed weight": (transposed("dense/kernel"), "linear", "dense"),
    "cast": (rounded("dense"), "astype", "dense"),
}
"""What is done, and the operation and the layer that are to be named."""


@pytest.mark.parametrize("fault", KERAS_FAULTS)
def test_a_fault_in_a_program_from_keras_is_named_by_its_layer(fault: str) -> None:
    source, program, args = keras_model()
    change, operation, layer = KERAS_FAULTS[fault]
    wrong = tn.parity(change(program), source=source, args=args, to=OTHERS)
    named = [(x.backend, x.name, x.source.module) for x in wrong.comparisons if x.diverges]
    assert named == [(name, operation, layer) for name in OTHERS], str(wrong)
    assert wrong.changed == (("dense/kernel",) if fault == "transposed weight" else ())


def test_a_right_program_from_keras_has_no_divergence_however_it_is_tried() -> None:
    source, program, args = keras_model()
    found = tn.parity(program, source=source, args=args, to=OTHERS, grads=True, sweep=True, stress=True, masked=True)
    assert found.holds, str(found)
    assert {x.case for x in found.outcomes} >= {"as given", "batch = 1", "stressed normalisation"}
    assert {x.name for x in found.outcomes if x.kind == "gradient"} >= {"convolve/kernel", "last/gamma"}


def test_rows_that_see_nothing_are_asked_of_a_program_that_draws() -> None:
    class Dropping(nn.Module):
        def forward(self, x: Any, mask: Any) -> Any:
            found = nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)
            return nn.functional.dropout(found, 0.5, self.training)

    args = torch.randn(2, 4, 6), torch.tensor(MASK)[:, None, :]
    program = tn.port(Dropping(), args, train=True)
    found = tn.parity(program, source=Dropping(), args=args, masked=True)
    assert found.holds, str(found)
    assert any(x.kind == "hidden row" for x in found.outcomes)
