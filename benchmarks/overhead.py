"""What a call costs besides its arithmetic: tensoria beside each framework, array_api_strict, keras.ops and eagerpy.

Six operations on a 4x4 float32, where nothing but Python and dispatch takes time. Raw is what a user of the framework
writes (`a + b`, `torch.sum(a)`, `a[1] = row`; on TensorFlow, whose tensors can not be assigned to,
`variable[1].assign(row)`). Contestants take turns within one run (see `timing`); the columns after the times are the
median differences and ratios within a turn. A second table has what labels cost beyond the native call.

    python benchmarks/overhead.py --backend tensorflow --quick
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from timing import TURN, Call, machine, microseconds, paired, turns

import tensoria as tn
from tensoria.discovery import get

Array = Any
OPERATIONS = ("add", "matmul", "sum", "reshape", "getitem", "setitem")
RIVALS = {"numpy": ("array_api_strict", "eagerpy"), "torch": ("eagerpy",), "tensorflow": ("keras.ops", "eagerpy")}
"""Who else offers these operations over a framework. (keras.ops runs over one framework a process.)"""


def assign(array: Array, key: Any, value: Any) -> None:
    """`array[key] = value` as an expression."""
    array[key] = value


def of_numpy(a: Array, b: Array) -> dict[str, Call]:
    """NumPy's own calls."""
    target, row = a.copy(), b[0].copy()
    return {
        "add": lambda: a + b,
        "matmul": lambda: a @ b,
        "sum": lambda: np.sum(a),
        "reshape": lambda: np.reshape(a, (2, 8)),
        "getitem": lambda: a[1],
        "setitem": lambda: assign(target, 1, row),
        "matvec": lambda: a.dot(row),
    }


def of_torch(a: Array, b: Array) -> dict[str, Call]:
    """PyTorch's own calls."""
    torch = importlib.import_module("torch")
    target, row = a.clone(), b[0].clone()
    return {
        "add": lambda: a + b,
        "matmul": lambda: a @ b,
        "sum": lambda: torch.sum(a),
        "reshape": lambda: torch.reshape(a, (2, 8)),
        "getitem": lambda: a[1],
        "setitem": lambda: assign(target, 1, row),
        "matvec": lambda: torch.mv(a, row),
    }


def of_tensorflow(a: Array, b: Array) -> dict[str, Call]:
    """TensorFlow's public operators and functions."""
    tf = importlib.import_module("tensorflow")
    target, row = tf.Variable(a), tf.identity(b[0])
    return {
        "add": lambda: a + b,
        "matmul": lambda: a @ b,
        "sum": lambda: tf.reduce_sum(a),
        "reshape": lambda: tf.reshape(a, (2, 8)),
        "getitem": lambda: a[1],
        "setitem": lambda: target[1].assign(row),
        "matvec": lambda: tf.linalg.matvec(a, row),
    }


RAW: dict[str, Callable[[Array, Array], dict[str, Call]]] = {
    "numpy": of_numpy,
    "torch": of_torch,
    "tensorflow": of_tensorflow,
}


def of_tensoria(a: Array, b: Array) -> dict[str, Call]:
    """The same on plain tensors."""
    t, u = tn.asarray(a, copy=True), tn.asarray(b)
    target, row = tn.asarray(a, copy=True), u[0]
    return {
        "add": lambda: t + u,
        "matmul": lambda: t @ u,
        "sum": lambda: tn.sum(t),
        "reshape": lambda: tn.reshape(t, (2, 8)),
        "getitem": lambda: t[1],
        "setitem": lambda: assign(target, 1, row),
    }


def labelled(a: Array, b: Array) -> dict[str, Call]:
    """What labelled tensors have for some of them."""
    V = tn.Space("V", 4)
    i, j = tn.indices("i j", V)
    A, B, v = tn.tensor(a, [i, -j]), tn.tensor(b, [i, -j]), tn.tensor(b[0], [j])
    return {"add": lambda: A + B, "matmul": lambda: A @ B, "matvec": lambda: A * v}


def of_array_api_strict(a: Array, b: Array) -> dict[str, Call]:
    """The strict implementation of the Array API over NumPy."""
    xp = importlib.import_module("array_api_strict")
    t, u, target = xp.asarray(a), xp.asarray(b), xp.asarray(a, copy=True)
    row = u[0, :]
    return {
        "add": lambda: t + u,
        "matmul": lambda: t @ u,
        "sum": lambda: xp.sum(t),
        "reshape": lambda: xp.reshape(t, (2, 8)),
        "getitem": lambda: t[1, :],
        "setitem": lambda: assign(target, (1, slice(None)), row),
    }


def of_keras(a: Array, b: Array) -> dict[str, Call]:
    """keras.ops, which has functions only."""
    ops = importlib.import_module("keras").ops
    row = b[0][None]
    return {
        "add": lambda: ops.add(a, b),
        "matmul": lambda: ops.matmul(a, b),
        "sum": lambda: ops.sum(a),
        "reshape": lambda: ops.reshape(a, (2, 8)),
        "getitem": lambda: ops.take(a, 1, axis=0),
        "setitem": lambda: ops.slice_update(a, (1, 0), row),
    }


def of_eagerpy(a: Array, b: Array) -> dict[str, Call]:
    """eagerpy's wrapper."""
    ep = importlib.import_module("eagerpy")
    t, u = ep.astensor(a), ep.astensor(b)
    row = u[0]
    return {
        "add": lambda: t + u,
        "matmul": lambda: ep.matmul(t, u),
        "sum": lambda: ep.sum(t),
        "reshape": lambda: ep.reshape(t, (2, 8)),
        "getitem": lambda: t[1],
        "setitem": lambda: ep.index_update(t, ep.index[1], row),
    }


OTHERS = {"array_api_strict": of_array_api_strict, "keras.ops": of_keras, "eagerpy": of_eagerpy}


@dataclass
class Row:
    """Microseconds of each contestant for one operation, and tensoria's beside the raw call's."""

    backend: str
    operation: str
    times: dict[str, float]
    above: float
    ratio: float


def measured(backend: str, operation: str, calls: dict[str, Call], rounds: int) -> Row:
    """Let the contestants take turns."""
    taken = turns(calls, rounds)
    ours, raw = taken["tensoria"], taken["raw"]
    return Row(
        backend,
        operation,
        {name: microseconds(seconds) for name, seconds in taken.items()},
        above=paired(ours, raw, lambda a, b: a - b) * 1e6,
        ratio=paired(ours, raw, lambda a, b: a / b),
    )


def report(backend: str, rounds: int) -> list[Row]:
    """Measure and print one backend."""
    random = np.random.default_rng(0)
    a, b = (tn.asarray(random.random((4, 4), "float32"), backend=backend).array for _ in "ab")
    raw = RAW[backend](a, b)
    contestants = {"raw": raw, "tensoria": of_tensoria(a, b)}
    for name in RIVALS[backend]:
        try:
            contestants[name] = OTHERS[name](a, b)
        except ModuleNotFoundError as error:
            print(f"{name}: left out ({error})")
    print(f"\n{backend} {get(backend).version()}\n")
    head(contestants)
    rows = []
    for operation in OPERATIONS:
        row = measured(backend, operation, {name: of[operation] for name, of in contestants.items()}, rounds)
        show(row, contestants)
        rows.append(row)
    print()
    head(("raw", "tensoria"))
    for operation, call in labelled(a, b).items():
        row = measured(backend, f"labelled {operation}", {"raw": raw[operation], "tensoria": call}, rounds)
        show(row, row.times)
        rows.append(row)
    return rows


def head(columns: Sequence[str] | dict[str, Any]) -> None:
    """Print a table's first line."""
    print(f"{'microseconds':<18}" + "".join(f"{name:>18}" for name in columns) + f"{'above raw':>12}{'ours / raw':>12}")


def show(row: Row, columns: Sequence[str] | dict[str, Any]) -> None:
    """Print a line of a table."""
    cells = "".join(f"{row.times[name]:>18.2f}" for name in columns)
    print(f"{row.operation:<18}{cells}{row.above:>12.2f}{row.ratio:>12.2f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", action="append", choices=RAW, help="repeatable; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args(arguments)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    rounds = 7 if options.quick else 31
    facts = machine()
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))
    print(f"median of {rounds} turns of {TURN * 1e3:g} ms each, on 4x4 float32")
    rows: list[Row] = []
    for backend in options.backend or RAW:
        try:
            get(backend)
        except (tn.errors.BackendError, ImportError) as error:
            print(f"\n{backend}: left out ({error})")
            continue
        rows += report(backend, rounds)
    if options.json is not None:
        content = {"facts": facts, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
