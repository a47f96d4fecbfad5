"""A valid bound on -log p(x) for every family: importance weights of codes from any known proposal.

-log (1/S) sum_s p(x|z_s) p(z_s) / r(z_s|x), z_s ~ r, is in expectation at least -log p(x), whatever r is, and the
tighter the larger S and the nearer r to the true posterior (burda2016importance, eq. 8).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.measure.likelihood import batches_by_length
from ceae_core.measure.proposals import Proposal
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.posteriors import Latent
from ceae_core.seeding import seeded

SENTENCES_AT_ONCE = 16      # of similar length, for which codes are drawn together: part of what a seed means
DECODED_AT_ONCE = {"cpu": 256, "cuda": 8192}        # pairs of sentence and code


class Coded(NamedTuple):
    """Sentences, encoded."""

    rows: np.ndarray        # (B,) their places in the data set
    x: torch.Tensor         # (B, T)
    latent: Latent


@torch.no_grad()
def encode(model: TextAutoencoder, data: Encoded, device: torch.device, seed: int) -> list[Coded]:
    """All sentences, similar lengths together, encoded once for whatever proposals follow."""
    model.eval()
    with seeded(seed, "importance", "encode"):
        return [Coded(rows, x, model.encode(x)) for rows, x in batches_by_length(data, device, SENTENCES_AT_ONCE)]


@torch.no_grad()
def weigh(model: TextAutoencoder, coded: Iterable[Coded], proposal: Proposal, samples: int, seed: int, *purpose: str,
          ) -> Iterator[tuple[Coded, torch.Tensor, torch.Tensor]]:
    """Each batch with S = `samples` codes (S, B, Z) from the proposal and their log weights (S, B) in nats, float64."""
    prior = model.posterior.prior()
    with seeded(seed, "importance", *purpose):
        for batch in coded:
            z, log_q = proposal.at(model, batch.x, batch.latent).draw(samples)
            code = z.to(batch.latent.mu.dtype)
            weights = prior.log_prob(code).double() - log_q.double() - nll(model, batch.x, code).double()
            yield batch, z, weights


def nll(model: TextAutoencoder, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """-log p(x|z) of each sentence x (B, T) with each of its codes z (S, B, Z): nats (S, B)."""
    parts = z.split(max(1, DECODED_AT_ONCE[x.device.type] // len(x)))
    return torch.cat([model.nll(x.repeat(len(part), 1), part.flatten(0, 1)).view(len(part), -1) for part in parts])


def log_weights(model: TextAutoencoder, coded: Sequence[Coded], proposal: Proposal, samples: int, seed: int,
                *purpose: str, tick: Callable[[int], None] = lambda n: None) -> torch.Tensor:
    """log p(x|z) p(z) / r(z|x) of every sentence and code in nats: (S, N) float64 on the CPU."""
    out = torch.zeros(samples, sum(len(batch.rows) for batch in coded), dtype=torch.float64)
    for batch, _, weights in weigh(model, coded, proposal, samples, seed, *purpose):
        out[:, batch.rows] = weights.cpu()
        tick(len(batch.rows))
    return out


def bound(weights: torch.Tensor, samples: int | None = None) -> torch.Tensor:
    """-log of the mean weight of `samples` codes (default: all), from log weights (S, N): nats (N,).

    With fewer samples than there are it is the mean over as many groups of that size as there are, so it never rises
    from one number of samples to a multiple of it that divides S.
    """
    size = samples or len(weights)
    groups = weights[:len(weights) // size * size].unflatten(0, (-1, size))            # (G, size, N)
    return (math.log(size) - groups.logsumexp(1)).mean(0)


def effective_samples(weights: torch.Tensor) -> torch.Tensor:
    """(sum w)^2 / sum w^2 from log weights (S, N): between 1, one code has all the weight, and S: (N,)."""
    return (2 * weights.logsumexp(0) - (2 * weights).logsumexp(0)).exp()
