"""Shares, intervals, tests and agreement against hand computation, enumeration and simulation."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from ceae_core.preference import shares

MODELS = ("A", "B", "C")


def votes_of(*counts):
    """One answer per item, with these totals."""
    return np.repeat(np.eye(len(counts), dtype=int), counts, axis=0)


def test_votes_count_answers_per_item():
    choices = np.array([[0, 1, -1], [0, 2, -1], [1, 2, 0]])
    assert shares.votes(choices, 3).tolist() == [[2, 1, 0], [0, 1, 2], [1, 0, 0]]


def test_wilson_by_its_formula():
    n, k, z = 200, 92, stats.norm.isf(0.025)
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert shares.wilson(k, n) == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert shares.wilson(0, 10)[0] == 0 and shares.wilson(10, 10)[1] == pytest.approx(1)


def test_shares_with_their_intervals_and_exact_tests():
    found = shares.shares(MODELS, votes_of(30, 15, 5))
    assert [s.model for s in found] == list(MODELS) and [s.answers for s in found] == [30, 15, 5]
    assert [s.share for s in found] == [0.6, 0.3, 0.1]
    for s in found:
        assert (s.low, s.high) == shares.wilson(s.answers, 50) and s.low < s.share < s.high
        mass = stats.binom.pmf(np.arange(51), 50, 1 / 3)
        assert s.p_chance == pytest.approx(mass[mass <= mass[s.answers] * (1 + 1e-7)].sum())


def test_against_chance_by_enumeration():
    """Eight answers, three cells: all 3**8 sequences are equally likely."""
    counts = (6, 1, 1)
    tables = [tuple(sequence.count(k) for k in range(3)) for sequence in product(range(3), repeat=8)]
    weight = {table: tables.count(table) for table in set(tables)}
    expected = sum(n for n in weight.values() if n <= weight[counts]) / 3 ** 8
    assert shares.against_chance(counts) == ("exact multinomial", pytest.approx(expected))
    assert shares.against_chance((1, 0, 0))[1] == pytest.approx(1)
    name, p = shares.against_chance((30, 15, 5))
    statistic = sum((n - 50 / 3) ** 2 / (50 / 3) for n in (30, 15, 5))
    assert name == "chi-square" and p == pytest.approx(math.exp(-statistic / 2))        # two degrees of freedom


def test_the_design_effect_is_one_without_and_r_with_complete_agreement():
    rng = np.random.default_rng(0)
    assert shares.design_effect(votes_of(30, 15, 5), 0) == 1
    same = 4 * votes_of(300, 150, 50)
    assert shares.design_effect(same, 1) == pytest.approx(4 * 500 / 499)
    independent = shares.votes(rng.choice(3, (4, 20_000), p=(0.5, 0.3, 0.2)), 3)
    assert shares.design_effect(independent, 0) == pytest.approx(1, abs=0.05)
    assert shares.design_effect(4 * votes_of(20), 0) == 1


def test_the_design_effect_is_that_of_the_share(monkeypatch):
    """Beta-binomial votes: 4,000 sheets of 60 items; the variance of the share, within 6 %."""
    rng = np.random.default_rng(1)
    p = rng.beta(1.0, 1.5, (4000, 60))
    first = rng.binomial(5, p)                                                          # (sheets, items)
    share, estimated = first.mean(1) / 5, [
        shares.design_effect(np.stack([row, 5 - row], 1), 0) for row in first[:400]]
    true = share.var() / (0.4 * 0.6 / 300)
    assert true == pytest.approx(1 + 4 / 3.5, rel=0.06)                                 # 1 + (m - 1) / (a + b + 1)
    assert np.mean(estimated) == pytest.approx(true, rel=0.06)


def test_intervals_of_correlated_answers_hold_the_share():
    """Five raters who mostly agree: 95 % intervals hold the true share in 91 to 98 % of 600 sheets; naive ones do not.
    """
    rng, hits, naive = np.random.default_rng(2), 0, 0
    for _ in range(600):
        favourite = rng.choice(3, 80, p=(0.5, 0.3, 0.2))
        choices = np.where(rng.random((5, 80)) < 0.7, favourite, rng.choice(3, (5, 80), p=(0.5, 0.3, 0.2)))
        votes = shares.votes(choices, 3)
        found = shares.shares(MODELS, votes)[0]
        hits += found.low <= 0.5 <= found.high
        low, high = shares.wilson(votes[:, 0].sum(), 400)
        naive += low <= 0.5 <= high
    assert 0.91 < hits / 600 < 0.98 and naive / 600 < 0.85


def test_pairs_are_exact_and_corrected_together():
    found = {(pair.first, pair.second): pair for pair in shares.pairs(MODELS, votes_of(30, 15, 5))}
    assert found["A", "B"].difference == pytest.approx(0.3)
    p = {key: stats.binomtest(k, n).pvalue for key, k, n in (("AB", 30, 45), ("AC", 30, 35), ("BC", 15, 20))}
    assert {"".join(key): pair.p for key, pair in found.items()} == pytest.approx(p)
    smallest, middle, largest = sorted(p.values())
    corrected = [3 * smallest, max(3 * smallest, 2 * middle), max(3 * smallest, 2 * middle, largest)]
    assert sorted(pair.p_holm for pair in found.values()) == pytest.approx(corrected)


def test_pairs_of_several_raters_take_the_item_as_the_unit():
    rng = np.random.default_rng(3)
    votes = shares.votes(rng.choice(3, (5, 40)), 3)
    gaps = votes[:, 0] - votes[:, 1]
    t = gaps.mean() / (gaps.std(ddof=1) / 40 ** 0.5)
    assert shares.difference_p(votes, 0, 1) == pytest.approx(2 * stats.t.sf(abs(t), 39))
    agreed = 5 * votes_of(12, 8)                                    # five raters who are one: no smaller p than one has
    assert shares.difference_p(agreed, 0, 1) > 0.3
    assert shares.difference_p(votes_of(0, 0, 9), 0, 1) == 1.0


def test_fleiss_kappa_by_its_formula():
    choices = np.array([[0, 0, 1, 2, 2, 1], [0, 1, 1, 2, 0, 1], [0, 0, 1, 2, 2, 2]])        # 3 raters, 6 items
    table = shares.votes(choices, 3)
    agreement = np.mean((table * (table - 1)).sum(1) / (3 * 2))
    chance = ((table.sum(0) / table.sum()) ** 2).sum()
    assert shares.fleiss(choices) == pytest.approx((agreement - chance) / (1 - chance))
    open_item = np.concatenate([choices, [[0], [-1], [1]]], axis=1)
    assert shares.fleiss(open_item) == pytest.approx(shares.fleiss(choices))


def test_fleiss_kappa_at_its_ends():
    assert shares.fleiss(np.zeros((1, 9), int)) is None and shares.fleiss(np.array([[0, -1], [-1, 0]])) is None
    assert shares.fleiss(np.array([[0, 1, 2, 0]] * 3)) == 1 and shares.fleiss(np.zeros((2, 5), int)) == 1
    rng = np.random.default_rng(4)
    assert shares.fleiss(rng.choice(3, (4, 20_000))) == pytest.approx(0, abs=0.02)
