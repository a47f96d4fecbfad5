"""Intervals, tests and power: against closed forms, other libraries, numerical integration and simulation."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import integrate, stats

from ceae_core.report import intervals
from ceae_core.report.intervals import Interval, Summary

VALUES = [3.1, 2.7, 4.4, 3.9, 3.3, 2.2, 3.6]


def test_t_interval_by_hand():
    """t(0.95; 4) = 2.132; of 1 to 5 the mean is 3 and the sd √2.5."""
    low, high = intervals.t_interval([1, 2, 3, 4, 5])
    assert high - 3 == pytest.approx(3 - low) and high - 3 == pytest.approx(2.1318 * math.sqrt(2.5 / 5), abs=1e-4)


def test_percentile_range_by_hand():
    """Of 0 to 10 the 5th percentile is 0.5 and the 95th 9.5."""
    found = intervals.percentile_range(range(11))
    assert found == pytest.approx((0.5, 9.5)) and found.width == pytest.approx(9.0)
    assert 0.5 in Interval(0.0, 1.0) and 1.5 not in Interval(0.0, 1.0)


def test_bootstrap_is_reproducible_and_close_to_naive_resampling():
    found = intervals.bootstrap_interval(VALUES)
    assert found == intervals.bootstrap_interval(VALUES)
    means = np.random.default_rng(5).choice(VALUES, (200_000, len(VALUES))).mean(1)
    assert found == pytest.approx(tuple(np.quantile(means, [0.05, 0.95])), abs=0.03)


def test_widths_of_ten_runs():
    known = intervals.widths(10)
    assert known["mean, t"] == pytest.approx(2 * 1.8331 / math.sqrt(10), abs=1e-4)
    assert known["all of a fitted normal"] == pytest.approx(2 * 1.6449, abs=1e-4)
    t_width = intervals.t_interval(VALUES).width / np.std(VALUES, ddof=1)
    assert intervals.widths(len(VALUES))["mean, t"] == pytest.approx(t_width)


def test_no_values_span_more_than_the_largest_range():
    """Reached by one value at each end; never exceeded, whatever the law."""
    for n in (3, 10, 25):
        extreme = [-1.0, 1.0] + [0.0] * (n - 2)
        assert np.ptp(extreme) / np.std(extreme, ddof=1) == pytest.approx(intervals.largest_range(n))
        for draw in (np.random.default_rng(1).standard_normal, np.random.default_rng(2).standard_cauchy):
            values = draw((2000, n))
            assert (np.ptp(values, axis=1) / values.std(1, ddof=1)).max() <= intervals.largest_range(n) + 1e-9


def test_simulated_percentile_ranges():
    """The mean width against order statistics: percentiles at 0.45 and 8.55 of ten, divided by E of the sd."""
    found = intervals.range_widths(10)
    assert len(found) == 20_000 and found.max() < intervals.largest_range(10)
    assert found is intervals.range_widths(10)                      # one simulation serves all callers

    def expected(k):                                                # E of the k-th smallest of ten
        density = stats.norm.pdf
        return integrate.quad(lambda x: x * math.comb(10, k) * k * density(x) * stats.norm.cdf(x) ** (k - 1)
                              * stats.norm.sf(x) ** (10 - k), -9, 9)[0]
    width = 0.55 * expected(10) + 0.45 * expected(9) - 0.55 * expected(1) - 0.45 * expected(2)
    # the ratio is independent of the sd for normal values (Basu), so E(width) = E(ratio) E(sd)
    sd = math.sqrt(2 / 9) * math.gamma(5) / math.gamma(4.5)
    assert found.mean() == pytest.approx(width / sd, abs=0.005)


def test_how_unusual_a_width_is():
    simulated = np.array([1.0, 2.0, 3.0, 4.0])
    assert intervals.width_share(Interval(5.0, 6.0), simulated) == 0
    assert intervals.width_share(Interval(3.5, 6.0), simulated) == 0.25
    assert intervals.width_share(Interval(0.5, 1.5), simulated) == 0.25
    assert intervals.width_share(Interval(1.5, 3.5), simulated) == 0.75


def test_welch_is_that_of_the_values():
    other = [2.0, 2.9, 2.4, 3.0]
    known = stats.ttest_ind(VALUES, other, equal_var=False)
    found = intervals.welch(Summary.of(VALUES), Summary.of(other))
    assert (found.statistic, found.p) == pytest.approx((known.statistic, known.pvalue))
    assert found.difference == pytest.approx(np.mean(VALUES) - np.mean(other))


def test_holm_by_hand():
    """The smallest p times 3, the next times 2, the last times 1, never falling, never above 1."""
    assert intervals.holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert intervals.holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("effect, n", list(product((0.2, 1.0, 2.0), (2, 3, 5, 10, 50))))
def test_power_is_that_of_the_noncentral_t(effect, n):
    from statsmodels.stats.power import TTestIndPower
    known = TTestIndPower().power(effect, n, 0.01)
    assert intervals.power(effect * 3.0, (3.0, 3.0), n, 0.01) == pytest.approx(known, abs=2e-6)


def test_power_with_unequal_spreads_is_that_of_simulated_tests():
    rng, n, draws = np.random.default_rng(3), 6, 20_000
    first, second = rng.normal(0.0, 0.4, (draws, n)), rng.normal(1.2, 0.9, (draws, n))
    found = (stats.ttest_ind(first, second, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert intervals.power(1.2, (0.4, 0.9), n, 0.05) == pytest.approx(found, abs=0.015)
    assert intervals.power(-1.2, (0.4, 0.9), n, 0.05) == intervals.power(1.2, (0.4, 0.9), n, 0.05)
    assert intervals.power(1e3, (0.4, 0.9), n, 0.05) == pytest.approx(1.0)      # where library functions fail
    assert intervals.power(0.0, (1.0, 1.0), n, 0.05) == pytest.approx(0.05, abs=1e-6)


def test_enough_seeds_and_one_fewer():
    for difference, sds in ((1.9, (0.4, 0.6)), (0.2, (0.5, 0.5)), (50.0, (0.4, 0.6))):
        n = intervals.seeds_needed(difference, sds, 0.01)
        assert intervals.power(difference, sds, n, 0.01) >= 0.9
        assert n == 2 or intervals.power(difference, sds, n - 1, 0.01) < 0.9
    assert intervals.seeds_needed(1e-3, (1.0, 1.0), 0.01) is None


def test_what_a_number_of_seeds_can_see():
    found = intervals.detectable((0.4, 0.6), 10, 0.01)
    assert intervals.power(found, (0.4, 0.6), 10, 0.01) == pytest.approx(0.9, abs=1e-6)
    assert intervals.detectable((0.8, 1.2), 10, 0.01) == pytest.approx(2 * found)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_coverage(n):
    """The t interval holds the mean as often as it says; the bootstrap of few runs does not; percentiles of runs mean
    another thing and miss the next run more often than 10 %."""
    found = {method: intervals.coverage(n, method, draws=3000) for method in intervals.METHODS}
    assert found["t interval"]["mean"] == pytest.approx(0.9, abs=0.02)
    assert found["bootstrap, percentile"]["mean"] < 0.88
    assert found["percentiles of runs"]["run"] < 0.85
    if n == 10:
        assert found["percentiles of runs"]["mean"] > 0.98 > found["t interval"]["mean"]


def test_the_simulated_methods_are_the_ones_in_use():
    rng = np.random.default_rng(0)
    values = np.array([VALUES])
    for method, function in (("t interval", intervals.t_interval), ("percentiles of runs", intervals.percentile_range)):
        low, high = intervals.METHODS[method](values, 0.9, rng)
        assert (low[0], high[0]) == pytest.approx(function(VALUES))
    low, high = intervals.METHODS["bootstrap, percentile"](values, 0.9, rng)
    assert (low[0], high[0]) == pytest.approx(intervals.bootstrap_interval(VALUES), abs=0.1)
