"""What a program is made of: typed values, literals, and the instructions that connect them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tensoria.dtypes import DType
from tensoria.indices import PLAIN, Axes
from tensoria.programs.dimensions import Size

__all__ = [
    "Instruction", "Literal", "Operand", "Region", "Shape", "Source", "Type", "Value", "assigned", "regions", "within",
]  # fmt: skip

Shape: TypeAlias = tuple[Size, ...]


@dataclass(frozen=True)
class Type:
    """A data type and a shape, whose sizes may be expressions."""

    dtype: DType
    shape: Shape = ()

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


@dataclass(eq=False)
class Value:
    """The result of one instruction, or an input, a parameter or a constant; each is assigned once.

    Attributes:
        type: its data type and shape.
        name: how it is called when the program is printed or written out; unique within a program.
        axes: the labels of its last axes, as far as tracing saw them.
    """

    type: Type
    name: str = ""
    axes: Axes = PLAIN

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"

    @property
    def labels(self) -> str:
        """The type with its labels, as programs print it: `float32[batch, 4; b ^i]`."""
        text = str(self.type)
        return text if self.axes is PLAIN else f"{text[:-1]}; {' '.join(map(str, self.axes.indices))}]"


@dataclass(frozen=True)
class Literal:
    """A number that is written into the program: 0-d, of one data type."""

    number: complex
    dtype: DType

    @property
    def type(self) -> Type:
        """Its data type and (empty) shape."""
        return Type(self.dtype)

    def __str__(self) -> str:
        return f"{self.number!r}:{self.dtype.name}"


Operand: TypeAlias = Value | Literal


@dataclass(frozen=True)
class Source:
    """Where an instruction comes from: a line of Python, and the module call that ran it.

    Attributes:
        file, line: the line of the user's code; an empty file if it is not known.
        module: the path of the module (`encoder.layer.0.attention`), or empty.
        call: how often this module had been called before in the program.
        kind: the module's class by its full name (`torch.nn.modules.linear.Linear`), or empty.
    """

    file: str = ""
    line: int = 0
    module: str = ""
    call: int = 0
    kind: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else ""
        return f"{self.module} ({where})" if self.module and where else self.module or where


@dataclass(frozen=True, eq=False)
class Instruction:
    """One operation on operands, with results of its own.

    Attributes:
        operation: the row of `operations.OPERATIONS` by name.
        operands: values and literals, in the row's order.
        attributes: what is not an array: axes, shapes, keys, patterns.
        results: the values that it assigns.
        source: where it comes from.
    """

    operation: str
    operands: tuple[Operand, ...]
    attributes: Mapping[str, Any]
    results: tuple[Value, ...]
    source: Source = field(default_factory=Source)


class Region:
    """A program inside of an instruction: a function of its inputs alone, what it captures is among them.

    Attributes:
        inputs, instructions, outputs: as those of a program.
    """

    inputs: tuple[Value, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Operand, ...]

    def evaluate(self, backend: Any, arrays: Any, sizes: Mapping[str, int] | None = None) -> list[Any]:
        """The outputs for native arrays; the sizes of symbols are the surrounding program's."""
        raise NotImplementedError

    def takes(self) -> tuple[Type, ...]:
        """The types of its inputs."""
        return tuple(value.type for value in self.inputs)

    def gives(self) -> tuple[Type, ...]:
        """The types of its outputs."""
        return tuple(operand.type for operand in self.outputs)


def regions(made: Instruction) -> dict[str, Region]:
    """The programs inside of an instruction, by attribute."""
    return {name: value for name, value in made.attributes.items() if isinstance(value, Region)}


def assigned(region: Region) -> Iterator[Value]:
    """The values that instructions assign, and the inputs and values of programs inside of them."""
    for made in region.instructions:
        yield from within(made)
        yield from made.results


def within(made: Instruction) -> Iterator[Value]:
    """The inputs and values of the programs inside of an instruction."""
    for inner in regions(made).values():
        yield from inner.inputs
        yield from assigned(inner)
