"""How operations of neural networks are written where one call of TensorFlow says it: images with channels last."""

from __future__ import annotations

from collections.abc import Mapping

from tensoria.programs.dialects import Call, Row

__all__ = ["rows"]

SHORT: Mapping[str, Row] = {
    "erf": "tf.math.erf({0})", "sigmoid": "tf.math.sigmoid({0})", "relu": "tf.nn.relu({0})",
    "softmax": "tf.nn.softmax({0}, axis={axis})", "log_softmax": "tf.nn.log_softmax({0}, axis={axis})",
}  # fmt: skip


def _padding(padding: tuple[tuple[int, int], ...]) -> str:
    """The argument for padding of the axes of space of (batch, *space, channels)."""
    if not any(map(any, padding)):
        return "'VALID'"
    return str([[0, 0], *map(list, padding), [0, 0]])


def _hardtanh(otherwise: Row) -> Row:
    def row(call: Call) -> str:
        if (call.of("low"), call.of("high")) == (0, 6):
            return f"tf.nn.relu6({call.typed[0]})"
        return otherwise(call) if callable(otherwise) else otherwise

    return row


def _convolution(otherwise: Row) -> Row:
    def row(call: Call) -> str:
        of, (x, kernel, *bias) = call.of, call.typed
        strides, dilation, groups = of("strides"), of("dilation"), of("groups")
        shape = call.types[1].shape
        text = ""
        if of("numbers") == ("NHWC", "HWIO", "NHWC") and not (max(strides) > 1 and max(dilation) > 1):
            more = f", dilations={dilation}" if max(dilation) > 1 else ""
            if groups == 1:
                text = f"tf.nn.conv2d({x}, {kernel}, {strides}, {_padding(of('padding'))}{more})"
            elif shape[2] == 1 and strides[0] == strides[1]:
                # (height, width, 1, outputs) reads the same as (height, width, groups, outputs / groups).
                kernel = f"tf.reshape({kernel}, {(*shape[:2], groups, shape[3] // groups)})"  # type: ignore[operator]
                around = _padding(of("padding"))
                # Padded before: TensorFlow 2.21 aborts on a depthwise kernel with padding of its own and a bias.
                x = x if around == "'VALID'" else f"tf.pad({x}, {around})"
                text = f"tf.nn.depthwise_conv2d({x}, {kernel}, {(1, *strides, 1)}, 'VALID'{more})"
        if not text:
            return otherwise(call) if callable(otherwise) else otherwise
        return f"tf.nn.bias_add({text}, {bias[0]})" if bias else text

    return row


def _pool(name: str, otherwise: Row | None) -> Row:
    def row(call: Call) -> str:
        of, x = call.of, call.typed[0]
        window, padding = of("window"), of("padding")
        last = len(window) == 3 and call.types[0].ndim == 4 and (window[2], padding[2]) == (1, (0, 0))
        even = name == "max" or not any(map(any, padding))
        if last and even and max(of("dilation") if name == "max" else (1,)) == 1:
            around = _padding(padding[:2])
            return f"tf.nn.{name}_pool2d({x}, {window[:2]}, {of('strides')[:2]}, {around})"
        assert otherwise is not None
        return otherwise(call) if callable(otherwise) else otherwise

    return row


def _batch_norm(otherwise: Row) -> Row:
    def row(call: Call) -> str:
        x, mean, variance, *scale = call.typed
        own, frozen = call.types[0], call.writer.frozen
        still = all(operand in frozen for operand in call.instruction.operands[1:3])
        if len(scale) == 2 and own.ndim == 4 and call.of("axis") == 3 and own.dtype.name == "float32" and still:
            names = f"{x}, {scale[0]}, {scale[1]}, {mean}, {variance}"
            return f"tf.compat.v1.nn.fused_batch_norm({names}, {call.of('epsilon')}, is_training=False)[0]"
        return otherwise(call) if callable(otherwise) else otherwise

    return row


def rows(others: Mapping[str, Row]) -> dict[str, Row]:
    """The rows; what they do not say is said by others."""
    return {
        **SHORT, "convolution": _convolution(others["convolution"]), "max_pool": _pool("max", others["max_pool"]),
        "mean_pool": _pool("avg", others["mean_pool"]), "batch_norm": _batch_norm(others["batch_norm"]),
        "hardtanh": _hardtanh(others["hardtanh"]),
    }  # fmt: skip
