"""Programs as models of Keras: they compile, fit and are saved.

A `.keras` file holds the program (without its weights) beside the weights; reading it needs tensoria, whose import
registers the class: `import tensoria_tensorflow.keras_models`, then `keras.models.load_model(path)`.
"""

from __future__ import annotations

import base64
import dataclasses
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tensoria.errors import BackendError, PortingError
from tensoria.programs.base import BaseProgram
from tensoria.programs.natives import Modes, Stateful, modes
from tensoria.programs.program import Program, load
from tensoria_tensorflow.modules import Code, weights
from tensoria_tensorflow.source import DIALECT

__all__ = ["KerasModel", "keras_model"]

Array = Any


@keras.saving.register_keras_serializable("tensoria")
class KerasModel(Stateful, keras.Model):
    """A program as a model of Keras.

    Its input is the program's argument; of several a list in their order, or a dictionary by their names.
    A program with both modes is in train mode where Keras says `training=True`, as `fit` does; one that was captured in
    one mode stays in it.
    """

    def __init__(self, of: Modes, **options: Any) -> None:
        # Keras casts what it is given to one data type of floating numbers: that of the program's arguments.
        floating = {x.type.dtype.name for x in of.source.inputs if x.type.dtype.kind == "float"}
        super().__init__(dtype=min(floating, default=None), autocast=len(floating) <= 1, **options)
        self._code = Code(of)
        self._named = weights(of, self._weight)
        self.built = True

    def _weight(self, name: str, array: Array, trainable: bool) -> Any:
        weight = self.add_weight(
            shape=tuple(array.shape), dtype=array.dtype.name, initializer="zeros", trainable=trainable,
            name=name.replace("/", "."), autocast=False,
        )  # fmt: skip
        weight.assign(array)
        return weight

    def build(self, shape: Any = None) -> None:
        """The weights are there already."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The program's result."""
        code, variables = self._code, self._named.variables
        mode = code.of.mode(training) if len(code.of.blueprints) > 1 else code.of.own
        arguments, named = self._arguments(mode, inputs)
        leaves = code.leaves(mode, arguments, named)
        held = {name: tf.convert_to_tensor(weight) for name, weight in variables.items()}
        results, updates = code(mode, leaves, held)
        for name, value in updates.items():
            variables[name].assign(value)
        return code.result(mode, results)

    def _arguments(self, mode: str, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        program = self._code.of.blueprints[mode].source
        names = [name for name in program.signature if program.key is None or name != program.signature[-1]]
        if isinstance(inputs, Mapping) and set(inputs) <= set(names):
            return (), dict(inputs)
        return (tuple(inputs) if isinstance(inputs, (list, tuple)) and len(names) > 1 else (inputs,)), {}

    def get_config(self) -> dict[str, Any]:
        """The program as text."""
        return {"name": self.name, "program": _text(self._code.of.source)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> KerasModel:
        """The model of a program as text, with zeros for weights."""
        return cls(modes(_program(config["program"]), DIALECT), name=config["name"])


def _text(program: BaseProgram) -> str:
    """A program with zeros for weights as text: zeros take no room when they are compressed."""
    held = set(program.parameters.values())
    zeros = {value: np.zeros_like(array) if value in held else array for value, array in program.arrays.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program"
        program = dataclasses.replace(program, arrays=zeros)
        assert isinstance(program, Program)
        program.save(path)
        return base64.b85encode(zlib.compress(path.read_bytes())).decode()


def _program(text: str) -> Program:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program"
        try:
            path.write_bytes(zlib.decompress(base64.b85decode(text)))
        except (ValueError, zlib.error) as error:
            raise PortingError(f"the model's configuration holds no program: {error}") from error
        return load(path)


def keras_model(of: Modes) -> KerasModel:
    """The Keras model of a program.

    Raises:
        BackendError: Keras runs on another framework.
    """
    if keras.backend.backend() != "tensorflow":
        raise BackendError(
            f"Keras runs on {keras.backend.backend()} here, and the model on TensorFlow.",
            legal="KERAS_BACKEND=tensorflow",
        )
    return KerasModel(of, name="".join(c if c.isalnum() else "_" for c in of.source.name))
