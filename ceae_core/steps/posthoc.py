"""What some families do once, when training is over, to the best model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ceae_core.measure.implicit import encode_all
from ceae_core.seeding import seeded

if TYPE_CHECKING:
    from ceae_core.training import Training


@torch.no_grad()
def fit_prior(training: Training) -> None:
    """Fit the posterior's prior to the codes of the training sentences (ghosh2020variational, sec. 5)."""
    codes = encode_all(training.model, training.train_set, training.device).mu
    with seeded(training.spec.seed, "fit prior"):
        training.model.posterior.fit(codes)
