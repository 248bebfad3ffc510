"""From ATen's operators to the instructions of programs: one row for each overload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

import tensoria_torch.leaves  # noqa: F401  (its operators are in the table)
from tensoria.errors import PortingError
from tensoria_torch.lowerings import (
    elementwise,
    elimination,
    grids,
    images,
    linear_algebra,
    neural,
    randomness,
    recurrence,
    reductions,
    selection,
    shapes,
    special,
)
from tensoria_torch.lowerings.call import Call, Lowering

__all__ = ["IGNORED", "LOWERINGS", "Call", "register"]

CHAPTERS = (elementwise, reductions, shapes, selection, linear_algebra, neural, recurrence, images, grids, randomness,
            special, elimination)


def _exists(name: str) -> bool:
    """Whether this version of PyTorch has an overload for tensors."""
    space, operator, overload = name.split(".")
    if space not in ("aten", "tensoria"):
        return True
    packet = getattr(getattr(torch.ops, space), operator, None)
    if packet is None or overload not in packet.overloads():
        return False
    return any("Tensor" in str(result.type) for result in getattr(packet, overload)._schema.returns)


ROWS = {
    name if name.startswith(("tensoria.", "transformers.")) else f"aten.{name}": lowering
    for chapter in CHAPTERS for name, lowering in chapter.LOWERINGS.items()
}  # fmt: skip
LOWERINGS: Final[dict[str, Lowering]] = {name: lowering for name, lowering in ROWS.items() if _exists(name)}
"""What each operator records; elementwise ones that change their argument have been replaced by then. Those of other
libraries than PyTorch are there before the library is loaded.
"""


def register(operator: str, lowering: Callable[..., Any]) -> None:
    """Take a user's lowering, which is given the operator's arguments alone.

    Raises:
        PortingError: there is no such operator.
    """
    library, _, rest = operator.replace("::", ".").partition(".")
    name, _, overload = rest.partition(".")
    packet = getattr(getattr(torch.ops, library), name, None) if name else None
    overloads = packet.overloads() if packet is not None else []
    if not overloads or (overload and overload not in overloads):
        raise PortingError(f"PyTorch has no operator {operator!r}.", legal="its library is imported first")
    for found in (overload,) if overload else overloads:
        LOWERINGS[f"{library}.{name}.{found}"] = lambda call, *args, **kwargs: lowering(*args, **kwargs)


IGNORED: Final[frozenset[str]] = frozenset((
    "aten._assert_tensor_metadata.default", "aten._assert_scalar.default", "aten.sym_constrain_range.default",
    "aten.sym_constrain_range_for_size.default", "aten._assert_async.msg", "aten._linalg_check_errors.default",
    "with_effects(aten._linalg_check_errors.default)",
))  # fmt: skip
"""Operators that check and compute nothing; a program checks its inputs' types and shapes."""
