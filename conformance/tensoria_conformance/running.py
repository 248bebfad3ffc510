"""Running the contracts without pytest: which there are, on which backends, and what came of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence

from tensoria.backend import device_name
from tensoria.discovery import available, get
from tensoria.errors import BackendError, BackendNotFoundError
from tensoria_conformance import suite
from tensoria_conformance.contracts import CHAPTERS, CONTRACTS, Contract, Outcome
from tensoria_conformance.report.results import Results, surroundings

__all__ = ["contracts", "installed", "run"]


def installed(device: str | None = None) -> tuple[str, ...]:
    """The names of the registered backends whose frameworks are installed; of those that see a device, if it is given.

    Raises:
        BackendError: none sees it, or the text names no device.
    """
    names = tuple(name for name in available() if _loads(name))
    if device is None:
        return names
    having = tuple(name for name in names if device_name(device) in get(name).devices())
    if not having:
        raise BackendError(f"no backend has a device {device!r} here.", legal="tensoria doctor lists what each sees")
    return having


def _loads(name: str) -> bool:
    try:
        get(name)
    except BackendNotFoundError:
        return False
    return True


def contracts(chapters: Iterable[str] | None = None) -> list[Contract]:
    """The contracts of the suite, in the order of the chapters.

    Raises:
        ValueError: there is no such chapter.
    """
    for module in pkgutil.iter_modules(suite.__path__, f"{suite.__name__}."):
        importlib.import_module(module.name)
    wanted = CHAPTERS if chapters is None else tuple(chapters)
    for name in wanted:
        if name not in CHAPTERS:
            raise ValueError(f"{name!r} is no chapter; there are {', '.join(CHAPTERS)}.")
    return [
        found for chapter in CHAPTERS if chapter in wanted for found in CONTRACTS.values() if found.chapter == chapter
    ]


def run(
    backends: Sequence[str] | None = None,
    chapters: Iterable[str] | None = None,
    progress: Callable[[Outcome], None] = lambda outcome: None,
    device: str | None = None,
) -> Results:
    """Run contracts on backends.

    Args:
        backends: their names; by default all that are installed (and see the device).
        chapters: which contracts; by default all.
        progress: called with each outcome as it comes.
        device: where new tensors are made, such as `"cuda"`; by default where the frameworks choose.

    Raises:
        BackendNotFoundError: a named backend is not registered, or its framework is not installed.
        BackendError: a named backend sees no such device, or none does.
        ValueError: there is no such chapter.
    """
    names = installed(device) if backends is None else tuple(dict.fromkeys(backends))
    where = {name: device and get(name).known_device(device) for name in names}
    chosen = contracts(chapters)
    outcomes = []
    for name in names:
        for contract in chosen:
            outcomes.append(contract.check(name, device=device))
            progress(outcomes[-1])
    return Results.of(outcomes, surroundings(where))
