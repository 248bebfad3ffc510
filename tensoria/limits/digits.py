"""Infinitely wide networks on real data: scikit-learn's handwritten digits, and networks of finite width beside them.

The kernels are those of a model that was analysed; the finite networks are drawn from the laws of its parameters and
trained by gradient descent on the same loss, for as many steps as the limit's gradient flow runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.discovery import get, home
from tensoria.errors import LimitError
from tensoria.limits.empirical import sampled
from tensoria.limits.kernels.kernel import InfiniteWidth
from tensoria.limits.prediction import max_learning_rate
from tensoria.programs.program import Program
from tensoria.tensor import Tensor

__all__ = ["Digits", "Result", "Row", "compare", "digits", "train"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Digits:
    """Images of 8 x 8 pixels between 0 and 1, and one target for each class: 0.9 for the digit, -0.1 for the others."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array

    def accuracy(self, outputs: Array) -> float:
        """The share of test images whose largest output is that of their digit."""
        return float((outputs.argmax(axis=1) == self.y_test.argmax(axis=1)).mean())


def digits(train: int = 400, test: int = 400, seed: int = 0, dtype: str = "float64") -> Digits:
    """A part of the 1,797 handwritten digits that come with scikit-learn.

    Raises:
        LimitError: scikit-learn is not installed, or has not as many.
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError as error:
        raise LimitError("the digits come with scikit-learn.", legal="pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    if not 0 < train < train + test <= len(images):
        raise LimitError(f"{train} and {test} of {len(images)} digits.")
    order = np.random.default_rng(seed).permutation(len(images))[: train + test]
    x, y = (images[order] / 16).astype(dtype), (np.eye(10)[labels[order]] - 0.1).astype(dtype)
    return Digits(x[:train], y[:train], x[train:], y[train:])


@dataclass(frozen=True)
class Row:
    """One predictor: its name, its accuracy on the test images, its mean squared error there."""

    name: str
    accuracy: float
    error: float


@dataclass(frozen=True)
class Result:
    """Predictors side by side.

    Attributes:
        rows: the kernels' predictions, and those of finite networks.
        rate, largest: the learning rate, and the largest stable one.
        distance: the root mean square of the ensemble's outputs minus the flow's.
        expected: what that is, by the flow's covariance.
    """

    rows: tuple[Row, ...]
    rate: float
    largest: float
    distance: float
    expected: float


def compare(
    tp: InfiniteWidth, data: Digits, *, width: int = 512, networks: int = 4, steps: int = 200,
    backend: str | None = None, tell: Callable[[str], None] | None = None,
) -> Result:  # fmt: skip
    """The Gaussian process, gradient flow in the limit, and an ensemble of finite networks, on the digits.

    Args:
        tp: the model, which takes 64 pixels and has ten outputs.
        data: what is learnt.
        width: of the finite networks, and of the tangent kernel where it grows with n.
        networks: how many.
        steps: of gradient descent, and the time of the flow.
        backend: where to compute.
        tell: called with what is being done.
    """
    tell = tell or (lambda text: None)
    where = backend or "numpy"
    tell("kernels")
    theta = tp.ntk(data.x, width=width, backend=where)
    largest = max_learning_rate(theta, data.y.size)
    rate = 0.5 * largest
    given: dict[str, Any] = {"covariance": False, "width": width, "backend": where}
    wanted = {
        "NNGP, posterior": tp.predict(data.x, data.y, data.x_test, kernel="nngp", noise=1e-6, **given),
        "NTK, trained to the end": tp.predict(data.x, data.y, data.x_test, noise=1e-8, **given),
        f"NTK, {steps} steps": tp.predict(
            data.x, data.y, data.x_test, time=steps, rate=rate, width=width, backend=where
        ),
    }
    found = {name: _numpy(of.mean) for name, of in wanted.items()}
    spread = wanted[f"NTK, {steps} steps"].covariance
    assert spread is not None
    flow = found[f"NTK, {steps} steps"]
    outputs = []
    for seed in range(networks):
        tell(f"network {seed + 1} of {networks}")
        outputs.append(train(sampled(tp.widened, width, seed), data, steps, rate, where))
    rows = [_row(name, outputs_, data) for name, outputs_ in found.items()]
    if outputs:
        mean = np.mean(outputs, axis=0)
        rows.append(_row(f"{networks} networks of width {width}, one by one", np.stack(outputs), data))
        rows.append(_row(f"{networks} networks of width {width}, ensemble", mean, data))
        away = float(np.sqrt(np.mean((mean - flow) ** 2)))
    else:
        away = float("nan")
    variance = float(np.mean(np.diagonal(_numpy(spread)))) / max(networks, 1)
    return Result(tuple(rows), rate, largest, away, variance**0.5)


def train(program: Program, data: Digits, steps: int, rate: float, backend: str = "numpy") -> Array:
    """A network's outputs on the test images after gradient descent on sum (f - y)^2 / (2 size).

    Args:
        program: a network, whose parameters are its own.
        data: what is learnt.
        steps, rate: of gradient descent, all examples at a time.
        backend: where.
    """
    target = get(backend)
    names = [name for name, value in program.parameters.items() if value.type.dtype.kind == "float"]
    of = program.parameters[names[0]].type.dtype
    pulled = program.vjp(parameters=names)
    values = [pulled.parameters[name] for name in names]
    x, y, x_test = (target.asarray(a, of, home(target), True) for a in (data.x, data.y, data.x_test))
    weights = {
        name: target.asarray(program.arrays[program.parameters[name]], of, home(target), True) for name in names
    }
    opened, forward = _opened(pulled, values), _opened(program, [program.parameters[name] for name in names])
    for _ in range(steps):
        given = [weights[name] for name in names]
        slope = (forward.evaluate(target, [x, *given])[0] - y) * (1.0 / data.y.size)
        found = opened.evaluate(target, [x, slope, *given])
        for name, g in zip(names, found[1:], strict=True):
            weights[name] = weights[name] - rate * g
    outputs = forward.evaluate(target, [x_test, *(weights[name] for name in names)])[0]
    return np.asarray(target.to_numpy(target.detach(outputs)))


def _opened(program: Program, values: list[Any]) -> Program:
    """A program some of whose parameters are inputs, after its own ones."""
    arrays = {value: array for value, array in program.arrays.items() if value not in values}
    return dataclasses.replace(program, inputs=(*program.inputs, *values), arrays=arrays, parameters={})


def _numpy(t: Tensor) -> Array:
    return np.asarray(t._backend.to_numpy(t._backend.detach(t._array)))


def _row(name: str, outputs: Array, data: Digits) -> Row:
    each = outputs[None] if outputs.ndim == 2 else outputs
    accuracy = float(np.mean([data.accuracy(of) for of in each]))
    return Row(name, accuracy, float(np.mean([np.mean((of - data.y_test) ** 2) for of in each])))
