"""Optimisers whose steps are instructions of a Tensor Program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tensoria.namespace import elementwise as en

__all__ = ["SGD", "Adam"]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Attributes:
        rate: eta.
    """

    rate: Any


@dataclass(frozen=True)
class Adam:
    """Adam, whose gradients are dx = n dL/dx, so that eps scales with them (TP IVb, faithful).

    Attributes:
        rate: eta.
        beta1, beta2, eps: as usual; eps stands outside of the root.
        decay: decoupled weight decay: a parameter shrinks by 1 - rate decay at each step.
    """

    rate: Any
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decay: float = 0.0

    def step(self, t: int) -> Callable[..., Any]:
        """Q_t as a function of the gradients up to t."""

        def update(*gradients: Any) -> Any:
            m: Any = None
            v: Any = None
            for k, g in enumerate(gradients):
                a = (1 - self.beta1) * self.beta1 ** (t - 1 - k) / (1 - self.beta1**t)
                b = (1 - self.beta2) * self.beta2 ** (t - 1 - k) / (1 - self.beta2**t)
                m = g * a if m is None else m + g * a
                v = g * g * b if v is None else v + g * g * b
            return m / (en.sqrt(v) + self.eps) if len(gradients) > 1 else m / (en.abs(m) + self.eps)

        return update

