"""A TensorFlow model as a program: its live graph, lowered operation by operation.

Every operation of the graph knows its attributes, the line that made it, and (by the notes of `exporting`) the layer
that called it. What the graph computes of sizes is computed here (`sizes`); variables are parameters, and what the
graph assigns to them are updates; functions that are called become part of the program, loops and choices hold programs
of their own (`control`). What was composed of simpler operations is fused again afterwards (`patterns`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.dtypes import uint32
from tensoria.errors import AxisError, PortingError, ShapeError, TensoriaError
from tensoria.indices import PLAIN
from tensoria.programs.captured import Captured, Dynamic, Fixed, Operator
from tensoria.programs.dimensions import Dim, Size, dim
from tensoria.programs.naming import named_values
from tensoria.programs.program import Program
from tensoria.programs.recorder import Recorder, SymbolicArray, current, recording
from tensoria.programs.trees import LEAF, Tree, flatten
from tensoria.programs.types import Operand, Source, Type, Value
from tensoria_tensorflow.exporting import Exported, exported, line_of, plain
from tensoria_tensorflow.lowerings import EITHER, HOST, IGNORED, LOWERINGS, REASONS, Call, control, randomness
from tensoria_tensorflow.lowerings.call import lifted, own_dtype
from tensoria_tensorflow.lowerings.deferred import Deferred
from tensoria_tensorflow.lowerings.held import Counter, Drawn, Seed, Variable
from tensoria_tensorflow.patterns import fused
from tensoria_tensorflow.replaying import executed, function_of, needed, replayed
from tensoria_tensorflow.sizes import computed, has_open, known

__all__ = ["capture"]

STRUCTURE = frozenset((
    "Const", "Placeholder", "NoOp", "ReadVariableOp", "VariableV2", "VarHandleOp", "PartitionedCall",
    "StatefulPartitionedCall", "PlaceholderWithDefault", "Identity",
))  # fmt: skip
"""Operations that are no operators of a model: where values come from, and calls that become what they call."""
SIZES = frozenset(("Shape", "ShapeN", "Size", "Rank", "VariableShape"))
ASSIGNED = {"AssignVariableOp": None, "AssignAddVariableOp": "add", "AssignSubVariableOp": "subtract"}
KNOWN_GRADIENTS = frozenset((
    "swish_impl", "silu", "swish", "recompute_grad", "_recompute_grad", "inner_recompute_grad",
))  # fmt: skip
"""Functions of TensorFlow with derivatives of their own, which are what they compute's."""


def capture(
    model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Dynamic, train: bool | None = None
) -> Captured:
    """What a model computes for arguments like these.

    Raises:
        PortingError: TensorFlow does not trace the model; its reason is in the message.
    """
    given = exported(model, args, kwargs, dynamic, train)
    symbols = _symbols(given)
    chosen: dict[str, Size] = {}
    fixed: list[Fixed] = []
    while True:
        attempt = _Capture(given, _chosen(symbols, chosen))
        try:
            return attempt.captured(fixed)
        except _StoppedError as stopped:
            found = _culprits(given, symbols, chosen, stopped)
            if not found:
                raise stopped.error from stopped.error.__cause__
            chosen.update(found)
            reason = stopped.error.message.split(": ", 1)[-1].rstrip(".")
            for name, size in found.items():
                argument, axis = next(place for place, of in symbols.items() if str(of) == name)
                fixed.append(Fixed(argument, axis, name, str(size), reason, stopped.source))


def _symbols(given: Exported) -> dict[tuple[str, int], Dim]:
    """The open sizes by argument and axis; one name is one size."""
    made: dict[str, Dim] = {}
    found: dict[tuple[str, int], Dim] = {}
    for path in given.leaves:
        for axis, name in enumerate(given.opened.get(path, ())):
            if isinstance(name, Dim):
                found[path, axis] = name
            elif name is not None:
                found[path, axis] = made.setdefault(name, dim(name))
    return found


def _chosen(symbols: Mapping[tuple[str, int], Dim], chosen: Mapping[str, Size]) -> dict[tuple[str, int], Size]:
    return {place: chosen.get(str(of), of) for place, of in symbols.items()}


def _culprits(
    given: Exported, symbols: Mapping[tuple[str, int], Dim], chosen: Mapping[str, Size], stopped: _StoppedError
) -> dict[str, Size]:
    """The open sizes that the model fixes: with them fixed, the operation that was refused is not."""
    examples = dict(zip(given.leaves, given.examples, strict=True))
    sizes = {str(of): int(examples[path].shape[axis]) for (path, axis), of in symbols.items()}
    by_name = {str(of): of for of in symbols.values()}
    names = [name for name in stopped.symbols if name in sizes and name not in chosen]

    def passes(more: Mapping[str, Size]) -> bool:
        try:
            _Capture(given, _chosen(symbols, {**chosen, **more})).captured([])
        except _StoppedError as again:
            return again.place > stopped.place
        return True

    for n, a in enumerate(names):
        for b in names[n + 1 :]:
            if sizes[a] == sizes[b] and passes({b: by_name[a]}):
                return {b: by_name[a]}
    found: dict[str, Size] = {name: sizes[name] for name in names}
    if not passes(found):
        return {}
    for name in names:
        rest = {other: size for other, size in found.items() if other != name}
        if rest and passes(rest):
            found = rest
    return found


class _StoppedError(Exception):
    """An operation does not take operands whose sizes are open."""

    def __init__(self, place: int, error: PortingError, source: Source, symbols: Sequence[str]) -> None:
        self.place, self.error, self.source, self.symbols = place, error, source, symbols


class _Capture:
    """A graph on its way into a program."""

    def __init__(self, given: Exported, sizes: Mapping[tuple[str, int], Size]) -> None:
        self.given, self.sizes = given, sizes
        self.recorder = Recorder()
        self.inputs: list[Value] = []
        self.parameters: dict[str, Value] = {}
        self.arrays: dict[Value, Any] = {}
        self.variables: dict[int, Variable] = {}
        self.state: dict[str, Any] = {}
        """The value that each variable has by now."""
        self.values: dict[tuple[tuple[str, ...], str], SymbolicArray] = {}
        """What each tensor has become, by the calls that lead to it and its name."""
        self.made: dict[str, set[str]] = {}
        self.calls: dict[str, list[Source]] = {}
        self.refused: list[str] = []
        self.key: Value | None = None
        self.streams = 0
        self.around: list[Source] = []
        """Where the functions that are being lowered are called."""
        self.loops = 0
        """How many loops surround what is lowered."""
        self.count = 0
        """How many operations have been lowered."""
        self._numbers: dict[int, dict[str, int]] = {}

    # -- the graph ------------------------------------------------------------------------------------------------

    def captured(self, fixed: Sequence[Fixed]) -> Captured:
        """All of it."""
        graph = self.given.function.graph
        self._survey(graph, set())
        missing = {name for name in self.calls if not self._has_row(name)}
        self.refused += [f"{name}: {REASONS[name]}" for name in self.calls if name in missing and name in REASONS]
        program = None
        if not (missing or self.refused):
            try:
                program = self._program(graph)
            except PortingError as error:
                self.refused.append(" ".join(str(error).split()))
        operators = tuple(
            Operator(name, tuple(sources), name not in missing, tuple(sorted(self.made.get(name, ()))))
            for name, sources in self.calls.items()
        )
        return Captured(
            None if fixed else program, operators, tuple(fixed), tuple(dict.fromkeys(self.refused)), self._replay
        )

    def _has_row(self, name: str) -> bool:
        return any(name in table for table in (LOWERINGS, SIZES, ASSIGNED, control.CONTROL))

    def _survey(self, graph: Any, seen: set[str]) -> None:
        """All operators of a graph and of the functions that it calls, and what stands against them."""
        for operation in needed(graph):
            name = operation.type
            if name not in STRUCTURE and name not in IGNORED:
                self.calls.setdefault(name, []).append(self.source(operation))
            if name == "IdentityN":
                self._own_gradient(operation)
            for attribute in control.functions(operation):
                inner = operation.get_attr(attribute)
                if inner.name not in seen:
                    seen.add(inner.name)
                    self._survey(function_of(graph, inner.name), seen)

    def _own_gradient(self, operation: Any) -> None:
        """A derivative that a model defines itself leaves no trace in what it computes."""
        try:
            name = operation.get_attr("_gradient_op_type")
        except ValueError:
            return
        functions = [frame.name for frame in operation.traceback or ()]
        library = [
            frame.name for frame in operation.traceback or ()
            if f"tensorflow{_SEP}python{_SEP}ops" in frame.filename and frame.name in KNOWN_GRADIENTS
        ]  # fmt: skip
        if not library or not set(library) & set(functions):
            self.refused.append(
                f"a derivative of its own: tf.custom_gradient ({name.decode()}), at {self.source(operation)}"
            )

    def source(self, operation: Any) -> Source:
        """The line and the layer that an operation comes from."""
        graph = operation.graph
        if id(graph) not in self._numbers:
            self._numbers[id(graph)] = {of.name: n for n, of in enumerate(graph.get_operations())}
        called = self.given.calls.of(graph, self._numbers[id(graph)][operation.name])
        file, line = line_of(operation)
        if called is None:
            # A function's operations belong to the layer that calls it.
            called = self.around[-1] if self.around else Source()
        return Source(file, line, called.module, called.call, called.kind)

    def _program(self, graph: Any) -> Program:
        held = self._arguments(graph)
        with recording(self.recorder):
            results = self.run(graph, held, ())
            tensors = {t.name: x for t, x in zip(graph.outputs, results, strict=True)}
            leaves, tree = self._results(tensors)
            updates = {
                name: self.array(value, self.variable(name)).operand for name, value in self.state.items()
            }
        return self._pruned(leaves, tree, updates)

    def _pruned(self, leaves: list[Operand], tree: Tree, updates: dict[str, Operand]) -> Program:
        """Without what nothing needs: sizes and seeds that became something else."""
        wanted = [*leaves, *updates.values()]
        instructions, same = fused(self.recorder.instructions, wanted, self.parameters.values())
        leaves = [same.get(x, x) if isinstance(x, Value) else x for x in leaves]
        updates = {name: same.get(x, x) if isinstance(x, Value) else x for name, x in updates.items()}
        used = {x for made in instructions for x in made.operands} | {*leaves, *updates.values()}
        parameters = {
            name: value for name, value in self.parameters.items() if value in used or name in updates
        }
        names = set(self.given.signature)
        signature, trees = list(self.given.signature), list(self.given.tree.children)
        if self.key is not None:
            signature.append("key" if "key" not in names else "random_key")
            trees.append(LEAF)
            self.inputs.append(self.key)
        constants = {value: array for value, array in self.recorder.constants.items() if value in used}
        program = Program(
            name=self.given.name,
            signature=tuple(signature),
            inputs=tuple(self.inputs),
            parameters=parameters,
            arrays={**{value: self.arrays[value] for value in parameters.values()}, **constants},
            instructions=tuple(instructions),
            outputs=tuple(leaves),
            input_tree=Tree("tuple", (), tuple(trees)),
            output_tree=tree,
            output_axes=(PLAIN,) * len(leaves),
            updates=updates,
            trainable=frozenset(name for name in parameters if name in self.given.trainable),
            key=self.key,
        )
        named_values(program)
        return program

    def _arguments(self, graph: Any) -> list[Any]:
        found: list[Any] = []
        for path, example, placeholder in zip(self.given.leaves, self.given.examples, self.given.inputs, strict=True):
            shape = tuple(self.sizes.get((path, axis), int(n)) for axis, n in enumerate(example.shape))
            value = Value(Type(own_dtype(placeholder.dtype), shape), path)
            self.inputs.append(value)
            found.append(SymbolicArray(value, self.recorder))
        outer = {id(inner): tensor for tensor, inner in graph.captures}
        for placeholder in graph.inputs[len(found) :]:
            found.append(self._captured(outer.get(id(placeholder)), placeholder))
        return found

    def _captured(self, tensor: Any, placeholder: Any) -> Any:
        """What a graph closes over: a variable, or numbers."""
        if tensor is None:
            raise PortingError(f"the graph asks for {placeholder.name}, which nothing gives.")
        if placeholder.dtype != tf.resource:
            return tensor.numpy() if placeholder.dtype != tf.variant else tensor
        if id(tensor) in self.variables:
            return self.variables[id(tensor)]
        native = next((v for v in self.given.function.graph.variables if v.handle is tensor), None)
        name = self.given.names.get(id(tensor))
        if name is None:
            return tensor
        found = Variable(name, native if native is not None else tensor, "seed_generator_state" in name)
        self.variables[id(tensor)] = found
        return found

    def variable(self, name: str) -> Any:
        """The data type of a variable."""
        return self.parameters[name].type.dtype

    def read(self, variable: Any, operation: Any) -> Any:
        """A variable's value by now."""
        if not isinstance(variable, Variable):
            raise PortingError(f"{operation.type} reads {operation.inputs[0].name}, which is no variable of the model.")
        if variable.seed:
            return Seed()
        if variable.name in self.state:
            return self.state[variable.name]
        if variable.name not in self.parameters:
            array = variable.native.numpy()
            kind = own_dtype(variable.native.dtype)
            value = Value(Type(kind, tuple(array.shape)), variable.name)
            self.parameters[variable.name] = value
            self.arrays[value] = np.array(array, np.float32 if kind.name == "bfloat16" else None)
        return SymbolicArray(self.parameters[variable.name], self.recorder)

    def assign(self, variable: Any, value: Any, operation: Any) -> None:
        """What a variable is from now on."""
        if not isinstance(variable, Variable):
            what = f"{operation.type} writes {operation.inputs[0].name}"
            raise PortingError(f"{what}, which is no variable of the model.")
        if variable.seed:
            return
        before = self.read(variable, operation)
        how = ASSIGNED[operation.type]
        value = self.array(value, before.dtype)
        self.state[variable.name] = value if how is None else before.recorder.record(how, (before, value))[0]

    def array(self, value: Any, of: Any) -> SymbolicArray:
        """A held value as an array."""
        if isinstance(value, SymbolicArray):
            return value
        if isinstance(value, (Counter, Deferred)):
            return value.array()
        if isinstance(value, np.ndarray):
            return lifted(current(), value, of if not hasattr(of, "as_numpy_dtype") else own_dtype(of))
        raise PortingError(f"a {type(value).__name__.lower()} is used as numbers.")

    def draw(self) -> tuple[SymbolicArray, int]:
        """The program's key, and the number of the next draw."""
        if self.key is None:
            self.key = Value(Type(uint32, (2,)), "key")
        self.streams += 1
        return SymbolicArray(self.key, self.recorder), self.streams - 1

    # -- operation by operation -----------------------------------------------------------------------------------

    def run(
        self, graph: Any, arguments: Sequence[Any], path: tuple[str, ...], inside: bool = False,
        wanted: Sequence[int] | None = None,
    ) -> list[Any]:  # fmt: skip
        """The results of a graph.

        Args:
            arguments: what is held for each of its inputs.
            path: the calls that lead to it.
            inside: whether it is the body of a loop or choice, whose values are none of the whole program.
            wanted: the numbers of the results that are needed; all of them for None.
        """
        held: dict[str, Any] = {t.name: x for t, x in zip(graph.inputs, arguments, strict=True)}
        for operation in needed(graph, None if wanted is None else tuple(wanted)):
            if operation.type in ("Placeholder",) or operation.type in IGNORED:
                continue
            results = self.lowered(operation, [held.get(t.name) for t in operation.inputs], path)
            for tensor, result in zip(operation.outputs, results, strict=True):
                held[tensor.name] = result
                if not inside and isinstance(result, SymbolicArray):
                    self.values[path, tensor.name] = result
        return [held[t.name] if wanted is None or n in wanted else None for n, t in enumerate(graph.outputs)]

    def lowered(self, operation: Any, given: list[Any], path: tuple[str, ...]) -> list[Any]:
        """The results of one operation."""
        if operation.type == "Const":
            return [tf.make_ndarray(operation.get_attr("value"))]
        source = self.source(operation)
        into = current()
        before = len(into.instructions)
        self.count += 1
        place = self.count
        try:
            with into.sourced(source):
                self.around.append(source)
                results = self._results_of(operation, given, path)
        except _StoppedError:
            raise
        except (TensoriaError, IndexError) as error:
            message = error.message if isinstance(error, TensoriaError) else str(error)
            if isinstance(error, PortingError) and error.__cause__ is not None:
                raise
            where = f", at {source}" if str(source) and str(source) not in message else ""
            wrapped = PortingError(f"{operation.type}{where}: {message}", legal=getattr(error, "legal", None))
            wrapped.__cause__ = error
            symbols = _open_sizes(given)
            if symbols and isinstance(error, (ShapeError, AxisError, IndexError)):
                raise _StoppedError(place, wrapped, source, symbols) from error
            raise wrapped from error
        finally:
            self.around.pop()
        self.made.setdefault(operation.type, set()).update(made.operation for made in into.instructions[before:])
        return results

    def _results_of(self, operation: Any, given: list[Any], path: tuple[str, ...]) -> list[Any]:
        name = operation.type
        if name in control.CONTROL:
            return control.CONTROL[name](self, operation, given, path)
        if name in ASSIGNED:
            self.assign(given[0], given[1], operation)
            return []
        if name == "ReadVariableOp":
            return [self.read(given[0], operation)]
        if name == "PlaceholderWithDefault":
            return [given[0]]
        if any(isinstance(x, Seed) for x in given) and name not in randomness.RANDOM:
            return [Seed() for _ in operation.outputs]
        if name in SIZES:
            return self._sizes(operation, given)
        if any(isinstance(x, Drawn) for x in given):
            found = self._random(operation, given)
            if found is not None:
                return found
            given = [randomness.uniform(self, x) if isinstance(x, Drawn) else x for x in given]
        call = Call(current(), operation, self)
        for value in given:
            if isinstance(value, Deferred) and (followed := value.follow(call, given)) is not None:
                return [followed]
        numbers = [x for x in given if isinstance(x, np.ndarray)]
        if len(numbers) == len(given) and name in LOWERINGS:
            found = self._known(call, numbers)
            if found is not None:
                return found
        result = LOWERINGS[name](call, *self._operands(operation, given))
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        self._check(operation, results)
        return results

    def _random(self, operation: Any, given: list[Any]) -> list[Any] | None:
        """Random numbers on their way to dropout's comparison: those from 0 to 1 are scaled by nothing."""
        name = operation.type
        if name == "Identity":
            return given
        drawn, other = given if isinstance(given[0], Drawn) else given[::-1] if len(given) == 2 else (given[0], None)
        neutral = {"Mul": 1, "AddV2": 0, "Add": 0, "Sub": 0}
        if isinstance(other, np.ndarray) and not has_open(other):
            if name in neutral and (name != "Sub" or drawn is given[0]) and np.all(other == neutral[name]):
                return [drawn]
            if name == "GreaterEqual" and drawn is given[0] and other.ndim == 0:
                return [randomness.kept(self, drawn, float(other))]
        return None

    def _sizes(self, operation: Any, given: list[Any]) -> list[Any]:
        given = [x.array() if isinstance(x, Deferred) else x for x in given]
        shapes = [self.read(x, operation).shape if isinstance(x, Variable) else tuple(x.shape) for x in given]
        if operation.type == "Rank":
            return [np.asarray(len(shapes[0]), np.int32)]
        if operation.type == "Size":
            total: Any = 1
            for size in shapes[0]:
                total = total * size
            return [np.asarray(total, object) if isinstance(total, Dim) else np.asarray(total, np.int64)]
        return [known(shape) for shape in shapes]

    def _known(self, call: Call, numbers: list[Any]) -> list[Any] | None:
        """What is known before anything runs: integers, and truth values of them."""
        operation = call.operation
        kinds = {t.dtype for t in operation.outputs}
        if any(has_open(x) for x in numbers):
            return computed(call, operation.type, numbers)
        if operation.op_def.is_stateful or not numbers or tf.variant in kinds:
            return None
        if sum(int(np.prod([n or 1 for n in t.shape])) if t.shape.rank is not None else 0
               for t in operation.outputs) > 2**16:  # fmt: skip
            return None
        tensors = [tf.constant(x, dtype=t.dtype) for x, t in zip(numbers, operation.inputs, strict=True)]
        found = [np.asarray(x.numpy()) for x in executed(operation, tensors)]
        if any(of.is_floating or of.is_complex for of in kinds):
            # Floats only if they are the same in float64: what rounds is left to the program.
            exact = executed(operation, [tf.cast(x, tf.float64) if x.dtype == tf.float32 else x for x in tensors], True)
            if not all(np.array_equal(a, np.asarray(b.numpy())) for a, b in zip(found, exact, strict=True)):
                return None
        return found

    def _operands(self, operation: Any, given: list[Any]) -> list[Any]:
        """The operands: numbers that have to be known, and arrays."""
        count = len(given)
        host = {n % count for n in HOST.get(operation.type, ())} if count else set()
        either = set(EITHER.get(operation.type, ()))
        found: list[Any] = []
        for n, (value, tensor) in enumerate(zip(given, operation.inputs, strict=True)):
            if n in host:
                if not isinstance(value, np.ndarray):
                    raise PortingError(
                        f"{tensor.name} decides about shapes, and depends on numbers that only a run knows."
                    )
                found.append(value)
            elif (n in either and isinstance(value, np.ndarray)) or tensor.dtype in (tf.variant, tf.resource):
                found.append(value)
            else:
                found.append(self.array(value, tensor.dtype))
        return found

    def _check(self, operation: Any, results: Sequence[Any]) -> None:
        """TensorFlow knows types: one that differs is a mistake in the table of lowerings."""
        for found, tensor in zip(results, operation.outputs, strict=True):
            if not isinstance(found, SymbolicArray):
                continue
            if found.dtype is not own_dtype(tensor.dtype):
                raise PortingError(f"the result is {tensor.dtype.name} in TensorFlow and became {found.type}.")
            if tensor.shape.rank is None:
                continue
            if tensor.shape.rank != found.ndim:
                raise ShapeError(f"the result has the shape {tensor.shape} in TensorFlow and became {found.type}.")
            for size, theirs in zip(found.shape, tensor.shape, strict=True):
                if theirs is not None and size != theirs:
                    raise ShapeError(f"the result has the shape {tensor.shape}, and {found.shape} by the arguments'.")

    def _results(self, tensors: Mapping[str, Any]) -> tuple[list[Operand], Tree]:
        structure = self.given.function.graph.structured_outputs
        nested = plain(structure)

        def is_leaf(item: Any) -> bool:
            return isinstance(item, tf.Tensor)

        leaves, tree = flatten(nested, is_leaf)
        found: list[Operand] = []
        for leaf in leaves:
            found.append(self.array(tensors[leaf.name], leaf.dtype).operand)
        return found, tree

    def _replay(self, arrays: Sequence[Any], wide: bool = False) -> Iterator[tuple[Value, Any]]:
        """The graph run by TensorFlow itself, with each value that a tensor has become."""
        for path, name, tensor in replayed(self.given, arrays, wide):
            held = self.values.get((path, name))
            if held is not None and isinstance(held.operand, Value):
                yield held.operand, tensor


_SEP = "/"


def _open_sizes(given: Sequence[Any]) -> list[str]:
    """The symbols in the operands' sizes, and in known sizes."""
    found: dict[str, None] = {}
    for value in given:
        sizes: Any = ()
        if isinstance(value, SymbolicArray):
            sizes = value.shape
        elif isinstance(value, np.ndarray) and value.dtype == object:
            sizes = value.reshape(-1)
        for size in sizes:
            if isinstance(size, Dim):
                found.update(dict.fromkeys(sorted(s.name for s in size.symbols())))
    return list(found)
