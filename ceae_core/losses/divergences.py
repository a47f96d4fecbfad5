"""Divergences between posterior and prior, and the ways to keep one from vanishing."""

import torch

from ceae_core.errors import CeaeError


def gaussian_kl(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, e^logvar) || N(0, 1)) of each unit, nats: (mu^2 + sigma^2 - log sigma^2 - 1) / 2 (ceae, eq. 8)."""
    return 0.5 * (mu ** 2 + torch.expm1(logvar) - logvar)


def kl(context) -> torch.Tensor:
    """The analytic KL of each sentence, nats (B,) (kingma2014auto, app. B)."""
    return context.mean(lambda view: view.kl.sum(-1))


def kl_threshold(context, *, dim_target: float = 0.05) -> torch.Tensor:
    """KL that counts only in units above `dim_target` nats, lambda, nats (B,) (li2020optimus)."""
    return free_bits(context, target=dim_target * context.latent.kl.size(-1))


def free_bits(context, *, target: float = 4.0, unit: str = "dim") -> torch.Tensor:
    """KL that counts only above its target, nats (B,) (kingma2016improved, sec. 4; li2019surprisingly).

    `target` is the total in nats.  `unit="dim"`: max(KL_j, target/Z) summed over units; `unit="total"`: max(KL,
    target).
    """
    units = context.latent.kl                                                           # (B, Z)
    if unit == "dim":
        floor = target / units.size(-1)
        return torch.where(units > floor, units, floor).sum(-1)
    if unit == "total":
        total = units.sum(-1)
        return torch.where(total > target, total, target)
    raise CeaeError(f"unit: unknown value {unit!r}; choose dim or total")
