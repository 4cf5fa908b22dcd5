"""TorchScript and exported programs to ONNX: the one module here that imports torch, in a job's process only."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ...errors import first_line
from .speaking import JobError, log

OPSET = 17


def converted(source: str, upload: Path, specs: list[Any], folder: Path) -> Path:
    """The path of the ONNX model; its inputs have the names of input_specs, its outputs output_0, output_1...

    source: "torchscript" or "exported_program"
    Raises JobError where torch is missing, or cannot load or export it.
    """
    try:
        import torch
    except ImportError:
        raise JobError(
            "This is a PyTorch model, and torch is not installed where the stand-in runs. Export it to ONNX, or "
            "install torch there."
        ) from None
    warnings.filterwarnings("ignore")  # of a tracer about the uploader's code
    log(f"torch {torch.__version__} converts the upload to ONNX; the real service has a converter of its own")
    place = folder / "converted.onnx"
    try:
        if source == "torchscript":
            _export_script(torch, upload, specs, place)
        else:
            _export_program(torch, upload, specs, place)
    except JobError:
        raise
    except Exception as error:
        raise JobError(
            f"The PyTorch model cannot be converted ({type(error).__name__}: {first_line(error)})."
        ) from error
    return place


def _export_script(torch: Any, upload: Path, specs: list[Any], place: Path) -> None:
    if not specs:
        raise JobError("A TorchScript model needs input_specs.")
    try:
        module = torch.jit.load(str(upload), map_location="cpu").eval()
    except Exception as error:
        raise JobError(f"The upload is not a readable TorchScript model ({first_line(error)}).") from error
    examples = tuple(torch.zeros(shape, dtype=getattr(torch, dtype)) for _, shape, dtype in specs)
    with torch.no_grad():
        outputs = _flat(module(*examples))
    torch.onnx.export(
        module, examples, str(place), dynamo=False, opset_version=OPSET, input_names=[name for name, _, _ in specs],
        output_names=[f"output_{index}" for index in range(len(outputs))],
    )  # fmt: skip


def _export_program(torch: Any, upload: Path, specs: list[Any], place: Path) -> None:
    program = torch.export.load(str(upload))
    outputs = [one for one in program.graph_signature.output_specs if one.kind.name == "USER_OUTPUT"]
    names = {"input_names": [name for name, _, _ in specs]} if specs else {}
    torch.onnx.export(
        program, (), str(place), dynamo=True, external_data=False, verbose=False, **names,
        output_names=[f"output_{index}" for index in range(len(outputs))],
    )  # fmt: skip


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, (list, tuple)):
        return [one for each in outputs for one in _flat(each)]
    if isinstance(outputs, dict):
        return [one for each in outputs.values() for one in _flat(each)]
    return [outputs]
