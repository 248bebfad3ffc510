"""Programs as callables of NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tensoria.programs.base import BaseProgram
from tensoria.programs.natives import State, blueprint, numbers, random_key, storable
from tensoria.programs.passes import Chosen
from tensoria.programs.source import compiled
from tensoria_numpy.source import DIALECT

__all__ = ["Model"]

Array = np.ndarray[Any, Any]


class Model:
    """A program as a callable: the program's arguments in NumPy's arrays, and so are its results.

    Attributes:
        text: its source.
        generator: what keys are drawn from, where a program in train mode is given none.
    """

    def __init__(self, program: BaseProgram, passes: Chosen = True) -> None:
        self._of = of = blueprint(program, DIALECT, passes)
        make, self.text = compiled(of.pure, DIALECT, "numpy", False)
        self._function, self._state = make("cpu"), State(of)
        self._held = {name: np.array(storable(array, of.type(name).dtype)) for name, array in of.arrays.items()}
        self.generator = np.random.default_rng()

    def __repr__(self) -> str:
        return f"<{self._of.source.name} in NumPy, {sum(array.size for array in self._held.values()):,} parameters>"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The program's result; in train mode buffers are updated, and a key is drawn if none is given."""
        program = self._of.source
        if program.key is not None and program.signature[-1] not in named and len(arguments) < len(program.signature):
            named = {**named, program.signature[-1]: random_key(program.key.type, self.generator)}
        arrays = [
            numbers(leaf).astype(value.type.dtype.name, copy=False)
            for leaf, value in zip(program.leaves(arguments, named), program.inputs, strict=True)
        ]
        result, updates = self._of.results(self._function(*arrays, *self._held.values()))
        self._held.update({name: np.asarray(array) for name, array in updates.items()})
        return result

    def state_dict(self) -> dict[str, Array]:
        """The numbers of parameters and buffers by the program's names, with axes in its order."""
        return self._state.out(self._held)

    def load_state_dict(self, given: Mapping[str, Any], strict: bool = True) -> None:
        """Set parameters and buffers.

        Args:
            given: arrays of any backend by name, such as the source model's `state_dict()`.
            strict: whether every name has to be there, and no other.

        Raises:
            PortingError: a name is missing or unknown, or an array has another shape.
        """
        for name, array in self._state.into(given, strict).items():
            self._held[name] = np.array(array, dtype=self._held[name].dtype, order="C")
