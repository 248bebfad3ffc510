"""Programs written out with a class for each module: self-contained, readable, and computing the same."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

from models import MODELS, flat, stressed  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import BackendError, TracingError  # noqa: E402

KINDS = ("numpy", "torch", "tensorflow", "tensoria")


def module_of(text: str) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "written"}
    exec(compile(text, "<written>", "exec"), module)
    return module


def native(value: Any, kind: str) -> Any:
    if isinstance(value, dict):
        return {key: native(item, kind) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(native(item, kind) for item in value)
    if not isinstance(value, torch.Tensor) or kind == "torch":
        return value
    return tn.asarray(value.numpy()) if kind == "tensoria" else value.numpy()


def numbers(value: Any) -> list[Any]:
    found = [x.components if isinstance(x, tn.Tensor) else x for x in flat(value)]
    return [np.asarray(x.detach() if hasattr(x, "detach") else x) for x in found]


def close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    for a, b in zip(numbers(found), numbers(expected), strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= tolerance * np.abs(b).max(initial=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_classes_compute_what_the_model_does_from_its_saved_weights(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    example = MODELS[name]
    module = stressed(example.module)
    program = tn.port(module, example.args, example.kwargs, dynamic=example.dynamic)
    path = tmp_path / "weights.safetensors"
    program.save(path)
    args, kwargs = example.others if example.others != ((), {}) else (example.args, example.kwargs)
    given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    for kind in KINDS:
        text = program.source(kind)
        model = module_of(text)["load"](path)
        found = model(**{key: native(value, kind) for key, value in given.items() if key in program.signature})
        close(found, module(*args, **kwargs))
        imported = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)
                    for alias in node.names}  # fmt: skip
        assert imported <= {"base64", "json", "math", "zlib", "numpy", kind}


class Twice(torch.nn.Module):
    """Blocks that are alike, one of them called twice, and a list of others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(4), Block(4)
        self.rest = torch.nn.ModuleList([Block(4), Block(4), Block(4)])

    def forward(self, x: Any) -> Any:
        x = self.first(self.second(self.first(x)))
        for block in self.rest:
            x = block(x)
        return x


class Block(torch.nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = torch.nn.Linear(width, 2 * width), torch.nn.Linear(2 * width, width)

    def forward(self, x: Any) -> Any:
        return x + self.up(torch.relu(self.down(x)))


def test_what_is_alike_is_one_class_and_what_is_called_twice_is_one_object(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, x = Twice().eval(), torch.randn(2, 4)
    program = tn.port(module, (x,), dynamic={"x": ("batch", None)})
    program.save(tmp_path / "weights")
    text = program.source("tensorflow")
    classes = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert classes == ["Linear", "Block", "Twice"]
    assert 'self.rest = [Block(weights, f"{path}rest.{n}.") for n in range(3)]' in text
    model = module_of(text)["load"](tmp_path / "weights")
    close(model(x.numpy()), module(x))
    assert len(model.trainable_variables) == len(list(module.parameters()))
    assert {v.name.removesuffix(":0") for v in model.variables} == set(program.parameters)
    torch_model = module_of(program.source("torch"))["load"](tmp_path / "weights")
    assert set(torch_model.state_dict()) == set(module.state_dict())


class Turned(torch.nn.Module):
    """What it is given is seen with another axis, as angles are by the heads of every layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

    def forward(self, x: Any, angles: Any) -> Any:
        seen = angles.unsqueeze(1)
        query = self.query(x).view(2, 3, 2, 2).transpose(1, 2)
        key = self.key(x).view(2, 3, 2, 2).transpose(1, 2)
        mixed = torch.matmul(query * seen - query, (key * seen + key).transpose(2, 3))
        return x + mixed.sum(dim=(1, 2))[:, :, None]


class Layers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([Turned(), Turned()])

    def forward(self, x: Any, angles: Any) -> Any:
        for layer in self.layers:
            x = layer(x, angles)
        return x


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_see_an_argument_alike_are_one_class_and_values_are_called_after_modules(
    kind: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module, args = Layers().eval(), (torch.randn(2, 3, 4), torch.randn(2, 3, 2))
    program = tn.port(module, args)
    program.save(tmp_path / "weights")
    text = program.source(kind)
    classes = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert classes == ["Linear", "Turned", "Layers"], text
    assert "        query = " in text
    assert "        key = " in text
    model = module_of(text)["load"](tmp_path / "weights")
    close(model(*(native(x, kind) for x in args)), module(*args))


BLOCK = '''"""A transformer block, as it is written for PyTorch."""

import math

import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.1)

    def split(self, x):
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x, mask):
        batch, tokens, width = x.shape
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        scores = scores.masked_fill(~mask[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = self.dropout(torch.softmax(scores, dim=-1))
        mixed = (weights @ value).transpose(1, 2).reshape(batch, tokens, width)
        return self.out(mixed)


class FeedForward(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.down = nn.Linear(hidden, width)

    def forward(self, x):
        return self.down(self.act(self.up(x)))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x, mask):
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        return x + self.dropout(self.mlp(self.norm2(x)))
'''


def said(text: str) -> int:
    """Lines that say something: neither empty, nor a comment."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def test_a_transformer_blocks_tensorflow_source_is_shorter_than_twice_its_pytorch_source(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "block.py"
    path.write_text(BLOCK)
    written: dict[str, Any] = {"__name__": "block"}
    exec(compile(BLOCK, str(path), "exec"), written)
    block = written["TransformerBlock"](16, 4, 32).eval()
    x, mask = torch.randn(2, 5, 16), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    program = tn.port(block, (x, mask), dynamic={"x": ("batch", "tokens", None), "mask": ("batch", "tokens")})
    program.save(tmp_path / "weights")
    text = program.source("tensorflow")
    close(module_of(text)["load"](tmp_path / "weights")(x.numpy(), mask.numpy()), block(x, mask))
    assert said(text) < 2 * said(BLOCK), (said(text), said(BLOCK))
    assert len(text) < 2.5 * len(BLOCK), (len(text), len(BLOCK))


def test_written_models_need_neither_tensoria_nor_another_framework(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, x = Twice().eval(), torch.randn(3, 4)
    program = tn.port(module, (x,), dynamic={"x": ("batch", None)})
    program.save_state(tmp_path / "weights.safetensors")
    np.save(tmp_path / "x.npy", x.numpy())
    (tmp_path / "model.py").write_text(program.source("numpy"))
    code = (
        "import sys; sys.path.insert(0, '.'); import numpy as np; from model import load; "
        "np.save('y.npy', load()(np.load('x.npy'))); "
        "assert not {'torch', 'tensorflow', 'tensoria'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    close(np.load(tmp_path / "y.npy"), module(x))


def test_a_model_in_train_mode_draws_from_the_key_and_changes_its_statistics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Dropout(0.5)
    module, x = torch.nn.Sequential(*layers).train(), torch.randn(2, 3, 6, 6)
    program = tn.port(module, (x,), dynamic={"input": ("batch", None, None, None)}, train=True).train()
    program.save(tmp_path / "weights")
    key = np.array([3, 5], "uint32")
    expected, state = program.apply(program.state(), x.numpy(), key=tn.asarray(key))
    kept = np.asarray(expected.components)
    for kind in KINDS[:3]:
        model = module_of(program.source(kind))["load"](tmp_path / "weights")
        wrapped = torch.from_numpy if kind == "torch" else np.asarray
        with torch.no_grad():
            found = numbers(model(wrapped(x.numpy()), wrapped(key)))[0]
        np.testing.assert_array_equal(found == 0, kept == 0)
        close(found, kept)
        for name in ("running_mean", "running_var"):
            held = getattr(model.layers_1 if hasattr(model, "layers_1") else model.layers[1], name)
            close(numbers(held)[0], np.asarray(state[f"1.{name}"].components))
    for kind in KINDS[:3]:
        model = program.to(kind)
        wrapped = torch.from_numpy if kind == "torch" else np.asarray
        with torch.no_grad():
            close(model(wrapped(x.numpy()), key=wrapped(key)), kept)
        for name in ("1.running_mean", "1.running_var"):
            close(model.state_dict()[name], np.asarray(state[name].components))
        assert np.any(numbers(model(wrapped(x.numpy())))[0] == 0)  # with a key of its own


def test_one_function_is_written_of_what_knows_no_modules_or_if_it_is_asked_for() -> None:
    program = tn.trace(lambda x: tn.tanh(x) + 1, tn.asarray([1.0]))
    assert "class " not in program.source("numpy")
    assert "class " in program.source("numpy", form="classes")
    ported = tn.port(torch.nn.Sequential(torch.nn.Linear(2, 2)), (torch.ones(1, 2),))
    assert "class " not in ported.source("numpy", form="function")
    with pytest.raises(TracingError, match=r"there is no form 'prose' of source\.\n  Legal: \"classes\" or"):
        ported.source("numpy", form="prose")
    with pytest.raises(BackendError):
        ported.source("symbolic")


def test_a_choice_is_the_last_statement_of_a_class() -> None:
    p = tn.trace(lambda x: tn.cond(tn.sum(x) > 0, lambda y: y + 1, lambda y: -y, x), tn.asarray(np.ones(3)))
    namespace: dict[str, Any] = {}
    exec(p.source("numpy", form="classes"), namespace)
    model = namespace["lambda_"]({}, "")
    np.testing.assert_array_equal(model(-np.ones(3)), np.ones(3))
    np.testing.assert_array_equal(model(np.ones(3)), 2 * np.ones(3))


def test_results_in_containers_are_those_of_the_program(backend: str) -> None:
    def function(x: Any) -> Any:
        return {"a": (x + 1, x + 2), "b": [(x,), ((x * 2, x), x * 3)]}, x - 1

    p = tn.trace(function, tn.asarray(np.ones(3)))
    namespace: dict[str, Any] = {}
    exec(p.source("numpy", form="classes"), namespace)
    found = namespace["function"]({}, "")(np.ones(3))
    assert isinstance(found, tuple)
    assert repr(found) == repr(function(np.ones(3)))
    assert "return {'a': (" in p.source(backend, form="classes")
