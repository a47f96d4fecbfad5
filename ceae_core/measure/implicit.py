"""Implicit posteriors: what critics say about the divergence from the prior, and the truth where it has a formula."""

from dataclasses import dataclass

import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.losses.dual import donsker_varadhan, dual_kl
from ceae_core.measure.latent import mixture_information
from ceae_core.measure.likelihood import batches_by_length
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.seeding import seeded

DRAWS = 8               # codes per sentence, and draws of the prior, behind an estimate
LARGEST = 600.0         # f is cut here: a critic as good as another, but the sum of 1e40 values e^f stays finite


@dataclass(frozen=True)
class Codes:
    """Sentence vectors h (N, H) and mean codes mu (N, Z) of a data set."""

    h: torch.Tensor
    mu: torch.Tensor


@torch.no_grad()
def encode_all(model: TextAutoencoder, data: Encoded, device: torch.device) -> Codes:
    """h and mu of every sentence, float32 on `device`."""
    model.eval()
    parts, order = [], []
    with seeded(0, "codes"):                                    # the mean code of an MLP head is a mean over draws
        for rows, x in batches_by_length(data, device):
            latent = model.encode(x)
            parts.append((latent.h, latent.mu))
            order.append(torch.from_numpy(rows))
    back = torch.argsort(torch.cat(order)).to(device)
    return Codes(*(torch.cat(column)[back] for column in zip(*parts, strict=True)))


@torch.no_grad()
def critic_values(model: TextAutoencoder, codes: Codes, seed: int, draws: int = DRAWS) -> dict[str, torch.Tensor]:
    """Values of both critics, float64 (draws * N,): `f_q`, `g_q` at codes, `f_p`, `g_p` at as many draws of the prior.
    """
    columns: dict[str, list[torch.Tensor]] = {name: [] for name in ("f_q", "f_p", "g_q", "g_p")}
    critics, posterior = model.critics, model.posterior
    with seeded(seed, "dual"):
        for _ in range(draws):
            z = posterior.draw(codes.h)
            for name, at in (("q", z), ("p", torch.randn_like(z))):
                columns[f"f_{name}"].append(critics.f(at, codes.h))
                columns[f"g_{name}"].append(critics.g(at))
    return {name: torch.cat(parts).double().clamp(max=LARGEST) for name, parts in columns.items()}


def divergences(model: TextAutoencoder, data: Encoded, device: torch.device, seed: int) -> dict[str, float | None]:
    """Estimates by the critics and, for a linear noise head, exact values, in nats; None where there is no closed form.

    kl_dual_nats, kl_aggregate_dual_nats : E_q f - E_p e^f + 1 by f and by g
    kl_dv_nats                           : E_q f - log E_p e^f by f
    mi_dual_nats                         : the difference of the first two, the papers' estimate of I(x; z)
    kl_exact_nats, mi_exact_nats         : the Gaussian KL; I(x; z) by the mixture of these posteriors, at most log N
    dual_negative_share                  : share of groups of 32 sentences whose KL by the critic is negative
    """
    codes = encode_all(model, data, device)
    v = critic_values(model, codes, seed)
    kl, aggregate = float(dual_kl(v["f_q"], v["f_p"])), float(dual_kl(v["g_q"], v["g_p"]))
    out = {"kl_dual_nats": kl, "kl_dv_nats": float(donsker_varadhan(v["f_q"], v["f_p"])),
           "kl_aggregate_dual_nats": aggregate, "mi_dual_nats": kl - aggregate,
           "dual_negative_share": negative_share(v["f_q"], v["f_p"]), "kl_exact_nats": None, "mi_exact_nats": None}
    if model.posterior.is_linear:
        mu, factor = codes.mu.double(), model.posterior.factor()
        out["kl_exact_nats"] = float(shared_gaussian_kl(mu, factor).mean())
        white = torch.linalg.solve_triangular(factor, (mu - mu.mean(0)).T, upper=False).T.cpu()     # keeps I(x; z)
        out["mi_exact_nats"] = mixture_information(white, torch.zeros_like(white), seed)
    return out


def negative_share(f_q: torch.Tensor, f_p: torch.Tensor, group: int = 32) -> float:
    """Share of groups of `group` critic values at codes (N,) and at as many draws of the prior (N,) whose dual estimate
    is negative."""
    estimates = [dual_kl(q, p) for q, p in zip(f_q.split(group), f_p.split(group), strict=True)]
    return float((torch.stack(estimates) < 0).double().mean())


def shared_gaussian_kl(mu: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, L L^T) || N(0, I)) of each row of mu (N, Z), L lower triangular (Z, Z): nats (N,)."""
    log_det = 2.0 * factor.diagonal().abs().log().sum()
    return 0.5 * (factor.square().sum() + mu.square().sum(-1) - mu.size(-1) - log_det)
