"""The picture that fails loudly: the worst frames, with what explains the prediction best framed in red."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...data.folder import FrameFolder
from ...data.frame import Frame, Rgb
from ...data.pictures import Scale, sheet
from .findings import Finding, failures
from .meaning import MOST_WORST, UPRIGHT, VIEWS, measure
from .model import Runner
from .opening import open_runner

TILE = (256, 192)
RED, GREEN, FRAME_PX = (220, 20, 20), (20, 160, 60), 8
SMALL_GAIN = 0.02
INVERSE, SWAPPED = "inverse truth", "prediction, fed BGR"
HEADINGS = ("RGB", "prediction", SWAPPED, "truth", INVERSE, "truth left-right", "truth up-down", "truth turned 180")


def evidence_frames(findings: Sequence[Finding]) -> list[str]:
    """The frames to draw: the worst of each failed finding of meaning, without repetition. Empty where none failed."""
    names = dict.fromkeys(name for finding in failures(findings) for name in finding.worst)
    return list(names)[:MOST_WORST]


def draw_evidence(model: Path, frames: FrameFolder, names: Sequence[str]) -> Rgb:
    """(H, W, 3) uint8 RGB: one row per frame of `names`, all depth in metres on one colour scale.

    Predictions are scaled by the official ratio of medians. What explains the prediction best is framed: green where
    that is the truth as it is, fed RGB; red where it is anything else. Raises InputError where the model does not run.
    """
    if not names:
        raise ValueError("evidence needs at least one frame")
    runner = open_runner(model)
    chosen = [frames.frame(name) for name in names]
    depths = [_known(frame) for frame in chosen]
    scale = Scale(0.0, float(np.nanpercentile(np.concatenate([depth.ravel() for depth in depths]), 98)), "m")
    rows = [(frame.name, _tiles(runner, frame, depth, scale)) for frame, depth in zip(chosen, depths, strict=True)]
    return sheet(rows, HEADINGS, (scale,), TILE)


def _tiles(runner: Runner, frame: Frame, truth: npt.NDArray[np.float32], scale: Scale) -> list[Rgb]:
    prediction = runner.predict(frame.rgb)
    swapped = runner.predict(np.ascontiguousarray(frame.rgb[..., ::-1]))
    middle = float(np.nanmedian(truth))
    inverse = middle**2 / truth  # the same median as the truth's, so that one scale shows both
    views = [np.ascontiguousarray(turn(truth)) for view, turn in VIEWS.items() if view != UPRIGHT]
    maps = [_to_median(prediction, middle), _to_median(swapped, middle), truth, inverse, *views]
    tiles = [_tile(frame.rgb), *(_tile(scale.paint(values)) for values in maps)]
    best = _best_heading(frame, prediction, swapped)
    if best is not None:
        _outline(tiles[HEADINGS.index(best)], GREEN if best == "truth" else RED)
    return tiles


def _best_heading(frame: Frame, prediction: npt.NDArray[np.float32], swapped: npt.NDArray[np.float32]) -> str | None:
    """The heading of the tile that explains the prediction best; None for a frame that says nothing (nearly flat)."""
    found = measure(frame, prediction, swapped)
    if found is None:
        return None
    scores = dict(zip(("truth", *HEADINGS[5:]), (found.rank[view] for view in VIEWS), strict=True))
    scores |= {INVERSE: -found.rank[UPRIGHT], SWAPPED: found.swapped.rank[UPRIGHT]}
    best = max(scores, key=lambda heading: scores[heading])
    # A small gain from exchanged colours is no explanation.
    return "truth" if scores["truth"] >= scores[best] - SMALL_GAIN else best


def _known(frame: Frame) -> npt.NDArray[np.float32]:
    """The frame's depth with NaN where there is none."""
    if frame.depth_m is None:
        raise ValueError(f"frame {frame.name} has no depth")
    return np.where(frame.depth_m > 0, frame.depth_m, np.float32(np.nan))


def _to_median(prediction: npt.NDArray[np.float32], middle: float) -> npt.NDArray[np.float32]:
    own = float(np.median(prediction))
    return prediction * np.float32(middle / own) if own > 0 else prediction


def _tile(picture: Rgb) -> Rgb:
    shrink = cv2.INTER_AREA if picture.shape[1] > TILE[0] else cv2.INTER_NEAREST
    return cv2.resize(picture, TILE, interpolation=shrink).astype(np.uint8, copy=False)


def _outline(tile: Rgb, colour: tuple[int, int, int]) -> None:
    for edge in (tile[:FRAME_PX], tile[-FRAME_PX:], tile[:, :FRAME_PX], tile[:, -FRAME_PX:]):
        edge[:] = colour
