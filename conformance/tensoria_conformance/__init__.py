"""Does a function, or a backend, mean the same thing everywhere? The contracts, a pytest plugin, and a report.

* `suite/` holds the semantic contracts, a chapter in each file; `tensoria conformance` and
  `pytest --pyargs tensoria_conformance` run them over every installed backend.
* `@across_backends` makes a test of a neutral function: the same values, data types, shapes, errors and gradients on
  every backend. `compare` does so in a script and returns a value that prints itself.
* `report/` shows what was found, `baseline` what has become worse.

Nothing is imported before it is asked for, because pytest loads the plugin in every project that has tensoria.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensoria_conformance.across import Comparison, across_backends, compare
    from tensoria_conformance.contracts import CONTRACTS, Contract, NotApplicable, contract
    from tensoria_conformance.running import run
    from tensoria_conformance.strategies import arrays, booleans, floats, integers

__all__ = [
    "CONTRACTS",
    "Comparison",
    "Contract",
    "NotApplicable",
    "across_backends",
    "arrays",
    "booleans",
    "compare",
    "contract",
    "floats",
    "integers",
    "run",
]

HOMES = {
    "across": ("Comparison", "across_backends", "compare"),
    "contracts": ("CONTRACTS", "Contract", "NotApplicable", "contract"),
    "running": ("run",),
    "strategies": ("arrays", "booleans", "floats", "integers"),
}
"""The modules that the public names live in."""


def __getattr__(name: str) -> Any:
    for module, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
