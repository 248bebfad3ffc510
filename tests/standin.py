"""A second device for PyTorch on machines without one: `pytest -p standin --backend torch --device standin`.

Its memory is the host's and its kernels are the CPU's, and it is as strict as a GPU: arrays of two devices do not meet
(`standin.cpp`). What finds its place on it does so on a GPU; kernels that a GPU lacks, and its rounding, it does not
show. It is compiled at each start, unless `TENSORIA_STANDIN` names the library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import types
from pathlib import Path

import torch

__all__ = ["COMPILERS", "NAME", "compiled"]

COMPILERS = ("c++", "g++", "clang++")
NAME = "standin"
SOURCE = Path(__file__).with_suffix(".cpp")


def compiled(folder: Path) -> Path:
    """The device as a library, in a folder."""
    root, made = Path(torch.__file__).parent, folder / "standin.so"
    compiler = next(filter(None, map(shutil.which, COMPILERS)))
    command = [
        compiler, "-std=c++20", "-O1", "-shared", "-fPIC", str(SOURCE), "-o", str(made),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        f"-I{root / 'include'}", f"-I{root / 'include/torch/csrc/api/include'}",
        f"-L{root / 'lib'}", "-ltorch_cpu", "-lc10",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return made


def _module() -> types.ModuleType:
    """What PyTorch asks of `torch.standin`."""
    made = types.ModuleType(f"torch.{NAME}")
    made.__dict__.update(
        is_available=lambda: True, device_count=lambda: 1, current_device=lambda: 0, device=contextlib.nullcontext,
        _is_in_bad_fork=lambda: False, manual_seed_all=lambda seed: None, get_amp_supported_dtype=list,
    )  # fmt: skip
    return made


def pytest_configure() -> None:
    """The device is there before the first test looks."""
    with tempfile.TemporaryDirectory() as folder:
        torch.ops.load_library(os.environ.get("TENSORIA_STANDIN") or str(compiled(Path(folder))))
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    torch.utils.generate_methods_for_privateuse1_backend()
