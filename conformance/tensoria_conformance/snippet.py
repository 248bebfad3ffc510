"""A contract that fails, as a program of its own: what it needs, with the backend and the arguments filled in."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensoria_conformance.contracts import Contract, Outcome

__all__ = ["literal", "snippet"]


def snippet(contract: Contract, outcome: Outcome) -> str:
    """The contract's source with everything that it names, and the call for which it does not hold.

    Args:
        contract: the contract.
        outcome: what came of it; the backend, its device and the arguments are taken from here.
    """
    module = sys.modules[contract.function.__module__]
    source = inspect.getsource(module)
    tree = ast.parse(source)
    wanted = next(
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == contract.function.__name__
    )
    kept = _needed(tree.body, wanted)
    imports = [node for node in kept if isinstance(node, (ast.Import, ast.ImportFrom))]
    texts = [_only(node, _names([*kept, wanted])) for node in imports]
    own = [node for node in kept if node not in imports]
    # The decorators register the contract; the program only calls it.
    lines = source.splitlines()
    body = "\n".join(lines[wanted.lineno - 1 : wanted.end_lineno])
    arguments = "".join(f", {name}={literal(value)}" for name, value in outcome.example.items())
    where = f', device="{outcome.device}"' if outcome.device else ""
    call = f'with tn.use("{outcome.backend}"{where}):\n    {wanted.name}(tn.namespace("{outcome.backend}"){arguments})'
    needed = {"import tensoria as tn"} | ({"import numpy as np"} if "np." in call else set())
    if "nan" in call or "inf" in call:
        needed.add("from math import inf, nan")
    head = "\n".join(sorted({*texts, *needed} - {""}, key=lambda line: (line.startswith("from tensoria"), line)))
    parts = [ast.get_source_segment(source, node) or "" for node in own]
    future = "from __future__ import annotations"
    return "\n\n".join([f"# {contract.rule}\n# {contract.source}\n{future}\n\n{head}", *parts, body, call]) + "\n"


def _names(nodes: Sequence[ast.AST]) -> set[str]:
    return {node.id for root in nodes for node in ast.walk(root) if isinstance(node, ast.Name)}


def _needed(body: Sequence[ast.stmt], wanted: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a module that a function needs, through others that it calls, in their order."""
    defining: dict[str, ast.stmt] = {}
    for node in body:
        for name in _defined(node):
            defining[name] = node
    bare = ast.Module([*wanted.body, *(ast.Expr(x) for x in wanted.args.defaults)], [])
    found: list[ast.stmt] = []
    left = _names([bare])
    done: set[str] = set()
    while left - done:
        name = (left - done).pop()
        done.add(name)
        statement = defining.get(name)
        if statement is not None and statement is not wanted and statement not in found:
            found.append(statement)
            left |= _names([statement])
    return [node for node in body if node in found]


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign):
        return [x.id for target in node.targets for x in ast.walk(target) if isinstance(x, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _only(node: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """An import of the names that are used; annotations, which are not evaluated, do not count."""
    aliases = [alias for alias in node.names if (alias.asname or alias.name).partition(".")[0] in used]
    if not aliases or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
        return ""
    kept = ast.Import(aliases) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, aliases, node.level)
    return ast.unparse(kept)


def literal(value: Any) -> str:
    """A value as Python source, with `np`, `nan` and `inf`.

    >>> literal(np.array([[1.0, np.nan]], np.float32))
    "np.array([[1.0, nan]], dtype='float32')"
    """
    if isinstance(value, np.ndarray):
        shaped = f".reshape({value.shape})" if 0 in value.shape else ""
        return textwrap.shorten(f"np.array({value.tolist()!r}, dtype={value.dtype.name!r}){shaped}", 100_000)
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__}({value.item()!r})"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)
