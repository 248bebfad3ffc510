"""What `tf.nest` and `tf.function` have to know of tensoria: a `Tensor` is one array; axes and backend are metadata.

So tensors are arguments, results, loop variables and parts of nested structures, and a `tf.function` traces once for
each structure. TensorFlow finds these methods by name on the class; they are put there when this backend is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorflow.core.function.trace_type import custom_nest_trace_type, trace_type_builder

from tensoria.indices import bare
from tensoria.pytree import register_optree
from tensoria.tensor import Tensor

__all__ = ["register"]


def _flatten(self: Tensor) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    # A transformation may put anything in the leaf's place: declared symmetries stay behind.
    return (bare(self._axes), self._backend), (self._array,)


def _unflatten(cls: type[Tensor], metadata: tuple[Any, ...], leaves: Sequence[Any]) -> Tensor:
    # Leaves may be placeholders, specs or None: nothing is checked.
    return cls.from_parts(leaves[0], metadata[0], metadata[1])


def _tracing_type(self: Tensor, context: Any) -> Any:
    # Without this, tf.function would take whatever has `__array__` for a NumPy array and drop the labels.
    parts = tuple(trace_type_builder.from_value(part, context) for part in (self._array,))
    return custom_nest_trace_type.CustomNestTraceType(type(self), (bare(self._axes), self._backend), parts)


def register() -> None:
    """Tell TensorFlow."""
    Tensor.__tf_flatten__ = _flatten
    Tensor.__tf_unflatten__ = classmethod(_unflatten)
    Tensor.__tf_tracing_type__ = _tracing_type
    register_optree()
