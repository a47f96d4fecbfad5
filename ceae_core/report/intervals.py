"""What few runs can say: intervals, tests and power.  Every function takes plain numbers; nothing here knows a model.

Values are an array (n,), one number per run.  Levels and shares are between 0 and 1.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.90                # of every interval: from the 5th to the 95th percentile, as the first paper's
POWER = 0.90                # wanted of a test: the chance to find a difference that is there
RESAMPLES = 2000            # of a bootstrap
MOST_SEEDS = 1000           # no search for a number of seeds goes further
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


class Interval(NamedTuple):
    """Two ends."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def __contains__(self, value: object) -> bool:
        return self.low <= value <= self.high

    def meets(self, other: "Interval") -> bool:
        return self.low <= other.high and other.low <= self.high


def percentile_range(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Where the middle `level` of the runs lies: says how much one run varies, and does not shrink with n."""
    return Interval(*map(float, np.quantile(values, [(1 - level) / 2, (1 + level) / 2])))


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Confidence interval of the mean for normal values: mean ± t · sd / √n (student1908probable)."""
    n, reach = len(values), stats.t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1)
    return Interval(float(np.mean(values) - reach / n ** 0.5), float(np.mean(values) + reach / n ** 0.5))


def bootstrap_interval(values: Sequence[float], level: float = LEVEL, method: str = "percentile",
                       seed: int = 0) -> Interval:
    """Confidence interval of the mean from resampled runs (efron1993introduction); `method` is scipy's."""
    found = stats.bootstrap((np.asarray(values),), np.mean, confidence_level=level, method=method,
                            n_resamples=RESAMPLES, rng=np.random.default_rng(seed)).confidence_interval
    return Interval(float(found.low), float(found.high))


def widths(n: int, level: float = LEVEL) -> dict[str, float]:
    """Kind of an interval -> its width in units of the sd of n normal runs, where that is one number."""
    z, t = stats.norm.ppf((1 + level) / 2), stats.t.ppf((1 + level) / 2, n - 1)
    return {"all of a fitted normal": 2 * z, "mean, t": 2 * t / n ** 0.5, "mean, normal": 2 * z / n ** 0.5,
            "largest range possible": largest_range(n)}


def largest_range(n: int) -> float:
    """How far apart the largest and the smallest of n values can be, in units of their sd: √(2(n − 1)).

    It is reached by one value at each end and the others in the middle (thomson1955bounds).
    """
    return (2 * (n - 1)) ** 0.5


@cache
def range_widths(n: int, draws: int = 20_000, level: float = LEVEL, seed: int = 0) -> np.ndarray:
    """Widths of the percentile range of n normal runs in units of their own sd, simulated (draws,)."""
    values = np.random.default_rng(seed).standard_normal((draws, n))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=1)
    found = (high - low) / values.std(axis=1, ddof=1)
    found.flags.writeable = False               # all callers share it
    return found


def width_share(ratio: Interval, simulated: np.ndarray) -> float:
    """How often normal runs give a width at least as unusual, on its side, as the nearest that rounding allows."""
    return float(min((simulated >= ratio.low).mean(), (simulated <= ratio.high).mean()))


# tests from means and standard deviations ----------------------------------------------------------------------------

class Summary(NamedTuple):
    """Mean, standard deviation and number of runs, as papers print them."""

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)), len(values))


class Test(NamedTuple):
    """A two-sided test of a difference of two means."""

    difference: float           # first minus second
    statistic: float
    p: float


def welch(first: Summary, second: Summary) -> Test:
    """Welch's t-test, which lets the two spreads differ (welch1947generalization)."""
    found = stats.ttest_ind_from_stats(*first, *second, equal_var=False)
    return Test(first.mean - second.mean, float(found.statistic), float(found.pvalue))


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected so that the chance of any false rejection stays below the level (holm1979simple)."""
    from statsmodels.stats.multitest import multipletests
    return [float(value) for value in multipletests(p, method="holm")[1]]


def power(difference: float, sds: tuple[float, float], n: int, alpha: float) -> float:
    """Chance that Welch's test with n runs of each model finds a true `difference` between normal means, two-sided.

    The tails of the noncentral t, as the mean of normal tails over the estimated spread: unlike library functions of
    that law this holds for any size of effect.  Exact for equal spreads; else with the degrees of freedom of Welch and
    Satterthwaite at the true spreads.
    """
    a, b = (sd ** 2 / n for sd in sds)
    freedom = (a + b) ** 2 / ((a ** 2 + b ** 2) / (n - 1))
    shift, edge = abs(difference) / (a + b) ** 0.5, stats.t.ppf(1 - alpha / 2, freedom)
    spread = np.sqrt(stats.chi2.ppf((_NODES + 1) / 2, freedom) / freedom)          # estimated over true
    return float((stats.norm.cdf(shift - edge * spread) + stats.norm.cdf(-shift - edge * spread)) @ _WEIGHTS / 2)


def seeds_needed(difference: float, sds: tuple[float, float], alpha: float, wanted: float = POWER) -> int | None:
    """The smallest number of runs of each model with that power; None when MOST_SEEDS do not suffice."""
    low, high = 1, MOST_SEEDS
    if power(difference, sds, high, alpha) < wanted:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, sds, middle, alpha) >= wanted else (middle, high)
    return high


def detectable(sds: tuple[float, float], n: int, alpha: float, wanted: float = POWER) -> float:
    """The smallest true difference that n runs of each model find with that power."""
    from scipy.optimize import brentq
    return float(brentq(lambda difference: power(difference, sds, n, alpha) - wanted, 0.0, 1e4 * max(sds)))


# coverage ------------------------------------------------------------------------------------------------------------

def _t(values: np.ndarray, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n = values.shape[1]
    middle, error = values.mean(1), values.std(1, ddof=1) / n ** 0.5
    reach = stats.t.ppf((1 + level) / 2, n - 1) * error
    return middle - reach, middle + reach


def _bootstrap(values: np.ndarray, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    found = stats.bootstrap((values,), np.mean, axis=1, vectorized=True, confidence_level=level, rng=rng,
                            method="percentile", n_resamples=499, batch=50).confidence_interval
    return found.low, found.high


def _runs(values: np.ndarray, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return low, high


METHODS: Mapping[str, Callable] = {"t interval": _t, "bootstrap, percentile": _bootstrap, "percentiles of runs": _runs}


def coverage(n: int, method: str, *, draws: int = 4000, level: float = LEVEL, seed: int = 0) -> dict[str, float]:
    """How often an interval made from n normal runs holds the true mean (`mean`) and the next run (`run`)."""
    rng = np.random.default_rng([seed, n])
    values, following = rng.standard_normal((draws, n)), rng.standard_normal(draws)
    low, high = METHODS[method](values, level, rng)
    return {"mean": float(((low <= 0) & (high >= 0)).mean()),
            "run": float(((low <= following) & (following <= high)).mean())}
