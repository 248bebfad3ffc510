"""Real architectures in small configurations: from transformers, and networks of images and sequences written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import transformers
from models import Recurrent, flat, stressed
from tensoria_torch.containers import plain
from torch import nn

from tensoria.errors import TensoriaError
from tensoria.tour.weights import find_model

__all__ = ["MODELS", "Model", "Objective", "tensors"]

transformers.logging.set_verbosity_error()
SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 99,
    "max_position_embeddings": 64,
}  # fmt: skip
PATCHES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "image_size": 16,
    "patch_size": 4,
}  # fmt: skip
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 99}
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A model and how it is tested.

    Attributes:
        make: the module.
        example: arguments that it is ported with.
        other: arguments of other sizes.
        dynamic: which sizes are open.
        trains: whether it is trained as it trains (with the statistics of batches), or as it is used (a model whose
            training has dropout).
        narrow: whether it computes some part in float32 whatever its parameters have.
        rate: the rate of its training; a deep one with statistics of few numbers amplifies rounding from step to step.
    """

    make: Callable[[], Any]
    example: Callable[[], Arguments]
    other: Callable[[], Arguments]
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = False
    narrow: bool = False
    rate: float = 0.05


def tensors(arguments: Arguments) -> dict[str, Any]:
    """The arguments that a program has."""
    return {key: value for key, value in arguments.items() if isinstance(value, torch.Tensor)}


class Objective(nn.Module):
    """The mean square distance of a model's results from fixed numbers."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, **arguments: Any) -> Any:
        results = [y for y in flat(plain(self.module(**arguments))) if y.is_floating_point()]
        wanted = [torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos() for y in results]
        return sum((y - to).square().mean() for y, to in zip(results, wanted, strict=True))


# -- arguments --------------------------------------------------------------------------------------------------------


def tokens(batch: int, length: int, highest: int = 99, **more: Any) -> Callable[[], Arguments]:
    """Token numbers and a mask, which hides the end of the first text."""

    def make() -> Arguments:
        mask = torch.ones(batch, length, dtype=torch.int64)
        mask[0, -2:] = 0
        return {"input_ids": torch.randint(3, highest, (batch, length)), "attention_mask": mask, **more}

    return make


def pair(batch: int, length: int, second: int) -> Callable[[], Arguments]:
    """A text and the beginning of another one."""
    return lambda: {
        **tokens(batch, length)(), "decoder_input_ids": torch.randint(3, 99, (batch, second)), "use_cache": False,
    }  # fmt: skip


def images(batch: int, size: int, name: str = "pixel_values") -> Callable[[], Arguments]:
    return lambda: {name: torch.randn(batch, 3, size, size)}


OPEN = {"input_ids": ("batch", "sequence"), "attention_mask": ("batch", "sequence")}


def text(model: str, config: str, /, *, cached: bool = False, narrow: bool = False, **options: Any) -> Model:
    """A model of texts; one that keeps a cache is told not to."""
    more = {"use_cache": False} if cached else {}
    return Model(_made(model, config, options), tokens(2, 7, **more), tokens(3, 5, **more), OPEN, narrow=narrow)


def vision(model: str, config: str, size: int, /, **options: Any) -> Model:
    """A model of images whose number is open."""
    return Model(
        _made(model, config, options), images(2, size), images(3, size), {"pixel_values": ("batch", None, None, None)},
    )  # fmt: skip


def _made(model: str, config: str, options: Mapping[str, Any]) -> Callable[[], Any]:
    def make() -> Any:
        module = stressed(getattr(transformers, model)(getattr(transformers, config)(**options)))
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.data.mul_(2)  # small initial weights leave scores that are all alike
        return module

    return make


# -- networks written here --------------------------------------------------------------------------------------------


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """The fifty layers of He et al. 2016, table 1, with fewer channels."""

    def __init__(self, width: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        layers, before = [], width
        for n, count in enumerate((3, 4, 6, 3)):
            blocks = []
            for k in range(count):
                blocks.append(Bottleneck(before, width << n, 2 if n and not k else 1))
                before = 4 * (width << n)
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(before, classes)

    def forward(self, pixel_values: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(pixel_values))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class UNet(nn.Module):
    """Down by pooling, up by transposed convolution and by resizing, with what was there before beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = self._block(3, 6), self._block(6, 8), self._block(8, 12)
        self.up = nn.ConvTranspose2d(12, 8, 2, 2)
        self.fourth, self.fifth, self.head = self._block(16, 8), self._block(14, 6), nn.Conv2d(6, 2, 1)

    @staticmethod
    def _block(before: int, after: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.SiLU(),
            nn.Conv2d(after, after, 3, padding=1), nn.GroupNorm(2, after), nn.LeakyReLU(0.2),
        )  # fmt: skip

    def forward(self, pixel_values: Any) -> Any:
        a = self.first(pixel_values)
        b = self.second(nn.functional.max_pool2d(a, 2))
        c = self.third(nn.functional.avg_pool2d(b, 2))
        b = self.fourth(torch.cat([self.up(c), b], 1))
        b = nn.functional.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(self.fifth(torch.cat([b, a], 1)))


class Sequences(nn.Module):
    """A bidirectional LSTM and a GRU over embedded tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.recurrent, self.head = nn.Embedding(50, 4), Recurrent(), nn.Linear(3, 5)

    def forward(self, tokens: Any) -> Any:
        return self.head(self.recurrent(self.embedding(tokens))[1])


def minilm() -> Any:
    """The sentence encoder with its trained weights."""
    try:
        folder = find_model()
    except TensoriaError as error:
        # Its weights come with a package of the extra `examples`, which may be missing.
        pytest.skip(str(error))
    return transformers.AutoModel.from_pretrained(str(folder)).eval()


def whisper() -> Any:
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=99, num_mel_bins=16, max_source_positions=20,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    return stressed(transformers.WhisperModel(config).encoder)


def sound(batch: int) -> Callable[[], Arguments]:
    return lambda: {"input_features": torch.randn(batch, 16, 40)}


PLANES = {"pixel_values": ("batch", None, None, None)}
MODELS: dict[str, Model] = {
    "bert": text("BertModel", "BertConfig", **SIZES),
    "minilm": Model(minilm, tokens(2, 9, 3000), tokens(1, 17, 3000), OPEN),
    "gpt2": text("GPT2LMHeadModel", "GPT2Config", cached=True, n_embd=32, n_layer=2, n_head=4, vocab_size=99,
                 bos_token_id=0, eos_token_id=0),
    "llama": text("LlamaForCausalLM", "LlamaConfig", cached=True, narrow=True, num_key_value_heads=2, **SIZES),
    "vit": vision("ViTForImageClassification", "ViTConfig", 16, **PATCHES),
    "resnet50": Model(lambda: stressed(ResNet50()), images(4, 64), images(3, 64), PLANES, trains=True,
                      rate=1e-7),
    "mobilenetv2": vision("MobileNetV2Model", "MobileNetV2Config", 32, depth_multiplier=0.35),
    "convnext": vision("ConvNextModel", "ConvNextConfig", 64, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 2, 1]),
    "t5": Model(_made("T5Model", "T5Config", {**T5, "decoder_start_token_id": 0}), pair(2, 7, 5), pair(3, 5, 4),
                {**OPEN, "decoder_input_ids": ("batch", "length")}, narrow=True),
    "whisper": Model(whisper, sound(2), sound(3), {"input_features": ("batch", None, None)}),
    "sequences": Model(lambda: Sequences().eval(), lambda: {"tokens": torch.randint(0, 50, (2, 6))},
                       lambda: {"tokens": torch.randint(0, 50, (3, 9))}, {"tokens": ("batch", "time")}),
    "unet": Model(lambda: stressed(UNet()), images(2, 16), images(3, 16), PLANES, trains=True),
}  # fmt: skip
"""The models by name."""
