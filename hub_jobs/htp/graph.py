"""A model's graph as the compiler is given it: every node has a name, so that a refusal can name it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...onnx_session import model_files

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

FLOAT, UINT8, INT64, DOUBLE = 1, 2, 7, 11  # onnx.TensorProto's element types


def load(model: Path | bytes) -> ModelProto:
    """The graph, its nodes named, without the tensors that lie in other files. Raises InputError."""
    import onnx

    if isinstance(model, Path):
        if not model.is_file():
            raise InputError(f"{model} does not exist.", "`lpcv export RUN` writes RUN/model.onnx.")
        content = model.read_bytes()
    else:
        content = model
    try:
        loaded = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own
        name = model if isinstance(model, Path) else "the model"
        raise InputError(f"{name} is not a readable ONNX file ({error}).", "Export the model again.") from error
    if not loaded.graph.node:
        name = model if isinstance(model, Path) else "the model"
        raise InputError(f"{name} has no nodes.", "Export the model again.")
    if isinstance(model, Path):
        model_files(model)  # complains of weights that are not there
    _name_nodes(loaded.graph)
    return loaded


def _name_nodes(graph: GraphProto) -> None:
    for node in graph.node:
        if not node.name:
            node.name = f"{node.op_type}:{node.output[0] if node.output else ''}"
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _name_nodes(inner)


@dataclass(frozen=True)
class Tensor:
    """elem: onnx.TensorProto's element type, 0 where not known; shape: None where not known, None for a free extent."""

    elem: int
    shape: tuple[int | None, ...] | None


class Graph:
    """The top graph with what shape inference knows, for questions about nodes and values."""

    def __init__(self, model: ModelProto) -> None:
        from onnx import shape_inference

        try:
            inferred = shape_inference.infer_shapes(model)
        except Exception:  # a graph that it cannot work out still has nodes and attributes to look at
            inferred = model
        graph = inferred.graph
        self.nodes: list[NodeProto] = list(graph.node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.constants |= {
            node.output[0]: attribute.t
            for node in self.nodes
            if node.op_type == "Constant"
            for attribute in node.attribute
            if attribute.name == "value"
        }
        self.inputs = [one.name for one in graph.input if one.name not in self.constants]
        self.outputs = [one.name for one in graph.output]
        self.maker = {name: node for node in self.nodes for name in node.output if name}
        self.users: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.tensors = {one.name: _tensor(one) for one in (*graph.input, *graph.value_info, *graph.output)}
        for name, constant in self.constants.items():
            self.tensors[name] = Tensor(constant.data_type, tuple(constant.dims))

    def tensor(self, name: str) -> Tensor:
        return self.tensors.get(name, Tensor(0, None))

    def around(self, node: NodeProto) -> Iterator[tuple[str, Tensor]]:
        """Its inputs and outputs, by name."""
        for name in (*node.input, *node.output):
            if name:
                yield name, self.tensor(name)


def _tensor(value: ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return Tensor(kind.elem_type, None)
    return Tensor(
        kind.elem_type,
        tuple(extent.dim_value if extent.HasField("dim_value") and extent.dim_value > 0 else None
              for extent in kind.shape.dim),
    )  # fmt: skip


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute; text as str."""
    from onnx import helper

    for one in node.attribute:
        if one.name == name:
            value = helper.get_attribute_value(one)
            return value.decode() if isinstance(value, bytes) else value
    return default
