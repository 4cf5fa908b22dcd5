"""Where a model loses: the pixel metrics by band of true depth and by level of confidence, the scores by condition.

A part's numbers are its own: pixels without a measurement are left out of it, though the official score counts a hole
of confidence 1 or 2 as truth of 1e-5 m. They explain a score and never enter it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from ..data.folder import FrameFolder
from ..data.frame import Confidence, Level, Record
from ..errors import InputError
from .frame_score import FrameScore, mean_score
from .statistics import Interval, mean_interval

# Doublings: an error of depth grows with depth. A phone's LiDAR reaches 5 m, KITTI's truth 80 m.
BAND_EDGES_M = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
BANDS = (
    f"truth below {BAND_EDGES_M[0]:g} m",
    *(f"truth {low:g}-{high:g} m" for low, high in pairwise(BAND_EDGES_M)),
    f"truth {BAND_EDGES_M[-1]:g} m and more",
)
LEVELS = tuple(f"confidence {level.value}" for level in Level)
PARTS = (*BANDS, *LEVELS)
PART_METRICS = ("abs_rel", "rmse", "mae", "delta1")
CONDITION = "condition"  # place and light together, the four quarters of the organisers' test set

BLOCK = 1 << 15  # pixels at a time: they stay in the cache, which makes a frame 4 times faster (5 ms)

Part = Mapping[str, float]
Flat = npt.NDArray[np.floating]


@dataclass(frozen=True)
class GroupMean:
    """The mean over the frames of one group, and how many of its `frames` the protocol gives no value (`stopped`).

    interval: of the mean of the ranking metric; None where there are too few frames
    """

    frames: int
    stopped: int
    mean: FrameScore
    interval: Interval | None = None


def parts_of(
    truth_m: npt.NDArray[np.floating],
    pred_m: npt.NDArray[np.floating],
    confidence: Confidence | None,
    counted: npt.NDArray[np.bool_] | None = None,
) -> Mapping[str, Part]:
    """Of one frame: part -> {"pixels": n, "abs_rel", "rmse", "mae", "delta1"}, in the order of `PARTS`.

    truth_m, pred_m: (H, W) metres, aligned; confidence: (H, W) 0 to 2, or None = unknown
    counted: (H, W) the pixels that the protocol counts, all of truth_m > 0; None = the official meaning: confidence 1
        or 2, or unknown, where truth_m is more than what the contract puts in place of zeros

    Bands of true depth and levels of confidence hold the pixels that the protocol counts. Under the official meaning
    the levels hold all measured pixels, level 0 too, to show what is left out of the score. A band holds its lower
    edge. An empty part is absent; so is a metric that is not finite. Definitions as in metrics.py, summed in float64.
    """
    truth, pred = truth_m.ravel(), pred_m.ravel()
    official = counted is None
    within = truth > truth.dtype.type(CONTRACT.zero_replacement_m) if official else counted.ravel()
    levels = None if confidence is None else confidence.ravel()
    sums = np.zeros((1 + len(PART_METRICS), len(BANDS) * len(LEVELS)))
    with np.errstate(all="ignore"):  # what is not finite is left out below
        for at in range(0, truth.size, BLOCK):
            block = slice(at, at + BLOCK)
            chosen = within[block]
            level = None if levels is None else levels[block][chosen]
            sums += _sums(truth[block][chosen], pred[block][chosen], level)
    cells = sums.reshape(-1, len(BANDS), len(LEVELS))
    by_band = cells[:, :, CONTRACT.pixel_confidence if official else 0 :].sum(2)
    by_level = cells.sum(1)[:, : 0 if levels is None else None]
    columns = np.concatenate([by_band, by_level], axis=1).T.tolist()
    return {part: _part(*column) for part, column in zip(PARTS, columns, strict=False) if column[0]}


def _sums(truth: Flat, pred: Flat, level: Confidence | None) -> npt.NDArray[np.float64]:
    """(pixels and the four sums, band and level together) of 1-D arrays; unknown confidence counts as the highest."""
    error = np.abs(truth - pred)
    near = np.maximum(truth / pred, pred / truth) < CONTRACT.delta_base
    cell = _band(truth) * len(LEVELS) + (Level.HIGH.value if level is None else level)
    per_pixel = (None, error / truth, error * error, error, near)
    return np.stack([np.bincount(cell, each, len(BANDS) * len(LEVELS)).astype(np.float64) for each in per_pixel])


def _band(truth_m: Flat) -> npt.NDArray[np.integer]:
    """The index into `BANDS` of each true depth."""
    # The edges are the powers of two from 2^-1 to 2^5, so a float's own exponent is its band: 4 times faster
    # than a search. frexp's mantissa lies in [0.5, 1), which makes the exponent of 0.5 itself 0.
    return np.clip(np.frexp(truth_m)[1], -1, len(BAND_EDGES_M) - 1) + 1


def _part(pixels: float, relative: float, square: float, absolute: float, near: float) -> Part:
    values = (relative / pixels, math.sqrt(square / pixels), absolute / pixels, near / pixels)
    finite = {key: value for key, value in zip(PART_METRICS, values, strict=True) if math.isfinite(value)}
    return {"pixels": int(pixels), **finite}


def part_means(scores: Sequence[FrameScore]) -> Mapping[str, Mapping[str, float | None]]:
    """part -> {"frames": n, "pixels": of all frames, metric: mean over the frames that have the part}, as in `PARTS`.

    Every frame counts alike, as in the score itself, however few of its pixels lie in the part. A metric is None where
    it is not finite in one of these frames.
    """
    means: dict[str, Mapping[str, float | None]] = {}
    for part in PARTS:
        rows = [score.parts[part] for score in scores if part in score.parts]
        if rows:
            columns = {key: [row[key] for row in rows if key in row] for key in PART_METRICS}
            values = {key: float(np.mean(found)) if len(found) == len(rows) else None for key, found in columns.items()}
            means[part] = {"frames": len(rows), "pixels": sum(int(row["pixels"]) for row in rows), **values}
    return means


def labels_of(frames: FrameFolder, key: str | None = None) -> Mapping[str, str]:
    """Frame -> the group it belongs to.

    key: `condition` (also None): place and light, e.g. "indoor, low light"; or place, light, source, licence, or any
        other text of the manifest. A frame whose row lacks the key is "unknown".
    Raises InputError for a key that no frame has, naming those there are.
    """
    records = {name: frames.records.get(name, Record()) for name in frames.names}
    if key in (None, CONDITION):
        return {name: f"{_said(record.place, 'place')}, {record.light} light" for name, record in records.items()}
    texts = {name: {**_own_texts(record), **record.extra} for name, record in records.items()}
    known = sorted({CONDITION, *(each for found in texts.values() for each in found)})
    if key not in known:
        raise InputError(f"{frames.root} has no manifest key '{key}' to group by.", f"It has: {', '.join(known)}.")
    return {name: found.get(key, "unknown") for name, found in texts.items()}


def _own_texts(record: Record) -> dict[str, str]:
    """The fields of a record that are texts: place, light, source, licence."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _said(value: str, what: str) -> str:
    return f"{value} {what}" if value == "unknown" else value


def group_means(
    scores: Sequence[FrameScore], labels: Mapping[str, str], metrics: Sequence[str], ranks: str
) -> Mapping[str, GroupMean]:
    """Label -> the mean of its frames, labels in sorted order. Raises KeyError for a frame without a label."""
    groups: dict[str, list[FrameScore]] = {}
    for score in scores:
        groups.setdefault(labels[score.frame], []).append(score)
    return {
        label: GroupMean(
            len(members),
            sum(each.stopped is not None for each in members),
            mean_score(members, metrics),
            column_interval(members, ranks),
        )
        for label, members in sorted(groups.items())
    }


def column_interval(scores: Sequence[FrameScore], metric: str) -> Interval | None:
    """Of the mean of one metric over the frames that were scored; None where one has no finite value."""
    column = [score.values[metric] for score in scores if score.stopped is None]
    present = [value for value in column if value is not None]
    return mean_interval(present) if len(present) == len(column) else None
