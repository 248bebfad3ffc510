"""The arguments and numbers that a program and its model are both tried with, beside those that are given.

Other sizes of what was left open (one of everything, odd lengths), masks that hide everything, normalisations with
statistics far from the neutral ones: where ports go wrong that agree on the example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.dtypes import int64
from tensoria.errors import PortingError
from tensoria.porting.parity.measuring import keyed
from tensoria.programs.base import BaseProgram
from tensoria.programs.dimensions import Dim, Symbol, evaluated
from tensoria.programs.types import Value

__all__ = ["Case", "Sweep", "masked", "stressed", "swept"]

Sweep = bool | Sequence[Mapping[str, int]]
NORMALISATIONS: Mapping[str, tuple[str, ...]] = {
    "batch_norm": ("shift", "variance", "scale", "shift"), "layer_norm": ("scale", "shift"),
    "group_norm": ("scale", "shift"), "rms_norm": ("scale",),
}  # fmt: skip
"""What the operands behind the first one are."""


@dataclass(frozen=True)
class Case:
    """One try.

    Attributes:
        name: what is tried.
        leaves: the arguments' tensors.
        arrays: other numbers for parameters, by name.
    """

    name: str
    leaves: Sequence[Array]
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def swept(program: BaseProgram, home: Backend, leaves: Sequence[Array], sweep: Sweep) -> Iterator[Case]:
    """The arguments in other sizes: cut, or repeated.

    Raises:
        PortingError: a size is asked for that is not open, or is out of its bounds.
    """
    symbols, leading = _symbols(program)
    if not sweep or (sweep is True and not symbols):
        return
    now = program.bind(home, keyed(program, home, leaves))
    for sizes in _sizes(symbols, leading, now) if sweep is True else sweep:
        for name, size in sizes.items():
            if name not in symbols:
                raise PortingError(f"sweep= names {name!r}; open sizes are {', '.join(symbols) or 'none'}.")
            if not _fits(symbols[name], size):
                raise PortingError(f"sweep= gives {name} the size {size}, out of its bounds.")
        found = [
            _resized(home, x, value, {**now, **sizes}) for x, value in zip(leaves, program.inputs, strict=False)
        ]
        yield Case(", ".join(f"{name} = {size}" for name, size in sizes.items()), found)


def _symbols(program: BaseProgram) -> tuple[dict[str, Symbol], set[str]]:
    """The open sizes by name, and which of them are first axes."""
    found: dict[str, Symbol] = {}
    leading = set()
    for value in program.inputs:
        for axis, size in enumerate(value.type.shape):
            if isinstance(size, Dim):
                found.update({symbol.name: symbol for symbol in size.symbols()})
                leading |= {symbol.name for symbol in size.symbols()} if axis == 0 else set()
    return dict(sorted(found.items())), leading


def _sizes(symbols: Mapping[str, Symbol], leading: set[str], now: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """One of everything that comes first; odd lengths; both; three, and shorter odd ones."""
    first = [name for name in symbols if name in leading]
    rest = [name for name in symbols if name not in leading]
    longer = {name: now[name] + 1 + now[name] % 2 for name in rest}
    shorter = {name: max(now[name] // 2 | 1, 3) for name in rest}
    tried: list[dict[str, int]] = []
    for sizes in (dict.fromkeys(first, 1), longer, {**dict.fromkeys(first, 1), **longer},
                  {**dict.fromkeys(first, 3), **shorter}):  # fmt: skip
        fit = {name: size for name, size in sizes.items() if _fits(symbols[name], size)}
        if fit and fit not in tried and any(now[name] != size for name, size in fit.items()):
            tried.append(fit)
            yield fit


def _fits(symbol: Symbol, size: int) -> bool:
    return size >= symbol.lower and (symbol.upper is None or size <= symbol.upper)


def _resized(home: Backend, x: Array, value: Value, sizes: Mapping[str, int]) -> Array:
    for axis, size in enumerate(value.type.shape):
        old = home.shape(x)[axis]
        new = evaluated(size, sizes)
        if new != old:
            places = home.asarray(np.arange(new) % (old or 1), int64, home.device(x), None)
            x = home.xp.take(x, places, axis=axis)
    return x


def masked(program: BaseProgram, home: Backend, leaves: Sequence[Array]) -> Iterator[Case]:
    """The arguments with everything hidden in the first row of every mask."""
    changed, names = list(leaves), []
    for n, (x, value) in enumerate(zip(leaves, program.inputs, strict=False)):
        kind = value.type.dtype.kind
        if "mask" in value.name and value.type.shape and kind in ("bool", "int", "uint"):
            numbers = np.array(home.to_numpy(x))
            numbers[0] = 0
            changed[n] = home.asarray(numbers, value.type.dtype, home.device(x), None)
            names.append(value.name)
    if names:
        yield Case(f"all of the first row hidden by {' and '.join(names)}", changed)


def stressed(program: BaseProgram, leaves: Sequence[Array]) -> Iterator[Case]:
    """Other statistics, scales and shifts in every normalisation."""
    random = np.random.default_rng(0)
    names = {value: name for name, value in program.parameters.items()}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for made in program.instructions:
        for x, role in zip(made.operands[1:], NORMALISATIONS.get(made.operation, ()), strict=False):
            if isinstance(x, Value) and x in names and names[x] not in arrays:
                old = program.arrays[x]
                low, high = {"shift": (-1.5, 1.5), "variance": (0.2, 4.0), "scale": (0.5, 2.0)}[role]
                arrays[names[x]] = random.uniform(low, high, old.shape).astype(old.dtype)
    if arrays:
        yield Case("stressed normalisation", leaves, arrays)
