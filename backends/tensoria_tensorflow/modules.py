"""Programs as models of TensorFlow: a `tf.Module` with variables of the program's names.

The model runs the program's generated code in a `tf.function` with open sizes where the program has them. Saved, it is
a graph with variables: it serves without tensoria, and without the framework that the model came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.core import BaseTensor
from tensoria.programs.base import BaseProgram
from tensoria.programs.dimensions import Dim
from tensoria.programs.natives import Blueprint, State, blueprint, storable
from tensoria.programs.passes import Chosen
from tensoria.programs.source import compiled
from tensoria.programs.trees import unflatten
from tensoria.programs.types import Type
from tensoria_tensorflow.source import DIALECT

__all__ = ["Code", "Model", "Weights", "made"]

Array = Any


def spec(of: Type, name: str | None = None) -> Any:
    """A type with open sizes, as TensorFlow declares it."""
    shape = [None if isinstance(size, Dim) else size for size in of.shape]
    return tf.TensorSpec(shape, _dtype(of), name)


def _dtype(of: Type) -> Any:
    return getattr(tf, of.dtype.name)


class Code:
    """The generated function of a program, for variables that somebody else holds.

    Attributes:
        of: what it is made of.
        text: its source.
    """

    def __init__(self, of: Blueprint) -> None:
        self.of = of
        make, self.text = compiled(of.pure, DIALECT, "tensorflow", False, of.frozen)
        self.function = make("cpu")
        self.specs = [spec(value.type, value.name) for value in of.source.inputs]

    def __call__(self, arrays: list[Array], variables: Mapping[str, Any]) -> tuple[list[Array], dict[str, Array]]:
        """The results and the updates, while TensorFlow traces."""
        held = [tf.convert_to_tensor(variables[name]) for name in self.of.names]
        found = list(self.function(*arrays, *held))
        count = len(self.of.source.outputs)
        return found[:count], dict(zip(self.of.source.updates, found[count:], strict=True))

    def result(self, arrays: list[Array]) -> Any:
        """The results in their structure."""
        return unflatten(self.of.source.output_tree, arrays)

    def leaves(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> list[Array]:
        """The arguments' tensors as TensorFlow's; a random key is drawn where none is given."""
        program = self.of.source
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


class Weights:
    """Variables by the program's names.

    Attributes:
        held: the variables, with axes in the order in which they are stored.
    """

    def __init__(self, of: Blueprint, make: Any) -> None:
        self.state = State(of)
        self.held = {
            name: make(name, tf.cast(storable(array, of.type(name).dtype), _dtype(of.type(name))),
                       name in of.source.trainable)
            for name, array in of.arrays.items()
        }  # fmt: skip

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """The numbers by the program's names, with axes in its order."""
        return self.state.out({name: np.asarray(variable) for name, variable in self.held.items()})

    def load_state_dict(self, given: Mapping[str, Any], strict: bool = True) -> None:
        """Set the numbers: arrays of any backend, by names and with axes as `state_dict` has them."""
        for name, array in self.state.into(given, strict).items():
            self.held[name].assign(tf.cast(np.asarray(array), self.held[name].dtype))


def _variable(name: str, array: Array, trainable: bool) -> Any:
    allowed = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return tf.Variable(array, trainable=trainable, name=allowed if allowed[0] not in "_/\\>-" else f".{allowed}")


class Model(tf.Module):
    """A program as a trainable model of TensorFlow, called with the program's arguments.

    `tf.saved_model.save(model, folder)` keeps `serve`, the same as a function of tensors by their names.
    """

    def __init__(self, of: Blueprint) -> None:
        super().__init__(name=re.sub(r"\W", "_", of.source.name))
        self._code, self._weights = Code(of), Weights(of, _variable)
        self._held = dict(self._weights.held)  # where TensorFlow looks for variables
        self._call = Graph(self)
        self.serve = tf.function(self._served, input_signature=self._code.specs, autograph=False)
        self._default_save_signature = self.serve

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The program's result; in train mode buffers are updated, and a key is drawn if none is given."""
        return self._code.result(self._call.function(*self._code.leaves(arguments, named)))

    def _served(self, *arrays: Array) -> dict[str, Array]:
        results, _ = self._code(list(arrays), self._held)
        return {f"output_{n}": array for n, array in enumerate(results)}

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """The numbers of parameters and buffers by the program's names, with axes in its order."""
        return self._weights.state_dict()

    def load_state_dict(self, given: Mapping[str, Any], strict: bool = True) -> None:
        """Set parameters and buffers.

        Args:
            given: arrays of any backend by name, such as the source model's `state_dict()`.
            strict: whether every name has to be there, and no other.

        Raises:
            PortingError: a name is missing or unknown, or an array has another shape.
        """
        self._weights.load_state_dict(given, strict)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a SavedModel, which needs neither tensoria nor the model's first framework."""
        tf.saved_model.save(self, os.fspath(folder), signatures={"serving_default": self.serve})


class Graph:
    """A model's call as a `tf.function`; not part of the SavedModel, which has `serve`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.function = tf.function(self._computed, input_signature=model._code.specs, autograph=False)

    def _computed(self, *arrays: Array) -> list[Array]:
        results, updates = self.model._code(list(arrays), self.model._held)
        for name, value in updates.items():
            self.model._held[name].assign(value)
        return results


def made(program: BaseProgram, kind: str, passes: Chosen) -> Any:
    """The model of a program: a `tf.Module`, or a model of Keras."""
    of = blueprint(program, DIALECT, passes)
    if kind == "keras":
        from tensoria_tensorflow.keras_models import keras_model

        return keras_model(of)
    return Model(of)
