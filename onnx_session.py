"""ONNX Runtime behind one door: telemetry off before the import, errors as sentences; and a model's files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .errors import InputError, first_line

if TYPE_CHECKING:
    import onnxruntime
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto


def open_session(
    model: Path | bytes, threads: int | None = None, profile_to: Path | None = None, *, optimised: bool | None = None
) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU. Raises InputError where the model cannot be loaded.

    threads: how many one operator may use; None leaves the choice to ONNX Runtime (one per physical core).
    profile_to: beginning of the name of a JSON trace with the time of each node, which `end_profiling()` writes
    optimised: False runs the graph as it is written; by default a quantized one is. It is then computed as the NPU
        computes it; else ONNX Runtime puts integer operators of its own in place, which round (and on some CPUs
        saturate) differently.
    """
    options = _session_options()
    if optimised is False or (optimised is None and is_quantized(model)):
        import onnxruntime

        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile_to is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile_to)
    return _session(model, options)


def is_quantized(model: Path | bytes) -> bool:
    """Whether the graph holds integers in ONNX's way (QDQ). False for what is no file."""
    # NodeProto.op_type as it lies in the file (field 4, length, word): a large model's weights need not be parsed.
    marks = [bytes((0x22, len(word))) + word for word in (b"QuantizeLinear", b"DequantizeLinear")]
    if isinstance(model, Path):
        if not model.is_file() or not model.stat().st_size:
            return False
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(mark) >= 0 for mark in marks)
    return any(mark in model for mark in marks)


def warm_up() -> None:
    """Import ONNX Runtime and open a session of one node, so that what is measured afterwards holds neither."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "warm_up", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    open_session(model.SerializeToString())


def save_optimised(model: Path, place: Path) -> None:
    """Write the graph as ONNX Runtime simplifies it, for any CPU (constants folded, no fused operators of its own).

    Raises InputError where the model cannot be loaded.
    """
    options = _session_options()
    import onnxruntime

    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(place)
    _session(model, options)


def quantization_library() -> ModuleType:
    """`onnxruntime.quantization`, with the parts that `hub_jobs/quantize` calls."""
    _no_telemetry()
    import onnxruntime.quantization
    import onnxruntime.quantization.execution_providers.qnn
    import onnxruntime.quantization.qdq_quantizer

    return onnxruntime.quantization


def _no_telemetry() -> None:
    # ONNX Runtime 1.31 sends telemetry from Linux unless this is set before its first import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _session_options() -> onnxruntime.SessionOptions:
    _no_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: warnings about unused initializers frighten without cause
    return options


def _session(model: Path | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    import onnxruntime

    if isinstance(model, Path) and not model.is_file():
        raise InputError(f"{model} does not exist.", "`lpcv export RUN` writes RUN/model.onnx.")
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's exceptions share no base class but this one
        name = model if isinstance(model, Path) else "the model"
        reason = first_line(error)
        raise InputError(f"ONNX Runtime cannot load {name} ({reason}).", "Export the model again.") from error


def onnxruntime_version() -> str:
    from importlib.metadata import version

    return version("onnxruntime")


def session_metadata(session: onnxruntime.InferenceSession) -> dict[str, str]:
    """The key-value pairs that the exporter wrote into the model."""
    return dict(session.get_modelmeta().custom_metadata_map)


def model_files(path: Path) -> list[Path]:
    """The model, and after it, in sorted order, the files beside it in which it keeps tensors.

    Raises InputError where it is not an ONNX file, or one of the others is missing.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # OSError, or protobuf's own: they share no other base class
        raise InputError(f"{path} is not a readable ONNX file ({error}).", "Export the model again.") from error
    beside = [path.parent / name for name in external_files(model)]
    for file in beside:
        if not file.is_file():
            raise InputError(f"{path} keeps weights in {file.name}, which is not there.", "Copy it beside the model.")
    return [path, *beside]


def external_files(model: ModelProto) -> list[str]:
    """The other files, in sorted order, in which the model keeps tensors."""
    return sorted(
        {
            entry.value
            for tensor in _tensors(model)
            if tensor.data_location == tensor.EXTERNAL
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )


def point_external(model: ModelProto, file: str) -> None:
    """Make every tensor that lies outside the model lie in `file` beside it."""
    for tensor in _tensors(model):
        if tensor.data_location == tensor.EXTERNAL:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = file


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graph_tensors(graph)
