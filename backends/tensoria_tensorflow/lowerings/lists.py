"""Lists of tensors, which loops read and write, and look-ups in variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.dtypes import int64
from tensoria.errors import PortingError
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.recorder import Recorder, current, recording
from tensoria.programs.standard import cast, getitem
from tensoria_tensorflow.lowerings.call import Array, one, own_dtype, whole
from tensoria_tensorflow.lowerings.held import Counter, TensorList, WrittenList

__all__ = ["LISTS", "ReadError", "ReadList"]


class ReadError(Exception):
    """A pass reads a list that it was taken to write to only."""

    def __init__(self, number: int) -> None:
        self.number = number


class ReadList:
    """A list that a loop reads: at the counter it is a slice of the scan."""

    def __init__(self, of: TensorList, length: Size, sliced: Callable[[Any, Array], Array], parent: Recorder) -> None:
        self.list, self.length, self.sliced, self.parent = of, length, sliced, parent

    def get(self, recorder: Any, index: Any) -> Array:
        """The tensor at a place."""
        if isinstance(index, Counter) and index.step == 1:
            with recording(self.parent):
                array = self.list.whole(self.parent)
                if not (index.start == 0 and self.list.length == self.length):
                    array = getitem(array, (slice(index.start, index.start + self.length), Ellipsis))
            return self.sliced(str(index.start), array)
        return self.list.get(recorder, index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.list, name)


# -- lists ------------------------------------------------------------------------------------------------------------


def _shape(value: Any, inner: Any = None) -> tuple[Size, ...] | None:
    """The shape of a list's tensors, if all of it is given."""
    sizes = whole(value)
    if not isinstance(sizes, tuple) or any(isinstance(size, int) and size < 0 for size in sizes):
        return None
    return sizes


def _reserve(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    shape, length = given
    if not isinstance(length, np.ndarray):
        raise PortingError("a list of tensors whose length depends on numbers is not ported.")
    of = own_dtype(operation.get_attr("element_dtype"))
    return [TensorList(length.item(), of, _shape(shape) if isinstance(shape, np.ndarray) else None)]


def _empty(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    return [TensorList(0, own_dtype(operation.get_attr("element_dtype")), _shape(given[0]))]


def _unstacked(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    array = walk.array(given[0], operation.inputs[0].dtype)
    return [TensorList(array.shape[0], array.dtype, array.shape[1:], array)]


def _get(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    of, index = given[:2]
    if isinstance(of, WrittenList):
        raise ReadError(of.number)
    return [of.get(current(), index)]


def _set(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    of, index, value = given
    array = walk.array(value, operation.inputs[2].dtype)
    if isinstance(of, WrittenList):
        if of.value is not None:
            raise ReadError(of.number)
        return [WrittenList(of.number, of.of, index, array)]
    if isinstance(of, ReadList):
        of = of.list
    return [of.set(current(), index, array)]


def _push(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    of, value = given
    if not isinstance(of, TensorList) or isinstance(of.length, Dim):
        raise PortingError("a list that grows in a loop is not ported.", legal="tf.TensorArray of a known size")
    array = walk.array(value, operation.inputs[1].dtype)
    return [TensorList(of.length + 1, of.of, array.shape, of.stacked, {**of.items, of.length: array})]


def _stacked(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    of = given[0]
    return [of.whole(current())]


def _list_length(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    length = given[0].length
    return [np.asarray(length, object) if isinstance(length, Dim) else np.asarray(length, np.int32)]


def _list_gather(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    of, at = given[:2]
    places = walk.array(at, operation.inputs[1].dtype)
    return [one(of.whole(current()), "take", cast(places, int64), axis=0)]


# -- variables --------------------------------------------------------------------------------------------------------


def _looked_up(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    table = walk.read(given[0], operation)
    at = walk.array(given[1], operation.inputs[1].dtype)
    if operation.get_attr("batch_dims"):
        raise PortingError("a look-up by batch in a variable is not ported.", legal="tf.gather of its value")
    return [one(table, "embedding", at) if table.ndim == 2 and table.dtype.kind == "float" else getitem(table, at)]


LISTS: dict[str, Callable[..., list[Any]]] = {
    "TensorListReserve": _reserve, "EmptyTensorList": _empty, "TensorListFromTensor": _unstacked,
    "TensorListGetItem": _get, "TensorListSetItem": _set, "TensorListPushBack": _push, "TensorListStack": _stacked,
    "TensorListLength": _list_length, "TensorListGather": _list_gather, "ResourceGather": _looked_up,
}  # fmt: skip
"""What each operation on lists and variables becomes."""
