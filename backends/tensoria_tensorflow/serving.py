"""A program as a SavedModel that serves elsewhere: in a process that has neither tensoria nor another framework."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.errors import BackendError
from tensoria.programs.program import Program
from tensoria_tensorflow.modules import Model

__all__ = ["SERVE", "served"]

SERVE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.modules.update(dict.fromkeys(("tensoria", "torch", "keras", "transformers"), None))  # none of them can be imported
import numpy as np
import tensorflow as tf

folder, given, found = sys.argv[1:]
with np.load(given) as arrays:
    inputs = {name: tf.constant(array) for name, array in arrays.items()}
outputs = tf.saved_model.load(folder).signatures["serving_default"](**inputs)
np.savez(found, **{name: array.numpy() for name, array in outputs.items()})
"""
"""What the process runs: a SavedModel's folder, and files with what goes in and comes out."""


def served(program: Program, folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Save a program in a folder, and run it from there in a process of its own.

    Args:
        arrays: numbers for the program's inputs, by name.

    Raises:
        BackendError: the process failed; what it said last is in the message.
    """
    model = program.to("tensorflow")
    assert isinstance(model, Model)
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    with tempfile.TemporaryDirectory() as place:
        given, found = Path(place) / "given.npz", Path(place) / "found.npz"
        np.savez(given, **arrays)
        command = [sys.executable, "-c", SERVE, str(folder), str(given), str(found)]
        run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if run.returncode:
            last = (run.stderr.strip().split("\n") or [""])[-1]
            raise BackendError(f"the SavedModel in {folder} does not serve: {last}")
        with np.load(found) as outputs:
            return [outputs[f"output_{n}"] for n in range(len(program.outputs))]
