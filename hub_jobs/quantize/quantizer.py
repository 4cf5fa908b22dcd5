"""ONNX Runtime's quantizer, set as Qualcomm's NPU wants it: the same model, frames and versions give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper

from ...errors import InputError, first_line
from ...files import sha256_file, write_bytes
from ...onnx_session import onnxruntime_version, open_session, quantization_library
from ..precisions import Precision
from .calibration import Calibrated, CalibrationSet, Frames, calibrate, model_images
from .layers import layers, nodes_of, with_readers
from .precision import activation_type, demand_precision, overrides
from .prepare import Prepared, prepare, quiet

SAMPLES = 32  # frames
SEED = 0
LEAST_RANGE = 1e-4  # QNN's: a tensor that never varies gets this one, not a scale of 0
COMPARED_FRAMES = 4


@dataclass(frozen=True)
class Quantized:
    """A quantized model on disk and how it came about.

    mean_difference, largest_difference: of the output from the float model's, by ONNX Runtime, over some of the
        calibration frames: a first look, not a score
    settings: what can be chosen, as it was; versions: of what did it
    """

    path: Path
    sha256: str
    precision: Precision
    source: Path
    source_sha256: str
    calibration: CalibrationSet
    mean_difference: float
    largest_difference: float
    versions: dict[str, str]
    settings: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "model": str(self.path),
            "sha256": self.sha256,
            "precision": self.precision,
            "quantized_on": "local",
            "source": str(self.source),
            "source_sha256": self.source_sha256,
            "calibration": {
                "frames": list(self.calibration.names),
                "sha256": self.calibration.sha256,
                "seed": self.calibration.seed,
            },
            "mean_difference_from_float": self.mean_difference,
            "largest_difference_from_float": self.largest_difference,
            "settings": self.settings,
            "versions": self.versions,
        }


def quantize(
    model: Path,
    frames: Frames,
    precision: Precision,
    out: Path,
    *,
    seed: int = SEED,
    samples: int = SAMPLES,
    keep_16bit: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Quantized:
    """Write the model with integer weights and activations; what is fed and what comes out stays float32.

    model: a run or a float .onnx
    frames: a folder, or arrays as the model takes them, by name; at most `samples` of them, chosen by `seed`
    keep_16bit: layers of a w8a8 model that give 16 bits, which the layers after them read; only: the layers to
        quantize, the rest stays float
    Raises InputError where model or frames cannot be used, UnknownNameError for an unknown precision or layer.
    """
    demand_precision(precision, keep_16bit)
    prepared = prepare(model, sixteen_bits=precision == "w8a16" or bool(keep_16bit))
    for names in (keep_16bit, only or ()):
        nodes_of(prepared, names)  # an unknown name is told before the frames are read
    calibrated = calibrate(prepared, frames, samples=samples, seed=seed)
    content = assemble(calibrated, precision, keep_16bit=keep_16bit, only=only)
    mean, largest = _difference(prepared, content, frames, calibrated.frames.names[:COMPARED_FRAMES])
    write_bytes(out, content)
    settings = {
        "seed": seed, "samples": samples, "keep_16bit": sorted(keep_16bit),
        "only": None if only is None else sorted(only), "calibration": "minimum and maximum",
        "weights": "int8, per channel in convolutions", "activations": "uint8" if precision == "w8a8" else "uint16",
    }  # fmt: skip
    versions = {"onnxruntime": onnxruntime_version(), "onnx": onnx.__version__}
    return Quantized(
        out, sha256_file(out), precision, prepared.source, prepared.source_sha256, calibrated.frames, mean, largest,
        versions, settings,
    )  # fmt: skip


def assemble(
    calibrated: Calibrated,
    precision: Precision,
    *,
    keep_16bit: Collection[str] = (),
    only: Collection[str] | None = None,
) -> bytes:
    """The quantized .onnx, from ranges that were measured once. `keep_16bit`, `only`: as in `quantize`."""
    prepared = calibrated.prepared
    every = nodes_of(prepared, [layer.name for layer in layers(prepared)])
    chosen = every if only is None else nodes_of(prepared, only)
    sixteen = with_readers(prepared, nodes_of(prepared, keep_16bit)) & chosen
    library = quantization_library()
    types = library.QuantType
    model = ModelProto()
    model.CopyFrom(prepared.model)  # the quantizer works in place
    apart = [node.name for node in model.graph.node if node.name not in chosen]
    with quiet(), _refusals(prepared.source):
        config = library.execution_providers.qnn.get_qnn_qdq_config(
            model, None, activation_type=activation_type(precision), weight_type=types.QInt8, per_channel=True,
            init_overrides=overrides(prepared, sixteen), add_qtype_converts=False, nodes_to_exclude=apart,
        )  # fmt: skip
        # Forced: else a Resize or Reshape is quantized only where its input is already, and at the graph's own input,
        # or alone, stays in float.
        forced = {"ForceQuantizeNoInputCheck": True, "MinimumRealRange": LEAST_RANGE}
        quantizer = library.qdq_quantizer.QDQQuantizer(
            model, True, False, types.QInt8, activation_type(precision), _ranges(calibrated), [], apart,
            config.op_types_to_quantize, {**config.extra_options, **forced},
        )  # fmt: skip
        made = quantizer.quantize_model()
        quantizer.model.topological_sort()  # it appends what it adds
    return _finished(made, calibrated, precision, keep_16bit, only)


@contextmanager
def _refusals(source: Path) -> Iterator[None]:
    """What the library cannot do with a graph it says with a ValueError, an assertion, or by stumbling."""
    try:
        yield
    except (ValueError, AssertionError, TypeError, KeyError, IndexError, AttributeError) as error:
        reason = first_line(error)
        raise InputError(
            f"ONNX Runtime's quantizer cannot quantize {source} ({reason}).",
            "Export the model again, or leave the layers in question in float.",
        ) from error


def _ranges(calibrated: Calibrated) -> Any:
    library = quantization_library().calibrate
    data = {name: (np.float32(low), np.float32(high)) for name, (low, high) in calibrated.ranges.items()}
    return library.TensorsData(library.CalibrationMethod.MinMax, data)


def _finished(
    model: ModelProto, calibrated: Calibrated, precision: str, keep_16bit: Collection[str], only: Collection[str] | None
) -> bytes:
    """With the source's metadata, so that checkpoint and kind stay known, and where the integers come from."""
    frames = calibrated.frames
    metadata = calibrated.prepared.metadata | {
        "quantized": precision,
        "quantized_from_sha256": calibrated.prepared.source_sha256,
        "quantizer": f"onnxruntime {onnxruntime_version()}",
        "calibration_sha256": frames.sha256,
        "calibration_frames": str(len(frames.names)),
        "calibration_seed": str(frames.seed),
    }
    if keep_16bit:
        metadata["kept_16bit"] = json.dumps(sorted(keep_16bit))
    if only is not None:
        metadata["quantized_only"] = json.dumps(sorted(only))
    del model.metadata_props[:]
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _difference(prepared: Prepared, content: bytes, frames: Frames, names: Collection[str]) -> tuple[float, float]:
    """Mean and largest absolute difference of the first output from the float model's."""
    exact, rounded = open_session(prepared.source, optimised=False), open_session(content, optimised=False)
    found = []
    for _, image in model_images(prepared, frames, list(names)):
        wanted, got = (np.asarray(each.run(None, {prepared.input_name: image})[0]) for each in (exact, rounded))
        found.append(np.abs(wanted.astype(np.float64) - got))
    return float(np.mean([each.mean() for each in found])), float(max(each.max() for each in found))
