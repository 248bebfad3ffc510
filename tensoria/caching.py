"""Bounded, thread-safe caches whose hits cost one dictionary lookup.

Hot paths look plans up by structure. `functools.lru_cache` takes a lock and a linked-list update on every hit;
here a hit is a plain `dict` access (atomic in CPython) and only a miss takes the lock. When the cache is full the
oldest entries are dropped: a structure that is still in use is computed again once, which is cheap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["STRUCTURAL", "Cache", "structural"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
F = TypeVar("F", bound=Callable[..., object])


class Cache(dict[K, V], Generic[K, V]):
    """A dictionary that computes a missing value, and never grows beyond `limit` entries.

    Args:
        compute: called with the key on a miss. If it raises, nothing is stored.
        limit: number of entries; the oldest eighth is dropped when it is reached.

    >>> squares = Cache(lambda n: n * n, limit=8)
    >>> squares[3], len(squares)
    (9, 1)
    """

    __slots__ = ("_compute", "_lock", "limit")

    def __init__(self, compute: Callable[[K], V], limit: int = 4096) -> None:
        super().__init__()
        self._compute = compute
        self._lock = threading.Lock()
        self.limit = limit

    def __missing__(self, key: K) -> V:
        # Computed outside the lock: two threads may compute the same value, but none waits for another's planning.
        value = self._compute(key)
        with self._lock:
            if len(self) >= self.limit:
                for old in list(self)[: max(1, self.limit // 8)]:
                    del self[old]
            return self.setdefault(key, value)


STRUCTURAL: list[Callable[..., object]] = []
"""Every function marked by `structural`, for backends that trace Python code."""


def structural(function: F) -> F:
    """Mark a pure function of structure (indices, patterns, strings): it may be run once while tracing.

    A framework that compiles Python by tracing it must not trace through our caches (a dictionary that grows would
    be guarded upon and force a recompilation). Such a backend runs the marked functions at trace time and keeps the
    result as a constant; arguments and results are immutable.
    """
    STRUCTURAL.append(function)
    return function
