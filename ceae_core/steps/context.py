"""What a loss term may look at, and how a batch gets there: encoded once, or twice for a contrast of two views."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ceae_core.corpora.augment import swap_neighbours
from ceae_core.errors import CeaeError
from ceae_core.schedules import Clock
from ceae_core.seeding import seeded

if TYPE_CHECKING:
    from ceae_core.models.autoencoder import TextAutoencoder
    from ceae_core.models.posteriors import Latent
    from ceae_core.training import Training

AUGMENTATIONS = ("dropout", "swap")


@dataclass
class Context:
    """What a loss term may look at."""

    model: TextAutoencoder
    x: torch.Tensor                                     # (B, T) token ids, padded with 0
    latent: Latent | None
    clock: Clock
    autocast: Callable[[], AbstractContextManager]      # the precision in which encoders run
    second: Latent | None = None                        # the same sentences encoded again
    both: bool = False                                  # every term is the mean of the two views, not of the first

    @property
    def views(self) -> list[Latent]:
        """The encodings over which terms are averaged."""
        return [self.latent, self.second] if self.both else [self.latent]

    def mean(self, term: Callable[[Latent], torch.Tensor]) -> torch.Tensor:
        """The mean of `term` (B,) over the views."""
        return sum(term(view) for view in self.views) / len(self.views)


def encode_once(training: Training, x: torch.Tensor, clock: Clock) -> Context:
    """x (B, T) encoded for the step that `clock` tells."""
    with training.autocast():
        latent = training.model.encode(x, clock)
    return Context(training.model, x, latent, clock, training.autocast)


def encode_twice(training: Training, x: torch.Tensor, clock: Clock, *, rec_views: int = 2, augment: str = "dropout",
                 swap_probability: float = 0.1) -> Context:
    """x (B, T) encoded a second time with fresh noise and dropout (`augment="dropout"`; clvm, sec. 3.3), or after some
    neighbouring words have changed places ("swap"; clvm, sec. 4.7).

    The second view draws from a stream of its own, so that a family without its terms is the family with one view.
    `rec_views=1` keeps it out of every term but the contrast.  Raises CeaeError for other values.
    """
    if augment not in AUGMENTATIONS:
        raise CeaeError(f"augment: unknown value {augment!r}; choose {' or '.join(AUGMENTATIONS)}")
    if rec_views not in (1, 2):
        raise CeaeError(f"rec_views: must be 1 or 2, not {rec_views!r}")
    context = encode_once(training, x, clock)
    with seeded(training.spec.seed, "step", clock.step, "second view"), training.autocast():
        # DEVIATION(clvm:4.7): swapping is said to make negatives; as an alternative to dropout it must make the
        # positive, the second view of the same sentence.
        changed = swap_neighbours(x, swap_probability) if augment == "swap" else x
        context.second, context.both = training.model.encode(changed, clock), rec_views == 2
    return context
