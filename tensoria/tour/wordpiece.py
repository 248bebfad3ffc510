"""WordPiece: a sentence as the tokens of a fixed vocabulary.

Words are lower-cased, stripped of accents and split at punctuation; each is then cut from the left into the longest
pieces that the vocabulary has, where `##` marks a piece that continues a word (Wu et al. 2016, section 4.1).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

__all__ = ["wordpieces"]

_WORD = re.compile(r"\w+|[^\w\s]")


def wordpieces(sentence: str, vocabulary: Mapping[str, int]) -> list[str]:
    """The sentence's tokens, between `[CLS]` and `[SEP]`.

    >>> wordpieces("Tensors!", {"tensor": 0, "##s": 1, "!": 2})
    ['[CLS]', 'tensor', '##s', '!', '[SEP]']
    """
    bare = "".join(x for x in unicodedata.normalize("NFD", sentence.lower()) if unicodedata.category(x) != "Mn")
    pieces = [piece for word in _WORD.findall(bare) for piece in _cut(word, vocabulary)]
    return ["[CLS]", *pieces, "[SEP]"]


def _cut(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    pieces: list[str] = []
    start = 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if mark + word[start:end] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(mark + word[start:end])
        start = end
    return pieces
