"""The step of a training that begins with the decoder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ceae_core.errors import CeaeError
from ceae_core.schedules import Clock
from ceae_core.steps.joint import joint

if TYPE_CHECKING:
    from ceae_core.training import Training


def decoder_first(training: Training, x: torch.Tensor, clock: Clock, *, decoder_epochs: float = 1.0,
                  ) -> dict[str, torch.Tensor]:
    """`joint` after `decoder_epochs` passes over the data in which the decoder is trained as a language model, without
    z (ceae, sec. A.5: "GPT-2 for 1 epoch").  Schedules count from there.

    Raises CeaeError when nothing of the training is left by then, or the decoder cannot do without z.
    """
    if clock.step >= clock.lead:
        return joint(training, x, clock)
    if clock.lead >= clock.total:
        raise CeaeError(f"decoder_epochs: {decoder_epochs:g} of {training.settings.epochs} epochs leave nothing for "
                        "the autoencoder; lower it or raise epochs")
    if training.settings.net == "lstm":
        raise CeaeError("decoder_epochs: an LSTM decoder has z in every step; set decoder_epochs=0, or net=transformer")
    with training.autocast():
        nll = training.model.nll(x, None).mean()
    training.descend(nll)
    return {"decoder_alone": nll.detach(), "loss": nll.detach()}
