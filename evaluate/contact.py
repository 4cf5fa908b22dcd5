"""The contact sheet: RGB | truth | predictions | signed error, one colour scale for all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from ..data.folder import FrameFolder
from ..data.frame import Rgb
from ..data.pictures import Scale, sheet, signed_scale
from ..errors import InputError
from .official import Aligned, align
from .predictions import Source

TILE = (256, 192)
MOST_ROWS = 12
SCALE_PERCENTILE = 98


def contact_sheet(frames: FrameFolder, names: Sequence[str], sources: Mapping[str, Source]) -> Rgb:
    """One row per frame; the signed error is the last source's, prediction minus truth. (H, W, 3) uint8.

    Every prediction is shown in metres after the official alignment (one ratio of medians). Truth that is missing or
    of confidence 0 is grey. Raises InputError for a frame without truth.
    """
    aligned: dict[str, dict[str, Aligned]] = {}
    pictures: dict[str, Rgb] = {}
    for name in names:
        frame = frames.frame(name)
        if frame.depth_m is None or frame.confidence is None:
            raise InputError(f"{frames.root} has no truth for frame {name}.", "A contact sheet compares with truth.")
        pictures[name] = frame.rgb
        aligned[name] = {
            label: align(source.predict(name, frame.rgb), frame.depth_m, frame.confidence)
            for label, source in sources.items()
        }
    first, last = next(iter(sources)), list(sources)[-1]
    truths = {name: aligned[name][first] for name in names}
    seen = np.concatenate([truth.truth_m[_trusted(truth)] for truth in truths.values()])
    far = float(np.percentile(seen, SCALE_PERCENTILE)) if seen.size else 1.0  # no trusted truth: all of it is grey
    depth_scale = Scale(0.0, far, "m")
    error_scale = signed_scale(depth_scale.high / 4, "m")
    rows = []
    for name in names:
        truth, worst = truths[name], aligned[name][last]
        painted = [depth_scale.paint(prediction.pred_m) for prediction in aligned[name].values()]
        error = error_scale.paint(worst.pred_m - worst.truth_m, _trusted(worst))
        rows.append((name, [pictures[name], depth_scale.paint(truth.truth_m, _trusted(truth)), *painted, error]))
    return sheet(rows, ("RGB", "truth, m", *sources, f"{last} - truth, m"), (depth_scale, error_scale), TILE)


def _trusted(pair: Aligned) -> npt.NDArray[np.bool_]:
    return (pair.confidence >= CONTRACT.pixel_confidence) & (pair.truth_m > 1e-3)
