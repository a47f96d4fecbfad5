"""Shares of choices and rank correlations: which numbers of answers fit them, and what they imply."""

import math
from collections.abc import Sequence
from itertools import product

from scipy import stats


def counts(shares: Sequence[float], answers: int, places: int = 1) -> list[tuple[int, ...]]:
    """All ways to divide `answers` so that the percentages round to `shares`.

    Any shares with `places` decimals that sum to 100 fit 100 * 10**places answers and its multiples, so that a fit
    there says nothing.
    """
    half = 0.5 * 10.0 ** -places + 1e-9
    spans = [range(max(0, math.ceil((s - half) * answers / 100 - 1e-9)), math.floor((s + half) * answers / 100 + 1e-9)
                   + 1) for s in shares]
    return [found for found in product(*spans) if sum(found) == answers]


def fits(shares: Sequence[float], answers: int, places: int = 1) -> bool:
    """Whether there is a way to divide `answers` so that the percentages round to `shares`, all of them at once."""
    return bool(counts(shares, answers, places))


def share_z(first: float, second: float, answers: float) -> float:
    """How many standard errors two shares (in percent) of the same `answers` are apart; the answers independent.

    Var(p1 - p2) = (p1 + p2 - (p1 - p2)^2) / n for two counts of one multinomial.
    """
    p, q = first / 100, second / 100
    return (p - q) / math.sqrt((p + q - (p - q) ** 2) / answers)


def answers_needed(first: float, second: float, level: float = 0.05) -> int:
    """Independent answers from which on two shares (in percent) differ at `level`, two-sided."""
    return math.ceil((stats.norm.isf(level / 2) / share_z(first, second, 1)) ** 2)


def spearman_of(kendall: float) -> float:
    """Spearman's coefficient of a Gaussian copula with this Kendall's tau: (6 / pi) asin(sin(pi tau / 2) / 2)."""
    return 6 / math.pi * math.asin(math.sin(math.pi * kendall / 2) / 2)


def kendall_of(spearman: float) -> float:
    """Kendall's tau of a Gaussian copula with this Spearman's coefficient: (2 / pi) asin(2 sin(pi rho / 6))."""
    return 2 / math.pi * math.asin(2 * math.sin(math.pi * spearman / 6))


def least_spearman(kendall: float) -> float:
    """The smallest Spearman's coefficient that goes with a Kendall's tau >= 0, whatever the copula: (3 tau - 1) / 2."""
    return (3 * kendall - 1) / 2
