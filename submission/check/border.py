"""Findings on a model that is no .onnx file: its border, in interface.py's words, and what cannot be decided of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from ...contract import CURRENT as CONTRACT
from .budget import budget_findings
from .findings import Finding
from .graph import graph_findings
from .interface import interface_findings
from .latency import latency_undecided
from .npu import npu_undecided

VALID, ONE_FILE = "valid ONNX", "one file"
ONE_NODE = helper.make_node("Identity", [CONTRACT.input_name], [CONTRACT.output_name])


@dataclass(frozen=True)
class Border:
    """An input or output. dtype: NumPy's name for it; shape: None for an extent, or all of it, that is not fixed"""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


def border_findings(inputs: Sequence[Border], outputs: Sequence[Border]) -> list[Finding]:
    """ "one input" to "output shape", as `interface_findings` has them for an .onnx file."""
    return [one for one in interface_findings(_model(inputs, outputs)) if one.name not in (VALID, ONE_FILE)]


def file_findings(validity: Finding | None, reason: str, remedy: str) -> list[Finding]:
    """ "valid ONNX" and "one file" of a single file. validity: of what it was converted to; None where it was not."""
    valid, one_file = interface_findings(_model([_IMAGE], [_DEPTH], [ONE_NODE]))[:2]
    return [validity or undecided(valid, reason, remedy), replace(one_file, expected="all weights in one file")]


def file_undecided(reason: str, remedy: str) -> list[Finding]:
    """Every finding on the graph, the NPU, the budget and the latency, undecided for this reason, in the table's order.

    reason: stands as what was found; remedy: one sentence
    """
    facade = _model([_IMAGE], [_DEPTH], [ONE_NODE])
    graph, budget = (
        [undecided(one, reason, remedy) for one in shown]
        for shown in (graph_findings(facade, None), budget_findings(facade))
    )
    return [*graph, *npu_undecided(reason, remedy), *budget, *latency_undecided(reason, remedy)]


def undecided(finding: Finding, reason: str, remedy: str) -> Finding:
    return replace(finding, state="undecided", found=reason, remedy=remedy, worst=())


_IMAGE = Border(CONTRACT.input_name, CONTRACT.tensor_dtype, CONTRACT.input_shape)
_DEPTH = Border(CONTRACT.output_name, CONTRACT.tensor_dtype, CONTRACT.output_shape)


def _model(inputs: Sequence[Border], outputs: Sequence[Border], nodes: Sequence[NodeProto] = ()) -> ModelProto:
    images, maps = (
        [helper.make_tensor_value_info(one.name, _code(one.dtype), one.shape) for one in side]
        for side in (inputs, outputs)
    )
    graph = helper.make_graph(list(nodes), "border", images, maps)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _code(dtype: str) -> int:
    """ONNX's number for the type; UNDEFINED, which no contract asks for, where ONNX has none."""
    if dtype == "bfloat16":
        return TensorProto.BFLOAT16
    try:
        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    except (TypeError, ValueError, KeyError):
        return TensorProto.UNDEFINED
