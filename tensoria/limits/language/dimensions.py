"""Common dimension classes: which vectors have one width, found by union as instructions join them (TP I, def. 3.1).

Every class tends to infinity at a fixed ratio to the base width. The ratio is 1 unless it is declared, and two
declarations that meet have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tensoria.errors import LimitError
from tensoria.limits.language.numbers import shown

__all__ = ["Dimension"]


@dataclass(eq=False)
class Dimension:
    """A width; `joined` makes two of them one.

    Attributes:
        name: as the program prints it.
        declared: its ratio to the base width, if somebody said it.
    """

    name: str
    declared: Fraction | None = None
    named: bool = False
    _above: Dimension | None = field(default=None, repr=False)

    @property
    def root(self) -> Dimension:
        """What stands for the whole class."""
        found = self
        while found._above is not None:
            found = found._above
        return found

    @property
    def ratio(self) -> Fraction:
        """The class's width divided by the base width."""
        return self.root.declared or Fraction(1)

    def joined(self, other: Dimension, where: str) -> None:
        """Make both classes one.

        Args:
            where: the line that does, for the error.

        Raises:
            LimitError: their ratios are declared and differ.
        """
        a, b = self.root, other.root
        if a is b:
            return
        if a.declared is not None and b.declared is not None and a.declared != b.declared:
            raise LimitError(
                f"inconsistent widths: {where} joins {a.name} ({shown(a.declared)} of the base width) "
                f"and {b.name} ({shown(b.declared)}).",
                legal="vectors and matrices of one width, or a matrix between the two",
            )
        # The name that somebody gave is kept.
        kept, lost = (b, a) if b.named and not a.named else (a, b)
        lost._above = kept
        kept.declared = kept.declared if kept.declared is not None else lost.declared

    def __str__(self) -> str:
        return self.root.name
