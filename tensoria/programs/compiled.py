"""Programs as functions of one framework: generated Python, run as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array, Backend, device_name
from tensoria.core import BaseTensor
from tensoria.discovery import home
from tensoria.programs.base import BaseProgram, natives
from tensoria.programs.passes import Chosen, fold_batch_norms
from tensoria.programs.source import compiled
from tensoria.programs.trees import unflatten
from tensoria.structure import Cache
from tensoria.tensor import Tensor

__all__ = ["Compiled"]


class Compiled:
    """A program compiled for one backend; called like the function that was traced.

    Attributes:
        native: the generated function itself: the inputs' native arrays by position, a tuple of native arrays.
        text: its source.
    """

    def __init__(
        self, program: BaseProgram, backend: Backend, *, passes: Chosen = True, jit: bool = False,
        device: str | None = None,
    ) -> None:  # fmt: skip
        self.program, self.backend, self.jit = program, backend, jit
        # Parameters are constants of the function: nothing is lost if batch normalisations go into them.
        folded = fold_batch_norms(program) if passes is True else program
        dialect = backend.dialect()
        if jit:
            dialect = dataclasses.replace(dialect, passes=dialect.passes | dialect.graphs)
        self._make, self.text = compiled(folded, dialect, backend.name, passes)
        self._on: Cache[str, Callable[..., Any]] = Cache(self._made, limit=8)
        self.native = self._on[home(backend) or "cpu" if device is None else device_name(device)]

    def _made(self, device: str) -> Callable[..., Any]:
        function = self._make(device)
        return self.backend.compile(function) if self.jit else function

    def __repr__(self) -> str:
        return f"<program {self.program.name!r} compiled for {self.backend.name}>"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The result: native arrays for native arrays, tensors if a tensor is among the arguments.

        Raises:
            TracingError: the arguments' structure differs from the traced one.
            ShapeError, DTypeError: a tensor does not fit its declaration.
        """
        leaves = self.program.leaves(arguments, named)
        arrays = natives(leaves, self.backend)
        if not any(None in self.backend.shape(array) for array in arrays):  # as they are while a framework traces
            self.program.bind(self.backend, arrays)
        results = self._placed(arrays)(*arrays)
        if any(isinstance(leaf, BaseTensor) for leaf in leaves):
            axes = self.program.output_axes
            results = [Tensor.from_parts(x, of, self.backend) for x, of in zip(results, axes, strict=True)]
        return unflatten(self.program.output_tree, results)

    def _placed(self, arrays: Sequence[Array]) -> Callable[..., Any]:
        """The function whose constants, the program's and those that passes made, are where the first input is."""
        if not arrays or not self.backend.dialect().device:
            return self.native
        return self._on[self.backend.device(arrays[0])]
