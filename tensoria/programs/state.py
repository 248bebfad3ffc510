"""The state of a program: its parameters and buffers by name, given from outside, loaded and saved.

A program never changes. Training is a function of a state: `apply` and `pure` take one and return the next, and
programs of one model (in train mode and in eval mode, its gradient) agree on the names. Names lead to safetensors files
as well, such as those of Hugging Face's folders.
"""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.core import BaseTensor
from tensoria.discovery import backend_of, get
from tensoria.dtypes import DType, bfloat16, dtype, float32
from tensoria.errors import DTypeError, FileError, PortingError, ShapeError, TracingError
from tensoria.programs import archives
from tensoria.programs.base import BaseProgram, P, native
from tensoria.programs.trees import LEAF, Tree
from tensoria.programs.types import Value

__all__ = ["fit", "in_mode", "in_modes", "loaded", "matched", "purified", "save_state"]

FOLDED = "model.safetensors"
"""The file of a folder."""
INDEX = "model.safetensors.index.json"
"""What says which files of a folder hold which arrays."""
QUANTISED = (
    "qweight", "qzeros", "g_idx", "weight_packed", "weight_scale", "weight_zero_point", "SCB", "weight_format",
    "absmax", "quant_map", "nested_absmax", "quant_state", "weight_scale_inv", "_packed_params",
)  # fmt: skip
"""How arrays are called that belong to quantised weights (GPTQ, AWQ, bitsandbytes, compressed tensors, fp8)."""
SHOWN = 8


# -- a state from outside ---------------------------------------------------------------------------------------------


def matched(program: BaseProgram, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state under the program's own names: of tied parameters one, by any of their names.

    Raises:
        TracingError: a parameter is missing, or a name is none of the program's.
    """
    unknown = [name for name in state if name not in program.parameters and name not in program.aliases]
    given = {program.aliases.get(name, name): x for name, x in state.items()}
    given.update({name: x for name, x in state.items() if name in program.parameters})
    missing = [name for name in program.parameters if name not in given]
    if unknown or missing:
        found = [f"{what} {_listed(names)}" for what, names in (("lacks", missing), ("also has", unknown)) if names]
        raise TracingError(f"the state of {program.name} {', and '.join(found)}.", legal="the names of p.state()")
    return {name: given[name] for name in program.parameters}


def fit(backend: Backend, held: Mapping[Value, Array]) -> None:
    """Raise unless arrays have the types of what they stand for.

    Raises:
        ShapeError, DTypeError: one has not.
    """
    for value, array in held.items():
        if backend.dtype(array) is not value.type.dtype:
            raise DTypeError(f"the parameter {value.name} is {backend.dtype(array)}, declared as {value.type.dtype}.")
        if tuple(backend.shape(array)) != value.type.shape and None not in backend.shape(array):
            found = backend.shape(array)
            raise ShapeError(f"the parameter {value.name} has the shape {found}, not {value.type.shape}.")


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def purified(program: P) -> P:
    """The program without parameters: of a state and the arguments, that returns the result and the state after."""
    first = "state"
    while first in program.signature:
        first += "_"
    held = program.parameters
    tree = Tree("dict", tuple(held), (LEAF,) * len(held))
    own = set(held.values())
    return dataclasses.replace(
        program,
        signature=(first, *program.signature),
        inputs=(*held.values(), *program.inputs),
        parameters={},
        arrays={value: array for value, array in program.arrays.items() if value not in own},
        outputs=(*program.outputs, *(program.updates.get(name, value) for name, value in held.items())),
        input_tree=Tree("tuple", (), (tree, *program.input_tree.children)),
        output_tree=Tree("tuple", (), (program.output_tree, tree)),
        output_axes=(*program.output_axes, *(value.axes for value in held.values())),
        updates={}, trainable=frozenset(), aliases={}, modes={},
    )  # fmt: skip


def in_mode(program: P, mode: str) -> P:
    """The same model in another mode, with this program's parameters.

    Raises:
        PortingError: it was captured in one mode only.
    """
    if mode not in program.modes:
        raise PortingError(f"{program.name} was captured in one mode only.", legal="tn.port(model, args, train=True)")
    other: Any = program.modes[mode]
    arrays = {value: program.arrays[program.parameters[name]] for name, value in other.parameters.items()
              if name in program.parameters}  # fmt: skip
    made: P = dataclasses.replace(other, arrays={**other.arrays, **arrays}, modes=program.modes)
    return made


def in_modes(program: P) -> tuple[str, dict[str, P]]:
    """The mode in which a program is, and the same model in all of its modes; no name and the program itself of one.

    Args:
        program: any program; one that passes have changed is still in its mode.
    """
    if not program.modes:
        return "", {"": program}
    same = [mode for mode, other in program.modes.items() if other.instructions is program.instructions]
    own = same[0] if same else "train" if program.updates or program.key is not None else "eval"
    return own, {own: program, **{mode: in_mode(program, mode) for mode in program.modes if mode != own}}


# -- by name ----------------------------------------------------------------------------------------------------------


def loaded(program: P, source: Any, *, prefix: str = "", strict: bool = True) -> P:
    """The program with other parameters, by name.

    Args:
        program: any program with parameters.
        source: a mapping from names to tensors or arrays; a safetensors file; or a folder with `model.safetensors`, or
            with several files and an index, as Hugging Face's.
        prefix: only names that begin so count, without it: `"bert."` for the encoder in a file of a larger model.
        strict: whether every parameter must be there, and no other name.

    Raises:
        FileError: a file is missing or damaged, or holds quantised weights; or names are missing or unknown, or arrays
            have other shapes or data types, which are listed.
    """
    given = dict(source) if isinstance(source, Mapping) else _read(Path(source))
    given = {name.removeprefix(prefix): x for name, x in given.items() if name.startswith(prefix)}
    quantised = [name for name in given if name.rsplit(".", 1)[-1] in QUANTISED and name not in program.parameters]
    if quantised:
        raise FileError(f"these are quantised weights: {_listed(quantised)}.", legal="weights in floating point")
    new: dict[str, Any] = {}
    wrong: list[str] = []
    unknown: list[str] = []
    for name, x in given.items():
        own = program.aliases.get(name, name)
        if own not in program.parameters:
            unknown.append(name)
        elif own == name or own not in given:
            array, of = _numbers(x)
            value = program.parameters[own]
            if of is not value.type.dtype or array.shape != value.type.shape:
                wrong.append(f"{name} is {of}{list(array.shape)} and not {value.type}")
            new[own] = array
    missing = [name for name in program.parameters if name not in new]
    problems = [f"missing: {_listed(missing)}"] * bool(missing and strict)
    problems += [f"unknown: {_listed(unknown)}"] * bool(unknown and strict) + wrong[:SHOWN]
    if problems:
        raise FileError(f"{program.name} has other parameters. {'; '.join(problems)}.", legal="prefix=, strict=False")
    arrays = {program.parameters[name]: array for name, array in new.items()}
    return dataclasses.replace(program, arrays={**program.arrays, **arrays})


def _numbers(x: Any) -> tuple[np.ndarray[Any, Any], DType]:
    """An array of NumPy with its data type, bfloat16 as float32."""
    if isinstance(x, np.ndarray):
        if x.dtype.name == "bfloat16":
            return x.astype(np.float32), bfloat16
        return x.astype(x.dtype.newbyteorder("=")), dtype(x.dtype.name)
    raw = x._array if isinstance(x, BaseTensor) else x
    backend = x._backend if isinstance(x, BaseTensor) else backend_of(x)
    if backend is None:
        raise FileError(f"a parameter is a tensor or an array, not {type(x).__name__}.")
    of, raw = backend.dtype(raw), backend.detach(raw)
    if of is bfloat16:
        raw = backend.kernels.cast(raw, backend.native_dtype(float32))
    return np.array(native(raw, get("numpy"))), of


def _read(path: Path) -> dict[str, Any]:
    """The arrays of a file or folder."""
    if not path.is_dir():
        return _arrays(path)
    if (path / INDEX).exists():
        try:
            places = json.loads((path / INDEX).read_text())["weight_map"]
            files = sorted({str(name) for name in places.values()})
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise FileError(f"{path / INDEX} is no index: {error}.") from error
        if any(Path(name).name != name for name in files):
            raise FileError(f"{path / INDEX} names files outside of the folder.")
        return {name: array for file in files for name, array in _arrays(path / file).items()}
    if not (path / FOLDED).exists():
        there = sorted(x.name for x in path.iterdir() if x.suffix in (".bin", ".pt", ".pth", ".h5", ".safetensors"))
        more = f"; there is {_listed(there)}" if there else ""
        raise FileError(f"{path} has no {FOLDED}{more}.", legal="safetensors: pickled weights are never read")
    return _arrays(path / FOLDED)


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise FileError(f"{path} can not be read: {error}.") from error
    try:
        entries, _, body = archives.opened(memoryview(content))
        return dict(archives.arrays(entries, body))
    except FileError as error:
        raise FileError(f"{path}: {error.message}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise FileError(f"{path} is no safetensors file: {type(error).__name__}: {error}") from error


def save_state(program: BaseProgram, path: str | os.PathLike[str]) -> None:
    """Write parameters and buffers under their names, of tied ones the first, as `loaded` and others read them.

    Args:
        program: any program with parameters.
        path: a file that ends in `.safetensors`, or a folder, which gets a `model.safetensors`.

    Raises:
        FileError: it can not be written.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{target} can not be made: {error.strerror or error}.") from error
        target = target / FOLDED
    named = {name: (program.arrays[value], value.type.dtype) for name, value in program.parameters.items()}
    # "pt" says that linear weights are stored as (out, in); Hugging Face's loaders ask for it.
    body = [archives.bytes_of(array, of) for array, of in named.values()]
    archives.write(target, [archives.header(named, {"format": "pt"}), *body])
