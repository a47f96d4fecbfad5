"""Implicit posteriors: z is drawn by feeding noise to a network, z = head([h; xi])."""

import torch
from torch import nn
from torch.distributions import Distribution, MultivariateNormal

from ceae_core.errors import CeaeError
from ceae_core.models.posteriors import Latent, standard_normal
from ceae_core.schedules import Clock

HEADS = ("linear", "mlp")
MEAN_DRAWS = 128        # of which the code without noise is the mean, where it has no closed form (clvm, sec. 4.2)


class Implicit(nn.Module):
    """z = head([h; xi]), xi ~ N(0, I) (fang2019implicit, sec. 3.1; clvm, eq. 2).

    `noise_head="linear"` is what Implicit-LVM has: then z = A h + B xi + b, a Gaussian with the covariance B B^T for
    every sentence, so density, KL and importance weights have a closed form.  "mlp" has one hidden layer, as paper B's
    text says, and no density.  `noise_size` is the size of xi; 0 takes that of z.  Raises CeaeError for another head,
    and for a linear one with less noise than units, whose codes lie in a plane.
    """

    smallest_batch = 1
    bounded = False         # what is trained and what the papers report is the dual estimate, not a bound

    def __init__(self, hidden: int, latent: int, bias: bool, *, noise_head: str = "linear", noise_size: int = 0,
                 ) -> None:
        super().__init__()
        if noise_head not in HEADS:
            raise CeaeError(f"noise_head: unknown value {noise_head!r}; choose {' or '.join(HEADS)}")
        self.noise, self.latent = int(noise_size) or latent, latent
        self.is_linear = noise_head == "linear"
        if self.is_linear and self.noise < latent:
            raise CeaeError(f"noise_size: {self.noise} with noise_head=linear gives {latent} units no density; "
                            f"take 0 or at least {latent}")
        if self.is_linear:
            # DEVIATION(clvm:3.2): the noise head is called an MLP; the released code of iVAE has one linear layer.
            self.head = nn.Linear(hidden + self.noise, latent, bias=bias)
        else:
            self.head = nn.Sequential(nn.Linear(hidden + self.noise, hidden), nn.LeakyReLU(0.01),
                                      nn.Linear(hidden, latent))

    def forward(self, h: torch.Tensor, clock: Clock | None = None) -> Latent:
        """h (B, H) -> Latent with one draw z.  `mu` is the mean code; of an MLP in training, the code of noise 0."""
        z = self.draw(h)
        without = self.head(torch.cat([h, h.new_zeros(len(h), self.noise)], -1))
        if not self.is_linear and clock is None:
            without = torch.stack([self.draw(h) for _ in range(MEAN_DRAWS)]).mean(0)
        return Latent(h, without, z)

    def draw(self, h: torch.Tensor) -> torch.Tensor:
        """h (B, H) -> one code of each sentence (B, Z)."""
        return self.head(torch.cat([h, torch.randn(len(h), self.noise, device=h.device)], -1))

    def factor(self) -> torch.Tensor:
        """The lower triangular L (Z, Z), float64, with L L^T = B B^T: the covariance of every q(z|x).

        By the QR decomposition of B^T, which keeps directions that a product B B^T would lose.  Raises CeaeError for
        an MLP head.
        """
        if not self.is_linear:
            raise CeaeError("noise_head=mlp: this posterior has no density; set noise_head=linear")
        upper = torch.linalg.qr(self.head.weight[:, -self.noise:].detach().double().T, mode="r").R
        return (upper * upper.diagonal().sign().unsqueeze(-1)).T

    def density(self, latent: Latent) -> Distribution | None:
        """q(z|x) of a batch in float64; None for an MLP head."""
        if not self.is_linear:
            return None
        return MultivariateNormal(latent.mu.double(), scale_tril=self.factor(), validate_args=False)

    def prior(self) -> Distribution:
        return standard_normal(self.head.weight if self.is_linear else self.head[-1].weight, self.latent)
