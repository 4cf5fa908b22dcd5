"""Which tensor gets how many bits, in the words of ONNX Runtime's quantizer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from onnx import GraphProto

from ...errors import InputError, UnknownNameError
from ...onnx_session import quantization_library
from ..precisions import INTEGERS, Precision
from . import graph as graphs
from .prepare import Prepared

Overrides = dict[str, list[dict[str, Any]]]

# Their constant inputs are weights, biases or indices; every other node's are operands, with its activations' bits.
WITH_WEIGHTS = {*graphs.WEIGHT_INPUT, "LayerNormalization", "InstanceNormalization", "BatchNormalization", "Gather"}


def demand_precision(precision: str, keep_16bit: Collection[str]) -> None:
    """Raises UnknownNameError for a precision that there is not, InputError where 16 bits are asked for twice."""
    if precision not in INTEGERS:
        raise UnknownNameError("precision", precision, INTEGERS)
    if precision == "w8a16" and keep_16bit:
        raise InputError("All activations of w8a16 have 16 bits already.", "Keep single layers in 16 bits with w8a8.")


def activation_type(precision: Precision) -> Any:
    types = quantization_library().QuantType
    return {"w8a8": types.QUInt8, "w8a16": types.QUInt16}[precision]


def overrides(prepared: Prepared, sixteen: Collection[str]) -> Overrides:
    """What differs from the rule of the precision: tensor -> settings.

    sixteen: nodes of a w8a8 model whose activations are to have 16 bits
    """
    graph = prepared.model.graph
    return _layer_norms(graph) | (_sixteen(graph, set(sixteen)) if sixteen else {})


def _layer_norms(graph: GraphProto) -> Overrides:
    """The NPU takes the weights of a layer norm as unsigned integers only (refused as int8, QAIRT 2.51)."""
    unsigned = {"quant_type": quantization_library().QuantType.QUInt8, "symmetric": False}
    known = graphs.constants(graph)
    return {
        node.input[1]: [dict(unsigned)]
        for node in graph.node
        if node.op_type == "LayerNormalization" and node.input[1] in known
    }


def _sixteen(graph: GraphProto, nodes: set[str]) -> Overrides:
    """Each tensor has the bits of the node that makes it, and is converted for readers that want the other number.

    The library can spread such a wish itself, but gives 16 bits to the following node too.
    """
    types = quantization_library().QuantType
    makers, readers, known = graphs.producers(graph), graphs.consumers(graph), graphs.constants(graph)
    found: Overrides = {}
    for name in sorted(graphs.float_tensors(graph)):
        wants = {node.name for node in readers.get(name, []) if node.name in nodes}
        others = {node.name for node in readers.get(name, [])} - wants
        maker = makers.get(name)
        # what is fed has no maker: it comes in 16 bits where nobody wants 8
        made_wide = maker.name in nodes if maker else bool(wants) and not others
        convert = others if made_wide else wants
        if not made_wide and not wants:
            continue
        setting: dict[str, Any] = {"quant_type": types.QUInt16 if made_wide else types.QUInt8}
        if convert:
            setting["convert"] = {
                "quant_type": types.QUInt8 if made_wide else types.QUInt16,
                "recv_nodes": convert,
            }
        found[name] = [setting]
    for node in graph.node:
        if node.name in nodes and node.op_type not in WITH_WEIGHTS:
            found |= {name: [{"quant_type": types.QUInt16}] for name in node.input if name in known}
    return found
