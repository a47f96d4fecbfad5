"""Shares of choices: intervals, tests against chance and between models, agreement, bias of positions.

Answers of several raters to one item are not independent.  Wherever there are several, the item is the unit: the
spread between items takes the place of the binomial formula.  `votes` is (N, K): answers to each item for each model.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

LEVEL = 0.95                # of every interval
ENOUGH = 5                  # expected answers per cell from which on chi-square's approximation is usual


class Share(NamedTuple):
    """Share of the answers for one model, with its interval, and the p-value of the share against 1 / K."""

    model: str
    answers: int
    share: float
    low: float
    high: float
    p_chance: float


class Pair(NamedTuple):
    """Two models: the difference of their shares, and its p-value without and with Holm's correction."""

    first: str
    second: str
    difference: float
    p: float
    p_holm: float


def votes(choices: np.ndarray, models: int) -> np.ndarray:
    """(N, K) from choices (R, N); negative numbers are no answers."""
    return np.stack([(choices == model).sum(0) for model in range(models)], axis=1)


def design_effect(votes: np.ndarray, model: int) -> float:
    """How many answers count as one: variance of the share with the item as unit over that of independent answers.

    The share is a ratio of two sums over items, so its variance is that of the residuals v - p n of the items
    (kish1965survey).  1 where every item has one answer, or all answers are the same.
    """
    answers = votes.sum(1)                                                              # (N,)
    share, n_items = votes[:, model].sum() / answers.sum(), int((answers > 0).sum())
    if answers.max() <= 1 or share in (0.0, 1.0) or n_items < 2:
        return 1.0
    residual = votes[:, model] - share * answers
    variance = n_items / (n_items - 1) * (residual ** 2).sum() / answers.sum() ** 2
    return float(variance / (share * (1 - share) / answers.sum()))


def wilson(count: float, answers: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a share (wilson1927probable); both numbers may be effective ones, not whole."""
    from statsmodels.stats.proportion import proportion_confint
    low, high = proportion_confint(count, answers, alpha=1 - level, method="wilson")
    return float(low), float(high)


def shares(models: Sequence[str], votes: np.ndarray) -> list[Share]:
    """The share of every model; with several raters, intervals and tests for the effective number of answers.

    That is at most the number of answers, also where the raters happen to agree less than by chance.
    """
    from scipy import stats
    answers, chance = int(votes.sum()), 1 / len(models)
    found = []
    for k, name in enumerate(models):
        count, effect = int(votes[:, k].sum()), max(1.0, design_effect(votes, k))
        if effect == 1.0:
            p = stats.binomtest(count, answers, chance).pvalue
        else:
            p = 2 * stats.norm.sf(abs(count / answers - chance) / (chance * (1 - chance) * effect / answers) ** 0.5)
        found.append(Share(name, count, count / answers, *wilson(count / effect, answers / effect), float(p)))
    return found


def against_chance(counts: Sequence[int]) -> tuple[str, float]:
    """Name and p-value of the test that all K cells are equally likely, for independent answers.

    Pearson's chi-square where at least ENOUGH answers are expected in a cell, else the exact multinomial test: the
    probability of all tables that are no likelier than the one at hand.
    """
    from scipy import stats
    counts = np.asarray(counts)
    total, cells = int(counts.sum()), len(counts)
    if total / cells >= ENOUGH:
        return "chi-square", float(stats.chisquare(counts).pvalue)
    law = stats.multinomial(total, np.full(cells, 1 / cells))
    tables = np.array(list(_compositions(total, cells)))
    log_p = law.logpmf(tables)
    return "exact multinomial", float(min(1.0, np.exp(log_p[log_p <= law.logpmf(counts) + 1e-9]).sum()))


def _compositions(total: int, cells: int):
    """All tuples of `cells` counts that add up to `total`."""
    for bars in combinations(range(total + cells - 1), cells - 1):
        edges = (-1, *bars, total + cells - 1)
        yield tuple(b - a - 1 for a, b in zip(edges, edges[1:], strict=False))


def difference_p(votes: np.ndarray, first: int, second: int) -> float:
    """p-value of the difference of two shares, two-sided.

    With one answer per item the exact binomial test of the answers for either model; with several Student's test of
    the items' differences.  1 where no answer is for either.
    """
    from scipy import stats
    ours, theirs = votes[:, first], votes[:, second]
    if not (ours + theirs).any():
        return 1.0
    if votes.sum(1).max() <= 1:
        return float(stats.binomtest(int(ours.sum()), int((ours + theirs).sum())).pvalue)
    gaps = (ours - theirs)[votes.sum(1) > 0]
    if (gaps == gaps[0]).all():
        return float(gaps[0] == 0) if len(gaps) > 1 else 1.0
    return float(stats.ttest_1samp(gaps, 0).pvalue)


def pairs(models: Sequence[str], votes: np.ndarray) -> list[Pair]:
    """Every two models, their p-values corrected together (holm1979simple)."""
    from statsmodels.stats.multitest import multipletests
    which = list(combinations(range(len(models)), 2))
    p = [difference_p(votes, a, b) for a, b in which]
    corrected = multipletests(p, method="holm")[1]
    share = votes.sum(0) / votes.sum()
    return [Pair(models[a], models[b], float(share[a] - share[b]), p[i], float(corrected[i]))
            for i, (a, b) in enumerate(which)]


def fleiss(choices: np.ndarray) -> float | None:
    """Fleiss' kappa (fleiss1971measuring) over the items that all raters answered; None with fewer than two of either.

    1: all raters agree on every item; 0: they agree as often as by chance with the same shares.
    """
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
    common = choices[:, (choices >= 0).all(0)]                                          # (R, N')
    if common.shape[0] < 2 or common.shape[1] < 2:
        return None
    table, categories = aggregate_raters(common.T)
    return 1.0 if len(categories) == 1 else float(fleiss_kappa(table))
