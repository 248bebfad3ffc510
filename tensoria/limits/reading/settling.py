"""Functions whose constant parameters are numbers: what a gain of 1 and a shift of 0 are before training.

Derivatives by such parameters are wanted, so that families are functions of them; values are those of simpler
functions, of which more is known: relu(1 x / norm + 0) is relu(x) / norm.
"""

from __future__ import annotations

from tensoria.limits.reading.components import function, linear, number_as
from tensoria.limits.reading.expressions import Expression, literal, simplified, substituted, variable
from tensoria.limits.reading.families import Families, Placed
from tensoria.limits.reading.nodes import Initial, Node, Nonlin, Place, Product, Quadratic

__all__ = ["constant", "settled"]


def constant(x: Node) -> float | None:
    """The number that all entries of a family are, if a parameter's law says so."""
    while isinstance(x, Place):
        x = x.x
    return x.law.mean if isinstance(x, Initial) and x.law.constant else None


def settled(f: Families, x: Node) -> Node:
    """The family with the same values in which constant parameters are numbers."""
    if isinstance(x, Nonlin):
        return _function(f, x)
    if isinstance(x, Product):
        number, rest = 1.0, []
        for factor in x.factors:
            of = constant(factor)
            if of is None:
                rest.append(settled(f, factor))
            else:
                number *= of
        if not rest:
            return x
        return f.scale(f.product(rest), number) if len(rest) < len(x.factors) or rest != list(x.factors) else x
    return x


def _function(f: Families, x: Nonlin) -> Node:
    numbers = [constant(of) for of in x.variables]
    left = [of for of, number in zip(x.variables, numbers, strict=True) if number is None]
    if len(left) == len(numbers) or not left:
        return x
    trees = [
        variable(left.index(of)) if number is None else literal(number)
        for of, number in zip(x.variables, numbers, strict=True)
    ]
    scalars = [Expression("scalar", number=n) for n in range(len(x.scalars))]
    tree = simplified(substituted(x.tree, trees, scalars))
    f.where = x.where
    if any(isinstance(of, Quadratic) for of in left):
        found = _built(f, tree, left, x.scalars, x)
        if isinstance(found, Node):
            return found
    return f._nonlin(tree, tuple(left), x.scalars, x.sizes)


def _built(
    f: Families, tree: Expression, variables: list[Node], scalars: tuple[Placed, ...], whole: Nonlin
) -> Node | Placed | None:
    """The tree put together again from its variables, as reading does, so that norms are seen; None if it can not."""
    if tree.operation == "variable":
        of: Node = variables[tree.number]
        return of
    if tree.operation == "scalar":
        known: Placed = scalars[tree.number]
        return known
    if tree.operation == "literal":
        return number_as(float(tree.number))
    operands = [_built(f, of, variables, scalars, whole) for of in tree.operands]
    if not any(isinstance(of, Node) for of in operands):
        return None
    given = [of for of in operands if of is not None]
    if len(given) < len(operands):
        return None
    found = linear(f, tree.operation, given, whole.sizes)
    return function(f, tree.operation, given, whole.sizes, **dict(tree.attributes)) if found is None else found
