"""Arguments for a saved model, where nobody gives any: those that its own signature declares."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

__all__ = ["examples"]

SIGNATURE = "serving_default"


def examples(path: str) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, tuple[str | None, ...]]]:
    """Arguments, named arguments, and names for the sizes that the signature leaves open.

    Sizes along one axis have one name, in all arguments: the first axis is the batch.
    """
    if os.path.isdir(path):
        given = tf.saved_model.load(path).signatures[SIGNATURE].structured_input_signature[1]
        return (), {name: _array(of.shape, of.dtype) for name, of in given.items()}, _axes(given)
    import keras

    inputs = keras.models.load_model(path, compile=False).inputs
    given = {x.name: tf.TensorSpec(x.shape, x.dtype) for x in inputs}
    arrays = [_array(of.shape, of.dtype) for of in given.values()]
    axes = _axes(given)
    if len(arrays) == 1:
        return (arrays[0],), {}, {"inputs": axes[inputs[0].name]}
    return (arrays,), {}, {"inputs": next(iter(axes.values()))}


def _axes(given: Any) -> dict[str, tuple[str | None, ...]]:
    return {
        name: tuple(None if n is not None else f"size{axis}" if axis else "batch" for axis, n in enumerate(of.shape))
        for name, of in given.items()
    }


def _array(shape: Any, dtype: Any) -> Any:
    """Small numbers of a shape, whose open sizes differ."""
    sizes = [2 + axis if n is None else n for axis, n in enumerate(shape)]
    if dtype.is_floating or dtype.is_complex:
        return tf.cast(tf.random.stateless_normal(sizes, (0, 1)), dtype)
    return tf.cast(tf.random.stateless_uniform(sizes, (0, 1), 0, 2, tf.int32), dtype)
