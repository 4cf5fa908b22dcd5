"""Pixel metrics as pure functions on masked arrays.

Every function takes `truth_m` and `pred_m`: equal 1-D arrays in metres, already aligned and masked, and returns one
float. Arithmetic stays in the arrays' dtype, as the organisers' script has it (float32). Source of all definitions:
evaluate_track3.py @ 1ed2ac6, compute_errors, after Eigen et al. 2014, section 4.1, unless said otherwise. The field
computes the same seven with nianticlabs/monodepth2 @ 77f1410, evaluate_depth.py:27-45. Other files that are named:
devkit: KITTI's depth devkit, cpp/evaluate_depth.cpp; DA-V2: DepthAnything/Depth-Anything-V2 @ 2cbc36a.
Where papers disagree under one name, the docstring says so; docs/protocols.md tells which table uses which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT

Metres = npt.NDArray[Any]


@dataclass(frozen=True)
class MetricFact:
    """What a reader must know of a metric: its unit, which way is better, and the value of a perfect prediction."""

    unit: str
    better: str  # "higher" or "lower"
    perfect: float = 0.0


FACTS: Mapping[str, MetricFact] = {
    "abs_rel": MetricFact("ratio", "lower"),
    "sq_rel": MetricFact("m", "lower"),
    "rmse": MetricFact("m", "lower"),
    "rmse_log": MetricFact("ln m", "lower"),
    "delta1": MetricFact("share", "higher", 1.0),
    "delta2": MetricFact("share", "higher", 1.0),
    "delta3": MetricFact("share", "higher", 1.0),
    "mae": MetricFact("m", "lower"),
    "log10": MetricFact("log10 m", "lower"),
    "rmse_log10": MetricFact("log10 m", "lower"),
    "silog": MetricFact("100 ln m", "lower"),
    "si_rmse": MetricFact("ln m", "lower"),
    "irmse": MetricFact("1/km", "lower"),
    "sq_rel_kitti": MetricFact("ratio", "lower"),
    "whdr": MetricFact("share", "lower"),
    "boundary_f1": MetricFact("share", "higher", 1.0),
    "boundary_precision": MetricFact("share", "higher", 1.0),
    "boundary_recall": MetricFact("share", "higher", 1.0),
    "f_score": MetricFact("of 100, at 10 cm", "higher", 100.0),
    "iou": MetricFact("of 100, at 10 cm", "higher", 100.0),
    "chamfer_m": MetricFact("m", "lower"),
    "f_score_20cm": MetricFact("of 100, at 20 cm", "higher", 100.0),
    "iou_20cm": MetricFact("of 100, at 20 cm", "higher", 100.0),
}


def abs_rel(truth_m: Metres, pred_m: Metres) -> float:
    """mean(|truth - pred| / truth); ratio, 0 is perfect. KITTI's server shows it in percent (devkit:81)."""
    return float(np.mean(np.abs(truth_m - pred_m) / truth_m))


def sq_rel(truth_m: Metres, pred_m: Metres) -> float:
    """mean((truth - pred)^2 / truth); metres, 0 is perfect (monodepth2:43). KITTI divides by truth^2: sq_rel_kitti."""
    return float(np.mean((truth_m - pred_m) ** 2 / truth_m))


def rmse(truth_m: Metres, pred_m: Metres) -> float:
    """sqrt(mean((truth - pred)^2)); metres, 0 is perfect."""
    return float(np.sqrt(np.mean((truth_m - pred_m) ** 2)))


def rmse_log(truth_m: Metres, pred_m: Metres) -> float:
    """sqrt(mean((ln truth - ln pred)^2)); natural logarithm, 0 is perfect; NaN for a negative prediction."""
    return float(np.sqrt(np.mean((np.log(truth_m) - np.log(pred_m)) ** 2)))


def delta(truth_m: Metres, pred_m: Metres, power: int) -> float:
    """Share of pixels with max(truth / pred, pred / truth) < 1.25^power; 0 to 1, 1 is perfect.

    The comparison is strict (monodepth2:30-33). MiDaS prints the share ABOVE 1.25, in percent: 100 (1 - delta1), but
    for pixels at exactly 1.25. With a negative prediction both ratios are below the threshold: it counts as right.
    """
    return deltas(truth_m, pred_m, (power,))[0]


def deltas(truth_m: Metres, pred_m: Metres, powers: tuple[int, ...] = (1, 2, 3)) -> tuple[float, ...]:
    """`delta` for several powers at the price of one."""
    ratio = np.maximum(truth_m / pred_m, pred_m / truth_m)
    return tuple(np.count_nonzero(ratio < CONTRACT.delta_base**power) / ratio.size for power in powers)


def mae(truth_m: Metres, pred_m: Metres) -> float:
    """mean(|truth - pred|); metres, 0 is perfect. Not among the organisers' columns."""
    return float(np.mean(np.abs(truth_m - pred_m)))


def log10(truth_m: Metres, pred_m: Metres) -> float:
    """mean(|log10 truth - log10 pred|); decades, 0 is perfect; NaN for a negative prediction.

    Source: DA-V2 metric_depth/util/metric.py:22, after Make3D's papers. Monodepth2's and NimbleD's "log10" of Make3D is
    a root of a mean square instead: rmse_log10.
    """
    return float(np.mean(np.abs(np.log10(truth_m) - np.log10(pred_m))))


def rmse_log10(truth_m: Metres, pred_m: Metres) -> float:
    """sqrt(mean((log10 truth - log10 pred)^2)) = rmse_log / ln 10; decades, 0 is perfect.

    Source: Monodepth2's Make3D script (nianticlabs/monodepth2 issue 89); xapaxca/nimbled @ 3f73802, eval_make3d.py,
    compute_errors_make3d, which prints it as rmse_log.
    """
    return float(np.sqrt(np.mean((np.log10(truth_m) - np.log10(pred_m)) ** 2)))


def scale_invariant(truth_m: Metres, pred_m: Metres, weight: float) -> float:
    """mean(g^2) - weight * mean(g)^2 with g = ln pred - ln truth; (ln m)^2, 0 is perfect.

    Source: Eigen et al. 2014, equations 1 to 3 (weight 1, the error) and 4 (weight lambda = 0.5, the training loss).
    Only weight 1 is blind to scale. Some print equation 1 with a further factor of 1/2. Computed as
    var(g) + (1 - weight) mean(g)^2, which is the same and cannot be rounded below 0.
    """
    log_ratio = np.log(pred_m) - np.log(truth_m)
    return float(np.var(log_ratio) + (1 - weight) * np.mean(log_ratio) ** 2)


def si_rmse(truth_m: Metres, pred_m: Metres) -> float:
    """sqrt(mean(g^2) - mean(g)^2), g = ln pred - ln truth: the log error that the best scale leaves; 0 is perfect.

    Source: the root of Eigen et al. 2014, equation 3; natural logarithm. Others call the root of
    mean((s pred - truth)^2) in metres, s fitted, by the same name.
    """
    return math.sqrt(scale_invariant(truth_m, pred_m, 1.0))


def silog(truth_m: Metres, pred_m: Metres) -> float:
    """100 sqrt(mean(g^2) - mean(g)^2), g = ln pred - ln truth; lambda = 1, 0 is perfect. KITTI's ranking column.

    Source: devkit:113, to which the server's factor of 100 belongs; BTS and Marigold (silog_rmse) compute the same.
    The field has other values under this name: DA-V2 metric_depth/util/metric.py:23 is sqrt(mean(g^2) - 0.5 mean(g)^2)
    without the 100, which depends on scale; training losses have lambda 0.85 and a factor of 10; some take no root.
    """
    return 100 * si_rmse(truth_m, pred_m)


def irmse(truth_m: Metres, pred_m: Metres) -> float:
    """1000 sqrt(mean((1 / truth - 1 / pred)^2)); 1/km, 0 is perfect. Source: devkit:61-62, 105-106; server's unit."""
    return float(1000 * np.sqrt(np.mean((1 / truth_m - 1 / pred_m) ** 2)))


def sq_rel_kitti(truth_m: Metres, pred_m: Metres) -> float:
    """mean((truth - pred)^2 / truth^2); ratio, 0 is perfect. Source: devkit:83; the server shows it in percent."""
    return float(np.mean((truth_m - pred_m) ** 2 / truth_m**2))


def whdr(nearer_a: Metres, inverse_a: Metres, inverse_b: Metres, weights: Metres | None = None) -> float:
    """Weighted share of point pairs whose order is wrong, "weighted human disagreement rate"; 0 to 1, 0 is perfect.

    nearer_a: (N,) bool, the first point is nearer; inverse_a, inverse_b: (N,) inverse depth of both, far to near
    weights: (N,), none = equal, as Depth in the Wild has it; Bell et al. 2014, equation 1, weight by confidence
    A tie or a NaN is wrong. Source: princeton-vl/relative_depth @ e26f3d3, src/experiment/test_model_on_DIW.lua,
    _evaluate_correctness. Its validate_crit_DIW.lua counts a tie as "the first is farther": a constant then gets half.
    """
    right = np.where(nearer_a, inverse_a > inverse_b, inverse_b > inverse_a)
    return float(1 - np.average(right, weights=weights))
