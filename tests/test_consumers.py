"""Plain tensors where other libraries want arrays: Python's and NumPy's protocols, array-api-extra, einops, xarray.

SciPy and scikit-learn have files of their own. Whatever is computed is compared with the same call on NumPy's arrays.
"""

from __future__ import annotations

import copy
import math
import operator
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import array_api_compat
import einops
import hypothesis.strategies as st
import numpy as np
import opt_einsum
import pytest
from across import needs_host_memory, refusal
from einops import array_api as einops_array_api
from hypothesis import given

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import ConversionError, ModeError

random = np.random.default_rng(0)
DATA = random.normal(size=(4, 3))
Call = Callable[..., Any]


def same(backend: str, found: Any, wanted: Any) -> None:
    """Tensors of the backend, in lists and tuples too, with the numbers of NumPy's arrays."""
    if isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            same(backend, ours, theirs)
        return
    assert isinstance(found, tn.Tensor), f"{type(found).__name__}, not a tensor"
    assert found.backend == backend
    assert found.shape == np.shape(wanted)
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6, atol=1e-9)


def calls(**cases: Call) -> pytest.MarkDecorator:
    """A parameter for each function of a namespace and an array."""
    return pytest.mark.parametrize("call", cases.values(), ids=cases.keys())


# -- Python's and NumPy's protocols -----------------------------------------------------------------------------------


def test_scalars_become_pythons(backend: str) -> None:
    xp = tn.namespace(backend)
    half, three = xp.asarray(2.5), xp.asarray(3)
    assert (float(half), int(half), bool(half), complex(half)) == (2.5, 2, True, 2.5 + 0j)
    assert (operator.index(three), [10, 11, 12, 13][three], list(range(three))) == (3, 13, [0, 1, 2])
    assert (f"{half:.3f}", f"{three:d}", math.sqrt(xp.asarray(4.0)), math.floor(half)) == ("2.500", "3", 2.0, 2)
    for convert in (float, int, bool, complex, operator.index, len, iter):
        with pytest.raises(TypeError):
            convert(xp.asarray([[1.0, 2.0]]) if convert not in (len, iter) else half)


def test_rows(backend: str) -> None:
    t = tn.namespace(backend).asarray(DATA)
    assert len(t) == 4
    same(backend, list(t), list(DATA))
    same(backend, list(reversed(t)), list(DATA[::-1]))
    first, *rest = t
    assert (first.shape, len(rest)) == ((3,), 3)
    assert [float(x) for x in sorted(t[0])] == sorted(DATA[0])
    same(backend, sum(t), DATA.sum(axis=0))
    assert DATA[0, 1] in t[0]


@pytest.mark.parametrize("made", [np.float32(2), np.float64(2), np.int64(2)], ids=lambda x: x.dtype.name)
def test_numpys_scalars_are_numbers_on_both_sides(backend: str, made: Any) -> None:
    t = tn.namespace(backend).asarray(DATA)
    for operation in (operator.mul, operator.add, operator.sub, operator.truediv, operator.pow, operator.lt):
        x = made.item()
        same(backend, operation(made, abs(t)), operation(x, abs(DATA)))
        same(backend, operation(abs(t), made), operation(abs(DATA), x))
        assert (operation(made, abs(t))).dtype in (tn.float64, tn.bool)


@pytest.mark.parametrize("again", [lambda t: pickle.loads(pickle.dumps(t)), copy.copy, copy.deepcopy])
def test_pickling_and_copying(backend: str, again: Call) -> None:
    t = tn.namespace(backend).asarray(DATA, dtype="float32")
    found = again(t)
    assert (found.backend, found.dtype, found.device) == (backend, tn.float32, t.device)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(t))


def test_numpys_functions_get_arrays(backend: str) -> None:
    needs_host_memory(backend)
    t = tn.namespace(backend).asarray(DATA)
    assert type(np.asarray(t)) is np.ndarray
    assert np.asarray(t, dtype="float32").dtype == np.float32
    assert (np.shape(t), np.ndim(t), np.size(t)) == ((4, 3), 2, 12)
    np.testing.assert_allclose(np.linalg.norm(t), np.linalg.norm(DATA))
    np.testing.assert_array_equal(np.stack([t, t]), np.stack([DATA, DATA]))
    np.testing.assert_array_equal(np.from_dlpack(t), DATA)
    array = np.zeros((4, 3))
    array[...] = t
    np.testing.assert_array_equal(array, DATA)


def test_numpys_ufuncs_name_what_is_legal() -> None:
    def tensor(b: str) -> tn.Tensor:
        return tn.namespace(b).asarray(DATA)

    refusal(ConversionError, lambda b: np.exp(tensor(b)), "np.exp", "tn.exp(t)")
    refusal(ConversionError, lambda b: np.sum(tensor(b)), "np.add", "tn.sum(t)")
    refusal(ConversionError, lambda b: np.arcsin(tensor(b)), "np.arcsin", "np.asarray(t)")
    refusal(ConversionError, lambda b: np.ones((4, 3)) * tensor(b), "np.multiply", "tn.asarray(x)")


def test_numpy_understands_data_types() -> None:
    if np.lib.NumpyVersion(np.__version__) < "2.4.0":
        pytest.skip("a protocol of NumPy 2.4")
    for name in ("bool", "int8", "uint64", "float32", "complex128"):
        of = tn.dtype(name)
        assert np.dtype(of) == np.dtype(name)
        assert of == np.dtype(name)
        assert np.dtype(name) == of
        assert np.zeros(2, dtype=of).dtype == name
        assert of != np.dtype("int16")
        assert of is not None
        assert of != None  # noqa: E711  # what np.dtype("float64") gets wrong
    with pytest.raises(TypeError, match="bfloat16"):
        np.dtype(tn.bfloat16)


def test_full_and_arange_take_tensors_without_axes(backend: str) -> None:
    xp = tn.namespace(backend)
    x = xp.asarray(DATA)
    same(backend, xp.full((2, 2), x[0, 0]), np.full((2, 2), DATA[0, 0]))
    same(backend, xp.full_like(x, xp.asarray(3.0)), np.full_like(DATA, 3.0))
    assert xp.full(3, xp.asarray(1, dtype="int8")).dtype is tn.int8
    assert xp.full(3, xp.asarray(1), dtype="float32").dtype is tn.float32
    same(backend, xp.arange(xp.asarray(1), xp.asarray(7), xp.asarray(2)), np.arange(1, 7, 2))
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        xp.full((2, 2), x)


def test_labelled_tensors_refuse_what_drops_labels() -> None:
    def labelled(b: str) -> tn.Tensor:
        return tn.tensor(tn.namespace(b).asarray(DATA), "sample feature")

    for use in (
        np.asarray,
        np.exp,
        array_api_compat.array_namespace,
        lambda t: einops.rearrange(t, "a b -> b a"),
        lambda t: einops_array_api.rearrange(t, "a b -> b a"),
        lambda t: opt_einsum.contract("ij,kj->ik", t, t),
        float,
    ):
        refusal(ModeError, lambda b, use=use: use(labelled(b)), "sample feature")  # type: ignore[misc]


# -- writing ----------------------------------------------------------------------------------------------------------

slices = st.one_of(st.integers(-2, 1), st.builds(slice, st.sampled_from([None, 0, 1]), st.sampled_from([None, 2, 3])))


@given(st.lists(slices, min_size=1, max_size=3), st.lists(slices, min_size=0, max_size=2), st.booleans(), st.booleans())
def test_what_is_written_into_a_view_reaches_the_whole(
    backend: str, first: list[Any], then: list[Any], turned: bool, adds: bool
) -> None:
    def write(x: Any, transpose: Call) -> Any:
        part = x[tuple(first)]
        if turned:
            part = transpose(part, tuple(range(part.ndim))[::-1])
        if part.ndim >= len(then) > 0 and min(part.shape, default=0) >= 2:
            part = part[tuple(then)]
        if part.ndim == 0:  # in NumPy, a scalar is no view
            return x
        if adds:
            part += 1.0
        else:
            part[...] = 7.0
        return x

    cube = np.arange(27.0).reshape(3, 3, 3)
    xp = tn.namespace(backend)
    same(backend, write(xp.asarray(cube, copy=True), xp.permute_dims), write(cube.copy(), np.transpose))


def test_a_write_into_an_old_view_undoes_no_later_one(backend: str) -> None:
    def write(x: Any, transpose: Call) -> Any:
        row, rows, turned = x[0], x[0:2], transpose(x, (1, 0))
        x[0, 0] = 5.0
        row[1] = 7.0
        rows += 1.0
        turned[2, 0] = 9.0
        return x

    square = np.arange(9.0).reshape(3, 3)
    xp = tn.namespace(backend)
    same(backend, write(xp.asarray(square, copy=True), xp.permute_dims), write(square.copy(), np.transpose))


def test_operators_in_place_write_into_shared_memory(backend: str) -> None:
    t = tn.namespace(backend).asarray(DATA, copy=True)
    array = t.array
    t += 1
    t *= 2
    same(backend, t, (DATA + 1) * 2)
    assert (t.array is array) is not get(backend).immutable
    t.T[0] += 1.0
    np.testing.assert_allclose(np.asarray(t)[:, 0], (DATA[:, 0] + 1) * 2 + 1)


def test_operators_in_place_keep_derivatives() -> None:
    def f(w: tn.Tensor) -> tn.Tensor:
        y = tn.exp(w)
        y *= w
        y += w
        return tn.sum(y)

    w = np.array([0.5, 1.0])
    refs = np.exp(w) * (1 + w) + 1
    np.testing.assert_allclose(np.asarray(tn.grad(f)(tn.asarray(w))), refs)


def test_constants_are_not_written_into(backend: str) -> None:
    i, j = tn.indices("i j", tn.Space("V", 2, privileged=True))
    before = tn.levi_civita(-i, -j, backend=backend)
    before[0, 1] = 5.0
    assert float(tn.levi_civita(-i, -j, backend=backend).components[0, 1]) == 1.0


# -- array-api-compat and array-api-extra -----------------------------------------------------------------------------


def test_array_api_compat_knows_a_tensor(backend: str) -> None:
    xp = tn.namespace(backend)
    t = xp.asarray(DATA)
    assert array_api_compat.is_array_api_obj(t)
    assert array_api_compat.array_namespace(t, 1.0, None, t) is xp
    assert array_api_compat.device(t) == t.device
    assert array_api_compat.to_device(t, "cpu").device == "cpu"
    assert array_api_compat.size(t) == 12
    assert array_api_compat.is_writeable_array(t)
    assert not array_api_compat.is_lazy_array(t)
    assert not array_api_compat.is_numpy_array(t)
    assert not array_api_compat.is_torch_namespace(xp)


EXTRA: dict[str, Call] = {
    "angle": lambda x, xp, a: x.angle(a * 1j),
    "apply_where": lambda x, xp, a: x.apply_where(a > 0, (a, a), lambda u, v: xp.log(u) * v, lambda u, v: u - v),
    "argpartition": lambda x, xp, a: xp.sort(x.argpartition(a, 1)),
    "at set": lambda x, xp, a: x.at(xp.asarray(a, copy=True), (0, slice(None))).set(9.0),
    "at add": lambda x, xp, a: x.at(a)[:, 1].add(9.0, copy=True),
    "at mask": lambda x, xp, a: x.at(a, a > 0).multiply(2.0, copy=True),
    "at min": lambda x, xp, a: x.at(a)[1, :].min(0.1, copy=True),
    "atleast_nd": lambda x, xp, a: x.atleast_nd(a, ndim=4),
    "cov": lambda x, xp, a: x.cov(a),
    "create_diagonal": lambda x, xp, a: x.create_diagonal(a, offset=1),
    "isclose": lambda x, xp, a: x.isclose(a, a + 1e-9),
    "isin": lambda x, xp, a: x.isin(xp.asarray([1, 2, 3]), xp.asarray([2, 3])),
    "kron": lambda x, xp, a: x.kron(a, a[:2, ...]),
    "lazy_apply": lambda x, xp, a: x.lazy_apply(lambda v: np.cumsum(v, axis=0), a, as_numpy=True, xp=xp),
    "nan_to_num": lambda x, xp, a: x.nan_to_num(xp.where(a > 0, a, xp.asarray(xp.nan, dtype=a.dtype))),
    "nunique": lambda x, xp, a: x.nunique(a),
    "one_hot": lambda x, xp, a: x.one_hot(xp.asarray([0, 2, 1]), 3),
    "pad": lambda x, xp, a: x.pad(a, [(0, 1), (2, 0)], constant_values=3.0),
    "partition": lambda x, xp, a: xp.sort(x.partition(a, 1)),
    "setdiff1d": lambda x, xp, a: x.setdiff1d(xp.asarray([1, 2, 3, 4]), xp.asarray([2, 3])),
    "sinc": lambda x, xp, a: x.sinc(a),
    "union1d": lambda x, xp, a: x.union1d(xp.asarray([1, 2]), xp.asarray([2, 9])),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", EXTRA)
def test_array_api_extra(backend: str, name: str) -> None:
    extra = pytest.importorskip("array_api_extra")
    xp = tn.namespace(backend)
    same(backend, EXTRA[name](extra, xp, xp.asarray(DATA)), EXTRA[name](extra, np, DATA.copy()))


# -- einops, opt_einsum, autoray --------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [einops, einops_array_api], ids=["einops", "einops.array_api"])
@calls(
    rearrange=lambda e, a: e.rearrange(a, "(a b) c -> a c b", a=2),
    rearrange_list=lambda e, a: e.rearrange([a, a], "n a c -> a n c"),
    mean=lambda e, a: e.reduce(a, "(a b) c -> a c", "mean", a=2),
    any=lambda e, a: e.reduce(a > 0, "(a b) c -> a c", "any", a=2),
    prod=lambda e, a: e.reduce(a, "a c -> ", "prod"),
    repeat=lambda e, a: e.repeat(a, "a c -> a c k", k=2),
    pack=lambda e, a: e.pack([a, a[0]], "* c")[0],
    unpack=lambda e, a: e.unpack(a, [[1], [3]], "* c"),
)
def test_einops(backend: str, library: Any, call: Call) -> None:
    same(backend, call(library, tn.namespace(backend).asarray(DATA)), call(einops, DATA))


def test_einops_beyond_array_api(backend: str) -> None:
    t = tn.namespace(backend).asarray(DATA)
    same(backend, einops.einsum(t, t, "row x, other x -> row other"), DATA @ DATA.T)
    assert einops.parse_shape(t, "row _") == {"row": 4}
    assert type(einops.asnumpy(t)) is np.ndarray


@calls(
    chain=lambda a: opt_einsum.contract("ij,kj,kl->il", a, a, a),
    pair=lambda a: opt_einsum.contract("ij,kj->ki", a, a),
    sum=lambda a: opt_einsum.contract("ij->j", a),
    hadamard=lambda a: opt_einsum.contract("ij,ij,kj->ijk", a, a, a),
    expression=lambda a: opt_einsum.contract_expression("ij,kj,kl->il", *[(4, 3)] * 3)(a, a, a),
    constants=lambda a: opt_einsum.contract_expression("ij,kj,kl->il", a, *[(4, 3)] * 2, constants=[0])(a, a),
)
def test_opt_einsum(backend: str, call: Call) -> None:
    same(backend, call(tn.namespace(backend).asarray(DATA)), call(DATA))


@calls(
    sum=lambda do, a: do("sum", a, axis=0),
    transpose=lambda do, a: do("transpose", a),
    permute=lambda do, a: do("transpose", a, (1, 0)),
    reshape=lambda do, a: do("reshape", a, (-1,)),
    ravel=lambda do, a: do("ravel", a),
    tensordot=lambda do, a: do("tensordot", a, a, axes=((0,), (0,))),
    einsum=lambda do, a: do("einsum", "ij,kj->ik", a, a),
    svd=lambda do, a: do("linalg.svd", a)[1],
    concatenate=lambda do, a: do("concatenate", [a, a], axis=1),
    stack=lambda do, a: do("stack", [a, a]),
    arctan2=lambda do, a: do("arctan2", a, a + 3),
    power=lambda do, a: do("power", a, 2),
    conjugate=lambda do, a: do("conjugate", a),
    cumsum=lambda do, a: do("cumsum", a, axis=0),
    trace=lambda do, a: do("trace", a[:3]),
    outer=lambda do, a: do("outer", a[0], a[1]),
    astype=lambda do, a: do("astype", a, "float32"),
)
def test_autoray(backend: str, call: Call) -> None:
    autoray = pytest.importorskip("autoray")
    t = tn.namespace(backend).asarray(DATA)
    same(backend, call(autoray.do, t), call(autoray.do, DATA))
    made = autoray.do("zeros", (2, 3), like=f"tensoria.{backend}")
    assert (made.backend, made.shape) == (backend, (2, 3))


@pytest.mark.parametrize("order", ["tensoria, {}", "{}, tensoria"])
def test_libraries_are_told_whichever_is_imported_first(order: str) -> None:
    pytest.importorskip("autoray")
    code = f"""
import importlib.util
import {order.format("einops, autoray")}
import tensoria as tn
t = tn.asarray([[1.0, 2.0]])
assert einops.rearrange(t, "a b -> b a").shape == (2, 1)
assert autoray.do("concatenate", [t, t]).shape == (2, 2)
assert type(einops.__spec__.loader).__module__ != "tensoria.registration"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_asking_where_a_library_is_does_not_use_up_the_word_to_it() -> None:
    code = (
        "import importlib.util, tensoria as tn; assert importlib.util.find_spec('einops').origin; import einops;"
        "print(einops.rearrange(tn.asarray([[1.0, 2.0]]), 'a b -> b a').shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, text=True, capture_output=True)
    assert done.stdout == "(2, 1)\n"


# -- xarray -----------------------------------------------------------------------------------------------------------

XARRAY: dict[str, Call] = {
    "sum of arrays": lambda x, d: d + d,
    "numbers": lambda x, d: np.float64(2) * d - 1,
    "comparison": lambda x, d: (d > 0) & (d < 1),
    "broadcasting": lambda x, d: d * d.isel(x=0).rename(y="z"),
    "alignment": lambda x, d: d + d[1:],
    "sum": lambda x, d: d.sum("x"),
    "mean": lambda x, d: d.mean("x", skipna=False),
    "max": lambda x, d: d.max(skipna=False),
    "any": lambda x, d: (d > 0).any("x"),
    "argmax": lambda x, d: d.argmax("x", skipna=False),
    "isel": lambda x, d: d.isel(x=[1, 3], y=slice(1, None)),
    "sel": lambda x, d: d.sel(x=slice(20, 30)),
    "sortby": lambda x, d: d.sortby("x", ascending=False),
    "where": lambda x, d: d.where(d > 0, 0.0),
    "xr.where": lambda x, d: x.where(d > 0, d, -d),
    "isnull": lambda x, d: d.isnull(),
    "clip": lambda x, d: d.clip(0.0, 1.0),
    "astype": lambda x, d: d.astype("float32"),
    "transpose": lambda x, d: d.transpose("y", "x"),
    "stack": lambda x, d: d.stack(z=("x", "y")).unstack("z"),
    "concat": lambda x, d: x.concat([d, d], "x"),
    "dot": lambda x, d: x.dot(d, d, dim="x"),
    "roll": lambda x, d: d.roll(x=1),
    "diff": lambda x, d: d.diff("x"),
    "coarsen": lambda x, d: d.coarsen(x=2).construct(x=("a", "b")).max("b", skipna=False),
    "ufuncs": lambda x, d: x.ufuncs.exp(d),
    "dataset": lambda x, d: x.Dataset({"a": d, "b": 2 * d}).sum("x")["b"],
    "zeros_like": lambda x, d: x.zeros_like(d),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", XARRAY)
def test_xarray(backend: str, name: str) -> None:
    xarray = pytest.importorskip("xarray")

    def labelled(array: Any) -> Any:
        return xarray.DataArray(array, dims=("x", "y"), coords={"x": [10, 20, 30, 40]})

    found = XARRAY[name](xarray, labelled(tn.namespace(backend).asarray(DATA)))
    wanted = XARRAY[name](xarray, labelled(DATA))
    assert found.dims == wanted.dims
    same(backend, found.data, wanted.data)


# -- pictures and tables ----------------------------------------------------------------------------------------------


def test_matplotlib_and_pandas_take_arrays(backend: str) -> None:
    pandas = pytest.importorskip("pandas")
    axes = pytest.importorskip("matplotlib.figure").Figure().add_subplot()
    t = tn.namespace(backend).asarray(DATA)
    (line,) = axes.plot(t[:, 0], t[:, 1])
    np.testing.assert_array_equal(line.get_xdata(), DATA[:, 0])
    np.testing.assert_array_equal(axes.imshow(t).get_array(), DATA)
    frame = pandas.DataFrame(t, columns=["a", "b", "c"])
    frame["d"] = t[:, 0]
    np.testing.assert_array_equal(frame.to_numpy(), np.column_stack([DATA, DATA[:, 0]]))
