"""ATen's triangular factors by elimination with exchanges of rows, one column in each pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensoria.dtypes import int32, int64
from tensoria.errors import PortingError
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, getitem
from tensoria.programs.symbolic import backend
from tensoria_torch.lowerings.call import Call, Lowering, one, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray


def _sizes(x: Array) -> tuple[int, int]:
    m, n = x.shape[-2:]
    if not (isinstance(m, int) and isinstance(n, int)):
        raise PortingError("factors of a matrix of open size are not ported.", legal="torch.linalg.solve")
    if x.dtype.kind == "complex":
        raise PortingError("triangular factors of complex matrices are not ported.", legal="torch.linalg.qr")
    return m, n


def _last(x: Array) -> Array:
    return xp.expand_dims(x, axis=-1)


def _exchanged(place: Array, other: Array, rows: Array) -> Array:
    """The positions of rows after two of them were exchanged."""
    other = _last(other)
    return xp.where(xp.equal(rows, place), other, xp.where(xp.equal(rows, other), place, rows))


def _factors(x: Array, pivot: bool = True) -> tuple[Array, Array, Array]:
    """Both factors in one matrix, the order of rows, and the row that each one was exchanged with, counted from 1."""
    m, n = _sizes(x)
    if not pivot:
        raise PortingError("elimination without exchanges of rows is not ported.", legal="pivot=True")
    rows, columns = xp.arange(m, dtype=int64), xp.arange(n, dtype=int64)

    def step(state: Sequence[Array], given: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        a, order = state
        (place,) = given
        own = xp.equal(columns, place)
        column = xp.sum(xp.where(own, a, 0.0), axis=-1)
        exchanged = xp.argmax(xp.where(xp.greater_equal(rows, place), xp.abs(column), -1.0), axis=-1)
        at = _exchanged(place, exchanged, rows)
        order = one(order, "take_along_axis", at, axis=order.ndim - 1)
        a = one(a, "take_along_axis", xp.broadcast_to(_last(at), a.shape), axis=a.ndim - 2)
        column = xp.sum(xp.where(own, a, 0.0), axis=-1)
        row = xp.sum(xp.where(_last(xp.equal(rows, place)), a, 0.0), axis=-2)
        head = xp.sum(xp.where(own, row, 0.0), axis=-1)
        # Below a largest component of 0 all are 0.
        head = xp.where(xp.equal(head, 0.0), 1.0, head)
        below = xp.greater(rows, place)
        factor = xp.where(below, xp.divide(column, _last(head)), 0.0)
        rest = xp.expand_dims(xp.where(xp.greater(columns, place), row, 0.0), axis=-2)
        a = xp.subtract(a, xp.multiply(_last(factor), rest))
        a = xp.where(xp.logical_and(_last(below), own), _last(factor), a)
        return [a, order], [cast(xp.add(exchanged, 1), int32)]

    begin = [x, xp.broadcast_to(rows, (*x.shape[:-2], m))]
    count = min(m, n)
    (a, order), (exchanges,) = backend.scan(step, begin, [xp.arange(count, dtype=int64)], count, False)
    return a, order, xp.moveaxis(exchanges, 0, -1)


def _permutation(order: Array, x: Array) -> Array:
    rows = xp.arange(x.shape[-2], dtype=int64)
    return cast(xp.equal(_last(rows), xp.expand_dims(order, axis=-2)), x.dtype)


def _parts(a: Array) -> tuple[Array, Array]:
    """The lower and the upper factor."""
    m, n = _sizes(a)
    count = min(m, n)
    left, right = getitem(a, (Ellipsis, slice(0, count))), getitem(a, (Ellipsis, slice(0, count), slice(None)))
    return xp.add(one(left, "tril", k=-1), xp.eye(m, count, dtype=a.dtype)), one(right, "triu", k=0)


def _lu(call: Call, x: Array, *, pivot: bool = True) -> tuple[Any, ...]:
    a, order, _ = _factors(x, pivot)
    return (_permutation(order, x), *_parts(a))


def _lu_factor(call: Call, x: Array, *, pivot: bool = True, check_errors: bool = False) -> tuple[Any, ...]:
    a, _, exchanges = _factors(x, pivot)
    return a, exchanges, xp.zeros(x.shape[:-2], dtype="int32")


def _ordered(a: Array, exchanges: Array) -> Array:
    """The permutation that exchanges, one after another, come to."""
    rows = xp.arange(a.shape[-2], dtype=int64)
    count = exchanges.shape[-1]

    def step(state: Sequence[Array], given: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        place, other = given
        at = _exchanged(place, other, rows)
        return [one(state[0], "take_along_axis", at, axis=state[0].ndim - 1)], []

    given = [xp.arange(count, dtype=int64), xp.moveaxis(cast(xp.subtract(exchanges, 1), int64), -1, 0)]
    begin = xp.broadcast_to(rows, (*exchanges.shape[:-1], a.shape[-2]))
    (order,), _ = backend.scan(step, [begin], given, count, False)
    return _permutation(order, a)


def _lu_unpack(call: Call, a: Array, exchanges: Array, data: bool = True, pivots: bool = True) -> tuple[Any, ...]:
    lower, upper = _parts(a) if data else (None, None)
    return _ordered(a, exchanges) if pivots else None, lower, upper


def _lu_solve(
    call: Call, a: Array, exchanges: Array, b: Array, *, left: bool = True, adjoint: bool = False
) -> Array:
    (lower, upper), order = _parts(a), _ordered(a, exchanges)
    turn, solve = xp.matrix_transpose, xp.linalg.solve
    if not left:
        b, adjoint = turn(b), not adjoint
    if adjoint:
        found = xp.matmul(order, solve(turn(lower), solve(turn(upper), b)))
    else:
        found = solve(upper, solve(lower, xp.matmul(turn(order), b)))
    return found if left else turn(found)


LOWERINGS: dict[str, Lowering] = {
    "linalg_lu.default": _lu, "linalg_lu_factor_ex.default": _lu_factor, "linalg_lu_solve.default": _lu_solve,
    "lu_unpack.default": _lu_unpack,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
