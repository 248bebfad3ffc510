"""All real architectures, trained too, on every backend: what every run of the tests has no time for.

Run as `python tests/full_matrix.py`, with further arguments of pytest behind (`-k llama`); it prints a line for each
model and test, with the time, and is what the table in docs/porting.md comes from.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CASE = re.compile(r"(\w+)\[([^\]]+)\]$")


class Table:
    """Collects outcomes as pytest reports them."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}
        self.failed = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        found = CASE.search(report.nodeid)
        if found is None or (report.when != "call" and report.passed):
            return
        backend, _, name = found[2].partition("-")
        self.failed += report.failed
        outcome = f"{backend} {report.outcome} {report.duration:.1f} s"
        self.rows.setdefault(f"{name}: {found[1].removeprefix('test_').replace('_', ' ')}", []).append(outcome)


def main(options: list[str]) -> int:
    """Run the tests and print the table; 1 if one failed."""
    table = Table()
    files = ["test_porting_transformers.py", "test_porting_generation.py"]
    code = pytest.main(
        [*(str(HERE / file) for file in files), "-m", "matrix or not matrix", "--show-capture=no", *options],
        plugins=[table],
    )
    for name, outcomes in sorted(table.rows.items()):
        print(f"{name}: {', '.join(outcomes)}")
    return 1 if table.failed or code else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
