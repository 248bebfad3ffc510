"""What the documents say: their examples run and print what is shown, their commands exist, their links lead somewhere.

Also `start.py`, whose commands the README begins with, and the scripts in `examples`.
"""

from __future__ import annotations

import doctest
import importlib.util
import re
import runpy
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tensoria import cli

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/*.md"))
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def blocks(path: Path, language: str) -> list[str]:
    """The contents of the code blocks in one language."""
    return [code for found, code in FENCE.findall(path.read_text(encoding="utf-8")) if found == language]


def commands(path: Path) -> list[str]:
    """The lines of the shell blocks."""
    return [line for block in blocks(path, "bash") for line in block.splitlines() if line]


def needs(text: str) -> None:
    """Skip where a framework that a text imports is not installed."""
    for name in ("torch", "tensorflow"):
        if name in text:
            pytest.importorskip(name)


@pytest.fixture(scope="module")
def start() -> ModuleType:
    """`start.py` as a module."""
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- documents --------------------------------------------------------------------------------------------------------


@each_document
def test_examples_print_what_is_shown(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not blocks(path, "python"):
        pytest.skip("no examples")
    needs(text)
    # Everything but the examples becomes empty lines, so that a failure has the document's line number.
    kept, end = [], 0
    for match in FENCE.finditer(text):
        start, stop = match.span(2) if match[1] == "python" else (match.end(), match.end())
        kept += ["\n" * text.count("\n", end, start), text[start:stop]]
        end = stop
    test = doctest.DocTestParser().get_doctest("".join(kept), {"__name__": path.stem}, path.name, str(path), 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)


@each_document
def test_every_block_is_of_a_kind_that_is_checked(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(FENCE.findall(text))
    for language, code in FENCE.findall(text):
        assert language in ("python", "bash", "text"), code
        if language == "python":
            assert code.startswith(">>> "), f"not an interactive session:\n{code}"


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


@each_document
def test_every_command_is_one_that_exists(path: Path, start: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in commands(path):
        words = shlex.split(line)
        if words[0] == "tensoria":
            assert words[0] in project["scripts"]
            assert words[1] in cli.COMMANDS, line
        elif words[:2] == ["python3", "start.py"]:
            assert words[2] in start.COMMANDS, line
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), line
        elif words[0] == "pip":
            assert words[1:5] == ["install", "-c", "constraints.txt", "-e"], line
            extras = re.fullmatch(r"\.(?:\[([\w,]+)\])?", words[5])
            assert extras is not None, line
            assert set((extras[1] or "all").split(",")) <= project["optional-dependencies"].keys(), line
        else:
            assert (ROOT / words[0]).is_file(), line


def test_the_two_commands_come_first_and_ci_runs_the_second(start: ModuleType) -> None:
    first, second = commands(ROOT / "README.md")[:2]
    assert (first, second) == ("python3 start.py tour", "python3 start.py test")
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert start.COMMANDS["tour"][0][:2] == ["tensoria", "tour"]
    assert start.COMMANDS["test"][0][2] == "pytest"


def test_constraints_pin_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
            assert match is not None, line
            pinned[match[1].lower().replace("_", "-")] = match[2]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    for requirement in asked:
        name = re.split(r"[\s<>=!;\[]", requirement)[0].lower().replace("_", "-")
        if name != "tensoria" and "Darwin" not in requirement.replace("!= 'Darwin'", ""):
            assert name in pinned, requirement


# -- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_script_prints_what_its_docstring_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs(path.read_text(encoding="utf-8"))
    namespace = runpy.run_path(str(path), run_name="__main__")
    shown = capsys.readouterr().out
    _, _, promised = namespace["__doc__"].partition("It prints:\n\n")
    assert promised, "the docstring does not end with 'It prints:' and the output"
    assert doctest.OutputChecker().check_output(promised, shown, FLAGS), f"It printed:\n{shown}"


# -- start.py ---------------------------------------------------------------------------------------------------------


class Checkout:
    """`start.py` in a folder of its own, with everything that would install or run recorded instead."""

    def __init__(self, start: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.root, self.log = start, root, list[str]()
        self.fails = False
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, root)
        programs = root / ".venv" / "bin"
        places = {"ROOT": root, "VENV": root / ".venv", "STATE": root / ".venv" / "tensoria.json"}
        for name, place in {**places, "PROGRAMS": programs, "PYTHON": programs / "python"}.items():
            monkeypatch.setattr(start, name, place)
        monkeypatch.setattr(start, "make_environment", self.make)
        monkeypatch.setattr(start, "pip", lambda: ["pip"])
        monkeypatch.setattr(start, "run", self.install)

    def make(self) -> None:
        self.log.append("made")
        (self.root / ".venv" / "bin").mkdir()
        (self.root / ".venv" / "bin" / "python").touch()

    def install(self, line: list[str]) -> None:
        self.log.append("installed " + line[-1].removeprefix(str(self.root)))
        if self.fails:
            raise self.module.SetupError("no network")

    def prepare(self, extras: str) -> list[str]:
        """What is done to have an environment with these extras."""
        self.log.clear()
        self.module.prepare(extras)
        return list(self.log)


@pytest.fixture
def checkout(start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout in a folder whose name has a space."""
    (tmp_path / "a checkout").mkdir()
    return Checkout(start, tmp_path / "a checkout", monkeypatch)


def test_start_installs_once(checkout: Checkout) -> None:
    assert checkout.prepare("all,examples") == ["made", "installed [all,examples]"]
    assert checkout.prepare("all,examples") == []
    assert checkout.prepare("all,examples,dev") == ["installed [all,dev,examples]"]
    assert checkout.prepare("all,examples") == []


def test_start_installs_again_when_the_requirements_change(checkout: Checkout) -> None:
    checkout.prepare("all,examples")
    with (checkout.root / "constraints.txt").open("a") as file:
        file.write("# one more\n")
    assert checkout.prepare("all,examples") == ["installed [all,examples]"]


def test_start_makes_an_unfinished_environment_anew(checkout: Checkout) -> None:
    checkout.fails = True
    with pytest.raises(checkout.module.SetupError):
        checkout.prepare("all")
    checkout.fails = False
    (checkout.root / ".venv" / "leftover").touch()
    assert checkout.prepare("all") == ["made", "installed [all]"]
    assert not (checkout.root / ".venv" / "leftover").exists()


def test_start_makes_an_environment_that_was_moved_anew(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.prepare("all")
    moved = checkout.root.with_name("elsewhere")
    checkout.root.rename(moved)
    again = Checkout(checkout.module, moved, monkeypatch)
    assert again.prepare("all") == ["made", "installed [all]"]


def test_start_leaves_an_environment_that_is_not_its_own_alone(checkout: Checkout) -> None:
    (checkout.root / ".venv").mkdir()
    (checkout.root / ".venv" / "pyvenv.cfg").touch()
    with pytest.raises(checkout.module.SetupError, match=r"not made by start\.py"):
        checkout.prepare("all")
    assert (checkout.root / ".venv" / "pyvenv.cfg").exists()


def test_start_without_a_command_says_what_there_is(start: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert start.main([]) == 2
    assert start.main(["--help"]) == 0
    assert start.main(["fly"]) == 2
    assert "tour: tensoria tour\n" in capsys.readouterr().out


def test_start_refuses_an_old_python(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    old: Any = (3, 10, 0)
    monkeypatch.setattr(sys, "version_info", old)
    with pytest.raises(start.SetupError, match=r"3\.11 or newer"):
        start.main(["tour"])
