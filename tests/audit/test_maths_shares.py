"""Choices and rank correlations against simulation and counting by hand."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from ceae_core.audit import maths_shares as maths


def test_shares_of_real_counts_fit_and_others_do_not():
    for counts in ((92, 72, 35), (1, 1, 1), (0, 7, 3)):
        n = sum(counts)
        shares = [round(100 * c / n, 1) for c in counts]
        assert maths.fits(shares, n)
    assert not maths.fits((46.4, 36.2, 17.4), 250)              # multiples of 0.4 percent only
    assert maths.fits((46.4, 36.2, 17.4), 500) and not maths.fits((46.3, 36.1, 17.6), 500)


def test_fits_agrees_with_trying_all_counts():
    rng = np.random.default_rng(0)
    for _ in range(40):
        shares = np.round(rng.dirichlet((2, 2, 2)) * 100, 1)
        for n in (7, 24, 61):
            naive = any(a + b <= n and all(abs(100 * c / n - s) <= 0.05 + 1e-9 for c, s in
                                           zip((a, b, n - a - b), shares, strict=True))
                        for a, b in product(range(n + 1), repeat=2))
            assert maths.fits(shares, n) == naive
            assert len(set(maths.counts(shares, n))) == len(maths.counts(shares, n))
            assert all(sum(found) == n and all(abs(100 * c / n - s) <= 0.05 + 1e-9 for c, s in zip(
                found, shares, strict=True)) for found in maths.counts(shares, n))


def test_counts_are_all_there():
    assert maths.counts((46.4, 36.2, 17.4), 1000) == [(464, 362, 174)]
    assert maths.counts((46.0, 36.0, 18.0), 100) == [(46, 36, 18)]
    assert set(maths.counts((50.0, 25.0, 25.0), 4000)) >= {(2000, 1000, 1000), (2001, 1000, 999)}


@pytest.mark.parametrize("shares", [(46.4, 36.2, 17.4), (8.1, 90.9, 1.0), (33.3, 33.3, 33.4)])
def test_a_thousand_always_fits(shares):
    assert maths.fits(shares, 1000) and maths.fits(shares, 2000)


def test_z_is_the_difference_over_its_deviation():
    rng = np.random.default_rng(1)
    p, q, n = 0.5, 0.3, 200
    draws = rng.multinomial(n, (p, q, 1 - p - q), size=40_000)
    sd = ((draws[:, 0] - draws[:, 1]) / n).std()
    assert maths.share_z(100 * p, 100 * q, n) == pytest.approx((p - q) / sd, rel=0.02)
    assert maths.share_z(30, 50, n) == -maths.share_z(50, 30, n)


def test_answers_needed_is_where_z_reaches_the_quantile():
    for first, second in ((46.4, 36.2), (60, 20)):
        n = maths.answers_needed(first, second)
        assert maths.share_z(first, second, n) >= stats.norm.isf(0.025) > maths.share_z(first, second, n - 1)


@pytest.mark.parametrize("r", [-0.5, 0.2, 0.9])
def test_relations_of_a_gaussian_copula(r):
    """Kendall is 2/pi asin r; both directions, and by simulation with 40,000 pairs (tolerance 0.02)."""
    tau = 2 / math.pi * math.asin(r)
    rho = maths.spearman_of(tau)
    assert maths.kendall_of(rho) == pytest.approx(tau, abs=1e-12)
    x, noise = np.random.default_rng(2).standard_normal((2, 40_000))
    y = r * x + math.sqrt(1 - r * r) * noise
    assert stats.spearmanr(x, y).statistic == pytest.approx(rho, abs=0.02)
    assert stats.kendalltau(x, y).statistic == pytest.approx(tau, abs=0.02)


def test_no_ranking_beats_the_bound_on_spearman():
    """All permutations of seven; for finite n the bound is loose by terms of order 1/n, never violated by more."""
    from itertools import permutations
    x = np.arange(7)
    for y in list(permutations(x))[::17]:
        tau, rho = stats.kendalltau(x, y).statistic, stats.spearmanr(x, y).statistic
        if tau >= 0:
            assert rho >= maths.least_spearman(tau) - 1e-9
