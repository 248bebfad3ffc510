"""What every test sees: Hypothesis without a clock and without chance; `backend` is the conformance plugin's."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # SciPy reads it when it is imported, and scikit-learn asks for it

# Three frameworks and twenty thousand tests are much to look through, and hardly any of it is ever garbage.
gc.set_threshold(10_000, 20, 20)

settings.register_profile(
    "tensoria",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.load_profile("tensoria")


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """So does what a file of tests leaves: models and plans that later collections need not look through."""
    if nextitem is not None and item.path != nextitem.path:
        gc.collect()
        gc.freeze()
