"""A sentence encoder, ported: from PyTorch to TensorFlow and NumPy, with proof.

all-MiniLM-L6-v2 with its trained weights is captured from PyTorch, runs as a program on NumPy and TensorFlow, and
serves as a SavedModel from a process that has no PyTorch. Every operator is compared with PyTorch's; `parity.html`
shows them. It prints:

BertModel: 151 instructions, inputs input_ids: int64[batch, sequence], attention_mask: int64[batch, sequence]
numpy: embeddings agree to 1e-05, the ranking is the same
tensorflow: embeddings agree to 1e-05, the ranking is the same
tensorflow, served: embeddings agree to 1e-05, the ranking is the same
no divergence among 302 operators
nearest to 'A kitten naps in the sun.': 'The cat sleeps on the warm windowsill.'
"""

import tempfile
from pathlib import Path

from tensoria.tour.encoder import SENTENCES, TOLERANCE, encoder, ported, ranking
from tensoria.tour.weights import find_model, read_model


def main():
    """Port the encoder, and compare it."""
    folder = find_model()
    whole = encoder(folder, read_model(folder).vocabulary)
    with tempfile.TemporaryDirectory() as out:
        made = ported(whole, ["numpy", "tensorflow"], to=Path(out))
        assert (Path(out) / "parity.html").stat().st_size > 10_000
    inputs = ", ".join(f"{value.name}: {value.type}" for value in made.program.inputs)
    print(f"{made.program.name}: {len(made.program.instructions)} instructions, inputs {inputs}")
    for name in made.found:
        error = f"{TOLERANCE:.0e}" if made.error(name) < TOLERANCE else f"{made.error(name):.1e}"
        same = "the same" if made.same_ranking(name) else "another one"
        print(f"{name}: embeddings agree to {error}, the ranking is {same}")
    count = len(made.parity.comparisons)
    print(f"no divergence among {count} operators" if made.parity.holds else str(made.parity))
    asked = len(SENTENCES) - 1
    print(f"nearest to {SENTENCES[asked]!r}: {SENTENCES[ranking(made.expected)[asked][0]]!r}")


if __name__ == "__main__":
    main()
