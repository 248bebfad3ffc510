"""What a derivative rule is given, and what rules share.

A rule writes the reverse-mode derivative of one operation (its vector-Jacobian product) as Array API code on symbolic
arrays, so that a derivative consists of the table's own operations and can be differentiated again. Cotangents pair
with tangents without conjugation, df = Re(sum(g dx)): of a holomorphic function g is f', of a real one
df/dx - i df/dy. A rule may return a cotangent of any shape that its operand broadcasts to, and a complex one for a
real operand; `fitted` sums it and takes the real part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

from tensoria.programs import standard
from tensoria.programs.dimensions import Size
from tensoria.programs.recorder import Recorder
from tensoria.programs.types import Shape, Type

__all__ = [
    "Array", "Call", "Rule", "adjoint", "each", "fitted", "matrix_transpose", "real_part", "spread", "xp", "zeros",
]  # fmt: skip

Array: TypeAlias = Any
xp: SimpleNamespace = standard.namespace
Through = Callable[..., "Sequence[Array | None]"]


@dataclass(frozen=True)
class Call:
    """One instruction that is differentiated.

    Attributes:
        operands, results: its values; literals among them.
        attributes: what is not an array.
        needed: for each operand whether a cotangent is asked for.
        through: `through(definition, cotangents, *operands)` differentiates a function that is written in simpler
            operations, by recording it and reading its instructions backwards.
        recorder: what the derivative is written into.
    """

    operands: tuple[Array, ...]
    results: tuple[Array, ...]
    attributes: Mapping[str, Any]
    needed: tuple[bool, ...]
    through: Through
    recorder: Recorder

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]


Rule: TypeAlias = Callable[..., "Sequence[Array | None]"]
"""From the call and one cotangent for each result (None for a result that nothing depends on) to one for each operand.
A function in place of a cotangent is called if that operand's is needed."""


def each(*derivatives: Callable[..., Array]) -> Rule:
    """A rule from one function for each operand, of the cotangent, the operands and the result."""

    def rule(call: Call, g: Array) -> list[Array | None]:
        return [
            of(g, *call.operands, call.results[0]) if needed else None
            for of, needed in zip(derivatives, call.needed, strict=True)
        ]

    return rule


def zeros(like: Array) -> Array:
    """Zeros with a value's type."""
    return xp.zeros_like(like)


def real_part(x: Array) -> Array:
    """The real part; of real numbers they themselves."""
    return xp.real(x) if x.dtype.kind == "complex" else x


def matrix_transpose(x: Array) -> Array:
    """Matrices on the last two axes transposed."""
    return xp.matrix_transpose(x)


def adjoint(x: Array) -> Array:
    """Matrices on the last two axes transposed and conjugated."""
    return xp.conj(xp.matrix_transpose(x)) if x.dtype.kind == "complex" else xp.matrix_transpose(x)


def spread(g: Array, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Array:
    """What a reduction over axes left, repeated along them."""
    if not g.shape:
        return xp.full(shape, g)
    if not keepdims and axes:
        g = xp.expand_dims(g, axis=axes)
    return xp.broadcast_to(g, shape)


def fitted(g: Array, of: Type) -> Array:
    """A cotangent with its operand's type: summed where the operand was broadcast."""
    shape: Shape = g.shape
    lead = len(shape) - len(of.shape)
    if lead > 0:
        g = xp.sum(g, axis=tuple(range(lead)), dtype=g.dtype)
    axes = tuple(n for n, (a, b) in enumerate(zip(g.shape, of.shape[max(-lead, 0) :], strict=True)) if _narrow(a, b))
    if axes:
        g = xp.sum(g, axis=axes, keepdims=True, dtype=g.dtype)
    if g.dtype is not of.dtype:
        g = standard.cast(real_part(g) if of.dtype.kind != "complex" else g, of.dtype)
    return xp.broadcast_to(g, of.shape)


def _narrow(size: Size, of: Size) -> bool:
    return bool(of == 1 and size != 1)
