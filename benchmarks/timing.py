"""Ratios that last: contestants take turns within one run, and every turn is compared with its neighbours.

Timings on a shared machine drift by tens of per cent from one minute to the next, so a time by itself says little.
Contestants run A B C C B A A B C ...; a turn is a loop of calls that fills about two milliseconds, and what is reported
is the median over turns of a ratio or a difference within the same turn. (Always in one order, turns fall in step with
the scheduler's slices on a busy machine, and one contestant is interrupted more often than another.)
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["TURN", "Call", "machine", "microseconds", "paired", "turns"]

Call = Callable[[], Any]
TURN = 2e-3
"""Seconds that one turn of one contestant fills."""
PACKAGES = (
    "tensoria", "numpy", "torch", "tensorflow-cpu", "tensorflow", "opt_einsum", "einx", "cotengra", "array-api-strict",
    "eagerpy", "keras", "tensorly",
)  # fmt: skip
"""Whose versions the numbers depend on."""


def turns(
    calls: dict[str, Call], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds per call of every contestant in every turn; they take turns, so that drift strikes all alike.

    Args:
        calls: the contestants.
        rounds: how many turns each has.
        clock: `time.process_time` counts what the process computes, which says more where others compute as well.
    """
    timers = {name: timeit.Timer(call, timer=clock) for name, call in calls.items()}  # without garbage collection
    loops = {}
    for name, timer in timers.items():
        timer.timeit(1)  # plans, compiles, fills caches
        count, took = 1, 0.0
        while (took := timer.timeit(count)) < TURN / 4:
            count *= 4
        loops[name] = max(1, round(count * TURN / took))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, timer in list(timers.items())[:: -1 if number % 2 else 1]:
            taken[name].append(timer.timeit(loops[name]) / loops[name])
    return taken


def microseconds(seconds: Sequence[float]) -> float:
    """The median."""
    return statistics.median(seconds) * 1e6


def paired(a: Sequence[float], b: Sequence[float], of: Callable[[float, float], float]) -> float:
    """The median over turns of a ratio or a difference of two contestants."""
    return statistics.median(map(of, a, b))


def machine() -> dict[str, str]:
    """What the numbers depend on: processor, load, versions."""
    processor = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        processor = models[0] if models else processor
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    facts = {
        "machine": f"{processor}, {os.cpu_count()} cores{load}",
        "python": f"{platform.python_version()} on {platform.system()}",
    }
    for package in PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return facts
