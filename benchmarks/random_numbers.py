"""How long random numbers take: tensoria's, compiled and not, beside each framework's own generator.

    python benchmarks/random_numbers.py [--backend numpy] [--count 1000000] [--rounds 15]

All draw float32 in [0, 1) and standard normal float32. The frameworks' own numbers differ from each other; tensoria's
are the same on all of them, and from explicit keys. Calls take turns, so that drift strikes all alike.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensoria as tn
from tensoria.discovery import get

Call = Callable[[], Any]


def numpy_own(count: int) -> dict[str, dict[str, Call]]:
    np = importlib.import_module("numpy")
    generator = np.random.Generator(np.random.Philox(0))
    return {
        "uniform": {"Philox": lambda: generator.random(count, dtype=np.float32)},
        "normal": {"Philox": lambda: generator.standard_normal(count, dtype=np.float32)},
    }


def torch_own(count: int) -> dict[str, dict[str, Call]]:
    torch = importlib.import_module("torch")
    return {
        "uniform": {"torch.rand": lambda: torch.rand(count)},
        "normal": {"torch.randn": lambda: torch.randn(count)},
    }


def tensorflow_own(count: int) -> dict[str, dict[str, Call]]:
    tf = importlib.import_module("tensorflow")
    seed = tf.constant([1, 2])

    def threefry(draw: Callable[..., Any]) -> Call:
        # TensorFlow has Threefry in XLA only.
        return tf.function(lambda: draw([count], seed, alg="threefry"), jit_compile=True)

    return {
        "uniform": {
            "stateless (Philox)": lambda: tf.random.stateless_uniform([count], seed, alg="philox"),
            "stateless (Threefry, XLA)": threefry(tf.random.stateless_uniform),
        },
        "normal": {
            "stateless (Philox)": lambda: tf.random.stateless_normal([count], seed, alg="philox"),
            "stateless (Threefry, XLA)": threefry(tf.random.stateless_normal),
        },
    }


def numpy_compiled(function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {}


def torch_compiled(function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {"tensoria, torch.compile": importlib.import_module("torch").compile(function, fullgraph=True)}


def tensorflow_compiled(function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    tf = importlib.import_module("tensorflow")
    return {
        "tensoria, tf.function": tf.function(function, autograph=False),
        "tensoria, XLA": tf.function(function, autograph=False, jit_compile=True),
    }


OWN = {"numpy": numpy_own, "torch": torch_own, "tensorflow": tensorflow_own}
COMPILED = {"numpy": numpy_compiled, "torch": torch_compiled, "tensorflow": tensorflow_compiled}


def calls(backend: str, draw: str, count: int) -> dict[str, Call]:
    """What draws so many numbers, by name."""
    key = tn.random.key(0, backend=backend)
    function = getattr(tn.random, draw)

    def native(key: Any) -> Any:
        return function(key, count).array

    ours = {"tensoria": native, **COMPILED[backend](native)}
    bound = {name: (lambda ours=ours: ours(key)) for name, ours in ours.items()}
    return {**bound, **OWN[backend](count)[draw]}


def measured(backend: str, draw: str, count: int, rounds: int) -> dict[str, float | str]:
    """The median of each one's milliseconds, or why there are none."""
    ready: dict[str, Call] = {}
    found: dict[str, float | str] = {}
    for name, call in calls(backend, draw, count).items():
        try:
            call()
            call()
            ready[name] = call
        except Exception as error:  # a compiler that is not there, or an algorithm that a framework lacks here
            found[name] = f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:80]}"
    taken: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(rounds):
        for name, call in ready.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {**{name: statistics.median(times) * 1e3 for name, times in taken.items()}, **found}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", action="append", choices=OWN, help="repeatable; all by default")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many numbers a call draws")
    parser.add_argument("--rounds", type=int, default=15, help="how many turns")
    options = parser.parse_args(arguments)
    print(f"milliseconds for {options.count:,} float32, median of {options.rounds} turns, {os.cpu_count()} cores")
    for backend in options.backend or OWN:
        try:
            print(f"\n{backend} {get(backend).version()}")
        except tn.errors.BackendNotFoundError as missing:
            print(f"\n{backend}: left out ({missing.message})")
            continue
        for draw in ("uniform", "normal"):
            for name, value in measured(backend, draw, options.count, options.rounds).items():
                shown = f"{value:10.2f}" if isinstance(value, float) else f"{'-':>10}   {value}"
                print(f"  {draw:<10}{name:<28}{shown}")


if __name__ == "__main__":
    main()
