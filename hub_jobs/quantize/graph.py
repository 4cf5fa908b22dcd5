"""Small changes of an ONNX graph that quantizing needs, each on its own."""

from __future__ import annotations

import math

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

# Where a node's constant input is a weight, which several nodes may share: they quantize it alike.
WEIGHT_INPUT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}
HARD_SWISH_SINCE = 14  # operator set


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that the model was written in."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def consumers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """Tensor -> the nodes that read it, in the graph's order; a node that reads it twice stands there once."""
    found: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            found.setdefault(name, []).append(node)
    return found


def producers(graph: GraphProto) -> dict[str, NodeProto]:
    return {name: node for node in graph.node for name in node.output if name}


def float_tensors(graph: GraphProto) -> set[str]:
    """The float32 tensors that are computed or fed, as far as shape inference knows them."""
    known = (*graph.input, *graph.value_info, *graph.output)
    return {value.name for value in known if value.type.tensor_type.elem_type == TensorProto.FLOAT} - set(
        constants(graph)
    )


def name_nodes(graph: GraphProto, before: dict[str, str]) -> None:
    """Give every node a name of its own; what an optimiser made gets the name from before, if there is one.

    before: tensor -> name of the node that made it in the graph as it came
    """
    taken, known = set(), set(before.values())
    for node in graph.node:
        output = next((name for name in node.output if name), "")
        own = node.name if node.name in known else ""
        wanted = own or before.get(output) or node.name or f"{node.op_type}:{output}"
        name, copy = wanted, 2
        while name in taken:
            name, copy = f"{wanted}#{copy}", copy + 1
        taken.add(name)
        node.name = name


def fuse_hard_swish(graph: GraphProto) -> int:
    """Replace x * HardSigmoid(x) by HardSwish(x), one operator of the NPU; returns how many.

    ONNX Runtime's optimiser splits HardSwish, since its CPU has none. Quantized in two steps it is rounded twice.
    """
    readers, outputs, fused = consumers(graph), {value.name for value in graph.output}, 0
    for gate in list(graph.node):
        if gate.op_type != "HardSigmoid" or not _is_hard_swish_gate(gate) or gate.output[0] in outputs:
            continue
        after = readers.get(gate.output[0], [])
        if len(after) != 1 or after[0].op_type != "Mul" or set(after[0].input) != {gate.input[0], gate.output[0]}:
            continue
        product = after[0]
        swish = helper.make_node("HardSwish", [gate.input[0]], list(product.output), name=product.name)
        place = list(graph.node).index(product)
        del graph.node[place]
        graph.node.insert(place, swish)
        graph.node.remove(gate)
        fused += 1
    return fused


def _is_hard_swish_gate(node: NodeProto) -> bool:
    found = {attribute.name: attribute.f for attribute in node.attribute}
    alpha, beta = found.get("alpha", 0.2), found.get("beta", 0.5)  # ONNX's defaults
    return math.isclose(alpha, 1 / 6, rel_tol=1e-5) and math.isclose(beta, 0.5, rel_tol=1e-5)


def unshare_constants(graph: GraphProto) -> int:
    """Give every use of a float constant its own copy, weights excepted; returns the number of copies.

    A quantized bias carries the scale of its own node's input and weight, and a constant operand the bits of its own
    node. Exporters store equal constants once: in an untrained network all biases are one tensor of zeros.
    """
    known = {name: tensor for name, tensor in constants(graph).items() if tensor.data_type == TensorProto.FLOAT}
    names, seen, made = set(constants(graph)), set(), 0
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name not in known or WEIGHT_INPUT.get(node.op_type) == index:
                continue
            if name not in seen and not _is_weight_elsewhere(graph, name):
                seen.add(name)
                continue
            copy = TensorProto()
            copy.CopyFrom(known[name])
            number = 2
            while f"{name}#{number}" in names:
                number += 1
            copy.name = f"{name}#{number}"
            names.add(copy.name)
            graph.initializer.append(copy)
            node.input[index] = copy.name
            made += 1
    return made


def _is_weight_elsewhere(graph: GraphProto, name: str) -> bool:
    return any(
        index == WEIGHT_INPUT.get(node.op_type) and used == name
        for node in graph.node
        for index, used in enumerate(node.input)
    )


def prune_opsets(model: ModelProto) -> None:
    """Drop the operator sets that no node uses: ONNX Runtime declares all that it knows."""
    used = {"", *(("" if node.domain == "ai.onnx" else node.domain) for node in model.graph.node)}
    kept = [entry for entry in model.opset_import if ("" if entry.domain == "ai.onnx" else entry.domain) in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
