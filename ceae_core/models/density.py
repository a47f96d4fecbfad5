"""A prior that is fitted to the codes when training is over: a mixture of Gaussians, by expectation maximisation."""

import math

import torch
from torch import nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, MultivariateNormal

from ceae_core.models.posteriors import Latent
from ceae_core.schedules import Clock

ITERATIONS = 100        # of expectation maximisation, unless a round gains less than TOLERANCE
TOLERANCE = 1e-3        # nats per code
RIDGE = 1e-6            # added to every covariance, times the mean variance of the codes: a component never gets flat
SMALLEST = 1e-20        # added as well, for codes that are all the same


class FittedPrior(nn.Module):
    """z = mu without noise, and a prior of `components` Gaussians with full covariances (ghosh2020variational, sec. 5).

    The prior is N(0, I) until `fit`; it is kept in buffers, so it is saved with the weights.  `components=1` is a
    Gaussian.
    """

    smallest_batch = 1
    bounded = False

    def __init__(self, hidden: int, latent: int, bias: bool, *, components: int = 10) -> None:
        super().__init__()
        self.head = nn.Linear(hidden, latent, bias=bias)
        count = int(components)
        self.register_buffer("log_weights", torch.full((count,), -math.log(count)))
        self.register_buffer("means", torch.zeros(count, latent))
        self.register_buffer("factors", torch.eye(latent).repeat(count, 1, 1))

    def forward(self, h: torch.Tensor, clock: Clock | None = None) -> Latent:
        """h (B, H) -> Latent."""
        mu = self.head(h)
        return Latent(h, mu, mu)

    def fit(self, codes: torch.Tensor) -> None:
        """Make the prior the mixture that fits codes (N, Z) best; draws its start from torch's random state."""
        fitted = fit_mixture(codes.detach().double(), len(self.log_weights))
        for buffer, value in zip((self.log_weights, self.means, self.factors), fitted, strict=True):
            buffer.copy_(value)

    def density(self, latent: Latent) -> None:
        return None

    def prior(self) -> Distribution:
        return MixtureSameFamily(Categorical(logits=self.log_weights, validate_args=False),
                                 MultivariateNormal(self.means, scale_tril=self.factors, validate_args=False),
                                 validate_args=False)


def fit_mixture(codes: torch.Tensor, components: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ln weights (K,), means (K, Z) and lower triangular factors (K, Z, Z) of the covariances, by maximum likelihood.

    codes (N, Z).  Expectation maximisation (dempster1977maximum), started from means that are drawn far from each other
    and the covariance of all codes.
    """
    rounding = torch.finfo(codes.dtype).eps * float(codes.square().mean())
    ridge = RIDGE * float(codes.var(0, correction=0).mean()) + rounding + SMALLEST
    log_weights = codes.new_full((components,), -math.log(components))
    means = _far_apart(codes, components)
    everyone = codes.new_full((len(codes),), 1.0 / len(codes))
    factors = _factor(codes, everyone, codes.mean(0), ridge).repeat(components, 1, 1)
    before = -math.inf
    for _ in range(ITERATIONS):
        joint = log_weights + _log_densities(codes, means, factors)                     # (N, K)
        evidence = joint.logsumexp(1)
        now = float(evidence.mean())
        if now - before < TOLERANCE:
            break
        before = now
        shares = (joint - evidence.unsqueeze(1)).exp()                                  # (N, K)
        sizes = shares.sum(0).clamp(min=torch.finfo(codes.dtype).tiny)
        log_weights, shares = (sizes / len(codes)).log(), shares / sizes
        means = shares.T @ codes
        factors = torch.stack([_factor(codes, share, mean, ridge) for share, mean in zip(shares.T, means, strict=True)])
    return log_weights, means, factors


def _far_apart(codes: torch.Tensor, count: int) -> torch.Tensor:
    """`count` of the codes, each drawn with probability proportional to its squared distance from the nearest before
    it (arthur2007kmeans)."""
    chosen = [codes[torch.randint(len(codes), (), device=codes.device)]]
    nearest = codes.new_full((len(codes),), math.inf)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (codes - chosen[-1]).square().sum(1))
        cumulative = nearest.cumsum(0)
        share = torch.rand((), dtype=codes.dtype, device=codes.device)
        chosen.append(codes[torch.searchsorted(cumulative, share * cumulative[-1])])
    return torch.stack(chosen)


def _factor(codes: torch.Tensor, share: torch.Tensor, mean: torch.Tensor, ridge: float) -> torch.Tensor:
    """The Cholesky factor (Z, Z) of the covariance of codes (N, Z) with weights `share` (N,) that sum to 1."""
    centred = codes - mean
    covariance = (share.unsqueeze(1) * centred).T @ centred
    covariance.diagonal().add_(ridge)
    return torch.linalg.cholesky(covariance)


def _log_densities(codes: torch.Tensor, means: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """ln N(code; mean, L L^T) of codes (N, Z) under each component, nats (N, K)."""
    columns = []
    for mean, factor in zip(means, factors, strict=True):
        white = torch.linalg.solve_triangular(factor, (codes - mean).T, upper=False)    # (Z, N)
        columns.append(-0.5 * white.square().sum(0) - factor.diagonal().log().sum())
    return torch.stack(columns, 1) - 0.5 * codes.size(1) * math.log(2.0 * math.pi)
