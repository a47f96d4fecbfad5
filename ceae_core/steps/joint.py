"""One descent step on Rec and all terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn

from ceae_core.schedules import Clock
from ceae_core.steps.context import Context, encode_once, encode_twice

if TYPE_CHECKING:
    from ceae_core.training import Training


def joint(training: Training, x: torch.Tensor, clock: Clock) -> dict[str, torch.Tensor]:
    """One descent step on Rec + sum of weight * term over all parameters; batch means, nats per sentence.

    Returns the detached value of each term before its weight, and the total.
    """
    return descend(training, encode_once(training, x, clock))


def joint_two_views(training: Training, x: torch.Tensor, clock: Clock, *, rec_views: int = 2,
                    augment: str = "dropout", swap_probability: float = 0.1) -> dict[str, torch.Tensor]:
    """`joint` on a batch that is encoded twice (see `encode_twice`)."""
    return descend(training, encode_twice(training, x, clock, rec_views=rec_views, augment=augment,
                                          swap_probability=swap_probability))


def descend(training: Training, context: Context, move: Iterable[nn.Parameter] | None = None,
            ) -> dict[str, torch.Tensor]:
    """The descent step from encoded sentences, of all weights or of those in `move`."""
    logged, total = losses(training, context)
    training.descend(total, move)
    return logged | {"loss": total.detach()}


def losses(training: Training, context: Context) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The detached value of Rec and of each term before its weight, and the weighted total, batch means."""
    model = training.model
    with training.autocast():
        nll = (model.nll(context.x, None) if context.latent is None
               else context.mean(lambda view: model.nll(context.x, view.z)))            # (B,)
    total = nll.mean()
    logged = {"rec": total.detach()}
    for term in training.terms:
        value = term.loss(context).mean()
        logged[term.name] = value.detach()
        total = total + term.weight(context.clock) * value
    return logged, total
