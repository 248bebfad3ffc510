"""An abcd-parametrization by roles, as what it does to a model that is written as muP has it.

Models are written with outputs (1/n) v^T x and vectors of order 1, and gradients are taken as dx = n dL/dx. With
W = n^-a w, w ~ N(0, n^-2b), the learning rate eta n^-c, and s = min(a + b, 1) of the output, the output is n^(1-s)
times that, and coordinates of the weights move by n^-r of what they move in muP:

    SGD:  r = 2a + c + s for the input, 2a + c + s - 1 for hidden weights, 2a + c - s for the output (TP IV, section 3),
    Adam: r = a + c for the input, a + c - 1 for hidden weights, a + c - s for the output (TP IVb, section 2.9).

The output then moves by n^-(s + r - 1) to first order: what has a limit is of power zero there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

from tensoria.errors import LimitError
from tensoria.limits.language.numbers import number
from tensoria.limits.parametrizations import Dichotomy, Parametrization, dichotomy

__all__ = ["PARAMETRIZATIONS", "Scaling", "scaling", "update_exponents"]

Exponents: TypeAlias = Mapping[str, tuple[Any, ...]]
ROLES: Final = ("input", "hidden", "output")
ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)

PARAMETRIZATIONS: Final[dict[str, dict[str, dict[str, tuple[Fraction, Fraction, Fraction]]]]] = {
    "sgd": {
        "mup": {"input": (-HALF, HALF, ZERO), "hidden": (ZERO, HALF, ZERO), "output": (HALF, HALF, ZERO)},
        "ntk": {"input": (ZERO, ZERO, ZERO), "hidden": (HALF, ZERO, ZERO), "output": (HALF, ZERO, ZERO)},
        "standard": {"input": (ZERO, ZERO, ONE), "hidden": (ZERO, HALF, ONE), "output": (ZERO, HALF, ONE)},
        "mean-field": {"input": (ZERO, ZERO, -ONE), "output": (ONE, ZERO, -ONE)},
    },
    "adam": {
        "mup": {"input": (-HALF, HALF, HALF), "hidden": (ZERO, HALF, ONE), "output": (HALF, HALF, HALF)},
        "ntk": {"input": (ZERO, ZERO, HALF), "hidden": (HALF, ZERO, ONE), "output": (HALF, ZERO, HALF)},
        "standard": {"input": (ZERO, ZERO, HALF), "hidden": (ZERO, HALF, 3 * HALF), "output": (ZERO, HALF, ONE)},
        "mean-field": {"input": (ZERO, ZERO, ZERO), "output": (ONE, ZERO, ZERO)},
    },
}
"""(a, b, c) by optimiser and role. The standard one has the largest stable learning rates; in SGD's it is eta / n for
all (TP IV, table 1). That of the mean field has one hidden layer, and no hidden weights."""


@dataclass(frozen=True)
class Scaling:
    """What a parametrization does, in powers of n.

    Attributes:
        report: its place in the dynamical dichotomy.
        output: the output is n^output times (1/n) v^T x.
        start: the output's weights begin as n^-start times v: zero in the limit if that is positive.
        updates: by role r: coordinates move by n^-r of what they move in muP.
        effects: by role e: the output moves by n^-e to first order.
    """

    report: Dichotomy
    output: Fraction
    start: Fraction
    updates: dict[str, Fraction]
    effects: dict[str, Fraction]


def scaling(parametrization: str | Exponents, roles: frozenset[str], *, adam: bool = False) -> Scaling:
    """What a parametrization does to a model with weights of these roles.

    Args:
        parametrization: a name, or by role (a, b, c); for Adam (a, b, c, d) too, where gradients are multiplied by n^d.
        roles: those of the model; input and output are always there.
        adam: for Adam instead of SGD.

    Raises:
        LimitError: the parametrization is unknown, or it is unstable or unfaithful; says what diverges or vanishes.
    """
    table = _table(parametrization, adam)
    missing = roles - set(table)
    if missing:
        raise LimitError(f"the parametrization has no (a, b, c) for {', '.join(sorted(missing))} weights.")
    layers = [role for role in ROLES if role in roles or role != "hidden"]
    a, b, c = ({role: table[role][n] for role in layers} for n in range(3))
    whole = a["output"] + b["output"]
    d = None
    if adam:
        natural = {role: a[role] + (whole if role != "output" else ZERO) for role in layers}
        d = tuple(table[role][3] if len(table[role]) > 3 else natural[role] for role in layers)
    report = dichotomy(Parametrization(tuple(a.values()), tuple(b.values()), tuple(c.values()), d))
    if report.kind in ("unstable", "unfaithful"):
        reasons = "; ".join(f"{of.text} is violated, {of.effect}" for of in report.violated)
        raise LimitError(
            f"the parametrization is {report.kind}: {reasons} (layers are {', '.join(layers)}, in this order).",
            legal="mup, ntk, or exponents that tn.limits.dichotomy finds stable and faithful",
        )
    s = min(whole, ONE)
    updates = {}
    for role in layers:
        moved = a[role] + c[role] if adam else 2 * a[role] + c[role] + (0 if role == "output" else s)
        updates[role] = moved - {"input": ZERO, "hidden": ONE, "output": s}[role]
    effects = {role: s + r - 1 for role, r in updates.items()}
    return Scaling(report, 1 - s, whole - s, updates, effects)


def _table(parametrization: str | Exponents, adam: bool) -> dict[str, tuple[Fraction, ...]]:
    if isinstance(parametrization, str):
        known = PARAMETRIZATIONS["adam" if adam else "sgd"]
        if parametrization not in known:
            raise LimitError(f"unknown parametrization {parametrization!r}.", legal=", ".join(known))
        return dict(known[parametrization])
    if not {"input", "output"} <= set(parametrization) <= set(ROLES):
        given = ", ".join(map(str, parametrization))
        raise LimitError(f"a parametrization has (a, b, c) for input, hidden and output, not for {given}.")
    most = 4 if adam else 3
    for role, values in parametrization.items():
        if not 3 <= len(values) <= most:
            raise LimitError(
                f"{len(values)} exponents for {role} weights.", legal="(a, b, c), and for Adam (a, b, c, d) too"
            )
    return {role: tuple(Fraction(number(x)) for x in values) for role, values in parametrization.items()}


def update_exponents(parametrization: str | Exponents, *, adam: bool = False) -> dict[str, Fraction]:
    """By role the power r of n by which an update is smaller than in muP; 0 learns features.

    Args:
        parametrization: a name of `PARAMETRIZATIONS`, or (a, b, c) by role.
        adam: for Adam instead of SGD.

    Raises:
        LimitError: the parametrization is unknown, unstable or unfaithful.

    >>> [str(r) for r in update_exponents("mup").values()], [str(r) for r in update_exponents("ntk").values()]
    (['0', '0', '0'], ['1/2', '1/2', '1/2'])
    """
    return scaling(parametrization, frozenset(_table(parametrization, adam)), adam=adam).updates
