"""Runs data-apis/array-api-tests, the Array API's own suite, over tensoria's backends and says what passes.

    python conformance/array_api.py path/to/array-api-tests --backend torch --max-examples 200

No test is skipped or expected to fail beyond what the suite itself does; `--unskip` also runs those that the suite
skips as flaky.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tensoria as tn

HOW_TO_GET = """There is no checkout of array-api-tests at {path}. To get one, with what it needs:

    git clone --recurse-submodules https://github.com/data-apis/array-api-tests {path}
    pip install -r {path}/requirements.txt pytest-xdist
"""
VERSION = "2025.12"
BACKENDS = ("numpy", "torch", "tensorflow")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="the path of a checkout of array-api-tests")
    parser.add_argument("--backend", action="append", help="a backend's name; all three by default; may be repeated")
    parser.add_argument("--device", help="make new arrays there, such as cuda")
    parser.add_argument("--max-examples", type=int, default=200, help="examples that Hypothesis draws (200)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="tests at a time (pytest-xdist)")
    parser.add_argument("--unskip", action="store_true", help="also run the tests that the suite skips as flaky")
    parser.epilog = "What follows -- is given to pytest: -- -k sort"
    given = sys.argv[1:] if arguments is None else arguments
    cut = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:cut])
    options.pytest = given[cut + 1 :]
    return options


def run(checkout: Path, backend: str, options: argparse.Namespace) -> dict[str, Any]:
    """The suite on one backend: numbers of outcomes, and the names of the tests that failed."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        here = str(Path(__file__).parent)
        environment = os.environ | {
            "ARRAY_API_TESTS_MODULE": f"tensoria.{backend}",
            "ARRAY_API_TESTS_VERSION": VERSION,
            "ARRAY_API_UNSKIP": "1" if options.unskip else "",
            "TENSORIA_BACKEND": backend,
            "TENSORIA_DEVICE": options.device or "",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(scratch) / "examples"),
            "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
            "TENSORIA_REPORT": str(report),
        }
        command = [
            sys.executable, "-m", "pytest", "array_api_tests", "-q", "--tb=short", "-p", "no:cacheprovider",
            "-p", "array_api", "-n", str(options.processes), "--max-examples", str(options.max_examples),
            "--disable-deadline", "--skips-file", os.devnull, "--xfails-file", os.devnull, *options.pytest,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=checkout, env=environment, text=True, capture_output=True, check=False)
        if not report.exists():
            raise SystemExit(f"pytest did not come to an end:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        found["output"] = done.stdout
        return found


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    checkout = options.checkout.resolve()
    if not (checkout / "array_api_tests").is_dir():
        print(HOW_TO_GET.format(path=options.checkout), file=sys.stderr)
        return 2
    failing = 0
    print(f"array-api-tests, version {VERSION} of the standard, {options.max_examples} examples")
    for backend in options.backend or BACKENDS:
        found = run(checkout, backend, options)
        counts = ", ".join(f"{found[kind]} {kind}" for kind in ("passed", "failed", "skipped"))
        print(f"{'FAIL' if found['failed'] else 'pass'}  {backend:<12}{counts}", flush=True)
        for name in found["names"]:
            print(f"      {name}")
        if found["failed"]:
            print(re.sub(r"\A.*?(?==+ FAILURES)", "", found["output"], flags=re.DOTALL), file=sys.stderr)
        failing += found["failed"]
    return 1 if failing else 0


# -- this file as a plugin of the pytest that it starts ---------------------------------------------------------------

on_device = contextlib.ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """New arrays are made on the device that is asked for."""
    if os.environ.get("TENSORIA_DEVICE"):
        on_device.enter_context(tn.use(os.environ["TENSORIA_BACKEND"], os.environ["TENSORIA_DEVICE"]))


def pytest_unconfigure() -> None:
    """As it was before."""
    on_device.close()


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Take the mark off the tests that the suite skips as flaky."""
    if not os.environ.get("ARRAY_API_UNSKIP"):
        return
    for item in items:
        for node in item.listchain():
            node.own_markers[:] = [
                mark for mark in node.own_markers if not (mark.name == "skip" and mark.kwargs.get("reason") == "flaky")
            ]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the outcomes where the script looks for them."""
    path = os.environ.get("TENSORIA_REPORT")
    if not path:
        return
    stats = terminalreporter.stats
    bad = [report.nodeid for kind in ("failed", "error") for report in stats.get(kind, ())]
    counts = {"passed": len(stats.get("passed", ())), "failed": len(bad), "skipped": len(stats.get("skipped", ()))}
    Path(path).write_text(json.dumps({**counts, "names": sorted(bad)}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
