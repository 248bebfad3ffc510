"""Programs as models of TensorFlow: a `tf.Module` with variables of the program's names.

The model runs the program's generated code in a `tf.function` with open sizes where the program has them. Saved, it is
a graph with variables: it serves without tensoria, and without the framework that the model came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.core import BaseTensor
from tensoria.programs.base import BaseProgram
from tensoria.programs.dimensions import Dim
from tensoria.programs.natives import Modes, Stateful, Weights, modes
from tensoria.programs.passes import Chosen
from tensoria.programs.source import compiled
from tensoria.programs.trees import unflatten
from tensoria.programs.types import Type
from tensoria_tensorflow.source import DIALECT

__all__ = ["Code", "Model", "made", "weights"]

Array = Any


def spec(of: Type, name: str | None = None) -> Any:
    """A type with open sizes, as TensorFlow declares it."""
    shape = [None if isinstance(size, Dim) else size for size in of.shape]
    return tf.TensorSpec(shape, _dtype(of), name)


def _dtype(of: Type) -> Any:
    return getattr(tf, of.dtype.name)


class Code:
    """The generated functions of a program's modes, for variables that somebody else holds.

    Attributes:
        of: what they are made of.
        text: the source of the first one.
        specs: by mode the arguments' tensors, as TensorFlow declares them.
    """

    def __init__(self, of: Modes) -> None:
        self.of = of
        written = {
            mode: compiled(one.pure, DIALECT, "tensorflow", False, one.frozen) for mode, one in of.blueprints.items()
        }
        self.text = written[of.own][1]
        self.functions = {mode: make("cpu") for mode, (make, _) in written.items()}
        self.orders = {mode: of.orders(mode) for mode in of.blueprints}
        self.specs = {
            mode: [spec(value.type, value.name) for value in one.source.inputs]
            for mode, one in of.blueprints.items()
        }

    def __call__(
        self, mode: str, arrays: list[Array], variables: Mapping[str, Any]
    ) -> tuple[list[Array], dict[str, Array]]:
        """The results and the updates, while TensorFlow traces."""
        held = [tf.convert_to_tensor(variables[name]) if order is None else tf.transpose(variables[name], order)
                for name, order in self.orders[mode]]  # fmt: skip
        program = self.of.blueprints[mode].source
        found = list(self.functions[mode](*arrays, *held))
        count = len(program.outputs)
        return found[:count], dict(zip(program.updates, found[count:], strict=True))

    def result(self, mode: str, arrays: list[Array]) -> Any:
        """The results in their structure."""
        return unflatten(self.of.blueprints[mode].source.output_tree, arrays)

    def leaves(self, mode: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> list[Array]:
        """The arguments' tensors as TensorFlow's; a random key is drawn where none is given."""
        program = self.of.blueprints[mode].source
        if program.key is not None and program.signature[-1] not in named and len(arguments) < len(program.signature):
            named = {**named, program.signature[-1]: drawn_key(program.key.type)}
        found = []
        for leaf, value in zip(program.leaves(arguments, named), program.inputs, strict=True):
            array = leaf.array if isinstance(leaf, BaseTensor) else leaf
            found.append(tf.convert_to_tensor(array, _dtype(value.type)))
        return found


def drawn_key(of: Type) -> Array:
    """A fresh key, from TensorFlow's generator."""
    return tf.cast(tf.random.uniform(of.shape, 0, 2**32, tf.int64), _dtype(of))


def weights(of: Modes, make: Callable[[str, Array, bool], Any]) -> Weights:
    """Variables by the program's names, of a name, numbers, and whether they are trained."""

    def variable(name: str, array: Array, own: Type, trainable: bool) -> Any:
        return make(name, tf.cast(array, _dtype(own)), trainable)

    def assign(held: Any, array: Array) -> Any:
        held.assign(tf.cast(np.asarray(array), held.dtype))
        return held

    return Weights(of, variable, assign)


def _variable(name: str, array: Array, trainable: bool) -> Any:
    allowed = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return tf.Variable(array, trainable=trainable, name=allowed if allowed[0] not in "_/\\>-" else f".{allowed}")


class Model(Stateful, tf.Module):
    """A program as a trainable model of TensorFlow, called with the program's arguments.

    `tf.saved_model.save(model, folder)` keeps `serve`, the same as a function of tensors by their names; of a program
    with both modes as it is used.
    """

    def __init__(self, of: Modes) -> None:
        super().__init__(name=re.sub(r"\W", "_", of.source.name))
        self._code, self._named = Code(of), weights(of, _variable)
        self._held = dict(self._named.variables)  # where TensorFlow looks for variables
        self._calls = {mode: Graph(self, mode) for mode in of.blueprints}
        self._served_mode = "eval" if "eval" in of.blueprints else of.own
        self.serve = tf.function(
            self._served, input_signature=self._code.specs[self._served_mode], autograph=False
        )
        self._default_save_signature = self.serve

    def __call__(self, *arguments: Any, training: bool | None = None, **named: Any) -> Any:
        """The program's result; in train mode buffers are updated, and a key is drawn if none is given.

        Args:
            arguments, named: the program's arguments.
            training: of a program with both modes, which; its own if nothing is said.

        Raises:
            PortingError: the model was captured in one mode only, and the call says which.
        """
        mode = self._code.of.mode(training)
        return self._code.result(mode, self._calls[mode].function(*self._code.leaves(mode, arguments, named)))

    def _served(self, *arrays: Array) -> dict[str, Array]:
        results, _ = self._code(self._served_mode, list(arrays), self._held)
        return {f"output_{n}": array for n, array in enumerate(results)}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a SavedModel, which needs neither tensoria nor the model's first framework."""
        tf.saved_model.save(self, os.fspath(folder), signatures={"serving_default": self.serve})


class Graph:
    """A model's call in a mode as a `tf.function`; not part of the SavedModel, which has `serve`."""

    def __init__(self, model: Model, mode: str) -> None:
        self.model, self.mode = model, mode
        self.function = tf.function(self._computed, input_signature=model._code.specs[mode], autograph=False)

    def _computed(self, *arrays: Array) -> list[Array]:
        results, updates = self.model._code(self.mode, list(arrays), self.model._held)
        for name, value in updates.items():
            self.model._held[name].assign(value)
        return results


def made(program: BaseProgram, kind: str, passes: Chosen) -> Any:
    """The model of a program: a `tf.Module`, or a model of Keras."""
    of = modes(program, DIALECT, passes)
    if kind == "keras":
        from tensoria_tensorflow.keras_models import keras_model

        return keras_model(of)
    return Model(of)
