"""Point clouds as the organisers build and compare them.

Source: evaluate_track3.py @ 1ed2ac6, BackprojectDepth, metrics_pointcloud and _metrics_pointcloud, after
Ornek et al. 2022 (arXiv 2203.08122). Two of its properties are wrong as geometry and kept, because they rank:
the ray of the k-th depth is that of pixel (k // H, k % H), and K belongs to a 1920x1440 image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT

Cloud = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Distances:
    """To the nearest neighbour in the other cloud, metres, float32: (N,) from each predicted, (M,) from each true."""

    from_pred_m: npt.NDArray[np.float32]
    from_truth_m: npt.NDArray[np.float32]

    def chamfer_m(self) -> float:
        """mean(pred -> truth) + mean(truth -> pred); metres, 0 is perfect. Others halve the sum or square it."""
        return float(np.mean(self.from_pred_m, dtype=np.float64) + np.mean(self.from_truth_m, dtype=np.float64))

    def f_score_and_iou(self, threshold_m: float) -> tuple[float, float]:
        """F = 2PR / (P + R) and IoU = PR / (P + R - PR), 0 to 100, 100 is perfect.

        P: share of predicted points with a true point nearer than the threshold; R the other way. Where both are
        below `no_match_share` both values are P, not symmetric in the two clouds: the organisers' own exception.
        """
        precision = np.float32(np.mean(self.from_pred_m < np.float32(threshold_m)))
        recall = np.float32(np.mean(self.from_truth_m < np.float32(threshold_m)))
        if precision < CONTRACT.no_match_share and recall < CONTRACT.no_match_share:
            return float(100 * precision), float(100 * precision)
        f_score = 2 * precision * recall / (precision + recall)
        iou = precision * recall / (precision + recall - precision * recall)
        return float(100 * f_score), float(100 * iou)


@lru_cache(maxsize=4)
def official_rays(height: int, width: int) -> npt.NDArray[np.float32]:
    """(H * W, 3) float32: the ray that the organisers give the k-th depth of a row-by-row flattened (H, W) map."""
    index = np.arange(height * width)
    pixels = np.stack([index // height, index % height, np.ones_like(index)], axis=1).astype(np.float32)
    inverse = np.linalg.inv(np.array(CONTRACT.intrinsics_px, np.float32))
    rays = (pixels @ inverse.T).astype(np.float32, copy=False)
    rays.setflags(write=False)
    return rays


def official_cloud(depth_m: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]) -> Cloud:
    """(N, 3) float32 metres: the points of the `mask`ed pixels of an (H, W) depth map, on the organisers' rays."""
    chosen = mask.ravel()
    return official_rays(*depth_m.shape)[chosen] * depth_m.ravel()[chosen, None].astype(np.float32)


def nearest_distances(pred: Cloud, truth: Cloud) -> Distances:
    """Exact nearest neighbours both ways.

    A cloud with a NaN gives NaN for both, so that no point counts as near: a NaN anywhere in a prediction makes its
    median, and with it every point, NaN. A point at infinity is infinitely far and nobody's neighbour.
    """
    return Distances(_distances(pred, truth), _distances(truth, pred))


def _distances(points: Cloud, others: Cloud) -> npt.NDArray[np.float32]:
    distances = np.full(len(points), np.inf, np.float32)
    if np.isnan(points).any() or np.isnan(others).any():
        return np.full(len(points), np.nan, np.float32)
    here, there = points[np.isfinite(points).all(1)], others[np.isfinite(others).all(1)]
    if len(here) and len(there):
        distances[np.isfinite(points).all(1)] = _query(there, here)
    return distances


def _query(tree_points: Cloud, points: Cloud) -> npt.NDArray[np.float32]:
    # pykdtree answers several times faster than scipy and as exactly, but not every machine has it.
    try:
        from pykdtree.kdtree import KDTree
    except ImportError:
        from scipy.spatial import KDTree as ScipyTree

        return ScipyTree(tree_points).query(points, workers=-1)[0].astype(np.float32)
    return KDTree(np.ascontiguousarray(tree_points)).query(np.ascontiguousarray(points))[0]
