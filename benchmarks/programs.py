"""What compiled programs cost beside code written by hand for the framework, on all backends in one run.

Three functions of models: an MLP block, a layer norm written out, an attention block. Each is written once with
tensoria, traced with an open batch size and compiled; its rivals are written by hand as a user of the framework writes
them. Contestants take turns within one run (see `timing`), measured in the process's own time; ratios are medians of
those within a turn. The column "control" is the hand-written function beside itself, measured like the program: what
differs from 1 there is the noise that the ratio has too.

    python benchmarks/programs.py --backend torch --quick
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from timing import TURN, machine, microseconds, paired, turns

import tensoria as tn
from tensoria.discovery import get
from tensoria.tensor import Tensor

Array = Any
SIZES = {"small": (8, 16, 4, 16), "large": (16, 64, 8, 256)}
"""Batch, tokens, heads, width of a model: one where calls cost most, and one where arithmetic does."""

# -- written once -----------------------------------------------------------------------------------------------------


def mlp(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """Two linear layers with the rectified linear function between them, beside a residual connection."""
    hidden = tn.maximum(x @ w1.mT + b1, 0.0)
    return x + hidden @ w2.mT + b2


def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Layer norm over the last axis."""
    centred = x - tn.mean(x, axis=-1, keepdims=True)
    variance = tn.mean(centred * centred, axis=-1, keepdims=True)
    return centred / tn.sqrt(variance + 1e-5) * weight + bias


def attention(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int) -> Tensor:
    """Self-attention of several heads; weights are (out, in)."""
    batch, tokens, width = x.shape

    def split(y: Tensor) -> Tensor:
        return tn.permute_dims(tn.reshape(y, (batch, tokens, heads, width // heads)), (0, 2, 1, 3))

    q, k, v = split(x @ wq.mT), split(x @ wk.mT), split(x @ wv.mT)
    scores = q @ k.mT * (width // heads) ** -0.5
    scores = tn.exp(scores - tn.max(scores, axis=-1, keepdims=True))
    mixed = scores / tn.sum(scores, axis=-1, keepdims=True) @ v
    return tn.reshape(tn.permute_dims(mixed, (0, 2, 1, 3)), (batch, tokens, width)) @ wo.mT


# -- written by hand --------------------------------------------------------------------------------------------------


def of_numpy() -> dict[str, Callable[..., Array]]:
    """NumPy's functions."""

    def mlp(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
        hidden = np.maximum(x @ w1.T + b1, 0.0)
        return x + hidden @ w2.T + b2

    def norm(x: Array, weight: Array, bias: Array) -> Array:
        centred = x - np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(centred * centred, axis=-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-5) * weight + bias

    def attention(x: Array, wq: Array, wk: Array, wv: Array, wo: Array, heads: int) -> Array:
        batch, tokens, width = x.shape

        def split(y: Array) -> Array:
            return y.reshape(batch, tokens, heads, width // heads).transpose(0, 2, 1, 3)

        q, k, v = split(x @ wq.T), split(x @ wk.T), split(x @ wv.T)
        scores = q @ k.mT * (width // heads) ** -0.5
        scores = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        mixed = scores / np.sum(scores, axis=-1, keepdims=True) @ v
        return mixed.transpose(0, 2, 1, 3).reshape(batch, tokens, width) @ wo.T

    return {"mlp": mlp, "norm": norm, "attention": attention}


def of_torch() -> dict[str, Callable[..., Array]]:
    """PyTorch's functions."""
    torch = importlib.import_module("torch")

    def mlp(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
        hidden = (x @ w1.T + b1).clamp(min=0.0)
        return x + hidden @ w2.T + b2

    def norm(x: Array, weight: Array, bias: Array) -> Array:
        centred = x - torch.mean(x, dim=-1, keepdim=True)
        variance = torch.mean(centred * centred, dim=-1, keepdim=True)
        return centred / torch.sqrt(variance + 1e-5) * weight + bias

    def attention(x: Array, wq: Array, wk: Array, wv: Array, wo: Array, heads: int) -> Array:
        batch, tokens, width = x.shape

        def split(y: Array) -> Array:
            return y.reshape(batch, tokens, heads, width // heads).permute(0, 2, 1, 3)

        q, k, v = split(x @ wq.T), split(x @ wk.T), split(x @ wv.T)
        scores = q @ k.mT * (width // heads) ** -0.5
        scores = torch.exp(scores - torch.amax(scores, dim=-1, keepdim=True))
        mixed = scores / torch.sum(scores, dim=-1, keepdim=True) @ v
        return mixed.permute(0, 2, 1, 3).reshape(batch, tokens, width) @ wo.T

    return {"mlp": mlp, "norm": norm, "attention": attention}


def of_tensorflow() -> dict[str, Callable[..., Array]]:
    """TensorFlow's functions."""
    tf = importlib.import_module("tensorflow")

    def mlp(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
        hidden = tf.maximum(tf.matmul(x, w1, transpose_b=True) + b1, 0.0)
        return x + tf.matmul(hidden, w2, transpose_b=True) + b2

    def norm(x: Array, weight: Array, bias: Array) -> Array:
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
        return centred / tf.sqrt(variance + 1e-5) * weight + bias

    def attention(x: Array, wq: Array, wk: Array, wv: Array, wo: Array, heads: int) -> Array:
        batch, tokens, width = x.shape

        def split(w: Array) -> Array:
            y = tf.reshape(tf.matmul(x, w, transpose_b=True), (batch, tokens, heads, width // heads))
            return tf.transpose(y, [0, 2, 1, 3])

        q, k, v = split(wq), split(wk), split(wv)
        scores = tf.matmul(q, k, transpose_b=True) * (width // heads) ** -0.5
        scores = tf.exp(scores - tf.reduce_max(scores, axis=-1, keepdims=True))
        mixed = tf.matmul(scores / tf.reduce_sum(scores, axis=-1, keepdims=True), v)
        mixed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), (batch, tokens, width))
        return tf.matmul(mixed, wo, transpose_b=True)

    return {"mlp": mlp, "norm": norm, "attention": attention}


HAND = {"numpy": of_numpy, "torch": of_torch, "tensorflow": of_tensorflow}
FUNCTIONS: dict[str, Callable[..., Any]] = {"mlp": mlp, "norm": norm, "attention": attention}

# -- measuring --------------------------------------------------------------------------------------------------------


def arguments(name: str, size: str) -> tuple[list[np.ndarray[Any, Any]], tuple[int, ...]]:
    """Random arrays for a function, and what else it takes."""
    batch, tokens, heads, width = SIZES[size]
    random = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray[Any, Any]:
        return (random.standard_normal(shape) / math.sqrt(shape[-1])).astype("float32")

    x = array(batch, tokens, width)
    if name == "mlp":
        return [x, array(4 * width, width), array(4 * width), array(width, 4 * width), array(width)], ()
    if name == "norm":
        return [x, array(width), array(width)], ()
    return [x, *(array(width, width) for _ in range(4))], (heads,)


@dataclass
class Row:
    """Microseconds of each contestant, and the compiled program's beside the hand-written function's."""

    backend: str
    function: str
    size: str
    hand: float
    program: float
    above: float
    ratio: float
    control: float
    jit: float | None = None


def measured(backend: str, name: str, size: str, rounds: int, jit: bool) -> Row:
    """Let the contestants take turns."""
    arrays, more = arguments(name, size)
    first = "x"
    program = tn.trace(FUNCTIONS[name], *map(tn.asarray, arrays), *more, dynamic={first: ("batch", None, None)})
    given = [get(backend).asarray(array, None, None, True) for array in arrays]
    hand = HAND[backend]()[name]
    ours = program.compile(backend).native
    np.testing.assert_allclose(
        get(backend).to_numpy(ours(*given)[0]), get(backend).to_numpy(hand(*given, *more)), rtol=1e-3, atol=1e-4
    )
    calls = {"hand": lambda: hand(*given, *more), "program": lambda: ours(*given), "again": lambda: hand(*given, *more)}
    if jit:
        compiled, by_hand = program.compile(backend, jit=True).native, get(backend).compile(hand)
        calls |= {"jit hand": lambda: by_hand(*given, *more), "jit program": lambda: compiled(*given)}
    taken = turns(calls, rounds, time.process_time)
    return Row(
        backend, name, size, microseconds(taken["hand"]), microseconds(taken["program"]),
        above=paired(taken["program"], taken["hand"], lambda a, b: a - b) * 1e6,
        ratio=paired(taken["program"], taken["hand"], lambda a, b: a / b),
        control=paired(taken["again"], taken["hand"], lambda a, b: a / b),
        jit=paired(taken["jit program"], taken["jit hand"], lambda a, b: a / b) if jit else None,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", action="append", choices=HAND, help="repeatable; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--jit", action="store_true", help="under the framework's own compiler too")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args(arguments)
    rounds = 15 if options.quick else 61
    facts = machine()
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))
    print(f"median of {rounds} turns of {TURN * 1e3:g} ms each, float32; sizes {SIZES} (batch, tokens, heads, width)\n")
    print(f"{'microseconds':<24}{'size':<8}{'hand':>12}{'program':>12}{'above':>10}{'ratio':>8}{'control':>9}{'compiled':>10}")
    rows: list[Row] = []
    for backend in options.backend or HAND:
        try:
            get(backend)
        except (tn.errors.BackendError, ImportError) as error:
            print(f"\n{backend}: left out ({error})")
            continue
        for size in SIZES:
            for name in FUNCTIONS:
                row = measured(backend, name, size, rounds, options.jit and backend != "numpy")
                jit = "" if row.jit is None else f"{row.jit:.3f}"
                print(f"{f'{backend} {name}':<24}{size:<8}{row.hand:>12.1f}{row.program:>12.1f}{row.above:>10.1f}"
                      f"{row.ratio:>8.3f}{row.control:>9.3f}{jit:>10}", flush=True)  # fmt: skip
                rows.append(row)
    if options.json is not None:
        content = {"facts": facts, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
