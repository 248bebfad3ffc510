"""One operation of a graph on its way into a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.dtypes import DType, dtype
from tensoria.errors import PortingError
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.standard import namespace
from tensoria.programs.standard.operands import one

__all__ = [
    "Array", "Call", "Known", "Lowering", "literal_like", "one", "ordered", "own_dtype", "position", "turned",
    "whole", "xp",
]  # fmt: skip

xp = namespace
Array = SymbolicArray
Known = np.ndarray[Any, Any]
"""Numbers that are known before anything runs: a constant, or sizes, whose entries may be expressions."""
Lowering = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """What a lowering may ask about the operation that it lowers, beside its operands.

    Attributes:
        recorder: where instructions go.
        operation: TensorFlow's.
        walk: what goes through the graph.
    """

    recorder: Recorder
    operation: Any
    walk: Any

    def attribute(self, name: str) -> Any:
        """An attribute: a number, a data type of ours, text, or a list of them."""
        found = self.operation.get_attr(name)
        if isinstance(found, bytes):
            return found.decode()
        return own_dtype(found) if hasattr(found, "as_numpy_dtype") else found

    @property
    def dtype(self) -> DType:
        """The data type of the (first) result."""
        return own_dtype(self.operation.outputs[0].dtype)

    def array(self, value: Any, of: DType | None = None) -> Array:
        """A number, known numbers or an array as an array."""
        if isinstance(value, SymbolicArray):
            return value
        return lifted(self.recorder, value, of or self.dtype)


def lifted(recorder: Recorder, value: Any, of: DType) -> Array:
    """Known numbers as an array of the program."""
    if not isinstance(value, np.ndarray) or value.dtype != object:
        array = np.asarray(value)
        if of.name == "bfloat16":
            array = array.astype(np.float32)
        return recorder.constant(array, of, origin=value if isinstance(value, np.ndarray) else None)
    sizes = [recorder.size(size, of) for size in value.reshape(-1)]
    if value.ndim == 0:
        return sizes[0]
    found = xp.stack(sizes, axis=0) if sizes else recorder.constant(np.zeros(0, np.int64), of)
    return xp.reshape(found, value.shape)


def own_dtype(of: Any) -> DType:
    """tensoria's data type of TensorFlow's.

    Raises:
        PortingError: there is none.
    """
    try:
        return dtype(of.name)
    except Exception:
        raise PortingError(f"{of} is no data type of tensoria.") from None


def literal_like(x: Array, number: complex) -> Array:
    """A number of an array's data type."""
    return x.recorder.literal(number, x.dtype)


def ordered(x: Array, source: str, target: str) -> Array:
    """Axes named by the letters of one word in the order of another."""
    return x if source == target else xp.permute_dims(x, tuple(source.index(letter) for letter in target))


def turned(x: Array, transposed: bool, conjugate: bool = False) -> Array:
    """A matrix, or its transpose, or its adjoint."""
    if not transposed:
        return x
    x = xp.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
    return one(x, "conj") if conjugate and x.dtype.kind == "complex" else x


def whole(value: Any) -> Any:
    """Known numbers as Python's: an integer or expression, or a tuple of them."""
    if isinstance(value, np.ndarray):
        found = value.tolist()
        return tuple(found) if isinstance(found, list) else found
    return value


def position(axis: Any, ndim: int) -> int:
    """An axis counted from the front."""
    return int(axis) % ndim if ndim else 0


def positions(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in order."""
    found = whole(axes)
    given: Sequence[Any] = found if isinstance(found, tuple) else (found,)
    return tuple(sorted({position(axis, ndim) for axis in given}))
