"""`tensoria limit`: a model at infinite width on handwritten digits, told on the terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tensoria.discovery import available, get
from tensoria.errors import BackendError, LimitError
from tensoria.limits.analysis import analyse
from tensoria.limits.digits import compare, digits
from tensoria.limits.laws import Law
from tensoria.limits.widths import check_maker

__all__ = ["demonstrate"]

HE = {"0.weight": Law(2 / 64), "2.weight": Law(2.0, -1), "4.weight": Law(1.0, -1), "*.bias": Law(0.01)}  # type: ignore[arg-type]
"""He's initialisation with normal entries, for the model that is used if none is given."""


def demonstrate(
    model: str | None, *, train: int, test: int, width: int, networks: int, steps: int, backend: str | None
) -> int:
    """Analyse a model, compare its kernels with finite networks, and print what came out.

    Args:
        model: `file.py:function`, a function from a width to a model; None for two hidden layers.
        train, test, width, networks, steps, backend: as for `compare`.

    Returns:
        0.

    Raises:
        LimitError: there is no such function, or the model has no limit.
    """
    data = digits(train, test, dtype="float32")
    if model is None:
        name, make = _plain()
        laws: dict[str, Law] | None = HE
    else:
        name, make, laws = model, _function(model), None
    check_maker(make)
    framework = _framework(make(64))
    example = get(framework).asarray(np.zeros((2, 64), "float32"), None, None, True)
    tp = analyse(make, (example,), laws=laws, gaussian=model is not None)
    print(f"{name}, captured at three widths")
    print(tp)
    print(f"\n{train} digits to learn, {test} to test")
    result = compare(
        tp, data, width=width, networks=networks, steps=steps, backend=backend or framework, tell=_tell
    )  # fmt: skip
    for row in result.rows:
        print(f"  {row.name:42} accuracy {row.accuracy:.3f}   mean squared error {row.error:.4f}")
    print(f"learning rate {result.rate:.3g}, half of the largest stable one")
    if networks:
        print(
            f"the ensemble is {result.distance:.3f} away from the flow (root mean square); the flow's own covariance "
            f"says {result.expected:.3f}"
        )
    return 0


def _tell(text: str) -> None:
    print(f"  {text} ...", file=sys.stderr)


def _plain() -> tuple[str, Callable[[int], Any]]:
    """A model of the first framework that has models."""
    for name in available():
        try:
            backend = get(name)
            backend.perceptron((64, 2, 2, 10))
        except BackendError:
            continue
        return f"a plain model of {name}, 64 - n - n - 10", lambda n, b=backend: b.perceptron((64, n, n, 10))
    raise LimitError("no installed backend has models.", legal="pip install torch")


def _framework(model: Any) -> str:
    for name in available():
        if name in sys.modules and get(name).captures(model):
            return name
    raise LimitError(f"no backend knows models of the type {type(model).__name__}.")


def _function(text: str) -> Callable[[int], Any]:
    path, _, name = text.rpartition(":")
    if not path or not Path(path).is_file():
        raise LimitError(f"there is no file {path or text!r}.", legal="--model file.py:function")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise LimitError(f"{path} has no function {name!r}.")
    return found  # type: ignore[no-any-return]
