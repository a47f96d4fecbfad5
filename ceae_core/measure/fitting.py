"""The proposal of the importance-weighted bound, chosen and fitted on held-out sentences."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.measure.bound import Coded, bound, encode, log_weights, weigh
from ceae_core.measure.proposals import Frame, Linear, Own, Prior, Proposal, inside
from ceae_core.measure.refine import Refined
from ceae_core.models.autoencoder import TextAutoencoder

JUDGED, JUDGE_SAMPLES = 32, 20                  # held-out sentences on which proposals are compared, codes of each
FITTED, FIT_SAMPLES, ROUNDS = 256, 32, 2        # other held-out sentences, to which proposals are fitted
WIDTHS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)  # s of N(a mu, s^2 I)
SCALES = (0.3, 0.5, 0.7, 0.85, 1.0)             # its a
FIRST_SCALE = 0.7                               # the a with which the first s is sought
EVEN = 0.1              # share of the weight that a fit spreads over all codes alike, so that it gets not too narrow
RIDGE = 0.1             # added to the variances of mu in a fit, times their mean: thin directions of mu say little
MARGIN = 0.02           # nats by which an elaborate proposal must be better than a plain one
SMALLEST = 1e-9         # added as well, since mu may be constant; and, times their mean, to the variances left


@dataclass(frozen=True)
class _Judge:
    """The bound of a proposal on the judged sentences, with the same noise for all proposals: nats per sentence."""

    model: TextAutoencoder
    coded: Sequence[Coded]
    samples: int
    seed: int

    def __call__(self, proposal: Proposal) -> float:
        return float(bound(log_weights(self.model, self.coded, proposal, self.samples, self.seed, "judge")).mean())


@dataclass(frozen=True)
class Choice:
    """The proposals that were compared, from plain to elaborate, and the bound of each, nats per judged sentence."""

    candidates: dict[str, Proposal]
    nats: dict[str, float]

    def offer(self, name: str, proposal: Proposal, judge: _Judge) -> None:
        """Take it for a candidate, unless there is a better one of that name."""
        value = judge(proposal)
        if value < self.nats.get(name, math.inf):
            self.candidates[name], self.nats[name] = proposal, value

    @property
    def best(self) -> Proposal:
        return self._best_of(self.nats)

    @property
    def best_start(self) -> Proposal:
        """The best that looks at the sentence: even a good prior has most of its codes where no posterior is."""
        return self._best_of(name for name in self.nats if name != "prior")

    def _best_of(self, names: Iterable[str]) -> Proposal:
        best, *others = names
        for name in others:
            best = name if self.nats[name] < self.nats[best] - MARGIN else best
        return self.candidates[best]


def choose(model: TextAutoencoder, held_out: Encoded, device: torch.device, seed: int, *, samples: int = FIT_SAMPLES,
           refine: int = 0) -> Choice:
    """The proposal with the tightest bound on the first sentences of `held_out` (the validation split), among

    own       : q(z|x), where it has a density
    prior     : p(z)
    isotropic : N(a mu, s^2 I), a and s from a grid, unless q(z|x) was trained as the proposal of a bound
    affine    : N(a mu + c, diag s^2), unit by unit, fitted to the sentences that follow
    linear    : N(A mu + c, C), likewise
    refined   : the best of these but the prior, then `refine` gradient steps for each sentence (0: without)

    The last four only where every vector is a code, since a Gaussian leaves the sphere, and in the coordinates in which
    the prior is N(0, I).  A later one has to be better by MARGIN.  No sentence gets more than `samples` codes here,
    those of the bound for which the proposal is meant.
    """
    judged, rest = _cut(held_out)
    judge = _Judge(model, encode(model, judged, device, seed), min(JUDGE_SAMPLES, samples), seed)
    latent, prior = judge.coded[0].latent, model.posterior.prior()
    found = Choice({}, {})
    if model.posterior.density(latent) is not None:
        found.offer("own", Own(), judge)
    found.offer("prior", Prior(), judge)
    if not prior.support.check(torch.zeros_like(latent.mu[0])):                         # the origin is not on a sphere
        return found
    frame = Frame.of(prior)
    if not model.posterior.bounded:
        found.offer("isotropic", _isotropic(judge, frame), judge)
    coded = encode(model, rest, device, seed)
    for turn in range(ROUNDS):
        start = found.best_start
        for fitted in match(model, coded, start, frame, min(FIT_SAMPLES, samples), seed, f"round {turn}"):
            found.offer(fitted.kind, fitted, judge)
        if found.best_start is start:
            break
    if refine:
        found.offer("refined", Refined(found.best_start, refine), judge)
    return found


def _cut(held_out: Encoded) -> tuple[Encoded, Encoded]:
    """The sentences to judge by and those to fit to; the same when there are too few for both."""
    count = len(held_out)
    judged = held_out.take(np.arange(min(JUDGED, count)))
    return judged, held_out.take(np.arange(JUDGED, min(JUDGED + FITTED, count))) if count > JUDGED else judged


def _isotropic(judge: _Judge, frame: Frame) -> Linear:
    """The best N(a mu, s^2 I) in the coordinates of `frame`: first s, then a, then the widths beside s."""
    known: dict[tuple[float, float], float] = {}

    def made(scale: float, width: float) -> Linear:
        return Linear.isotropic(frame, scale, width)

    def best(grid: Sequence[tuple[float, float]]) -> tuple[float, float]:
        known.update({at: judge(made(*at)) for at in grid if at not in known})
        return min(grid, key=known.get)

    _, width = best([(FIRST_SCALE, s) for s in WIDTHS])
    scale, _ = best([(a, width) for a in SCALES])
    place = WIDTHS.index(width)
    return made(*best([(scale, s) for s in WIDTHS[max(0, place - 1):place + 2]]))


def match(model: TextAutoencoder, coded: Sequence[Coded], start: Proposal, frame: Frame, samples: int, seed: int,
          *purpose: str) -> list[Linear]:
    """The affine and the linear proposal nearest to the true posteriors of the coded sentences.

    Nearest means the smallest mean KL(p(z|x) || r(z|x)).  S = `samples` codes from `start` with their importance
    weights stand in for the true posteriors; r is their regression on mu, with the covariance that it leaves (the wake
    phase of bornschein2015reweighted, in closed form), all in the coordinates of `frame`.
    """
    mus, means, second = [], [], 0.0
    for batch, z, weights in weigh(model, coded, start, samples, seed, "fit", *purpose):
        share = (1.0 - EVEN) * weights.softmax(0) + EVEN / len(weights)                 # (S, B)
        place = frame.at(batch.latent.mu)
        z = inside(z, *place)
        mus.append(inside(batch.latent.mu, *place))
        means.append((share.unsqueeze(-1) * z).sum(0))
        second = second + torch.einsum("sb,sbi,sbj->ij", share, z, z)
    mu, z = torch.cat(mus), torch.cat(means)                                            # (N, Z): mu, E z
    centred = mu - mu.mean(0)
    cov_mu, cov_z_mu = centred.T @ centred / len(mu), z.T @ centred / len(mu)           # (Z, Z)
    cov_z = second / len(mu) - torch.outer(z.mean(0), z.mean(0))                        # of the codes, not their means
    ridged = cov_mu + (RIDGE * cov_mu.diagonal().mean() + SMALLEST) * torch.eye(len(cov_mu)).to(cov_mu)
    slopes = {"affine": (cov_z_mu.diagonal() / ridged.diagonal()).diag(),
              "linear": torch.linalg.solve(ridged, cov_z_mu.T).T}
    return [Linear(kind, frame, slope, z.mean(0) - slope @ mu.mean(0), _factor(kind, slope, cov_z, cov_z_mu, cov_mu))
            for kind, slope in slopes.items()]


def _factor(kind: str, slope: torch.Tensor, cov_z: torch.Tensor, cov_z_mu: torch.Tensor, cov_mu: torch.Tensor,
            ) -> torch.Tensor:
    """Lower triangular L with L L^T = the covariance of z - A mu, of an affine fit its diagonal."""
    left = cov_z - slope @ cov_z_mu.T - cov_z_mu @ slope.T + slope @ cov_mu @ slope.T
    values, vectors = torch.linalg.eigh((left + left.T) / 2.0)
    floor = SMALLEST * values.abs().max()               # rounding may leave directions without variance below zero
    if kind == "affine":
        return left.diagonal().clamp(min=floor).sqrt().diag()
    upper = torch.linalg.qr((vectors * values.clamp(min=floor).sqrt()).T, mode="r").R
    return (upper * upper.diagonal().sign().unsqueeze(-1)).T
