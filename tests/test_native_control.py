"""Modules of PyTorch with choices and loops: compiled whole, and exported for every size that is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensoria as tn  # noqa: E402


def halved(x: Any) -> Any:
    return tn.cond(tn.sum(x) > 5, lambda x: x * 0.5, lambda x: x * 3 - tn.mean(x), x)


def repeated(x: Any, n: Any) -> Any:
    """A loop that sees a value from outside, with a choice inside."""
    return tn.while_loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, halved(s[1]) + x), (n, x))[1]


def running(x: Any, reverse: bool = False) -> Any:
    return tn.scan(lambda carry, row: (carry + row, carry * row), tn.zeros_like(x[0]), x, reverse=reverse)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "a choice": halved, "a loop": repeated,
    "a scan": lambda x: running(x), "a scan backwards": lambda x: running(x, True),
    "a scan in a choice": lambda x: tn.cond(tn.sum(x) > 0, lambda x: running(x)[1], lambda x: -x, x),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_choices_and_loops_are_compiled_and_exported_with_open_sizes(name: str) -> None:
    x = np.arange(6.0).reshape(3, 2) - 2
    given = (x, np.asarray(3)) if name == "a loop" else (x,)
    program = tn.trace(FUNCTIONS[name], *map(tn.asarray, given), dynamic={"x": ("rows", None)})
    module = program.to_torch()
    tensors = [torch.from_numpy(np.asarray(part)) for part in given]
    open_rows = {key: {0: torch.export.Dim("rows", min=2, max=64)} if key == "x" else None for key in program.signature}
    exported = torch.export.export(module, tuple(tensors), dynamic_shapes=open_rows).module()
    torch.compiler.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    for rows in (x, -x, np.concatenate([x, x])):
        arguments = [torch.from_numpy(rows), *tensors[1:]]
        expected = program.run(rows, *given[1:], backend="numpy")
        expected = expected if isinstance(expected, tuple) else (expected,)
        for model in (module, compiled, exported):
            found = model(*arguments)
            for a, b in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
                np.testing.assert_allclose(a, np.asarray(b.array), rtol=1e-12, atol=1e-12)
