"""Operations of neural networks that were written out in simpler ones are one instruction again.

What the one instruction says can be read, is fast where a framework has it, and is accurate: `softmax`, `gelu`,
`silu`, `layer_norm`, `rms_norm`, `batch_norm`, `linear` and `convolution` with their biases, `attention`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from tensoria.programs.base import P
from tensoria.programs.passes.attention import ATTENTION
from tensoria.programs.passes.compositions import COMPOSITIONS
from tensoria.programs.passes.matching import Patterns, fused
from tensoria.programs.passes.subexpressions import share_subexpressions
from tensoria.programs.types import Instruction, Operand, Value, assigned, regions

__all__ = ["COMPOSED", "fuse_primitives"]

COMPOSED: Final[Patterns] = {
    name: (*COMPOSITIONS.get(name, ()), *ATTENTION.get(name, ())) for name in (*COMPOSITIONS, *ATTENTION)
}
"""All that is looked for, by the last operation."""


def fuse_primitives(program: P) -> P:
    """The program with compositions replaced by the operations of neural networks that they are.

    Equal instructions on equal operands are one before. A composition stays if a value inside of it is used elsewhere
    or is a result.
    """
    program = share_subexpressions(program)
    names = {value.name for value in (*program.inputs, *program.arrays, *assigned(program))}
    fresh = (name for n in range(1, 1 << 62) if (name := f"t{n}") not in names)
    return _fused(program, lambda: next(fresh))


def _fused(program: P, fresh: Callable[[], str]) -> P:
    """The program, or one inside of an instruction, with what is inside of its instructions."""
    instructions = [_within(made, fresh) for made in program.instructions]
    held = set(program.parameters.values())
    constants = {value: array for value, array in program.arrays.items() if value not in held}
    wanted = (*program.outputs, *program.updates.values())
    kept, same = fused(instructions, wanted, COMPOSED, parameters=held, arrays=constants, fresh=fresh)

    def now(x: Operand) -> Operand:
        return same.get(x, x) if isinstance(x, Value) else x

    return dataclasses.replace(
        program,
        instructions=kept,
        outputs=tuple(map(now, program.outputs)),
        updates={name: now(x) for name, x in program.updates.items()},
    )


def _within(made: Instruction, fresh: Callable[[], str]) -> Instruction:
    inner: dict[str, Any] = {
        name: _fused(region, fresh)  # type: ignore[type-var]
        for name, region in regions(made).items()
    }
    return dataclasses.replace(made, attributes={**made.attributes, **inner}) if inner else made
