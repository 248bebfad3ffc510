"""The dynamical dichotomy: which parametrizations have a limit, and whether it learns features or is a kernel's.

An abcd-parametrization of a network of L hidden layers draws W_l = n^-a_l w_l with w_l of the size n^-b_l, trains with
the learning rate eta n^-c_l, and multiplies gradients by n^d_l before the optimiser's nonlinearity. For SGD (Tensor
Programs IV, Yang and Hu 2020, arXiv 2011.14522, theorem 3.2 and definitions there) c is one number and there is no d;
for entrywise updates such as Adam see Tensor Programs IVb (Yang and Littwin 2023, arXiv 2308.01814, theorem 2.6). All
arithmetic is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from tensoria.errors import LimitError

__all__ = ["NAMED", "Condition", "Dichotomy", "Parametrization", "dichotomy", "named"]

Exponent: TypeAlias = Fraction | int | str
HALF, ONE, ZERO = Fraction(1, 2), Fraction(1), Fraction(0)
FEATURES: Final = "the change of hidden features"
OWN: Final = "the change of the output by the readout's own updates"
OTHERS: Final = "the change of the output by all other updates"


@dataclass(frozen=True)
class Parametrization:
    """The exponents of the L + 1 layers; the last one is the readout.

    Attributes:
        a: of multipliers, n^-a.
        b: of the deviations of entries, n^-b.
        c: of learning rates, n^-c; different ones for SGD are another choice of a and b.
        d: of the factors of gradients, n^d; None for SGD, where gradients are not transformed.
    """

    a: tuple[Fraction, ...]
    b: tuple[Fraction, ...]
    c: tuple[Fraction, ...]
    d: tuple[Fraction, ...] | None = None

    def __post_init__(self) -> None:
        given = {"a": self.a, "b": self.b, "c": self.c, **({} if self.d is None else {"d": self.d})}
        for name, values in given.items():
            try:
                object.__setattr__(self, name, tuple(Fraction(x) for x in values))
            except (TypeError, ValueError):
                raise LimitError(f"{name} = {values!r} are no exponents.", legal='("1/2", 0, 1)') from None
        if len({len(values) for values in given.values()}) != 1 or len(self.a) < 2:
            counts = ", ".join(f"{name} has {len(values)}" for name, values in given.items())
            raise LimitError(f"one exponent for each layer, of two or more: {counts}.")

    @property
    def hidden(self) -> int:
        """L."""
        return len(self.a) - 1

    def shifted(self, theta: Sequence[Exponent]) -> Parametrization:
        """An equal one: (a, b, c, d) -> (a + t, b - t, c - t, d + t) by layer; for SGD c - 2t.

        >>> p = named("mup", 2, "adam")
        >>> dichotomy(p.shifted([1, 0, "1/2"])).kind == dichotomy(p).kind
        True
        """
        t = tuple(Fraction(x) for x in theta)
        if len(t) != len(self.a):
            raise LimitError(f"{len(t)} shifts for {len(self.a)} layers.")
        twice = 2 if self.d is None else 1
        return Parametrization(
            tuple(x + s for x, s in zip(self.a, t, strict=True)), tuple(x - s for x, s in zip(self.b, t, strict=True)),
            tuple(x - twice * s for x, s in zip(self.c, t, strict=True)),
            None if self.d is None else tuple(x + s for x, s in zip(self.d, t, strict=True)),
        )  # fmt: skip

    @property
    def canonical(self) -> Parametrization:
        """The member of the symmetry class without multipliers (a = 0): two are equal if theirs are."""
        return self.shifted([-x for x in self.a])


@dataclass(frozen=True)
class Condition:
    """One inequality of a theorem, with its numbers.

    Attributes:
        name: the property that it belongs to.
        text: as the theorem states it.
        value: the left side minus the right side.
        relation: ">=", "=", or "<=".
        what: what is of the size n^-value (or n^value, with the sign 1), and of order 1 at equality.
        sign: of that power.
    """

    name: str
    text: str
    value: Fraction
    relation: str
    what: str
    sign: int = -1

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return {">=": self.value >= 0, "=": self.value == 0, "<=": self.value <= 0}[self.relation]

    @property
    def effect(self) -> str:
        """What diverges, vanishes, or stays."""
        power = self.sign * self.value
        if not power:
            return f"{self.what}: of order 1"
        return f"{self.what}: {'diverges' if power > 0 else 'vanishes'} like n^{power}"

    def __str__(self) -> str:
        return f"{self.text}: {'holds' if self.holds else 'violated'} (difference {self.value}); {self.effect}"


@dataclass(frozen=True)
class Dichotomy:
    """What a parametrization does as the width grows.

    Attributes:
        parametrization: the exponents.
        conditions: all conditions, by property: "initial" (stable at the beginning), "faithful" (gradients reach the
            optimiser's nonlinearity at order 1), "training" (stable during it).
        r: the least power by which hidden features change, n^-r.
        nontrivial: the conditions of which one has to hold if the output is to change.
    """

    parametrization: Parametrization
    conditions: tuple[Condition, ...]
    r: Fraction
    nontrivial: tuple[Condition, ...]

    @property
    def violated(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(condition for condition in self.conditions if not condition.holds)

    def _all(self, *names: str) -> bool:
        return all(condition.holds for condition in self.conditions if condition.name in names)

    @property
    def stable(self) -> bool:
        """Whether activations, and outputs during training, stay finite."""
        return self._all("initial", "training")

    @property
    def faithful(self) -> bool:
        """Whether gradients have order 1 where the optimiser's nonlinearity sees them; always for SGD."""
        return self._all("faithful")

    @property
    def kind(self) -> str:
        """One of "unstable", "unfaithful", "trivial", "kernel", "feature learning".

        A stable, faithful parametrization that is not trivial either learns features (r = 0) or trains as a kernel
        method does (r > 0), and none does both.
        """
        if not self.stable:
            return "unstable"
        if not self.faithful:
            return "unfaithful"
        if not any(condition.holds for condition in self.nontrivial):
            return "trivial"
        return "feature learning" if self.r == 0 else "kernel"

    @property
    def symmetry_class(self) -> Parametrization:
        """The member of its class without multipliers."""
        return self.parametrization.canonical

    def __str__(self) -> str:
        p = self.parametrization
        rows = [("a", p.a), ("b", p.b), ("c", p.c)] + ([("d", p.d)] if p.d is not None else [])
        lines = [f"{self.kind}: r = {self.r}"]
        lines += [f"  {name} = ({', '.join(map(str, values))})" for name, values in rows]
        lines += [f"  {condition.name}: {condition}" for condition in self.violated]
        lines += [f"  nontrivial: {condition}" for condition in self.nontrivial]
        own = self.symmetry_class
        lines.append(
            f"  same as: b = ({', '.join(map(str, own.b))}), c = ({', '.join(map(str, own.c))}) without multipliers"
        )
        return "\n".join(lines)


def dichotomy(parametrization: Parametrization) -> Dichotomy:
    """What a parametrization does as the width grows.

    >>> dichotomy(named("ntk", 2)).kind, dichotomy(named("mup", 2)).kind, dichotomy(named("standard", 2)).kind
    ('kernel', 'feature learning', 'unstable')
    """
    return _sgd(parametrization) if parametrization.d is None else _entrywise(parametrization)


def _initial(p: Parametrization) -> list[Condition]:
    last = p.hidden
    found = [Condition("initial", "a_1 + b_1 = 0", p.a[0] + p.b[0], "=", "the first layer's activation")]
    for layer in range(1, last):
        text, size = f"a_{layer + 1} + b_{layer + 1} = 1/2", p.a[layer] + p.b[layer] - HALF
        found.append(Condition("initial", text, size, "=", f"layer {layer + 1}'s activation"))
    text = f"a_{last + 1} + b_{last + 1} >= 1/2"
    return [*found, Condition("initial", text, p.a[last] + p.b[last] - HALF, ">=", "the output at initialisation")]


def _sgd(p: Parametrization) -> Dichotomy:
    """Tensor Programs IV: definition 3.2 (r), theorems 3.3 (stability), 3.4 (nontriviality), 3.6 (the dichotomy).

    Learning rates by layer are those of one learning rate n^-c with other multipliers: c_l - 2 t_l = c.
    """
    if len(set(p.c)) > 1:
        shared = p.c[-1]
        p = p.shifted([(c - shared) / 2 for c in p.c])
    last, c = p.hidden, p.c[0]
    a_out, b_out = p.a[last], p.b[last]
    least = min(2 * p.a[layer] + (1 if layer == 0 else 0) for layer in range(last))
    r = min(a_out + b_out, 2 * a_out + c) + c - 1 + least
    n = last + 1
    training = [
        Condition("training", "r >= 0", r, ">=", FEATURES),
        Condition("training", f"2 a_{n} + c >= 1", 2 * a_out + c - 1, ">=", OWN),
        Condition("training", f"a_{n} + b_{n} + r >= 1", a_out + b_out + r - 1, ">=", OTHERS),
    ]
    nontrivial = (
        Condition("nontrivial", f"2 a_{n} + c = 1", 2 * a_out + c - 1, "=", OWN),
        Condition("nontrivial", f"a_{n} + b_{n} + r = 1", a_out + b_out + r - 1, "=", OTHERS),
    )
    return Dichotomy(p, (*_initial(p), *training), r, nontrivial)


def _entrywise(p: Parametrization) -> Dichotomy:
    """Tensor Programs IVb: updates Q(n^d gradient), entry by entry."""
    assert p.d is not None
    last = p.hidden
    n = last + 1
    a_out, b_out, c_out = p.a[last], p.b[last], p.c[last]
    parts = [p.c[0] + p.a[0], *(p.c[layer] + p.a[layer] - 1 for layer in range(1, last))]
    r = min(parts)
    faithful = [
        Condition("faithful", f"d_{layer + 1} = a_{layer + 1} + a_{n} + b_{n}",
                  p.d[layer] - p.a[layer] - a_out - b_out, "=", f"the gradient that layer {layer + 1}'s Q sees", 1)
        for layer in range(last)
    ]  # fmt: skip
    seen = "the gradient that the output's Q sees"
    faithful.append(Condition("faithful", f"d_{n} = a_{n}", p.d[last] - a_out, "=", seen, 1))
    training = [
        Condition("training", f"r_{layer + 1} >= 0", part, ">=", f"the change of layer {layer + 1}'s features")
        for layer, part in enumerate(parts)
    ]
    training += [
        Condition("training", f"a_{n} + b_{n} + r >= 1", a_out + b_out + r - 1, ">=", OTHERS),
        Condition("training", f"a_{n} + c_{n} >= 1", a_out + c_out - 1, ">=", OWN),
    ]
    # Else the readout's updates outgrow its initial entries, and gradients leave the order that d gives them.
    ratio = "the readout's update beside its initial entries"
    faithful.append(Condition("faithful", f"b_{n} <= c_{n}", b_out - c_out, "<=", ratio, 1))
    nontrivial = (
        Condition("nontrivial", f"a_{n} + c_{n} = 1", a_out + c_out - 1, "=", OWN),
        Condition("nontrivial", f"a_{n} + b_{n} + r = 1", a_out + b_out + r - 1, "=", OTHERS),
    )
    return Dichotomy(p, (*_initial(p), *faithful, *training), r, nontrivial)


NAMED: Final = ("standard", "ntk", "mup", "mean field")
"""Parametrizations with names; in that of the mean field there is one hidden layer."""


def named(name: str, hidden: int, optimizer: str = "sgd") -> Parametrization:
    """A parametrization with a name.

    Args:
        name: one of `NAMED`.
        hidden: L, the number of hidden layers.
        optimizer: "sgd" (table 1 of TP IV), or "adam" for any optimiser with entrywise updates.

    Raises:
        LimitError: there is none of that name, or not for so many layers.

    >>> named("mup", 2).a
    (Fraction(-1, 2), Fraction(0, 1), Fraction(1, 2))
    """
    if hidden < 1:
        raise LimitError(f"a network with {hidden} hidden layers.", legal="one or more")
    if optimizer not in ("sgd", "adam"):
        raise LimitError(f"there are no exponents for {optimizer!r}.", legal="sgd, adam")
    inner = hidden - 1
    halves = (HALF,) * hidden
    tables: dict[str, tuple[tuple[Fraction, ...], tuple[Fraction, ...], Fraction]] = {
        "standard": ((ZERO,) * (hidden + 1), (ZERO, *halves), ZERO),
        "ntk": ((ZERO, *halves), (ZERO,) * (hidden + 1), ZERO),
        "mup": ((-HALF, *(ZERO,) * inner, HALF), (HALF,) * (hidden + 1), ZERO),
        "mean field": ((ZERO, ONE), (ZERO, ZERO), -ONE),
    }
    if name not in tables or (name == "mean field" and hidden != 1):
        raise LimitError(f"there is no parametrization {name!r} of {hidden} hidden layers.", legal=", ".join(NAMED))
    a, b, c = tables[name]
    if optimizer == "sgd":
        return Parametrization(a, b, (c,) * (hidden + 1))
    rates = {
        "standard": (ZERO,) * (hidden + 1),
        "ntk": (HALF, *(ONE,) * inner, HALF),
        "mup": (HALF, *(ONE,) * inner, HALF),
        "mean field": (ZERO, ZERO),
    }[name]  # fmt: skip
    d = (*(x + a[-1] + b[-1] for x in a[:-1]), a[-1])
    return Parametrization(a, b, rates, d)
