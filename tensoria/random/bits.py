"""Random bits: what every other draw is made of.

Component number i of a draw, in row-major order, depends on the key and on i alone: the first components are the same
however many are drawn, whatever the shape. A component takes one word (the blocks' words in turn), two (a block), or
four (two blocks).
"""

from __future__ import annotations

import math
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, uint8, uint16, uint32, uint64
from tensoria.indices import PLAIN
from tensoria.random.arguments import data_type, sizes
from tensoria.random.keys import DRAW, block, opened
from tensoria.random.words import cast, top, whole
from tensoria.tensor import Tensor

__all__ = ["bits", "words"]


def words(backend: Backend, key: tuple[Array, Array], count: int, each: int) -> tuple[Array, ...]:
    """Random words: as many 1-D arrays of `count` as each component takes (one, two or four)."""
    if each == 1:
        pairs = backend.xp.stack(block(backend, key, DRAW, (count + 1) // 2), axis=-1)
        return (backend.reshape(pairs, (-1,))[:count],)
    first, second = block(backend, key, DRAW, count * (each // 2))
    if each == 2:
        return first, second
    first, second = backend.reshape(first, (count, 2)), backend.reshape(second, (count, 2))
    return first[:, 0], second[:, 0], first[:, 1], second[:, 1]


def bits(key: Any, shape: Any = (), *, dtype: DType | str = "uint32") -> Tensor:
    """Unsigned integers all of whose bits are random.

    Args:
        key: a key.
        shape: an integer or a sequence of them.
        dtype: uint8, uint16, uint32 or uint64.

    Raises:
        DTypeError: another data type.
        ShapeError: a negative size.

    >>> import tensoria as tn
    >>> bits(tn.random.key(0), 2)
    Tensor(2 uint32, numpy)
    [1797259609 2579123966]
    """
    of = data_type(dtype, "bits", (uint8, uint16, uint32, uint64))
    backend, opened_key = opened(key)
    found = sizes(shape)
    drawn = words(backend, opened_key, math.prod(found), 2 if of is uint64 else 1)
    if of is uint64:
        native = whole(backend, *drawn)
    else:
        native = drawn[0] if of is uint32 else top(backend, drawn[0], 8 * of.itemsize)
    return Tensor.from_parts(backend.reshape(cast(backend, native, of), found), PLAIN, backend)
