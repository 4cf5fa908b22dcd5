"""The organisers' score of one frame, quirks included, and the mean over frames.

Source: evaluate_track3.py @ 1ed2ac6. Shown beside its columns: MAE, Chamfer, IoU and the 20 cm values, which its code
computes or which its definitions imply.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from ..data.frame import Confidence, DepthM
from ..data.resize import nearest
from ..errors import InputError
from . import metrics
from .pointcloud import nearest_distances, official_cloud

PROTOCOL = CONTRACT.name
METRICS = (
    "abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3", "mae",
    "f_score", "iou", "chamfer_m", "f_score_20cm", "iou_20cm",
)  # fmt: skip
UNITS = {
    "abs_rel": "ratio", "sq_rel": "m", "rmse": "m", "rmse_log": "ln m", "delta1": "share", "delta2": "share",
    "delta3": "share", "mae": "m", "f_score": "of 100, at 10 cm", "iou": "of 100, at 10 cm", "chamfer_m": "m",
    "f_score_20cm": "of 100, at 20 cm", "iou_20cm": "of 100, at 20 cm",
}  # fmt: skip
HIGHER_IS_BETTER = frozenset({"delta1", "delta2", "delta3", "f_score", "iou", "f_score_20cm", "iou_20cm"})


@dataclass(frozen=True)
class FrameScore:
    """All metrics of one frame; a value that is officially NaN or infinite is None, with its reason beside it."""

    frame: str
    values: Mapping[str, float | None]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Aligned:
    """Truth and prediction on the prediction's grid, in metres, zeros replaced, the prediction scaled."""

    truth_m: npt.NDArray[np.float32]
    pred_m: npt.NDArray[Any]
    confidence: Confidence
    scale: float


def align(prediction: npt.NDArray[Any], depth_m: DepthM, confidence: Confidence) -> Aligned:
    """Steps 3 to 5: truth to the prediction's size by PIL's NEAREST, zeros to 1e-5, one ratio of medians.

    prediction: (H, W) floating; depth_m, confidence: (h, w). The medians run over ALL pixels, holes included.
    """
    pred = prediction.copy()
    size = (pred.shape[1], pred.shape[0])
    truth, level = nearest(depth_m, size).copy(), nearest(confidence, size)
    truth[truth == 0] = CONTRACT.zero_replacement_m
    pred[pred == 0] = CONTRACT.zero_replacement_m
    with np.errstate(all="ignore"):
        scale = np.median(truth) / np.median(pred)
        return Aligned(truth, scale * pred, level, float(scale))


def score_frame(frame: str, prediction: npt.NDArray[Any], depth_m: DepthM, confidence: Confidence) -> FrameScore:
    """Steps 3 to 9 for one frame.

    prediction: (H, W) floating, in the dtype it was saved with, relative depth (near to far, up to one scale)
    depth_m: (h, w) float32 metres, 0 = none; confidence: (h, w) uint8 0 to 2
    Raises InputError where no pixel has confidence 1 or more: there the organisers' script stops.
    """
    aligned = align(prediction, depth_m, confidence)
    pixels = aligned.confidence >= CONTRACT.pixel_confidence
    if not pixels.any():
        raise InputError(
            f"Frame {frame} has no pixel of confidence {CONTRACT.pixel_confidence} or more, where the official "
            "scorer stops.",
            "Remove the frame from the evaluation set.",
        )
    truth, pred = aligned.truth_m[pixels], aligned.pred_m[pixels]
    cloud = aligned.confidence == CONTRACT.cloud_confidence
    if not cloud.any():
        cloud = aligned.confidence == CONTRACT.cloud_confidence_fallback
    near, far = CONTRACT.thresholds_m
    with np.errstate(all="ignore"):  # NaN and infinity are official results; they are reported below
        values = {
            "abs_rel": metrics.abs_rel(truth, pred),
            "sq_rel": metrics.sq_rel(truth, pred),
            "rmse": metrics.rmse(truth, pred),
            "rmse_log": metrics.rmse_log(truth, pred),
            "delta1": metrics.delta(truth, pred, 1),
            "delta2": metrics.delta(truth, pred, 2),
            "delta3": metrics.delta(truth, pred, 3),
            "mae": metrics.mae(truth, pred),
        }
        distances = nearest_distances(official_cloud(aligned.pred_m, cloud), official_cloud(aligned.truth_m, cloud))
        values["f_score"], values["iou"] = distances.f_score_and_iou(near)
        values["chamfer_m"] = distances.chamfer_m()
        values["f_score_20cm"], values["iou_20cm"] = distances.f_score_and_iou(far)
    reasons = {key: _why_not_finite(prediction, aligned) for key in METRICS if not math.isfinite(values[key])}
    return FrameScore(frame, {key: None if key in reasons else values[key] for key in METRICS}, reasons)


def mean_score(frames: Sequence[FrameScore]) -> FrameScore:
    """Step 10: the mean of each column. One officially NaN frame makes the mean officially NaN: None, with a reason."""
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for key in METRICS:
        column = [frame.values[key] for frame in frames]
        present = [value for value in column if value is not None]
        if len(present) == len(column):
            values[key] = float(np.mean(present))
        else:
            values[key] = None
            spoiled = [frame.frame for frame in frames if frame.values[key] is None]
            reasons[key] = f"{len(spoiled)} of {len(frames)} frames have no finite value, the first is {spoiled[0]}"
    return FrameScore("mean", values, reasons)


def _why_not_finite(prediction: npt.NDArray[Any], aligned: Aligned) -> str:
    if np.isnan(prediction).any():
        return "the prediction holds NaN, which makes its median and with it every pixel NaN"
    if not np.isfinite(prediction).all():
        return "the prediction holds infinite values"
    if not math.isfinite(aligned.scale):
        return "the prediction's median is 0, so no scale can be taken from it"
    if (aligned.pred_m < 0).any():
        return "the scaled prediction is negative at some pixel, and a negative depth has no logarithm"
    return "the values leave the range of the prediction's number format"
