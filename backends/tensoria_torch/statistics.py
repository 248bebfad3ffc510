"""Batch normalisations that learn their statistics, found again in a program that trains.

Captured, one is the mean and the variance of a batch, a normalisation by these, and three updates: two moving averages
and a count. PyTorch's own module does all of that, so it is put in the place of exactly that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from tensoria.programs.base import P
from tensoria.programs.dimensions import Size
from tensoria.programs.passes import remove_dead_code
from tensoria.programs.types import Instruction, Literal, Operand, Value

__all__ = ["learning"]


def learning(program: P) -> tuple[P, dict[str, float]]:
    """The program with running statistics where those of the batch were, for the normalisations that learn them.

    Args:
        program: a program with updates.

    Returns:
        The program, without the updates of these, and their momentum by the path of the module that they are.
    """
    found = _Learning(program)
    instructions = [found.normal(made) for made in program.instructions]
    if not found.momentum:
        return program, {}
    gone = {f"{path}.{name}" for path in found.momentum for name in ROLES}
    updates = {name: x for name, x in program.updates.items() if name not in gone}
    changed = dataclasses.replace(program, instructions=tuple(instructions), updates=updates)
    return remove_dead_code(changed), found.momentum


ROLES = ("running_mean", "running_var", "num_batches_tracked")


class _Learning:
    """What is known of a program while its normalisations are looked at.

    Attributes:
        momentum: by path, of those that were found.
    """

    def __init__(self, program: Any) -> None:
        self.program = program
        self.momentum: dict[str, float] = {}
        self.makers = {value: made for made in program.instructions for value in made.results}

    def normal(self, made: Instruction) -> Instruction:
        """A normalisation by the statistics that it learns, if it is one; else as it is."""
        if made.operation != "batch_norm" or made.attributes["axis"] != 1 or len(made.operands) not in (3, 5):
            return made
        x, mean, variance, *scale = made.operands
        axes = tuple(n for n in range(x.type.ndim) if n != 1)
        for found, operation in ((mean, "mean"), (variance, "var")):
            by = self.maker(found, operation)
            if by is None or by.operands[0] is not x or by.attributes["axes"] != axes or by.attributes["keepdims"]:
                return made
            if by.attributes.get("correction", 0.0) != 0.0:
                return made
        named = self.program.parameters
        for path in self.paths():
            roles = [f"{path}.{role}" for role in ("weight", "bias")[: len(scale)]]
            if path in self.momentum or [named.get(role) for role in roles] != scale:
                continue
            trained = [role in self.program.trainable for role in roles]
            momentum = self.average(path, "running_mean", lambda new: new is mean)
            other = self.average(path, "running_var", lambda new: self.unbiased(new, variance, x, axes))
            if all(trained) and momentum is not None and momentum == other and self.counted(path):
                self.momentum[path] = momentum
                own = [named[f"{path}.{role}"] for role in ROLES[:2]]
                return dataclasses.replace(made, operands=(x, *own, *scale))
        return made

    def paths(self) -> Iterator[str]:
        """Where there are running means that change."""
        return (name.removesuffix(".running_mean") for name in self.program.updates if name.endswith(".running_mean"))

    def maker(self, x: Operand | None, operation: str) -> Instruction | None:
        """The instruction that made a value, if it is of that kind."""
        made = self.makers.get(x) if isinstance(x, Value) else None
        return made if made is not None and made.operation == operation else None

    def parts(self, x: Operand | None, operation: str) -> Sequence[Operand]:
        """The operands of the operation that made a value; none of another one's."""
        made = self.maker(x, operation)
        return () if made is None else made.operands

    def average(self, path: str, role: str, is_new: Any) -> float | None:
        """The momentum m of m new + (1 - m) old, which a buffer becomes; None if it becomes something else."""
        old = self.program.parameters.get(f"{path}.{role}")
        for moved, kept in _pairs(self.parts(self.program.updates.get(f"{path}.{role}"), "add")):
            if not (self.parts(moved, "multiply") and self.parts(kept, "multiply")):
                continue
            (new, share), (before, rest) = self.parts(moved, "multiply"), self.parts(kept, "multiply")
            if before is not old or not (isinstance(share, Literal) and isinstance(rest, Literal)):
                continue
            new = next(iter(self.parts(new, "stop_gradient")), new)
            m = float(share.number.real)
            if is_new(new) and math.isclose(float(rest.number.real), 1 - m, rel_tol=1e-9):
                return m
        return None

    def unbiased(self, new: Operand, variance: Operand, x: Operand, axes: tuple[int, ...]) -> bool:
        """Whether a value is the variance times n / (n - 1), where n numbers have that variance."""
        count: Size = 1
        for axis in axes:
            count = count * x.type.shape[axis]
        for first, factor in _pairs(self.parts(new, "multiply")):
            ratio = self.parts(factor, "divide")
            if first is not variance or not ratio:
                continue
            less = self.parts(ratio[1], "subtract")
            if less and less[0] == ratio[0] and isinstance(less[1], Literal) and less[1].number == 1:
                return self.size(ratio[0]) == count
        return False

    def size(self, x: Operand) -> Size | None:
        """The size that a number is."""
        if isinstance(x, Literal):
            return int(x.number.real)
        made = self.maker(x, "astype")
        made = self.maker(made.operands[0] if made is not None else x, "size")
        return None if made is None else made.attributes["size"]

    def counted(self, path: str) -> bool:
        """Whether the module counts its batches."""
        name = f"{path}.num_batches_tracked"
        parts = self.parts(self.program.updates.get(name), "add")
        own = self.program.parameters.get(name)
        return any(x is own and isinstance(one, Literal) and one.number == 1 for x, one in _pairs(parts))


def _pairs(operands: Sequence[Operand]) -> Iterator[tuple[Operand, Operand]]:
    """Two operands in both orders; nothing of none."""
    if len(operands) == 2:
        yield operands[0], operands[1]
        yield operands[1], operands[0]
