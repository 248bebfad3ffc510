"""The pytest plugin: the fixtures `backend` and `xp`, `--backend`, `--device`, and a report of the contracts that ran.

pytest loads this module in every project whose environment has tensoria, so it imports neither tensoria nor anything
that is not installed with pytest before a test asks for a fixture. A project's own fixture `backend` and its own
options `--backend` and `--device` go before these: a fixture of a project hides a plugin's by itself; the options are
added after the project's conftest files and all other plugins have added theirs, and only if nobody has.
`--tensoria-backend` and `--tensoria-device` are the same options under names that are ours.
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
OPTIONS = {
    "backend": {
        "action": "append",
        "metavar": "NAME",
        "help": "run tests with the fixture `backend` on this backend of tensoria; may be repeated, or be a list such "
        "as A,B (default: all registered ones, of which those that are not installed are skipped)",
    },
    "device": {
        "metavar": "NAME",
        "help": "make new tensors there, such as cuda, in tests with the fixture `backend`; only backends that see the "
        "device are run (default: where the frameworks choose)",
    },
}
"""What may be taken by others: `--backend` is `--tensoria-backend` as well."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options whose names are ours alone."""
    group = parser.getgroup("tensoria", "tensoria: the same tests on every backend")
    for name, more in OPTIONS.items():
        group.addoption(f"--tensoria-{name}", dest=f"tensoria_{name}", **more)
    group.addoption(
        "--conformance-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write what came of the contracts to FILE; .json or .html (may be repeated)",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, Any, Any]:
    """`--backend` and `--device`, once everybody else has had the chance to take the names."""
    result = yield
    for name, more in OPTIONS.items():
        if not _taken(parser, f"--{name}"):
            with contextlib.suppress(ValueError, argparse.ArgumentError):
                parser.getgroup("tensoria").addoption(f"--{name}", dest=f"tensoria_{name}", **more)
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
    given = config.getoption("tensoria_backend", None)
    if not given:
        return None
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def device(config: pytest.Config) -> str | None:
    """What follows `--device`; None if it is not there."""
    return config.getoption("tensoria_device", None) or None


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
    where = device(metafunc.config)
    if where is not None:
        names = _having(where, names)
    if _ours(metafunc):
        metafunc.parametrize("backend", names or list(available()), indirect=True, scope="session")
        return
    from tensoria_conformance.running import installed

    metafunc.parametrize("backend", names or list(installed()), scope="session")


def _having(device: str, names: list[str] | None) -> list[str]:
    """The backends to run where a device is asked for: those that see it, or the named ones, which have to."""
    from tensoria.discovery import get
    from tensoria.errors import BackendError
    from tensoria_conformance.running import installed

    try:
        if names is None:
            return list(installed(device))
        for name in names:
            get(name).known_device(device)
    except BackendError as missing:
        raise pytest.UsageError(f"--device {device}: {missing.message}") from None
    return names


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """On the device that is asked for, a test and its fixtures make the new tensors of their backend."""
    where = device(item.config)
    name = getattr(getattr(item, "callspec", None), "params", {}).get("backend")
    if where is None or name is None:
        return (yield)
    import tensoria as tn
    from tensoria.discovery import available, current

    if name not in available():  # another plugin's backends
        return (yield)
    before = current().name
    with tn.use(name, where), tn.use(before):
        return (yield)


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
    results = Results(tuple(findings), surroundings(dict.fromkeys((x.backend for x in findings), device(config))))
    terminalreporter.section("tensoria conformance")
    terminalreporter.write_line(matrix(results))
    for name in config.getoption("conformance_report"):
        written(Path(name), results.as_json() if name.endswith(".json") else page(results))
        terminalreporter.write_line(f"written: {name}")
