"""Synthetic clusters: one-hot categories through a code of two units (clvm, sec. 4.1 and 4.4; fang2019implicit).

An input is one of K categories with Gaussian noise, the code has two units, the decoder gives K probabilities.  Does
each category get a region of its own, and after how many steps?  All seeds of a training run side by side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.experiments.stacked import StackedMLP, Streams
from ceae_core.hardware import cpu_threads
from ceae_core.losses.contrastive import info_nce
from ceae_core.losses.divergences import gaussian_kl
from ceae_core.losses.dual import Dual, dual_kl
from ceae_core.progress import bar
from ceae_core.runs import Store

VERSION = 1             # of what is computed here: a change makes earlier results others
NAME = "clusters"
LATENT = 2
# DEVIATION(clvm:4.1): widths are not given; all sizes and rates are those of Implicit-LVM.
HIDDEN = 64
SHOWN = 240             # codes kept of a snapshot, over all categories
# The paper trains 80,000 steps; Implicit-LVM's rate is 1e-5.  The smaller scales go the same way, learning rate times
# steps, in fewer and longer steps, and keep codes at the same points of it.
SCALES: dict[str, dict[str, Any]] = {
    "smoke": dict(steps=16, lr=5e-2, log_every=4, snapshots=[0, 1, 3, 6, 16], batch=32, evaluated=20),
    "quick": dict(steps=400, lr=2e-3, log_every=10, snapshots=[0, 18, 25, 75, 150, 400], evaluated=200),
    "laptop": dict(steps=4000, lr=2e-4, log_every=50, snapshots=[0, 175, 250, 750, 1500, 4000]),
    "paper": dict(steps=80_000, lr=1e-5, log_every=500, snapshots=[0, 3500, 5000, 15_000, 30_000, 80_000]),
}


@dataclass(frozen=True)
class Model:
    """A model of the comparison; `dual` builds its divergence from the prior, None: a Gaussian code with its own KL."""

    title: str
    cite: str
    dual: Mapping[str, Any] | None = None       # options of `Dual`
    contrast: bool = False                      # two views of each input and their contrast
    rate: float = 1.0                           # learning rate of encoder and decoder, in units of `lr`


MODELS = {
    # Implicit-LVM's own VAE learns at 2e-5, its implicit model and the critic at 1e-5
    "vae": Model("VAE", "kingma2014auto", rate=2.0),
    "ivae": Model("iVAE", "fang2019implicit", {}),
    "cvae": Model("cVAE", "teng2022contrastive", {}, contrast=True),
    "cvae+": Model("cVAE+, sign as printed", "teng2022contrastive", {"circle": True}, contrast=True),
    "cvae+ adversarial": Model("cVAE+, adversarial sign", "teng2022contrastive",
                               {"circle": True, "encoder_sign": "adversarial"}, contrast=True),
}

LONG = SCALES["paper"]
SHORT = {**LONG, "steps": 10_000, "log_every": 250, "snapshots": [0, 3500, 5000, 10_000]}
# What is recorded at the original rate: (models, categories, seeds, options), in order of importance
RECORDED = (
    (("cvae+",), 4, [1, 2], SHORT), (("ivae",), 4, [1], LONG), (("cvae", "cvae+ adversarial"), 4, [1, 2], SHORT),
    (("cvae+",), 8, [1, 2], SHORT), (("ivae",), 8, [1], LONG), (("vae",), 4, [1, 2], LONG),
    (("cvae", "cvae+ adversarial"), 8, [1, 2], SHORT), (("cvae+", "cvae", "cvae+ adversarial"), 16, [1], SHORT),
)


def record_all(store: Store | None = None) -> None:
    """Train what is recorded at the original rate, an hour on one core; each result is written when it is there."""
    for models, categories, seeds, options in RECORDED:
        for model in models:
            content, = obtain([{"model": model, "categories": categories, "seeds": seeds, **options}], store=store)
            experiments.record(content)


def obtain(wanted: Sequence[Mapping[str, Any]], *, store: Store | None = None) -> list[dict[str, Any]]:
    """The trainings of the `wanted` options of `train`, from the store or computed now, side by side."""
    return experiments.obtain_each(NAME, train, wanted, version=VERSION, store=store)


def reconstruction_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, summed over the outputs: logits (…, K), labels (…) -> (…) nats (clvm, sec. 4.1)."""
    # DEVIATION(clvm:4.1): the second term is printed with a plus, -e_k log s(y_k) + sum (1 - e_i) log(1 - s(y_i)),
    # which has no lower bound; it is a cross-entropy with a minus.
    target = torch.eye(logits.size(-1)).to(logits)[labels]
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)


def accuracy(codes: torch.Tensor) -> torch.Tensor:
    """Share of codes that are nearest to the centroid of their own category, (S, K, N, 2) -> (S,).

    Centroids come from the first half of each category's codes, the share is of the second half.
    """
    centroids, held = _halves(codes)
    distances = (held.flatten(1, 2).unsqueeze(2) - centroids.unsqueeze(1)).square().sum(-1)         # (S, K N/2, K)
    own = torch.arange(codes.size(1)).repeat_interleave(held.size(2))
    return (distances.argmin(-1) == own).float().mean(-1)


def intra_distance(codes: torch.Tensor) -> torch.Tensor:
    """Mean Euclidean distance of a code to the centroid of its category, halves as in `accuracy`, (S,)."""
    centroids, held = _halves(codes)
    return (held - centroids.unsqueeze(2)).norm(dim=-1).mean((1, 2))


def inter_distance(codes: torch.Tensor) -> torch.Tensor:
    """Mean Euclidean distance between the centroids of two categories, over all pairs, (S,)."""
    centroids, _ = _halves(codes)
    first, second = torch.triu_indices(codes.size(1), codes.size(1), 1)
    return (centroids[:, first] - centroids[:, second]).norm(dim=-1).mean(-1)


def second_moment(codes: torch.Tensor) -> torch.Tensor:
    """Mean square of a unit of the code over all categories, (S,); it is 1 under the prior."""
    return codes.square().mean((1, 2, 3))


def decoded(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Share of codes whose most probable output is their own category: logits (S, N, K), labels (S, N) -> (S,)."""
    return (logits.argmax(-1) == labels).float().mean(-1)


def _halves(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centroids (S, K, 2) of the first half of the codes (S, K, N, 2), and the second half (S, K, N/2, 2)."""
    first, second = codes.chunk(2, dim=2)
    return first.mean(2), second


class Trainings:
    """The networks of one model with all seeds, S of them: encoder, decoder, critic f(x, z), and their optimisers.

    Options are those of `train`.
    """

    def __init__(self, model: Model, categories: int, seeds: Sequence[int], lr: float, batch: int, inner_updates: int,
                 mask_same_class: bool, temperature: float) -> None:
        self.model, self.categories, self.batch, self.inner_updates = model, categories, batch, inner_updates
        self.mask_same_class, self.temperature = mask_same_class, temperature
        self.views = 2 if model.contrast else 1
        self.draws, self.one_hot = Streams(seeds, "steps"), torch.eye(categories)
        activation = partial(F.elu if model.dual is None else F.leaky_relu, inplace=True)
        made = partial(StackedMLP, seeds=seeds, activation=activation)
        inputs, codes = (categories, 2 * LATENT) if model.dual is None else (categories + LATENT, LATENT)
        self.encoder = made((inputs, HIDDEN, HIDDEN, HIDDEN, codes), purpose="encoder")
        self.decoder = made((LATENT, HIDDEN, HIDDEN, HIDDEN, categories), purpose="decoder")
        self.trained = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimiser = torch.optim.Adam(self.trained, lr * model.rate, fused=True)
        if model.dual is not None:
            self.dual = Dual(None, **model.dual)
            self.critic = made((categories + LATENT, HIDDEN, HIDDEN, 1), purpose="critic")
            self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr, fused=True)

    def encode(self, x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """One-hot x (S, N, K), noise (S, N, 2) -> codes (S, N, 2) and, of a Gaussian, their KL (S, N) in nats."""
        if self.model.dual is not None:
            return self.encoder(torch.cat([x, noise], -1)), None
        mu, logvar = self.encoder(x).chunk(2, -1)
        return mu + (0.5 * logvar).exp() * noise, gaussian_kl(mu, logvar).sum(-1)

    def f(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The critic, (S, N, K) and (S, N, 2) -> (S, N)."""
        return self.critic(torch.cat([x, z], -1)).squeeze(-1)

    def step(self) -> None:
        """One step of encoder and decoder, after `inner_updates` of the critic on the same codes (clvm, alg. 1)."""
        # DEVIATION(clvm:4.1): 256 independent categories, where Implicit-LVM draws 4 and takes each 64 times.
        labels = self.draws.integers(self.categories, self.batch)                                   # (S, B)
        x = self.one_hot[labels]
        # DEVIATION(clvm:4.1): the source of the two views is not given; the networks have no dropout, so the views are
        # one category with two draws of the noise.
        views = [self.encode(x, noise) for noise in self.draws.normal(self.views, self.batch, LATENT).unbind(1)]
        codes = [z for z, _ in views]
        if self.model.dual is None:
            loss = views[0][1].mean(-1)
        else:
            self._train_critic(x, [z.detach() for z in codes])
            term = torch.vmap(lambda f_q: self.dual.encoder_value(f_q).mean())
            loss = sum(term(self.f(x, z)) for z in codes) / self.views                              # (S,)
        loss = loss + sum(reconstruction_loss(self.decoder(z), labels).mean(-1) for z in codes) / self.views
        if self.model.contrast:
            loss = loss + self._contrast(codes, labels)
        gradients = torch.autograd.grad(loss.sum(), self.trained)
        for parameter, gradient in zip(self.trained, gradients, strict=True):
            parameter.grad = gradient
        self.optimiser.step()

    def _contrast(self, codes: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The contrast of the two views (S,), nats.

        A batch of 256 has many negatives of the anchor's own category; `mask_same_class` leaves those out.
        """
        same = labels.unsqueeze(1) == labels.unsqueeze(2) if self.mask_same_class else None             # (S, B, B)
        return torch.vmap(lambda anchors, positives, left_out: info_nce(anchors, positives, self.temperature, left_out),
                          in_dims=(0, 0, None if same is None else 0))(*codes, same).mean(-1)

    def _train_critic(self, x: torch.Tensor, codes: list[torch.Tensor]) -> None:
        """`inner_updates` steps of the critic on these codes, (S, B, 2) without gradient, and fresh prior draws."""
        inputs = torch.cat([x] * 2 * len(codes), 1)
        for prior in self.draws.normal(self.inner_updates, len(codes) * self.batch, LATENT).unbind(1):
            values = self.f(inputs, torch.cat([*codes, prior], 1)).chunk(2 * len(codes), 1)         # (S, B) each
            loss = torch.vmap(self.dual.critic_value)(values[:len(codes)], values[len(codes):])
            self.critic_optimiser.zero_grad()
            loss.sum().backward()
            self.critic_optimiser.step()


def train(*, model: str, categories: int, steps: int, lr: float, seeds: Sequence[int], log_every: int,
          snapshots: Sequence[int] = (), batch: int = 256, inner_updates: int = 5, mask_same_class: bool = False,
          temperature: float = 0.05, evaluated: int = 500) -> dict[str, Any]:
    """Train `model` with every seed; measure every `log_every` steps, keep codes of the first seed at `snapshots`.

    Each measurement is of the same `evaluated` draws of the noise per category, centroids from one half, the rest from
    the other.  Nats per input; kl is exact for a Gaussian code, else the dual estimate.

    Returns {"steps": (L,), "measures": {name: (L, S)}, "codes": {step: (K, n, 2)}}; the measures of a seed that
    overflowed are None.
    Raises CeaeError for a model or a number that makes no sense.
    """
    if model not in MODELS:
        raise CeaeError(f"model: unknown value {model!r}; choose one of {', '.join(MODELS)}")
    for name, value, least in (("categories", categories, 2), ("steps", steps, 0), ("log_every", log_every, 1),
                               ("batch", batch, 2), ("evaluated", evaluated, 2), ("seeds", len(seeds), 1)):
        if value < least:
            raise CeaeError(f"{name}: must be at least {least}, not {value}")
    with cpu_threads(1), bar(steps, f"{MODELS[model].title}, K = {categories}") as progress:
        training = Trainings(MODELS[model], categories, seeds, lr, batch, inner_updates, mask_same_class, temperature)
        draws = Streams(seeds, "measurement").normal(2, categories * evaluated, LATENT)
        logged, measured, codes = [], [], {}
        for step in range(steps + 1):
            if step % log_every == 0 or step == steps or step in snapshots:
                values, points = _measure(training, draws)
                logged.append(step)
                measured.append(values)
                if step in snapshots:
                    codes[str(step)] = _plain(points[0, :, :max(1, SHOWN // categories)].tolist(), 3)
            if step < steps:
                training.step()
                progress.update()
    return {"steps": logged, "codes": codes, "measures": {
        name: [_plain(values[name].tolist(), 4) for values in measured] for name in measured[0]}}


@torch.no_grad()
def _measure(training: Trainings, draws: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Each measure (S,) and the codes (S, K, N/K, 2), from draws (S, 2, N, 2): the noise, the prior."""
    noise, prior = draws.unbind(1)
    each = draws.size(2) // training.categories
    labels = torch.arange(training.categories).repeat_interleave(each).expand(len(draws), -1)
    x = training.one_hot[labels]
    z, kl = training.encode(x, noise)
    kl = torch.vmap(dual_kl)(training.f(x, z), training.f(x, prior)) if kl is None else kl.mean(-1)
    logits, codes = training.decoder(z), z.unflatten(1, (training.categories, each))
    return {"accuracy": accuracy(codes), "decoded": decoded(logits, labels), "intra": intra_distance(codes),
            "inter": inter_distance(codes), "second_moment": second_moment(codes),
            "bce": reconstruction_loss(logits, labels).mean(-1), "kl": kl}, codes


def _plain(values: Any, digits: int) -> Any:
    """Nested lists of numbers with so many significant digits, which keeps files small; None for what is not finite."""
    if isinstance(values, list):
        return [_plain(value, digits) for value in values]
    return float(f"{values:.{digits}g}") if math.isfinite(values) else None
