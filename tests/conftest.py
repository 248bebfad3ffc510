"""What every test sees: one parameter for each backend, and Hypothesis without a clock and without chance."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # SciPy reads it when it is imported, and scikit-learn asks for it

from tensoria.backend import available, get
from tensoria.errors import BackendNotFoundError

settings.register_profile(
    "tensoria",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.load_profile("tensoria")


@pytest.fixture(params=available(), scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a registered backend whose framework is installed."""
    name: str = request.param
    try:
        get(name)
    except BackendNotFoundError as missing:
        pytest.skip(f"{missing.message}")
    return name
