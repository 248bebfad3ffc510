"""Points without a derivative where TensorFlow's own choice is not ours: ties of two numbers, and the norm of zero.

docs/calculus.md has the table. Each function here is the raw kernel unless somebody may ask for derivatives; then it is
the same numbers by operations whose derivatives are right, so that these have derivatives again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.eager.record import could_possibly_record

from ..kernels import EagerTensor, raw, select

__all__ = ["maximum", "minimum", "recorded", "without_zeros"]

Array = Any


def recorded(x: Array) -> bool:
    """Whether somebody may ask for derivatives: in graphs, and while there is a tape."""
    return type(x) is not EagerTensor or could_possibly_record()


def _sharing(kernel: Callable[..., Array]) -> Callable[..., Array]:
    def extreme(x: Array, y: Array) -> Array:
        out = kernel(x=x, y=y)
        if not x.dtype.is_floating or not (recorded(x) or recorded(y)):
            return out
        half = tf.constant(0.5, x.dtype)
        return select(raw.Equal(x=x, y=y), raw.AddV2(x=raw.Mul(x=x, y=half), y=raw.Mul(x=y, y=half)), out)

    return extreme


maximum = _sharing(raw.Maximum)
"""The greater of two numbers; equal ones share the derivative, where TensorFlow gives all of it to the first."""
minimum = _sharing(raw.Minimum)
"""The lesser of two numbers, likewise."""


def without_zeros(norm: Callable[[Array, bool], Array], size: Array, axes: Array, keepdims: bool) -> Array:
    """A norm whose derivative at zero is zero: the least of its subgradients, where TensorFlow has NaN."""
    zero = raw.Equal(x=size, y=tf.zeros((), size.dtype))
    everywhere = raw.All(input=zero, axis=axes, keep_dims=True)
    out = norm(select(everywhere, tf.ones((), size.dtype), size), keepdims)
    gone = everywhere if keepdims else raw.All(input=zero, axis=axes, keep_dims=False)
    return select(gone, tf.zeros((), out.dtype), out)
