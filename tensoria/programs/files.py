"""Programs in files: one safetensors file, whose header holds the program as JSON and whose body holds its arrays.

Nothing in a file is run or unpickled. What is read is checked: the format's version, the lengths, a checksum of header
and arrays, the operations (only those of the table), and every type, which is inferred again. A file that fails is
refused, whatever it claims. Other programs read the arrays as those of any safetensors file.
"""

from __future__ import annotations

import hashlib
import json
import keyword
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tensoria import dtypes
from tensoria.dtypes import DType
from tensoria.errors import FileError, TensoriaError
from tensoria.planning import Pattern
from tensoria.programs import archives
from tensoria.programs.archives import Array
from tensoria.programs.base import BaseProgram, P
from tensoria.programs.dimensions import Dim, Size, Symbol, dim
from tensoria.programs.labels import axes_data, axes_from, pattern_data, pattern_from
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.passes.inlining import region
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.size_notation import parsed
from tensoria.programs.trees import NAMED, Tree
from tensoria.programs.types import Instruction, Literal, Operand, Region, Source, Type, Value, assigned

__all__ = ["load", "save"]

VERSION = 2
WORD = re.compile(r"\w*")
"""What attributes that are texts look like."""


# -- writing ----------------------------------------------------------------------------------------------------------


def save(program: P, path: str | os.PathLike[str]) -> None:
    """Write a program to a file, which appears whole or not at all.

    Args:
        program: any program.
        path: the file; one that is there is replaced.

    Raises:
        FileError: the file can not be written.
    """
    named: dict[str, tuple[Array, DType]] = {}
    data = _program_data(program, _names(program, "", named))
    # Programs of the same model in other modes have the parameters of this one, by name.
    data["modes"] = {
        mode: _program_data(other, _names(other, f"{mode}/", named)) for mode, other in program.modes.items()
    }
    body = [archives.bytes_of(array, of) for array, of in named.values()]
    text = json.dumps(data, ensure_ascii=False)
    metadata = {"tensoria": text, "tensoria_version": str(VERSION), "sha256": _checksum(text, body)}
    archives.write(Path(path), [archives.header(named, metadata), *body])


def _names(program: BaseProgram, prefix: str, named: dict[str, tuple[Array, DType]]) -> dict[Value, str]:
    """What a program's arrays are called in the file; those that it does not have yet are added."""
    paths = {value: name for name, value in program.parameters.items()}
    names = {value: paths.get(value, f"{prefix}{value.name}") for value in program.arrays}
    for value, name in names.items():
        named.setdefault(name, (program.arrays[value], value.type.dtype))
    return names


def _checksum(text: str, body: list[bytes]) -> str:
    total = hashlib.sha256(text.encode())
    for part in body:
        total.update(part)
    return total.hexdigest()


def _program_data(program: BaseProgram, names: Mapping[Value, str]) -> dict[str, Any]:
    numbers = {value: n for n, value in enumerate(program.values())}
    symbols = {s.name: s for value in program.values() for size in value.type.shape for s in _symbols(size)}
    symbols.update(
        {s.name: s for made in program.instructions for a in made.attributes.values() for s in _symbols_in(a)}
    )

    return {
        "name": program.name,
        "signature": list(program.signature),
        "sizes": [[s.name, s.lower, s.upper] for s in symbols.values()],
        "inputs": [_value_data(value) for value in program.inputs],
        "arrays": [[names[value], value in set(program.parameters.values()), _value_data(value)]
                   for value in program.arrays],
        "instructions": [_instruction_data(made, numbers) for made in program.instructions],
        "outputs": [_operand_data(x, numbers) for x in program.outputs],
        "output_axes": [axes_data(axes) for axes in program.output_axes],
        "updates": {name: _operand_data(x, numbers) for name, x in program.updates.items()},
        "trainable": [name for name in program.parameters if name in program.trainable],
        "aliases": dict(program.aliases),
        "keyed": program.key is not None,
        "input_tree": _tree_data(program.input_tree),
        "output_tree": _tree_data(program.output_tree),
    }  # fmt: skip


def _instruction_data(made: Instruction, numbers: Mapping[Value, int]) -> Any:
    return [
        made.operation,
        [_operand_data(x, numbers) for x in made.operands],
        {name: _attribute_data(value) for name, value in made.attributes.items()},
        [_value_data(value) for value in made.results],
        [made.source.file, made.source.line, made.source.module, made.source.call, made.source.kind],
    ]


def _operand_data(x: Operand, numbers: Mapping[Value, int]) -> Any:
    if isinstance(x, Value):
        return numbers[x]
    return {"number": _number_data(x.number), "dtype": x.dtype.name}


def _region_data(region: Region) -> Any:
    """A program inside of an instruction; its values are numbered by themselves."""
    made = [value for instruction in region.instructions for value in instruction.results]
    numbers = {value: n for n, value in enumerate((*region.inputs, *made))}
    return {
        "inputs": [_value_data(value) for value in region.inputs],
        "instructions": [_instruction_data(instruction, numbers) for instruction in region.instructions],
        "outputs": [_operand_data(x, numbers) for x in region.outputs],
    }


def _symbols(size: Size) -> frozenset[Symbol]:
    return size.symbols() if isinstance(size, Dim) else frozenset()


def _symbols_in(value: Any) -> set[Symbol]:
    if isinstance(value, Cut):
        value = (value.start, value.stop)
    if isinstance(value, Region):
        made = [v for instruction in value.instructions for v in instruction.results]
        inside = [a for instruction in value.instructions for a in instruction.attributes.values()]
        value = (*(size for v in (*value.inputs, *made) for size in v.type.shape), *inside)
    if isinstance(value, tuple):
        return {symbol for item in value for symbol in _symbols_in(item)}
    return set(_symbols(value))


def _value_data(value: Value) -> Any:
    return [value.name, value.type.dtype.name, [_size_data(n) for n in value.type.shape], axes_data(value.axes)]


def _size_data(size: Size) -> int | str:
    return str(size) if isinstance(size, Dim) else size


def _number_data(value: complex) -> Any:
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, complex):
        return {"real": _number_data(value.real), "imag": _number_data(value.imag)}
    return value if math.isfinite(value) else {"float": str(value)}


_CODES: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (DType, "dtype", lambda x: x.name),
    (Pattern, "pattern", pattern_data),
    (Dim, "size", str),
    (At, "at", lambda x: x.operand),
    (Cut, "cut", lambda x: [None if e is None else _size_data(e) for e in (x.start, x.stop)] + [x.step]),
    (tuple, "tuple", lambda x: [_attribute_data(item) for item in x]),
    (Region, "region", lambda x: _region_data(x)),
)
"""How attributes that JSON does not know are written."""


def _attribute_data(value: Any) -> Any:
    for kind, code, written in _CODES:
        if isinstance(value, kind):
            return {code: written(value)}
    if isinstance(value, (float, complex)):
        return {"number": _number_data(value)}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise FileError(f"an attribute of type {type(value).__name__} can not be written to a file.")


def _tree_data(tree: Tree) -> Any:
    if tree.kind == "static":
        return {"kind": "static", "value": _attribute_data(tree.value)}
    return {"kind": tree.kind, "keys": list(tree.keys), "children": [_tree_data(child) for child in tree.children]}


# -- reading ----------------------------------------------------------------------------------------------------------


def load(kind: type[P], path: str | os.PathLike[str]) -> P:
    """The program in a file.

    Args:
        kind: the class to make.
        path: what `save` wrote.

    Raises:
        FileError: the file is missing, damaged, cut short, of another version, or no program.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path} can not be read: {error.strerror or error}.") from error
    try:
        return _read(kind, content)
    except FileError as error:
        raise FileError(f"{path}: {error.message}") from None
    except (TensoriaError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise FileError(f"{path} is no valid program: {type(error).__name__}: {error}") from error


def _read(kind: type[P], content: bytes) -> P:
    entries, metadata, body = archives.opened(content)
    if "tensoria" not in metadata:
        raise FileError("the file holds arrays and no program.")
    if metadata.get("tensoria_version") != str(VERSION):
        raise FileError(f"the file has version {metadata.get('tensoria_version')!r}; this tensoria reads {VERSION}.")
    if metadata.get("sha256") != _checksum(metadata["tensoria"], [body]):
        raise FileError("the checksum is wrong: the file is damaged.")
    data, arrays = json.loads(metadata["tensoria"]), archives.arrays(entries, body)
    modes = {str(mode): _program(kind, other, arrays) for mode, other in data["modes"].items()}
    return _program(kind, data, arrays, modes)


def _is_name(given: Any) -> bool:
    return isinstance(given, str) and given.isidentifier() and not keyword.iskeyword(given)


class _Known:
    """The values that have been read, by number."""

    def __init__(self, sizes: Mapping[str, Dim]) -> None:
        self.sizes = sizes
        self.values: list[Value] = []

    def value(self, given: Any) -> Value:
        name, of, shape, labels = given
        if not _is_name(name):
            raise FileError(f"{name!r} names no value.")
        made = Value(Type(dtypes.dtype(of), tuple(_size(n, self.sizes) for n in shape)), name, axes_from(labels))
        self.values.append(made)
        return made

    def operand(self, given: Any) -> Operand:
        if isinstance(given, int) and not isinstance(given, bool):
            if not 0 <= given < len(self.values):
                raise FileError(f"value {given} is used before it is assigned.")
            return self.values[given]
        return Literal(_number(given["number"]), dtypes.dtype(given["dtype"]))


def _region(data: Mapping[str, Any], sizes: Mapping[str, Dim]) -> BaseProgram:
    known, into = _Known(sizes), Recorder()
    inputs = tuple(map(known.value, data["inputs"]))
    into.instructions += [_instruction(given, known.operand, known.value, sizes) for given in data["instructions"]]
    return region(into, inputs, [SymbolicArray(known.operand(x), into) for x in data["outputs"]])


def _program(
    kind: type[P], data: Mapping[str, Any], arrays: Mapping[str, Array], modes: Mapping[str, P] | None = None
) -> P:
    sizes = {name: dim(name, lower=lower, upper=upper) for name, lower, upper in data["sizes"]}
    known = _Known(sizes)
    value, operand = known.value, known.operand
    inputs = tuple(map(value, data["inputs"]))
    parameters: dict[str, Value] = {}
    held: dict[Value, Array] = {}
    for name, is_parameter, given in data["arrays"]:
        made = value(given)
        array = arrays[name]
        if array.shape != made.type.shape or array.dtype.name != made.type.dtype.name:
            raise FileError(f"the array {name!r} is {array.dtype}{array.shape}, and the program says {made.type}.")
        held[made] = array
        if is_parameter:
            parameters[name] = made
    instructions = [_instruction(given, operand, value, sizes) for given in data["instructions"]]
    program = kind(
        name=str(data["name"]),
        signature=tuple(map(str, data["signature"])),
        inputs=inputs,
        parameters=parameters,
        arrays=held,
        instructions=tuple(instructions),
        outputs=tuple(map(operand, data["outputs"])),
        input_tree=_tree(data["input_tree"], sizes),
        output_tree=_tree(data["output_tree"], sizes),
        output_axes=tuple(map(axes_from, data["output_axes"])),
        updates={str(name): operand(x) for name, x in data["updates"].items()},
        trainable=frozenset(map(str, data["trainable"])),
        aliases={str(name): str(other) for name, other in data["aliases"].items()},
        key=inputs[-1] if data["keyed"] else None,
        modes=modes or {},
    )
    for name in (*program.updates, *program.trainable, *program.aliases.values()):
        if name not in parameters:
            raise FileError(f"there is no parameter {name!r}.")
    for name, x in program.updates.items():
        if x.type != parameters[name].type:
            raise FileError(f"the parameter {name!r} is {parameters[name].type} and becomes {x.type}.")
    signature, trees = program.signature, program.input_tree.children
    if not all(map(_is_name, signature)) or not len(set(signature)) == len(signature) == len(trees):
        raise FileError(f"{', '.join(signature)} are no names of {len(trees)} arguments.")
    leaves = [sum(1 for _ in tree.names()) for tree in (program.input_tree, program.output_tree)]
    if leaves != [len(inputs), len(program.outputs)] or len(program.output_axes) != len(program.outputs):
        raise FileError("there are more or fewer arguments or results than there are places for them.")
    names = [made.name for made in (*inputs, *held, *assigned(program))]
    if len(set(names)) != len(names):
        raise FileError("two values have one name.")
    return program


def _instruction(
    given: Any, operand: Callable[[Any], Operand], value: Callable[[Any], Value], sizes: Mapping[str, Dim]
) -> Instruction:
    name, operands, attributes, results, (file, line, module, call, of) = given
    row = OPERATIONS.get(name)
    if row is None:
        raise FileError(f"there is no operation {name!r}.")
    read = tuple(map(operand, operands))
    known = {str(key): _attribute(item, sizes) for key, item in attributes.items()}
    _require_words(name, tuple(known.values()))
    types = row.infer(*(x.type for x in read), **known)
    made = tuple(map(value, results))
    if tuple(x.type for x in made) != types:
        raise FileError(f"{name} has results of {', '.join(map(str, types))}, and the file says otherwise.")
    return Instruction(name, read, known, made, Source(str(file), int(line), str(module), int(call), str(of)))


def _require_words(name: str, values: tuple[Any, ...]) -> None:
    """Attributes are written into source: their texts are names of rules and methods, and nothing else.

    Raises:
        FileError: they are something else.
    """
    for value in values:
        if isinstance(value, tuple):
            _require_words(name, value)
        elif isinstance(value, (list, dict)) or (isinstance(value, str) and not WORD.fullmatch(value)):
            raise FileError(f"{value!r} is no attribute of {name}.")


def _size(given: Any, sizes: Mapping[str, Dim]) -> Size:
    if isinstance(given, str):
        return parsed(given, sizes)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise FileError(f"{given!r} is no size.")
    return given


def _number(given: Any) -> Any:
    if isinstance(given, dict):
        if "float" in given:
            return float(given["float"])
        return complex(_number(given["real"]), _number(given["imag"]))
    if not isinstance(given, (bool, int, float)):
        raise FileError(f"{given!r} is no number.")
    return given


def _attribute(given: Any, sizes: Mapping[str, Dim]) -> Any:
    if not isinstance(given, dict):
        return given
    ((code, content),) = given.items()
    if code == "cut":
        start, stop, step = content
        first, last = (e if e is None or isinstance(e, int) else parsed(e, sizes) for e in (start, stop))
        return Cut(first, last, int(step))
    readers: dict[str, Callable[[Any], Any]] = {
        "dtype": dtypes.dtype, "pattern": pattern_from, "size": lambda x: parsed(x, sizes), "at": lambda x: At(int(x)),
        "number": _number, "region": lambda x: _region(x, sizes),
        "tuple": lambda x: tuple(_attribute(item, sizes) for item in x),
    }  # fmt: skip
    return readers[code](content)


def _tree(given: Any, sizes: Mapping[str, Dim]) -> Tree:
    if given["kind"] == "static":
        return Tree("static", value=_attribute(given["value"], sizes))
    if given["kind"] not in ("leaf", "list", "tuple", "namedtuple", "object", "dict"):
        raise FileError(f"{given['kind']!r} is no kind of container.")
    keys, children = tuple(given["keys"]), tuple(_tree(child, sizes) for child in given["children"])
    if given["kind"] in NAMED:
        words = list(filter(_is_name, keys))
        if not words or len(keys) != len(words) or len(set(words[1:])) != len(children):
            raise FileError(f"{keys!r} is no name of a type with those of its {len(children)} fields.")
    return Tree(given["kind"], keys, children)
