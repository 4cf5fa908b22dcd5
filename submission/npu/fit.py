"""Whether a model, in one precision, fits the NPU of a device: quantized where it must be, then compiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...data.folder import FrameFolder
from ...errors import InputError
from ...files import sha256_file
from ...hub_jobs.htp.compiler import compile_model
from ...hub_jobs.htp.fit import Misfit, findings
from ...hub_jobs.htp.outcome import Compiled, Limits, Outcome
from ...hub_jobs.htp.target import Target
from ...hub_jobs.precisions import INTEGERS, Precision
from ...hub_jobs.quantize.quantizer import Quantized, quantize

NOTHING_TO_FEED = "the model has not one float32 input of fixed size and one output, so nothing can be fed to it."


@dataclass(frozen=True)
class Calibration:
    """What fixes the ranges of the integers: at most `samples` of the frames, chosen by `seed`.

    frames: a folder, or arrays as the model takes them, by name
    """

    frames: FrameFolder | Mapping[str, Any]
    samples: int
    seed: int


@dataclass(frozen=True)
class Fit:
    """A model in one precision, and what the compiler says of it.

    model: the file that was compiled, None where it could not be made; outcome: of compiling it
    quantized: how it was made, None for fp16; sentence: what came out
    """

    precision: str
    model: Path | None
    outcome: Outcome | None
    misfits: tuple[Misfit, ...]
    quantized: Quantized | None
    sentence: str

    @property
    def compiled(self) -> Compiled | None:
        """None where a node is in the way, or AI Hub would refuse what the emulator takes."""
        return self.outcome if isinstance(self.outcome, Compiled) and not self.misfits else None

    def as_json(self) -> dict[str, Any]:
        compiled = self.outcome if isinstance(self.outcome, Compiled) else None
        return {
            "precision": self.precision,
            "fits": self.compiled is not None,
            "outcome": type(self.outcome).__name__ if self.outcome else "NotQuantized",
            "sentence": self.sentence,
            "log_line": self.outcome.log_line if self.outcome else "",
            "misfits": [dict(vars(misfit)) for misfit in self.misfits],
            "context_bytes": compiled and compiled.context_bytes,
            "context_sha256": compiled and compiled.context_sha256,
            "spill_bytes": compiled and compiled.spill_bytes,
            "onnx_nodes": compiled and compiled.onnx_nodes,
            "qnn_ops": compiled and compiled.qnn_ops,
            "quantized": self.quantized and {**self.quantized.as_json(), "model": self.quantized.path.name},
        }


def fit(
    source: Path, precision: str, target: Target, calibration: Calibration | None, work: Path, cache: Path,
    limits: Limits,
) -> Fit:  # fmt: skip
    """Compile the float model `source` in that precision for the target.

    calibration: needed for integers; None where there is nothing to feed the model with; work: where the quantized
    model goes, as NAME.PRECISION.onnx
    Raises InputError for a precision that the NPU has not, MissingStepError where the compiler is not installed.
    """
    target.demand(precision)
    model, made = source, None
    if precision in INTEGERS:
        if calibration is None:
            return Fit(precision, None, None, (), None, f"It cannot be quantized: {NOTHING_TO_FEED}")
        out = work / f"{source.stem}.{precision}.onnx"
        try:
            made = quantize(
                source, calibration.frames, cast(Precision, precision), out,
                seed=calibration.seed, samples=calibration.samples,
            )  # fmt: skip
        except InputError as error:  # the other precisions may do
            return Fit(precision, None, None, (), None, f"It cannot be quantized: {error}")
        model = made.path
    outcome = compile_model(model, target, cache, limits)
    misfits = tuple(findings(model, outcome))
    sentence = outcome.sentence
    if isinstance(outcome, Compiled) and misfits:
        sentence = "The NPU takes every node, but AI Hub does not take the model as it is."
    return Fit(precision, model, outcome, misfits, made, sentence)


def shared_frames(
    scored: FrameFolder, calibrated: FrameFolder | Mapping[str, Any], names: Iterable[str]
) -> tuple[str, ...]:
    """The scored frames whose very picture is among the named calibration frames, whatever it is called there."""
    if not isinstance(calibrated, FrameFolder):
        return ()
    fed = {sha256_file(calibrated.images[name]) for name in names}
    return tuple(name for name in scored.names if fed and sha256_file(scored.images[name]) in fed)


def output_step(model: Path) -> float | None:
    """The least difference that the integers of a quantized model's first output can make; None where it has none."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(model)).graph
    last = next((node for node in graph.node if graph.output[0].name in node.output), None)
    if last is None or last.op_type != "DequantizeLinear":
        return None
    scales = {tensor.name: tensor for tensor in graph.initializer}
    return float(numpy_helper.to_array(scales[last.input[1]])) if last.input[1] in scales else None
