"""Training steps: the only control flow in which families differ."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ceae_core.schedules import Clock

if TYPE_CHECKING:
    from ceae_core.models.autoencoder import TextAutoencoder
    from ceae_core.models.posteriors import Latent
    from ceae_core.training import Training


@dataclass
class Context:
    """What a loss term may look at."""

    model: TextAutoencoder
    x: torch.Tensor                                     # (B, T) token ids, padded with 0
    latent: Latent | None
    clock: Clock
    autocast: Callable[[], AbstractContextManager]      # the precision in which encoders run


def joint(training: Training, x: torch.Tensor, clock: Clock) -> dict[str, torch.Tensor]:
    """One descent step on Rec + sum of weight * term over all parameters; batch means, nats per sentence.

    Returns the detached value of each term before its weight, and the total.
    """
    model = training.model
    with training.autocast():
        latent = model.encode(x, clock)
        nll = model.nll(x, None if latent is None else latent.z)                        # (B,)
    context = Context(model, x, latent, clock, training.autocast)
    total = nll.mean()
    logged = {"rec": total.detach()}
    for term in training.terms:
        value = term.loss(context).mean()
        logged[term.name] = value.detach()
        total = total + term.weight(clock) * value
    training.descend(total)
    return logged | {"loss": total.detach()}
