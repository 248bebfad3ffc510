"""Batch normalisations are folded into the convolutions and linear maps before them.

In evaluation a batch normalisation is a factor and a shift by channel, and so is a convolution followed by one: its
kernel times the factor, its bias times the factor plus the shift. New kernels and biases are computed here in double
precision and are constants of the new program; parameters that served nothing else are gone from it, so that it can not
be trained, or given another state, as if they still mattered. That is why the pass is no part of all passes.

Kernels and statistics have to be known, as parameters or constants (or these with their axes moved). What stays: a
convolution whose result something else uses too, components of half precision, and every program with updates, whose
statistics change from call to call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tensoria.programs.base import P
from tensoria.programs.dimensions import Dim
from tensoria.programs.passes.dead_code import remove_dead_code
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Operand, Type, Value

__all__ = ["fold_batch_norms"]

Array = np.ndarray[Any, Any]
MOVES: Final[dict[str, tuple[str, Callable[[Array, Any], Array]]]] = {
    "permute_dims": ("axes", np.transpose), "reshape": ("shape", np.reshape),
}  # fmt: skip
"""What may stand between a parameter and its use as a kernel: by operation its attribute, and NumPy's function."""
PRECISE: Final = frozenset(("float32", "float64"))


def fold_batch_norms(program: P) -> P:
    """The program with batch normalisations as part of the convolutions and linear maps before them.

    The results are the same up to rounding. A program with updates is returned as it is.
    """
    if program.updates:
        return program
    folding = _Folding(program)
    changed = rewritten(program, folding.rewrite)
    if not folding.folded:
        return program
    changed = remove_dead_code(dataclasses.replace(changed, arrays={**program.arrays, **folding.folded}))
    return _without_unused(program, changed)


class _Folding:
    """What is known while a program is rewritten.

    Attributes:
        known: arrays of parameters, constants, and of these with their axes moved.
        uses: how often a value is used.
        made: the instruction of a convolution's or linear map's result.
        folded: the new constants.
    """

    def __init__(self, program: Any) -> None:
        self.known: dict[Operand, Array] = dict(program.arrays)
        used = [x for made in program.instructions for x in made.operands]
        self.uses: dict[Operand, int] = {}
        for x in (*used, *program.outputs):
            self.uses[x] = self.uses.get(x, 0) + 1
        self.made: dict[Operand, Instruction] = {}
        self.folded: dict[Value, Array] = {}

    def rewrite(self, builder: Builder, made: Instruction) -> Sequence[Operand] | None:
        if builder.inner:
            return None
        if made.operation in MOVES and made.operands[0] in self.known:
            name, move = MOVES[made.operation]
            if not any(isinstance(size, Dim) for size in made.attributes[name]):
                self.known[made.results[0]] = move(self.known[made.operands[0]], made.attributes[name])
        elif made.operation in ("convolution", "linear") or (
            made.operation == "convolution_transpose" and made.attributes["groups"] == 1
        ):
            self.made[made.results[0]] = made
        elif made.operation == "batch_norm":
            found = self.merged(builder, made)
            if found is not None:
                self.uses[found] = self.uses.get(made.results[0], 0)
                return (found,)
        return None

    def merged(self, builder: Builder, made: Instruction) -> Value | None:
        """One map in place of a batch normalisation and the one before it; None if that can not be."""
        x, *statistics = made.operands
        before = self.made.get(x)
        if before is None or self.uses[x] != 1 or made.attributes["axis"] != _channels(before, x):
            return None
        source, *weights = before.operands
        if any(v not in self.known for v in (*weights, *statistics)) or x.type.dtype.name not in PRECISE:
            return None
        kernel, *bias = (self.known[v].astype(np.float64) for v in weights)
        mean, variance, *scale = (self.known[v].astype(np.float64) for v in statistics)
        with np.errstate(all="ignore"):
            factor = 1 / np.sqrt(variance + made.attributes["epsilon"])
            factor = factor * scale[0] if scale else factor
            shift = ((bias[0] if bias else 0) - mean) * factor + (scale[1] if len(scale) > 1 else 0)
            arrays = [
                array.astype(x.type.dtype.name)
                for array in (kernel * _along(factor, _outputs(before), kernel.ndim), shift)
            ]
        if not all(np.isfinite(array).all() for array in arrays):
            return None  # a variance without a root: it is for the program to say so
        operands = [self.constant(builder, array, weights[0].type) for array in arrays]
        builder.source = before.source
        found = builder.add(before.operation, (source, *operands), **before.attributes)
        self.made[found] = builder.instructions[-1]
        return found

    def constant(self, builder: Builder, array: Array, like: Type) -> Value:
        value = Value(Type(like.dtype, array.shape), builder.fresh("c"))
        self.known[value] = self.folded[value] = np.ascontiguousarray(array)
        return value


def _channels(made: Instruction, result: Operand) -> int:
    """The axis of channels in the result of a convolution or linear map."""
    if made.operation == "linear":
        return result.type.ndim - 1
    found: int = made.attributes["numbers"][2].index("C")
    return found


def _outputs(made: Instruction) -> int:
    """The axis of a kernel or weight that counts the result's channels, all groups' together."""
    if made.operation == "linear":
        return 0
    found: int = made.attributes["numbers"][1].index("O")
    return found


def _along(vector: Array, axis: int, ndim: int) -> Array:
    return vector.reshape([-1 if n == axis else 1 for n in range(ndim)])


def _without_unused(before: P, after: P) -> P:
    """The program without the parameters that its instructions used before and do no longer."""
    gone = _reached(before) - _reached(after)
    parameters: Mapping[str, Value] = {name: x for name, x in after.parameters.items() if x not in gone}
    return dataclasses.replace(
        after,
        parameters=parameters,
        arrays={value: array for value, array in after.arrays.items() if value not in gone},
        trainable=frozenset(name for name in after.trainable if name in parameters),
        aliases={alias: name for alias, name in after.aliases.items() if name in parameters},
        modes={},
    )


def _reached(program: Any) -> set[Operand]:
    return {*program.outputs, *(x for made in program.instructions for x in made.operands)}
