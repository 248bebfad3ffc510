"""The pytest plugin in projects of other people: it serves them, and never stands in their way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from across import installed
from tensoria_conformance.contracts import CHAPTERS

from tensoria.discovery import available

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "tensoria_conformance.plugin", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty project whose pytest has the plugin, in a process that has tensoria loaded already."""
    return pytester


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return {
        name: count
        for name, count in result.parseoutcomes().items()
        if name in ("passed", "failed", "skipped", "errors")
    }


# -- fixtures ---------------------------------------------------------------------------------------------------------


def test_a_test_runs_once_for_each_backend(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import tensoria as tn

        def test_sum(backend, xp):
            t = xp.ones((2, 3))
            assert t.backend == backend == tn.asarray([1.0]).backend
            assert float(xp.sum(t)) == 6
        """
    )
    result = project.runpytest_inprocess(*PLUGIN, "-v")
    result.assert_outcomes(passed=len(installed()), skipped=len(available()) - len(installed()))
    for name in installed():
        result.stdout.fnmatch_lines([f"*test_sum?{name}?*PASSED*"])


@pytest.mark.parametrize("option", ["--backend", "--tensoria-backend"])
def test_the_option_chooses_backends(project: pytest.Pytester, option: str) -> None:
    project.makepyfile("def test_one(backend): assert backend == 'numpy'")
    project.runpytest_inprocess(*PLUGIN, option, "numpy").assert_outcomes(passed=1)
    project.runpytest_inprocess(*PLUGIN, f"{option}=numpy,numpy").assert_outcomes(passed=2)


def test_a_backend_that_is_not_registered_is_a_usage_error(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(backend): pass")
    result = project.runpytest_inprocess(*PLUGIN, "--backend", "nowhere")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*--backend nowhere: registered are*numpy*"])


def test_a_project_s_own_fixture_of_that_name_wins(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        import pytest

        @pytest.fixture
        def backend():
            return "mine"
        """
    )
    project.makepyfile("def test_one(backend): assert backend == 'mine'")
    project.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_test_s_own_parameter_of_that_name_wins(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("backend, n", [("a", 1), ("b", 2)])
        def test_one(backend, n): assert backend in "ab"
        """
    )
    project.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=2)


def test_a_project_s_own_option_of_that_name_wins(project: pytest.Pytester) -> None:
    project.makeconftest("def pytest_addoption(parser): parser.addoption('--backend', default='theirs')")
    project.makepyfile("def test_one(request): assert request.config.getoption('--backend') == 'ours'")
    project.runpytest_inprocess(*PLUGIN, "--backend", "ours").assert_outcomes(passed=1)
    project.makepyfile("def test_one(backend): assert backend == 'numpy'")
    project.runpytest_inprocess(*PLUGIN, "--backend", "x", "--tensoria-backend", "numpy").assert_outcomes(passed=1)


def test_another_plugin_s_option_of_that_name_wins(project: pytest.Pytester) -> None:
    project.makepyfile(theirs="def pytest_addoption(parser): parser.addoption('--backend', default='theirs')")
    project.makepyfile("def test_one(request): assert request.config.getoption('--backend') == 'ours'")
    project.syspathinsert()
    project.runpytest_inprocess(*PLUGIN, "-p", "theirs", "--backend", "ours").assert_outcomes(passed=1)


def test_the_plugin_loads_nothing_before_a_test_asks(tmp_path: Path) -> None:
    """Neither tensoria nor a framework nor Hypothesis, in a run that has nothing to do with them."""
    (tmp_path / "test_one.py").write_text(
        "import sys\n\n"
        "def test_one(request):\n"
        "    assert request.config.pluginmanager.has_plugin('tensoria_conformance.plugin')\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not loaded & {'tensoria', 'numpy', 'torch', 'tensorflow'}, loaded\n"
        "    assert 'tensoria_conformance.contracts' not in sys.modules\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "-p", "no:hypothesispytest", "--rootdir", str(tmp_path)]
    run = subprocess.run([*line, str(tmp_path)], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_plugin_does_not_need_hypothesis(tmp_path: Path) -> None:
    """A test with the fixtures and with the decorator runs where the extra is not installed."""
    (tmp_path / "test_one.py").write_text(
        "import sys\n"
        "sys.modules['hypothesis'] = None\n"
        "import numpy as np\n"
        "from tensoria_conformance import across_backends\n\n"
        "def test_one(xp):\n"
        "    assert float(xp.sum(xp.ones((2,)))) == 2\n\n"
        "@across_backends(x=np.ones(3))\n"
        "def test_two(x):\n"
        "    return x * 2.0\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "-p", "no:hypothesispytest", "--rootdir", str(tmp_path)]
    line += ["--backend", "numpy", str(tmp_path)]
    run = subprocess.run(line, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


# -- across_backends --------------------------------------------------------------------------------------------------


def test_a_function_that_differs_is_shown_with_backend_operation_and_ulps(project: pytest.Pytester) -> None:
    project.makeconftest(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import pytest
        from broken_backend import copy_of_numpy, registered
        from faults import single

        @pytest.fixture(autouse=True)
        def broken():
            with registered(copy_of_numpy(xp={{"exp": single}})):
                yield
        """
    )
    project.makepyfile(
        """
        import tensoria as tn
        from tensoria_conformance import across_backends, floats

        @across_backends(backends=["numpy", "broken"], x=floats((3,), low=1.0, high=2.0))
        def test_softmax(xp, x):
            return xp.exp(x * 2.0) + 1.0
        """
    )
    result = project.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_softmax is not the same on every backend*",
            "*broken: 1 disagreements*",
            "*broken: result: * instead of *ulps of float64*",
            "*first diverged at step *, exp: *ulps of float64*",
        ]
    )


# -- the suite --------------------------------------------------------------------------------------------------------


def test_the_suite_runs_as_a_package_and_writes_reports(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess(
        *PLUGIN, "--pyargs", "tensoria_conformance.suite.test_reshape", "--backend", "numpy",
        "--conformance-report", "out.json", "--conformance-report", "out.html",
    )  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*chapter*numpy*", "*reshape*hold*", "*written: out.json*", "*written: out.html*"])
    document = json.loads((project.path / "out.json").read_text())
    assert {found["chapter"] for found in document["findings"]} == {"reshape"} <= set(CHAPTERS)
    assert "<!doctype html>" in (project.path / "out.html").read_text()


def test_a_broken_backend_fails_in_pytest_too(project: pytest.Pytester) -> None:
    project.makeconftest(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from broken_backend import copy_of_numpy, registered
        from faults import FAULTS

        held = registered(copy_of_numpy(xp=FAULTS["roll goes the other way"].xp))
        held.__enter__()

        def pytest_unconfigure():
            held.__exit__(None, None, None)
        """
    )
    project.makepyfile(test_suite="from tensoria_conformance.suite.test_reshape import *")
    result = project.runpytest_inprocess(*PLUGIN, "--backend", "broken,numpy", "--conformance-report", "out.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_roll_goes_around?broken?*", "*FAIL*"])
    failing = [x for x in json.loads((project.path / "out.json").read_text())["findings"] if x["status"] == "fails"]
    assert [(x["backend"], x["contract"]) for x in failing] == [("broken", "test_roll_goes_around")]
    assert 'test_roll_goes_around(tn.namespace("broken")' in failing[0]["snippet"]


def test_a_report_of_an_unknown_kind_is_a_usage_error(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess(*PLUGIN, "--conformance-report", "out.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
