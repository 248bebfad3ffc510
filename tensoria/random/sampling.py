"""Permutations and choices.

A permutation is the stable order of random numbers of 64 bits: two of n are equal, and then in the order in which they
stood, with a probability below n**2 / 2**65. A weighted choice turns weights into integers and counts them up, so that
no framework's order of summing floating-point numbers matters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.coordinatewise import is_scalar
from tensoria.core import same_backend
from tensoria.dtypes import DType, float32, float64, int64
from tensoria.errors import AxisError, DomainError, DTypeError, ModeError, ShapeError
from tensoria.indices import PLAIN
from tensoria.making import asarray
from tensoria.namespace.dispatch import axes_of
from tensoria.namespace.indexing import take
from tensoria.random.arguments import integer, real, sizes
from tensoria.random.bits import words
from tensoria.random.integers import below, integers
from tensoria.random.keys import opened
from tensoria.random.words import MASK, cast, whole
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["choice", "permutation"]

Key = tuple[Array, Array]


def _population(backend: Backend, x: Any, axis: int | str, what: str) -> tuple[Tensor | None, int, int]:
    """A tensor (None for the integers below a number), how many there are along its axis, and that axis' position."""
    if is_scalar(x):
        count = integer(x, f"what {what} takes, if it is no tensor,")
        if count < 0:
            raise DomainError(f"{what} of {count} integers, a negative number.")
        if axis != 0:
            raise AxisError(f"{what} of the integers below {count} along the axis {axis!r}: they have one.")
        return None, count, 0
    t = x if isinstance(x, Tensor) else asarray(x, backend=None if _is_native(x) else backend.name)
    same_backend(Tensor.from_parts(None, PLAIN, backend), t)
    if not t.ndim:
        raise AxisError(f"{what} of a tensor without axes.", legal="an integer n, for the integers below it")
    found = axes_of(t, axis, what)
    assert found is not None
    count_ = backend.shape(t._array)[found[0]]
    if count_ is None:
        raise ShapeError(f"{what} along an axis whose size is not known while the framework traces.")
    return t, count_, found[0]


def _is_native(x: Any) -> bool:
    return not isinstance(x, (list, tuple))


def _order(backend: Backend, key: Key, count: int) -> Array:
    return backend.xp.argsort(whole(backend, *words(backend, key, count, 2)), stable=True)


def permutation(key: Any, x: Any, *, axis: int | str = 0) -> Tensor:
    """A tensor in random order along an axis, or the integers below n in random order.

    It is the same on every backend and device, compiled or not.

    Args:
        key: a key.
        x: a tensor, or n. Along an index, the tensor has to be in a privileged basis; the axis is a plain one then.
        axis: number or name.

    Raises:
        DomainError: n is negative.
        AxisError: there is no such axis.
        BackendError: tensor and key are on two backends.

    >>> import tensoria as tn
    >>> permutation(tn.random.key(0), 5).array.tolist()
    [4, 3, 1, 2, 0]
    """
    backend, opened_key = opened(key)
    t, count, position = _population(backend, x, axis, "permutation")
    order = Tensor.from_parts(cast(backend, _order(backend, opened_key, count), int64), PLAIN, backend)
    return order if t is None else take(t, order, axis=position)


def choice(key: Any, x: Any, shape: Any = (), *, replace: bool = True, p: Any = None, axis: int | str = 0) -> Tensor:
    """Random entries of a tensor along an axis, or random integers below n.

    The same entries are chosen on every backend and device, compiled or not. Weights are scaled by a power of two and
    cut to integers whose sum fits into 62 bits: each loses less than 2**-52 of the greatest one (n 2**-60 for more
    than 511). Numbers below that sum are drawn with an error of 2**-128 each.

    Args:
        key: a key.
        x: a tensor, or n.
        shape: an integer or a sequence of them; it stands in the place of the axis.
        replace: whether an entry may be chosen more than once.
        p: a weight for each entry, not negative, not all zero; they need not sum to 1. Python's numbers are float64,
            and subnormal ones count as zero. Without replacement, entries are chosen one after the other by the
            weights of what is left.
        axis: number or name.

    Raises:
        DomainError: nothing to choose from, or too little without replacement; weights that are negative, infinite,
            NaN, or all zero (looked at outside of compiled functions only: there, negative and NaN count as zero).
        ShapeError: the number of weights is another one.
        DTypeError: weights are no real floating-point numbers.
        BackendError: tensor, weights and key are not on one backend.

    >>> import tensoria as tn
    >>> tn.random.choice(tn.random.key(0), 3, 8, p=[0.1, 0.0, 0.9]).array.tolist()
    [2, 0, 0, 2, 2, 2, 2, 2]
    """
    backend, opened_key = opened(key)
    t, count, position = _population(backend, x, axis, "choice")
    found = sizes(shape)
    drawn = math.prod(found)
    if t is not None and t._axes is not PLAIN and len(found) != 1:
        raise ModeError(
            f"a choice of the shape {found} from the labelled tensor {t._axes} would leave axes without labels.",
            legal="a shape of one size, or t.components",
        )
    if drawn and not count:
        raise DomainError("choice from nothing.")
    if not replace and drawn > count:
        raise DomainError(f"choice of {drawn} out of {count} without replacement.", legal="replace=True")
    if p is not None:
        least = min(drawn, 1) if replace else drawn
        weights = _integers(backend, _weights(backend, opened_key, p, count, least), count)
        positions = (_weighted if replace else _weighted_once)(backend, opened_key, weights, drawn)
    elif replace:
        positions = integers(key, 0, max(count, 1), drawn)._array
    else:
        positions = _order(backend, opened_key, count)[:drawn]
    chosen = Tensor.from_parts(cast(backend, positions, int64), PLAIN, backend)
    if t is None:
        return Tensor.from_parts(backend.reshape(chosen._array, found), PLAIN, backend)
    taken = take(t, chosen, axis=position)
    if len(found) == 1:
        return taken
    rest = backend.shape(t._array)
    shaped = backend.reshape(taken._array, (*rest[:position], *found, *rest[position + 1 :]))
    return Tensor.from_parts(shaped, PLAIN, backend)


# -- weights ----------------------------------------------------------------------------------------------------------


def _weights(backend: Backend, key: Key, p: Any, count: int, least: int) -> Array:
    """Weights as an array of float32 or float64 on the key's backend, at least so many of them positive."""
    if isinstance(p, (list, tuple)):
        p = tuple([real(weight, "a weight") for weight in p])
        _check(p, float64, least)
        t = Tensor.from_parts(backend.array_like(p, float64, key[0]), PLAIN, backend)
    else:
        t = p if isinstance(p, Tensor) else Tensor(p)
    same_backend(Tensor.from_parts(None, PLAIN, backend), t)
    if t._axes is not PLAIN:
        raise ModeError(f"weights are a plain tensor, and these have {t._axes}.", legal="p.components")
    if t.dtype.kind != "float":
        raise DTypeError(f"weights are real floating-point numbers, not {t.dtype}.", legal='p.to(dtype="float64")')
    if backend.shape(t._array) != (count,):
        raise ShapeError(f"{count} entries need weights of the shape ({count},), not {t.shape}.")
    array = t._array if t.dtype in (float32, float64) else cast(backend, t._array, float32)
    if not isinstance(p, tuple) and backend.readable(array):
        _check(backend.to_numpy(array), backend.dtype(array), least)
    return array


@structural
def _check(weights: Any, of: DType, least: int) -> None:
    array = np.asarray(weights)
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise DomainError("weights are finite and not negative, and some of these are not.")
    if (positive := np.count_nonzero(array >= NORMAL[of])) < least:
        raise DomainError(f"{positive} of the weights are positive, and {least} entries are chosen from those.")


def _integers(backend: Backend, weights: Array, count: int) -> Array:
    """Weights as integers: all multiplied by one power of two, and cut."""
    xp, multiply = backend.xp, backend.operators["multiply"]
    weights = xp.where(weights >= NORMAL[backend.dtype(weights)], weights, xp.zeros_like(weights))
    scale = _scale(backend, xp.reshape(xp.max(weights), (1,)))
    room = min(62 - count.bit_length(), FRACTION)
    return cast(backend, xp.floor(multiply(multiply(weights, scale), 2.0 ** (room - 2))), int64)


NORMAL = {float32: 2.0**-126, float64: 2.0**-1022}
"""Smaller weights than these count as zero, because some devices take them for that."""
FRACTION = 53
"""Weights keep so many bits below the greatest one's first, if they are few."""


def _scale(backend: Backend, x: Array) -> Array:
    """The power of two that brings a positive number into [2, 4); it is never subnormal."""
    where, multiply = backend.xp.where, backend.operators["multiply"]
    scale = x * 0 + 2.0
    steps = [2**n for n in reversed(range(7 if backend.dtype(x) is float32 else 10))]
    for bound, factor in [*((2.0**k, 2.0**-k) for k in steps), *((2.0 ** (1 - k), 2.0**k) for k in steps)]:
        beyond = x >= bound if factor < 1 else x < bound
        x, scale = where(beyond, multiply(x, factor), x), where(beyond, multiply(scale, factor), scale)
    return scale


def _target(backend: Backend, drawn: tuple[Array, ...], total: Array) -> Array:
    """Random integers below a total, which is an array of length 1."""
    right, conjunction = backend.operators["bitwise_right_shift"], backend.operators["bitwise_and"]
    upper, lower = below(backend, drawn, right(total, 32), conjunction(total, MASK))
    return backend.operators["bitwise_or"](backend.operators["bitwise_left_shift"](upper, 32), lower)


def _weighted(backend: Backend, key: Key, weights: Array, count: int) -> Array:
    sums = backend.xp.cumulative_sum(weights, axis=0)
    target = _target(backend, words(backend, key, count, 4), sums[-1:])
    return backend.xp.searchsorted(sums, target, side="right")


def _weighted_once(backend: Backend, key: Key, weights: Array, count: int) -> Array:
    xp = backend.xp
    drawn = words(backend, key, count, 4)
    places = backend.arange_like(backend.shape(weights)[0] or 0, int64, weights)
    positions = []
    for n in range(count):
        position = _weighted_at(backend, tuple(word[n : n + 1] for word in drawn), weights)
        positions.append(position)
        weights = xp.where(places == position, xp.zeros_like(weights), weights)
    return xp.concat(positions) if positions else places[:0]


def _weighted_at(backend: Backend, drawn: tuple[Array, ...], weights: Array) -> Array:
    sums = backend.xp.cumulative_sum(weights, axis=0)
    return cast(backend, backend.xp.searchsorted(sums, _target(backend, drawn, sums[-1:]), side="right"), int64)
