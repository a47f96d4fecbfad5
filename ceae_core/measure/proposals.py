"""Where the codes of the importance-weighted bound come from: any distribution that is known for every sentence.

A proposal's `at(model, x, latent)` is its distribution for a batch; of that, `draw(S)` gives codes z (S, B, Z) and
their log density (S, B).  `describe()` names it with its numbers.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.distributions import Distribution, MixtureSameFamily, MultivariateNormal

from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.posteriors import Latent

Draws = tuple[torch.Tensor, torch.Tensor]


class Source(Protocol):
    """A proposal for the sentences of one batch."""

    def draw(self, samples: int) -> Draws: ...


class Proposal(Protocol):
    """A proposal for any sentence."""

    def at(self, model: TextAutoencoder, x: torch.Tensor, latent: Latent) -> Source: ...

    def describe(self) -> str: ...


@dataclass(frozen=True)
class Known:
    """Any distribution of codes; `shape` is (B,) where it is one for all sentences of the batch."""

    distribution: Distribution
    shape: tuple[int, ...] = ()

    def draw(self, samples: int) -> Draws:
        z = self.distribution.sample((samples, *self.shape))
        return z, self.distribution.log_prob(z)


@dataclass(frozen=True)
class Gaussians:
    """z = mean + L (width * eps), eps ~ N(0, I): mean, width (B, Z); triangular `factor` L (Z, Z) or (B, Z, Z)."""

    mean: torch.Tensor
    width: torch.Tensor
    factor: torch.Tensor

    def draw(self, samples: int) -> Draws:
        """Differentiable in mean and width."""
        noise = torch.randn(samples, *self.mean.shape, dtype=self.mean.dtype, device=self.mean.device)
        return self.place(noise), self.log_density(noise)

    def place(self, noise: torch.Tensor) -> torch.Tensor:
        """eps (S, B, Z) -> z (S, B, Z)."""
        return self.mean + times(self.factor, self.width * noise)

    def log_density(self, noise: torch.Tensor) -> torch.Tensor:
        """log q of what `place` makes of eps (S, B, Z): nats (S, B)."""
        log_volume = self.width.log().sum(-1) + self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1) - log_volume


def times(matrix: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """One matrix (Z, Z), or one for each sentence (B, Z, Z), times vectors (..., B, Z)."""
    return torch.einsum("...ij,...j->...i", matrix, vectors)


class Own:
    """The family's own posterior q(z|x)."""

    def at(self, model: TextAutoencoder, x: torch.Tensor, latent: Latent) -> Known:
        return Known(model.posterior.density(latent))

    def describe(self) -> str:
        return "own posterior"


class Prior:
    """p(z), the same for every sentence: all weights are p(x|z)."""

    def at(self, model: TextAutoencoder, x: torch.Tensor, latent: Latent) -> Known:
        return Known(model.posterior.prior(), (len(x),))

    def describe(self) -> str:
        return "prior"


@dataclass(frozen=True)
class Frame:
    """Coordinates u in which the prior is N(0, I): z = mean + factor u, float64; (K, Z), (K, Z, Z).

    A prior that is a mixture of K Gaussians has them by component; a sentence gets those of the component to which its
    code most probably belongs.
    """

    log_weights: torch.Tensor       # (K,)
    mean: torch.Tensor
    factor: torch.Tensor

    @classmethod
    def of(cls, prior: Distribution) -> "Frame":
        """For a Gaussian with independent units, or a mixture of Gaussians with full covariance."""
        if isinstance(prior, MixtureSameFamily):
            parts = prior.component_distribution
            return cls(prior.mixture_distribution.logits.double(), parts.mean.double(), parts.scale_tril.double())
        return cls(prior.mean.new_zeros(1).double(), prior.mean.double()[None], prior.stddev.double().diag()[None])

    @property
    def is_plain(self) -> bool:
        """Whether the prior is N(0, I), so that u = z."""
        identity = torch.eye(self.mean.size(1)).to(self.factor)
        return len(self.mean) == 1 and not self.mean.any() and self.factor[0].equal(identity)

    def at(self, mu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes without noise (B, Z) -> mean (B, Z) and factor (B, Z, Z) of their coordinates; (Z,) and (Z, Z) where
        all have the same."""
        if len(self.mean) == 1:
            return self.mean[0], self.factor[0]
        density = MultivariateNormal(self.mean, scale_tril=self.factor, validate_args=False)
        part = (self.log_weights + density.log_prob(mu.double().unsqueeze(1))).argmax(1)                # (B,)
        return self.mean[part], self.factor[part]


def inside(z: torch.Tensor, mean: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """z (..., B, Z) in the coordinates u that `Frame.at` says."""
    return times(torch.linalg.inv(factor), z.double() - mean)


@dataclass(frozen=True)
class Linear:
    """N(A mu + c, L L^T) around the code without noise: A, L (Z, Z), L lower triangular, c (Z,), float64, shared by
    all sentences, in the coordinates of `frame`.  `kind` names it."""

    kind: str
    frame: Frame
    matrix: torch.Tensor
    shift: torch.Tensor
    factor: torch.Tensor

    @classmethod
    def isotropic(cls, frame: Frame, scale: float, width: float) -> "Linear":
        """N(scale mu, width^2 I)."""
        identity = torch.eye(frame.mean.size(1)).to(frame.mean)
        return cls("isotropic", frame, scale * identity, identity.new_zeros(len(identity)), width * identity)

    def at(self, model: TextAutoencoder, x: torch.Tensor, latent: Latent) -> Gaussians:
        mean, factor = self.frame.at(latent.mu)
        u = inside(latent.mu, mean, factor) @ self.matrix.T + self.shift                                # (B, Z)
        return Gaussians(mean + times(factor, u), torch.ones_like(u), factor @ self.factor)

    def describe(self) -> str:
        """Its formula, and the ranges of the fitted numbers over the units."""
        scale, width = self.matrix.diagonal(), self.factor.square().sum(1).sqrt()
        if self.kind == "isotropic":
            text = f"N({float(scale[0]):g} mu, {float(width[0]):g}^2 I)"
        else:
            text = "N(a mu + c, diag s^2)" if self.kind == "affine" else "N(A mu + c, C)"
            names = ("a", "c", "s") if self.kind == "affine" else ("diag A", "c", "sd")
            for name, values in zip(names, (scale, self.shift, width), strict=True):
                text += f", {name} {float(values.min()):.2f} to {float(values.max()):.2f}"
        return text if self.frame.is_plain else f"{text}, where the prior's components are N(0, I)"
