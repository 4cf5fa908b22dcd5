"""What is taken out before quantizing, and only that; what is left is integers from one border to the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
from lpcv.hub_jobs.quantize.folding import drop_idle_clips, fold_divisions
from lpcv.hub_jobs.quantize.quantizer import quantize
from lpcv.onnx_session import open_session
from onnx import ModelProto, NodeProto, helper

QDQ = ("QuantizeLinear", "DequantizeLinear")
BOUNDS = {name: np.array(value, np.float32) for name, value in (("low", 0), ("high", 1), ("above", 0.1))}
node = helper.make_node


def output(model: ModelProto) -> np.ndarray:
    (found,) = open_session(model.SerializeToString(), optimised=False).run(None, {"image": graphs.frames(1)["0000"]})
    return np.asarray(found)


@pytest.mark.parametrize("make", [graphs.border, graphs.student, graphs.transformer])
@pytest.mark.parametrize("precision", ["w8a8", "w8a16"])
def test_integers_from_border_to_border(make, precision: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """An operator between a DequantizeLinear and no QuantizeLinear would run in floats: so did the first Resize."""
    source = graphs.write(tmp_path / "m.onnx", make())
    graph = onnx.load(str(quantize(source, graphs.frames(), precision, tmp_path / "q.onnx").path)).graph  # type: ignore[arg-type]
    constants = {tensor.name for tensor in graph.initializer}
    makers = {name: each for each in graph.node for name in each.output}
    readers = {name: [each for each in graph.node if name in each.input] for name in (*makers, "image")}
    assert {each.op_type for each in readers["image"]} == {"QuantizeLinear"}
    assert makers["output_0"].op_type == "DequantizeLinear"
    inner = [each for each in graph.node if each.op_type not in QDQ]
    assert len(inner) > 5
    for each in inner:
        assert {makers[name].op_type for name in each.input if name in makers} == {"DequantizeLinear"}, each.name
        assert all(name in makers or name in constants or not name for name in each.input), each.name
        assert {reader.op_type for name in each.output for reader in readers[name]} == {"QuantizeLinear"}, each.name
    for each in inner:
        if each.op_type == "Resize":  # with two scales, the NPU computes it in floats
            (after,) = readers[each.output[0]]
            assert list(makers[each.input[0]].input[1:]) == list(after.input[1:]), each.name


RESIZE = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
CLIP = node("Clip", ["b", "low", "high"], ["output_0"], name="clip")


def squashed(kind: str) -> tuple[list[NodeProto], int]:
    """image -> something -> Clip, and how many Clips are idle."""
    first = [node("Conv", ["image", "w"], ["x"], name="conv"), node("Sigmoid", ["x"], ["a"], name="sigmoid")]
    resize = node("Resize", ["a", "", "scales"], ["b"], name="resize", **RESIZE)
    if kind == "resized sigmoid":
        return [*first, resize, CLIP], 1
    if kind == "narrower":
        return [*first, resize, node("Clip", ["b", "above", "high"], ["output_0"], name="clip")], 0
    if kind == "one bound":
        return [*first, resize, node("Clip", ["b", "", "high"], ["output_0"], name="clip")], 1
    if kind == "computed bound":
        bound = node("ReduceMin", ["image"], ["least"], name="least", keepdims=0)
        return [*first, resize, bound, node("Clip", ["b", "least", "high"], ["output_0"], name="clip")], 0
    if kind == "cubic":
        cubic = node("Resize", ["a", "", "scales"], ["b"], name="resize", mode="cubic")
        return [*first, cubic, CLIP], 0
    if kind == "unknown":
        return [first[0], node("Resize", ["x", "", "scales"], ["b"], name="resize", **RESIZE), CLIP], 0
    if kind == "twice":
        inner = node("Clip", ["a", "low", "high"], ["c"], name="inner")
        return [*first, inner, node("Resize", ["c", "", "scales"], ["b"], name="resize", **RESIZE), CLIP], 2
    if kind == "after a clip":
        inner = node("Clip", ["x", "above", "high"], ["a"], name="inner")
        return [first[0], inner, resize, CLIP], 1
    return [node("Clip", ["image", "low", "high"], ["output_0"], name="clip")], 0


@pytest.mark.parametrize(
    "kind",
    ["resized sigmoid", "narrower", "one bound", "computed bound", "cubic", "unknown", "twice", "after a clip", "fed"],
)
def test_only_a_clip_that_does_nothing_goes(kind: str) -> None:
    nodes, idle = squashed(kind)
    constants = {"w": graphs.chance(3, 3, 1, 1), "scales": np.array([1, 1, 2, 2], np.float32), **BOUNDS}
    model = graphs.build(nodes, constants, (1, 3, 16, 16) if kind == "fed" else (1, 3, 32, 32))
    before, clips = output(model), sum(each.op_type == "Clip" for each in nodes)
    assert drop_idle_clips(model.graph) == idle
    assert sum(each.op_type == "Clip" for each in model.graph.node) == clips - idle
    assert np.array_equal(output(model), before)


def test_an_idle_clip_with_a_second_reader_of_its_input() -> None:
    nodes = [
        node("Sigmoid", ["image"], ["s"], name="sigmoid"), node("Clip", ["s", "low", "high"], ["c"], name="clip"),
        node("Add", ["s", "c"], ["output_0"], name="add"),
    ]  # fmt: skip
    model = graphs.build(nodes, BOUNDS, (1, 3, 16, 16))
    before = output(model)
    assert drop_idle_clips(model.graph) == 1
    assert np.array_equal(output(model), before)


PER_CHANNEL = np.array([58.4, 57.1, 57.4], np.float32)


@pytest.mark.parametrize(
    ("divisor", "conv", "folded"),
    [
        (PER_CHANNEL.reshape(1, 3, 1, 1), {}, True),
        (PER_CHANNEL.reshape(3, 1, 1), {}, True),
        (np.float32(255), {}, True),
        (np.float32(255), {"group": 3}, True),
        (PER_CHANNEL.reshape(1, 3, 1, 1), {"group": 3}, False),
        (np.linspace(1, 2, 16, dtype=np.float32), {}, False),
        (np.array([1, 0, 2], np.float32).reshape(1, 3, 1, 1), {}, False),
    ],
)
def test_a_division_goes_into_the_weights(divisor: np.ndarray, conv: dict, folded: bool) -> None:
    """Also where the convolution pads: 0 divided by anything is 0."""
    weight = graphs.chance(3, 3 // conv.get("group", 1), 3, 3)
    nodes = [
        node("Div", ["image", "d"], ["a"], name="div"),
        node("Conv", ["a", "w"], ["output_0"], name="conv", pads=[1] * 4, **conv),
    ]
    model = graphs.build(nodes, {"d": divisor, "w": weight}, (1, 3, 16, 16))
    before = output(model)
    assert fold_divisions(model.graph) == folded
    assert [each.op_type for each in model.graph.node] == (["Conv"] if folded else ["Div", "Conv"])
    assert np.allclose(output(model), before, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("kind", ["read twice", "weight read twice", "constant divided", "as the weight"])
def test_a_division_that_others_need_stays(kind: str) -> None:
    nodes = [
        node("Div", ["image", "d"], ["a"], name="div"),
        node("Conv", ["a", "w"], ["b"], name="conv"),
        node("Add", ["a" if kind == "read twice" else "image", "b"], ["output_0"], name="add"),
    ]
    if kind == "weight read twice":
        nodes[2:] = [
            node("Conv", ["image", "w"], ["c"], name="second"),
            node("Add", ["b", "c"], ["output_0"], name="add"),
        ]
    if kind == "constant divided":
        nodes[0] = node("Div", ["d", "image"], ["a"], name="div")
    if kind == "as the weight":
        nodes[0] = node("Div", ["w", "d"], ["a"], name="div")
        nodes[1] = node("Conv", ["image", "a"], ["b"], name="conv")
    model = graphs.build(nodes, {"d": np.array(3, np.float32), "w": graphs.chance(3, 3, 1, 1)}, (1, 3, 16, 16))
    text = model.SerializeToString()
    assert fold_divisions(model.graph) == 0
    assert model.SerializeToString() == text
