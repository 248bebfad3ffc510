"""Programs in files: one safetensors file, whose header holds the program as JSON and whose body holds its arrays.

Nothing in a file is run or unpickled. What is read is checked: the format's version, the lengths, a checksum of header
and arrays, the operations (only those of the table), and every type, which is inferred again. A file that fails is
refused, whatever it claims. Other programs read the arrays as those of any safetensors file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tensoria import dtypes
from tensoria.dtypes import DType
from tensoria.errors import FileError, TensoriaError
from tensoria.planning import Pattern
from tensoria.programs.base import BaseProgram, P
from tensoria.programs.dimensions import Dim, Size, Symbol, dim, parsed
from tensoria.programs.labels import axes_data, axes_from, pattern_data, pattern_from
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.passes.inlining import region
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.trees import Tree
from tensoria.programs.types import Instruction, Literal, Operand, Region, Source, Type, Value, assigned

__all__ = ["load", "save"]

VERSION = 1
LONGEST_HEADER = 100_000_000
STORED = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex64": "C64", "complex128": "C128",
}  # fmt: skip
"""safetensors' names of data types."""
NAMED = {text: name for name, text in STORED.items()}


# -- writing ----------------------------------------------------------------------------------------------------------


def save(program: P, path: str | os.PathLike[str]) -> None:
    """Write a program to a file, which appears whole or not at all.

    Args:
        program: any program.
        path: the file; one that is there is replaced.

    Raises:
        FileError: the file can not be written.
    """
    numbers = {value: n for n, value in enumerate(program.values())}
    paths = {value: name for name, value in program.parameters.items()}
    names = {value: paths.get(value, value.name) for value in program.arrays}
    body, entries, offset = [], {}, 0
    for value, array in program.arrays.items():
        data = _bytes(array, value.type.dtype)
        entries[names[value]] = {
            "dtype": STORED[value.type.dtype.name],
            "shape": list(value.type.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
        body.append(data)
    text = json.dumps(_program_data(program, numbers, names), ensure_ascii=False)
    metadata = {"tensoria": text, "tensoria_version": str(VERSION), "sha256": _checksum(text, body)}
    header = json.dumps({"__metadata__": metadata, **entries}, ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    _write(Path(path), [len(header).to_bytes(8, "little"), header, *body])


def _write(path: Path, parts: list[bytes]) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"{path} can not be written: {error.strerror or error}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise FileError(f"{path} can not be written: {error.strerror or error}.") from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _bytes(array: np.ndarray[Any, Any], of: DType) -> bytes:
    if of is dtypes.bfloat16 and array.dtype.name != "bfloat16":
        import ml_dtypes

        array = array.astype(ml_dtypes.bfloat16)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _checksum(text: str, body: list[bytes]) -> str:
    total = hashlib.sha256(text.encode())
    for part in body:
        total.update(part)
    return total.hexdigest()


def _program_data(program: P, numbers: Mapping[Value, int], names: Mapping[Value, str]) -> dict[str, Any]:
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
        "input_tree": _tree_data(program.input_tree),
        "output_tree": _tree_data(program.output_tree),
    }  # fmt: skip


def _instruction_data(made: Instruction, numbers: Mapping[Value, int]) -> Any:
    return [
        made.operation,
        [_operand_data(x, numbers) for x in made.operands],
        {name: _attribute_data(value) for name, value in made.attributes.items()},
        [_value_data(value) for value in made.results],
        [made.source.file, made.source.line, made.source.module, made.source.call],
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
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(LONGEST_HEADER, len(content) - 8):
        raise FileError("the file is cut short, or no safetensors file.")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__", {}) if isinstance(header, dict) else {}
    if "tensoria" not in metadata:
        raise FileError("the file holds arrays and no program.")
    if metadata.get("tensoria_version") != str(VERSION):
        raise FileError(f"the file has version {metadata.get('tensoria_version')!r}; this tensoria reads {VERSION}.")
    body = content[8 + length :]
    if metadata.get("sha256") != _checksum(metadata["tensoria"], [body]):
        raise FileError("the checksum is wrong: the file is damaged.")
    return _program(kind, json.loads(metadata["tensoria"]), _arrays(header, body))


def _arrays(header: Mapping[str, Any], body: bytes) -> dict[str, np.ndarray[Any, Any]]:
    found, end = {}, 0
    for name, entry in header.items():
        of = dtypes.dtype(NAMED[entry["dtype"]])
        start, stop = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if any(not isinstance(n, int) or n < 0 for n in shape) or start != end:
            raise FileError(f"the array {name!r} has no valid place.")
        if stop - start != math.prod(shape) * of.itemsize or stop > len(body):
            raise FileError(f"the array {name!r} has {stop - start} bytes, and not those of its shape {shape}.")
        found[name] = np.frombuffer(body[start:stop], dtype=_numpy_dtype(of)).reshape(shape)
        end = stop
    if end != len(body):
        raise FileError(f"{len(body) - end} bytes belong to no array.")
    return found


def _numpy_dtype(of: DType) -> Any:
    if of is dtypes.bfloat16:
        try:
            import ml_dtypes
        except ImportError as error:
            raise FileError("bfloat16 arrays need ml_dtypes.", legal="pip install ml_dtypes") from error
        return ml_dtypes.bfloat16
    return np.dtype(of.name).newbyteorder("<")


class _Known:
    """The values that have been read, by number."""

    def __init__(self, sizes: Mapping[str, Dim]) -> None:
        self.sizes = sizes
        self.values: list[Value] = []

    def value(self, given: Any) -> Value:
        name, of, shape, labels = given
        if not isinstance(name, str) or not name.isidentifier():
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


def _program(kind: type[P], data: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> P:
    sizes = {name: dim(name, lower=lower, upper=upper) for name, lower, upper in data["sizes"]}
    known = _Known(sizes)
    value, operand = known.value, known.operand
    inputs = tuple(map(value, data["inputs"]))
    parameters: dict[str, Value] = {}
    held: dict[Value, np.ndarray[Any, Any]] = {}
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
    )
    names = [made.name for made in (*inputs, *held, *assigned(program))]
    if len(set(names)) != len(names):
        raise FileError("two values have one name.")
    return program


def _instruction(
    given: Any, operand: Callable[[Any], Operand], value: Callable[[Any], Value], sizes: Mapping[str, Dim]
) -> Instruction:
    name, operands, attributes, results, (file, line, module, call) = given
    row = OPERATIONS.get(name)
    if row is None:
        raise FileError(f"there is no operation {name!r}.")
    read = tuple(map(operand, operands))
    known = {str(key): _attribute(item, sizes) for key, item in attributes.items()}
    types = row.infer(*(x.type for x in read), **known)
    made = tuple(map(value, results))
    if tuple(x.type for x in made) != types:
        raise FileError(f"{name} has results of {', '.join(map(str, types))}, and the file says otherwise.")
    return Instruction(name, read, known, made, Source(str(file), int(line), str(module), int(call)))


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
    if given["kind"] not in ("leaf", "list", "tuple", "namedtuple", "dict"):
        raise FileError(f"{given['kind']!r} is no kind of container.")
    return Tree(given["kind"], tuple(given["keys"]), tuple(_tree(child, sizes) for child in given["children"]))
