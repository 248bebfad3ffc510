"""Models of `transformers` become programs: small configurations with random weights, and MiniLM with its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from models import flat, stressed  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.backend import convert, get  # noqa: E402
from tensoria.errors import TensoriaError  # noqa: E402
from tensoria.programs.program import Program  # noqa: E402
from tensoria.tour.weights import find_model  # noqa: E402

SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 99,
}  # fmt: skip
OPEN = {"input_ids": ("batch", "sequence"), "attention_mask": ("batch", "sequence")}
Arguments = Mapping[str, Any]


def tokens(batch: int, length: int, highest: int = 99, **more: Any) -> dict[str, Any]:
    """Token numbers and a mask, which hides the end of the first text."""
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[0, -2:] = 0
    return {"input_ids": torch.randint(0, highest, (batch, length)), "attention_mask": mask, **more}


def image(batch: int, size: int) -> dict[str, Any]:
    return {"pixel_values": torch.randn(batch, 3, size, size)}


def text(model: str, config: str, /, *, cached: bool = False, **options: Any) -> Callable[[], Any]:
    """A text model with a configuration; one that keeps a cache is told not to."""

    def make() -> Any:
        module = getattr(transformers, model)(getattr(transformers, config)(**options))
        more = {"use_cache": False} if cached else {}
        return module, tokens(2, 7, **more), OPEN, [tokens(2, 7, **more), tokens(1, 5, **more)]

    return make


def vision(model: str, config: str, size: int, /, **options: Any) -> Callable[[], Any]:
    """A model of images whose number is open."""

    def make() -> Any:
        module = getattr(transformers, model)(getattr(transformers, config)(**options))
        return module, image(2, size), {"pixel_values": ("batch", None, None, None)}, [image(2, size), image(1, size)]

    return make


def mini() -> Any:
    """MiniLM with its trained weights."""
    try:
        folder = find_model()
    except TensoriaError as error:
        pytest.skip(str(error))
    module = transformers.AutoModel.from_pretrained(str(folder))
    return module, tokens(2, 9, 3000), OPEN, [tokens(2, 9, 3000), tokens(1, 17, 3000)]


MODELS: dict[str, Callable[[], Any]] = {
    "bert": text("BertModel", "BertConfig", **SIZES),
    "gpt2": text("GPT2LMHeadModel", "GPT2Config", cached=True, n_embd=32, n_layer=2, n_head=4, vocab_size=99,
                 bos_token_id=0, eos_token_id=0),
    "llama": text("LlamaForCausalLM", "LlamaConfig", cached=True, num_key_value_heads=2, **SIZES),
    "vit": vision("ViTForImageClassification", "ViTConfig", 16, hidden_size=32, num_hidden_layers=2,
                  num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=4),
    "resnet": vision("ResNetForImageClassification", "ResNetConfig", 32, embedding_size=16,
                     hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1]),
    "minilm": mini,
}  # fmt: skip
PORTED: dict[str, Any] = {}


def ported(name: str) -> tuple[Any, Program, list[Arguments]]:
    """A model, its program, and arguments with the model's results; made once."""
    if name not in PORTED:
        torch.manual_seed(0)
        module, example, dynamic, cases = MODELS[name]()
        if name != "minilm":
            module = stressed(module)
        module.eval()
        program = tn.port(module, (), example, dynamic=dynamic)
        with torch.no_grad():
            PORTED[name] = module, program, [(case, flat(dict(module(**case)))) for case in cases]
    found: tuple[Any, Program, list[Arguments]] = PORTED[name]
    return found


def tensors(case: Arguments) -> dict[str, Any]:
    return {key: value for key, value in case.items() if isinstance(value, torch.Tensor)}


def close(results: list[Any], expected: list[Any]) -> None:
    """Assert equal numbers to 1e-5 of each tensor's largest."""
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        scale = float(theirs.abs().max())
        assert scale > 1e-3
        np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_the_same_on_every_backend_for_open_sizes(backend: str, name: str) -> None:
    _, program, cases = ported(name)
    for case, expected in cases:
        results = flat(program.run(backend=backend, **tensors(case)))
        close([x.to(backend="numpy")._array for x in results], expected)


@pytest.mark.parametrize("name", ["bert", "llama", "resnet"])
def test_a_model_is_written_out_in_numpy_and_computes_the_same(name: str) -> None:
    _, program, cases = ported(name)
    compiled = program.compile("numpy")
    for case, expected in cases:
        close(compiled.native(*[convert(x, get("torch"), get("numpy")) for x in tensors(case).values()]), expected)


def test_a_model_in_float64_agrees_to_the_last_places(backend: str) -> None:
    module, _, cases = ported("bert")
    example = cases[0][0]
    program = tn.port(module.double(), (), example, dynamic=OPEN)
    try:
        for case, _ in cases:
            with torch.no_grad():
                expected = flat(dict(module(**case)))
            for ours, theirs in zip(flat(program.run(backend=backend, **case)), expected, strict=True):
                error = np.abs(ours.to(backend="numpy")._array - theirs.numpy()).max()
                assert error < 1e-12 * float(theirs.abs().max())
    finally:
        module.float()


def test_every_parameter_is_there_once_under_the_models_name() -> None:
    for name in MODELS:
        module, program, _ = ported(name)
        given = dict(module.named_parameters())
        assert set(program.parameters) <= {*given, *dict(module.named_buffers())}
        used = [array.size for value, array in program.arrays.items() if value in program.parameters.values()]
        assert sum(used) >= 0.9 * sum(parameter.numel() for parameter in given.values())


def test_a_language_model_has_no_divergence() -> None:
    module, program, cases = ported("llama")
    found = tn.parity(program, source=module, kwargs=cases[0][0], to=["numpy"])
    assert found.first is None, str(found)
    assert all(x.source.file for x in found.comparisons)
