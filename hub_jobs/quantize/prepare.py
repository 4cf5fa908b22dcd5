"""From a float .onnx to the graph that is quantized: simplified, fused as the NPU has it, every node named."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from ...errors import InputError, first_line
from ...onnx_session import quantization_library, save_optimised
from ..models import model_of
from . import folding
from . import graph as graphs

OPSET_16BIT = 21  # the first whose QuantizeLinear knows 16-bit integers
OPSET_PER_CHANNEL = 13  # the first whose DequantizeLinear takes a scale per channel
OPSET_LAYER_NORM = 17
LARGEST_BYTES = 2**31 - 2**24  # protobuf's limit for one message, less some room for what quantizing adds
# How the operators' names begin that only a quantized model has.
QUANTIZED = (
    "Quantize", "Dequantize", "DynamicQuantize", "QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger",
)  # fmt: skip
STATIC = "Export it with a fixed size, as `lpcv export RUN` does."


@dataclass(frozen=True)
class Prepared:
    """A float graph ready to be quantized.

    model: shapes inferred, every node with a name of its own, no metadata
    metadata: what the source's exporter wrote into it
    input_name, input_shape: the one input, float32
    """

    source: Path
    source_sha256: str
    metadata: dict[str, str]
    model: ModelProto
    input_name: str
    input_shape: tuple[int, ...]


def prepare(source: Path, *, sixteen_bits: bool) -> Prepared:
    """Read a float model and prepare it.

    sixteen_bits: some activations will have 16 bits, which needs operator set 21
    Raises InputError where it is quantized already, has no fixed size, is not float32 with one input, or is broken.
    """
    files = model_of(source)
    path = files.files[0]
    if sum(file.stat().st_size for file in files.files) > LARGEST_BYTES:
        raise InputError(f"{path} has more than 2 GB, which one ONNX file cannot hold.", "Quantize a smaller model.")
    model = onnx.load(str(path))
    demand_float(model, path)
    fed = demand_interface(model, path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]  # the library's preprocessing fails on a model that has any
    names = {name: node.name for node in model.graph.node for name in node.output if node.name}
    model = _simplified(_upgraded(model, path, sixteen_bits), path, names)
    return Prepared(path, files.sha256, metadata, model, fed.name, shape_of(fed))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's warnings (names it gave, advice to preprocess): they go to the root logger."""
    root, handler, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(handler)  # without one, its first warning would configure everybody's logging
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)


def demand_float(model: ModelProto, path: Path, *, allowed: Collection[str] = ()) -> None:
    """Raises InputError for a model that is quantized already; `allowed`: operators that do not count as that."""
    for node in model.graph.node:
        if node.op_type.startswith(QUANTIZED) and node.op_type not in allowed:
            raise InputError(
                f"{path} is already quantized: its node {node.name or node.output[0]} is a {node.op_type}.",
                "Give the float model that it was made from.",
            )


def demand_interface(model: ModelProto, path: Path) -> ValueInfoProto:
    """The one input. Raises InputError where there are several, one is not float32, or its size is not fixed."""
    weights = set(graphs.constants(model.graph))
    fed = [value for value in model.graph.input if value.name not in weights]
    if len(fed) != 1:
        raise InputError(
            f"{path} has {len(fed)} inputs ({', '.join(value.name for value in fed) or 'none'}), not one image.",
            "Give the model.onnx that `lpcv export RUN` writes.",
        )
    for value in (*fed, *model.graph.output):
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            raise InputError(f"{path}: {value.name} is {kind}, not float32.", "Export the model in float32.")
    dimensions = fed[0].type.tensor_type.shape.dim
    if not dimensions or any(dimension.dim_value < 1 for dimension in dimensions):
        shape = " x ".join(str(dimension.dim_value or dimension.dim_param or "?") for dimension in dimensions)
        raise InputError(f"{path}: {fed[0].name} has no fixed size ({shape or 'none given'}).", STATIC)
    return fed[0]


def shape_of(value: ValueInfoProto) -> tuple[int, ...]:
    """Of a tensor of fixed size."""
    return tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)


def _upgraded(model: ModelProto, path: Path, sixteen_bits: bool) -> ModelProto:
    least = OPSET_16BIT if sixteen_bits else OPSET_PER_CHANNEL
    if graphs.opset_of(model) >= least:
        return model
    try:
        return onnx.version_converter.convert_version(model, least)
    except Exception as error:  # the converter is C++ and raises what it likes
        reason = first_line(error)
        raise InputError(
            f"{path} cannot be brought from operator set {graphs.opset_of(model)} to {least} ({reason}).",
            f"Export it with operator set {least}.",
        ) from error


def _simplified(model: ModelProto, path: Path, names: dict[str, str]) -> ModelProto:
    """Constants folded, batch norms in their convolutions, Gelu and layer norms as one node, as the NPU has them.

    Clips that do nothing and divisions that a convolution can take over are gone.
    """
    library = quantization_library().execution_providers.qnn
    with tempfile.TemporaryDirectory(prefix="lpcv-quantize-") as folder, quiet():
        given, simple, fused = (Path(folder) / f"{name}.onnx" for name in ("given", "simple", "fused"))
        onnx.save(model, str(given))
        try:
            save_optimised(given, simple)
        except InputError as error:
            raise InputError(error.problem.replace(str(given), str(path)), error.remedy) from error
        model = onnx.load(str(simple))
        del model.metadata_props[:]
        graphs.name_nodes(model.graph, names)
        onnx.save(model, str(simple))
        layer_norm = graphs.opset_of(model) >= OPSET_LAYER_NORM
        changed = library.qnn_preprocess_model(model, fused, fuse_layernorm=layer_norm)
        model = onnx.load(str(fused if changed else simple))  # it has moved the weights of the one it was given
    del model.metadata_props[:]
    graphs.name_nodes(model.graph, names)
    if graphs.opset_of(model) >= graphs.HARD_SWISH_SINCE:
        graphs.fuse_hard_swish(model.graph)
    folding.drop_idle_clips(model.graph)
    folding.fold_divisions(model.graph)
    graphs.unshare_constants(model.graph)
    graphs.prune_opsets(model)
    return onnx.shape_inference.infer_shapes(model)
