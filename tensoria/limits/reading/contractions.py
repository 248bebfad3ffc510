"""Sums of products: matrices times vectors, inner products over a width, weights over finite axes.

Which of them a contraction is follows from its axes. A width axis that a matrix and a vector share makes a MatMul; one
that a vector shares with a parameter that was not used before, a readout (a MatMul with one row); any other inner
product over a width is the width times a Moment, a number that is known in the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tensoria.limits.reading.axes import Aligned, joined, leading
from tensoria.limits.reading.families import arranged
from tensoria.limits.reading.nodes import (
    BATCH,
    Coordinate,
    Det,
    Detached,
    Gathered,
    Initial,
    Map,
    MatMul,
    Matrix,
    Mix,
    Node,
    Place,
    Scale,
    Sum,
    View,
    Weigh,
)
from tensoria.limits.reading.reader import Reader, Rule
from tensoria.limits.reading.rules import all_known, coordinatewise, known
from tensoria.programs.types import Instruction

__all__ = ["RULES", "ancestry", "contraction", "moment", "shaped", "uncorrelated"]

Labels = Sequence[Any]


def contract(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A contraction by a pattern."""
    if all_known(views):
        return known(reader, made, views)
    pattern = made.attributes["pattern"]
    labels = []
    longest = max(len(view.axes) - len(term) for view, term in zip(views, pattern.terms, strict=True))
    lead = [("lead", n) for n in range(longest)]
    for view, term in zip(views, pattern.terms, strict=True):
        count = len(view.axes) - len(term)
        labels.append([*lead[longest - count :], *term])
    return contraction(reader, views, labels, [*lead, *pattern.out])


def matmul(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """A matrix product over the last two axes."""
    if all_known(views):
        return known(reader, made, views)
    a, b = views
    longest = max(len(a.axes), len(b.axes), 2) - 2
    lead = [("lead", n) for n in range(longest)]
    left = [*lead[longest - max(len(a.axes) - 2, 0) :], *(["i"] if len(a.axes) > 1 else []), "k"]
    right = [*lead[longest - max(len(b.axes) - 2, 0) :], "k", *(["j"] if len(b.axes) > 1 else [])]
    out = [*lead, *(["i"] if len(a.axes) > 1 else []), *(["j"] if len(b.axes) > 1 else [])]
    return contraction(reader, views, [left, right], out)


def linear(reader: Reader, made: Instruction, views: Sequence[View]) -> View | list[View]:
    """x times the transposed weight, plus the bias."""
    if all_known(views):
        return known(reader, made, views)
    x, weight, *bias = views
    lead = [("lead", n) for n in range(len(x.axes) - 1)]
    found = contraction(reader, [x, weight], [[*lead, "k"], ["o", "k"]], [*lead, "o"])
    if not bias:
        return found
    added = Instruction("add", (), {}, made.results, made.source)
    return coordinatewise(reader, added, [found, bias[0]])


def contraction(reader: Reader, views: Sequence[View], labels: Sequence[Labels], out: Labels) -> View:
    """Products of values, summed over every label that the result has not; two at a time."""
    first, have = views[0], list(labels[0])
    if len(views) == 1:
        return _pair(reader, first, have, View(reader.literal(1.0).of, ()), [], out)
    for n, (view, terms) in enumerate(zip(views[1:], labels[1:], strict=True), 1):
        later = {label for rest in labels[n + 1 :] for label in rest} | set(out)
        last = n == len(views) - 1
        kept = list(out) if last else [x for x in dict.fromkeys([*have, *terms]) if x in later]
        first, have = _pair(reader, first, have, view, terms, kept), kept
    return first


def _pair(reader: Reader, x: View, of_x: Labels, y: View, of_y: Labels, out: Labels) -> View:
    """Two values contracted."""
    every = list(dict.fromkeys([*of_x, *of_y]))
    if len(set(of_x)) < len(of_x) or len(set(of_y)) < len(of_y):
        raise reader.families.refuse("a diagonal or a trace of one value")
    columns = [
        [view.axes[list(terms).index(label)] if label in terms else () for view, terms in ((x, of_x), (y, of_y))]
        for label in every
    ]
    found = joined([x, y], columns, reader.decisions)
    slots = dict(zip(every, found.axes, strict=True))
    axes = [slots.get(label, ()) for label in out]
    summed = [slot for label in every if label not in out for slot in slots[label]]
    if any(slot is BATCH for slot in summed):
        reader.decisions.unbatch()
    kept = [slot for part in axes for slot in part if isinstance(slot, int)]
    own = tuple(
        [slot for label, column in zip(every, columns, strict=True) if label not in out for slot in column[n]]
        for n in range(2)
    )
    job = _Job(reader, found, tuple(kept), [s for s in summed if isinstance(s, Coordinate)], own)
    if isinstance(x.of, Det) and isinstance(y.of, Det):
        made: Node | Det = job.known(x, y)
    elif isinstance(x.of, Det):
        made = job.weighted(x, 0, y, 1)
    elif isinstance(y.of, Det):
        made = job.weighted(y, 1, x, 0)
    else:
        made = job.vectors(x, y)
    numbers = {slot: n for n, slot in enumerate(kept)}
    shown = tuple(tuple(numbers[s] if isinstance(s, int) else s for s in part) for part in axes)
    if isinstance(made, Det) and made.axes[:1] == ((BATCH,),):  # arranged: examples first, then the finite axes
        made = shaped(made, shown)
    return View(made, shown)


def shaped(det: Det, axes: tuple[tuple[Any, ...], ...]) -> Det:
    """Numbers with the examples' axis first, as a value of the program has them."""

    def compute(session: Any, run: int) -> Any:
        return session.shown(det.compute(session, run), axes, det.sizes, run)

    return Det(compute, axes, det.sizes, det.power, det.number)


class _Job:
    """One contraction of two values whose axes were joined."""

    def __init__(
        self, reader: Reader, found: Aligned, kept: tuple[int, ...], summed: list[Coordinate], own: Sequence[Labels]
    ) -> None:
        self.reader, self.found, self.kept, self.summed, self.own = reader, found, kept, summed, own
        self.families = reader.families
        for slot in summed:
            if not slot.wide:  # an axis of outputs is summed over: it is a finite one
                reader.decisions.make_finite(slot)

    def count(self) -> tuple[float, int]:
        """The leading power of the width in the number of terms that are summed."""
        number, degree = 1.0, 0
        for slot in self.summed:
            c, e = leading(slot.size, self.reader.decisions.widths)
            number, degree = number * c, degree + e
        return number, degree

    def known(self, x: View, y: View) -> Det:
        number, degree = self.count()
        dets = [view.of for view in (x, y)]
        places = self.found.places

        def compute(session: Any, run: int) -> Any:
            arrays = [session.stretched(session.family(det, run), det.sizes, 1, run) for det in dets]
            return session.contracted(arrays, places, self.kept) * number

        sizes = [self.found.sizes[n] for n in self.kept]
        return arranged(compute, sizes, x.of.power + y.of.power + degree)

    def weighted(self, det: View, n: int, x: View, m: int) -> Node | Det:
        """Known numbers times a family."""
        assert isinstance(det.of, Det)
        assert isinstance(x.of, Node)
        if isinstance(x.of, Matrix):
            return self.matrices(x, m, det, n)
        of_value, of_x = self.found.places[n], self.found.places[m]
        if self.summed:
            mine = [slot for slots in x.axes for slot in slots if isinstance(slot, Coordinate)]
            if not mine:
                raise self.families.refuse("known numbers summed over the width")
            number, degree = self.count()
            mean = moment(self.reader, x.of)

            def compute(session: Any, run: int) -> Any:
                held = [det.of, mean]
                arrays = [session.stretched(session.family(of, run), of.sizes, 1, run) for of in held]
                return session.contracted(arrays, (of_value, of_x), self.kept) * number

            sizes = [self.found.sizes[k] for k in self.kept]
            return arranged(compute, sizes, det.of.power + x.of.power + degree)
        if len(self.kept) == len(self.found.sizes):
            place = {label: k for k, label in enumerate(self.kept)}
            sizes = [self.found.sizes[k] for k in self.kept]
            node = self.families.place(x.of, tuple(place[k] for k in of_x), sizes)
            return self.families.weigh(det.of, tuple(place[k] for k in of_value), node)
        return self.families.mix(det.of, x.of, of_value, of_x, self.kept)

    def matrices(self, matrix: View, m: int, x: View, n: int) -> Node | Det:
        """Matrices times vectors; numbers that are known are vectors whose coordinates are equal."""
        assert isinstance(matrix.of, Matrix)
        mine = [slot for slots in matrix.axes for slot in slots if isinstance(slot, Coordinate)]
        shared = [slot for slot in mine if slot in self.own[m]]
        narrow = [slot for slot in mine if not slot.wide and slot not in shared]
        if len(shared) != 1 or isinstance(x.of, Matrix):
            for slot in narrow:
                self.reader.decisions.make_finite(slot)
            reason = "a product of two matrices: multiply the vector first" if isinstance(x.of, Matrix) else (
                "a matrix of a width whose axes are not summed over it" if not shared else "a trace of a matrix"
            )
            raise self.families.refuse(reason, "A @ (B @ x)" if isinstance(x.of, Matrix) else None)
        number, degree = self.count()
        left = next(slot for slot in mine if slot is not shared[0])
        if isinstance(x.of, Det):
            sizes = x.of.sizes
            node = self.families.constant(x.of, tuple(range(len(sizes))), sizes)
        else:
            node = x.of
        places = self.found.places
        side = mine.index(shared[0]) if mine[0].owner[1] < mine[1].owner[1] else 1 - mine.index(shared[0])
        return self.families.matmul(
            matrix.of, node, side, number, degree, places[m], places[n], self.kept, left.wide
        )

    def vectors(self, x: View, y: View) -> Node | Det:
        """Vectors times vectors or matrices."""
        if isinstance(x.of, Matrix):
            return self.matrices(x, 0, y, 1)
        if isinstance(y.of, Matrix):
            return self.matrices(y, 1, x, 0)
        coordinates = {
            self.reader.decisions.root(slot.owner): slot
            for view in (x, y) for slots in view.axes for slot in slots if isinstance(slot, Coordinate)
        }  # fmt: skip
        if len(coordinates) > 1:
            for slot in coordinates.values():
                if not slot.wide:
                    self.reader.decisions.make_finite(slot)
            raise self.families.refuse("an outer product of two vectors")
        assert isinstance(x.of, Node)
        assert isinstance(y.of, Node)
        if not self.summed:
            sizes = self.found.sizes
            nodes = [
                self.families.place(view.of, places, sizes)  # type: ignore[arg-type]
                for view, places in zip((x, y), self.found.places, strict=True)
            ]
            made = self.families.product(nodes)
            return self.families.map(
                made, _keeping(self.kept, len(sizes)), f"keep {self.kept} of {len(sizes)}",
                [sizes[n] for n in self.kept], False,
            )  # fmt: skip
        for (a, m), (b, n) in (((x, 0), (y, 1)), ((y, 1), (x, 0))):
            found = self.readout(a, m, b, n)
            if found is not None:
                return found
        return self.moments(x, y)

    def readout(self, v: View, m: int, x: View, n: int) -> Node | None:
        """A parameter that nothing else depends on is a matrix of one row."""
        number, exponent, of = self.families.unscaled(v.of)  # type: ignore[arg-type]
        assert isinstance(x.of, Node)
        if not isinstance(of, Initial) or of.fresh or of.name in ancestry(x.of) or of.law.mean:
            return None
        rows = self.families.matrix(of.name, of.law, of.sizes, of.fixed, number, exponent)
        count, degree = self.count()
        places = self.found.places
        return self.families.matmul(rows, x.of, 1, count, degree, places[m], places[n], self.kept, False)

    def moments(self, x: View, y: View) -> Det:
        """An inner product over the width: the width times a Moment."""
        number, degree = self.count()
        assert isinstance(x.of, Node)
        assert isinstance(y.of, Node)
        a, b, places, kept = x.of, y.of, self.found.places, self.kept
        power = a.power + b.power + degree
        if power > 0 and power <= Fraction(degree, 2) and uncorrelated(a, b):
            raise self.families.refuse(
                "an inner product of uncorrelated vectors, divided by less than the width: it stays random",
                "divide by the width, as in attention with logits q.k/d; or heads whose number grows, each of a fixed "
                "size, as in nn.MultiheadAttention(n, n // 8), whose logits are coordinates of vectors",
            )

        def compute(session: Any, run: int) -> Any:
            return session.inner(a, b, run, places, kept) * number

        made = arranged(compute, [self.found.sizes[n] for n in kept], power)
        self.families.moments[id(made)] = f"an inner product over the width, at {self.families.where}"
        return made


def _keeping(kept: tuple[int, ...], count: int) -> Any:
    """A sum over all finite axes but some, which come in their order."""

    def apply(session: Any, run: int, array: Any, k: int) -> Any:
        return session.kept(array, k, kept, count)

    return apply


def moment(reader: Reader, x: Node) -> Det:
    """The mean of a family over its coordinates, which is known in the limit."""
    if centred(x):
        ones = (1,) * (1 + len(x.sizes))
        zero = arranged(lambda session, run: session.backend.reshape(session.number(0.0), ones), x.sizes, x.power)
        zero.number = 0.0
        return zero
    made = arranged(lambda session, run: session.mean(x, run), x.sizes, x.power)
    reader.families.moments[id(made)] = f"a mean over the width, at {reader.families.where}"
    return made


def ancestry(x: Node, done: dict[int, frozenset[str]] | None = None) -> frozenset[str]:
    """The names of all parameters that a family depends on."""
    done = {} if done is None else done
    if id(x) not in done:
        names = {name for name, _ in x.sources}
        for inner in x.below():
            names |= ancestry(inner, done)
        done[id(x)] = frozenset(names)
    return done[id(x)]


def uncorrelated(a: Node, b: Node) -> bool:
    """Whether two families are independent, and one of them has the mean zero, whatever the data."""
    return not a.sources & b.sources and (centred(a) or centred(b))


def centred(x: Node) -> bool:
    """Whether a family has the mean zero whatever the data; False if that is not seen."""
    if isinstance(x, MatMul):
        return True
    if isinstance(x, Initial):
        return x.law.mean == 0
    if isinstance(x, Gathered):
        return x.of.law.mean == 0
    if isinstance(x, (Scale, Weigh, Place, Map, Mix, Detached, Sum)):
        return all(centred(of) for of in x.below())
    return False


RULES: dict[str, Rule] = {"contract": contract, "matmul": matmul, "linear": linear}
"""The rules of this chapter, by the operation's name."""
