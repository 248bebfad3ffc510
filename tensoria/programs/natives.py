"""What a native model of a framework is made of: a program whose state has become arguments.

A model keeps its parameters itself, so the function that it runs takes them as inputs, after the arguments' tensors,
and returns what changes in them after the results. A parameter may be stored with its axes in another order than the
program has them, where the framework's kernels want that (`Blueprint.layouts`); the way in and out of a model is by
the program's names and orders always. Of a program that was captured in two modes the model has both, and one state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.core import BaseTensor
from tensoria.discovery import available, backend_of, get, loaded
from tensoria.dtypes import DType, bfloat16, float32
from tensoria.errors import BackendNotFoundError, PortingError
from tensoria.indices import PLAIN
from tensoria.programs.base import BaseProgram
from tensoria.programs.dialects import Dialect
from tensoria.programs.passes import Chosen, lowered, stored
from tensoria.programs.state import in_modes
from tensoria.programs.trees import LEAF, Tree, unflatten
from tensoria.programs.types import Type, Value

__all__ = [
    "Blueprint", "Modes", "State", "Stateful", "Weights", "blueprint", "modes", "native_model", "numbers",
    "random_key",
]  # fmt: skip

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Blueprint:
    """A model before a framework makes it.

    Attributes:
        source: the program that the model is made of, for its arguments, results, names and modes.
        pure: the function that the model runs: inputs are the arguments' tensors and then the parameters, outputs the
            results and then the updates. Its arrays are constants.
        arrays: the parameters' numbers as they are stored, by name, in the order of the inputs.
        layouts: which of the program's axes a stored axis is, for the parameters whose axes are stored in another
            order.
    """

    source: BaseProgram
    pure: BaseProgram
    arrays: Mapping[str, Array]
    layouts: Mapping[str, tuple[int, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in the order of the inputs."""
        return tuple(self.arrays)

    @property
    def frozen(self) -> frozenset[Value]:
        """The inputs that are buffers, which nothing is differentiated by."""
        held = self.pure.inputs[len(self.source.inputs) :]
        return frozenset(x for name, x in zip(self.names, held, strict=True) if name not in self.source.trainable)

    def type(self, name: str) -> Type:
        """The type of a parameter as it is stored."""
        first = len(self.source.inputs)
        return self.pure.inputs[first + self.names.index(name)].type

    def results(self, arrays: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
        """The result in its structure, and the updates by name, of what the pure function returned."""
        count = len(self.source.outputs)
        updates = dict(zip(self.source.updates, arrays[count:], strict=True))
        return unflatten(self.source.output_tree, arrays[:count]), updates


def blueprint(program: BaseProgram, dialect: Dialect, passes: Chosen = True) -> Blueprint:
    """What a model of a program is made of.

    Args:
        program: the program.
        dialect: the framework's; operations that it has no row for become their definitions.
        passes: the optimisations before.
    """
    made = lowered(program, passes, dialect.rows, also=dialect.passes | dialect.graphs, updates=True)
    layouts: dict[str, tuple[int, ...]] = {}
    if dialect.stores:
        made, layouts = stored(made)
    held = dict(made.parameters)
    arrays = {name: np.asarray(made.arrays[value]) for name, value in held.items()}
    kept = set(held.values())
    inputs, outputs = (*made.inputs, *held.values()), (*made.outputs, *made.updates.values())
    pure = BaseProgram(
        name=made.name,
        signature=tuple(value.name for value in inputs),
        inputs=inputs,
        parameters={},
        arrays={value: array for value, array in made.arrays.items() if value not in kept},
        instructions=made.instructions,
        outputs=outputs,
        input_tree=Tree("tuple", (), (LEAF,) * len(inputs)),
        output_tree=Tree("tuple", (), (LEAF,) * len(outputs)),
        output_axes=(PLAIN,) * len(outputs),
    )
    return Blueprint(program, pure, arrays, layouts)


@dataclass(frozen=True)
class Modes:
    """What a model is made of in each of its modes; they have one state, which lies as the first of them has it.

    Attributes:
        own: the mode in which a call is that does not say; empty if there is one mode only.
        blueprints: by mode, that one first.
    """

    own: str
    blueprints: Mapping[str, Blueprint]

    @property
    def source(self) -> BaseProgram:
        """The program that the model is made of."""
        return self.blueprints[self.own].source

    def mode(self, training: Any) -> str:
        """The mode of a call.

        Args:
            training: whether it is that of training; None for the model's own.

        Raises:
            PortingError: the model was captured in one mode only.
        """
        if training is None:
            return self.own
        wanted = "train" if training else "eval"
        if wanted not in self.blueprints:
            raise PortingError(
                f"{self.source.name} was captured in one mode only.", legal="tn.port(model, args, train=True)"
            )
        return wanted

    def stored(self) -> dict[str, tuple[Array, Blueprint]]:
        """The parameters' numbers as they are stored, by name, and whose arrays they are."""
        found: dict[str, tuple[Array, Blueprint]] = {}
        for of in self.blueprints.values():
            found.update({name: (array, of) for name, array in of.arrays.items() if name not in found})
        return found

    def orders(self, mode: str) -> list[tuple[str, tuple[int, ...] | None]]:
        """The names of a mode's parameters in the order of its function's inputs, each with the order in which that
        has the axes of what is stored; None where they lie so."""
        stored, of = self.stored(), self.blueprints[mode]
        return [(name, _between(stored[name][1].layouts.get(name), of.layouts.get(name))) for name in of.names]


def _between(held: tuple[int, ...] | None, wanted: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The permutation from one order of axes to another; None for none.

    >>> _between((1, 2, 0), None), _between((1, 2, 0), (1, 2, 0))
    ((2, 0, 1), None)
    """
    if held == wanted:
        return None
    there = held or tuple(range(len(wanted or ())))
    return tuple(there.index(axis) for axis in wanted or range(len(there)))


def modes(program: BaseProgram, dialect: Dialect, passes: Chosen = True) -> Modes:
    """What a model of a program, and of the same one in its other modes, is made of; arguments as for `blueprint`."""
    own, programs = in_modes(program)
    return Modes(own, {mode: blueprint(one, dialect, passes) for mode, one in programs.items()})


class State:
    """Names, types and orders of axes of a model's state, on the way in and out of it.

    Attributes:
        aliases: further names of tied parameters.
    """

    def __init__(self, of: Modes) -> None:
        self.types: dict[str, Type] = {}
        self.aliases: dict[str, str] = {}
        self.layouts: dict[str, tuple[int, ...]] = {}
        for one in reversed([*of.blueprints.values()]):
            self.types.update({name: value.type for name, value in one.source.parameters.items()})
            self.aliases.update(one.source.aliases)
        for name, (_, one) in of.stored().items():
            if name in one.layouts:
                self.layouts[name] = one.layouts[name]

    def out(self, held: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays as the program has them, of those that are stored; tied ones under all their names."""
        found = {}
        for name, array in held.items():
            order = self.layouts.get(name)
            found[name] = np.transpose(array, np.argsort(order)) if order is not None else array
        return {**found, **{alias: found[name] for alias, name in self.aliases.items()}}

    def into(self, given: Mapping[str, Any], strict: bool = True) -> dict[str, Array]:
        """Arrays as they are stored, of those of a dictionary of state.

        Args:
            given: arrays by name, those that the program has or `Program.state` gives.
            strict: whether every name has to be there, and no other.

        Raises:
            PortingError: a name is missing or unknown, or an array has another shape or kind of numbers.
        """
        known = {**{name: name for name in self.types}, **self.aliases}
        missing = [name for name in self.types if name not in given and not any(
            alias in given for alias, of in self.aliases.items() if of == name
        )]  # fmt: skip
        unknown = [name for name in given if name not in known]
        if strict and (missing or unknown):
            said = (("missing are", missing), ("unknown", unknown))
            parts = [f"{what} {_listed(names)}" for what, names in said if names]
            raise PortingError(f"the state is not this model's: {'; '.join(parts)}.", legal="strict=False")
        found: dict[str, Array] = {}
        for name, value in given.items():
            if name not in known:
                continue
            array, of = numbers(value), self.types[known[name]]
            if tuple(array.shape) != of.shape:
                raise PortingError(f"{name} has the shape {tuple(array.shape)}, not {of.shape}.")
            if (array.dtype.kind in "iub") != (of.dtype.kind in ("int", "uint", "bool")) or array.dtype.kind == "O":
                raise PortingError(f"{name} is of {array.dtype}, not of {of.dtype}.")
            order = self.layouts.get(known[name])
            found[known[name]] = array if order is None else np.transpose(array, order)
        return found


class Weights:
    """The variables of a model by the program's names.

    Attributes:
        state: how they are named and ordered.
        variables: the variables, with axes in the order in which they are stored.
    """

    def __init__(
        self, of: Modes, make: Callable[[str, Array, Type, bool], Any], assign: Callable[[Any, Array], Any]
    ) -> None:
        """Make the variables.

        Args:
            of: what the model is made of.
            make: a variable of a name, numbers, their type, and whether it is trained.
            assign: sets a variable's numbers, and returns the variable that has them.
        """
        self.state, self.assign = State(of), assign
        self.variables = {
            name: make(name, storable(array, one.type(name).dtype), one.type(name), name in one.source.trainable)
            for name, (array, one) in of.stored().items()
        }


class Stateful:
    """A model whose state goes in and out by the program's names, where its framework has no such methods."""

    _named: Weights

    def state_dict(self) -> dict[str, Array]:
        """The numbers of parameters and buffers by the program's names, with axes in its order."""
        return self._named.state.out({name: np.asarray(held) for name, held in self._named.variables.items()})

    def load_state_dict(self, given: Mapping[str, Any], strict: bool = True) -> None:
        """Set parameters and buffers.

        Args:
            given: arrays of any backend by name, such as the source model's `state_dict()`.
            strict: whether every name has to be there, and no other.

        Raises:
            PortingError: a name is missing or unknown, or an array has another shape.
        """
        for name, array in self._named.state.into(given, strict).items():
            self._named.variables[name] = self._named.assign(self._named.variables[name], array)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def numbers(value: Any) -> Array:
    """Any backend's array, or a tensor, as an array of NumPy; bfloat16 as float32, which holds it."""
    backend = value._backend if isinstance(value, BaseTensor) else backend_of(value)
    if backend is None:
        return np.asarray(value)
    array = backend.detach(value._array if isinstance(value, BaseTensor) else value)
    if backend.dtype(array) is bfloat16:
        array = backend.kernels.cast(array, backend.native_dtype(float32))
    return np.array(backend.to_numpy(array))


def random_key(of: Type, generator: np.random.Generator) -> Array:
    """A fresh key of a program's type."""
    kind = of.dtype
    highest = np.iinfo(kind.name).max
    return generator.integers(0, highest, size=of.shape, dtype=kind.name, endpoint=True)


def storable(array: Array, of: DType) -> Array:
    """An array in the data type that NumPy has for a type; bfloat16 as float32, which holds it."""
    return array.astype("float32" if of.name == "bfloat16" else of.name, copy=False)


def native_model(program: BaseProgram, kind: str, passes: Chosen = True) -> Any:
    """A model of a framework that computes a program.

    Args:
        program: the program.
        kind: what to make, which a backend offers under this name (`Backend.models`).
        passes: the optimisations before.

    Raises:
        BackendNotFoundError: no backend makes such models.
    """
    first = [kind] if kind in available() else []
    others = [backend.name for backend in loaded()] + list(available())
    for name in dict.fromkeys([*first, *others]):
        try:
            backend = get(name)
        except BackendNotFoundError:
            if name == kind:
                raise
            continue
        if kind in backend.models:
            return backend.model(program, kind, passes)
    offered = sorted({made for backend in loaded() for made in backend.models})
    raise BackendNotFoundError(f"no backend makes models of the kind {kind!r}.", legal=", ".join(map(repr, offered)))
