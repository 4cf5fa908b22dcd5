"""A prediction held against the truth at one small grid: by order, by straight line, by error after one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.frame import Frame, Level
from ...data.resize import smooth

Map = npt.NDArray[Any]

GRID = (160, 120)
"""(width, height) that truth and prediction are compared at: 19,200 points rank in 2 ms, and no mirror shifts them."""
LEAST_TRUSTED_SHARE = 0.05
FLAT_RATIO = 1.5
"""A frame is nearly flat where the 90th percentile of its trusted depth is below 1.5 times the 10th. Of the 23 real
frames that this was set on, the 11 of one flat scene have 1.1 to 1.47, the 12 others 1.68 to 8.7."""


def varied(frame: Frame) -> tuple[Map, Map] | None:
    """The truth in metres and where it is trusted, both at `GRID`'s size; None where `measure` says nothing."""
    if frame.depth_m is None:
        return None
    trusted = frame.depth_m > 0
    if frame.confidence is not None:
        trusted &= frame.confidence >= (Level.HIGH if (frame.confidence == Level.HIGH).any() else Level.MEDIUM)
    truth, mask = sample(frame.depth_m), sample(trusted)
    if mask.mean() < LEAST_TRUSTED_SHARE:
        return None
    low, high = np.percentile(truth[mask], (10, 90))
    return None if high < FLAT_RATIO * low else (truth, mask)


def trusted_pair(frame: Frame, prediction: Map) -> tuple[Map, Map] | None:
    """Truth in metres and the prediction where the truth is trusted, (N,) float64 each; None as `varied`.

    prediction: (H, W) finite; nearest values, so that no depth is made up across an edge
    """
    found = varied(frame)
    if found is None:
        return None
    truth, mask = found
    return truth[mask].astype(np.float64), sample(prediction)[mask].astype(np.float64)


def rank_correlation(truth: Map, prediction: Map) -> float:
    """Spearman's, -1 to 1, ties with their mean rank; 0 where either is constant, since a constant orders nothing."""
    return likeness(ranks(truth), ranks(prediction))


def ranks(values: Map) -> npt.NDArray[np.float64]:
    """1 to n in the order of size, ties with their mean rank: scipy's `rankdata`, in a fifth of its time."""
    flat = np.ravel(values)
    order = np.argsort(flat)
    ordered = flat[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    last = np.append(first[1:], flat.size)
    found = np.empty(flat.size)
    found[order] = np.repeat((first + last + 1) / 2, last - first)
    return found


def likeness(first: Map, second: Map) -> float:
    """Pearson's correlation, -1 to 1; 0 where either is constant."""
    first, second = first - first.mean(dtype=np.float64), second - second.mean(dtype=np.float64)
    # Sums, not dot products: these short ones wait for BLAS's threads several times longer than they take.
    length = float(np.sqrt(np.sum(first * first) * np.sum(second * second)))
    return float(np.sum(first * second)) / length if length > 0 else 0.0


def aligned_error(truth: Map, prediction: Map) -> float:
    """abs_rel after one ratio of medians over the trusted pixels; infinite where the prediction's median is not > 0."""
    middle = float(np.median(prediction))
    if middle <= 0:
        return float("inf")
    return float(np.mean(np.abs(truth - prediction * (np.median(truth) / middle)) / truth))


def shrink(prediction: Map) -> Map:
    """An (H, W) map at `GRID`'s size, averaged over areas."""
    return smooth(np.asarray(prediction, np.float32), GRID)


def inverse_error(truth: Map, prediction: Map) -> float:
    """Mean |1/truth - fit| * truth, the fit of 1/truth being scale * prediction + shift with a scale not below 0.

    For a prediction that may be inverse depth, which comes with a shift of its own, or inverted depth.
    """
    near, given = 1 / truth.astype(np.float64), prediction.astype(np.float64)
    off = given - given.mean()
    square = float(np.sum(off * off))
    scale = max(float(np.sum(off * near)) / square, 0.0) if square > 0 else 0.0
    return float(np.mean(np.abs(near - near.mean() - scale * off) * truth))


def sample(values: Map) -> Map:
    """Nearest values at the centres of `GRID`'s cells; never an average, which would invent depth across an edge."""
    rows = ((np.arange(GRID[1]) + 0.5) * values.shape[0] / GRID[1]).astype(int)
    columns = ((np.arange(GRID[0]) + 0.5) * values.shape[1] / GRID[0]).astype(int)
    return values[np.ix_(rows, columns)]
