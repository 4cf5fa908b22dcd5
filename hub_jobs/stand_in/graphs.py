"""Checks and changes of an ONNX graph: types, shapes, names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .speaking import JobError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

Spec = list[Any]  # [name, shape, dtype], as JSON holds it


def dtype_names() -> dict[int, str]:
    """ONNX's element types that AI Hub's client can name; all others are refused at inputs and outputs."""
    from onnx import TensorProto as T

    return {
        T.FLOAT: "float32", T.FLOAT16: "float16", T.BOOL: "bool", T.INT8: "int8", T.INT16: "int16",
        T.INT32: "int32", T.INT64: "int64", T.UINT8: "uint8", T.UINT16: "uint16",
    }  # fmt: skip


def inputs_of(graph: GraphProto) -> list[ValueInfoProto]:
    """Those that a caller must give: initialisers may be listed as inputs, too."""
    given = {tensor.name for tensor in graph.initializer}
    return [one for one in graph.input if one.name not in given]


def specs_of(graph: GraphProto) -> tuple[list[Spec], list[Spec]]:
    """Of the inputs and of the outputs. Raises JobError as `spec_of`, with the node at the value."""
    inputs = [spec_of(one, "Input", first_reader(graph, one.name)) for one in inputs_of(graph)]
    return inputs, [spec_of(one, "Output", maker(graph, one.name)) for one in graph.output]


def first_reader(graph: GraphProto, value: str) -> str:
    """A sentence with the first node that reads it; "" where none does."""
    node = next((node for node in graph.node if value in node.input), None)
    return f" The first node that reads it is {_called(node)}." if node else ""


def maker(graph: GraphProto, value: str) -> str:
    """A sentence with the node that makes it; "" where none does."""
    node = next((node for node in graph.node if value in node.output), None)
    return f" The node that makes it is {_called(node)}." if node else ""


def _called(node: NodeProto) -> str:
    """ "/net/Conv (Conv)", and of a nameless one "Conv:y (Conv)", as `htp.graph` calls it."""
    return f"{node.name or f'{node.op_type}:{node.output[0]}'} ({node.op_type})"


def spec_of(value: ValueInfoProto, what: str, at: str = "") -> Spec:
    """[name, shape, dtype]. Raises JobError for a dynamic extent, or a type that the client cannot name.

    at: a sentence that says where it is, the error's end
    """
    from onnx import TensorProto

    kind = value.type.tensor_type
    names = dtype_names()
    if not value.type.HasField("tensor_type"):
        raise JobError(f"{what} '{value.name}' is no tensor.")
    if kind.elem_type not in names:
        known = TensorProto.DataType.Name(kind.elem_type).lower() if kind.elem_type else "unknown"
        known = {"double": "float64"}.get(known, known)
        raise JobError(
            f"{what} '{value.name}' has the data type {known}, which is not supported; use one of "
            f"{', '.join(sorted(names.values()))}.{at}"
        )
    if not kind.HasField("shape"):
        raise JobError(f"{what} '{value.name}' has no shape. Dynamic shapes are not supported.{at}")
    extents = [one.dim_value if one.HasField("dim_value") else one.dim_param or "?" for one in kind.shape.dim]
    if not all(isinstance(extent, int) and extent > 0 for extent in extents):
        shown = ", ".join(map(str, extents))
        remedy = " Give it in input_specs, or export it with a fixed shape." if what == "Input" else ""
        raise JobError(f"{what} '{value.name}' has a dynamic shape ({shown}), which is not supported.{remedy}{at}")
    return [value.name, extents, names[kind.elem_type]]


def fix_inputs(model: ModelProto, specs: list[Spec]) -> None:
    """Write the extents of input_specs into the graph. Raises JobError where they contradict it."""
    if not specs:
        return
    inputs = {one.name: one for one in inputs_of(model.graph)}
    wanted = {name for name, _, _ in specs}
    if wanted != set(inputs):
        raise JobError(
            f"input_specs names {_listed(wanted)}, but the model's inputs are {_listed(inputs)}. Use the model's names."
        )
    names = dtype_names()
    for name, shape, dtype in specs:
        kind = inputs[name].type.tensor_type
        if names.get(kind.elem_type) != dtype:
            raise JobError(
                f"input_specs says {dtype} for input '{name}', but the model has {names.get(kind.elem_type)}."
            )
        extents = kind.shape.dim
        if kind.HasField("shape") and len(extents) != len(shape):
            raise JobError(
                f"input_specs gives input '{name}' {len(shape)} dimensions, but the model has {len(extents)}."
            )
        if not kind.HasField("shape"):
            for _ in shape:
                kind.shape.dim.add()
        for extent, value in zip(kind.shape.dim, shape, strict=True):
            if extent.HasField("dim_value") and extent.dim_value > 0 and extent.dim_value != value:
                has = ", ".join(str(one.dim_value or one.dim_param or "?") for one in extents)
                given = ", ".join(map(str, shape))
                raise JobError(f"input_specs gives '{name}' the shape ({given}), but the model has ({has}).")
            extent.dim_value = value


def rename_outputs(model: ModelProto, names: tuple[str, ...]) -> None:
    """Outputs get these names, in order. Raises JobError where their number differs."""
    outputs = [one.name for one in model.graph.output]
    if len(names) != len(outputs):
        raise JobError(
            f"Option --output_names gives {len(names)} names, but the model has {len(outputs)} outputs: "
            f"{_listed(outputs)}."
        )
    renaming = dict(zip(outputs, names, strict=True))
    if clash := sorted(
        set(names) & {one.name for one in model.graph.input} - {o for o, n in renaming.items() if o == n}
    ):
        raise JobError(f"Option --output_names gives an output the name of the input '{clash[0]}'.")
    taken = set(_values(model.graph))
    for name in set(names) & taken - set(renaming):  # a value inside has that name already
        renaming[name] = _free(f"{name}_inner", taken | set(names))
    made = {name for node in model.graph.node for name in node.output}
    for index, name in enumerate(outputs):
        if name not in made:  # an input or a constant that goes straight out
            del renaming[name]
            model.graph.node.add(op_type="Identity", input=[name], output=[names[index]])
            model.graph.output[index].name = names[index]
    _rename(model.graph, renaming)


def narrow_64bit(model: ModelProto, truncate: bool, runtime: str) -> None:
    """int64 at inputs and outputs becomes int32 with a cast behind it, where --truncate_64bit_io asks for that.

    Without it, runtimes other than onnx refuse such a model; so do public reports of the real service say.
    Raises JobError.
    """
    from onnx import TensorProto

    wide = [one for one in inputs_of(model.graph) if one.type.tensor_type.elem_type == TensorProto.INT64]
    wide_out = [one for one in model.graph.output if one.type.tensor_type.elem_type == TensorProto.INT64]
    if not wide and not wide_out:
        return
    if not truncate:
        if runtime == "onnx":
            return
        name = (wide + wide_out)[0].name
        at = first_reader(model.graph, name) if wide else maker(model.graph, name)
        raise JobError(
            f"'{name}' has the data type int64, which {runtime} does not take; compile with --truncate_64bit_io.{at}"
        )
    taken = set(_values(model.graph))
    casts = []
    for value in wide:
        inside = _free(f"{value.name}_int64", taken)
        _rename(model.graph, {value.name: inside}, inputs=False)
        value.type.tensor_type.elem_type = TensorProto.INT32
        casts.append((value.name, inside, TensorProto.INT64))
    for value in wide_out:
        inside = _free(f"{value.name}_int64", taken)
        _rename(model.graph, {value.name: inside}, outputs=False)
        value.type.tensor_type.elem_type = TensorProto.INT32
        casts.append((inside, value.name, TensorProto.INT32))
    from onnx import helper

    nodes = [helper.make_node("Cast", [before], [after], to=to) for before, after, to in casts]
    split = len(wide)
    ordered = [*nodes[:split], *model.graph.node, *nodes[split:]]
    del model.graph.node[:]
    model.graph.node.extend(ordered)


def _rename(graph: GraphProto, renaming: Mapping[str, str], *, inputs: bool = True, outputs: bool = True) -> None:
    """Values, wherever they are named; a subgraph's own values hide those outside."""
    for node in graph.node:
        _rename_node(node, renaming)
    for tensor in graph.initializer:
        tensor.name = renaming.get(tensor.name, tensor.name)
    for listed in (graph.value_info, graph.input if inputs else (), graph.output if outputs else ()):
        for value in listed:
            value.name = renaming.get(value.name, value.name)


def _rename_node(node: NodeProto, renaming: Mapping[str, str]) -> None:
    node.input[:] = [renaming.get(name, name) for name in node.input]
    node.output[:] = [renaming.get(name, name) for name in node.output]
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            _rename(graph, {old: new for old, new in renaming.items() if old not in own})


def _values(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from node.output
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _values(inner)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _listed(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
