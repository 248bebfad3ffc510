"""What ported models cost beside their sources: PyTorch's models in TensorFlow and NumPy, and Keras's in PyTorch.

MiniLM has its real weights, the others are defined here and have random ones; every result is compared with the
source's before it is timed. Contestants take turns within one run (see `timing`), on one thread each, measured in the
process's own time; ratios are medians of those within a turn, to the source: PyTorch's eager model, or Keras's graph.

    python benchmarks/porting.py --models minilm resnet50 --rounds 9
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from timing import machine, paired, turns  # noqa: E402
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402

CLOSE = 2e-5
"""So far results may be apart, relative to the largest component."""


# -- models -----------------------------------------------------------------------------------------------------------


class Bottleneck(nn.Module):
    """Three convolutions beside a short cut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.short: Any = None
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + (x if self.short is None else self.short(x)))


def resnet50() -> Any:
    """He et al. 2015, 25.6 million parameters."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for n in range(count):
            layers.append(Bottleneck(inputs, width, stride if n == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


class Inverted(nn.Module):
    """A wide depthwise convolution between narrow ones."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        wide, layers = inputs * expand, []
        if expand != 1:
            layers += [nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        layers += [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.short = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.layers(x) if self.short else self.layers(x)


def mobilenetv2() -> Any:
    """Sandler et al. 2018, 3.5 million parameters."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    inputs = 32
    for expand, outputs, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for n in range(count):
            layers.append(Inverted(inputs, outputs, stride if n == 0 else 1, expand))
            inputs = outputs
    layers += [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


def images(make: Callable[[], Any], batch: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A model of images with statistics that are not the neutral ones."""
    torch.manual_seed(0)
    model = make().eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return model, {"input": torch.randn(batch, 3, 224, 224)}, {"input": ("batch", None, None, None)}


def minilm() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The sentence encoder with its weights: 8 sentences of 128 tokens."""
    from transformers import BertConfig, BertModel

    from tensoria.tour.weights import find_model

    folder = find_model()
    config = BertConfig(**json.loads((folder / "config.json").read_text()))
    model = BertModel(config).eval()
    from safetensors.torch import load_file

    model.load_state_dict(load_file(next(folder.glob("*.safetensors"))), strict=False)
    axes = {"input_ids": ("batch", "sequence"), "attention_mask": ("batch", "sequence")}
    torch.manual_seed(0)
    mask = torch.ones(8, 128, dtype=torch.int64)
    mask[0, 100:] = 0
    return model, {"input_ids": torch.randint(0, config.vocab_size, (8, 128)), "attention_mask": mask}, axes


MODELS: Mapping[str, Callable[[], tuple[Any, dict[str, Any], dict[str, Any]]]] = {
    "minilm": minilm, "resnet50": lambda: images(resnet50, 2), "mobilenetv2": lambda: images(mobilenetv2, 1),
}  # fmt: skip


KERAS = {"keras": ("ResNet50", 2), "keras-mobilenetv2": ("MobileNetV2", 4)}
"""Models of `keras.applications`, with the size of a batch."""


# -- contestants ------------------------------------------------------------------------------------------------------


def from_torch(name: str) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """A model of PyTorch beside what is made of it, and the seconds (of the process) that making it took."""
    import tensorflow as tf

    model, given, axes = MODELS[name]()
    start = time.process_time()
    keyed = name == "minilm"
    args, kwargs = ((), given) if keyed else (tuple(given.values()), {})
    program = tn.port(model, args, kwargs, dynamic=axes)
    captured = time.process_time()
    ported = program.to_tensorflow()
    arrays = {key: x.numpy() for key, x in given.items()}
    tensors = [tf.constant(arrays[value.name]) for value in program.inputs]
    graph = ported._calls[ported._code.of.own].function
    graph(*tensors)
    done = time.process_time()
    as_numpy, as_torch = program.to_numpy(), program.to_torch().eval()
    calls: dict[str, Callable[[], Any]] = {
        "PyTorch eager": lambda: model(*args, **kwargs),
        "TensorFlow graph": lambda: graph(*tensors)[0].numpy(),
        "NumPy": lambda: as_numpy(**arrays),
        "PyTorch again": lambda: as_torch(**given),
    }
    compared(calls)
    return calls, {"capture": captured - start, "capture, conversion, first run": done - start}


def from_keras(name: str) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """A convolutional network of Keras beside its module of PyTorch and its compiled program."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    made, batch = KERAS[name]
    model = getattr(keras.applications, made)(weights=None, classes=100)
    x = np.random.default_rng(0).standard_normal((batch, 224, 224, 3)).astype("float32")
    start = time.process_time()
    program = tn.port(model, (tf.constant(x),), dynamic={"inputs": ("batch", None, None, None)})
    captured = time.process_time()
    module, compiled = program.to_torch().eval(), program.compile("torch").native
    tensor, given = torch.from_numpy(x), tf.constant(x)
    graph = tf.function(lambda x: model(x, training=False))
    calls: dict[str, Callable[[], Any]] = {
        "Keras graph": lambda: graph(given).numpy(), "PyTorch": lambda: module(tensor),
        "PyTorch, compiled": lambda: compiled(tensor)[0],
    }  # fmt: skip
    compared(calls)
    return calls, {"capture": captured - start}


def compared(calls: Mapping[str, Callable[[], Any]]) -> None:
    """Raise unless all contestants compute the same."""
    expected: Any = None
    for name, call in calls.items():
        with torch.no_grad():
            found = call()
        found = next(iter(found.values())) if isinstance(found, dict) else found
        found = np.asarray(found.last_hidden_state if hasattr(found, "last_hidden_state") else found)
        expected = found if expected is None else expected
        error = np.abs(found - expected).max() / np.abs(expected).max()
        if not error < CLOSE:
            raise AssertionError(f"{name} is {error:.1e} from the source")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=[*MODELS, *KERAS], choices=[*MODELS, *KERAS])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print("\n".join(f"{what}: {said}" for what, said in machine().items()))
    rows: dict[str, Any] = {}
    for name in options.models:
        calls, took = from_keras(name) if name in KERAS else from_torch(name)
        with torch.no_grad():
            taken = turns(calls, options.rounds, time.process_time)
        source = next(iter(calls))
        print(f"\n{name}: " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took.items()))
        rows[name] = {"seconds": took}
        for contestant, seconds in taken.items():
            ratio = paired(seconds, taken[source], operator.truediv)
            print(f"  {contestant:18} {1e3 * sorted(seconds)[len(seconds) // 2]:8.1f} ms   {ratio:.2f}")
            rows[name][contestant] = {"milliseconds": [1e3 * s for s in seconds], "ratio": ratio}
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
