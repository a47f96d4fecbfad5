"""What the code carries: mutual information by the aggregated posterior, active units."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.distributions import Distribution

from ceae_core.corpora.batching import Encoded, plan
from ceae_core.measure.likelihood import batches_by_length
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.seeding import seeded

ACTIVE = 0.01           # variance of the posterior mean from which on a unit is active (burda2016importance, sec. 5.2)
ROWS_AT_ONCE = 1024
PAIRED_AT_ONCE = 64     # codes, each with all sentences of its group
MINIBATCH = 32


@torch.no_grad()
def codes(model: TextAutoencoder, data: Encoded, device: torch.device,
          ) -> tuple[torch.Tensor, torch.Tensor | None]:
    """mu and logvar of every sentence, each (N, Z) float64 on the CPU; logvar is None for deterministic codes."""
    model.eval()
    mu, logvar = None, None
    with seeded(0, "codes"):                                    # the mean code of an MLP head is a mean over draws
        for rows, x in batches_by_length(data, device):
            latent = model.encode(x)
            if mu is None:
                mu = torch.zeros(len(data), latent.mu.size(1), dtype=torch.float64)
                logvar = None if latent.logvar is None else torch.zeros_like(mu)
            mu[rows] = latent.mu.double().cpu()
            if logvar is not None:
                logvar[rows] = latent.logvar.double().cpu()
    return mu, logvar


def information(density: Callable[[np.ndarray], Distribution], groups: Sequence[np.ndarray], seed: int) -> float:
    """I(x; z) inside groups of sentences, weighted by their size, in nats: as `mixture_information` for any density.

    density(rows) is q(z|x) of those sentences; a group of all sentences gives the I(x; z) of the data set.
    """
    total = 0.0
    with seeded(seed, "mutual information"):
        for rows in groups:
            q = density(rows)
            z = q.sample()
            pairs = torch.cat([q.log_prob(part.unsqueeze(1)) for part in z.split(PAIRED_AT_ONCE)])          # (M, M)
            total += float((pairs.diagonal() - pairs.logsumexp(1) + math.log(len(rows))).sum())
    return total / sum(map(len, groups))


def active_units(mu: torch.Tensor) -> int:
    """How many columns of mu (N, Z) have sample variance >= 0.01 (burda2016importance, sec. 5.2)."""
    return int((mu.var(0, correction=min(1, len(mu) - 1)) >= ACTIVE).sum())


def mutual_information(mu: torch.Tensor, logvar: torch.Tensor, seed: int) -> float:
    """I(x; z) in nats by E log q(z|x) - E log q(z), q(z) = the mean of the posteriors of these N sentences.

    mu, logvar (N, Z).  One z per sentence, the first term analytic (dieng2019avoiding; he2019lagging, app. B).  Each
    sentence is inside its own average, so the estimate cannot exceed log N by more than its noise.
    """
    return _information(_draw(mu, logvar, seed), mu, logvar)


def mixture_information(mu: torch.Tensor, logvar: torch.Tensor, seed: int) -> float:
    """I(x; z) in nats as `mutual_information`, but with log q(z|x) at the same z, not its mean.

    So no sentence contributes more than log N, and codes that lie apart give exactly that.
    """
    z = _draw(mu, logvar, seed)
    own = -0.5 * ((z - mu).square() * (-logvar).exp() + logvar + math.log(2 * math.pi)).sum(1)
    return float((own - aggregate_log_density(z, mu, logvar)).mean())


def _draw(mu: torch.Tensor, logvar: torch.Tensor, seed: int) -> torch.Tensor:
    """One z (N, Z) per sentence from its posterior."""
    with seeded(seed, "mutual information", len(mu)):
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)


def _information(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> float:
    negative_entropy = -0.5 * (mu.size(1) * math.log(2 * math.pi) + (1.0 + logvar).sum(1)).mean()
    return float(negative_entropy - aggregate_log_density(z, mu, logvar).mean())


def aggregate_log_density(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """log (1/N) sum_j N(z_i; mu_j, sigma_j^2) of each z (M, Z), nats (M,), by two matrix products."""
    precision = torch.exp(-logvar)                                                              # (N, Z)
    offset = (mu ** 2 * precision + logvar).sum(1) + mu.size(1) * math.log(2 * math.pi)         # (N,)
    parts = []
    for part in z.split(ROWS_AT_ONCE):
        distance = part ** 2 @ precision.T - 2 * part @ (mu * precision).T + offset             # (M, N)
        parts.append((-0.5 * distance).logsumexp(1))
    return torch.cat(parts) - math.log(len(mu))


def minibatch_information(mu: torch.Tensor, logvar: torch.Tensor, lengths: np.ndarray, seed: int) -> float:
    """The same estimate inside minibatches of at most 32 sentences of one length, weighted by their size, nats.

    As in vae-lagging-encoder and Implicit-LVM; it cannot exceed log 32 = 3.47 by more than its noise (he2019lagging,
    app. B).
    """
    z = _draw(mu, logvar, seed)         # one noise per sentence: noise repeated in every group would not average out
    groups = plan(lengths, MINIBATCH, "same_length", seed, 0)
    return sum(len(g) * _information(z[g], mu[g], logvar[g]) for g in groups) / len(mu)
