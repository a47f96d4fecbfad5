"""Tests with something missing: against simulation, and back through Welch's test."""

import math

import numpy as np
import pytest
from scipy import stats

from ceae_core.audit import maths_spreads as maths
from ceae_core.report.intervals import Summary, welch


def test_a_single_value_against_ten():
    """p is uniform when the single value comes from the same law."""
    rng = np.random.default_rng(4)
    p = [maths.against_single(v[:10].mean(), v[:10].std(ddof=1), 10, v[10])[1] for v in rng.standard_normal((4000, 11))]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert maths.against_single(2.0, 1.0, 10, 1.0)[0] == pytest.approx(1 / math.sqrt(1.1))


def test_the_largest_deviation_of_a_rival():
    first = (163.0, 0.8)
    sd = maths.largest_rival_sd(first, 165.4, 10, 0.01)
    assert welch(Summary(*first, 10), Summary(165.4, sd, 10)).p == pytest.approx(0.01, rel=1e-6)
    assert maths.largest_rival_sd((78.0, 1.0), 78.2, 10, 0.01) is None
