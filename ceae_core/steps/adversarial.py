"""Steps of models whose divergence from the prior is estimated by critics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ceae_core.schedules import Clock
from ceae_core.steps.context import Context, encode_once, encode_twice
from ceae_core.steps.joint import descend

if TYPE_CHECKING:
    from ceae_core.training import Training


def adversarial(training: Training, x: torch.Tensor, clock: Clock, *, inner_updates: int = 5,
                ) -> dict[str, torch.Tensor]:
    """`inner_updates` steps of the critics on this batch's codes, then one of encoder and decoder (fang2019implicit,
    alg. 1)."""
    return _alternate(training, encode_once(training, x, clock), inner_updates)


def adversarial_two_views(training: Training, x: torch.Tensor, clock: Clock, *, inner_updates: int = 5,
                          rec_views: int = 2, augment: str = "dropout", swap_probability: float = 0.1,
                          ) -> dict[str, torch.Tensor]:
    """`adversarial` on a batch that is encoded twice (clvm, alg. 1; see `encode_twice`)."""
    # DEVIATION(clvm:alg. 1): the number of critic updates per step is not given; as in Implicit-LVM it is 5.
    return _alternate(training, encode_twice(training, x, clock, rec_views=rec_views, augment=augment,
                                             swap_probability=swap_probability), inner_updates)


def _alternate(training: Training, context: Context, inner_updates: int) -> dict[str, torch.Tensor]:
    dual = training.stateful["dual"]
    for _ in range(inner_updates):
        training.descend_critics(dual.critic_loss(context))
    return descend(training, context)
