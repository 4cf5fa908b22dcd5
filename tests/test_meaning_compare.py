"""A prediction against the truth: its order, its straight line and its errors, by literal numbers and by scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lpcv.submission.check.meaning import falling
from lpcv.submission.check.meaning_compare import aligned_error, inverse_error, likeness, rank_correlation, ranks
from scipy.stats import rankdata, spearmanr

TRUTH = np.array([1.0, 2.0, 4.0, 5.0])


@given(arrays(np.float32, st.integers(1, 40), elements=st.integers(-5, 5).map(float)))
def test_ranks_are_scipys(values: np.ndarray) -> None:
    """Few different values, so that nearly all are tied."""
    np.testing.assert_array_equal(ranks(values), rankdata(values))


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-5, 5))
def test_rank_correlation_sees_order_alone(seed: int, scale: float, offset: float) -> None:
    chance = np.random.default_rng(seed)
    truth, other = chance.random(50), chance.random(50)
    value = rank_correlation(truth, other)
    assert value == pytest.approx(np.asarray(spearmanr(truth, other))[0], abs=1e-9)
    assert rank_correlation(truth, np.exp(scale * other + offset)) == pytest.approx(value, abs=1e-9)
    assert rank_correlation(truth, -other) == pytest.approx(-value, abs=1e-9)
    assert rank_correlation(truth, truth) == pytest.approx(1)
    assert rank_correlation(truth, np.full(50, offset)) == 0


def test_likeness_is_of_a_straight_line() -> None:
    assert likeness(TRUTH, 3 - 2 * TRUTH) == pytest.approx(-1)
    assert likeness(TRUTH, 1 / TRUTH) == pytest.approx(np.corrcoef(TRUTH, 1 / TRUTH)[0, 1])
    assert likeness(TRUTH, np.ones(4)) == 0


def test_the_error_takes_one_scale_and_no_more() -> None:
    assert aligned_error(TRUTH, 7 * TRUTH) == pytest.approx(0)
    # Medians 3 and 4, so that 2, 3, 5, 6 become 1.5, 2.25, 3.75, 4.5.
    assert aligned_error(TRUTH, TRUTH + 1) == pytest.approx((0.5 + 0.125 + 0.0625 + 0.1) / 4)
    assert aligned_error(TRUTH, np.zeros(4)) == np.inf


@given(st.floats(0.01, 100), st.floats(-5, 5))
def test_inverse_depth_may_have_any_scale_and_shift(scale: float, shift: float) -> None:
    assert inverse_error(TRUTH, scale / TRUTH + shift) == pytest.approx(0, abs=1e-6)


def test_depth_itself_is_no_inverse_depth() -> None:
    """No better than a constant: the mean of 1, 1/2, 1/4 and 1/5 is 0.4875."""
    constant = float(np.mean(np.abs(1 / TRUTH - 0.4875) * TRUTH))
    assert inverse_error(TRUTH, np.ones(4)) == pytest.approx(constant)
    assert inverse_error(TRUTH, TRUTH) == pytest.approx(constant)
    assert inverse_error(TRUTH, 1 - 0.1 * TRUTH) < 0.5 * constant


@pytest.mark.parametrize(
    ("bends", "kind"),
    [
        ([0.2, 0.1, 0.3], "inverse depth"),
        ([-0.2, -0.1, -0.3], "inverted depth (a constant minus depth)"),
        ([0.01, 0.01, 0.01], "inverse or inverted depth"),
        ([0.5, -0.1, -0.1, 0.1], "inverse or inverted depth"),
    ],
)
def test_inverse_and_inverted_depth_are_told_apart_where_it_is_clear(bends: list[float], kind: str) -> None:
    assert falling(bends) == kind
