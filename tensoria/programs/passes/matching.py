"""Looking backwards through instructions for compositions that are one operation, and putting that in their place.

A pattern is a function that looks from an instruction backwards through what made its operands, and says which
operation the composition is, or that it is none. The fused instruction assigns the composition's last value, so whoever
knows that value still does. What lies between the new operands and that value has to be used nowhere else: it would be
computed twice. (Views of operands and what is known without them, like a mask, are free.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tensoria.errors import TensoriaError
from tensoria.programs.dimensions import Dim
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.passes.dead_code import live
from tensoria.programs.types import Instruction, Literal, Operand, Value

__all__ = ["Found", "Patterns", "Trail", "Work", "fused", "is_number", "number_of", "sizes_of"]

Found: TypeAlias = tuple[str, tuple[Operand, ...], dict[str, Any]]
"""An operation, its operands and attributes."""
Patterns: TypeAlias = Mapping[str, tuple[Callable[["Work", Instruction], Any], ...]]
"""What may end in each operation, in the order in which it is looked for: functions that return what was found, a value
that the result is, or None."""
VIEWS: Final = frozenset(("reshape", "squeeze", "expand_dims", "permute_dims", "broadcast_to", "stop_gradient"))


def fused(
    instructions: Sequence[Instruction], wanted: Sequence[Operand], patterns: Patterns, *, free: Patterns | None = None,
    parameters: Iterable[Value] = (), arrays: Mapping[Value, Any] | None = None, fresh: Callable[[], str] = str,
    exact: bool = False,
) -> tuple[tuple[Instruction, ...], dict[Value, Operand]]:
    """The instructions with compositions replaced by the operations that they are, and values that are others.

    Args:
        wanted: what is needed afterwards.
        patterns: what is looked for.
        free: what is looked for before, and replaced even where a part of it is used elsewhere.
        parameters: the values that are weights.
        arrays: constants.
        fresh: names for new values.
        exact: whether what is not a number stays none: a softmax of nothing but minus infinity.
    """
    work = Work(set(parameters), arrays or {}, fresh, exact)
    kept = live(instructions, {x for x in wanted if isinstance(x, Value)})
    work.uses.update(x for made in kept for x in made.operands if isinstance(x, Value))
    work.uses.update(x for x in wanted if isinstance(x, Value))
    for made in kept:
        work.take(made, free or {}, patterns)
    needed = {work.now(x) for x in wanted}
    return live(work.instructions, {x for x in needed if isinstance(x, Value)}), work.same


class Trail:
    """Instructions read backwards, from a value to what it was computed of.

    Attributes:
        makers: the instruction that assigns a value.
    """

    def __init__(self) -> None:
        self.makers: dict[Value, Instruction] = {}

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

    def pairs(self, x: Operand, operation: str) -> list[tuple[Operand, Operand]]:
        """The two operands of an operation in order, as a list of one or none."""
        found = self.parts(x, operation)
        return [(found[0], found[1])] if len(found) == 2 else []


class Work(Trail):
    """What has been rewritten so far.

    Attributes:
        same: values that are others now.
        uses: how often a value is an operand, or wanted, by instructions that are needed.
    """

    def __init__(
        self, parameters: set[Value], arrays: Mapping[Value, Any], fresh: Callable[[], str], exact: bool = False
    ) -> None:
        super().__init__()
        self.parameters, self.arrays, self.fresh, self.exact = parameters, arrays, fresh, exact
        self.instructions: list[Instruction] = []
        self.same: dict[Value, Operand] = {}
        self.uses: Counter[Value] = Counter()
        self.extra: dict[Any, Value] = {}
        """What was made besides: the same once."""

    def now(self, x: Operand) -> Operand:
        """What an operand has become."""
        return self.same.get(x, x) if isinstance(x, Value) else x

    def take(self, made: Instruction, free: Patterns, patterns: Patterns) -> None:
        """The next instruction, as it is or fused."""
        made = Instruction(
            made.operation, tuple(map(self.now, made.operands)), made.attributes, made.results, made.source
        )
        for table in (free, patterns):
            for pattern in table.get(made.operation, ()):
                found = pattern(self, made)
                if isinstance(found, (Value, Literal)):
                    self._becomes(made, found)
                    return
                if found is None or not self._fits(found, made):
                    continue
                if table is patterns and not self._closed(found, made):
                    continue
                self.add(self._instead(made, found))
                return
        self.add(made)

    def add(self, made: Instruction) -> None:
        """Keep an instruction."""
        self.instructions.append(made)
        self.makers.update(dict.fromkeys(made.results, made))

    def one(self, like: Instruction, operation: str, *operands: Operand, **attributes: Any) -> Value:
        """One more instruction before the one that is being rewritten, or the same one that there is already."""
        key = operation, operands, tuple(sorted(attributes.items()))
        if key in self.extra:
            return self.extra[key]
        (of,) = OPERATIONS[operation].infer(*(x.type for x in operands), **attributes)
        made = Instruction(operation, operands, attributes, (Value(of, self.fresh()),), like.source)
        self.add(made)
        self.extra[key] = made.results[0]
        return made.results[0]

    def turned(self, like: Instruction, x: Operand, axes: tuple[int, ...]) -> Operand:
        """An operand with its axes in another order: what it was before, if it had been turned already."""
        before = self.maker(x, "permute_dims")
        if before is not None:
            x, axes = before.operands[0], tuple(before.attributes["axes"][n] for n in axes)
        return x if axes == tuple(range(len(axes))) else self.one(like, "permute_dims", x, axes=axes)

    # -- replacing ------------------------------------------------------------------------------------------------

    def _becomes(self, made: Instruction, found: Operand) -> None:
        (result,) = made.results
        self.same[result] = found
        if isinstance(found, Value):
            self._hold(found)
            self.uses[found] += self.uses[result] - 1
        for x in made.operands:
            self._release(x)

    def _instead(self, made: Instruction, found: Found) -> Instruction:
        operation, operands, attributes = found
        for x in operands:
            self._hold(x)
        for x in made.operands:
            self._release(x)
        return Instruction(operation, operands, attributes, made.results, made.source)

    def _hold(self, x: Operand) -> None:
        """One more use of a value, which may be the first."""
        if isinstance(x, Value):
            self.uses[x] += 1
            if self.uses[x] == 1 and x in self.makers:
                for before in self.makers[x].operands:
                    self._hold(before)

    def _release(self, x: Operand) -> None:
        """One use less; what nothing needs needs nothing."""
        if isinstance(x, Value):
            self.uses[x] -= 1
            made = self.makers.get(x)
            if made is not None and not any(self.uses[value] for value in made.results):
                for before in made.operands:
                    self._release(before)

    def _fits(self, found: Found, made: Instruction) -> bool:
        operation, operands, attributes = found
        try:
            types = OPERATIONS[operation].infer(*(x.type for x in operands), **attributes)
        except TensoriaError:
            return False
        return tuple(types) == tuple(value.type for value in made.results)

    def _closed(self, fitting: Found, made: Instruction) -> bool:
        """Whether what lies between the operands found and the result is used nowhere else."""
        roots: set[Operand] = set()
        new = [x for x in fitting[1] if isinstance(x, Value)]
        while new:
            x = new.pop()
            roots.add(x)
            if not self.uses[x] and x in self.makers:  # made just now
                new.extend(of for of in self.makers[x].operands if isinstance(of, Value))
        between: dict[Operand, bool] = dict.fromkeys(roots, False)

        def depends(x: Operand) -> bool:
            """Whether a value is computed of the roots, and none."""
            if x not in between:
                before = self.makers[x].operands if isinstance(x, Value) and x in self.makers else ()
                found = [of in roots or depends(of) for of in before]  # of all of them: what they find is kept
                between[x] = any(found)
            return between[x]

        inner = [x for x in dict.fromkeys(made.operands) if depends(x)]
        inner += [x for x, is_between in between.items() if is_between and x not in inner]
        makers = {id(of): of for of in (made, *(self.makers[x] for x in inner if isinstance(x, Value)))}
        inside = Counter(x for of in makers.values() for x in of.operands)
        return all(self.uses[x] == inside[x] or self._views(x, roots) for x in inner if isinstance(x, Value))

    def _views(self, x: Operand, roots: set[Operand]) -> bool:
        """Whether a value is one of some others, seen differently."""
        while (made := self.maker(x, *VIEWS)) is not None:
            x = made.operands[0]
            if x in roots:
                return True
        return False

    # -- looking backwards ----------------------------------------------------------------------------------------

    def squared(self, x: Operand) -> Operand | None:
        """What a value is the square of."""
        for of in self.parts(x, "square"):
            return of
        for a, b in self.pairs(x, "pow"):
            return a if number_of(b) == 2 else None
        for a, b in self.pairs(x, "multiply"):
            return a if a is b else None
        return None

    def once(self, x: Operand) -> bool:
        """Whether a value is used in one place only."""
        return isinstance(x, Value) and self.uses[x] == 1

    def plain(self, x: Operand) -> Operand:
        """A value before it was given axes of size 1."""
        while (made := self.maker(x, "reshape", "squeeze", "expand_dims")) is not None:
            inner = made.operands[0]
            if sizes_of(inner) != sizes_of(x):
                break
            x = inner
        return x

    def vector(self, x: Operand) -> Operand:
        """A value as a vector, if it is one with further axes of size 1."""
        return x if x.type.ndim == 1 else self.plain(x)

    def still(self, x: Operand) -> Operand:
        """A value before its gradient was stopped."""
        return next(iter(self.parts(x, "stop_gradient")), x)


def sizes_of(x: Operand) -> list[Any]:
    """The sizes that are not 1."""
    return [n for n in x.type.shape if isinstance(n, Dim) or n != 1]


def number_of(x: Operand) -> float | None:
    """The number that an operand is."""
    return float(x.number) if isinstance(x, Literal) and not isinstance(x.number, complex) else None


def is_number(x: Operand, number: float) -> bool:
    """Whether an operand is a number, as exactly as its data type has it: a graph may have it more roughly."""
    found = number_of(x)
    digits = 1e-15 if x.type.dtype.name == "float64" else 1e-3 if x.type.dtype.itemsize == 2 else 1e-6
    return found is not None and abs(found - number) <= digits * abs(number)
