"""The pass "fusion" finds operations of neural networks that were written out, and not what only looks like them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from across import installed

import tensoria as tn
from tensoria.programs.operations.neural import ROWS
from tensoria.programs.program import Program
from tensoria.tensor import Tensor

random = np.random.default_rng(0)
SHAPES = {
    "x": (4, 4), "w": (4,), "b": (4,), "m": (4, 4), "column": (4, 1), "row": (1, 4),
    "q": (2, 3, 4, 5), "k": (2, 3, 4, 5), "v": (2, 3, 4, 6), "long": (2, 3, 7, 5), "wide": (2, 3, 7, 6),
    "masks": (2, 1, 4, 4), "keys": (2, 1, 1, 4), "lower": (4, 4), "one": (2, 1, 4, 5), "two": (2, 1, 4, 6),
    "slopes": (6, 1, 4), "image": (2, 4, 4, 4), "c": (4, 1, 1),
}  # fmt: skip
NUMBERS = {name: random.standard_normal(shape) for name, shape in SHAPES.items()}
NUMBERS["lower"] += 3 * np.eye(4)  # a query sees itself
FUSED = frozenset(ROWS)


def mean(x: Tensor, axis: int | tuple[int, ...] = -1, keepdims: bool = True) -> Tensor:
    return tn.mean(x, axis=axis, keepdims=keepdims)


def variance(x: Tensor, axis: int | tuple[int, ...] = -1) -> Tensor:
    return mean((x - mean(x, axis)) ** 2, axis)


def swapped(x: Tensor) -> Tensor:
    return tn.matrix_transpose(x)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    raised = tn.exp(x - tn.max(x, axis=axis, keepdims=True))
    return raised / tn.sum(raised, axis=axis, keepdims=True)


def tanh_gelu(x: Tensor, cubic: float = 0.044715) -> Tensor:
    return 0.5 * x * (1 + tn.tanh(math.sqrt(2 / math.pi) * (x + cubic * x**3)))


def causal(scores: Tensor, k: int = 0) -> Tensor:
    lower = tn.tril(tn.ones(scores.shape[-2:], dtype=tn.bool), k=k)
    return tn.where(lower, scores, -math.inf)


Function = Callable[..., Any]
COMPOSED: dict[str, tuple[str, Function, str]] = {
    "layer norm": ("layer_norm", lambda x, w, b: (x - mean(x)) / tn.sqrt(variance(x) + 1e-5) * w + b, "x w b"),
    "layer norm with the inverse root": (
        "layer_norm", lambda x, w, b: b + w * ((x - mean(x)) * (1 / tn.sqrt(1e-5 + variance(x)))), "x w b",
    ),
    "layer norm of var": (
        "layer_norm", lambda x: (x - mean(x)) / tn.sqrt(tn.var(x, axis=-1, keepdims=True) + 1e-5), "x",
    ),
    "layer norm over two axes": (
        "layer_norm", lambda q: (q - mean(q, (-2, -1))) / tn.sqrt(variance(q, (-2, -1)) + 1e-3), "q",
    ),
    "layer norm with a row": ("layer_norm", lambda x, r: (x - mean(x)) / tn.sqrt(variance(x) + 1e-5) * r, "x row"),
    "rms norm": ("rms_norm", lambda x, w: x / tn.sqrt(mean(x**2) + 1e-6) * w, "x w"),
    "rms norm of a product": ("rms_norm", lambda x, w: w * (x * (mean(x * x) + 1e-6) ** -0.5), "x w"),
    "batch norm": (
        "batch_norm",
        lambda x, c, v, w, b: (x - c) / tn.sqrt(v + 1e-3) * w + b, "image c c c c",
    ),
    "tanh gelu": ("gelu", tanh_gelu, "x"),
    "tanh gelu of products": (
        "gelu", lambda x: x * (0.5 * (1 + tn.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))), "x",
    ),
    "tanh gelu with x before the bracket": (
        "gelu", lambda x: x * 0.5 * (1 + tn.tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x))), "x",
    ),
    "silu": ("silu", lambda x: x / (1 + tn.exp(-x)), "x"),
    "silu of a sigmoid": ("silu", lambda x: x * (1 / (1 + tn.exp(-x))), "x"),
    "sigmoid": ("sigmoid", lambda x: 1 / (tn.exp(-x) + 1), "x"),
    "softmax": ("softmax", softmax, "x"),
    "softmax along the first axis": ("softmax", lambda x: softmax(x, 0), "x"),
    "linear": ("linear", lambda x, m, b: x @ m + b, "x m b"),
    "linear of a turned weight": ("linear", lambda x, m, b: b + x @ swapped(m), "x m b"),
    "attention": ("attention", lambda q, k, v: softmax(q @ swapped(k)) @ v, "q k v"),
    "attention with a scale": (
        "attention", lambda q, k, v: softmax(q @ swapped(k) / math.sqrt(5)) @ v, "q k v",
    ),
    "attention to more places": (
        "attention", lambda q, k, v: softmax(0.25 * (q @ swapped(k))) @ v, "q long wide",
    ),
    "causal attention": ("attention", lambda q, k, v: softmax(causal(q @ swapped(k) * 0.5)) @ v, "q k v"),
    "causal attention of queries that were scaled": (
        "attention", lambda q, k, v: softmax(causal(q * 0.5 @ swapped(k / 3))) @ v, "q k v",
    ),
    "attention of several heads to one": ("attention", lambda q, k, v: softmax(q @ swapped(k)) @ v, "q one two"),
    "softmax of exponentials as they are": (
        "softmax", lambda x: tn.exp(x) / tn.sum(tn.exp(x), axis=-1, keepdims=True), "x",
    ),
    "attention in letters": (
        "attention",
        lambda q, k, v: tn.einsum(
            "bhij,bhjd->bihd", softmax(tn.einsum("bhid,bhjd->bhij", q, k) * 0.5), v
        ), "q k v",
    ),
}  # fmt: skip


MASKED: dict[str, tuple[bool, Function, str]] = {
    "a number added": (False, lambda s, m: s + m, "masks"),
    "a row for each key": (False, lambda s, m: m + s, "keys"),
    "two added": (False, lambda s, m, of: s + m + of, "masks keys"),
    "truth values": (False, lambda s, m: tn.where(m > -1.5, s, -math.inf), "masks"),
    "truth values of what is hidden": (False, lambda s, m: tn.where(m < -1.5, -math.inf, s), "masks"),
    "truth values, and added": (False, lambda s, m, of: tn.where(m > -1.5, s + of, -math.inf), "masks keys"),
    "a number that takes up scores": (False, lambda s, m: tn.where(m > 0, s, -1e38), "masks"),
    "nothing seen by a query": (False, lambda s, m: tn.where(m > 100.0, s, -1e38), "masks"),
    "nothing seen, and added": (False, lambda s, m: s + tn.where(m > 100.0, tn.zeros_like(m), -1e38), "masks"),
    "the lower triangle": (True, lambda s: causal(s), ""),
    "places compared": (True, lambda s: tn.where(places(s)[0] >= places(s)[1], s, -math.inf), ""),
    "places ahead": (True, lambda s: tn.where(places(s)[0] < places(s)[1], -1e38, s), ""),
    "places ahead, added": (True, lambda s: s + tn.where(places(s)[1] <= places(s)[0], tn.zeros((4, 4)), -1e38), ""),
    "a triangle of minus infinity, added": (True, lambda s: s + tn.triu(tn.full((4, 4), -math.inf), k=1), ""),
    "a triangle, and truth values": (True, lambda s, m: causal(tn.where(m > -1.5, s, -math.inf)), "lower"),
    "a triangle, and added": (True, lambda s, m: causal(s + m), "masks"),
    "a triangle by a number, and added": (
        False, lambda s, m: s + tn.where(places(s)[1] <= places(s)[0], tn.zeros((4, 4)), -1e38) + m, "masks",
    ),
    "a triangle one place further": (False, lambda s: causal(s, 1), ""),
    "a triangle from the other side": (
        False, lambda s: tn.where(places(s)[0] <= places(s)[1], s, -math.inf), "",
    ),
}  # fmt: skip


def places(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of queries, and of keys."""
    n = tn.arange(scores.shape[-1])
    return tn.expand_dims(n, axis=1), tn.expand_dims(n, axis=0)


@pytest.mark.parametrize("name", MASKED)
def test_attention_with_a_mask_is_one_instruction(name: str) -> None:
    is_causal, mask, arguments = MASKED[name]

    def attended(q: Tensor, k: Tensor, v: Tensor, *masks: Tensor) -> Tensor:
        return softmax(mask(q @ swapped(k) * 0.5, *masks)) @ v

    program, arrays = traced(attended, f"q k v {arguments}")
    found = program.optimised("fusion")
    assert operations(found)[-1] == "attention", str(found)
    assert found.instructions[-1].attributes["causal"] == is_causal
    assert not {"softmax", "matmul"} & set(operations(found))
    close(found, program, arrays)
    for name in sorted(installed()):
        results = [np.asarray(p.run(*map(tn.asarray, arrays), backend=name).array) for p in (found, program)]
        np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-13)


def test_a_mask_under_other_axes_goes_with_them() -> None:
    def attended(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (tn.reshape(x, (6, *x.shape[2:])) for x in (q, k, v))
        scores = tn.reshape(q @ swapped(k) + slopes, (2, 3, 4, 4)) + mask
        return tn.reshape(softmax(scores), (6, 4, 4)) @ v

    program, arrays = traced(attended, "q k v slopes keys")
    found = program.optimised("fusion")
    assert {"softmax", "attention"} & set(operations(found)) == {"attention"}, str(found)
    close(found, program, arrays)


def test_a_mask_that_every_layer_adds_up_is_added_up_once() -> None:
    def layers(q: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        for _ in range(3):
            q = softmax(q @ swapped(q) + bias + mask) @ q
        return q

    program, arrays = traced(layers, "q masks keys")
    found = program.optimised("fusion")
    assert [of for of in operations(found) if of in ("add", "attention")] == ["add", *["attention"] * 3], str(found)
    close(found, program, arrays)


def traced(function: Function, names: str) -> tuple[Program, list[Any]]:
    arrays = [abs(NUMBERS[n]) + 0.5 if n == "c" else NUMBERS[n] for n in names.split()]
    return tn.trace(function, *map(tn.asarray, arrays)), arrays


def operations(program: Program) -> list[str]:
    return [made.operation for made in program.instructions]


def close(program: Program, other: Program, arrays: Sequence[Any]) -> None:
    results = [p.run(*map(tn.asarray, arrays)) for p in (program, other)]
    pairs = zip(*(r if isinstance(r, (tuple, list)) else (r,) for r in results), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a.array, b.array, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", COMPOSED)
def test_what_is_written_out_is_one_instruction(name: str) -> None:
    operation, function, arguments = COMPOSED[name]
    program, arrays = traced(function, arguments)
    assert operation not in operations(program)
    found = program.optimised("fusion")
    close(found, program, arrays)
    moves = {"permute_dims", "reshape"}
    assert [of for of in operations(found) if of not in moves] == [operation], str(found)


NEAR: dict[str, tuple[Function, str]] = {
    "epsilon outside of the root": (lambda x: (x - mean(x)) / (tn.sqrt(variance(x)) + 1e-5), "x"),
    "a mean along another axis": (lambda x: (x - mean(x, 0)) / tn.sqrt(variance(x) + 1e-5), "x"),
    "a mean that broadcasts along another axis": (
        lambda x: (x - mean(x, keepdims=False)) / tn.sqrt(variance(x) + 1e-5), "x",
    ),
    "the variance of a sample": (
        lambda x: (x - mean(x)) / tn.sqrt(tn.var(x, axis=-1, correction=1, keepdims=True) + 1e-5), "x",
    ),
    "a mean square along the first axis": (lambda x: x / tn.sqrt(mean(x**2, 0) + 1e-6), "x"),
    "a mean cube": (lambda x: x / tn.sqrt(mean(abs(x) ** 3) + 1e-6), "x"),
    "the root of another array": (lambda x, m: x / tn.sqrt(mean(m**2) + 1e-6), "x m"),
    "another cubic constant": (lambda x: tanh_gelu(x, 0.0447), "x"),
    "another sign": (lambda x: x / (1 + tn.exp(x)), "x"),
    "another numerator": (lambda x: (2 * x) / (1 + tn.exp(-x)), "x"),
    "two in place of one": (lambda x: x / (2 + tn.exp(-x)), "x"),
    "a sum that broadcasts along another axis": (lambda x: tn.exp(x) / tn.sum(tn.exp(x), axis=1), "x"),
    "a sum of other exponentials": (
        lambda x: tn.exp(x) / tn.sum(tn.exp(2 * x), axis=1, keepdims=True), "x",
    ),
    "a bias for each row": (lambda x, m, c: x @ m + c, "x m column"),
    "a bias that is no vector": (lambda x, m, r: x @ m + r, "x m x"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR)
def test_what_only_looks_like_it_stays(name: str) -> None:
    function, arguments = NEAR[name]
    program, arrays = traced(function, arguments)
    found = program.optimised("fusion")
    assert not FUSED & set(operations(found)), str(found)
    close(found, program, arrays)


PARTLY: dict[str, tuple[list[str], Function, str]] = {
    "a weight for each row": (
        ["layer_norm", "multiply"], lambda x, c: (x - mean(x)) / tn.sqrt(variance(x) + 1e-5) * c, "x column",
    ),
    "rows that are scaled": (["rms_norm", "multiply"], lambda x, c: x / tn.sqrt(mean(x**2) + 1e-6) * c, "x column"),
    "a bias without a weight": (
        ["layer_norm", "add"], lambda x, b: (x - mean(x)) / tn.sqrt(variance(x) + 1e-5) + b, "x b",
    ),
    "a maximum along another axis": (
        ["max", "subtract", "softmax"],
        lambda x: tn.exp(x - tn.max(x, axis=0, keepdims=True))
        / tn.sum(tn.exp(x - tn.max(x, axis=0, keepdims=True)), axis=1, keepdims=True), "x",
    ),
    "a softmax along queries": (
        ["permute_dims", "matmul", "softmax", "matmul"], lambda q, k, v: softmax(q @ swapped(k), -2) @ v, "q k v",
    ),
    "normalised and scaled, both results": (
        ["rms_norm", "multiply"],
        lambda x, w: (x / tn.sqrt(mean(x**2) + 1e-6), x / tn.sqrt(mean(x**2) + 1e-6) * w), "x w",
    ),
    "weights of attention are a result": (
        ["permute_dims", "matmul", "softmax", "matmul"],
        lambda q, k, v: (softmax(q @ swapped(k)), softmax(q @ swapped(k)) @ v), "q k v",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTLY)
def test_what_goes_together_is_fused_and_what_does_not_stays(name: str) -> None:
    wanted, function, arguments = PARTLY[name]
    program, arrays = traced(function, arguments)
    found = program.optimised(["fusion", "dead code"])
    assert operations(found)[-len(wanted) :] == wanted, str(found)
    assert "attention" not in operations(found)
    close(found, program, arrays)


SHARED: dict[str, tuple[Function, str]] = {
    "the root": (lambda x: (x / tn.sqrt(mean(x**2) + 1e-6), tn.sqrt(mean(x**2) + 1e-6)), "x"),
    "the mean": (lambda x: ((x - mean(x)) / tn.sqrt(variance(x) + 1e-5), mean(x)), "x"),
    "the difference": (lambda x: ((x - mean(x)) / tn.sqrt(variance(x) + 1e-5) * 1.5, tn.exp(x - mean(x))), "x"),
    "the exponentials": (lambda x: (softmax(x), tn.exp(x - tn.max(x, axis=-1, keepdims=True))), "x"),
    "the hyperbolic tangent": (
        lambda x: (tanh_gelu(x), tn.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), "x",
    ),
    "the exponential": (lambda x: (x / (1 + tn.exp(-x)), tn.exp(-x)), "x"),
    "the product": (lambda x, m, b: (x @ m + b, tn.exp(x @ m)), "x m b"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_what_is_used_elsewhere_is_not_computed_twice(name: str) -> None:
    function, arguments = SHARED[name]
    program, arrays = traced(function, arguments)
    found = program.optimised("fusion")
    assert not FUSED & set(operations(found)), str(found)
    close(found, program, arrays)


def test_one_composition_inside_of_another_and_one_after_another() -> None:
    def block(x: Tensor, w: Tensor, b: Tensor, m: Tensor) -> Tensor:
        for _ in range(2):
            y = (x - mean(x)) / tn.sqrt(variance(x) + 1e-5) * w + b
            x = x + tanh_gelu(y @ m + b) @ swapped(m)
        return softmax(x)

    program, arrays = traced(block, "x w b m")
    found = program.optimised("fusion")
    close(found, program, arrays)
    kept = [of for of in operations(found) if of != "permute_dims"]
    assert kept == ["layer_norm", "linear", "gelu", "matmul", "add"] * 2 + ["softmax"]
    again = operations(found.optimised("fusion"))
    assert [of for of in again if of != "permute_dims"] == kept


def test_open_sizes_and_programs_inside_of_instructions_are_fused() -> None:
    x = tn.asarray(NUMBERS["x"])
    program = tn.trace(lambda x: tn.cond(tn.sum(x) > 0, softmax, tanh_gelu, x), x, dynamic={"x": ("n", None)})
    found = program.optimised("fusion")
    text = str(found)
    for name, is_there in {"softmax(": True, "gelu(": True, "exp(": False, "tanh(": False}.items():
        assert (name in text) == is_there, text
    for sign in (1, -1):
        close(found, program, [abs(NUMBERS["x"][:3]) * sign])


def test_a_mask_that_became_a_constant_is_still_known() -> None:
    for k in (0, 1):
        program, arrays = traced(lambda q, k, v, n=k: softmax(causal(q @ swapped(k), n)) @ v, "q k v")
        folded = program.optimised(["constants", "dead code"])
        assert "tril" not in operations(folded)
        found = folded.optimised("fusion")
        assert operations(found)[-1] == "attention"
        assert found.instructions[-1].attributes["causal"] == (k == 0)
        close(found, program, arrays)


def test_it_is_off_unless_it_is_named() -> None:
    program, _ = traced(softmax, "x")
    assert "softmax" not in operations(program.optimised())
    assert "softmax" in operations(program.optimised(["fusion"]))
    assert " = softmax(" not in program.source("numpy")
    assert " = softmax(" in program.source("numpy", passes=["fusion"])


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
def test_decomposed_models_are_fused() -> None:
    import torch

    class Written(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, 4))
            self.turn = torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(4, 3))
            self.bias = torch.nn.Parameter(torch.linspace(-1, 1, 3))

        def forward(self, x: Any) -> Any:
            x = self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
            x = torch.matmul(x, self.turn) + self.bias
            x = 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
            return x * torch.sigmoid(x)

    x = torch.linspace(-2, 2, 8).reshape(2, 4)
    model = Written()
    program = tn.port(model, (x,))
    found = program.optimised("fusion")
    assert [of for of in operations(found) if of != "permute_dims"] == ["rms_norm", "linear", "gelu", "silu"]
    wanted = model(x).detach().numpy()
    np.testing.assert_allclose(found.run(x.numpy()).array, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
@pytest.mark.parametrize("groups", [1, 4])
def test_zeros_around_an_image_go_into_the_convolution_but_no_other_numbers_do(groups: int) -> None:
    import torch

    class Padded(torch.nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value
            self.conv = torch.nn.Conv2d(4, 4, 3, 2, (1, 0), groups=groups)

        def forward(self, x: Any) -> Any:
            return self.conv(torch.nn.functional.pad(x, (0, 1, 2, 0), value=self.value))

    x = torch.linspace(-2, 2, 4 * 64).reshape(1, 4, 8, 8)
    for value, wanted in ((0.0, ["convolution"]), (1.0, ["pad", "convolution"])):
        model = Padded(value)
        found = tn.port(model, (x,), dynamic={"x": (None, None, "height", None)}).optimised("fusion")
        assert operations(found) == wanted
        np.testing.assert_allclose(found.run(x.numpy()).array, model(x).detach().numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            found.to_torch()(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-5, atol=1e-6
        )


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
def test_attention_as_models_write_it_is_found_with_repeated_keys_and_hidden_rows() -> None:
    import torch

    class Written(torch.nn.Module):
        def forward(self, q: Any, k: Any, v: Any, seen: Any) -> Any:
            k, v = (of[:, :, None].expand(-1, -1, 2, -1, -1).reshape(q.shape[0], 4, -1, 3) for of in (k, v))
            least = torch.finfo(q.dtype).min
            mask = torch.where(seen[:, None, None].bool(), 0.0, least)
            weights = torch.softmax(torch.matmul(q, k.transpose(2, 3)) * 3**-0.5 + mask, dim=-1, dtype=torch.float32)
            return torch.matmul(weights.to(q.dtype), v).transpose(1, 2).contiguous()

    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(2, n, 5, 3, generator=generator) for n in (4, 2, 2)]
    given.append(torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]]))  # in the second text nothing is seen
    program = tn.port(Written(), tuple(given))
    found = program.optimised("fusion")
    assert {"softmax", "attention"} & set(operations(found)) == {"attention"}, str(found)
    wanted = Written()(*given).numpy()
    for name in sorted(installed()):
        result = found.run(*(x.numpy() for x in given), backend=name)
        np.testing.assert_allclose(np.asarray(result.array), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif("tensorflow" not in installed(), reason="TensorFlow is not installed")
def test_a_graph_whose_softmax_is_not_a_number_stays_so() -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 2, 3, 4)), tf.TensorSpec((3, 3), tf.bool)])
    def attended(x: Any, seen: Any) -> Any:
        scores = tf.where(seen, tf.matmul(x, x, transpose_b=True), float("-inf"))
        return tf.matmul(tf.nn.softmax(scores), x)

    x, seen = np.ones((1, 2, 3, 4), np.float32), np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]], bool)
    program = tn.port(attended, (x, seen))
    assert np.isnan(attended(x, seen).numpy()).any(axis=(0, 1, 3)).tolist() == [False, True, False]
    np.testing.assert_array_equal(program.run(x, seen).array, attended(x, seen).numpy())
    assert "attention" in operations(program.optimised("fusion"))


@pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")
@pytest.mark.parametrize(("shape", "wanted"), [((4, 1, 1), ["convolution"]), ((1, 4, 1), ["convolution", "add"])])
def test_a_bias_for_each_channel_goes_into_the_convolution(shape: tuple[int, ...], wanted: list[str]) -> None:
    import torch

    class Written(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = torch.nn.Parameter(torch.linspace(-1, 1, 8).reshape(4, 2, 1, 1))
            self.bias = torch.nn.Parameter(torch.linspace(-1, 1, 4).reshape(shape))

        def forward(self, x: Any) -> Any:
            return torch.nn.functional.conv2d(x, self.kernel) + self.bias

    x = torch.linspace(-2, 2, 64).reshape(2, 2, 4, 4)
    model = Written()
    found = tn.port(model, (x,)).optimised("fusion")
    assert [of for of in operations(found) if of != "reshape"] == wanted
    np.testing.assert_allclose(found.run(x.numpy()).array, model(x).detach().numpy(), rtol=1e-5, atol=1e-6)
