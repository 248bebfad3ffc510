"""Random words: numbers of 32 bits, in whichever data type a backend makes them fastest (`Backend.word`).

uint32 is what they are. int32 shows the same bits, so that its right shift has to be masked; in int64 the upper half
is zero. The functions here read words the same way whatever holds them; every operation is one on integers, and exact.
"""

from __future__ import annotations

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, int32, int64

__all__ = ["MASK", "as_words", "cast", "signed", "top", "whole", "wide"]

MASK = 2**32 - 1


def cast(backend: Backend, x: Array, of: DType) -> Array:
    """The array in another data type."""
    return backend.kernels.cast(x, backend.native_dtype(of))


def as_words(backend: Backend, x: Array) -> Array:
    """The lower 32 bits of uint32 or of int64 as words."""
    if backend.word is int64:
        return backend.operators["bitwise_and"](cast(backend, x, int64), MASK)
    return cast(backend, x, backend.word)


def top(backend: Backend, word: Array, count: int) -> Array:
    """The uppermost bits as small numbers that are not negative; fewer than 32 of them."""
    shifted = backend.operators["bitwise_right_shift"](word, 32 - count)
    return backend.operators["bitwise_and"](shifted, 2**count - 1) if backend.word is int32 else shifted


def wide(backend: Backend, word: Array) -> Array:
    """The words as numbers in int64."""
    x = cast(backend, word, int64)
    return backend.operators["bitwise_and"](x, MASK) if backend.word is int32 else x


def signed(backend: Backend, word: Array) -> Array:
    """The numbers in int64 whose lower 32 bits, as two's complement, are the words."""
    x = cast(backend, word, int64)
    if backend.word is int32:
        return x
    return backend.operators["subtract"](backend.operators["bitwise_xor"](x, 2**31), 2**31)


def whole(backend: Backend, high: Array, low: Array) -> Array:
    """The int64 with the bits of two words."""
    upper = backend.operators["bitwise_left_shift"](signed(backend, high), 32)
    return backend.operators["bitwise_or"](upper, wide(backend, low))
