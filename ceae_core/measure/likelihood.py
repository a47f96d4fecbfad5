"""Reconstruction, KL and perplexity; nats per sentence, end symbol counted, dropout off."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.seeding import seeded

SENTENCES_AT_ONCE = 256


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


def perplexity(nats: torch.Tensor, lengths: np.ndarray) -> float:
    """exp of nats per predicted token; `lengths` count `<s>` and `</s>`, of which only the end is predicted."""
    return float(torch.exp(nats.sum() / int((lengths - 1).sum())))
