"""How far a long command has come, on the stream for errors, so that its output stays clean.

On a terminal one line counts up and disappears at the end; anywhere else each stage is one plain line.
"""

from __future__ import annotations

import sys
from typing import TextIO

__all__ = ["Progress"]


class Progress:
    """A counter of steps in named stages.

    Args:
        total: the number of steps in all.
        stream: where to write; `sys.stderr` if None.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total = total
        self.count = 0
        self.text = ""
        self.stream = sys.stderr if stream is None else stream
        self.live = self.stream.isatty()

    def stage(self, text: str) -> None:
        """Begin a stage."""
        self.text = text
        if self.live:
            self._show()
        else:
            print(f"[{self.count}/{self.total}] {text}", file=self.stream, flush=True)

    def step(self) -> None:
        """Count one step."""
        self.count += 1
        if self.live:
            self._show()

    def done(self) -> None:
        """Leave a clean line behind."""
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()

    def _show(self) -> None:
        self.stream.write(f"\r\033[K[{self.count}/{self.total}] {self.text}")
        self.stream.flush()
