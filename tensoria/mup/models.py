"""What muP needs to know of a framework's models and optimisers; each backend that trains has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from tensoria.errors import LimitError
from tensoria.programs.program import Program

__all__ = ["READOUT", "Batch", "Models", "Rate", "Trained", "check_target"]


READOUT: Final = "embeddings as readout"
"""The name within its module of a tied parameter's use as a readout, if the module has both uses."""
Batch: TypeAlias = tuple[Sequence[Any], Mapping[str, Any]]
"""What a model is called with: positions, names."""


@dataclass(frozen=True)
class Rate:
    """How one parameter is optimised.

    Attributes:
        rate: the factor of the learning rate.
        decay: the factor of the weight decay, as this framework's optimisers count it.
        epsilon: the factor of Adam's epsilon.
        muon: whether an optimiser with orthogonal steps takes it, if there is one.
    """

    rate: float
    decay: float
    epsilon: float
    muon: bool = False


@dataclass(frozen=True)
class Trained:
    """What a few steps of training did.

    Attributes:
        outputs: for the path of a module, how the mean absolute value of its output's change since the beginning
            grew, step by step; the first number is the mean absolute value at the beginning.
        losses: before each step.
    """

    outputs: Mapping[str, Sequence[float]]
    losses: Sequence[float]


class Models(Protocol):
    """Models of one framework, as muP sees them.

    Names of parameters are those of the program that the backend captures, after `renamed`.
    """

    def renamed(self, model: Any, program: Program) -> Program:
        """A model's program with names that any model made in the same way has: without numbers that are counted up."""

    def aliases(self, model: Any) -> Mapping[str, str]:
        """Further names of shared parameters, with the name that the program has for each."""

    def trained(self, model: Any, program: Program) -> frozenset[str]:
        """The names of a program's parameters that training changes."""

    def shapes(self, model: Any) -> Mapping[str, tuple[int, ...]]:
        """The shapes of the parameters, by names without prefixes of wrappers (data parallel, compiled)."""

    def record(self, model: Any) -> Mapping[str, Any] | None:
        """What `write` noted about a model, or about the one that a checkpoint is of; or None."""

    def write(self, model: Any, record: Mapping[str, Any]) -> None:
        """Note something about a model that goes with it: into copies, into checkpoints."""

    def scale(self, model: Any, factors: Mapping[str, float]) -> None:
        """Multiply parameters by numbers."""

    def multiply(self, model: Any, path: str, factors: Mapping[str, float]) -> None:
        """Multiply parameters, where a module uses them, by numbers, without changing the parameters.

        Args:
            path: the module.
            factors: by the name of the parameter within the module.

        Raises:
            LimitError: the module is of a kind for which that is not known.
        """

    def multiplies(self, model: Any, path: str, own: Sequence[str]) -> str:
        """Why `multiply` would refuse; empty if it would not."""

    def groups(
        self, model: Any, rates: Mapping[str, Rate], lr: float, weight_decay: float, eps: float | None
    ) -> list[dict[str, Any]]:
        """Parameter groups for the framework's optimisers."""

    def scaled(self, model: Any, optimizer: Any, rates: Mapping[str, Rate]) -> Any:
        """An optimiser that takes each parameter's step with its own rate.

        Raises:
            BackendError: the framework's optimisers take groups instead.
        """

    def train(
        self, model: Any, rates: Mapping[str, Rate], optimizer: str, lr: float, batch: Batch, target: Any,
        loss: Callable[..., Any] | None, steps: int,
    ) -> Trained:  # fmt: skip
        """A few steps of training, with the outputs of every module."""

    def seed(self, number: int) -> None:
        """Seed what the framework draws parameters with."""


def check_target(output: Any, tensor: type, target: Any) -> None:
    """See whether a model can be trained for a target without a loss.

    Raises:
        LimitError: there is no target, or the output is no tensor.
    """
    if target is None:
        raise LimitError("a coordinate check trains, so it needs a target or a loss.", legal="target=, loss=")
    if not isinstance(output, tensor):
        raise LimitError(
            f"the model's output is a {type(output).__name__}: a loss has to say what of it is meant.",
            legal="loss=lambda output, target: ..., a number for a batch",
        )
