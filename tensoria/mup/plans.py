"""A plan: how every parameter of a model scales with its width, derived from what the model computes.

The model is captured at several widths and read: the use of each parameter decides its role, the role and the table
decide its powers of n, and the law of its initialiser says what is there already. At the base width the model is as its
author wrote it; at another width parameters are rescaled, some uses get a multiplier, and each parameter has a learning
rate, a weight decay and an epsilon of its own.

All of this lives outside of the tensors and goes by the parameters' names, so copies, compilers, sharding and
checkpoints do not lose it.
"""

from __future__ import annotations

import json
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from tensoria.backend import Backend
from tensoria.discovery import available, get
from tensoria.errors import BackendNotFoundError, LimitError
from tensoria.limits.laws import Law
from tensoria.limits.loops import written_out
from tensoria.limits.scaling import Finding, powers
from tensoria.limits.unification import Place, Scale
from tensoria.limits.uses import Use, around, uses_of
from tensoria.limits.widths import SYMBOL, Widened, widened
from tensoria.mup.models import READOUT, Models, Rate
from tensoria.mup.roles import Role, roles
from tensoria.mup.tables import OPTIMISERS, TABLES, Row, row
from tensoria.programs.archives import write
from tensoria.programs.binding import bind
from tensoria.programs.dimensions import Size, dim
from tensoria.programs.size_notation import parsed

__all__ = ["Entry", "Plan", "Readout", "from_json", "models_of", "plan", "trained_names"]

VERSION: Final = 1
ONE = Fraction(1)


@dataclass(frozen=True)
class Readout:
    """A use of a parameter with a multiplier.

    Attributes:
        module: the path of the module that uses it; empty if no module does it alone.
        own: the parameter's name there.
        power: the multiplier's power of n.
        line: where.
    """

    module: str
    own: str
    power: Fraction
    line: str


@dataclass(frozen=True)
class Entry:
    """How one parameter scales.

    Attributes:
        name: the parameter's.
        role: one of `tables.ROLES`.
        shape: its sizes, in terms of n.
        law: how its framework draws it.
        row: the powers of n that the table gives it.
        drawn: the power of n that rescales its entries.
        multipliers: its uses that are multiplied.
    """

    name: str
    role: str
    shape: tuple[Size, ...]
    law: Law
    row: Row
    drawn: Fraction
    multipliers: tuple[Readout, ...]
    own: Mapping[Use, Fraction] = field(default_factory=dict, repr=False, compare=False)
    """The powers of n that the model's own code multiplies its uses by; not saved."""

    @property
    def growing(self) -> int:
        """How many of its axes grow with the width."""
        return sum(not isinstance(size, int) for size in self.shape)

    def rate(self, optimizer: str) -> Fraction:
        """The power of n of its learning rate; Muon leaves all but hidden matrices to AdamW."""
        return self.row.rate("adamw" if optimizer == "muon" and self.role != "hidden" else optimizer)


@dataclass(frozen=True)
class Plan:
    """How a model's parameters scale with its width.

    Attributes:
        table, optimizer: what they follow.
        base: the width at which the model stays as it is.
        unit: so many neurons are one n in the entries' shapes.
        entries: one for each parameter, by name.
        aliases: further names of parameters that are shared.
        findings: what grows or vanishes with the width although the plan is followed, such as the scores of an
            attention that divides by the square root of the width.
        universal: parameters whose limit holds by universality, for they are not drawn from a normal distribution.
    """

    table: str
    optimizer: str
    base: int
    unit: int
    entries: Mapping[str, Entry]
    aliases: Mapping[str, str]
    findings: tuple[str, ...]
    universal: tuple[str, ...]
    _models: list[Any] = field(default_factory=list, repr=False, compare=False)
    """A reference to the model that the plan was applied to last."""

    # -- numbers --------------------------------------------------------------------------------------------------

    def ratio(self, width: int) -> Fraction:
        """The width over the base width."""
        return Fraction(width, self.base)

    def rates(self, width: int) -> dict[str, Rate]:
        """How each parameter is optimised at a width.

        The product of learning rate and weight decay does not depend on the width.
        """
        ratio = float(self.ratio(width))
        found = {}
        for name, entry in self.entries.items():
            muon = self.optimizer == "muon" and entry.role == "hidden"
            rate = ratio ** float(entry.rate(self.optimizer))
            found[name] = Rate(rate, 1 / rate, ratio ** float(entry.row.gradient), muon)
        return found

    def width_of(self, model: Any) -> int:
        """The width of a model, from the shapes of its parameters.

        Raises:
            LimitError: it lacks a parameter of the plan, or has one that the plan does not know.
            ShapeError: a parameter's shape contradicts the others'.
        """
        shapes = models_of(model)[1].shapes(model)
        known = {name for name in shapes if self.aliases.get(name, name) in self.entries}
        missing = sorted(self.entries.keys() - {self.aliases.get(name, name) for name in known})
        unknown = sorted(shapes.keys() - known)
        if missing or unknown:
            lacks = f"the model lacks the parameter {missing[0]}" if missing else f"{unknown[0]} is not in the plan"
            raise LimitError(f"{lacks}; the plan was made for the parameters {', '.join(self.entries)}.")
        sizes = bind(
            (entry.shape, tuple(shapes[name]), name) for name, entry in self.entries.items()
        )
        if SYMBOL not in sizes:
            raise LimitError("no parameter of the model grows with the width.")
        return sizes[SYMBOL] * self.unit

    # -- models ---------------------------------------------------------------------------------------------------

    def apply(self, model: Any, *, rescale: bool = True, by_hand: Sequence[str] = ()) -> Any:
        """Make a model follow the plan: its parameters are rescaled, and multipliers stand where they are used.

        Applying it again changes nothing. The names of parameters stay, so checkpoints fit; a checkpoint of such a
        model says which plan it follows.

        Args:
            model: a model of some width, as its framework initialised it.
            rescale: False if the parameters are those of a model that follows the plan, as from a checkpoint.
            by_hand: parameters whose multipliers the model has in its own code.

        Returns:
            The model.

        Raises:
            LimitError: the model does not fit the plan, follows another one, or uses a parameter that needs a
                multiplier where no module of its own can have it.
        """
        models = models_of(model)[1]
        width = self.width_of(model)
        record = {"plan": self.as_json(), "width": width}
        before = models.record(model)
        self._models[:] = [weakref.ref(model)]
        if before is not None:
            if dict(before) != record:
                raise LimitError(f"the model follows another plan already (table {before['plan']['table']}).")
            return model
        ratio = float(self.ratio(width))
        multipliers = self._multipliers(models, model, ratio, by_hand)
        if rescale:
            models.scale(model, {name: ratio ** float(of.drawn) for name, of in self.entries.items() if of.drawn})
        for path, factors in multipliers.items():
            models.multiply(model, path, factors)
        models.write(model, record)
        return model

    def _multipliers(
        self, models: Models, model: Any, ratio: float, by_hand: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """For each module the factors of its parameters; checked before anything is changed."""
        found: dict[str, dict[str, float]] = {}
        for name, entry in self.entries.items():
            for use in entry.multipliers:
                if name in by_hand:
                    continue
                if not use.module:
                    raise LimitError(
                        f"{name} needs the multiplier n^{use.power}, and no module of its own uses it, {use.line}.",
                        legal=f'a module such as torch.nn.Linear, table="T3", or by_hand=["{name}"]',
                    )
                known = found.setdefault(use.module, {}).setdefault(use.own, ratio ** float(use.power))
                if known != ratio ** float(use.power):
                    raise LimitError(f"{use.module} uses {name} in two ways, with two multipliers, {use.line}.")
        for path, factors in found.items():
            if why := models.multiplies(model, path, sorted(factors)):
                raise LimitError(
                    f"{path or 'the model'} can not have the multipliers of {', '.join(sorted(factors))}: {why}.",
                    legal='table="T3" has no multipliers',
                )
        return found

    def param_groups(
        self, lr: float, model: Any = None, *, weight_decay: float = 0.0, eps: float | None = None
    ) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser of the model's framework.

        Args:
            lr, weight_decay, eps: what they are at the base width. Without eps the optimiser's own stays.
            model: the one that the plan was applied to last, by default.

        Raises:
            LimitError: weight decay with Adam, which divides it by the gradient's size: the decay of a parameter then
                depends on the width; or there is no model.
        """
        if self.optimizer == "adam" and weight_decay:
            raise LimitError(
                "Adam's weight decay is added to the gradient, so that no learning rate makes it independent of the "
                "width.", legal='optimizer="adamw", which decays apart from the gradient',
            )  # fmt: skip
        model = self._applied(model)
        return models_of(model)[1].groups(model, self.rates(self.width_of(model)), lr, weight_decay, eps)

    def scaled_optimizer(self, optimizer: Any, model: Any = None) -> Any:
        """An optimiser that takes each parameter's step with the rate of the plan, for frameworks without groups.

        Args:
            optimizer: with the learning rate of the base width; it is changed and returned.
            model: the one that the plan was applied to last, by default.

        Raises:
            BackendError: the framework's optimisers take groups (`param_groups`).
        """
        model = self._applied(model)
        return models_of(model)[1].scaled(model, optimizer, self.rates(self.width_of(model)))

    def _applied(self, model: Any) -> Any:
        if model is None:
            model = self._models[0]() if self._models else None
        if model is None:
            raise LimitError("the plan is not applied to a model.", legal="plan.apply(model)")
        if models_of(model)[1].record(model) is None:
            raise LimitError("the plan is not applied to this model.", legal="plan.apply(model)")
        return model

    # -- as data --------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {
            "version": VERSION, "table": self.table, "optimizer": self.optimizer, "base": self.base, "unit": self.unit,
            "entries": [_entry_data(entry) for entry in self.entries.values()],
            "aliases": dict(self.aliases), "findings": list(self.findings), "universal": list(self.universal),
        }  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return from_json, (self.as_json(),)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a JSON file, which appears whole or not at all.

        Raises:
            FileError: it can not be written.
        """
        write(Path(path), [json.dumps(self.as_json(), indent=1).encode()])

    def __str__(self) -> str:
        from_unit = f"n, {self.unit} neurons each" if self.unit > 1 else "n"
        lines = [f"muP, table {self.table}, {self.optimizer}, base width {self.base}; powers of {from_unit}"]
        rows = [("parameter", "shape", "role", "law", "rescale", "multiplier", "lr", "wd", "eps")]
        for name, of in self.entries.items():
            power = of.rate(self.optimizer)
            marks = {use.power for use in of.multipliers}
            rows.append((
                name, f"({', '.join(map(str, of.shape))})", of.role, str(of.law).partition(" (")[0], str(of.drawn),
                ", ".join(map(str, sorted(marks))) or "0", str(power), str(-power),
                str(of.row.gradient) if self.optimizer in ("adam", "adamw", "muon") else "",
            ))  # fmt: skip
        sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  ".join(cell.ljust(n) for cell, n in zip(line, sizes, strict=True)).rstrip() for line in rows]
        lines += [f"! {finding}" for finding in self.findings]
        if self.universal:
            lines.append(f"limits by universality (not normal): {', '.join(self.universal)}")
        return "\n".join(lines)


def plan(
    make_model: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None, *,
    widths: Sequence[int] = (64, 128, 256), base: int | None = None, optimizer: str = "adamw", table: str = "T8",
    laws: Mapping[str, Law] | None = None, dynamic: Any = None,
) -> Plan:  # fmt: skip
    """How a model's parameters have to scale with its width.

    Args:
        make_model: a function from a width to a model; or what `limits.widened` made of it.
        args, kwargs, widths, laws, dynamic: as for `limits.widths.widened`.
        base: the width at which the model stays as it is; the smallest one of the captures by default.
        optimizer: "sgd", "adam", "adamw" or "muon" (orthogonal steps for hidden matrices, AdamW for the rest).
        table: "T3", "T8" or "T9" of Tensor Programs V, or "spectral". Tied parameters follow table 8 in tables that
            do not allow them. Parameters that no module uses alone have no multiplier, but the rates and the scale
            that train the same function without it.

    Raises:
        LimitError: an optimiser or table is unknown, the captures do not fit, a parameter has no law or no role.
    """
    _check(1 if base is None else base, optimizer, table)
    of = make_model
    if not isinstance(of, Widened):
        of = widened(make_model, args, kwargs, widths=widths, laws=laws, dynamic=dynamic)
    base = base or (of.captured[0] if of.captured else 1) * of.unit
    if base % of.unit:
        raise LimitError(f"base={base} is no multiple of {of.unit}, of which the model's sizes are multiples.")
    of, names = written_out(of), trained_names(of)
    uses = uses_of(of, names)
    found = roles(of, uses, names)
    entries = {name: _entry(of, role, table) for name, role in found.items()}
    findings = _findings(of, entries, found, uses)
    universal = tuple(name for name, entry in entries.items() if entry.law.universal)
    aliases = {name: first for name, first in of.aliases.items() if first in entries}
    return Plan(table, optimizer, base, of.unit, entries, aliases, findings, universal)


def trained_names(of: Widened) -> list[str]:
    """The parameters that training changes: of a captured model those that its framework says, else all floats."""
    return [
        name for name, value in of.parameters.items()
        if value.type.dtype.kind == "float" and (of.trained is None or name in of.trained)
    ]  # fmt: skip


def _check(base: Any, optimizer: str, table: str) -> None:
    if not isinstance(base, int) or isinstance(base, bool) or base < 1:
        raise LimitError(f"base={base!r} is no width.", legal="base=64")
    if optimizer not in OPTIMISERS:
        raise LimitError(f"there is no optimiser {optimizer!r}.", legal=", ".join(OPTIMISERS))
    if table not in TABLES:
        raise LimitError(f"there is no table {table!r} of muP.", legal=", ".join(TABLES))


def _entry(of: Widened, role: Role, table: str) -> Entry:
    found = row(role.kind, "T8" if role.kind == "tied" and table in ("T3", "spectral") else table)
    own = {use: use.power + (around(of, use) if use in role.readouts else 0) for use in role.uses}
    found = _with_own(role, found, own)
    law = of.law(role.name)
    if law.mean and not law.constant:
        raise LimitError(f"{role.name} is drawn with the mean {law.mean:g}: muP has entries without one, or constants.")
    drawn = _drawn(law, found)
    every = [_place(of, use, _factor(role, found, use) - own[use]) for use in role.uses]
    mixed = {place.module for place in every if any(
        other.module == place.module and other.power != place.power for other in every
    )}  # fmt: skip
    if role.kind == "tied":
        # One module is the table and the readout: its second use has a name of its own.
        every = [
            replace(place, own=READOUT) if place.module in mixed and use in role.readouts else place
            for place, use in zip(every, role.uses, strict=True)
        ]
        places = [place for place in every if place.power]
    else:
        apart = mixed | of.rigid
        places = [replace(place, module="") if place.module in apart else place for place in every if place.power]
    if role.kind != "tied" and any(not place.module for place in places):
        # No module of its own could have the multiplier. Without it another row trains the same function.
        found = found.multiplied(own[role.uses[0]] - found.multiplier)
        drawn, places = _drawn(law, found), []
    return Entry(role.name, role.kind, role.shape, law, found, drawn, tuple(dict.fromkeys(places)), own)


def _drawn(law: Law, found: Row) -> Fraction:
    """By which power of n entries are rescaled: a gain of 1 becomes n^-t if n^t multiplies it, and zeros stay."""
    if law.constant:
        return -found.multiplier if law.mean else Fraction(0)
    return (found.variance - law.exponent) / 2


def _factor(role: Role, found: Row, use: Use) -> Fraction:
    """The multiplier of one use."""
    return found.readout if role.kind == "tied" and use in role.readouts else found.multiplier


def _with_own(role: Role, found: Row, own: Mapping[Use, Fraction]) -> Row:
    """The row beside multipliers that the model has in its own code: these stay, and the rest follows them.

    Raises:
        LimitError: its uses have different ones.
    """
    if not any(own.values()):
        return found
    shifts = {power - _factor(role, found, use) for use, power in own.items()}
    plain = {power for use, power in own.items() if use not in role.readouts or role.kind != "tied"}
    if len(shifts) == 1:
        return found.multiplied(shifts.pop())
    if role.kind == "tied" and len(plain) == 1:
        return found.multiplied(plain.pop() - found.multiplier) if any(plain) else found
    listed = ", ".join(f"n^{power} at {use.source}" for use, power in own.items())
    raise LimitError(f"the model multiplies {role.name} by different powers of its width: {listed}.")


def _place(of: Widened, use: Use, power: Fraction) -> Readout:
    """The module that uses a parameter, if the parameter is its own."""
    module = use.source.module
    names = [use.parameter, *(name for name, first in of.aliases.items() if first == use.parameter)]
    own = next((name for name in names if name.rpartition(".")[0] == module and name), "")
    line = f"at {use.source}" if str(use.source) else "in the program"
    if not own:
        return Readout("", "", power, line)
    return Readout(module, own.rpartition(".")[2], power, line)


def _findings(of: Widened, entries: Mapping[str, Entry], found: Mapping[str, Role], uses: Any) -> tuple[str, ...]:
    """What grows or vanishes when the plan is followed; outputs that vanish at the beginning are meant to."""
    laws: dict[str, Law] = {}
    multipliers: dict[Place, Scale] = {}
    for name, entry in entries.items():
        law = entry.law
        if not law.constant:
            laws[name] = Law(law.variance, entry.row.variance, law.distribution)
        for use in found[name].uses:
            power = _factor(found[name], entry.row, use) - entry.own[use]
            if law.constant:
                power += entry.drawn
            if power:
                multipliers[use.number, use.operand] = (1.0, power)
    seen = powers(of, laws=laws, multipliers=multipliers, uses=uses).findings
    return tuple(dict.fromkeys(str(finding) for finding in seen if not _meant(finding)))


def _meant(finding: Finding) -> bool:
    return finding.kind == "vanishes" and finding.what.startswith("output")


# -- frameworks -------------------------------------------------------------------------------------------------------


def models_of(model: Any) -> tuple[Backend, Models]:
    """The backend that knows a model, and what it knows of it."""
    for name in available():
        if name in sys.modules and get(name).captures(model):
            return get(name), get(name).parametrised()
    raise BackendNotFoundError(f"no backend knows models of the type {type(model).__name__}.")


# -- data -------------------------------------------------------------------------------------------------------------


def _entry_data(of: Entry) -> dict[str, Any]:
    return {
        "name": of.name, "role": of.role, "shape": [str(size) for size in of.shape],
        "law": [of.law.variance, str(of.law.exponent), of.law.distribution, of.law.mean],
        "row": [str(power) for power in (
            of.row.variance, of.row.multiplier, of.row.readout, of.row.sgd, of.row.adam, of.row.muon, of.row.gradient
        )],
        "drawn": str(of.drawn),
        "multipliers": [[use.module, use.own, str(use.power), use.line] for use in of.multipliers],
    }  # fmt: skip


def from_json(data: Mapping[str, Any]) -> Plan:
    """A plan from what `Plan.as_json` gave.

    Raises:
        LimitError: it is none, or one of another version.
    """
    try:
        if data["version"] != VERSION:
            raise LimitError(f"a plan of the version {data['version']}; this is version {VERSION}.")
        _check(data["base"], data["optimizer"], data["table"])
        entries = {of["name"]: _entry_from(of) for of in data["entries"]}
        return Plan(
            data["table"], data["optimizer"], data["base"], int(data["unit"]), entries, dict(data["aliases"]),
            tuple(data["findings"]), tuple(data["universal"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, LimitError):
            raise
        raise LimitError(f"this is no plan: {type(error).__name__} {error}.") from None


def _entry_from(data: Mapping[str, Any]) -> Entry:
    n = {SYMBOL: dim(SYMBOL)}
    variance, exponent, distribution, mean = data["law"]
    return Entry(
        data["name"], data["role"], tuple(parsed(size, n) for size in data["shape"]),
        Law(variance, Fraction(exponent), distribution, mean), Row(*map(Fraction, data["row"])),
        Fraction(data["drawn"]),
        tuple(Readout(module, own, Fraction(power), line) for module, own, power, line in data["multipliers"]),
    )  # fmt: skip
