"""A program written out as Python for one framework: readable, self-contained, without tensoria.

Each backend has a table, `SOURCE`, from operations to text (see `Dialect`). A row is a template, whose fields are the
operands by number and the attributes by name, or a function that is given the whole `Call` where text depends on
types. What no expression of the framework says in one line stands as a function in the module's prelude, once, and
only if it is used.
"""

from __future__ import annotations

import keyword
import linecache
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tensoria.dtypes import DType
from tensoria.errors import BackendError
from tensoria.programs.base import P
from tensoria.programs.dimensions import Call as SizeCall
from tensoria.programs.dimensions import Dim, Size, Symbol
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.passes import lowered
from tensoria.programs.types import Instruction, Operand, Region, Type, Value

__all__ = ["Call", "Dialect", "Row", "Rows", "compiled", "written"]


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
    def result(self) -> Type:
        """The type of the (first) result."""
        return self.instruction.results[0].type


Row: TypeAlias = str | Callable[[Call], str]
Rows: TypeAlias = Mapping[str, Row]


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
        prelude: functions that rows may need, by name; their source.
        functions: what sizes use, by name (`min`, `max`).
    """

    imports: str
    rows: Rows
    scalars: frozenset[str]
    dtype: Callable[[DType], str]
    size: str
    literal: str
    array: str
    device: str = ""
    prelude: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=lambda: {"min": "min", "max": "max"})


class Writer:
    """Collects the lines of one module."""

    def __init__(self, dialect: Dialect, backend: str) -> None:
        self.dialect, self.backend = dialect, backend
        self.needed: dict[str, None] = {}
        self.called: dict[Value, str] = {}
        """What stands for the inputs of programs inside of instructions."""
        self.device = ""
        """The device of the first input, as an expression; empty without inputs."""

    def need(self, name: str) -> str:
        """A function of the prelude, which will be written; its name."""
        self.needed[name] = None
        return name

    @property
    def placed(self) -> str:
        """The argument that makes an array where the first input is."""
        return f", device={self.device}" if self.device else ""

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
            return atom.name
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

    def operand(self, operand: Operand, typed: bool) -> str:
        """An operand as an expression."""
        if isinstance(operand, Value):
            return self.called.get(operand, operand.name)
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
        bare = made.operation in self.dialect.scalars and any(isinstance(x, Value) for x in made.operands)
        typed = tuple(self.operand(x, True) for x in made.operands)
        texts = tuple(self.operand(x, False) for x in made.operands) if bare else typed
        positions = typed[2:] if made.operation in ("setitem", "add_at") else typed[1:]
        attributes = {name: self.attribute(value, positions) for name, value in made.attributes.items()}
        if callable(row):
            return row(Call(made, texts, typed, attributes, self))
        return row.format(*texts, all=", ".join(texts), placed=self.placed, **attributes)

    def function(self, program: P, *, name: str) -> list[str]:
        """The program as a function of native arrays by position; constants and parameters are the module's."""
        self.device = self.dialect.device.format(program.inputs[0].name) if program.inputs else ""
        lines = [f"def {name}({', '.join(value.name for value in program.inputs)}):"]
        lines += [f"    {line}" for line in self._bound(program)]
        lines += [f"    {line}" for line in self.block(program)]
        returned = [self.operand(operand, True) for operand in program.outputs]
        lines.append(f"    return {', '.join(returned)}{',' if len(returned) == 1 else ''}")
        return lines

    def block(self, region: Region) -> list[str]:
        """The instructions of a program, as lines."""
        lines: list[str] = []
        for made in region.instructions:
            note = f"  # {made.source.file.rsplit('/', 1)[-1]}:{made.source.line}" if made.source.file else ""
            if (written := CONTROL.get(made.operation)) is not None:
                first, *rest = written(self, made)
                lines += [f"{first}{note}", *rest]
                continue
            results = ", ".join(value.name for value in made.results)
            lines.append(f"{results} = {self.expression(made)}{note}")
        return lines

    def inside(self, region: Region, inputs: Sequence[str], names: Sequence[str]) -> list[str]:
        """A program inside of an instruction, as indented lines.

        Args:
            inputs: what stands for its inputs, as expressions.
            names: what its results are called.
        """
        self.called.update(zip(region.inputs, inputs, strict=True))
        lines = self.block(region)
        if names:
            results = [self.operand(x, True) for x in region.outputs]
            lines.append(f"{', '.join(names)} = {', '.join(results)}")
        return [f"    {line}" for line in lines or ["pass"]]

    def _bound(self, program: P) -> list[str]:
        """Where the symbols' sizes come from: an axis of an input, or a linear expression that is solved."""
        known: dict[str, str] = {}
        for solve in (False, True):
            for value in program.inputs:
                for axis, size in enumerate(value.type.shape):
                    if not isinstance(size, Dim):
                        continue
                    names = [s.name for s in size.symbols() if s.name not in known]
                    text = self.dialect.size.format(value.name, axis=axis)
                    if str(size) in names:
                        known[str(size)] = text
                    elif solve and len(names) == 1 and len(size._terms) <= 2:
                        rest = dict(size._terms)
                        factor = rest.pop(next(m for m in rest if m), 1)
                        offset = rest.get((), 0)
                        known[names[0]] = f"({text} - {offset}) // {factor}"
        used = {s.name for made in program.instructions for a in made.attributes.values() for s in _symbols_in(a)}
        return [f"{name} = {text}" for name, text in known.items() if name in used]


def _symbols_in(value: Any) -> list[Symbol]:
    if isinstance(value, Dim):
        return list(value.symbols())
    if isinstance(value, tuple):
        return [symbol for item in value for symbol in _symbols_in(item)]
    if isinstance(value, Cut):
        return _symbols_in((value.start, value.stop))
    if isinstance(value, Region):
        return [symbol for made in value.instructions for a in made.attributes.values() for symbol in _symbols_in(a)]
    return []


# -- choices and loops, which are Python's own ------------------------------------------------------------------------


def _cond(writer: Writer, made: Instruction) -> list[str]:
    condition, *operands = (writer.operand(x, True) for x in made.operands)
    names = [value.name for value in made.results]
    return [
        f"if {condition}:",
        *writer.inside(made.attributes["then"], operands, names),
        "else:",
        *writer.inside(made.attributes["otherwise"], operands, names),
    ]


def _while_loop(writer: Writer, made: Instruction) -> list[str]:
    operands = [writer.operand(x, True) for x in made.operands]
    states, test = made.attributes["states"], made.attributes["test"]
    names = [value.name for value in made.results]
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
    names, body = [value.name for value in made.results], made.attributes["body"]
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


def written(program: P, dialect: Dialect, backend: str) -> str:
    """The program as a module: a function of its inputs, and a class-free list of the arrays that it needs.

    Raises:
        BackendError: the backend has no row for an operation.
    """
    program = lowered(program)
    writer = Writer(dialect, backend)
    name = identifier(program.name)
    body = writer.function(program, name=name)
    lines = [f'"""The program {program.name!r}, written for {backend} by tensoria."""', "", dialect.imports, ""]
    for needed in writer.needed:
        lines += ["", dialect.prelude[needed].strip("\n"), ""]
    if program.arrays:
        paths = {value: path for path, value in program.parameters.items()}
        names = [value.name for value in program.arrays]
        lines += [
            "",
            f"def load(arrays{', device=None' if dialect.device else ''}):",
            '    """Set the constants and parameters: a mapping from their names to arrays of NumPy."""',
            f"    global {', '.join(names)}",
        ]
        lines += [
            f"    {value.name} = {_loaded(dialect, value, paths.get(value, value.name))}" for value in program.arrays
        ]
        lines.append("")
    return "\n".join([*lines, "", *body, ""])


def _loaded(dialect: Dialect, value: Value, path: str) -> str:
    return dialect.array.format(array=f"arrays[{path!r}]", dtype=dialect.dtype(value.type.dtype))


def identifier(name: str) -> str:
    """A name that a function may have."""
    text = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return f"{text}_" if keyword.iskeyword(text) or not text or text[0].isdigit() else text


_count = 0
_counting = threading.Lock()


def compiled(program: P, dialect: Dialect, backend: str) -> tuple[Callable[..., Any], str]:
    """The program as a Python function of native arrays (positional, one for each input), and its source.

    The function calls the framework and nothing else. Its source is registered with `linecache`, so that tracebacks
    show it.
    """
    global _count
    text = written(program, dialect, backend)
    with _counting:
        _count += 1
        file = f"<tensoria {program.name} for {backend}, {_count}>"
    module: dict[str, Any] = {}
    exec(compile(text, file, "exec"), module)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    if program.arrays:
        paths = {value: path for path, value in program.parameters.items()}
        module["load"]({paths.get(value, value.name): array for value, array in program.arrays.items()})
    function: Callable[..., Any] = module[identifier(program.name)]
    return function, text
