"""Tests of means when something is missing: the rival's deviation, or all but one of its runs."""

import math

from scipy import optimize, stats

from ceae_core.report.intervals import Summary, welch


def against_single(mean: float, sd: float, runs: int, single: float) -> tuple[float, float]:
    """t and two-sided p of one further value against `runs` values with this mean and sample deviation."""
    t = (mean - single) / (sd * math.sqrt(1 + 1 / runs))
    return t, float(2 * stats.t.sf(abs(t), runs - 1))


def largest_rival_sd(first: tuple[float, float], mean: float, runs: int, level: float) -> float | None:
    """The deviation up to which a rival of this mean differs from `first` (mean, sd) by Welch's test at `level`.

    None when it does not differ even without any deviation of its own.
    """
    def excess(sd: float) -> float:
        return welch(Summary(*first, runs), Summary(mean, sd, runs)).p - level
    if excess(0.0) >= 0:
        return None
    return float(optimize.brentq(excess, 0.0, 1e3 * (abs(first[0] - mean) + first[1])))
