"""Weights by name: safetensors folders as Hugging Face writes and reads them, tied names, what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.errors import FileError, PortingError  # noqa: E402
from tensoria.programs import archives  # noqa: E402


class Tied(nn.Module):
    """A table that is the head's weight too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.norm = nn.LayerNorm(4)

    def forward(self, tokens: Any) -> Any:
        return self.head(self.norm(self.embedding(tokens)))


TOKENS = torch.tensor([[1, 2, 3], [4, 5, 6]])


def close(program: Any, module: Any) -> None:
    found = program.run(TOKENS, backend="numpy")
    found = found["logits"] if isinstance(found, dict) else found
    expected = module(TOKENS)
    expected = getattr(expected, "logits", expected).detach().numpy()
    np.testing.assert_allclose(found.array, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_state_goes_to_a_file_and_back_under_the_models_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = Tied(), Tied()
    a, b = (tn.port(module, (TOKENS,)) for module in (first, second))
    assert a.aliases == {"head.weight": "embedding.weight"}
    a.save_state(tmp_path / "weights.safetensors")
    loaded = b.load_state(tmp_path / "weights.safetensors")
    close(loaded, first)
    close(b, second)  # a program never changes
    safetensors = pytest.importorskip("safetensors.torch")
    given = safetensors.load_file(tmp_path / "weights.safetensors")
    assert set(given) == {"embedding.weight", "norm.weight", "norm.bias"}
    for name, x in given.items():
        assert torch.equal(x, first.state_dict()[name])
    safetensors.save_file({n: x for n, x in second.state_dict().items() if n != "embedding.weight"}, tmp_path / "other")
    close(a.load_state(tmp_path / "other"), second)  # by the tied parameter's further name
    close(a.load_state(second.state_dict()), second)
    close(a.load_state({name: x.array for name, x in b.state().items()}), second)


def test_a_folder_of_hugging_face_loads_both_ways(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=9, bos_token_id=0, eos_token_id=0)
    config.use_cache = False
    torch.manual_seed(1)
    first, second = (transformers.GPT2LMHeadModel(config).eval() for _ in range(2))
    program = tn.port(first, (TOKENS,))
    second.save_pretrained(tmp_path / "theirs")
    close(program.load_state(tmp_path / "theirs"), second)
    second.save_pretrained(tmp_path / "shards", max_shard_size="2KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    close(program.load_state(tmp_path / "shards"), second)
    config.save_pretrained(tmp_path / "ours")
    program.save_state(tmp_path / "ours")
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "ours").eval()
    assert torch.equal(again(TOKENS).logits, first(TOKENS).logits)


def test_the_part_of_a_larger_model_is_taken_by_its_prefix() -> None:
    torch.manual_seed(2)
    inner, outer = Tied(), nn.Sequential(Tied(), nn.Linear(7, 2))
    program = tn.port(inner, (TOKENS,))
    close(program.load_state(outer.state_dict(), prefix="0."), outer[0])


def test_names_shapes_and_types_that_do_not_fit_are_all_told() -> None:
    program = tn.port(Tied(), (TOKENS,))
    state: dict[str, Any] = {name: x.array for name, x in program.state().items()}
    wrong = {**state, "norm.weight": np.zeros(3, "float32"), "embedding.weight": state["embedding.weight"].astype("f8")}
    with pytest.raises(FileError, match=r"embedding\.weight is float64.*norm\.weight is float32\[3\]"):
        program.load_state(wrong)
    del state["norm.bias"]
    state["pooler.weight"] = np.zeros(2)
    with pytest.raises(FileError, match=r"missing: norm\.bias; unknown: pooler\.weight"):
        program.load_state(state)
    loose = program.load_state(state, strict=False)
    np.testing.assert_array_equal(loose.state()["norm.bias"].array, program.state()["norm.bias"].array)


def test_folders_that_hold_no_readable_weights_are_refused(tmp_path: Path) -> None:
    program = tn.port(Tied(), (TOKENS,))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(FileError, match=r"there is pytorch_model\.bin") as caught:
        program.load_state(tmp_path)
    assert "pickled weights are never read" in str(caught.value)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"norm.bias": "../secret"}}))
    with pytest.raises(FileError, match="outside of the folder"):
        program.load_state(tmp_path)
    program.save_state(tmp_path / "cut.safetensors")
    content = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-5])
    with pytest.raises(FileError, match=r"cut\.safetensors: the array"):
        program.load_state(tmp_path / "cut.safetensors")


def test_arrays_may_lie_in_any_order_of_the_header(tmp_path: Path) -> None:
    named = {name: (np.full(2, n, "float32"), tn.float32) for n, name in enumerate("ab")}
    body = b"".join(archives.bytes_of(array, of) for array, of in named.values())
    head = archives.header(named, {})
    entries = json.loads(head[8:])
    text = json.dumps(dict(reversed(entries.items()))).encode()
    found, _, rest = archives.opened(len(text).to_bytes(8, "little") + text + body)
    assert {name: x.tolist() for name, x in archives.arrays(found, rest).items()} == {"a": [0, 0], "b": [1, 1]}


def test_quantised_weights_are_refused_by_name() -> None:
    program = tn.port(Tied(), (TOKENS,))
    with pytest.raises(FileError, match=r"quantised weights: norm\.qweight"):
        program.load_state({"norm.qweight": np.zeros(2, "int32")})
    small = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    quantised = torch.ao.quantization.quantize_dynamic(small, {nn.Linear})
    with pytest.raises(PortingError, match=r"quantised weights: 0, a Linear"):
        tn.port(quantised, (torch.ones(1, 4),))
    narrow = nn.Linear(4, 4, bias=False)
    narrow.weight = nn.Parameter(narrow.weight.detach().to(torch.float8_e4m3fn), requires_grad=False)
    with pytest.raises(PortingError, match="weight, a Parameter of float8_e4m3fn"):
        tn.port(narrow, (torch.ones(1, 4),))
