"""Sums of products as einsums: which axes of the operands meet, whatever the operation is called.

Matrix products, linear layers, convolutions, attention and the gates of recurrent networks all sum products of their
operands' components. Here each is a labelling of axes; labels that the result has not are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tensoria.programs.types import Instruction

__all__ = ["Labelled", "contracted_labels"]

Labelled: TypeAlias = tuple[list[tuple[int, ...]], frozenset[int]]
"""For each operand the labels of its axes, and the labels of the result."""


def contracted_labels(made: Instruction) -> Labelled | None:
    """An instruction as an einsum: labels for the axes of its operands; None if it is no sum of products.

    A bias is an operand whose labels all stay.
    """
    reader = CONTRACTIONS.get(made.operation)
    return None if reader is None else reader(made)


def _labels(names: Sequence[Sequence[Any]], out: set[Any]) -> Labelled:
    known: dict[Any, int] = {}
    terms = [tuple(known.setdefault(name, len(known)) for name in of) for of in names]
    return terms, frozenset(known[name] for name in out if name in known)


def _lead(count: int) -> list[Any]:
    """Names of leading axes, which broadcast from the right."""
    return [("lead", -n) for n in range(count, 0, -1)]


def _linear(made: Instruction) -> Labelled:
    x, _, *bias = made.operands
    lead = _lead(x.type.ndim - 1)
    names = [[*lead, "in"], ["out", "in"], *(["out"] for _ in bias)]
    return _labels(names, {*lead, "out"})


def _matmul(made: Instruction) -> Labelled:
    x, y = made.operands
    names = []
    for operand, last in ((x, ["row", "in"]), (y, ["in", "column"])):
        if operand.type.ndim == 1:
            names.append(["in"])
        else:
            names.append([*_lead(operand.type.ndim - 2), *last])
    return _labels(names, {name for of in names for name in of} - {"in"})


def _contract(made: Instruction) -> Labelled:
    pattern = made.attributes["pattern"]
    names = [
        [*_lead(operand.type.ndim - len(term)), *term] for operand, term in zip(made.operands, pattern.terms,
                                                                                strict=True)
    ]
    leads = {name for of in names for name in of if isinstance(name, tuple)}
    return _labels(names, {*pattern.out, *leads})


def _convolution(made: Instruction) -> Labelled:
    """The input's channels meet the kernel's; if they come in groups, the groups are part of the output's channels."""
    of_x, of_kernel, of_result = made.attributes["numbers"]
    grouped = made.attributes["groups"] != 1
    kernel = ["I" if letter == "I" else letter if letter == "O" else f"window {letter}" for letter in of_kernel]
    image = [("group" if grouped else "I") if letter == "C" else letter for letter in of_x]
    names = [image, kernel, *(["O"] for _ in made.operands[2:])]
    kept = {letter for letter in of_result if letter != "C"} | {"O"} | ({"group"} if grouped else set())
    return _labels(names, kept)


def _transposed(made: Instruction) -> Labelled:
    of_x, of_kernel, of_result = made.attributes["numbers"]
    grouped = made.attributes["groups"] != 1
    kernel = [letter if letter in "IO" else f"window {letter}" for letter in of_kernel]
    image = [("group" if grouped else "I") if letter == "C" else letter for letter in of_x]
    names = [image, kernel, *(["O"] for _ in made.operands[2:])]
    kept = {letter for letter in of_result if letter != "C"} | {"O"} | ({"group"} if grouped else set())
    return _labels(names, kept)


def _gated(states: int) -> Callable[[Instruction], Labelled]:
    def labels(made: Instruction) -> Labelled:
        _, *more = made.operands
        held, weights = more[:states], more[states:]
        names = [["time", "batch", "in"], *(["batch", "state"] for _ in held),
                 *([["gates", "in"], ["gates", "state"], ["gates"], ["gates"]][: len(weights)])]  # fmt: skip
        return _labels(names, {"time", "batch", "gates"})

    return labels


def _attention(made: Instruction) -> Labelled:
    query, key, value, *mask = made.operands
    names = [
        [*_lead(query.type.ndim - 2), "query", "feature"], [*_lead(key.type.ndim - 2), "key", "feature"],
        [*_lead(value.type.ndim - 2), "key", "value"], *([*_lead(of.type.ndim - 2), "query", "key"] for of in mask),
    ]  # fmt: skip
    return _labels(names, {name for of in names for name in of} - {"feature", "key"})


CONTRACTIONS: Final[Mapping[str, Callable[[Instruction], Labelled]]] = {
    "linear": _linear, "matmul": _matmul, "contract": _contract, "convolution": _convolution,
    "convolution_transpose": _transposed, "lstm": _gated(2), "gru": _gated(1), "attention": _attention,
}  # fmt: skip
"""Operations that sum products, as einsums."""
