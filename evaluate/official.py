"""The organisers' score of one frame, quirks included; and the same with a correct camera, to be shown beside it.

Source: evaluate_track3.py @ 1ed2ac6. Shown beside its columns: MAE, Chamfer, IoU and the 20 cm values, which its code
computes or which its definitions imply.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from ..data.frame import Confidence, DepthM, Frame
from ..data.resize import nearest
from . import metrics, neighbours
from .breakdown import parts_of
from .frame_score import FrameScore
from .neighbours import BothWays, both_ways, nearest_distances
from .pointcloud import Cloud, Distances, Rays, cloud_of, frame_rays, official_rays
from .protocol import Comparison, Protocol

METRICS = (
    "abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3", "mae",
    "f_score", "iou", "chamfer_m", "f_score_20cm", "iou_20cm",
)  # fmt: skip
RaysOf = Callable[[Frame, tuple[int, int]], Rays]
SAME_SHAPE = 0.05  # how far the aspects of prediction and truth may differ before a line says so


@dataclass(frozen=True)
class Aligned:
    """Truth and prediction on the prediction's grid, in metres, zeros replaced, the prediction scaled."""

    truth_m: npt.NDArray[np.float32]
    pred_m: npt.NDArray[Any]
    confidence: Confidence
    scale: float

    @property
    def cloud_mask(self) -> npt.NDArray[np.bool_]:
        """The pixels of the point clouds: of the highest confidence, or of the fallback where no pixel has it."""
        highest = self.confidence == CONTRACT.cloud_confidence
        return highest if highest.any() else self.confidence == CONTRACT.cloud_confidence_fallback


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


def score_frame(
    frame: str,
    prediction: npt.NDArray[Any],
    depth_m: DepthM,
    confidence: Confidence,
    rays: Rays | None = None,
    search: BothWays = both_ways,
) -> FrameScore:
    """Steps 3 to 9 for one frame; stopped where the organisers' script would stop.

    prediction: (H, W) floating, in the dtype it was saved with, relative depth (near to far, up to one scale)
    depth_m: (h, w) float32 metres, 0 = none; confidence: (h, w) uint8 0 to 2
    rays: (H * W, 3) the ray of each depth of the row-by-row flattened map; None is the organisers' own
    search: how nearest neighbours are found; see neighbours.py
    """
    aligned = align(prediction, depth_m, confidence)
    pixels = aligned.confidence >= CONTRACT.pixel_confidence
    if not pixels.any():
        why = f"no pixel has confidence {CONTRACT.pixel_confidence} or more, where the official script stops"
        return FrameScore.stop(frame, METRICS, why)
    truth, pred = aligned.truth_m[pixels], aligned.pred_m[pixels]
    cloud = aligned.cloud_mask
    if not cloud.any():
        return FrameScore.stop(frame, METRICS, "no pixel has a confidence that makes a point cloud")
    near, far = CONTRACT.thresholds_m
    with np.errstate(all="ignore"):  # NaN and infinity are official results; they are explained below
        values = {
            "abs_rel": metrics.abs_rel(truth, pred),
            "sq_rel": metrics.sq_rel(truth, pred),
            "rmse": metrics.rmse(truth, pred),
            "rmse_log": metrics.rmse_log(truth, pred),
            **dict(zip(("delta1", "delta2", "delta3"), metrics.deltas(truth, pred), strict=True)),
            "mae": metrics.mae(truth, pred),
        }
        grid = official_rays(*prediction.shape) if rays is None else rays
        clouds = cloud_of(aligned.pred_m, cloud, grid), cloud_of(aligned.truth_m, cloud, grid)
        if _ambiguous(clouds[0]):
            values |= dict.fromkeys(("f_score", "iou", "chamfer_m", "f_score_20cm", "iou_20cm"), math.nan)
        else:
            distances = Distances(*nearest_distances(*clouds, search))
            values["f_score"], values["iou"] = distances.f_score_and_iou(near)
            values["chamfer_m"] = distances.chamfer_m()
            values["f_score_20cm"], values["iou_20cm"] = distances.f_score_and_iou(far)
        parts = parts_of(aligned.truth_m, aligned.pred_m, aligned.confidence)
    why = "" if all(map(math.isfinite, values.values())) else _why_not_finite(prediction, aligned)
    ordered = {key: values[key] for key in METRICS}
    return FrameScore.of(
        frame,
        ordered,
        why,
        alignment=_finite({"scale": aligned.scale}),
        parts=parts,
        remarks={**_holes(truth, pred, values["abs_rel"]), **_turned(prediction, depth_m)},
    )


def on_device(protocol: Protocol, device: str) -> Protocol:
    """The same protocol with its nearest neighbours found on a device; equal numbers. See neighbours.on_device.

    A protocol without point clouds is returned as it is.
    """
    rays_of = {OFFICIAL.name: _organisers_rays, GEOMETRY.name: _correct_rays}.get(protocol.name)
    if device == "cpu" or rays_of is None:
        return protocol
    return replace(protocol, score=partial(_score, rays_of=rays_of, search=neighbours.on_device(device)))


def compare(frame: Frame, prediction: npt.NDArray[Any], kind: str) -> Comparison:
    """What the pixel metrics compare, on the prediction's grid; holes, which they count as 1e-5 m, are left out."""
    del kind
    assert frame.depth_m is not None  # the protocol's `needs` saw to both
    assert frame.confidence is not None
    aligned = align(prediction, frame.depth_m, frame.confidence)
    measured = aligned.truth_m > CONTRACT.zero_replacement_m
    return Comparison(aligned.truth_m, aligned.pred_m, measured & (aligned.confidence >= CONTRACT.pixel_confidence))


def _organisers_rays(frame: Frame, shape: tuple[int, int]) -> Rays:
    return official_rays(*shape)


def _correct_rays(frame: Frame, shape: tuple[int, int]) -> Rays:
    return frame_rays(frame, shape)[0]


def _score(
    frame: Frame, prediction: npt.NDArray[Any], kind: str, rays_of: RaysOf, search: BothWays = both_ways
) -> FrameScore:
    del kind  # depth in metres and relative depth are scored alike: the one scale is fitted either way
    assert frame.depth_m is not None  # the protocol's `needs` saw to both
    assert frame.confidence is not None
    height, width = prediction.shape
    rays = rays_of(frame, (height, width))
    score = score_frame(frame.name, prediction, frame.depth_m, frame.confidence, rays, search)
    # Only the organisers' rays depend on the size of the map; the correct ones show the same scene at any.
    if rays_of is not _organisers_rays or score.stopped is not None or (width, height) == CONTRACT.image_size:
        return score
    return replace(score, other_size=f"{width}x{height}")


OFFICIAL = Protocol(
    name=CONTRACT.name,
    purpose="the organisers' own score, quirks included: it ranks the submissions",
    weakest_kind="relative_depth",
    needs=("depth", "confidence"),
    resize="truth and confidence to the prediction's size, PIL's NEAREST",
    valid=f"pixels: confidence >= {CONTRACT.pixel_confidence}, holes included; clouds: confidence == "
    f"{CONTRACT.cloud_confidence}, or {CONTRACT.cloud_confidence_fallback} where no pixel has it",
    crop="none",
    cap=f"none; zeros of truth and prediction become {CONTRACT.zero_replacement_m:g} m",
    alignment="one scale, median(truth) / median(prediction) over ALL pixels",
    aligned_in="depth",
    metrics=METRICS,
    ranks=CONTRACT.ranking_metric,
    aggregation="mean over frames",
    source="evaluate_track3.py @ 1ed2ac6; rays in matrix order and K of a 1920x1440 image, as there",
    score=partial(_score, rays_of=_organisers_rays),
    compare=compare,
)
GEOMETRY = Protocol(
    **{
        **OFFICIAL.described(),
        "name": f"{CONTRACT.name}-geometry",
        "purpose": "the official score with the correct ray for each pixel: where the geometry is lost, never a rank",
        "source": "evaluate_track3.py @ 1ed2ac6, but pixel (k % W, k // W) and K rescaled to the prediction's size; "
        "the manifest's camera where it names one",
    },
    score=partial(_score, rays_of=_correct_rays),
    compare=compare,
)


def _finite(parameters: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in parameters.items() if math.isfinite(value)}


def _ambiguous(pred: Cloud) -> bool:
    """Whether some but not all points are NaN.

    That takes a prediction that is infinite at more than half of its pixels: the scale is 0, infinite pixels become
    NaN, finite ones 0. What the organisers' search then finds depends on where in its blocks the NaN points lie.
    """
    spoiled = np.isnan(pred).any(axis=1) if np.isnan(pred).any() else np.zeros(1, bool)
    return bool(spoiled.any() and not spoiled.all())


def _turned(prediction: npt.NDArray[Any], depth_m: DepthM) -> dict[str, str]:
    """Where prediction and truth differ in aspect: a line that says so; the score is what the script gives."""
    aspect = (prediction.shape[1] / prediction.shape[0]) / (depth_m.shape[1] / depth_m.shape[0])
    if abs(aspect - 1) < SAME_SHAPE:
        return {}
    sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (prediction, depth_m)]
    return {CONTRACT.ranking_metric: f"the prediction is {sizes[0]} and the truth {sizes[1]}: transposed or cropped?"}


def _holes(truth_m: npt.NDArray[Any], pred_m: npt.NDArray[Any], abs_rel: float) -> dict[str, str]:
    """Where holes that count as truth make up most of abs_rel: a line that says so."""
    holes = truth_m == np.float32(CONTRACT.zero_replacement_m)
    if not holes.any() or not math.isfinite(abs_rel):
        return {}
    others = metrics.abs_rel(truth_m[~holes], pred_m[~holes]) if not holes.all() else 0.0
    if others > abs_rel / 2:
        return {}
    return {
        "abs_rel": f"{holes.sum()} pixels of confidence {CONTRACT.pixel_confidence} or more have no depth and count, "
        f"officially, as truth of {CONTRACT.zero_replacement_m:g} m; without them it is {others:.3f}"
    }


def _why_not_finite(prediction: npt.NDArray[Any], aligned: Aligned) -> str:
    if np.isnan(prediction).any():
        return "the prediction holds NaN, which makes its median and with it every pixel NaN"
    if not np.isfinite(prediction).all():
        return "the prediction holds infinite values, and no cloud can be compared where most of it is infinite"
    if not math.isfinite(aligned.scale):
        return "the prediction's median is too near to 0 for a scale to be taken from it"
    if (aligned.pred_m < 0).any():
        return "the scaled prediction is negative at some pixel, and a negative depth has no logarithm"
    return "the values leave the range of the prediction's number format"
