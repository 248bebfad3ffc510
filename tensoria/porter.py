"""A model ported from the shell: its source over another framework, and its weights, in a folder of their own.

The folder appears whole or not at all. What is checked, if that is asked for, is the program beside the model, operator
by operator, and the written source itself, run from the written files.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.conversion import convert
from tensoria.discovery import backend_of, get, home
from tensoria.errors import FileError, PortingError
from tensoria.programs.natives import numbers
from tensoria.programs.program import Program
from tensoria.programs.trees import flatten, unflatten

__all__ = ["FILES", "Model", "found", "port"]

SOURCE, WEIGHTS = "model.py", "weights.safetensors"
FILES = frozenset((SOURCE, WEIGHTS, "parity.json", "parity.html"))
"""What a folder may hold that is written anew."""
CLOSE = 1e-4
"""So far, relative to the largest component, the written source may be from the program: both round on their own."""


@dataclass(frozen=True)
class Model:
    """What is ported.

    Attributes:
        model: a model of a framework, or the path of a saved one.
        args, kwargs: examples of its arguments.
        dynamic: the axes that stay open.
    """

    model: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Any] = field(default_factory=dict)


def found(reference: str) -> Model:
    """What a reference on the command line names.

    Args:
        reference: the path of a SavedModel's folder or of a Keras file, or `package.module:factory`, a function without
            arguments that returns a model, or a tuple of a model, its arguments, and if need be its named arguments
            and open axes (as `tn.port` takes them).

    Raises:
        PortingError: it names nothing, or what it names is no model.
    """
    if os.path.exists(reference):
        home = next((get(name) for name in tn.available() if get(name).captures(reference)), None)
        if home is None:
            raise PortingError(f"{reference} is no model that a backend knows.", legal="a SavedModel, a .keras file")
        return Model(reference, *home.examples(reference))
    module, separator, name = reference.partition(":")
    if not separator or not module or not name:
        raise PortingError(f"there is no file {reference!r}.", legal="a path that exists, or package.module:factory")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        factory: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise PortingError(f"there is no module {error.name!r} in {os.getcwd()} or among the packages.") from None
        raise
    for part in name.split("."):
        if not hasattr(factory, part):
            raise PortingError(f"{module} has no {name}.")
        factory = getattr(factory, part)
    if not callable(factory):
        raise PortingError(f"{reference} is no function.")
    try:
        made = factory()
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise PortingError(
            f"{reference} raises {type(error).__name__}: {error} ({line.filename}:{line.lineno}).",
            legal="a function of no arguments that returns the model",
        ) from error
    if not isinstance(made, tuple):
        return Model(made)
    if not 1 <= len(made) <= 4 or not all(isinstance(x, (tuple, list)) for x in made[1:2]):
        raise PortingError(
            f"{reference} returns a tuple that says no model.", legal="(model, args), (model, args, kwargs, dynamic)"
        )
    given: list[Any] = [*made, *[None] * (4 - len(made))]
    return Model(given[0], tuple(given[1] or ()), dict(given[2] or {}), dict(given[3] or {}))


def port(
    model: Model, to: str, out: Path, *, check: bool = False, force: bool = False, say: Callable[[str], None] = print,
) -> int:  # fmt: skip
    """Port a model into a folder.

    Args:
        model: the model.
        to: a backend's name, or "tensoria".
        out: the folder.
        check: whether to compare the program and the written source with the model.
        force: whether a folder that an earlier port wrote is replaced.
        say: what is told of progress.

    Returns:
        0, or 1 if a check finds that something differs.

    Raises:
        FileError: the folder is there, or can not be written.
        TensoriaError: the model can not be ported.
    """
    _free(out, force)
    with _timed("capture", say):
        program = _captured(model)
    operations = program.operations()
    say(f"  {len(program.instructions)} instructions, {len(operations)} operations, {_count(program):,} parameters")
    for name, where in program_axes(program).items():
        say(f"  {name}: {where}")
    with _appearing(out, force) as folder:
        with _timed(f"source over {to}", say):
            text = program.source(to, form="classes")
            (folder / SOURCE).write_text(text)
        with _timed("weights", say):
            program.save(folder / WEIGHTS)
        code = _checked(model, program, to, folder, say) if check else 0
    for name in sorted(path.name for path in out.iterdir()):
        say(f"  {out / name}  {_size((out / name).stat().st_size)}")
    return code


def program_axes(program: Program) -> dict[str, str]:
    """The program's inputs, and their types."""
    return {value.name: str(value.type) for value in program.inputs}


def _captured(model: Model) -> Program:
    return tn.port(model.model, model.args, model.kwargs, dynamic=model.dynamic)


def _count(program: Program) -> int:
    return sum(program.arrays[value].size for value in program.parameters.values())


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1000
    return f"{count:.3g} GB"


@contextmanager
def _timed(what: str, say: Callable[[str], None]) -> Iterator[None]:
    say(f"{what} ...")
    start = time.perf_counter()
    yield
    say(f"{what}: {time.perf_counter() - start:.1f} s")


# -- the folder -------------------------------------------------------------------------------------------------------


def _free(out: Path, force: bool) -> None:
    """Raise unless a folder may be written."""
    if not out.exists():
        if not out.resolve().parent.is_dir():
            raise FileError(f"{out.resolve().parent} is no folder.")
        return
    if not out.is_dir():
        raise FileError(f"{out} is there, and no folder.", legal="--out names a folder that is not there yet")
    others = sorted(path.name for path in out.iterdir() if path.name not in FILES and path.name != "__pycache__")
    if others:
        held = ", ".join(others[:3])
        raise FileError(f"{out} holds {held}, which no port has written.", legal="--out another folder")
    if not force:
        raise FileError(f"{out} is there already.", legal="--force replaces what an earlier port has written")


@contextmanager
def _appearing(out: Path, force: bool) -> Iterator[Path]:
    """A folder that takes its name when everything is in it; nothing of it is left if something goes wrong."""
    parent = out.resolve().parent
    try:
        made = Path(tempfile.mkdtemp(dir=parent, prefix=f".{out.name}."))
    except OSError as error:
        raise FileError(f"{parent} can not be written: {error.strerror or error}.") from error
    before = made.with_name(f"{made.name}.before")
    try:
        yield made
        shutil.rmtree(made / "__pycache__", ignore_errors=True)
        umask = os.umask(0)
        os.umask(umask)
        made.chmod(0o777 & ~umask)
        _free(out, force)
        if out.exists():
            out.rename(before)
        try:
            made.rename(out.resolve())
        except OSError:
            if before.exists():
                before.rename(out)
            raise
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise FileError(f"{out} can not be written: {error.strerror or error}.") from error
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


# -- the check --------------------------------------------------------------------------------------------------------


def _checked(model: Model, program: Program, to: str, folder: Path, say: Callable[[str], None]) -> int:
    """Compare the program with the model on the target, and what the written files compute with the program."""
    target = "numpy" if to == "tensoria" else to
    args, kwargs = model.args, dict(model.kwargs)
    with _timed("parity", say):
        report = tn.parity(program, source=model.model, args=args, kwargs=kwargs, to=[target])
    for line in str(report).splitlines():
        say(f"  {line}")
    report.save(folder / "parity.json")
    report.html(folder / "parity.html")
    with _timed("the written files", say):
        error = _written_error(program, to, target, folder, args, kwargs)
    agrees = error <= CLOSE
    say(f"  {SOURCE} with {WEIGHTS}: {error:.1e} from the program" + ("" if agrees else f", more than {CLOSE:.0e}"))
    return 0 if agrees and report.first is None else 1


def _written_error(
    program: Program, to: str, target: str, folder: Path, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> float:
    backend = get(target)
    given = flatten((*args, *kwargs.values()), lambda x: backend_of(x) is not None)[0]
    arrays = [convert(_detached(x), _owner(x), backend) for x in given]
    if program.key is not None:
        arrays.append(backend.asarray([0, 1], program.key.type.dtype, home(backend), None))
    expected = [numbers(x) for x in program.evaluate(backend, arrays)]
    module: dict[str, Any] = {"__name__": "model"}
    exec(compile((folder / SOURCE).read_text(), str(folder / SOURCE), "exec"), module)
    model = module["load"](folder / WEIGHTS)
    wrapped = [tn.asarray(x) for x in arrays] if to == "tensoria" else arrays
    result = model(*(x for x in unflatten(program.input_tree, wrapped) if not _plain(x)))
    found = flatten(result, lambda x: isinstance(x, tn.Tensor) or backend_of(x) is not None)[0]
    return max(map(_difference, map(numbers, found), expected), default=0.0)


def _plain(argument: Any) -> bool:
    """Whether an argument has no tensors."""
    return not flatten(argument, lambda x: isinstance(x, tn.Tensor) or backend_of(x) is not None)[0]


def _owner(x: Any) -> Any:
    owner = backend_of(x)
    assert owner is not None
    return owner


def _detached(x: Any) -> Any:
    return _owner(x).detach(x)


def _difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    kind = np.complex128 if np.iscomplexobj(b) else np.float64
    a, b = a.astype(kind), b.astype(kind)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.abs(b[np.isfinite(b)]).max(initial=np.finfo(np.float64).tiny)
    return float(np.where(same, 0, np.abs(a - b)).max() / finite)
