"""Reconstruction, KL and valid bounds on -log p(x), in nats per sentence, end symbol counted, dropout off."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.seeding import seeded

SENTENCES_AT_ONCE = 256
SCALES = (1.0, 0.85, 0.7, 0.5, 0.3)                 # a of the proposal N(a mu, s^2 I)
WIDTHS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)      # s of that proposal


@dataclass(frozen=True)
class Proposal:
    """Where the codes of the importance-weighted bound are drawn: `own` posterior, or N(scale mu, width^2 I)."""

    kind: str                       # "own" or "isotropic"
    scale: float = 1.0
    width: float = 1.0

    def describe(self) -> str:
        return "own posterior" if self.kind == "own" else f"N({self.scale:g} mu, {self.width:g}^2 I)"


@torch.no_grad()
def batches_by_length(data: Encoded, device: torch.device, size: int = SENTENCES_AT_ONCE,
                      ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """(indices, x (B, T)) over all sentences, similar lengths together so that little is padded."""
    order = np.argsort(data.lengths, kind="stable")
    for rows in np.array_split(order, max(1, math.ceil(len(order) / size))):
        yield rows, data.batch(rows).to(device)


@torch.no_grad()
def rec_and_kl(model: TextAutoencoder, data: Encoded, device: torch.device, seed: int,
               ) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Rec = -log p(x|z) with one z ~ q(z|x) (a deterministic code: z = mu) and the analytic KL, each (N,) nats.

    A language model's Rec is its -log p(x).  The KL is None where the posterior has no density.  (dossier of the
    repositories: one posterior sample, weight 1; ceae, sec. 2.)
    """
    model.eval()
    rec = torch.zeros(len(data), dtype=torch.float64)
    kl = torch.zeros(len(data), dtype=torch.float64) if model.posterior else None
    with seeded(seed, "evaluate"):
        for rows, x in batches_by_length(data, device):
            latent = model.encode(x)
            rec[rows] = model.nll(x, None if latent is None else latent.z).double().cpu()
            if latent is None or latent.kl is None:
                kl = None
            else:
                kl[rows] = latent.kl.sum(-1).double().cpu()
    return rec, kl


@torch.no_grad()
def importance_weighted(model: TextAutoencoder, data: Encoded, device: torch.device, samples: int, seed: int,
                        proposal: Proposal, tick: Callable[[int], None] = lambda n: None) -> torch.Tensor:
    """-log (1/S) sum_s p(x|z_s) N(z_s; 0, I) / q(z_s|x): a bound on -log p(x) for every proposal q.

    Returns (N,) nats; S = `samples`.  A language model has no z: its exact -log p(x).  Source: burda2016importance,
    eq. 8.
    """
    model.eval()
    if model.posterior is None:
        return rec_and_kl(model, data, device, seed)[0]
    out = torch.zeros(len(data), dtype=torch.float64)
    at_once = max(1, SENTENCES_AT_ONCE // samples)              # sentences whose S copies are decoded together
    with seeded(seed, "importance"):
        for rows, x in batches_by_length(data, device, at_once):
            latent = model.encode(x)
            log_weight = []
            for drawn in _split(samples, max(1, SENTENCES_AT_ONCE // len(rows))):
                z, log_q = _draw(latent, proposal, drawn)                                       # (S, B, Z), (S, B)
                log_p = -0.5 * (z ** 2 + math.log(2 * math.pi)).sum(-1)                         # (S, B)
                nll = model.nll(x.repeat(drawn, 1), z.flatten(0, 1)).view(drawn, len(rows))     # (S, B)
                log_weight.append((log_p - log_q - nll).double())
            out[rows] = math.log(samples) - torch.cat(log_weight).logsumexp(0).cpu()
            tick(len(rows))
    return out


def _split(total: int, at_once: int) -> list[int]:
    return [at_once] * (total // at_once) + ([total % at_once] if total % at_once else [])


def _draw(latent, proposal: Proposal, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """S codes from the proposal (S, B, Z) and their log density (S, B)."""
    mu = latent.mu
    noise = torch.randn(samples, *mu.shape, device=mu.device)
    if proposal.kind == "own":
        z = mu + (0.5 * latent.logvar).exp() * noise
        return z, latent.log_q(z)
    z = proposal.scale * mu + proposal.width * noise
    return z, -0.5 * (noise ** 2 + math.log(2 * math.pi * proposal.width ** 2)).sum(-1)


def choose_proposal(model: TextAutoencoder, data: Encoded, device: torch.device, seed: int, *,
                    samples: int = 20, sentences: int = 32) -> Proposal:
    """The family's own posterior if it has a density, else the isotropic Gaussian with the tightest bound on held-out
    data: `scale` and `width` from a grid, on the first `sentences` of `data` (use the validation split)."""
    if model.posterior is None:
        return Proposal("own")
    few = data.take(np.arange(min(sentences, len(data))))
    if model.encode(few.batch(np.arange(1)).to(device)).kl is not None:
        return Proposal("own")
    grid = [Proposal("isotropic", a, s) for a in SCALES for s in WIDTHS]
    return min(grid, key=lambda p: float(importance_weighted(model, few, device, samples, seed, p).mean()))




def perplexity(nats: torch.Tensor, lengths: np.ndarray) -> float:
    """exp of nats per predicted token; `lengths` count `<s>` and `</s>`, of which only the end is predicted."""
    return float(torch.exp(nats.sum() / int((lengths - 1).sum())))
