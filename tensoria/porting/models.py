"""Models of other frameworks as programs.

A backend knows the models of its framework (`Backend.captures`) and makes programs of them (`Backend.capture`). What
is missing is told before anything is run: every operator without a counterpart and every axis that was to stay open.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.backend import Backend
from tensoria.discovery import available, get
from tensoria.errors import BackendNotFoundError, PortingError
from tensoria.programs.captured import Captured, Dynamic, Fixed, Operator
from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.program import Program
from tensoria.programs.size_notation import require_entries
from tensoria.programs.types import Source

__all__ = ["Coverage", "capturing", "coverage", "port"]


def port(
    module: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *, dynamic: Dynamic | None = None,
    train: bool = False,
) -> Program:  # fmt: skip
    """The program that a model of another framework computes, with its parameters by name.

    The model is run once, on examples, by its own framework; it stays as it is, and the program has a copy of its
    parameters. Arguments that are no tensors become part of the program. What the model changes in its buffers is an
    update (`p.apply` returns the state after the call), and what it draws follows from a key, the last argument.

    Args:
        module: a model, such as a `torch.nn.Module`; it is captured in the mode in which it stands.
        args, kwargs: examples of its arguments, native tensors.
        dynamic: for the name of an argument one entry for each axis: the name of an open size, a `tn.dim`, or None
            for the example's size. Axes with the same name have the same size. For an argument that holds several
            tensors the entry is that of every one with as many axes.
        train: whether the model is captured twice, as it trains and as it is used: the program is that of training,
            `p.eval()` is the other one, and both have one state.

    Raises:
        PortingError: operators have no counterpart (all of them are listed, with their lines), or an axis that was to
            stay open is fixed by the model.
        BackendNotFoundError: no backend knows this model.
    """
    if not train:
        return _ported(module, args, kwargs, dynamic, None)
    both = {mode: _ported(module, args, kwargs, dynamic, mode == "train") for mode in ("train", "eval")}
    own = {name: both["train"].arrays[value] for name, value in both["train"].parameters.items()}
    shared = {value: own[name] for name, value in both["eval"].parameters.items() if name in own}
    both["eval"] = dataclasses.replace(both["eval"], arrays={**both["eval"].arrays, **shared})
    return dataclasses.replace(both["train"], modes=both)


def _ported(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None, dynamic: Dynamic | None, train: bool | None
) -> Program:
    _, found = capturing(module, args, kwargs, dynamic, train)
    if found.program is None:
        raise PortingError("\n".join([f"{type(module).__name__} can not be ported.", *_lacking(found)]))
    return found.program


def coverage(
    module: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *, dynamic: Dynamic | None = None,
    to: str | Sequence[str] = (), train: bool | None = None,
) -> Coverage:  # fmt: skip
    """What of a model can be ported, operator by operator, before it is.

    Args:
        module, args, kwargs, dynamic: as for `port`.
        train: whether the model is looked at as it trains (True), as it is used (False), or as it stands (None).
        to: backends; for each of them it is said which operations run by its own kernels.
    """
    _, found = capturing(module, args, kwargs, dynamic, train)
    kernels = {}
    for name in (to,) if isinstance(to, str) else to:
        own = get(name).primitives
        used = {operation for of in found.operators for operation in of.operations}
        kernels[name] = tuple(sorted(n for n in used if n in DEFINITIONS and n not in own))
    return Coverage(found.operators, found.fixed, found.refused, kernels)


@dataclass(frozen=True)
class Coverage:
    """What of a model can be ported.

    Attributes:
        operators: the framework's operators in the model.
        fixed: axes that were to stay open.
        refused: what else stands against it.
        composed: for each backend that was asked for, the operations that it computes by their definition, for want
            of a kernel.
    """

    operators: tuple[Operator, ...]
    fixed: tuple[Fixed, ...]
    refused: tuple[str, ...]
    composed: Mapping[str, tuple[str, ...]]

    @property
    def complete(self) -> bool:
        """Whether the model can be ported."""
        return not (self.missing or self.fixed or self.refused)

    @property
    def missing(self) -> tuple[Operator, ...]:
        """The operators without a counterpart."""
        return tuple(of for of in self.operators if not of.ported)

    def __str__(self) -> str:
        calls = sum(len(of.sources) for of in self.operators)
        lacking = sum(len(of.sources) for of in self.missing)
        lines = [f"{len(self.operators)} operators, {calls} calls; {calls - lacking} calls are ported"]
        lines += _lacking(self)
        lines += [f"  {name} composes {', '.join(of)}" for name, of in self.composed.items() if of]
        return "\n".join(lines)


def _lacking(of: Captured | Coverage) -> list[str]:
    lines = []
    for missing in (operator for operator in of.operators if not operator.ported):
        lines.append(f"  {missing.name}, {len(missing.sources)} times: {_places(missing.sources)}")
    lines += [f"  {fixed}" for fixed in of.fixed]
    return lines + [f"  {what}" for what in of.refused]


def _places(sources: Sequence[Source]) -> str:
    places = list(dict.fromkeys(map(str, sources)))
    return "; ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def capturing(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None, dynamic: Dynamic | None,
    train: bool | None = None,
) -> tuple[Backend, Captured]:  # fmt: skip
    """The backend that knows a model, and what it makes of it, as it trains or not (as it stands for None).

    Raises:
        PortingError: the arguments are not those of a call, or what is to be open is not told axis by axis.
    """
    backend = _backend(module)
    _require_call(args, kwargs, dynamic)
    return backend, backend.capture(module, tuple(args), dict(kwargs or {}), dict(dynamic or {}), train)


def _require_call(args: Any, kwargs: Any, dynamic: Any) -> None:
    if not isinstance(args, (tuple, list)):
        raise PortingError(f"args= is a {type(args).__name__}, and not a tuple of arguments.", legal="args=(x,)")
    for name, given in (("kwargs", kwargs), ("dynamic", dynamic)):
        if given is not None and not isinstance(given, Mapping):
            raise PortingError(f"{name}= is a {type(given).__name__}, and not a dictionary by names of arguments.")
    for name, sizes in (dynamic or {}).items():
        require_entries(name, sizes)


def _backend(module: Any) -> Backend:
    """The backend that knows a model: its framework is loaded, for the model exists; or any, for one in a file."""
    stored = isinstance(module, (str, os.PathLike))
    for name in available():
        if stored or name in sys.modules:
            backend = get(name)
            if backend.captures(module):
                return backend
    if stored:
        raise BackendNotFoundError(f"{os.fspath(module)} is no file or folder of a model that a backend knows.")
    if isinstance(module, type):
        raise BackendNotFoundError(f"{module.__name__} is a class, and no model.", legal=f"{module.__name__}(...)")
    raise BackendNotFoundError(
        f"no backend knows models of the type {type(module).__name__}.",
        legal="a torch.nn.Module, a Keras model, a tf.function; tn.trace(f, ...) for a function of tensors",
    )
