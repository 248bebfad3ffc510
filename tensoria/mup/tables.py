"""The tables of muP: how each kind of parameter scales with the width, as powers of n.

Tensor Programs V (Yang et al. 2022, arXiv 2203.03466) gives three tables that train the same function, 3, 8 and 9;
the spectral condition (Yang, Simon and Bernstein 2023, arXiv 2310.17813) leads to the powers of table 3. They differ
by a multiplier n^t of the parameter: with W = n^t w, the variance of w is multiplied by n^(-2t), the learning rate of
SGD by n^(-2t), that of optimisers whose steps do not depend on the gradient's size by n^(-t), and the gradient by n^t
(TP V, lemma J.1). So table 3 and the three multipliers are all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tensoria.errors import LimitError

__all__ = ["OPTIMISERS", "ROLES", "TABLES", "Row", "row"]

ROLES: Final = ("scalar", "vector", "input", "hidden", "output", "tied")
"""What a parameter does: no axis grows; one that is not summed (a bias, a gain; with a finite fan-in an input matrix);
two, of which one is summed; one that is summed; an input and an output matrix at once."""
TABLES: Final = ("T3", "T8", "T9", "spectral")
OPTIMISERS: Final = ("sgd", "adam", "adamw", "muon")
ZERO, HALF, ONE, TWO = Fraction(0), Fraction(1, 2), Fraction(1), Fraction(2)


@dataclass(frozen=True)
class Row:
    """The powers of n of one parameter.

    Attributes:
        variance: of its entries, when they are drawn.
        multiplier: of every use as an input, hidden, vector or scalar parameter, or as an output one.
        readout: of every use of a tied parameter as an output one.
        sgd, adam, muon: of the learning rate. `muon` is that of optimisers with orthogonal steps.
        gradient: of the gradient's entries, as which Adam's epsilon has to scale.
    """

    variance: Fraction
    multiplier: Fraction
    readout: Fraction
    sgd: Fraction
    adam: Fraction
    muon: Fraction
    gradient: Fraction

    def rate(self, optimizer: str) -> Fraction:
        """The power of the learning rate.

        Raises:
            LimitError: there is no such optimiser.
        """
        rates = {"sgd": self.sgd, "adam": self.adam, "adamw": self.adam, "muon": self.muon}
        if optimizer not in rates:
            raise LimitError(f"there is no table for the optimiser {optimizer!r}.", legal=", ".join(OPTIMISERS))
        return rates[optimizer]

    def multiplied(self, by: Fraction) -> Row:
        """The row that trains the same function with one more multiplier n^by.

        >>> row("output", "T3").multiplied(Fraction(-1)) == row("output", "T8")
        True
        """
        return Row(
            self.variance - 2 * by, self.multiplier + by, self.readout + by, self.sgd - 2 * by, self.adam - by,
            self.muon - by, self.gradient + by,
        )  # fmt: skip


THIRD: Final[Mapping[str, Row]] = {
    "scalar": Row(ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO),
    "vector": Row(ZERO, ZERO, ZERO, ONE, ZERO, ZERO, -ONE),
    "input": Row(ZERO, ZERO, ZERO, ONE, ZERO, HALF, -ONE),
    "hidden": Row(-ONE, ZERO, ZERO, ZERO, -ONE, ZERO, -ONE),
    "output": Row(-TWO, ZERO, ZERO, -ONE, -ONE, -HALF, ZERO),
    # As an input matrix; every use as an output matrix is divided by the width.
    "tied": Row(ZERO, ZERO, -ONE, ONE, ZERO, ZERO, -ONE),
}
"""Table 3 of TP V, where fan-in and fan-out are n if they grow and constant if not."""
MULTIPLIERS: Final[Mapping[str, Mapping[str, Fraction]]] = {
    "T3": {}, "spectral": {},
    "T8": {"output": -ONE},
    "T9": {"vector": HALF, "input": HALF, "output": -HALF, "tied": HALF},
}  # fmt: skip
"""By how much a table's multipliers differ from those of table 3."""


def row(role: str, table: str) -> Row:
    """How a parameter scales.

    Args:
        role: one of `ROLES`.
        table: one of `TABLES`. Only tables 8 and 9 allow tied parameters; in the others these follow table 8.

    Raises:
        LimitError: there is no such role or table.

    >>> row("output", "T8").sgd, row("hidden", "T3").adam, row("input", "T9").multiplier
    (Fraction(1, 1), Fraction(-1, 1), Fraction(1, 2))
    """
    if table not in TABLES:
        raise LimitError(f"there is no table {table!r} of muP.", legal=", ".join(TABLES))
    if role not in THIRD:
        raise LimitError(f"there is no role {role!r}.", legal=", ".join(ROLES))
    return THIRD[role].multiplied(MULTIPLIERS[table].get(role, ZERO))
