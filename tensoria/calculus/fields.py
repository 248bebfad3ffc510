"""Fields: plain functions of coordinates, with tensors as values, and their partial derivatives at many points.

Coordinates are the last axis of a plain tensor x: they are no vector. A field takes points of shape (points, n) and
returns one tensor for each, the points first; written with `x[..., k]` and functions of tensors it does so by itself.

A field acts on each point by itself, so derivatives by all coordinates cost one run: the points are repeated for each
coordinate (for each pair of them, if second derivatives are needed), every copy with a tangent of its own, and one
forward pass differentiates them all. There are no loops over points.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.calculus.connection import Connection
from tensoria.calculus.lifting import engine_of, returned
from tensoria.components import Components, of_array
from tensoria.coordinatewise import is_scalar
from tensoria.core import BaseTensor
from tensoria.discovery import run_on
from tensoria.dtypes import int64, promoted
from tensoria.einsum import einsum
from tensoria.errors import ConversionError, DTypeError, ModeError, ShapeError, SpaceError
from tensoria.indices import PLAIN, Axes, Index
from tensoria.making import tensor
from tensoria.namespace.creation import full_like, ones_like, zeros_like
from tensoria.namespace.manipulation import broadcast_shapes, broadcast_to, permute_dims, reshape, stack
from tensoria.spaces import Basis, Space
from tensoria.structure import Cache, structural
from tensoria.tensor import Tensor

__all__ = [
    "Field",
    "Jet",
    "Points",
    "contracted",
    "field",
    "from_components",
    "jet",
    "permuted",
    "require_same",
    "value_at",
]

Field = Callable[[Any], Any]


def from_components(
    components: Any, indices: str | Sequence[Index | str] | None = None, **spaces: Space | Basis
) -> Tensor:
    """A labelled tensor of components that are tensors themselves, such as functions of coordinates.

    Args:
        components: nested lists, as deep as there are indices, of numbers and plain tensors; the tensors' axes
            broadcast, and lead in the result.
        indices: as in `tensoria.tensor`.
        spaces: as in `tensoria.tensor`.

    Raises:
        ConversionError: the lists are no rectangular array, or a component is neither a number nor a plain tensor.
        NotationError, SpaceError, ShapeError, AxisError: as for `tensoria.tensor`.

    >>> import tensoria as tn
    >>> r = tn.asarray([1., 2.])
    >>> g = from_components([[1, 0], [0, r ** 2]], "_i _j", i=tn.Space("M", 2), j=tn.Space("M", 2))
    >>> g.shape, g.array[1].tolist()
    ((2, 2, 2), [[1.0, 0.0], [0.0, 4.0]])
    """
    shape, entries = _entries(components)
    first = next((entry for entry in entries if isinstance(entry, Tensor)), None)
    if first is None:
        return tensor(components, indices, spaces=dict(spaces))
    tensors = [entry for entry in entries if isinstance(entry, Tensor)]
    kind = functools.reduce(promoted, [entry.dtype for entry in tensors])
    shapes = {entry.shape for entry in tensors}
    if len(shapes) > 1:
        lead = broadcast_shapes(*shapes)
        entries = [broadcast_to(entry, lead) if isinstance(entry, Tensor) else entry for entry in entries]
        first = next(entry for entry in entries if isinstance(entry, Tensor))
    numbers: dict[Any, Tensor] = {}
    parts = []
    for entry in entries:
        if isinstance(entry, Tensor):
            parts.append(entry if entry.dtype is kind else entry.to(dtype=kind))
        else:
            if entry not in numbers:
                numbers[entry] = full_like(first, entry, dtype=kind)
            parts.append(numbers[entry])
    stacked = stack(parts, axis=-1)
    if len(shape) != 1:
        stacked = reshape(stacked, (*_known(stacked.shape[:-1]), *shape))
    return tensor(stacked, _leading(indices), spaces=dict(spaces))


def _leading(indices: Any) -> Any:
    if isinstance(indices, str) and not indices.lstrip().startswith("..."):
        return "... " + indices
    if isinstance(indices, (list, tuple)) and (not indices or indices[0] is not Ellipsis):
        return [..., *indices]
    return indices


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in shape)


def _entries(components: Any) -> tuple[tuple[int, ...], list[Any]]:
    if is_scalar(components):
        return (), [components]
    if isinstance(components, Tensor):
        if components.is_labelled:
            raise ConversionError(
                f"a component has the axes {components.axes}, and has to be plain.", legal="t.components"
            )
        return (), [components]
    if not isinstance(components, (list, tuple)):
        raise ConversionError(f"a component is {type(components).__name__}, neither a number nor a plain tensor.")
    found = [_entries(row) for row in components]
    if len({shape for shape, _ in found}) != 1:
        raise ConversionError("the components are no rectangular array: their lists have different lengths.")
    return (len(found), *found[0][0]), [entry for _, entries in found for entry in entries]


class Points:
    """Points at which fields are evaluated: their coordinates on the engine, in one row each.

    Args:
        x: a plain tensor or native array of shape (..., n).

    Raises:
        ModeError: it is labelled, or no tensor.
        DTypeError: it is not of real numbers.
        ShapeError: it has no axes.
    """

    def __init__(self, x: Any) -> None:
        t = x if isinstance(x, Tensor) else Tensor(x)
        if t.is_labelled:
            raise ModeError(
                f"a field is a function of coordinates, which are no vector, and these have the axes {t.axes}.",
                legal="t.components",
            )
        if not t.ndim:
            raise ShapeError("coordinates are the last axis of a tensor, and this one has no axes.", legal="x[None]")
        if t.dtype.kind != "float":
            raise DTypeError(f"coordinates are real numbers, not {t.dtype}.", legal='x.to(dtype="float64")')
        self.own = t._backend
        self.backend = engine_of(self.own)
        moved = t if self.backend is self.own else t.to(backend=self.backend.name)
        self.batch = moved.shape[:-1]
        self.x = moved if moved.ndim == 2 else reshape(moved, (_product(self.batch), moved.shape[-1]))
        self.n = moved.shape[-1]

    def placed(self, t: Tensor, of: Axes = PLAIN) -> Tensor:
        """A tensor with one row for each point as one with the points' own axes, labelled, where they came from."""
        if len(self.batch) != 1:
            t = reshape(t.components, (*_known(self.batch), *t.shape[1:]))
        return returned(Tensor.from_parts(t._array, of, t._backend), self.own)


def _product(batch: tuple[int | None, ...]) -> int:
    return -1 if None in batch else math.prod(batch)  # type: ignore[arg-type]


def field(compute: Callable[[Points], Any]) -> Field:
    """The function of coordinates that computes something at points; new tensors are made on the engine meanwhile."""

    def at(x: Any) -> Any:
        points = Points(x)
        tracing = points.backend.tracing
        if tracing is not None and tracing():
            return compute(points)  # compilers can not follow context variables
        with run_on(points.backend, points.own):
            return compute(points)

    return at


class Jet(NamedTuple):
    """A field's components at points, with their partial derivatives by the coordinates, all plain.

    Attributes:
        axes: the axes of the field's values.
        connection: the basis of a connection, if the field is one.
        value: of shape (points, ...).
        first: of shape (points, ..., n).
        second: of shape (points, ..., n, n); None if it was not asked for.
    """

    axes: Axes
    connection: Basis | None
    value: Tensor
    first: Tensor
    second: Tensor | None


def value_at(of: Field, x: Tensor) -> tuple[Tensor, Axes, Basis | None]:
    """A field's components at rows of coordinates, its axes, and the basis of a connection.

    Raises:
        ModeError, ShapeError: the field does not return one tensor for each point.
    """
    found = of(x)
    basis = None
    if isinstance(found, Connection):
        basis, found = found.basis, found.coefficients
    if not isinstance(found, BaseTensor):
        raise ModeError(f"a field's value is a tensor, not {type(found).__name__}.", legal="tn.from_components(...)")
    backend = x._backend
    t = Tensor.from_parts(found._array, PLAIN, found._backend)
    if found._backend is not backend:
        t = t.to(backend=backend.name)  # a constant: nothing of x can be in it
    if t.dtype is not x.dtype and t.dtype.kind != "complex":
        t = t.to(dtype=x.dtype)
    rank = 3 if basis is not None else len(found._axes.indices)
    lead, count = t.ndim - rank, x.shape[0]
    if lead == 0 or (lead == 1 and t.shape[0] == 1 and count != 1):
        _require_constant(of, x, t)
        zero = x[:, 0] * 0
        t = t + reshape(zero, (-1 if count is None else count, *((1,) * rank)))
    elif lead != 1 or (count is not None and t.shape[0] is not None and t.shape[0] != count):
        _refuse_shape(x, t.shape)
    return t, found._axes, basis


def _refuse_shape(x: Tensor, shape: tuple[int, ...]) -> NoReturn:
    raise ShapeError(
        f"a field takes points in rows of {x.shape[1]} coordinates and returned the shape {shape}: one tensor for each "
        "point belongs there, the points first.",
        legal="x[..., k] for a coordinate, and tn.from_components(...)",
    )


def _require_constant(of: Field, x: Tensor, t: Tensor) -> None:
    """One value for all points is right for a constant field only, and wrong for one that forgot about the points."""
    backend = x._backend
    here = backend.numbers(t._array)
    if here is None:
        return
    other = of(1.37 * x + 0.11)
    found = other.coefficients if isinstance(other, Connection) else other
    there = found._backend.numbers(found._array)
    if there is None or not np.array_equal(there.astype(here.dtype).reshape(here.shape), here):
        _refuse_shape(x, t.shape)


def jet(of: Field, points: Points, order: int) -> Jet:
    """A field's components and their partial derivatives of first, or first and second order."""
    backend, x, n = points.backend, points.x, points.n
    seen: list[tuple[Axes, Basis | None]] = []

    def native(array: Array) -> list[Array]:
        t, labels, basis = value_at(of, Tensor.from_parts(array, PLAIN, backend))
        seen.append((labels, basis))
        return [t._array]

    copies, every, first, second, starts, both = _directions(n, order)
    ones = ones_like(x)[None]
    repeated = _rows(x[None] * _constant(backend, every, x), n)
    along = _rows(ones * _constant(backend, first, x), n)
    if order == 1:
        values, slopes = backend.jvp(native, [repeated._array], [along._array])
        value, by = (_copies(backend, y, copies) for y in (values[0], slopes[0]))
        return Jet(*seen[-1], value[0], _last(by, 1), None)
    across = _rows(ones * _constant(backend, second, x), n)

    def inner(array: Array, tangent: Array) -> list[Array]:
        values, slopes = backend.jvp(native, [array], [tangent])
        return [*values, *slopes]

    # The inner tangents take part with zeros for tangents: PyTorch is slow where it has none.
    still = zeros_like(along)._array
    values, slopes = backend.jvp(inner, [repeated._array, along._array], [across._array, still])
    value, by = (_copies(backend, y, copies) for y in values)
    twice = _copies(backend, slopes[1], copies)
    once = _taken(backend, by, starts)
    crossed = _taken(backend, twice, both)
    crossed = reshape(crossed, (n, n, *_known(crossed.shape[1:])))
    return Jet(*seen[-1], value[0], _last(once, 1), _last(crossed, 2))


def _constant(backend: Backend, components: Components, like: Tensor) -> Tensor:
    return Tensor.from_parts(backend.constant(components, like.dtype, like._array), PLAIN, backend)


def _rows(t: Tensor, n: int) -> Tensor:
    return reshape(t, (-1, n))


def _copies(backend: Backend, array: Array, copies: int) -> Tensor:
    t = Tensor.from_parts(array, PLAIN, backend)
    return reshape(t, (copies, -1, *t.shape[1:]))


def _taken(backend: Backend, t: Tensor, places: Components) -> Tensor:
    chosen = backend.constant(places, int64, t._array)
    return Tensor.from_parts(backend.xp.take(t._array, chosen, axis=0), PLAIN, backend)


def _last(t: Tensor, count: int) -> Tensor:
    """The first axes moved to the end."""
    return permuted(t, (*range(count, t.ndim), *range(count)))


def permuted(t: Tensor, order: Sequence[int]) -> Tensor:
    """A plain tensor with its axes in another order."""
    found: Tensor = permute_dims(t, tuple(order))
    return found


def contracted(notation: str, *operands: Tensor) -> Tensor:
    """Plain tensors contracted."""
    found: Tensor = einsum(notation, *operands)
    return found


@structural
def _directions(n: int, order: int) -> tuple[int, Components, Components, Components, Components, Components]:
    """How many copies, ones for each; unit tangents for all coordinates, or for all pairs k >= l, first k and then l;
    where (k, 0) is among the pairs; where (k, l) or (l, k) is.
    """
    return _DIRECTIONS[n, order]


def _make_directions(key: tuple[int, int]) -> tuple[int, Components, Components, Components, Components, Components]:
    n, order = key
    pairs = [(k, l) for k in range(n) for l in range(k + 1 if order == 2 else 1)]
    place = {pair: number for number, pair in enumerate(pairs)}
    first, second = (np.eye(n)[[pair[side] for pair in pairs]][:, None, :] for side in (0, 1))
    starts = [place[k, 0] for k in range(n)]
    both = [place.get((max(k, l), min(k, l)), 0) for k in range(n) for l in range(n)]
    made = (np.ones((len(pairs), 1, 1)), first, second, np.array(starts), np.array(both))
    return (len(pairs), *map(of_array, made))  # type: ignore[return-value]


_DIRECTIONS: Cache[tuple[int, int], tuple[int, Components, Components, Components, Components, Components]] = Cache(
    _make_directions, limit=64
)


def require_same(basis: Basis, index: Index, what: str) -> None:
    """Raise unless an index ranges over the manifold's basis.

    Raises:
        SpaceError: it does not.
    """
    if index.basis is not basis:
        raise SpaceError(
            f"{what} is over {basis}, and {index!r} is not: nothing says how its basis changes from point to point.",
            legal=f"a field over {basis}",
        )
