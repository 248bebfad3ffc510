"""Tensor Programs: what a program becomes when its width grows without bound."""

from __future__ import annotations

import importlib
from typing import Any, Final

LATER: Final = {
    "tensor_program": "TensorProgram",
    "theorem": "Limit",
    "amp": "MessagePassing message_passing rectangular_message_passing",
    "mean_field": "edge_of_chaos variance_map",
    "simulation": "Convergence Simulation converge simulate",
    "training.tape": "Parameters",
    "training.optimizers": "Adam SGD",
    "training.scaling": "update_exponents",
    "training.unrolled": "Trained train",
    "tracing": "traced_model",
    "expansion": "Expansion expanded",
    "spectra": "SpectralLaw jacobian marchenko_pastur product semicircle spectrum",
    "analysis": "analyse",
    "kernels.kernel": "InfiniteWidth",
    "laws": "Law",
    "empirical": "Simulated empirical_ntk linearised sampled taylor",
    "prediction": "Prediction flow max_learning_rate posterior",
    "widths": "Widened widened",
    "scaling": "Powers powers",
    "parametrizations": "Dichotomy Parametrization dichotomy named",
}
"""Public names by the module that has them, imported when they are first used."""
_module_of = {name: module for module, names in LATER.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _module_of:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_module_of[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_module_of})
