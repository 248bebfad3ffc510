"""In which order the axes of held arrays lie in memory: that in which PyTorch's kernels read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tensoria.programs.base import BaseProgram
from tensoria.programs.types import Operand

__all__ = ["CHANNELS", "orders"]

CHANNELS: Final[Mapping[str, str]] = {"convolution": "OI", "convolution_transpose": "IO"}
"""The first and the last axis of a kernel in memory where channels stand last, by operation."""


def orders(program: BaseProgram) -> dict[Operand, tuple[int, ...]]:
    """The order in memory in which parameters and constants are read, where that is not the order of their axes.

    A kernel (height, width, in, out) lies as PyTorch has one with its channels last, or it would be copied in every
    call; its shape, and so the state, stays the program's.
    """
    found: dict[Operand, tuple[int, ...]] = {}
    for made in program.instructions:
        for n, x in enumerate(made.operands):
            if x not in program.arrays:
                continue
            if made.operation == "permute_dims":
                found[x] = made.attributes["axes"]
            elif made.operation in CHANNELS and n == 1 and made.attributes["numbers"][0][-1] == "C":
                letters = made.attributes["numbers"][1]
                space = "".join(letter for letter in letters if letter not in "OI")
                first, last = CHANNELS[made.operation]
                found[x] = tuple(letters.index(letter) for letter in f"{first}{space}{last}")
    return {x: order for x, order in found.items() if order != tuple(range(len(order)))}
