"""Every operator of PyTorch that is ported computes what PyTorch computes, on every backend, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from aten_operators import aten_examples  # noqa: E402
from tensoria_torch.lowerings import LOWERINGS, Call  # noqa: E402
from tensoria_torch.lowerings.call import own_dtype  # noqa: E402
from tensoria_torch.sizes import Sizes  # noqa: E402

from tensoria.backend import Backend, get  # noqa: E402
from tensoria.programs.evaluation import evaluate  # noqa: E402
from tensoria.programs.recorder import Recorder, SymbolicArray, recording  # noqa: E402
from tensoria.programs.types import Literal, Type, Value  # noqa: E402

EXAMPLES = list(aten_examples())
UNDEFINED = {"aten.empty_like.default", "aten.new_empty.default", "aten.empty.memory_format"}
"""Whose numbers are whatever memory holds."""
RECURRENT = {"aten.lstm.input", "aten.gru.input", "tensoria.lstm.default", "tensoria.gru.default"}
"""Which modules of the tests of porting have."""


def test_every_operator_has_an_example() -> None:
    assert {name for name, _, _ in EXAMPLES} | UNDEFINED | RECURRENT == set(LOWERINGS)


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

    call = Call(recorder, expected, args, Sizes({}))
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
