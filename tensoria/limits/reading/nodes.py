"""Families of vectors: what the values of a program are when its widths are infinite.

An axis of a value is a width (its coordinates become iid), or finite. A value with one width axis is a *family* of
vectors, one for each position along its finite axes; a value without is a family of numbers. `Node` is such a family
(what is random), `Det` a family of numbers that are known in the limit: data, literals, moments. How a value of the
program shows its family - which axes in which order, merged or split - is a `View`, so that transposing and reshaping
cost nothing.

The linear nodes (`Sum`, `Scale`, `Weigh`, `Place`, `Map`, `Mix`, `Detached`) are pushed out of expectations; the leaves
(`Initial`, `Gathered`, `MatMul`) are Gaussian; `Nonlin`, `Product` and `Quadratic` are functions of Gaussian nodes.
Each node has the power of n that its size has: covariances are those of n^-power x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, TypeAlias

from tensoria.limits.laws import Law
from tensoria.limits.reading.expressions import Expression
from tensoria.programs.dimensions import Size

__all__ = [
    "BATCH",
    "ZERO",
    "Constant",
    "Coordinate",
    "Det",
    "Detached",
    "Gathered",
    "Initial",
    "Map",
    "MatMul",
    "Matrix",
    "Mix",
    "Node",
    "Nonlin",
    "Place",
    "Product",
    "Quadratic",
    "Scale",
    "Slot",
    "Sources",
    "Sum",
    "View",
    "Weigh",
]  # fmt: skip

ZERO: Final = Fraction(0)


class _Batch:
    def __repr__(self) -> str:
        return "batch"


BATCH: Final = _Batch()
"""The slot of the axis along which examples stand that do not see each other."""


@dataclass(frozen=True)
class Coordinate:
    """An axis along which a vector's coordinates stand: iid in the limit.

    Attributes:
        owner: the parameter's axis that it was first seen as, or what else made it.
        size: how long it is.
        wide: whether it grows with the width; otherwise it is an output axis, along which readouts are iid.
    """

    owner: Any
    size: Size
    wide: bool


Slot: TypeAlias = Any
"""A part of a value's axis: `BATCH`, a `Coordinate`, or the number of a finite axis of the node."""
Sizes: TypeAlias = tuple[Size, ...]
Sources: TypeAlias = frozenset[tuple[str, int | None]]


@dataclass(eq=False)
class Det:
    """Numbers that are known in the limit, times n^power.

    Attributes:
        compute: from a session and the number of a run to the array, with the program's axes; width axes have size 1.
        axes: the slots of each axis.
        sizes: of its finite axes.
        number: if it is one number that the program holds.
    """

    compute: Callable[[Any, int], Any]
    axes: tuple[tuple[Slot, ...], ...]
    sizes: Sizes
    power: Fraction = ZERO
    number: float | None = None


@dataclass(eq=False)
class Node:
    """A family of vectors (or of Gaussian numbers).

    Attributes:
        sizes: of its finite axes.
        power: x is n^power times something of order one.
        wide: whether its coordinates are those of a width.
        gaussian: whether its members are jointly Gaussian with all other Gaussian nodes.
        sources: the parameters whose randomness it has directly, each with the position of the piece of it: nodes
            without a common one are independent.
    """

    sizes: Sizes = field(init=False)
    power: Fraction = field(init=False, default=ZERO)
    wide: bool = field(init=False, default=True)
    gaussian: bool = field(init=False, default=False)
    sources: Sources = field(init=False, default=frozenset())
    where: str = field(init=False, default="")

    def below(self) -> tuple[Node, ...]:
        """The nodes that it is made of."""
        return ()


@dataclass(eq=False)
class Initial(Node):
    """A parameter with at most one width axis; its entries are iid.

    Attributes:
        name, law: of the parameter.
        fixed: for each finite axis of the parameter None, or the position that was taken.
        fresh: whether every example has entries of its own (a dropout mask).
    """

    name: str
    law: Law
    fixed: tuple[int | None, ...]
    fresh: bool = False


@dataclass(eq=False)
class Gathered(Node):
    """Vectors of a parameter at positions that the data say: tokens in a table.

    Attributes:
        of: the parameter, a family over one axis.
        indices: the positions.
    """

    of: Initial
    indices: Det

    def below(self) -> tuple[Node, ...]:
        return (self.of,)


@dataclass(eq=False)
class Matrix(Node):
    """A parameter with two width axes, a family of matrices over its finite ones.

    Attributes:
        name, law: of the parameter.
        fixed: for each finite axis of the parameter None, or the position that was taken.
        number: a factor in front of it, times n^power.
    """

    name: str
    law: Law
    fixed: tuple[int | None, ...]
    number: float


@dataclass(eq=False)
class MatMul(Node):
    """Sums of matrices times vectors.

    Attributes:
        matrix, x: what is multiplied.
        side: which of the matrix' width axes is summed; its use as a transpose has the other one.
        count: the leading coefficient of the size that is summed over, and `degree` its power.
        of_matrix, of_x: a label for each finite axis of both.
        out: the labels that the result has; others are summed.
        trained: whether the parameter is.
    """

    matrix: Matrix
    x: Node
    side: int
    count: float
    degree: int
    of_matrix: tuple[int, ...]
    of_x: tuple[int, ...]
    out: tuple[int, ...]

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Constant(Node):
    """The same number in every coordinate.

    Attributes:
        value: the numbers.
        places: for each finite axis of them its number in the family.
    """

    value: Det
    places: tuple[int, ...]


@dataclass(eq=False)
class Sum(Node):
    """A sum of families over the same axes."""

    terms: tuple[Node, ...]

    def below(self) -> tuple[Node, ...]:
        return self.terms


@dataclass(eq=False)
class Scale(Node):
    """A number times n^e times a family."""

    number: float
    exponent: Fraction
    x: Node

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Weigh(Node):
    """Every member of a family times a known number."""

    value: Det
    places: tuple[int, ...]
    x: Node

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Place(Node):
    """A family with its axes at other places, constant along new ones.

    Attributes:
        places: for each axis of x its number in the result.
    """

    x: Node
    places: tuple[int, ...]

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Map(Node):
    """A linear map of a family along its finite axes, the same for all data.

    Attributes:
        apply: `apply(session, run, array, k)` maps an array that has x's axes from the k-th on.
        name: what it is.
        selects: whether every member is one of x's members, or 0.
    """

    x: Node
    apply: Callable[[Any, int, Any, int], Any]
    name: str
    selects: bool

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Mix(Node):
    """Sums of members with known weights: y[out] = sum of value[of_value] x[of_x]."""

    value: Det
    x: Node
    of_value: tuple[int, ...]
    of_x: tuple[int, ...]
    out: tuple[int, ...]

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Detached(Node):
    """The same family, of which nothing is differentiated."""

    x: Node

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(eq=False)
class Nonlin(Node):
    """A coordinatewise function of Gaussian families over the same axes, and of known numbers.

    Attributes:
        tree: the function.
        variables: Gaussian nodes.
        scalars: numbers, with the places of their axes.
    """

    tree: Expression
    variables: tuple[Node, ...]
    scalars: tuple[tuple[Det, tuple[int, ...]], ...]

    def below(self) -> tuple[Node, ...]:
        return self.variables


@dataclass(eq=False)
class Product(Node):
    """A product, coordinate by coordinate, of families over the same axes."""

    factors: tuple[Node, ...]

    def below(self) -> tuple[Node, ...]:
        return self.factors


@dataclass(eq=False)
class Quadratic(Node):
    """(offset + sum of weight x^2 over finite axes)^exponent, of a Gaussian family: what normalises over a batch.

    Attributes:
        x: the family whose squares are summed.
        total: the linear map that sums them.
        offset: what is added.
        exponent: the power that is taken.
    """

    x: Node
    total: Map
    offset: Det | None
    places: tuple[int, ...]
    exponent: Fraction

    def below(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(frozen=True)
class View:
    """How a value of the program shows a family.

    Attributes:
        of: the family.
        axes: the slots of each axis of the value.
    """

    of: Node | Det
    axes: tuple[tuple[Slot, ...], ...]
