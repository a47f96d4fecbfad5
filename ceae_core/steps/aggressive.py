"""The step that lets the encoder run ahead of the decoder for as long as that gains information."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from ceae_core.measure.latent import codes, minibatch_information
from ceae_core.models.autoencoder import lengths
from ceae_core.schedules import Clock
from ceae_core.seeding import seeded
from ceae_core.steps.context import encode_once
from ceae_core.steps.joint import descend, joint

if TYPE_CHECKING:
    from ceae_core.training import Training


def aggressive(training: Training, x: torch.Tensor, clock: Clock, *, max_inner: int = 99, check_every: int = 15,
               ) -> dict[str, torch.Tensor]:
    """While aggressive: updates of the encoder alone, then one of the decoder alone; later `joint` (he2019lagging,
    alg. 1).

    The encoder learns on this batch and then on random ones, until the loss per word of the last `check_every` updates
    is above that of those before, at most `max_inner` times.  The training stops being aggressive for good when the
    information in the validation codes, looked at before each epoch but the first, has fallen.
    """
    if training.position == 0 and training.epoch and training.memory.get("aggressive", True):
        _look_at_information(training)
    if not max_inner or not training.memory.get("aggressive", True):
        return joint(training, x, clock) | {"encoder_updates": torch.ones(())}
    done = _chase(training, x, clock, max_inner, check_every)
    logged = descend(training, encode_once(training, x, clock), move=training.model.sides()[1])
    return logged | {"encoder_updates": torch.tensor(float(done))}


def _chase(training: Training, x: torch.Tensor, clock: Clock, max_inner: int, check_every: int) -> int:
    """Updates of encoder and posterior alone; returns how many."""
    batches, (inference, _) = training.batches, training.model.sides()
    before, total, words = math.inf, 0.0, 0
    for done in range(1, max_inner + 1):
        logged = descend(training, encode_once(training, x, clock), move=inference)
        total, words = total + logged["loss"] * len(x), words + (lengths(x) - 1).sum()
        if done % check_every == 0:
            now = float(total / words)                                                  # nats per predicted word
            if now > before:
                break
            before, total, words = now, 0.0, 0
        x = training.train_set.batch(batches[int(torch.randint(len(batches), ()))]).to(training.device)
    return done


def _look_at_information(training: Training) -> None:
    """Whether I(x; z) inside minibatches of the validation split is still at least what it was an epoch ago.

    It draws from a stream of its own, so that looking changes nothing in the step that follows.
    """
    with seeded(training.spec.seed, "information", training.epoch), training.autocast():
        mu, logvar = codes(training.model, training.valid_set, training.device)
    training.model.train()
    now = minibatch_information(mu, logvar, training.valid_set.lengths, training.spec.seed)
    training.memory.update(aggressive=now >= training.memory.get("information", 0.0), information=now)
