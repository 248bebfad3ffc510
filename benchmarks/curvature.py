"""The Ricci tensor of Kerr's black hole at many points: tensoria beside a sympy-derived expression, point by point.

Both are timed in one run, and both results are held against zero. sympy derives the Ricci tensor once from the metric
(not timed; the inverse metric simplified, the result not); its expression is then evaluated in the three ways in which
it commonly is, the fastest of them compiled to Python's `math` with common subexpressions shared.

    python benchmarks/curvature.py [--points 1000] [--backend numpy ...] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import tensoria as tn
from tensoria.discovery import get

MASS, SPIN = 1.0, 0.5
M = tn.Space("M", 4)


def kerr(x: tn.Tensor) -> tn.Tensor:
    """The metric in the coordinates of Boyer and Lindquist."""
    r, theta = x[..., 1], x[..., 2]
    s = tn.sin(theta) ** 2
    sigma, delta = r**2 + SPIN**2 * (1 - s), r**2 - 2 * MASS * r + SPIN**2
    drag = 2 * MASS * r / sigma
    cross = -SPIN * drag * s
    g = [
        [drag - 1, 0, 0, cross],
        [0, sigma / delta, 0, 0],
        [0, 0, sigma, 0],
        [cross, 0, 0, (r**2 + SPIN**2 + SPIN**2 * drag * s) * s],
    ]
    return tn.from_components(g, "_i _j", i=M, j=M)


def derived() -> tuple[tuple[Any, ...], Any]:
    """The coordinates and the Ricci tensor as sympy's expressions."""
    x = _, r, theta, _ = sp.symbols("t r theta phi")
    mass, spin = sp.nsimplify(MASS), sp.nsimplify(SPIN)
    s = sp.sin(theta) ** 2
    sigma, delta = r**2 + spin**2 * (1 - s), r**2 - 2 * mass * r + spin**2
    drag = 2 * mass * r / sigma
    cross = -spin * drag * s
    g = sp.Matrix(
        [
            [drag - 1, 0, 0, cross],
            [0, sigma / delta, 0, 0],
            [0, 0, sigma, 0],
            [cross, 0, 0, (r**2 + spin**2 + spin**2 * drag * s) * s],
        ]
    )
    inverse, n = g.inv().applyfunc(sp.simplify), range(4)
    gamma = [
        [
            [
                sum(
                    inverse[i, m] * (sp.diff(g[m, j], x[k]) + sp.diff(g[m, k], x[j]) - sp.diff(g[j, k], x[m]))
                    for m in n
                )
                / 2
                for k in n
            ]
            for j in n
        ]
        for i in n
    ]

    def ricci(b: int, d: int) -> Any:
        return sum(
            sp.diff(gamma[c][d][b], x[c])
            - sp.diff(gamma[c][c][b], x[d])
            + sum(gamma[c][c][e] * gamma[e][d][b] - gamma[c][d][e] * gamma[e][c][b] for e in n)
            for c in n
        )

    return x, [[ricci(b, d) for d in n] for b in n]


def points(count: int) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(0)
    zero = np.zeros(count)
    return np.stack([zero, random.uniform(2.2, 12, count), random.uniform(0.2, 2.9, count), zero], axis=-1)


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """The least and the median of several times in seconds, and the last result."""
    found, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        found.append(time.perf_counter() - start)
    return min(found), statistics.median(found), result


def main() -> None:
    parser = argparse.ArgumentParser(description="The Ricci tensor of a black hole: tensoria beside sympy.")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--backend", nargs="*", default=["numpy", "torch", "tensorflow"])
    parser.add_argument("--json")
    given = parser.parse_args()
    x = points(given.points)
    rows: list[dict[str, Any]] = []

    def row(name: str, function: Callable[[], Any], repeats: int, share: float = 1.0) -> None:
        least, median, result = timed(function, repeats)
        worst = float(np.abs(np.asarray(result)).max())
        rows.append({"name": name, "least": least / share, "median": median / share, "worst": worst})

    coordinates, expression = derived()
    few = x[: max(1, given.points // 200)]
    fast = sp.lambdify(coordinates, expression, "math", cse=True)
    usual = sp.lambdify(coordinates, expression)
    matrix = sp.Matrix(expression)
    row("sympy, lambdify to math with cse", lambda: [fast(*p) for p in x.tolist()], 5)
    row("sympy, lambdify", lambda: [usual(*p) for p in x.tolist()], 3)
    row(
        f"sympy, subs ({len(few)} points, scaled)",
        lambda: [np.array(matrix.subs(dict(zip(coordinates, p, strict=True)))).astype(float) for p in few.tolist()],
        1,
        len(few) / len(x),
    )
    field = tn.ricci(kerr)
    for backend in given.backend:
        at = tn.asarray(x).to(backend=backend)
        name = f"tensoria on {backend}" + ("" if tn.engine(backend) == backend else f" ({tn.engine(backend)})")
        field(at)
        row(name, lambda at=at: field(at).to(backend="numpy").array, 40 if backend != "tensorflow" else 5)
        if backend == "tensorflow":
            graph = get(backend).compile(field)
            graph(at)
            row(f"{name}, compiled", lambda at=at, graph=graph: graph(at).to(backend="numpy").array, 20)
    best = rows[0]["least"]
    print(f"Kerr's Ricci tensor at {given.points} points, float64")
    print(f"{'':38}{'least':>10}{'median':>10}{'speed':>8}{'max |R|':>11}")
    for found in rows:
        times = f"{found['least'] * 1e3:8.1f}ms{found['median'] * 1e3:8.1f}ms"
        print(f"{found['name']:38}{times}{best / found['least']:7.1f}x{found['worst']:11.1e}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"points": given.points, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
