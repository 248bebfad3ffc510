"""The reference numbers of infinite-width theory, and small programs that several tests use."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import tensoria as tn

__all__ = ["autoencoder", "reference", "two_layers"]


@cache
def reference(chapter: str) -> dict[str, Any]:
    """A chapter of the reference file (see tests/data/README.md)."""
    path = Path(__file__).parent / "data" / "tensor_programs.json"
    return json.loads(path.read_text(encoding="utf-8"))[chapter]


def autoencoder() -> tuple[Any, Any, Any]:
    """The tied autoencoder W^T relu(W x): the program, x and the result."""
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W"), p.vector("x")
    return p, x, W.T @ p.nonlin("relu", W @ x)


def two_layers() -> tuple[Any, dict[str, Any]]:
    """A network with a hidden layer, its backward pass, and its vectors by name."""
    p = tn.limits.TensorProgram()
    W, x, v = p.matrix("W"), p.vector("x"), p.vector("v")
    z = p.nonlin("tanh", x, name="z")
    h = p.matmul(W, z, name="h")
    dh = p.nonlin(lambda v, h: v * (1 - tn.tanh(h) ** 2), v, h, name="dh")
    dz = p.matmul(W.T, dh, name="dz")
    return p, {"x": x, "v": v, "z": z, "h": h, "dh": dh, "dz": dz}
