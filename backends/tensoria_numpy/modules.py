"""Programs as callables of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.programs.base import BaseProgram
from tensoria.programs.natives import Stateful, Weights, modes, numbers, random_key
from tensoria.programs.passes import Chosen
from tensoria.programs.source import compiled
from tensoria_numpy.source import DIALECT

__all__ = ["Model"]


class Model(Stateful):
    """A program as a callable: the program's arguments in NumPy's arrays, and so are its results.

    Attributes:
        text: its source.
        generator: what keys are drawn from, where a program in train mode is given none.
    """

    def __init__(self, program: BaseProgram, passes: Chosen = True) -> None:
        self._of = of = modes(program, DIALECT, passes)
        written = {mode: compiled(one.pure, DIALECT, "numpy", False) for mode, one in of.blueprints.items()}
        self._functions = {mode: make("cpu") for mode, (make, _) in written.items()}
        self._orders = {mode: of.orders(mode) for mode in of.blueprints}
        self.text = written[of.own][1]
        self._named = Weights(
            of, lambda name, array, *_: np.array(array), lambda held, array: np.array(array, held.dtype, order="C")
        )
        self.generator = np.random.default_rng()

    def __repr__(self) -> str:
        count = sum(array.size for array in self._named.variables.values())
        return f"<{self._of.source.name} in NumPy, {count:,} parameters>"

    def __call__(self, *arguments: Any, training: bool | None = None, **named: Any) -> Any:
        """The program's result; in train mode buffers are updated, and a key is drawn if none is given.

        Args:
            arguments, named: the program's arguments.
            training: of a program with both modes, which; its own if nothing is said.

        Raises:
            PortingError: the model was captured in one mode only, and the call says which.
        """
        mode = self._of.mode(training)
        of = self._of.blueprints[mode]
        program = of.source
        if program.key is not None and program.signature[-1] not in named and len(arguments) < len(program.signature):
            named = {**named, program.signature[-1]: random_key(program.key.type, self.generator)}
        arrays = [
            numbers(leaf).astype(value.type.dtype.name, copy=False)
            for leaf, value in zip(program.leaves(arguments, named), program.inputs, strict=True)
        ]
        variables = self._named.variables
        held = [
            variables[name] if order is None else variables[name].transpose(order)
            for name, order in self._orders[mode]
        ]
        result, updates = of.results(self._functions[mode](*arrays, *held))
        variables.update({name: np.asarray(array) for name, array in updates.items()})
        return result
