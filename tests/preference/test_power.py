"""Power against enumeration and simulation."""

import numpy as np
import pytest
from scipy import stats

from ceae_core.errors import CeaeError
from ceae_core.preference import power, summary


def test_power_by_enumeration():
    """All multinomial tables of 25 answers, each tested by scipy's exact binomial test."""
    p, q, n = 0.5, 0.2, 25
    law = stats.multinomial(n, (p, q, 1 - p - q))
    naive = sum(law.pmf((a, b, n - a - b)) for a in range(n + 1) for b in range(n + 1 - a)
                if a + b and stats.binomtest(a, a + b).pvalue <= 0.05)
    assert power.power(p, q, n) == pytest.approx(naive, abs=1e-9)
    assert power.power(q, p, n) == pytest.approx(naive, abs=1e-9)


def test_power_by_simulation():
    """20,000 sheets of 300 items, a difference of ten points; within 4 standard errors."""
    draws = np.random.default_rng(0).multinomial(300, (0.40, 0.30, 0.30), size=20_000)
    first, either = draws[:, 0], draws[:, 0] + draws[:, 1]
    p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(first, either - first), either, 0.5))
    found = power.power(0.40, 0.30, 300)
    assert found == pytest.approx((p <= 0.05).mean(), abs=4 * (found * (1 - found) / 20_000) ** 0.5)


@pytest.mark.parametrize("n", [1, 5, 6, 50, 500, 5000])
def test_without_a_difference_the_test_keeps_its_level(n):
    assert power.power(0.3, 0.3, n) <= 0.05
    assert n < 6 or power.power(0.3, 0.3, n) > 0


def test_the_approximation_is_near_for_many_answers():
    for n in (1000, 3000):
        assert power.approximate_power(0.36, 0.31, n) == pytest.approx(power.power(0.36, 0.31, n), abs=0.02)


@pytest.mark.parametrize("p, q", [(0.46, 0.36), (0.36, 0.31), (0.9, 0.05), (0.5, 0.1)])
def test_answers_needed_suffice_from_there_on_and_not_before(p, q):
    n = power.answers_needed(p, q)
    assert all(power.power(p, q, m) >= power.WANTED for m in range(n, n + 9))
    assert any(power.power(p, q, m) < power.WANTED for m in range(n - 1, n + 8))


def test_answers_needed_for_five_points():
    """About (z_a + z_b)^2 (p + q - d^2) / d^2, within 5 %."""
    n = power.answers_needed(0.36, 0.31)
    assert n == pytest.approx((1.95996 + 0.84162) ** 2 * (0.67 - 0.0025) / 0.0025, rel=0.05)
    assert power.answers_needed(0.3, 0.3) is None and power.answers_needed(0.3, 0.3001) is None
    assert power.answers_needed(0.46, 0.36, wanted=0.9) > power.answers_needed(0.46, 0.36)


def test_needed_keeps_shares_possible():
    assert summary.needed(0.4, 0.3) == power.answers_needed(0.375, 0.325)
    assert summary.needed(0.0, 0.0) == power.answers_needed(0.05, 0.0)
    assert summary.needed(1.0, 0.0) == pytest.approx((1.95996 + 0.84162) ** 2 * 0.9975 / 0.0025, rel=0.05)


@pytest.mark.parametrize("p, q", [(0.6, 0.5), (-0.1, 0.5), (0.0, 0.0)])
def test_shares_that_are_none(p, q):
    with pytest.raises(CeaeError, match="no two shares of one whole"):
        power.power(p, q, 10)


def test_correlated_answers_count_less():
    assert power.correlated(5, 0) == 1 and power.correlated(5, 1) == 5 and power.correlated(5, 0.25) == 2
