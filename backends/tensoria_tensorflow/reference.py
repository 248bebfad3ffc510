"""A TensorFlow model as it is: its results and gradients, which its program is compared with.

The model itself is called, eagerly. In float64, which Keras's variables do not have, its graph is run operation by
operation instead (`replaying`). What a call assigns to variables is put back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.errors import PortingError
from tensoria.programs.captured import Reference
from tensoria.programs.trees import flatten
from tensoria_tensorflow.exporting import Exported, exported, plain
from tensoria_tensorflow.replaying import Replay

__all__ = ["reference", "substituted"]

Pull = Callable[[list[Any]], Sequence[Any]]


def reference(
    model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], pull: Pull | None, wide: bool, train: bool | None
) -> Reference:
    """The model's results, and the gradients that belong to cotangents of them.

    Args:
        model, args, kwargs: what is called with what.
        pull: gives for each result its cotangent, or None; None for no gradients.
        wide: whether float64 stands for float32.
        train: the mode; as it stands for None.

    Raises:
        PortingError: TensorFlow does not trace the model.
    """
    given = exported(model, args, kwargs, {}, train)
    variables = {name: variable for name, variable in given.variables.items() if name in given.trainable}
    leaves = [tf.convert_to_tensor(x) for x in given.examples]
    if wide:
        leaves = [tf.cast(x, tf.float64) if x.dtype == tf.float32 else x for x in leaves]
    with _kept(given), tf.GradientTape() as tape:
        floating = [x for x in leaves if x.dtype.is_floating]
        if pull is not None:
            tape.watch(floating)
        if wide:
            run = Replay(True, given)
            watched = {name: run.read(variable.handle, variable.dtype) for name, variable in variables.items()}
            if pull is not None:
                tape.watch(list(watched.values()))
            results = run.results_of(leaves)
        else:
            watched = variables
            results = flatten(plain(given.call(*leaves)), tf.is_tensor)[0]
        if pull is None:
            return Reference(results, {}, [])
        cotangents = list(pull(results))
        chosen = [(y, tf.cast(g, y.dtype)) for y, g in zip(results, cotangents, strict=True) if g is not None]
    found = tape.gradient(
        [y for y, _ in chosen], [list(watched.values()), floating], [g for _, g in chosen],
    ) if chosen else [[None] * len(watched), [None] * len(floating)]  # fmt: skip
    dense = [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in found[0]]
    inputs = iter(found[1])
    return Reference(
        results, dict(zip(watched, dense, strict=True)),
        [next(inputs) if x.dtype.is_floating else None for x in leaves],
    )  # fmt: skip


@contextlib.contextmanager
def _kept(given: Exported) -> Iterator[None]:
    """In the end variables have their numbers."""
    before = [(variable, variable.numpy()) for variable in given.variables.values()]
    try:
        yield
    finally:
        for variable, numbers in before:
            variable.assign(numbers)


@contextlib.contextmanager
def substituted(model: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Iterator[None]:
    """The model with other numbers in variables, which get their own back in the end."""
    from tensoria_tensorflow.exporting import variables_of

    if isinstance(model, (str, os.PathLike)):
        raise PortingError("a model in a file has no other numbers.", legal="tf.saved_model.load(path)")
    held = {name: variable for name, variable in variables_of(model).items() if name in arrays}
    before = {name: variable.numpy() for name, variable in held.items()}
    try:
        for name, variable in held.items():
            variable.assign(tf.cast(arrays[name], variable.dtype))
        yield
    finally:
        for name, variable in held.items():
            variable.assign(before[name])
