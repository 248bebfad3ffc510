"""Every operation of TensorFlow that is ported computes what TensorFlow computes, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorflow_operators import examples  # noqa: E402
from tensoria_tensorflow.lowerings import LOWERINGS  # noqa: E402
from tensoria_tensorflow.lowerings.call import own_dtype  # noqa: E402
from tensoria_tensorflow.lowerings.deferred import DEFERRED  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.discovery import get  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

EXAMPLES = list(examples())
PORTED: dict[int, tuple[Program, list[Any], list[Any]]] = {}
SIZES = {"Range", "Log2", "BroadcastArgs"}
"""Those without tensors as arguments, and those that this version of TensorFlow makes of others."""
FIRST = {"FusedBatchNorm": 3, "FusedBatchNormV2": 3, "FusedBatchNormV3": 3, "Svd": 1, "SelfAdjointEigV2": 1}
"""How many results are compared: others are for TensorFlow's derivative, or were not asked for."""


def test_every_operation_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} - {"PlaceholderWithDefault"} | SIZES == {*LOWERINGS, *DEFERRED}


def called(name: str, given: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The operation as a function of its tensors, and these."""
    tensors: list[Any] = []
    places: dict[str, Any] = {}
    for key, value in given.items():
        items = value if isinstance(value, list) and value and isinstance(value[0], tf.Tensor) else [value]
        if isinstance(items[0], tf.Tensor):
            places[key] = (len(tensors), len(items), isinstance(value, list))
            tensors += items
    fixed = {key: value for key, value in given.items() if key not in places}

    def function(*xs: Any) -> Any:
        own = {
            key: list(xs[start : start + count]) if several else xs[start]
            for key, (start, count, several) in places.items()
        }
        result = getattr(tf.raw_ops, name)(**{key: {**fixed, **own}[key] for key in given})
        return tuple(result) if isinstance(result, (list, tuple)) else result

    return function, tensors


def ported(number: int) -> tuple[Program, list[Any], list[Any]]:
    """The program of an example, its tensors, and TensorFlow's results; made once."""
    if number not in PORTED:
        function, tensors = called(*EXAMPLES[number])
        expected = function(*tensors)
        wanted = list(expected) if isinstance(expected, tuple) else [expected]
        if (count := FIRST.get(EXAMPLES[number][0])) is not None:
            function, wanted = _only(function, count), wanted[:count]
        PORTED[number] = tn.port(tf.function(function), tensors), tensors, wanted
    return PORTED[number]


def _only(function: Any, count: int) -> Any:
    """Without results that only TensorFlow's own derivative uses."""
    return lambda *xs: function(*xs)[:count]


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[f"{n}-{x[0]}" for n, x in enumerate(EXAMPLES)])
def test_an_operation_becomes_instructions_with_tensorflows_types_and_numbers(backend: str, number: int) -> None:
    program, tensors, wanted = ported(number)
    target = get(backend)
    results = program.evaluate(target, [target.asarray(_numbers(x), own_dtype(x.dtype), None, True) for x in tensors])
    assert len(results) == len(wanted)
    for operand, found, theirs in zip(program.outputs, results, wanted, strict=True):
        assert operand.type.dtype is own_dtype(theirs.dtype)
        assert tuple(operand.type.shape) == tuple(theirs.shape)
        assert target.dtype(found) is own_dtype(theirs.dtype)
        a, b = (np.asarray(x) for x in (target.to_numpy(found), _numbers(theirs)))
        kind = complex if np.iscomplexobj(b) else float
        a, b = a.astype(kind), b.astype(kind)
        finite = np.abs(b[np.isfinite(b)])
        tolerance = {"float64": 1e-12, "complex128": 1e-12, "float16": 1e-3}.get(theirs.dtype.name, 2e-6)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(finite.max(initial=0.0), 1e-3))


def _numbers(x: Any) -> Any:
    return tf.cast(x, tf.float32).numpy() if x.dtype == tf.bfloat16 else x.numpy()


def test_images_are_resized_from_corner_to_corner_to_one_row(backend: str) -> None:
    def function(x: Any, y: Any) -> Any:
        return tf.raw_ops.ResizeBilinear(images=x, size=tf.shape(y)[1:3], align_corners=True)

    x, y = (tf.random.stateless_normal(shape, (1, 2)) for shape in ((2, 4, 5, 3), (1, 6, 7, 1)))
    p = tn.port(tf.function(function), (x, y), dynamic={"x": ("b", "h", "w", None), "y": (None, "m", "n", None)})
    for m, n in ((1, 3), (6, 1), (6, 7)):
        found = p.run(x, y[:, :m, :n], backend=backend)
        np.testing.assert_allclose(np.asarray(found), function(x, y[:, :m, :n]).numpy(), atol=1e-6)
