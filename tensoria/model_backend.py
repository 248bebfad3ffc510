"""What tensoria needs to know of a framework's models: the part of a backend that one of arrays alone can leave out.

How programs are written in the framework, what its models compute, and native models of programs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensoria.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ModelBackend"]

Array = Any


class ModelBackend:
    """One framework's models; without them every method says so.

    Attributes:
        name: the framework's import name.
        models: the kinds of native models that `model` makes of programs.
    """

    name: str
    models: tuple[str, ...] = ()

    def dialect(self) -> Any:
        """How programs are written in this framework (a `programs.dialects.Dialect`).

        Raises:
            BackendError: the backend can not be written.
        """
        raise BackendError(f"programs can not be written for {self.name} yet.", legal='p.run(backend="...")')

    def perceptron(self, sizes: Sequence[int]) -> Any:
        """A plain model of the framework, for demonstrations: dense layers of these sizes, relu between them.

        Raises:
            BackendError: the framework has no models.
        """
        raise BackendError(f"the {self.name} backend has no models.")

    def examples(self, model: Any) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """Arguments, named arguments and open axes of a saved model (by its path), as it declares them itself."""
        raise BackendError(f"the {self.name} backend knows no saved models.")

    def model(self, program: Any, kind: str, passes: Any) -> Any:
        """A native model that computes a program, of one of the kinds in `models`.

        Args:
            program: the program.
            kind: what to make.
            passes: the optimisations before.
        """
        raise BackendError(f"the {self.name} backend makes no models.")

    def captures(self, model: Any) -> bool:
        """Whether a value is a model of this framework that `capture` takes."""
        return False

    def register_lowering(self, operator: str, lowering: Callable[..., Any]) -> None:
        """Take what a user says an operator of this framework means (see `tn.lowering`): a function of symbolic arrays.

        Raises:
            BackendError: the backend captures no models.
        """
        raise BackendError(f"the {self.name} backend does not capture models.")

    def capture(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Mapping[str, Any],
        train: bool | None = None,
    ) -> Any:  # fmt: skip
        """What a model computes for arguments like these (a `programs.captured.Captured`).

        Args:
            train: whether it is captured as it trains; as it stands for None.

        Raises:
            PortingError: the framework does not show it.
        """
        raise BackendError(f"the {self.name} backend does not capture models.")

    def reference(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any],
        pull: Callable[[list[Array]], Sequence[Array | None]] | None = None, wide: bool = False,
        train: bool | None = None,
    ) -> Any:  # fmt: skip
        """What a model itself computes (a `programs.captured.Reference`); it is left as it was.

        Args:
            model, args, kwargs: what is called with what.
            pull: from the results to a cotangent for each of them (None for integers), for gradients.
            wide: whether float64 stands for float32.
            train: whether it runs as it trains; as it stands for None.

        Raises:
            PortingError: the framework can not compute the model in float64.
        """
        raise BackendError(f"the {self.name} backend does not run models.")

    def substituted(
        self, model: Any, arrays: Mapping[str, np.ndarray[Any, Any]]
    ) -> contextlib.AbstractContextManager[None]:
        """A model with other numbers in some of its parameters and buffers, until the context is left."""
        raise BackendError(f"the {self.name} backend does not change models.")

    def served(
        self, program: Any, folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]]
    ) -> list[np.ndarray[Any, Any]]:
        """A program saved in a folder as the framework's own file, and run from there in a process of its own.

        Args:
            program: the program.
            folder: where it is saved; it does not exist yet.
            arrays: numbers for its inputs, by name.

        Raises:
            BackendError: the framework has no such file, or the process failed.
        """
        raise BackendError(f"the {self.name} backend has no files that serve by themselves.")

    def unpacked(self, value: Any) -> tuple[list[Array], Callable[[Sequence[Array]], Any]] | None:
        """The arrays in a model's arguments, and what puts others in their place; None for plain containers."""
        return None

    def watching(self) -> Any:
        """A `with` block in which initialisers are noted; its value says how a model made there was initialised.

        The value is a function: from a model to its parameters' initialisers (`limits.laws.Drawn`) by name, without
        those that are not known.
        """
        return contextlib.nullcontext(lambda model: {})

    def parametrised(self) -> Any:
        """What muP needs to know of models of this framework (a `mup.models.Models`).

        Raises:
            BackendError: the backend has no models that are trained.
        """
        raise BackendError(f"the {self.name} backend has no models that are trained.", legal="tn.available()")
