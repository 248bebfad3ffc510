"""One neutral function on every backend: the same values, data types, shapes, labels, errors and gradients.

The function is run once more on NumPy with every floating-point input in double precision: values are held against
that reference with the tolerance of their own format, everything else against the first backend. Where values differ
both runs are repeated with every native operation recorded, to say which one is the first that differs.

Gradients are those of a fixed weighted sum of everything that the function returns. They are held against the
gradient in double precision on the first backend that differentiates, and that one against difference quotients of
the reference, so that an error that all frameworks share is seen as well.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.discovery import backend_of, get
from tensoria.errors import DTypeError
from tensoria_conformance.claims import numbers
from tensoria_conformance.comparison import agreement, coarsest, tolerance
from tensoria_conformance.recording import Step, first_divergence, recording
from tensoria_conformance.running import installed

__all__ = ["Comparison", "Disagreement", "across_backends", "compare"]

REFERENCE = "numpy"
DOUBLE = {"float16": "float64", "bfloat16": "float64", "float32": "float64", "complex64": "complex128"}
STEP, QUOTIENT_TOLERANCE = 1e-6, 1e-4
"""The step of difference quotients, and how far they may be from a gradient relative to its size."""


@dataclass(frozen=True)
class Disagreement:
    """One thing that differs.

    Attributes:
        backend: where.
        what: what differs: a result, a gradient, an error.
        text: how.
        step: the first operation that differs, if values do.
    """

    backend: str
    what: str
    text: str
    step: str = ""

    def __str__(self) -> str:
        lines = [f"{self.backend}: {self.what}: {self.text}"]
        if self.step:
            lines.append(f"  first diverged at {self.step}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; true if all backends agree. Printing it shows everything.

    Attributes:
        backends: where the function ran.
        disagreements: everything that differs.
        ulps: the largest distance to the reference on each backend.
        notes: what could not be checked.
        results: what the function returned (or raised) on each backend.
    """

    backends: tuple[str, ...]
    disagreements: tuple[Disagreement, ...]
    ulps: Mapping[str, float]
    notes: tuple[str, ...]
    results: Mapping[str, Any] = field(repr=False)

    def __bool__(self) -> bool:
        return not self.disagreements

    def __str__(self) -> str:
        lines = []
        for name in self.backends:
            bad = sum(found.backend == name for found in self.disagreements)
            state = f"{bad} disagreements" if bad else "agrees"
            lines.append(f"{name}: {state}, at most {self.ulps.get(name, 0.0):.6g} ulps from the reference in float64")
        lines += [str(found) for found in self.disagreements]
        lines += [f"note: {text}" for text in self.notes]
        return "\n".join(lines)


# -- running a function -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Leaf:
    """One tensor among results; everything else in a result is a leaf without numbers, compared by `==`."""

    values: Any
    dtype: str = ""
    axes: str = ""
    shape: tuple[int | None, ...] = ()


@dataclass
class _Run:
    """What a function did on one backend: the leaves of its result by their places, or its error."""

    leaves: dict[str, _Leaf] = field(default_factory=dict)
    error: tuple[str, str] | None = None
    raised: BaseException | None = None
    result: Any = None


class _Function:
    """A function with its arguments, which can be put on any backend."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        self.function, self.arguments, self.named = function, tuple(arguments), dict(named)
        parameters = list(inspect.signature(function).parameters)
        self.bound = [name for name in ("xp", "backend") if name in parameters and name not in named]
        # `xp` may stand first among positional arguments.
        self.first = bool(parameters) and parameters[0] in self.bound

    def __call__(self, backend: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        given = {"xp": tn.namespace(backend), "backend": backend}
        own: dict[str, Any] = {name: given[name] for name in self.bound}
        with tn.use(backend):
            if self.first:
                name = next(iter(inspect.signature(self.function).parameters))
                return self.function(own.pop(name), *arguments, **own, **named)
            return self.function(*arguments, **own, **named)

    def placed(self, backend: str, double: bool = False) -> tuple[list[Any], dict[str, Any]]:
        """The arguments on a backend."""
        return (
            [_placed(value, backend, double) for value in self.arguments],
            {name: _placed(value, backend, double) for name, value in self.named.items()},
        )

    def lacking(self, backend: str) -> str:
        """Why the arguments can not be put on a backend: it lacks their data type. Empty if they can."""
        try:
            self.placed(backend)
        except DTypeError as missing:
            return missing.message
        return ""

    def run(self, backend: str, double: bool = False, nudge: tuple[float, int] | None = None) -> _Run:
        """The function's result, or its error; `nudge` changes the arguments, by a relative amount and a pattern."""
        arguments, named = self.placed(backend, double)
        if nudge is not None:
            arguments, named = _nudged(arguments, *nudge), _nudged(named, *nudge)
        try:
            result = self(backend, arguments, named)
        # Any error of the function is something to compare.
        except Exception as error:
            kind = type(error)
            return _Run(error=(f"{kind.__module__}.{kind.__qualname__}", str(error)), raised=error, result=error)
        return _Run(dict(_leaves(result, "result")), result=result)

    def recorded(self, backend: str, double: bool = False) -> list[Step]:
        """The native operations of a run."""
        arguments, named = self.placed(backend, double)
        with recording(get(backend)) as made:
            self(backend, arguments, named)
        return made.steps

    def formats(self) -> list[str]:
        """The data types of all arrays among the arguments."""
        return [leaf.dtype for value in (*self.arguments, *self.named.values()) for _, leaf in _leaves(value, "")]


def _is_array(value: Any) -> bool:
    return isinstance(value, tn.Tensor) or (not isinstance(value, np.generic) and backend_of(value) is not None)


def _placed(value: Any, backend: str, double: bool) -> Any:
    """Arrays and tensors, also inside of containers, as tensors on a backend."""
    if _is_array(value):
        t = value if isinstance(value, tn.Tensor) else tn.asarray(value)
        into = DOUBLE.get(t.dtype.name) if double else None
        return t.detach().to(backend=backend, dtype=into, copy=True)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_placed(item, backend, double) for item in value)
    if isinstance(value, dict):
        return {name: _placed(item, backend, double) for name, item in value.items()}
    return value


def _nudged(value: Any, amount: float, turn: int) -> Any:
    """Floating-point tensors with every element a little larger or smaller."""
    if isinstance(value, tn.Tensor):
        if value.dtype.kind not in ("float", "complex"):
            return value
        signs = np.sign(np.sin((1.0 + turn) * np.arange(1, 1 + math.prod(value.shape)) ** 1.5)).reshape(value.shape)
        moved = np.asarray(numbers(value) * (1.0 + amount * signs))
        return tn.tensor(moved, [..., *value.indices]) if value.is_labelled else tn.asarray(moved)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_nudged(item, amount, turn) for item in value)
    if isinstance(value, dict):
        return {name: _nudged(item, amount, turn) for name, item in value.items()}
    return value


def _leaves(value: Any, place: str) -> Iterable[tuple[str, _Leaf]]:
    if _is_array(value):
        t = value if isinstance(value, tn.Tensor) else tn.Tensor(value)
        yield place, _Leaf(numbers(t), t.dtype.name, str(t.axes), t.shape)
    elif isinstance(value, (list, tuple)):
        # By number: frameworks' tuples have fields of different names.
        for number, item in enumerate(value):
            yield from _leaves(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{place}[{name!r}]")
    else:
        yield place, _Leaf(value)


# -- comparing --------------------------------------------------------------------------------------------------------


def compare(
    function: Callable[..., Any],
    *arguments: Any,
    backends: Iterable[str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    grads: bool = False,
    **named: Any,
) -> Comparison:
    """Run a function on every backend and say what differs.

    Args:
        function: takes tensors and returns tensors, or tuples, lists and dictionaries of them; arguments of its own
            named `xp` and `backend` get the backend's namespace and its name.
        arguments, named: what it is called with; arrays of any kind become tensors on each backend.
        backends: the names; by default all that are installed.
        rtol, atol: the tolerances; by default those of each result's data type (see `comparison.agreement`).
        grads: whether gradients by all floating-point arguments are compared as well.

    Returns:
        The comparison: true if all agree, and what differs when printed.

    Raises:
        BackendNotFoundError: a named backend is not there.

    >>> print(compare(lambda x: tn.sum(x * x), np.arange(3.0), backends=["numpy"]))
    numpy: agrees, at most 0 ulps from the reference in float64
    """
    names = installed() if backends is None else tuple(dict.fromkeys(backends))
    call = _Function(function, arguments, named)
    lacking = {name: missing for name in names if (missing := call.lacking(name))}
    names = tuple(name for name in names if name not in lacking)
    reference = call.run(REFERENCE, double=True)
    runs = {name: call.run(name) for name in names}
    judge = _Judge(call, rtol, atol)
    judge.notes += [f"{name} was left out: {missing}" for name, missing in lacking.items()]
    for name, made in runs.items():
        judge.results(name, made, reference, runs[names[0]], names[0])
    if grads and not judge.found and reference.error is None:
        judge.gradients(names)
    return Comparison(
        names, tuple(judge.found), judge.ulps, tuple(judge.notes), {name: made.result for name, made in runs.items()}
    )


class _Judge:
    """Collects what differs."""

    def __init__(self, call: _Function, rtol: float | None, atol: float | None) -> None:
        self.call, self.rtol, self.atol = call, rtol, atol
        self.found: list[Disagreement] = []
        self.notes: list[str] = []
        self.ulps: dict[str, float] = {}
        self.formats = call.formats()

    def differs(self, backend: str, what: str, text: str, step: str = "") -> None:
        self.found.append(Disagreement(backend, what, text, step))

    def results(self, name: str, made: _Run, reference: _Run, first: _Run, first_name: str) -> None:
        """Hold a backend's result against the reference, and its form against the first backend's."""
        if made.error != first.error:
            mine, theirs = (_said(run) for run in (made, first))
            self.differs(name, "error", f"{mine}\n  and on {first_name}: {theirs}")
            return
        if made.error is not None:
            return
        if reference.error is not None:
            self.differs(name, "error", f"none, and the reference in float64 has {_said(reference)}")
            return
        if list(made.leaves) != list(first.leaves):
            self.differs(name, "result", f"it has {_places(made)}, and on {first_name} {_places(first)}")
            return
        for place, leaf in made.leaves.items():
            self.leaf(name, place, leaf, reference.leaves.get(place), first.leaves[place], first_name)

    def leaf(self, name: str, place: str, leaf: _Leaf, wanted: _Leaf | None, first: _Leaf, first_name: str) -> None:
        for what in ("dtype", "axes", "shape"):
            mine, theirs = getattr(leaf, what), getattr(first, what)
            if mine != theirs:
                self.differs(name, place, f"the {what} is {mine}, and on {first_name} {theirs}")
                return
        if not leaf.dtype:
            if not _equal(leaf.values, first.values):
                self.differs(name, place, f"{leaf.values!r}, and on {first_name} {first.values!r}")
            return
        exact = coarsest(leaf.dtype) is None
        # Rounding may decide where integers and booleans come from it: these are held against the first backend.
        target = first if exact or wanted is None else wanted
        precision = leaf.dtype if exact else coarsest(leaf.dtype, *self.formats) or leaf.dtype
        found = agreement(leaf.values, target.values, precision, rtol=self.rtol, atol=self.atol)
        if found.fault is not None and self.rtol is None and self.atol is None and not exact:
            slack = self.sensitivity(place, precision)
            found = agreement(leaf.values, target.values, precision, slack=slack)
        self.ulps[name] = max(self.ulps.get(name, 0.0), found.ulps)
        if found.fault is not None:
            self.differs(name, place, found.fault, self.divergence(name))

    def sensitivity(self, place: str, precision: str) -> Any:
        """How much the reference's result changes if its arguments do, by the tolerance of a format.

        Rounding the arguments changes the result by as much, whatever the function does afterwards; no backend can be
        blamed for that (backward error: Higham, Accuracy and Stability of Numerical Algorithms, section 1.5).
        """
        start = self.call.run(REFERENCE, double=True).leaves[place].values
        slack = np.zeros(np.shape(start))
        for turn in range(3):
            leaf = self.call.run(REFERENCE, double=True, nudge=(tolerance(precision), turn)).leaves.get(place)
            if leaf is not None and np.shape(leaf.values) == np.shape(start):
                with np.errstate(invalid="ignore"):
                    change = np.abs(leaf.values - start)
                slack = np.maximum(slack, np.where(np.isfinite(change), change, 0.0))
        return slack

    def divergence(self, name: str) -> str:
        """The first operation that differs from the reference, in a run of each that is recorded."""
        precision = coarsest(*self.formats)
        want = self.call.recorded(REFERENCE, double=True)
        found = first_divergence(self.call.recorded(name), want, precision, self.rtol)
        return "no single operation: the errors add up" if found is None else str(found)

    # -- gradients ------------------------------------------------------------------------------------------------

    def gradients(self, names: Sequence[str]) -> None:
        able = [name for name in names if get(name).differentiates]
        if not able:
            self.notes.append("gradients were not compared: no backend that ran differentiates.")
            return
        self.notes += [f"{name} has no derivatives of its own" for name in names if name not in able]
        total = _Total(self.call)
        if not total.places:
            self.notes.append("there is no floating-point argument to differentiate by.")
            return
        made: dict[str, Any] = {}
        for name in able:
            try:
                made[name] = total.gradient(name)
            except Exception as error:
                made[name] = error
        errors = {name: f"{type(x).__name__}: {x}" if isinstance(x, Exception) else "" for name, x in made.items()}
        for name in able:
            if errors[name] != errors[able[0]]:
                text = f"{errors[name] or 'none'}\n  and on {able[0]}: {errors[able[0]] or 'none'}"
                self.differs(name, "error of the gradient", text)
        if any(errors.values()):
            self.notes += [f"no gradient: {errors[able[0]]}"] if len(set(errors.values())) == 1 else []
            return
        wanted = total.gradient(able[0], double=True)
        self.quotients(able[0], total, wanted)
        for name in able:
            for place, got, first, want in zip(total.places, made[name], made[able[0]], wanted, strict=True):
                what = f"gradient by {place}"
                form, expected = ((x.dtype.name, str(x.axes), x.shape) for x in (got, first))
                if form != expected:
                    self.differs(name, what, f"it is {form}, and on {able[0]} {expected}")
                    continue
                precision = coarsest(got.dtype.name, *self.formats) or got.dtype.name
                found = agreement(numbers(got), numbers(want), precision, rtol=self.rtol, atol=self.atol)
                self.ulps[name] = max(self.ulps.get(name, 0.0), found.ulps)
                if found.fault is not None:
                    self.differs(name, what, found.fault, self.divergence_of_gradient(name))

    def divergence_of_gradient(self, name: str) -> str:
        step = self.divergence(name)
        return "" if step.startswith("no single") else step

    def quotients(self, name: str, total: _Total, gradients: Sequence[tn.Tensor]) -> None:
        """Hold gradients against difference quotients of the reference, along one direction for each argument."""
        for place, gradient in zip(total.places, gradients, strict=True):
            direction = _weights(gradient.shape)
            ahead, behind = total.quotient(place, direction, STEP), total.quotient(place, direction, -STEP)
            got = float(np.real(np.sum(numbers(gradient) * direction)))
            scale = max(abs(got), float(np.abs(numbers(gradient)).max(initial=0.0)), 1e-3)
            limit = QUOTIENT_TOLERANCE * scale
            if not np.isfinite(ahead + behind) or abs(ahead - behind) > limit:
                self.notes.append(f"the gradient by {place} has no difference quotient here (a kink, or no number)")
            elif abs((ahead + behind) / 2 - got) > limit:
                text = f"{got!r} along a direction, and the difference quotient is {(ahead + behind) / 2!r}"
                self.differs(name, f"gradient by {place}", text)


class _Total:
    """A fixed weighted sum of everything that a function returns, as a function of its floating-point arguments."""

    def __init__(self, call: _Function) -> None:
        self.call = call
        parameters = [name for name in inspect.signature(call.function).parameters if name not in call.bound]
        labels = [*parameters[: len(call.arguments)], *(f"[{n}]" for n in range(len(call.arguments)))]
        self.every = [*zip(labels[: len(call.arguments)], call.arguments, strict=True), *call.named.items()]
        self.places = [label for label, value in self.every if _is_array(value) and _floating(value)]

    def value(self, backend: str, filled: Mapping[str, Any]) -> tn.Tensor:
        count = len(self.call.arguments)
        every = [filled[label] for label, _ in self.every]
        result = self.call(backend, every[:count], {label: filled[label] for label, _ in self.every[count:]})
        total: Any = None
        for t in _tensors(result):
            weights = _weights(t.shape)
            parts = [tn.real(t.components), tn.imag(t.components)] if t.dtype.kind == "complex" else [t.components]
            for part, turned in zip(parts, (weights, weights[::-1] if weights.ndim else weights), strict=False):
                scale = tn.asarray(np.array(turned), backend=backend, dtype=part.dtype)
                term = tn.sum(part * scale).to(dtype="float64" if part.dtype is tn.float64 else "float32")
                total = term if total is None else total + term.to(dtype=total.dtype)
        if total is None:
            raise TypeError("the function returns no tensor of floating-point numbers.")
        return total  # type: ignore[no-any-return]

    def gradient(self, backend: str, double: bool = False) -> tuple[tn.Tensor, ...]:
        filled = {label: _placed(value, backend, double) for label, value in self.every}

        def function(*chosen: tn.Tensor) -> tn.Tensor:
            return self.value(backend, {**filled, **dict(zip(self.places, chosen, strict=True))})

        places = tuple(range(len(self.places)))
        found: tuple[tn.Tensor, ...] = tn.grad(function, places)(*(filled[label] for label in self.places))
        return found

    def quotient(self, place: str, direction: np.ndarray[Any, Any], step: float) -> float:
        filled = {label: _placed(value, REFERENCE, True) for label, value in self.every}
        start = float(self.value(REFERENCE, filled))
        x = filled[place]
        moved = numbers(x) + step * direction
        filled[place] = (
            tn.tensor(np.asarray(moved), [..., *x.indices]) if x.is_labelled else tn.asarray(np.asarray(moved))
        )
        return (float(self.value(REFERENCE, filled)) - start) / step


def _floating(value: Any) -> bool:
    return tn.Tensor(value).dtype.kind in ("float", "complex")


def _tensors(result: Any) -> list[tn.Tensor]:
    """The tensors of floating-point numbers in a result."""
    if _is_array(result):
        t = tn.Tensor(result)
        return [t] if t.dtype.kind in ("float", "complex") else []
    if isinstance(result, dict):
        result = list(result.values())
    return [t for item in result for t in _tensors(item)] if isinstance(result, (list, tuple)) else []


def _weights(shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Numbers between 1/2 and 3/2 without a pattern that a sum could cancel."""
    count = int(np.prod(shape, dtype=int))
    return np.asarray(1 + np.cos(1.0 + np.arange(count) ** 1.5) / 2).reshape(shape)


def _said(run: _Run) -> str:
    return "no error" if run.error is None else f"{run.error[0]}: {run.error[1]}"


def _places(run: _Run) -> str:
    return ", ".join(run.leaves) or "nothing"


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)


# -- the decorator ----------------------------------------------------------------------------------------------------


def across_backends(
    *,
    rtol: float | None = None,
    atol: float | None = None,
    grads: bool = False,
    backends: Iterable[str] | None = None,
    examples: int = 20,
    **inputs: Any,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a test of a neutral function: it has to return the same on every backend.

    The function's arguments come from here, from `pytest.mark.parametrize` or from fixtures; arrays become tensors on
    each backend. Arguments named `xp` and `backend` get the backend's namespace and name. Nothing is asserted inside:
    what is returned is compared, and so is what is raised.

    Args:
        rtol, atol, grads, backends: as for `compare`; by default the backends of pytest's `--backend`, or all.
        examples: how many examples Hypothesis draws, if a strategy is among the inputs.
        inputs: arguments by name: Hypothesis strategies, or values.

    Example:
        @across_backends(grads=True, x=floats((3, 4)))
        def test_softmax_ignores_a_constant(xp, x):
            return tn.softmax(x + 1.0, -1)
    """

    def make(function: Callable[..., Any]) -> Callable[..., None]:
        parameters = inspect.signature(function).parameters
        unknown = [name for name in inputs if name not in parameters]
        if unknown:
            raise TypeError(f"{function.__name__} has no argument {unknown[0]!r}.")
        left = [p for name, p in parameters.items() if name not in inputs and name not in ("xp", "backend")]
        drawn, fixed = _sorted(inputs)

        def check(chosen: Iterable[str] | None, values: Mapping[str, Any]) -> None:
            __tracebackhide__ = True
            found = compare(function, backends=chosen, rtol=rtol, atol=atol, grads=grads, **fixed, **values)
            if not found:
                raise AssertionError(f"{function.__name__} is not the same on every backend\n{found}")

        def test(request: Any, **values: Any) -> None:
            from tensoria_conformance.plugin import asked

            chosen = backends if backends is not None else asked(request.config)
            if drawn:
                _examples(drawn, examples, lambda **more: check(chosen, {**values, **more}))
            else:
                check(chosen, values)

        functools.update_wrapper(test, function)
        del test.__dict__["__wrapped__"]
        request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in left]
        test.__signature__ = inspect.Signature([request, *kept])  # type: ignore[attr-defined]
        return test

    return make


def _sorted(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs that Hypothesis draws, and others."""
    try:
        from hypothesis.strategies import SearchStrategy
    except ModuleNotFoundError:  # without the extra there are no strategies
        return {}, dict(inputs)
    drawn = {name: value for name, value in inputs.items() if isinstance(value, SearchStrategy)}
    return drawn, {name: value for name, value in inputs.items() if name not in drawn}


def _examples(drawn: Mapping[str, Any], count: int, body: Callable[..., None]) -> None:
    from hypothesis import HealthCheck, given, settings

    settings(
        derandomize=True, database=None, deadline=None, max_examples=count, suppress_health_check=list(HealthCheck)
    )(given(**drawn)(lambda **values: body(**values)))()
