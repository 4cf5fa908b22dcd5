"""Intervals and paired differences: against scipy, against every resample there is, and against what they promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.evaluate import statistics
from lpcv.evaluate.statistics import LEAST_FRAMES, Difference, mean_interval, paired_difference
from scipy import stats

values = st.lists(st.integers(-1000, 1000).map(lambda whole: whole / 8), min_size=LEAST_FRAMES, max_size=30)
pairs = st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=1, max_size=30)


@pytest.mark.parametrize(("frames", "tolerance"), [(6, 0.01), (7, 0.01), (24, 1e-9), (260, 1e-9)])
@pytest.mark.parametrize("shape", [0.3, 2.0, 50.0])
def test_the_interval_is_scipys(frames: int, tolerance: float, shape: float) -> None:
    """A draw that takes every frame once has the sample's own mean: few frames tie so, and scipy's ties are rounded."""
    sample = np.random.default_rng(frames).gamma(shape, 1, frames)
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=statistics.RESAMPLES, method="BCa", confidence_level=statistics.LEVEL,
        rng=np.random.default_rng(statistics.SEED),
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert mean_interval(sample.tolist()) == pytest.approx((theirs.low, theirs.high), abs=tolerance * width)


def test_the_resampled_means_have_the_exact_distribution() -> None:
    """All 4^4 draws of four values, against the share of our draws at or below each possible mean."""
    sample = np.array([-3.0, -1.0, 0.0, 4.0])
    every = np.array([np.mean(draw) for draw in itertools.product(sample, repeat=4)])
    ours = statistics._resampled_means(sample)
    assert set(ours) == set(every)
    for mean in np.unique(every):
        assert np.mean(ours <= mean) == pytest.approx(np.mean(every <= mean), abs=0.025)


@pytest.mark.parametrize(("frames", "least"), [(12, 0.88), (60, 0.92)])
def test_the_interval_holds_the_true_mean_about_as_often_as_it_says(frames: int, least: float) -> None:
    generator = np.random.default_rng(1)
    found = [mean_interval(generator.normal(5, 2, frames).tolist()) for _ in range(600)]
    held = np.mean([interval is not None and interval[0] <= 5 <= interval[1] for interval in found])
    assert least <= held <= 0.98


def test_no_difference_is_rarely_called_real() -> None:
    generator = np.random.default_rng(2)
    called = [paired_difference(*generator.normal(80, 5, (2, 40)).tolist()).real for _ in range(400)]
    assert 0.01 <= np.mean(called) <= 0.1


def test_pairing_sees_what_two_intervals_hide() -> None:
    generator = np.random.default_rng(3)
    hardness = generator.uniform(20, 95, 40)
    baseline, ours = hardness.tolist(), (hardness + generator.normal(0.8, 1, 40)).tolist()
    one, other = mean_interval(baseline), mean_interval(ours)
    assert one is not None
    assert other is not None
    assert one[1] > other[0]  # they overlap
    found = paired_difference(ours, baseline)
    assert found.real
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.8 < found.high
    assert not paired_difference(generator.permutation(ours).tolist(), baseline).real


@given(values, st.integers(-100, 100))
def test_a_shift_moves_the_interval_along(sample: list[float], shift: int) -> None:
    before, after = mean_interval(sample), mean_interval([value + shift for value in sample])
    assert before is not None
    assert after == pytest.approx((before[0] + shift, before[1] + shift), rel=1e-9, abs=1e-9)


@given(values, st.sampled_from([0.25, 3.0, 1000.0]))
def test_a_scale_stretches_the_interval(sample: list[float], scale: float) -> None:
    before, after = mean_interval(sample), mean_interval([value * scale for value in sample])
    assert before is not None
    assert after == pytest.approx((before[0] * scale, before[1] * scale), rel=1e-9, abs=1e-9)


@given(values)
def test_the_interval_lies_within_the_values_and_around_the_mean(sample: list[float]) -> None:
    interval = mean_interval(sample)
    assert interval is not None
    low, high = interval
    assert min(sample) - 1e-9 <= low <= high <= max(sample) + 1e-9
    assert low - 1e-9 <= np.mean(sample) <= high + 1e-9


@given(pairs)
def test_the_difference_is_antisymmetric(rows: list[tuple[int, int]]) -> None:
    """Its mean exactly; its interval but for the ends' interpolation and the rounding of the bias."""
    ours, baseline = [row[0] / 4 for row in rows], [row[1] / 4 for row in rows]
    there, back = paired_difference(ours, baseline), paired_difference(baseline, ours)
    assert there.mean == -back.mean
    assert there.frames == back.frames == len(rows)
    if there.low is None or there.high is None:
        assert len(rows) < LEAST_FRAMES
        assert (back.low, back.high) == (None, None)
    else:
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), rel=1e-6, abs=1e-6)


def test_the_same_values_give_the_same_interval_whatever_was_asked_before() -> None:
    sample = np.random.default_rng(4).normal(0, 1, 31).tolist()
    first = mean_interval(sample)
    statistics._counts.cache_clear()
    mean_interval(list(range(17)))
    assert mean_interval(sample) == first
    assert mean_interval(tuple(sample)) == first


def test_what_has_no_interval() -> None:
    assert mean_interval([]) is None
    assert mean_interval([3.0, 4.0, 5.0, 6.0, 7.0]) is None
    assert mean_interval([3.0, 4.0, 5.0, 6.0, 7.0, 8.0]) is not None
    assert mean_interval([3.0, 4.0, 5.0, 6.0, 7.0, 8.0, math.nan]) is None
    assert mean_interval([3.0, 4.0, 5.0, 6.0, 7.0, 8.0, math.inf]) is None


@pytest.mark.parametrize("value", [0.0, 0.1, -17.3, 1e-9, 1e9])
def test_equal_values_have_an_interval_without_width(value: float) -> None:
    interval = mean_interval([value] * 7)
    assert interval is not None
    assert interval[0] == interval[1] == pytest.approx(value, rel=1e-12)


def test_a_copy_differs_by_exactly_nothing() -> None:
    sample = np.random.default_rng(5).uniform(0, 100, 50).tolist()
    assert paired_difference(sample, list(sample)) == Difference(0.0, 0.0, 0.0, 50)
    assert not paired_difference(sample, list(sample)).real


def test_few_frames_are_never_enough() -> None:
    """Two of two frames better, and the interval excludes 0: a coin does that as well."""
    for frames in range(1, LEAST_FRAMES + 2):
        ours = [10.0 + index / 10 for index in range(frames)]
        assert paired_difference(ours, [0.0] * frames).real == (frames >= LEAST_FRAMES)
    assert paired_difference([2.0], [1.0]) == Difference(1.0, None, None, 1)
    assert 2 / 2**LEAST_FRAMES < 1 - statistics.LEVEL < 2 / 2 ** (LEAST_FRAMES - 1)


@pytest.mark.parametrize(
    ("low", "high", "real"), [(0.1, 0.5, True), (-0.5, -0.1, True), (-0.1, 0.5, False), (0.0, 0.5, False)]
)
def test_real_means_that_the_interval_excludes_zero(low: float, high: float, real: bool) -> None:
    assert Difference((low + high) / 2, low, high, 20).real is real


@pytest.mark.parametrize(
    ("ours", "baseline"), [([], []), ([1.0], [math.nan]), ([math.inf], [1.0]), ([1.0, 2.0], [1.0])]
)
def test_what_cannot_be_paired_is_refused(ours: list[float], baseline: list[float]) -> None:
    with pytest.raises(ValueError, match=r"same frames|broadcast"):
        paired_difference(ours, baseline)


def test_many_frames_have_the_width_of_the_normal_distribution() -> None:
    columns = np.random.default_rng(6).gamma(2, 1, (13, 2000)).tolist()
    widths = [interval[1] - interval[0] for column in columns if (interval := mean_interval(column))]
    assert widths == pytest.approx([2 * 1.96 * math.sqrt(2 / 2000)] * 13, rel=0.2)


@settings(max_examples=20)
@given(st.integers(2, 60))
def test_a_resample_draws_as_many_frames_as_there_are(frames: int) -> None:
    counts = statistics._counts(frames)
    assert counts.shape == (statistics.RESAMPLES, frames)
    assert (counts.sum(axis=1) == frames).all()
