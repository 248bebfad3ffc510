"""What a graph writes as several operations and is one: kept until it is clear what it becomes.

A dilated convolution is a convolution between `SpaceToBatchND` and `BatchToSpaceND`; the sign of a float is read from
its bits. Each is a value of its own while it is passed on, and an array as soon as another operation asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tensoria.errors import PortingError, ShapeError
from tensoria_tensorflow.lowerings import neural, shapes
from tensoria_tensorflow.lowerings.call import Array, Call, one, own_dtype, whole

__all__ = ["DEFERRED", "Deferred"]


class Deferred:
    """A value that is not computed yet."""

    def follow(self, call: Call, given: list[Any]) -> Any:
        """What an operation that is given this value becomes; None if it has to be computed first."""
        raise NotImplementedError

    def array(self) -> Array:
        """The value, computed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Spread(Deferred):
    """An image whose every so many places are images of their own: before or after a convolution of these.

    Attributes:
        image: as it was.
        block, padding: how it is spread.
        before: computes the spread image.
        convolved: computes the dilated convolution, given what is cut from its result.
        axis: where an axis of size 1 was put in between; None for none.
    """

    image: Array
    block: tuple[int, ...]
    padding: Any
    before: Callable[[], Array]
    convolved: Callable[[Any], Array] | None = None
    axis: int | None = None

    def array(self) -> Array:
        return self.before()

    def follow(self, call: Call, given: list[Any]) -> Any:
        name = call.operation.type
        before = self.before
        if name == "ExpandDims" and self.axis is None and self.convolved is None:
            at = int(given[1]) % (self.image.ndim + 1)
            if at != 1:
                return None
            return replace(self, axis=at, before=lambda: shapes.LOWERINGS[name](call, before(), given[1]))
        if name == "Squeeze" and self.axis is not None and self.convolved is not None:
            if [n % (self.image.ndim + 1) for n in call.attribute("squeeze_dims")] != [self.axis]:
                return None
            return replace(self, axis=None, before=lambda: shapes.LOWERINGS[name](call, before()))
        if name in ("Conv2D", "Conv3D", "DepthwiseConv2dNative") and given[0] is self and self.convolved is None:
            return self._convolved(call, call.walk.array(given[1], call.operation.inputs[1].dtype))
        if name == "BatchToSpaceND" and self.convolved is not None and self.axis is None:
            known = all(isinstance(x, np.ndarray) for x in given[1:])
            return self.convolved(whole(given[2])) if known and tuple(whole(given[1])) == self.block else None
        return None

    def _convolved(self, call: Call, kernel: Array) -> Any:
        letters = call.attribute("data_format")
        spatial = [n for n, letter in zip(call.attribute("strides"), letters, strict=True) if letter not in "NC"]
        if call.attribute("padding") != "VALID" or letters[-1] != "C" or any(n != 1 for n in spatial):
            return None
        block, padding = list(self.block), [tuple(pair) for pair in self.padding]
        image = self.image
        if self.axis is not None:
            block, padding = [1, *block], [(0, 0), *padding]
            image = one(image, "expand_dims", axes=(self.axis,))
        if len(block) != len(letters) - 2:
            return None
        before = self.before

        def made(crops: Any) -> Array:
            cut = [(0, 0), *crops] if self.axis is not None else list(crops)
            # What is cut from the end was never there.
            around = tuple((low, high - end) for (low, high), (_, end) in zip(padding, cut, strict=True))
            if any(not isinstance(start, int) or start for start, _ in cut):
                raise ShapeError("a dilated convolution that is cut at its beginning is not ported.")
            found = neural.convolved(call, image, kernel, (1,) * len(block), tuple(block), around)
            return one(found, "squeeze", axes=(self.axis,)) if self.axis is not None else found

        return replace(self, convolved=made, before=lambda: neural.LOWERINGS[call.operation.type](
            call, before(), kernel
        ))  # fmt: skip


@dataclass(frozen=True)
class Bits(Deferred):
    """The bits of floats, read as whole numbers.

    Attributes:
        of: the floats.
        sign: whether all bits but the sign's are 0.
    """

    of: Array
    sign: bool = False

    def array(self) -> Array:
        raise PortingError("numbers made of the bits of others are not ported, but for the sign.")

    def follow(self, call: Call, given: list[Any]) -> Any:
        name, other = call.operation.type, given[1] if len(given) > 1 else None
        if not isinstance(other, np.ndarray) or other.ndim or given[0] is not self:
            return None
        lowest = np.iinfo(call.operation.inputs[0].dtype.as_numpy_dtype).min
        if name == "BitwiseAnd" and int(other) == lowest:
            return Bits(self.of, True)
        return one(self.of, "signbit") if name == "Less" and self.sign and int(other) == 0 else None


def _spread(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    image = walk.array(given[0], operation.inputs[0].dtype)
    call = Call(image.recorder, operation, walk)
    block, padding = given[1:]
    if not all(isinstance(x, np.ndarray) for x in (block, padding)):
        raise PortingError("blocks whose sizes depend on numbers are not ported.")
    kept: list[Array] = []

    def before() -> Array:
        if not kept:
            kept.append(shapes.space_to_batch(call, image, block, padding))
        return kept[0]

    return [Spread(image, tuple(int(n) for n in whole(block)), whole(padding), before)]


def _bits(walk: Any, operation: Any, given: list[Any], path: Any) -> list[Any]:
    x = walk.array(given[0], operation.inputs[0].dtype)
    to = own_dtype(operation.outputs[0].dtype)
    if x.dtype is to:
        return [x]
    if x.dtype.kind == "float" and to.kind == "int" and to.itemsize == x.dtype.itemsize:
        return [Bits(x)]
    raise PortingError(f"the bits of {x.dtype} as {to} are not ported.")


DEFERRED: dict[str, Callable[..., list[Any]]] = {"SpaceToBatchND": _spread, "Bitcast": _bits}
"""What each operation that begins such a value becomes."""
