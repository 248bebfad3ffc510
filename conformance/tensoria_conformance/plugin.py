"""The pytest plugin: the fixtures `backend` and `xp`, the option `--backend`, and a report of contracts that were run.

pytest loads this module in every project whose environment has tensoria, so it imports neither tensoria nor anything
that is not installed with pytest before a test asks for a fixture. A project's own fixture `backend` and its own option
`--backend` go before these: a fixture of a project hides a plugin's by itself; the option is added after the project's
conftest files and all other plugins have added theirs, and only if nobody has. `--tensoria-backend` is the same option
under a name that is ours.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["backend", "xp"]

PROPERTY = "tensoria_conformance"
"""The name under which a test's report carries what came of its contract."""
DESTINATION = "tensoria_backend"
HELP = (
    "run tests with the fixture `backend` on this backend of tensoria; may be repeated, or be a list such as A,B "
    "(default: all registered ones, of which those that are not installed are skipped)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options whose names are ours alone."""
    group = parser.getgroup("tensoria", "tensoria: the same tests on every backend")
    group.addoption("--tensoria-backend", action="append", dest=DESTINATION, metavar="NAME", help=HELP)
    group.addoption(
        "--conformance-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write what came of the contracts to FILE; .json or .html (may be repeated)",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, Any, Any]:
    """`--backend`, once everybody else has had the chance to take the name."""
    result = yield
    if not _taken(parser, "--backend"):
        with contextlib.suppress(ValueError, argparse.ArgumentError):
            group = parser.getgroup("tensoria")
            group.addoption("--backend", action="append", dest=DESTINATION, metavar="NAME", help=HELP)
    return result


def _taken(parser: pytest.Parser, name: str) -> bool:
    """Whether somebody has added an option; some versions of pytest notice it only when they parse."""
    groups = [getattr(parser, "_anonymous", None), *getattr(parser, "_groups", ())]
    return any(name in option.names() for group in groups for option in getattr(group, "options", ()))


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; names are checked when a test needs a backend."""
    for name in config.getoption("conformance_report", []):
        if Path(name).suffix not in (".json", ".html"):
            raise pytest.UsageError(f"--conformance-report {name}: the name has to end in .json or .html")


def asked(config: pytest.Config) -> list[str] | None:
    """The names after `--backend`; None if there are none."""
    given = config.getoption(DESTINATION, None)
    if not given:
        return None
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


# -- fixtures ---------------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each backend, where the fixture `backend` is ours; contracts always run on ours."""
    if "backend" not in metafunc.fixturenames or _parametrised(metafunc):
        return
    contract = getattr(metafunc.function, "contract", None)
    if contract is None and not _ours(metafunc):
        return
    from tensoria.discovery import available

    names = asked(metafunc.config)
    unknown = [name for name in names or () if name not in available()]
    if unknown:
        raise pytest.UsageError(f"--backend {unknown[0]}: registered are {', '.join(available())}")
    if _ours(metafunc):
        metafunc.parametrize("backend", names or list(available()), indirect=True, scope="session")
        return
    from tensoria_conformance.running import installed

    metafunc.parametrize("backend", names or list(installed()), scope="session")


def _parametrised(metafunc: pytest.Metafunc) -> bool:
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        if "backend" in ([x.strip() for x in names.split(",")] if isinstance(names, str) else names):
            return True
    return False


def _ours(metafunc: pytest.Metafunc) -> bool:
    """Whether the fixture `backend` of a test is this plugin's and not one that hides it."""
    found = metafunc._arg2fixturedefs.get("backend") or ()
    return len(found) > 0 and found[-1].func.__module__ == __name__


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a registered backend whose framework is installed: the test runs once for each."""
    from tensoria.discovery import get
    from tensoria.errors import BackendNotFoundError

    name: str = request.param
    try:
        get(name)
    except BackendNotFoundError as missing:
        if asked(request.config):
            raise
        pytest.skip(missing.message)
    return name


@pytest.fixture
def xp(backend: str) -> Generator[Any, None, None]:
    """The Array API namespace of `backend`, on which new tensors are made during the test as well."""
    import tensoria as tn

    with tn.use(backend):
        yield tn.namespace(backend)


# -- the report -------------------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The matrix of backends and chapters after a run of contracts, and the files that were asked for."""
    found = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if not found:
        for name in config.getoption("conformance_report"):
            terminalreporter.write_line(f"no contract was run: {name} is not written")
        return
    from tensoria_conformance.report.page import page
    from tensoria_conformance.report.results import Finding, Results, surroundings, written
    from tensoria_conformance.report.terminal import matrix

    findings = sorted((Finding(**value) for value in found), key=lambda x: x.backend)
    results = Results(tuple(findings), surroundings(dict.fromkeys(x.backend for x in findings)))
    terminalreporter.section("tensoria conformance")
    terminalreporter.write_line(matrix(results))
    for name in config.getoption("conformance_report"):
        written(Path(name), results.as_json() if name.endswith(".json") else page(results))
        terminalreporter.write_line(f"written: {name}")
