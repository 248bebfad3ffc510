"""Coordinatewise functions as small trees: put into one another, looked into, and made `Nonlinearity` values.

A tree has variables (components of Gaussian vectors), scalars (numbers that are deterministic in the limit, such as a
standard deviation), literals, and operations of `programs.operations`. Trees are compared by value, so that equal
functions share what is computed of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tensoria.dtypes import bool_, float64
from tensoria.limits.language.nonlinearity import Nonlinearity
from tensoria.programs import recorder as recording
from tensoria.programs.passes.inlining import region
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.types import Literal, Type, Value

__all__ = ["Expression", "applied", "derived", "literal", "nonlinearity", "rays", "scalar", "simplified", "substituted",
           "used", "variable"]  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """One node of a tree.

    Attributes:
        operation: `variable`, `scalar`, `literal`, or an operation of programs.
        operands: the trees below.
        attributes: of the operation, as pairs.
        number: of a variable or a scalar its position, of a literal its value.
    """

    operation: str
    operands: tuple[Expression, ...] = ()
    attributes: tuple[tuple[str, Any], ...] = ()
    number: Any = 0

    def __hash__(self) -> int:
        known = self.__dict__.get("_hash")
        if known is None:
            known = hash((self.operation, self.operands, self.attributes, self.number))
            object.__setattr__(self, "_hash", known)
        return int(known)

    def __str__(self) -> str:
        if self.operation in ("variable", "scalar"):
            return f"{'x' if self.operation == 'variable' else 'c'}{self.number + 1}"
        if self.operation == "literal":
            return f"{self.number:g}" if isinstance(self.number, float) else str(self.number)
        return f"{self.operation}({', '.join(map(str, self.operands))})"


def variable(number: int) -> Expression:
    """The component of a vector."""
    return Expression("variable", number=number)


def scalar(number: int) -> Expression:
    """A scalar."""
    return Expression("scalar", number=number)


def literal(number: complex) -> Expression:
    """A number, which is written into the tree."""
    value: Any = number if isinstance(number, bool) else float(number.real)
    return Expression("literal", number=value)


ZERO: Final = literal(0.0)


def applied(operation: str, *operands: Expression, **attributes: Any) -> Expression:
    """An operation on trees; a choice that is relu is that.

    >>> print(applied("where", applied("less_equal", variable(0), literal(0.0)), literal(0.0), variable(0)))
    relu(x1)
    """
    if operation == "where" and len(operands[0].operands) == 2 and operands[0].operands[1] == ZERO:
        condition, positive, negative = operands
        if condition.operation in ("less", "less_equal"):
            positive, negative = negative, positive
        elif condition.operation not in ("greater", "greater_equal"):
            return Expression(operation, operands)
        if negative == ZERO and positive == condition.operands[0]:
            return Expression("relu", (positive,))
    return Expression(operation, operands, tuple(sorted(attributes.items())))


def substituted(tree: Expression, variables: Sequence[Expression], scalars: Sequence[Expression]) -> Expression:
    """The tree with other trees in the places of variables and scalars."""
    if tree.operation in ("variable", "scalar"):
        found: Expression = (variables if tree.operation == "variable" else scalars)[tree.number]
        return found
    if not tree.operands:
        return tree
    operands = tuple(substituted(of, variables, scalars) for of in tree.operands)
    return Expression(tree.operation, operands, tree.attributes, tree.number)


_NUMBERS: Final[Mapping[str, Callable[..., float]]] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "negative": lambda a: -a,
}  # fmt: skip
_NEUTRAL: Final[Mapping[str, tuple[tuple[int, float], ...]]] = {
    "add": ((0, 0.0), (1, 0.0)), "subtract": ((1, 0.0),), "multiply": ((0, 1.0), (1, 1.0)), "divide": ((1, 1.0),),
}  # fmt: skip
"""Which operand, if it is which number, leaves the other one as it is."""


def simplified(tree: Expression) -> Expression:
    """The tree without sums of zeros, products with ones and zeros, and sums and products of literals.

    >>> x = applied("add", applied("multiply", literal(1.0), variable(0)), literal(0.0))
    >>> print(x, simplified(x))
    add(multiply(1, x1), 0) x1
    """
    if not tree.operands:
        return tree
    operands = tuple(simplified(of) for of in tree.operands)
    numbers = [of.number if of.operation == "literal" else None for of in operands]
    if tree.operation in _NUMBERS and None not in numbers:
        return literal(_NUMBERS[tree.operation](*numbers))
    if tree.operation == "multiply" and 0.0 in numbers:
        return ZERO
    for place, number in _NEUTRAL.get(tree.operation, ()):
        if numbers[place] == number:
            return operands[1 - place]
    return Expression(tree.operation, operands, tree.attributes, tree.number)


def used(tree: Expression, kind: str = "variable") -> frozenset[int]:
    """The numbers of the variables (or scalars) that occur."""
    if tree.operation == kind:
        return frozenset((tree.number,))
    return frozenset(n for of in tree.operands for n in used(of, kind))


@lru_cache(maxsize=1024)
def nonlinearity(tree: Expression, vectors: int, scalars: int) -> Nonlinearity:
    """The tree as a function of vectors, then scalars.

    Raises:
        LimitError: an operation is not coordinatewise.
    """
    into = Recorder()
    inputs = tuple(Value(Type(float64), f"x{n}") for n in range(vectors + scalars))
    known: dict[Expression, SymbolicArray] = {}

    def walk(of: Expression) -> SymbolicArray:
        if of not in known:
            if of.operation == "variable":
                made = SymbolicArray(inputs[of.number], into)
            elif of.operation == "scalar":
                made = SymbolicArray(inputs[vectors + of.number], into)
            elif of.operation == "literal":
                made = into.literal(of.number, bool_ if isinstance(of.number, bool) else float64)
            else:
                (made,) = into.record(of.operation, [walk(x) for x in of.operands], **dict(of.attributes))
            known[of] = made
        return known[of]

    with recording.recording(into):
        output = walk(tree)
    operation = tree.operation if all(x.operation == "variable" for x in tree.operands) else "phi"
    return Nonlinearity.from_region(region(into, inputs, [output], "phi"), vectors, scalars, operation)


# -- functions that are linear on both sides of zero -------------------------------------------------------------------

Ray = tuple[int, float, float]
"""Degree of homogeneity for positive factors, value at 1, value at -1."""


def _same(a: Ray, b: Ray) -> int | None:
    """The degree of a sum; zero has every degree."""
    if a[0] == b[0]:
        return a[0]
    for x, y in ((a, b), (b, a)):
        if x[1] == x[2] == 0.0:
            return y[0]
    return None


def _summed(sign: int) -> Callable[[Ray, Ray], Ray | None]:
    def rule(a: Ray, b: Ray) -> Ray | None:
        degree = _same(a, b)
        return None if degree is None else (degree, a[1] + sign * b[1], a[2] + sign * b[2])

    return rule


def _extreme(choose: Callable[[float, float], float]) -> Callable[[Ray, Ray], Ray | None]:
    def rule(a: Ray, b: Ray) -> Ray | None:
        degree = _same(a, b)
        return None if degree is None else (degree, choose(a[1], b[1]), choose(a[2], b[2]))

    return rule


def _compared(holds: Callable[[float, float], bool]) -> Callable[[Ray, Ray], Ray | None]:
    def rule(a: Ray, b: Ray) -> Ray | None:
        return None if _same(a, b) is None else (0, float(holds(a[1], b[1])), float(holds(a[2], b[2])))

    return rule


def _divided(a: Ray, b: Ray) -> Ray | None:
    return None if b[1] == 0 or b[2] == 0 else (a[0] - b[0], a[1] / b[1], a[2] / b[2])


def _where(condition: Ray, a: Ray, b: Ray) -> Ray | None:
    degree = _same(a, b)
    if degree is None or condition[0] != 0:
        return None
    return degree, a[1] if condition[1] else b[1], a[2] if condition[2] else b[2]


_RAYS: Final[Mapping[str, Callable[..., Ray | None]]] = {
    "negative": lambda a: (a[0], -a[1], -a[2]),
    "abs": lambda a: (a[0], abs(a[1]), abs(a[2])),
    "relu": lambda a: (a[0], max(a[1], 0.0), max(a[2], 0.0)),
    "sign": lambda a: (0, float((a[1] > 0) - (a[1] < 0)), float((a[2] > 0) - (a[2] < 0))),
    "astype": lambda a, **_: a,
    "logical_not": lambda a: (0, float(not a[1]), float(not a[2])),
    "multiply": lambda a, b: (a[0] + b[0], a[1] * b[1], a[2] * b[2]),
    "divide": _divided,
    "add": _summed(1), "subtract": _summed(-1),
    "maximum": _extreme(max), "minimum": _extreme(min),
    "greater": _compared(lambda x, y: x > y), "less": _compared(lambda x, y: x < y),
    "greater_equal": _compared(lambda x, y: x >= y), "less_equal": _compared(lambda x, y: x <= y),
    "where": _where,
}  # fmt: skip


@lru_cache(maxsize=4096)
def rays(tree: Expression) -> Ray | None:
    """Degree and values at 1 and -1 of a function of one variable with phi(c x) = c^degree phi(x) for c > 0, or None.

    relu, leaky relu and abs have the degree 1, their derivatives, sign and step the degree 0.

    >>> x = variable(0)
    >>> rays(applied("where", applied("greater", x, literal(0.0)), x, applied("multiply", x, literal(0.1))))
    (1, 1.0, -0.1)
    """
    if tree.operation == "variable":
        return 1, 1.0, -1.0
    if tree.operation == "literal":
        return 0, float(tree.number), float(tree.number)
    rule = _RAYS.get(tree.operation)
    if rule is None:
        return None
    found = [rays(of) for of in tree.operands]
    if any(of is None for of in found):
        return None
    if tree.operation == "relu" and found[0] is not None and found[0][0] < 0:
        return None
    return rule(*found, **dict(tree.attributes))


# -- derivatives ------------------------------------------------------------------------------------------------------


def derived(tree: Expression, n: int, vectors: int, scalars: int) -> Expression:
    """The derivative of a tree by one of its variables, as a tree."""
    ray = rays(tree) if vectors == 1 and not scalars else None
    if ray is not None and ray[0] == 0:
        return literal(0.0)
    if ray is not None and ray[0] == 1:  # linear on both sides of zero: a step
        x = variable(0)
        right, left = literal(ray[1]), literal(-ray[2])
        return applied("where", applied("greater", x, literal(0.0)), right, left)
    found = nonlinearity(tree, vectors, scalars).derivative(n).program
    known: dict[object, Expression] = {
        value: variable(k) if k < vectors else scalar(k - vectors) for k, value in enumerate(found.inputs)
    }

    def read(operand: object) -> Expression:
        return literal(operand.number) if isinstance(operand, Literal) else known[operand]

    for made in found.instructions:
        known[made.results[0]] = applied(made.operation, *(read(x) for x in made.operands), **dict(made.attributes))
    return read(found.outputs[0])
