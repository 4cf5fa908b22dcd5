"""Pixel metrics, WHDR and boundaries: the numbers of the reference definitions, worked out by hand.

The devkit is KITTI's, cpp/evaluate_depth.cpp, and `devkit` below goes through pixels one by one as it does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lpcv.evaluate import metrics
from lpcv.evaluate.boundary import KEYS, THRESHOLDS, boundary_metrics

Array = npt.NDArray[Any]
LN2, LOG2 = math.log(2), math.log10(2)
TRUTH, PRED = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 2.0])

# Errors 1, 0, 2; relative 1, 0, 1/2; ratios 2, 1, 2; ln pred - ln truth = ln 2, 0, -ln 2; 1/m: 1/2, 0, -1/4.
BY_HAND: dict[str, tuple[Callable[[Array, Array], float], float]] = {
    "mae": (metrics.mae, 1.0),  # devkit:67
    "abs_rel": (metrics.abs_rel, 0.5),  # monodepth2 evaluate_depth.py:41, devkit:81
    "sq_rel": (metrics.sq_rel, 2 / 3),  # monodepth2:43: (1 / 1 + 0 + 4 / 4) / 3
    "sq_rel_kitti": (metrics.sq_rel_kitti, 1.25 / 3),  # devkit:83: (1 / 1 + 0 + 4 / 16) / 3
    "rmse": (metrics.rmse, math.sqrt(5 / 3)),  # monodepth2:35-36, devkit:69
    "rmse_log": (metrics.rmse_log, LN2 * math.sqrt(2 / 3)),  # monodepth2:38-39, devkit:111
    "log10": (metrics.log10, LOG2 * 2 / 3),  # DA-V2 metric.py:22
    "rmse_log10": (metrics.rmse_log10, LOG2 * math.sqrt(2 / 3)),  # monodepth2 issue 89
    "irmse": (metrics.irmse, 1000 * math.sqrt(0.3125 / 3)),  # devkit:61-62, 105-106, in 1/km
    "delta1": (partial(metrics.delta, power=1), 1 / 3),  # monodepth2:30-31
    "delta3": (partial(metrics.delta, power=3), 1 / 3),  # 1.25^3 = 1.953 < 2
    "silog": (metrics.silog, 100 * LN2 * math.sqrt(2 / 3)),  # devkit:113; the mean of the logarithms is 0 here
}


@pytest.mark.parametrize("key", BY_HAND)
def test_by_hand(key: str) -> None:
    measure, expected = BY_HAND[key]
    assert measure(TRUTH, PRED) == pytest.approx(expected, rel=1e-12)
    assert measure(TRUTH, TRUTH) == metrics.FACTS[key].perfect


def test_the_scale_invariant_error_and_its_two_conventions() -> None:
    """g = 1, 1, 0, 0: mean(g^2) = 1/2, mean(g)^2 = 1/4."""
    truth, pred = np.ones(4), np.array([math.e, math.e, 1.0, 1.0])
    assert metrics.scale_invariant(truth, pred, 1.0) == pytest.approx(0.25)  # Eigen et al. 2014, equation 3
    assert metrics.scale_invariant(truth, pred, 0.5) == pytest.approx(0.375)  # equation 4, lambda 0.5
    assert metrics.scale_invariant(truth, pred, 0.0) == pytest.approx(metrics.rmse_log(truth, pred) ** 2)
    assert metrics.si_rmse(truth, pred) == pytest.approx(0.5)
    assert metrics.silog(truth, pred) == pytest.approx(50.0)  # KITTI: 100 sqrt(1/4), devkit:113


def test_a_ratio_of_just_the_threshold_is_not_below_it() -> None:
    at = np.array([1.25, 1.5625, 1.953125])  # the powers of 1.25 are exact in binary
    assert [metrics.delta(at, np.ones(3), power) for power in (1, 2, 3)] == [0.0, 1 / 3, 2 / 3]


def devkit(truth: list[float], pred: list[float]) -> dict[str, float]:
    """KITTI's devkit, lines 51 to 117, in its own order of operations."""
    sums, log_sum = dict.fromkeys(("mae", "rmse", "irmse", "rmse_log", "abs_rel", "sq_rel_kitti"), 0.0), 0.0
    for t, p in zip(truth, pred, strict=True):
        error, log_error = abs(t - p), math.log(t) - math.log(p)
        sums["mae"] += error
        sums["rmse"] += error * error
        sums["irmse"] += (1000 / t - 1000 / p) ** 2
        sums["rmse_log"] += log_error * log_error
        log_sum += log_error
        sums["abs_rel"] += error / t
        sums["sq_rel_kitti"] += error * error / (t * t)
    n = len(truth)
    means = {key: value / n for key, value in sums.items()}
    silog = 100 * math.sqrt(max(means["rmse_log"] - log_sum * log_sum / (n * n), 0.0))
    roots = {key: math.sqrt(means[key]) for key in ("rmse", "irmse", "rmse_log")}
    return means | roots | {"silog": silog}


depths = st.floats(0.1, 80.0)


@given(st.lists(st.tuples(depths, depths), min_size=1, max_size=30))
def test_equals_the_devkit(pairs: list[tuple[float, float]]) -> None:
    truth, pred = map(list, zip(*pairs, strict=True))
    for key, expected in devkit(truth, pred).items():
        found = getattr(metrics, key)(np.array(truth), np.array(pred))
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-5), key


@given(arrays(np.float64, 12, elements=depths), arrays(np.float64, 12, elements=depths), st.floats(0.01, 100))
def test_si_rmse_and_silog_do_not_see_scale(truth: Array, pred: Array, scale: float) -> None:
    for measure in (metrics.si_rmse, metrics.silog):
        assert measure(truth, scale * pred) == pytest.approx(measure(truth, pred), rel=1e-6, abs=1e-6)
        assert measure(truth, scale * truth) == pytest.approx(0, abs=1e-12)  # not NaN: no root of a rounded -1e-17


@given(arrays(np.float64, 12, elements=depths), arrays(np.float64, 12, elements=depths))
def test_every_order_of_pixels_scores_the_same(truth: Array, pred: Array) -> None:
    order = np.random.default_rng(0).permutation(12)
    for measure, _ in BY_HAND.values():
        assert measure(truth[order], pred[order]) == pytest.approx(measure(truth, pred), rel=1e-9, abs=1e-12)


def test_arithmetic_stays_in_the_arrays_dtype() -> None:
    """1/3 in float32 differs from 1/3: a float64 sum would show it."""
    truth, pred = np.full(1, 3, np.float32), np.full(1, 2, np.float32)
    assert metrics.abs_rel(truth, pred) == float(np.float32(1) / np.float32(3))
    assert metrics.log10(truth, pred) == float(np.log10(np.float32(3)) - np.log10(np.float32(2)))


@pytest.mark.parametrize("key", ["log10", "silog", "si_rmse", "rmse_log"])
def test_a_negative_prediction_has_no_logarithm(key: str) -> None:
    with np.errstate(invalid="ignore"):
        assert math.isnan(getattr(metrics, key)(np.ones(2), np.array([1.0, -1.0])))


# Point pairs


def test_whdr_by_hand() -> None:
    """The first is nearer in three of four; found: right, wrong, a tie (wrong), right. Inverse depth: near is high."""
    nearer_a = np.array([True, True, True, False])
    inverse_a, inverse_b = np.array([2.0, 1.0, 1.0, 0.5]), np.array([1.0, 2.0, 1.0, 0.6])
    assert metrics.whdr(nearer_a, inverse_a, inverse_b) == 0.5
    # Bell et al. 2014: the weights of the wrong ones over all weights, (2 + 3) / 10
    assert metrics.whdr(nearer_a, inverse_a, inverse_b, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.5)
    assert metrics.whdr(nearer_a, inverse_a, inverse_b, np.array([1.0, 0.0, 0.0, 1.0])) == 0.0


def test_a_nan_is_in_no_order() -> None:
    nothing = np.array([np.nan, 1.0, np.nan])
    assert metrics.whdr(np.array([True, False, False]), nothing, nothing[::-1]) == 1.0


# Boundaries


def loops(truth: list[list[float]], pred: list[list[float]]) -> dict[str, float]:
    """Depth Pro's boundary_f1 over its ten thresholds, pixel by pixel, on inverse depth as there."""
    height, width = len(truth), len(truth[0])
    weighted, weights = [0.0, 0.0, 0.0], 0.0
    for n in range(10):
        threshold = 1.05 + 0.2 * n / 9
        precision = recall = 0.0
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            both = true = claimed = 0
            for y, x in itertools.product(range(height), range(width)):
                if 0 <= y + down < height and 0 <= x + right < width:
                    is_true = (1 / truth[y][x]) / (1 / truth[y + down][x + right]) > threshold
                    is_claimed = (1 / pred[y][x]) / (1 / pred[y + down][x + right]) > threshold
                    both, true, claimed = both + (is_true and is_claimed), true + is_true, claimed + is_claimed
            precision += both / max(claimed, 1) / 4
            recall += both / max(true, 1) / 4
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        weighted = [at + threshold * value for at, value in zip(weighted, (f1, precision, recall), strict=True)]
        weights += threshold
    return dict(zip(KEYS, (value / weights for value in weighted), strict=True))


def test_boundary_by_hand() -> None:
    """Right is farther at two true places; two are claimed and one hits; above is farther: none true, one claimed."""
    truth, pred = np.array([[1.0, 1, 2, 2], [1, 1, 2, 2]]), np.array([[1.0, 2, 2, 2], [1, 1, 2, 2]])
    # recall = (1/2 + 0 + 0 + 0) / 4, precision = (1/2 + 0 + 0/1 + 0) / 4, at every threshold
    assert boundary_metrics(truth, pred) == pytest.approx(dict.fromkeys(KEYS, 0.125))


def test_thresholds_are_weighted_by_themselves() -> None:
    """A step of 1.15 passes the five thresholds 1.05 to 1.1389, whose sum is 5.25 + 10 x 0.2 / 9, of 11.5 in all."""
    truth, pred = np.ones((3, 3)), np.ones((3, 3))
    truth[1, 1], pred[1, 1] = 2, 1.15
    found = boundary_metrics(truth, pred)
    assert found["boundary_f1"] == found["boundary_recall"] == pytest.approx((5.25 + 2 / 9) / 11.5)
    assert THRESHOLDS.sum() == pytest.approx(11.5)
    assert boundary_metrics(truth, truth) == pytest.approx(dict.fromkeys(KEYS, 1.0))


def test_a_truth_without_boundaries_in_some_direction_cannot_be_perfect_as_in_the_reference() -> None:
    step = np.array([[1.0, 2.0]])
    assert boundary_metrics(step, step) == pytest.approx(dict.fromkeys(KEYS, 0.25))
    assert boundary_metrics(np.ones((2, 2)), np.ones((2, 2))) == dict.fromkeys(KEYS, 0.0)


def test_a_hole_takes_its_pairs_out_of_both_maps() -> None:
    truth, pred = np.ones((3, 5)), np.ones((3, 5))
    truth[1, 1], pred[1, 1], pred[1, 3] = 2, 2, 2
    assert boundary_metrics(truth, pred)["boundary_precision"] == pytest.approx(0.5)
    for hole in (truth, pred):
        holed = hole.copy()
        holed[1, 3] = np.nan
        pair = (holed, pred) if hole is truth else (truth, holed)
        assert boundary_metrics(*pair) == pytest.approx(dict.fromkeys(KEYS, 1.0))


steps = arrays(np.float64, (3, 4), elements=st.sampled_from([1.0, 1.06, 1.1, 1.17, 1.3, 2.0]))


@settings(max_examples=40)
@given(steps, steps, st.floats(0.01, 100))
def test_boundary_equals_the_oracle_and_does_not_see_scale(truth: Array, pred: Array, scale: float) -> None:
    found = boundary_metrics(truth, pred)
    assert found == pytest.approx(loops(truth.tolist(), pred.tolist()), abs=1e-9)
    assert boundary_metrics(truth, scale * pred) == pytest.approx(found, abs=1e-9)


def test_every_fact_has_a_unit_and_a_direction() -> None:
    for key, fact in metrics.FACTS.items():
        assert fact.unit, key
        assert fact.better in ("higher", "lower"), key
        assert (fact.perfect == 0) == (fact.better == "lower"), key
