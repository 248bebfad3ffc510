"""Language models generate token by token from caches that are arguments and results, the same tokens everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tensoria as tn  # noqa: E402
from tensoria.errors import PortingError  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402

TOKENS = 32
SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "vocab_size": 99, "max_position_embeddings": 64,
}  # fmt: skip


def llama() -> Any:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))


def gpt2() -> Any:
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=99, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


MODELS: dict[str, Callable[[], Any]] = {"gpt2": gpt2, "llama": llama}
PORTED: dict[str, tuple[Any, Any, Program, Program]] = {}
FIXED: list[Program] = []


def ported(name: str) -> tuple[Any, Any, Program, Program]:
    """A model, a prompt, the program that reads it, and the one that goes on by a token; made once."""
    if name not in PORTED:
        torch.manual_seed(0)
        model = MODELS[name]().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)  # so that scores differ, and with them the tokens
        prompt = torch.randint(1, 99, (2, 5))
        reads = tn.port(model, (), {"input_ids": prompt}, dynamic={"input_ids": ("batch", "sequence")})
        with torch.no_grad():
            given = {"input_ids": prompt[:, :1], "past_key_values": model(prompt).past_key_values}
        opened = {"input_ids": ("batch", None), "past_key_values": ("batch", None, "past", None)}
        PORTED[name] = model, prompt, reads, tn.port(model, (), given, dynamic=opened)
    return PORTED[name]


def generated(reads: Any, step: Any, prompt: Any) -> list[list[int]]:
    """The most likely tokens, one after another."""
    out, found = reads(prompt), []
    while True:
        scores = tn.asarray(out["logits"]).to(backend="numpy").array
        found.append(scores[:, -1].argmax(-1))
        if len(found) == TOKENS:
            return np.stack(found, axis=1).tolist()  # type: ignore[no-any-return]
        out = step(found[-1][:, None], out["past_key_values"])


@pytest.mark.parametrize("name", MODELS)
def test_greedy_tokens_from_a_cached_step_are_the_models(backend: str, name: str) -> None:
    model, prompt, reads, step = ported(name)
    for given in (prompt, prompt[:1, :3]):
        expected = model.generate(
            given, attention_mask=torch.ones_like(given), max_new_tokens=TOKENS, do_sample=False, eos_token_id=None,
            pad_token_id=0,
        )[:, given.shape[1] :]  # fmt: skip
        assert len(set(expected.flatten().tolist())) > 5
        found = generated(
            lambda x: reads.run(x, backend=backend), lambda x, held: step.run(x, held, backend=backend), given
        )
        assert found == expected.tolist()


def test_a_compiled_step_generates_the_same(backend: str) -> None:
    _, prompt, reads, step = ported("gpt2")
    first, then = reads.compile(backend), step.compile(backend)
    given = prompt.numpy()
    expected = generated(lambda x: reads.run(x, backend="numpy"), lambda x, held: step.run(x, held), given)
    assert generated(first, then, given) == expected


def test_a_cache_of_fixed_length_is_an_argument_and_a_result(backend: str) -> None:
    model, prompt, *_ = ported("llama")
    cache = transformers.StaticCache(config=model.config, max_cache_len=48)
    with torch.no_grad():
        model(prompt, past_key_values=cache)
    if not FIXED:
        FIXED.append(tn.port(model, (), {"input_ids": prompt[:, :1], "past_key_values": cache}))
    program, held, token = FIXED[0], tn_cache(cache), prompt[:, :1]
    assert sorted(held["layers"][0]) == ["cumulative_length", "keys", "values"]
    for _ in range(3):
        with torch.no_grad():
            expected = model(token, past_key_values=cache).logits
        out = program.run(token, held, backend=backend)
        np.testing.assert_allclose(
            out["logits"].to(backend="numpy").array, expected.numpy(), rtol=0, atol=1e-5 * float(expected.abs().max())
        )
        held, token = out["past_key_values"], expected[:, -1:].argmax(-1)
    for layer, of in zip(held["layers"], cache.layers, strict=True):
        assert int(layer["cumulative_length"].to(backend="numpy").array) == int(of.cumulative_length)


def tn_cache(cache: Any) -> dict[str, Any]:
    """A cache as programs take it; copied, for the model changes its own."""
    tensors = ("keys", "values", "cumulative_length")
    return {"layers": [{n: x.clone() for n, x in vars(of).items() if n in tensors} for of in cache.layers]}


class Hidden(torch.nn.Module):
    """Changes an argument and does not return it."""

    def forward(self, x: Any, total: Any) -> Any:
        total.add_(x.sum())
        return x * 2


def test_a_changed_argument_that_is_no_result_is_refused() -> None:
    with pytest.raises(PortingError, match="user input mutation of total"):
        tn.port(Hidden(), (torch.ones(2), torch.zeros(())))
