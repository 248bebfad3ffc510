"""Everything that every run of the tests has no time for, by one command, as a table.

`python tests/full_matrix.py` runs all real architectures, trained too, and all layers of Keras on every backend, and
prints a line for each model and test: the tables in docs/porting.md come from it. `python tests/full_matrix.py limits`
runs all tests of infinite width and of muP, and prints a line for each file: the table in docs/limits.md. Further
arguments are pytest's (`-k llama`).
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CASE = re.compile(r"(\w+)\[([^\]]+)\]$")
BACKENDS = ("numpy", "torch", "tensorflow")
LIMITS = ("test_widths_*.py", "test_limits_*.py", "test_kernels_*.py", "test_mup_*.py")


class Models:
    """For each model and test the outcome on every backend, as pytest reports it."""

    files = (
        "test_porting_transformers.py",
        "test_porting_generation.py",
        "test_porting_tensorflow.py",
        "test_porting_keras_layers.py",
    )

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}
        self.failed = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        found = CASE.search(report.nodeid)
        if found is None or (report.when != "call" and report.passed):
            return
        parts = found[2].split("-")
        backend = next((part for part in parts if part in BACKENDS), "")
        name = "-".join(part for part in parts if part != backend)
        self.failed += report.failed
        outcome = f"{backend} {report.outcome} {report.duration:.1f} s".strip()
        self.rows.setdefault(f"{name}: {found[1].removeprefix('test_').replace('_', ' ')}", []).append(outcome)

    def lines(self) -> list[str]:
        """The table."""
        return [f"{name}: {', '.join(outcomes)}" for name, outcomes in sorted(self.rows.items())]


class Limits:
    """For each file how many of its tests passed, by backend if they are run on several, and the processor's time."""

    files = LIMITS

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, list[float]]] = {}
        self.failed = 0
        self.clock = 0.0

    def pytest_collection_finish(self) -> None:
        self.clock = time.process_time()

    def pytest_runtest_logreport(self, report: Any) -> None:
        path, _, case = report.nodeid.partition("::")
        words = re.split(r"\W+", case)
        column = next((name for name in BACKENDS if name in words), "one")
        row = self.rows.setdefault(Path(path).stem.removeprefix("test_"), {})
        passed, failed, skipped, seconds = row.get(column, [0, 0, 0, 0.0])
        if report.when == "call" or not report.passed:
            passed, failed, skipped = passed + report.passed, failed + report.failed, skipped + report.skipped
        self.failed += report.failed
        before, self.clock = self.clock, time.process_time()
        row[column] = [passed, failed, skipped, seconds + self.clock - before]

    def lines(self) -> list[str]:
        """The table, as Markdown."""
        columns = ("one", *BACKENDS)
        found = ["| tests | any backend | NumPy | PyTorch | TensorFlow | seconds |", "|---|---|---|---|---|---|"]
        for name, row in sorted(self.rows.items()):
            cells = [_cell(row[column]) if column in row else "" for column in columns]
            found.append(f"| `{name}` | {' | '.join(cells)} | {sum(of[3] for of in row.values()):.0f} |")
        return found


def _cell(counts: list[float]) -> str:
    words = ("", " failed", " skipped")
    return ", ".join(f"{count:.0f}{word}" for count, word in zip(counts, words, strict=False) if count or not word)


def main(options: list[str]) -> int:
    """Run the tests and print the table; 1 if one failed."""
    limits = options[:1] == ["limits"]
    table: Models | Limits = Limits() if limits else Models()
    files = [str(path) for pattern in table.files for path in sorted(HERE.glob(pattern))]
    code = pytest.main(
        [*files, "-m", "matrix or not matrix", "--show-capture=no", *options[limits:]],
        plugins=[table],
    )
    print("\n".join(table.lines()))
    return 1 if table.failed or code else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
