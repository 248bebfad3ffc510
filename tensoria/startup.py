"""Loading a backend from a command, without the notes that frameworks write about themselves as they start.

Native code writes these straight to the process' stream for errors, before any setting of the framework applies. They
are held back, and shown if the framework does not start after all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from tensoria.backend import Backend
from tensoria.discovery import get

__all__ = ["start"]

STREAM = 2
"""The file descriptor of the stream for errors."""


def start(name: str) -> Backend:
    """The backend of that name, its framework's notes held back.

    Raises:
        BackendNotFoundError: there is none, or it does not load.
    """
    with _held_back():
        return get(name)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    try:
        sys.stderr.flush()
        kept = os.dup(STREAM)
    except OSError:  # no such stream: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as notes:
        try:
            os.dup2(notes.fileno(), STREAM)
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, STREAM)
            os.close(kept)
