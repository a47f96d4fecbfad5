"""A model whose likelihood is known: z ~ N(0, I), y = W z + noise; a "sentence" is one word that stands for its y."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.vocabulary import build
from ceae_core.losses.divergences import gaussian_kl
from ceae_core.models.posteriors import Latent

SENTENCES, LATENT, OBSERVED, NOISE = 40, 2, 4, 0.7


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class LinearGaussian(nn.Module):
    """Has what the measures use of a TextAutoencoder.

    mu is the true posterior mean, turned by `turn` (Z, Z) and shifted; the own posterior, if it has a density, is
    N(mu, stretch^2 times the true variances).  `truth` is the true posterior of a batch.
    """

    def __init__(self, table: torch.Tensor, weight: torch.Tensor, *, stretch: float = 1.0, shift: float = 0.0,
                 density: bool = True, turn: torch.Tensor | None = None) -> None:
        super().__init__()
        self.table, self.weight = table, nn.Parameter(weight, requires_grad=True)
        self.stretch, self.shift, self.turn = stretch, shift, turn
        self.posterior = SimpleNamespace(density=self.density if density else lambda latent: None, prior=self.prior,
                                         bounded=density)
        self.has_density, self.critics = density, None
        precision = torch.eye(LATENT, dtype=torch.float64) + weight.T @ weight / NOISE ** 2
        self.covariance = torch.linalg.inv(precision)

    def observed(self, x: torch.Tensor) -> torch.Tensor:
        return self.table[x[:, 1] - 4]

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """The true posterior mean of each sentence (B, Z)."""
        return self.observed(x) @ self.weight.detach() / NOISE ** 2 @ self.covariance

    def truth(self, x: torch.Tensor) -> MultivariateNormal:
        return MultivariateNormal(self.mean(x), self.covariance)

    def encode(self, x: torch.Tensor) -> Latent:
        mu = self.mean(x) + self.shift
        mu = mu if self.turn is None else mu @ self.turn.T
        if not self.has_density:
            return Latent(self.observed(x), mu, mu)
        logvar = (self.stretch ** 2 * self.covariance.diagonal()).log().expand_as(mu)
        return Latent(self.observed(x), mu, mu + (0.5 * logvar).exp() * torch.randn_like(mu), logvar,
                      gaussian_kl(mu, logvar))

    def density(self, latent: Latent) -> Independent:
        return Independent(Normal(latent.mu, (0.5 * latent.logvar).exp()), 1)

    def prior(self) -> Independent:
        zeros = torch.zeros(LATENT, dtype=torch.float64)
        return Independent(Normal(zeros, torch.ones_like(zeros)), 1)

    def nll(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        residual = (self.observed(x) - z @ self.weight.T) / NOISE
        return 0.5 * (residual ** 2).sum(1) + OBSERVED * (math.log(NOISE) + 0.5 * math.log(2 * math.pi))


def orthogonal() -> torch.Tensor:
    """W (Y, Z) with orthogonal columns: then the true posterior has independent units."""
    return torch.linalg.qr(normal(OBSERVED, LATENT, seed=1))[0] * torch.tensor([1.5, 0.6])


def oblique() -> torch.Tensor:
    """W (Y, Z) whose columns are nearly the same: then the units of the true posterior hang together."""
    first, second = normal(OBSERVED, LATENT, seed=1).T
    return torch.stack([first, first + 0.4 * second], 1)


def case(weight: torch.Tensor, sentences: int = SENTENCES) -> SimpleNamespace:
    """Sentences, their y drawn from the model, and the exact -log p(y), by multivariate normal density."""
    table = normal(sentences, LATENT) @ weight.T + NOISE * normal(sentences, OBSERVED, seed=7)
    words = [(f"w{i:03d}",) for i in range(sentences)]
    density = MultivariateNormal(torch.zeros(OBSERVED, dtype=torch.float64),
                                 weight @ weight.T + NOISE ** 2 * torch.eye(OBSERVED, dtype=torch.float64))
    return SimpleNamespace(data=Encoded(words, build(words, "bn")), table=table, weight=weight,
                           truth=-density.log_prob(table), model=lambda **how: LinearGaussian(table, weight, **how))


@pytest.fixture(scope="session")
def straight() -> SimpleNamespace:
    """The case of independent units."""
    return case(orthogonal())


@pytest.fixture(scope="session")
def slanted() -> SimpleNamespace:
    """The case of units that hang together; 200 sentences, of which the first 32 choose and the others are fitted."""
    return case(oblique(), 200)
