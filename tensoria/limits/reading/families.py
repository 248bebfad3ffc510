"""Families are built here, in a normal form: equal ones are one node, and what is linear stands outside.

Sums are distributed over products, numbers are pulled out of them, functions are put into functions, so that in the end
a family is a linear combination of Gaussian families, functions of Gaussian families, and products of those.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final, TypeVar

from tensoria.errors import LimitError
from tensoria.limits.laws import Law
from tensoria.limits.reading.expressions import Expression, applied, literal, rays, scalar, substituted, variable
from tensoria.limits.reading.nodes import (
    BATCH,
    ZERO,
    Constant,
    Det,
    Detached,
    Gathered,
    Initial,
    Map,
    MatMul,
    Matrix,
    Mix,
    Node,
    Nonlin,
    Place,
    Product,
    Quadratic,
    Scale,
    Sources,
    Sum,
    Weigh,
)
from tensoria.programs.dimensions import Size

__all__ = ["Families", "Placed", "arranged", "unsupported"]

N = TypeVar("N", bound=Node)
Placed = tuple[Det, tuple[int, ...]]
"""Known numbers, and for each of their finite axes its place."""
TERMS: Final = 256
"""So many terms may a product of sums have."""
PIECES: Final = 64
"""So many pieces of a parameter are told apart: queries' from keys', those of gates from each other."""


def unsupported(operation: str, reason: str, where: str = "", legal: str | None = None) -> LimitError:
    """The error for what is outside of the languages, or what no rule here computes."""
    at = f", at {where}" if where else ""
    return LimitError(f"unsupported: {operation}, {reason}{at}", legal=legal)


def arranged(compute: Callable[[Any, int], Any], sizes: Sequence[Size], power: Fraction = ZERO) -> Det:
    """Known numbers whose array has the examples' axis first, then the finite ones."""
    return Det(compute, ((BATCH,), *((n,) for n in range(len(sizes)))), tuple(sizes), power)


def _constant(x: Node) -> bool:
    """Whether all entries are one number: those of a gain at its initialisation."""
    if isinstance(x, (Place, Map)):
        return _constant(x.x)
    return isinstance(x, Initial) and x.law.constant


def _key(value: Any) -> Any:
    if isinstance(value, (Node, Det)):
        return id(value)
    if isinstance(value, tuple):
        return tuple(_key(item) for item in value)
    return value


class Families:
    """Makes nodes, each once.

    Attributes:
        where: the line of the program that is being read, for errors.
        operation: the operation that is being read.
        moments: for each number that is a Moment what it is of.
    """

    def __init__(self) -> None:
        self._made: dict[Any, Node] = {}
        self._kept: list[Any] = []
        self.where = ""
        self.operation = ""
        self.moments: dict[int, str] = {}
        self._pieces: dict[str, int | None] = {}

    def _node(
        self, kind: type[N], sizes: Sequence[Size], *fields: Any, power: Fraction = ZERO, wide: bool = True,
        gaussian: bool = False, sources: Sources = frozenset(), key: Any = None,
    ) -> N:  # fmt: skip
        wanted = (kind, tuple(sizes), *(_key(of) for of in fields)) if key is None else (kind, tuple(sizes), key)
        found = self._made.get(wanted)
        if found is None:
            found = self._made[wanted] = kind(*fields)
            found.sizes, found.power, found.wide = tuple(sizes), power, wide
            found.gaussian, found.sources, found.where = gaussian, sources, self.where
            self._kept.append(fields)  # keys hold addresses
        return found  # type: ignore[return-value]

    def refuse(self, reason: str, legal: str | None = None) -> LimitError:
        """The error for the operation that is being read."""
        return unsupported(self.operation, reason, self.where, legal)

    # -- leaves ---------------------------------------------------------------------------------------------------

    def _sources(self, name: str, sizes: Sequence[Size], fixed: tuple[int | None, ...]) -> Sources:
        """What a use of a parameter is random by: pieces along the first finite axis, where they are few."""
        if fixed and fixed[0] is None:
            self._pieces[name] = sizes[0] if isinstance(sizes[0], int) and sizes[0] <= PIECES else None
        count = self._pieces.get(name)
        if not fixed or count is None:
            return frozenset(((name, None),))
        return frozenset((name, k) for k in range(count) if fixed[0] in (None, k))

    def initial(
        self, name: str, law: Law, sizes: Sequence[Size], wide: bool, fixed: tuple[int | None, ...], fresh: bool = False
    ) -> Initial:
        """A parameter as vectors."""
        gaussian = law.distribution in ("normal", "constant") or not wide
        return self._node(
            Initial, sizes, name, law, fixed, fresh,
            power=law.exponent / 2 if law.mean == 0 else ZERO, wide=wide, gaussian=gaussian,
            sources=self._sources(name, sizes, fixed),
        )  # fmt: skip

    def gathered(self, of: Initial, indices: Det) -> Gathered:
        """Vectors of a parameter at positions."""
        return self._node(
            Gathered, indices.sizes, of, indices,
            power=of.power, wide=of.wide, gaussian=of.gaussian, sources=of.sources,
        )  # fmt: skip

    def matrix(
        self, name: str, law: Law, sizes: Sequence[Size], fixed: tuple[int | None, ...], number: float = 1.0,
        power: Fraction = ZERO,
    ) -> Matrix:  # fmt: skip
        """A parameter as matrices."""
        return self._node(
            Matrix, sizes, name, law, fixed, number, power=power, sources=self._sources(name, sizes, fixed),
            key=(name, fixed, number, power),
        )  # fmt: skip

    def matmul(
        self, matrix: Matrix, x: Node, side: int, count: float, degree: int, of_matrix: tuple[int, ...],
        of_x: tuple[int, ...], out: tuple[int, ...], wide: bool,
    ) -> Node:  # fmt: skip
        """A product of matrices and vectors, summed over some finite axes."""
        if self.is_zero(x):
            sizes = {**dict(zip(of_matrix, matrix.sizes, strict=True)), **dict(zip(of_x, x.sizes, strict=True))}
            return self.zero([sizes[label] for label in out])
        number, exponent, x = self.unscaled(x)
        sizes = {**dict(zip(of_matrix, matrix.sizes, strict=True)), **dict(zip(of_x, x.sizes, strict=True))}
        power = x.power + matrix.power + (matrix.law.exponent + degree) / 2
        made = self._node(
            MatMul, [sizes[label] for label in out], matrix, x, side, count, degree, of_matrix, of_x, out,
            power=power, wide=wide, gaussian=True, sources=matrix.sources,
        )  # fmt: skip
        return self.scale(made, number, exponent)

    def constant(self, value: Det, places: tuple[int, ...], sizes: Sequence[Size]) -> Node:
        """Known numbers as vectors."""
        if value.number == 0.0:
            return self.zero(sizes)
        key = "number", value.number, value.power
        return self._node(
            Constant, sizes, value, places, power=value.power, gaussian=True,
            key=key if value.number is not None and not value.axes else None,
        )  # fmt: skip

    # -- linear combinations --------------------------------------------------------------------------------------

    def zero(self, sizes: Sequence[Size]) -> Sum:
        """The family of zeros."""
        return self._node(Sum, sizes, (), gaussian=True)

    def is_zero(self, x: Node) -> bool:
        """Whether it is that one."""
        return isinstance(x, Sum) and not x.terms

    def sum(self, terms: Sequence[Node]) -> Node:
        """A sum of families over the same axes."""
        flat: list[Node] = []
        for term in terms:
            flat += term.terms if isinstance(term, Sum) else [term]
        collected: dict[Node, tuple[float, Fraction]] = {}
        for term in flat:
            number, exponent, x = self.unscaled(term)
            known = collected.get(x)
            if known is not None and known[1] == exponent:
                collected[x] = (known[0] + number, exponent)
            elif known is None:
                collected[x] = (number, exponent)
            else:  # different powers of n: the larger one is what stays
                collected[x] = max(known, (number, exponent), key=lambda pair: pair[1])
        left = [self.scale(x, number, exponent) for x, (number, exponent) in collected.items() if number]
        if len(left) == 1:
            return left[0]
        if not left:
            return self.zero(terms[0].sizes)
        return self._node(
            Sum, left[0].sizes, tuple(left),
            power=max(of.power for of in left), wide=any(of.wide for of in left if not isinstance(of, Constant)),
            gaussian=all(of.gaussian for of in left), sources=frozenset().union(*(of.sources for of in left)),
        )  # fmt: skip

    def unscaled(self, x: Node) -> tuple[float, Fraction, Node]:
        """The number in front of a family, its power of n, and the rest."""
        return (x.number, x.exponent, x.x) if isinstance(x, Scale) else (1.0, ZERO, x)

    def scale(self, x: N | Node, number: float, exponent: Fraction = ZERO) -> Node:
        """A number times a family."""
        before, power, x = self.unscaled(x)
        number, exponent = number * before, exponent + power
        if number == 0:
            return self.zero(x.sizes)
        if (number, exponent) == (1.0, ZERO) or self.is_zero(x):
            return x
        if isinstance(x, Matrix):
            return self.matrix(x.name, x.law, x.sizes, x.fixed, x.number * number, x.power + exponent)
        return self._node(
            Scale, x.sizes, number, exponent, x,
            power=x.power + exponent, wide=x.wide, gaussian=x.gaussian, sources=x.sources,
        )  # fmt: skip

    def weigh(self, value: Det, places: tuple[int, ...], x: Node) -> Node:
        """Known numbers times the members of a family."""
        if value.number is not None:
            return self.scale(x, value.number, value.power)
        number, exponent, x = self.unscaled(x)
        if self.is_zero(x):
            return x
        if isinstance(x, Matrix):
            raise self.refuse("a matrix times numbers that depend on the data", "multiply its product with a vector")
        made = self._node(
            Weigh, x.sizes, value, places, x,
            power=x.power + value.power, wide=x.wide, gaussian=x.gaussian, sources=x.sources,
        )  # fmt: skip
        return self.scale(made, number, exponent)

    def place(self, x: Node, places: tuple[int, ...], sizes: Sequence[Size]) -> Node:
        """A family with its axes at other places among more."""
        if places == tuple(range(len(sizes))):
            return x

        def again(of: Node) -> Node:
            return self.place(of, places, sizes)

        def moved(before: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(places[n] for n in before)

        if isinstance(x, Sum):
            return self.sum([again(of) for of in x.terms]) if x.terms else self.zero(sizes)
        if isinstance(x, Scale):
            return self.scale(again(x.x), x.number, x.exponent)
        if isinstance(x, Weigh):
            return self.weigh(x.value, moved(x.places), again(x.x))
        if isinstance(x, Constant):
            return self.constant(x.value, moved(x.places), sizes)
        if isinstance(x, Nonlin):
            scalars = tuple((det, moved(at)) for det, at in x.scalars)
            return self._nonlin(x.tree, tuple(again(of) for of in x.variables), scalars, sizes)
        if isinstance(x, Product):
            return self.product([again(of) for of in x.factors])
        if isinstance(x, Place):
            return self.place(x.x, moved(x.places), sizes)
        if isinstance(x, Quadratic):
            return self.quadratic(x.x, x.total, x.offset, moved(x.places), x.exponent, sizes)
        if isinstance(x, Detached):
            return self.detached(again(x.x))
        return self._node(
            Place, sizes, x, places, power=x.power, wide=x.wide, gaussian=x.gaussian, sources=x.sources
        )

    def map(
        self, x: Node, apply: Callable[[Any, int, Any, int], Any], name: str, sizes: Sequence[Size], selects: bool
    ) -> Node:
        """A linear map along finite axes; `name` says all that it does."""
        number, exponent, x = self.unscaled(x)
        if self.is_zero(x):
            return self.zero(sizes)
        if isinstance(x, Sum) and not x.gaussian and selects:
            made = self.sum([self.map(of, apply, name, sizes, selects) for of in x.terms])
        else:
            made = self._node(
                Map, sizes, x, apply, name, selects,
                power=x.power, wide=x.wide, gaussian=x.gaussian, sources=x.sources, key=(id(x), name),
            )  # fmt: skip
            self._kept.append(x)
        return self.scale(made, number, exponent)

    def mix(
        self, value: Det, x: Node, of_value: tuple[int, ...], of_x: tuple[int, ...], out: tuple[int, ...]
    ) -> Node:
        """Sums of members with known weights."""
        number, exponent, x = self.unscaled(x)
        found = {**dict(zip(of_value, value.sizes, strict=True)), **dict(zip(of_x, x.sizes, strict=True))}
        sizes = [found[label] for label in out]
        if self.is_zero(x):
            return self.zero(sizes)
        made = self._node(
            Mix, sizes, value, x, of_value, of_x, out,
            power=x.power + value.power, wide=x.wide, gaussian=x.gaussian, sources=x.sources,
        )  # fmt: skip
        return self.scale(made, number, exponent)

    def detached(self, x: Node) -> Node:
        """A family of which nothing is differentiated."""
        return self._node(
            Detached, x.sizes, x, power=x.power, wide=x.wide, gaussian=x.gaussian, sources=x.sources
        )

    # -- functions ------------------------------------------------------------------------------------------------

    def variables(self, x: Node) -> tuple[Node, ...]:
        """The Gaussian families that a family is a function of."""
        if x.gaussian or isinstance(x, (Map, Mix, Quadratic)):
            return (self.unscaled(x)[2],)
        if isinstance(x, Nonlin):
            return x.variables
        return tuple(dict.fromkeys(of for inner in x.below() for of in self.variables(inner)))

    def nonlin(
        self, operation: str, operands: Sequence[Node | Placed], sizes: Sequence[Size], **attributes: Any
    ) -> Node:
        """An operation on components, of families and known numbers over the same axes."""
        special = self._homogeneous(operation, operands, sizes, attributes)
        if special is not None:
            return special
        variables: list[Node] = []
        scalars: list[Placed] = []
        trees = [self._express(of, variables, scalars) for of in operands]
        tree = applied(operation, *trees, **attributes)
        return self._nonlin(tree, tuple(variables), tuple(scalars), sizes)

    def _nonlin(
        self, tree: Expression, variables: tuple[Node, ...], scalars: tuple[Placed, ...], sizes: Sequence[Size]
    ) -> Node:
        power = ZERO
        if any(of.power > 0 for of in variables) or any(det.power > 0 for det, _ in scalars):
            ray = rays(tree) if len(variables) == 1 else None
            if ray is None or scalars:
                raise self.refuse(
                    f"its argument grows like n^{max(of.power for of in variables)}, where it has no limit",
                    "a multiplier or a variance that is smaller by that power",
                )
            power = variables[0].power * ray[0]
        return self._node(
            Nonlin, sizes, tree, variables, scalars, power=power, wide=any(of.wide for of in variables),
            sources=frozenset().union(*(of.sources for of in variables)),
        )  # fmt: skip

    def _express(self, of: Node | Placed, variables: list[Node], scalars: list[Placed]) -> Expression:
        """A family as a tree over variables and scalars, which are collected."""
        if isinstance(of, tuple):
            det, places = of
            if det.number is not None and det.power == 0:
                return literal(det.number)
            for n, (known, at) in enumerate(scalars):
                if known is det and at == places:
                    return scalar(n)
            scalars.append(of)
            return scalar(len(scalars) - 1)
        if isinstance(of, Constant):
            return self._express((of.value, of.places), variables, scalars)
        if isinstance(of, Nonlin):
            inner = [self._express(x, variables, scalars) for x in of.variables]
            return substituted(of.tree, inner, [self._express(x, variables, scalars) for x in of.scalars])
        if isinstance(of, Scale) and (of.exponent == 0 or (of.number != 1.0 and of.gaussian)):
            plain = self.scale(of.x, 1.0, of.exponent)  # one variable, whatever number stands before it
            return applied("multiply", literal(of.number), self._express(plain, variables, scalars))
        if of.gaussian:
            if of not in variables:
                variables.append(of)
            return variable(variables.index(of))
        if isinstance(of, Sum):
            trees = [self._express(x, variables, scalars) for x in of.terms]
            made = trees[0] if trees else literal(0.0)
            for tree in trees[1:]:
                made = applied("add", made, tree)
            return made
        if of.power < 0:
            return literal(0.0)
        if isinstance(of, Weigh):
            trees = [self._express(x, variables, scalars) for x in ((of.value, of.places), of.x)]
            return applied("multiply", *trees)
        if isinstance(of, Product):
            trees = [self._express(x, variables, scalars) for x in of.factors]
            made = trees[0]
            for tree in trees[1:]:
                made = applied("multiply", made, tree)
            return made
        if isinstance(of, Map) and of.selects:
            pushed = self.pushed(of)
            if pushed is not None:
                return self._express(pushed, variables, scalars)
        if of not in variables:  # a sum over a finite axis, or a norm: what it is of is drawn
            variables.append(of)
        return variable(variables.index(of))

    def pushed(self, of: Map) -> Node | None:
        """A selection of functions as functions of the selected."""
        x = of.x

        def again(inner: Node) -> Node:
            return self.map(inner, of.apply, of.name, of.sizes, True)

        if of.name.startswith("pad"):
            return None
        if isinstance(x, Nonlin):
            scalars = tuple((self._selected(det, at, of), tuple(range(len(of.sizes)))) for det, at in x.scalars)
            return self._nonlin(x.tree, tuple(again(v) for v in x.variables), scalars, of.sizes)
        if isinstance(x, Product):
            return self.product([again(v) for v in x.factors])
        return None

    def _selected(self, det: Det, places: tuple[int, ...], of: Map) -> Det:
        sizes = of.x.sizes

        def compute(session: Any, run: int) -> Any:
            return of.apply(session, run, session.spread(session.family(det, run), places, sizes, run), 1)

        return arranged(compute, of.sizes, det.power)

    def _homogeneous(
        self, operation: str, operands: Sequence[Node | Placed], sizes: Sequence[Size], attributes: dict[str, Any]
    ) -> Node | None:
        """phi(c x) = c^k phi(x) for c > 0: functions like relu of something that is divided by a norm."""
        if not any(self._without_norms(of)[0] for of in operands):
            return None
        norms: list[Quadratic] | None = None
        variables: list[Node] = []
        scalars: list[Placed] = []
        trees = []
        for of in operands:
            mine, plain = self._without_norms(of)
            tree = self._express(plain, variables, scalars) if mine else None
            if not mine:
                if isinstance(of, Node) and not (isinstance(of, Nonlin) and len(of.variables) == 1):
                    return None
                tree = self._express(of, variables, scalars)
            assert tree is not None
            ray = rays(tree)
            if ray is None or scalars or len(variables) > 1:
                return None
            zero = ray[1] == ray[2] == 0.0
            if not zero and ray[0] != (1 if mine else 0):
                return None
            if mine and norms is not None and mine != norms:
                return None
            norms = mine or norms
            trees.append(tree)
        whole = rays(made := applied(operation, *trees, **attributes))
        if norms is None or whole is None or whole[0] not in (0, 1):
            return None
        inner = self._nonlin(made, tuple(variables), (), sizes)
        return self.product([inner, *(norms or [])]) if whole[0] else inner

    def _without_norms(self, of: Node | Placed) -> tuple[list[Quadratic], Node | Placed]:
        """The norms that a family is divided by, and the rest."""
        if not isinstance(of, Node):
            return [], of
        number, exponent, x = self.unscaled(of)
        if not isinstance(x, Product) or exponent:
            return [], of
        norms = [y for y in x.factors if isinstance(y, Quadratic)]
        if not norms:
            return [], of
        return norms, self.scale(self.product([y for y in x.factors if not isinstance(y, Quadratic)]), number)

    # -- products -------------------------------------------------------------------------------------------------

    def product(self, factors: Sequence[Node]) -> Node:
        """A product, coordinate by coordinate, of families over the same axes."""
        number, exponent = 1.0, ZERO
        outside: list[Placed] = []
        flat: list[Node] = []
        waiting = list(factors)
        while waiting:
            x = waiting.pop(0)
            if isinstance(x, Matrix):
                raise self.refuse("a product of matrices, coordinate by coordinate")
            if self.is_zero(x):
                return x
            if isinstance(x, Scale):
                number, exponent = number * x.number, exponent + x.exponent
                waiting.insert(0, x.x)
            elif isinstance(x, Weigh):
                outside.append((x.value, x.places))
                waiting.insert(0, x.x)
            elif isinstance(x, Constant):
                outside.append((x.value, x.places))
                flat.append(x)
            elif isinstance(x, Product):
                waiting = [*x.factors, *waiting]
            elif isinstance(x, Map) and not x.gaussian and x.selects and (pushed := self.pushed(x)) is not None:
                waiting.insert(0, pushed)
            elif isinstance(x, Sum) and (not x.gaussian or any(isinstance(of, Constant) for of in x.terms)):
                rest = [*flat, *waiting]
                if len(x.terms) > TERMS:
                    raise self.refuse(f"a product of more than {TERMS} sums")
                made = self.sum([self.product([of, *rest]) for of in x.terms])
                return self._outside(made, number, exponent, outside)
            else:
                flat.append(x)
        constants = [x for x in flat if isinstance(x, Constant)]
        flat = self._fused([x for x in flat if not isinstance(x, Constant)])
        if not flat:
            first = constants[0]
            return self._outside(self._one(first), number, exponent, outside)
        if len(flat) == 1:
            return self._outside(flat[0], number, exponent, outside)
        flat.sort(key=id)
        random = [of for of in flat if not _constant(of)]
        made = self._node(
            Product, flat[0].sizes, tuple(flat), power=sum((of.power for of in flat), ZERO),
            wide=any(of.wide for of in flat), sources=frozenset().union(*(of.sources for of in flat)),
            gaussian=not random or (len(random) == 1 and random[0].gaussian),
        )  # fmt: skip
        return self._outside(made, number, exponent, outside)

    def _one(self, like: Constant) -> Node:
        one = Det(lambda session, run: session.number(1.0), (), (), number=1.0)
        return self.constant(one, (), like.sizes)

    def _outside(self, x: Node, number: float, exponent: Fraction, outside: Sequence[Placed]) -> Node:
        for det, places in outside:
            x = self.weigh(det, places, x)
        return self.scale(x, number, exponent)

    def _fused(self, factors: list[Node]) -> list[Node]:
        """Functions of the same variable become one function; powers of a variable stay."""
        out: list[Node] = []
        for x in factors:
            for n, other in enumerate(out):
                if x.gaussian and other.gaussian:
                    continue
                if not (isinstance(x, Nonlin) or x.gaussian) or not (isinstance(other, Nonlin) or other.gaussian):
                    continue
                mine, theirs = set(self.variables(x)), set(self.variables(other))
                if mine <= theirs or theirs <= mine:
                    if x.power or other.power:
                        continue
                    out[n] = self.nonlin("multiply", [other, x], x.sizes)
                    break
            else:
                out.append(x)
        return out

    def quadratic(
        self, x: Node, total: Map, offset: Det | None, places: tuple[int, ...], exponent: Fraction,
        sizes: Sequence[Size],
    ) -> Node:  # fmt: skip
        """(offset + sums of squares)^exponent."""
        if exponent == 0:
            raise self.refuse("a power with the exponent 0 of a norm")
        return self._node(
            Quadratic, sizes, x, total, offset, places, exponent, sources=x.sources, wide=x.wide,
            power=2 * x.power * exponent,
        )  # fmt: skip

    def replaced(self, node: N, **changes: Any) -> N:
        """The same node with other fields, made once."""
        fields = {of.name: getattr(node, of.name) for of in dataclasses.fields(node) if of.init}
        fields.update(changes)
        return self._node(
            type(node), node.sizes, *fields.values(),
            power=node.power, wide=node.wide, gaussian=node.gaussian, sources=node.sources,
        )  # fmt: skip
