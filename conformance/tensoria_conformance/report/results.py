"""What a run found, as one value that is written and read as JSON: outcomes, contracts, versions and devices."""

from __future__ import annotations

import datetime
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.discovery import get
from tensoria_conformance.contracts import CHAPTERS, CONTRACTS, Outcome, Status
from tensoria_conformance.snippet import snippet

__all__ = ["SCHEMA", "Finding", "Results", "surroundings", "written"]

SCHEMA = "tensoria-conformance/1"


@dataclass(frozen=True)
class Finding:
    """One contract on one backend, with all that a report shows of it.

    Attributes:
        contract, chapter, rule, source: the contract's.
        backend: the backend's name.
        status: "holds", "fails" or "skipped".
        message: why not.
        snippet: a program that shows the failure; empty if there is none.
        seconds: how long it took.
    """

    contract: str
    chapter: str
    rule: str
    source: str
    backend: str
    status: Status
    message: str
    snippet: str
    seconds: float

    @classmethod
    def of(cls, outcome: Outcome) -> Finding:
        """The finding of an outcome."""
        made = CONTRACTS[outcome.contract]
        shown = snippet(made, outcome) if outcome.status == "fails" else ""
        return cls(
            made.name, made.chapter, made.rule, made.source, outcome.backend, outcome.status, outcome.message, shown,
            round(outcome.seconds, 4),
        )  # fmt: skip


@dataclass(frozen=True)
class Results:
    """All findings of a run.

    Attributes:
        findings: in the order of the run.
        surroundings: what it ran on (see `surroundings`).
    """

    findings: tuple[Finding, ...]
    surroundings: Mapping[str, Any]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], around: Mapping[str, Any]) -> Results:
        """The results of a run's outcomes."""
        return cls(tuple(map(Finding.of, outcomes)), around)

    @property
    def backends(self) -> tuple[str, ...]:
        """The names of the backends, as they ran."""
        return tuple(dict.fromkeys(found.backend for found in self.findings))

    @property
    def chapters(self) -> tuple[str, ...]:
        """The chapters that were run, in their order."""
        ran = {found.chapter for found in self.findings}
        return tuple(chapter for chapter in CHAPTERS if chapter in ran)

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings of contracts that do not hold."""
        return tuple(found for found in self.findings if found.status == "fails")

    def cell(self, backend: str, chapter: str) -> tuple[Finding, ...]:
        """The findings of one chapter on one backend."""
        return tuple(found for found in self.findings if (found.backend, found.chapter) == (backend, chapter))

    def as_json(self) -> str:
        """The results as JSON text."""
        document = {
            "schema": SCHEMA,
            "surroundings": self.surroundings,
            "findings": [asdict(found) for found in self.findings],
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """The results that `as_json` wrote.

        Raises:
            ValueError: the text is no such document.
        """
        try:
            document = json.loads(text)
            if document["schema"] != SCHEMA:
                raise ValueError(f"the schema is {document['schema']!r} instead of {SCHEMA!r}.")
            return cls(tuple(Finding(**found) for found in document["findings"]), document["surroundings"])
        except (KeyError, TypeError) as fault:
            raise ValueError(f"this is no report of tensoria's conformance: {fault!r}.") from None


def surroundings(backends: Mapping[str, str | None]) -> dict[str, Any]:
    """Versions, devices and the day, for a report.

    Args:
        backends: their names, with the device on which new tensors were made; None where the framework chose.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "tensoria": tn.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "backends": {
            name: {"version": get(name).version(), "devices": get(name).devices() if device is None else [device]}
            for name, device in backends.items()
        },
    }


def written(path: Path, text: str) -> None:
    """Write a file whole or not at all: under another name first, moved when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
