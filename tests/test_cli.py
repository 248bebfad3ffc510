"""The command line: exit codes, messages without tracebacks, and the tour from end to end."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tensoria as tn
from tensoria import cli
from tensoria.errors import BackendNotFoundError, TensoriaError
from tensoria.tour import agreement, report, weights

needs_model = pytest.mark.skipif(importlib.util.find_spec(weights.PACKAGE) is None, reason="the examples extra")
Captured = pytest.CaptureFixture[str]


def test_without_a_command_there_is_help(capsys: Captured) -> None:
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert "tour" in shown
    assert "doctor" in shown


def test_version(capsys: Captured) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"tensoria {importlib.metadata.version('tensoria')}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["travel"], "invalid choice"),
        (["tour", "--speed", "1"], "unrecognized arguments"),
        (["tour", "--out", "x", "--no-picture"], "not allowed with"),
        (["tour", "--backend"], "expected one argument"),
        (["doctor", "now"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: Captured) -> None:
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err


@needs_model
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "abacus"], "no backend is named 'abacus'"),
        (["--backend", " , "], "--backend names no backend"),
        (["--out", __file__], "no folder that can be written to"),
    ],
)
def test_an_error_of_ours_is_one_message(arguments: list[str], message: str, capsys: Captured, tmp_path: Path) -> None:
    where = [] if "--out" in arguments else ["--out", str(tmp_path)]
    assert cli.main(["tour", *arguments, *where]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("tensoria tour: ")
    assert message in shown.err
    assert not shown.out


def test_a_missing_model_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["tour", "--no-picture"]) == 2
    assert "pip install 'tensoria[examples]'" in capsys.readouterr().err


def test_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "tour", interrupted)
    assert cli.main(["tour"]) == 130
    assert capsys.readouterr().err == "tensoria tour: interrupted\n"


def test_backends_may_be_repeated_or_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(cli, "tour", lambda *arguments: seen.append(arguments) or 0)
    assert cli.main(["tour", "--backend", "a,b", "--backend", "c", "--out", "x"]) == 0
    assert cli.main(["tour", "--no-picture"]) == 0
    assert seen == [(["a", "b", "c"], Path("x")), (None, None)]


# -- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_lists_every_backend_and_optional_package(capsys: Captured) -> None:
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in tn.available():
        assert sum(line.split()[:1] == [name] for line in lines) == 1
    numpy = next(line for line in lines if line.split()[:1] == ["numpy"])
    assert numpy.split()[1] == "works"
    assert numpy.endswith("cpu")
    assert any("safetensors" in line for line in lines)


def test_doctor_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def nothing(name: str) -> None:
        if name == "broken":
            raise OSError("a shared library is missing")
        raise BackendNotFoundError("not there", legal=f"pip install 'tensoria[{name}]'")

    def no_version(name: str) -> str:
        if name == "tensoria":
            return "0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(cli.tn, "available", lambda: ("broken", "absent"))
    monkeypatch.setattr(cli, "start", nothing)
    monkeypatch.setattr(importlib.metadata, "version", no_version)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "pip install 'tensoria[absent]'" in shown
    assert "a shared library is missing" in shown
    assert shown.count("pip install 'tensoria[examples]'") == 1
    assert "0 of 2 backends work." in shown


# -- tour -------------------------------------------------------------------------------------------------------------


@needs_model
def test_the_tour_from_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = subprocess.run(
        [sys.executable, "-c", "from tensoria.cli import main; raise SystemExit(main())", "tour", "--out", "pictures"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert "a bilinear form has no" in run.stdout
    if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
        assert "no divergence" in run.stdout
        assert "NO" not in run.stdout.split()
        page = (tmp_path / "pictures" / "parity.html").read_text(encoding="utf-8")
        assert "BertModel on numpy" in page
        assert "no divergence" in page
    assert "[CLS] tensor ##s" in run.stdout
    assert (tmp_path / "pictures" / report.PICTURE).read_bytes().startswith(b"\x89PNG")
    for name in agreement.installed()[0]:
        rows = [line for line in run.stdout.splitlines() if line.split()[:1] == [name] and " float" in line]
        assert [row.split()[2] for row in rows] == ["float32", "float64"]
        assert all(row.endswith("yes") for row in rows)
        assert f"{name} float64: the circuits of 72 heads" in run.stderr


@needs_model
def test_backends_that_disagree_are_no_success(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    right = agreement.compare

    def wrong(*findings: agreement.Findings) -> agreement.Agreement:
        verdict = right(*findings)
        return agreement.Agreement(verdict.same_dtype, verdict.reference, verdict.farthest, False)

    def missing(*_: object) -> None:
        raise TensoriaError("the library is not installed.")

    monkeypatch.setattr(agreement, "compare", wrong)
    monkeypatch.setattr(report, "encoder", missing)
    assert cli.main(["tour", "--backend", "numpy", "--no-picture"]) == 1
    shown = capsys.readouterr().out
    assert "NO" in shown
    assert "Only one backend took part" in shown
    assert "This section is left out: the library is not installed." in shown
