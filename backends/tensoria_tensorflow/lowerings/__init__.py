"""From TensorFlow's operations to the instructions of programs: one row for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tensorflow.python.framework import op_def_registry

from tensoria.errors import PortingError
from tensoria_tensorflow.lowerings import (
    counting,
    elementwise,
    images,
    linear_algebra,
    neural,
    reductions,
    shapes,
    signals,
    special,
)
from tensoria_tensorflow.lowerings.call import Call, Lowering

__all__ = ["EITHER", "HOST", "IGNORED", "LOWERINGS", "REASONS", "Call", "register"]

CHAPTERS = (elementwise, reductions, shapes, counting, linear_algebra, signals, neural, images, special)
LOWERINGS: Final[dict[str, Lowering]] = {name: row for chapter in CHAPTERS for name, row in chapter.LOWERINGS.items()}
"""What each operation records."""
HOST: Final[dict[str, tuple[int, ...]]] = {name: row for chapter in CHAPTERS for name, row in chapter.HOST.items()}
"""Which of its operands have to be known before anything runs."""
EITHER: Final[dict[str, tuple[int, ...]]] = {**shapes.EITHER, **counting.EITHER}
"""Which of its operands are handed on as known numbers where they are known."""
IGNORED: Final[frozenset[str]] = frozenset(("Assert", "NoOp", "Print", "PrintV2"))
"""Operations that check or show and compute nothing; a program checks its inputs' types and shapes."""

BY_NUMBERS = "the shape of its result depends on numbers, so nothing behind it has a type"
TEXT = "text is computed before a model, not in it"
REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys((
        "Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "ListDiff", "DynamicPartition",
        "NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4",
        "NonMaxSuppressionV5", "RaggedRange", "CTCGreedyDecoder", "CTCBeamSearchDecoder",
    ), BY_NUMBERS),
    **dict.fromkeys((
        "StringLower", "StringUpper", "StringSplit", "StringSplitV2", "StaticRegexReplace", "RegexReplace", "AsString",
        "StringToHashBucketFast", "StringToHashBucketStrong", "StringJoin", "UnicodeDecode",
        "UnicodeDecodeWithOffsets", "DecodeJpeg", "DecodePng", "DecodeImage", "DecodeRaw", "ReadFile",
    ), TEXT),
    **dict.fromkeys((
        "LookupTableFindV2", "LookupTableFind", "HashTableV2", "MutableHashTableV2", "LookupTableSizeV2",
    ), "a table is no array; the look-up belongs before the model"),
    **dict.fromkeys(("PyFunc", "EagerPyFunc", "PyFuncStateless"), "what a function of Python computes is not known"),
    **dict.fromkeys((
        "RandomStandardNormal", "TruncatedNormal", "RandomUniformInt", "RandomGamma", "Multinomial", "RandomShuffle",
    ), "random numbers of a hidden state are ported in dropout only"),
}  # fmt: skip
"""Why operations are not ported that can not be."""


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
