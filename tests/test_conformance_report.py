"""The report, its page and its programs, the baseline, and the exit codes of `tensoria conformance`."""

from __future__ import annotations

import html.parser
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broken_backend import copy_of_numpy, registered
from faults import FAULTS
from tensoria_conformance import baseline as baselines
from tensoria_conformance import run
from tensoria_conformance.command import FAILS, REGRESSION
from tensoria_conformance.contracts import CHAPTERS, CONTRACTS, NotApplicable, contract
from tensoria_conformance.report.page import page
from tensoria_conformance.report.results import Results, written
from tensoria_conformance.report.terminal import matrix, summary
from tensoria_conformance.running import contracts
from tensoria_conformance.snippet import literal

from tensoria import cli

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / "conformance" / "baseline.json"
EVERY = frozenset(contract.name for contract in contracts())


@pytest.fixture
def broken() -> Iterator[str]:
    """A backend that can not roll."""
    with registered(copy_of_numpy(xp=FAULTS["roll goes the other way"].xp)) as name:
        yield name


@pytest.fixture
def results(broken: str) -> Results:
    """NumPy beside the broken backend, over one chapter."""
    return run(["numpy", broken], ["reshape"])


def conformance(*arguments: object) -> int:
    return cli.main(["conformance", *map(str, arguments)])


# -- contracts --------------------------------------------------------------------------------------------------------


def test_every_contract_has_a_chapter_a_rule_and_a_source() -> None:
    for made in CONTRACTS.values():
        assert made.chapter in CHAPTERS
        assert made.rule.endswith(".")
        assert made.source
        assert made.name.startswith("test_")
    assert len(EVERY) >= 150


def test_two_contracts_have_two_names() -> None:
    with pytest.raises(ValueError, match="two contracts"):

        @contract("errors", rule="Another one.", source="nowhere")
        def test_errors_are_one_family(xp: Any) -> None:
            """Not the one of the suite."""

    with pytest.raises(ValueError, match="no chapter"):
        contract("nowhere", rule="", source="")


def test_what_a_contract_does_not_apply_to_is_skipped() -> None:
    def refuse(xp: Any) -> None:
        raise NotApplicable("not here")

    try:
        contract("errors", rule="None.", source="nowhere")(refuse)
        outcome = CONTRACTS["refuse"].check("numpy")
    finally:
        CONTRACTS.pop("refuse", None)
    assert (outcome.status, outcome.message) == ("skipped", "not here")


# -- the report -------------------------------------------------------------------------------------------------------


def test_the_matrix_counts_by_backend_and_chapter(results: Results) -> None:
    count = len(contracts(["reshape"]))
    text = matrix(results)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("reshape")]
    assert f"{count} hold" in line
    assert f"{count - 1} of {count} hold, 1 FAIL" in line


def test_a_failure_is_shown_with_its_rule_its_source_and_a_program(results: Results) -> None:
    text = summary(results)
    for part in ("FAILS on broken: test_roll_goes_around", "Source: Array API", "instead of", "xp.roll(", "1 failures"):
        assert part in text


def test_the_program_shows_the_failure(results: Results) -> None:
    (failure,) = results.failures
    assert failure.snippet.startswith(f"# {failure.rule}\n# {failure.source}\n")
    with pytest.raises(AssertionError) as raised:
        exec(compile(failure.snippet, "snippet", "exec"), {})
    assert str(raised.value) == failure.message


@pytest.mark.parametrize("name", sorted(FAULTS)[::9])
def test_programs_run_by_themselves(name: str) -> None:
    """With everything that they name, and nothing of the suite around them."""
    fault = FAULTS[name]
    if fault.library:
        pytest.skip("the fault is in the library")
    with registered(copy_of_numpy(fault.xp, fault.operators, fault.kernels, fault.methods)) as broken:
        outcome = CONTRACTS[fault.contracts[0]].check(broken)
        found = Results.of([outcome], {}).failures[0]
        with pytest.raises(type(outcome.error)):
            exec(compile(found.snippet, "snippet", "exec"), {})


def test_programs_have_literal_arrays() -> None:
    import numpy as np

    for value in (np.array([[1.0, np.nan]], "float32"), np.zeros((0, 3)), (np.array(1 + 2j), [True]), np.float32(0.1)):
        got = eval(literal(value), {"np": np, "nan": np.nan, "inf": np.inf})
        assert repr(got) == repr(value)


def test_json_keeps_everything(results: Results) -> None:
    again = Results.from_json(results.as_json())
    assert again == results
    assert json.loads(results.as_json())["surroundings"]["backends"]["numpy"]["devices"] == ["cpu"]
    for text in ("{}", "[]", '{"schema": "another"}', '{"schema": "tensoria-conformance/1"}'):
        with pytest.raises(ValueError, match=r"schema|report"):
            Results.from_json(text)


class Tags(html.parser.HTMLParser):
    """Checks that every tag is closed, and collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        assert "src" not in found
        self.ids.add(found.get("id") or "")
        if tag == "a":
            self.links.add(str(found["href"]))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(results: Results) -> None:
    text = page(results, baselines.changes(results, {}, EVERY))
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert {link.removeprefix("#") for link in tags.links} <= tags.ids
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    assert "prefers-color-scheme: dark" in text
    assert text.count("<details") == len(results.findings)
    assert text.count("<details open>") == 1
    assert "tn.namespace(&quot;broken&quot;)" in text


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.txt"
    written(path, "first")
    with pytest.raises(UnicodeEncodeError):
        written(path, "\ud800")
    assert path.read_text() == "first"
    assert [found.name for found in path.parent.iterdir()] == ["out.txt"]


# -- the baseline -----------------------------------------------------------------------------------------------------


def test_what_has_become_worse_is_a_regression(results: Results) -> None:
    good = baselines.read(baselines.as_json(run(["numpy"], ["reshape"])))
    before = {"numpy": good["numpy"], "broken": good["numpy"]}
    found = baselines.changes(results, before, EVERY)
    assert found.regressions == (("broken", "test_roll_goes_around", "holds -> fails"),)
    assert not found.failures
    assert "REGRESSION: test_roll_goes_around on broken" in str(found)
    known = baselines.changes(results, baselines.read(baselines.as_json(results)), EVERY)
    assert not known.regressions
    assert known.known == (("broken", "test_roll_goes_around", "fails -> fails"),)
    unknown = baselines.changes(results, {}, EVERY)
    assert unknown.failures == (("broken", "test_roll_goes_around", "new -> fails"),)
    gone = baselines.changes(results, {"numpy": {"test_that_is_gone": "holds"}}, EVERY)
    assert gone.regressions == (("numpy", "test_that_is_gone", "holds -> gone"),)


def test_what_was_not_run_keeps_its_place_in_the_baseline(results: Results) -> None:
    merged = baselines.read(baselines.as_json(results, {"other": {"a": "holds"}, "numpy": {"b": "fails"}}))
    assert merged["other"] == {"a": "holds"}
    assert merged["numpy"]["b"] == "fails"
    assert merged["broken"]["test_roll_goes_around"] == "fails"


def test_the_stored_baseline_knows_every_contract() -> None:
    """`tensoria conformance --baseline conformance/baseline.json --update-baseline` after contracts are added."""
    stored = baselines.read(STORED.read_text(encoding="utf-8"))
    assert {"numpy", "torch", "tensorflow"} <= set(stored)
    for name, known in stored.items():
        assert set(known) == EVERY, name
        assert "fails" not in known.values(), name


# -- the command ------------------------------------------------------------------------------------------------------


def test_exit_codes_say_what_was_found(broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chapter, kept = ("--chapter", "reshape"), ("--baseline", tmp_path / "baseline.json")
    assert conformance("--backend", "numpy", *chapter) == 0
    assert "all hold" in capsys.readouterr().out
    assert conformance("--backend", f"numpy,{broken}", *chapter) == FAILS == 1
    assert conformance("--backend", "numpy", *chapter, *kept, "--update-baseline") == 0
    assert conformance("--backend", "numpy", *chapter, *kept) == 0
    assert "nothing has changed" in capsys.readouterr().out
    assert conformance("--backend", broken, *chapter, *kept) == FAILS
    document = json.loads((tmp_path / "baseline.json").read_text())
    document["backends"][broken] = document["backends"]["numpy"]
    (tmp_path / "baseline.json").write_text(json.dumps(document))
    assert conformance("--backend", broken, *chapter, *kept) == REGRESSION == 3
    assert "REGRESSION: test_roll_goes_around on broken (holds -> fails)" in capsys.readouterr().out
    assert conformance("--backend", broken, *chapter, *kept, "--update-baseline") == 0
    assert conformance("--backend", broken, *chapter, *kept) == 0


def test_the_command_writes_its_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a" / "out.json"
    assert conformance("--backend", "numpy", "--chapter", "ordering", "--json", out, "--html", tmp_path / "o.html") == 0
    assert Results.from_json(out.read_text()).backends == ("numpy",)
    assert "<!doctype html>" in (tmp_path / "o.html").read_text()
    assert f"written: {out}" in capsys.readouterr().out


def test_wrong_arguments_are_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for arguments, said in (
        (("--backend", "nowhere"), "no backend is named 'nowhere'"),
        (("--backend", ","), "names no backend"),
        (("--chapter", "nowhere"), "no chapter 'nowhere'"),
        (("--baseline", tmp_path / "none.json"), "no baseline"),
        (("--baseline", tmp_path / "bad.json"), "can not be read"),
        (("--update-baseline",), "needs a file"),
    ):
        assert conformance(*arguments) == 2
        assert said in capsys.readouterr().err


def test_without_the_extra_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'hypothesis'", name="hypothesis")

    monkeypatch.setattr(cli.importlib, "import_module", missing)
    assert conformance() == 2
    assert "pip install 'tensoria[conformance]'" in capsys.readouterr().err
