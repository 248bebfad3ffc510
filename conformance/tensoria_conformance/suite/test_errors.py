"""Errors: one family, the same words on every backend, and never a number where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.errors import (
    AxisError,
    BackendNotFoundError,
    ConversionError,
    DTypeError,
    ModeError,
    NotationError,
    ShapeError,
    SpaceError,
    TensoriaError,
)  # fmt: skip
from tensoria_conformance.claims import exactly, numbers, refusal, refused
from tensoria_conformance.contracts import contract

FAMILY = "tensoria/errors.py; docs/rules.md"
V = tn.Space("V", 2)
i, j = tn.indices("i j", V)


@contract(
    "errors", rule="Every refusal is a TensoriaError and the built-in error that one would expect.", source=FAMILY
)
def test_errors_are_one_family(xp: Any) -> None:
    cases: list[tuple[type[Exception], type[Exception], Callable[[Any], Any]]] = [
        (ShapeError, ValueError, lambda xp: xp.ones((2,)) + xp.ones((3,))),
        (DTypeError, TypeError, lambda xp: xp.ones((2,), dtype="int64") + xp.ones((2,), dtype="float64")),
        (NotationError, ValueError, lambda xp: tn.einsum("i,j", xp.ones((2,)))),
        (ModeError, TypeError, lambda xp: tn.tensor(xp.ones((2,)), [i]) + xp.ones((2,))),
        (BackendNotFoundError, ImportError, lambda xp: tn.namespace("nowhere")),
    ]
    for kind, builtin, action in cases:
        refusal(kind, action, xp)
        assert issubclass(kind, TensoriaError)
        assert issubclass(kind, builtin)


@contract(
    "errors", rule="Labelled and plain tensors do not mix; the error says how to label.", source="docs/rules.md, rule 1"
)
def test_modes_do_not_mix(xp: Any) -> None:
    refused(ModeError, lambda xp: xp.ones((2,)) * tn.tensor(xp.ones((2,)), [i]), xp, "Legal:", "label")
    refused(ModeError, lambda xp: tn.tensor(xp.ones((2,)), [i]) + 1.0, xp, "depend on the basis")
    refused(ModeError, lambda xp: tn.tile(tn.tensor(xp.ones((2,)), [i]), (2,)), xp, "no rule for labelled")


@contract("errors", rule="What would drop labels silently is refused.", source="docs/rules.md, rule 1")
def test_labels_are_not_dropped(xp: Any) -> None:
    refused(ModeError, lambda xp: np.asarray(tn.tensor(xp.ones((2,)), [i])), xp, "silently")
    refused(ModeError, lambda xp: np.sum(tn.tensor(xp.ones((2,)), [i])), xp, "silently")
    refused(ConversionError, lambda xp: xp.asarray(tn.tensor(xp.ones((2,)), [i])), xp, "labels")
    refused(ModeError, lambda xp: tn.tensor(xp.ones((2,)), [i]).__array_namespace__(), xp, "silently")


@contract("errors", rule="A mistake in a notation is shown by a caret.", source="docs/rules.md, notation")
def test_mistakes_in_a_notation_are_shown(xp: Any) -> None:
    refused(
        NotationError,
        lambda xp: tn.einsum("^i _j, ^j -> ^k", tn.tensor(xp.ones((2, 2)), [i, -j]), tn.tensor(xp.ones((2,)), [j])),
        xp,
        "^i _j, ^j -> ^k",
        "\n",
    )
    refused(SpaceError, lambda xp: tn.tensor(xp.ones((2,)), "^q"), xp, "^q", "q=V")


@contract("errors", rule="Data that are no rectangular array of numbers are refused in the same words.", source=FAMILY)
def test_ragged_data_are_refused(xp: Any) -> None:
    refused(ConversionError, lambda xp: xp.asarray([[1.0], [1.0, 2.0]]), xp, "rows of the shapes")
    refused(ConversionError, lambda xp: xp.asarray([1.0, None]), xp, "NoneType")
    refused(ConversionError, lambda xp: xp.asarray("text"), xp, "no number")


@contract("errors", rule="Unknown data types, axes and names are told with what there is.", source=FAMILY)
def test_unknown_names_are_told(xp: Any) -> None:
    refused(DTypeError, lambda xp: xp.zeros((2,), dtype="float7"), xp, "float7", "float64")
    refused(AxisError, lambda xp: tn.sum(tn.tensor(xp.ones((2,)), ["b"]), axis="c"), xp, "c")
    refused(AxisError, lambda xp: tn.sum(xp.ones((2,)), axis="c"), xp, "names")


@contract(
    "errors",
    rule="A tensor with several elements has no truth value, and is no number.",
    source="Array API 2025.12, __bool__, __float__",
)
def test_several_numbers_are_no_number(xp: Any) -> None:
    def of_two(action: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda xp: action(xp.ones((2,)))

    for action in (bool, float, int, complex):
        refused(ConversionError, of_two(action), xp, "without axes", "(2,)")
    assert bool(xp.asarray(True)) is True
    assert float(xp.asarray(1.5, dtype="float64")) == 1.5
    assert int(xp.asarray(-3)) == -3


@contract("errors", rule="A refused assignment leaves the tensor as it was.", source=FAMILY)
def test_a_refused_assignment_changes_nothing(xp: Any) -> None:
    t = xp.asarray(np.array([1, 2, 3]))
    for value in (0.5, xp.asarray(np.array([0.5, 0.5, 0.5]))):
        try:
            t[:] = value
        except DTypeError:
            pass
        else:
            raise AssertionError(f"{value!r} was assigned to integers: {numbers(t)}")
    exactly(t, np.array([1, 2, 3]))


@contract(
    "errors",
    rule="In-place operators never change shape, data type or indices.",
    source="docs/rules.md; ARCHITECTURE.md",
)
def test_in_place_operators_keep_the_form(xp: Any) -> None:
    def wider(xp: Any) -> Any:
        t = xp.ones((3,), dtype="float64")
        t += xp.ones((2, 3), dtype="float64")
        return t

    def larger(xp: Any) -> Any:
        t = xp.ones((3,), dtype="float32")
        t *= xp.ones((3,), dtype="float64")
        return t

    refused(ModeError, wider, xp, "(3,)", "(2, 3)")
    refused(ModeError, larger, xp, "float32", "float64")
    t = xp.ones((3,), dtype="float64")
    kept = t
    t += 1.0
    assert t is kept
    exactly(t, np.full(3, 2.0))


@contract(
    "errors",
    rule="Tensors are not hashable, since they compare by element.",
    source="Array API 2025.12, __eq__; Python, __hash__",
)
def test_tensors_are_not_hashable(xp: Any) -> None:
    try:
        hash(xp.ones((2,)))
    except TypeError:
        return
    raise AssertionError("a tensor has a hash")


@contract("errors", rule="A size that does not fit its space is told with the space.", source="docs/rules.md, rule 2")
def test_sizes_have_to_fit_their_space(xp: Any) -> None:
    refused(ShapeError, lambda xp: tn.tensor(xp.ones((3,)), [i]), xp, "V(2)", "3")
    refused(AxisError, lambda xp: tn.tensor(xp.ones((2, 2)), [i, i]), xp, "i")
