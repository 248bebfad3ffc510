"""How variables of Keras are initialised: by the initialisers that their layers hold.

A layer keeps its initialiser for each variable (`kernel_initializer`), and an initialiser its parameters, so nothing
has to be run. Keras counts the names of layers up; names are given anew, in the order in which layers stand in the
model.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tensoria.limits.laws import CUT, Drawn

__all__ = ["initialisers", "layers_of", "names_of", "watching"]

OWN = {"recurrent_kernel": "recurrent_initializer", "depthwise_kernel": "depthwise_initializer",
       "pointwise_kernel": "pointwise_initializer"}  # fmt: skip
"""Variables whose initialiser is not called like them."""


@contextlib.contextmanager
def watching() -> Iterator[Callable[[Any], Mapping[str, Drawn]]]:
    """A block in which models are made; see `Backend.watching`. Layers tell their initialisers afterwards."""
    yield initialisers


def initialisers(model: Any) -> dict[str, Drawn]:
    """How each variable is drawn, by its name; without those that are not known."""
    found: dict[str, Drawn] = {}
    if not hasattr(model, "_flatten_layers"):
        return found  # a `tf.Module` has variables, and no layers that hold initialisers
    names = names_of(model)
    for layer in layers_of(model):
        for variable in layer._trainable_variables:
            wanted = OWN.get(variable.name, f"{variable.name}_initializer")
            drawn = _drawn(getattr(layer, wanted, None), tuple(variable.shape))
            if drawn is not None and variable.path in names:
                found[names[variable.path]] = drawn
    return found


def layers_of(model: Any) -> list[Any]:
    """A model and all layers in it."""
    return list(model._flatten_layers())


def names_of(model: Any) -> dict[str, str]:
    """For the path of each variable a name that another model made in the same way has too: `dense_1.kernel`."""
    layers = renumbered(model)
    return {variable.path: renamed(variable.path, model, layers) for variable in model.variables}


def renumbered(model: Any) -> dict[str, str]:
    """For the name of each layer that Keras has named one with a number of this model's own."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    for layer in layers_of(model):
        stem = stem_of(type(layer).__name__)
        if layer is model or layer.name in found or not re.fullmatch(rf"{re.escape(stem)}(_\d+)?", layer.name):
            continue
        count = counts.get(stem, 0)
        counts[stem] = count + 1
        found[layer.name] = f"{stem}_{count}" if count else stem
    return found


def stem_of(name: str) -> str:
    """What Keras calls a layer of a class, before it counts: `conv2d` for Conv2D, `global_average_pooling2d`."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def renamed(path: str, model: Any, layers: Mapping[str, str]) -> str:
    """A path of layers with their new names, without the model's own."""
    parts = [part for part in re.split(r"[/.]", path) if part]
    if parts and parts[0] == model.name:
        parts = parts[1:]
    return ".".join(layers.get(part, part) for part in parts)


def _drawn(initialiser: Any, shape: tuple[int, ...]) -> Drawn | None:
    """What an initialiser draws for a shape."""
    import keras

    kinds = keras.initializers
    if isinstance(initialiser, kinds.VarianceScaling):
        return _scaled(initialiser, shape)
    if isinstance(initialiser, kinds.RandomNormal):
        return Drawn("normal", float(initialiser.mean), float(initialiser.stddev) ** 2)
    if isinstance(initialiser, kinds.TruncatedNormal):
        return Drawn("truncated normal", float(initialiser.mean), (CUT * float(initialiser.stddev)) ** 2)
    if isinstance(initialiser, kinds.RandomUniform):
        low, high = float(initialiser.minval), float(initialiser.maxval)
        return Drawn("uniform", (low + high) / 2, (high - low) ** 2 / 12)
    if isinstance(initialiser, (kinds.Zeros, kinds.Ones)):
        return Drawn("constant", float(isinstance(initialiser, kinds.Ones)), 0.0)
    if isinstance(initialiser, kinds.Constant) and isinstance(initialiser.value, (int, float)):
        return Drawn("constant", float(initialiser.value), 0.0)
    if isinstance(initialiser, kinds.Orthogonal):
        return Drawn("orthogonal", 0.0, 1.0)
    return None


def _scaled(initialiser: Any, shape: tuple[int, ...]) -> Drawn:
    """scale / fan, whatever the distribution: Keras corrects the deviation of the truncated one."""
    fan_in, fan_out = _fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[initialiser.mode]
    kind = {"truncated_normal": "truncated normal", "untruncated_normal": "normal", "uniform": "uniform"}
    return Drawn(kind[initialiser.distribution], 0.0, float(initialiser.scale) / max(1.0, fan))


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """As Keras counts them: the last two axes, times all axes before."""
    if len(shape) < 2:
        return (1.0, 1.0) if not shape else (float(shape[0]), float(shape[0]))
    window = math.prod(shape[:-2])
    return float(shape[-2] * window), float(shape[-1] * window)
