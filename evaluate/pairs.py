"""Ordinal truth: which of two points is nearer, as Depth in the Wild asks.

`weights` of metrics.whdr are for callers of the library: this protocol's pairs all weigh the same.
"""

from __future__ import annotations

import numpy as np

from ..data.frame import Frame
from . import metrics
from .field import in_space, resize
from .frame_score import FrameScore
from .kinds import demand_kind
from .protocol import Prediction, Protocol

METRICS = ("whdr",)
WEAKEST = "affine_inverse_depth"


def score_pairs(frame: Frame, prediction: Prediction, kind: str) -> FrameScore:
    """The share of the frame's point pairs whose order is wrong; stopped where the frame has none.

    prediction: (H, W) floating of `kind`; resized to the image bilinearly, as inverse depth. Raises InputError for a
    word that is no kind.
    """
    demand_kind(kind, WEAKEST, "protocol diw")
    pairs = frame.record.pairs
    if not pairs:
        return FrameScore.stop(frame.name, METRICS, "its row in the manifest has no point pairs")
    with np.errstate(all="ignore"):
        inverse = resize(in_space(prediction, kind, inverse=True), frame.rgb.shape[:2], "bilinear")
    (columns_a, rows_a), (columns_b, rows_b) = np.array([pair.a for pair in pairs]).T, np.array([p.b for p in pairs]).T
    nearer_a = np.array([pair.nearer == "a" for pair in pairs])
    wrong = metrics.whdr(nearer_a, inverse[rows_a, columns_a], inverse[rows_b, columns_b])
    return FrameScore.of(frame.name, {"whdr": wrong}, "")


DIW = Protocol(
    name="diw",
    purpose="order of point pairs in pictures from the web: Depth in the Wild's WHDR",
    weakest_kind=WEAKEST,
    needs=("pairs",),
    resize="prediction to the image's size, bilinear, as inverse depth; depths of 0 or less count as the smallest "
    "positive one",
    valid="the point pairs of the manifest; a tie or a NaN counts as wrong",
    crop="none",
    cap="none",
    alignment="none: order alone counts",
    aligned_in="nothing",
    metrics=METRICS,
    ranks="whdr",
    aggregation="mean over frames of each frame's share (Depth in the Wild has one pair a frame, all of one weight)",
    source="Chen et al. 2016; princeton-vl/relative_depth @ e26f3d3, src/experiment/test_model_on_DIW.lua, which "
    "resizes depth instead",
    score=score_pairs,
)
