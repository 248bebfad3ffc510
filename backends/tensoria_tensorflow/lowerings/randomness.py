"""Random numbers: those that a model draws from a seed are drawn from the program's key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.errors import PortingError
from tensoria.programs.dimensions import Size
from tensoria.programs.recorder import SymbolicArray, current
from tensoria_tensorflow.lowerings.call import Array, one, own_dtype, whole, xp
from tensoria_tensorflow.lowerings.held import Drawn, Seed

__all__ = ["RANDOM", "kept", "uniform"]


def _seeded(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    return [Seed() for _ in operation.outputs]


def _sizes(walk: Any, shape: Any) -> tuple[Size, ...]:
    if walk.loops:
        raise PortingError("random numbers that a loop draws anew in each pass are not ported.")
    if not isinstance(shape, np.ndarray):
        raise PortingError("random numbers whose shape depends on numbers are not ported.")
    sizes = whole(shape)
    return sizes if isinstance(sizes, tuple) else (sizes,)


def _drawn(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    of = own_dtype(operation.outputs[0].dtype)
    return [Drawn(_sizes(walk, given[0]), walk.draw()[1], of, operation.type.startswith("Stateless"))]


def _normal(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    shape = _sizes(walk, given[0])
    key, stream = walk.draw()
    of = own_dtype(operation.outputs[0].dtype)
    return list(current().record("random_normal", (key,), shape=shape, dtype=of, stream=stream))


def uniform(walk: Any, drawn: Drawn) -> Array:
    """Random numbers that are not those of dropout.

    Raises:
        PortingError: they come from a hidden state.
    """
    if not drawn.stateless:
        what = "random numbers of a hidden state are ported in dropout only."
        raise PortingError(what, legal="tf.random.stateless_uniform")
    key = SymbolicArray(walk.key, walk.recorder)
    return current().record("random_uniform", (key,), shape=drawn.shape, dtype=drawn.of, stream=drawn.stream)[0]


def kept(walk: Any, drawn: Drawn, rate: float) -> Array:
    """Where random numbers are at least a rate: the components that dropout keeps."""
    ones = xp.broadcast_to(current().literal(1, drawn.of), drawn.shape)
    key = SymbolicArray(walk.key, walk.recorder)
    chosen = ones.recorder.record("dropout", (ones, key), rate=rate, stream=drawn.stream, shared=())[0]
    return one(chosen, "not_equal", chosen.recorder.literal(0, drawn.of))


RANDOM: dict[str, Callable[..., list[Any]]] = {
    "StatelessRandomGetKeyCounter": _seeded, "StatelessRandomUniformV2": _drawn, "RandomUniform": _drawn,
    "StatelessRandomUniform": _drawn, "StatelessRandomNormalV2": _normal, "StatelessRandomNormal": _normal,
}  # fmt: skip
"""What each operation that draws becomes."""
