"""From a prediction's scale to metres: each way to fit it, with the space that it works in, in its name.

Every function takes equal 1-D arrays of the valid pixels and returns the aligned depth in metres with the parameters
that were fitted. `weights`, one per pixel, not negative, are equal where they are not given. Solved in float64 and in
closed form, about the means: sums of raw squares lose half the digits where a prediction varies little about its mean.

A constant prediction cannot be scaled to fit: its scale is 0, and the shift alone (mean or median of the truth) is
fitted. A scale below 0 is left as it is: the prediction contradicts the truth, and its score shall say so.
Without a pixel, or with weights that sum to 0, there is nothing to align by: ValueError.

For callers of the library, used by no protocol: `weights` everywhere; `least_squares_scale_in_depth`, the best scale
alone; `median_and_deviation_in_inverse_depth`, MiDaS' robust fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Aligned = tuple[Values, Mapping[str, float]]

ROUNDING = 4 * np.finfo(np.float64).eps


def aligned_in_depth(pred: Any, parameters: Mapping[str, float]) -> Values:
    """scale * pred + shift, of any shape, with parameters that were fitted in depth; a missing one does nothing."""
    return parameters.get("scale", 1.0) * np.asarray(pred, np.float64) + parameters.get("shift", 0.0)


def aligned_in_inverse_depth(inverse_pred: Any, parameters: Mapping[str, float], near_m: float, far_m: float) -> Values:
    """1 / (scale * inverse_pred + shift), of any shape, within near_m and far_m."""
    return 1 / np.clip(aligned_in_depth(inverse_pred, parameters), 1 / far_m, 1 / near_m)


def median_in_depth(truth_m: Any, pred: Any, weights: Any = None) -> Aligned:
    """pred * median(truth) / median(pred); {"scale"}. A median of 0 gives an infinite scale.

    Source: Zhou et al. 2017 (SfMLearner); nianticlabs/monodepth2, evaluate_depth.py, evaluate.
    """
    truth, values, weight = _checked(truth_m, pred, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _in_depth(values, scale=_median(truth, weight) / _median(values, weight))


def log_mean_in_depth(truth_m: Any, pred: Any, weights: Any = None) -> Aligned:
    """pred * exp(mean(ln truth - ln pred)); {"scale"}: the scale of the least squared error of the logarithm.

    Source: Eigen et al. 2014, alpha in equation 1. rmse_log after it is si_rmse before it.
    """
    truth, values, weight = _checked(truth_m, pred, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _in_depth(values, scale=np.exp(_mean(np.log(truth) - np.log(values), weight)))


def least_squares_scale_in_depth(truth_m: Any, pred: Any, weights: Any = None) -> Aligned:
    """s * pred with the least sum of w (s pred - truth)^2; {"scale"}, 0 where the prediction is 0 everywhere."""
    truth, values, weight = _checked(truth_m, pred, weights)
    power = _mean(values**2, weight)
    return _in_depth(values, scale=_mean(values * truth, weight) / power if power != 0 else np.float64(0))


def least_squares_in_depth(truth_m: Any, pred: Any, weights: Any = None) -> Aligned:
    """s * pred + t with the least sum of w (s pred + t - truth)^2; {"scale", "shift"}; shift in metres.

    A near pixel may come out at 0 m or below; the protocol's clamp follows.
    Source: prs-eth/Marigold, src/util/alignment.py, align_depth_least_square.
    """
    truth, values, weight = _checked(truth_m, pred, weights)
    scale, shift = _line(truth, values, weight)
    return _in_depth(values, scale=scale, shift=shift)


def least_squares_in_inverse_depth(
    truth_m: Any, inverse_pred: Any, near_m: float, far_m: float, weights: Any = None
) -> Aligned:
    """1 / (s * inverse_pred + t) with the least sum of w (s inverse_pred + t - 1 / truth)^2; {"scale", "shift"}, 1/m.

    The fitted inverse depth is clamped to [1 / far_m, 1 / near_m] before it is inverted: what comes out at 0 or below
    is taken as farthest. Source: Ranftl et al. 2020 (MiDaS), and the clamp of its evaluation on NYUv2 (BadPixelMetric,
    linked in isl-org/MiDaS issue 29). xapaxca/nimbled takes such a pixel as nearest instead (utils.py, to_inv,
    then its clamp), fabiotosi92/ZipDepth clamps to 1e-3 / m first.
    """
    truth, values, weight = _checked(truth_m, inverse_pred, weights)
    scale, shift = _line(1 / truth, values, weight)
    parameters = {"scale": scale, "shift": shift}
    return aligned_in_inverse_depth(values, parameters, near_m, far_m), parameters


def median_and_deviation_in_inverse_depth(
    truth_m: Any, inverse_pred: Any, near_m: float, far_m: float, weights: Any = None
) -> Aligned:
    """As above, but median and mean absolute deviation from it are made equal; {"scale", "shift"}, 1/m.

    Source: Ranftl et al. 2020 (MiDaS), its robust scale and shift, which training losses use. Less moved by outliers
    than least squares, and never of negative scale.
    """
    truth, values, weight = _checked(truth_m, inverse_pred, weights)
    inverse = 1 / truth
    middle, pred_middle = _median(inverse, weight), _median(values, weight)
    deviation, pred_deviation = (
        _mean(np.abs(inverse - middle), weight), _mean(np.abs(values - pred_middle), weight),
    )  # fmt: skip
    scale = np.float64(0) if _is_constant(values, weight) else deviation / pred_deviation
    parameters = {"scale": float(scale), "shift": float(middle - scale * pred_middle)}
    return aligned_in_inverse_depth(values, parameters, near_m, far_m), parameters


def _checked(truth_m: Any, pred: Any, weights: Any) -> tuple[Values, Values, Values | None]:
    truth, values = np.asarray(truth_m, np.float64), np.asarray(pred, np.float64)
    weight = None if weights is None else np.asarray(weights, np.float64)
    if truth.size == 0 or (weight is not None and not weight.sum() > 0):
        raise ValueError("no pixel to align by")
    return truth, values, weight


def _mean(values: Values, weight: Values | None) -> np.float64:
    return np.float64(np.average(values, weights=weight))


def _median(values: Values, weight: Values | None) -> np.float64:
    """The value with half of the weight on either side; the mean of two where the weight splits just between them."""
    if weight is None:
        return np.float64(np.median(values))
    order = np.argsort(values)
    kept = order[weight[order] > 0]
    below = np.cumsum(weight[kept])
    half = below[-1] / 2
    at = int(np.searchsorted(below, half))
    after = min(at + 1, len(kept) - 1) if below[at] == half else at
    return np.float64((values[kept[at]] + values[kept[after]]) / 2)


def _is_constant(values: Values, weight: Values | None) -> bool:
    values = values if weight is None else values[weight > 0]
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def _line(truth: Values, values: Values, weight: Values | None) -> tuple[float, float]:
    """Scale and shift of the least squares line from `values` to `truth`."""
    middle, truth_middle = _mean(values, weight), _mean(truth, weight)
    if _is_constant(values, weight):
        return 0.0, float(truth_middle)
    off = values - middle
    scale = _mean(off * (truth - truth_middle), weight) / _mean(off**2, weight)
    return float(scale), float(truth_middle - scale * middle)


def _in_depth(values: Values, **fitted: Any) -> Aligned:
    parameters = {name: float(value) for name, value in fitted.items()}
    return aligned_in_depth(values, parameters), parameters
