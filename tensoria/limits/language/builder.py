"""The builder: a Tensor Program written in the language's own words.

    >>> import tensoria as tn
    >>> p = tn.limits.TensorProgram()
    >>> W, x = p.matrix("W"), p.vector("x")
    >>> h = p.matmul(W, x, name="h")
    >>> z = p.nonlin(tn.tanh, h, name="z")
    >>> y = p.matmul(p.transpose(W), z, name="y")
    >>> c = p.moment(lambda y, x: y * x, y, x, name="c")
    >>> print(p)
    W : A(n, m), entries N(0, 1/m)
    x : G(m) = N(0, 1)                 Input
    h : G(n) = W x                     MatMul
    z : H(n) = tanh(h)                 Nonlin
    y : G(m) = W^T z                   MatMul, transposed
    c : C    = mean(y * x)             Moment
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.errors import LimitError
from tensoria.limits.language.dimensions import Dimension
from tensoria.limits.language.instructions import (
    Constant,
    Initial,
    LinComb,
    MatMul,
    Matrix,
    Moment,
    Nonlin,
    OuterNonlin,
    Rule,
    Scalar,
    Vector,
)
from tensoria.limits.language.nonlinearity import traced
from tensoria.limits.language.numbers import Number, number, shown
from tensoria.limits.language.printing import printed
from tensoria.programs.recorder import caller

__all__ = ["BaseTensorProgram"]


class BaseTensorProgram:
    """A program in the languages NETSOR to NE-OR-T, one instruction for each call.

    Args:
        transposes: whether matrices may be transposed; NETSOR and NETSOR+ have no transposes.

    Attributes:
        rules: the instructions in order.
        matrices: the matrices by name.
    """

    def __init__(self, *, transposes: bool = True) -> None:
        self.rules: list[Rule] = []
        self.matrices: dict[str, Matrix] = {}
        self.dimensions: dict[str, Dimension] = {}
        self.transposes = transposes
        self._names: set[str] = set()
        self._fresh = 0

    # -- dimensions, matrices, inputs -----------------------------------------------------------------------------

    def dimension(self, name: str, ratio: Any = None) -> Dimension:
        """A width by name.

        Args:
            ratio: this width divided by the base width, fixed while both grow.
        """
        found = self.dimensions.get(name)
        if found is None:
            found = self.dimensions[name] = Dimension(name, named=True)
        if ratio is not None:
            value = Fraction(number(ratio, "a ratio of widths")).limit_denominator(10**9)
            if value <= 0:
                raise LimitError(f"the ratio of {name} to the base width is positive, and {value} is not.")
            if found.root.declared not in (None, value):
                raise LimitError(f"inconsistent widths: {name} is declared as {found.ratio} and {value}.")
            found.root.declared = value
        return found

    def _dimension(self, of: Any) -> Dimension:
        if isinstance(of, Dimension):
            return of
        if of is not None:
            return self.dimension(of)
        self._fresh += 1
        return Dimension(f"n{self._fresh}")

    def matrix(self, name: str, *, variance: Any = 1, rows: Any = None, columns: Any = None) -> Matrix:
        """A matrix with iid entries N(0, variance / columns).

        Args:
            name: how it prints.
            variance: s_W^2.
            rows, columns: widths by name; found from its use if they are left out.

        Raises:
            LimitError: the name is taken, or the variance is negative.
        """
        value = number(variance, f"the variance of {name}")
        if value < 0:
            raise LimitError(f"the variance of {name} is {shown(value)}, a negative number, at {caller()}.")
        self._named(name)
        made = Matrix(self, name, self._dimension(rows), self._dimension(columns), value)
        self.matrices[name] = made
        return made

    def vector(self, name: str, *, mean: Any = 0, variance: Any = 1, dimension: Any = None) -> Vector:
        """An initial vector with iid coordinates N(mean, variance)."""
        return self.vectors([name], mean=[mean], covariance=[[variance]], dimension=dimension)[0]

    def vectors(
        self, names: Sequence[str], *, mean: Any = None, covariance: Any = None, dimension: Any = None
    ) -> list[Vector]:
        """Initial vectors of one width whose slices are iid N(mean, covariance).

        Args:
            names: one for each.
            mean: zero by default.
            covariance: the identity by default.

        Raises:
            LimitError: the covariance is not symmetric and positive semidefinite.
        """
        names = list(names)
        size = len(names)
        means = [0] * size if mean is None else list(mean)
        rows = np.eye(size, dtype=int).tolist() if covariance is None else [list(row) for row in covariance]
        if len(means) != size or len(rows) != size or any(len(row) != size for row in rows):
            raise LimitError(f"{size} vectors have a mean of {size} numbers and a covariance of {size} x {size}.")
        mu = tuple(number(m.item() if hasattr(m, "item") else m, "a mean") for m in means)
        sigma = tuple(
            tuple(number(c.item() if hasattr(c, "item") else c, "a covariance") for c in row) for row in rows
        )
        _semidefinite(sigma, names)
        of = self._dimension(dimension)
        position = len(self.rules)
        made = [Vector(self, self._named(name), of, "G", position) for name in names]
        self.rules.append(Initial(tuple(made), caller(), mu, sigma))
        return made

    def scalar(self, value: Any, name: str | None = None) -> Scalar:
        """A scalar that is given."""
        made = Scalar(self, self._name("c", name), len(self.rules))
        self.rules.append(Constant((made,), caller(), number(value)))
        return made

    # -- instructions ---------------------------------------------------------------------------------------------

    def transpose(self, matrix: Matrix) -> Matrix:
        """W^T, in the languages that have it.

        Raises:
            LimitError: this program's language has none.
        """
        if not self.transposes:
            raise LimitError(
                f"{matrix.name}^T at {caller()}: NETSOR and NETSOR+ have no transposes.",
                legal="TensorProgram(), which may use all languages",
            )
        if matrix._transpose is None:
            name = matrix.name.removesuffix("^T") if matrix.transposed else f"{matrix.name}^T"
            made = Matrix(
                self, name, matrix.columns, matrix.rows, matrix.variance, not matrix.transposed, matrix.base, matrix
            )
            matrix._transpose = made
        return matrix._transpose

    def matmul(self, matrix: Matrix, x: Vector, *, name: str | None = None) -> Vector:
        """W x.

        Raises:
            LimitError: the widths are declared and do not fit; or something is of another program.
        """
        self._own(matrix, x)
        where = f"{matrix.name} {x.name} at {caller()}"
        matrix.columns.joined(x.dimension, where)
        made = Vector(self, self._name("g", name), matrix.rows, "G", len(self.rules))
        self.rules.append(MatMul((made,), caller(), matrix, x))
        return made

    def lincomb(self, coefficients: Any, vectors: Any = None, *, name: str | None = None) -> Vector:
        """A sum of vectors times numbers or scalars.

        Args:
            coefficients: numbers or scalars; or a mapping from vectors to them.
            vectors: as many vectors of one width.
        """
        if isinstance(coefficients, Mapping):
            coefficients, vectors = list(coefficients.values()), list(coefficients)
        coefficients, vectors = list(coefficients), list(vectors)
        if not vectors or len(coefficients) != len(vectors):
            raise LimitError(f"{len(coefficients)} coefficients of {len(vectors)} vectors, at {caller()}.")
        self._own(*vectors, *(c for c in coefficients if isinstance(c, Scalar)))
        self._joined(vectors, "the sum")
        found = tuple(c if isinstance(c, Scalar) else number(c) for c in coefficients)
        gaussian = all(x.kind == "G" for x in vectors)
        made = Vector(self, self._name("g" if gaussian else "h", name), vectors[0].dimension,
                      "G" if gaussian else "H", len(self.rules))  # fmt: skip
        self.rules.append(LinComb((made,), caller(), found, tuple(vectors)))
        return made

    def nonlin(
        self, function: Any, *vectors: Any, scalars: Iterable[Scalar] = (), name: str | None = None
    ) -> Vector:
        """phi(x1, ..., xk; theta1, ..., thetal), coordinate by coordinate.

        Args:
            function: an ordinary function of tensors, or an activation's name.
            vectors: its vectors; scalars may follow them.
            scalars: more scalars.

        Raises:
            LimitError: the function is unknown or not coordinatewise, or the widths do not fit.
        """
        xs, cs = self._operands(vectors, scalars)
        if not xs:
            raise LimitError(f"a nonlinearity has at least one vector, at {caller()}.", legal="p.scalar_function(f, c)")
        found = traced(function, len(xs), len(cs))
        self._joined(xs, found.name)
        made = Vector(self, self._name("h", name), xs[0].dimension, "H", len(self.rules))
        self.rules.append(Nonlin((made,), caller(), found, tuple(xs), tuple(cs)))
        return made

    def moment(
        self, function: Any, *vectors: Any, scalars: Iterable[Scalar] = (), name: str | None = None
    ) -> Scalar:
        """The mean over coordinates of phi(x1, ..., xk; theta1, ..., thetal)."""
        xs, cs = self._operands(vectors, scalars)
        found = traced(function, len(xs), len(cs))
        if xs:
            self._joined(xs, found.name)
        made = Scalar(self, self._name("c", name), len(self.rules))
        self.rules.append(Moment((made,), caller(), found, tuple(xs), tuple(cs)))
        return made

    def scalar_function(self, function: Any, *scalars: Scalar, name: str | None = None) -> Scalar:
        """A function of scalars."""
        return self.moment(function, scalars=scalars, name=name)

    def outer_nonlin(
        self, function: Any, own: Any, *copies: Any, scalars: Iterable[Scalar] = (), name: str | None = None
    ) -> Vector:
        """y_a = mean over b1..br of psi(x_a; x_b1; ...; x_br; theta).

        Args:
            function: takes the own vectors' components, those of each copy, then the scalars.
            own: the vector (or tuple of vectors) at a; y has its width.
            copies: for each b the vector, or the tuple of vectors, at b.
        """
        xs = _several(own)
        bs = [_several(copy) for copy in copies]
        if not bs:
            raise LimitError(f"an outer nonlinearity has at least one copy, at {caller()}.", legal="p.nonlin(f, x)")
        cs = list(scalars)
        self._own(*xs, *(x for b in bs for x in b), *cs)
        found = traced(function, len(xs) + sum(map(len, bs)), len(cs))
        for group in (xs, *bs):
            self._joined(group, found.name)
        made = Vector(self, self._name("h", name), xs[0].dimension, "H", len(self.rules))
        self.rules.append(
            OuterNonlin((made,), caller(), found, tuple(xs), tuple(tuple(b) for b in bs), tuple(cs))
        )
        return made

    # -- looking at it --------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return printed(self)

    def __repr__(self) -> str:
        return f"<TensorProgram: {len(self.matrices)} matrices, {len(self.rules)} instructions>"

    def __getitem__(self, name: str) -> Vector | Scalar:
        """A vector or scalar by name."""
        for rule in self.rules:
            for x in rule.results:
                if x.name == name:
                    return x
        raise LimitError(f"the program has no variable {name!r}.")

    # -- checks ---------------------------------------------------------------------------------------------------

    def _operands(self, given: Sequence[Any], scalars: Iterable[Scalar]) -> tuple[list[Vector], list[Scalar]]:
        xs = [x for x in given if isinstance(x, Vector)]
        cs = [*(x for x in given if isinstance(x, Scalar)), *scalars]
        if [*xs, *(x for x in given if isinstance(x, Scalar))] != list(given):
            raise LimitError(f"vectors come first, then scalars, at {caller()}.")
        self._own(*xs, *cs)
        return xs, cs

    def _own(self, *of: Any) -> None:
        for x in of:
            if not isinstance(x, (Vector, Matrix, Scalar)):
                raise LimitError(f"{x!r:.60} is no variable of a Tensor Program, at {caller()}.")
            if x.program is not self:
                raise LimitError(f"{x.name} belongs to another program, at {caller()}.")

    def _joined(self, vectors: Sequence[Vector], what: str) -> None:
        where = f"{what} of {', '.join(x.name for x in vectors)} at {caller()}"
        for x in vectors[1:]:
            vectors[0].dimension.joined(x.dimension, where)

    def _named(self, name: str) -> str:
        if name in self._names:
            raise LimitError(f"the program has a variable {name!r} already, at {caller()}.")
        self._names.add(name)
        return name

    def _name(self, letter: str, name: str | None) -> str:
        if name is not None:
            return self._named(name)
        count = 1
        while f"{letter}{count}" in self._names:
            count += 1
        return self._named(f"{letter}{count}")


def _several(of: Any) -> list[Vector]:
    return [of] if isinstance(of, Vector) else list(of)


def _semidefinite(sigma: tuple[tuple[Number, ...], ...], names: Sequence[str]) -> None:
    array = np.array([[float(c) for c in row] for row in sigma])
    scale = max(float(np.abs(array).max(initial=0.0)), 1e-300)
    if not np.allclose(array, array.T, rtol=0, atol=1e-12 * scale):
        raise LimitError(f"the covariance of {', '.join(names)} is not symmetric, at {caller()}.")
    least = float(np.linalg.eigvalsh(array).min())
    if least < -1e-10 * scale:
        raise LimitError(
            f"the covariance of {', '.join(names)} is not positive semidefinite: it has the eigenvalue {least:.3g}, "
            f"at {caller()}."
        )
