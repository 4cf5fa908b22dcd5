"""Findings on the graph: versions, size and Resizes, each caught by its own name and by no other."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from htp_graphs import graph, node
from lpcv.submission.check.findings import Finding
from lpcv.submission.check.graph import MOST_FILE_BYTES, called, computed_nodes, graph_findings, graph_of
from onnx import ModelProto, TensorProto, helper

LARGER = {"s": np.array([1, 3, 32, 32], np.int64)}


def by_name(model: ModelProto, path: Path | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in graph_findings(model, path)}


def relu() -> ModelProto:
    return graph([node("Relu", ["image"], ["output_0"], "r")])


def resize(of_constant: bool = False, **attributes: object) -> ModelProto:
    """Of what a Relu gives; or of a constant, which is added."""
    if of_constant:
        nodes = [
            node("Resize", ["e", "", "", "s"], ["b"], "/net/Resize", **attributes),
            node("Add", ["image", "b"], ["output_0"]),
        ]
        constants = {"e": np.ones((1, 3, 8, 8), np.float32), "s": np.array([1, 3, 16, 16], np.int64)}
        return graph(nodes, constants)
    nodes = [
        node("Relu", ["image"], ["a"]),
        node("Resize", ["a", "", "", "s"], ["output_0"], "/net/Resize", **attributes),
    ]
    return graph(nodes, LARGER, out_shape=(1, 3, 32, 32))


def not_passed(model: ModelProto) -> dict[str, str]:
    return {name: finding.state for name, finding in by_name(model).items() if finding.state != "pass"}


def test_a_plain_model_passes_all_in_the_order_of_the_table() -> None:
    found = graph_findings(relu(), None)
    assert [(one.name, one.state) for one in found] == [
        (name, "pass")
        for name in ("IR version", "operator set", "file size", "resize antialias", "resize align_corners")
    ]


@pytest.mark.parametrize(("version", "expected"), [(8, {}), (11, {}), (12, {"IR version": "fail"})])
def test_the_ir_version_that_ai_hub_refused(version: int, expected: dict[str, str]) -> None:
    model = relu()
    model.ir_version = version
    assert not_passed(model) == expected
    assert "qualcomm/ai-hub-apps#114" in by_name(model)["IR version"].why


@pytest.mark.parametrize(
    ("version", "expected"), [(6, "undecided"), (7, "pass"), (18, "pass"), (23, "pass"), (24, "fail")]
)
def test_the_operator_set(version: int, expected: str) -> None:
    model = relu()
    model.opset_import[0].version = version
    found = by_name(model)["operator set"]
    assert (found.state, f"operator set {version}" in found.found) == (expected, True)


def test_operators_of_somebodys_own_are_undecided_and_named() -> None:
    model = graph([helper.make_node("Secret", ["image"], ["output_0"], domain="com.example")])
    model.opset_import.append(helper.make_opsetid("com.example", 99))
    found = by_name(model)["operator set"]
    assert found.state == "undecided"
    assert "com.example (1 Secret)" in found.found
    model.opset_import[0].version = 24  # what is known to fail is not softened
    assert by_name(model)["operator set"].state == "fail"


def test_a_function_of_the_models_own_is_looked_into() -> None:
    inner = helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear", antialias=1)
    function = helper.make_function("mine", "Up", ["x", "s"], ["y"], [inner], [helper.make_opsetid("", 19)])
    model = graph(
        [helper.make_node("Up", ["image", "s"], ["output_0"], domain="mine")], LARGER, out_shape=(1, 3, 32, 32)
    )
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.functions.append(function)
    assert not_passed(model) == {"resize antialias": "fail"}
    assert len(model.functions) == 1, "the model that was given is not changed"


@pytest.mark.parametrize(("size", "state"), [(MOST_FILE_BYTES, "pass"), (MOST_FILE_BYTES + 1, "fail")])
def test_the_size_to_the_byte(tmp_path: Path, size: int, state: str) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as stream:
        stream.truncate(size)  # sparse: takes no room
    found = by_name(relu(), path)["file size"]
    assert (found.state, found.found.split()[0]) == (state, str(size))


def test_weights_beside_the_model_count(tmp_path: Path) -> None:
    model = graph([node("Add", ["image", "w"], ["output_0"])], {"w": np.ones((1, 3, 16, 16), np.float32)})
    path = tmp_path / "model.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    with (tmp_path / "w.bin").open("ab") as stream:
        stream.truncate(MOST_FILE_BYTES)
    outside = onnx.load(str(path), load_external_data=False)
    assert by_name(outside, path)["file size"].state == "fail"


def test_antialias_fails_with_its_remedy() -> None:
    model = resize(mode="linear", antialias=1)
    assert not_passed(model) == {"resize antialias": "fail"}
    found = by_name(model)["resize antialias"]
    assert found.found == "1: /net/Resize"
    assert "antialias=False" in found.remedy


def test_a_resize_of_a_constant_is_folded_and_passes() -> None:
    model = resize(of_constant=True, mode="cubic", antialias=1, coordinate_transformation_mode="align_corners")
    assert not_passed(model) == {}
    assert [one.op_type for one in computed_nodes(graph_of(model))] == ["Add"]


def test_align_corners_is_named_and_not_condemned() -> None:
    model = resize(mode="linear", coordinate_transformation_mode="align_corners")
    assert not_passed(model) == {"resize align_corners": "undecided"}
    assert by_name(model)["resize align_corners"].found.startswith("1: /net/Resize;")
    nearest = by_name(resize(mode="nearest", coordinate_transformation_mode="align_corners"))["resize align_corners"]
    assert "other pixels" in nearest.found


def test_randomness_is_no_constant() -> None:
    nodes = [node("RandomNormal", [], ["e"], shape=[1, 3, 16, 16]), node("Add", ["image", "e"], ["output_0"])]
    assert [one.op_type for one in computed_nodes(graph_of(graph(nodes)))] == ["RandomNormal", "Add"]


def test_nameless_nodes_have_a_name() -> None:
    assert called(node("Relu", ["image"], ["y"])) == "Relu:y"


def test_two_thousand_nodes_take_no_time() -> None:
    names = ["image", *(f"v{index}" for index in range(2000)), "output_0"]
    model = graph([node("Relu", [a], [b]) for a, b in pairwise(names)])
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    start = time.perf_counter()
    assert not_passed(model) == {}
    assert time.perf_counter() - start < 2
