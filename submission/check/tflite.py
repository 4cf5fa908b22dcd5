"""A .tflite file, which AI Hub's default compilation gives, in LiteRT's interpreter on this CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...contract import CURRENT as CONTRACT
from ...errors import InputError, first_line
from ...machine import usable_cores
from .border import Border, border_findings, file_findings
from .findings import Finding
from .model import Map, Runner

REASON = "a .tflite is what a compiler made; check the .onnx that it came from"
REMEDY = "`lpcv check MODEL.onnx` with the file that was compiled."
QUANTIZED_BORDER = (
    "Compile without --quantize_io, which makes the border integer; --quantize_full_type alone keeps it float32."
)


@dataclass(frozen=True)
class _Tensor:
    """index: the interpreter's; scale and zero_point: of its integers, one for all, None where it has no such"""

    index: int
    border: Border
    scale: float | None
    zero_point: int


class TfliteRunner(Runner):
    """Answers as LiteRT computes it on the CPU: the NPU may compute in half precision, and rounds elsewhere."""

    note = "A .tflite file runs here on the CPU, in LiteRT; what it holds for an NPU alone cannot be seen."

    def __init__(self, path: Path) -> None:
        """Raises InputError where LiteRT is not installed or cannot load the file."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise InputError(
                f"{path} is a .tflite file, and LiteRT, which runs it, is not installed.",
                "Run `pip install 'lpcv[tflite]'`.",
            ) from None
        try:
            # From memory: the library then checks the flatbuffer before it believes it.
            self._interpreter: Any = Interpreter(model_content=path.read_bytes(), num_threads=usable_cores())
            self._interpreter.allocate_tensors()
            called, answered = _signature_names(self._interpreter)
            images, maps = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            self._inputs = [_tensor(one, called, CONTRACT.input_name) for one in images]
            self._outputs = [_tensor(one, answered, CONTRACT.output_name) for one in maps]
        except (ValueError, RuntimeError, OSError) as error:
            raise InputError(
                f"LiteRT cannot load {path} ({first_line(error)}).",
                "Download it again, or check the .onnx that it came from.",
            ) from None

    @property
    def no_graph(self) -> tuple[str, str]:
        return REASON, REMEDY

    def interface(self) -> list[Finding]:
        borders = [one.border for one in self._inputs], [one.border for one in self._outputs]
        return [*file_findings(None, REASON, REMEDY), *map(_with_remedy, border_findings(*borders))]

    def answer(self, tensor: npt.NDArray[np.float32]) -> Map:
        """Integers are read by the scale that the file gives: that they are integers, the output's type tells."""
        image = _chosen(self._inputs, CONTRACT.input_name)
        depth = _chosen(self._outputs, CONTRACT.output_name)
        self._interpreter.set_tensor(image.index, tensor)
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(depth.index)
        if depth.scale is not None:
            return (output.astype(np.float32) - np.float32(depth.zero_point)) * np.float32(depth.scale)
        return output


def _chosen(tensors: Sequence[_Tensor], name: str) -> _Tensor:
    if not tensors:
        raise ValueError("the model has no input, or no output")
    return next((one for one in tensors if one.border.name == name), tensors[0])


def _signature_names(interpreter: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Tensor -> what the only signature calls it, of inputs and outputs; empty where there is none, or several.

    With several it is not said which one a device runs.
    """
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1:
        return {}, {}
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    inputs, outputs = (
        {details["index"]: name for name, details in side.items()}
        for side in (runner.get_input_details(), runner.get_output_details())
    )
    return inputs, outputs


def _tensor(details: dict[str, Any], signature: dict[int, str], wanted: str) -> _Tensor:
    """The contract's name if the signature or the tensor has it: which of the two is read depends on who reads it."""
    own, index = str(details["name"]), int(details["index"])
    name = own if own == wanted else signature.get(index, own)
    fixed = details.get("shape_signature")
    extents = details["shape"] if fixed is None or not len(fixed) else fixed
    shape = tuple(None if extent < 0 else int(extent) for extent in extents)
    dtype = np.dtype(details["dtype"])
    scales, zeros = details["quantization_parameters"]["scales"], details["quantization_parameters"]["zero_points"]
    affine = dtype.kind in "iu" and len(scales) == 1
    border = Border(name, dtype.name, shape)
    return _Tensor(index, border, float(scales[0]) if affine else None, int(zeros[0]) if affine and len(zeros) else 0)


def _with_remedy(finding: Finding) -> Finding:
    """What a .tflite's reader can do about it is another compilation, and no `lpcv export`."""
    remedy = f"{finding.remedy} Then compile it again."
    for side in ("input", "output"):
        option = f"--force_channel_last_{side}"
        if finding.name == f"{side} shape" and finding.found == _channels_last(side):
            remedy = f"Compile without {option}: the contract's channels come first."
        elif finding.name == f"{side} type" and finding.found.startswith(("int", "uint")):
            remedy = QUANTIZED_BORDER
    return replace(finding, remedy=remedy)


def _channels_last(side: str) -> str:
    batch, channels, *rest = CONTRACT.input_shape if side == "input" else CONTRACT.output_shape
    return f"({', '.join(str(extent) for extent in (batch, *rest, channels))})"
