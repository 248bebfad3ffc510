"""The report on a terminal: backends against chapters, then what fails and what has changed since the baseline."""

from __future__ import annotations

import textwrap

from tensoria_conformance.baseline import Changes
from tensoria_conformance.report.results import Finding, Results

__all__ = ["failures", "matrix", "summary"]

WIDTH = 110


def matrix(results: Results) -> str:
    """How many contracts of each chapter hold on each backend."""
    rows = [["chapter", *results.backends]]
    for chapter in results.chapters:
        rows.append([chapter, *(cell(results.cell(backend, chapter)) for backend in results.backends)])
    totals = (tuple(x for x in results.findings if x.backend == backend) for backend in results.backends)
    rows.append(["all", *map(cell, totals)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    lines.insert(-1, lines[1])
    return "\n".join(line.rstrip() for line in lines)


def cell(found: tuple[Finding, ...]) -> str:
    """How many of some contracts hold, in a few characters: `12`, `11 of 12, 1 fails`, `11 and 1 skipped`."""
    holds, fails, skipped = (sum(x.status == status for x in found) for status in ("holds", "fails", "skipped"))
    text = f"{holds} of {len(found)} hold, {fails} FAIL" if fails else f"{holds} hold"
    return text + (f", {skipped} skipped" if skipped else "")


def failures(results: Results, limit: int = 20) -> str:
    """What fails, with the reason and the source of the rule; each failure of the first few with its program."""
    parts = []
    for found in results.failures[:limit]:
        message = textwrap.indent(found.message, "    ")
        parts.append(
            f"  FAILS on {found.backend}: {found.contract} ({found.chapter})\n"
            f"    {found.rule}\n    Source: {found.source}\n{message}\n\n"
            + textwrap.indent(found.snippet.rstrip(), "      ")
        )
    if len(results.failures) > limit:
        parts.append(f"  ... and {len(results.failures) - limit} more")
    return "\n\n".join(parts)


def summary(results: Results, changes: Changes | None = None) -> str:
    """The whole report."""
    around = results.surroundings
    lines = [f"tensoria {around['tensoria']}, Python {around['python']}, NumPy {around['numpy']}, {around['platform']}"]
    for name, about in around["backends"].items():
        lines.append(f"  {name} {about['version']} on {', '.join(about['devices'])}")
    parts = ["\n".join(lines), matrix(results)]
    if results.failures:
        parts.append(failures(results))
    if changes is not None:
        parts.append(str(changes))
    seconds = sum(found.seconds for found in results.findings)
    count = len({found.contract for found in results.findings})
    state = f"{len(results.failures)} failures" if results.failures else "all hold"
    parts.append(f"{count} contracts on {len(results.backends)} backends in {seconds:.1f} s: {state}.")
    return "\n\n".join(parts)
