"""The command line: `tensoria tour` shows what the library is for, `tensoria port` ports a model, `tensoria doctor`
says what is installed, and `tensoria conformance` whether the backends keep their contracts.

Each command is one row of `COMMANDS`. What goes wrong on purpose (`errors.TensoriaError`) is one message on the stream
for errors and the exit code 2, never a traceback.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.metadata
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tensoria as tn
from tensoria.errors import BackendNotFoundError, TensoriaError
from tensoria.porter import found, port
from tensoria.startup import start
from tensoria.tour import tour
from tensoria.tour.layout import heading, table

__all__ = ["doctor", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process if None.

    Returns:
        The exit code: 0 if all is well, 1 if a command finds that something is not, 2 for wrong arguments and errors,
        130 if it was interrupted, 141 if nobody reads its output any more (128 + the signal, as shells have it).
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character such as ⊗ shows its code instead of ending the program.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed what is wrong, or the help that was asked for
        return stop.code if isinstance(stop.code, int) else 2
    if arguments.run is None:
        parser.print_help()
        return 0
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except TensoriaError as error:
        print(f"tensoria {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"tensoria {arguments.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`). Python flushes once more at its end, into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


class Command(NamedTuple):
    """A command: what its help says, its arguments, and what runs it."""

    summary: str
    description: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _tour_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help="a backend to run on; may be repeated, or be a list such as A,B (default: all installed ones)",
    )
    picture = parser.add_mutually_exclusive_group()
    picture.add_argument(
        "--out", type=Path, default=Path("out"), metavar="FOLDER", help="where files go (default: ./out)"
    )
    picture.add_argument("--no-picture", action="store_true", help="leave no files")


def _run_tour(arguments: argparse.Namespace) -> int:
    return tour(_backends(arguments), None if arguments.no_picture else arguments.out)


def _backends(arguments: argparse.Namespace) -> list[str] | None:
    """The names given to --backend; None for the default."""
    if arguments.backend is None:
        return None
    names = [name.strip() for part in arguments.backend for name in part.split(",") if name.strip()]
    if not names:
        raise TensoriaError("--backend names no backend.", legal=f"--backend {','.join(tn.available())}")
    return names


def _conformance_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help="a backend to check; may be repeated, or be a list such as A,B (default: all installed ones)",
    )
    parser.add_argument(
        "--chapter", action="append", metavar="NAME", help="a chapter to run; may be repeated (default: all)"
    )
    parser.add_argument(
        "--device", metavar="NAME", help="make new tensors there, such as cuda (default: where the frameworks choose)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as one page")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="compare with what held when FILE was written")
    parser.add_argument("--update-baseline", action="store_true", help="write what is found into the baseline")


def _run_conformance(arguments: argparse.Namespace) -> int:
    try:
        # Not an import statement: nothing in this package needs the suite, which needs packages of its own.
        command = importlib.import_module("tensoria_conformance.command")
    except ModuleNotFoundError as missing:
        raise TensoriaError(
            f"the conformance suite needs the module {missing.name!r}, which is not installed.",
            legal="pip install 'tensoria[conformance]'",
        ) from missing
    code: int = command.conformance(
        _backends(arguments),
        arguments.chapter,
        arguments.json,
        arguments.html,
        arguments.baseline,
        arguments.update_baseline,
        arguments.device,
    )
    return code


def _limit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="FILE:FUNCTION",
        help="a function from a width to a model that takes 64 pixels and has ten outputs (default: two hidden layers)",
    )  # fmt: skip
    for name, value, text in (
        ("train", 400, "digits to learn"), ("test", 400, "digits to test"), ("width", 512, "of the finite networks"),
        ("networks", 4, "finite networks"), ("steps", 200, "steps of gradient descent"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{text} (default: {value})")
    parser.add_argument("--backend", metavar="NAME", help="where to compute (default: the model's framework)")


def _run_limit(arguments: argparse.Namespace) -> int:
    from tensoria.limits.demonstration import demonstrate

    return demonstrate(
        arguments.model, train=arguments.train, test=arguments.test, width=arguments.width,
        networks=arguments.networks, steps=arguments.steps, backend=arguments.backend,
    )  # fmt: skip


def _port_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="package.module:factory, a function that returns a model, or (model, args) or (model, args, kwargs, "
        "dynamic); or a SavedModel's folder; or a .keras file",
    )
    parser.add_argument("--to", required=True, metavar="NAME", help="a backend; tensoria is source over all of them")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to write")
    parser.add_argument(
        "--dynamic",
        action="append",
        default=[],
        metavar="ARGUMENT=AXES",
        help='an argument\'s open axes, such as "input_ids=batch,sequence" or "x=batch,-,-"; may be repeated',
    )
    parser.add_argument("--check", action="store_true", help="compare with the model, operator by operator")
    parser.add_argument("--force", action="store_true", help="replace what an earlier port has written there")


def _run_port(arguments: argparse.Namespace) -> int:
    known = (*tn.available(), "tensoria")
    if arguments.to not in known:
        raise TensoriaError(f"--to {arguments.to!r} is no backend.", legal=", ".join(known))
    dynamic = dict(_axes(text) for text in arguments.dynamic)
    model = found(arguments.model)
    model = dataclasses.replace(model, dynamic={**model.dynamic, **dynamic})
    return port(
        model, arguments.to, arguments.out, check=arguments.check, force=arguments.force,
        say=lambda text: print(text, flush=True),
    )  # fmt: skip


def _axes(text: str) -> tuple[str, tuple[str | None, ...]]:
    """An argument's open axes as the command line has them."""
    name, separator, axes = text.partition("=")
    if not name or not separator or not axes:
        raise TensoriaError(f"--dynamic {text!r} says no axes.", legal="--dynamic input_ids=batch,sequence")
    return name, tuple(None if axis.strip() in ("", "-") else axis.strip() for axis in axes.split(","))


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    pass


COMMANDS = {
    "tour": Command(
        "look into a real transformer with typed tensors, on every installed backend",
        "Read a sentence-embedding model, build each attention head's QK and OV circuits as typed tensors, show which "
        "mistakes the types refuse, and compare the backends' results. Takes less than a minute.",
        _tour_arguments,
        _run_tour,
    ),
    "port": Command(
        "write a model of PyTorch, TensorFlow or Keras as source over another framework, with its weights",
        "Capture a model, write its source (one class for each module) and its weights into a new folder, and compare "
        "them with the model if asked to. The exit code is 0, 1 if a check finds a difference, 2 for errors.",
        _port_arguments,
        _run_port,
    ),
    "doctor": Command(
        "say what is installed and what is missing",
        "List backends, their versions and devices, and optional packages, with the command that installs what is "
        "missing. The exit code is 0 if at least one backend works.",
        _no_arguments,
        lambda arguments: doctor(),
    ),
    "limit": Command(
        "take a network to its infinite width, on handwritten digits",
        "Capture a model at three widths, derive its NNGP and NTK kernels, predict scikit-learn's handwritten digits "
        "with them, and train finite networks beside.",
        _limit_arguments,
        _run_limit,
    ),
    "conformance": Command(
        "check that backends keep the contracts that hold on all of them",
        "Run the contracts of tensoria_conformance and report by backend and chapter. The exit code is 0 if all hold "
        "(or fail as the baseline has it), 1 if one fails, 2 for wrong arguments, 3 if one held in the baseline and "
        "does not any more.",
        _conformance_arguments,
        _run_conformance,
    ),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tensoria", description=tn.__doc__)
    parser.add_argument("--version", action="version", version=f"tensoria {importlib.metadata.version('tensoria')}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.summary, description=command.description)
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


# -- doctor -----------------------------------------------------------------------------------------------------------

OPTIONAL = "examples"
"""The extra whose packages the doctor lists; backends are listed by what registers them."""


def doctor() -> int:
    """Print what is installed, and how to install what is missing.

    Returns:
        0 if at least one backend works, else 1.
    """
    version = importlib.metadata.version("tensoria")
    print(f"tensoria {version}, Python {platform.python_version()}, NumPy {np.__version__}, {platform.platform()}")
    backends = [_examined(name) for name in tn.available()]
    packages = [_package(name) for name in _extra(OPTIONAL)]
    print(heading("Backends"))
    print(table(["backend", "state", "version", "devices"], [row for row, _ in backends]))
    print(heading("Optional packages"))
    print(table(["package", "state", "version", "for"], [row for row, _ in packages]))
    advice = dict.fromkeys(text for _, text in (*backends, *packages) if text)
    if advice:
        print(heading("What to do"))
        print("\n".join(f"  {text}" for text in advice))
    working = sum(row[1] == "works" for row, _ in backends)
    print(f"\n{working} of {len(backends)} backends work." + ("" if working else " At least one is needed."))
    return 0 if working else 1


def _examined(name: str) -> tuple[list[str], str | None]:
    """A backend's row in the table, and what to do about it."""
    try:
        backend = start(name)
        i, j = tn.indices("i j", tn.Space("V", 2))
        A = tn.tensor([[1.0, 2.0], [3.0, 4.0]], [i, -j], backend=name)
        product = np.asarray((A * tn.tensor([1.0, -1.0], [j], backend=name)).components)
        state = "works" if product.tolist() == [-1.0, -1.0] else "broken"
        advice = None if state == "works" else f"{name}: a product of a 2x2 matrix and a vector came out as {product}"
        return [name, state, backend.version(), ", ".join(backend.devices())], advice
    except BackendNotFoundError as error:
        return [name, "missing", "-", "-"], error.legal or str(error)
    # A framework that fails to load raises whatever it likes, and the others are examined all the same.
    except Exception as error:
        return [name, "broken", "-", "-"], f"{name}: {type(error).__name__}: {error}"


def _package(name: str) -> tuple[list[str], str | None]:
    try:
        return [name, "installed", importlib.metadata.version(name), "tensoria tour"], None
    except importlib.metadata.PackageNotFoundError:
        return [name, "missing", "-", "tensoria tour"], f"pip install 'tensoria[{OPTIONAL}]'"


def _extra(extra: str) -> list[str]:
    """The packages of an extra, as the distribution's metadata have them."""
    required = importlib.metadata.requires("tensoria") or []
    marked = [text.split(";") for text in required if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", text)]
    return [match[0] for name, *_ in marked if (match := re.match(r"[\w.-]+", name))]
