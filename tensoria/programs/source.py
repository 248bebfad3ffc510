"""A program written out as Python for one framework: readable, self-contained, without tensoria.

`dialects` says how instructions are written; here they become a module, which is a text or is compiled.
"""

from __future__ import annotations

import json
import keyword
import linecache
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoria.programs.base import P
from tensoria.programs.dialects import Dialect, Writer
from tensoria.programs.passes import Chosen, lowered, stored
from tensoria.programs.types import Value

__all__ = ["compiled", "identifier", "within", "written"]


def written(program: P, dialect: Dialect, backend: str, passes: Chosen = True) -> str:
    """The program as a module: a function of its inputs, and a class-free list of the arrays that it needs.

    Args:
        passes: the optimisations that it goes through before, all or none or by name (`passes.OPTIMISATIONS`).

    Raises:
        BackendError: the backend has no row for an operation.
        TracingError: there is no pass of that name.
    """
    made, layouts = _prepared(program, dialect, passes)
    return _module(made, dialect, backend, layouts=layouts)


def _prepared(program: P, dialect: Dialect, passes: Chosen) -> tuple[P, dict[str, tuple[int, ...]]]:
    """A program as it is written, and the parameters that it wants in another order of axes."""
    made = lowered(program, passes, dialect.rows, also=dialect.passes)
    return stored(made) if dialect.stores else (made, {})


def _module(
    program: P, dialect: Dialect, backend: str, frozen: frozenset[Value] = frozenset(), *,
    layouts: Mapping[str, tuple[int, ...]],
) -> str:  # fmt: skip
    writer = Writer(dialect, backend)
    writer.frozen = frozen | {value for name, value in program.parameters.items() if name not in program.trainable}
    body = writer.function(program, name=_callable(program, dialect))
    name = within(program.name)
    lines = [f'"""The program \'{name}\', written for {backend} by tensoria."""', "", dialect.imports, ""]
    for needed in writer.needed:
        lines += ["", dialect.prelude[needed].strip("\n"), ""]
    if program.arrays:
        paths, orders = {value: path for path, value in program.parameters.items()}, dialect.orders(program)
        names = [writer.name(value) for value in program.arrays]
        lines += [
            "",
            f"def load(arrays{', device=None' if 'device=' in dialect.placing and dialect.device else ''}):",
            '    """Set the constants and parameters: a mapping from their names to arrays of NumPy."""',
            f"    global {', '.join(names)}",
        ]
        lines += [
            f"    {name} = {_loaded(dialect, value, paths.get(value, value.name), layouts, orders.get(value))}"
            for name, value in zip(names, program.arrays, strict=True)
        ]
        lines.append("")
    return "\n".join([*lines, "", *body, ""])


def _loaded(
    dialect: Dialect, value: Value, path: str, layouts: Mapping[str, tuple[int, ...]], order: Sequence[int] | None
) -> str:
    """A constant or parameter, whose axes may have another order in the file, or in memory."""
    layout, back = dialect.laid(layouts.get(path), order)
    return dialect.array.format(array=f"arrays[{path!r}]{layout}", dtype=dialect.dtype(value.type.dtype)) + back


def _callable(program: P, dialect: Dialect) -> str:
    """What the program's function is called: not like a function of the prelude, which it may call."""
    name = identifier(program.name)
    return f"{name}_" if name in dialect.prelude or name == "load" else name


def within(text: str) -> str:
    """A text between double quotes of a program, whatever it holds."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def identifier(name: str) -> str:
    """A name that a function may have."""
    text = "".join(c if f"_{c}".isidentifier() else "_" for c in name)
    return f"{text}_" if keyword.iskeyword(text) or not text or text[0].isdigit() else text


_count = 0
_counting = threading.Lock()


def compiled(
    program: P, dialect: Dialect, backend: str, passes: Chosen = True, frozen: frozenset[Value] = frozenset()
) -> tuple[Callable[[str], Callable[..., Any]], str]:
    """What makes the program's Python function of native arrays (positional, one for each input), and its source.

    The function calls the framework and nothing else. It is made for a device: that is where its constants and
    parameters are. Its source is registered with `linecache`, so that tracebacks show it.
    """
    global _count
    given = {path: program.arrays[value] for path, value in program.parameters.items()}
    program, layouts = _prepared(program, dialect, passes)
    text = _module(program, dialect, backend, frozen, layouts=layouts)
    with _counting:
        _count += 1
        file = f"<tensoria {program.name} for {backend}, {_count}>"
    code = compile(text, file, "exec")
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    weakref.finalize(code, linecache.cache.pop, file, None)
    held = set(program.parameters.values())
    arrays = {value.name: array for value, array in program.arrays.items() if value not in held} | given

    def make(device: str) -> Callable[..., Any]:
        module: dict[str, Any] = {}
        exec(code, module)
        if arrays:
            module["load"](arrays, **({"device": device} if dialect.device else {}))
        function: Callable[..., Any] = module[_callable(program, dialect)]
        return function

    return make, text
