"""What the contrastive denominator becomes with unlimited data at a fixed temperature, and which law makes it least.

Of independent coordinates the denominator is a sum over coordinates of

    J(p) = E_x ln E_y exp(x y / tau),   x, y ~ p,

so one coordinate of mean 0 and variance 1 is all there is to study.  A law is its points (K,) and weights (K,).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import logsumexp

from ceae_core.errors import CeaeError


@dataclass(frozen=True)
class Law:
    """Points (K,) and their probabilities (K,)."""

    points: np.ndarray
    weights: np.ndarray

    def log_mgf(self, at: np.ndarray) -> np.ndarray:
        """ln E exp(t y) for every t of `at` (N,)."""
        return logsumexp(np.multiply.outer(at, self.points), axis=1, b=self.weights)


# laws of mean 0 and variance 1 ---------------------------------------------------------------------------------------

def two_point() -> Law:
    """+1 or -1: a binary code."""
    return Law(np.array([-1.0, 1.0]), np.array([0.5, 0.5]))


def three_point(reach: float) -> Law:
    """0, and +-reach with the probability that gives variance 1.  Raises CeaeError for a reach of 1 or less."""
    if reach <= 1.0:
        raise CeaeError(f"reach: must be above 1, where nothing is left at 0, not {reach}")
    side = 0.5 / reach ** 2
    return Law(np.array([-reach, 0.0, reach]), np.array([side, 1.0 - 2.0 * side, side]))


def uniform(nodes: int = 60) -> Law:
    """The uniform law as a Gauss-Legendre rule."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return Law(math.sqrt(3.0) * points, 0.5 * weights)


def gaussian(nodes: int = 60) -> Law:
    """N(0, 1) as a Gauss-Hermite rule."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return Law(points, weights / weights.sum())


def two_humped(centre: float, nodes: int = 60) -> Law:
    """The even mixture of N(+-centre, 1 - centre^2)."""
    normal, spread = gaussian(nodes), math.sqrt(1.0 - centre ** 2)
    return Law(np.concatenate([spread * normal.points - centre, spread * normal.points + centre]),
               0.5 * np.tile(normal.weights, 2))


# the denominator -----------------------------------------------------------------------------------------------------

def population_denominator(law: Law, temperature: float) -> float:
    """J of a law, nats per dimension.  That of N(0, 1) is 1 / (2 tau^2)."""
    return float(law.weights @ law.log_mgf(law.points / temperature))


def gaussian_denominator(covariance: np.ndarray, temperature: float) -> float:
    """tr(S^2) / (2 tau^2), nats: the denominator of N(0, S), since E exp(<x, y> / tau) = exp(x' S x / (2 tau^2))."""
    return float(np.square(covariance).sum()) / (2.0 * temperature ** 2)


def first_variation(law: Law, temperature: float, at: np.ndarray) -> np.ndarray:
    """phi(x) = ln M(x / tau) + E_y [exp(x y / tau) / M(y / tau)] at x (N,), with M(t) = E_y exp(t y).

    J changes by the integral of phi against any small change of the law.
    """
    tilted = np.multiply.outer(at, law.points) / temperature - law.log_mgf(law.points / temperature)
    return law.log_mgf(at / temperature) + np.exp(tilted) @ law.weights


def stationarity_gap(law: Law, temperature: float, grid: np.ndarray) -> float:
    """The most by which first_variation can still fall among laws on `grid` of mean 0 and variance 1, by linear
    programming.  0: no small change of the law within these constraints lowers J."""
    best = optimize.linprog(first_variation(law, temperature, grid), A_eq=_moments(grid), b_eq=[1.0, 0.0, 1.0])
    return float(law.weights @ first_variation(law, temperature, law.points)) - float(best.fun)


def best_three_point(temperature: float, largest: float = 4.0) -> Law:
    """The law of `three_point` with the least J."""
    found = optimize.minimize_scalar(lambda reach: population_denominator(three_point(reach), temperature),
                                     bounds=(1.0 + 1e-9, largest), method="bounded", options={"xatol": 1e-10})
    return three_point(float(found.x))


def least_on_grid(temperature: float, grid: np.ndarray, start: np.ndarray | None = None) -> Law:
    """A law on `grid` (K,) of mean 0 and variance 1 at which J is least near `start` (K,), by default N(0, 1) there.

    By sequential quadratic programming; J is not convex, so other starts may end elsewhere.
    """
    kernel = np.exp(np.multiply.outer(grid, grid) / temperature)
    moments = _moments(grid)
    start = np.exp(-0.5 * grid ** 2) if start is None else start

    def value(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = kernel @ weights
        return float(weights @ np.log(mixed)), np.log(mixed) + kernel @ (weights / mixed)
    found = optimize.minimize(value, start / start.sum(), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * len(grid),
                              constraints={"type": "eq", "fun": lambda w: moments @ w - [1.0, 0.0, 1.0],
                                           "jac": lambda w: moments}, options={"maxiter": 500, "ftol": 1e-13})
    return Law(grid, np.clip(found.x, 0.0, None))


def _moments(grid: np.ndarray) -> np.ndarray:
    """Rows of total, mean and second moment (3, K)."""
    return np.stack([np.ones_like(grid), grid, grid ** 2])


def kernel_bias(temperature: float) -> float:
    """(ln(1 + tau) + 1 / (1 + tau) - 1) / 2, nats per dimension: by how much -E ln of the density of N(0, I) smoothed
    with a Gaussian kernel of variance tau exceeds the entropy, however many data there are."""
    return 0.5 * (math.log1p(temperature) + 1.0 / (1.0 + temperature) - 1.0)
