"""The baseline: what held when it was stored, so that what has become worse is seen.

A baseline is a small JSON file, one line for each contract of each backend, that is kept with the sources. What it does
not name has not been seen before. A failure that it has is known; a contract that held and now fails, is skipped, or is
gone from the suite, is a regression.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tensoria_conformance.report.results import Finding, Results

__all__ = ["SCHEMA", "Changes", "as_json", "changes", "read"]

SCHEMA = "tensoria-conformance-baseline/1"
Baseline = Mapping[str, Mapping[str, str]]
"""Backend and contract to status."""


@dataclass(frozen=True)
class Changes:
    """What is different from the baseline; each entry is a backend, a contract, and what became of it.

    Attributes:
        regressions: held, and does not any more.
        failures: fail, and are not in the baseline.
        repaired: failed, and hold now.
        known: fail, as in the baseline.
        added: were not in the baseline, and hold.
    """

    regressions: tuple[tuple[str, str, str], ...]
    failures: tuple[tuple[str, str, str], ...]
    repaired: tuple[tuple[str, str, str], ...]
    known: tuple[tuple[str, str, str], ...]
    added: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        lines = ["Against the baseline:"]
        for title, entries in (
            ("REGRESSION", self.regressions),
            ("new failure", self.failures),
            ("repaired", self.repaired),
            ("known failure", self.known),
        ):
            lines += [f"  {title}: {contract} on {backend} ({what})" for backend, contract, what in entries]
        if self.added:
            lines.append(f"  {len(self.added)} contracts that hold are not in the baseline (--update-baseline)")
        return "\n".join(lines if len(lines) > 1 else ["Against the baseline: nothing has changed."])


def as_json(results: Results, before: Baseline | None = None) -> str:
    """Results as a baseline; backends and contracts that were not run keep what the baseline before has."""
    merged = {backend: dict(known) for backend, known in (before or {}).items()}
    for found in results.findings:
        merged.setdefault(found.backend, {})[found.contract] = found.status
    document = {"schema": SCHEMA, "backends": {name: dict(sorted(merged[name].items())) for name in sorted(merged)}}
    return json.dumps(document, indent=1) + "\n"


def read(text: str) -> Baseline:
    """The baseline in a file's text.

    Raises:
        ValueError: it is none.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"this is no baseline: its schema is not {SCHEMA!r}.")
    found: Baseline = document["backends"]
    return found


def changes(results: Results, before: Baseline, contracts: frozenset[str]) -> Changes:
    """What is different from a baseline.

    Args:
        results: what was found now.
        before: the baseline.
        contracts: the names of all contracts that exist; one of the baseline that is not among them is gone.
    """
    kinds: dict[str, list[tuple[str, str, str]]] = {name: [] for name in Changes.__dataclass_fields__}
    for found in results.findings:
        was = before.get(found.backend, {}).get(found.contract)
        kind = _kind(found, was)
        if kind is not None:
            kinds[kind].append((found.backend, found.contract, f"{was or 'new'} -> {found.status}"))
    for backend in results.backends:
        for contract, was in before.get(backend, {}).items():
            if contract not in contracts and was == "holds":
                kinds["regressions"].append((backend, contract, f"{was} -> gone"))
    return Changes(**{name: tuple(entries) for name, entries in kinds.items()})


def _kind(found: Finding, was: str | None) -> str | None:
    if found.status == "holds":
        return {None: "added", "fails": "repaired"}.get(was)
    if was == "holds":
        return "regressions"
    if found.status == "fails":
        return "known" if was == "fails" else "failures"
    return None
