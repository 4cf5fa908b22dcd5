"""A graph that tells the least and the greatest value of its tensors: what calibration and the NPU's warnings read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


def add_range_outputs(model: ModelProto, tensors: Sequence[str]) -> list[str]:
    """Give the model, in place, two more scalar outputs for each named float32 tensor: its least and greatest value.

    Returns the new outputs' names, two for each tensor, in the order of `tensors`. The reductions are part of the
    graph, so that no tensor but the smallest leaves it.
    """
    from onnx import TensorProto, helper

    made = []
    for index, name in enumerate(tensors):
        for kind in ("Min", "Max"):
            made.append(f"lpcv range {index} {kind}")
            node = helper.make_node(f"Reduce{kind}", [name], [made[-1]], name=made[-1], keepdims=0)
            model.graph.node.append(node)
            model.graph.output.append(helper.make_tensor_value_info(made[-1], TensorProto.FLOAT, []))
    return made
