"""How far two judges of sentences agree on which pairs are alike (ceae, sec. E): coefficients over all pairs.

Each judge gives a similarity of every two of N sentences.  The N(N-1)/2 pairs share sentences, so they are far from
independent: intervals come from resampled sentences, not from resampled pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.progress import bar
from ceae_core.seeding import derive

COEFFICIENTS = ("pearson", "spearman", "kendall")
SIMILARITIES = ("inner", "cosine")
DRAWS = 200                 # resamples of the sentences behind an interval
LEVEL = 0.90                # of the intervals: from the 5th to the 95th percentile
BINS = 256                  # of the ranks on each side, for the rank coefficients of resamples
FEWEST = 3                  # sentences: two have one pair, over which nothing can correlate


def similarities(vectors: np.ndarray, kind: str = "inner") -> np.ndarray:
    """(N, N) inner products of vectors (N, Z), or their cosines; a zero vector has cosine 0 with all.

    Raises CeaeError for another kind.
    """
    if kind not in SIMILARITIES:
        raise CeaeError(f"similarity: unknown value {kind!r}; choose {' or '.join(SIMILARITIES)}")
    vectors = np.asarray(vectors, float)
    if kind == "cosine":
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return vectors @ vectors.T


def coefficients(first: np.ndarray, second: np.ndarray) -> dict[str, float | None]:
    """Pearson's r, Spearman's rho and Kendall's tau-b of two sides (P,), one number per pair; None if one is constant.
    """
    from scipy import stats
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return dict.fromkeys(COEFFICIENTS)
    found = stats.pearsonr(first, second), stats.spearmanr(first, second), stats.kendalltau(first, second)
    return {name: float(each.statistic) for name, each in zip(COEFFICIENTS, found, strict=True)}


@dataclass(frozen=True)
class Agreement:
    """The coefficients of two judges, and those of resamples of the sentences.

    `draws`: (D,) each, NaN for a resample in which one side is constant; None where that is so in the whole.
    """

    values: Mapping[str, float | None]
    draws: Mapping[str, np.ndarray | None]
    sentences: int

    @property
    def pairs(self) -> int:
        return self.sentences * (self.sentences - 1) // 2

    def interval(self, name: str, level: float = LEVEL) -> tuple[float, float] | None:
        """The percentile interval of a coefficient."""
        return None if self.draws[name] is None else percentiles(self.draws[name], level)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"sentences": self.sentences, "pairs": self.pairs, "level": LEVEL,
                "coefficients": {name: {"value": value, "low": (ends := self.interval(name) or (None, None))[0],
                                        "high": ends[1]} for name, value in self.values.items()},
                "draws": {name: None if found is None else [round(float(value), 5) if np.isfinite(value) else None
                                                            for value in found] for name, found in self.draws.items()}}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Agreement":
        """From what `plain` gave."""
        return cls({name: each["value"] for name, each in content["coefficients"].items()},
                   {name: None if found is None else np.array(found, float)
                    for name, found in content["draws"].items()}, content["sentences"])


def percentiles(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of resampled values, those that are not defined left out (efron1993introduction)."""
    low, high = np.quantile(draws[np.isfinite(draws)], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def agreement(first: np.ndarray, second: np.ndarray, *, draws: int = DRAWS, seed: int = 0, bins: int = BINS,
              ) -> Agreement:
    """Agreement of two similarities (N, N), symmetric; the diagonal does not count.

    The draws depend on the seed and N alone, so those of two agreements on the same sentences can be subtracted.
    Raises CeaeError for matrices that do not fit, fewer than three sentences or no draws.
    """
    n = len(first)
    if first.shape != (n, n) or second.shape != (n, n):
        raise CeaeError(f"agreement: similarities of {first.shape} and {second.shape} do not belong to the same "
                        "sentences; give two square matrices of one size")
    if n < FEWEST or draws < 1:
        raise CeaeError(f"agreement: {n} sentences and {draws} draws are too few; take at least {FEWEST} and 1")
    rows, columns = np.triu_indices(n, 1)
    sides = first[rows, columns], second[rows, columns]
    values = coefficients(*sides)
    if None in values.values():
        return Agreement(values, dict.fromkeys(COEFFICIENTS), n)
    counts = resamples(n, draws, seed)
    ranks = RankTable(*sides, rows, columns, bins)
    whole = ranks.coefficients(np.ones(n))
    drawn = []
    with bar(draws, "resample sentences") as shown:
        for each in counts:
            drawn.append(ranks.coefficients(each))
            shown.update()
    found = {"pearson": pearson_draws(first, second, counts)}
    for name, of_bins, of_draws in zip(COEFFICIENTS[1:], whole, np.array(drawn).T, strict=True):
        found[name] = of_draws + (values[name] - of_bins)           # what binning changes, it changes in every draw
    return Agreement(values, found, n)


def resamples(n: int, draws: int, seed: int) -> np.ndarray:
    """(draws, n) how often each sentence is in each resample of n, drawn with replacement."""
    rng = np.random.default_rng(derive(seed, "resampled sentences"))
    return rng.multinomial(n, np.full(n, 1 / n), draws).astype(float)


def pearson_draws(first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(D,) Pearson's r of every resample: a pair of sentences i < j counts w_i w_j times, one of i with itself not.

    first, second (N, N); counts (D, N).  All sums over pairs are quadratic forms w' A w with a zero diagonal.
    """
    ones = np.ones_like(first)
    x, y = first - first.mean(), second - second.mean()                     # centred: the sums lose no digits
    sums = []
    for matrix in (ones, x, y, x * x, y * y, x * y):
        matrix = matrix - np.diag(np.diag(matrix))
        sums.append(np.einsum("di,di->d", counts @ matrix, counts))
    total, x, y, xx, yy, xy = sums
    with np.errstate(invalid="ignore", divide="ignore"):                    # a side that is constant in a resample
        return (total * xy - x * y) / np.sqrt((total * xx - x * x) * (total * yy - y * y))


class RankTable:
    """Spearman's rho and Kendall's tau-b of resamples, from the counts of pairs by the ranks of both sides.

    Exact where a side has at most `bins` different values; else its ranks fall into that many bins of equal size, and
    pairs in one bin count as tied.  One resample takes O(P + bins^2) instead of the O(P log P) of a sort.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, rows: np.ndarray, columns: np.ndarray, bins: int = BINS,
                 ) -> None:
        self.rows, self.columns, self.bins = rows, columns, bins
        self.cell = _bins(first, bins) * bins + _bins(second, bins)                                     # (P,)

    def coefficients(self, counts: np.ndarray) -> tuple[float, float]:
        """(rho, tau-b) when sentence i is there counts[i] times, counts (N,): a pair i < j counts w_i w_j times."""
        weights = counts[self.rows] * counts[self.columns]
        table = np.bincount(self.cell, weights, self.bins ** 2).reshape(self.bins, self.bins)
        sides = table.sum(1), table.sum(0)
        total = table.sum()
        first, second = (np.cumsum(side) - side / 2 - total / 2 for side in sides)                      # mid-ranks
        spread = (sides[0] @ first ** 2) * (sides[1] @ second ** 2)
        below = np.zeros((self.bins + 1, self.bins + 1))
        below[1:, 1:] = table.cumsum(0).cumsum(1)        # [i, j]: pairs below bin i and below bin j
        concordant = (table * below[:-1, :-1]).sum()
        discordant = (table * (below[:-1, -1:] - below[:-1, 1:])).sum()
        apart = [(total ** 2 - side @ side) / 2 for side in sides]                                      # not tied
        if not spread:
            return float("nan"), float("nan")
        return (float(first @ table @ second / np.sqrt(spread)),
                float((concordant - discordant) / np.sqrt(apart[0] * apart[1])))


def _bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(P,) the bin of each value by its rank; equal values share one."""
    from scipy import stats
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) <= bins:
        return place
    return np.minimum(((stats.rankdata(values) - 0.5) / len(values) * bins).astype(int), bins - 1)


def difference(first: Agreement, second: Agreement, name: str, level: float = LEVEL,
               ) -> tuple[float, tuple[float, float]] | None:
    """first - second of a coefficient, and its interval from the same resamples of the same sentences.

    None where one has no such value.  Raises CeaeError when the two do not have the same number of draws.
    """
    if None in (first.values[name], second.values[name]):
        return None
    one, other = (np.asarray(each.draws[name]) for each in (first, second))
    if len(one) != len(other) or first.sentences != second.sentences:
        raise CeaeError("agreement: the two rest on other sentences or resamples; compute both with one setting")
    return first.values[name] - second.values[name], percentiles(one - other, level)
