"""A rehearsal on the NPU's emulator: does the model fit, what does it compute in each precision, what does that cost.

float is ONNX Runtime's; fp16 exists only on the emulator, seconds a frame, so on few frames; the integer precisions are
computed by ONNX Runtime on all frames (as the graph is written, which is what the NPU does) and confirmed on the few.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...console import note
from ...contract import CURRENT as CONTRACT
from ...data.folder import FrameFolder, open_folder
from ...errors import InputError
from ...evaluate.journal import Journal
from ...evaluate.official import OFFICIAL
from ...evaluate.score import demand_needs
from ...files import write_bytes
from ...hub_folder import HubFolder
from ...hub_jobs.htp.door import demand_available, versions
from ...hub_jobs.htp.estimate import Estimate, NoEstimate, calibration_of, estimate
from ...hub_jobs.htp.ranges import value_ranges
from ...hub_jobs.htp.traps import Deviation, warnings
from ...hub_jobs.models import model_of
from ...onnx_session import open_session
from .compute import Agreement, Computing, Request
from .fit import NOTHING_TO_FEED, Calibration, Fit, demand_float, fit, shared_frames
from .frames import Feed, MadeUp, Pictures, input_shape, picture_size
from .rows import Row

RUNTIMES = (CONTRACT.target_runtime, "onnx", "qnn_dlc")  # an estimate for the contract's runtime, or else for another


@dataclass(frozen=True)
class Rehearsal:
    """Everything that came out. whole: every precision fits and its frames were emulated to the end.

    ranged_on: the input on which the warnings' ranges were measured; both: frames both scored and calibrated with;
    unscored: why there is no score
    """

    request: Request
    source: Path
    source_sha256: str
    fits: tuple[Fit, ...]
    warnings: tuple[Deviation, ...]
    ranged_on: str | None
    estimate: Estimate | NoEstimate | None
    rows: tuple[Row, ...]
    agreements: tuple[Agreement, ...]
    both: tuple[str, ...]
    unscored: str | None
    journals: tuple[Journal, ...] = field(default=(), repr=False)

    @property
    def whole(self) -> bool:
        return all(one.compiled for one in self.fits) and not any(row.stopped for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        target, given = self.request.target, self.request
        told = self.estimate
        return {
            "model": str(self.source),
            "model_sha256": self.source_sha256,
            "device": target.device,
            "soc_model": target.soc_model,
            "htp_arch": target.htp_arch,
            "versions": versions(),
            "whole": self.whole,
            "fits": [one.as_json() for one in self.fits],
            "warnings": [dict(vars(one)) for one in self.warnings],
            "warnings_ranges_measured_on": self.ranged_on,
            "estimated_latency": dict(vars(told)) if isinstance(told, Estimate) else None,
            "estimated_latency_absent": told.sentence if isinstance(told, NoEstimate) else None,
            "data": str(given.frames.root) if given.frames else None,
            "data_sha256": given.frames.fingerprint() if given.frames else None,
            "seed": given.seed,
            "protocol": OFFICIAL.name,
            "not_scored": self.unscored,
            "rows": [row.as_json() for row in self.rows],
            "emulator_against_onnx_runtime": [
                {"precision": one.precision, "frames": one.frames, **one.difference.as_json(), "output_step": one.step}
                for one in self.agreements
            ],
            "frames_both_scored_and_calibrated_with": list(self.both),
        }


def emulate(request: Request) -> Rehearsal:
    """Rehearse. What took long is kept below the hub folder's htp/ and not done twice.

    Raises MissingStepError where the emulator is not installed, InputError where model or frames cannot be used,
    Interrupted on Ctrl-C. What does not fit, or stops, is told in the result.
    """
    demand_available()
    source = model_of(request.model)
    path = source.files[0]
    demand_float(path)
    kept = HubFolder().root / "htp"
    shape = input_shape(path)
    feed = _feed(request, path, shape)
    with tempfile.TemporaryDirectory(prefix="lpcv-emulate-") as folder:
        calibration = _calibration(request, feed)
        fits = tuple(
            fit(path, precision, request.target, calibration, Path(folder), kept / "compiled", request.limits)
            for precision in request.precisions
        )
        found, ranged_on = _warnings(path, feed, half_precision="fp16" in request.precisions)
        told = _estimate(path, request, fits)
        journals: list[Journal] = []
        unscored, rows, agreements = _why_unscored(request, feed), (), ()
        if feed is not None and any(one.compiled for one in fits):
            frames = request.frames if unscored is None else None
            rows, agreements = Computing(request, path, feed, fits, frames, kept, journals).all()
        if request.out is not None:
            _write_models(request.out, fits)
    return Rehearsal(
        request, path, source.sha256, fits, found, ranged_on, told, rows, agreements, _both(request, fits), unscored,
        tuple(journals),
    )  # fmt: skip


def calibration_frames(root: Path, scored_frames: FrameFolder) -> FrameFolder:
    """Frames to calibrate with: those of the folder that are not scored, or all of it where all are."""
    folder = open_folder(root)
    if root.resolve() != scored_frames.root.resolve():
        return folder
    others = tuple(name for name in folder.names if name not in frozenset(scored_frames.names))
    return folder.subset(others) if others else folder


def _feed(request: Request, path: Path, shape: tuple[int, ...] | None) -> Feed | None:
    if request.frames is not None:
        # What has no fixed float32 input is a finding about the NPU, not a problem with the frames.
        return None if shape is None else Pictures(request.frames, picture_size(path, shape))
    return None if shape is None else MadeUp(shape, request.seed, request.emulated)


def _calibration(request: Request, feed: Feed | None) -> Calibration | None:
    if request.calibration is not None:
        return Calibration(request.calibration, request.samples, request.seed)
    if feed is None:
        return None
    return Calibration({name: feed.array(name) for name in feed.names}, request.samples, request.seed)


def _warnings(path: Path, feed: Feed | None, *, half_precision: bool) -> tuple[tuple[Deviation, ...], str | None]:
    ranges, name = None, None
    if feed is not None:
        try:
            (given,) = open_session(path).get_inputs()
            ranges = value_ranges(path, {given.name: feed.array(feed.names[0])})
            name = feed.names[0]
        except InputError as error:  # an operator that the NPU may have and ONNX Runtime has not
            note(f"The values' ranges are not measured, so warnings are of what may happen: {error.problem}")
    return tuple(warnings(path, ranges, half_precision=half_precision)), name


def _estimate(path: Path, request: Request, fits: Sequence[Fit]) -> Estimate | NoEstimate | None:
    """Of fp16, which published latencies exist for; None where it was not asked for or does not fit."""
    if not any(one.precision == "fp16" and one.compiled for one in fits):
        return None
    runtime = next((each for each in RUNTIMES if calibration_of(request.target, each)), RUNTIMES[0])
    return estimate(path, request.target.device, runtime, limits=request.limits)


def _why_unscored(request: Request, feed: Feed | None) -> str | None:
    """Raises InputError where some frames have truth and others not."""
    if feed is None:
        return NOTHING_TO_FEED.rstrip(".")
    if request.frames is None:
        return "no frames were given (--data): the inputs are made up, so there is nothing to score"
    if not request.frames.depths:
        return f"{request.frames.root} has no depth: there is no truth to score against"
    demand_needs(request.frames, OFFICIAL)
    return None


def _both(request: Request, fits: Sequence[Fit]) -> tuple[str, ...]:
    if request.frames is None or request.calibration is None:
        return ()
    names = {name for one in fits if one.quantized is not None for name in one.quantized.calibration.names}
    return shared_frames(request.frames, request.calibration, names)


def _write_models(out: Path, fits: Sequence[Fit]) -> None:
    for one in fits:
        if one.quantized is not None:
            write_bytes(out / one.quantized.path.name, one.quantized.path.read_bytes())
