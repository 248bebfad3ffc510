"""How instructions become Python of one framework: its dialect, a table, and the writer that reads it.

Each backend has a table, its `DIALECT`, from operations to text (see `Dialect`). A row is a template, whose fields are
the operands by number and the attributes by name, or a function that is given the whole `Call` where text depends on
types. What no expression of the framework says in one line stands as a function in the module's prelude, once, and
only if it is used.
"""

from __future__ import annotations

import builtins
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tensoria.dtypes import DType
from tensoria.errors import BackendError
from tensoria.programs.base import BaseProgram, P
from tensoria.programs.dimensions import Call as SizeCall
from tensoria.programs.dimensions import Dim, Size, Symbol
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.statements import Statement, last_uses, nested
from tensoria.programs.types import Instruction, Literal, Operand, Region, Source, Type, Value, assigned

__all__ = ["CONTROL", "Call", "ClassStyle", "Dialect", "Row", "Rows", "Writer", "kernel", "number", "rounding"]


@dataclass(frozen=True)
class Call:
    """One instruction on its way to text.

    Attributes:
        instruction: what is written.
        texts: the operands as expressions; literals as bare numbers.
        typed: the same, literals as 0-d arrays of their data type.
        attributes: the attributes as text.
        writer: takes prelude functions (`writer.need(name)`) and knows the dialect.
    """

    instruction: Instruction
    texts: tuple[str, ...]
    typed: tuple[str, ...]
    attributes: Mapping[str, str]
    writer: Writer

    @property
    def types(self) -> tuple[Type, ...]:
        """The operands' types."""
        return tuple(operand.type for operand in self.instruction.operands)

    def of(self, name: str) -> Any:
        """An attribute's value."""
        return self.instruction.attributes[name]

    @property
    def axes(self) -> str:
        """The attribute `axes` as text: a number if there is one axis."""
        axes = self.of("axes")
        return str(axes[0]) if len(axes) == 1 else self.attributes["axes"]

    def spread(self, name: str) -> str:
        """A tuple as arguments one by one."""
        return self.attributes[name][1:-1].rstrip(",") or "()"

    @property
    def result(self) -> Type:
        """The type of the (first) result."""
        return self.instruction.results[0].type


Row: TypeAlias = str | Callable[[Call], str]
Rows: TypeAlias = Mapping[str, Row]


@dataclass(frozen=True)
class ClassStyle:
    """How a framework's classes are written.

    Attributes:
        base: the class that they derive from; empty for none.
        method: the method that computes.
        parameter, buffer, constant: how an attribute is set, as templates of `{name}`, `{path}` (the expression of its
            name), `{array}` (its numbers), `{layout}` (nothing, or a call that orders its axes), `{back}` (a call
            that orders them back) and `{dtype}`.
        several: a list of modules, as a template of `{items}`.
        assign: how a buffer is changed, as a template of `{0}` and `{value}`.
        functions: functions that the templates use; their source.
    """

    base: str
    method: str
    parameter: str
    buffer: str
    constant: str
    several: str
    assign: str
    functions: str = ""


@dataclass(frozen=True)
class Dialect:
    """How one framework's Python is written.

    Attributes:
        imports: the module's first lines.
        rows: text for each operation; `{0}` and `{1}` are operands, `{all}` all of them, `{axis}` an attribute.
        scalars: the operations that take bare numbers beside an array.
        dtype: the text of a data type.
        size: an array's size along an axis, as a template of `{0}` and `{axis}`.
        literal: a 0-d array, as a template of `{number}`, `{dtype}` and `{placed}` (where the first input is).
        array: an array in the namespace `arrays` (of NumPy) becomes the framework's, as a template of `{array}`.
        device: an array's device, as a template of `{0}`; empty if arrays are made on no device in particular.
        placing: the argument that makes an array on a device, as a template of `{device}`.
        prelude: functions that rows may need, by name; their source.
        functions: what sizes use, by name (`min`, `max`).
        control: how choices and loops are written, as lines; Python's own if nothing is said.
        classes: how classes are written.
        passes: the special passes ("layout") that belong to all passes.
        graphs: those ("rows") that pay in a graph of the framework's, and cost more than they save call by call.
        stores: whether models of the framework may store parameters with their axes in another order than the program.
        orders: the order in which axes of held arrays lie in memory, where that is not theirs (none if it `stores`).
        permuted: a call that permutes an array's axes, as a template of `{axes}`.
    """

    imports: str
    rows: Rows
    scalars: frozenset[str]
    dtype: Callable[[DType], str]
    size: str
    literal: str
    array: str
    device: str = ""
    placing: str = ", device={device}"
    prelude: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=lambda: {"min": "min", "max": "max"})
    control: Mapping[str, Callable[[Writer, Instruction], list[str]]] = field(default_factory=dict)
    classes: ClassStyle | None = None
    stores: bool = True
    orders: Callable[[BaseProgram], Mapping[Operand, tuple[int, ...]]] = lambda program: {}
    permuted: str = ""
    passes: frozenset[str] = frozenset()
    graphs: frozenset[str] = frozenset()

    def laid(self, layout: Sequence[int] | None, order: Sequence[int] | None) -> tuple[str, str]:
        """What orders the axes of NumPy's array, as they are stored or lie in memory, and what undoes the latter."""
        if layout is not None:
            return f".transpose({', '.join(map(str, layout))})", ""
        if order is None:
            return "", ""
        back = sorted(range(len(order)), key=order.__getitem__)
        lies = f".transpose({', '.join(map(str, order))}).copy()"
        return lies, self.permuted.format(axes=", ".join(map(str, back)))


class Writer:
    """Collects the lines of one module."""

    def __init__(self, dialect: Dialect, backend: str) -> None:
        self.dialect, self.backend = dialect, backend
        self.needed: dict[str, None] = {}
        self.called: dict[Value, str] = {}
        """What stands for the inputs of programs inside of instructions."""
        self.device = ""
        """The device of the first input, as an expression; empty without inputs."""
        self.names: dict[Value | str, str] = {}
        """What values and symbols (by name) are called in the text, where that is not their name."""
        self.symbols: set[str] = set()
        """The symbols that the text names."""
        self.frozen: frozenset[Value] = frozenset()
        """Values that nothing is differentiated by."""
        self.loose = False
        """Whether what is used once stands inside of what uses it wherever that is, and no names are let go."""
        self.transposes: dict[Value, Instruction] = {}
        """Transposes that stand inside of the matrix product that uses them."""

    def need(self, name: str) -> str:
        """A function of the prelude, which will be written; its name."""
        self.needed[name] = None
        return name

    @property
    def placed(self) -> str:
        """The argument that makes an array where the first input is."""
        return self.dialect.placing.format(device=self.device) if self.device else ""

    def size(self, size: Size) -> str:
        """A size as an expression over the names of its symbols."""
        if not isinstance(size, Dim):
            return str(size)
        terms = []
        for monomial, coefficient in size._terms:
            factors = [self._atom(atom) for atom in monomial]
            if coefficient != 1 or not factors:
                factors.insert(0, str(coefficient))
            terms.append(" * ".join(factors))
        return " + ".join(terms).replace("+ -", "- ")

    def _atom(self, atom: Symbol | SizeCall) -> str:
        if isinstance(atom, Symbol):
            self.symbols.add(atom.name)
            return self.names.get(atom.name, atom.name)
        a, b = map(self.size, atom.arguments)
        sign = {"floordiv": "//", "mod": "%"}.get(atom.function)
        return f"{self.dialect.functions[atom.function]}({a}, {b})" if sign is None else f"(({a}) {sign} ({b}))"

    def attribute(self, value: Any, positions: Sequence[str] = ()) -> str:
        """An attribute as text."""
        if isinstance(value, DType):
            return self.dialect.dtype(value)
        if isinstance(value, Dim):
            return self.size(value)
        if isinstance(value, tuple):
            return f"({', '.join(self.attribute(item, positions) for item in value)}{',' if len(value) == 1 else ''})"
        if isinstance(value, At):
            return positions[value.operand - 1]
        if isinstance(value, Cut):
            start, stop = ("" if end is None else self.size(end) for end in (value.start, value.stop))
            return f"{start}:{stop}" + (f":{value.step}" if value.step != 1 else "")
        return number(value) if isinstance(value, (int, float, complex)) else repr(value)

    def name(self, value: Value) -> str:
        """What a value is called."""
        return self.called.get(value) or self.names.get(value, value.name)

    def transposed(self, operand: Operand) -> str | None:
        """What an operand of a matrix product is the transpose of, if the product itself says so."""
        made = self.transposes.get(operand) if isinstance(operand, Value) else None
        return None if made is None else self.operand(made.operands[0], True)

    def operand(self, operand: Operand, typed: bool) -> str:
        """An operand as an expression."""
        if isinstance(operand, Value):
            return self.expression(self.transposes[operand]) if operand in self.transposes else self.name(operand)
        text = number(operand.number)
        if not typed:
            return text
        return self.dialect.literal.format(number=text, dtype=self.dialect.dtype(operand.dtype), placed=self.placed)

    def expression(self, made: Instruction) -> str:
        """An instruction as an expression.

        Raises:
            BackendError: the backend has no row for the operation.
        """
        row = self.dialect.rows.get(made.operation)
        if row is None:
            where = f", at {made.source}" if made.source.file else ""
            raise BackendError(f"the {self.backend} backend has no source for {made.operation}{where}.")
        # Of `where`, one of the choices must say the data type; the condition does not.
        bare = made.operation in self.dialect.scalars and any(isinstance(x, Value) for x in made.operands[-2:])
        typed = tuple(self.operand(x, True) for x in made.operands)
        texts = tuple(self.operand(x, False) for x in made.operands) if bare else typed
        if made.operation == "pow" and texts[0].startswith("-"):
            texts = (f"({texts[0]})", texts[1])  # powers bind tighter than signs
        positions = typed[2:] if made.operation in ("setitem", "add_at") else typed[1:]
        attributes = {name: self.attribute(value, positions) for name, value in made.attributes.items()}
        if callable(row):
            return row(Call(made, texts, typed, attributes, self))
        return row.format(*texts, all=", ".join(texts), placed=self.placed, **attributes)

    def begin(self, program: P, name: str) -> None:
        """Settle what values are called in a function of that name, and where its arrays are."""
        self.names = self._renamed(program, name)
        self.device = self.dialect.device.format(self.name(program.inputs[0])) if program.inputs else ""

    def function(self, program: P, *, name: str) -> list[str]:
        """The program as a function of native arrays by position; constants and parameters are the module's."""
        self.begin(program, name)
        lines = [f"    {line}" for line in self.block(program, delete=True)]
        returned = [self.operand(operand, True) for operand in program.outputs]
        lines.append(f"    return {', '.join(returned)}{',' if len(returned) == 1 else ''}")
        head = f"def {name}({', '.join(map(self.name, program.inputs))}):"
        return [head, *(f"    {line}" for line in self.bound(program.inputs)), *lines]

    def block(self, region: Region, *, delete: bool = False) -> list[str]:
        """The instructions of a program, as lines.

        Args:
            region: the program, or one inside of an instruction.
            delete: whether names are let go after their last use.
        """
        lines: list[str] = []
        segments = _segments(region)
        users = _users(region, segments)
        for n, segment in enumerate(segments):
            if (written := (self.dialect.control or CONTROL).get(segment[0].operation)) is not None:
                first, *rest = written(self, segment[0])
                lines += [f"{first}{self._note(segment[0].source)}", *rest]
                continue
            self.transposes.update(_transposes(segment, users))
            made = [one for one in segment if one.results[0] not in self.transposes]
            results = [value for one in made for value in one.results]
            kept = {value for value in results if not set(users.get(value, ())) <= {n}}
            statements = [
                Statement(tuple(map(self.name, x.results)), self.expression(x), x.source, kept.isdisjoint(x.results))
                for x in made
            ]
            statements = nested(statements, anywhere=self.loose)
            gone = last_uses(statements, set(map(self.name, kept)))
            for statement, names in zip(statements, gone, strict=True):
                lines.append(f"{', '.join(statement.names)} = {statement.text}{self._note(statement.source)}")
                if names and delete and not (statement is statements[-1] and n + 1 == len(segments)):
                    lines.append(f"del {', '.join(names)}")
        return lines

    def closure(self, name: str, region: Region, inputs: Sequence[str], arguments: Sequence[str] = ()) -> list[str]:
        """A program inside of an instruction as a function that sees what is around it.

        Args:
            name: what it is called.
            region: the program.
            inputs: what stands for its inputs, as expressions.
            arguments: what the function is given.
        """
        self.called.update(zip(region.inputs, inputs, strict=True))
        lines = [f"    {line}" for line in self.block(region)]
        results = [self.operand(x, True) for x in region.outputs]
        return [f"def {name}({', '.join(arguments)}):", *lines, f"    return {', '.join(results)}"]

    def _note(self, source: Source) -> str:
        """The line of the user's code, as a comment."""
        if self.loose or not source.file:
            return ""
        file = "".join(c if c.isprintable() else "?" for c in source.file.rsplit("/", 1)[-1])
        return f"  # {file}:{source.line}"

    def inside(self, region: Region, inputs: Sequence[str], names: Sequence[str]) -> list[str]:
        """A program inside of an instruction, as indented lines.

        Args:
            region: the program.
            inputs: what stands for its inputs, as expressions.
            names: what its results are called.
        """
        self.called.update(zip(region.inputs, inputs, strict=True))
        lines = self.block(region)
        if names:
            results = [self.operand(x, True) for x in region.outputs]
            lines.append(f"{', '.join(names)} = {', '.join(results)}")
        return [f"    {line}" for line in lines or ["pass"]]

    def bound(self, inputs: Sequence[Value]) -> list[str]:
        """Where the symbols' sizes come from: an axis of an input, or a linear expression that is solved."""
        known: dict[str, str] = {}
        for solve in (False, True):
            for value in inputs:
                for axis, size in enumerate(value.type.shape):
                    if not isinstance(size, Dim):
                        continue
                    names = [s.name for s in size.symbols() if s.name not in known]
                    text = self.dialect.size.format(self.name(value), axis=axis)
                    if str(size) in names:
                        known[str(size)] = text
                    elif solve and len(names) == 1 and len(size._terms) <= 2:
                        rest = dict(size._terms)
                        factor = rest.pop(next(m for m in rest if m), 1)
                        offset = rest.get((), 0)
                        known[names[0]] = f"({text} - {offset}) // {factor}"
        if self.symbols and "size" in self.dialect.prelude:
            self.need("size")
        return [f"{self.names.get(name, name)} = {text}" for name, text in known.items() if name in self.symbols]

    def _renamed(self, program: P, function: str) -> dict[Value | str, str]:
        """Other names for values and symbols that would hide a module, a function or each other."""
        taken = {function, "arrays", "device", *dir(builtins), *self.dialect.prelude}
        taken |= set(re.findall(r"\w+$", self.dialect.imports, re.MULTILINE))
        sizes = [size for value in program.inputs for size in value.type.shape if isinstance(size, Dim)]
        symbols = {symbol.name for size in sizes for symbol in size.symbols()}
        values = (*program.inputs, *program.arrays, *assigned(program))
        given: list[tuple[Value | str, str]] = [(value, value.name) for value in values]
        given += [(name, name) for name in sorted(symbols)]
        names: dict[Value | str, str] = {}
        known = {name for _, name in given}
        for key, name in given:
            new = name
            while new in taken or (new != name and new in known):
                new += "_"
            taken.add(new)
            if new != name:
                names[key] = new
        return names


def _segments(region: Region) -> list[list[Instruction]]:
    """Expressions between choices and loops, which stand by themselves."""
    out: list[list[Instruction]] = [[]]
    for made in region.instructions:
        if made.operation in CONTROL:
            out += [[made], []]
        else:
            out[-1].append(made)
    return [segment for segment in out if segment]


def _users(region: Region, segments: Sequence[Sequence[Instruction]]) -> dict[Value, list[int]]:
    """The segments that use a value, as often as they do; -1 for the result."""
    users: dict[Value, list[int]] = {}
    for n, operands in enumerate([region.outputs, *([x for made in s for x in made.operands] for s in segments)], -1):
        for operand in operands:
            if isinstance(operand, Value):
                users.setdefault(operand, []).append(n)
    return users


def _transposes(segment: Sequence[Instruction], users: Mapping[Value, Sequence[int]]) -> dict[Value, Instruction]:
    """Matrix transposes whose one use is as an operand of a matrix product beside them."""
    multiplied = {x for made in segment if made.operation == "matmul" for x in made.operands}
    out = {}
    for made in segment:
        axes = made.attributes["axes"] if made.operation == "permute_dims" else ()
        value = made.results[0]
        swapped = len(axes) > 1 and axes == (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2)
        if swapped and value in multiplied and len(users[value]) == 1:
            out[value] = made
    return out


# -- choices and loops, which are Python's own ------------------------------------------------------------------------


def _cond(writer: Writer, made: Instruction) -> list[str]:
    condition, *operands = (writer.operand(x, True) for x in made.operands)
    names = [writer.name(value) for value in made.results]
    return [
        f"if {condition}:",
        *writer.inside(made.attributes["then"], operands, names),
        "else:",
        *writer.inside(made.attributes["otherwise"], operands, names),
    ]


def _while_loop(writer: Writer, made: Instruction) -> list[str]:
    operands = [writer.operand(x, True) for x in made.operands]
    states, test = made.attributes["states"], made.attributes["test"]
    names = [writer.name(value) for value in made.results]
    inputs = [*names, *operands[states:]]
    tested = writer.inside(test, inputs, ())
    return [
        f"{', '.join(names)} = {', '.join(operands[:states])}",
        "while True:",
        *(tested if test.instructions else ()),
        f"    if not {writer.operand(test.outputs[0], True)}:",
        "        break",
        *writer.inside(made.attributes["body"], inputs, names),
    ]


def _scan(writer: Writer, made: Instruction) -> list[str]:
    operands = [writer.operand(x, True) for x in made.operands]
    states, end = made.attributes["states"], made.attributes["states"] + made.attributes["scanned"]
    names, body = [writer.name(value) for value in made.results], made.attributes["body"]
    step = f"{names[0] if names else 'loop'}_step"
    length = writer.size(made.attributes["length"])
    inputs = [*names[:states], *(f"{x}[{step}]" for x in operands[states:end]), *operands[end:]]
    parts = [f"{name}_part" for name in names[states:]]
    lines = [f"{name} = []" for name in names[states:]]
    if states:
        lines.append(f"{', '.join(names[:states])} = {', '.join(operands[:states])}")
    steps = f"reversed(range({length}))" if made.attributes["reverse"] else f"range({length})"
    lines += [f"for {step} in {steps}:", *writer.inside(body, inputs, [*names[:states], *parts])]
    lines += [f"    {name}.append({part})" for name, part in zip(names[states:], parts, strict=True)]
    stacked = str(writer.dialect.rows["stack"])
    for name in names[states:]:
        pieces = f"*reversed({name})" if made.attributes["reverse"] else f"*{name}"
        lines.append(f"{name} = {stacked.format(all=pieces, axis=0)}")
    return lines


CONTROL: Mapping[str, Callable[[Writer, Instruction], list[str]]] = {
    "cond": _cond, "while_loop": _while_loop, "scan": _scan,
}  # fmt: skip
"""Operations that are statements, and no expression of a dialect."""
def kernel(function: Callable[..., Any], *needs: str) -> Row:
    """The row of an operation that is a function of the prelude, with operands by position, attributes by name."""

    def row(call: Call) -> str:
        for name in (*needs, function.__name__):
            call.writer.need(name)
        given = (*call.typed, *(f"{name}={text}" for name, text in call.attributes.items()))
        return f"{function.__name__}({', '.join(given)})"

    return row


def rounding(plain: Row, function: str, kinds: tuple[str, ...]) -> Row:
    """The row of a division that rounds, or of its rest.

    Args:
        plain: the row of the framework's own operator.
        function: that of the prelude which knows about zero and infinities.
        kinds: the kinds of data types that need it; whole numbers do where the divisor may be zero.
    """

    def row(call: Call) -> str:
        divisor = call.instruction.operands[1]
        safe = isinstance(divisor, Literal) and divisor.number != 0 and divisor.dtype.kind in ("int", "uint")
        if safe or call.types[0].dtype.kind not in kinds:
            return plain(call) if callable(plain) else plain.format(*call.texts)
        return f"{call.writer.need(function)}({', '.join(call.typed)})"

    return row


def number(value: complex) -> str:
    """A number as a Python expression.

    >>> number(0.5), number(-math.inf)
    ('0.5', "float('-inf')")
    """
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, float):
        return f"float({str(value)!r})"
    return f"complex({number(value.real)}, {number(value.imag)})"
