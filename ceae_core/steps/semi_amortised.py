"""The step of a posterior that is refined sentence by sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ceae_core.schedules import Clock
from ceae_core.steps.context import encode_once
from ceae_core.steps.joint import descend

if TYPE_CHECKING:
    from ceae_core.training import Training


def semi_amortised(training: Training, x: torch.Tensor, clock: Clock) -> dict[str, torch.Tensor]:
    """`joint` from the refined posterior; encoder and decoder learn through the steps that refine it (kim2018semi,
    alg. 1)."""
    context = encode_once(training, x, clock)
    weight = next(term.weight(clock) for term in training.terms if term.name == "kl")
    context.latent = training.model.refine(training.model, x, context.latent, weight)
    return descend(training, context)
