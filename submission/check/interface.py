"""The part of the contract that a model's file shows without running it: validity, names, types, shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, ValueInfoProto

from ...contract import CURRENT as CONTRACT
from ...errors import InputError, first_line
from ...onnx_session import external_files
from .findings import Finding, state_of

EXPORT_AGAIN = "Export again with `lpcv export RUN`."
READ_BY_NAME = "The organisers' scripts feed and read the tensors by these very names."
COMPILED_ONCE = "AI Hub compiles the model for one fixed input, and the scorer reads one fixed output."
SHORT_NAMES = {"float": "float32", "double": "float64"}


def parse_model(content: bytes, name: str) -> ModelProto:
    """The model without any external data. Raises InputError where `content` is none, or a name in it is no text."""
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        model = None
    # An empty or foreign file may well decode as a model without a single field set.
    if model is None or not model.graph.node:
        raise InputError(f"{name} is not an ONNX model.", "Give the model.onnx that `lpcv export RUN` writes.")
    _demand_text(model, name)
    return model


def _demand_text(model: ModelProto, name: str) -> None:
    """Raises InputError where a name or a text in a model is no UTF-8: protobuf hands it out as bytes then."""
    waiting: list[Any] = [model]
    while waiting:
        for field, value in waiting.pop().ListFields():
            values = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]
            if field.type == field.TYPE_MESSAGE:
                waiting += values
            elif field.type == field.TYPE_STRING and any(isinstance(text, bytes) for text in values):
                raise InputError(f"{name} holds a {field.name} that is no text.", "Export the model again.")


def demand_complete(model: ModelProto, path: Path) -> None:
    """Raises InputError where a file that the model keeps its weights in is missing."""
    for name in external_files(model):
        if not (path.parent / name).is_file():
            raise InputError(
                f"{path} keeps weights in {name}, which is not beside it.",
                f"Copy that file too, or better make one file of it. {EXPORT_AGAIN}",
            )


def interface_findings(model: ModelProto, path: Path | None = None) -> list[Finding]:
    """Findings on the file alone; `path` lets the validity check read external data and models beyond 2 GB."""
    inputs, outputs = model_inputs(model), list(model.graph.output)
    image, depth = chosen(inputs, CONTRACT.input_name), chosen(outputs, CONTRACT.output_name)
    return [
        _validity(model, path),
        _one_file(model),
        _count("one input", inputs, "A second input cannot be fed: depth or confidence are never given to a model."),
        _count("one output", outputs, "The scorer reads a single map, and which one it takes is then left to chance."),
        _name("input name", inputs, CONTRACT.input_name),
        _name("output name", outputs, CONTRACT.output_name),
        _type("input type", image),
        _type("output type", depth),
        _shape("input shape", image, CONTRACT.input_shape),
        _shape("output shape", depth, CONTRACT.output_shape),
    ]


def model_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """What has to be fed; before IR version 4 the weights stood among the inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def chosen(values: list[ValueInfoProto], name: str) -> ValueInfoProto | None:
    """The value of this name, else the first; None where there is none."""
    return next((value for value in values if value.name == name), values[0] if values else None)


def _validity(model: ModelProto, path: Path | None) -> Finding:
    problem = ""
    try:
        onnx.checker.check_model(str(path) if path else model)
    except (onnx.checker.ValidationError, ValueError) as error:
        problem = first_line(error)
    return Finding(
        "valid ONNX",
        state_of(not problem),
        "a model that onnx.checker accepts",
        problem or f"valid, operator set {max((entry.version for entry in model.opset_import), default=0)}",
        "AI Hub's compilers refuse an invalid model, or read it differently from ONNX Runtime.",
        EXPORT_AGAIN,
    )


def _one_file(model: ModelProto) -> Finding:
    others = external_files(model)
    return Finding(
        "one file",
        state_of(not others),
        "all weights inside the .onnx file",
        f"weights in {', '.join(others)}" if others else "one file",
        "A model that needs a second file is uploaded and shared without its weights.",
        "Export with external_data=False, or save it again with onnx.save(model, path, save_as_external_data=False).",
    )


def _count(name: str, values: list[ValueInfoProto], why: str) -> Finding:
    names = ", ".join(value.name for value in values) or "none"
    return Finding(
        name,
        state_of(len(values) == 1),
        "exactly one",
        f"{len(values)}: {names}",
        why,
        f"Remove the rest. {EXPORT_AGAIN}",
    )


def _name(name: str, values: list[ValueInfoProto], expected: str) -> Finding:
    names = [value.name for value in values]
    found = ", ".join(names) or "none"
    return Finding(name, state_of(expected in names), expected, found, READ_BY_NAME, f"Name it '{expected}' at export.")


def _type(name: str, value: ValueInfoProto | None) -> Finding:
    code = value.type.tensor_type.elem_type if value else TensorProto.UNDEFINED
    found = TensorProto.DataType.Name(code).lower() if code in TensorProto.DataType.values() else str(code)
    found = SHORT_NAMES.get(found, found)
    return Finding(
        name,
        state_of(found == CONTRACT.tensor_dtype),
        CONTRACT.tensor_dtype,
        found,
        "Frames are fed and maps are read in this type; a lower precision is chosen when AI Hub compiles.",
        f"Cast inside the model, at its border. {EXPORT_AGAIN}",
    )


def _shape(name: str, value: ValueInfoProto | None, expected: tuple[int, ...]) -> Finding:
    sides = [] if value is None else [_side(dimension) for dimension in value.type.tensor_type.shape.dim]
    return Finding(
        name,
        state_of(sides == [str(side) for side in expected]),
        shape_text(expected),
        shape_text(sides) if sides else "no shape",
        COMPILED_ONCE,
        f"Export with a fixed {shape_text(expected)} and no dynamic axes.",
    )


def shape_text(sides: Iterable[object]) -> str:
    return f"({', '.join(str(side) for side in sides)})"


def _side(dimension: onnx.TensorShapeProto.Dimension) -> str:
    kind = dimension.WhichOneof("value")
    return str(dimension.dim_value) if kind == "dim_value" else (dimension.dim_param or "?")
