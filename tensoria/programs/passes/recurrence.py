"""A loop over time whose step is that of an LSTM or a GRU, as the one operation.

The step is read backwards from the state that it returns. What its gates are sums of (a product with the time's slice,
one with the state, biases) may come in any order, the gates side by side in one weight or in weights of their own; what
is computed of captured values alone is computed before the loop. Every other step (of another activation, with a mask,
or a reset before the product) stays the loop that it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from tensoria.programs.operations.indexing import Cut
from tensoria.programs.passes.matching import Trail, number_of
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.types import Instruction, Literal, Operand, Region, Value

__all__ = ["gates_in_place", "recurrent"]

_IN_PLACE: ContextVar[bool] = ContextVar("_IN_PLACE", default=False)


@contextlib.contextmanager
def gates_in_place() -> Iterator[None]:
    """A block in which no weight's gates are moved: a loop of a GRU, whose gates have another order, stays a loop.

    Whoever reads a program at every width can cut a weight into its gates, and not join parts of a width again.
    """
    token = _IN_PLACE.set(True)
    try:
        yield
    finally:
        _IN_PLACE.reset(token)


@dataclass(frozen=True)
class _Part:
    """A captured weight or bias, or one gate's block of it.

    Attributes:
        of: the value inside of the step.
        block: which block of as many columns as the state has; None for all of them.
        rows: whether its columns are the first axis.
    """

    of: Operand
    block: int | None
    rows: bool = False


@dataclass
class _Gate:
    """A sum: what the slice and the state are multiplied with, and biases."""

    given: list[_Part] = field(default_factory=list)
    own: list[_Part] = field(default_factory=list)
    biases: list[_Part] = field(default_factory=list)


def recurrent(
    body: Region, operands: Sequence[SymbolicArray], states: int, scanned: int, reverse: bool = False
) -> list[SymbolicArray] | None:
    """The results of a scan as those of `lstm` or `gru`, recorded where its operands are; None if it is neither.

    Args:
        body: the step, of the states, the slices and what it captures.
        operands: the scan's.
    """
    if scanned != 1 or states not in (1, 2) or operands[states].ndim != 3 or (states == 1 and _IN_PLACE.get()):
        return None
    step = _Step(body, states)
    for hidden in range(states):
        gates = step.gru() if states == 1 else step.lstm(hidden, 1 - hidden)
        if gates is None or any(x is not body.outputs[hidden] for x in body.outputs[states:]):
            continue
        made = _Before(operands[states].recorder, step, operands)
        weights = made.weights(gates)
        if weights is None:
            return None
        begins = [operands[hidden]] if states == 1 else [operands[hidden], operands[1 - hidden]]
        every, *last = made.into.record(
            "gru" if states == 1 else "lstm", (operands[states], *begins, *weights), reverse=reverse
        )
        ends = last if hidden == 0 else last[::-1]
        return [*ends, *[every] * (len(body.outputs) - states)]
    return None


class _Step(Trail):
    """A loop's body, read backwards."""

    def __init__(self, body: Region, states: int) -> None:
        super().__init__()
        self.body = body
        self.makers.update((x, made) for made in body.instructions for x in made.results)
        self.slice = body.inputs[states]
        self.captured = {value: n for n, value in enumerate(body.inputs) if n > states}
        self.hidden: Value = body.inputs[0]
        self.size = 0

    def of(self, x: Operand, operation: str) -> Operand | None:
        """The only operand of the operation that made a value."""
        return next(iter(self.parts(x, operation)), None)

    def gated(self, x: Operand, of: Operand | None = None) -> list[tuple[Operand, Operand]]:
        """A product of a sigmoid and another factor: what the sigmoid is of, and the other one (which may be given)."""
        found = []
        for gate, other in self.both(x, "multiply"):
            inner = self.of(gate, "sigmoid")
            if inner is not None and (of is None or other is of):
                found.append((inner, other))
        return found

    def known(self, x: Operand) -> bool:
        """Whether a value is computed of captured ones alone."""
        if isinstance(x, Literal) or x in self.captured:
            return True
        made = self.makers.get(x)
        return made is not None and len(made.results) == 1 and all(map(self.known, made.operands))

    # -- the two steps ------------------------------------------------------------------------------------------------

    def lstm(self, hidden: int, cell: int) -> list[_Gate] | None:
        """The input, forget, cell and output gates (Hochreiter and Schmidhuber 1997)."""
        after, memory = self.body.outputs[hidden], self.body.outputs[cell]
        self._state(hidden)
        for leave, held in self.gated(after):
            if self.of(held, "tanh") is not memory:
                continue
            for kept, new in self.both(memory, "add"):
                for forget, _ in self.gated(kept, self.body.inputs[cell]):
                    for enter, bent in self.gated(new):
                        inner = self.of(bent, "tanh")
                        if inner is not None:
                            return self._gates([(enter, True), (forget, True), (inner, True), (leave, True)])
        return None

    def gru(self) -> list[_Gate] | None:
        """The reset and update gates, and the two parts of the new state, one below the other (Cho et al. 2014)."""
        self._state(0)
        for update, bent in self._mixed(self.body.outputs[0]):
            inner = self.of(bent, "tanh")
            if inner is None:
                continue
            for given, product in self.both(inner, "add"):
                for reset, own in self.gated(product):
                    found = self._gates([(reset, True), (update, True), (given, False), (own, False)])
                    if found is not None:
                        return found
        return None

    def _mixed(self, x: Operand) -> list[tuple[Operand, Operand]]:
        """z h + (1 - z) y, or y + z (h - y), of a sigmoid z: what that is of, and y."""
        found: list[tuple[Operand, Operand]] = []
        for a, b in self.both(x, "add"):
            for update, _ in self.gated(a, self.hidden):
                for rest, new in self.both(b, "multiply"):
                    for one, gate in self.pairs(rest, "subtract"):
                        if number_of(one) == 1 and self.of(gate, "sigmoid") is update:
                            found.append((update, new))
            for update, moved in self.gated(b):
                if self.parts(moved, "subtract") == (self.hidden, a):
                    found.append((update, a))
        return found

    def _state(self, hidden: int) -> None:
        self.hidden = self.body.inputs[hidden]
        size = self.hidden.type.shape[-1]
        self.size = size if isinstance(size, int) else 0

    # -- gates ----------------------------------------------------------------------------------------------------

    def _gates(self, wanted: Sequence[tuple[Operand, bool]]) -> list[_Gate] | None:
        """The sums of gates; of those with a truth value that are whole each has both products."""
        found = []
        for x, is_whole in wanted:
            gate = _Gate()
            if not self._sum(x, None, gate) or (is_whole and (len(gate.given), len(gate.own)) != (1, 1)):
                return None
            found.append(gate)
        if not wanted[-1][1]:
            given, own = found[2:]
            if (len(given.given), len(given.own), len(own.given), len(own.own)) != (1, 0, 0, 1):
                return None
        return found

    def _sum(self, x: Operand, block: int | None, into: _Gate) -> bool:
        """The terms of a sum, or of one block of its columns."""
        made = self.makers.get(x) if isinstance(x, Value) else None
        if self.known(x):
            into.biases.append(_Part(x, block))
            return x.type.ndim == 1
        if made is None:
            return False
        if made.operation == "add":
            return all(self._sum(of, block, into) for of in made.operands)
        if made.operation == "getitem" and block is None and len(made.operands) == 1:
            place = self._block(made)
            return place is not None and self._sum(made.operands[0], place, into)
        if made.operation not in ("matmul", "linear") or not self.known(made.operands[1]):
            return False
        if made.operands[0] not in (self.slice, self.hidden) or made.operands[1].type.ndim != 2:
            return False
        kind = into.given if made.operands[0] is self.slice else into.own
        kind.append(_Part(made.operands[1], block, made.operation == "linear"))
        into.biases += [_Part(bias, block) for bias in made.operands[2:]]
        return all(map(self.known, made.operands[2:]))

    def _block(self, made: Instruction) -> int | None:
        """Which block of columns a subscript cuts out."""
        key, shape = made.attributes["key"], made.operands[0].type.shape
        if len(key) != 2 or key[0] != Cut() or not isinstance(key[1], Cut) or key[1].step != 1 or not self.size:
            return None
        start, stop = key[1].start or 0, shape[1] if key[1].stop is None else key[1].stop
        if not isinstance(start, int) or not isinstance(stop, int):
            return None
        return start // self.size if start % self.size == 0 and stop - start == self.size else None


class _Before:
    """What a loop's step computes of captured values, computed before it."""

    def __init__(self, into: Recorder, step: _Step, operands: Sequence[SymbolicArray]) -> None:
        self.into, self.step = into, step
        self.outside: dict[Operand, SymbolicArray] = {value: operands[n] for value, n in step.captured.items()}

    def array(self, x: Operand) -> SymbolicArray:
        """A value of the step."""
        if isinstance(x, Literal):
            return SymbolicArray(x, self.into)
        if x not in self.outside:
            made = self.step.makers[x]
            operands = [self.array(of) for of in made.operands]
            self.outside[x] = self.into.record(made.operation, operands, **made.attributes)[0]
        return self.outside[x]

    def weights(self, gates: Sequence[_Gate]) -> list[SymbolicArray] | None:
        """The weights by slice and by state, gates below each other, and two biases if there are any."""
        three = not gates[-1].given  # the two parts of a GRU's new state
        full = gates[:3] if three else gates
        given = [gate.given[0] for gate in full]
        own = [(gates[3] if three and n == 2 else gate).own[0] for n, gate in enumerate(full)]
        biases: list[list[_Part | None]] = [[], []]
        for n, gate in enumerate(full):
            pair: list[_Part | None] = [*gate.biases]
            if three and n == 2:
                if len(gate.biases) > 1 or len(gates[3].biases) > 1:
                    return None
                pair = [next(iter(gate.biases), None), next(iter(gates[3].biases), None)]
            if len(pair) > 2:
                return None
            for side, part in zip(biases, [*pair, None, None][:2], strict=True):
                side.append(part)
        found = [self._stacked(given), self._stacked(own)]
        if any(part is not None for side in biases for part in side):
            found += [self._stacked(side) for side in biases]
        return found

    def _stacked(self, parts: Sequence[_Part | None]) -> SymbolicArray:
        """Blocks of columns as rows below each other."""
        first, size = parts[0], self.step.size
        if not any(parts):
            return self._zeros(size * len(parts))
        if first is not None and [part and (part.of, part.rows, part.block) for part in parts] == [
            (first.of, first.rows, n) for n in range(len(parts))
        ] and self._columns(first) == size * len(parts):  # fmt: skip
            return self._turned(self.array(first.of), first.rows)
        return self.into.record("concat", [self._cut(part) for part in parts], axis=0)[0]

    def _columns(self, part: _Part) -> object:
        return part.of.type.shape[0 if part.rows or part.of.type.ndim == 1 else 1]

    def _cut(self, part: _Part | None) -> SymbolicArray:
        size = self.step.size
        if part is None:
            return self._zeros(size)
        found = self._turned(self.array(part.of), part.rows)
        if part.block is None:
            return found
        key = (Cut(part.block * size, (part.block + 1) * size), *(Cut(),) * (found.ndim - 1))
        return self.into.record("getitem", (found,), key=key)[0]

    def _zeros(self, size: int) -> SymbolicArray:
        zero = self.into.literal(0, self.step.hidden.type.dtype)
        return self.into.record("broadcast_to", (zero,), shape=(size,))[0]

    def _turned(self, x: SymbolicArray, rows: bool) -> SymbolicArray:
        if rows or x.ndim == 1:
            return x
        return self.into.record("permute_dims", (x,), axes=(1, 0))[0]
