"""Names for a program's values, by which it is printed and written out."""

from __future__ import annotations

import keyword
import re

from tensoria.programs.base import BaseProgram
from tensoria.programs.types import assigned

__all__ = ["named_values"]


def named_values(program: BaseProgram) -> None:
    """Give every value a name of its own: inputs and parameters their paths, others `c1`, `v1`, ..."""
    taken: set[str] = set()

    def fresh(wanted: str) -> str:
        name = re.sub(r"\W", "_", wanted)
        name = f"_{name}" if not name or name[0].isdigit() or keyword.iskeyword(name) else name
        count, base = 1, name
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        return name

    for value in program.inputs:
        value.name = fresh(value.name)
    for path, value in program.parameters.items():
        value.name = fresh(path)
    held = set(program.parameters.values())
    for n, value in enumerate((v for v in program.arrays if v not in held), 1):
        value.name = fresh(f"c{n}")
    for n, value in enumerate(assigned(program), 1):
        value.name = fresh(f"v{n}")
