"""How many answers a comparison of two shares needs."""

from functools import cache

import numpy as np
from scipy import stats

from ceae_core.audit.maths_shares import share_z
from ceae_core.errors import CeaeError

ALPHA = 0.05
WANTED = 0.8                # power: the chance to find a difference that is there
MOST = 1_000_000            # answers; no search goes further
TAIL = 8.0                  # standard deviations beyond which a binomial count is not summed


@cache
def power(first: float, second: float, answers: int, alpha: float = ALPHA) -> float:
    """Chance that the exact binomial test tells two shares apart, both of one multinomial; shares between 0 and 1.

    Exact: the number m of answers for either model is binomial with p + q, and of those X ~ B(m, p / (p + q)) are for
    the first; the test rejects where X is in the tails of B(m, 1/2).  Raises CeaeError for shares that are none.
    """
    either = first + second
    if min(first, second) < 0 or not 0 < either <= 1:
        raise CeaeError(f"power: {first} and {second} are no two shares of one whole")
    middle, reach = answers * either, TAIL * (answers * either * (1 - either)) ** 0.5 + 1
    m = np.arange(max(1, int(middle - reach)), min(answers, int(middle + reach)) + 1)
    edge = stats.binom.ppf(alpha / 2, m, 0.5)
    edge -= stats.binom.cdf(edge, m, 0.5) > alpha / 2           # the largest X that is rejected; -1: none is
    ratio = first / either
    found = stats.binom.cdf(edge, m, ratio) + stats.binom.sf(m - edge - 1, m, ratio)
    return float(found @ stats.binom.pmf(m, answers, either))


def approximate_power(first: float, second: float, answers: float, alpha: float = ALPHA) -> float:
    """`power` by the normal approximation, with which the papers' shares are tested."""
    z, edge = share_z(100 * first, 100 * second, answers), stats.norm.isf(alpha / 2)
    return float(stats.norm.cdf(z - edge) + stats.norm.cdf(-z - edge))


def answers_needed(first: float, second: float, wanted: float = WANTED, alpha: float = ALPHA) -> int | None:
    """The smallest number of independent answers from which on the power is at least `wanted`; None beyond MOST.

    The power of an exact test is a saw-tooth in n: the search starts at a number that is certainly enough and goes
    down to the last one that is not.
    """
    if first == second:
        return None
    high = 16
    while approximate_power(first, second, high, alpha) < min(1 - 1e-6, (1 + 2 * wanted) / 3):
        high *= 2
        if high > MOST:
            return None
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _from_here(first, second, middle, wanted, alpha) else (middle, high)
    return high


def _from_here(first: float, second: float, answers: int, wanted: float, alpha: float) -> bool:
    """Whether the power is enough at `answers` and over the next tooth of the saw."""
    return all(power(first, second, n, alpha) >= wanted for n in range(answers, answers + 9))


def correlated(answers_per_item: float, icc: float) -> float:
    """Design effect of several answers to one item that agree: 1 + (m - 1) ICC (kish1965survey, sec. 5.4)."""
    return 1 + (answers_per_item - 1) * icc
