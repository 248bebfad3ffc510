"""A model that was read, on given data, as a Tensor Program with one vector for each member of a family.

Kernels compute with whole families, and ask that gradients be independent of the weights. The program here is written
out, instruction by instruction, so the full Master Theorem applies: weights that are used as their own transposes, tied
or trained, with all dots; it prints, classifies, simulates and converges like one that was built by hand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tensoria.dtypes import float64
from tensoria.errors import LimitError
from tensoria.limits.kernels.kernel import InfiniteWidth
from tensoria.limits.kernels.session import Session
from tensoria.limits.language.dimensions import Dimension
from tensoria.limits.language.instructions import Matrix, Vector
from tensoria.limits.quantiles import quantile
from tensoria.limits.reading.expressions import nonlinearity
from tensoria.limits.reading.nodes import (
    Constant,
    Det,
    Detached,
    Gathered,
    Initial,
    Map,
    MatMul,
    Mix,
    Node,
    Nonlin,
    Place,
    Product,
    Quadratic,
    Scale,
    Sum,
    Weigh,
)
from tensoria.limits.tensor_program import TensorProgram

__all__ = ["Expansion", "expanded"]

Members = np.ndarray[Any, Any]
"""Vectors (None for zero) by example and finite axes."""
MOST = 20_000
"""So many instructions at most."""


@dataclass(frozen=True)
class Expansion:
    """A program for some data.

    Attributes:
        program: the Tensor Program.
        outputs: for each output of the model its vectors, by example and finite axes; None is zero. The coordinates of
            an output that is no width are iid readouts.
    """

    program: TensorProgram
    outputs: tuple[Members, ...]


def expanded(model: InfiniteWidth, data: Any) -> Expansion:
    """A model that `analyse` has read, on data, as a Tensor Program.

    Args:
        model: what `tn.limits.analyse` returns.
        data: the inputs, as for its kernels.

    Raises:
        LimitError: an output diverges, or there would be too many vectors.
    """
    session, _ = model._session(data, None, float64, "numpy")
    writer = _Writer(session)
    outputs = []
    for view in model.reading.outputs:
        if not isinstance(view.of, Node):
            raise LimitError("unsupported: the output, it is a number that is known in the limit, and no vector.")
        if view.of.power > 0:
            raise LimitError(f"an output grows like n^{view.of.power}, and has no limit.")
        outputs.append(writer.members(view.of))
    both = {name for name, _ in writer._initial} & {name for name, _ in writer._matrices}
    if both:
        raise LimitError(f"unsupported: {min(both)} is a readout, and a vector of the program elsewhere.")
    return Expansion(writer.program, tuple(outputs))


class _Writer:
    """Writes families out."""

    def __init__(self, session: Session) -> None:
        self.session, self.program = session, TensorProgram()
        self._known: dict[int, Members] = {}
        self._kept: list[Node] = []
        self._initial: dict[Any, Vector | None] = {}
        self._matrices: dict[Any, tuple[Matrix, int]] = {}

    def members(self, x: Node) -> Members:
        """The vectors of a family: of n^-power x."""
        found = self._known.get(id(x))
        if found is None:
            if len(self.program.rules) > MOST:
                raise LimitError(f"the program has more than {MOST} vectors.", legal="fewer examples")
            found = self._known[id(x)] = RULES[type(x)](self, x)
            self._kept.append(x)
        return found

    # -- numbers and shapes ---------------------------------------------------------------------------------------

    def shape(self, x: Any) -> tuple[int, ...]:
        """The sizes of finite axes."""
        return self.session.shape(x.sizes, 0)

    def numbers(self, det: Det, places: Sequence[int], x: Node) -> np.ndarray[Any, Any]:
        """Known numbers by example, with the finite axes of a family."""
        array = self.session.placed(self.session.family(det, 0), 1, places, len(x.sizes))
        return np.asarray(array, dtype=float)

    def whole(self, x: Node) -> Members:
        """The members with all finite axes at their full sizes."""
        found = self.members(x)
        return np.broadcast_to(found, (found.shape[0], *self.shape(x)))

    def combined(self, terms: Sequence[tuple[float, Vector | None]]) -> Vector | None:
        """A linear combination; a vector that occurs twice is one term."""
        total: dict[Vector, float] = {}
        for c, x in terms:
            if x is not None and c:
                total[x] = total.get(x, 0.0) + c
        total = {x: c for x, c in total.items() if c}
        if not total:
            return None
        if len(total) == 1 and next(iter(total.values())) == 1.0:
            return next(iter(total))
        return self.program.lincomb(list(total.values()), list(total))

    def there(self, x: Vector | None) -> Vector:
        """A vector, also where it is zero."""
        return self.program.vector(f"zero{len(self.program.rules)}", variance=0) if x is None else x

    def applied(self, function: Any, arrays: Sequence[Members], scalars: Sequence[Any] = ()) -> Members:
        """A function of members, one by one."""
        vectors: Any = np.broadcast_arrays(*arrays, *scalars)
        made, numbers = vectors[: len(arrays)], vectors[len(arrays) :]
        out = np.empty(vectors[0].shape, dtype=object)
        for at in np.ndindex(out.shape):
            xs = [self.there(array[at]) for array in made]
            cs = [self.program.scalar(float(array[at])) for array in numbers]
            out[at] = self.program.nonlin(function, *xs, scalars=cs)
        return out


def _initial(writer: _Writer, x: Initial) -> Members:
    # Entries that are every example's own (a dropout mask's) are a vector for each.
    out = np.empty((writer.session.runs[0].count if x.fresh else 1, *writer.shape(x)), dtype=object)
    for at in np.ndindex(out.shape):
        free = iter(at[1:])
        position = tuple(next(free) if n is None else n for n in x.fixed)
        out[at] = _entries(writer, x, (at[0], *position) if x.fresh else position)
    return out


def _entries(writer: _Writer, x: Initial, position: tuple[int, ...]) -> Vector | None:
    key = (x.name, position)
    if key not in writer._initial:
        law, program = x.law, writer.program
        variance = 0.0 if law.mean and law.exponent < 0 else law.variance
        name = f"{x.name}{list(position) if position else ''}"
        function = quantile(law) if variance and x.power >= 0 else None
        if function is not None:  # entries that stay what they are, as a function of Gaussian ones
            made: Vector | None = program.nonlin(function, program.vector(f"{name} as normal"), name=name)
        else:
            made = program.vector(name, mean=law.mean, variance=variance) if law.mean or variance else None
        writer._initial[key] = made
    return writer._initial[key]


def _gathered(writer: _Writer, x: Gathered) -> Members:
    table = writer.whole(x.of)
    indices = np.asarray(writer.session.family(x.indices, 0)).astype(int)
    found: Members = table[0][indices]
    return found


def _matmul(writer: _Writer, x: MatMul) -> Members:
    inner = writer.whole(x.x)
    sizes = dict(zip(x.of_matrix, writer.shape(x.matrix), strict=True))
    sizes.update(zip(x.of_x, writer.shape(x.x), strict=True))
    summed = [label for label in sizes if label not in x.out]
    out = np.empty((inner.shape[0], *(sizes[label] for label in x.out)), dtype=object)
    products: dict[Any, Vector] = {}
    for at in np.ndindex(out.shape):
        terms = []
        for rest in itertools.product(*(range(sizes[label]) for label in summed)):
            where = {**dict(zip(x.out, at[1:], strict=True)), **dict(zip(summed, rest, strict=True))}
            vector = inner[(at[0], *(where[label] for label in x.of_x))]
            if vector is None:
                continue
            free = iter(where[label] for label in x.of_matrix)
            position = tuple(next(free) if n is None else n for n in x.matrix.fixed)
            key = (position, vector)
            if key not in products:
                products[key] = writer.program.matmul(_matrix(writer, x, position), vector)
            terms.append((x.matrix.number, products[key]))
        out[at] = writer.combined(terms)
    return out


def _matrix(writer: _Writer, x: MatMul, position: tuple[int, ...]) -> Matrix:
    """The matrix at a position of its family, in the orientation of this use."""
    key = (x.matrix.name, position)
    width = Fraction(x.count).limit_denominator(10**6)
    if key not in writer._matrices:
        name = f"{x.matrix.name}{list(position) if position else ''}"
        # Entries N(0, s^2 / columns): the variance of the law, times the columns.
        made = writer.program.matrix(name, variance=x.matrix.law.variance * x.count)
        writer._matrices[key] = made, x.side
    made, side = writer._matrices[key]
    found = made if x.side == side else writer.program.transpose(made)
    if x.wide or x.side != side:
        found.columns.joined(Dimension(str(width), width), f"the product with {made.name}")
    return found


def _constant(writer: _Writer, x: Constant) -> Members:
    numbers = writer.numbers(x.value, x.places, x)
    out = np.empty(numbers.shape, dtype=object)
    for at in np.ndindex(out.shape):
        name = f"constant{len(writer.program.rules)}"
        out[at] = writer.program.vector(name, mean=float(numbers[at]), variance=0) if numbers[at] else None
    return out


def _sum(writer: _Writer, x: Sum) -> Members:
    arrays: Any = np.broadcast_arrays(*(writer.members(term) for term in x.terms if term.power == x.power))
    out = np.empty(arrays[0].shape, dtype=object)
    for at in np.ndindex(out.shape):
        out[at] = writer.combined([(1.0, array[at]) for array in arrays])
    return out


def _scaled(writer: _Writer, array: Members, weights: Any) -> Members:
    both: Any = np.broadcast_arrays(array, weights)
    vectors, numbers = both
    out = np.empty(vectors.shape, dtype=object)
    for at in np.ndindex(out.shape):
        out[at] = writer.combined([(float(numbers[at]), vectors[at])])
    return out


def _map(writer: _Writer, x: Map) -> Members:
    return _mapped(writer, x, writer.whole(x.x))


def _mapped(writer: _Writer, x: Map, inner: Members) -> Members:
    """The linear map, found from what it does to each member alone."""
    shape = inner.shape[1:]
    count = math.prod(shape)
    weights = np.asarray(x.apply(writer.session, 0, np.eye(count).reshape(count, *shape), 1), dtype=float)
    out = np.empty((inner.shape[0], *weights.shape[1:]), dtype=object)
    flat = inner.reshape(inner.shape[0], count)
    for at in np.ndindex(out.shape):
        column = weights[(slice(None), *at[1:])]
        out[at] = writer.combined([(float(column[n]), flat[at[0], n]) for n in np.flatnonzero(column)])
    return out


def _mix(writer: _Writer, x: Mix) -> Members:
    inner = writer.whole(x.x)
    value = writer.session.family(x.value, 0)
    weights = np.asarray(writer.session.stretched(value, x.value.sizes, 1, 0), dtype=float)
    sizes = dict(zip(x.of_x, inner.shape[1:], strict=True))
    sizes.update(zip(x.of_value, weights.shape[1:], strict=True))
    summed = [label for label in sizes if label not in x.out]
    examples = max(inner.shape[0], weights.shape[0])
    out = np.empty((examples, *(sizes[label] for label in x.out)), dtype=object)
    for at in np.ndindex(out.shape):
        terms = []
        for rest in itertools.product(*(range(sizes[label]) for label in summed)):
            where = {**dict(zip(x.out, at[1:], strict=True)), **dict(zip(summed, rest, strict=True))}
            c = weights[(at[0] % weights.shape[0], *(where[label] for label in x.of_value))]
            terms.append((float(c), inner[(at[0] % inner.shape[0], *(where[label] for label in x.of_x))]))
        out[at] = writer.combined(terms)
    return out


def _place(writer: _Writer, x: Place) -> Members:
    inner = writer.members(x.x)
    order = sorted(range(len(x.places)), key=lambda n: x.places[n])
    shape = [1] * len(x.sizes)
    for n in order:
        shape[x.places[n]] = inner.shape[1 + n]
    return np.transpose(inner, (0, *(1 + n for n in order))).reshape(inner.shape[0], *shape)


def _nonlin(writer: _Writer, x: Nonlin) -> Members:
    arrays = []
    for of in x.variables:
        if of.power > 0:
            raise LimitError(f"a function of what grows like n^{of.power}{f', at {of.where}' if of.where else ''}.")
        inner = writer.members(of)
        arrays.append(inner if of.power == 0 else np.full(inner.shape, None, dtype=object))
    phi = nonlinearity(x.tree, len(x.variables), len(x.scalars))
    return writer.applied(phi, arrays, [writer.numbers(det, places, x) for det, places in x.scalars])


def _product(writer: _Writer, x: Product) -> Members:
    def product(*xs: Any) -> Any:
        total = xs[0]
        for factor in xs[1:]:
            total = total * factor
        return total

    return writer.applied(product, [writer.members(of) for of in x.factors])


def _quadratic(writer: _Writer, x: Quadratic) -> Members:
    squares = writer.applied(lambda x: x * x, [writer.whole(x.x)])
    total = _mapped(writer, x.total, squares)
    exponent = float(x.exponent)
    if x.offset is None:
        found = writer.applied(lambda q: q**exponent, [total])
    else:
        offset = np.asarray(writer.session.family(x.offset, 0), dtype=float)
        offset = offset.reshape(-1, *(1,) * (total.ndim - 1))
        found = writer.applied(lambda q, c: (q + c) ** exponent, [total], [offset])
    order = sorted(range(len(x.places)), key=lambda n: x.places[n])
    shape = [1] * len(x.sizes)
    for n in order:
        shape[x.places[n]] = found.shape[1 + n]
    return np.transpose(found, (0, *(1 + n for n in order))).reshape(found.shape[0], *shape)


RULES: dict[type[Node], Any] = {
    Initial: _initial, Gathered: _gathered, MatMul: _matmul, Constant: _constant, Sum: _sum,
    Scale: lambda writer, x: _scaled(writer, writer.members(x.x), x.number),
    Weigh: lambda writer, x: _scaled(writer, writer.members(x.x), writer.numbers(x.value, x.places, x)),
    Place: _place, Map: _map, Mix: _mix, Detached: lambda writer, x: writer.members(x.x),
    Nonlin: _nonlin, Product: _product, Quadratic: _quadratic,
}  # fmt: skip
"""How each kind of family is written out."""
