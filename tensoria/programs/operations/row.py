"""What every row of the table of operations has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tensoria.errors import DTypeError
from tensoria.programs.types import Type

__all__ = ["Attributes", "Infer", "Operation", "same_dtype"]

Attributes: TypeAlias = Mapping[str, Any]
Infer: TypeAlias = Callable[..., tuple[Type, ...]]


@dataclass(frozen=True)
class Operation:
    """One operation of programs.

    Attributes:
        name: how instructions name it; the Array API's name where it has one.
        operands: what its operands are called; one that ends in `*` stands for any number of them.
        meaning: what it computes, in one line.
        infer: the types of its results, from the operands' types (positional) and the attributes (by name).
            Raises ShapeError or DTypeError for operands that it does not take. Operands of different data types are
            never promoted: whoever records inserts casts.
        attributes: their names.
    """

    name: str
    operands: tuple[str, ...]
    meaning: str
    infer: Infer
    attributes: tuple[str, ...] = ()

    def __str__(self) -> str:
        attributes = "".join(f", {name}=" for name in self.attributes)
        return f"{self.name}({', '.join(self.operands)}{attributes}): {self.meaning}"


def same_dtype(name: str, types: Sequence[Type]) -> None:
    """Raise unless all operands have one data type.

    Raises:
        DTypeError: they have not.
    """
    first = types[0].dtype
    for other in types[1:]:
        if other.dtype is not first:
            raise DTypeError(
                f"{name} of {first} and {other.dtype}: an instruction does not promote.", legal="astype first"
            )
