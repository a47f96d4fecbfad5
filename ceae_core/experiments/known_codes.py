"""Kinds of codes whose law and entropy are known, each from its most to its least random member.

Draws are from torch's global generator; entropies are in nats.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.models.sphere import VonMisesFisher, log_surface, mean_cosine, sphere_kl

LARGEST_KAPPA = 1e6


def gaussian_entropy(units: int) -> float:
    """The entropy of N(0, I)."""
    return 0.5 * units * math.log(2.0 * math.pi * math.e)


# codes on the unit sphere --------------------------------------------------------------------------------------------

@cache
def kappa_of(units: int, resultant: float) -> float:
    """The concentration at which the mean of a von Mises-Fisher law has this length, by bisection."""
    if not 0.0 < resultant < 1.0:
        raise CeaeError(f"resultant: must lie between 0 and 1, not {resultant}")
    low, high = 1e-9, float(units)
    while mean_cosine(units, high) < resultant:
        high *= 2.0
        if high > LARGEST_KAPPA:
            raise CeaeError(f"resultant: {resultant} in {units} dimensions is too near 1")
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if mean_cosine(units, middle) < resultant else (low, middle)
    return 0.5 * (low + high)


def sphere_codes(resultant: float, count: int, units: int) -> torch.Tensor:
    """Unit vectors (N, P) float64 of a von Mises-Fisher law whose mean has this length; uniform for 0."""
    if resultant == 0.0:
        return F.normalize(_normal(count, units), dim=1)
    direction = torch.zeros(count, units, dtype=torch.float64)
    direction[:, 0] = 1.0
    return VonMisesFisher(direction, kappa_of(units, resultant)).rsample()


def sphere_entropy(resultant: float, units: int) -> float:
    """The entropy of `sphere_codes` with respect to the surface of the unit sphere."""
    return log_surface(units) - (sphere_kl(units, kappa_of(units, resultant)) if resultant else 0.0)


# families ------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Family:
    """Codes of one kind: nine levels from the most to the least random; draw(level, N, P) -> (N, P), float64, and
    entropy(level, P) in nats."""

    levels: tuple[float, ...]
    draw: Callable[[float, int, int], torch.Tensor]
    entropy: Callable[[float, int], float]


def _normal(count: int, units: int) -> torch.Tensor:
    return torch.randn(count, units, dtype=torch.float64)


def _equicorrelated(level: float, count: int, units: int) -> torch.Tensor:
    return math.sqrt(level) * _normal(count, 1) + math.sqrt(1.0 - level) * _normal(count, units)


def _equicorrelated_entropy(level: float, units: int) -> float:
    log_det = (units - 1) * math.log1p(-level) + math.log1p((units - 1) * level)
    return gaussian_entropy(units) + 0.5 * log_det


@cache
def _autoregression(level: float, units: int) -> torch.Tensor:
    """The matrix (P, P) that makes an AR(1) sequence of unit variance of independent normals."""
    steps = torch.arange(units)
    return torch.linalg.cholesky(level ** (steps[:, None] - steps).abs().double())


def _humped(level: float, count: int, units: int) -> torch.Tensor:
    return level * _normal(count, units).sign() + math.sqrt(1.0 - level ** 2) * _normal(count, units)


@cache
def _humped_entropy(level: float) -> float:
    """The entropy of one coordinate, by numerical integration."""
    from scipy import integrate, stats
    spread = math.sqrt(1.0 - level ** 2)

    def integrand(x: float) -> float:
        log_p = np.logaddexp(stats.norm.logpdf(x, level, spread), stats.norm.logpdf(x, -level, spread)) - math.log(2.0)
        return -math.exp(log_p) * log_p
    edges = [max(0.0, level - 10.0 * spread), level, level + 10.0 * spread]
    return 2.0 * sum(integrate.quad(integrand, *edge)[0] for edge in zip(edges, edges[1:], strict=False)
                     if edge[0] < edge[1])


def _heavy(level: float, count: int, units: int) -> torch.Tensor:
    """Multivariate t with 1 / level degrees of freedom, scaled to unit variance."""
    if level == 0.0:
        return _normal(count, units)
    freedom = torch.full((count, 1), 1.0 / level, dtype=torch.float64)
    chi_square = 2.0 * torch.distributions.Gamma(freedom / 2.0, torch.ones_like(freedom)).sample()
    return _normal(count, units) * ((1.0 - 2.0 * level) / level / chi_square).sqrt()


def _heavy_entropy(level: float, units: int) -> float:
    if level == 0.0:
        return gaussian_entropy(units)
    from scipy import stats
    shape = (1.0 - 2.0 * level) * np.eye(units)
    return float(stats.multivariate_t.entropy(None, shape, df=1.0 / level))


# every coordinate has mean 0 and variance 1, as batch norm makes it, except on the sphere, where the norm is sqrt(P)
# instead, and in "scale", which is what batch norm is there to prevent
FAMILIES: Mapping[str, Family] = {
    "equicorrelated": Family((0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 0.8),
                             _equicorrelated, _equicorrelated_entropy),
    "AR(1)": Family((0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95),
                    lambda level, count, units: _normal(count, units) @ _autoregression(level, units).T,
                    lambda level, units: gaussian_entropy(units) + 0.5 * (units - 1) * math.log1p(-level ** 2)),
    "sphere": Family((0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
                     lambda level, count, units: math.sqrt(units) * sphere_codes(level, count, units),
                     lambda level, units: sphere_entropy(level, units) + 0.5 * (units - 1) * math.log(units)),
    "heavy tails": Family((0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3), _heavy, _heavy_entropy),
    "two humps": Family((0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.98), _humped,
                        lambda level, units: units * _humped_entropy(level)),
    "scale": Family((1.0, 0.9, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1),
                    lambda level, count, units: level * _normal(count, units),
                    lambda level, units: gaussian_entropy(units) + units * math.log(level)),
}


def family(name: str) -> Family:
    """Raises CeaeError for an unknown family."""
    if name not in FAMILIES:
        raise CeaeError(f"kind: unknown kind of codes {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]
