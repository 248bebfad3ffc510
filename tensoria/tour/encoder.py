"""The whole model as a sentence encoder, ported: the same embeddings, and the same neighbours, in every framework.

The model is loaded by its own library, in its own framework; its program computes what it computes in the others. A
sentence's embedding is the mean of its tokens' vectors, normalised (Reimers and Gurevych 2019), and sentences are
neighbours by the cosine of the angle between them.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tensoria as tn
from tensoria.backend import Backend
from tensoria.discovery import available, get
from tensoria.errors import BackendError, BackendNotFoundError, PortingError, TensoriaError
from tensoria.porting.models import capturing
from tensoria.porting.parity import Asked, Parity, beside
from tensoria.programs.program import Program
from tensoria.tour.wordpiece import wordpieces

__all__ = [
    "SENTENCES", "TOLERANCE", "Encoder", "Ported", "batch", "cosines", "embeddings", "encoder", "ported", "ranking",
]  # fmt: skip

SENTENCES = (
    "A tensor changes its components with the basis.",
    "Vectors and covectors transform in opposite ways.",
    "The metric raises and lowers indices.",
    "Bake the bread until the crust is brown.",
    "Knead the dough and let it rise overnight.",
    "The train to Vienna leaves at noon.",
    "Our railway carriage arrives in Austria in the morning.",
    "She tuned the violin before the concert.",
    "The orchestra played a symphony by Brahms.",
    "Gradient descent minimises the loss of a neural network.",
    "The cat sleeps on the warm windowsill.",
    "A kitten naps in the sun.",
)
TOLERANCE = 1e-5
"""How far embeddings, whose length is 1, may lie apart."""
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Encoder:
    """A model in its own framework.

    Attributes:
        model: the model.
        home: the framework's backend.
        vocabulary: the tokens' numbers.
    """

    model: Any
    home: Backend
    vocabulary: Mapping[str, int]


def encoder(folder: Path, vocabulary: Mapping[str, int]) -> Encoder:
    """The model in a folder, by the library that it was published with.

    Raises:
        TensoriaError: the library, or the framework that it needs, is not installed.
    """
    try:
        library: Any = importlib.import_module("transformers")
        model = library.AutoModel.from_pretrained(str(folder))
    except (ImportError, OSError) as error:
        first = str(error).strip().split("\n")[0]
        raise TensoriaError(f"the whole model can not be loaded: {first}", legal="pip install transformers") from error
    model.eval()
    for name in available():
        if name in sys.modules and get(name).captures(model):
            return Encoder(model, get(name), vocabulary)
    raise BackendNotFoundError(f"no backend knows models of the type {type(model).__name__}.")


def batch(sentences: Sequence[str], vocabulary: Mapping[str, int]) -> dict[str, npt.NDArray[np.int64]]:
    """Sentences as numbers of tokens, filled up to the longest, and a mask of what is no filling."""
    rows = [[vocabulary[token] for token in wordpieces(sentence, vocabulary)] for sentence in sentences]
    longest = max(map(len, rows))
    mask = np.array([[n < len(row) for n in range(longest)] for row in rows], np.int64)
    numbers = np.array([[*row, *[vocabulary["[PAD]"]] * (longest - len(row))] for row in rows], np.int64)
    return {"input_ids": numbers, "attention_mask": mask}


def embeddings(vectors: Numbers, mask: Numbers) -> Numbers:
    """Sentences' embeddings of length 1 from their tokens' vectors, shape (sentences, tokens, n)."""
    weights = mask[..., None].astype(vectors.dtype)
    means = (vectors * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=-1, keepdims=True))


def cosines(embedded: Numbers) -> Numbers:
    """How near each two sentences are."""
    return np.asarray(embedded @ embedded.T)


def ranking(embedded: Numbers) -> list[list[int]]:
    """For each sentence the others, nearest first."""
    near = cosines(embedded)
    return [[int(m) for m in np.argsort(-row, kind="stable") if m != n] for n, row in enumerate(near)]


@dataclass(frozen=True)
class Ported:
    """The model's program, and what it computes where.

    Attributes:
        program: the program.
        expected: the embeddings of the model itself.
        found: the program's embeddings, by where they were computed.
        parity: the program beside the model, operator by operator.
        notes: what was left out, and why.
    """

    program: Program
    expected: Numbers
    found: Mapping[str, Numbers]
    parity: Parity
    notes: tuple[str, ...]

    def error(self, name: str) -> float:
        """The largest difference of an embedding's component from the model's own."""
        return float(np.abs(self.found[name] - self.expected).max())

    def same_ranking(self, name: str) -> bool:
        """Whether every sentence has the same neighbours in the same order."""
        return ranking(self.found[name]) == ranking(self.expected)

    @property
    def agrees(self) -> bool:
        """Whether all of it is the same up to rounding."""
        same = all(self.error(name) < TOLERANCE and self.same_ranking(name) for name in self.found)
        return same and self.parity.holds


def ported(of: Encoder, names: Sequence[str], sentences: Sequence[str] = SENTENCES, to: Path | None = None) -> Ported:
    """The encoder ported to backends, run there, and served from a file where a backend has such files.

    Args:
        of: the model.
        names: the backends.
        to: a folder in which files are left: a model that serves by itself, and the page of the comparison.

    Raises:
        PortingError: the model has operators without a counterpart.
    """
    given = batch(sentences, of.vocabulary)
    mask = given["attention_mask"]
    arguments = {name: of.home.asarray(array, tn.int64, None, None) for name, array in given.items()}
    # (As `tn.port` and `tn.parity` do, but captured once for both.)
    home, captured = capturing(of.model, (), arguments, dict.fromkeys(given, ("batch", "sequence")))
    program = captured.program
    if program is None:
        raise PortingError("the model can not be ported.", legal="tn.coverage(model, ...) says why")
    vectors = np.asarray(of.home.to_numpy(of.home.detach(of.home.reference(of.model, (), arguments).results[0])))
    found, notes = {}, []
    for name in names:
        result = program.run(backend=name, **{key: tn.asarray(x, backend=name) for key, x in given.items()})
        found[name] = embeddings(get(name).to_numpy(result["last_hidden_state"].array), mask)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "model" if to is None else to / f"sentence_encoder_{name}"
            if folder.exists():
                shutil.rmtree(folder)
            try:
                served = get(name).served(program, folder, given)
            except BackendError as error:
                notes.append(error.message)
            else:
                found[f"{name}, served"] = embeddings(served[0], mask)
    # The comparison is of two sentences, of which one is filled up: every operator runs four times for it.
    few = {name: of.home.asarray(array[3:5], tn.int64, None, None) for name, array in given.items()}
    compared = beside(program, of.model, home, captured, (), few, names, Asked())
    if to is not None:
        compared.html(to / "parity.html")
    return Ported(program, embeddings(vectors, mask), found, compared, tuple(notes))
