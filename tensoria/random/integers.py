"""Random integers below a bound: the upper part of a product (Lemire, "Fast random integer generation in an
interval", 2019, without its rejection, which takes a number of steps that depends on the numbers).

For x uniform in [0, 2**b), floor(x n / 2**b) is in [0, n), and each number's probability is within 2**-b of 1/n. The
product is taken digit by digit, floor(floor(d n + h) / 2**16) from the lowest digit d of x upwards, so that nothing
overflows int64 and nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, int8, int16, int32, int64, uint8, uint16, uint32, uint64
from tensoria.errors import DomainError
from tensoria.indices import PLAIN
from tensoria.random.arguments import data_type, integer, sizes
from tensoria.random.bits import words
from tensoria.random.keys import opened
from tensoria.random.words import MASK, cast, wide
from tensoria.tensor import Tensor

__all__ = ["below", "integers"]

INTEGERS = (int8, int16, int32, int64, uint8, uint16, uint32, uint64)


def _digits(backend: Backend, drawn: Sequence[Array]) -> list[Array]:
    """Random words as digits of 16 bits, in int64."""
    conjunction, right = backend.operators["bitwise_and"], backend.operators["bitwise_right_shift"]
    return [digit for word in drawn for x in (wide(backend, word),) for digit in (conjunction(x, 0xFFFF), right(x, 16))]


def _below_small(backend: Backend, drawn: Sequence[Array], n: int) -> Array:
    """Numbers in [0, n) for n up to 2**32, in int64."""
    add, multiply, right = (backend.operators[name] for name in ("add", "multiply", "bitwise_right_shift"))
    first, *rest = _digits(backend, drawn)
    found = right(multiply(first, n), 16)
    for digit in rest:
        found = right(add(multiply(digit, n), found), 16)
    return found


def below(backend: Backend, drawn: Sequence[Array], high: Array | int, low: Array | int) -> tuple[Array, Array]:
    """Numbers in [0, n) for n = 2**32 high + low, up to 2**64, as upper and lower halves in int64.

    Args:
        drawn: random words.
        high, low: numbers up to 2**32 and below it: Python's, or 0-d arrays of int64.
    """
    add, multiply, conjunction, disjunction, left, right = (
        backend.operators[name]
        for name in ("add", "multiply", "bitwise_and", "bitwise_or", "bitwise_left_shift", "bitwise_right_shift")
    )
    upper: Array = 0
    lower: Array = 0
    for digit in _digits(backend, drawn):
        small = add(multiply(digit, low), lower)
        large = add(multiply(digit, high), add(right(small, 32), upper))
        lower = disjunction(right(conjunction(small, MASK), 16), left(conjunction(large, 0xFFFF), 16))
        upper = right(large, 16)
    return upper, lower


def integers(key: Any, low: int, high: int, shape: Any = (), *, dtype: DType | str = "int64") -> Tensor:
    """Integers that are uniform in [low, high).

    They are the same on every backend and device, compiled or not. Each number's probability is within 2**-64 of
    1 / (high - low), and within 2**-128 for more than 2**32 numbers.

    Args:
        key: a key.
        low, high: Python integers.
        shape: an integer or a sequence of them.
        dtype: a data type of integers, in which low and high - 1 fit.

    Raises:
        DTypeError: another data type.
        ConversionError, DomainError: low and high are no integers, in the wrong order, or do not fit.
        ShapeError: a negative size.

    >>> import tensoria as tn
    >>> tn.random.integers(tn.random.key(0), 1, 7, 5).array.tolist()
    [4, 5, 6, 1, 4]
    """
    of = data_type(dtype, "integers", INTEGERS)
    backend, opened_key = opened(key)
    first, end = integer(low, "low"), integer(high, "high")
    if not first < end:
        raise DomainError(f"no integer lies in [{first}, {end}).", legal="low < high")
    bits = 8 * of.itemsize
    least = 0 if of.kind == "uint" else -(2 ** (bits - 1))
    if first < least or end > least + 2**bits:
        raise DomainError(f"the integers in [{first}, {end}) do not fit into {of}: [{least}, {least + 2**bits}).")
    found = sizes(shape)
    count, n = math.prod(found), end - first
    if n <= 2**32 and end <= 2**63:
        native = _below_small(backend, words(backend, opened_key, count, 2), n)
        if first:
            native = backend.operators["add"](native, first)
    else:
        drawn = words(backend, opened_key, count, 4)
        native = _sum(backend, below(backend, drawn, n >> 32, n & MASK), first % 2**64)
    return Tensor.from_parts(backend.reshape(cast(backend, native, of), found), PLAIN, backend)


def _sum(backend: Backend, halves: tuple[Array, Array], number: int) -> Array:
    """Numbers in halves plus another one, modulo 2**64, as int64 that shows the bits."""
    operators = backend.operators
    add, conjunction, right = (operators[name] for name in ("add", "bitwise_and", "bitwise_right_shift"))
    lower = add(halves[1], number & MASK)
    upper = conjunction(add(add(halves[0], number >> 32), right(lower, 32)), MASK)
    upper = operators["subtract"](operators["bitwise_xor"](upper, 2**31), 2**31)
    return operators["bitwise_or"](operators["bitwise_left_shift"](upper, 32), conjunction(lower, MASK))
