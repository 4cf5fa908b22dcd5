"""Findings on the graph and its file: versions that AI Hub reads, size, and Resizes in a form that costs something.

What else belongs to the graph has its name elsewhere: 64-bit numbers and free sizes at the border are "input type",
"output type", "input shape" and "output shape", external data is "one file" (`interface`); operators: `npu_findings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx.inliner
from onnx import ModelProto, NodeProto

from ...console import some
from ...hub_jobs.htp.advice import advice_for
from ...hub_jobs.htp.graph import Graph, attribute
from ...onnx_session import external_files
from .findings import Finding, State, state_of

MOST_IR, MOST_OPSET = 11, 23
VERSIONS_SOURCE = (
    "AI Hub's own words 'ir_version 12 is higher than the checker's (11)', qualcomm/ai-hub-apps#114, 2025-10-17; "
    "qai_hub_models names onnx 1.18 as the last compatible one, utils/onnx/helpers.py"
)
"""onnx 1.18 knows IR version 11 and operator set 23. Whether AI Hub has moved on since cannot be asked offline."""
LEAST_OPSET = 7
"""ONNX Runtime guarantees no less (microsoft/onnxruntime#4200). How old a set AI Hub takes is written nowhere."""
STANDARD_DOMAINS = ("", "ai.onnx")
MOST_FILE_BYTES = 2**31 - 1
"""Protobuf's limit for one message; source: protobuf.dev, "Proto Limits"."""
BYTES_PER_MB = 1e6
FROM_NOTHING = ("Random", "Bernoulli", "Multinomial")
"""Operators (beginnings of names) whose output is no constant, though no input or a constant one goes in."""


def graph_of(model: ModelProto) -> Graph:
    """The graph with inferred shapes, functions of the model's own written out; the model itself is not changed."""
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception:  # of its C++ part, or protobuf's above 2 GB: the graph with its calls is still worth a look
            return Graph(model)
    return Graph(model)


def graph_findings(model: ModelProto, path: Path | None, graph: Graph | None = None) -> list[Finding]:
    """IR version, operator set, file size, resize antialias, resize align_corners.

    path: the file, for its size, None where there is none; graph: of `graph_of(model)`, where it is there already
    """
    graph = graph or graph_of(model)
    return [_ir(model), _opset(model, graph), _size(model, path), _antialias(graph), _align_corners(graph)]


def computed_nodes(graph: Graph) -> list[NodeProto]:
    """The nodes that work on the picture; what hangs on constants and fixed shapes alone is folded before it runs."""
    fixed, kept = set(graph.constants), []
    for node in graph.nodes:
        given = [name for name in node.input if name]
        if node.op_type in ("Constant", "Shape") or (
            all(name in fixed for name in given) and not node.op_type.startswith(FROM_NOTHING)
        ):
            fixed.update(node.output)
        else:
            kept.append(node)
    return kept


def inner_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes in the bodies of If, Loop and Scan, at any depth."""
    for node in nodes:
        for one in node.attribute:
            for body in (*([one.g] if one.HasField("g") else []), *one.graphs):
                yield from body.node
                yield from inner_nodes(body.node)


def called(node: NodeProto) -> str:
    """The node's name, or "Erf:y" for a nameless one that makes y."""
    return node.name or f"{node.op_type}:{node.output[0] if node.output else ''}"


def counts(words: Iterable[str]) -> str:
    """ "3 Erf, 1 Trilu", the most frequent first."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def _ir(model: ModelProto) -> Finding:
    return Finding(
        "IR version",
        state_of(model.ir_version <= MOST_IR),
        f"at most {MOST_IR}",
        str(model.ir_version),
        f"AI Hub refuses what its checker cannot read ({VERSIONS_SOURCE}).",
        f"Export with onnx 1.18 or earlier, or set model.ir_version = {MOST_IR} and save it again: onnx.checker says "
        "whether that is still valid.",
    )


def _opset(model: ModelProto, graph: Graph) -> Finding:
    version = max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=0)
    foreign = sorted({node.domain for node in graph.nodes} - set(STANDARD_DOMAINS))
    state: State = state_of(version <= MOST_OPSET)
    found = f"operator set {version}"
    if state == "pass" and version < LEAST_OPSET:
        state, found = "undecided", f"{found}: nowhere is written whether AI Hub takes one so old"
    if foreign:
        kinds = counts(node.op_type for node in graph.nodes if node.domain in foreign)
        found += f", and operators of {', '.join(foreign)} ({kinds})"
        if state == "pass":
            state, found = "undecided", f"{found}: nowhere is written whether AI Hub knows them"
    return Finding(
        "operator set",
        state,
        f"{LEAST_OPSET} to {MOST_OPSET}, operators of ONNX itself",
        found,
        f"AI Hub's checker knows no later set, and its converters may not know somebody's own ({VERSIONS_SOURCE}).",
        "Export with operator set 18, as `lpcv export` does, or bring it there with onnx.version_converter.",
    )


def _size(model: ModelProto, path: Path | None) -> Finding:
    """The .onnx file together with the weights beside it, which have to go into it."""
    if path is None:
        size = model.ByteSize()
    else:
        beside = [path.parent / name for name in external_files(model)]
        size = sum(file.stat().st_size for file in (path, *beside) if file.is_file())
    return Finding(
        "file size",
        state_of(size <= MOST_FILE_BYTES),
        f"at most {MOST_FILE_BYTES} bytes with all weights inside",
        f"{size} bytes ({size / BYTES_PER_MB:.1f} MB)",
        "An ONNX file is one protobuf message, which ends at 2 GB: a larger one cannot be one file.",
        "Use a smaller network, or store its weights in half precision.",
    )


def _antialias(graph: Graph) -> Finding:
    nodes = [*computed_nodes(graph), *inner_nodes(graph.nodes)]
    found = [node for node in nodes if node.op_type == "Resize" and attribute(node, "antialias", 0)]
    advice = advice_for("Resize", "antialias")
    if advice is None:
        raise AssertionError("the table of advice has no row for antialias")
    return Finding(
        "resize antialias",
        state_of(not found),
        "no Resize with antialias",
        f"{len(found)}: {some([called(node) for node in found])}" if found else "none",
        f"The NPU's compiler refuses it ({advice.source}).",
        advice.remedy,
    )


def _align_corners(graph: Graph) -> Finding:
    """Never a failure: trained so, a network is right so; and compiled and emulated it is computed as written."""
    found = [
        node
        for node in (*computed_nodes(graph), *inner_nodes(graph.nodes))
        if node.op_type == "Resize" and attribute(node, "coordinate_transformation_mode", "") == "align_corners"
    ]
    nearest = [node for node in found if attribute(node, "mode", "nearest") == "nearest"]
    said = f"{len(found)}: {some([called(node) for node in found])}"
    if nearest:
        said += f"; of them {len(nearest)} nearest, for which the emulator takes other pixels at some sizes"
    return Finding(
        "resize align_corners",
        "undecided" if found else "pass",
        "no Resize with align_corners",
        f"{said}; right where the network was trained so" if found else "none",
        "It moves what it enlarges by up to half a coarse pixel towards the border, while the scorer compares pixel "
        "centres. Linear and cubic ones fit the NPU and are computed as written (emulated with onnxruntime-qnn 2.7.0, "
        "2026-11-21); on a phone it was not tried.",
        "Use align_corners=False (half_pixel) and train so; keep it where pre-trained weights expect it.",
    )
