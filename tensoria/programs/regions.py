"""A program's instructions as the calls of modules that they came from: nested regions, by path, class and call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tensoria.programs.base import BaseProgram

__all__ = ["ModuleCall", "module_calls"]


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module.

    Attributes:
        name: its name within the module around it (`layer.0` of `encoder.layer.0` in `encoder`); the program's at the
            root.
        path: the module's path; empty at the root.
        kind: its class by its full name; empty if no instruction says.
        call: how often the module had been called before.
        own: the numbers of the instructions that belong to it, and to no module inside of it.
        children: the calls inside of it, in order.
    """

    name: str
    path: str
    kind: str
    call: int
    own: tuple[int, ...]
    children: tuple[ModuleCall, ...]

    def __iter__(self) -> Iterator[ModuleCall]:
        """This call, and those inside of it."""
        yield self
        for child in self.children:
            yield from child

    @property
    def instructions(self) -> tuple[int, ...]:
        """The numbers of all instructions in it, in order."""
        return tuple(sorted(number for call in self for number in call.own))

    @property
    def title(self) -> str:
        """Its name, class and call, as it is shown."""
        kind = f" ({self.kind.rpartition('.')[2]})" if self.kind else ""
        return f"{self.name}{kind}{f', call {self.call + 1}' if self.call else ''}"

    def __str__(self) -> str:
        return "\n".join(self._lines(""))

    def _lines(self, indent: str) -> Iterator[str]:
        numbers = self.instructions
        where = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0]) if numbers else "none"
        yield f"{indent}{self.title}: {len(numbers)} instruction{'s' * (len(numbers) != 1)}, {where}"
        for child in self.children:
            yield from child._lines(indent + "  ")


@dataclass
class _Node:
    """A call that is being collected."""

    path: str
    call: int
    kind: str = ""
    own: list[int] = field(default_factory=list)
    children: dict[tuple[str, int], _Node] = field(default_factory=dict)


def module_calls(program: BaseProgram) -> ModuleCall:
    """The tree of calls; modules without instructions of their own stand for one call."""
    root = _Node("", 0)
    known = {made.source.module for made in program.instructions} | {""}
    for number, made in enumerate(program.instructions):
        node, path = root, made.source.module
        for end in _ends(path, known):
            inner = end == len(path)
            key = path[:end], made.source.call if inner else 0
            node = node.children.setdefault(key, _Node(*key))
        node.own.append(number)
        if path:
            node.kind = node.kind or made.source.kind
    return _frozen(root, program.name, "")


def _ends(path: str, known: set[str]) -> Iterator[int]:
    """Where the paths of the modules around an instruction end: a part that is a number goes with its list's name."""
    parts = path.split(".") if path else []
    for n in range(1, len(parts) + 1):
        prefix = ".".join(parts[:n])
        lists = n < len(parts) and parts[n].isdigit() and prefix not in known
        if not lists:
            yield len(prefix)


def _frozen(node: _Node, name: str, around: str) -> ModuleCall:
    children = tuple(
        _frozen(child, child.path.removeprefix(f"{node.path}.") if node.path else child.path, node.path)
        for child in node.children.values()
    )
    return ModuleCall(name, node.path, node.kind, node.call, tuple(node.own), children)
