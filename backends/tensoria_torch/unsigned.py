"""Arithmetic of uint16, uint32 and uint64, for most of which PyTorch has no kernels (pytorch#58734).

The bits of an unsigned integer are those of a signed one, and PyTorch shows them as such without a copy. What wraps
around or only moves components is the same on the bits; what compares is the same once the sign bit is flipped; for
the rest 16 and 32 bits fit into int64, and 64 bits take an algorithm. Every function tries PyTorch's own kernel first,
so that nothing is slower where there is one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tensoria.dtypes import dtype, promoted

__all__ = ["LIFTED", "UNSIGNED", "bits", "lifted", "of_bits", "unified", "wide"]

Array = Any
LIFTED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""The signed type that shows the bits of an unsigned one."""
UNSIGNED = frozenset((torch.uint8, *LIFTED))


def bits(x: Array) -> Array:
    """The bits of an array, as a signed type shows them."""
    return x.view(LIFTED[x.dtype]) if x.dtype in LIFTED else x


def of_bits(x: Array, into: Any) -> Array:
    """The unsigned array of those bits."""
    return x.to(LIFTED[into]).view(into) if into in LIFTED else x.to(into)


def _flipped(x: Array) -> Array:
    """Signed numbers in the order of the unsigned ones."""
    return bits(x) ^ torch.iinfo(LIFTED[x.dtype]).min


def _unflipped(x: Array, into: Any) -> Array:
    return (x ^ torch.iinfo(LIFTED[into]).min).view(into)


def wide(x: Array) -> Array:
    """The numbers as int64 (of uint64: the bits)."""
    return x.to(torch.int64)


def unified(arrays: Sequence[Array]) -> list[Array]:
    """Arrays in the data type that they promote to by the standard's table."""
    first = arrays[0].dtype
    if all(x.dtype == first for x in arrays):
        return list(arrays)
    name = functools.reduce(promoted, (dtype(x.dtype) for x in arrays)).name
    into = getattr(torch, name)
    return [x.to(into) for x in arrays]


def lifted(native: Callable[..., Any], how: str, values: int = 1) -> Callable[..., Any]:
    """A function that also takes uint16, uint32 and uint64.

    Args:
        native: PyTorch's function.
        how: "bits", on the bits; "order", on numbers in the same order; with a trailing "!" the result is no number
            of that type (a position, a truth value) and is left as it is.
        values: how many of the leading arguments are such numbers; Python's become arrays.
    """
    show, hide = (_flipped, _unflipped) if how.startswith("order") else (bits, of_bits)
    back = not how.endswith("!")

    @functools.wraps(native)
    def function(*arguments: Any, **options: Any) -> Any:
        try:
            return native(*arguments, **options)
        except RuntimeError:  # NotImplementedError is one
            given, rest = arguments[:values], arguments[values:]
            arrays = [x for x in given if isinstance(x, torch.Tensor)]
            if not any(x.dtype in LIFTED for x in arrays):
                raise
            into = unified(arrays)[0].dtype
            shown = [x if x is None else _array(x, into, arrays[0]) for x in given]
            if into not in LIFTED:
                return native(*shown, *rest, **options)
            out = native(*(x if x is None else show(x) for x in shown), *rest, **options)
            return hide(out, into) if back else out

    return function


def _array(x: Any, into: Any, like: Array) -> Array:
    return x.to(into) if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=into, device=like.device)


def widened(native: Callable[..., Any], of_64: Callable[[Array, Array], Array]) -> Callable[..., Any]:
    """A function of two numbers that also takes uint16 and uint32 (as int64), and uint64 (by another function)."""

    @functools.wraps(native)
    def function(x1: Any, x2: Any, /) -> Any:
        try:
            return native(x1, x2)
        except RuntimeError:
            arrays = [x for x in (x1, x2) if isinstance(x, torch.Tensor)]
            if not any(x.dtype in LIFTED for x in arrays):
                raise
            into = unified(arrays)[0].dtype
            x, y = (_array(x, into, arrays[0]) for x in (x1, x2))
            if into not in LIFTED:
                return native(x, y)
            return (of_64 if into is torch.uint64 else native)(wide(x), wide(y)).to(into)

    return function


LEAST = torch.iinfo(torch.int64).min


def _below(x: Array, y: Array) -> Array:
    return (x ^ LEAST) < (y ^ LEAST)


def floor_divide_64(x: Array, y: Array) -> Array:
    """The quotient of two uint64: half the dividend, divided and doubled (Warren, Hacker's Delight, 9-3)."""
    divisor = torch.where(y > 0, y, 1)
    half = torch.bitwise_right_shift(x, 1) & torch.iinfo(torch.int64).max
    quotient = torch.bitwise_left_shift(torch.floor_divide(half, divisor), 1)
    quotient = quotient + torch.logical_not(_below(x - quotient * divisor, divisor)).to(torch.int64)
    quotient = torch.where(y < 0, torch.logical_not(_below(x, y)).to(torch.int64), quotient)
    if bool((y == 0).any()):
        raise RuntimeError("ZeroDivisionError: an integer is divided by zero")
    return quotient


def remainder_64(x: Array, y: Array) -> Array:
    """The remainder of the bits of two uint64."""
    return x - floor_divide_64(x, y) * y


def right_shift_64(x: Array, n: Array) -> Array:
    """The bits of a uint64 shifted to the right, with zeros from the left."""
    shifted = torch.bitwise_right_shift(torch.bitwise_right_shift(x, 1) & torch.iinfo(torch.int64).max, n - 1)
    return torch.where(n == 0, x, torch.where((n < 0) | (n > 63), 0, shifted))


def accumulating(native: Callable[..., Any]) -> Callable[..., Any]:
    """A sum or a product: PyTorch accumulates unsigned integers in int64, the standard in uint64."""

    @functools.wraps(native)
    def function(x: Array, /, *, dtype: Any = None, **options: Any) -> Any:
        if dtype is None and x.dtype in UNSIGNED:
            dtype = torch.uint64
        if x.dtype not in LIFTED and dtype not in LIFTED:
            return native(x, dtype=dtype, **options)
        if dtype is not None and (dtype.is_floating_point or dtype.is_complex):
            return native(x.to(dtype), dtype=dtype, **options)
        return native(wide(x), dtype=torch.int64, **options).to(dtype)

    return function
