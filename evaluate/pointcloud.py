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
from ..data.frame import Frame, Intrinsics

Cloud = npt.NDArray[np.float32]
Rays = npt.NDArray[np.float32]


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
def official_rays(height: int, width: int) -> Rays:
    """(H * W, 3) float32: the ray that the organisers give the k-th depth of a row-by-row flattened (H, W) map."""
    index = np.arange(height * width)
    return _rays(index // height, index % height, np.array(CONTRACT.intrinsics_px, np.float32))


@lru_cache(maxsize=4)
def pixel_rays(height: int, width: int) -> Rays:
    """(H * W, 3) float32: the ray of the pixel itself, with K rescaled from its own image to (H, W)."""
    index = np.arange(height * width)
    intrinsics = np.array(CONTRACT.intrinsics_px, np.float32)
    # Pixel centres are whole numbers, so the image begins half a pixel before 0.
    shrink = np.array([width, height], np.float32) / np.array(CONTRACT.intrinsics_image_size, np.float32)
    intrinsics[:2, 2] = (intrinsics[:2, 2] + 0.5) * shrink - 0.5
    intrinsics[[0, 1], [0, 1]] *= shrink
    return _rays(index % width, index // width, intrinsics)


def frame_rays(frame: Frame, shape: tuple[int, int]) -> tuple[Rays, str]:
    """(H * W, 3) the correct ray of every pixel of a (H, W) map of this frame, and whose camera it is."""
    height, width = shape
    if frame.record.intrinsics is None:
        return pixel_rays(height, width), "the contract's K"
    return camera_rays(frame.record.intrinsics, frame.rgb.shape[:2], shape), "the manifest's camera"


def camera_rays(camera: Intrinsics, image: tuple[int, int], shape: tuple[int, int]) -> Rays:
    """(H * W, 3) float32: the ray of each pixel of a (H, W) map, of a camera in pixels of an `image` (height, width).

    Pixel centres are whole numbers in both grids, so each begins half a pixel before 0.
    """
    rows = ((np.arange(shape[0]) + 0.5) * image[0] / shape[0] - 0.5 - camera.cy) / camera.fy
    columns = ((np.arange(shape[1]) + 0.5) * image[1] / shape[1] - 0.5 - camera.cx) / camera.fx
    x, y = np.meshgrid(columns, rows)
    return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)


def _rays(x: npt.NDArray[np.int_], y: npt.NDArray[np.int_], intrinsics: npt.NDArray[np.float32]) -> Rays:
    pixels = np.stack([x, y, np.ones_like(x)], axis=1).astype(np.float32)
    rays = (pixels @ np.linalg.inv(intrinsics).T).astype(np.float32, copy=False)
    rays.setflags(write=False)
    return rays


def cloud_of(depth_m: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], rays: Rays) -> Cloud:
    """(N, 3) float32 metres: the points of the `mask`ed pixels of an (H, W) depth map, on their rays (H * W, 3)."""
    chosen = np.flatnonzero(mask)
    return rays.take(chosen, axis=0) * depth_m.ravel().take(chosen)[:, None].astype(np.float32, copy=False)
