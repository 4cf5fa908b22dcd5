"""Are a depth map's edges where the truth's are? Scale-invariant boundary precision, recall and F1.

Source: Bochkovskii et al. 2024 (Depth Pro, arXiv 2410.02073); apple/ml-depth-pro @ 3b5cd1e,
src/depth_pro/eval/boundary_metrics.py, boundary_f1 and SI_boundary_F1. Two neighbouring pixels have a boundary between
them where the farther is more than t times as far; which of the two is the nearer belongs to it. Precision and
recall are counted apart for each of the four (nearer is left, right, above, below) and averaged; F1 is of those means.
All three are averaged over ten thresholds t from 1.05 to 1.25, each weighted by t itself.

Others: Koch et al. 2018 (iBims-1) measure the distance between Canny edges in pixels (accuracy and completeness, in
which the tolerance is 10 pixels); here a boundary one pixel off is wrong. A prediction that was resized bilinearly has
soft boundaries and loses much: compare models at one size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

THRESHOLDS = np.linspace(1.05, 1.25, 10)
LEAST_DEPTH = 1e-6  # as the reference has it: a ratio needs depths above 0
KEYS = ("boundary_f1", "boundary_precision", "boundary_recall")

Ratios = npt.NDArray[np.float64]


def boundary_metrics(truth: npt.NDArray[Any], pred: npt.NDArray[Any]) -> Mapping[str, float]:
    """The three values, 0 to 1, 1 is perfect; no scale matters.

    truth, pred: equal (H, W) depth maps, NaN where there is nothing: a pair of neighbours with a NaN in either map is
    left out of both. The reference has dense truth and leaves nothing out. As there, a direction without any true
    boundary counts as recall 0, so that a perfect prediction gets 1 only where each direction has a boundary above
    each threshold, as photographs of rooms and streets have; a flat truth gives 0 to every prediction alike.
    """
    known = np.isfinite(truth) & np.isfinite(pred)
    pairs = list(zip(_ratios(truth, known), _ratios(pred, known), strict=True))
    found = np.array([_at(threshold, pairs) for threshold in THRESHOLDS])
    return dict(zip(KEYS, map(float, THRESHOLDS / THRESHOLDS.sum() @ found), strict=True))


def _ratios(depth: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> Iterator[Ratios]:
    """How many times as far the second of two neighbours is; rows, then columns; NaN where either is not known."""
    values = np.where(known, np.maximum(depth, LEAST_DEPTH), np.nan).astype(np.float64)
    yield values[:, 1:] / values[:, :-1]
    yield values[1:] / values[:-1]


def _at(threshold: float, pairs: list[tuple[Ratios, Ratios]]) -> tuple[float, float, float]:
    """F1, precision and recall at one threshold."""
    precision = recall = 0.0
    for truth, pred in pairs:
        for true, claimed in ((truth > threshold, pred > threshold), (truth < 1 / threshold, pred < 1 / threshold)):
            hits = np.count_nonzero(true & claimed)
            precision += 0.25 * hits / max(np.count_nonzero(claimed), 1)
            recall += 0.25 * hits / max(np.count_nonzero(true), 1)
    total = precision + recall
    return (2 * precision * recall / total if total else 0.0), precision, recall
