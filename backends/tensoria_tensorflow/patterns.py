"""Operations of neural networks that a graph has taken apart, put together again.

One row for each last operation of a composition: a function that looks from it backwards through what made its
operands, and says which operation it is, or that it is none. The fused instruction assigns the composition's last
value, so whoever knows that value still does; what else the composition computed goes if nothing else needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tensoria.errors import TensoriaError
from tensoria.programs.dimensions import Dim
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.types import Instruction, Literal, Operand, Value

__all__ = ["fused", "living"]

Found = tuple[str, tuple[Operand, ...], dict[str, Any]]
"""An operation, its operands and attributes."""


def fused(
    instructions: Sequence[Instruction], wanted: Sequence[Operand], parameters: Iterable[Value]
) -> tuple[list[Instruction], dict[Value, Operand]]:
    """The instructions with compositions replaced by the operations that they are, and values that are others.

    Args:
        wanted: what is needed afterwards.
        parameters: the values that are weights.
    """
    work = _Work(set(parameters))
    for made in living(instructions, wanted):
        for x in made.operands:
            if isinstance(x, Value):
                work.uses[x] = work.uses.get(x, 0) + 1
    for x in wanted:
        if isinstance(x, Value):
            work.uses[x] = work.uses.get(x, 0) + 1
    for made in instructions:
        work.take(made)
    kept = [work.same.get(x, x) if isinstance(x, Value) else x for x in wanted]
    return living(work.instructions, kept), work.same


def living(instructions: Sequence[Instruction], wanted: Sequence[Operand]) -> list[Instruction]:
    """The instructions that results need."""
    alive = {x for x in wanted if isinstance(x, Value)}
    kept = []
    for made in reversed(instructions):
        if any(value in alive for value in made.results):
            kept.append(made)
            alive.update(x for x in made.operands if isinstance(x, Value))
    return kept[::-1]


class _Work:
    """What has been rewritten so far."""

    def __init__(self, parameters: set[Value]) -> None:
        self.parameters = parameters
        self.instructions: list[Instruction] = []
        self.makers: dict[Value, Instruction] = {}
        self.same: dict[Value, Operand] = {}
        self.uses: dict[Value, int] = {}

    def take(self, made: Instruction) -> None:
        """The next instruction, as it is or fused."""
        operands = tuple(self.same.get(x, x) if isinstance(x, Value) else x for x in made.operands)
        made = Instruction(made.operation, operands, made.attributes, made.results, made.source)
        for pattern in PATTERNS.get(made.operation, ()):
            found = pattern(self, made)
            if isinstance(found, (Value, Literal)):
                self.same[made.results[0]] = found
                return
            if found is not None and self._fits(found, made):
                operation, operands, attributes = found
                made = Instruction(operation, operands, attributes, made.results, made.source)
                break
        self.add(made)

    def add(self, made: Instruction) -> None:
        """Keep an instruction."""
        self.instructions.append(made)
        self.makers.update(dict.fromkeys(made.results, made))

    def one(self, like: Instruction, operation: str, *operands: Operand, **attributes: Any) -> Value:
        """One more instruction before the one that is being rewritten."""
        (of,) = OPERATIONS[operation].infer(*(x.type for x in operands), **attributes)
        made = Instruction(operation, operands, attributes, (Value(of),), like.source)
        self.add(made)
        return made.results[0]

    def _fits(self, found: Found, made: Instruction) -> bool:
        operation, operands, attributes = found
        try:
            types = OPERATIONS[operation].infer(*(x.type for x in operands), **attributes)
        except TensoriaError:
            return False
        return tuple(types) == tuple(value.type for value in made.results)

    # -- looking backwards ----------------------------------------------------------------------------------------

    def maker(self, x: Operand, *operations: str) -> Instruction | None:
        """What made a value, if it is one of these operations."""
        made = self.makers.get(x) if isinstance(x, Value) else None
        return made if made is not None and made.operation in operations else None

    def parts(self, x: Operand, operation: str) -> tuple[Operand, ...]:
        """The operands of the operation that made a value; none if it was another one."""
        made = self.maker(x, operation)
        return () if made is None else made.operands

    def both(self, x: Operand, operation: str) -> list[tuple[Operand, Operand]]:
        """The operands of a commutative operation, either way round."""
        found = self.parts(x, operation)
        return [(found[0], found[1]), (found[1], found[0])] if len(found) == 2 else []

    def once(self, x: Operand) -> bool:
        """Whether a value is used in one place only."""
        return isinstance(x, Value) and self.uses.get(x, 0) == 1

    def plain(self, x: Operand) -> Operand:
        """A value before it was given axes of size 1."""
        while (made := self.maker(x, "reshape", "squeeze", "expand_dims")) is not None:
            (inner,) = made.operands
            if _sizes(inner) != _sizes(x):
                break
            x = inner
        return x


    def vector(self, x: Operand) -> Operand:
        """A value as a vector, if it is one with further axes of size 1."""
        return x if x.type.ndim == 1 else self.plain(x)


def _sizes(x: Operand) -> list[Any]:
    return [n for n in x.type.shape if isinstance(n, Dim) or n != 1]


def _number(x: Operand) -> float | None:
    """The number that an operand is."""
    return float(x.number) if isinstance(x, Literal) and not isinstance(x.number, complex) else None


def _is(x: Operand, number: float) -> bool:
    """Whether an operand is a number, as exactly as its data type has it: a graph may have it more roughly."""
    found = _number(x)
    digits = 1e-15 if x.type.dtype.name == "float64" else 1e-3 if x.type.dtype.itemsize == 2 else 1e-6
    return found is not None and abs(found - number) <= digits * abs(number)


# -- shapes -----------------------------------------------------------------------------------------------------------


def _reshape(work: _Work, made: Instruction) -> Any:
    """Axes of size 1 that are added and taken away; a matrix product of rows that were all in one axis."""
    (x,) = made.operands
    inner = x
    while (before := work.maker(inner, "reshape", "squeeze", "expand_dims")) is not None:
        inner = before.operands[0]
        if inner.type == made.results[0].type:
            return inner
    product = work.maker(x, "matmul", "linear") if made.operation == "reshape" else None
    if product is None or not work.once(x):
        return None
    rows = work.maker(product.operands[0], "reshape")
    wanted, shape = product.operands[1], made.results[0].type.shape
    if rows is None or len(rows.results[0].type.shape) != 2 or wanted.type.ndim != 2:
        return None
    (whole,) = rows.operands
    if whole.type.shape[:-1] != shape[:-1] or whole.type.shape[-1] != rows.results[0].type.shape[-1]:
        return None
    return (product.operation, (whole, *product.operands[1:]), dict(product.attributes))


def _permuted(work: _Work, made: Instruction) -> Any:
    """Two orders of axes that are none together."""
    before = work.maker(made.operands[0], "permute_dims")
    if before is None:
        return None
    first, second = before.attributes["axes"], made.attributes["axes"]
    order = tuple(first[n] for n in second)
    if order == tuple(range(len(order))):
        return before.operands[0]
    return ("permute_dims", before.operands, {"axes": order})


def _picked(work: _Work, made: Instruction) -> Any:
    """One of several values that were joined along a new axis."""
    joined = work.maker(made.operands[0], "stack")
    if joined is None or len(made.operands) > 1:
        return None
    axis, key = joined.attributes["axis"], made.attributes["key"]
    rest = [part for n, part in enumerate(key) if n != axis]
    if isinstance(key[axis], int) and all(part == Cut() for part in rest):
        return joined.operands[key[axis]]
    return None


def _where_true(work: _Work, made: Instruction) -> Any:
    """A conjunction with what is always true."""
    a, b = made.operands
    for x, other in ((a, b), (b, a)):
        if _kind(work, x) == "true" and other.type == made.results[0].type:
            return other
    return None


def _neutral(work: _Work, made: Instruction) -> Any:
    """A product with 1."""
    for x, number in (made.operands, made.operands[::-1]):
        if _number(number) == 1 and x.type == made.results[0].type:
            return x
    return None


# -- linear maps and convolutions -------------------------------------------------------------------------------------


def _linear(work: _Work, made: Instruction) -> Any:
    """A product with a weight."""
    x, weight = made.operands
    if weight not in work.parameters or weight.type.ndim != 2 or x.type.ndim < 2:
        return None
    turned = work.one(made, "permute_dims", weight, axes=(1, 0))
    return ("linear", (x, turned), {})


def _biased(work: _Work, made: Instruction) -> Any:
    """A vector added to a linear map's result, or to each channel of a convolution's."""
    for x, bias in (made.operands, made.operands[::-1]):
        before = work.maker(x, "linear", "convolution")
        if before is None or len(before.operands) != 2 or not work.once(x):
            continue
        vector = bias
        if before.operation == "convolution":
            letters = before.attributes["numbers"][2]
            behind = len(letters) - 1 - letters.index("C")
            if bias.type.ndim != 1 + behind:
                continue
            vector = work.plain(bias)
        if vector.type.ndim == 1:
            return (before.operation, (*before.operands, vector), dict(before.attributes))
    return None


# -- normalisation ----------------------------------------------------------------------------------------------------


def _inverse(work: _Work, x: Operand) -> tuple[Operand, float] | None:
    """The variance and epsilon of 1 / sqrt(variance + epsilon)."""
    for root in work.parts(x, "reciprocal"):
        for total in work.parts(root, "sqrt"):
            for variance, epsilon in work.both(total, "add"):
                number = _number(epsilon)
                if number is not None:
                    return variance, number
    return None


def _normalised(work: _Work, made: Instruction) -> Any:
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


def _shift(work: _Work, shift: Operand, factor: Operand) -> tuple[Operand, Operand | None] | None:
    """The mean and the bias of b - m s, in any of the ways in which it is written."""
    for bias, product in [work.parts(shift, "subtract")] if work.parts(shift, "subtract") else []:
        for mean, other in work.both(product, "multiply"):
            if other is factor:
                return mean, bias
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


def _norm(
    work: _Work, made: Instruction, x: Operand, mean: Operand, variance: Operand, epsilon: float,
    weight: Operand | None, bias: Operand | None,
) -> Any:  # fmt: skip
    own = _statistics(work, x, mean, variance)
    weights = [work.vector(of) for of in (weight, bias) if of is not None]
    if own is not None and own == tuple(range(x.type.ndim - len(own), x.type.ndim)):
        if len(own) > 1:
            weights = [work.plain(of) for of in (weight, bias) if of is not None]
        if weight is None and bias is not None:
            found = work.one(made, "layer_norm", x, axes=own, epsilon=epsilon)
            return ("add", (found, bias), {})
        return ("layer_norm", (x, *weights), {"axes": own, "epsilon": epsilon})
    axes = {n for n, size in enumerate(x.type.shape) if size == _channel(mean)}
    vectors = [work.vector(mean), work.vector(variance), *weights]
    if any(of.type.ndim != 1 for of in vectors) or not axes:
        return None
    places = _aligned(mean, x.type.ndim)
    others = [of for of in (variance, weight, bias) if of is not None]
    if len(places) != 1 or any(_aligned(of, x.type.ndim) != places for of in others):
        return None
    attributes = {"axis": places[0], "epsilon": epsilon}
    if weight is None and bias is not None:
        found = work.one(made, "batch_norm", x, *vectors[:2], **attributes)
        return ("add", (found, bias), {})
    return ("batch_norm", (x, *vectors), attributes)


def _channel(x: Operand) -> Any:
    sizes = _sizes(x)
    return sizes[0] if len(sizes) == 1 else 1


def _aligned(x: Operand, ndim: int) -> list[int]:
    shape = (*(1,) * (ndim - x.type.ndim), *x.type.shape)
    return [n for n, size in enumerate(shape) if isinstance(size, Dim) or size != 1] or [ndim - 1]


def _still(work: _Work, x: Operand) -> Operand:
    """A value before its gradient was stopped."""
    return next(iter(work.parts(x, "stop_gradient")), x)


def _statistics(work: _Work, x: Operand, mean: Operand, variance: Operand) -> tuple[int, ...] | None:
    """The axes over which these are the mean and variance of x, kept with size 1."""
    first, second = work.maker(mean, "mean"), work.maker(variance, "mean", "var")
    if first is None or second is None or first.operands[0] is not x:
        return None
    axes = first.attributes["axes"]
    if not (first.attributes["keepdims"] and second.attributes["keepdims"] and second.attributes["axes"] == axes):
        return None
    if second.operation == "var":
        return axes if second.operands[0] is x and not second.attributes["correction"] else None
    for difference in work.parts(second.operands[0], "square"):
        for a, b in [work.parts(difference, "subtract")] if work.parts(difference, "subtract") else []:
            if (a is x and _still(work, b) is mean) or (b is x and _still(work, a) is mean):
                return axes  # type: ignore[no-any-return]
    return None


def _root_mean_square(work: _Work, made: Instruction) -> Any:
    """x / sqrt(mean(x^2) + e), times a weight."""
    for scaled, weight in (made.operands, made.operands[::-1]):
        for x, root in work.both(scaled, "multiply"):
            found = _inverse(work, root)
            if found is None:
                continue
            square = work.maker(found[0], "mean")
            if square is None or not square.attributes["keepdims"]:
                continue
            if work.parts(square.operands[0], "square") == (x,):
                vector = work.plain(weight)
                return ("rms_norm", (x, vector), {"axes": square.attributes["axes"], "epsilon": found[1]})
    return None


# -- activations ------------------------------------------------------------------------------------------------------


def _gelu(work: _Work, made: Instruction) -> Any:
    """x / 2 times (1 + erf(x / sqrt 2)), or times its approximation by tanh."""
    for half, rest in (made.operands, made.operands[::-1]):
        for number, x in work.both(half, "multiply"):
            if not _is(number, 0.5):
                continue
            kind = _distribution(work, x, rest)
            if kind is not None:
                return ("gelu", (x,), {"approximate": kind})
    return None


def _distribution(work: _Work, x: Operand, rest: Operand) -> str | None:
    """Twice the normal distribution function of x: exact, or by tanh."""
    sides = work.parts(rest, "subtract")
    if sides and _is(sides[0], 1.0):
        # The complement, of minus x.
        for inner in work.parts(sides[1], "erf"):
            for negative, number in work.both(inner, "multiply"):
                if work.parts(negative, "negative") == (x,) and _is(number, math.sqrt(0.5)):
                    return "none"
    for one, function in work.both(rest, "add"):
        if not _is(one, 1.0):
            continue
        for inner in work.parts(function, "erf"):
            if any(a is x and _is(b, math.sqrt(0.5)) for a, b in work.both(inner, "multiply")):
                return "none"
            quotient = work.parts(inner, "divide")
            if quotient and quotient[0] is x and _is(quotient[1], math.sqrt(2)):
                return "none"
        for inner in work.parts(function, "tanh"):
            for number, total in work.both(inner, "multiply"):
                if _is(number, math.sqrt(2 / math.pi)) and _cubic(work, x, total):
                    return "tanh"
    return None


def _cubic(work: _Work, x: Operand, total: Operand) -> bool:
    """x + 0.044715 x^3."""
    for same, cube in work.both(total, "add"):
        if same is not x:
            continue
        for number, power in work.both(cube, "multiply"):
            if not _is(number, 0.044715):
                continue
            raised = work.parts(power, "pow")
            if raised and raised[0] is x and _is(raised[1], 3.0):
                return True
            if any(b is x and work.parts(a, "square") == (x,) for a, b in work.both(power, "multiply")):
                return True
    return False


def _embedded(work: _Work, made: Instruction) -> Any:
    """Positions that count from the end if they are negative, which a look-up does by itself."""
    table, at = made.operands
    chosen = work.parts(at, "where")
    if not chosen:
        return None
    condition, moved, plain = chosen
    below = work.parts(condition, "less")
    if below and below[0] is plain and _number(below[1]) == 0:
        for x, count in work.both(moved, "add"):
            if x is plain and _number(count) == table.type.shape[0]:
                return ("embedding", (table, plain), {})
    return None


def _silu(work: _Work, made: Instruction) -> Any:
    """x sigmoid(x)."""
    for x, other in (made.operands, made.operands[::-1]):
        if work.parts(other, "sigmoid") == (x,):
            return ("silu", (x,), {})
    return None


def _softmax(work: _Work, made: Instruction) -> Any:
    """exp(x - max x) / sum(exp(x - max x)), or without the maximum."""
    raised, total = made.operands
    added = work.maker(total, "sum")
    if added is None or added.operands[0] is not raised or not added.attributes["keepdims"]:
        return None
    axes = added.attributes["axes"]
    for inner in work.parts(raised, "exp"):
        for x, most in [work.parts(inner, "subtract")] if work.parts(inner, "subtract") else []:
            largest = work.maker(_still(work, most), "max")
            if largest is None or largest.operands[0] is not x or len(axes) != 1:
                continue
            if largest.attributes["axes"] == axes:
                return ("softmax", (x,), {"axis": axes[0]})
    return None


def _dropout(work: _Work, made: Instruction) -> Any:
    """Where a drawn mask is not 0, x / (1 - rate); else 0."""
    condition, scaled, zero = made.operands
    if _number(zero) != 0 and not (isinstance(zero, Value) and _kind(work, zero) == "zero"):
        return None
    chosen = work.parts(condition, "not_equal")
    drawn = work.maker(chosen[0], "dropout") if chosen else None
    if drawn is None or _kind(work, drawn.operands[0]) != "one":
        return None
    rate = drawn.attributes["rate"]
    shape, whole = drawn.operands[0].type.shape, made.results[0].type.shape
    if len(shape) != len(whole):
        return None
    shared = tuple(n for n, (m, size) in enumerate(zip(shape, whole, strict=True)) if m != size)
    attributes = {**drawn.attributes, "shared": shared}
    for x, number in work.both(scaled, "multiply"):
        if rate < 1 and _is(number, 1 / (1 - rate)) and x.type.shape == whole:
            return ("dropout", (x, drawn.operands[1]), attributes)
    divided = work.parts(scaled, "divide")
    if divided and rate < 1 and _is(divided[1], 1 - rate):
        return ("dropout", (divided[0], drawn.operands[1]), attributes)
    return None


# -- attention --------------------------------------------------------------------------------------------------------


def _kind(work: _Work, x: Operand) -> str:
    """What is known of an array of constants: `true`, `one`, `zero`, or the lower triangle."""
    if isinstance(x, Literal):
        if x.dtype.kind == "bool":
            return "true" if x.number else "zero"
        return {1: "one", 0: "zero"}.get(x.number, "")  # type: ignore[call-overload, no-any-return]
    made = work.makers.get(x)
    if made is None:
        return ""
    first = made.operands[0] if made.operands else None
    if made.operation in ("broadcast_to", "full", "reshape", "expand_dims") and first is not None:
        return _kind(work, first) if made.operation != "reshape" or _sizes(first) == _sizes(x) else ""
    if made.operation == "getitem" and len(made.operands) == 1 and _sizes(made.operands[0]) == _sizes(x):
        return _kind(work, made.operands[0])
    if made.operation == "astype" and first is not None:
        inner = _kind(work, first)
        boolean = made.attributes["dtype"].kind == "bool"
        return {"true": "one", "one": "one"}.get(inner, inner) if not boolean else {"one": "true"}.get(inner, inner)
    if made.operation == "tril" and made.attributes["k"] == 0 and first is not None:
        return "triangle" if _kind(work, first) == "one" else ""
    if made.operation == "not_equal" and _number(made.operands[1]) == 0 and first is not None:
        inner = _kind(work, first)
        return {"one": "true"}.get(inner, inner)
    if made.operation == "logical_and":
        kinds = [_kind(work, of) for of in made.operands]
        if "true" in kinds:
            kinds.remove("true")
            return kinds[0]
        return "triangle" if kinds == ["triangle", "triangle"] else ""
    return ""


def _attention(work: _Work, made: Instruction) -> Any:
    """softmax(scale q k + mask) v over heads, for the orders of axes in which products of three are written."""
    if len(made.operands) != 2:
        return None
    for weights, value in (made.operands, made.operands[::-1]):
        soft = work.maker(weights, "softmax")
        if soft is None or soft.attributes["axis"] != weights.type.ndim - 1 or weights.type.ndim != 4:
            continue
        found = _scores(work, soft.operands[0])
        if found is None:
            continue
        product, scale, causal = found
        order = _orders(product, made, weights, value)
        if order is None:
            continue
        query, key, orders, out = order
        arrays = [
            of if axes == (0, 1, 2, 3) else work.one(made, "permute_dims", of, axes=axes)
            for of, axes in zip((query, key, value), orders, strict=True)
        ]
        attributes = {"causal": causal, "scale": scale}
        if out == (0, 1, 2, 3):
            return ("attention", tuple(arrays), attributes)
        whole = work.one(made, "attention", *arrays, **attributes)
        return ("permute_dims", (whole,), {"axes": out})
    return None


def _scores(work: _Work, x: Operand) -> tuple[Instruction, float, bool] | None:
    """The product of queries and keys, its scale, and whether what lies ahead is masked."""
    causal = False
    masked = work.maker(x, "where")
    if masked is not None:
        condition, x, least = masked.operands
        number = _number(least)
        if number is None or number > -1e30 or _kind(work, condition) != "triangle":
            return None
        causal = x.type.shape[-1] == x.type.shape[-2]
        if not causal:
            return None
    scale = 1.0
    product = work.maker(x, "contract")
    if product is None:
        for inner, factor in work.both(x, "multiply"):
            found, times = work.maker(inner, "contract"), _number(factor)
            if found is not None and times is not None:
                product, scale = found, times
    if product is None or len(product.operands) != 2:
        return None
    return product, scale, causal


def _orders(product: Instruction, made: Instruction, weights: Operand, value: Operand) -> Any:
    """Queries, keys, the orders of axes that make them (batch, heads, place, size), and that of the result."""
    first, last = product.attributes["pattern"], made.attributes["pattern"]
    swapped = made.operands[0] is not weights
    w_term, v_term = last.terms[::-1] if swapped else last.terms
    batch, heads, rows, columns = first.out
    # The same letters in the second product: those of the weights are those of the scores.
    letters = dict(zip(w_term, first.out, strict=True))
    size = next(iter(set(v_term) - set(w_term)), None)
    if size is None or len(v_term) != 4 or len(set(v_term)) != 4:
        return None
    names = {**letters, size: -1}
    v = [names.get(n) for n in v_term]
    out = [names.get(n) for n in last.out]
    for q_at, k_at in ((0, 1), (1, 0)):
        q, k = first.terms[q_at], first.terms[k_at]
        if not (rows in q and columns in k and rows not in k and columns not in q):
            continue
        shared = set(q) & set(k) - {batch, heads}
        if len(shared) != 1 or len(q) != 4 or len(k) != 4:
            continue
        (inner,) = shared
        wanted = [(batch, heads, rows, inner), (batch, heads, columns, inner), (batch, heads, columns, -1)]
        given = [q, k, v]
        if any(sorted(map(str, a)) != sorted(map(str, b)) for a, b in zip(wanted, given, strict=True)):
            continue
        if sorted(map(str, out)) != sorted(map(str, (batch, heads, rows, -1))):
            continue
        orders = [tuple(list(b).index(n) for n in a) for a, b in zip(wanted, given, strict=True)]
        result = tuple((batch, heads, rows, -1).index(n) for n in out)
        return product.operands[q_at], product.operands[k_at], orders, result
    return None


PATTERNS: dict[str, tuple[Callable[[_Work, Instruction], Any], ...]] = {
    "reshape": (_reshape,), "squeeze": (_reshape,), "expand_dims": (_reshape,), "permute_dims": (_permuted,),
    "getitem": (_picked,), "logical_and": (_where_true,), "matmul": (_linear,), "add": (_normalised, _biased),
    "multiply": (_neutral, _gelu, _silu, _root_mean_square), "divide": (_softmax,), "where": (_dropout,),
    "contract": (_attention,), "embedding": (_embedded,),
}  # fmt: skip
"""What may end in each operation, in the order in which it is looked for."""
