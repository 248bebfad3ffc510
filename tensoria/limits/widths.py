"""A model of any width as one program: captures at several widths, unified node by node.

A width is what grows. Where a program was traced over spaces whose dimension is a symbol, the symbol is the width. A
model of a framework has a number there, so it is captured at three widths, and the captures are compared: they have to
do the same, in the same order. Integers that differ become affine in the width symbol `n`, numbers that differ become
c n^e (export writes 1/sqrt(n) into the program as a number), and everything else that differs is refused with its line.

If a size is a fraction of the width (four heads of n/4), the symbol counts such fractions: then the width is 4 n, and
every size is a polynomial. `Widened.unit` is that 4.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensoria.backend import Backend
from tensoria.discovery import available, get
from tensoria.errors import LimitError, PortingError
from tensoria.limits.instance import Instance
from tensoria.limits.laws import Drawn, Law, chosen, law_of
from tensoria.limits.unification import SYMBOL, Place, Scale, Unified
from tensoria.porting.models import port
from tensoria.programs.dimensions import Call, Dim, Size, evaluated
from tensoria.programs.passes.recurrence import gates_in_place
from tensoria.programs.program import Program
from tensoria.programs.trace import trace
from tensoria.programs.types import Value

__all__ = ["SYMBOL", "Widened", "check_maker", "widened"]


@dataclass(frozen=True)
class Widened:
    """A program whose sizes are expressions in its width.

    Attributes:
        program: sizes are expressions in the width symbols. Parameters whose shape depends on the width have no
            arrays. A number that depends on it stands there as at the first width; `scalars` has what it is.
        widths: the names of the width symbols.
        scalars: for the place of a number that depends on the width, c and e of c n^e.
        laws: how the parameters' entries are drawn, by name; those that are not known are missing.
        unit: so many neurons are one n (the width that was asked for is unit * n).
        captured: the values of n at which the model was captured; empty if it was traced.
        problems: why laws that are missing are not known, by name.
        aliases: further names of parameters that are shared, and the name that they have in the program.
        trained: the names of parameters that training changes; None if nobody says so.
        rigid: the paths of modules whose parameters can not be multiplied where the module uses them.
        growing: constants of the model's code whose shape depends on the width, by name; their laws are constants.
    """

    program: Program
    widths: tuple[str, ...]
    scalars: Mapping[Place, Scale] = field(default_factory=dict)
    laws: Mapping[str, Law] = field(default_factory=dict)
    unit: int = 1
    captured: tuple[int, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    trained: frozenset[str] | None = None
    rigid: frozenset[str] = frozenset()
    growing: Mapping[str, Value] = field(default_factory=dict)
    _named: Mapping[str, Value] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = {value.name: value for value in self.program.inputs if value.name in self.laws}
        object.__setattr__(self, "_named", {**self.program.parameters, **given})

    @property
    def parameters(self) -> Mapping[str, Value]:
        """The parameters by name, and inputs of the program that have a law."""
        return self._named

    def law(self, name: str) -> Law:
        """How a parameter's entries are drawn.

        Raises:
            LimitError: nobody said so.
        """
        if name not in self.laws:
            why = self.problems.get(name, "no initialiser of it was seen")
            raise LimitError(
                f"the law of {name} is not known: {why}.",
                legal=f'laws={{"{name}": tn.limits.Law(variance, exponent)}} for the variance c n^e',
            )
        return self.laws[name]

    def is_width(self, size: Size) -> bool:
        """Whether a size grows with the width."""
        return isinstance(size, Dim) and any(symbol.name in self.widths for symbol in size.symbols())

    def width_axes(self, value: Value) -> tuple[int, ...]:
        """The axes of a value that grow with the width."""
        return tuple(axis for axis, size in enumerate(value.type.shape) if self.is_width(size))

    def degree(self, size: Size) -> int:
        """The leading power of the width in a size; other open sizes are finite.

        Raises:
            LimitError: it is no polynomial.
        """
        if not isinstance(size, Dim):
            return 0
        if any(isinstance(atom, Call) for monomial, _ in size.terms for atom in monomial):
            raise LimitError(f"the size {size} is no polynomial in the width.")
        return max(sum(str(atom) in self.widths for atom in monomial) for monomial, _ in size.terms)

    def at(self, n: int, *, seed: int = 0, parameters: Mapping[str, Any] | None = None) -> Program:
        """The program at one value of the width symbol, with parameters drawn from their laws.

        Args:
            n: the value; other open sizes stay open.
            seed: of NumPy's generator.
            parameters: arrays for parameters by name, instead of drawn ones.

        Raises:
            LimitError: a law is missing, or there are several widths.
        """
        if len(self.widths) != 1:
            raise LimitError(f"the program has the widths {', '.join(self.widths)}; one value is not enough.")
        random = np.random.default_rng(seed)
        given = dict(parameters or {})
        sizes = {self.widths[0]: n}
        rebuilt = Instance(self.program, self.scalars, self.widths[0], n)
        made = rebuilt.program(self.growing.values())
        arrays: dict[Value, np.ndarray[Any, Any]] = {
            rebuilt.values[value]: array for value, array in self.program.arrays.items()
        }
        for name, value in {**self.program.parameters, **self.growing}.items():
            shape = tuple(evaluated(size, sizes) for size in value.type.shape)
            if name in given:
                arrays[rebuilt.values[value]] = np.asarray(given[name]).reshape(shape)
            elif name in self.laws or value not in self.program.arrays:
                found = self.law(name).sample(n, shape, random)
                kind = value.type.dtype.name
                arrays[rebuilt.values[value]] = found.astype("float32" if kind == "bfloat16" else kind)
        return dataclasses.replace(made, arrays=arrays)

    def __str__(self) -> str:
        width = f"{self.unit}*{self.widths[0]}" if self.unit > 1 else ", ".join(self.widths)
        lines = [f"width {width}", str(self.program)]
        for (number, place), (c, e) in self.scalars.items():
            lines.append(f"  {self.program.instructions[number].results[0].name}[{place}] = {c:g} n^{e}")
        lines += [f"  law {name}: {law}" for name, law in self.laws.items()]
        return "\n".join(lines)


def widened(
    make_model: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None, *,
    widths: Sequence[int] | Sequence[str] = (64, 128, 256), laws: Mapping[str, Law] | None = None,
    dynamic: Any = None,
) -> Widened:  # fmt: skip
    """A model as a program of any width.

    Args:
        make_model: a function from a width to a model of a framework, to a program, or to a function of tensors. Or a
            program with open sizes, which is taken as it is.
        args, kwargs: examples of the model's arguments. If they depend on the width, a function from it to the tuple.
        widths: three widths for captures (two are enough if every size is proportional to the width). Of a program,
            the names of its width symbols; by default those of spaces whose dimension is a symbol.
        laws: how parameters are drawn, by name or pattern (`"*.weight"`): this goes before what the framework's
            initialisers say. Inputs of a program that have a law are its parameters.
        dynamic: other open sizes, as for `tn.port`.

    Raises:
        LimitError: the captures differ by more than sizes and powers; the line is named.
        PortingError: the model can not be captured.
    """
    if isinstance(make_model, Program):
        return _of_program(make_model, widths, laws)
    check_maker(make_model)
    numbers = _checked_widths(widths)
    captures = [_captured(make_model, args, kwargs, n, dynamic) for n in numbers]
    unit = 1
    for _ in range(2):
        pass_ = Unified([capture.program for capture in captures], numbers, unit)
        program = pass_.program()
        unit = pass_.unit
    sizes = [n // unit for n in numbers]
    found, problems = _laws(captures, sizes, program)
    names = [*program.parameters, *(value.name for value in program.inputs)]
    found.update(chosen(laws, names))
    growing: dict[str, Value] = {}
    uniform, kept = _constants(pass_, found, captures[0].trained, growing, problems)
    known = {**uniform, **found}
    return Widened(
        program=dataclasses.replace(program, arrays=kept),
        widths=(SYMBOL,),
        scalars=pass_.scalars,
        laws=known,
        unit=unit,
        captured=tuple(sizes),
        problems={name: why for name, why in problems.items() if name not in known},
        growing=growing,
        aliases=captures[0].aliases,
        trained=captures[0].trained,
        rigid=captures[0].rigid,
    )


def check_maker(make_model: Any) -> None:
    """See that what makes models is a function of a width, and no model, which could be called with a number as well.

    Raises:
        LimitError: it is something else.
    """
    legal = "a function of the width that makes the model, as lambda n: ..."
    known = _backend_of(make_model)
    if known is not None or not callable(make_model):
        home = "" if known is None else f" of {known.name}"
        raise LimitError(f"a {type(make_model).__name__}{home} has one width.", legal=legal)
    try:
        inspect.signature(make_model).bind(64)
    except TypeError as error:
        name = getattr(make_model, "__name__", type(make_model).__name__)
        raise LimitError(f"{name} can not be called with a width: {error}.", legal=legal) from error
    except ValueError:
        pass  # what is written in C says nothing about its arguments


def _checked_widths(widths: Sequence[Any]) -> tuple[int, ...]:
    numbers = tuple(widths)
    good = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers)
    if not good or len(numbers) < 2 or sorted(set(numbers)) != list(numbers):
        raise LimitError(f"widths={numbers!r}: two or more sizes in increasing order.", legal="widths=(64, 128, 256)")
    return numbers


# -- programs with symbols --------------------------------------------------------------------------------------------


def _of_program(program: Program, widths: Sequence[Any], laws: Mapping[str, Law] | None) -> Widened:
    values = [*program.inputs, *program.parameters.values()]
    open_sizes = {symbol.name for value in values for size in value.type.shape for symbol in _symbols(size)}
    if all(isinstance(name, str) for name in widths) and widths:
        names = tuple(widths)
    else:
        spaces = {index.dimension for value in program.values() for index in value.axes.indices}
        names = tuple(sorted(name for name in open_sizes if name in spaces))
    unknown = [name for name in names if name not in open_sizes]
    if unknown or not names:
        raise LimitError(
            f"the program has no width {', '.join(unknown)}; its open sizes are {', '.join(sorted(open_sizes))}."
            if unknown else f"the program has no width: no space with an open dimension among {sorted(open_sizes)}.",
            legal='widths=("n",) with tn.trace(f, x, dynamic={"x": (None, "n")})',
        )  # fmt: skip
    parameters = [*program.parameters, *(value.name for value in program.inputs)]
    return Widened(program, names, laws=chosen(laws, parameters))


def _symbols(size: Size) -> Iterator[Any]:
    if isinstance(size, Dim):
        yield from size.symbols()


# -- captures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Capture:
    program: Program
    drawn: Mapping[str, Drawn]
    aliases: Mapping[str, str]
    trained: frozenset[str] | None
    """The names of the parameters that training changes, whose numbers are not looked at; None if nobody says so."""
    rigid: frozenset[str] = frozenset()


def _captured(make: Callable[[int], Any], args: Any, kwargs: Any, n: int, dynamic: Any) -> _Capture:
    model, drawn = _built(make, n)
    given = args(n) if callable(args) else args
    if isinstance(model, Program):
        return _Capture(model, {}, {}, None)
    backend = _backend_of(model)
    if backend is None:
        if not callable(model):
            raise LimitError(
                f"make_model({n}) is a {type(model).__name__}, which no backend knows.",
                legal="a model of a framework, a program, or a function of tensors",
            )
        return _Capture(trace(model, *given, dynamic=dynamic, **(kwargs or {})), {}, {}, None)
    try:
        with gates_in_place():
            program = port(model, given, kwargs, dynamic=dynamic)
    except PortingError as error:
        raise PortingError(f"at the width {n}: {error.message}", legal=error.legal) from error
    models = backend.parametrised()
    program = models.renamed(model, program)
    aliases, trained = models.aliases(model), models.trained(model, program)
    return _Capture(program, drawn, aliases, trained, _rigid(models, model, {*trained, *aliases}))


def _rigid(models: Any, model: Any, names: Iterable[str]) -> frozenset[str]:
    """The paths of modules that do not take multipliers of all of their parameters."""
    own: dict[str, list[str]] = {}
    for name in sorted(names):
        path, _, last = name.rpartition(".")
        own.setdefault(path, []).append(last)
    return frozenset(path for path, parts in own.items() if models.multiplies(model, path, parts))


def _built(make: Callable[[int], Any], n: int) -> tuple[Any, Mapping[str, Drawn]]:
    """A model, and how its parameters were drawn; made again if its framework was loaded by making it."""
    watched = [get(name) for name in available() if name in sys.modules]
    with contextlib.ExitStack() as stack:
        seen = {backend: stack.enter_context(backend.watching()) for backend in watched}
        model = make(n)
    backend = _backend_of(model)
    if backend is None:
        return model, {}
    return (model, seen[backend](model)) if backend in seen else _built(make, n)


def _backend_of(model: Any) -> Backend | None:
    for name in available():
        if name in sys.modules and get(name).captures(model):
            return get(name)
    return None


def _laws(
    captures: Sequence[_Capture], widths: Sequence[int], program: Program
) -> tuple[dict[str, Law], dict[str, str]]:
    """What the initialisers say, and what they leave open."""
    found: dict[str, Law] = {}
    problems: dict[str, str] = {}
    for name in program.parameters:
        drawn = [capture.drawn.get(name) for capture in captures]
        known = [of for of in drawn if of is not None]
        if len(known) < len(drawn):
            problems[name] = "no initialiser of it was seen"
            continue
        try:
            found[name] = law_of(known, widths)
        except LimitError as error:
            problems[name] = error.message.rstrip(".")
    return found, problems


def _constants(
    of: Unified, laws: Mapping[str, Law], trained: frozenset[str] | None, growing: dict[str, Value],
    problems: dict[str, str],
) -> tuple[dict[str, Law], dict[Value, np.ndarray[Any, Any]]]:
    """Arrays that the program keeps; those that grow with the width and are uniform have a law.

    Those that grow and are no parameters are put into `growing`, and why there is no law into `problems`.
    What training changes is not looked at; masks, positions and running means are.
    """
    first = of.programs[0]
    trained = frozenset(first.parameters) if trained is None else trained
    names = {value: name for name, value in first.parameters.items()}
    uniform: dict[str, Law] = {}
    kept: dict[Value, np.ndarray[Any, Any]] = {}
    for value in first.arrays:
        arrays = [of.array(number, value) for number in range(len(of.programs))]
        target = of.values[value]
        name = names.get(value, target.name)
        if any(isinstance(size, Dim) for size in target.type.shape):
            if name not in laws and name not in trained:
                numbers = {float(number) for array in arrays for number in (array.min(), array.max())}
                if len(numbers) == 1:
                    uniform[name] = Law(0.0, mean=numbers.pop())
                else:
                    problems[name] = f"it is a constant that is not uniform, at {of.used_at(target)}"
            if value not in names:
                growing[name] = target
            continue
        if name not in trained and any(not np.array_equal(arrays[0], other, equal_nan=True) for other in arrays[1:]):
            raise LimitError(f"the constant {name} {target.type} depends on the width, at {of.used_at(target)}.")
        kept[target] = arrays[0]
    return uniform, kept
