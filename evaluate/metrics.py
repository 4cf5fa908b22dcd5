"""Pixel metrics as pure functions on masked arrays.

Every function takes `truth_m` and `pred_m`: equal 1-D arrays in metres, already aligned and masked, and returns one
float. Arithmetic stays in the arrays' dtype, as the organisers' script has it (float32). Source of all definitions:
evaluate_track3.py @ 1ed2ac6, compute_errors, after Eigen et al. 2014, section 4.1, unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT

Metres = npt.NDArray[Any]


def abs_rel(truth_m: Metres, pred_m: Metres) -> float:
    """mean(|truth - pred| / truth); ratio, 0 is perfect."""
    return float(np.mean(np.abs(truth_m - pred_m) / truth_m))


def sq_rel(truth_m: Metres, pred_m: Metres) -> float:
    """mean((truth - pred)^2 / truth); metres, 0 is perfect. Eigen et al. print it; some papers divide by truth^2."""
    return float(np.mean((truth_m - pred_m) ** 2 / truth_m))


def rmse(truth_m: Metres, pred_m: Metres) -> float:
    """sqrt(mean((truth - pred)^2)); metres, 0 is perfect."""
    return float(np.sqrt(np.mean((truth_m - pred_m) ** 2)))


def rmse_log(truth_m: Metres, pred_m: Metres) -> float:
    """sqrt(mean((ln truth - ln pred)^2)); natural logarithm, 0 is perfect; NaN for a negative prediction."""
    return float(np.sqrt(np.mean((np.log(truth_m) - np.log(pred_m)) ** 2)))


def delta(truth_m: Metres, pred_m: Metres, power: int) -> float:
    """Share of pixels with max(truth / pred, pred / truth) < 1.25^power; 0 to 1, 1 is perfect."""
    ratio = np.maximum(truth_m / pred_m, pred_m / truth_m)
    return float(np.mean(ratio < CONTRACT.delta_base**power))


def mae(truth_m: Metres, pred_m: Metres) -> float:
    """mean(|truth - pred|); metres, 0 is perfect. Not among the organisers' columns."""
    return float(np.mean(np.abs(truth_m - pred_m)))
