"""Means over lines with bootstrap intervals."""

import numpy as np
import pytest
from scipy import stats

from ceae_core.report import intervals
from ceae_core.report.lines import Mean


def test_a_mean_resamples_lines():
    values = np.random.default_rng(0).normal(2.0, 1.0, 200)
    mean = Mean.over([*values, None])
    expected = stats.bootstrap((values,), np.mean, confidence_level=intervals.LEVEL, method="percentile",
                               rng=np.random.default_rng(5)).confidence_interval
    assert mean.value == pytest.approx(values.mean()) and (mean.n, mean.of) == (200, 201)
    assert mean.interval.low == pytest.approx(expected.low, abs=0.02)
    assert mean.interval.high == pytest.approx(expected.high, abs=0.02)
    assert mean.cell().title == "mean over 200 of 201 lines"
    low, high = mean.interval
    assert mean.cell().text == f"{mean.value:.2f} [{low:.2f},\u00a0{high:.2f}]"


def test_a_mean_of_equals_and_of_nothing():
    assert Mean.over([0.5, 0.5, None]) == Mean(0.5, (0.5, 0.5), 2, 3)
    assert Mean.over([None]).value is None and Mean.over([None]).cell().value is None
    assert Mean.over([-1.0]).cell().text.startswith("−1.00 [−1.00")
