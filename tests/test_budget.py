"""What a model costs by counting, against numbers worked out by hand and against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from htp_graphs import graph, node
from lpcv.submission.check.budget import budget_findings, budget_of
from lpcv.submission.check.graph import graph_of
from onnx import ModelProto, TensorProto


def weights(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def layer(
    op: str, inputs: tuple[int, ...], shapes: dict[str, tuple[int, ...]], out: tuple[int, ...], **words: Any
) -> ModelProto:
    constants = {name: weights(*shape) for name, shape in shapes.items()}
    return graph([node(op, ["image", *shapes], ["output_0"], **words)], constants, shape=inputs, out_shape=out)


CASES = {
    # out 8 x 6 x 6, each from 3 x 3 x 3; 8 biases
    "Conv": (layer("Conv", (1, 3, 8, 8), {"w": (8, 3, 3, 3), "b": (8,)}, (1, 8, 6, 6)), 8 * 36 * 27, 8 * 27 + 8),
    "depthwise": (
        layer("Conv", (1, 4, 8, 8), {"w": (4, 1, 3, 3)}, (1, 4, 8, 8), group=4, pads=[1] * 4), 4 * 64 * 9, 36,
    ),
    "strided": (layer("Conv", (2, 3, 8, 8), {"w": (5, 3, 2, 2)}, (2, 5, 4, 4), strides=[2, 2]), 2 * 5 * 16 * 12, 60),
    # each of 3 x 4 x 4 inputs is multiplied into 5 x 2 x 2
    "ConvTranspose": (
        layer("ConvTranspose", (1, 3, 4, 4), {"w": (3, 5, 2, 2)}, (1, 5, 8, 8), strides=[2, 2]), 3 * 16 * 20, 60,
    ),
    "Gemm": (layer("Gemm", (4, 7), {"w": (7, 5), "b": (5,)}, (4, 5)), 4 * 5 * 7, 40),
    "Gemm, both transposed": (layer("Gemm", (7, 4), {"w": (5, 7)}, (4, 5), transA=1, transB=1), 4 * 5 * 7, 35),
    "MatMul": (layer("MatMul", (2, 3, 4, 7), {"w": (7, 5)}, (2, 3, 4, 5)), 2 * 3 * 4 * 5 * 7, 35),
    "attention": (graph([node("MatMul", ["image", "t"], ["output_0"]),], {"t": weights(1, 3, 16, 16)}), 3 * 16**3, 768),
    "Relu": (layer("Relu", (1, 3, 8, 8), {}, (1, 3, 8, 8)), 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_multiplications_and_parameters_by_hand(name: str) -> None:
    model, macs, parameters = CASES[name]
    found = budget_of(graph_of(model))
    assert (found.macs, found.parameters, found.uncounted, found.unsized) == (macs, parameters, (), 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_counts_the_same_parameters(tmp_path: Path) -> None:
    import onnx
    import torch

    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=True), torch.nn.ReLU(), torch.nn.ConvTranspose2d(8, 2, 2, stride=2),
    ).eval()  # fmt: skip
    file = tmp_path / "m.onnx"
    torch.onnx.export(network, (torch.zeros(1, 3, 16, 16),), str(file), dynamo=False, opset_version=17)
    found = budget_of(graph_of(onnx.load(str(file))))
    assert found.parameters == sum(one.numel() for one in network.parameters())
    assert found.macs == 8 * 14 * 14 * 27 + 8 * 14 * 14 * 2 * 4


def test_sizes_axes_and_scales_are_no_parameters() -> None:
    nodes = [
        node("DequantizeLinear", ["q", "scale", "zero"], ["w"]), node("Conv", ["image", "w"], ["a"]),
        node("Reshape", ["a", "sizes"], ["output_0"]),
    ]  # fmt: skip
    constants = {
        "q": np.ones((4, 3, 1, 1), np.int8), "scale": np.float32(0.1), "zero": np.int8(0), "sizes": np.array([1, 1024]),
        "unused": weights(99),
    }  # fmt: skip
    found = budget_of(graph_of(graph(nodes, constants, out_shape=(1, 1024))))
    assert (found.parameters, found.macs) == (12, 4 * 256 * 3)


def test_the_largest_activation_in_its_own_type() -> None:
    nodes = [
        node("Conv", ["image", "w"], ["wide"]), node("Cast", ["wide"], ["half"], to=TensorProto.FLOAT16),
        node("Cast", ["half"], ["back"], to=TensorProto.FLOAT), node("ReduceMean", ["back"], ["output_0"], keepdims=1),
    ]  # fmt: skip
    constants = {"w": weights(100, 3, 1, 1), "big": weights(1, 10_000_000)}
    found = budget_of(graph_of(graph(nodes, constants, out_shape=(1, 1, 1, 1))))
    assert found.largest in ("wide", "back")
    assert (found.largest_shape, found.largest_mb) == ((1, 100, 16, 16), 100 * 256 * 4 / 1e6)


def test_what_cannot_be_counted_is_said_and_undecided() -> None:
    nodes = [
        node("Einsum", ["image", "image"], ["a"], equation="bcij,bcjk->bcik"),
        node("MatMul", ["a", "w"], ["output_0"]),
    ]
    parameters, macs, activation = budget_findings(graph(nodes, {"w": weights(16, 16)}))
    assert (parameters.state, activation.state) == ("pass", "pass")
    assert (macs.state, macs.found) == ("undecided", "at least 0.000 G; not counted: 1 Einsum")


def test_a_node_that_no_valid_model_has_is_not_counted() -> None:
    _, macs, _ = budget_findings(graph([node("Conv", ["image"], ["output_0"])]))
    assert (macs.state, "not counted: 1 Conv" in macs.found) == ("undecided", True)


def test_free_sizes_are_undecided() -> None:
    model = graph(
        [node("MatMul", ["image", "w"], ["output_0"])], {"w": weights(16, 16)}, shape=("n", 3, 16, 16), out_shape=None
    )
    _, macs, activation = budget_findings(model)
    assert (macs.state, activation.state) == ("undecided", "undecided")


def test_the_lines_literally() -> None:
    found = budget_findings(layer("Conv", (1, 3, 480, 640), {"w": (16, 3, 3, 3)}, (1, 16, 480, 640), pads=[1] * 4))
    assert [(one.name, one.state, one.found) for one in found] == [
        ("parameters", "pass", "0.000 M (432)"),
        ("MACs", "pass", "0.133 G"),
        ("largest activation", "pass", "19.66 MB: output_0 (1x16x480x640)"),
    ]
