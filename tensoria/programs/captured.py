"""What a backend makes of a model of its framework: a program, and where it could not follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensoria.backend import Array
from tensoria.errors import PortingError
from tensoria.programs.dimensions import Dim
from tensoria.programs.program import Program
from tensoria.programs.types import Source, Value

__all__ = ["Captured", "Dynamic", "Fixed", "Operator", "Reference", "open_axes"]

Dynamic: TypeAlias = Mapping[str, Sequence[str | Dim | None]]
"""For the name of an argument one entry for each axis: the name of an open size, or None."""


def open_axes(dynamic: Dynamic, tensors: Sequence[tuple[str, str, int]]) -> list[Sequence[str | Dim | None]]:
    """What each axis of the arguments' tensors is to be called; nothing for tensors that all sizes of are fixed.

    An entry for an argument that is a container is one for every tensor in it with as many axes.

    Args:
        dynamic: what a user asks for.
        tensors: of each the argument that it is in, its own name, and how many axes it has.

    Raises:
        PortingError: an entry fits no tensor.
    """
    found: list[Sequence[str | Dim | None]] = []
    used = set()
    for root, path, axes in tensors:
        name = path if path in dynamic else root
        sizes = tuple(dynamic.get(name, ()))
        if name in dynamic and len(sizes) == axes:
            used.add(name)
        elif name in dynamic and name == path:
            raise PortingError(f"dynamic= has {len(sizes)} entries for {name}, which has {axes} axes.")
        else:
            sizes = ()
        found.append(sizes)
    for name in dynamic:
        if name not in used:
            raise PortingError(
                f"dynamic= names {name!r}, and no tensor with as many axes is called so.",
                legal=", ".join(path for _, path, _ in tensors),
            )
    return found


@dataclass(frozen=True)
class Operator:
    """One operator of the framework, as a model uses it.

    Attributes:
        name: the framework's name.
        sources: where the model calls it, once for each call.
        ported: whether it becomes instructions.
        operations: the instructions that it became.
    """

    name: str
    sources: tuple[Source, ...]
    ported: bool
    operations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fixed:
    """An axis that was to stay open, and that the model fixes.

    Attributes:
        argument, axis: which one.
        name: what its size was to be called.
        size: what the model makes of it: a number, or the name of another size.
        reason: the condition that the model demands, as the framework states it; empty if it does not say.
        source: the line that demands it.
    """

    argument: str
    axis: int
    name: str
    size: str
    reason: str = ""
    source: Source = Source()  # noqa: RUF009

    def __str__(self) -> str:
        because = f" ({self.reason})" if self.reason else ""
        where = f", at {self.source}" if self.source.file else ""
        return f"{self.name}, axis {self.axis} of {self.argument}, is {self.size}{because}{where}"


@dataclass(frozen=True)
class Reference:
    """What a model itself computes, in its own framework's arrays.

    Attributes:
        results: its results' tensors, in the order of the captured program's outputs.
        parameters: gradients by the parameters' names; None where nothing depends on one.
        inputs: gradients by the arguments' tensors, in order; None for integers.
    """

    results: Sequence[Array]
    parameters: Mapping[str, Array | None]
    inputs: Sequence[Array | None]


@dataclass(frozen=True)
class Captured:
    """A model as its framework shows it.

    Attributes:
        program: what it computes; None if something is missing.
        operators: the framework's operators in it, in order of appearance.
        fixed: axes that were to stay open.
        refused: what is missing beside operators: side effects, results that are no tensors.
        replay: runs the model itself on native arguments (one for each input of the program) and yields the
            program's values with the arrays that the framework has for them; in float64 for float32 if it is told.
    """

    program: Program | None
    operators: tuple[Operator, ...]
    fixed: tuple[Fixed, ...]
    refused: tuple[str, ...]
    replay: Callable[[Sequence[Array], bool], Iterator[tuple[Value, Array]]]
