"""From the sentence vector h to the code z: the posterior is the first axis on which families differ.

A posterior is a module `(h, clock) -> Latent` with two methods: `density(latent)` is q(z|x), None where it has no
density, and `prior()` is p(z).  `bounded` says whether Rec + KL, as it is trained, bounds -log p(x).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.losses.divergences import gaussian_kl
from ceae_core.schedules import Clock


@dataclass
class Latent:
    """What an encoder says about a batch of sentences."""

    h: torch.Tensor                         # (B, H) sentence vector
    mu: torch.Tensor                        # (B, Z) code without noise
    z: torch.Tensor                         # (B, Z) code that the decoder gets
    logvar: torch.Tensor | None = None      # (B, Z) of a Gaussian with independent units
    kl: torch.Tensor | None = None          # (B, Z) closed-form KL(q || p) of each unit, nats; (B, 1) in total


def standard_normal(like: torch.Tensor, latent: int) -> Distribution:
    """The prior N(0, I) over codes of size Z, on the device of `like`."""
    zeros = torch.zeros(latent, device=like.device)
    return Independent(Normal(zeros, torch.ones_like(zeros), validate_args=False), 1)


def diagonal_gaussian(latent: Latent) -> Distribution:
    """N(mu, diag e^logvar) of each sentence of a batch."""
    return Independent(Normal(latent.mu, (0.5 * latent.logvar).exp(), validate_args=False), 1)


class CodeNorm(nn.Module):
    """What is done to mu: nothing, batch norm (bn-vae; ceae, eq. 9) or layer norm (ceae, sec. F).

    Batch norm with `gamma` set has that frozen scale and, with `learn_shift`, a trained shift (zhu2020batch, sec. 4).
    Without `gamma` it has no affine part: mean 0, variance 1 (ceae, sec. 3.1).  Layer norm gives each mu norm sqrt(Z).
    Batch norm divides by sqrt(variance + eps), so a variance near `eps` undoes what it promises.
    """

    def __init__(self, latent: int, norm: str, gamma: float | None = None, learn_shift: bool = True,
                 eps: float = 1e-5) -> None:
        super().__init__()
        if norm not in ("none", "batch", "layer"):
            raise CeaeError(f"norm: unknown value {norm!r}; choose none, batch or layer")
        self.norm = norm
        if norm == "batch":
            self.batch = nn.BatchNorm1d(latent, eps, affine=gamma is not None)
            if gamma is not None:
                nn.init.constant_(self.batch.weight, gamma)
                self.batch.weight.requires_grad_(False)
                self.batch.bias.requires_grad_(learn_shift)

    def forward(self, mu: torch.Tensor, running: bool = False) -> torch.Tensor:
        """mu (B, Z) -> (B, Z); `running` normalises by the running statistics and leaves them as they are."""
        if self.norm == "layer":
            return F.layer_norm(mu, mu.shape[-1:])
        if self.norm == "none":
            return mu
        if running:
            bn = self.batch
            return F.batch_norm(mu, bn.running_mean, bn.running_var, bn.weight, bn.bias, False, 0.0, bn.eps)
        return self.batch(mu)

    @property
    def raw_variance(self) -> torch.Tensor | None:
        """(Z,) running variance of mu before batch norm, without what is left of its starting value 1; None before the
        first batch.  Near batch norm's epsilon its promises are void."""
        if self.norm != "batch" or not self.batch.num_batches_tracked:
            return None
        left = (1.0 - self.batch.momentum) ** int(self.batch.num_batches_tracked)
        return ((self.batch.running_var - left) / (1.0 - left)).clamp(min=0.0)


class Gaussian(nn.Module):
    """q(z|x) = N(mu, diag sigma^2), mu optionally normalised (kingma2014auto; zhu2020batch)."""

    smallest_batch = 1
    bounded = True

    def __init__(self, hidden: int, latent: int, bias: bool, *, norm: str = "none", gamma: float | None = None,
                 learn_shift: bool = True, norm_eps: float = 1e-5) -> None:
        super().__init__()
        self.head = nn.Linear(hidden, 2 * latent, bias=bias)
        self.norm = CodeNorm(latent, norm, gamma, learn_shift, norm_eps)
        self.smallest_batch = 2 if norm == "batch" else 1

    def forward(self, h: torch.Tensor, clock: Clock | None = None) -> Latent:
        """h (B, H) -> Latent with a reparametrised sample."""
        mu, logvar = self.head(h).chunk(2, -1)
        mu = self.norm(mu)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return Latent(h, mu, z, logvar, gaussian_kl(mu, logvar))

    def density(self, latent: Latent) -> Distribution:
        return diagonal_gaussian(latent)

    def prior(self) -> Distribution:
        return standard_normal(self.head.weight, self.head.out_features // 2)


class Deterministic(nn.Module):
    """z = mu, plus in training a noise c_t that is the same in every direction (ceae, sec. 3.1: z = mu + c_t eps).

    Every `global_every`-th step normalises by the running statistics (ceae, sec. A.4); 0 switches that off.
    """

    bounded = False

    def __init__(self, hidden: int, latent: int, bias: bool, noise: Callable[[Clock], float] | None = None, *,
                 norm: str = "none", norm_eps: float = 1e-5, global_every: int = 5) -> None:
        super().__init__()
        self.head = nn.Linear(hidden, latent, bias=bias)
        self.norm, self.noise, self.global_every = CodeNorm(latent, norm, eps=norm_eps), noise, global_every
        self.smallest_batch = 2 if norm == "batch" else 1

    def forward(self, h: torch.Tensor, clock: Clock | None = None) -> Latent:
        """h (B, H) -> Latent.  Without a clock (evaluation) there is no noise."""
        # DEVIATION(ceae:A.4): "global statistics every K = 5 minibatches" is not explained; we read it as: on every
        # K-th step batch norm normalises by its running statistics, gradients still flowing through mu.
        running = clock is not None and self.global_every > 0 and (clock.step + 1) % self.global_every == 0
        mu = self.norm(self.head(h), running=running and clock.step >= self.global_every)
        # DEVIATION(ceae:3.1): z_ij = mu_ij + c is printed; the noise needs its factor eps_ij, as in the vector form
        # beside it.
        c = self.noise(clock) if self.noise and clock else 0.0
        return Latent(h, mu, mu + c * torch.randn_like(mu) if c else mu)

    def density(self, latent: Latent) -> None:
        return None

    def prior(self) -> Distribution:
        return standard_normal(self.head.weight, self.head.out_features)
