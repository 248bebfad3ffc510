"""Approximate message passing: the Onsager term is what a matrix remembers, and state evolution is what remains.

x^{t+1} = A f_t(x^t) - (what A has seen before). In a Tensor Program, Z^{A f(x)} is a hat plus dots: multiples of
earlier vectors. Subtracting the dots leaves the hat, a centred Gaussian, whose variance is state evolution
(Bayati and Montanari 2011, theorem 1). No formula of an algorithm is put in here: the multiples come from the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tensoria.errors import LimitError
from tensoria.limits.expectation.estimate import Estimate
from tensoria.limits.language.instructions import Vector
from tensoria.limits.tensor_program import TensorProgram
from tensoria.limits.theorem import Limit

__all__ = ["MessagePassing", "message_passing", "rectangular_message_passing"]


@dataclass(frozen=True)
class MessagePassing:
    """An iteration and its limit.

    Attributes:
        program: the iteration, with its corrections, as a Tensor Program; it can be simulated.
        limit: its limit.
        iterates: x^1, x^2, ..., each a centred Gaussian in the limit.
        variances: of these: state evolution.
        onsager: for each iterate what was subtracted: coefficients by vector.
    """

    program: TensorProgram
    limit: Limit
    iterates: tuple[Vector, ...]
    variances: tuple[Estimate, ...]
    onsager: tuple[dict[Vector, Estimate], ...]

    def __str__(self) -> str:
        lines = []
        for x, variance, terms in zip(self.iterates, self.variances, self.onsager, strict=True):
            taken = "".join(f" - {float(c):.6g} {y.name}" for y, c in terms.items())
            lines.append(f"{x.name}: variance {variance}, A f(x){taken}")
        return "\n".join(lines)


def _corrected(program: TensorProgram, limit: Limit, y: Vector, name: str) -> tuple[Vector, dict[Vector, Estimate]]:
    """y without what it remembers."""
    limit.advance()
    found = {z: c for z, c in limit.dots(y).items() if c.value}
    coefficients = [Fraction(1), *(-c.value for c in found.values())]
    x = program.lincomb(coefficients, [y, *found], name=name)
    limit.advance()
    return x, found


def message_passing(
    denoiser: Any | Sequence[Any], steps: int, *, first: Any = 1, **options: Any
) -> MessagePassing:
    """x^1 = A m, x^{t+1} = A f(x^t) - (Onsager term), for a symmetric A with entries of variance 1/n.

    Args:
        denoiser: f, or one for each step.
        steps: how many iterates, the first among them.
        first: the variance of m.
        options: of `Limit`.

    >>> found = message_passing("tanh", 3)
    >>> [round(float(variance), 10) for variance in found.variances]
    [1.0, 0.3942944904, 0.2364504105]
    >>> [{x.name: round(float(c), 6) for x, c in terms.items()} for terms in found.onsager]
    [{}, {'m': 0.605706}, {'f1': 0.76355}]
    """
    if steps < 1:
        raise LimitError(f"message passing of {steps} steps.")
    denoisers = [denoiser] * (steps - 1) if not isinstance(denoiser, (list, tuple)) else list(denoiser)
    program = TensorProgram()
    # A = W + W^T: a symmetric matrix whose entries have variance 1/n.
    W = program.matrix("W", variance=Fraction(1, 2))
    z = program.vector("m", variance=first)
    limit = Limit(program, **options)
    iterates, terms = [], []
    for t in range(steps):
        y = program.matmul(W, z) + program.matmul(W.T, z)
        x, found = _corrected(program, limit, y, f"x{t + 1}")
        iterates.append(x)
        terms.append(found)
        if t + 1 < steps:
            z = program.nonlin(denoisers[t], x, name=f"f{t + 1}")
    limit.advance()
    variances = tuple(limit.covariance(x, x) for x in iterates)
    return MessagePassing(program, limit, tuple(iterates), variances, tuple(terms))


def rectangular_message_passing(
    forward: Callable[..., Any] | str, backward: Callable[..., Any] | str, steps: int, *, ratio: Any = 1, **options: Any
) -> MessagePassing:
    """u = A f(x) - (Onsager term), x = A^T g(u) - (Onsager term), for an A of m x n with entries of variance 1/n.

    Args:
        forward, backward: f and g.
        steps: how many pairs of iterates.
        ratio: m / n.
        options: of `Limit`.
    """
    program = TensorProgram()
    program.dimension("n", 1)
    program.dimension("m", ratio)
    A = program.matrix("A", rows="m", columns="n")
    z = program.vector("x0", dimension="n")
    limit = Limit(program, **options)
    iterates, terms = [], []
    for t in range(steps):
        u, found = _corrected(program, limit, program.matmul(A, z), f"u{t + 1}")
        iterates.append(u)
        terms.append(found)
        x, found = _corrected(program, limit, program.matmul(A.T, program.nonlin(backward, u)), f"x{t + 1}")
        iterates.append(x)
        terms.append(found)
        z = program.nonlin(forward, x)
    limit.advance()
    variances = tuple(limit.covariance(x, x) for x in iterates)
    return MessagePassing(program, limit, tuple(iterates), variances, tuple(terms))
