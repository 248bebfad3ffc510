"""What a comparison found: a value that is printed, written as JSON, and shown as one page."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tensoria.porting.parity.findings import Findings
from tensoria.porting.parity.measuring import worst
from tensoria.porting.parity.page import page
from tensoria.programs.archives import write

__all__ = ["SCHEMA", "Parity"]

SCHEMA = "tensoria-parity/1"
SHOWN = 8


class Parity(Findings):
    """A program beside its model: what was found (`Findings`), printed, written as JSON, and shown as one page."""

    def __str__(self) -> str:
        lines = [_row("backend", "operators", "local", "in float64", "cumulative", "end to end")]
        for name in self.backends:
            own = [found for found in self.comparisons if found.backend == name]
            wide = [x.wide for x in own if x.wide is not None]
            ends = [x.error for x in self.outcomes if x.backend == name and x.kind == "result" and not x.note]
            errors = [f"{x:.1e}" for x in self.worst(name)]
            lines.append(_row(
                name, str(len(own)), errors[0], f"{worst(wide):.1e}" if wide else "-", errors[1],
                f"{worst(ends):.1e}" if ends else "-",
            ))  # fmt: skip
        lines += self._wholes()
        rounding = sum(found.verdict == "rounding" for found in self.comparisons)
        if rounding:
            lines.append(f"{rounding} operators exceed their tolerance, by rounding alone")
        if self.changed:
            lines.append(f"other numbers than the model's: {_listed(self.changed)}")
        found = self.divergences
        lines.append(f"first divergence: {found[0]}" if found else "no divergence")
        lines += [f"  then: {x}" for x in found[1:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"  and {len(found) - SHOWN} more")
        return "\n".join(lines)

    def _wholes(self) -> list[str]:
        lines = []
        cases = dict.fromkeys(x.case for x in self.outcomes if x.kind == "result")
        for case in list(cases)[1:]:
            own = [x for x in self.outcomes if x.kind == "result" and x.case == case]
            note = next((x.note for x in own if x.note), "")
            lines.append(f"{case}: {note or f'{worst(x.error for x in own):.1e} at most'}")
        for kind, what in (("gradient", "gradients"), ("hidden row", "attentions with a row that sees nothing")):
            own = [x for x in self.outcomes if x.kind == kind]
            if own:
                count = len({x.name for x in own})
                lines.append(f"{count} {what}: {worst(x.error for x in own):.1e} at most")
        return lines

    def table(self) -> str:
        """Every operator in a line: its errors, its tolerance, what it is, and where it comes from."""
        lines = ["backend      local    float64  cumul.   tolerance  verdict   operation, module and line"]
        for x in self.comparisons:
            wide = "-" if x.wide is None else f"{x.wide:.1e}"
            lines.append(
                f"{x.backend:<12} {x.local:<8.1e} {wide:<8} {x.cumulative:<8.1e} {x.tolerance:<10.0e} {x.verdict:<9} "
                f"{x.operation}  {x.source}"
            )
        return "\n".join(lines)

    def json(self) -> str:
        """All of it as JSON text; infinite errors are the text "inf"."""
        document = {
            "schema": SCHEMA, "name": self.name, "backends": self.backends, "holds": self.holds,
            "first_divergence": None if self.first_divergence is None else str(self.first_divergence),
            "changed": self.changed,
            "comparisons": [{**asdict(x), "verdict": x.verdict} for x in self.comparisons],
            "outcomes": [{**asdict(x), "diverges": x.diverges} for x in self.outcomes],
        }  # fmt: skip
        return json.dumps(_finite(document), indent=1, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON text to a file, which appears whole or not at all.

        Raises:
            FileError: it can not be written.
        """
        write(Path(path), [self.json().encode()])

    def html(self, path: str | os.PathLike[str]) -> None:
        """Write one page that needs nothing else: an overview, every operator, and the source of what diverges.

        Raises:
            FileError: it can not be written.
        """
        write(Path(path), [page(self).encode()])


def _row(*cells: str) -> str:
    first, *rest = cells
    return (f"{first:<12}" + "".join(f"{cell:>12}" for cell in rest)).rstrip()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
