"""A compile job: the graph is checked and simplified by ONNX Runtime, and compiled for the device's NPU beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import first_line
from ...files import write_json
from ...onnx_session import onnxruntime_version, save_optimised
from . import npu
from .graphs import fix_inputs, narrow_64bit, rename_outputs, specs_of
from .options import CompileOptions, OptionsError, compile_options
from .settings import SUFFIX, VERSION, plain
from .sources import load_source, zip_model
from .speaking import JobError, log

if TYPE_CHECKING:
    from onnx import ModelProto

METADATA_KEY = "lpcv_stand_in"


def compile_model(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Leaves `model.onnx` (and `model.zip`, where the client expects a zip) in `folder`; gives inputs and outputs.

    Beside them: what the NPU's compiler was given, and its report.
    Raises JobError for what cannot be compiled, for the NPU too; InputError where ONNX Runtime refuses the graph.
    """
    options = _options(order["options"])
    model, path = load_source(order, folder)
    fix_inputs(model, order["inputs"])
    if options.output_names:
        rename_outputs(model, options.output_names)
    model = _with_shapes(model, path)
    narrow_64bit(model, options.truncate_64bit_io, options.runtime)
    inputs, outputs = specs_of(model.graph)
    _check(model, path)
    place = folder / "model.onnx"
    save_optimised(path, place)
    npu.keep_model(path, folder / npu.MODEL)
    report = npu.compile_for(order, folder / npu.MODEL, options.units)
    write_json(folder / npu.REPORT, report)
    _mark(place, model, order, options)
    if options.runtime in ("onnx", "precompiled_qnn_onnx"):
        zip_model(place, folder / "model.zip", plain(order["name"], "model") + SUFFIX)
    for title, specs in (("input", inputs), ("output", outputs)):
        for name, shape, dtype in specs:
            log(f"{title} '{name}' {tuple(shape)} {dtype}")
    return {"inputs": inputs, "outputs": outputs}


def _options(text: str) -> CompileOptions:
    try:
        options = compile_options(text)
    except OptionsError as error:
        raise JobError(str(error)) from None
    if not options.runtime_was_named:
        log(f"no --target_runtime: assumed {options.runtime}; what the real service assumes is not known")
    log(f"asked for {options.runtime}; the stand-in makes an ONNX file whatever the runtime, and says so in it")
    for option in options.not_imitated:
        log(f"{option}: accepted, not imitated")
    return options


def _check(model: ModelProto, path: Path) -> None:
    """Also writes the model to `path`, so that what is checked is what ONNX Runtime reads."""
    import onnx

    onnx.save(model, str(path))  # weights beside it stay where they are
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:  # ValidationError, or whatever its C++ part raises
        raise JobError(f"The model is not valid ONNX: {first_line(error)}") from None


def _with_shapes(model: ModelProto, path: Path) -> ModelProto:
    """With the shapes of its outputs, as far as they can be known without running it."""
    import onnx

    for output in model.graph.output:  # what an exporter wrote may be symbols where the inputs now are numbers
        kind = output.type.tensor_type
        if any(not extent.dim_value for extent in kind.shape.dim):
            kind.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        _check(model, path)  # which may know better what is wrong
        raise JobError(f"The shapes in the model contradict each other: {first_line(error)}") from None


def _mark(place: Path, source: ModelProto, order: dict[str, Any], options: CompileOptions) -> None:
    """The source's metadata, which ONNX Runtime drops, and what made this file."""
    import onnx

    model = onnx.load(str(place))
    told = {entry.key: entry.value for entry in (*source.metadata_props, *model.metadata_props)}
    told[METADATA_KEY] = (
        f"{VERSION}: an ONNX file simplified by ONNX Runtime {onnxruntime_version()} on a CPU; asked for was "
        f"{options.runtime} for {order['device']}"
    )
    onnx.helper.set_model_props(model, told)
    onnx.save(model, str(place))
