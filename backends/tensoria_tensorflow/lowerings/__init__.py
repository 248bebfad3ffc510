"""From TensorFlow's operations to the instructions of programs: one row for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tensorflow.python.framework import op_def_registry

from tensoria.errors import PortingError
from tensoria_tensorflow.lowerings import elementwise, neural, reductions, shapes
from tensoria_tensorflow.lowerings.call import Call, Lowering

__all__ = ["EITHER", "HOST", "IGNORED", "LOWERINGS", "Call", "register"]

CHAPTERS = (elementwise, reductions, shapes, neural)
LOWERINGS: Final[dict[str, Lowering]] = {name: row for chapter in CHAPTERS for name, row in chapter.LOWERINGS.items()}
"""What each operation records."""
HOST: Final[dict[str, tuple[int, ...]]] = {name: row for chapter in CHAPTERS for name, row in chapter.HOST.items()}
"""Which of its operands have to be known before anything runs."""
EITHER: Final[dict[str, tuple[int, ...]]] = shapes.EITHER
"""Which of its operands are handed on as known numbers where they are known."""
IGNORED: Final[frozenset[str]] = frozenset(("Assert", "NoOp", "Print", "PrintV2"))
"""Operations that check or show and compute nothing; a program checks its inputs' types and shapes."""


def register(operator: str, lowering: Callable[..., Any]) -> None:
    """Take a user's lowering, which is given the operation's tensors, and its attributes by name (no data types).

    Raises:
        PortingError: there is no such operation.
    """
    definition = op_def_registry.get(operator)
    if definition is None:
        raise PortingError(f"TensorFlow has no operation {operator!r}.", legal="its library is loaded first")
    counts = {argument.number_attr for argument in definition.input_arg}
    names = [of.name for of in definition.attr if of.type not in ("type", "list(type)") and of.name not in counts]

    def lower(call: Call, *xs: Any) -> Any:
        return lowering(*xs, **{name: call.attribute(name) for name in names})

    LOWERINGS[operator] = lower
