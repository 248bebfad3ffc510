"""Functions, choices and loops of a graph, and the lists of tensors that loops read and write.

A called function becomes part of the program. A choice is `cond`. A loop whose number of passes is known beforehand
(its test compares a counter with a size) is `scan`: lists that are read at the counter are its slices, what is written
at the counter is stacked. Other loops are `while_loop`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.dtypes import int64
from tensoria.errors import PortingError
from tensoria.programs.dimensions import Dim, Size, maximum, minimum
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.passes.inlining import region
from tensoria.programs.passes.recurrence import recurrent
from tensoria.programs.recorder import Recorder, SymbolicArray, current, recording
from tensoria.programs.types import Type, Value
from tensoria_tensorflow.lowerings.call import Array, one, own_dtype, xp
from tensoria_tensorflow.lowerings.deferred import DEFERRED
from tensoria_tensorflow.lowerings.held import Counter, TensorList, WrittenList
from tensoria_tensorflow.lowerings.lists import LISTS, ReadError, ReadList
from tensoria_tensorflow.lowerings.randomness import RANDOM
from tensoria_tensorflow.replaying import function_of
from tensoria_tensorflow.replaying import functions as functions

__all__ = ["CONTROL", "functions"]


# -- calls ------------------------------------------------------------------------------------------------------------


def _called(walk: Any, operation: Any, given: list[Any], path: tuple[str, ...]) -> list[Any]:
    inner = function_of(operation.graph, operation.get_attr("f").name)
    found: list[Any] = walk.run(inner, given, (*path, operation.name), inside=path[:1] == ("",))
    return found


# -- programs inside of programs --------------------------------------------------------------------------------------


@dataclass
class Part:
    """What a body has recorded, and what stands for its operands."""

    into: Recorder
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)


def _closed(parts: Sequence[Part]) -> tuple[list[Any], list[Array]]:
    """The parts as programs with the same captures, and what these are in the surrounding program."""
    captured: dict[Value, None] = {value: None for part in parts for value in part.into.captures}
    made = []
    for part in parts:
        inner = [part.into.captures.get(value) or Value(value.type, value.name, value.axes) for value in captured]
        made.append(region(part.into, (*part.inputs, *inner), part.outputs))
    parent = parts[0].into.parent
    assert parent is not None
    return made, [SymbolicArray(value, parent) for value in captured]


# -- choices ----------------------------------------------------------------------------------------------------------


def _if(walk: Any, operation: Any, given: list[Any], path: tuple[str, ...]) -> list[Any]:
    names = [operation.get_attr(name).name for name in ("then_branch", "else_branch")]
    condition, *rest = given
    if isinstance(condition, np.ndarray) and condition.dtype != object:
        chosen = names[0] if bool(condition) else names[1]
        found: list[Any] = walk.run(function_of(operation.graph, chosen), rest, (*path, operation.name), inside=True)
        return found
    array = walk.array(condition, operation.inputs[0].dtype)
    if array.dtype.kind != "bool":
        array = one(array, "not_equal", array.recorder.literal(0, array.dtype))
    return _choice(walk, operation, array, names, rest, path)


def _case(walk: Any, operation: Any, given: list[Any], path: tuple[str, ...]) -> list[Any]:
    names = [branch.name for branch in operation.get_attr("branches")]
    index, *rest = given
    if isinstance(index, np.ndarray) and index.dtype != object:
        place = int(index)
        place = place if 0 <= place < len(names) else len(names) - 1
        inner = function_of(operation.graph, names[place])
        found: list[Any] = walk.run(inner, rest, (*path, operation.name), inside=True)
        return found
    array = walk.array(index, operation.inputs[0].dtype)
    return _among(walk, operation, array, 0, names, rest, path)


def _among(
    walk: Any, operation: Any, index: Array, first: int, names: Sequence[str], given: list[Any], path: tuple[str, ...]
) -> list[Any]:
    """One choice after the other; a position that is none of them is the last one."""
    inner = function_of(operation.graph, names[0])
    if len(names) == 1:
        found: list[Any] = walk.run(inner, given, (*path, operation.name), inside=True)
        return found
    condition = one(index, "equal", index.recorder.literal(first, index.dtype))
    return _branches(
        walk, operation, condition, path,
        lambda: walk.run(inner, given, (*path, operation.name), inside=True),
        lambda: _among(walk, operation, index, first + 1, names[1:], given, path),
    )  # fmt: skip


def _choice(
    walk: Any, operation: Any, condition: Array, names: Sequence[str], given: list[Any], path: tuple[str, ...]
) -> list[Any]:
    inner = [function_of(operation.graph, name) for name in names]
    return _branches(
        walk, operation, condition, path,
        *(lambda graph=graph: walk.run(graph, given, (*path, operation.name), inside=True) for graph in inner),
    )  # fmt: skip


def _branches(
    walk: Any, operation: Any, condition: Array, path: tuple[str, ...], *functions: Callable[[], list[Any]]
) -> list[Any]:
    parent, parts, changed = current(), [], []
    before = dict(walk.state)
    results = []
    for function in functions:
        part = Part(Recorder(parent))
        walk.state = dict(before)
        with recording(part.into), part.into.sourced(walk.source(operation)):
            found = function()
            results.append([walk.array(x, t.dtype) for x, t in zip(found, operation.outputs, strict=True)])
        changed.append(walk.state)
        parts.append(part)
    names = sorted({name for state in changed for name, value in state.items() if before.get(name) is not value})
    walk.state = before
    for part, found, state in zip(parts, results, changed, strict=True):
        with recording(part.into):
            kept = {name: state.get(name, before.get(name)) for name in names}
            same = {name: SymbolicArray(walk.parameters[name], walk.recorder) for name in names}
            ends = [same[name] if x is None else x for name, x in kept.items()]
            part.outputs = [part.into.owned(x) for x in (*found, *ends)]
    if not parts[0].outputs:
        return []
    made, captured = _closed(parts)
    found = list(parent.record("cond", (condition, *captured), then=made[0], otherwise=made[1]))
    for name, value in zip(names, found[len(results[0]) :], strict=True):
        walk.state[name] = value
    return found[: len(results[0])]


# -- loops ------------------------------------------------------------------------------------------------------------


def _origin(tensor: Any) -> Any:
    """What a tensor is, seen through identities."""
    while tensor.op.type in ("Identity", "Snapshot"):
        tensor = tensor.op.inputs[0]
    return tensor


def _while(walk: Any, operation: Any, given: list[Any], path: tuple[str, ...]) -> list[Any]:
    test, body = (function_of(operation.graph, operation.get_attr(name).name) for name in ("cond", "body"))
    return _Loop(walk, operation, given, path, test, body).lowered()


class _Loop:
    """A loop on its way into an instruction."""

    def __init__(
        self, walk: Any, operation: Any, given: list[Any], path: tuple[str, ...], test: Any, body: Any
    ) -> None:
        self.walk, self.operation, self.given, self.test, self.body = walk, operation, given, test, body
        self.path = (*path, operation.name)
        self.parent = current()
        places = {t.name: n for n, t in enumerate(body.inputs)}
        self.places = places
        origins = [_origin(t) for t in body.outputs]
        self.constant = {n for n, t in enumerate(origins) if places.get(t.name) == n}
        """Which of the loop's values stay what they are."""
        self.counters = {}
        for n, t in enumerate(origins):
            step = self._step(n, t)
            if step is not None:
                self.counters[n] = step
        self.length = self._length()
        self.lists = {n for n, x in enumerate(given) if isinstance(x, TensorList) and n not in self.constant}

    def _number(self, tensor: Any, graph: Any) -> Any:
        """A number that is known before the loop begins: a constant, or one of its values that stays."""
        tensor = _origin(tensor)
        if tensor.op.type == "Const":
            found = tf.make_ndarray(tensor.op.get_attr("value"))
            return found.item() if found.ndim == 0 else None
        places = {t.name: n for n, t in enumerate(graph.inputs)}
        n = places.get(tensor.name)
        if n in self.constant and isinstance(self.given[n], np.ndarray) and self.given[n].ndim == 0:
            return self.given[n].item()
        return None

    def _step(self, n: int, tensor: Any) -> int | None:
        """By how much a value grows in each pass, if it only does."""
        start = self.given[n]
        if n in self.constant or not isinstance(start, np.ndarray) or start.ndim or tensor.op.type not in (
            "Add", "AddV2", "Sub",
        ):  # fmt: skip
            return None
        if start.dtype.kind not in "iu" and start.dtype != object:
            return None
        for own, other in ((0, 1), (1, 0)):
            if self.places.get(_origin(tensor.op.inputs[own]).name) == n and (own == 0 or tensor.op.type != "Sub"):
                step = self._number(tensor.op.inputs[other], self.body)
                if isinstance(step, int) and step:
                    return -step if tensor.op.type == "Sub" else step
        return None

    def _length(self) -> Size | None:
        """The number of passes, if the test only compares counters with what is known."""
        found = self._passes(_origin(self.test.outputs[0]))
        return None if found is None else maximum(found, 0)

    def _passes(self, tensor: Any) -> Size | None:
        kind = tensor.op.type
        if kind == "LogicalAnd":
            sides = [self._passes(_origin(t)) for t in tensor.op.inputs]
            return None if None in sides else minimum(*sides)  # type: ignore[arg-type]
        if kind not in ("Less", "LessEqual", "Greater", "GreaterEqual"):
            return None
        sides = list(tensor.op.inputs)
        if kind.startswith("Greater"):
            sides.reverse()
        places = {t.name: n for n, t in enumerate(self.test.inputs)}
        for swapped in (False, True):
            counter, bound = sides[::-1] if swapped else sides
            n = places.get(_origin(counter).name)
            limit = self._number(bound, self.test)
            if n not in self.counters or limit is None or isinstance(limit, float):
                continue
            start, step = self.given[n].item(), self.counters[n]
            distance = start - limit if swapped else limit - start
            pace = -step if swapped else step
            if pace <= 0:
                return None
            closed = 1 if kind.endswith("Equal") else 0
            return (distance + closed + pace - 1) // pace  # type: ignore[no-any-return]
        return None

    # -- as an instruction ----------------------------------------------------------------------------------------

    def lowered(self) -> list[Any]:
        """The loop's values after it."""
        if self.length is not None:
            if isinstance(self.length, int) and self.length < 1:
                return list(self.given)
            held: set[int] = set()
            while True:
                try:
                    return self._scan(held)
                except ReadError as read:
                    held.add(read.number)
        return self._loop()

    def _states(self, whole_lists: set[int], counters: bool) -> list[int]:
        """Which values are arrays that change from pass to pass."""
        return [
            n for n, x in enumerate(self.given)
            if n not in self.constant and (counters or n not in self.counters)
            and (n not in self.lists or n in whole_lists)
        ]  # fmt: skip

    def _start(self, n: int) -> Array:
        """The value of a state before the loop."""
        value = self.given[n]
        if isinstance(value, TensorList):
            return value.whole(self.parent)
        return self.walk.array(value, self.operation.inputs[n].dtype)  # type: ignore[no-any-return]

    def _arguments(self, part: Part, states: Sequence[int], start: Sequence[Array]) -> list[Any]:
        """What the inputs of a pass are, with values for the states."""
        found = list(self.given)
        for n, x in zip(states, start, strict=True):
            value = Value(x.type)
            part.inputs.append(value)
            array = SymbolicArray(value, part.into)
            given = self.given[n]
            found[n] = TensorList(given.length, given.of, given.shape, array) if n in self.lists else array
        return found

    def _body(self, part: Part, arguments: list[Any], wanted: Iterable[int]) -> list[Any]:
        before = dict(self.walk.state)
        self.walk.loops += 1
        try:
            found: list[Any] = self.walk.run(self.body, arguments, self.path, inside=True, wanted=sorted(wanted))
        finally:
            self.walk.loops -= 1
        if self.walk.state != before:
            raise PortingError("a loop that assigns to variables is not ported.")
        return found

    def _scan(self, whole_lists: set[int]) -> list[Any]:
        walk, length = self.walk, self.length
        assert length is not None
        states = self._states(whole_lists, counters=False)
        start = [self._start(n) for n in states]
        part = Part(Recorder(self.parent))
        source = walk.source(self.operation)
        slices: dict[Any, tuple[Array, Value]] = {}

        def sliced(key: Any, array: Array) -> Array:
            if key not in slices:
                slices[key] = array, Value(Type(array.dtype, array.shape[1:]))
            return SymbolicArray(slices[key][1], part.into)

        def passes() -> Array:
            if "passes" not in slices:
                with recording(self.parent):
                    number = self.parent.record("arange", (), start=0, stop=length, step=1, dtype=int64)[0]
                sliced("passes", number)
            return sliced("passes", slices["passes"][0])

        with recording(part.into), part.into.sourced(source):
            arguments = self._arguments(part, states, start)
            for n, step in self.counters.items():
                of = own_dtype(self.operation.inputs[n].dtype)
                arguments[n] = Counter(self.given[n].item(), step, of, passes)
            for n in self.lists - whole_lists:
                arguments[n] = WrittenList(n, self.given[n].of)
            for n in self.constant:
                if isinstance(self.given[n], TensorList):
                    cut = functools.partial(lambda n, key, x: sliced((n, key), x), n)
                    arguments[n] = ReadList(self.given[n], length, cut, self.parent)
            found = self._body(part, arguments, {*states, *self.lists})
            ends = [self._end(found[n], n) for n in states]
            written = {n: found[n] for n in sorted(self.lists - whole_lists)}
            last, stacked = self._written(written)
        # What stays in one place is a state that nothing reads: it may be one that there is.
        beside = {n: next((k for k, end in zip(states, ends, strict=True) if end.operand is value.operand), None)
                  for n, value in last.items()}  # fmt: skip
        for n, value in last.items():
            if beside[n] is not None:
                continue
            part.inputs.append(Value(value.type))
            states = [*states, n]
            zero = self.parent.literal(0, value.dtype)
            start.append(xp.broadcast_to(SymbolicArray(zero.operand, self.parent), value.shape))
            ends.append(value)
        part.inputs += [inner for _, inner in slices.values()]
        part.outputs = [part.into.owned(x) for x in (*ends, *stacked.values())]
        (made,), captured = _closed([part])
        operands = (*start, *(array for array, _ in slices.values()), *captured)
        with self.parent.sourced(source):
            results = recurrent(made, operands, len(states), len(slices)) or list(self.parent.record(
                "scan", operands, body=made, states=len(states), scanned=len(slices), length=length, reverse=False
            ))  # fmt: skip
        ended = dict(zip(states, results, strict=False))
        ended.update({n: ended[k] for n, k in beside.items() if k is not None})
        return self._after(ended, results[len(states) :], written, last, stacked)

    def _end(self, value: Any, n: int) -> Array:
        """What a state is after a pass."""
        if isinstance(value, TensorList):
            return value.whole(current())
        return self.walk.array(value, self.operation.outputs[n].dtype)  # type: ignore[no-any-return]

    def _written(self, written: dict[int, Any]) -> tuple[dict[int, Array], dict[int, Array]]:
        """Of the lists that a pass writes to: what stays in one place, and what goes to the place of the pass."""
        last: dict[int, Array] = {}
        stacked: dict[int, Array] = {}
        for n, of in written.items():
            if not isinstance(of, WrittenList) or of.number != n:
                raise PortingError("a loop that exchanges lists of tensors is not ported.")
            if of.value is None:
                continue
            if isinstance(of.index, Counter) and of.index.step == 1:
                stacked[n] = of.value
            elif isinstance(of.index, np.ndarray):
                last[n] = of.value
            else:
                raise ReadError(n)
        return last, stacked

    def _after(
        self, ended: dict[int, Array], piled: Sequence[Array], written: dict[int, Any], last: dict[int, Array],
        stacked: dict[int, Array],
    ) -> list[Any]:  # fmt: skip
        found = list(self.given)
        length = self.length
        assert length is not None
        for n, step in self.counters.items():
            end = self.given[n].item() + step * length
            found[n] = np.asarray(end, object) if isinstance(end, Dim) else np.asarray(end, np.int64)
        for n, x in ended.items():
            given = self.given[n]
            if n in last:
                found[n] = given.set(self.parent, written[n].index, x)
            elif n in self.lists:
                found[n] = TensorList(given.length, given.of, given.shape, x)
            else:
                found[n] = x
        for n, x in zip(stacked, piled, strict=True):
            given, begin = self.given[n], written[n].index.start
            if given.length == length and begin == 0:
                found[n] = TensorList(given.length, given.of, given.shape, x)
                continue
            # A list that grows is as long as what was written last.
            total = maximum(given.length, begin + length)
            if given.length == 0 and begin == 0:
                found[n] = TensorList(length, given.of, given.shape, x)
                continue
            if given.stacked is not None and total != given.length:
                raise PortingError("a list of tensors that grows in a loop is not ported.")
            before = TensorList(total, given.of, x.shape[1:], given.stacked, given.items).whole(self.parent)
            key = (Cut(begin, begin + length), *(Cut(),) * (x.ndim - 1))
            found[n] = TensorList(given.length, given.of, given.shape, one(before, "setitem", x, key=key))
        return found

    def _loop(self) -> list[Any]:
        """A loop whose number of passes depends on numbers."""
        walk = self.walk
        states = self._states(self.lists, counters=True)
        start = [self._start(n) for n in states]
        parts = []
        for graph in (self.test, self.body):
            part = Part(Recorder(self.parent))
            with recording(part.into), part.into.sourced(walk.source(self.operation)):
                arguments = self._arguments(part, states, start)
                if graph is self.body:
                    found = self._body(part, arguments, states)
                    ends = [self._end(found[n], n) for n in states]
                else:
                    ends = [walk.array(x, t.dtype) for x, t in zip(
                        walk.run(graph, arguments, self.path, inside=True), graph.outputs, strict=True
                    )]  # fmt: skip
            part.outputs = [part.into.owned(x) for x in ends]
            parts.append(part)
        (test, body), captured = _closed(parts)
        results = self.parent.record("while_loop", (*start, *captured), test=test, body=body, states=len(states))
        found = list(self.given)
        for n, x in zip(states, results, strict=True):
            given = self.given[n]
            found[n] = TensorList(given.length, given.of, given.shape, x) if n in self.lists else x
        return found


CONTROL: dict[str, Callable[..., list[Any]]] = {
    "PartitionedCall": _called, "StatefulPartitionedCall": _called, "If": _if, "StatelessIf": _if, "Case": _case,
    "StatelessCase": _case, "While": _while, "StatelessWhile": _while, **LISTS, **RANDOM,
    **DEFERRED,
}  # fmt: skip
"""Operations that hold functions, lists, variables or random numbers."""
