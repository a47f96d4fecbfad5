"""A proposal refined sentence by sentence: a few gradient steps on the ELBO of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ceae_core.measure.bound import nll
from ceae_core.measure.proposals import Gaussians, Proposal, Source
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.posteriors import Latent

SAMPLES, RATE = 8, 0.05         # codes per step; Adam's rate, which falls to 0 over the steps


@dataclass(frozen=True)
class Refined:
    """From `start`, `steps` steps of Adam up each sentence's ELBO, on the mean and the widths of its Gaussian
    (kim2018semi, alg. 1).  The ELBO, not the bound itself: its gradient has less noise.

    The codes of the bound are drawn afterwards, so that it stays valid.
    """

    start: Proposal
    steps: int

    def at(self, model: TextAutoencoder, x: torch.Tensor, latent: Latent) -> Gaussians:
        first = _gaussians(self.start.at(model, x, latent))
        mean, log_width = first.mean.clone().requires_grad_(), first.width.log().requires_grad_()
        optimiser, prior = torch.optim.Adam([mean, log_width], RATE), model.posterior.prior()
        with torch.enable_grad(), _frozen(model):
            for step in range(self.steps):
                z, log_q = Gaussians(mean, log_width.exp(), first.factor).draw(SAMPLES)
                code = z.to(latent.mu.dtype)
                elbo = (prior.log_prob(code) - log_q - nll(model, x, code)).mean(0)
                optimiser.param_groups[0]["lr"] = RATE * (1.0 - step / self.steps)
                mean.grad, log_width.grad = torch.autograd.grad(-elbo.sum(), [mean, log_width])
                optimiser.step()
        return Gaussians(mean.detach(), log_width.detach().exp(), first.factor)

    def describe(self) -> str:
        return f"{self.start.describe()}, then {self.steps} steps per sentence"


def _gaussians(source: Source) -> Gaussians:
    """The source itself, or the independent Gaussians with its means and deviations."""
    if isinstance(source, Gaussians):
        return source
    q = source.distribution
    shape = (*source.shape, *q.mean.shape)
    mean, width = q.mean.double().expand(shape), q.stddev.double().expand(shape)
    return Gaussians(mean, width, torch.eye(shape[-1], dtype=torch.float64, device=mean.device))


@contextmanager
def _frozen(model: TextAutoencoder) -> Iterator[None]:
    """Gradients for codes only, and kernels that give them outside training."""
    weights = [p for p in model.parameters() if p.requires_grad]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
