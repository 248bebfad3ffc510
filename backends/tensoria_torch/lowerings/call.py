"""One node of an exported graph on its way into a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tensoria.dtypes import DType, dtype, uint32
from tensoria.errors import PortingError
from tensoria.programs.dimensions import Size
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.standard import cast, namespace
from tensoria.programs.standard.operands import one
from tensoria.programs.types import Type, Value
from tensoria_torch.reals import Real
from tensoria_torch.sizes import Sizes

__all__ = ["Call", "Draws", "Lowering", "literal_like", "of_one", "one", "own_dtype", "positions", "xp"]

xp = namespace
Lowering = Callable[..., Any]


class Draws:
    """The random numbers that a model draws: one key for all, and a number for each draw.

    Attributes:
        key: the key, once something was drawn.
    """

    def __init__(self, recorder: Recorder, name: str = "key") -> None:
        self.recorder, self.name = recorder, name
        self.key: Value | None = None
        self.count = 0

    def next(self) -> tuple[SymbolicArray, int]:
        """The key, and the number of a draw."""
        if self.key is None:
            self.key = Value(Type(uint32, (2,)), self.name)
        self.count += 1
        return SymbolicArray(self.key, self.recorder), self.count - 1


@dataclass(frozen=True)
class Call:
    """What a lowering may ask about the node that it lowers, beside its arguments.

    Attributes:
        recorder: where instructions go.
        value: what PyTorch says of the result: a fake tensor, or several.
        given: the arguments as the graph has them, with fake tensors for nodes.
        sizes: reads PyTorch's sizes.
        draws: gives random numbers.
        wanted: of several results those that are used; None if that is not known.
    """

    recorder: Recorder
    value: Any
    given: tuple[Any, ...]
    sizes: Sizes
    draws: Draws | None = None
    wanted: frozenset[int] | None = None

    def draw(self) -> tuple[SymbolicArray, int]:
        """The key, and the number of this draw."""
        assert self.draws is not None, "this operator draws random numbers"
        return self.draws.next()

    @property
    def dtype(self) -> DType:
        """The data type of the (first) result."""
        return own_dtype(self._first.dtype)

    @property
    def shape(self) -> tuple[Size, ...]:
        """The shape of the (first) result."""
        return self.sizes.shape(self._first.shape)

    @property
    def _first(self) -> Any:
        return self.value[0] if isinstance(self.value, (tuple, list)) else self.value

    def promoted(self, count: int = 2) -> DType:
        """The data type that the first arguments promote to, by PyTorch's rules (0-d tensors are weak)."""
        first, *rest = self.given[:count]
        found = torch.result_type(first, rest[0]) if rest else first.dtype
        for other in rest[1:]:
            found = torch.promote_types(found, torch.result_type(first, other))
        return own_dtype(found)

    def array(self, value: Any, of: DType) -> SymbolicArray:
        """An argument as an array of a data type: a cast, or a number."""
        if isinstance(value, SymbolicArray):
            return cast(value, of)
        if isinstance(value, (bool, int, float, complex)):
            return self.recorder.literal(value, of)
        if isinstance(value, Real):
            return value.array(self.recorder, of)
        return self.recorder.size(value, of)


def own_dtype(of: Any) -> DType:
    """tensoria's data type of PyTorch's.

    Raises:
        PortingError: there is none.
    """
    try:
        return dtype(str(of).removeprefix("torch."))
    except Exception:
        raise PortingError(f"{of} is no data type of tensoria.") from None


def literal_like(x: SymbolicArray, number: complex) -> SymbolicArray:
    """A number of an array's data type."""
    return x.recorder.literal(number, x.dtype)


def positions(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in order; all of them for None or none."""
    if axes is None or (isinstance(axes, Sequence) and not axes):
        return tuple(range(ndim))
    given = axes if isinstance(axes, (tuple, list)) else (axes,)
    return tuple(sorted(axis % ndim if ndim else 0 for axis in given)) if ndim else ()


def of_one(lowering: Lowering) -> Lowering:
    """The lowering of an operator along an axis, which takes a number for a vector of one component."""

    def lower(call: Call, x: SymbolicArray, *args: Any, **kwargs: Any) -> Any:
        if x.ndim:
            return lowering(call, x, *args, **kwargs)
        found = lowering(call, xp.reshape(x, (1,)), *args, **kwargs)
        if isinstance(found, tuple):
            return tuple(xp.reshape(result, ()) for result in found)
        return xp.reshape(found, ())

    return lower
