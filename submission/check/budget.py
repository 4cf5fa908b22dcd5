"""What a model costs by counting: parameters, multiplications, the largest activation. Nothing is run.

The rules limit none of these: they are shown so that a slip (a layer at full size, say) is seen, and each passes once
it could be counted. The latency, which the rules do limit, is `latency_findings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, helper

from ...hub_jobs.htp.graph import Graph
from .findings import Finding, State
from .graph import BYTES_PER_MB, computed_nodes, counts, graph_of

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
UNCOUNTED = (
    "Einsum", "Attention", "MultiHeadAttention", "LSTM", "GRU", "RNN", "DeformConv", "ConvInteger", "MatMulInteger",
    "QLinearConv", "QLinearMatMul", "QGemm", "FusedConv", "FusedMatMul", "If", "Loop", "Scan",
)  # fmt: skip
"""Operators that multiply, and whose multiplications are not counted."""
NO_LIMIT = "counted; the rules set no limit"


@dataclass(frozen=True)
class Budget:
    """parameters: weights and biases; macs: multiplications with addition of one frame, at least so many

    uncounted: operators that multiply and could not be counted; largest_mb: the largest computed tensor in the type
    that the file gives it, MB (1e6 bytes), None where no size is known; unsized: how many computed tensors have none
    """

    parameters: int
    macs: int
    uncounted: tuple[str, ...]
    largest: str
    largest_shape: tuple[int, ...]
    largest_mb: float | None
    unsized: int


def budget_of(graph: Graph) -> Budget:
    """Count. Only what the picture goes through counts; constants are folded before a frame is computed."""
    nodes = computed_nodes(graph)
    macs = {id(node): macs_of(graph, node) for node in nodes}
    sizes = {name: _bytes(graph, name) for node in nodes for name in node.output if name}
    sizes |= {name: _bytes(graph, name) for name in graph.inputs}
    known = {name: size for name, size in sizes.items() if size is not None}
    largest = max(known, key=lambda name: known[name], default="")
    shape = graph.tensor(largest).shape or ()
    return Budget(
        parameters=_parameters(graph),
        macs=sum(value for value in macs.values() if value),
        uncounted=tuple(node.op_type for node in nodes if macs[id(node)] is None),
        largest=largest,
        largest_shape=tuple(extent or 0 for extent in shape),
        largest_mb=known[largest] / BYTES_PER_MB if known else None,
        unsized=len(sizes) - len(known),
    )


def macs_of(graph: Graph, node: NodeProto) -> int | None:
    """Multiplications of Conv, ConvTranspose, Gemm and MatMul; 0 for what has none, None where they are not known.

    Conv: each output takes Cin/group x kernel of them. ConvTranspose: each INPUT gives Cout/group x kernel. Gemm and
    MatMul: each output takes as many as the inner dimension is long. Additions of a bias are not counted.
    """
    if node.op_type in UNCOUNTED:
        return None
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    if len(node.input) < 2:  # no valid model has such a node, and this one is still to be told so
        return None
    first, second, output = (_shape(graph, name) for name in (*node.input[:2], node.output[0]))
    if not first or not second or output is None:
        return None
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(second[1:])  # weights (Cout, Cin/group, *kernel)
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])  # weights (Cin, Cout/group, *kernel)
    transposed = any(one.name == "transA" and one.i for one in node.attribute)
    return math.prod(output) * first[0 if node.op_type == "Gemm" and transposed else -1]


def budget_findings(model: ModelProto, graph: Graph | None = None) -> list[Finding]:
    """Parameters, MACs, largest activation. graph: of `graph_of(model)`, where it is there already."""
    budget = budget_of(graph or graph_of(model))
    return [_parameter_finding(budget), _mac_finding(budget), _activation_finding(budget)]


def _parameter_finding(budget: Budget) -> Finding:
    return Finding(
        "parameters",
        "pass",
        NO_LIMIT,
        f"{budget.parameters / 1e6:.3f} M ({budget.parameters})",
        "They are what is uploaded and loaded; the latency follows the multiplications more than them.",
        "Fewer channels, or a smaller encoder.",
    )


def _mac_finding(budget: Budget) -> Finding:
    state: State = "undecided" if budget.uncounted else "pass"
    found = f"{budget.macs / 1e9:.3f} G"
    if budget.uncounted:
        found = f"at least {found}; not counted: {counts(budget.uncounted)}"
    return Finding(
        "MACs",
        state,
        NO_LIMIT,
        found,
        "From them alone a latency is guessed within a factor of 1.32 for half of the published networks, and of 2.49 "
        "for nine of ten.",
        "Work at a smaller size inside, or with fewer channels where the maps are large; export with fixed sizes.",
    )


def _activation_finding(budget: Budget) -> Finding:
    state: State = "undecided" if budget.largest_mb is None or budget.unsized else "pass"
    found = "no size is known"
    if budget.largest_mb is not None:
        shape = "x".join(str(extent) for extent in budget.largest_shape)
        found = f"{budget.largest_mb:.2f} MB: {budget.largest} ({shape})"
    if budget.unsized:
        found += f"; {budget.unsized} tensors have no known size"
    return Finding(
        "largest activation",
        state,
        NO_LIMIT,
        found,
        "What does not fit the NPU's fast memory (some 8 MB) is moved in and out in pieces, and single operators have "
        "been refused for it (pytorch/executorch#1430, microsoft/onnxruntime#24876). The NPU holds floats in half of "
        "these bytes.",
        "Shrink the picture first and enlarge the map last; keep few channels at full size.",
    )


def _parameters(graph: Graph) -> int:
    """Elements of float constants that nodes use, and of quantized ones; not scales, zero points, sizes or axes."""
    quantizers = ("QuantizeLinear", "DequantizeLinear")
    total = 0
    for name, tensor in graph.constants.items():
        uses = [
            (node.op_type, index) for node in graph.users.get(name, []) for index, used in enumerate(node.input)
            if used == name
        ]  # fmt: skip
        as_weight = any(kind not in quantizers for kind, _ in uses) and tensor.data_type in FLOATS
        if as_weight or any(kind in quantizers and index == 0 for kind, index in uses):
            total += math.prod(tensor.dims)
    return total


def _bytes(graph: Graph, name: str) -> int | None:
    shape, elem = _shape(graph, name), graph.tensor(name).elem
    if shape is None or elem in (TensorProto.UNDEFINED, TensorProto.STRING):
        return None
    return math.prod(shape) * helper.tensor_dtype_to_np_dtype(elem).itemsize


def _shape(graph: Graph, name: str) -> tuple[int, ...] | None:
    """None where an extent is not known."""
    shape = graph.tensor(name).shape
    if shape is None:
        return None
    extents = tuple(extent for extent in shape if extent is not None)
    return extents if len(extents) == len(shape) else None
