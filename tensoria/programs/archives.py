"""Arrays in safetensors files: a header of JSON that says where each array lies, and the arrays one behind another.

Reading one runs nothing and unpickles nothing, and every claim of the header is held against the file's length. A file
appears whole or not at all.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tensoria import dtypes
from tensoria.dtypes import DType
from tensoria.errors import FileError

__all__ = ["Array", "arrays", "bytes_of", "header", "opened", "write"]

Array: TypeAlias = np.ndarray[Any, Any]
LONGEST_HEADER = 100_000_000
STORED = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex64": "C64", "complex128": "C128",
}  # fmt: skip
"""safetensors' names of data types."""
NAMED = {text: name for name, text in STORED.items()}


def bytes_of(array: Array, of: DType) -> bytes:
    """An array's bytes, as the file holds them."""
    if of is dtypes.bfloat16 and array.dtype.name != "bfloat16":
        import ml_dtypes

        array = array.astype(ml_dtypes.bfloat16)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def header(named: Mapping[str, tuple[Array, DType]], metadata: Mapping[str, str]) -> bytes:
    """The beginning of a file with these arrays, in this order."""
    entries, offset = {}, 0
    for name, (array, of) in named.items():
        end = offset + array.size * of.itemsize
        entries[name] = {"dtype": STORED[of.name], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps({"__metadata__": dict(metadata), **entries}, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write(path: Path, parts: Sequence[bytes]) -> None:
    """Write a file, which appears whole or not at all.

    Raises:
        FileError: it can not be written.
    """
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


def opened(content: Any) -> tuple[dict[str, Any], dict[str, str], Any]:
    """A file's entries, its metadata, and the part that holds the arrays.

    Raises:
        FileError: it is cut short, or no safetensors file.
    """
    length = int.from_bytes(bytes(content[:8]), "little")
    if len(content) < 8 or length > min(LONGEST_HEADER, len(content) - 8):
        raise FileError("the file is cut short, or no safetensors file.")
    entries = json.loads(bytes(content[8 : 8 + length]))
    if not isinstance(entries, dict):
        raise FileError("the file is no safetensors file.")
    metadata = entries.pop("__metadata__", {})
    return entries, metadata, content[8 + length :]


def arrays(entries: Mapping[str, Any], body: Any) -> dict[str, Array]:
    """The arrays by name, as views of the file's content.

    Raises:
        FileError: an array does not lie where it should.
    """
    found, end = {}, 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["dtype"] not in NAMED:
            raise FileError(f"the array {name!r} is of the data type {entry['dtype']}, which is none of tensoria's.")
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
    return {name: found[name] for name in entries}


def _numpy_dtype(of: DType) -> Any:
    if of is dtypes.bfloat16:
        try:
            import ml_dtypes
        except ImportError as error:
            raise FileError("bfloat16 arrays need ml_dtypes.", legal="pip install ml_dtypes") from error
        return ml_dtypes.bfloat16
    return np.dtype(of.name).newbyteorder("<")
