"""`tensoria port`: source and weights in a folder that appears whole or not at all, and what a check says."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensoria import cli, porter  # noqa: E402

FACTORY = """
import torch

def network():
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2)
    return torch.nn.Sequential(*layers).eval(), (torch.randn(3, 4),)

number = 7
"""
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "shop_of_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("shop_of_networks", None)


def run(*arguments: str, model: str = "shop_of_networks:network", to: str = "numpy", out: str = "out") -> int:
    return cli.main(["port", model, "--to", to, "--out", out, *arguments])


def written(folder: Path) -> Any:
    module: dict[str, Any] = {}
    exec(compile((folder / "model.py").read_text(), "model.py", "exec"), module)
    return module["load"](folder / "weights.safetensors")


def test_a_model_is_written_with_its_weights_checked_and_runs(shop: Path, capsys: Captured) -> None:
    assert run("--check", "--dynamic", "input=batch,-") == 0
    shown = capsys.readouterr().out
    assert "input: float32[batch, 4]" in shown
    assert "no divergence" in shown
    assert {path.name for path in (shop / "out").iterdir()} == porter.FILES
    assert json.loads((shop / "out" / "parity.json").read_text())
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    from shop_of_networks import network  # type: ignore[import-not-found]

    np.testing.assert_allclose(written(shop / "out")(x), network()[0](torch.from_numpy(x)).detach(), atol=1e-6)


def test_a_folder_is_not_overwritten_unless_a_port_wrote_it_and_it_is_said(shop: Path, capsys: Captured) -> None:
    assert run() == 0
    first = (shop / "out" / "weights.safetensors").stat().st_ino
    assert run() == 2
    assert "out is there already.\n  Legal: --force" in capsys.readouterr().err
    assert run("--force") == 0
    assert (shop / "out" / "weights.safetensors").stat().st_ino != first
    (shop / "out" / "thesis.tex").write_text("the only copy")
    assert run("--force") == 2
    assert "holds thesis.tex" in capsys.readouterr().err
    assert (shop / "out" / "thesis.tex").read_text() == "the only copy"
    assert run(out="no/where") == 2
    assert [path.name for path in shop.iterdir() if path.name.startswith(".")] == []


def test_what_goes_wrong_leaves_nothing_behind(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(porter, "_checked", broken)
    assert run("--check") == 130
    assert sorted(path.name for path in shop.iterdir() if path.name != "__pycache__") == ["shop_of_networks.py"]


def test_a_check_that_finds_a_difference_has_the_exit_code_1(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    honest = porter._captured

    def other(model: porter.Model) -> Any:
        program = honest(model)
        instructions = [
            dataclasses.replace(made, attributes={"approximate": "tanh"}) if made.operation == "gelu" else made
            for made in program.instructions
        ]
        return dataclasses.replace(program, instructions=tuple(instructions))

    monkeypatch.setattr(porter, "_captured", other)
    assert run("--check") == 1
    assert "first divergence" in capsys.readouterr().out
    assert (shop / "out" / "parity.html").exists()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("nowhere", {}, "there is no file 'nowhere'"),
        ("no_such_module:f", {}, "there is no module 'no_such_module'"),
        ("shop_of_networks:nothing", {}, "shop_of_networks has no nothing"),
        ("shop_of_networks:number", {}, "is no function"),
        ("shop_of_networks:network", {"to": "caffe"}, "'caffe' is no backend"),
        ("builtins:next", {}, "builtins:next raises TypeError"),
        ("builtins:dict", {}, "no backend knows models of the type dict"),
    ],
)
def test_wrong_arguments_are_one_message_and_the_exit_code_2(
    shop: Path, capsys: Captured, model: str, options: dict[str, str], message: str
) -> None:
    assert run(model=model, **options) == 2
    assert message in capsys.readouterr().err
    assert not (shop / "out").exists()


@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_saved_models_of_tensorflow_are_ported_from_their_files(shop: Path, capsys: Captured, kind: str) -> None:
    pytest.importorskip("tensorflow")
    import keras

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "gelu"), keras.layers.Dense(3, "softmax")])
    path = "model.keras" if kind == "keras" else "folder"
    model.save(path) if kind == "keras" else model.export(path, verbose=False)
    assert run("--check", model=path, to="torch") == 0, capsys.readouterr()
    x = np.random.default_rng(0).standard_normal((6, 5)).astype("float32")
    found = written(shop / "out")(torch.from_numpy(x))
    found = (found["output_0"] if isinstance(found, dict) else found).detach()
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)
