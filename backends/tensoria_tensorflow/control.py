"""How choices and loops are written in TensorFlow: by its own, which run eagerly, in graphs and in saved ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tensoria.programs.dialects import Writer
from tensoria.programs.dimensions import Dim
from tensoria.programs.types import Instruction, Type, Value

__all__ = ["CONTROL"]


def _shape(of: Type) -> str:
    """A static shape, None for sizes that are open."""
    return str([None if isinstance(size, Dim) else size for size in of.shape])


def _invariants(values: Sequence[Value]) -> list[str]:
    return [f"tf.TensorShape({_shape(value.type)})" for value in values]


def _tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _cond(writer: Writer, made: Instruction) -> list[str]:
    condition, *operands = (writer.operand(x, True) for x in made.operands)
    names = [writer.name(value) for value in made.results]
    then, otherwise = f"{names[0]}_then", f"{names[0]}_otherwise"
    return [
        *writer.closure(then, made.attributes["then"], operands),
        *writer.closure(otherwise, made.attributes["otherwise"], operands),
        f"{', '.join(names)} = tf.cond({condition}, {then}, {otherwise})",
    ]


def _while_loop(writer: Writer, made: Instruction) -> list[str]:
    operands = [writer.operand(x, True) for x in made.operands]
    states = made.attributes["states"]
    names = [writer.name(value) for value in made.results]
    test, body = f"{names[0]}_test", f"{names[0]}_body"
    state = [f"{name}_" for name in names]
    inside = [*state, *operands[states:]]
    *lines, last = writer.closure(body, made.attributes["body"], inside, state)
    return [
        *writer.closure(test, made.attributes["test"], inside, state),
        *lines,
        f"{last}{',' if states == 1 else ''}",
        f"{_tuple(names)} = tf.while_loop({test}, {body}, {_tuple(operands[:states])}, "
        f"{_tuple(_invariants(made.results))})",
    ]


def _scan(writer: Writer, made: Instruction) -> list[str]:
    operands = [writer.operand(x, True) for x in made.operands]
    states, end = made.attributes["states"], made.attributes["states"] + made.attributes["scanned"]
    names, body = [writer.name(value) for value in made.results], made.attributes["body"]
    length, step = writer.size(made.attributes["length"]), f"{names[0]}_step"
    place = f"{length} - 1 - {step}" if made.attributes["reverse"] else step
    state = [f"{name}_" for name in names]
    inside = [*state[:states], *(f"{x}[{place}]" for x in operands[states:end]), *operands[end:]]
    *lines, _ = writer.closure(f"{names[0]}_body", body, inside, [step, *state])
    results = [writer.operand(x, True) for x in body.outputs]
    written = [f"{name}.write({place}, {part})" for name, part in zip(state[states:], results[states:], strict=True)]
    start = [*operands[:states]]
    for value in made.results[states:]:
        inner = Type(value.type.dtype, value.type.shape[1:])
        dtype = writer.dialect.dtype(value.type.dtype)
        start.append(f"tf.TensorArray({dtype}, size={length}, element_shape={_shape(inner)})")
    parts = len(names) - states
    invariants = ["tf.TensorShape([])", *_invariants(made.results[:states]), *["tf.TensorShape(None)"] * parts]
    return [
        *lines,
        f"    return {', '.join([f'{step} + 1', *results[:states], *written])}",
        f"_, {', '.join(names)} = tf.while_loop(lambda {step}, *_: {step} < {length}, {names[0]}_body, "
        f"{_tuple(['tf.constant(0)', *start])}, {_tuple(invariants)})",
        *(f"{name} = {name}.stack()" for name in names[states:]),
    ]


CONTROL: Mapping[str, Callable[[Writer, Instruction], list[str]]] = {
    "cond": _cond, "while_loop": _while_loop, "scan": _scan,
}  # fmt: skip
"""The lines of choices and loops."""
