"""A rehearsal on the NPU's emulator: does the model fit, what does it compute in each precision, what does that cost.

float is ONNX Runtime's; fp16 exists only on the emulator, seconds a frame, so on few frames; the integer precisions are
computed by ONNX Runtime on all frames (as the graph is written, which is what the NPU does) and confirmed on the few.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...console import Steps, note
from ...errors import InputError, LpcvError
from ...evaluate.journal import Journal
from ...evaluate.official import OFFICIAL
from ...hub_folder import HubFolder
from ...hub_jobs.htp.door import demand_available, versions
from ...hub_jobs.htp.estimate import Estimate, NoEstimate, calibration_of, estimate
from ...hub_jobs.htp.graph import load
from ...hub_jobs.htp.ranges import value_ranges
from ...hub_jobs.htp.traps import Deviation, warnings
from ...hub_jobs.models import model_of
from ...hub_jobs.quantize.prepare import demand_float
from ...onnx_session import open_session
from .compute import Computing, Numbers
from .feasible import demand_truth, no_map, nothing_to_compute, unscored
from .fit import Calibration, Fit, fit, shared_frames
from .frames import Feed, MadeUp, Pictures, input_shape, picture_size
from .out import clear, demand_replaceable, write_models
from .request import Request
from .rows import EMULATOR
from .runtimes import RUNTIMES

CONSTANTS_IN_INTEGERS = ("DequantizeLinear",)  # on weights alone: the model still computes in float


@dataclass(frozen=True)
class Rehearsal:
    """Everything that came out, or, before the frames have been computed, what is known until then.

    ranged_on: the input on which the warnings' ranges were measured; both: frames both scored and calibrated with
    unscored, uncomputed: why there is no score, why no frame is computed; written: what --out holds of it
    finished: all that can be computed has been
    """

    request: Request
    source: Path
    source_sha256: str
    fits: tuple[Fit, ...]
    warnings: tuple[Deviation, ...]
    ranged_on: str | None
    estimate: Estimate | NoEstimate | None
    both: tuple[str, ...]
    unscored: str | None
    uncomputed: str | None
    numbers: Numbers = field(default_factory=Numbers)
    written: tuple[Path, ...] = ()
    finished: bool = False
    journals: tuple[Journal, ...] = field(default=(), repr=False)

    @property
    def whole(self) -> bool:
        """Every precision fits and was emulated to the end, and every output anywhere is finite."""
        rows = self.numbers.rows
        emulated = {row.precision for row in rows if row.engine == EMULATOR and row.stopped is None}
        every = emulated.issuperset(self.request.precisions) and all(one.compiled for one in self.fits)
        return self.finished and every and not any(row.not_finite for row in rows)

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
            "finished": self.finished,
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
            "not_computed": self.uncomputed,
            "rows": [row.as_json() for row in self.numbers.rows],
            "emulator_against_onnx_runtime": [
                {"precision": one.precision, "frames": one.frames, **one.difference.as_json(), "output_step": one.step}
                for one in self.numbers.agreements
            ],
            "frames_both_scored_and_calibrated_with": list(self.both),
            "written": [str(path) for path in self.written],
        }


def emulate(request: Request, tell: Callable[[Rehearsal], None]) -> Rehearsal:
    """Rehearse. What took long is kept below the hub folder's htp/ and not done twice.

    tell: called once, with all that is known before the first frame is computed: the frames take long, and may fail
    Raises MissingStepError where the emulator is not installed, InputError where model or frames cannot be used or
    --out holds what is not ours, Interrupted on Ctrl-C. What does not fit, or stops, is told in the result.
    """
    demand_available()
    source = model_of(request.model)
    path = source.files[0]
    demand_float(load(path), path, allowed=CONSTANTS_IN_INTEGERS)
    demand_truth(request.frames)
    if request.out is not None:
        for precision in request.precisions:
            demand_replaceable(request.out / precision)
    kept = HubFolder().htp
    feed = _feed(request, path)
    steps = Steps(_planned(request))
    with tempfile.TemporaryDirectory(prefix="lpcv-emulate-") as folder:
        fits = tuple(_fits(request, path, feed, Path(folder), kept / "compiled", steps))
        compiled = tuple(one for one in fits if one.compiled)
        found, ranged_on = _warnings(path, feed if compiled else None, half_precision="fp16" in request.precisions)
        told = _estimate(path, request, fits, steps)
        models = write_models(request.out, fits) if request.out is not None else ()
        uncomputed = nothing_to_compute(feed, path, compiled)
        known = Rehearsal(
            request, path, source.sha256, fits, found, ranged_on, told, _both(request, fits),
            unscored(request.frames, path, compiled, uncomputed), uncomputed, written=models,
        )  # fmt: skip
        tell(known)
        journals: list[Journal] = []
        numbers = Numbers()
        if feed is not None and known.uncomputed is None:
            scored = request.frames if known.unscored is None else None
            out = request.out if no_map(compiled) is None else None
            numbers = Computing(request, path, feed, compiled, scored, out, kept, journals, steps).all()
    _clear_the_others(request, numbers)
    written = (*models, *numbers.written)
    return replace(known, numbers=numbers, written=written, finished=True, journals=tuple(journals))


def _feed(request: Request, path: Path) -> Feed | None:
    shape = input_shape(path)
    if shape is None:  # a finding about the NPU where there are frames, too, and not a problem with them
        return None
    if request.frames is not None:
        return Pictures(request.frames, picture_size(path, shape))
    return MadeUp(shape, request.seed, request.emulated)


def _planned(request: Request) -> int:
    """Steps, if all of it fits: to compile each and to emulate each, float and the integers, the estimate."""
    integers = sum(each != "fp16" for each in request.precisions)
    return 2 * len(request.precisions) + 1 + integers + ("fp16" in request.precisions)


def _fits(request: Request, path: Path, feed: Feed | None, work: Path, cache: Path, steps: Steps) -> Sequence[Fit]:
    calibration = _calibration(request, feed)
    found = []
    for precision in request.precisions:
        made = "compiling" if precision == "fp16" else "quantizing and compiling"
        steps.begin(f"{made} in {precision} for the {request.target.device}")
        found.append(fit(path, precision, request.target, calibration, work, cache, request.limits))
    return found


def _calibration(request: Request, feed: Feed | None) -> Calibration | None:
    if request.calibration is not None:
        return Calibration(request.calibration, request.samples, request.seed)
    if feed is None:
        return None
    return Calibration({name: feed.array(name) for name in feed.names}, request.samples, request.seed)


def _warnings(path: Path, feed: Feed | None, *, half_precision: bool) -> tuple[tuple[Deviation, ...], str | None]:
    """feed: None where nothing is to be measured: what does not fit the NPU may be too large for this computer, too."""
    ranges, name = None, None
    if feed is not None:
        try:
            (given,) = open_session(path).get_inputs()
            ranges = value_ranges(path, {given.name: feed.array(feed.names[0])})
            name = feed.names[0]
        except InputError as error:  # an operator that the NPU may have and ONNX Runtime has not
            note(f"The values' ranges are not measured, so warnings are of what may happen: {error.problem}")
    return tuple(warnings(path, ranges, half_precision=half_precision)), name


def _estimate(path: Path, request: Request, fits: Sequence[Fit], steps: Steps) -> Estimate | NoEstimate | None:
    """Of fp16, which published latencies exist for; None where it was not asked for or does not fit."""
    if not any(one.precision == "fp16" and one.compiled for one in fits):
        return None
    steps.begin("estimating the latency in fp16")
    runtime = next((each for each in RUNTIMES if calibration_of(request.target, each)), RUNTIMES[0])
    try:
        return estimate(path, request.target.device, runtime, limits=request.limits)
    except LpcvError as error:  # the rest can do without
        return NoEstimate(f"No latency can be estimated: {error}")


def _both(request: Request, fits: Sequence[Fit]) -> tuple[str, ...]:
    if request.frames is None or request.calibration is None:
        return ()
    names = {name for one in fits if one.quantized is not None for name in one.quantized.calibration.names}
    return shared_frames(request.frames, request.calibration, names)


def _clear_the_others(request: Request, numbers: Numbers) -> None:
    """Where there are no predictions this time, none of another model shall stay for this one's."""
    if request.out is not None:
        for precision in request.precisions:
            if request.out / precision not in numbers.written:
                clear(request.out / precision)
