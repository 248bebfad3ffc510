"""Operations of neural networks that are written out in simpler ones: what they look like.

One function for each last operation of a composition (see `matching`). Normalisation is found in steps: what divides
by the root of the variance first, then the weight, then the bias.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

from tensoria.programs.dimensions import Dim
from tensoria.programs.passes.matching import Patterns, Work, is_number, number_of
from tensoria.programs.types import Instruction, Operand

__all__ = ["COMPOSITIONS"]

# -- linear maps and convolutions -------------------------------------------------------------------------------------


def _linear(work: Work, made: Instruction) -> Any:
    """A product with a weight, or with one that was turned."""
    x, weight = made.operands
    held = next(iter(work.parts(weight, "permute_dims")), weight)
    if held not in work.parameters or weight.type.ndim != 2 or x.type.ndim < 2:
        return None
    return ("linear", (x, work.turned(made, weight, (1, 0))), {})


def _biased(work: Work, made: Instruction) -> Any:
    """A vector added to the product with a matrix, or to each channel of a convolution."""
    for x, bias in (made.operands, made.operands[::-1]):
        before = work.maker(x, "linear", "convolution", "convolution_transpose", "matmul")
        if before is None or len(before.operands) != 2 or not work.once(x):
            continue
        operation, (first, weight), vector = before.operation, before.operands, bias
        if operation.startswith("convolution"):
            letters = before.attributes["numbers"][2]
            behind = len(letters) - 1 - letters.index("C")
            if bias.type.ndim != 1 + behind or any(size != 1 for size in bias.type.shape[1:]):
                continue
            vector = work.plain(bias)
            if vector.type.ndim != 1:
                vector = work.one(made, "reshape", vector, shape=bias.type.shape[:1])
        if vector.type.ndim != 1:
            continue
        if operation == "matmul":
            if weight.type.ndim != 2 or first.type.ndim < 2 or vector.type.shape != weight.type.shape[1:]:
                continue
            operation, weight = "linear", work.turned(made, weight, (1, 0))
        return (operation, (first, weight, vector), dict(before.attributes))
    return None


def _padded(work: Work, made: Instruction) -> Any:
    """Zeros around an image before a convolution, which puts zeros around images itself."""
    x, *weights = made.operands
    before, letters = work.maker(x, "pad"), made.attributes["numbers"][0]
    if before is None or before.attributes["value"] != 0 or not work.once(x):
        return None
    around = dict(zip(letters, before.attributes["padding"], strict=True))
    opened = any(isinstance(n, Dim) for two in around.values() for n in two)
    if opened or around["N"] != (0, 0) or around["C"] != (0, 0):
        return None
    space = [letter for letter in letters if letter not in "NC"]
    padding = tuple(
        (low + around[letter][0], high + around[letter][1])
        for letter, (low, high) in zip(space, made.attributes["padding"], strict=True)
    )
    return ("convolution", (before.operands[0], *weights), {**made.attributes, "padding": padding})


# -- normalisation ----------------------------------------------------------------------------------------------------


def _steadied(work: Work, total: Operand) -> tuple[Operand, float] | None:
    """The variance and epsilon of variance + epsilon."""
    for variance, epsilon in work.both(total, "add"):
        number = number_of(epsilon)
        if number is not None:
            return variance, number
    return None


def _inverse(work: Work, x: Operand) -> tuple[Operand, float] | None:
    """The variance and epsilon of 1 / sqrt(variance + epsilon)."""
    roots = list(work.parts(x, "reciprocal"))
    roots += [root for one, root in work.pairs(x, "divide") if number_of(one) == 1]
    for root in roots:
        for total in work.parts(root, "sqrt"):
            return _steadied(work, total)
    for total, power in work.pairs(x, "pow"):
        if number_of(power) == -0.5:
            return _steadied(work, total)
    return None


def _divided(work: Work, made: Instruction) -> Any:
    """x / sqrt(v + e), where x may be the difference from its mean."""
    top, root = made.operands
    for total in work.parts(root, "sqrt"):
        found = _steadied(work, total)
        if found is not None:
            return _standard(work, made, top, *found)
    return None


def _multiplied(work: Work, made: Instruction) -> Any:
    """The same as a product with 1 / sqrt(v + e)."""
    for top, factor in (made.operands, made.operands[::-1]):
        found = _inverse(work, factor)
        if found is not None:
            return _standard(work, made, top, *found)
    return None


def _standard(work: Work, made: Instruction, top: Operand, variance: Operand, epsilon: float) -> Any:
    """What is divided by the root: by that of its mean square, or less its mean by that of a variance."""
    square = work.maker(variance, "mean")
    if square is not None and square.attributes["keepdims"] and work.squared(square.operands[0]) is top:
        for x, mean in work.pairs(top, "subtract"):
            if _statistics(work, x, mean, variance) is not None:
                return _norm(work, made, x, mean, variance, epsilon, None, None)
        return ("rms_norm", (top,), {"axes": square.attributes["axes"], "epsilon": epsilon})
    for x, mean in work.pairs(top, "subtract"):
        return _norm(work, made, x, mean, variance, epsilon, None, None)
    return None


def _scaled(work: Work, made: Instruction) -> Any:
    """A weight after a normalisation without one."""
    for y, weight in (made.operands, made.operands[::-1]):
        before = work.maker(y, "layer_norm", "rms_norm", "batch_norm")
        if before is None or len(before.operands) != (3 if before.operation == "batch_norm" else 1):
            continue
        vector = _along(work, before, weight) if work.once(y) else None
        if vector is not None:
            return (before.operation, (*before.operands, vector), dict(before.attributes))
    return None


def _moved(work: Work, made: Instruction) -> Any:
    """A bias after a normalisation with a weight."""
    for y, bias in (made.operands, made.operands[::-1]):
        before = work.maker(y, "layer_norm", "batch_norm")
        if before is None or len(before.operands) != (4 if before.operation == "batch_norm" else 2):
            continue
        vector = _along(work, before, bias) if work.once(y) else None
        if vector is not None:
            return (before.operation, (*before.operands, vector), dict(before.attributes))
    return None


def _along(work: Work, norm: Instruction, x: Operand) -> Operand | None:
    """What broadcasts against a normalised array along the axes of its weights, and not along others, as a weight."""
    axes = norm.attributes["axes"] if "axes" in norm.attributes else (norm.attributes["axis"],)
    return _weight(work, norm, norm.operands[0], axes, x)


def _weight(work: Work, like: Instruction, x: Operand, axes: tuple[int, ...], weight: Operand) -> Operand | None:
    shape = (*(1,) * (x.type.ndim - weight.type.ndim), *weight.type.shape)
    wanted = tuple(x.type.shape[n] for n in axes)
    if len(shape) != x.type.ndim or shape != tuple(x.type.shape[n] if n in axes else 1 for n in range(len(shape))):
        return None
    if weight.type.shape == wanted:
        return weight
    plain = work.plain(weight)
    return plain if plain.type.shape == wanted else work.one(like, "reshape", weight, shape=wanted)


def _norm(
    work: Work, made: Instruction, x: Operand, mean: Operand, variance: Operand, epsilon: float,
    weight: Operand | None, bias: Operand | None,
) -> Any:  # fmt: skip
    """Normalisation over the last axes by its own statistics, or along one axis by those given."""
    own = _statistics(work, x, mean, variance)
    operation = "batch_norm"
    statistics: tuple[Operand, ...] = (mean, variance)
    attributes: dict[str, Any] = {"epsilon": epsilon}
    if own is not None and own == tuple(range(x.type.ndim - len(own), x.type.ndim)):
        operation, statistics, axes = "layer_norm", (), own
        attributes["axes"] = own
    else:
        places = _aligned(mean, x.type.ndim)
        if len(places) != 1 or not places[0]:  # axis 0 counts the batch
            return None
        axes = (places[0],)
        attributes["axis"] = places[0]
    given = [of for of in (*statistics, weight, bias) if of is not None]
    vectors = [_weight(work, made, x, axes, of) for of in given]
    known = [of for of in vectors if of is not None]
    if len(known) < len(vectors):
        return None
    if weight is None and bias is not None:
        return ("add", (work.one(made, operation, x, *known[:-1], **attributes), bias), {})
    return (operation, (x, *known), attributes)


def _statistics(work: Work, x: Operand, mean: Operand, variance: Operand) -> tuple[int, ...] | None:
    """The axes over which these are the mean and variance of x, kept with size 1."""
    first, second = work.maker(mean, "mean"), work.maker(variance, "mean", "var")
    if first is None or second is None or first.operands[0] is not x:
        return None
    axes: tuple[int, ...] = first.attributes["axes"]
    if not (first.attributes["keepdims"] and second.attributes["keepdims"] and second.attributes["axes"] == axes):
        return None
    if second.operation == "var":
        return axes if second.operands[0] is x and not second.attributes["correction"] else None
    difference = work.squared(second.operands[0])
    for a, b in work.pairs(difference, "subtract") if difference is not None else ():
        if (a is x and work.still(b) is mean) or (b is x and work.still(a) is mean):
            return axes
    return None


def _normalised(work: Work, made: Instruction) -> Any:
    """x s + (b - m s) with s = w / sqrt(v + e): normalisation by statistics given, or by its own over last axes."""
    for product, shift in (made.operands, made.operands[::-1]):
        for x, factor in work.both(product, "multiply"):
            scales: list[tuple[Operand, Operand | None]] = [(factor, None), *work.both(factor, "multiply")]
            for root, weight in scales:
                found = _inverse(work, root)
                if found is None:
                    continue
                moved = _shift(work, shift, factor)
                if moved is None:
                    continue
                mean, bias = moved
                made_of = _norm(work, made, x, mean, *found, weight, bias)
                if made_of is not None:
                    return made_of
    return None


def _shift(work: Work, shift: Operand, factor: Operand) -> tuple[Operand, Operand | None] | None:
    """The mean and the bias of b - m s, in any of the ways in which it is written."""
    for moved, product in work.pairs(shift, "subtract"):
        for mean, other in work.both(product, "multiply"):
            if other is factor:
                return mean, moved
    candidates: list[tuple[Operand, Operand | None]] = [(shift, None)]
    candidates += [(a, b) for a, b in work.both(shift, "add")]
    for product, bias in candidates:
        for negative, other in work.both(product, "multiply"):
            if other is factor and work.parts(negative, "negative"):
                return work.parts(negative, "negative")[0], bias
        for inner in work.parts(product, "negative"):
            for mean, other in work.both(inner, "multiply"):
                if other is factor:
                    return mean, bias
    return None


def _aligned(x: Operand, ndim: int) -> list[int]:
    shape = (*(1,) * (ndim - x.type.ndim), *x.type.shape)
    return [n for n, size in enumerate(shape) if isinstance(size, Dim) or size != 1] or [ndim - 1]


# -- activations ------------------------------------------------------------------------------------------------------


def _gelu(work: Work, made: Instruction) -> Any:
    """x / 2 times (1 + erf(x / sqrt 2)), or times its approximation by tanh, in any order."""
    for three in _factors(work, made):
        for half, x, rest in itertools.permutations(three):
            kind = _distribution(work, x, rest) if is_number(half, 0.5) else None
            if kind is not None:
                return ("gelu", (x,), {"approximate": kind})
    return None


def _factors(work: Work, made: Instruction) -> list[tuple[Operand, Operand, Operand]]:
    """The three factors of a product of products."""
    return [
        (a, *two) for a, b in (made.operands, made.operands[::-1]) for two in work.pairs(b, "multiply")
    ]


def _distribution(work: Work, x: Operand, rest: Operand) -> str | None:
    """Twice the normal distribution function of x: exact, or by tanh."""
    for one, function in work.pairs(rest, "subtract"):
        # The complement, of minus x.
        for inner in work.parts(function, "erf") if is_number(one, 1.0) else ():
            for negative, number in work.both(inner, "multiply"):
                if work.parts(negative, "negative") == (x,) and is_number(number, math.sqrt(0.5)):
                    return "none"
    for one, function in work.both(rest, "add"):
        if not is_number(one, 1.0):
            continue
        for inner in work.parts(function, "erf"):
            if any(a is x and is_number(b, math.sqrt(0.5)) for a, b in work.both(inner, "multiply")):
                return "none"
            if any(a is x and is_number(b, math.sqrt(2)) for a, b in work.pairs(inner, "divide")):
                return "none"
        for inner in work.parts(function, "tanh"):
            for number, total in work.both(inner, "multiply"):
                if is_number(number, math.sqrt(2 / math.pi)) and _cubic(work, x, total):
                    return "tanh"
                for a, b in work.both(number, "multiply"):
                    if a is x and is_number(b, math.sqrt(2 / math.pi)) and _square(work, x, total):
                        return "tanh"
    return None


def _square(work: Work, x: Operand, total: Operand) -> bool:
    """1 + 0.044715 x^2."""
    for one, term in work.both(total, "add"):
        for a, b in work.both(term, "multiply") if is_number(one, 1.0) else ():
            if is_number(a, 0.044715) and work.squared(b) is x:
                return True
            if a is x and any(c is x and is_number(d, 0.044715) for c, d in work.both(b, "multiply")):
                return True
    return False


def _cubic(work: Work, x: Operand, total: Operand) -> bool:
    """x + 0.044715 x^3."""
    for same, cube in work.both(total, "add"):
        for number, power in work.both(cube, "multiply") if same is x else ():
            if not is_number(number, 0.044715):
                continue
            if any(a is x and is_number(b, 3.0) for a, b in work.pairs(power, "pow")):
                return True
            if any(b is x and work.squared(a) is x for a, b in work.both(power, "multiply")):
                return True
    return False


def _silu(work: Work, made: Instruction) -> Any:
    """x sigmoid(x)."""
    for x, other in (made.operands, made.operands[::-1]):
        if work.parts(other, "sigmoid") == (x,):
            return ("silu", (x,), {})
    return None


def _logistic(work: Work, made: Instruction) -> Any:
    """1 / (1 + exp(-x)), or x / (1 + exp(-x))."""
    top, total = made.operands
    for one, raised in work.both(total, "add"):
        for inner in work.parts(raised, "exp") if is_number(one, 1.0) else ():
            for x in work.parts(inner, "negative"):
                if x is top:
                    return ("silu", (x,), {})
                if is_number(top, 1.0):
                    return ("sigmoid", (x,), {})
    return None


def _softmax(work: Work, made: Instruction) -> Any:
    """exp(x - max x) / sum(exp(x - max x)), or exp(x) / sum(exp(x)), which is as large unless it is infinite."""
    raised, total = made.operands
    added = work.maker(total, "sum")
    if added is None or added.operands[0] is not raised or not added.attributes["keepdims"]:
        return None
    axes = added.attributes["axes"]
    for inner in work.parts(raised, "exp") if len(axes) == 1 else ():
        for x, most in work.pairs(inner, "subtract"):
            largest = work.maker(work.still(most), "max")
            if largest is None or largest.operands[0] is not x:
                continue
            if largest.attributes["axes"] == axes and largest.attributes["keepdims"]:
                return ("softmax", (x,), {"axis": axes[0]})
        if not work.exact:
            return ("softmax", (inner,), {"axis": axes[0]})
    return None


COMPOSITIONS: Final[Patterns] = {
    "matmul": (_linear,), "convolution": (_padded,), "add": (_normalised, _moved, _biased),
    "multiply": (_gelu, _silu, _multiplied, _scaled), "divide": (_softmax, _logistic, _divided),
}  # fmt: skip
"""What may end in each operation, in the order in which it is looked for."""
