"""Schedules: functions of the clock.  Their keyword-only arguments are the options that `--set` can change."""

import math
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Clock:
    """Where a training stands.  One schedule epoch is `unit` passes over the data (1 at the papers' scale)."""

    step: int                   # optimiser steps done before this one
    steps_per_epoch: int
    unit: float = 1.0
    lead: int = 0               # steps before schedules begin, in which the decoder trains alone
    total: int = 0              # all steps of the training

    @property
    def elapsed(self) -> float:
        """Schedule epochs done, fractional."""
        return max(0, self.step - self.lead) / (self.steps_per_epoch * self.unit)

    @property
    def share(self) -> float:
        """The share that is done of the steps after the lead."""
        return max(0, self.step - self.lead) / (self.total - self.lead)

    @property
    def epoch(self) -> int:
        """The current schedule epoch t = 1, 2, …"""
        return int(self.elapsed + 1e-9) + 1


def constant(clock: Clock) -> float:
    """Weight 1 throughout."""
    return 1.0


def warmup(clock: Clock, *, kl_start: float = 0.0, warmup_epochs: float = 10.0) -> float:
    """KL annealing: linear from `kl_start` to 1 over `warmup_epochs` (bowman2016generating, sec. 3.1; ceae, sec. 2)."""
    if warmup_epochs <= 0:
        return 1.0
    return kl_start + (1.0 - kl_start) * min(1.0, clock.elapsed / warmup_epochs)


def capped_warmup(clock: Clock, *, beta: float = 0.4, kl_start: float = 0.0, warmup_epochs: float = 10.0) -> float:
    """beta-VAE weight: the annealing ramp, capped at `beta` (higgins2017beta; ceae, eq. 5)."""
    return min(beta, warmup(clock, kl_start=kl_start, warmup_epochs=warmup_epochs))


def cyclical(clock: Clock, *, kl_start: float = 0.0, cycle_epochs: float = 20.0, ramp_fraction: float = 0.5) -> float:
    """Cyclical annealing: each cycle ramps over its first `ramp_fraction`, then holds 1 (fu2019cyclical, eq. 6)."""
    position = clock.elapsed % cycle_epochs / cycle_epochs
    return kl_start + (1.0 - kl_start) * min(1.0, position / ramp_fraction)


def halves_and_quarters(clock: Clock) -> float:
    """0 for the first half of the training, linear to 1 over the next quarter, 1 in the last (li2020optimus)."""
    return min(1.0, max(0.0, 4.0 * clock.share - 2.0))


def is_pretraining(clock: Clock, pretrain_epochs: float) -> bool:
    """Whether the first `pretrain_epochs` schedule epochs are not over."""
    return clock.elapsed + 1e-9 < pretrain_epochs


def warmup_after_pretraining(clock: Clock, *, pretrain_epochs: float = 30.0, kl_start: float = 0.0,
                             warmup_epochs: float = 10.0) -> float:
    """0 while the model is trained as an autoencoder, then `warmup` counted from there (li2019surprisingly)."""
    # DEVIATION(ceae:A.4): how long the pre-training lasts is not said; in bn-vae it is a training of its own, with
    # halvings and a last one.  Here 30 epochs at a constant rate: no halving could come much earlier.
    if is_pretraining(clock, pretrain_epochs):
        return 0.0
    before = pretrain_epochs * clock.unit * clock.steps_per_epoch
    return warmup(replace(clock, step=clock.step - before), kl_start=kl_start, warmup_epochs=warmup_epochs)


def contrast_weight(clock: Clock, *, contrast: float = 1.0) -> float:
    """The constant weight of the contrast of two views (clvm, eq. 11 has 1)."""
    return contrast


def entropy_weight(clock: Clock, *, lambda0: float = 6e-3) -> float:
    """lambda_t = (1 - 1/t) lambda_0, so no contrast in the first epoch (ceae, sec. A.1)."""
    return (1.0 - 1.0 / clock.epoch) * lambda0


def mmd_weight(clock: Clock, *, mmd: float = 10.0) -> float:
    """The constant weight lambda of the discrepancy between codes and prior (tolstikhin2018wasserstein, sec. 4)."""
    return mmd


def code_weight(clock: Clock, *, code_norm: float = 1e-4) -> float:
    """The constant weight of |z|^2 / 2 (ghosh2020variational, sec. 3; its value is that of pythae)."""
    return code_norm


def decay_weight(clock: Clock, *, decoder_norm: float = 1e-7) -> float:
    """The constant weight of the decoder's weight decay (ghosh2020variational, sec. 3; its value is that of pythae)."""
    return decoder_norm


def decaying_noise(clock: Clock, *, c0: float | None = None, t_max: int = 10) -> float:
    """c_t = c_0 / t while t <= t_max, then 0 (ceae, sec. A.1).  `c0=None` asks for the channel-capacity rule."""
    return c0 / clock.epoch if clock.epoch <= t_max else 0.0


def lr_factor(decay: str, step: int, total: int, *, warmup_steps: int = 0, end: float = 0.0) -> float:
    """What multiplies the learning rate at a step of `total`: a linear rise over `warmup_steps`, then by `decay`

    half   : 1 to the middle, linear to 0 in the second half
    linear : from 1 to 0, as in the training of OPTIMUS
    cosine : half a cosine from 1 to `end` (loshchilov2017sgdr, eq. 5), as Transformer-XL's training
    other  : 1
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if decay == "half":
        return min(1.0, 2.0 * (1.0 - step / total))
    if decay == "linear":
        return 1.0 - step / total
    if decay == "cosine":
        done = min(1.0, (step - warmup_steps) / max(1, total - warmup_steps))
        return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * done))
    return 1.0


def segments(lengths: np.ndarray) -> float:
    """S = sum n(n-1)/2, the text segments of two words or more in sentences of so many words (N,) (ceae, sec. A.4)."""
    n = np.asarray(lengths, dtype=np.float64)
    return float((n * (n - 1) / 2).sum())


def segment_noise(count: float, latent: int, slack: float = 5.0) -> float:
    """c_0 from (1 + 1/c_0^2)^(P/2) = slack * S for S = `count` text segments and P = `latent` (ceae, sec. A.4)."""
    return float(1.0 / np.sqrt(np.expm1(np.log(slack * max(count, 1.0)) * 2.0 / latent)))


def capacity_noise(lengths: np.ndarray, latent: int, slack: float = 5.0) -> float:
    """`segment_noise` for training sentences of so many words (N,), the end symbol not counted."""
    return segment_noise(segments(lengths), latent, slack)
