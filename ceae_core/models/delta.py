"""delta-VAE: a Gaussian posterior whose parameters cannot describe the prior."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.distributions import Distribution

from ceae_core.errors import CeaeError
from ceae_core.models.posteriors import Latent, diagonal_gaussian, standard_normal
from ceae_core.schedules import Clock

MARGIN = 1e-6           # by which the committed rate exceeds delta, so that no rounding in float32 takes it below
LARGEST_DELTA = 50.0    # beyond it the smaller deviation nears the smallest float32


def committed_variances(delta: float) -> tuple[float, float]:
    """The roots v_l < 1 < v_u of ln v - v + 2 delta + 1 = 0 (razavi2019preventing, sec. 2).

    They are the variances at which N(0, v) is `delta` nats away from N(0, 1); between them it is nearer.
    """
    def excess(u: float) -> float:
        """Of u = ln v: positive between the roots, 2 delta at the prior's variance."""
        return u - math.expm1(u) + 2.0 * delta

    return math.exp(_root(excess, 0.0, -2.0 * delta - 1.0)), math.exp(_root(excess, 0.0, 2.0 * math.sqrt(delta)))


def _root(function: Callable[[float], float], inside: float, outside: float) -> float:
    """Where `function` falls to 0 between `inside`, where it is positive, and `outside`, by bisection."""
    for _ in range(100):
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if function(middle) > 0 else (inside, middle)
    return inside


class CommittedGaussian(nn.Module):
    """q(z|x) = N(mu, diag sigma^2) with KL_j >= delta nats in every unit, whatever the weights (razavi2019preventing).

    sigma lies between the two committed deviations, and mu^2 = 2 delta + 1 + ln sigma^2 - sigma^2 + relu(a) makes up
    for what sigma leaves: KL_j = delta + relu(a) / 2.  As in bn-vae, which also keeps the sigmoid above 1/50, there is
    no autoregressive prior.  Every mu_j is positive, and where a <= 0 the encoder is heard through sigma only.
    """

    smallest_batch = 1
    bounded = True

    def __init__(self, hidden: int, latent: int, bias: bool, *, delta: float = 0.1) -> None:
        super().__init__()
        if not 0.0 < delta <= LARGEST_DELTA:
            raise CeaeError(f"delta: must be positive and at most {LARGEST_DELTA:g} nats per unit, not {delta:g}")
        self.head = nn.Linear(hidden, 2 * latent, bias=bias)
        self.rate = delta * (1.0 + MARGIN) + MARGIN
        self.narrowest, self.widest = (math.sqrt(v) for v in committed_variances(delta))

    def forward(self, h: torch.Tensor, clock: Clock | None = None) -> Latent:
        """h (B, H) -> Latent with a reparametrised sample."""
        a, b = self.head(h).chunk(2, -1)
        logvar = 2.0 * (self.narrowest + (self.widest - self.narrowest) * torch.sigmoid(b)).log()
        mu = (2.0 * self.rate + logvar - torch.expm1(logvar) + torch.relu(a)).sqrt()
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return Latent(h, mu, z, logvar, self.rate + 0.5 * torch.relu(a))

    def density(self, latent: Latent) -> Distribution:
        return diagonal_gaussian(latent)

    def prior(self) -> Distribution:
        return standard_normal(self.head.weight, self.head.out_features // 2)
