"""The derivative of a program is a program: its own instructions, and the rules of these read backwards.

What is differentiated stays open (sizes of symbols), prints, saves, compiles and can be differentiated again. A
gradient has the labels of what it is taken by, with every variance reversed; of complex values it is
df/dx - i df/dy, which is f' for a holomorphic f.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensoria.programs.symbolic  # noqa: F401  (registers the backend on which definitions are differentiated)
from tensoria.calculus.lifting import opposite
from tensoria.errors import DTypeError, ModeError, ShapeError
from tensoria.indices import Axes
from tensoria.programs import standard
from tensoria.programs.base import BaseProgram, P
from tensoria.programs.derivatives.reverse import differentiable, pulled_back, pushed, reached
from tensoria.programs.derivatives.rule import Array
from tensoria.programs.naming import named_values
from tensoria.programs.passes import remove_dead_code, share_subexpressions
from tensoria.programs.passes.inlining import inlined
from tensoria.programs.recorder import Recorder, SymbolicArray, recording
from tensoria.programs.trees import LEAF, Tree
from tensoria.programs.types import Operand, Type, Value

__all__ = ["Argnums", "gradient", "pullback", "pushforward", "value_and_gradient"]

Argnums: TypeAlias = "int | Sequence[int] | None"
HOLOMORPHIC = frozenset(("real", "imag", "abs", "conj", "sign", "linalg.vector_norm", "linalg.matrix_norm"))


@dataclass(frozen=True)
class _Opened:
    """A program that is being continued: fresh values, so that the first one stays as it is."""

    into: Recorder
    inputs: tuple[Value, ...]
    parameters: dict[str, Value]
    held: dict[Value, Value]
    outputs: list[SymbolicArray]
    updates: dict[str, Operand]

    def symbolic(self, value: Value) -> SymbolicArray:
        """A value as an array."""
        return SymbolicArray(value, self.into)


def _copy(value: Value) -> Value:
    return Value(value.type, value.name, value.axes)


def _opened(program: BaseProgram) -> _Opened:
    into = Recorder()
    held = {value: _copy(value) for value in program.arrays}
    inputs = tuple(_copy(value) for value in program.inputs)
    with recording(into):
        operands = [SymbolicArray(value, into) for value in inputs]
        found = inlined(program, into, operands, held, tuple(program.updates.values()))
    outputs, changed = found[: len(program.outputs)], found[len(program.outputs) :]
    parameters = {name: held[value] for name, value in program.parameters.items()}
    updates = {name: x.operand for name, x in zip(program.updates, changed, strict=True)}
    return _Opened(into, inputs, parameters, held, outputs, updates)


def _closed(program: P, opened: _Opened, outputs: Iterable[tuple[Array, Axes]], **changes: Any) -> P:
    found = list(outputs)
    arrays = {opened.held[value]: array for value, array in program.arrays.items()}
    made = dataclasses.replace(
        program,
        **{
            "inputs": opened.inputs,
            "parameters": opened.parameters,
            "arrays": {**arrays, **opened.into.constants},
            "instructions": tuple(opened.into.instructions),
            "outputs": tuple(x.operand for x, _ in found),
            "output_axes": tuple(of for _, of in found),
            "updates": opened.updates,
            "key": None if program.key is None else opened.inputs[-1],
            "modes": {},
            **changes,
        },
    )
    made = remove_dead_code(share_subexpressions(made))
    named_values(made)
    return made


# -- what is differentiated by ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chosen:
    """The values that a derivative is taken by, and the shape in which derivatives come back."""

    values: list[Value]
    tree: Tree


def _chosen(program: BaseProgram, opened: _Opened, argnums: Argnums, parameters: bool | Sequence[str]) -> _Chosen:
    values: list[Value] = []
    trees: list[Tree] = []
    if argnums is None and parameters is False:
        argnums = 0
    if argnums is not None:
        spans = _spans(program)
        found = []
        for n in (argnums,) if isinstance(argnums, int) else argnums:
            if not -len(spans) <= n < len(spans):
                raise ModeError(f"there is no argument {n}; {program.name} has {', '.join(program.signature)}.")
            start, stop, tree = spans[n]
            values += opened.inputs[start:stop]
            found.append(tree)
        trees.append(found[0] if isinstance(argnums, int) else Tree("tuple", (), tuple(found)))
    if parameters is not False:
        if parameters is True:
            names = tuple(name for name in program.parameters if name in program.trainable)
        else:
            names = tuple(program.aliases.get(name, name) for name in parameters)
        for name in names:
            if name not in program.parameters:
                raise ModeError(f"{program.name} has no parameter {name!r}.", legal=", ".join(program.parameters))
        values += [opened.parameters[name] for name in names]
        trees.append(Tree("dict", names, (LEAF,) * len(names)))
    for value in values:
        if not differentiable(value.type):
            raise DTypeError(f"{value.name} is of {value.type.dtype}, which has no derivatives.")
    return _Chosen(values, trees[0] if len(trees) == 1 else Tree("tuple", (), tuple(trees)))


def _spans(program: BaseProgram) -> list[tuple[int, int, Tree]]:
    """Which inputs each argument has; the key is none."""
    spans, start = [], 0
    for tree in program.input_tree.children[: len(program.signature) - (program.key is not None)]:
        stop = start + sum(1 for _ in tree.names())
        spans.append((start, stop, tree))
        start = stop
    return spans


def _derivatives(opened: _Opened, given: dict[Value, Array], chosen: _Chosen) -> list[tuple[Array, Axes]]:
    found = pulled_back(opened.into, list(opened.into.instructions), given, chosen.values)
    zero = standard.namespace.zeros_like
    return [
        (found[value] if value in found else zero(opened.symbolic(value)), opposite(value.axes))
        for value in chosen.values
    ]


# -- derivatives ------------------------------------------------------------------------------------------------------


def gradient(program: P, argnums: Argnums, parameters: bool | Sequence[str]) -> P:
    """The program that computes the gradient of a program's one number."""
    return _gradient(program, argnums, parameters, with_value=False)


def value_and_gradient(program: P, argnums: Argnums, parameters: bool | Sequence[str]) -> P:
    """The program that computes a program's one number and its gradient."""
    return _gradient(program, argnums, parameters, with_value=True)


def _gradient(program: P, argnums: Argnums, parameters: bool | Sequence[str], with_value: bool) -> P:
    if len(program.outputs) != 1 or program.outputs[0].type.shape:
        types = ", ".join(str(x.type) for x in program.outputs)
        raise ShapeError(
            f"{program.name} returns {types}; a gradient is that of one number.",
            legal="contract it first, or take p.vjp()",
        )
    opened = _opened(program)
    chosen = _chosen(program, opened, argnums, parameters)
    (value,) = opened.outputs
    if not differentiable(value.type):
        raise DTypeError(f"{program.name} returns {value.type.dtype}, which has no derivatives.")
    if value.dtype.kind == "complex":
        _require_holomorphic(opened, value, chosen)
    with recording(opened.into):
        one = opened.into.literal(1, value.dtype)
        given = {value.operand: one} if isinstance(value.operand, Value) else {}
        gradients = _derivatives(opened, given, chosen)
    outputs = [(value, program.output_axes[0])] if with_value else []
    tree = Tree("tuple", (), (program.output_tree, chosen.tree)) if with_value else chosen.tree
    name = f"{program.name}_{'value_and_grad' if with_value else 'grad'}"
    return _closed(program, opened, [*outputs, *gradients], name=name, output_tree=tree)


def _require_holomorphic(opened: _Opened, value: SymbolicArray, chosen: _Chosen) -> None:
    """Raise if a complex number depends on what it is differentiated by through an operation that has no derivative.

    Raises:
        DTypeError: it does.
    """
    legal = "tn.real(y) or tn.abs(y), whichever is meant"
    if any(x.type.dtype.kind != "complex" for x in chosen.values):
        raise DTypeError("the value is complex and an argument is real.", legal=legal)
    on_path = reached(opened.into.instructions, chosen.values)
    for made in opened.into.instructions:
        if made.operation in HOLOMORPHIC and any(x in on_path for x in made.operands):
            raise DTypeError(
                f"the value is complex, and {made.operation} is not holomorphic: it has no complex derivative.",
                legal=legal,
            )


def pullback(program: P, argnums: Argnums, parameters: bool | Sequence[str]) -> P:
    """The program of the arguments and a cotangent for each result, that computes results and cotangents."""
    opened = _opened(program)
    chosen = _chosen(program, opened, argnums, parameters)
    cotangents, tree = _beside_outputs(program, opposite)
    with recording(opened.into):
        given = _summed(opened, cotangents)
        found = _derivatives(opened, given, chosen)
    values = list(zip(opened.outputs, program.output_axes, strict=True))
    return _closed(
        program, opened, [*values, *found],
        name=f"{program.name}_vjp",
        **_with_argument(program, opened, "cotangents", [value for value in cotangents if value is not None], tree),
        output_tree=Tree("tuple", (), (program.output_tree, chosen.tree)),
    )  # fmt: skip


def _summed(opened: _Opened, cotangents: Sequence[Value | None]) -> dict[Value, Array]:
    """The cotangent of each value that is a result, perhaps several times."""
    given: dict[Value, Array] = {}
    for x, value in zip(opened.outputs, cotangents, strict=True):
        if value is not None and isinstance(x.operand, Value):
            g = opened.symbolic(value)
            given[x.operand] = given[x.operand] + g if x.operand in given else g
    return given


def pushforward(program: P, argnums: Argnums) -> P:
    """The program of the arguments and a tangent for each that is chosen, that computes results and their tangents."""
    opened = _opened(program)
    chosen = _chosen(program, opened, argnums, False)
    tangents = tuple(Value(value.type, f"tangents_{value.name}", value.axes) for value in chosen.values)
    into = opened.into
    with recording(into):
        by, along = ([opened.symbolic(x) for x in values] for values in (chosen.values, tangents))
        found = pushed(into, list(into.instructions), opened.outputs, by, along)
    moving = [(x, of) for x, of in zip(found, program.output_axes, strict=True) if differentiable(x.type)]
    tree = Tree("tuple", (), (program.output_tree, _beside_outputs(program, opposite)[1]))
    return _closed(
        program, opened, [*zip(opened.outputs, program.output_axes, strict=True), *moving],
        name=f"{program.name}_jvp",
        **_with_argument(program, opened, "tangents", tangents, chosen.tree),
        output_tree=tree,
    )  # fmt: skip


def _with_argument(
    program: BaseProgram, opened: _Opened, name: str, values: Sequence[Value], tree: Tree
) -> dict[str, Any]:
    """The arguments with one more behind them, but before the key."""
    while name in program.signature:
        name += "_"
    keys = int(program.key is not None)

    def joined(items: tuple[Any, ...], more: Iterable[Any]) -> tuple[Any, ...]:
        at = len(items) - keys
        return (*items[:at], *more, *items[at:])

    return {
        "signature": joined(program.signature, (name,)),
        "inputs": joined(opened.inputs, values),
        "input_tree": Tree("tuple", (), joined(program.input_tree.children, (tree,))),
    }


def _beside_outputs(program: BaseProgram, labels: Callable[[Axes], Axes]) -> tuple[list[Value | None], Tree]:
    """A value beside every result that has derivatives, and their tree, with None for the others."""
    made = [
        Value(Type(x.type.dtype, x.type.shape), "cotangents", labels(of)) if differentiable(x.type) else None
        for x, of in zip(program.outputs, program.output_axes, strict=True)
    ]
    rest = iter(made)

    def walk(tree: Tree) -> Tree:
        if tree.kind == "leaf":
            return LEAF if next(rest) is not None else Tree("static")
        return dataclasses.replace(tree, children=tuple(walk(child) for child in tree.children))

    return made, walk(program.output_tree)
