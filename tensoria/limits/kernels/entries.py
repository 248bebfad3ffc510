"""Where two families have the same entries of a parameter: what covariances of products and of vectors begin with.

A use of a parameter has some of its finite axes free and takes others at a position. Two uses meet in the entries that
both of them have.
"""

from __future__ import annotations

import itertools

from tensoria.backend import Array
from tensoria.dtypes import int64
from tensoria.limits.kernels.session import Mode, Session
from tensoria.limits.reading.nodes import Gathered, Initial, MatMul

__all__ = ["same_entries", "same_rows"]


def same_rows(session: Session, a: MatMul, b: MatMul, found: Array, mode: Mode) -> Array:
    """A covariance of the factors, taken where both products have the same matrix of the family."""
    s, lead = session, session.lead(mode)
    pairs = _meeting(session, a, b)
    simple = not a.of_matrix and not b.of_matrix
    if simple and a.of_x == a.out and b.of_x == b.out:
        return found
    found = s.stretched(found, a.x.sizes, lead, mode[0])
    found = s.stretched(found, b.x.sizes, lead + len(a.x.sizes), mode[1])
    left = [("a", n) for n in a.of_x]
    right = [("b", n) for n in b.of_x]
    labels = [*left, *right]
    arrays, terms = [found], [labels]
    for m, n, size in pairs:
        inside = ("a", m) in left and ("b", n) in right and m not in a.out and n not in b.out
        if inside:  # both are summed: the diagonal
            arrays[0] = _diagonal(session, arrays[0], lead + labels.index(("a", m)), lead + labels.index(("b", n)))
            labels.remove(("b", n))
            labels.append(labels.pop(labels.index(("a", m))))
            continue
        arrays.append(s.eye(size))
        terms.append([("a", m), ("b", n)])
    for label, position, size in _positions(session, a, b):
        arrays.append(s.backend.get_item(s.eye(size), position))
        terms.append([label])
    out = [*(("a", n) for n in a.out), *(("b", n) for n in b.out)]
    numbers = {label: n for n, label in enumerate(dict.fromkeys(itertools.chain(*terms)))}
    return s.contracted(arrays, [[numbers[x] for x in term] for term in terms], [numbers[x] for x in out])


def _diagonal(session: Session, array: Array, m: int, n: int) -> Array:
    """The components at which two axes agree, along a last axis: frameworks' einsum refuses that of many axes."""
    shape = tuple(array.shape)
    rest = [axis for axis in range(len(shape)) if axis not in (m, n)]
    array = session.backend.xp.permute_dims(array, (*rest, m, n))
    flat = session.backend.reshape(array, (*(shape[axis] for axis in rest), shape[m] * shape[n]))
    return session.backend.get_item(flat, (Ellipsis, slice(None, None, shape[n] + 1)))


def _meeting(session: Session, a: MatMul, b: MatMul) -> list[tuple[int, int, int]]:
    """For each finite axis of the parameter its labels in both uses, where it is free in both."""
    mine, theirs = iter(zip(a.of_matrix, a.matrix.sizes, strict=True)), iter(b.of_matrix)
    out = []
    for p, q in zip(a.matrix.fixed, b.matrix.fixed, strict=True):
        m, size = next(mine) if p is None else (None, 0)
        n = next(theirs) if q is None else None
        if m is not None and n is not None:
            out.append((m, n, session.size(size, 0)))
    return out


def _positions(session: Session, a: MatMul, b: MatMul) -> list[tuple[tuple[str, int], int, int]]:
    """Axes of the parameter that are free in one use and taken at a position in the other."""
    mine = iter(zip(a.of_matrix, a.matrix.sizes, strict=True))
    theirs = iter(zip(b.of_matrix, b.matrix.sizes, strict=True))
    out = []
    for p, q in zip(a.matrix.fixed, b.matrix.fixed, strict=True):
        m = next(mine) if p is None else None
        n = next(theirs) if q is None else None
        if m is not None and q is not None:
            out.append((("a", m[0]), q, session.size(m[1], 0)))
        if n is not None and p is not None:
            out.append((("b", n[0]), p, session.size(n[1], 0)))
    return out


def same_entries(session: Session, a: Initial | Gathered, b: Initial | Gathered, mode: Mode) -> Array | None:
    """1 where two families have the same entry of the parameter, 0 elsewhere; None if nowhere."""
    s, xp, lead = session, session.backend.xp, session.lead(mode)
    if isinstance(a, Initial) and isinstance(b, Initial):
        parts: list[tuple[Array, list[int]]] = []
        m = n = 0
        for p, q in zip(a.fixed, b.fixed, strict=True):
            if p is not None and q is not None:
                if p != q:
                    return None
            elif p is None and q is None:
                parts.append((s.eye(s.size(a.sizes[m], mode[0])), [m, len(a.sizes) + n]))
            elif p is None:
                assert q is not None
                parts.append((s.backend.get_item(s.eye(s.size(a.sizes[m], mode[0])), q), [m]))
            else:
                parts.append((s.backend.get_item(s.eye(s.size(b.sizes[n], mode[1])), p), [len(a.sizes) + n]))
            m, n = m + (p is None), n + (q is None)
        count = len(a.sizes) + len(b.sizes)
        total = s.backend.reshape(s.number(1.0), (1,) * (lead + count))
        for array, places in parts:
            shape = (*(1,) * lead, *tuple(array.shape))
            total = total * s.placed(s.backend.reshape(array, shape), lead, places, count)
        if a.fresh and not mode[2]:
            if mode[0] != mode[1]:
                return None
            eye = s.eye(s.runs[mode[0]].count)
            total = total * s.backend.reshape(eye, (*tuple(eye.shape), *(1,) * count))
        return total
    left, right = (_indices(session, x, run) for x, run in zip((a, b), mode[:2], strict=True))
    first = s.beside(left, mode, 0, 0, len(b.sizes))
    second = s.beside(right, mode, 1, len(a.sizes), 0)
    return s.floats(xp.equal(first, second))


def _indices(session: Session, x: Initial | Gathered, run: int) -> Array:
    s = session
    if isinstance(x, Gathered):
        found = s.family(x.indices, run)
        size = s.size(x.of.sizes[0], run)
        return s.backend.xp.where(s.backend.xp.less(found, 0), found + size, found)
    if x.sizes:
        return s.backend.reshape(s.backend.arange_like(s.size(x.sizes[0], run), int64, s.like), (1, -1))
    return s.backend.reshape(s.backend.asarray(x.fixed[0], int64, s.backend.device(s.like), None), (1,))
