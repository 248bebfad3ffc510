"""From ATen's operators to the instructions of programs: one row for each overload."""

from __future__ import annotations

from typing import Final

from tensoria_torch.lowerings import elementwise, neural, reductions, shapes
from tensoria_torch.lowerings.call import Call, Lowering

__all__ = ["IGNORED", "LOWERINGS", "Call"]

CHAPTERS = (elementwise, reductions, shapes, neural)
LOWERINGS: Final[dict[str, Lowering]] = {
    name if name.startswith("tensoria.") else f"aten.{name}": lowering
    for chapter in CHAPTERS for name, lowering in chapter.LOWERINGS.items()
}  # fmt: skip
"""What each operator records; elementwise ones that change their argument have been replaced by then."""
IGNORED: Final[frozenset[str]] = frozenset((
    "aten._assert_tensor_metadata.default", "aten._assert_scalar.default", "aten.sym_constrain_range.default",
    "aten.sym_constrain_range_for_size.default", "aten._assert_async.msg",
))  # fmt: skip
"""Operators that check and compute nothing; a program checks its inputs' types and shapes."""
