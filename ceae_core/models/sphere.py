"""Codes on the unit sphere: the von Mises-Fisher posterior and the uniform prior.

Densities are taken with respect to the surface measure of the sphere, so their ratios are importance weights.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn
from torch.distributions import Distribution, constraints
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.models.posteriors import Latent
from ceae_core.schedules import Clock

KNOTS = 2 ** 16 + 1         # of the table of angles: its distribution is off by less than 1e-9 (Z + kappa)
LARGEST_KAPPA = 1e5         # beyond it a draw is narrower than the table resolves


def log_bessel(order: float, x: float) -> float:
    """ln I_order(x), the modified Bessel function of the first kind, by its power series, whose terms are positive."""
    k = torch.arange(int(x) + 100, dtype=torch.float64)         # beyond k = x each term is below a quarter of the last
    terms = (2.0 * k + order) * math.log(x / 2.0) - torch.lgamma(k + 1.0) - torch.lgamma(k + order + 1.0)
    return float(terms.logsumexp(0))


def log_surface(latent: int) -> float:
    """ln of the surface 2 pi^(Z/2) / Gamma(Z/2) of the unit sphere in R^Z."""
    return math.log(2.0) + 0.5 * latent * math.log(math.pi) - math.lgamma(0.5 * latent)


def log_normaliser(latent: int, kappa: float) -> float:
    """ln C_Z(kappa) of the density C exp(kappa <mu, z>) (davidson2018hyperspherical, sec. 3.1)."""
    order = 0.5 * latent - 1.0
    return order * math.log(kappa) - 0.5 * latent * math.log(2.0 * math.pi) - log_bessel(order, kappa)


def mean_cosine(latent: int, kappa: float) -> float:
    """E <mu, z> = I_{Z/2}(kappa) / I_{Z/2-1}(kappa), the length of the mean of z."""
    return math.exp(log_bessel(0.5 * latent, kappa) - log_bessel(0.5 * latent - 1.0, kappa))


def sphere_kl(latent: int, kappa: float) -> float:
    """KL(vMF(mu, kappa) || uniform) in nats, the same for every mu (davidson2018hyperspherical, sec. 3.2).

    The formula of xu2018spherical, which bn-vae has too, is smaller: 2.084 instead of 2.173 for Z = 32, kappa = 13.
    """
    return kappa * mean_cosine(latent, kappa) + log_normaliser(latent, kappa) + log_surface(latent)


@lru_cache(maxsize=8)
def _angles(latent: int, kappa: float, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Angles t between 0 and pi, and the probability that <mu, z> >= cos t; both (KNOTS,) float64.

    The angle has the density exp(kappa cos t) sin(t)^(Z-2), which has no poles, as that of the cosine has for Z = 2.
    """
    angles = torch.linspace(0.0, math.pi, KNOTS, dtype=torch.float64)
    log_density = kappa * angles.cos() + torch.special.xlogy(latent - 2.0, angles.sin())
    density = (log_density - log_density.max()).exp()
    cumulative = torch.cat([density.new_zeros(1), ((density[1:] + density[:-1]) / 2.0).cumsum(0)])
    return angles.to(device), (cumulative / cumulative[-1]).to(device)


class _UnitLength(constraints.Constraint):
    event_dim = 1

    def check(self, value: torch.Tensor) -> torch.Tensor:
        return (value.norm(dim=-1) - 1.0).abs() < 1e-4


class VonMisesFisher(Distribution):
    """Density C exp(kappa <mu, z>) on the unit sphere around each row of mu (B, Z)."""

    arg_constraints: dict = {}
    support = _UnitLength()
    has_rsample = True

    def __init__(self, mu: torch.Tensor, kappa: float) -> None:
        super().__init__(mu.shape[:-1], mu.shape[-1:], validate_args=False)
        self.mu, self.kappa = mu, kappa

    def rsample(self, sample_shape: Sequence[int] = ()) -> torch.Tensor:
        """z = cos(t) mu + sin(t) v: the angle t from the table of its distribution, v uniform among the directions
        orthogonal to mu.  Differentiable in mu."""
        shape = self._extended_shape(sample_shape)
        angles, cumulative = _angles(shape[-1], self.kappa, self.mu.device)
        u = torch.rand(shape[:-1], dtype=torch.float64, device=self.mu.device)
        right = torch.searchsorted(cumulative, u, right=True)       # cumulative[right - 1] <= u < cumulative[right]
        share = (u - cumulative[right - 1]) / (cumulative[right] - cumulative[right - 1])
        t = (angles[right - 1] + share * (math.pi / (KNOTS - 1))).to(self.mu.dtype).unsqueeze(-1)
        v = torch.randn(shape, dtype=self.mu.dtype, device=self.mu.device)
        v = F.normalize(v - (v * self.mu).sum(-1, keepdim=True) * self.mu, dim=-1)
        return t.cos() * self.mu + t.sin() * v

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """z (..., B, Z) on the sphere -> nats (..., B)."""
        return self.kappa * (z * self.mu).sum(-1) + log_normaliser(z.size(-1), self.kappa)


class SphereUniform(Distribution):
    """The uniform distribution on the unit sphere of R^Z."""

    arg_constraints: dict = {}
    support = _UnitLength()

    def __init__(self, latent: int, like: torch.Tensor) -> None:
        super().__init__(torch.Size(), torch.Size([latent]), validate_args=False)
        self.like = like

    def sample(self, sample_shape: Sequence[int] = ()) -> torch.Tensor:
        """Unit vectors (*sample_shape, Z), on the device of `like`."""
        return F.normalize(torch.randn(self._extended_shape(sample_shape), device=self.like.device), dim=-1)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """The same for every z (..., Z) on the sphere: nats (...)."""
        return z.new_full(z.shape[:-1], -log_surface(z.size(-1)))


class Spherical(nn.Module):
    """q(z|x) = vMF(mu / |mu|, kappa), kappa fixed, so that the KL is a constant (xu2018spherical, sec. 3)."""

    smallest_batch = 1
    bounded = True

    def __init__(self, hidden: int, latent: int, bias: bool, *, kappa: float = 13.0) -> None:
        super().__init__()
        if latent < 2:
            raise CeaeError("latent: codes on a sphere need at least 2 dimensions")
        if not 0.0 < kappa <= LARGEST_KAPPA:
            raise CeaeError(f"kappa: must be positive and at most {LARGEST_KAPPA:g}, not {kappa:g}")
        self.head = nn.Linear(hidden, latent, bias=bias)
        self.kappa, self.kl = kappa, sphere_kl(latent, kappa)

    def forward(self, h: torch.Tensor, clock: Clock | None = None) -> Latent:
        """h (B, H) -> Latent with a reparametrised sample; mu and z have length 1, kl (B, 1) is the constant."""
        mu = F.normalize(self.head(h), dim=-1)
        return Latent(h, mu, VonMisesFisher(mu, self.kappa).rsample(), kl=mu.new_full((len(mu), 1), self.kl))

    def density(self, latent: Latent) -> Distribution:
        return VonMisesFisher(latent.mu, self.kappa)

    def prior(self) -> Distribution:
        return SphereUniform(self.head.out_features, self.head.weight)
