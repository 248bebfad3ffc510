"""The power of n that the components of every value have when parameters are drawn.

A parameter drawn with the variance c n^e has components of the size n^(e/2). A sum over a width axis of its products
with data that do not depend on it is sqrt(n) times as large; a sum of products of data is n times a moment. Functions
then see arguments that stay finite, or grow, or vanish: what is no limit of its own is reported, with the line where
the power began.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from tensoria.limits.laws import Law
from tensoria.limits.loops import written_out
from tensoria.limits.sums import contracted_labels
from tensoria.limits.unification import Place, Scale
from tensoria.limits.uses import Uses, uses_of
from tensoria.limits.widths import Widened
from tensoria.programs.dimensions import Size
from tensoria.programs.types import Instruction, Literal, Operand, Source, Value

__all__ = ["Finding", "Powers", "powers"]

Power: TypeAlias = Fraction | float
"""A power of n; minus infinity for zero."""
ZERO: Final = Fraction(0)
Rule: TypeAlias = Callable[["_Walk", int, Instruction, list["_State"]], "_State"]


@dataclass(frozen=True)
class Finding:
    """A power that is not 0 where it matters.

    Attributes:
        kind: "diverges", "vanishes", or "unsupported".
        what: what has the power: a value, the scores of an attention, an output.
        power: the power of n.
        source: the line where it matters.
        origin: the line and the reason where it began.
    """

    kind: str
    what: str
    power: Power
    source: Source
    origin: str

    def __str__(self) -> str:
        if self.kind == "unsupported":
            return f"unsupported: {self.what}, at {self.source}"
        at = f", at {self.source}" if str(self.source) else ""
        return f"{self.what} {self.kind} as n^{self.power}{at}" + (f"; {self.origin}" if self.origin else "")


@dataclass(frozen=True)
class Powers:
    """The power of n of every value, and what follows.

    Attributes:
        of: for each value the power; None where it is not known.
        outputs: of the program's results.
        findings: where a power other than 0 matters.
    """

    of: Mapping[Value, Power | None]
    outputs: tuple[Power | None, ...]
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        lines = [f"outputs: {', '.join('unknown' if p is None else f'n^{p}' for p in self.outputs)}"]
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])


def powers(
    of: Widened, *, laws: Mapping[str, Law] | None = None, multipliers: Mapping[Place, Scale] | None = None,
    uses: Uses | None = None,
) -> Powers:  # fmt: skip
    """The power of n of every value of a program, when its parameters are drawn.

    Args:
        of: the program.
        laws: other laws than the program's, by name.
        multipliers: for the place of a parameter among operands (instruction, operand) a factor c n^e of its use.
        uses: `uses_of(of)`, if it is known already.

    Raises:
        LimitError: a law is not known.
    """
    of = of if uses else written_out(of)
    walk = _Walk(of, laws or {}, multipliers or {}, uses or uses_of(of))
    for number, made in enumerate(of.program.instructions):
        walk.instruction(number, made)
    for position, operand in enumerate(of.program.outputs):
        state = walk.read(operand)
        if state.power not in (None, ZERO, -math.inf):
            assert state.power is not None
            walk.report(f"output {position}", state.power, Source(), state.origin)
    known = {value: state.power for value, state in walk.states.items()}
    return Powers(known, tuple(walk.read(x).power for x in of.program.outputs), tuple(walk.findings))


@dataclass(frozen=True)
class _State:
    """What is known of a value.

    Attributes:
        power: of its components.
        depends: the parameters that it is made of.
        centred: the parameter that it is a view of, if that has the mean 0.
        origin: where the power began.
    """

    power: Power | None
    depends: frozenset[str] = frozenset()
    centred: str = ""
    origin: str = ""


class _Walk:
    def __init__(self, of: Widened, laws: Mapping[str, Law], multipliers: Mapping[Place, Scale], uses: Uses) -> None:
        self.of, self.laws, self.multipliers, self.uses = of, laws, multipliers, uses
        self.states: dict[Value, _State] = {}
        self.findings: list[Finding] = []
        for value in of.program.inputs:
            self.states[value] = _State(ZERO)
        for value in (*of.program.arrays, *of.growing.values()):
            self.states[value] = _State(ZERO)
        for name, value in of.parameters.items():
            self.states[value] = self._drawn(name, value)

    def _drawn(self, name: str, value: Value) -> _State:
        law = self.laws.get(name)
        if law is None and value.type.dtype.kind != "float" and name not in self.of.laws:
            return _State(ZERO)
        law = law or self.of.law(name)
        if law.mean:
            return _State(ZERO, frozenset((name,)))
        if law.constant:
            return _State(-math.inf, frozenset((name,)))
        return _State(law.exponent / 2, frozenset((name,)), name)

    def read(self, operand: Operand, place: Place | None = None) -> _State:
        """What is known of an operand."""
        if isinstance(operand, Literal):
            scale = self.of.scalars.get(place) if place is not None else None
            power: Power = scale[1] if scale is not None else ZERO if operand.number else -math.inf
            return _State(power)
        state = self.states[operand]
        factor = self.multipliers.get(place) if place is not None else None
        if factor is None or state.power is None:
            return state
        return _State(state.power + factor[1], state.depends, state.centred, state.origin)

    def report(self, what: str, power: Power, source: Source, origin: str) -> None:
        """Note a power that is not 0."""
        kind = "diverges" if power > 0 else "vanishes"
        if power != -math.inf:
            self.findings.append(Finding(kind, what, power, source, origin))

    # -- instructions ---------------------------------------------------------------------------------------------

    def instruction(self, number: int, made: Instruction) -> None:
        """The state of an instruction's results."""
        states = [self.read(operand, (number, position)) for position, operand in enumerate(made.operands)]
        depends = frozenset[str]().union(*(state.depends for state in states))
        if any(state.power is None for state in states):
            found = _State(None, depends)
        elif made.operation in RULES:
            found = RULES[made.operation](self, number, made, states)
        else:
            self.findings.append(Finding("unsupported", f"{made.operation}, no rule for its power", ZERO,
                                         made.source, ""))
            found = _State(None)
        view = self.uses.views.get(made.results[0]) if made.results else None
        centred = view.parameter if view is not None and any(s.centred == view.parameter for s in states) else ""
        origin = found.origin or next((s.origin for s in states if s.origin), "")
        for value in made.results:
            power = found.power if value.type.dtype.kind == "float" else ZERO
            self.states[value] = _State(power, depends, centred, origin if power not in (ZERO, None) else "")

    def width(self, sizes: list[Size]) -> int:
        """The power of n in a product of sizes."""
        return sum(self.of.degree(size) for size in sizes if self.of.is_width(size))

    def grows_on(self, operand: Operand, label: int, term: tuple[int, ...], out: frozenset[int]) -> bool:
        """Whether a parameter is a matrix here: it has a width axis that stays beside the one that is summed."""
        shape = operand.type.shape
        return any(
            other in out and self.of.is_width(size) for other, size in zip(term, shape, strict=True) if other != label
        )

    def consumed(self, state: _State, what: str, made: Instruction) -> None:
        """Report an argument of a function that needs one of order 1."""
        if state.power not in (ZERO, None):
            assert state.power is not None
            self.report(what, state.power, made.source, state.origin)


def _add(a: Power | None, b: Power | None) -> Power:
    assert a is not None
    assert b is not None
    return a + b


def _known(states: list[_State]) -> list[Power]:
    return [state.power for state in states if state.power is not None]


# -- rules: for an operation the state of its results -----------------------------------------------------------------


def _largest(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    found = _known(states)
    return _State(max(found)) if found else _State(ZERO)


def _sum_of_terms(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    """A sum: a parameter that is smaller than what it is added to vanishes."""
    top = max(_known(states))
    for state, operand in zip(states, made.operands, strict=True):
        if state.centred and state.power is not None and -math.inf < state.power < top and isinstance(operand, Value):
            of.report(f"{state.centred}, a term of a sum", state.power - top, made.source, "")
    return _State(top)


def _first(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    return _State(states[0].power)


def _finite(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    return _State(ZERO)


def _product(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    return _State(_add(states[0].power, states[1].power))


def _quotient(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    under = states[1].power
    if under == -math.inf:
        return _State(ZERO)
    assert under is not None
    return _State(_add(states[0].power, -under))


def _scaled(factor: Fraction) -> Rule:
    def rule(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
        power = states[0].power
        if power is None or power == -math.inf:
            return _State(power if factor > 0 else ZERO)
        return _State(power * factor)

    return rule


def _power(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    exponent = made.operands[1]
    power = states[0].power
    if isinstance(exponent, Literal) and not isinstance(exponent.number, complex) and power is not None:
        if (number, 1) in of.of.scalars:
            of.consumed(_State(of.of.scalars[number, 1][1]), "an exponent", made)
        return _State(power * Fraction(exponent.number).limit_denominator(64) if power != -math.inf else power)
    return _saturating(of, number, made, states)


def _odd(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    """A function that is linear near 0: what vanishes goes through, what diverges is reported."""
    of.consumed(states[0], f"the argument of {made.operation}", made)
    power = states[0].power
    assert power is not None
    return _State(min(power, ZERO))


def _clipped(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    """Linear on one side of 0 at least, or constant around it."""
    inside = made.attributes["low"] <= 0 <= made.attributes["high"]
    return (_odd if inside else _saturating)(of, number, made, states)


def _saturating(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    for state in states:
        if state.power != -math.inf:
            of.consumed(state, f"the argument of {made.operation}", made)
    return _State(ZERO)


def _gating(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    """x times a gate between 0 and 1."""
    of.consumed(states[0], f"the argument of {made.operation}", made)
    return _State(states[0].power)


def _total(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    operand = made.operands[0]
    extra = of.width([operand.type.shape[axis] for axis in made.attributes["axes"]])
    origin = f"a sum over the width, at {made.source}" if extra else ""
    return _State(_add(states[0].power, Fraction(extra)), origin=origin)


def _norm(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    """The Euclidean norm over the width is sqrt(n) times a moment; other norms are not followed."""
    if made.attributes["ord"] != 2:
        of.findings.append(Finding("unsupported", f"the norm of order {made.attributes['ord']}", ZERO, made.source, ""))
        return _State(None)
    operand, axes = made.operands[0], made.attributes["axes"]
    extra = of.width([size for axis, size in enumerate(operand.type.shape) if axes is None or axis in axes])
    return _State(_add(states[0].power, Fraction(extra, 2)))


def _along(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    size = made.operands[0].type.shape[made.attributes["axis"]]
    return _State(_add(states[0].power, Fraction(of.width([size]))))


def _softmax(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    of.consumed(states[0], "the argument of softmax", made)
    size = made.operands[0].type.shape[made.attributes["axis"]]
    return _State(-Fraction(of.width([size])) if made.operation == "softmax" else ZERO)


def _normalised(scale: int) -> Rule:
    def rule(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
        power = states[0].power
        if power is not None and power < 0:
            of.consumed(states[0], f"the argument of {made.operation}, beside its epsilon", made)
        factors = _known(states[scale:])
        gain = factors[0] if factors else ZERO
        return _State(max([gain, *factors[1:]]))

    return rule


def _batch_norm(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    x, _, variance, *scale = _known(states)
    root = variance / 2 if variance != -math.inf else ZERO
    return _State(max([x - root + (scale[0] if scale else ZERO), *scale[1:]]))


def _contraction(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    """Sums of products; operands whose labels all stay and which are no factors (a bias) are added."""
    labelled = contracted_labels(made)
    assert labelled is not None
    terms, out = labelled
    factors = len(made.operands) if made.operation in ("contract", "matmul") else 2
    sizes: dict[int, Size] = {}
    for operand, term in zip(made.operands, terms, strict=True):
        for label, size in zip(term, operand.type.shape, strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    gone = {label for label in sizes if label not in out}
    total: Power = sum(_known(states[:factors]), ZERO)
    depends = [states[k].depends for k in range(factors)]
    extra = ZERO
    for label in gone:
        degree = of.width([sizes[label]])
        inside = [k for k in range(factors) if label in terms[k]]
        independent = any(
            states[k].centred and (
                of.grows_on(made.operands[k], label, terms[k], out)
                or all(states[k].centred not in depends[other] for other in range(factors) if other != k)
            )
            for k in inside
        )  # fmt: skip
        extra += Fraction(degree, 2) if independent else Fraction(degree)
    found = total + extra
    for k in range(factors, len(states)):
        bias = states[k].power
        if states[k].centred and bias is not None and -math.inf < bias < found:
            of.report(f"{states[k].centred}, a bias", bias - found, made.source, "")
        found = max(found, bias if bias is not None else found)
    data = [state for state in states[:factors] if not state.centred]
    unchanged = found == max(_known(data), default=ZERO)
    origin = "" if unchanged or found == ZERO else _because(of, made, states[:factors], extra)
    return _State(found, origin=origin)


def _because(of: _Walk, made: Instruction, states: list[_State], extra: Fraction) -> str:
    drawn = next((state.centred for state in states if state.centred), "")
    if not drawn:
        return f"a sum over the width of products of two values is n^{extra} times a moment, at {made.source}"
    law = of.laws.get(drawn) or of.of.law(drawn)
    return f"{drawn} has {law}, and the sum gives n^{extra}, at {made.source}"


def _attention(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    query, key, value = _known(states)[:3]
    feature = of.width([made.operands[0].type.shape[-1]])
    scale = of.of.scalars.get((number, "scale"), (1.0, ZERO))[1]
    scores = query + key + feature + scale
    if scores != -math.inf and scores != 0:
        wanted = scale - scores
        of.report(
            "the scores of attention", scores, made.source,
            f"the sum over {made.operands[0].type.shape[-1]} features is n^{feature} times a moment once queries and "
            f"keys are correlated, and the scale is n^{scale}: n^{wanted} keeps them finite",
        )  # fmt: skip
    return _State(value)


def _gated(held: int) -> Rule:
    def rule(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
        first = made.operands[1 + held]
        for k, x in ((1 + held, states[0].power), (2 + held, states[1].power)):
            weight, size = states[k], made.operands[k].type.shape[1]
            if x in (None, -math.inf) or weight.power in (None, -math.inf):
                continue
            gate = _add(x, _add(weight.power, Fraction(of.width([size]), 2)))
            if gate:
                name = weight.centred or str(first)
                of.report(f"the gates' part by {name}", gate, made.source, "")
        return _State(ZERO)

    return rule


def _exponent_of_size(of: _Walk, number: int, made: Instruction, states: list[_State]) -> _State:
    return _State(Fraction(of.width([made.attributes["size"]])))


HALF, ONE, TWO = Fraction(1, 2), Fraction(1), Fraction(2)
RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(("linear", "matmul", "contract", "convolution", "convolution_transpose"), _contraction),
    **dict.fromkeys(("add", "subtract"), _sum_of_terms),
    **dict.fromkeys(("maximum", "minimum", "where", "concat", "stack", "hypot", "setitem", "add_at", "scatter"),
                    _largest),
    **dict.fromkeys(("multiply",), _product), "divide": _quotient, "pow": _power,
    **dict.fromkeys(("negative", "abs", "relu", "conj", "real", "imag", "astype", "reshape", "permute_dims",
                     "expand_dims", "squeeze", "broadcast_to", "flip", "roll", "repeat", "tile", "tril", "triu", "pad",
                     "getitem", "take", "take_along_axis", "embedding", "full", "sort", "max", "min", "mean",
                     "max_pool", "mean_pool", "adaptive_mean_pool", "adaptive_max_pool", "resize", "top_k", "dropout",
                     "stop_gradient", "take_at", "linalg.diagonal"), _first),
    **dict.fromkeys(("tanh", "erf", "sin", "sinh", "asinh", "atan", "asin", "tan", "atanh", "expm1", "log1p"), _odd),
    **dict.fromkeys(("exp", "cos", "cosh", "sigmoid", "log", "log2", "log10", "logaddexp", "atan2", "acos", "acosh"),
                    _saturating),
    **dict.fromkeys(("gelu", "silu"), _gating), "hardtanh": _clipped,
    **dict.fromkeys(("sign", "signbit", "isnan", "isinf", "isfinite", "floor", "ceil", "round", "trunc", "equal",
                     "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_not", "logical_and",
                     "logical_or", "logical_xor", "argmax", "argmin", "argsort", "all", "any", "count_nonzero",
                     "arange", "eye", "searchsorted", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert",
                     "floor_divide", "remainder", "copysign", "bitwise_left_shift", "bitwise_right_shift",
                     "random_normal", "random_uniform"), _finite),
    "sqrt": _scaled(HALF), "square": _scaled(TWO), "reciprocal": _scaled(-ONE), "var": _scaled(TWO),
    "sum": _total, "cumulative_sum": _along, "softmax": _softmax, "log_softmax": _softmax,
    "layer_norm": _normalised(1), "rms_norm": _normalised(1), "group_norm": _normalised(1),
    "batch_norm": _batch_norm, "attention": _attention, "lstm": _gated(2), "gru": _gated(1),
    "size": _exponent_of_size, "linalg.vector_norm": _norm,
}  # fmt: skip
"""How operations change the power of n."""
