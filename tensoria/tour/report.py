"""What the tour says: six short sections, each a question about the model and the answer that typed tensors give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import TensoriaError
from tensoria.tour import agreement, circuits
from tensoria.tour.agreement import DTYPES, REFERENCE, Agreement, Findings
from tensoria.tour.encoder import SENTENCES, Ported, cosines, encoder, ported, ranking
from tensoria.tour.heatmap import require_drawing, save_heatmap, writable_folder
from tensoria.tour.layout import heading, paragraph, quotation, table
from tensoria.tour.progress import Progress
from tensoria.tour.weights import Model, find_model, read_model
from tensoria.tour.wordpiece import wordpieces

__all__ = ["SENTENCE", "tour"]

SENTENCE = "Tensors transform covariantly."
PICTURE = "copying_scores.png"


def tour(backends: Sequence[str] | None = None, out: Path | None = Path("out")) -> int:
    """Analyse a sentence-embedding model's circuits on several backends, port the model, and print what is found.

    Args:
        backends: the backends to run; all installed ones if None.
        out: the folder for the picture, the model that serves, and the page; none of them is left if None.

    Returns:
        0; 1 if the backends' results differ by more than rounding.

    Raises:
        TensoriaError: the model, a backend that was asked for, or a package is missing, or the folder is unwritable.
    """
    # Everything that can be missing is looked for before anything is computed.
    folder = find_model()
    if out is not None:
        require_drawing()
        out = writable_folder(out)
    names, notes = agreement.installed(backends)
    model = read_model(folder)
    tokens = wordpieces(SENTENCE, model.vocabulary)
    embedded = model.embedded([model.vocabulary[token] for token in tokens])

    print(introduction(model))
    runs = list(dict.fromkeys([REFERENCE, *names]))
    progress = Progress(len(runs) * len(DTYPES) * model.layers * model.heads)
    try:
        reference = agreement.findings(model, embedded, REFERENCE, "float64", progress=progress)
        found = {(REFERENCE, "float64"): reference}
        for name in runs:
            for dtype in DTYPES:
                if (name, dtype) not in found:
                    found[name, dtype] = agreement.findings(
                        model, embedded, name, dtype, progress=progress, head=reference.number
                    )
    finally:
        progress.done()

    residual = circuits.residual_space(model.residual)
    one = circuits.head(
        model.head(0, reference.number), residual, f"0.{reference.number}", backend=REFERENCE, dtype="float64"
    )
    X = circuits.sequence(embedded, residual, backend=REFERENCE, dtype="float64")
    print(types(model, one, X, reference.number))
    print(refusals(model, one, reference.number))
    print(copying(model, one, reference))
    print(sentence(model, one, X, tokens, reference))
    verdicts = {
        (name, dtype): agreement.compare(found[name, dtype], found[REFERENCE, dtype], reference)
        for name in names
        for dtype in DTYPES
    }
    print(comparison(found, verdicts, notes))
    if out is not None:
        title = "Copying scores of all-MiniLM-L6-v2: blue copies, red takes away"
        path = save_heatmap(reference.of["copying scores"], out / PICTURE, title)
        print(f"\nThe copying scores as a picture: {path}")
    progress = Progress(2)
    try:
        progress.stage("the whole model is loaded")
        whole = encoder(folder, model.vocabulary)
        progress.step()
        progress.stage("it is ported, run everywhere, served from a file, and compared operator by operator")
        made = ported(whole, [name for name in names if name != whole.home.name] or [REFERENCE], to=out)
    except TensoriaError as error:
        print(porting(None, error.message))
        return 0 if all(verdict.agrees for verdict in verdicts.values()) else 1
    finally:
        progress.done()
    print(porting(made, whole.home.name, out))
    return 0 if made.agrees and all(verdict.agrees for verdict in verdicts.values()) else 1


def introduction(model: Model) -> str:
    """What is looked at."""
    return "\n".join(
        [
            "Transformer circuits of all-MiniLM-L6-v2",
            "========================================",
            paragraph(
                f"The model turns sentences into vectors. It has {model.layers} layers of {model.heads} attention",
                "heads, and their weights are read as they are, without the framework that trained them.",
                f"Every layer reads and writes one vector space, the residual space, of dimension {model.residual};",
                f"each head works in spaces of its own, of dimension {model.head_dimension}.",
            ),
        ]
    )


def types(model: Model, one: circuits.Head, X: tn.Tensor, number: int) -> str:
    """Which tensors a head consists of."""
    QK, OV = circuits.qk_circuit(one), circuits.ov_circuit(one)
    A = circuits.attention(circuits.scores(X, QK))
    rows = [
        ("Q", one.Q, "from the residual space to queries"),
        ("K", one.K, "from the residual space to keys"),
        ("V", one.V, "from the residual space to values"),
        ("O", one.O, "from values back to the residual space"),
        ("QK", QK, 'Q.lowered("c") * K: bilinear form, how much one vector attends to another'),
        ("OV", OV, "O @ V: linear map, what is moved when it does"),
        ("X", X, "a sequence of tokens, a tensor on tokens ⊗ residual"),
        ("A", A, "the attention pattern, a linear map of the token space"),
    ]
    return "\n".join(
        [
            heading("1. The type of each tensor"),
            paragraph(
                "An index is up (^, contravariant: a vector) or down (_, covariant: it takes a vector), and knows its",
                f"space. A product contracts an up with a down index of one name and one space. Head 0.{number} (layer",
                "0), as an example:",
            ),
            "",
            table(
                ["", "indices", "shape", "what it is"],
                [[name, str(t.axes), "x".join(map(str, t.shape)), what] for name, t, what in rows],
            ),
            "",
            "The spaces:",
            table(
                ["index", "space", "dimension", "metric", "privileged basis"],
                [
                    ["a, b", *_space_row(one.O.indices[0]), "no: any basis is as good"],
                    ["c", *_space_row(one.Q.indices[0]), "no"],
                    ["d", *_space_row(one.V.indices[0]), "no"],
                    ["q, k", *_space_row(X.indices[0]), "yes: the tokens; n is bound by each sentence"],
                ],
            ),
        ]
    )


METRICS = {
    "none": "none",
    "identity": "orthonormal",
    "diagonal": "the scaled dot product",
    "full": "full",
}


def _space_row(index: tn.Index) -> list[str]:
    assert index.basis is not None
    return [index.basis.space.name, str(index.dimension), METRICS[index.basis.kind]]


def refusals(model: Model, one: circuits.Head, number: int) -> str:
    """What the types refuse, word for word, and why."""
    QK, OV = circuits.qk_circuit(one), circuits.ov_circuit(one)
    other_number = (number + 1) % model.heads
    a, _ = OV.indices
    assert a.space is not None
    other = circuits.head(
        model.head(0, other_number), a.space, f"0.{other_number}", backend=QK.backend, dtype=str(QK.dtype.name)
    )
    # The first basis vector ten times as long: the same maps and forms, in other components.
    stretched = a.space.basis("stretched", np.diag([10.0, *[1.0] * (model.residual - 1)]))
    maps = [_radius(t.components) for t in (OV, OV.to_basis(stretched))]
    forms = [_radius(t.components) for t in (QK, QK.to_basis(stretched))]
    rows = [
        ["OV, a linear map", *(f"{x:.6f}" for x in maps), "the same"],
        ["QK, a bilinear form", *(f"{x:.6f}" for x in forms), "another: it says nothing about the head"],
    ]
    return "\n".join(
        [
            heading("2. Mistakes that the types refuse"),
            paragraph(
                "QK and OV are both square arrays of numbers, and an array library computes eigenvalues of both.",
                "Only OV has any. tn.eigvals(QK) says:",
            ),
            "",
            quotation(_refusal(lambda: tn.eigvals(QK))),
            "",
            paragraph(
                "With the labels dropped (.components) nothing can be refused. The largest absolute eigenvalue, before",
                "and after the first basis vector of the residual space is made ten times as long:",
            ),
            "",
            table(["", "before", "after", ""], rows, right=[1, 2]),
            "",
            f"Head 0.{number} writes what head 0.{other_number} read, O @ V of two different heads:",
            "",
            # Its second part proposes a new name, and @ does not go by names; the first says what is wrong.
            quotation(_refusal(lambda: one.O @ other.V).split("\n")[0]),
        ]
    )


def _refusal(call: Callable[[], object]) -> str:
    """The message of the error that a call raises."""
    try:
        call()
    except TensoriaError as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("this has to be refused")


def _radius(matrix: tn.Tensor) -> float:
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix))).max())


def copying(model: Model, one: circuits.Head, reference: Findings) -> str:
    """The copying score of each head."""
    values = reference.of["copying scores"]
    highest, lowest = (np.unravel_index(f(values), values.shape) for f in (np.argmax, np.argmin))
    size, d = model.residual, model.head_dimension
    everything = np.sort(np.abs(np.asarray(tn.eigvals(circuits.ov_circuit(one)).components)))[::-1]
    rows = [[f"layer {n}", *(f"{x:+.2f}" for x in row)] for n, row in enumerate(values)]
    return "\n".join(
        [
            heading("3. Which heads copy"),
            paragraph(
                "The copying score of a head is Re(sum of OV's eigenvalues) / (sum of their absolute values). It is",
                "+1 if all of them are positive, so that the head writes back what it attends to, and -1 if all are",
                "negative, so that it takes that away.",
                f"The {d} eigenvalues come from V @ O on the head's own space; the other {size - d} of the",
                f"{size}x{size} map are zero up to rounding (largest of them for head 0.{reference.number}:",
                f"{everything[d]:.0e}, against {everything[0]:.2f}).",
            ),
            "",
            table(["head", *map(str, range(model.heads))], rows, right=range(1, model.heads + 1)),
            "",
            f"Copies most: head {highest[0]}.{highest[1]} ({values[highest]:+.3f}).  "
            f"Takes away most: head {lowest[0]}.{lowest[1]} ({values[lowest]:+.3f}).",
        ]
    )


def sentence(model: Model, one: circuits.Head, X: tn.Tensor, tokens: Sequence[str], reference: Findings) -> str:
    """One head's attention on a sentence, in two forms that are one tensor."""
    n, size = len(tokens), model.residual
    A, y, z = (reference.of[name] for name in ("attention A", "y along the modes", "y by Kronecker"))
    S = circuits.scores(X, circuits.qk_circuit(one))
    ones = tn.tensor(np.ones(n), [S.indices[0]])
    biased = circuits.attention(S + ones * (circuits.query_bias(one) * X))
    change = float(np.abs(np.asarray(biased.components) - A).max())
    rows = [
        ["along the modes", "A * X * OV", f"{n}x{n} and {size}x{size}"],
        [
            "Kronecker product",
            '(A * OV).fused("q a", "y").fused("k b", "x"), times X.fused("k b", "x")',
            f"{n * size}x{n * size}",
        ],
    ]
    return "\n".join(
        [
            heading("4. Attention as one tensor on tokens ⊗ residual"),
            f"The sentence {SENTENCE!r}, as {n} tokens:",
            "  " + " ".join(tokens),
            "",
            paragraph(
                f"Head 0.{reference.number}, the one of layer 0 that copies most, computes y = (A ⊗ OV) X, where",
                "A = softmax(X QK X). The same tensor in two forms:",
            ),
            "",
            table(["form", "as written", "matrices"], rows),
            "",
            f"They differ by {agreement.difference(z, y):.0e} of the largest entry.",
            "",
            paragraph(
                "What is left out: the circuits are the part without biases, and BERT has biases. The keys' bias drops",
                "out of the softmax; those of values and output add one constant vector to every token, because each",
                "row of A sums to 1. The queries' bias is one more covector on the residual space, q^c g_cd K^d_b:",
                f"with it the entries of A change by up to {change:.2f} here.",
            ),
        ]
    )


def comparison(
    found: Mapping[tuple[str, str], Findings], verdicts: Mapping[tuple[str, str], Agreement], notes: Sequence[str]
) -> str:
    """How far the backends lie apart, and how long each took."""
    rows = []
    for (name, dtype), verdict in verdicts.items():
        same = "-" if name == REFERENCE else f"{verdict.same_dtype:.0e}"
        exact = name == REFERENCE and dtype == "float64"
        rows.append(
            [
                name,
                get(name).version(),
                dtype,
                f"{found[name, dtype].seconds:.2f}",
                same,
                "reference" if exact else f"{verdict.reference:.0e}",
                "" if exact else verdict.farthest,
                "yes" if verdict.agrees else "NO",
            ]
        )
    titles = [
        "backend", "version", "data type", "seconds", "from numpy, same type", "from numpy, float64", "farthest in",
        "agrees",
    ]  # fmt: skip
    heads = next(iter(found.values())).of["copying scores"].size
    lines = [
        heading("5. The same code on every backend"),
        paragraph(
            f"Both circuits and the score of all {heads} heads, and the attention above. A difference is the largest",
            "entry of it, relative to the largest entry of the result. Seconds leave out the framework's import; the",
            "first run, NumPy in float64, also sets up what all of them share.",
        ),
        "",
        table(titles, rows, right=[3, 4, 5]),
    ]
    if len({name for name, _ in verdicts}) < 2:
        lines += ["", "Only one backend took part; `tensoria doctor` says how to install others."]
    if notes:
        lines += ["", *(f"Note: {note}" for note in notes)]
    return "\n".join(lines)


def porting(made: Ported | None, about: str, out: Path | None = None) -> str:
    """The whole model in other frameworks, and which sentences it finds alike there.

    Args:
        made: what was ported; None if the model could not be loaded.
        about: the model's own framework, or why it could not be loaded.
        out: where files were left.
    """
    title = heading("6. The whole model, ported")
    if made is None:
        return f"{title}\nThis section is left out: {about}"
    near = cosines(made.expected)
    first = ranking(made.expected)
    nearest = [[SENTENCES[n], SENTENCES[others[0]], f"{near[n, others[0]]:.3f}"] for n, others in enumerate(first)]
    rows = [
        [name, f"{made.error(name):.0e}", "yes" if made.same_ranking(name) else "NO"]
        for name in made.found
    ]  # fmt: skip
    lines = [
        title,
        paragraph(
            f"tn.port has captured the model from {about}: {len(made.program.instructions)} instructions, sizes of",
            "batch and sentence open. A sentence's embedding is the mean of its tokens' vectors, of length 1; the",
            f"nearest of the other {len(SENTENCES) - 1} sentences, and the cosine:",
        ),
        "",
        table(["sentence", "nearest", "cosine"], nearest, right=[2]),
        "",
        f"The same from its program, beside {about}'s embeddings ('served': a file of that framework's own, loaded in",
        "a process that has neither tensoria nor any other framework):",
        "",
        table(["computed by", "largest difference", "same ranking"], rows, right=[1]),
        "",
        "Operator by operator (tn.parity):",
        "",
        *(f"  {line}" for line in str(made.parity).splitlines()),
    ]
    if out is not None:
        lines += ["", f"The comparison as a page: {out / 'parity.html'}"]
    return "\n".join(lines)
