"""Threefry-2x32-20: a block cipher whose encryption of a counter is a random number.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11): two words of a counter are
encrypted by two words of a key in twenty rounds of addition, rotation and exclusive or. There is no state: each
number depends on its key and counter alone, so that arrays are drawn in parallel, and every framework that adds
integers draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, int32, int64
from tensoria.random.words import MASK

__all__ = ["threefry2x32"]

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""R_32x2 of the paper's table 2, in two groups of four rounds."""
PARITY = 0x1BD11BDA
"""C_240 of Skein, its lower 32 bits."""


def threefry2x32(backend: Backend, key: Sequence[Array], counter: Sequence[Array]) -> tuple[Array, Array]:
    """Encrypted counters.

    Args:
        key: two 1-D arrays of words, of length 1 or of the counter's.
        counter: two 1-D arrays of words, the second of length 1 or of the first's.
    """
    first, second = backend.staged(_encrypted, (*key, *counter), backend.word)
    return first, second


def _encrypted(backend: Backend, arrays: Sequence[Array], word: DType) -> tuple[Array, Array]:
    add, subtract, xor, conjunction, right = (
        backend.operators[name] for name in ("add", "subtract", "bitwise_xor", "bitwise_and", "bitwise_right_shift")
    )
    updating = {**backend.operators, **backend.updating}
    add_to, xor_to, or_to, mask, left_to = (
        updating[name] for name in ("add", "bitwise_xor", "bitwise_or", "bitwise_and", "bitwise_left_shift")
    )
    masked = word is int64  # elsewhere additions and shifts wrap around
    k0, k1, c0, c1 = arrays
    keys = (k0, k1, xor(xor(k0, k1), PARITY))
    x0 = add(c0, k0)
    x1 = add(add(subtract(c0, c0), c1), k1)  # of full length, so that it may be updated
    if masked:
        x1 = mask(x1, MASK)
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            # In int64, x0 is left to grow: twenty additions do not reach bit 63, and x1 is masked after each.
            x0 = add_to(x0, x1)
            low = right(x1, 32 - rotation)
            if word is int32:
                low = mask(low, 2**rotation - 1)
            x1 = xor_to(or_to(left_to(x1, rotation), low), x0)
            if masked:
                x1 = mask(x1, MASK)
        x0 = add_to(x0, keys[(group + 1) % 3])
        x1 = add_to(x1, add(keys[(group + 2) % 3], group + 1))
        if masked:
            x1 = mask(x1, MASK)
    return (conjunction(x0, MASK) if masked else x0), x1
