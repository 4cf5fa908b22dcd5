"""Small graphs for the NPU's compiler and emulator, and what their tests share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from lpcv.hub_jobs.htp.door import is_available
from lpcv.hub_jobs.htp.target import target_of
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

needs_emulator = pytest.mark.skipif(not is_available(), reason="Qualcomm's emulator (lpcv[emulator]) is not here")
S24 = target_of("Samsung Galaxy S24")
SHAPE = (1, 3, 16, 16)


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "", **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs, outputs, name=name, **attributes)


def graph(
    nodes: Sequence[NodeProto],
    constants: dict[str, Any] | None = None,
    *,
    shape: Sequence[int | str] = SHAPE,
    out_shape: Sequence[int | str] | None = SHAPE,
    kind: int = TensorProto.FLOAT,
    out_kind: int | None = None,
    outputs: Sequence[str] = ("output_0",),
    opset: int = 19,
) -> ModelProto:
    """image -> output_0, both float32 (1, 3, 16, 16) where nothing else is said."""
    made = [helper.make_tensor_value_info(name, out_kind or kind, out_shape) for name in outputs]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    inner = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("image", kind, shape)], made, held)
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def content(*arguments: Any, **words: Any) -> bytes:
    return graph(*arguments, **words).SerializeToString()


def fitting() -> bytes:
    """A convolution, a bias and an activation, all of which fit."""
    weights = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)
    return content(
        [node("Conv", ["image", "w"], ["a"], "/net/Conv", pads=[1, 1, 1, 1]), node("Relu", ["a"], ["output_0"], "r")],
        {"w": weights},
    )


def after_relu(op: str, name: str, constants: dict[str, Any] | None = None, **words: Any) -> bytes:
    """Relu, then the operator with the constants as its further inputs."""
    made = {key: words.pop(key) for key in ("out_shape", "opset") if key in words}
    inputs = words.pop("inputs", ["a", *(constants or {})])
    nodes = [node("Relu", ["image"], ["a"], "r"), node(op, inputs, ["output_0"], name, **words)]
    return content(nodes, constants, **made)


def large() -> bytes:
    """Four convolutions at 1024x1024: about 380 MB and two seconds of compiling."""
    rng = np.random.default_rng(0)
    first, other = (rng.normal(size=(32, channels, 3, 3)).astype(np.float32) for channels in (3, 32))
    names = ["image", "a", "b", "c", "output_0"]
    nodes = [
        node("Conv", [here, "first" if here == "image" else "other"], [there], f"/net/Conv_{here}", pads=[1] * 4)
        for here, there in pairwise(names)
    ]
    size = (1024, 1024)
    return content(nodes, {"first": first, "other": other}, shape=(1, 3, *size), out_shape=(1, 32, *size))


def min_max() -> bytes:
    """Each picture stretched from its least to its greatest value, as torch's amin and amax export it."""
    nodes = [
        node("ReduceMin", ["image"], ["low"], "/net/ReduceMin", keepdims=1),
        node("ReduceMax", ["image"], ["high"], "/net/ReduceMax", keepdims=1),
        node("Sub", ["image", "low"], ["a"], "/net/Sub"),
        node("Sub", ["high", "low"], ["b"], "/net/Sub_1"),
        node("Add", ["b", "tiny"], ["c"], "/net/Add"),
        node("Div", ["a", "c"], ["output_0"], "/net/Div"),
    ]
    return content(nodes, {"tiny": np.float32(1e-8)})


def picture(seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 2, SHAPE).astype(np.float32)


def on_cpu(model: bytes, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What ONNX Runtime computes in float32."""
    from lpcv.onnx_session import open_session

    return np.asarray(open_session(model).run(None, {"image": image})[0])
