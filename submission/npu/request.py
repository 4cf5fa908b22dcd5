"""What `lpcv emulate` is asked for: a model, in precisions of an NPU, on frames, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...console import note
from ...data.folder import FrameFolder, open_folder, select
from ...errors import InputError
from ...hub_jobs.htp.outcome import Limits
from ...hub_jobs.htp.target import Target, target_of
from ...hub_jobs.models import model_of
from ...hub_jobs.precisions import PRECISIONS


@dataclass(frozen=True)
class Request:
    """What to rehearse.

    precisions: of the NPU, so not float; frames: to score, None for made-up inputs only
    calibration: what the integers' ranges come from, None for the made-up inputs; emulated: on so many frames
    """

    model: Path
    target: Target
    precisions: tuple[str, ...]
    frames: FrameFolder | None
    calibration: FrameFolder | None
    emulated: int
    samples: int
    seed: int
    limits: Limits
    out: Path | None


def request_of(
    model: Path,
    device: str,
    precisions: Sequence[str],
    *,
    data: Path | None,
    chosen: str | None,
    emulated: int,
    calibration: Path | None,
    samples: int,
    seed: int,
    limits: Limits,
    out: Path | None,
) -> Request:
    """The request of a command line, whose folders have been opened.

    precisions: () for all that the device's NPU has; chosen: "FIRST-LAST" of the frames, None for all
    Raises InputError (UnknownNameError for a name) for what does not go together or cannot be used.
    """
    target = target_of(device)
    on_npu = _on_npu(target, precisions)
    if data is None and (chosen or calibration):
        raise InputError("--frames and --calibration are about frames, and there are none.", "Add --data DIR.")
    model_of(model)  # what is no model is told before the frames are looked at
    frames = select(open_folder(data), chosen) if data else None
    calibrated_with = None if frames is None else calibration_frames(calibration or frames.root, frames)
    return Request(model, target, on_npu, frames, calibrated_with, emulated, samples, seed, limits, out)


def calibration_frames(root: Path, scored_frames: FrameFolder) -> FrameFolder:
    """Frames to calibrate with: those of the folder that are not scored, or all of it where all are."""
    folder = open_folder(root)
    if root.resolve() != scored_frames.root.resolve():
        return folder
    others = tuple(name for name in folder.names if name not in frozenset(scored_frames.names))
    return folder.subset(others) if others else folder


def _on_npu(target: Target, wanted: Sequence[str]) -> tuple[str, ...]:
    found = tuple(each for each in PRECISIONS if each != "float" and (each in wanted or not wanted))
    if not wanted and target.integers_only:
        note(f"The NPU of the {target.device} computes integers only: no fp16.")
        found = tuple(each for each in found if each != "fp16")
    if not found:
        raise InputError("float is not computed on an NPU.", "Add --precision fp16, w8a16 or w8a8.")
    for each in found:
        target.demand(each)
    return found
