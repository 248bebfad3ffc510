"""A program as a module of Python with one class for each module of its source: readable, self-contained.

A class holds the parameters of one module and calls those inside of it, as the source does. Modules that read the same
are one class, made with different names. What a module needs beside its parameters are its arguments, in the order in
which it needs them; what others need of it is its result.
"""

from __future__ import annotations

import base64
import builtins
import dataclasses
import keyword
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensoria.discovery import get
from tensoria.errors import BackendError, TracingError
from tensoria.programs.base import BaseProgram
from tensoria.programs.dialects import Call, ClassStyle, Dialect, Row, Writer
from tensoria.programs.dimensions import Dim
from tensoria.programs.neutral import DIALECT
from tensoria.programs.parts import Part, parts, where_used
from tensoria.programs.passes import Chosen, lowered, remove_dead_code, stored
from tensoria.programs.source import identifier, within, written
from tensoria.programs.statements import numbered, renamed
from tensoria.programs.trees import Tree
from tensoria.programs.types import Instruction, Operand, Region, Source, Value, regions

__all__ = ["program_source"]

INSIDE = "call of a module"
"""The operation that stands for one; no program has it."""
FEW = 64
"""So many numbers a constant may have that is written out."""
LETTERS = ("x", "y", "z")
ATTRIBUTES = {*keyword.kwlist, "self", "name", "submodules", "variables", "trainable_variables"}
"""What no attribute is called."""
USED = {
    "complex", "enumerate", "float", "len", "map", "max", "min", "range", "reversed", "slice", "sorted", "sum", "tuple",
}  # fmt: skip
"""Functions of Python that generated code may call."""
CONTAINER = "layers"
"""What a list of modules is called that has no name of its own."""


@dataclass(eq=False)
class _Written:
    """A call of a module, as it was written.

    Attributes:
        method: the method's name.
        inputs: the values that it is given.
        sizes: the sizes that it is given.
        outputs: the values that it returns.
    """

    method: str
    inputs: list[Value]
    sizes: list[str]
    outputs: list[Value]


@dataclass(eq=False)
class _Class:
    """What is known of the modules at one path.

    Attributes:
        parameters: by attribute the path below this one, the value and the constant's array.
        children: paths of modules inside, by attribute or list.
        methods: the texts, by name.
    """

    path: str
    kind: str = ""
    parameters: dict[str, tuple[str, Value]] = field(default_factory=dict)
    constants: dict[str, Value] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    methods: dict[str, list[str]] = field(default_factory=dict)


class _ClassWriter:
    """A program on its way to classes."""

    def __init__(
        self, program: BaseProgram, dialect: Dialect, style: ClassStyle, backend: str,
        layouts: Mapping[str, tuple[int, ...]],
    ) -> None:  # fmt: skip
        self.program, self.dialect, self.style, self.layouts = program, dialect, style, layouts
        self.orders = dialect.orders(program)
        rows: dict[str, Row] = {**dialect.rows, INSIDE: _called}
        self.writer = Writer(_with_rows(dialect, rows), backend)
        self.writer.begin(program, "load")
        self.writer.frozen = frozenset(v for name, v in program.parameters.items() if name not in program.trainable)
        self.taken = {*dir(builtins), *dialect.prelude, *re.findall(r"\w+$", dialect.imports, re.MULTILINE)}
        self.taken |= {"self", "weights", "path", *keyword.kwlist}
        self.names = {value: name for name, value in program.parameters.items()}
        self.whole = parts(program.instructions)
        self.users = _users(program)
        self.classes: dict[str, _Class] = {}
        self.calls: dict[int, _Written] = {}
        self.texts: dict[str, str] = {}
        """The name of the class of each text."""
        self.made: dict[str, str] = {}
        """The name of the class at each path."""

    # -- what belongs where ---------------------------------------------------------------------------------------

    def text(self, weights: str) -> str:
        """The whole module."""
        self._flatten(self.whole)
        self._collect(self.whole)
        self._part(self.whole)
        name = within(self.program.name)
        head = [f'"""{name}, written for {self.writer.backend} by tensoria; `load` reads its weights."""']
        body: list[str] = []
        for path in self._bottom_up(""):
            body += self._class(path)
        packed = any("base64" in line for line in body)
        lines = [*head, "", *["import base64"] * packed, "import json", *["import zlib"] * packed, ""]
        lines += dict.fromkeys(("import numpy as np", self.dialect.imports))
        for needed in self.writer.needed:
            lines += ["", "", self.dialect.prelude[needed].strip("\n")]
        for text in filter(None, (self.style.functions.strip("\n"), READER)):
            lines += ["", "", text]
        lines += body
        lines += [
            "", "",
            f"def load(path={weights!r}):",
            '    """The model with the weights in a file of safetensors."""',
            f'    return {self.made[""]}(read(path), "")',
            "",
        ]  # fmt: skip
        return "\n".join(lines)

    def _flatten(self, part: Part) -> None:
        """Modules without parameters that say no more than one instruction stand where they are called."""
        items: list[Any] = []
        for item in part.items:
            if isinstance(item, Part):
                self._flatten(item)
                small = len(item.items) == 1 and not isinstance(item.items[0], Part)
                if small and not self._owned(item):
                    items += item.items
                    continue
            items.append(item)
        part.items = items

    def _owned(self, part: Part) -> bool:
        return any(name.startswith(f"{part.path}.") for name in self._used(part))

    def _used(self, part: Part) -> list[str]:
        return [self.names[x] for made in part.instructions() for x in _values(made) if x in self.names]

    def _collect(self, part: Part) -> None:
        """The classes, and which modules are inside of which."""
        own = self.classes.setdefault(part.path, _Class(part.path))
        own.kind = own.kind or part.kind
        for item in part.items:
            if isinstance(item, Part):
                below = item.path[len(part.path) + 1 :] if part.path else item.path
                *above, last = below.split(".")
                name = "_".join(above) or CONTAINER if last.isdigit() else below.replace(".", "_")
                listed = own.children.setdefault(_free(name, ATTRIBUTES), [])
                if item.path not in listed:
                    listed.append(item.path)
                self._collect(item)

    def _bottom_up(self, path: str) -> list[str]:
        found: list[str] = []
        for listed in self.classes[path].children.values():
            for inner in listed:
                found += [x for x in self._bottom_up(inner) if x not in found]
        return [*found, path]

    def _accessor(self, path: str, below: str) -> str:
        """How a module below another one is reached from it."""
        for name, listed in self.classes[path].children.items():
            if below in listed:
                return f"self.{name}[{listed.index(below)}]" if _is_list(below) else f"self.{name}"
        raise KeyError(below)

    # -- calls ----------------------------------------------------------------------------------------------------

    def _part(self, part: Part) -> _Written:
        """Write a call of a module, after those inside of it."""
        instructions: list[Instruction] = []
        for item in part.items:
            if not isinstance(item, Part):
                instructions.append(item)
                continue
            made = self._part(item)
            text = self._accessor(part.path, item.path)
            text += "" if made.method == self.style.method else f".{made.method}"
            if made.outputs:
                attributes = {"function": text, "sizes": tuple(made.sizes)}
                instructions.append(
                    Instruction(INSIDE, tuple(made.inputs), attributes, tuple(made.outputs), Source())
                )
        inside = {value for made in instructions for value in made.results}
        inputs, own = self._read(part, instructions, inside)
        written = _Written(self.style.method, inputs, [], self._returned(part, inside))
        names = self._named(part, instructions, written, own)
        lines = self._body(part, instructions, written, names, self.taken)
        self._keep(part, written, lines)
        return written

    def _read(
        self, part: Part, instructions: Sequence[Instruction], inside: set[Value]
    ) -> tuple[list[Value], dict[Value, str]]:
        """What a module is given, and what it has itself: by value its expression."""
        if part is self.whole:
            inputs = list(self.program.inputs)
        else:
            inputs = []
        own: dict[Value, str] = {}
        operands = [x for made in instructions for x in _values(made)]
        if part is self.whole:
            operands += [x for x in (*self.program.outputs, *self.program.updates.values()) if isinstance(x, Value)]
        for x in operands:
            if x in inside or x in own or x in inputs:
                continue
            if x in self.names and (not part.path or self.names[x].startswith(f"{part.path}.")):
                below = self.names[x][len(part.path) + 1 :] if part.path else self.names[x]
                own[x] = self._parameter(part.path, below, x)
            elif x in self.program.arrays and x not in self.names:
                held = self.classes[part.path].constants
                name = next((n for n, value in held.items() if value is x), f"constant{len(held) + 1}")
                held[name] = x
                own[x] = f"self.{name}"
            else:
                inputs.append(x)
        return inputs, own

    def _parameter(self, path: str, below: str, value: Value) -> str:
        """The expression of a parameter: the module's own, or that of one inside of it."""
        for name, listed in self.classes[path].children.items():
            for inner in listed:
                start = inner[len(path) + 1 :] if path else inner
                if below.startswith(f"{start}."):
                    text = f"self.{name}[{listed.index(inner)}]" if _is_list(inner) else f"self.{name}"
                    rest = self._parameter(inner, below[len(start) + 1 :], value)
                    return f"{text}.{rest.removeprefix('self.')}"
        name = re.sub(r"\W", "_", below)
        name = f"_{name}" if name[0].isdigit() else _free(name, ATTRIBUTES)
        self.classes[path].parameters[name] = (below, value)
        return f"self.{name}"

    def _returned(self, part: Part, inside: set[Value]) -> list[Value]:
        """What others need of a module."""
        if part is self.whole:
            return []
        own = {id(made) for made in part.instructions()}
        return [value for made in part.instructions() for value in made.results
                if value in inside and any(user not in own for user in self.users.get(value, ()))]  # fmt: skip

    def _named(
        self, part: Part, instructions: Sequence[Instruction], written: _Written, own: Mapping[Value, str]
    ) -> dict[Value | str, str]:
        """What values are called inside of a module."""
        taken = set(self.taken)
        names: dict[Value | str, str] = {}
        names.update(own.items())
        letters = iter((*LETTERS, *(f"x{n}" for n in range(4, 1000))))
        for value in written.inputs:
            if part is self.whole:
                names[value] = _free(value.name, (taken - set(dir(builtins))) | USED)
            else:
                names[value] = _free(next(letters), taken)
            taken.add(names[value])
        symbols = {s.name for size in _sizes(self.program) for s in size.symbols()}
        for symbol in sorted(symbols):
            names[symbol] = _free(symbol, taken)
            taken.add(names[symbol])
        for made in instructions:
            for value in made.results:
                wanted = "h"
                if made.operation == INSIDE:
                    wanted = re.sub(r"\[.*", "", str(made.attributes["function"]).removeprefix("self.")).split(".")[0]
                names[value] = numbered(wanted, taken)
                taken.add(names[value])
        for made in instructions:
            for region in regions(made).values():
                for value in _inner(region):
                    names[value] = numbered("h", taken)
                    taken.add(names[value])
        return names

    def _body(
        self, part: Part, instructions: Sequence[Instruction], written: _Written, names: dict[Value | str, str],
        taken: set[str],
    ) -> list[str]:  # fmt: skip
        """A method."""
        writer = self.writer
        writer.names, writer.symbols, writer.loose = names, set(), True
        first = next((x for x in written.inputs if x not in self.names), None)
        writer.device = self.dialect.device.format(names[first]) if first is not None and self.dialect.device else ""
        outputs: Sequence[Operand] = written.outputs
        updates: list[tuple[str, Operand]] = []
        if part is self.whole:
            outputs = self.program.outputs
            for name, x in self.program.updates.items():
                updates.append((self._parameter("", name, self.program.parameters[name]), x))
        lines = writer.block(_Body(tuple(instructions), (*outputs, *(x for _, x in updates))))
        bound = writer.bound(written.inputs)
        known = {line.partition(" = ")[0] for line in bound}
        written.sizes = [symbol for symbol in sorted(writer.symbols) if names.get(symbol, symbol) not in known]
        arguments, unpacked = self._arguments(part, written, names)
        for text, x in updates:
            lines.append(self.style.assign.format(text, value=writer.operand(x, True)))
        returned = [writer.operand(x, True) for x in outputs]
        if part is self.whole:
            result = _tree(self.program.output_tree, iter(returned))
            if result.startswith("(") and len(self.program.output_tree.children) > 1:
                result = result[1:-1]
        else:
            result = ", ".join(returned)
        *lines, result = renamed([*lines, result], taken)
        lines, result = _folded(lines, result)
        sizes = [names.get(symbol, symbol) for symbol in written.sizes]
        head = f"def {{method}}({', '.join(['self', *arguments, *sizes])}):"
        return [head, *(f"    {line}" for line in (*unpacked, *bound, *lines)), f"    return {result}"]

    def _arguments(
        self, part: Part, written: _Written, names: Mapping[Value | str, str]
    ) -> tuple[list[str], list[str]]:
        """A method's arguments, and the lines that take tensors out of nested ones."""
        if part is not self.whole:
            return [names[value] for value in written.inputs], []
        values = iter(self.program.inputs)
        arguments, lines = [], []
        for name, tree in zip(self.program.signature, self.program.input_tree.children, strict=True):
            places = list(_places(tree))
            if not places:
                continue
            if places == [""]:
                arguments.append(names[next(values)])
                continue
            arguments.append(_free(name, (self.taken - set(dir(builtins))) | USED))
            lines += [f"{names[next(values)]} = {arguments[-1]}{place}" for place in places]
        return arguments, lines

    def _keep(self, part: Part, written: _Written, lines: list[str]) -> None:
        """A method under the usual name, or under another one if this module is called in several ways."""
        methods = self.classes[part.path].methods
        text = [*lines]
        for name, known in methods.items():
            if known == text:
                written.method = name
                return
        written.method = self.style.method if not methods else f"call{len(methods) + 1}"
        methods[written.method] = text

    # -- classes --------------------------------------------------------------------------------------------------

    def _class(self, path: str) -> list[str]:
        """A class, unless there is one that reads the same."""
        own, style = self.classes[path], self.style
        inside: list[str] = []
        for name, (below, value) in own.parameters.items():
            template = style.parameter if self.names[value] in self.program.trainable else style.buffer
            layout, back = self.dialect.laid(self.layouts.get(self.names[value]), self.orders.get(value))
            expression = f'path + "{within(below)}"'
            inside.append(template.format(
                name=name, path=expression, layout=layout, back=back, array=f"weights[{expression}]",
                dtype=self.dialect.dtype(value.type.dtype),
            ))  # fmt: skip
        for name, value in own.constants.items():
            array, dtype = _literal(self.program.arrays[value]), self.dialect.dtype(value.type.dtype)
            inside.append(style.constant.format(name=name, array=array, dtype=dtype))
        for name, listed in own.children.items():
            inside += self._children(path, name, listed)
        uses = bool(inside) or bool(style.base)
        lines = ["    def __init__(self, weights, path):"]
        if style.base:
            lines.append("        super().__init__()")
        lines += [f"        {line}" for line in inside] if uses else ["        pass"]
        for name, method in own.methods.items():
            lines.append("")
            lines += [f"    {line}" for line in (method[0].format(method=name), *method[1:])]
        text = "\n".join(lines)
        if text in self.texts and path:
            self.made[path] = self.texts[text]
            return []
        name = self._class_name(path, own.kind)
        self.texts[text] = self.made[path] = name
        head = f"class {name}({style.base}):" if style.base else f"class {name}:"
        return ["", "", head, text]

    def _children(self, path: str, name: str, listed: Sequence[str]) -> list[str]:
        below = [inner[len(path) + 1 :] if path else inner for inner in listed]
        if not _is_list(listed[0]):
            return [f'self.{name} = {self.made[listed[0]]}(weights, path + "{within(below[0])}.")']
        kinds = [self.made[inner] for inner in listed]
        numbers = [int(text.rpartition(".")[2]) for text in below]
        start = below[0].rpartition(".")[0]
        if len(set(kinds)) == 1 and len(listed) > 1 and numbers == [*range(len(numbers))]:
            prefix = within(f"{start}." if start else "").replace("{", "{{").replace("}", "}}")
            items = f'[{kinds[0]}(weights, f"{{path}}{prefix}{{n}}.") for n in range({len(numbers)})]'
        else:
            each = [f'{kind}(weights, path + "{within(b)}.")' for kind, b in zip(kinds, below, strict=True)]
            items = f"[{', '.join(each)}]"
        return [f"self.{name} = {self.style.several.format(items=items)}"]

    def _class_name(self, path: str, kind: str) -> str:
        name = kind.rpartition(".")[2]
        if not path:
            name = identifier(self.program.name)
        if not name:
            last = next((x for x in reversed(path.split(".")) if not x.isdigit()), "Module")
            name = "".join(word[:1].upper() + word[1:] for word in last.split("_"))
            if path.rpartition(".")[2].isdigit():
                name = f"{name}Item" if name.endswith("s") else name
        name = identifier(name)
        return numbered(name, {*self.texts.values(), *self.taken})


@dataclass(frozen=True, eq=False)
class _Body(Region):
    """Instructions of one module, among them calls of others."""

    instructions: tuple[Instruction, ...]
    outputs: tuple[Operand, ...]
    inputs: tuple[Value, ...] = ()


def _called(call: Call) -> str:
    names = call.writer.names
    sizes = []
    for symbol in call.of("sizes"):
        call.writer.symbols.add(symbol)
        sizes.append(names.get(symbol, symbol))
    return f"{call.of('function')}({', '.join((*call.typed, *sizes))})"


def _with_rows(dialect: Dialect, rows: Mapping[str, Row]) -> Dialect:
    return dataclasses.replace(dialect, rows=rows)


def _values(made: Instruction) -> list[Value]:
    return [x for x in made.operands if isinstance(x, Value)]


def _users(program: BaseProgram) -> dict[Value, list[int]]:
    """The instructions that use a value; 0 for the program's results."""
    users: dict[Value, list[int]] = {}
    for made in program.instructions:
        for x in _values(made):
            users.setdefault(x, []).append(id(made))
    for result in (*program.outputs, *program.updates.values()):
        if isinstance(result, Value):
            users.setdefault(result, []).append(0)
    return users


def _inner(region: Region) -> list[Value]:
    found = [*region.inputs]
    for made in region.instructions:
        found += made.results
        for inner in regions(made).values():
            found += _inner(inner)
    return found


def _sizes(program: BaseProgram) -> list[Dim]:
    return [size for value in program.inputs for size in value.type.shape if isinstance(size, Dim)]


def _is_list(path: str) -> bool:
    return path.rpartition(".")[2].isdigit()


def _free(name: str, taken: set[str]) -> str:
    name = re.sub(r"\W", "_", name)
    name = f"_{name}" if not name or name[0].isdigit() else name
    while name in taken:
        name += "_"
    return name


def _places(tree: Tree, place: str = "") -> list[str]:
    """How each tensor of a nested argument is reached."""
    if tree.kind == "leaf":
        return [place]
    if tree.kind == "object":
        fields = zip(tree.keys[1:], tree.children, strict=True)
        return [x for key, child in fields for x in _places(child, f"{place}.{key}")]
    keys = tree.keys if tree.kind == "dict" else range(len(tree.children))
    return [x for key, child in zip(keys, tree.children, strict=True) for x in _places(child, f"{place}[{key!r}]")]


def _tree(tree: Tree, leaves: Any) -> str:
    """A result in its structure, as an expression."""
    if tree.kind == "leaf":
        return str(next(leaves))
    if tree.kind == "static":
        return repr(tree.value)
    inside = [_tree(child, leaves) for child in tree.children]
    if tree.kind in ("dict", "object"):
        keys = tree.keys if tree.kind == "dict" else tree.keys[1:]
        return "{" + ", ".join(f"{key!r}: {x}" for key, x in zip(keys, inside, strict=True)) + "}"
    if tree.kind == "list":
        return f"[{', '.join(inside)}]"
    return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"


def _folded(lines: list[str], result: str) -> tuple[list[str], str]:
    """`return f(x)` for `y = f(x)` and `return y`."""
    if lines and result.isidentifier() and lines[-1].startswith(f"{result} = "):
        return lines[:-1], lines[-1].removeprefix(f"{result} = ").partition("  # ")[0]
    return lines, result


def _literal(array: np.ndarray[Any, Any]) -> str:
    """A constant's numbers as an expression of NumPy."""
    kind, flat = array.dtype.name, array.reshape(-1)
    shape = "" if array.ndim == 1 else f".reshape({array.shape})"
    if array.size > 4 and (flat == flat[0]).all() and flat[0] == 0:
        return f"np.zeros({array.shape}, {kind!r})"
    if array.size > 4 and array.dtype.kind in "iu" and (flat == np.arange(array.size)).all():
        return f"np.arange({array.size}, dtype={kind!r}){shape}"
    if array.size <= FEW and (array.dtype.kind in "iub" or (array.dtype.kind == "f" and np.isfinite(flat).all())):
        return f"np.array({array.tolist()}, {kind!r})"
    text = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes())).decode()
    return f'np.frombuffer(zlib.decompress(base64.b85decode({text!r})), {kind!r}).reshape({array.shape})'


READER = '''def read(path):
    """The arrays in a file of safetensors, by name."""
    kinds = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1",
             "U16": "u2", "U32": "u4", "U64": "u8", "BOOL": "?", "C64": "c8", "C128": "c16", "BF16": "u2"}
    with open(path, "rb") as file:
        header, data = json.loads(file.read(int.from_bytes(file.read(8), "little"))), file.read()
    header.pop("__metadata__", None)
    arrays = {}
    for name, of in header.items():
        array = np.frombuffer(data[slice(*of["data_offsets"])], kinds[of["dtype"]]).reshape(of["shape"])
        arrays[name] = (array.astype("u4") << 16).view("f4") if of["dtype"] == "BF16" else array
    return arrays'''


def program_source(program: BaseProgram, backend: str, form: str | None, passes: Chosen) -> str:
    """A program as a module of Python.

    Args:
        program: the program.
        backend: the framework's name, or "tensoria".
        form: "classes", "function", or None for classes where instructions know their modules.
        passes: the optimisations before.

    Raises:
        BackendError: the backend can not be written, or lacks an operation.
        TracingError: there is no such form, or no pass of that name.
    """
    dialect: Dialect = DIALECT if backend == "tensoria" else get(backend).dialect()
    if form not in (None, "classes", "function"):
        raise TracingError(f"there is no form {form!r} of source.", legal='"classes" or "function"')
    known = any(made.source.module for made in program.instructions)
    if form == "function" or dialect.classes is None or not (known or form == "classes"):
        if form == "classes":
            raise BackendError(f"the {backend} backend writes no classes.", legal='form="function"')
        return written(program, dialect, backend, passes)
    made = lowered(program, passes, dialect.rows, also=dialect.passes, updates=True)
    layouts: dict[str, tuple[int, ...]] = {}
    if dialect.stores:
        made, layouts = stored(made)
    made = remove_dead_code(dataclasses.replace(made, instructions=where_used(made.instructions)))
    return _ClassWriter(made, dialect, dialect.classes, backend, layouts).text("weights.safetensors")
