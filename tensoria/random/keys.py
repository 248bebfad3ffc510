"""Keys: where randomness comes from, explicitly.

A key is a plain tensor of two uint32. It is an argument like any other, of compiled functions too; what is drawn from
it lives on its backend and device. A key is used once: the same key draws the same numbers. More keys are split off
it, or folded with a number such as that of a step.

Counters have two words. The second one's top byte says what a block is for, so that numbers drawn from a key and keys
split off it are never the same blocks.
"""

from __future__ import annotations

import math
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.coordinatewise import is_scalar
from tensoria.core import BaseTensor
from tensoria.discovery import current, get, home
from tensoria.dtypes import int64, uint32
from tensoria.errors import ConversionError, DomainError, DTypeError, ModeError, ShapeError
from tensoria.indices import PLAIN
from tensoria.random.arguments import integer, sizes
from tensoria.random.threefry import threefry2x32
from tensoria.random.words import MASK, as_words, cast
from tensoria.tensor import Tensor

__all__ = ["DRAW", "block", "fold_in", "key", "opened", "split"]

DRAW, SPLIT, FOLD = 0, 1, 2
"""What a block is for."""
HALF = 2**31
"""Counters below it fit into every data type of words."""


def key(seed: int, *, backend: str | None = None, device: str | None = None) -> Tensor:
    """The key of a seed.

    Args:
        seed: an integer in [0, 2**64); its upper and lower 32 bits are the key.
        backend: the backend's name; the current one by default. Functions that are compiled name it.
        device: such as `"cpu"` or `"cuda:1"`.

    Raises:
        ConversionError: the seed is no integer.
        DomainError: it is negative or too large.

    >>> key(2**32 + 7)
    Tensor(2 uint32, numpy)
    [1 7]
    """
    seed = _within(integer(seed, "a seed"), "a seed")
    target = current() if backend is None else get(backend)
    words = target.asarray([seed >> 32, seed & MASK], uint32, home(target, device), None)
    return Tensor.from_parts(words, PLAIN, target)


def _within(number: int, what: str) -> int:
    if not 0 <= number < 2**64:
        raise DomainError(f"{what} lies in [0, 2**64), and {number} does not.", legal=f"{what} % 2**64")
    return number


def opened(key: Any) -> tuple[Backend, tuple[Array, Array]]:
    """The backend of a key, and its two words as 1-D arrays.

    Raises:
        ConversionError, ModeError, DTypeError, ShapeError: it is no key.
    """
    if isinstance(key, (int, float, list, tuple)):
        raise ConversionError(f"a key is a tensor, not {type(key).__name__} {key!r:.40}.", legal="tn.random.key(0)")
    t = key if isinstance(key, BaseTensor) else Tensor(key)
    if t._axes is not PLAIN:
        raise ModeError(f"a key is a plain tensor, and this one has {t._axes}.", legal="t.components")
    if t.dtype is not uint32:
        raise DTypeError(f"a key is a tensor of uint32, not of {t.dtype}.", legal="tn.random.key(0)")
    backend = t._backend
    if backend.shape(t._array) != (2,):
        raise ShapeError(
            f"a key has the shape (2,), not {t.shape}.", legal="tn.random.key(0), or one of several keys, keys[0]"
        )
    words = as_words(backend, t._array)
    return backend, (words[0:1], words[1:2])


def block(backend: Backend, key: tuple[Array, Array], purpose: int, count: int, first: int = 0) -> tuple[Array, Array]:
    """Encrypted counters from `first` on: two 1-D arrays of words."""
    operators = backend.operators
    tag = purpose << 24
    if not isinstance(count, int) or first + count <= HALF:  # (sizes that are not known are taken for short)
        low = backend.arange_like(count, backend.word, key[0])
        if first:
            low = operators["add"](low, first)
        high = operators["add"](operators["bitwise_and"](key[0], 0), tag)
    else:
        number = operators["add"](backend.arange_like(count, int64, key[0]), first)
        low = as_words(backend, operators["bitwise_and"](number, MASK))
        high = as_words(backend, operators["add"](operators["bitwise_right_shift"](number, 32), tag))
    return threefry2x32(backend, key, (low, high))


def _keys(backend: Backend, words: tuple[Array, Array], shape: tuple[int | None, ...]) -> Tensor:
    pairs = cast(backend, backend.xp.stack(words, axis=-1), uint32)
    return Tensor.from_parts(backend.reshape(pairs, (*shape, 2)), PLAIN, backend)


def split(key: Any, n: int | tuple[int, ...] = 2) -> Tensor:
    """New keys, independent of each other and of what is drawn from this one.

    Args:
        key: a key.
        n: how many, or a shape of them.

    Returns:
        A tensor of the shape (n, 2): `a, b = split(key)`. The first keys are the same however many are asked for.

    >>> split(key(0)).shape
    (2, 2)
    """
    backend, words = opened(key)
    shape = sizes(n)
    return _keys(backend, block(backend, words, SPLIT, math.prod(shape)), shape)


def fold_in(key: Any, data: Any) -> Tensor:
    """A new key for each number, such as that of a step or of a device.

    Args:
        key: a key.
        data: an integer in [0, 2**64), or a plain tensor of integers (of which negative ones count from 2**64 down),
            known or not while a framework traces.

    Returns:
        A key; for a tensor of numbers, a tensor of keys of its shape and 2.

    Raises:
        ConversionError, DTypeError: the data are no integers.
        DomainError: a number is negative or too large.
    """
    backend, words = opened(key)
    if is_scalar(data):
        number = _within(integer(data, "what is folded in"), "what is folded in")
        # A 0-d array on the key's device, also while a framework traces.
        array = backend.scalar_like(number - 2**64 * (number >> 63), int64, words[0])
        data = Tensor.from_parts(array, PLAIN, backend)
    elif not isinstance(data, BaseTensor):
        data = Tensor(data)
    if data._axes is not PLAIN or data._backend is not backend or data.dtype.kind not in ("int", "uint"):
        raise ConversionError(
            f"what is folded in is an integer or a plain tensor of integers on {backend.name}, not "
            f"{data._axes} {data.dtype} on {data._backend.name}."
        )
    shape = backend.shape(data._array)
    flat = backend.reshape(cast(backend, data._array, int64), (-1,))
    low = as_words(backend, backend.operators["bitwise_and"](flat, MASK))
    high = backend.operators["bitwise_and"](backend.operators["bitwise_right_shift"](flat, 32), MASK)
    tag = backend.operators["add"](backend.operators["bitwise_and"](words[0], 0), FOLD << 24)
    once = threefry2x32(backend, words, (as_words(backend, high), tag))
    folded = threefry2x32(backend, once, (low, tag))
    return _keys(backend, folded, shape)
