"""A ported program beside its model, operator by operator and as a whole.

The first divergence is the first operator that computes something else than its model's: its error with the model's
own numbers exceeds its tolerance, and float64 does not take it away. It is named with its module and its line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.backend import Backend
from tensoria.discovery import get
from tensoria.errors import PortingError
from tensoria.porting.models import capturing
from tensoria.porting.parity import cases as tried
from tensoria.porting.parity.cases import Case, Sweep
from tensoria.porting.parity.matching import matched
from tensoria.porting.parity.measuring import ARBITER, ROUNDED, TOLERANCES, Comparison, Given, compared, relative
from tensoria.porting.parity.outcomes import Model, Outcome, gradients, hidden_rows, results
from tensoria.porting.parity.report import Parity
from tensoria.programs.captured import Captured
from tensoria.programs.dimensions import Dim
from tensoria.programs.program import Program
from tensoria.programs.trees import flatten, unflatten

__all__ = ["ARBITER", "ROUNDED", "TOLERANCES", "Asked", "Comparison", "Outcome", "Parity", "beside", "parity"]

AS_GIVEN = "as given"


def parity(
    program: Program, *, source: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None,
    to: str | Sequence[str] = ("numpy",), grads: bool = False, sweep: Sweep = False, stress: bool = False,
    masked: bool = False,
) -> Parity:  # fmt: skip
    """How far a ported program is from its model: every operator, the results, and what else is asked.

    The model is captured again, so the program may have been edited since it was ported, or read from a file.

    Args:
        program: what `tn.port` made of the model, perhaps changed since.
        source: the model; it stays as it is.
        args, kwargs: its arguments, native tensors of its framework.
        to: the backend or backends to compare.
        grads: whether to compare gradients, by every parameter and every floating argument, with those of the model
            itself, relative to each gradient's largest component (to 1e-4 of the norm of all, if that is more).
        sweep: other sizes: True for one of what comes first, and odd lengths; or dictionaries of open sizes.
        stress: whether to compare with other statistics, scales and shifts in every normalisation.
        masked: whether to compare with everything hidden in the first rows of masks, of arguments and of attention.

    Raises:
        PortingError: the program is not this model's, or gradients are asked of one that draws random numbers.
    """
    try:
        home, found = capturing(source, args, kwargs, _opened(program), _mode(program))
    except PortingError as error:
        raise PortingError(f"the program's instructions are not those of this model: {error.message}") from error
    asked = Asked(grads, sweep, stress, masked)
    return beside(program, source, home, found, args, kwargs, (to,) if isinstance(to, str) else to, asked)


@dataclass(frozen=True)
class Asked:
    """What is compared beside operators and results; as for `parity`."""

    grads: bool = False
    sweep: Sweep = False
    stress: bool = False
    masked: bool = False


def beside(
    program: Program, source: Any, home: Backend, found: Captured, args: Sequence[Any],
    kwargs: Mapping[str, Any] | None, to: Sequence[str], asked: Asked,
) -> Parity:  # fmt: skip
    """The comparison with a model that has been captured, for arguments of any sizes that are open.

    Raises:
        PortingError: as for `parity`.
    """
    foreign = PortingError("the program's instructions are not those of this model.", legal="tn.port(model, ...)")
    if found.program is None:
        raise foreign
    pairs = matched(program, found.program)
    seen = set(pairs.values())
    if 2 * sum(made.results[0] in seen for made in found.program.instructions) < len(found.program.instructions):
        raise foreign
    whole = tuple(args), dict(kwargs or {})
    unpacked = home.unpacked(whole)
    if unpacked is None:
        tensors, tree = flatten(whole, home.owns)
        unpacked = tensors, lambda leaves: unflatten(tree, leaves)
    leaves, packed = unpacked
    given = Given(program, home, found, pairs, leaves)
    targets = [get(name) for name in to]
    rows = [row for target in targets for row in compared(given, target)]
    model = Model(home, source, packed, _mode(program))
    outcomes: list[Outcome] = []
    cases = [Case(AS_GIVEN, leaves)] if program.key is None else []
    if program.key is None:
        cases += tried.swept(program, home, leaves, asked.sweep)
        cases += tried.masked(program, home, leaves) if asked.masked else ()
        cases += tried.stressed(program, leaves) if asked.stress else ()
    for case in cases:
        with model.changed(case):
            own = list(results(program, model, case, targets))
            outcomes += own
            if case.name != AS_GIVEN and any(x.diverges for x in own):
                wrong = {x.backend for x in own if x.diverges}
                rows += _located(given, case, [target for target in targets if target.name in wrong])
    if asked.masked:
        outcomes += hidden_rows(given, targets)
    if asked.grads:
        outcomes += gradients(program, model, Case(AS_GIVEN, leaves), targets)
    return Parity(program.name, tuple(to), tuple(rows), tuple(outcomes), _changed(program, found.program))


def _opened(program: Program) -> dict[str, tuple[Dim | None, ...]]:
    """Which axes are open, as `port` is told."""
    open_ = {}
    inputs = iter(program.inputs)
    for name, tree in zip(program.signature, program.input_tree.children, strict=True):
        for path in tree.names(name):
            shape = next(inputs).type.shape
            if any(isinstance(size, Dim) for size in shape):
                open_[path] = tuple(size if isinstance(size, Dim) else None for size in shape)
    return open_


def _mode(program: Program) -> bool | None:
    """Whether the model is to be captured as it trains; None for as it stands."""
    return True if program.updates or program.key is not None else False if program.modes else None


def _located(given: Given, case: Case, targets: Sequence[Any]) -> list[Comparison]:
    """The operators that diverge in a case whose results do."""
    arrays = {given.program.parameters[name]: array for name, array in case.arrays.items()}
    program = dataclasses.replace(given.program, arrays={**given.program.arrays, **arrays})
    there = Given(program, given.home, given.found, given.pairs, case.leaves)
    rows = [row for target in targets for row in compared(there, target)]
    return [dataclasses.replace(row, case=case.name) for row in rows if row.diverges]


def _changed(program: Program, model: Program) -> tuple[str, ...]:
    """The parameters whose numbers are not the model's."""
    return tuple(
        name for name, value in program.parameters.items()
        if name in model.parameters
        and relative(program.arrays[value], model.arrays[model.parameters[name]]) > 0
    )  # fmt: skip
