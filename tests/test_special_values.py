"""Infinities, NaN, zeros and signs of zero: NumPy's values on every backend, eagerly and in compiled programs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensoria as tn

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

SPECIAL = (0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan)
PAIRS = np.array(list(itertools.product(SPECIAL, repeat=2)))
COMPLEX = np.array([complex(a, b) for a, b in PAIRS])
BOTH = np.array(list(itertools.product(COMPLEX, repeat=2)))


def parts(z: Any) -> np.ndarray[Any, Any]:
    """Real and imaginary parts, which compare one by one: a NaN in one says nothing of the other."""
    z = np.asarray(z)
    return np.stack([z.real, z.imag], -1)


@pytest.mark.parametrize("name", ["divide", "multiply"])
def test_quotients_and_products_of_complex_numbers_are_those_of_numpy(backend: str, name: str) -> None:
    x, y = BOTH.T
    found = getattr(tn, name)(*(tn.asarray(a.copy()).to(backend=backend) for a in (x, y)))
    np.testing.assert_allclose(parts(found), parts(getattr(np, name)(x, y)), rtol=1e-14, atol=1e-15)


def test_powers_of_a_complex_zero_are_those_of_numpy(backend: str) -> None:
    x, y = BOTH[BOTH[:, 0] == 0].T
    found = tn.pow(*(tn.asarray(a.copy()).to(backend=backend) for a in (x, y)))
    np.testing.assert_array_equal(parts(found), parts(np.power(x, y)))


ONE: dict[str, Callable[[Any], Any]] = {
    **{
        name: getattr(tn, name)
        for name in (
            "abs argmax argmin argsort ceil count_nonzero floor isfinite isinf isnan max "
            "mean min negative prod reciprocal relu round sign signbit sort sqrt square std sum tanh trunc"
        ).split()
    },
    "argmax by rows": lambda x: tn.argmax(x, axis=1),
    "argmin by rows": lambda x: tn.argmin(x, axis=1, keepdims=True),
    "argsort falling": lambda x: tn.argsort(x, axis=0, descending=True),
    "sort falling": lambda x: tn.sort(x, axis=0, descending=True),
    "cumulative_prod": lambda x: tn.cumulative_prod(x, axis=1),
    "cumulative_sum": lambda x: tn.cumulative_sum(x, axis=0),
    "clip": lambda x: tn.clip(x, -1.0, 1.0),
    "max by rows": lambda x: tn.max(x, axis=1),
    "softmax": lambda x: tn.softmax(x, axis=1),
}  # fmt: skip
TWO = {
    name: getattr(tn, name)
    for name in (
        "add atan2 copysign divide equal floor_divide greater hypot less_equal logaddexp maximum minimum multiply "
        "nextafter not_equal pow remainder"
    ).split()
}


WHOLE = np.array(list(itertools.product((0, 1, -7, 7, 3), (0, 1, -2, 64, 3))))


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
def test_whole_numbers_divided_by_zero_are_zero_in_programs_too(backend: str, name: str) -> None:
    x, y = (tn.asarray(a.copy()).to(backend=backend) for a in WHOLE.T)
    program = tn.trace(getattr(tn, name), x, y)
    wanted = np.where(WHOLE[:, 1] == 0, 0, getattr(np, name)(*np.where(WHOLE == 0, [0, 1], WHOLE).T))
    for found in (getattr(tn, name)(x, y), program.run(x, y, backend=backend), program.compile(backend)(x, y)):
        np.testing.assert_array_equal(np.asarray(found), wanted)


@functools.cache
def traced(name: str) -> Any:
    function, arrays = (ONE[name], (PAIRS,)) if name in ONE else (TWO[name], (PAIRS[:, 0], PAIRS[:, 1]))
    arrays = tuple(tn.asarray(a.copy()) for a in arrays)
    return function, arrays, tn.trace(function, *arrays)


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_programs_have_the_special_values_of_the_functions(backend: str, name: str) -> None:
    function, arrays, program = traced(name)
    wanted = function(*arrays)
    given = [a.to(backend=backend) for a in arrays]
    for found in (function(*given), program.run(*given, backend=backend), program.compile(backend)(*given)):
        found = np.asarray(found)
        assert found.dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-14)
