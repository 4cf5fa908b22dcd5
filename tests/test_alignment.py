"""Alignment: lines and medians worked out by hand, weights as repetition, known parameters found again."""

from __future__ import annotations

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
from lpcv.evaluate import alignment, metrics
from lpcv.evaluate.alignment import Aligned

Array = npt.NDArray[Any]
WIDE = {"near_m": 1e-6, "far_m": 1e6}
WAYS: dict[str, Callable[..., Aligned]] = {
    "median": alignment.median_in_depth,
    "log_mean": alignment.log_mean_in_depth,
    "scale": alignment.least_squares_scale_in_depth,
    "line": alignment.least_squares_in_depth,
    "inverse_line": partial(alignment.least_squares_in_inverse_depth, **WIDE),
    "deviation": partial(alignment.median_and_deviation_in_inverse_depth, **WIDE),
}


def test_median_by_hand() -> None:
    aligned, found = alignment.median_in_depth(np.array([1.0, 3.0, 8.0]), np.array([0.0, 1.0, 2.0]))
    assert found == {"scale": 3.0}
    assert aligned.tolist() == [0.0, 3.0, 6.0]
    _, even = alignment.median_in_depth(np.array([1.0, 2.0, 4.0, 9.0]), np.array([1.0, 1.0, 2.0, 2.0]))
    assert even == {"scale": 2.0}  # means of the two middle values: 3 / 1.5


def test_log_mean_by_hand() -> None:
    """ln truth - ln pred = 0 and 2: their mean is 1."""
    _, found = alignment.log_mean_in_depth(np.array([1.0, math.e**2]), np.ones(2))
    assert found["scale"] == pytest.approx(math.e)


def test_one_scale_by_hand() -> None:
    """sum(pred truth) / sum(pred^2) = (0 + 3 + 16) / (0 + 1 + 4)."""
    _, found = alignment.least_squares_scale_in_depth(np.array([1.0, 3.0, 8.0]), np.array([0.0, 1.0, 2.0]))
    assert found["scale"] == pytest.approx(19 / 5)


def test_a_line_by_hand() -> None:
    """Means 1 and 4: sum of products about them 7, of squares 2; 7 / 2, and 4 - 7 / 2."""
    truth, pred = np.array([1.0, 3.0, 8.0]), np.array([0.0, 1.0, 2.0])
    aligned, found = alignment.least_squares_in_depth(truth, pred)
    assert found == pytest.approx({"scale": 3.5, "shift": 0.5})
    assert aligned == pytest.approx([0.5, 4.0, 7.5])
    _, weighted = alignment.least_squares_in_depth(truth, pred, np.array([1.0, 1.0, 0.0]))
    assert weighted == pytest.approx({"scale": 2.0, "shift": 1.0})  # through (0, 1) and (1, 3)


def test_a_line_in_inverse_depth_by_hand() -> None:
    """1 / truth = 1, 3, 8: the same line, inverted; clamped to 1/5 to 1/0.2 of inverse depth."""
    truth, pred = 1 / np.array([1.0, 3.0, 8.0]), np.array([0.0, 1.0, 2.0])
    aligned, found = alignment.least_squares_in_inverse_depth(truth, pred, 0.01, 100.0)
    assert found == pytest.approx({"scale": 3.5, "shift": 0.5})
    assert aligned == pytest.approx([2.0, 0.25, 1 / 7.5])
    clamped, _ = alignment.least_squares_in_inverse_depth(truth, pred, 0.2, 1.0)
    assert clamped == pytest.approx([1.0, 0.25, 0.2])


def test_what_comes_out_negative_is_farthest() -> None:
    """Line through 1 / truth = 0.1, 0.1, 1 over 0, 1, 2: slope 0.45, at 0 its value is 0.4 - 0.45."""
    truth, pred = 1 / np.array([0.1, 0.1, 1.0]), np.array([0.0, 1.0, 2.0])
    aligned, found = alignment.least_squares_in_inverse_depth(truth, pred, 1e-3, 80.0)
    assert found == pytest.approx({"scale": 0.45, "shift": -0.05})
    assert aligned[0] == 80.0


def test_median_and_deviation_by_hand() -> None:
    """1 / truth = 1, 2, 4: median 2, mean deviation 1. Prediction: median 20, mean deviation 50 / 3."""
    aligned, found = alignment.median_and_deviation_in_inverse_depth(
        1 / np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 60.0]), 1e-3, 80.0
    )
    assert found == pytest.approx({"scale": 0.06, "shift": 0.8})
    assert aligned == pytest.approx([1 / 1.4, 0.5, 1 / 4.4])


# What is degenerate is defined


@pytest.mark.parametrize("constant", [0.1, 3.0, 1e9 / 3, -2.0])
def test_a_constant_prediction_has_scale_0_and_the_truths_middle(constant: float) -> None:
    truth, pred = np.array([1.0, 2.0, 6.0]), np.full(3, constant)
    assert WAYS["line"](truth, pred)[1] == {"scale": 0.0, "shift": 3.0}
    assert WAYS["inverse_line"](truth, pred)[1] == pytest.approx({"scale": 0.0, "shift": (1 + 1 / 2 + 1 / 6) / 3})
    assert WAYS["deviation"](truth, pred)[1] == {"scale": 0.0, "shift": 0.5}
    assert WAYS["deviation"](truth, pred)[0].tolist() == [2.0, 2.0, 2.0]


def test_a_prediction_that_is_constant_where_it_has_weight_counts_as_constant() -> None:
    truth, pred, weights = np.array([1.0, 2.0, 6.0]), np.array([3.0, 3.0, 9.0]), np.array([1.0, 1.0, 0.0])
    assert WAYS["line"](truth, pred, weights=weights)[1] == {"scale": 0.0, "shift": 1.5}
    assert WAYS["deviation"](truth, pred, weights=weights)[1] == {"scale": 0.0, "shift": 0.75}


def test_a_prediction_of_zeros_has_no_scale() -> None:
    assert WAYS["scale"](np.ones(3), np.zeros(3))[1] == {"scale": 0.0}
    assert WAYS["median"](np.ones(3), np.zeros(3))[1] == {"scale": math.inf}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_to_align_by_is_an_error(way: str) -> None:
    with pytest.raises(ValueError, match="no pixel to align by"):
        WAYS[way](np.array([]), np.array([]))
    with pytest.raises(ValueError, match="no pixel to align by"):
        WAYS[way](np.ones(2), np.ones(2), weights=np.zeros(2))


def test_a_prediction_that_contradicts_the_truth_keeps_its_negative_scale() -> None:
    assert WAYS["line"](np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))[1]["scale"] == pytest.approx(-1)
    assert WAYS["deviation"](np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))[1]["scale"] > 0


def test_a_small_variation_about_a_large_mean_is_fitted_all_the_same() -> None:
    """With sums of raw squares all digits would be lost: (1e8)^2 is 1e16, the variation's square 1."""
    pred = 1e8 + np.array([0.0, 1.0, 2.0, 5.0])
    _, found = WAYS["line"](2 * (pred - 1e8) + 3, pred)
    assert found["scale"] == pytest.approx(2, rel=1e-9)


# Properties

lists = arrays(np.float64, 8, elements=st.floats(0.5, 20.0))
factors, shifts = st.floats(0.05, 20.0), st.floats(-3.0, 3.0)
varied = lists.filter(lambda values: np.ptp(values) > 0.1)


@given(varied, factors)
def test_a_scaled_truth_comes_back(truth: Array, scale: float) -> None:
    for way in ("median", "log_mean", "scale", "line"):
        aligned, found = WAYS[way](truth, truth / scale)
        assert aligned == pytest.approx(truth, rel=1e-9), way
        assert found["scale"] == pytest.approx(scale, rel=1e-6), way


@given(varied, factors, shifts, st.integers(0, 1000))
def test_weighted_fits_find_known_parameters_among_outliers(
    truth: Array, scale: float, shift: float, seed: int
) -> None:
    """The pixels without weight are wild; the others lie on the line."""
    draw = np.random.default_rng(seed)
    wild, weights = draw.uniform(-50, 50, 5), np.r_[draw.uniform(0.1, 3, len(truth)), np.zeros(5)]
    far = np.r_[truth, draw.uniform(0.5, 20, 5)]
    in_depth, in_inverse = np.r_[(truth - shift) / scale, wild], np.r_[(1 / truth - shift) / scale, wild]
    for way, pred in (("line", in_depth), ("inverse_line", in_inverse), ("deviation", in_inverse)):
        aligned, found = WAYS[way](far, pred, weights=weights)
        assert found == pytest.approx({"scale": scale, "shift": shift}, rel=1e-6, abs=1e-6), way
        assert aligned[: len(truth)] == pytest.approx(truth, rel=1e-5), way
    aligned, found = WAYS["scale"](far, np.r_[truth / scale, wild], weights=weights)
    assert found["scale"] == pytest.approx(scale)


@settings(max_examples=50)
@given(varied, varied, arrays(np.int64, 8, elements=st.integers(0, 3)).filter(lambda counts: counts.sum() > 0))
def test_a_weight_is_so_many_equal_pixels(truth: Array, pred: Array, counts: Array) -> None:
    repeated = np.repeat(truth, counts), np.repeat(pred, counts)
    if np.ptp(repeated[1]) < 0.05:
        return  # both would be constant, and near it everything is steep
    for way in WAYS:
        weighted = WAYS[way](truth, pred, weights=counts)[1]
        assert weighted == pytest.approx(WAYS[way](*repeated)[1], rel=1e-6, abs=1e-9), way


@given(varied, varied, factors, shifts, st.integers(0, 100))
def test_invariance_and_order(truth: Array, pred: Array, scale: float, shift: float, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(truth))
    for way in WAYS:
        changed = scale * pred + (shift if way in ("line", "inverse_line", "deviation") else 0)
        aligned = WAYS[way](truth, pred)[0]
        assert WAYS[way](truth, changed)[0] == pytest.approx(aligned, rel=1e-6, abs=1e-9), way
        assert WAYS[way](truth[order], pred[order])[0] == pytest.approx(aligned[order], rel=1e-6, abs=1e-9), way


@given(varied, varied)
def test_no_other_scale_is_better(truth: Array, pred: Array) -> None:
    best, found = WAYS["line"](truth, pred)
    for scale, shift in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        other = (found["scale"] + scale) * pred + found["shift"] + shift
        assert metrics.rmse(truth, best) <= metrics.rmse(truth, other)
    log_best, found = WAYS["log_mean"](truth, pred)
    assert metrics.rmse_log(truth, log_best) == pytest.approx(metrics.si_rmse(truth, pred), abs=1e-9)
