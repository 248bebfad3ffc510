"""Layers and optimisers of Keras that follow a plan of muP, also from files.

A layer that has multipliers becomes one of a subclass of its own class, and so does an optimiser whose steps have a
rate for each variable: layers and variables stay the objects that they are. Keras has these classes in its register, so
what they add is in the configuration that `.keras` files, copies and clones are made from; importing this file is
enough to read one. Files of weights say which plan their numbers follow, beside the numbers of one layer.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import keras
import numpy as np

from tensoria.errors import LimitError
from tensoria.mup.models import Rate

__all__ = ["AFFINE", "KINDS", "NORMS", "Before", "follow", "note_of", "paced"]

KEY: Final = "tensoria_mup"
AFFINE: Final = frozenset(
    "Dense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D "
    "DepthwiseConv2D".split()
)
"""Layers that are linear in their kernel, beside a bias, before an activation."""
NORMS: Final = frozenset(("LayerNormalization", "RMSNormalization", "GroupNormalization", "BatchNormalization"))
TABLES: Final = frozenset(("Embedding", "ReversibleEmbedding"))
KINDS: Final = AFFINE | NORMS | TABLES
PLAIN: Final[Mapping[str, Any]] = {"given": 1.0, "gives": 1.0, "reverse": 1.0, "note": ""}
"""What a layer adds: factors of its input, its result, its input as a readout; what is noted about its model."""


@keras.saving.register_keras_serializable(package="tensoria")
class Before:
    """An activation of something multiplied."""

    def __init__(self, activation: Any, factor: float) -> None:
        self.activation, self.factor = activation, factor
        self.__name__ = getattr(activation, "__name__", type(activation).__name__)

    def __call__(self, x: Any) -> Any:
        """The activation at a multiple of x."""
        return self.activation(x * self.factor)

    def get_config(self) -> dict[str, Any]:
        """As Keras writes it."""
        return {"activation": keras.activations.serialize(self.activation), "factor": self.factor}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Before:
        """As Keras reads it."""
        return cls(keras.activations.get(config["activation"]), config["factor"])


def follow(layer: Any, **more: Any) -> None:
    """Let a layer follow a plan: some of `PLAIN`, beside what it has already."""
    before = layer.__dict__.get(KEY, PLAIN)
    object.__setattr__(layer, KEY, {**before, **more})
    if KEY not in type(layer).__dict__:
        layer.__class__ = _kind(type(layer))


def note_of(layer: Any) -> str:
    """What a layer carries about its model; empty if nothing."""
    return str(layer.__dict__.get(KEY, PLAIN)["note"])


@functools.cache
def _kind(kind: type) -> type:
    """A layer's class, with multipliers; known to Keras by the name of the class."""

    @functools.wraps(kind.call)  # type: ignore[attr-defined]
    def call(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        of = self.__dict__[KEY]
        back = kind.__name__ == "ReversibleEmbedding" and (kwargs.get("reverse") or any(args[:1]))
        given, gives = (of["reverse"], 1.0) if back else (of["given"], of["gives"])
        result = super(made, self).call(inputs * given if given != 1.0 else inputs, *args, **kwargs)
        return result * gives if gives != 1.0 else result

    def get_config(self: Any) -> dict[str, Any]:
        return {**super(made, self).get_config(), KEY: dict(self.__dict__[KEY])}

    def from_config(cls: Any, config: Mapping[str, Any]) -> Any:
        plain = {name: of for name, of in config.items() if name != KEY}
        layer = kind.from_config(plain)  # type: ignore[attr-defined]
        follow(layer, **config[KEY])
        return layer

    def save_own_variables(self: Any, store: Any) -> None:
        super(made, self).save_own_variables(store)
        if note := note_of(self):
            store[KEY] = np.frombuffer(note.encode(), np.uint8)

    def load_own_variables(self: Any, store: Any) -> None:
        if KEY in store.keys():  # noqa: SIM118  # a store of Keras has no `in`
            _compare(self, bytes(np.asarray(store[KEY])).decode())
        super(made, self).load_own_variables({key: store[key] for key in store.keys() if key != KEY})  # noqa: SIM118

    made = type(kind.__name__, (kind,), {
        "__module__": __name__, "__doc__": kind.__doc__, KEY: PLAIN, "call": call, "get_config": get_config,
        "from_config": classmethod(from_config), "save_own_variables": save_own_variables,
        "load_own_variables": load_own_variables,
    })  # fmt: skip
    return keras.saving.register_keras_serializable(package="tensoria", name=kind.__name__)(made)  # type: ignore[no-any-return]


def _compare(layer: Any, note: str) -> None:
    own = note_of(layer)
    if own and own != note:
        theirs = json.loads(note)
        raise LimitError(
            f"the weights follow another muP plan (table {theirs['plan']['table']}, base {theirs['plan']['base']}, "
            f"width {theirs['width']}) than the model."
        )


# -- optimisers -------------------------------------------------------------------------------------------------------


def paced(optimizer: Any, variables: Sequence[Any], rates: Sequence[Rate]) -> Any:
    """Let an optimiser take the step of each variable with a rate of its own, and Adam's epsilon with its factor."""
    object.__setattr__(optimizer, KEY, {
        "paths": [variable.path for variable in variables], "rates": [[of.rate, of.epsilon] for of in rates],
    })  # fmt: skip
    optimizer.__class__ = _pacing(type(optimizer))
    return optimizer


@functools.cache
def _pacing(kind: type) -> type:
    """An optimiser's class, with a rate for each variable."""

    def build(self: Any, variables: Sequence[Any]) -> None:
        own = self.__dict__[KEY]
        paths = [variable.path for variable in variables]
        if own["paths"] is None and len(paths) == len(own["rates"]):
            own["paths"] = paths  # from a file: Keras counts the names of layers anew, in the same order
        if unknown := [path for path in paths if path not in (own["paths"] or ())]:
            raise LimitError(f"the optimiser is given {unknown[0]}, which the model does not have.")
        super(made, self).build(variables)

    @functools.wraps(kind.update_step)  # type: ignore[attr-defined]
    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        own = self.__dict__[KEY]
        path = self._trainable_variables[self._get_variable_index(variable)].path
        rate, factor = own["rates"][own["paths"].index(path)]
        epsilon = getattr(self, "epsilon", None)
        if epsilon is None:
            return super(made, self).update_step(gradient, variable, learning_rate * rate)
        self.epsilon = epsilon * factor
        try:
            return super(made, self).update_step(gradient, variable, learning_rate * rate)
        finally:
            self.epsilon = epsilon

    def get_config(self: Any) -> dict[str, Any]:
        return {**super(made, self).get_config(), KEY: self.__dict__[KEY]["rates"]}

    def from_config(cls: Any, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        plain = {name: of for name, of in config.items() if name != KEY}
        optimizer = kind.from_config(plain, custom_objects=custom_objects)  # type: ignore[attr-defined]
        object.__setattr__(optimizer, KEY, {"paths": None, "rates": [list(of) for of in config[KEY]]})
        optimizer.__class__ = cls
        return optimizer

    made = type(kind.__name__, (kind,), {
        "__module__": __name__, "__doc__": kind.__doc__, KEY: None, "build": build, "update_step": update_step,
        "get_config": get_config, "from_config": classmethod(from_config),
    })  # fmt: skip
    return keras.saving.register_keras_serializable(package="tensoria", name=kind.__name__)(made)  # type: ignore[no-any-return]


def _register() -> None:
    """Make Keras know the classes of its own layers and optimisers, which files may name."""
    for name in sorted(KINDS):
        if hasattr(keras.layers, name):
            _kind(getattr(keras.layers, name))
    for kind in vars(keras.optimizers).values():
        if isinstance(kind, type) and issubclass(kind, keras.optimizers.Optimizer) and kind.__name__ != "Optimizer":
            _pacing(kind)


_register()
