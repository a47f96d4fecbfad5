"""Coefficients over pairs and their intervals: naive recomputation, known truths, coverage by simulation."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from ceae_core.errors import CeaeError
from ceae_core.measure import agreement as measure
from ceae_core.measure.agreement import COEFFICIENTS, RankTable, agreement, coefficients, resamples, similarities


def symmetric(rng: np.random.Generator, n: int, digits: int = 9) -> np.ndarray:
    """(n, n) random similarities, tied where few digits are kept."""
    half = np.round(rng.standard_normal((n, n)), digits)
    return np.triu(half, 1) + np.triu(half, 1).T + np.diag(rng.standard_normal(n))


def judged(rng: np.random.Generator, n: int, correlation: float = 0.7, units: int = 5, spread: float = 0.6):
    """Similarities by two judges whose vectors correlate, the lengths of both varying from sentence to sentence.

    With x = s a and y = s b, s the same scale and corr(a_k, b_k) = r, the products have Pearson's r exactly r^2.
    """
    first = rng.standard_normal((n, units))
    second = correlation * first + (1 - correlation ** 2) ** 0.5 * rng.standard_normal((n, units))
    scale = rng.lognormal(0, spread, (n, 1))
    return similarities(scale * first), similarities(scale * second)


# similarities and point estimates ------------------------------------------------------------------------------------

def test_inner_products_and_cosines() -> None:
    vectors = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(similarities(vectors), [[25, 3, 0], [3, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(similarities(vectors, "cosine"), [[1, 0.6, 0], [0.6, 1, 0], [0, 0, 0]], atol=1e-12)
    with pytest.raises(CeaeError, match="similarity: unknown value 'dot'; choose inner or cosine"):
        similarities(vectors, "dot")


def naive(x: list[float], y: list[float]) -> dict[str, float]:
    """The three coefficients by their definitions."""
    def pearson(x, y):
        dx, dy = np.array(x) - np.mean(x), np.array(y) - np.mean(y)
        return sum(dx * dy) / (sum(dx ** 2) * sum(dy ** 2)) ** 0.5

    def ranks(values):
        return [sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
                for value in values]
    signs = [(np.sign(x[p] - x[q]), np.sign(y[p] - y[q])) for p, q in combinations(range(len(x)), 2)]
    tau = sum(a * b for a, b in signs) / (sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs)) ** 0.5
    return {"pearson": pearson(x, y), "spearman": pearson(ranks(x), ranks(y)), "kendall": tau}


@pytest.mark.parametrize("digits", [9, 0])
def test_coefficients_by_their_definitions_over_every_pair_once(digits) -> None:
    rng = np.random.default_rng(digits)
    first = symmetric(rng, 7, digits)
    second = np.round(first + symmetric(rng, 7), digits)
    pairs = list(combinations(range(7), 2))
    found = agreement(first, second, draws=5)
    assert (found.sentences, found.pairs) == (7, 21)
    assert found.values == pytest.approx(naive([first[p] for p in pairs], [second[p] for p in pairs]))


def test_the_same_judge_twice_agrees_fully_and_one_turned_round_not_at_all() -> None:
    first, _ = judged(np.random.default_rng(0), 20)
    for sign in (1, -1):
        found = agreement(first, sign * first, draws=20)
        assert found.values == pytest.approx(dict.fromkeys(COEFFICIENTS, sign))
        for name in COEFFICIENTS:
            np.testing.assert_allclose(found.draws[name], sign, atol=1e-9)


def test_a_monotone_transform_moves_pearson_alone() -> None:
    first, second = judged(np.random.default_rng(1), 60)
    before, after = (agreement(first, each, draws=10) for each in (second, np.exp(second / 4)))
    for name in ("spearman", "kendall"):
        assert after.values[name] == pytest.approx(before.values[name])
        np.testing.assert_allclose(after.draws[name], before.draws[name], atol=1e-9)
    assert abs(after.values["pearson"] - before.values["pearson"]) > 0.02


def test_independent_judges_agree_by_chance_alone() -> None:
    """60 studies of 50 sentences: the mean of each coefficient is within three standard errors of 0."""
    rng = np.random.default_rng(2)
    found = [coefficients(*(side[np.triu_indices(50, 1)] for side in judged(rng, 50, correlation=0.0)))
             for _ in range(60)]
    for name in COEFFICIENTS:
        values = np.array([each[name] for each in found])
        assert abs(values.mean()) < 3 * values.std() / 60 ** 0.5 and values.std() < 0.1


def test_one_side_that_is_constant_has_no_coefficient() -> None:
    first, _ = judged(np.random.default_rng(0), 10)
    found = agreement(first, np.ones((10, 10)))
    assert set(found.values.values()) == {None} and found.interval("kendall") is None
    assert found.plain()["coefficients"]["pearson"] == {"value": None, "low": None, "high": None}
    assert measure.difference(agreement(first, first, draws=3), found, "pearson") is None


@pytest.mark.parametrize("first, second, more, said", [
    ((4, 4), (5, 5), {}, "do not belong to the same sentences"), ((4, 3), (4, 4), {}, "two square matrices"),
    ((2, 2), (2, 2), {}, "2 sentences and 200 draws are too few"), ((4, 4), (4, 4), {"draws": 0}, "0 draws")])
def test_matrices_that_cannot_be_compared(first, second, more, said) -> None:
    with pytest.raises(CeaeError, match=said):
        agreement(np.eye(*first), np.eye(*second), **more)


# resamples -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("digits", [9, 1, 0])
def test_a_resample_is_what_repeating_its_pairs_gives(digits) -> None:
    """Pairs of two different sentences count as often as both were drawn; those of a sentence with itself do not."""
    rng = np.random.default_rng(digits)
    first = symmetric(rng, 14, digits)
    second = np.round(first + symmetric(rng, 14), digits)
    rows, columns = np.triu_indices(14, 1)
    counts = resamples(14, 6, seed=3)
    table = RankTable(first[rows, columns], second[rows, columns], rows, columns)
    found = {"pearson": measure.pearson_draws(first, second, counts)}
    found["spearman"], found["kendall"] = np.array([table.coefficients(each) for each in counts]).T
    for k, each in enumerate(counts):
        drawn = np.repeat(np.arange(14), each.astype(int))
        pairs = [(i, j) for i, j in combinations(drawn, 2) if i != j]
        wanted = coefficients(*(np.array([side[i, j] for i, j in pairs]) for side in (first, second)))
        assert {name: values[k] for name, values in found.items()} == pytest.approx(wanted, abs=1e-10)


def test_resamples_have_as_many_sentences_and_depend_on_the_seed() -> None:
    counts = resamples(50, 4000, seed=0)
    assert set(counts.sum(1)) == {50.0}
    assert counts.mean() == 1 and counts.var() == pytest.approx(1 - 1 / 50, rel=0.02)
    np.testing.assert_array_equal(counts, resamples(50, 4000, seed=0))
    assert (counts != resamples(50, 4000, seed=1)).any()


def test_binned_ranks_come_close_and_closer_with_more_bins() -> None:
    first, second = judged(np.random.default_rng(4), 150)
    rows, columns = np.triu_indices(150, 1)
    sides = first[rows, columns], second[rows, columns]
    exact = coefficients(*sides)
    error = {}
    for bins in (16, measure.BINS):
        rho, tau = RankTable(*sides, rows, columns, bins).coefficients(np.ones(150))
        error[bins] = max(abs(rho - exact["spearman"]), abs(tau - exact["kendall"]))
    assert error[measure.BINS] < 2e-3 < error[16] / 5


def test_draws_stand_around_the_exact_value_whatever_the_bins() -> None:
    first, second = judged(np.random.default_rng(5), 40)
    fine, coarse = (agreement(first, second, draws=60, bins=bins) for bins in (800, 24))
    for name in ("spearman", "kendall"):
        assert fine.values[name] == coarse.values[name]
        np.testing.assert_allclose(fine.draws[name], coarse.draws[name], atol=0.02)
        assert abs(np.mean(coarse.draws[name]) - coarse.values[name]) < np.std(coarse.draws[name])


def test_intervals_are_percentiles_of_the_draws() -> None:
    first, second = judged(np.random.default_rng(6), 40)
    found = agreement(first, second, draws=101)
    low, high = found.interval("kendall", 0.8)
    assert [np.mean(found.draws["kendall"] < end) for end in (low, high)] == pytest.approx([0.1, 0.9], abs=0.01)
    plain = found.plain()
    assert plain["coefficients"]["kendall"] == dict(zip(
        ("value", "low", "high"), (found.values["kendall"], *found.interval("kendall")), strict=True))
    again = measure.Agreement.read(plain)
    assert again.values == found.values
    assert again.interval("spearman") == pytest.approx(found.interval("spearman"), 1e-4)
    assert plain["draws"]["pearson"] == pytest.approx(found.draws["pearson"], abs=1e-5) and plain["level"] == 0.9


def test_sentences_are_resampled_for_pairs_would_give_intervals_far_too_narrow() -> None:
    """100 studies with known Pearson r^2 = 0.49, nominal 90 %: sentences cover it in at least 80 % (the standard error
    of that share is 3 %), pairs taken for independent in at most 50 %, their intervals under half as wide."""
    rng, truth, n = np.random.default_rng(7), 0.7 ** 2, 100
    rows, columns = np.triu_indices(n, 1)
    covered, widths = {"sentences": [], "pairs": []}, {"sentences": [], "pairs": []}
    for study in range(100):
        first, second = judged(rng, n, units=2)
        draws = {"sentences": measure.pearson_draws(first, second, resamples(n, 200, study))}
        x, y = first[rows, columns], second[rows, columns]
        weights = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), 200)
        sums = [weights @ values for values in (x, y, x * x, y * y, x * y)]
        sx, sy, sxx, syy, sxy = (each / len(x) for each in sums)
        draws["pairs"] = (sxy - sx * sy) / np.sqrt((sxx - sx ** 2) * (syy - sy ** 2))
        for kind, values in draws.items():
            low, high = measure.percentiles(values)
            covered[kind].append(low <= truth <= high)
            widths[kind].append(high - low)
    assert np.mean(covered["sentences"]) > 0.8 and np.mean(covered["pairs"]) < 0.5
    assert np.mean(widths["pairs"]) < 0.5 * np.mean(widths["sentences"])


@pytest.mark.parametrize("name", ["spearman", "kendall"])
def test_rank_intervals_vary_as_much_as_new_sentences_do(name) -> None:
    """The mean sd of resampled coefficients is that over 80 new sets of sentences, within a fifth and a bit of bias."""
    rng, n = np.random.default_rng(8), 60
    studies = [agreement(*judged(rng, n), draws=40, bins=64) for _ in range(80)]
    over_sets = np.std([each.values[name] for each in studies])
    assert np.mean([np.std(each.draws[name]) for each in studies]) == pytest.approx(over_sets, rel=0.3)


# differences ---------------------------------------------------------------------------------------------------------

def test_resamples_in_which_one_side_is_constant_are_left_out() -> None:
    """Four sentences of which one is unlike the others: without it all similarities are the same."""
    first = np.ones((4, 4))
    first[0, 1:] = first[1:, 0] = 0.0
    found = agreement(first, symmetric(np.random.default_rng(0), 4), draws=100)
    for name in COEFFICIENTS:
        lost = ~np.isfinite(found.draws[name])
        assert 0 < lost.sum() < 60 and np.isfinite(found.interval(name)).all()
        assert [value is None for value in found.plain()["draws"][name]] == lost.tolist()


def test_differences_use_the_same_resamples_of_both() -> None:
    rng = np.random.default_rng(9)
    first, second = judged(rng, 80)
    noisy = second + 0.05 * symmetric(rng, 80)
    one, other = agreement(first, second, draws=80), agreement(first, noisy, draws=80)
    value, (low, high) = measure.difference(one, other, "pearson")
    assert value == pytest.approx(one.values["pearson"] - other.values["pearson"])
    assert low <= value <= high
    own = one.interval("pearson")
    assert high - low < 0.2 * (own[1] - own[0])             # what the sentences share drops out
    with pytest.raises(CeaeError, match="rest on other sentences or resamples"):
        measure.difference(one, agreement(first, second, draws=20), "pearson")


def test_kendall_lies_below_spearman_on_a_gaussian_copula() -> None:
    """What the paper's tables turn round: tau = 2/pi asin r and rho = 6/pi asin(r/2); 20,000 pairs, within 0.02."""
    rng = np.random.default_rng(10)
    x = rng.standard_normal(20_000)
    found = coefficients(x, 0.8 * x + 0.6 * rng.standard_normal(20_000))
    assert found["kendall"] == pytest.approx(2 / np.pi * np.arcsin(0.8), abs=0.02)
    assert found["spearman"] == pytest.approx(6 / np.pi * np.arcsin(0.4), abs=0.02)
    assert found["spearman"] > found["kendall"] + 0.15
    assert stats.pearsonr(x, x).statistic == 1
