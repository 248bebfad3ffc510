"""How long a decomposition takes, and how well it fits: tensoria beside TensorLy, on NumPy, PyTorch and TensorFlow.

As in `contraction.py`, what lasts is a ratio within one run: the two take turns on the same tensor, from the same
factors, for the same number of sweeps, and the ratio is the median over turns of tensoria's time divided by TensorLy's.
Beside it stand the fits, 1 - ||X - Y|| / ||X||, both computed here from the factors that came back.

The tensor is of low rank with noise: fifteen components, noise of a tenth of the norm, decomposed with ten. Where
TensorLy fails (on TensorFlow it may), it is shown as "-" with its reason below the line.

    python benchmarks/decompositions.py --sizes 64 128 --turns 5
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorly

import tensoria as tn
from tensoria.discovery import get

Array = Any
Factors = list[np.ndarray[Any, Any]]
RANK = 10
SWEEPS = {"CP-ALS": 10, "HOOI": 5}


def low_rank(size: int, dtype: str) -> np.ndarray[Any, Any]:
    """A size^3 tensor of fifteen components and noise."""
    random = np.random.default_rng(size)
    a, b, c = (random.standard_normal((size, 15)) for _ in range(3))
    x = np.einsum("ir,jr,kr->ijk", a, b, c, optimize=True)
    noise = random.standard_normal(x.shape)
    return (x + noise * (0.1 * np.linalg.norm(x) / np.linalg.norm(noise))).astype(dtype)


def start(size: int, dtype: str) -> Factors:
    """The factors that both begin with."""
    random = np.random.default_rng(1)
    return [random.standard_normal((size, RANK)).astype(dtype) for _ in range(3)]


def ours(name: str, x: Array, init: list[Array]) -> Callable[[], tn.Tensor]:
    """tensoria's decomposition as a call that returns the approximation's parts."""
    t, factors = tn.asarray(x), [tn.asarray(f) for f in init]
    calls: dict[str, Callable[[], Any]] = {
        "CP-ALS": lambda: tn.cp(t, RANK, init=factors, sweeps=SWEEPS[name], tolerance=-1, progress=False),
        "HOSVD": lambda: tn.tucker(t, RANK, method="hosvd"),
        "ST-HOSVD": lambda: tn.tucker(t, RANK, method="st-hosvd"),
        "HOOI": lambda: tn.tucker(t, RANK, init=factors, sweeps=SWEEPS[name], change=-1, progress=False),
        "TT-SVD": lambda: tn.tensor_train(t, (RANK, RANK)),
    }
    return calls[name]


def theirs(name: str, x: Array, init: list[Array]) -> Callable[[], Any]:
    """TensorLy's, from the same start and with as many sweeps; HOSVD is its Tucker initialisation, projected."""
    from tensorly.decomposition import parafac, partial_tucker, tensor_train
    from tensorly.decomposition._tucker import initialize_tucker

    ranks = [RANK] * 3
    ones = tensorly.ones(RANK, **tensorly.context(x))
    orthonormal = [tensorly.qr(f)[0] for f in init]
    core = tensorly.tenalg.multi_mode_dot(x, orthonormal, transpose=True)

    def hosvd() -> Any:
        return initialize_tucker(x, ranks, [0, 1, 2], init="svd", random_state=0)

    calls: dict[str, Callable[[], Any]] = {
        "CP-ALS": lambda: parafac(
            x, RANK, n_iter_max=SWEEPS[name], init=(ones, [tensorly.copy(f) for f in init]), tol=1e-300
        ),
        "HOSVD": hosvd,
        "ST-HOSVD": hosvd,
        "HOOI": lambda: partial_tucker(
            x, ranks, n_iter_max=SWEEPS[name], init=(core, list(orthonormal)), tol=1e-300, random_state=0
        )[0],
        "TT-SVD": lambda: tensor_train(x, [1, RANK, RANK, 1]),
    }
    return calls[name]


def numbers(x: Array, backend: str) -> np.ndarray[Any, Any]:
    """A native array in float64, on the host."""
    return np.asarray(get(backend).to_numpy(x), dtype=np.float64)


def fit(x: np.ndarray[Any, Any], name: str, found: Any, backend: str) -> float:
    """1 - ||X - Y|| / ||X|| of either library's result."""
    if isinstance(found, (tn.CP, tn.Tucker, tn.TensorTrain)):
        y = numbers(found.tensor().array, backend)
    elif name == "CP-ALS":
        weights, factors = found
        y = np.einsum(
            "r,ir,jr,kr->ijk", numbers(weights, backend), *(numbers(f, backend) for f in factors), optimize=True
        )
    elif name == "TT-SVD":
        a, b, c = (numbers(core, backend) for core in found)
        y = np.einsum("xia,ajb,bky->ijk", a, b, c, optimize=True)
    else:
        core, factors = found
        y = np.einsum(
            "abc,ia,jb,kc->ijk", numbers(core, backend), *(numbers(f, backend) for f in factors), optimize=True
        )
    return float(1 - np.linalg.norm(x - y) / np.linalg.norm(x))


def measured(calls: list[Callable[[], Any]], turns: int) -> tuple[list[Any], list[list[float]]]:
    """What each call returns, and its seconds in each turn, after one to warm up."""
    results = [call() for call in calls]
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(turns):
        for kept, call in zip(seconds, calls, strict=True):
            begun = time.perf_counter()
            call()
            kept.append(time.perf_counter() - begun)
    return results, seconds


def run(backends: list[str], sizes: list[int], turns: int, dtype: str, names: list[str]) -> bool:
    """Print the table; whether tensoria is at least as fast and fits at least as well everywhere."""
    good = True
    print(f"{'':34} {'tensoria':>10} {'TensorLy':>10} {'ratio':>6}   {'fit':>10} {'TensorLy':>10}")
    for backend in backends:
        tensorly.set_backend({"torch": "pytorch"}.get(backend, backend))
        for size in sizes:
            x = low_rank(size, dtype)
            native = get(backend).asarray(x, None, None, True)
            init = [get(backend).asarray(f, None, None, True) for f in start(size, dtype)]
            for name in names:
                contestants = [ours(name, native, init)]
                failure = None
                try:
                    contestants.append(theirs(name, native, init))
                    contestants[1]()
                except Exception as error:  # whatever it is, it is reported
                    failure = f"{type(error).__name__}: {error}".partition("\n")[0]
                    del contestants[1:]
                results, seconds = measured(contestants, turns)
                fits = [fit(x.astype("float64"), name, found, backend) for found in results]
                times = [f"{1e3 * statistics.median(s):,.1f} ms" for s in seconds]
                line = f"{backend:10} {size:4}^3 {name:17} {times[0]:>10}"
                if failure is None:
                    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
                    good = good and ratio <= 1 and fits[0] >= fits[1] - 1e-6
                    print(f"{line} {times[1]:>10} {ratio:6.2f}   {fits[0]:10.7f} {fits[1]:10.7f}", flush=True)
                else:
                    print(f"{line} {'-':>10} {'-':>6}   {fits[0]:10.7f} {'-':>10}\n- TensorLy: {failure}", flush=True)
    return good


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="*", default=["numpy", "torch", "tensorflow"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[64, 128])
    parser.add_argument("--names", nargs="*", default=["CP-ALS", "HOSVD", "ST-HOSVD", "HOOI", "TT-SVD"])
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"python {platform.python_version()}, tensorly {tensorly.__version__}, numpy {np.__version__}")
    print(f"{os.cpu_count()} cores, load {load}; {options.dtype}, rank {RANK}, median of {options.turns} turns")
    good = run(options.backend, options.sizes, options.turns, options.dtype, options.names)
    print("no slower and no worse than TensorLy:", "everywhere" if good else "NOT everywhere")


if __name__ == "__main__":
    main()
