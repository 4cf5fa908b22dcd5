"""The exported graph in the form that Qualcomm's compiler computes most exactly, with the same values in float32."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# From the Snapdragon 8 Gen 2 (v73) on, the HTP compiler fuses these into the layer before them in half precision, and
# the fused form errs by up to 0.0037 (Sigmoid) and 0.0074 (Tanh); alone they err by 0.0008 and 0.0003, which is mostly
# half precision itself. No option of the compiler turns that off; a Clip in between does, at 0.4 % of the student's
# simulated latency. Measured on the emulator, onnxruntime-qnn 2.7.0, 2026-11; whether a phone errs alike is not known.
FUSED_AND_INEXACT = ("Sigmoid", "Tanh")
BOUNDED_BY = ("Clip", "Relu")  # what keeps the two apart already
# Neither function differs from its limit by more than 4e-44 beyond it, so float32's values and the score stay.
LIMIT = 100.0


def keep_activations_apart(model: ModelProto) -> int:
    """Put a Clip to +-LIMIT before each Sigmoid and Tanh of the graph, in place; how many that are.

    A float32 graph is expected, as the exporter writes it: a Clip's bounds have the type of its input.
    """
    graph = model.graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    nodes: list[NodeProto] = []
    clips = 0
    for node in graph.node:
        if node.op_type in FUSED_AND_INEXACT and made_by.get(node.input[0]) not in BOUNDED_BY:
            bounded = f"{node.input[0]}_bounded_{clips}"
            nodes.append(helper.make_node("Clip", [node.input[0], *_BOUNDS], [bounded], name=f"{node.name}_bound"))
            node.input[0] = bounded
            clips += 1
        nodes.append(node)
    if clips:
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(_bound(name, value) for name, value in _BOUNDS.items())
    return clips


_BOUNDS = {"activation_min": -LIMIT, "activation_max": LIMIT}


def _bound(name: str, value: float) -> TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32), name)
