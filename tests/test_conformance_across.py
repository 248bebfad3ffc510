"""`compare` and `@across_backends`: what differs between backends is found, with the operation where it began."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import installed
from broken_backend import copy_of_numpy, pulled, registered
from faults import single, then
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensoria_conformance import Comparison, across_backends, compare, floats
from tensoria_conformance.comparison import EPSILON, agreement, coarsest, tolerance, ulps
from tensoria_conformance.recording import first_divergence, recording

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import ShapeError

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
ANY = st.floats(allow_nan=False, allow_infinity=False, width=32)


def broken(function: Any, *arguments: Any, change: dict[str, Any], **options: Any) -> Comparison:
    """A comparison of NumPy with a copy of it that is wrong."""
    with registered(copy_of_numpy(**change)) as name:
        return compare(function, *arguments, backends=["numpy", name], **options)


# -- distances and tolerances -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
@given(data=st.data())
def test_the_next_number_is_one_ulp_away(name: str, data: st.DataObject) -> None:
    width = {"float16": 16, "float32": 32, "float64": 64}[name]
    x = np.array(data.draw(st.floats(allow_nan=False, allow_infinity=False, width=width)), name)  # type: ignore[arg-type]
    with np.errstate(over="ignore"):
        up = np.nextafter(x, np.array(np.inf, name))
    down = np.nextafter(up, np.array(-np.inf, name))
    if np.isfinite(up):
        assert ulps(up, x, name) == 1
        assert ulps(up, down, name) == 1
    assert ulps(x, x, name) == 0


@given(x=ANY, y=ANY, z=ANY)
def test_ulps_are_a_distance(x: float, y: float, z: float) -> None:
    a, b, c = (np.array(v, "float32") for v in (x, y, z))
    assert ulps(a, b, "float32") == ulps(b, a, "float32")
    assert ulps(a, c, "float32") <= ulps(a, b, "float32") + ulps(b, c, "float32")
    assert (ulps(a, b, "float32") == 0) == (x == y)


def test_special_values_have_their_places() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0])
    assert agreement(x, x, "float64").fault is None
    for n in range(3):
        wrong = x.copy()
        wrong[n] = 1.0
        assert f"at [{n}]" in (agreement(wrong, x, "float64").fault or "")
    assert agreement(np.array([-0.0]), np.array([0.0]), "float64").ulps == 0
    assert "instead of (2,)" in (agreement(np.ones(3), np.ones(2), "float64").fault or "")


@pytest.mark.parametrize("name", EPSILON)
def test_tolerances_know_the_format(name: str) -> None:
    assert EPSILON[name] < tolerance(name) < 0.1
    want = np.array([1.0, 100.0])
    assert agreement(want * (1 + tolerance(name) / 4), want, name).fault is None
    assert agreement(want * (1 + tolerance(name) * 3), want, name).fault is not None


def test_integers_are_equal_or_not() -> None:
    big = np.array([2**53 + 1])
    assert agreement(big, big, "int64").fault is None
    assert agreement(big, big - 1, "int64").fault is not None
    assert coarsest("int8", "float32", "complex128") == "float32"
    assert coarsest("bool") is None


@given(
    x=hnp.arrays("complex128", 3, elements=st.complex_numbers(max_magnitude=10, allow_nan=False)),
    part=st.sampled_from((1, 1j)),
)
def test_both_parts_of_complex_numbers_count(x: Any, part: complex) -> None:
    assert agreement(x, x, "complex128").fault is None
    assert agreement(x + 0.1 * part, x, "complex128").fault is not None


# -- comparing --------------------------------------------------------------------------------------------------------


def attention(xp: Any, q: Any, k: Any) -> Any:
    return tn.softmax(q @ xp.matrix_transpose(k), -1) @ k


def test_backends_agree_on_attention() -> None:
    found = compare(attention, X, X[:, ::-1], grads=True)
    assert found, str(found)
    assert found.backends == installed()
    assert all(distance < 100 for distance in found.ulps.values())
    for name in installed():
        assert f"{name}: agrees" in str(found)


def test_the_first_operation_that_differs_is_named() -> None:
    found = broken(attention, X, X, change={"xp": {"exp": single}})
    assert not found
    (one,) = found.disagreements
    assert (one.backend, one.what) == ("broken", "result")
    assert one.step.startswith("step ")
    assert ", exp: " in one.step
    assert "ulps of float64" in one.step
    assert "before it: at most 0 ulps" in one.step


def test_errors_that_are_hidden_by_what_follows_are_no_disagreement() -> None:
    """The reference decides by results, not by steps."""
    assert broken(lambda x: tn.abs(tn.negative(x)), X, change={"xp": {"negative": then(np.negative)}})


def test_single_precision_is_judged_as_such() -> None:
    found = compare(lambda x: tn.exp(x), X.astype("float32"))
    assert found, str(found)
    assert not compare(lambda x: tn.exp(x), X.astype("float32"), rtol=1e-12, atol=0.0)


def test_cancellation_is_no_disagreement() -> None:
    """The sum is zero but for what rounding the arguments leaves of it."""
    found = compare(lambda x: tn.sum(x / 3.0), X.astype("float32"))
    assert found, str(found)
    wrong = broken(lambda x: tn.sum(tn.exp(x) * x), X, change={"xp": {"exp": single}})
    assert not wrong


def test_data_types_shapes_and_labels_are_compared() -> None:
    wider = broken(
        lambda x: x + x, X.astype("float32"), change={"methods": {"add": then(lambda x: x.astype("float64"))}}
    )
    assert "the dtype is float64, and on numpy float32" in str(wider)
    longer = broken(lambda x: tn.sum(x, axis=0), X, change={"xp": {"sum": then(lambda x: x[None])}})
    assert "the shape is (1, 3), and on numpy (3,)" in str(longer)

    def relabelled(backend: str, x: Any) -> Any:
        return x["a", "b" if backend == "numpy" else "c"]

    with registered(copy_of_numpy()) as name:
        assert "the axes is a c, and on numpy a b" in str(compare(relabelled, X, backends=["numpy", name]))


def test_errors_are_compared_by_class_and_message() -> None:
    alike = compare(lambda xp, x: x + xp.ones((7,), dtype="float64"), X)
    assert alike
    assert all(isinstance(result, ShapeError) for result in alike.results.values())

    def picky(backend: str, x: Any) -> Any:
        raise ValueError(f"not on {backend}")

    assert "builtins.ValueError: not on broken" in str(broken(picky, X, change={}))

    def only(backend: str, x: Any) -> Any:
        if backend == "broken":
            raise ValueError("no")
        return x

    assert "and on numpy: no error" in str(broken(only, X, change={}))


def test_results_may_be_nested_and_need_not_be_tensors() -> None:
    def several(x: Any) -> Any:
        return {"sum": tn.sum(x), "qr": tn.linalg.qr(x), "n": x.ndim, "list": [x, None]}

    assert compare(several, X.T.copy())
    found = broken(several, X, change={"xp": {"sum": then(lambda x: x + 1)}})
    assert [one.what for one in found.disagreements] == ["result['sum']"]


def test_labelled_arguments_keep_their_labels() -> None:
    V = tn.Space("V", 3, metric=[1, 2, 3])
    v = tn.tensor(X, "b ^i", i=V)
    found = compare(lambda v: v * v.lowered(), v, grads=True)
    assert found, str(found)
    assert {str(result.axes) for result in found.results.values()} == {"b"}


def test_wrong_gradients_are_found() -> None:
    with registered(copy_of_numpy(methods={"vjp": pulled(lambda g: g / 2)})) as name:
        found = compare(lambda x: x * x, X, backends=[name], grads=True)
    assert [one.what for one in found.disagreements] == ["gradient by x"]
    assert "difference quotient" in str(found)


def test_gradients_of_backends_are_held_against_each_other() -> None:
    able = [name for name in installed() if get(name).differentiates]
    if not able:
        pytest.skip("no installed framework differentiates")

    with registered(copy_of_numpy(methods={"vjp": pulled(lambda g: g * 1.01)})) as name:
        found = compare(lambda x: x * x, X, backends=[able[0], name], grads=True)
    assert {one.backend for one in found.disagreements} == {"broken"}


def test_kinks_have_no_quotient_and_that_is_said() -> None:
    if not any(get(name).differentiates for name in installed()):
        pytest.skip("no installed framework differentiates")
    found = compare(tn.relu, np.array([0.0, 1.0]), grads=True)
    assert found, str(found)
    assert any("kink" in note for note in found.notes)


def test_a_backend_that_lacks_the_data_type_is_left_out() -> None:
    able = [name for name in installed() if name != "numpy"]
    if not able:
        pytest.skip("only NumPy is installed")
    x = tn.asarray(X.astype("float32"), backend=able[0]).to(dtype="bfloat16")
    found = compare(lambda x: x * 2.0, x)
    assert "numpy" not in found.backends
    assert any("bfloat16" in note for note in found.notes)


# -- recording --------------------------------------------------------------------------------------------------------


def test_a_recording_has_every_operation_and_leaves_no_trace(backend: str) -> None:
    found = get(backend)
    before = dict(vars(found)), found.xp, found.kernels
    x = tn.asarray(X, backend=backend)
    with recording(found) as made:
        y = tn.exp(x) + 1.0
        y = y @ y.T
        tn.einsum("ij,jk->ik", y, y)
        y[0]
    names = [step.name for step in made.steps]
    assert names[0] == "exp"
    assert "matmul" in names
    assert any(name.startswith("contract ab, bc -> ac") for name in names)
    assert names[-1] == "get_item"
    assert (dict(vars(found)), found.xp, found.kernels) == before
    again = len(made.steps)
    tn.exp(x)
    assert len(made.steps) == again


def test_all_backends_record_the_same_operations() -> None:
    V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
    steps = {}
    for name in installed():
        x = tn.tensor(tn.asarray(X, backend=name, copy=True), "b ^i", i=V)
        with recording(get(name)) as made:
            tn.softmax((x * x.lowered()) * 2.0, "b")
            tn.einsum("b ^i, c _i, b -> c", x, x.lowered().renamed(b="c"), tn.sum(x.components, axis=-1)["b"])
        steps[name] = made.steps
    for name in installed():
        assert first_divergence(steps[name], steps["numpy"], "float64") is None, name


def test_runs_that_part_are_told_where() -> None:
    numpy = get("numpy")
    recordings = []
    for call in (tn.exp, tn.sin):
        with recording(numpy) as made:
            call(tn.abs(tn.asarray(X)))
        recordings.append(made.steps)
    found = first_divergence(*recordings, "float64")
    assert found is not None
    assert (found.position, found.name) == (2, "exp")
    assert "calls sin" in found.text


# -- the decorator ----------------------------------------------------------------------------------------------------


@across_backends(rtol=1e-10, grads=True, x=floats((2, 3), low=-3.0, high=3.0), scale=2.0)
def test_softmax_ignores_what_is_added(xp: Any, x: Any, scale: float) -> Any:
    return tn.softmax(x * scale + 1.0, -1), xp.max(x, axis=0)


@pytest.mark.parametrize("axis", [0, 1])
@across_backends(x=X)
def test_parameters_come_from_pytest(x: Any, axis: int) -> Any:
    return tn.sum(x, axis=axis)


@pytest.fixture
def matrix() -> Any:
    return X @ X.T


@across_backends()
def test_arguments_come_from_fixtures(matrix: Any) -> Any:
    assert isinstance(matrix, tn.Tensor)
    return matrix @ matrix


@across_backends(x=floats((3,), "float32", special=True))
def test_special_values_are_the_same_everywhere(x: Any) -> Any:
    return tn.isnan(x), x > 0.0, tn.where(tn.isfinite(x), x, 0.0)


def test_an_argument_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TypeError, match="no argument 'y'"):
        across_backends(y=1)(lambda x: x)
