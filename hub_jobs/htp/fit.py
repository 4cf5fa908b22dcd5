"""What of a model does not fit the NPU: which node, why, and what to use instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .advice import NodeFinding, advice_for
from .graph import DOUBLE, INT64, Graph, load
from .outcome import QDQ, Outcome, Refused, Unsupported

if TYPE_CHECKING:
    from onnx import NodeProto

MOST_DIMENSIONS = 5  # source: a Reshape to 6 dimensions is refused, one to 5 is not (onnxruntime-qnn 2.7.0)
NO_ADVICE = "Replace that operator in the model, or take it out of the exported part, and export again."
NO_SOURCE = "the compiler's own words"
_GENERIC = re.compile(r"Operators of type `?(\S+?)`? are not supported by QNN EP")
_UNTOLD = ("Failed to add node.", "Cannot get shape")


@dataclass(frozen=True)
class Misfit(NodeFinding):
    """A node that does not fit; a nameless one that makes y is called "Acos:y".

    on_hub_only: the emulator takes it, and AI Hub does not
    """

    on_hub_only: bool = False


def findings(model: Path | bytes, result: Outcome) -> list[Misfit]:
    """Everything in the way, causes only, in the graph's order; [] where all of it fits.

    result: of compiling that model. What stopped (memory, time, a crash) names no node; its own sentence says so.
    Raises InputError where `model` is no ONNX model.
    """
    graph = Graph(load(model))
    refused = _refused(graph, result) if isinstance(result, Refused) else ()
    at_border = _border(graph)
    named = {one.node for one in at_border if not one.on_hub_only}
    free = {name for name in graph.inputs if _is_free(graph, name)}
    causes = [one for one in refused if one.node not in named and not _is_consequence(graph, one, refused, free)]
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    found = [*at_border, *(_explained(graph, one) for one in causes)]
    return sorted(found, key=lambda one: order.get(one.node, len(order)))


def _border(graph: Graph) -> list[Misfit]:
    """Inputs (and outputs) that stop before the compiler looks at a node. The node named is the first at the value."""
    found = []
    for name in graph.inputs:
        tensor = graph.tensor(name)
        node = next(iter(graph.users.get(name, ())), None)
        if node is None:
            continue
        if _is_free(graph, name):
            shape = "?" if tensor.shape is None else ", ".join("?" if one is None else str(one) for one in tensor.shape)
            found.append(_misfit(node, f"The input '{name}' ({shape}) has a dimension without a fixed size."))
        if tensor.elem == INT64:
            found.append(_misfit(node, f"The input '{name}' is int64, which AI Hub refuses.", on_hub_only=True))
        if tensor.elem == DOUBLE:
            found.append(_misfit(node, f"The input '{name}' is float64, which the NPU has not."))
    for name in graph.outputs:
        if graph.tensor(name).elem == INT64 and (maker := graph.maker.get(name)) is not None:
            found.append(_misfit(maker, f"The output '{name}' is int64, which AI Hub refuses.", on_hub_only=True))
    return found


def _refused(graph: Graph, result: Refused) -> tuple[Unsupported, ...]:
    """The causes among what was refused; and what shares only a reason that says nothing, unless an operator is beside.

    A "/duplicated" node is the compiler's own, made for a second reader, and stands for the one that it is a copy of.
    """
    values = {node.name: {*filter(None, (*node.input, *node.output))} for node in graph.nodes}
    operators = {name for one in result.unsupported if one.op_type not in QDQ for name in values.get(one.node, ())}

    def stands_alone(one: Unsupported) -> bool:
        name = one.node.partition("/duplicated")[0]
        return one.reason in _UNTOLD and name in values and not values[name] & operators

    return tuple(one for one in result.unsupported if one in result.causes or stands_alone(one))


def _is_free(graph: Graph, name: str) -> bool:
    shape = graph.tensor(name).shape
    return shape is None or None in shape


def _is_consequence(graph: Graph, one: Unsupported, refused: tuple[Unsupported, ...], free: set[str]) -> bool:
    """A node whose shape is unknown because of an input of the model, or of a refused node before it."""
    if "Cannot get shape" not in one.reason:
        return False
    node = next((node for node in graph.nodes if node.name == one.node), None)
    if free or node is None:
        return bool(free)
    others = {other.node for other in refused} - {one.node}
    return any(name in graph.maker and graph.maker[name].name in others for name in node.input)


def _explained(graph: Graph, one: Unsupported) -> Misfit:
    node = next((node for node in graph.nodes if node.name == one.node), None)
    reason = one.reason
    if generic := _GENERIC.search(reason):
        reason = f"The NPU has no {generic[1]}."
    elif reason in _UNTOLD and node is not None:
        reason = _told_by_tensors(graph, node) or reason
    reason = f"{reason.removeprefix('QNN EP: ').rstrip('.')}."
    advice = advice_for(one.op_type, reason)
    return Misfit(one.node, one.op_type, reason, advice.remedy if advice else NO_ADVICE,
                  advice.source if advice else NO_SOURCE)  # fmt: skip


def _told_by_tensors(graph: Graph, node: NodeProto) -> str:
    """Why the compiler may have refused a node without saying so; "" where its tensors tell nothing."""
    for name, tensor in graph.around(node):
        if tensor.shape is not None and len(tensor.shape) > MOST_DIMENSIONS:
            return f"'{name}' has {len(tensor.shape)} dimensions, and no tensor may have more than 5 dimensions."
        if tensor.elem == DOUBLE:
            return f"'{name}' is float64, which the NPU has not."
    return ""


def _misfit(node: NodeProto, reason: str, *, on_hub_only: bool = False) -> Misfit:
    advice = advice_for("", reason)
    if advice is None:
        raise AssertionError(f"no advice for what this module itself finds: {reason}")
    return Misfit(node.name, node.op_type, reason, advice.remedy, advice.source, on_hub_only)
