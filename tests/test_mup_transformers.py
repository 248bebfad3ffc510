"""Transformers under muP: models of the package transformers, planned, applied and checked at several widths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits.laws import Law
from tensoria.mup.coordinates import CoordinateCheck

transformers.logging.set_verbosity_error()
VOCABULARY = 50
TOKENS, LABELS = (torch.randint(3, VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(s)) for s in (0, 1))
TEXT = {"input_ids": TOKENS}
KEPT = {**TEXT, "use_cache": False}
Make = Callable[[int], Any]


def sized(n: int, layers: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": n, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 2 * n, **more
    }  # fmt: skip


def words(n: int, layers: int = 2, **more: Any) -> dict[str, Any]:
    return sized(n, layers, vocab_size=VOCABULARY, max_position_embeddings=32, **more)


def model(kind: str, config: str, options: Callable[[int], dict[str, Any]]) -> Make:
    """A function of the width that makes a model as it is used (without dropout)."""
    return lambda n: getattr(transformers, kind)(getattr(transformers, config)(**options(n))).eval()


def gpt2(n: int) -> dict[str, Any]:
    return {
        "n_embd": n, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY, "n_positions": 32, "bos_token_id": 0,
        "eos_token_id": 0,
    }  # fmt: skip


def t5(n: int) -> dict[str, Any]:
    return {
        "d_model": n, "d_kv": n // 4, "d_ff": 2 * n, "num_layers": 2, "num_heads": 4, "vocab_size": VOCABULARY,
        "decoder_start_token_id": 0,
    }  # fmt: skip


LLAMA = "LlamaForCausalLM", "LlamaConfig"
MODELS: dict[str, tuple[Make, dict[str, Any], Any]] = {
    "llama": (model(*LLAMA, lambda n: words(n, num_key_value_heads=2)), KEPT, LABELS),
    "llama tied": (model(*LLAMA, lambda n: words(n, num_key_value_heads=2, tie_word_embeddings=True)), KEPT, LABELS),
    "llama of more heads": (
        model(*LLAMA, lambda n: {**words(n, head_dim=16), "num_attention_heads": n // 16}), KEPT, LABELS,
    ),
    "gpt2": (model("GPT2LMHeadModel", "GPT2Config", gpt2), KEPT, LABELS),
    "bert": (model("BertForMaskedLM", "BertConfig", words), TEXT, LABELS),
    "vit": (
        model("ViTForImageClassification", "ViTConfig", lambda n: sized(n, image_size=16, patch_size=4, num_labels=5)),
        {"pixel_values": torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))}, torch.tensor([1, 2]),
    ),
}  # fmt: skip
T5 = model("T5ForConditionalGeneration", "T5Config", t5)


def cross_entropy(output: Any, target: Any) -> Any:
    return nn.functional.cross_entropy(output.logits.flatten(0, -2), target.flatten())


def checked(make: Make, given: Any, target: Any, plan: Any) -> CoordinateCheck:
    return tn.mup.coord_check(
        make, (), given, target=target, loss=cross_entropy, plan=plan, optimizer="adam", lr=0.003,
        widths=(64, 128, 256, 512), seeds=2, steps=3,
    )  # fmt: skip


@pytest.mark.matrix
@pytest.mark.parametrize("name", MODELS)
def test_transformers_pass_the_coordinate_check_in_mup_and_fail_it_as_they_are(name: str) -> None:
    make, given, target = MODELS[name]
    plan = tn.mup.plan(make, (), given, widths=(64, 128, 256), optimizer="adam")
    check = checked(make, given, target, plan)
    assert check.passed, str(check)
    assert not checked(make, given, target, None).passed
    # Scores that are divided by the root of the features of a head are found, if those grow.
    found = [finding for finding in plan.findings if "the scores of attention diverges as n^1/2" in finding]
    assert len(found) == len(plan.findings) == (0 if "more heads" in name else 2)


def test_a_bias_that_a_model_pads_by_nothing_has_its_law() -> None:
    """BERT and its like tie a bias and pad it to the size of the vocabulary, which it has already."""

    class Padded(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.head = nn.Linear(n, 5)
            nn.init.zeros_(self.head.bias)
            self.head.bias.data = nn.functional.pad(self.head.bias.data, (0, 0), "constant", 0)

        def forward(self, x: Any) -> Any:
            return self.head(x)

    plan = tn.mup.plan(Padded, lambda n: (torch.ones(1, n),), widths=(8, 16))
    assert plan.entries["head.bias"].law == Law(0.0)


def test_tokens_are_classified_along_the_last_axis_and_other_outputs_need_a_loss() -> None:
    def make(n: int) -> Any:
        return nn.Sequential(nn.Embedding(VOCABULARY, n), nn.Linear(n, VOCABULARY))

    options: dict[str, Any] = {"widths": (8, 16), "seeds": 1, "steps": 1}
    assert list(tn.mup.coord_check(make, (TOKENS,), target=LABELS, **options).sizes) == ["0", "1"]

    class Named(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.inner = make(n)

        def forward(self, tokens: Any) -> Any:
            return {"logits": self.inner(tokens)}

    with pytest.raises(LimitError, match="the model's output is a dict: a loss has to say"):
        tn.mup.coord_check(Named, (), {"tokens": TOKENS}, target=LABELS, **options)
    losses = {"loss": lambda output, y: nn.functional.cross_entropy(output["logits"].flatten(0, 1), y.flatten())}
    assert tn.mup.coord_check(Named, (), {"tokens": TOKENS}, target=LABELS, **losses, **options).sizes
