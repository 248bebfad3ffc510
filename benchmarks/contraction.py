"""How long a contraction takes: tensoria beside each framework's own einsum, opt_einsum, einx and cotengra.

Contestants take turns within one run (see `timing`), and the ratio is tensoria's time divided by the framework's own
einsum's in the same turn. Every result is compared with `np.einsum` in float64 first; one that is wrong is not
timed, and one that raises is shown as "-" with its reason below the table.

tensoria is timed as users meet it, with labelled tensors and everything that the labels cost: `u * v` where a product
can say it, `u @ v`, or `tn.einsum`. A second column has `tn.einsum` on native arrays.

    python benchmarks/contraction.py --backend numpy --cases matmul --quick
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from timing import TURN, Call, machine, microseconds, paired, turns

import tensoria as tn
from tensoria.discovery import get

Array = Any
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# -- what is contracted -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One contraction: its classic notation, the size of each letter, and how labelled tensors say it.

    Letters in `plain` are named batch axes; every other letter is an index, a contracted one down in the first operand
    that has it and up in the second.
    """

    name: str
    notation: str
    sizes: dict[str, int]
    how: str = "*"
    plain: str = ""

    @property
    def terms(self) -> list[str]:
        """The letters of each operand."""
        return self.notation.split("->")[0].split(",")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each operand."""
        return [tuple(self.sizes[letter] for letter in term) for term in self.terms]

    def arrays(self) -> list[np.ndarray[Any, Any]]:
        """The operands: float32, of variance 1, the same in every run."""
        random = np.random.default_rng(0)
        return [random.standard_normal(shape).astype("float32") for shape in self.shapes]

    def labelled(self, arrays: Sequence[Array]) -> list[tn.Tensor]:
        """The operands as labelled tensors."""
        spaces = {letter: tn.Space(f"V_{letter}", size) for letter, size in self.sizes.items()}
        seen: set[str] = set()
        tensors = []
        for term, array in zip(self.terms, arrays, strict=True):
            marked = []
            for letter in term:
                contracted = self.notation.split("->")[0].count(letter) > 1
                mark = "" if letter in self.plain else "_" if contracted and letter not in seen else "^"
                seen.add(letter)
                marked.append(mark + letter)
            known: dict[str, tn.Space | tn.Basis] = {x: spaces[x] for x in term if x not in self.plain}
            tensors.append(tn.tensor(array, " ".join(marked), spaces=known))
        return tensors

    @property
    def spaced(self) -> str:
        """The notation with spaces between its letters, as einx reads it."""
        left, right = self.notation.split("->")
        return ", ".join(" ".join(term) for term in left.split(",")) + " -> " + " ".join(right)


def overlap(sites: int, bond: int, physical: int) -> Case:
    """The inner product of two matrix product states: 2 x sites operands, ends closed by bonds of size 1."""
    letters = iter(LETTERS)
    legs = [next(letters) for _ in range(sites)]
    sizes = dict.fromkeys(legs, physical)
    terms = []
    for _ in range(2):
        bonds = [next(letters) for _ in range(sites - 1)]
        sizes |= dict.fromkeys(bonds, bond)
        terms += [(bonds[n - 1] if n else "") + leg + (bonds[n] if n < sites - 1 else "") for n, leg in enumerate(legs)]
    return Case(f"network of {2 * sites}", ",".join(terms) + "->", sizes, how="einsum")


def cases() -> list[Case]:
    """All contractions, small and large, in the order of the table."""

    def every(letters: str, size: int) -> dict[str, int]:
        return dict.fromkeys(letters, size)

    random_network = {"a": 6, "b": 2, "c": 5, "d": 5, "e": 5, "f": 3, "g": 5, "h": 4, "i": 6, "j": 2, "k": 2}
    return [
        Case("matmul 4", "ij,jk->ik", every("ijk", 4)),
        Case("matmul 4 with @", "ij,jk->ik", every("ijk", 4), how="@"),
        Case("matmul 64", "ij,jk->ik", every("ijk", 64)),
        Case("matmul 512", "ij,jk->ik", every("ijk", 512)),
        Case("matvec 16", "ij,j->i", every("ij", 16)),
        Case("attention small", "bhqd,bhkd->bhqk", {"b": 2, "h": 4, "q": 16, "k": 16, "d": 8}, plain="bhqk"),
        Case("attention large", "bhqd,bhkd->bhqk", {"b": 4, "h": 8, "q": 128, "k": 128, "d": 64}, plain="bhqk"),
        Case("outer 32", "i,j->ij", every("ij", 32)),
        Case("inner 64", "i,i->", every("i", 64)),
        Case("il,ljk->ijk 4", "il,ljk->ijk", every("ijkl", 4)),
        Case("ijk,lj->ilk 32", "ijk,lj->ilk", every("ijkl", 32), how="einsum"),
        Case("ijkl,klmn->ijmn 8", "ijkl,klmn->ijmn", every("ijklmn", 8)),
        Case("bi,bi->b 64", "bi,bi->b", every("bi", 64), plain="b"),
        # opt_einsum.testing.rand_equation(6, 3, n_out=2, d_min=2, d_max=6, seed=0)
        Case("network of 6", "gfk,kd,gfeh,cadhje,jib,ic->ba", random_network, how="einsum"),
        overlap(sites=10, bond=8, physical=2),
    ]


# -- who contracts it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Framework:
    """A framework's module, its einsum, and how many threads it works with."""

    module: str
    einsum: str
    threads: Callable[[Any], str]


FRAMEWORKS = {
    "numpy": Framework("numpy", "einsum", lambda np: _blas()),
    "torch": Framework(
        "torch", "einsum", lambda torch: f"{torch.get_num_threads()} threads"
    ),
    "tensorflow": Framework(
        "tensorflow", "einsum", lambda tf: _intra_op(tf)
    ),
}  # fmt: skip


def _blas() -> str:
    try:
        pools = importlib.import_module("threadpoolctl").threadpool_info()
    except ModuleNotFoundError:
        return "default number of BLAS threads"
    return ", ".join(f"{pool['num_threads']} {pool['internal_api']} threads" for pool in pools)


def _intra_op(tf: Any) -> str:
    chosen = tf.config.threading.get_intra_op_parallelism_threads() or os.environ.get("TF_NUM_INTRAOP_THREADS")
    return f"{chosen or 'default number of'} intra-op threads"


def found(module: Any, path: str) -> Any:
    """An attribute of an attribute, as in `linalg.matvec`."""
    return functools.reduce(getattr, path.split("."), module)


def contestants(case: Case, backend: str, arrays: list[Array]) -> dict[str, Callable[[], Call]]:
    """For each contestant a function that makes its call; making it may fail where a library is missing."""
    framework = FRAMEWORKS[backend]
    notation, spaced = case.notation, case.spaced

    def labelled() -> Call:
        tensors = case.labelled(arrays)
        if case.how == "einsum":
            return lambda: tn.einsum(notation, *tensors)
        u, v = tensors
        return (lambda: u * v) if case.how == "*" else (lambda: u @ v)

    def native() -> Call:
        return lambda: tn.einsum(notation, *arrays)

    def own() -> Call:
        einsum = found(importlib.import_module(framework.module), framework.einsum)
        if backend == "numpy" and len(arrays) > 2:  # NumPy orders a network only if it is asked to
            return lambda: einsum(notation, *arrays, optimize=True)
        return lambda: einsum(notation, *arrays)

    def opt_einsum() -> Call:
        contract = importlib.import_module("opt_einsum").contract
        return lambda: contract(notation, *arrays)

    def expression() -> Call:
        made = importlib.import_module("opt_einsum").contract_expression(notation, *case.shapes)
        return lambda: made(*arrays)

    def einx() -> Call:
        dot = importlib.import_module("einx").dot
        return lambda: dot(spaced, *arrays)

    def cotengra() -> Call:
        einsum = importlib.import_module("cotengra").einsum
        return lambda: einsum(notation, *arrays)

    return {
        "tensoria": labelled, "native": native, "framework": own, "opt_einsum": opt_einsum,
        "expression": expression, "einx": einx, "cotengra": cotengra,
    }  # fmt: skip


HEADINGS = {
    "tensoria": "tensoria", "native": "tn native", "framework": "einsum", "opt_einsum": "opt_einsum",
    "expression": "o.e. expr", "einx": "einx", "cotengra": "cotengra",
}  # fmt: skip


# -- timing -----------------------------------------------------------------------------------------------------------


def right(result: Any, case: Case) -> bool:
    """Whether a result is what NumPy finds in float64, to the accuracy of float32."""
    array = np.asarray(result.array if isinstance(result, tn.Tensor) else result, dtype="float64")
    truth = np.einsum(case.notation, *(a.astype("float64") for a in case.arrays()), optimize=True)
    return array.shape == truth.shape and bool(np.abs(array - truth).max() <= 1e-4 * np.abs(truth).max())


@dataclass
class Row:
    """One line of the table: microseconds of each contestant, or why there are none."""

    backend: str
    case: str
    times: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    ratio: float | None = None


def measured(case: Case, backend: str, rounds: int) -> Row:
    """One case on one backend, every contestant verified and timed."""
    arrays = [tn.asarray(array, backend=backend).array for array in case.arrays()]
    row = Row(backend, case.name)
    calls: dict[str, Call] = {}
    for name, make in contestants(case, backend, arrays).items():
        try:
            call = make()
            if right(call(), case):
                calls[name] = call
            else:
                row.failures[name] = "wrong"
        except Exception as error:  # a rival may fail as it likes; the table goes on
            row.failures[name] = f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:150]}"
    taken = turns(calls, rounds)
    row.times = {name: microseconds(seconds) for name, seconds in taken.items()}
    if "tensoria" in taken and "framework" in taken:
        row.ratio = paired(taken["tensoria"], taken["framework"], lambda a, b: a / b)
    return row


# -- the report -------------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Microseconds with three digits or so."""
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def line(row: Row) -> str:
    """A row of the table as text."""
    cells = [
        number(row.times[name]) if name in row.times else "wrong" if row.failures.get(name) == "wrong" else "-"
        for name in HEADINGS
    ]
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    return f"{row.case:<20}" + "".join(f"{cell:>11}" for cell in cells) + f"{ratio:>8}"


def summary(rows: Sequence[Row]) -> str:
    """The geometric mean of the ratios, and the worst of them."""
    known = [(row.ratio, row.case) for row in rows if row.ratio is not None]
    if not known:
        return "no ratio was measured."
    mean = math.exp(statistics.fmean(math.log(ratio) for ratio, _ in known))
    worst, where = max(known)
    return f"tensoria / einsum: geometric mean {mean:.2f}, worst {worst:.2f} ({where})"


def report(backend: str, chosen: Sequence[Case], rounds: int) -> list[Row]:
    """Measure and print one backend."""
    framework = FRAMEWORKS[backend]
    module = importlib.import_module(framework.module)
    own = f"{backend} {get(backend).version()}: {framework.threads(module)}"
    print(f"\n{own}\n\n{'microseconds':<20}" + "".join(f"{text:>11}" for text in HEADINGS.values()) + f"{'ratio':>8}")
    rows = []
    for case in chosen:
        rows.append(measured(case, backend, rounds))
        print(line(rows[-1]), flush=True)
    print(summary(rows))
    for row in rows:
        for name, reason in row.failures.items():
            print(f"- {HEADINGS[name]}, {row.case}: {reason}")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", action="append", choices=FRAMEWORKS, help="repeatable; all by default")
    parser.add_argument("--cases", default="", help="only cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args(arguments)
    chosen = [case for case in cases() if options.cases in case.name]
    if not chosen:
        parser.error(f"no case is named like {options.cases!r}: {', '.join(case.name for case in cases())}")
    rounds = 7 if options.quick else 31
    facts = machine()
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))
    print(f"median of {rounds} turns of {TURN * 1e3:g} ms each; einsum is the framework's own, for networks with the")
    print("order of contraction that it finds itself (np.einsum with optimize=True); ratio is tensoria / einsum")
    rows: list[Row] = []
    for backend in options.backend or FRAMEWORKS:
        try:
            get(backend)
        except (tn.errors.BackendError, ImportError) as error:
            print(f"\n{backend}: left out ({error})")
            continue
        rows += report(backend, chosen, rounds)
    if options.json is not None:
        content = {"facts": facts, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
