"""Every operator of PyTorch that is ported computes what PyTorch computes, on every backend, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from aten_operators import aten_examples  # noqa: E402
from tensoria_torch.lowerings import LOWERINGS, Call  # noqa: E402
from tensoria_torch.lowerings.call import Draws, own_dtype  # noqa: E402
from tensoria_torch.lowerings.randomness import RANDOM  # noqa: E402
from tensoria_torch.sizes import Sizes  # noqa: E402

from tensoria.backend import Backend  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.programs.evaluation import evaluate  # noqa: E402
from tensoria.programs.recorder import Recorder, SymbolicArray, recording  # noqa: E402
from tensoria.programs.types import Literal, Type, Value  # noqa: E402

EXAMPLES = list(aten_examples())
UNDEFINED = {"aten.empty_like.default", "aten.new_empty.default", "aten.empty.memory_format"}
"""Whose numbers are whatever memory holds."""
LOOPING = {
    "aten.lstm.input", "aten.gru.input", "tensoria.lstm.default", "tensoria.gru.default", "tensoria.ctc_loss.default",
    "tensoria.rnn_tanh.default", "tensoria.rnn_relu.default", "aten.linalg_lu.default", "aten.lu_unpack.default",
    "aten.linalg_lu_factor_ex.default", "aten.linalg_lu_solve.default",
}  # fmt: skip
"""Which modules of the tests of porting have."""


def test_every_operator_has_an_example() -> None:
    own = {name for name in LOWERINGS if name.startswith(("aten.", "tensoria."))}
    assert {name for name, _, _ in EXAMPLES} | UNDEFINED | LOOPING | RANDOM == own


def flat(value: Any) -> Iterator[Any]:
    """The tensors of a result."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from flat(item)
    else:
        yield value


def lowered(name: str, args: Any, kwargs: Any, expected: Any) -> tuple[Recorder, dict[Value, Any], list[Any]]:
    """What an operator records, the inputs' numbers, and its results."""
    recorder, inputs = Recorder(), {}

    def argument(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            made = Value(Type(own_dtype(value.dtype), tuple(value.shape)))
            inputs[made] = value
            return SymbolicArray(made, recorder)
        if isinstance(value, (list, tuple)):
            return [argument(item) for item in value]
        return own_dtype(value) if isinstance(value, torch.dtype) else value

    call = Call(recorder, expected, args, Sizes({}), Draws(recorder))
    named = {key: argument(value) for key, value in kwargs.items() if key != "layout"}
    with recording(recorder):
        result = LOWERINGS[name](call, *map(argument, args), **named)
    return recorder, inputs, list(flat(result))


def computed(backend: Backend, recorder: Recorder, inputs: dict[Value, Any], results: list[Any]) -> Iterator[Any]:
    """The results' numbers on a backend."""
    known = {value: backend.asarray(array.numpy(), None, None, True) for value, array in inputs.items()}
    for value, array in recorder.constants.items():
        known[value] = backend.asarray(array, value.type.dtype, None, True)

    def read(x: Any) -> Any:
        return backend.asarray(x.number, x.dtype, None, None) if isinstance(x, Literal) else known[x]

    for made in recorder.instructions:
        found = evaluate(backend, made.operation, tuple(map(read, made.operands)), made.attributes)
        known.update(zip(made.results, (found,) if len(made.results) == 1 else found, strict=True))
    for result in results:
        yield None if result is None else read(result.operand)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{n}-{x[0]}" for n, x in enumerate(EXAMPLES)])
def test_an_operator_becomes_instructions_with_pytorchs_types_and_numbers(backend: str, example: Any) -> None:
    name, args, kwargs = example
    space, operator, overload = name.split(".")
    expected = getattr(getattr(getattr(torch.ops, space), operator), overload)(*args, **kwargs)
    target = get(backend)
    recorder, inputs, results = lowered(name, args, kwargs, expected)
    wanted = list(flat(expected))
    assert len(results) == len(wanted)
    for symbolic, found, theirs in zip(results, computed(target, recorder, inputs, results), wanted, strict=True):
        if symbolic is None:
            continue
        assert symbolic.type == Type(own_dtype(theirs.dtype), tuple(theirs.shape))
        assert target.dtype(found) is symbolic.dtype
        numbers = theirs.double()[theirs.isfinite()].abs()
        scale = max(float(numbers.max()), 1e-3) if numbers.numel() else 1.0
        tolerance = (1e-12 if theirs.dtype == torch.float64 else 2e-6) * scale
        np.testing.assert_allclose(target.to_numpy(found), theirs.resolve_conj().numpy(), rtol=0, atol=tolerance)


# -- what is drawn -----------------------------------------------------------------------------------------------------

WHERE = torch.zeros(200, 60, dtype=torch.float64)
DISTRIBUTIONS: dict[str, tuple[tuple[Any, ...], float, float]] = {
    "rand.default": (([200, 60],), 1 / 2, 1 / 12), "rand_like.default": ((WHERE,), 1 / 2, 1 / 12),
    "randn.default": (([200, 60],), 0, 1), "randn_like.default": ((WHERE,), 0, 1),
    "uniform.default": ((WHERE, -1.0, 3.0), 1, 4 / 3), "normal_functional.default": ((WHERE, 2.0, 0.5), 2, 1 / 4),
    "exponential.default": ((WHERE, 2.0), 1 / 2, 1 / 4), "bernoulli.default": ((WHERE + 0.3,), 0.3, 0.21),
    "bernoulli.p": ((WHERE, 0.9), 0.9, 0.09), "bernoulli.Tensor": ((WHERE, WHERE + 0.9), 0.9, 0.09),
    "randint.default": ((5, [200, 60]), 2, 2), "randint.low": ((-1, 4, [200, 60]), 1, 2),
    "randint_like.default": ((WHERE, 5), 2, 2), "randint_like.low_dtype": ((WHERE, -1, 4), 1, 2),
    "randperm.default": ((12000,), 11999 / 2, (12000**2 - 1) / 12),
    "dropout.default": ((WHERE + 1, 0.2, True), 1, 1 / 4),
    "native_dropout.default": ((WHERE + 1, 0.2, True), 1, 1 / 4),
    "rrelu.default": ((WHERE - 1, 0.0, 0.5, True), -1 / 4, 1 / 48),
    "multinomial.default": ((torch.tensor([1.0, 2.0, 1.0]).expand(12000, 3), 1), 1, 1 / 2),
}  # fmt: skip
"""For operators that draw: arguments, and mean and variance of what is drawn."""


def test_every_operator_that_draws_has_a_distribution() -> None:
    assert {f"aten.{name}" for name in DISTRIBUTIONS} == RANDOM


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_what_is_drawn_has_pytorchs_type_and_distribution(name: str) -> None:
    args, mean, variance = DISTRIBUTIONS[name]
    operator, overload = name.split(".")
    expected = getattr(getattr(torch.ops.aten, operator), overload)(*args)
    recorder, inputs, results = lowered(f"aten.{name}", args, {}, expected)
    keys = {made.operands[-1] for made in recorder.instructions if made.operands and "stream" in made.attributes}
    (key,) = keys
    inputs[key] = torch.tensor([3, 4], dtype=torch.uint32)
    drawn = computed(get("numpy"), recorder, inputs, results)
    for symbolic, found, theirs in zip(results, drawn, flat(expected), strict=True):
        assert symbolic.type == Type(own_dtype(theirs.dtype), tuple(theirs.shape))
        assert found.shape == tuple(theirs.shape)
        numbers = found.astype(float)
        if symbolic.dtype.name == "bool":
            continue
        # Five standard deviations of a mean, and a variance to a tenth.
        assert abs(numbers.mean() - mean) < 5 * (variance / numbers.size) ** 0.5
        assert abs(numbers.var() - variance) < 0.1 * variance


def test_samples_are_drawn_with_and_without_replacement() -> None:
    weights = torch.tensor([[0.0, 1.0, 2.0, 1.0]])
    for count, again in ((3, False), (500, True)):
        args = (weights, count, again)
        recorder, inputs, results = lowered("aten.multinomial.default", args, {}, torch.multinomial(*args))
        (key,) = {made.operands[-1] for made in recorder.instructions if "stream" in made.attributes}
        inputs[key] = torch.tensor([0, 1], dtype=torch.uint32)
        (found,) = computed(get("numpy"), recorder, inputs, results)
        assert found.shape == (1, count)
        assert set(found[0].tolist()) == {1, 2, 3}
