"""The layers of a graph that are quantized: what a sensitivity analysis turns on and off one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod

from ...errors import InputError, UnknownNameError
from . import graph as graphs
from .precision import WITH_WEIGHTS
from .prepare import Prepared

NEVER = ("Cast", "QuantizeLinear", "DequantizeLinear")
RANGE_ONLY = ("Relu", "Clip")  # quantized, these are only the range of what comes before: the library removes them


@dataclass(frozen=True)
class Layer:
    """One operator that computes with floats, with the Relu or Clip right behind it.

    name: its node's name; nodes: that one and those behind it; weights: how many it has, 0 for most operators
    """

    name: str
    op_type: str
    nodes: tuple[str, ...]
    weights: int


def layers(prepared: Prepared) -> list[Layer]:
    """The layers that quantizing changes, in the graph's order."""
    graph = prepared.model.graph
    floats, constants, readers = graphs.float_tensors(graph), graphs.constants(graph), graphs.consumers(graph)
    outputs = {value.name for value in graph.output}
    found: dict[str, list[str]] = {}
    kinds: dict[str, tuple[str, int]] = {}
    head_of: dict[str, str] = {}  # tensor -> the layer that makes it
    for node in graph.node:
        if node.op_type in NEVER or not floats & set(node.input) or not floats & set(node.output):
            continue
        before = node.input[0]
        alone = len(readers.get(before, [])) == 1 and before not in outputs
        head = head_of.get(before, node.name) if node.op_type in RANGE_ONLY and alone else node.name
        found.setdefault(head, []).append(node.name)
        if head == node.name:
            inputs = node.input if node.op_type in WITH_WEIGHTS else ()
            kinds[head] = (node.op_type, sum(prod(constants[name].dims) for name in inputs if name in constants))
        head_of |= dict.fromkeys(node.output, head)
    return [Layer(name, kinds[name][0], tuple(nodes), kinds[name][1]) for name, nodes in found.items()]


def with_readers(prepared: Prepared, nodes: Collection[str]) -> set[str]:
    """These nodes and the layers that read what they make: a value that they give in 16 bits is read in 16 bits."""
    graph = prepared.model.graph
    made = {name for node in graph.node if node.name in nodes for name in node.output}
    reading = {node.name for node in graph.node if made & set(node.input)}
    return set(nodes).union(*(layer.nodes for layer in layers(prepared) if reading & set(layer.nodes)))


def nodes_of(prepared: Prepared, names: Collection[str]) -> set[str]:
    """The nodes that these names stand for: of a layer all its nodes, of a node itself.

    Raises UnknownNameError where the graph has no such layer.
    """
    if isinstance(names, str):
        raise InputError(f"'{names}' is one name where several are wanted.", "Give a list of layers.")
    known = {layer.name: layer.nodes for layer in layers(prepared)}
    every = {node for nodes in known.values() for node in nodes}
    for name in names:
        if name not in every:
            raise UnknownNameError("layer", name, known)
    return {node for name in names for node in known.get(name, (name,))}
