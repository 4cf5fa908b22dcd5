"""What of a rehearsal can be computed and scored, known before the first frame is: each as None, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...data.folder import FrameFolder
from ...errors import InputError
from ...evaluate.kinds import demand_kind
from ...evaluate.official import OFFICIAL
from ...evaluate.predictions import OnnxModel
from ...evaluate.score import demand_needs
from ...onnx_session import open_session
from .fit import NOTHING_TO_FEED, Fit
from .frames import Feed


def demand_truth(frames: FrameFolder | None) -> None:
    """Raises InputError where some frames have truth, or only a part of it, and others not."""
    if frames is not None and frames.depths:
        demand_needs(frames, OFFICIAL)


def nothing_to_compute(feed: Feed | None, path: Path, compiled: Sequence[Fit]) -> str | None:
    """Why no frame is computed; None where some are."""
    if feed is None:
        return NOTHING_TO_FEED
    if not compiled:
        return "it fits in no precision."
    try:
        open_session(path)
    except InputError as error:  # the NPU may have an operator that ONNX Runtime has not
        return f"there is nothing to compare with. {error.problem}"
    return None


def unscored(frames: FrameFolder | None, path: Path, compiled: Sequence[Fit], uncomputed: str | None) -> str | None:
    """Why no frame is scored; uncomputed: what nothing_to_compute() says."""
    if frames is None:
        return "no frames were given (--data): the inputs are made up, so there is nothing to score."
    if (why := uncomputed or no_map(compiled)) is not None:
        return why
    if not frames.depths:
        return f"{frames.root} has no depth: there is no truth to score against."
    try:
        demand_kind(OnnxModel.open(path).kind, OFFICIAL.weakest_kind, f"protocol {OFFICIAL.name}")
    except InputError as error:
        return error.problem
    return None


def no_map(compiled: Sequence[Fit]) -> str | None:
    """Why the output is no prediction, (1, 1, H, W) floating."""
    for one in compiled:
        if one.compiled is not None:
            for shape, dtype in one.compiled.outputs.values():
                if len(shape) != 4 or shape[:2] != (1, 1) or not np.issubdtype(np.dtype(dtype), np.floating):
                    return f"the model gives {dtype} of shape {shape}, not one floating map (1, 1, H, W)."
    return None
