"""Rows of tables, largest components, components written at positions."""

from __future__ import annotations

from typing import Any

from tensoria.backend import Array, Backend
from tensoria.dtypes import int64
from tensoria.programs.definitions.performing import cut, reshaped

__all__ = ["DEFINITIONS"]


def _embedding(backend: Backend, weight: Array, indices: Array) -> Array:
    return backend.get_item(weight, indices)


def _take_at(backend: Backend, x: Array, indices: Array) -> Array:
    places = tuple(backend.get_item(indices, (Ellipsis, n)) for n in range(indices.shape[-1]))
    return backend.get_item(x, places)


def _top_k(backend: Backend, x: Array, *, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    order = backend.xp.argsort(x, axis=axis, descending=largest, stable=True)
    places = cut(backend, order, axis, 0, k)
    return backend.xp.take_along_axis(x, places, axis=axis), places


def _scatter(backend: Backend, x: Array, indices: Array, updates: Array, *, axis: int, add: bool) -> Array:
    """Every component of x beside every update of its line: those whose position it is are added, or the last wins."""
    xp = backend.xp
    size, count = x.shape[axis], indices.shape[axis]
    moved, at, new = (xp.moveaxis(array, axis, -1) for array in (x, indices, updates))
    lines = moved.shape[:-1]
    places = reshaped(backend, backend.arange_like(size, int64, x), size, 1)
    at = xp.where(xp.less(at, 0), xp.add(at, size), at)
    hit = xp.equal(reshaped(backend, at, *lines, 1, count), places)
    if add:
        new = reshaped(backend, new, *lines, 1, count)
        found = xp.add(moved, xp.sum(xp.where(hit, new, xp.zeros_like(new)), axis=-1))
    else:
        number: Any = backend.arange_like(count, int64, x)
        last = xp.max(xp.where(hit, number, -1), axis=-1)
        found = xp.where(xp.less(last, 0), moved, xp.take_along_axis(new, xp.maximum(last, 0), axis=-1))
    return xp.moveaxis(found, -1, axis)


DEFINITIONS = {"embedding": _embedding, "take_at": _take_at, "top_k": _top_k, "scatter": _scatter}
"""The definitions of this chapter, by the operation's name."""
