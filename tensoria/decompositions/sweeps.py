"""The record of an iteration: errors of its sweeps, when to stop, and what a person sees meanwhile."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

from tensoria.errors import DomainError

__all__ = ["Callback", "Record"]

Callback = Callable[[int, float], bool | None]
LONG = 5.0
"""Seconds after which a terminal is told about an iteration that nobody asked about."""


class Record:
    """The relative errors of an iteration's sweeps.

    Args:
        what: what is iterated, for the printed lines.
        sweeps: how many sweeps there are at most.
        tolerance: stop once the error changes by less than this from one sweep to the next.
        progress: print a line for each sweep (True), never (False), or about one a second on a terminal once the
            iteration has taken five seconds (None).
        callback: called with the sweep's number and its error; the iteration ends if it returns True.
        patience: how many sweeps in succession have to change too little.
    """

    def __init__(
        self,
        what: str,
        sweeps: int,
        tolerance: float,
        progress: bool | None,
        callback: Callback | None,
        patience: int = 1,
    ) -> None:
        self.what, self.sweeps, self.tolerance, self.patience = what, sweeps, tolerance, patience
        self.progress, self.callback = progress, callback
        self.errors: list[float] = []
        self._best, self._since = math.inf, 0
        self._begun = self._told = time.monotonic()

    def ended(self, error: float) -> bool:
        """Take down a sweep's error and say whether it was the last one.

        Raises:
            DomainError: the error is not finite: numbers overflowed.
        """
        if not math.isfinite(error):
            raise DomainError(
                f"the numbers of sweep {len(self.errors) + 1} of {self.what} overflow.",
                legal="scale the tensor down, or compute in float64",
            )
        self.errors.append(error)
        self._since = 0 if self._best - error > self.tolerance else self._since + 1
        self._best = min(self._best, error)
        self._tell()
        stop = self.callback is not None and self.callback(len(self.errors), error) is True
        return stop or self._since >= self.patience or len(self.errors) >= self.sweeps

    def _tell(self) -> None:
        now = time.monotonic()
        if self.progress is None:
            if now - self._begun < LONG or now - self._told < 1 or not sys.stderr.isatty():
                return
        elif not self.progress:
            return
        self._told = now
        print(
            f"{self.what}: sweep {len(self.errors)} of at most {self.sweeps}, "
            f"relative error {self.errors[-1]:.6g}, {now - self._begun:.1f} s",
            file=sys.stderr,
            flush=True,
        )
