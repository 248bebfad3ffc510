"""Plans in files: our own, and the base shapes of the package `mup`.

`mup` writes the shapes of a base model to a YAML file, with null for an axis that does not grow. From such a file and
a model the package knows how much wider the model is; so do we, and a plan's base width can be read off it.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from tensoria.discovery import available, get
from tensoria.errors import BackendError, FileError, LimitError
from tensoria.mup.plans import Plan, from_json
from tensoria.programs.binding import bind
from tensoria.programs.dimensions import Dim

__all__ = ["base_of", "load", "read_base_shapes", "recorded"]


def load(path: str | os.PathLike[str]) -> Plan:
    """A plan from a file that `Plan.save` wrote.

    Raises:
        FileError: the file is missing or no JSON.
        LimitError: it is no plan, or one of another version.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise FileError(f"{os.fspath(path)} can not be read: {error.strerror}.") from None
    except ValueError as error:
        raise FileError(f"{os.fspath(path)} is no JSON: {error}.") from None
    if not isinstance(data, dict):
        raise LimitError(f"{os.fspath(path)} is no plan.")
    return from_json(data)


def recorded(state: Any) -> Plan | None:
    """The plan that a model follows, or the model that a checkpoint's `state_dict` is of; None if it follows none."""
    for name in available():
        if name in sys.modules:
            try:
                models = get(name).parametrised()
            except BackendError:
                continue
            if (found := models.record(state)) is not None:
                return from_json(found["plan"])
    return None


_LINE = re.compile(r"^(?P<name>[^\s:#][^:]*):\s*(?P<rest>.*?)\s*$")
_ITEM = re.compile(r"^\s*-\s*(?P<item>null|~|\d+)\s*$")


def read_base_shapes(path: str | os.PathLike[str]) -> dict[str, tuple[int | None, ...]]:
    """The shapes in a base-shape file of the package `mup`: None for an axis that does not grow.

    Raises:
        FileError: the file is missing, or no such file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise FileError(f"{os.fspath(path)} can not be read: {error.strerror}.") from None
    found: dict[str, list[int | None]] = {}
    name = ""
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _ITEM.match(line)
        key = _LINE.match(line)
        if item and name:
            found[name].append(_size(item["item"]))
        elif key and not item:
            name = key["name"].strip().strip("'\"")
            found[name] = _listed(key["rest"])
        else:
            raise FileError(f"{os.fspath(path)}, line {number}, is no base shape: {line.strip()!r}.")
    if not found:
        raise FileError(f"{os.fspath(path)} has no base shapes.")
    return {name: tuple(sizes) for name, sizes in found.items()}


def _size(text: str) -> int | None:
    return None if text in ("null", "~") else int(text)


def _listed(text: str) -> list[int | None]:
    """A list within a line, `[64, null]`; empty if the items follow on lines of their own."""
    if not text:
        return []
    try:
        return [None if size is None else int(size) for size in ast.literal_eval(text.replace("null", "None"))]
    except (ValueError, SyntaxError, TypeError):
        raise FileError(f"{text!r} is no base shape.") from None


def base_of(plan: Plan, shapes: Mapping[str, tuple[int | None, ...]]) -> Plan:
    """The plan with the base width of a base-shape file.

    Args:
        plan: of the same model.
        shapes: what `read_base_shapes` gave. Names may have the prefix `module.` of data parallel models.

    Raises:
        LimitError: names or growing axes differ, or the shapes fit no width.
    """
    known = {name if name in plan.entries else name.removeprefix("module."): of for name, of in shapes.items()}
    known = {plan.aliases.get(name, name): of for name, of in known.items()}
    if missing := sorted(plan.entries.keys() ^ known.keys()):
        where = "base shapes" if missing[0] in plan.entries else "plan"
        raise LimitError(f"the parameter {missing[0]} is not in the {where}.")
    bases = set()
    for name, entry in plan.entries.items():
        if len(entry.shape) != len(known[name]):
            raise LimitError(f"{name} has {len(entry.shape)} axes, and {len(known[name])} in the base shapes.")
        for axis, (size, base) in enumerate(zip(entry.shape, known[name], strict=True)):
            if (base is None) != isinstance(size, int):
                grows = "grows here and not" if base is None else "grows in the base shapes and not here:"
                raise LimitError(f"axis {axis} of {name} {grows} {'in the base shapes' if base is None else size}.")
            if base is not None and not isinstance(size, int):
                bases.add(_width(plan, name, axis, size, base))
    if len(bases) != 1:
        raise LimitError(f"the base shapes fit no width: {', '.join(map(str, sorted(bases))) or 'nothing grows'}.")
    return dataclasses.replace(plan, base=bases.pop(), _models=[])


def _width(plan: Plan, name: str, axis: int, size: Dim, base: int) -> int:
    found = bind([((size,), (base,), f"{name}, axis {axis}")])
    return next(iter(found.values())) * plan.unit
