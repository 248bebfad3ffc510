"""What a comparison found, as data."""

from __future__ import annotations

from dataclasses import dataclass

from tensoria.porting.parity.measuring import Comparison, worst
from tensoria.porting.parity.outcomes import Outcome

__all__ = ["Findings"]


@dataclass(frozen=True)
class Findings:
    """A program beside its model.

    Attributes:
        name: the program's.
        backends: where it ran.
        comparisons: every operator whose result the model has, in order, for each backend; those of other cases only
            where they diverge.
        outcomes: results, gradients and hidden rows of attention.
        changed: the parameters whose numbers are not the model's.
    """

    name: str
    backends: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    outcomes: tuple[Outcome, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def first_divergence(self) -> Comparison | Outcome | None:
        """The first operator that computes something else; else what diverges as a whole; None if nothing does.

        Of gradients it is the first one on the way back, behind which all others may be wrong.
        """
        return next(iter(self.divergences), None)

    first = first_divergence

    @property
    def divergences(self) -> tuple[Comparison | Outcome, ...]:
        """All that rounding does not explain, operators first, in order."""
        whole = [x for x in self.outcomes if x.diverges]
        back = sorted((x for x in whole if x.kind == "gradient"), key=lambda x: -x.number)
        return (*(x for x in self.comparisons if x.diverges), *(x for x in whole if x.kind != "gradient"), *back)

    @property
    def holds(self) -> bool:
        """Whether nothing diverges."""
        return not self.divergences

    def worst(self, backend: str) -> tuple[float, float]:
        """The largest local and cumulative error on a backend."""
        own = [found for found in self.comparisons if found.backend == backend]
        return worst(x.local for x in own), worst(x.cumulative for x in own)
