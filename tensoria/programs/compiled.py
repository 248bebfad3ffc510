"""Programs as functions of one framework: generated Python, run as it is."""

from __future__ import annotations

from typing import Any

from tensoria.backend import Backend
from tensoria.core import BaseTensor
from tensoria.programs.base import BaseProgram, native
from tensoria.programs.source import compiled
from tensoria.programs.trees import unflatten
from tensoria.tensor import Tensor

__all__ = ["Compiled"]


class Compiled:
    """A program compiled for one backend; called like the function that was traced.

    Attributes:
        native: the generated function itself: the inputs' native arrays by position, a tuple of native arrays.
        text: its source.
    """

    def __init__(self, program: BaseProgram, backend: Backend) -> None:
        self.program, self.backend = program, backend
        self.native, self.text = compiled(program, backend.dialect(), backend.name)

    def __repr__(self) -> str:
        return f"<program {self.program.name!r} compiled for {self.backend.name}>"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The result: native arrays for native arrays, tensors if a tensor is among the arguments.

        Raises:
            TracingError: the arguments' structure differs from the traced one.
            ShapeError, DTypeError: a tensor does not fit its declaration.
        """
        leaves = self.program.leaves(arguments, named)
        arrays = [native(leaf, self.backend) for leaf in leaves]
        self.program.bind(self.backend, arrays)
        results = self.native(*arrays)
        if any(isinstance(leaf, BaseTensor) for leaf in leaves):
            axes = self.program.output_axes
            results = [Tensor.from_parts(x, of, self.backend) for x, of in zip(results, axes, strict=True)]
        return unflatten(self.program.output_tree, results)
