"""Semi-amortised posteriors: what the encoder says is the start of a descent on the bound, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ceae_core.losses.divergences import gaussian_kl
from ceae_core.models.posteriors import Latent
from ceae_core.seeding import seeded

if TYPE_CHECKING:
    from ceae_core.models.autoencoder import TextAutoencoder


@dataclass(frozen=True)
class Refinement:
    """`svi_steps` steps with momentum down Rec + weight * KL, over mu and log sigma^2 (kim2018semi, alg. 1).

    v <- svi_momentum * v - gradient, (mu, log sigma^2) <- (mu, log sigma^2) + svi_lr * v, one draw of z a step.  The
    loss is a mean over `batch_size` sentences, so a sentence's own gradient counts 1 / batch_size.
    """

    batch_size: int
    _: KW_ONLY
    svi_steps: int = 20
    svi_lr: float = 1.0
    svi_momentum: float = 0.5
    svi_clip: float = 5.0       # largest norm of the gradient in mu, and of that in log sigma^2

    def __call__(self, model: TextAutoencoder, x: torch.Tensor, latent: Latent, weight: float | None = None) -> Latent:
        """The refined Latent of x (B, T), with a fresh draw of z.

        With a `weight` (training) gradients flow back through the steps to the encoder; without one (evaluation) the KL
        has weight 1, and a sentence's refinement depends on no other sentence.
        """
        if not self.svi_steps:
            return latent
        learning = weight is not None
        mu, logvar = latent.mu, latent.logvar
        if not learning:
            mu, logvar = (v.detach().requires_grad_() for v in (mu, logvar))
        rows, weight = (len(x), weight) if learning else (self.batch_size, 1.0)
        velocities = torch.zeros_like(mu), torch.zeros_like(mu)
        with torch.enable_grad(), _differentiable_twice(x.device):
            for noise in self._noise(mu, learning):
                z = mu + (0.5 * logvar).exp() * noise
                loss = (model.nll(x, z) + weight * gaussian_kl(mu, logvar).sum(-1)).sum() / rows
                slopes = torch.autograd.grad(loss, (mu, logvar), create_graph=learning)
                velocities = [self.svi_momentum * v - self._clipped(slope, learning)
                              for v, slope in zip(velocities, slopes, strict=True)]
                mu, logvar = (value + self.svi_lr * v for value, v in zip((mu, logvar), velocities, strict=True))
        if not learning:
            mu, logvar = mu.detach(), logvar.detach()
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return Latent(latent.h, mu, z, logvar, gaussian_kl(mu, logvar))

    def _noise(self, mu: torch.Tensor, learning: bool) -> Iterator[torch.Tensor]:
        """The noise of each step: (B, Z) in training, one (Z,) for all sentences in evaluation."""
        if learning:
            for _ in range(self.svi_steps):
                yield torch.randn_like(mu)
            return
        # DEVIATION(ceae:4.3): SA-VAE draws noise for every sentence, and clips the gradient of a batch, in evaluation
        # too; here a sentence must have the same code in whatever company it is measured.
        with seeded(0, "refinement"):
            common = torch.randn(self.svi_steps, mu.size(1))
        yield from common.to(mu.device)

    def _clipped(self, slope: torch.Tensor, learning: bool) -> torch.Tensor:
        """The gradient (B, Z) cut to norm `svi_clip`: that of the batch in training, of each sentence in evaluation."""
        norm = slope.detach().norm() if learning else slope.norm(dim=-1, keepdim=True)
        return slope * (self.svi_clip / (norm + 1e-6)).clamp(max=1.0)


@contextmanager
def _differentiable_twice(device: torch.device) -> Iterator[None]:
    """Plain float32 kernels inside: fused LSTMs and attention have no second derivative, bfloat16 would not carry one.
    """
    with (torch.backends.mkldnn.flags(enabled=False, allow_tf32=None), torch.backends.cudnn.flags(enabled=False),
          sdpa_kernel(SDPBackend.MATH), torch.autocast(device.type, enabled=False)):
        yield
