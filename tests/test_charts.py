"""The report's histogram: every value is counted once, where it is, over round numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.evaluate.report.charts import bins_of, histogram


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=200))
def test_no_value_is_lost_or_outside_its_bin(values: list[float]) -> None:
    bins = bins_of(values)
    assert sum(bins.counts) + bins.beyond == len(values)
    assert len(bins.edges) == len(bins.counts) + 1
    assert len(bins.counts) <= 40
    steps = np.diff(bins.edges)
    slack = 1e-6 * steps[0]
    assert np.allclose(steps, steps[0], rtol=1e-6)
    inside = sorted(values)[: len(values) - bins.beyond]
    assert bins.edges[0] - slack <= inside[0]
    assert inside[-1] <= bins.edges[-1] + slack


def test_bins_are_round_and_a_full_score_is_not_above_100() -> None:
    bins = bins_of([90.0, 91.0, 95.0, 99.0, 100.0, 100.0])
    assert bins.edges == (90.0, 92.0, 94.0, 96.0, 98.0, 100.0)
    assert (bins.counts, bins.beyond) == ((2, 0, 1, 0, 3), 0)


def test_an_exploding_value_does_not_hide_the_others() -> None:
    values = [0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 345.0]
    bins = bins_of(values)
    assert (sum(bins.counts), bins.beyond) == (6, 1)
    assert bins.edges[-1] < 0.2
    drawn = histogram(values, "abs_rel, ratio", float(np.mean(values)))
    assert drawn.columns[-1].title == "above 0.15: 1 frame"
    assert "from 0.1 to 345" in drawn.told
    assert all(drawn.left <= each.x and each.x + each.width <= drawn.right for each in drawn.columns)


def test_columns_stand_where_their_values_are() -> None:
    drawn = histogram([0.0, 10.0, 10.0, 40.0], "x", 15.0, (10.0, 20.0))
    assert drawn.mean is not None
    assert drawn.band is not None
    full = drawn.right - drawn.left
    assert drawn.mean.at == pytest.approx(drawn.left + full * 15 / 40, abs=0.1)
    assert drawn.band == (pytest.approx(drawn.left + full / 4, abs=0.1), pytest.approx(full / 4, abs=0.1))
    tallest = max(drawn.columns, key=lambda each: each.height)
    assert (tallest.title, tallest.height) == ("10 to 15: 2 frames", drawn.base - drawn.top)
    assert [tick.text for tick in drawn.x_ticks] == ["0", "10", "20", "30", "40"]
