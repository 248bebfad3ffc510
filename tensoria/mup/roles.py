"""What each parameter of a program does: its role follows from how it is used.

Of every use it is known which axes are summed (they are the fan-in) and which the result keeps. The axes that grow with
the width decide: none is a scalar, one that stays is a vector or an input matrix, one that is summed is an output
matrix, one of each is a hidden matrix. Nothing is assumed about the order of axes. A parameter that is an input matrix
here and an output matrix there (a tied embedding) is `tied`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensoria.errors import LimitError
from tensoria.limits.uses import Use, Uses
from tensoria.limits.widths import Widened
from tensoria.programs.types import Shape

__all__ = ["Role", "roles"]


@dataclass(frozen=True)
class Role:
    """What a parameter does.

    Attributes:
        name: the parameter's.
        kind: one of `tables.ROLES`.
        shape: its sizes.
        uses: where it is used.
        readouts: the uses among them that sum over its only width axis.
    """

    name: str
    kind: str
    shape: Shape
    uses: tuple[Use, ...]
    readouts: tuple[Use, ...]


def roles(of: Widened, uses: Uses, names: Sequence[str]) -> dict[str, Role]:
    """The roles of parameters by name.

    Raises:
        LimitError: a parameter grows along too many axes, or is used in a way that has no role; its line is named.
    """
    return {name: _role(of, name, uses.of[name]) for name in names}


def _role(of: Widened, name: str, uses: Sequence[Use]) -> Role:
    value = of.parameters[name]
    growing = frozenset(of.width_axes(value))
    for axis in growing:
        if (degree := of.degree(value.type.shape[axis])) > 1:
            raise LimitError(f"axis {axis} of {name} {value.type} grows as n^{degree}: it does not factor.")
    if not growing:
        return Role(name, "scalar", value.type.shape, tuple(uses), ())
    if not uses:
        raise LimitError(
            f"{name} {value.type} is not used by the program, so it has no role.", legal="args= that use it"
        )
    kinds = {_kind(name, growing, use, str(value.type)): use for use in uses}
    readouts = tuple(use for use in uses if use.summed & growing and len(growing) == 1)
    kind = next(iter(kinds))
    if "output" in kinds and len(kinds) > 1:
        kind = "tied"
    elif "input" in kinds:
        kind = "input"
    return Role(name, kind, value.type.shape, tuple(uses), readouts)


def _kind(name: str, growing: frozenset[int], use: Use, shown: str) -> str:
    summed, kept = growing & use.summed, growing & use.kept
    counts = len(summed), len(kept)
    if counts == (1, 1):
        return "hidden"
    if counts == (1, 0):
        return "output"
    if counts == (0, 1):
        return "input" if len(use.summed) else "vector"
    if counts == (2, 0) and use.operation == "contract":
        return "hidden"  # x W y: a matrix product, and a product of two vectors, which is reported by itself
    where = f", at {use.source}" if str(use.source) else ""
    raise LimitError(
        f"{name} {shown} grows along {len(growing)} axes, of which {use.operation} sums {len(summed)}: this is no "
        f"input, hidden or output parameter{where}.",
        legal="a product of parameters that grow along two axes at most, one of them summed",
    )
