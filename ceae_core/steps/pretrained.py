"""The step of a training in two phases: an autoencoder first, then its encoder under a new decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ceae_core.errors import CeaeError
from ceae_core.schedules import Clock, is_pretraining
from ceae_core.steps.joint import joint

if TYPE_CHECKING:
    from ceae_core.training import Training


def pretrained(training: Training, x: torch.Tensor, clock: Clock) -> dict[str, torch.Tensor]:
    """`joint`; where the pre-training ends the decoder and all that trains it start anew (li2019surprisingly).

    Raises CeaeError when nothing of the training is left by then.
    """
    epochs = training.spec.options["pretrain_epochs"]
    if clock.step == 0 and epochs * clock.unit >= training.settings.epochs:
        total = training.settings.epochs / clock.unit
        raise CeaeError(f"pretrain_epochs: {epochs:g} of {total:g} schedule epochs leave nothing for the free bits; "
                        "lower it or raise epochs")
    if epochs and not is_pretraining(clock, epochs) and "renewed" not in training.memory:
        training.renew_decoder()
    return joint(training, x, clock)
