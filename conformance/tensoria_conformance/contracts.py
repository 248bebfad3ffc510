"""A contract: one rule that holds on every backend, where the rule comes from, and the test that it can fail.

`@contract` makes one of a function whose first argument is a backend's Array API namespace; further arguments are drawn
by Hypothesis, always the same ones. The function runs inside of `tn.use(backend)` and raises what it likes if the rule
does not hold. As a test of pytest it is named after the rule; `Contract.check` runs it without pytest.
"""

from __future__ import annotations

import functools
import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

import tensoria as tn
from tensoria.discovery import get, home

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["CHAPTERS", "CONTRACTS", "Contract", "NotApplicable", "Outcome", "contract"]

Status = Literal["holds", "fails", "skipped"]
CHAPTERS = (
    "elementwise", "broadcasting", "reshape", "promotion", "indexing", "reductions", "ordering", "linear algebra",
    "contraction", "variance", "random", "gradients", "devices", "errors",
)  # fmt: skip
"""The chapters, in the order of the report."""


class NotApplicable(Exception):  # noqa: N818 (it is no error: the contract says nothing about this backend)
    """A contract about something that the backend does not have, such as a data type; the reason is its text."""


@dataclass(frozen=True)
class Outcome:
    """What came of one contract on one backend.

    Attributes:
        contract: the contract's name.
        backend: the backend's name.
        status: whether the rule holds; "skipped" where it says nothing about this backend.
        message: why not, in the words of what was raised; empty if it holds.
        example: the arguments that Hypothesis found, the simplest for which the rule does not hold.
        seconds: how long it took.
        error: what was raised.
        device: where new tensors were made; None where the framework chose.
    """

    contract: str
    backend: str
    status: Status
    message: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: BaseException | None = field(default=None, compare=False)
    device: str | None = None


@dataclass(frozen=True)
class Contract:
    """One rule.

    Attributes:
        name: the test's name, which is unique.
        chapter: one of `CHAPTERS`.
        rule: the rule, in a sentence.
        source: where it is written down.
        function: what raises unless the rule holds.
        drawn: Hypothesis' strategies for the arguments after the first.
        examples: how many examples are drawn.
    """

    name: str
    chapter: str
    rule: str
    source: str
    function: Callable[..., Any]
    drawn: Mapping[str, SearchStrategy[Any]]
    examples: int

    def check(self, backend: str, *, device: str | None = None, shrink: bool = True) -> Outcome:
        """Run the contract on a backend.

        Args:
            backend: its name.
            device: where its new tensors are made; by default as `tensoria.use` says.
            shrink: whether Hypothesis looks for the simplest arguments once it has found some.
        """
        started = time.perf_counter()
        example: dict[str, Any] = {}

        def outcome(status: Status, error: BaseException | None = None) -> Outcome:
            seconds = time.perf_counter() - started
            where = home(get(backend), device)
            return Outcome(self.name, backend, status, _told(error), example, seconds, error, where)

        try:
            # Infinities and NaN are meant where contracts make them.
            with tn.use(backend, device), np.errstate(all="ignore"):
                self._run(tn.namespace(backend), example, shrink)
        except NotApplicable as reason:
            return outcome("skipped", reason)
        # Whatever a framework raises is a failure of the contract; only interruptions of the run are none.
        except Exception as error:
            return outcome("fails", error)
        return outcome("holds")

    def _run(self, xp: Any, example: dict[str, Any], shrink: bool) -> None:
        if not self.drawn:
            self.function(xp)
            return

        from hypothesis import HealthCheck, Phase, Verbosity, given, settings  # only contracts need the extra

        def body(**arguments: Any) -> None:
            try:
                self.function(xp, **arguments)
            except Exception:
                example.clear()
                example.update(arguments)
                raise

        phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
        settings(
            derandomize=True, database=None, deadline=None, max_examples=self.examples, phases=phases,
            report_multiple_bugs=False, verbosity=Verbosity.quiet, suppress_health_check=list(HealthCheck),
        )(given(**self.drawn)(body))()  # fmt: skip


def _told(error: BaseException | None) -> str:
    if error is None:
        return ""
    if isinstance(error, (AssertionError, NotApplicable)):
        return str(error).strip() or _line(error)
    return f"{type(error).__name__}: {error}"


def _line(error: BaseException) -> str:
    """The line of a bare `assert`, where nothing else says what is wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    return (frames[-1].line or type(error).__name__) if frames else type(error).__name__


CONTRACTS: dict[str, Contract] = {}
"""All contracts whose chapters are imported, by name; `running.contracts()` imports those of the suite."""


def contract(
    chapter: str, *, rule: str, source: str, examples: int = 25, **drawn: SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a contract of a function, and a test for pytest.

    Args:
        chapter: one of `CHAPTERS`.
        rule: the rule, in a sentence.
        source: where it is written down: a section of a standard, a documentation, a paper.
        examples: how many examples are drawn.
        drawn: Hypothesis' strategies for the function's arguments after the first, which is the namespace.

    Raises:
        ValueError: there is no such chapter, or a contract of that name.
    """
    if chapter not in CHAPTERS:
        raise ValueError(f"{chapter!r} is no chapter; there are {', '.join(CHAPTERS)}.")

    def make(function: Callable[..., Any]) -> Callable[..., None]:
        made = Contract(function.__name__, chapter, rule, source, function, drawn, examples)
        known = CONTRACTS.get(made.name)
        # Reloading a module, or importing it by another name, makes the same contracts again.
        if known is not None and inspect.getsource(known.function) != inspect.getsource(function):
            raise ValueError(f"two contracts are named {made.name!r}.")
        CONTRACTS[made.name] = made

        @functools.wraps(function)
        def test(backend: str, record_property: Callable[[str, object], None]) -> None:
            from tensoria_conformance.report.results import Finding  # which needs contracts

            outcome = made.check(backend)
            record_property("tensoria_conformance", asdict(Finding.of(outcome)))
            if outcome.status == "skipped":
                pytest.skip(outcome.message)
            if outcome.error is not None:
                raise outcome.error

        del test.__wrapped__  # pytest reads the arguments of what is wrapped
        test.contract = made  # type: ignore[attr-defined]
        return test

    return make
