"""A bar that shows how much of a kernel is done."""

from __future__ import annotations

import sys

__all__ = ["bar"]

LENGTH = 30


def bar(done: int, total: int) -> None:
    """One line on the stream for errors, drawn anew at each step."""
    filled = LENGTH * done // total
    sys.stderr.write(f"\r[{'#' * filled}{'.' * (LENGTH - filled)}] {done}/{total} blocks")
    if done == total:
        sys.stderr.write("\n")
    sys.stderr.flush()
