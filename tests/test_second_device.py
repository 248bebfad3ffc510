"""What is computed of tensors on a device stays there: contracts and tests on a device that is strict like a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from standin import COMPILERS, NAME, compiled

TESTS = Path(__file__).parent
PARTS = {
    "contracts": ("../conformance/tensoria_conformance/suite",),
    "functions": ("fuzz", "test_plain.py", "test_namespace.py", "test_random.py", "test_moving.py"),
    "programs": (
        "test_program_trace.py", "test_program_control.py", "test_program_derivatives.py", "test_porting.py",
        "test_limits_simulation.py", "test_kernels_empirical.py", "test_derivatives.py",
        "test_program_compiled.py",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not any(map(shutil.which, COMPILERS)):
        pytest.skip("the device is compiled, and there is no compiler of C++")
    return compiled(tmp_path_factory.mktemp(NAME))


@pytest.mark.parametrize("part", PARTS)
def test_on_a_second_device_everything_computes_the_same(part: str, library: Path) -> None:
    # PyTorch sends recurrent layers of other devices than the CPU to kernels that only GPUs have.
    command = [
        sys.executable, "-m", "pytest", "-p", "standin", "-p", "no:cacheprovider", "--backend", "torch",
        "--device", NAME, "--tb=short", "-k", "torch and not recurrent", *(str(TESTS / name) for name in PARTS[part]),
    ]  # fmt: skip
    paths = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    variables = os.environ | {"PYTHONPATH": paths, "TENSORIA_STANDIN": str(library)}
    done = subprocess.run(command, cwd=TESTS.parent, env=variables, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
