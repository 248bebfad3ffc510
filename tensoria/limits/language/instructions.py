"""What a Tensor Program consists of: typed variables, and the instructions that make them.

`A(n, m)` is a matrix, `G(n)` a vector that comes from an input or a MatMul, `H(n)` any vector, `C` a scalar with a
deterministic limit (TP I, section 3; TP III calls them Matrix, Vector and Scalar). Each variable is made once, by one
instruction, which remembers the line of Python that wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from tensoria.limits.language.dimensions import Dimension
from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.limits.language.numbers import Number, shown
from tensoria.programs.types import Source

__all__ = [
    "Constant", "Initial", "LinComb", "MatMul", "Matrix", "Moment", "Nonlin", "OuterNonlin", "Rule", "Scalar",
    "Variable", "Vector",
]  # fmt: skip


@dataclass(eq=False)
class Vector:
    """A vector of the program.

    Attributes:
        program: where it belongs.
        name, dimension: as printed.
        kind: `G` if it comes from an input or a MatMul, else `H`.
        position: the number of the instruction that makes it.
    """

    program: Any
    name: str
    dimension: Dimension
    kind: str
    position: int

    def __repr__(self) -> str:
        return f"{self.name} : {self.kind}({self.dimension})"

    def __add__(self, other: Any) -> Vector:
        return self.program.lincomb([1, 1], [self, other])  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> Vector:
        return self.program.lincomb([1, -1], [self, other])  # type: ignore[no-any-return]

    def __neg__(self) -> Vector:
        return self.program.lincomb([-1], [self])  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Vector:
        if isinstance(other, Vector):
            return self.program.nonlin(lambda x, y: x * y, self, other)  # type: ignore[no-any-return]
        return self.program.lincomb([other], [self])  # type: ignore[no-any-return]

    __rmul__ = __mul__


@dataclass(eq=False)
class Matrix:
    """A matrix of the program, or its transpose.

    Attributes:
        rows, columns: its dimensions as it stands.
        variance: s_W^2; the entries of the untransposed matrix have variance s_W^2 / columns.
        transposed: whether this is the transpose of `base`.
        base: the matrix itself.
    """

    program: Any
    name: str
    rows: Dimension
    columns: Dimension
    variance: Number
    transposed: bool = False
    _base: Matrix | None = None
    _transpose: Matrix | None = None

    @property
    def base(self) -> Matrix:
        """The matrix that was sampled."""
        return self._base or self

    @property
    def T(self) -> Matrix:  # noqa: N802
        """Its transpose."""
        return self.program.transpose(self)  # type: ignore[no-any-return]

    def __matmul__(self, x: Vector) -> Vector:
        return self.program.matmul(self, x)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"{self.name} : A({self.rows}, {self.columns})"


@dataclass(eq=False)
class Scalar:
    """A scalar of the program."""

    program: Any
    name: str
    position: int

    def __repr__(self) -> str:
        return f"{self.name} : C"

    def _apply(self, function: Any, *others: Any) -> Scalar:
        scalars = [x for x in (self, *others) if isinstance(x, Scalar)]
        made: Scalar = self.program.scalar_function(function, *scalars)
        return made

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Vector):
            return self.program.lincomb([self], [other])
        if isinstance(other, Scalar):
            return self._apply(lambda a, b: a * b, other)
        return self._apply(lambda a: a * float(other))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Scalar:
        if isinstance(other, Scalar):
            return self._apply(lambda a, b: a + b, other)
        return self._apply(lambda a: a + float(other))

    __radd__ = __add__

    def __neg__(self) -> Scalar:
        return self._apply(lambda a: -a)

    def __sub__(self, other: Any) -> Scalar:
        found: Scalar = self + (-other)
        return found

    def __rsub__(self, other: Any) -> Scalar:
        found: Scalar = (-self) + other
        return found


Variable: TypeAlias = Vector | Scalar


@dataclass(frozen=True, eq=False)
class Rule:
    """One instruction.

    Attributes:
        results: what it makes.
        source: the line that wrote it.
    """

    results: tuple[Variable, ...]
    source: Source

    @property
    def result(self) -> Any:
        """Its only result."""
        return self.results[0]

    def text(self) -> str:
        """Its right-hand side."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Initial(Rule):
    """Vectors whose slices are iid N(mean, covariance)."""

    mean: tuple[Number, ...]
    covariance: tuple[tuple[Number, ...], ...]

    def text(self) -> str:
        """N(mean, variance), or what is joint."""
        if len(self.results) == 1:
            return f"N({shown(self.mean[0])}, {shown(self.covariance[0][0])})"
        return f"jointly N(mu, Sigma) with {', '.join(x.name for x in self.results)}"


@dataclass(frozen=True, eq=False)
class Constant(Rule):
    """A scalar that is given."""

    value: Number

    def text(self) -> str:
        """The number."""
        return shown(self.value)


@dataclass(frozen=True, eq=False)
class MatMul(Rule):
    """W x or W^T x."""

    matrix: Matrix
    operand: Vector

    def text(self) -> str:
        """W x."""
        return f"{self.matrix.name} {self.operand.name}"


@dataclass(frozen=True, eq=False)
class LinComb(Rule):
    """A sum of vectors times numbers or scalars."""

    coefficients: tuple[Number | Scalar, ...]
    operands: tuple[Vector, ...]

    def text(self) -> str:
        """c1 x1 + c2 x2."""
        parts = []
        for c, x in zip(self.coefficients, self.operands, strict=True):
            if isinstance(c, Scalar):
                parts.append(f"{c.name} {x.name}")
            else:
                parts.append(x.name if c == 1 else f"-{x.name}" if c == -1 else f"{shown(c)} {x.name}")
        return " + ".join(parts).replace("+ -", "- ")


@dataclass(frozen=True, eq=False)
class Nonlin(Rule):
    """phi(x1, ..., xk; theta1, ..., thetal), coordinate by coordinate."""

    function: Nonlinearity
    operands: tuple[Vector, ...]
    scalars: tuple[Scalar, ...]

    def text(self) -> str:
        """The formula."""
        return self.function.text([*(x.name for x in self.operands), *(c.name for c in self.scalars)])


@dataclass(frozen=True, eq=False)
class Moment(Rule):
    """The mean over coordinates of phi(x1, ..., xk; theta1, ..., thetal); without vectors, phi of scalars."""

    function: Nonlinearity
    operands: tuple[Vector, ...]
    scalars: tuple[Scalar, ...]

    def text(self) -> str:
        """mean(formula)."""
        inner = self.function.text([*(x.name for x in self.operands), *(c.name for c in self.scalars)])
        return f"mean({inner})" if self.operands else inner


@dataclass(frozen=True, eq=False)
class OuterNonlin(Rule):
    """y_a = n^-r sum over b1..br of psi(x_a; x_b1; ...; x_br; theta) (TP IVb, definition 2.3)."""

    function: Nonlinearity
    own: tuple[Vector, ...]
    copies: tuple[tuple[Vector, ...], ...]
    scalars: tuple[Scalar, ...]

    @property
    def operands(self) -> tuple[Vector, ...]:
        """All vectors, in the function's order."""
        return (*self.own, *(x for copy in self.copies for x in copy))

    def text(self) -> str:
        """mean over the copies of the formula."""
        names = [x.name + "_a" for x in self.own]
        for n, copy in enumerate(self.copies):
            names += [f"{x.name}_{'bcdefgh'[n]}" for x in copy]
        over = ",".join("bcdefgh"[: len(self.copies)])
        return f"mean_{over}({self.function.text([*names, *(c.name for c in self.scalars)])})"
