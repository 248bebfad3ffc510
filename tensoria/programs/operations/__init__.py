"""The table of operations: what each instruction means, and the types of its results.

A row has no code for any framework; how a backend computes it is that backend's table.
"""

from __future__ import annotations

from typing import Final

from tensoria.programs.operations import (
    contraction,
    control,
    creation,
    elementwise,
    fourier,
    indexing,
    linear_algebra,
    manipulation,
    neural,
    reductions,
)
from tensoria.programs.operations.row import Operation

__all__ = ["CHAPTERS", "OPERATIONS"]

CHAPTERS = (
    elementwise, reductions, manipulation, indexing, creation, contraction, linear_algebra, fourier, control, neural,
)  # fmt: skip
OPERATIONS: Final[dict[str, Operation]] = {name: row for chapter in CHAPTERS for name, row in chapter.ROWS.items()}
