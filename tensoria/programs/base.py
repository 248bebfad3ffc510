"""What a program consists of: instructions in order, each value assigned once, with trees of inputs and outputs.

It is pure: it has no state but its parameters, which are inputs by name with arrays of their own, and nothing in it
names a framework. What a call changes in the state (running statistics) is a value beside the results, and what it
draws follows from a key, which is its last input. `BaseProgram` is the data, how they print, and their evaluation
instruction by instruction; passes and writers are functions on it, and `program.Program` on top names them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np

from tensoria.backend import UNKNOWN, Array, Backend
from tensoria.conversion import convert
from tensoria.core import BaseTensor
from tensoria.discovery import backend_of, get
from tensoria.dtypes import DType
from tensoria.errors import BackendError, DTypeError, TracingError
from tensoria.indices import Axes
from tensoria.planning import Pattern
from tensoria.programs.binding import bind
from tensoria.programs.evaluation import evaluate, place, sized
from tensoria.programs.trees import Tree, flatten, unflatten
from tensoria.programs.types import Instruction, Literal, Operand, Region, Value, regions
from tensoria.structure import Cache

__all__ = ["BaseProgram", "P", "chosen", "described", "is_leaf", "native", "natives"]

P = TypeVar("P", bound="BaseProgram")


@dataclass(frozen=True, eq=False)
class BaseProgram(Region):
    """A function of tensors as data.

    Attributes:
        name: how it is called where it is printed or written out.
        signature: the names of its arguments.
        inputs: the values of the arguments' tensors, in order.
        parameters: values with arrays of their own, by name (`encoder.layer.0.weight`).
        arrays: the numbers of parameters and constants.
        instructions: in an order in which they can be run.
        outputs: the results' values, in order.
        input_tree: the shape of the arguments (a tuple of trees, one for each name of the signature).
        output_tree: the shape of the result.
        output_axes: the labels of each result.
        updates: by a parameter's name the value that it has after the call, where a call changes it.
        trainable: the names of the parameters that training changes; the others are buffers. All floating ones, if
            nothing is said.
        aliases: further names of tied parameters, and the name that they have in `parameters`.
        key: the random key, if instructions draw; it is the last input.
        modes: the same model in other modes ("train", "eval"): programs that share its parameters by name.
    """

    name: str
    signature: tuple[str, ...]
    inputs: tuple[Value, ...]
    parameters: Mapping[str, Value]
    arrays: Mapping[Value, np.ndarray[Any, Any]]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Operand, ...]
    input_tree: Tree
    output_tree: Tree
    output_axes: tuple[Axes, ...]
    updates: Mapping[str, Operand] = field(default_factory=dict)
    trainable: frozenset[str] = None  # type: ignore[assignment]
    aliases: Mapping[str, str] = field(default_factory=dict)
    key: Value | None = None
    modes: Mapping[str, BaseProgram] = field(default_factory=dict)
    _constants: Cache[tuple[str, str | None], dict[Value, Array]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_constants", Cache(self._placed, limit=8))
        if self.trainable is None:
            kinds = {name: value.type.dtype.kind for name, value in self.parameters.items()}
            floating = frozenset(name for name, kind in kinds.items() if kind in ("float", "complex"))
            object.__setattr__(self, "trainable", floating)

    def __deepcopy__(self, memo: Any) -> Self:
        """The program itself, which never changes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # What is placed on devices and compiled is made again where it is read.
        return type(self), tuple(getattr(self, of.name) for of in fields(self) if of.init)

    # -- running --------------------------------------------------------------------------------------------------

    def evaluate(
        self, backend: Backend, arrays: Sequence[Array], sizes: Mapping[str, int] | None = None
    ) -> list[Array]:
        """The outputs for native arrays, one for each input; sizes that are known are not read from them."""
        return self.computed(backend, arrays, self.outputs, sizes=sizes)

    def computed(
        self, backend: Backend, arrays: Sequence[Array], wanted: Sequence[Operand], *,
        sizes: Mapping[str, int] | None = None, state: Mapping[Value, Array] | None = None,
    ) -> list[Array]:  # fmt: skip
        """Outputs and updates for native arrays, one for each input.

        Args:
            wanted: which of them.
            sizes: those of all symbols, if they are known.
            state: arrays of parameters that stand in place of the program's own.
        """
        sizes = self.bind(backend, arrays) if sizes is None else sizes
        device = place(backend, arrays)
        known: dict[Value, Array] = dict(self.constants(backend, device))
        known.update(zip(self.inputs, arrays, strict=True))
        known.update(state or {})

        def read(operand: Operand) -> Array:
            if isinstance(operand, Literal):
                return backend.asarray(operand.number, operand.dtype, device, None)
            return known[operand]

        last = self._last_uses
        for number, made in enumerate(self.instructions):
            attributes = {name: sized(value, sizes) for name, value in made.attributes.items()}
            result = evaluate(backend, made.operation, tuple([read(x) for x in made.operands]), attributes, device)
            for value, array in zip(made.results, (result,) if len(made.results) == 1 else result, strict=True):
                known[value] = array
            for value in last.get(number, ()):
                del known[value]
        return [read(operand) for operand in wanted]

    def bind(self, backend: Backend, arrays: Sequence[Array]) -> dict[str, int]:
        """The sizes of all symbols, from the inputs' shapes.

        Raises:
            ShapeError, DTypeError: an input does not fit its declaration.
        """
        for value, array in zip(self.inputs, arrays, strict=True):
            if backend.dtype(array) is not value.type.dtype:
                raise DTypeError(
                    f"{value.name} is {backend.dtype(array)}, declared as {value.type.dtype}.",
                    legal=f't.to(dtype="{value.type.dtype.name}")',
                )
        return bind(
            (value.type.shape, tuple(backend.shape(array)), value.name)  # type: ignore[arg-type]
            for value, array in zip(self.inputs, arrays, strict=True)
        )

    def leaves(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """The arguments' tensors, in order.

        Raises:
            TracingError: the arguments' structure differs from the traced one.
        """
        made = inspect.Signature(
            [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=_default(tree))
                for name, tree in zip(self.signature, self.input_tree.children, strict=True)
            ]
        )
        try:
            bound = made.bind(*arguments, **named)
        except TypeError as error:
            if self.key is not None and self.signature[-1] not in named and len(arguments) < len(self.signature):
                last = self.signature[-1]
                raise TracingError(
                    f"{self.name}: {error}. It draws random numbers.", legal=f"{last}=tn.random.key(0)"
                ) from None
            raise TracingError(f"{self.name}: {error}", legal=f"{self.name}({', '.join(self.signature)})") from None
        bound.apply_defaults()
        found, tree = flatten(tuple(bound.arguments.values()), is_leaf)
        if tree != self.input_tree:
            raise TracingError(f"{self.name} was traced for the arguments {self.input_tree}, not {tree}.")
        return found

    def constants(self, backend: Backend, device: str | None) -> Mapping[Value, Array]:
        """Constants and parameters as native arrays on a device, where they are kept."""
        if device != UNKNOWN:
            return self._constants[backend.name, device]
        # What is made while a framework traces does not last; what is there already does.
        kept = (made for (name, _), made in list(self._constants.items()) if name == backend.name)
        return next(kept, None) or self._placed((backend.name, device))

    def _placed(self, key: tuple[str, str | None]) -> dict[Value, Array]:
        target, device = get(key[0]), key[1]
        return {value: target.asarray(array, value.type.dtype, device, True) for value, array in self.arrays.items()}

    @cached_property
    def _last_uses(self) -> dict[int, list[Value]]:
        """After which instruction each intermediate value is not needed any more."""
        used: dict[Value, int] = {}
        for number, made in enumerate(self.instructions):
            for value in (*made.results, *made.operands):
                if isinstance(value, Value):
                    used[value] = number
        results = (*self.outputs, *self.updates.values())
        kept = {*self.inputs, *self.arrays, *(x for x in results if isinstance(x, Value))}
        out: dict[int, list[Value]] = {}
        for value, number in used.items():
            if value not in kept:
                out.setdefault(number, []).append(value)
        return out

    # -- looking at it --------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        arguments = ", ".join(f"{value.name}: {value.labels}" for value in self.inputs)
        lines = [f"program {self.name}({arguments})"]
        for name, value in self.parameters.items():
            kind = "parameter" if name in self.trainable else "buffer"
            lines.append(f"  {kind} {value.name} {name!r}: {value.labels}")
        held = set(self.parameters.values())
        lines += [f"  constant {value.name}: {value.labels}" for value in self.arrays if value not in held]
        *lines, last = [*lines, *_lines(self)]
        lines += [f"  update {self.parameters[name].name} = {_shown(x)}" for name, x in self.updates.items()]
        return "\n".join([*lines, last])

    def __repr__(self) -> str:
        return f"<program {self.name!r}: {len(self.instructions)} instructions>"

    def operations(self) -> dict[str, int]:
        """How often each operation occurs."""
        counted: dict[str, int] = {}
        for made in self.instructions:
            counted[made.operation] = counted.get(made.operation, 0) + 1
        return dict(sorted(counted.items()))

    def values(self) -> Iterator[Value]:
        """All values: inputs, parameters and constants, results."""
        yield from self.inputs
        yield from self.arrays
        for made in self.instructions:
            yield from made.results


def _lines(region: Region) -> list[str]:
    """Instructions as text, those of programs inside of them indented."""
    lines = []
    for made in region.instructions:
        results = ", ".join(f"{value.name}: {value.labels}" for value in made.results)
        lines.append(f"  {results} = {described(made)}")
        for name, inner in regions(made).items():
            arguments = ", ".join(f"{value.name}: {value.labels}" for value in inner.inputs)
            lines += [f"    {name}({arguments})", *(f"    {line}" for line in _lines(inner))]
    return [*lines, f"  return {', '.join(map(_shown, region.outputs))}"]


def described(made: Instruction) -> str:
    """An instruction as text, without its results."""
    parts = [_shown(operand) for operand in made.operands]
    parts += [f"{n}={_attribute(value)}" for n, value in made.attributes.items() if not isinstance(value, Region)]
    return f"{made.operation}({', '.join(parts)})"


def _shown(operand: Operand) -> str:
    return operand.name if isinstance(operand, Value) else str(operand)


def _attribute(value: Any) -> str:
    if isinstance(value, DType):
        return value.name
    if isinstance(value, Pattern):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(_attribute, value))}{',' if len(value) == 1 else ''})"
    return str(value)


# -- arguments --------------------------------------------------------------------------------------------------------


def is_leaf(value: Any) -> bool:
    """Whether a value is a tensor or a native array."""
    return isinstance(value, BaseTensor) or backend_of(value) is not None


def _default(tree: Tree) -> Any:
    """What an argument without tensors was while tracing, which it is if it is left out."""
    return inspect.Parameter.empty if next(tree.names(), None) is not None else unflatten(tree, ())


def chosen(leaves: Sequence[Any], backend: str | None) -> Backend:
    """The backend by name, or the one that all tensors are on.

    Raises:
        BackendError: they are on several.
    """
    if backend is not None:
        return get(backend)
    found = {_backend(leaf) for leaf in leaves}
    if len(found) > 1:
        names = ", ".join(sorted(b.name for b in found))
        raise BackendError(f"the arguments are on several backends: {names}.", legal="backend=... chooses one")
    return next(iter(found)) if found else get("numpy")


def _backend(leaf: Any) -> Backend:
    found = leaf._backend if isinstance(leaf, BaseTensor) else backend_of(leaf)
    assert found is not None
    return found


def native(leaf: Any, target: Backend) -> Array:
    """A tensor's or array's numbers on a backend."""
    array = leaf._array if isinstance(leaf, BaseTensor) else leaf
    return convert(array, _backend(leaf), target)


def natives(leaves: Sequence[Any], target: Backend, beside: Sequence[Any] = ()) -> list[Array]:
    """The numbers of tensors and arrays on a backend, those of other backends on the device of the first of its own.

    Args:
        leaves: what is wanted.
        target: the backend.
        beside: others that say where as well.
    """
    arrays = [native(leaf, target) for leaf in leaves]
    own = [leaf for leaf in (*leaves, *beside) if _backend(leaf) is target]
    if not own or len(own) == len(leaves) + len(beside):
        return arrays
    like = native(own[0], target)
    return [x if _backend(leaf) is target else target.beside(x, like) for leaf, x in zip(leaves, arrays, strict=True)]
