"""`tensoria conformance`: run the contracts, show what was found, and say by the exit code whether it is good."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tensoria.discovery import available
from tensoria.errors import BackendNotFoundError, TensoriaError
from tensoria.startup import start
from tensoria_conformance import baseline as baselines
from tensoria_conformance.contracts import CHAPTERS, Outcome
from tensoria_conformance.report.page import page
from tensoria_conformance.report.results import written
from tensoria_conformance.report.terminal import summary
from tensoria_conformance.running import contracts, installed, run

__all__ = ["conformance"]

FAILS, REGRESSION = 1, 3
"""Exit codes; 0 if all is well, 2 for wrong arguments (which `tensoria.cli` gives)."""


def conformance(
    backends: Iterable[str] | None = None,
    chapters: Iterable[str] | None = None,
    json: Path | None = None,
    html: Path | None = None,
    baseline: Path | None = None,
    update: bool = False,
    device: str | None = None,
) -> int:
    """Run contracts, print the report, and write what is asked for.

    Args:
        backends: their names; by default all that are installed (and see the device).
        chapters: by default all.
        json, html: where the report goes as well.
        baseline: the file to compare with.
        update: write what was found into the baseline.
        device: where new tensors are made; by default where the frameworks choose.

    Returns:
        0 if every contract holds, or fails as the baseline has it; 1 if one fails that the baseline does not know;
        3 if one held in the baseline and does not any more.

    Raises:
        TensoriaError: there is no such chapter, backend, device or baseline.
    """
    names = [name for name in available() if _starts(name)] if backends is None else list(backends)
    for name in names:
        start(name)
    if device is not None and backends is None:
        names = list(installed(device))
    for chapter in chapters or ():
        if chapter not in CHAPTERS:
            raise TensoriaError(f"there is no chapter {chapter!r}.", legal=f"--chapter {', '.join(CHAPTERS)}")
    before = _before(baseline, update)
    bar = _Progress(len(contracts(chapters)) * len(names))
    results = run(names, chapters, bar, device)
    bar.close()
    known = frozenset(contract.name for contract in contracts())
    found = None if baseline is None or (update and before is None) else baselines.changes(results, before or {}, known)
    print(summary(results, found))
    for path, text in ((json, results.as_json), (html, lambda: page(results, found))):
        if path is not None:
            written(path, text())
            print(f"written: {path}")
    if baseline is not None and update:
        kept = {name: {c: s for c, s in had.items() if c in known} for name, had in (before or {}).items()}
        written(baseline, baselines.as_json(results, kept))
        print(f"written: {baseline}")
        return 0
    if found is None:
        return FAILS if results.failures else 0
    return REGRESSION if found.regressions else FAILS if found.failures else 0


def _starts(name: str) -> bool:
    try:
        start(name)
    except BackendNotFoundError:
        return False
    return True


def _before(baseline: Path | None, update: bool) -> baselines.Baseline | None:
    if baseline is None:
        if update:
            raise TensoriaError("--update-baseline needs a file.", legal="--baseline FILE --update-baseline")
        return None
    try:
        return baselines.read(baseline.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if update:
            return None
        raise TensoriaError(f"there is no baseline {baseline}.", legal="--update-baseline makes it") from None
    except ValueError as fault:
        raise TensoriaError(f"{baseline} can not be read: {fault}") from None


class _Progress:
    """One line on a terminal that says how far the run is; nothing where the output is no terminal."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.shown = total, 0, sys.stderr.isatty()

    def __call__(self, outcome: Outcome) -> None:
        self.done += 1
        if self.shown:
            print(
                f"\r\033[K{self.done}/{self.total} {outcome.backend}: {outcome.contract}"[:110], end="", file=sys.stderr
            )

    def close(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr)
