"""A quantized graph taken apart: every operator by itself, to be fed what it gets in the whole graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from lpcv.onnx_session import open_session
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

QDQ = ("QuantizeLinear", "DequantizeLinear")
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Unit:
    """kind: the operator; name: its node in the whole graph; step: the scale of its output's integers"""

    kind: str
    name: str
    step: float


def activations(model: ModelProto, image: Array) -> dict[str, Array]:
    """Each dequantized activation as ONNX Runtime computes it, by name."""
    known = {tensor.name for tensor in model.graph.initializer}
    copy = onnx.load_from_string(model.SerializeToString())
    names = [n.output[0] for n in copy.graph.node if n.op_type == "DequantizeLinear" and n.input[0] not in known]
    outputs = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    session = open_session(copy.SerializeToString(), optimised=False)
    return {name: np.asarray(value) for name, value in zip(names, session.run(names, {"image": image}), strict=True)}


def apart(model: ModelProto, values: dict[str, Array]) -> tuple[bytes, dict[str, Array], dict[str, Unit]]:
    """One model in which no operator follows another.

    Returns it, what to feed it (the integers of `values`, in floats), and what each of its outputs is.
    """
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = {name: node for node in model.graph.node for name in node.input}
    nodes = [node for node in model.graph.node if node.op_type == QDQ[1] and node.input[0] in known]
    feed: dict[str, Array] = {}
    units: dict[str, Unit] = {}
    outputs = []
    for index, node in enumerate(node for node in model.graph.node if node.op_type not in QDQ):
        own = NodeProto()
        own.CopyFrom(node)
        for position, name in enumerate(node.input):
            before = makers.get(name)
            if before is None or before.input[0] in known:
                continue
            assert before.op_type == QDQ[1], f"{node.name} is fed floats"
            given = f"in_{index}_{position}"
            feed[given] = values[name]
            nodes += _rounded(given, f"{given}_read", before)
            own.input[position] = f"{given}_read"
        after = readers[node.output[0]]
        assert after.op_type == QDQ[0], f"{node.name} gives floats"
        own.output[0] = f"made_{index}"
        nodes += [own, *_rounded(own.output[0], f"out_{index}", after)]
        units[f"out_{index}"] = Unit(
            node.op_type, node.name, float(numpy_helper.to_array(known[after.input[1]]).item())
        )
        outputs.append(helper.make_tensor_value_info(f"out_{index}", TensorProto.FLOAT, _shape(values, after, readers)))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in feed.items()]
    graph = helper.make_graph(nodes, "apart", inputs, outputs, list(known.values()))
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return made.SerializeToString(), feed, units


def _rounded(given: str, made: str, like: NodeProto) -> list[NodeProto]:
    scale = list(like.input[1:])
    return [
        helper.make_node("QuantizeLinear", [given, *scale], [f"{given}_whole"]),
        helper.make_node("DequantizeLinear", [f"{given}_whole", *scale], [made]),
    ]


def _shape(values: dict[str, Array], quantize: NodeProto, readers: dict[str, NodeProto]) -> tuple[int, ...]:
    return values[readers[quantize.output[0]].output[0]].shape
