"""Operations on components one by one, of families and known numbers over the same axes: what becomes of them.

Sums, numbers in front, and products stay linear and multilinear; powers of sums of squares over finite axes are norms;
everything else is a function of Gaussian families.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tensoria.limits.reading.families import Families, Placed
from tensoria.limits.reading.nodes import ZERO, Constant, Det, Initial, Map, Node, Place, Product, Quadratic, Sum
from tensoria.programs.dimensions import Size

__all__ = ["function", "linear", "number_as"]


def number_as(number: float) -> Placed:
    """A number, as known numbers without axes."""
    return Det(lambda session, run: session.number(number), (), (), ZERO, number), ()


def linear(f: Families, operation: str, operands: Sequence[Node | Placed], sizes: Sequence[Size]) -> Node | None:
    """Operations that are linear in vectors."""
    nodes = [of for of in operands if isinstance(of, Node)]
    if operation in ("astype", "positive"):
        return nodes[0]
    if operation == "negative":
        return f.scale(nodes[0], -1.0)
    if operation == "stop_gradient":
        return f.detached(nodes[0])
    if operation in ("add", "subtract"):
        terms = [of if isinstance(of, Node) else f.constant(*of, sizes) for of in operands]
        if operation == "subtract":
            terms[1] = f.scale(terms[1], -1.0)
        return f.sum(terms)
    if operation == "multiply":
        if len(nodes) == 2:
            return f.product(nodes)
        (factor,) = (of for of in operands if not isinstance(of, Node))
        return f.weigh(*factor, nodes[0])
    if operation == "divide" and isinstance(operands[0], Node) and not isinstance(operands[1], Node):
        divisor, places = operands[1]
        return f.weigh(_reciprocal(divisor), places, operands[0])
    return None


def _reciprocal(det: Det) -> Det:
    def compute(session: Any, run: int) -> Any:
        return session.backend.xp.reciprocal(session.known(det, run))

    number = None if det.number is None else 1 / det.number
    return Det(compute, det.axes, det.sizes, -det.power, number)


def _constant(x: Node) -> float | None:
    """The number that all entries of a parameter are, if its law says so."""
    return x.law.mean if isinstance(x, Initial) and x.law.constant else None


def function(
    f: Families, operation: str, operands: Sequence[Node | Placed], sizes: Sequence[Size], **attributes: Any
) -> Node:
    """Operations that are not linear: norms over finite axes, powers, and functions of Gaussian vectors."""
    if operation == "square":
        return f.product([operands[0], operands[0]])  # type: ignore[list-item]
    if operation == "pow" and isinstance(operands[1], tuple) and operands[1][0].number in (2.0, 3.0, 4.0):
        return f.product([operands[0]] * int(operands[1][0].number))  # type: ignore[list-item]
    exponent = _exponent(operation, operands)
    first = operands[0]
    if exponent is not None and isinstance(first, Node):
        if isinstance(first, Product) and len(first.factors) == 1:
            first = first.factors[0]
        made_of = _quadratic(f, first, exponent, sizes)
        if made_of is not None:
            return made_of
    if operation == "divide" and isinstance(operands[1], Node):
        inverse = _function_of(f, "reciprocal", [operands[1]], sizes)
        if isinstance(first, Node):
            return f.product([first, inverse])
        return f.weigh(*first, inverse)
    return _function_of(f, operation, operands, sizes, **attributes)


def _function_of(
    f: Families, operation: str, operands: Sequence[Node | Placed], sizes: Sequence[Size], **attributes: Any
) -> Node:
    if operation == "reciprocal" and isinstance(operands[0], Node):
        made_of = _quadratic(f, operands[0], Fraction(-1), sizes)
        if made_of is not None:
            return made_of
    given: list[Node | Placed] = []
    for of in operands:
        number = _constant(f.unscaled(of)[2]) if isinstance(of, Node) else None
        given.append(number_as(number * f.unscaled(of)[0]) if number is not None else of)  # type: ignore[arg-type]
    if not any(isinstance(of, Node) for of in given):
        raise f.refuse("a function of parameters that are constant alone")
    return f.nonlin(operation, given, sizes, **attributes)


def _exponent(operation: str, operands: Sequence[Node | Placed]) -> Fraction | None:
    if operation == "sqrt":
        return Fraction(1, 2)
    if operation == "reciprocal":
        return Fraction(-1)
    if operation == "pow" and isinstance(operands[1], tuple) and operands[1][0].number is not None:
        return Fraction(operands[1][0].number).limit_denominator(64)
    return None


def _quadratic(f: Families, x: Node, exponent: Fraction, sizes: Sequence[Size]) -> Node | None:
    """A power of a sum of squares over finite axes, if that is what is there."""
    number, power, x = f.unscaled(x)
    if isinstance(x, Quadratic) and number == 1.0:
        return f.quadratic(x.x, x.total, x.offset, x.places, x.exponent * exponent, sizes)
    offset: Det | None = None
    terms = list(x.terms) if isinstance(x, Sum) else [x]
    if isinstance(x, Sum):
        constants = [of for of in terms if isinstance(f.unscaled(of)[2], Constant)]
        if len(constants) > 1 or len(terms) - len(constants) != 1:
            return None
        if constants:
            scale_, _, held = f.unscaled(constants[0])
            if held.value.sizes or scale_ * number < 0:  # type: ignore[attr-defined]
                return None
            value = held.value  # type: ignore[attr-defined]

            def offset_of(session: Any, run: int) -> Any:
                return session.known(value, run) * (scale_ * number)

            offset = Det(offset_of, value.axes, (), ZERO)
        terms = [of for of in terms if of not in constants]
    inner, _, total = f.unscaled(terms[0])
    places = tuple(range(len(sizes)))
    if isinstance(total, Place):
        places, total = total.places, total.x
    if not isinstance(total, Map) or not isinstance(total.x, Product) or power:
        return None
    factors = [f.unscaled(of)[2] for of in total.x.factors]
    if len(factors) != 2 or factors[0] is not factors[1] or not factors[0].gaussian or inner * number < 0:
        return None
    return f.quadratic(f.scale(factors[0], math.sqrt(inner * number)), total, offset, places, exponent, sizes)
