"""Small float graphs for the quantizer's tests, with what it can stumble over, and frames for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

SIDE = 16
Array = npt.NDArray[Any]


def build(
    nodes: Sequence[NodeProto], constants: dict[str, Array], out: Sequence[int], *, opset: int = 18,
    fed: Sequence[int | str] = (1, 3, SIDE, SIDE), elem: int = TensorProto.FLOAT,
) -> ModelProto:  # fmt: skip
    """image -> output_0 of shape `out`, with the metadata of an exported run."""
    image = helper.make_tensor_value_info("image", elem, fed)
    output = helper.make_tensor_value_info("output_0", elem, out)
    weights = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "g", [image], [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    helper.set_model_props(model, {"checkpoint_sha256": "c0ffee", "output_kind": "relative_depth"})
    return model


def write(path: Path, model: ModelProto) -> Path:
    onnx.save(model, str(path))
    return path


def chance(*shape: int) -> Array:
    return np.random.default_rng(len(shape) * 1000 + sum(shape)).normal(0, 0.3, shape).astype(np.float32)


def student() -> ModelProto:
    """Convolutions with one shared zero bias, HardSwish, a skip, a bilinear resize, a constant gain, a sigmoid."""
    node = helper.make_node
    nodes = [
        node("Sub", ["image", "mean"], ["centred"], name="sub"),
        node("Div", ["centred", "mean"], ["normal"], name="div"),
        node("Conv", ["normal", "wa", "zero"], ["a"], name="conv_a", pads=[1] * 4),
        node("Relu", ["a"], ["ar"], name="relu_a"),
        node("Conv", ["ar", "wb", "zero"], ["b"], name="conv_b", pads=[1] * 4),
        node("HardSwish", ["b"], ["bs"], name="swish_b"),
        node("Add", ["ar", "bs"], ["ab"], name="add"),
        node("Resize", ["ab", "", "sizes"], ["up"], name="resize", mode="linear",
             coordinate_transformation_mode="half_pixel"),
        node("Mul", ["up", "gain"], ["g"], name="gain"),
        node("Conv", ["g", "wc", "bias_c"], ["c"], name="conv_c"),
        node("Sigmoid", ["c"], ["output_0"], name="sigmoid"),
    ]  # fmt: skip
    constants = {
        "mean": np.array([123.7, 116.3, 103.5], np.float32).reshape(1, 3, 1, 1), "wa": chance(8, 3, 3, 3),
        "wb": chance(8, 8, 3, 3), "wc": chance(1, 8, 1, 1), "zero": np.zeros(8, np.float32),
        "bias_c": np.array([0.1], np.float32), "sizes": np.array([1, 1, 2, 2], np.float32), "gain": chance(1, 8, 1, 1),
    }  # fmt: skip
    return build(nodes, constants, [1, 1, 2 * SIDE, 2 * SIDE])


def border() -> ModelProto:
    """An exported student's two ends: resize and normalisation in front, sigmoid, resize and clamp behind."""
    node = helper.make_node
    half_pixel = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    nodes = [
        node("Resize", ["image", "", "", "down"], ["small"], name="down", **half_pixel),
        node("Sub", ["small", "mean"], ["centred"], name="sub"),
        node("Div", ["centred", "std"], ["normal"], name="div"),
        node("Conv", ["normal", "wa", "zero"], ["a"], name="conv_a", pads=[1] * 4),
        node("Relu", ["a"], ["ar"], name="relu_a"),
        node("Conv", ["ar", "wb", "bias_b"], ["b"], name="conv_b"),
        node("Sigmoid", ["b"], ["s"], name="sigmoid"),
        node("Resize", ["s", "", "", "up"], ["large"], name="up", **half_pixel),
        node("Clip", ["large", "low", "high"], ["output_0"], name="clamp"),
    ]
    constants = {
        "down": np.array([1, 3, 8, 8]), "up": np.array([1, 1, SIDE, SIDE]), "wa": chance(8, 3, 3, 3),
        "mean": np.array([123.7, 116.3, 103.5], np.float32).reshape(1, 3, 1, 1),
        "std": np.array([58.4, 57.1, 57.4], np.float32).reshape(1, 3, 1, 1), "wb": chance(1, 8, 1, 1),
        "zero": np.zeros(8, np.float32), "bias_b": np.array([0.1], np.float32), "low": np.float32(0),
        "high": np.float32(1),
    }  # fmt: skip
    return build(nodes, constants, [1, 1, SIDE, SIDE])


def transformer() -> ModelProto:
    """A patch embedding, a layer norm, a perceptron whose Gelu is spelled out with Erf, as torch exports it."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "patches", "zero"], ["c"], name="patch", kernel_shape=[4, 4], strides=[4, 4]),
        node("Reshape", ["c", "tokens"], ["r"], name="flatten"),
        node("Transpose", ["r"], ["t"], name="turn", perm=[0, 2, 1]),
        node("LayerNormalization", ["t", "scale", "shift"], ["normal"], name="norm", axis=-1),
        node("MatMul", ["normal", "w1"], ["m"], name="fc1"),
        node("Add", ["m", "b1"], ["a"], name="fc1_bias"),
        node("Div", ["a", "root2"], ["d"], name="gelu_div"),
        node("Erf", ["d"], ["e"], name="gelu_erf"),
        node("Add", ["e", "one"], ["e1"], name="gelu_add"),
        node("Mul", ["a", "e1"], ["p"], name="gelu_mul"),
        node("Mul", ["p", "half"], ["gelu"], name="gelu"),
        node("MatMul", ["gelu", "w2"], ["m2"], name="fc2"),
        node("Add", ["m2", "t"], ["sum"], name="skip"),
        node("Transpose", ["sum"], ["t2"], name="turn_back", perm=[0, 2, 1]),
        node("Reshape", ["t2", "grid"], ["map"], name="unflatten"),
        node("Conv", ["map", "head", "zero1"], ["depth"], name="head"),
        node("Clip", ["depth", "low", "high"], ["output_0"], name="clip"),
    ]
    constants = {
        "patches": chance(24, 3, 4, 4) * np.float32(0.02), "zero": np.zeros(24, np.float32),
        "tokens": np.array([1, 24, 16]), "scale": 1 + np.float32(0.3) * chance(24), "shift": chance(24),
        "w1": chance(24, 32), "b1": chance(32), "root2": np.float32(2**0.5), "one": np.float32(1),
        "half": np.float32(0.5), "w2": chance(32, 24), "grid": np.array([1, 24, 4, 4]),
        "head": chance(1, 24, 1, 1) * np.float32(0.04), "zero1": np.array([0.4], np.float32),
        "low": np.float32(0), "high": np.float32(1),
    }  # fmt: skip
    return build(nodes, constants, [1, 1, 4, 4])


def point() -> ModelProto:
    """One 1x1 convolution with a bias, whose every number can be followed by hand."""
    node = helper.make_node("Conv", ["image", "w", "b"], ["output_0"], name="conv")
    weights = np.array([[0.5, -0.25, 0.125], [1.0, 0.5, -2.0]], np.float32).reshape(2, 3, 1, 1)
    return build([node], {"w": weights, "b": np.array([3.0, -7.5], np.float32)}, [1, 2, SIDE, SIDE])


def frames(count: int = 6) -> dict[str, npt.NDArray[np.float32]]:
    """(1, 3, 16, 16) float32, integers 0 to 255: a slope with some noise, another one for each frame."""
    made = {}
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 60, (1, 3, SIDE, SIDE))
        slope = np.linspace(0, 160 + 5 * index, SIDE).reshape(1, 1, 1, SIDE)
        made[f"{index:04}"] = np.floor(slope + noise).astype(np.float32)
    return made
