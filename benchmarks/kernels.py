"""The tangent kernel of a ReLU network of three hidden layers on all 1,797 digits, beside the arithmetic that it needs.

The bare expressions are what somebody would write by hand for this one network: one product of matrices, and for each
layer a root, an arccosine and some products over the whole kernel matrix. Both are measured in turns, in one run.

    python benchmarks/kernels.py [--backend numpy] [--repetitions 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.limits.digits import digits
from tensoria.limits.kernels.kernel import BLOCK
from tensoria.limits.laws import Law

WEIGHT, BIAS, DEPTH = 2**0.5, 0.1, 3


def network() -> Any:
    """Three hidden layers in the NTK parametrization, analysed."""

    def root(size: Any) -> Any:
        return tn.sqrt(tn.asarray(size, dtype=tn.float64))

    def net(x: Any, W: list[Any], b: list[Any], v: Any, c: Any) -> Any:
        for weight, bias in zip(W, b, strict=True):
            x = tn.relu(WEIGHT / root(x.shape[-1]) * (x @ weight) + BIAS * bias)
        return WEIGHT / root(x.shape[-1]) * (x @ v) + BIAS * c

    ones = [tn.asarray(np.ones((64 if n == 0 else 8, 8))) for n in range(DEPTH)]
    sizes: dict[str, Any] = {"x": ("batch", None), "v": ("n", None)}
    for n in range(DEPTH):
        sizes[f"W_{n}"], sizes[f"b_{n}"] = (None if n == 0 else "n", "n"), ("n",)
    program = tn.trace(
        net, tn.asarray(np.ones((2, 64))), ones, [tn.asarray(np.ones(8))] * DEPTH, tn.asarray(np.ones((8, 1))),
        tn.asarray(np.ones(1)), dynamic=sizes,
    )  # fmt: skip
    laws = {"W*": Law(1.0), "b*": Law(1.0), "v": Law(1.0), "c": Law(1.0)}
    return tn.limits.analyse(program, widths=("n",), laws=laws)


def bare(xp: Any, x: Any) -> Any:
    """The same kernel, written out."""
    K = WEIGHT**2 * xp.matmul(x, xp.matrix_transpose(x)) / x.shape[1] + BIAS**2
    T = K
    for _ in range(DEPTH):
        q = xp.linalg.diagonal(K)
        size = xp.sqrt(xp.expand_dims(q, axis=1) * xp.expand_dims(q, axis=0))
        rho = xp.clip(K / size, -1.0, 1.0)
        angle = np.pi - xp.acos(rho)
        K1 = (size * xp.sqrt(1 - rho * rho) + angle * K) / (2 * np.pi)
        K = WEIGHT**2 * K1 + BIAS**2
        T = K + WEIGHT**2 * (angle / (2 * np.pi)) * T
    return T


def best(function: Callable[[], Any], other: Callable[[], Any], repetitions: int) -> tuple[float, float]:
    """The best times of two functions, measured in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        for call, into in zip((function, other), times, strict=True):
            start = time.perf_counter()
            call()
            into.append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


def main() -> None:
    """Measure, and print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    data = digits(train=1796, test=1)
    tp = network()
    x = tn.asarray(np.concatenate([data.x, data.x_test])).to(backend=arguments.backend)
    target = x._backend
    mine, by_hand = best(lambda: tp.ntk(x), lambda: bare(target.xp, x.array), arguments.repetitions)
    print(f"{arguments.backend}, {x.shape[0]} digits, {DEPTH} hidden layers, float64")
    print(f"  bare arrays    {by_hand:.3f} s")
    print(f"  tp.ntk(X)      {mine:.3f} s, {mine / by_hand:.2f} times that, in blocks of {BLOCK}")
    whole, again = best(lambda: tp.ntk(x, block=0), lambda: bare(target.xp, x.array), arguments.repetitions)
    print(f"  in one block   {whole:.3f} s, {whole / again:.2f} times the bare arrays, {again:.3f} s")
    error = np.abs(target.to_numpy(tp.ntk(x).array) - target.to_numpy(bare(target.xp, x.array))).max()
    print(f"  largest difference {error:.1e}")


if __name__ == "__main__":
    main()
