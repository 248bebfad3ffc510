"""Activations beyond the Array API, as functions of tensors: they trace as one instruction each, with a rule.

A nonlinearity of a Tensor Program may use them like any function of tensoria, or be named by a string.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from tensoria.namespace import elementwise as en
from tensoria.programs.evaluation import evaluate
from tensoria.programs.recorder import SymbolicArray
from tensoria.tensor import Tensor

__all__ = ["ACTIVATIONS", "erf", "gaussian", "gelu", "hardtanh", "leaky_relu", "rbf", "rectified", "relu", "sigmoid",
           "silu", "softplus", "step"]  # fmt: skip


def _primitive(name: str, x: Tensor, **attributes: Any) -> Tensor:
    array = x._array
    if isinstance(array, SymbolicArray):
        (made,) = array.recorder.record(name, (array,), **attributes)
    else:
        made = evaluate(x._backend, name, (array,), attributes)
    return Tensor.from_parts(made, x._axes, x._backend)


def relu(x: Tensor) -> Tensor:
    """max(x, 0), whose derivative at 0 is 0."""
    return _primitive("relu", x)


def hardtanh(x: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    """x between two numbers, and the nearer one outside."""
    return _primitive("hardtanh", x, low=low, high=high)


def erf(x: Tensor) -> Tensor:
    """The error function."""
    return _primitive("erf", x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return _primitive("sigmoid", x)


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x)."""
    return _primitive("silu", x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function."""
    return _primitive("gelu", x, approximate=approximate)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return en.logaddexp(x, x * 0.0)


def leaky_relu(x: Tensor, slope: float = 0.01) -> Tensor:
    """x where it is positive, else slope times x."""
    return relu(x) * (1.0 - slope) + x * slope


def step(x: Tensor) -> Tensor:
    """1 where x is positive, else 0."""
    return en.where(x > 0.0, x * 0.0 + 1.0, x * 0.0)


def rectified(x: Tensor, power: int = 2) -> Tensor:
    """The rectified monomial: x to a power where x is positive, else 0."""
    return relu(x) ** power if power else step(x)


def gaussian(x: Tensor) -> Tensor:
    """exp(-x^2)."""
    return en.exp(-(x * x))


def rbf(x: Tensor, gamma: float = 1.0) -> Tensor:
    """sqrt(2) sin(sqrt(2 gamma) x + pi/4), whose kernel is exp(-gamma |x - y|^2)."""
    return en.sin(x * math.sqrt(2 * gamma) + math.pi / 4) * math.sqrt(2.0)


ACTIVATIONS: Final[dict[str, Callable[..., Any]]] = {
    "relu": relu, "erf": erf, "gelu": gelu, "silu": silu, "sigmoid": sigmoid, "softplus": softplus,
    "leaky_relu": leaky_relu, "hardtanh": hardtanh, "step": step, "gaussian": gaussian, "rbf": rbf,
    "tanh": en.tanh, "sin": en.sin, "cos": en.cos, "exp": en.exp, "abs": en.abs, "sign": en.sign,
    "square": en.square, "identity": lambda x: x,
}  # fmt: skip
"""Nonlinearities by the name that a program may call them."""
