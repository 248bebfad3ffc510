"""Which language a program needs, what that language asks of its nonlinearities, and whether kernels may drop the dots.

| language | what it adds | condition |
|---|---|---|
| NETSOR (TP I) | MatMul, LinComb, Nonlin | controlled: abs(phi(x)) <= exp(C norm(x)^(2 - eps) + c) |
| NETSOR+ | parameters that are empirical moments | parameter-controlled, and rank stability |
| NETSOR-T (TP II, III) | transposes | polynomially bounded; rank stability comes free |
| NETSOR-T+ (TP III) | both | pseudo-Lipschitz, or parameter-controlled with rank stability |
| NE-OR-T (TP IVb) | outer nonlinearities | pseudo-Lipschitz |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tensoria.limits.language.continuity import (
    Answer,
    breaks_of,
    controlled,
    parameter_controlled,
    polynomially_bounded,
    pseudo_lipschitz,
)
from tensoria.limits.language.growth import Interval
from tensoria.limits.language.instructions import (
    Initial,
    LinComb,
    MatMul,
    Matrix,
    Moment,
    Nonlin,
    OuterNonlin,
    Rule,
    Scalar,
    Vector,
)
from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.programs.types import Source

__all__ = ["Classification", "Condition", "classified", "gradient_independence"]

NEAR: Final = 1e-3
"""A neighbourhood of a scalar's limit, as a part of it."""


@dataclass(frozen=True)
class Condition:
    """What a language asks of one nonlinearity.

    Attributes:
        line: the instruction, as printed.
        asked: the condition's name.
        answer: whether it holds, and why.
        kinks, jumps: where the nonlinearity has some.
        source: the line that wrote it.
    """

    line: str
    asked: str
    answer: Answer
    kinks: tuple[str, ...]
    jumps: tuple[str, ...]
    source: Source


@dataclass(frozen=True)
class Classification:
    """What a program needs.

    Attributes:
        language: the smallest sufficient one.
        reasons: for each step beyond NETSOR the line that needs it.
        conditions: for each nonlinearity.
        rank_stability: needed or not, and whether it holds as far as that is known.
        gradient_independence: whether kernels may drop the dots, and why.
    """

    language: str
    reasons: tuple[str, ...]
    conditions: tuple[Condition, ...]
    rank_stability: Answer
    gradient_independence: Answer

    @property
    def holds(self) -> bool | None:
        """Whether all conditions hold; None if one can not be decided."""
        answers = [c.answer.holds for c in self.conditions] + [self.rank_stability.holds]
        return False if False in answers else None if None in answers else True

    def __str__(self) -> str:
        lines = [f"language: {self.language}", *(f"  {reason}" for reason in self.reasons)]
        for c in self.conditions:
            lines.append(f"{c.line}: {c.asked}? {c.answer}")
        lines.append(f"rank stability: {self.rank_stability}")
        lines.append(f"gradient independence: {self.gradient_independence}")
        return "\n".join(lines)


def classified(program: Any, limit: Any = None) -> Classification:
    """The smallest sufficient language of a program, and whether its conditions hold.

    Args:
        program: a Tensor Program.
        limit: its limit, if it is there: it knows the scalars' limits and the Gram matrices.
    """
    reasons = []
    transposed = next((r for r in program.rules if isinstance(r, MatMul) and r.matrix.transposed), None)
    outer = next((r for r in program.rules if isinstance(r, OuterNonlin)), None)
    parameter = next((r for r in program.rules if _parameters(r)), None)
    if transposed is not None:
        reasons.append(f"{_line(transposed)}: a transpose")
    if parameter is not None:
        reasons.append(f"{_line(parameter)}: an empirical moment as a parameter")
    if outer is not None:
        reasons.append(f"{_line(outer)}: an outer nonlinearity")
    name = ("NETSOR-T" if transposed else "NETSOR") + ("+" if parameter else "")
    language = "NE-OR-T" if outer is not None else name
    asked, decide = CONDITIONS[language]
    conditions = []
    lipschitz = True
    for rule in program.rules:
        if isinstance(rule, (Nonlin, Moment, OuterNonlin)) and rule.operands:
            near = tuple(_near(c, limit) for c in rule.scalars)
            conditions.append(_condition(rule, rule.function, asked, decide, near))
            lipschitz &= pseudo_lipschitz(rule.function, near).holds is True
    return Classification(
        language, tuple(reasons), tuple(conditions), _rank(language, lipschitz, limit),
        gradient_independence(program),
    )  # fmt: skip


Decide = Callable[[Nonlinearity, tuple[Interval, ...]], Answer]


def _either(function: Nonlinearity, near: tuple[Interval, ...]) -> Answer:
    """Pseudo-Lipschitz, or else parameter-controlled."""
    first = pseudo_lipschitz(function, near)
    if first.holds:
        return Answer(True, f"pseudo-Lipschitz, {first.reason}")
    second = parameter_controlled(function, near)
    return Answer(second.holds, f"not pseudo-Lipschitz ({first.reason}); parameter-controlled: {second.reason}")


CONDITIONS: Final[dict[str, tuple[str, Decide]]] = {
    "NETSOR": ("controlled", controlled),
    "NETSOR+": ("parameter-controlled", parameter_controlled),
    "NETSOR-T": ("polynomially bounded", polynomially_bounded),
    "NETSOR-T+": ("pseudo-Lipschitz or parameter-controlled", _either),
    "NE-OR-T": ("pseudo-Lipschitz", pseudo_lipschitz),
}
"""What each language asks, and who decides it."""


def _condition(
    rule: Rule, function: Nonlinearity, asked: str, decide: Decide, near: tuple[Interval, ...]
) -> Condition:
    kinks, jumps = breaks_of(function)
    return Condition(_line(rule), asked, decide(function, near), tuple(kinks), tuple(jumps), rule.source)


def _near(scalar: Scalar, limit: Any) -> Interval:
    if limit is None:
        return (-float("inf"), float("inf"))
    value = float(limit[scalar])
    width = NEAR * abs(value) + 4 * limit[scalar].error + 1e-9
    return (value - width, value + width)


def _line(rule: Rule) -> str:
    return f"{rule.results[0].name} = {rule.text()}"


def _parameters(rule: Rule) -> bool:
    """Whether a vector depends on a moment."""
    if isinstance(rule, LinComb):
        return any(isinstance(c, Scalar) and _random(c) for c in rule.coefficients)
    return isinstance(rule, (Nonlin, OuterNonlin)) and any(_random(c) for c in rule.scalars)


def _random(scalar: Scalar) -> bool:
    """Whether a scalar depends on vectors, and is no given number."""
    rule = scalar.program.rules[scalar.position]
    if not isinstance(rule, Moment):
        return False
    return bool(rule.operands) or any(_random(c) for c in rule.scalars)


def _rank(language: str, lipschitz: bool, limit: Any) -> Answer:
    if not language.endswith("+"):
        return Answer(True, f"{language} does not ask for it")
    if lipschitz and language == "NETSOR-T+":
        return Answer(True, "not needed: all nonlinearities are pseudo-Lipschitz")
    if limit is None:
        return Answer(None, "the limit's Gram matrices are not known yet")
    for name, (full, reason) in limit.rank_stable().items():
        if not full:
            return Answer(None, f"{name}: {reason}; the dependence may exist in the limit only")
    return Answer(True, "all Gram matrices in the limit have full rank")


# -- gradient independence --------------------------------------------------------------------------------------------


def gradient_independence(program: Any, readout: Vector | None = None) -> Answer:
    """Whether transposes may be taken as independent matrices in kernels (TP II, condition 1).

    It holds if the backward pass starts with a readout that is an initial vector of mean zero, independent of all
    others and used nowhere in the forward pass, if the backward pass is linear in it, and if no matrix is another's
    transpose in the forward pass.

    Args:
        readout: the readout; looked for if it is left out.
    """
    if not any(isinstance(r, MatMul) and r.matrix.transposed for r in program.rules):
        return Answer(True, "there are no transposes")
    if readout is not None:
        return _independent(program, readout)
    for rule in program.rules:
        for x in rule.results if isinstance(rule, Initial) else ():
            assert isinstance(x, Vector)
            found = _independent(program, x)
            if found.holds:
                return found
    # Without a readout the whole program is the forward pass, and some matrix is used both ways there.
    return _backward(program, {}, "")


def _independent(program: Any, readout: Vector) -> Answer:
    first = program.rules[readout.position]
    if not isinstance(first, Initial):
        return Answer(False, f"{readout.name} is no initial vector")
    at = first.results.index(readout)
    if first.mean[at]:
        return Answer(False, f"the readout {readout.name} has a mean that is not zero")
    if any(c for n, c in enumerate(first.covariance[at]) if n != at):
        return Answer(False, f"the readout {readout.name} is correlated with other initial vectors")
    return _backward(program, {readout: 1}, readout.name)


def _backward(program: Any, degree: dict[Any, int | None], readout: str) -> Answer:
    """The verdict for vectors of degree 1, which are the readout."""
    forward: dict[Matrix, MatMul] = {}
    ways: dict[Matrix, bool] = {}
    for rule in program.rules:
        found = _degree(rule, degree)
        if found is None:
            return Answer(False, f"{_line(rule)} is not linear in the readout {readout}: a loss, or an update")
        for x in rule.results:
            degree.setdefault(x, found)
        if isinstance(rule, MatMul) and not found:
            base = rule.matrix.base
            if base in ways and ways[base] != rule.matrix.transposed:
                other = _line(forward[base])
                return Answer(False, f"{_line(rule)}: the forward pass uses {base.name} and its transpose ({other})")
            ways[base] = rule.matrix.transposed
            forward[base] = rule
    back: dict[Matrix, bool] = {}
    for rule in program.rules:
        if isinstance(rule, MatMul) and degree.get(rule.operand):
            base, transposed = rule.matrix.base, rule.matrix.transposed
            if ways.get(base) == transposed or back.setdefault(base, transposed) != transposed:
                return Answer(False, f"{_line(rule)}: {base.name} is used forward after the readout {readout}")
    return Answer(True, f"the readout {readout} is zero-mean, independent, and used in the backward pass only")


def _degree(rule: Rule, degree: dict[Any, int | None]) -> int | None:
    """The degree in the readout of what a rule makes: 0 or 1; None if it is neither."""
    if isinstance(rule, MatMul):
        return degree.get(rule.operand, 0)
    if isinstance(rule, LinComb):
        if any(degree.get(c, 0) for c in rule.coefficients if isinstance(c, Scalar)):
            return None
        found = {degree.get(x, 0) for x in rule.operands}
        # A sum of forward and backward vectors is an update of the weights.
        return found.pop() if len(found) == 1 else None
    if isinstance(rule, (Nonlin, OuterNonlin)):
        if any(degree.get(c, 0) for c in rule.scalars):
            return None
        return _linear_in(rule.function, [n for n, x in enumerate(rule.operands) if degree.get(x, 0)])
    return 0


def _linear_in(function: Nonlinearity, places: list[int]) -> int | None:
    """0 if there are no places, 1 if the function is linear in these inputs together, else None."""
    if not places:
        return 0
    inputs = {function.program.inputs[n] for n in places}
    degrees: dict[Any, int | None] = dict.fromkeys(inputs, 1)
    for made in function.program.instructions:
        found = [degrees.get(x, 0) for x in made.operands]
        if None in found:
            return None
        (result,) = made.results
        name = made.operation
        if not any(found):
            degrees[result] = 0
        elif name == "multiply":
            total = sum(x for x in found if x is not None)
            degrees[result] = total if total <= 1 else None
        elif name in ("add", "subtract"):
            degrees[result] = 1 if found == [1, 1] else None
        elif name in ("negative", "astype") or (name == "divide" and not found[1]):
            degrees[result] = 1
        elif name == "where" and not found[0]:
            zeros = [getattr(x, "number", None) == 0 for x in made.operands[1:]]
            degrees[result] = 1 if all(d == 1 or z for d, z in zip(found[1:], zeros, strict=True)) else None
        else:
            degrees[result] = None
        if degrees[result] is None:
            return None
    return degrees.get(function.output, 0) or None
