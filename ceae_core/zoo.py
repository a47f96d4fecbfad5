"""THE TABLE: one row per family.  A row composes a posterior, loss terms with weight schedules, and what differs in the
settings; everything else is shared.  Citations are keys of the book's bibliography.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ceae_core.errors import CeaeError
from ceae_core.losses.contrastive import MomentumContrast
from ceae_core.losses.divergences import free_bits, kl
from ceae_core.models.posteriors import Deterministic, Gaussian
from ceae_core.options import bind, options_of
from ceae_core.schedules import capped_warmup, constant, cyclical, decaying_noise, entropy_weight, warmup
from ceae_core.steps import joint


@dataclass(frozen=True)
class Term:
    """A named loss term: `loss(context) -> (B,)` nats, or a class built on the model whose instances do that."""

    name: str
    loss: Callable
    weight: Callable = constant


@dataclass(frozen=True)
class Family:
    """One row.  `options` holds what differs from the defaults in the signatures of its parts."""

    title: str
    cite: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Any]]               # "paper:table:model:variant" -> what `--set` makes it that row
    posterior: Callable | None = Gaussian
    noise: Callable | None = None                       # schedule of the noise in a deterministic code
    terms: tuple[Term, ...] = (Term("kl", kl, warmup),)
    step: Callable = joint
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)      # differences from the defaults of `spec.Settings`

    @property
    def parts(self) -> tuple[Callable, ...]:
        """Everything whose keyword-only arguments are options of this family."""
        own = (self.posterior, self.noise, self.step)
        return *(p for p in own if p), *(part for t in self.terms for part in (t.loss, t.weight))

    def signature_defaults(self) -> dict[str, Any]:
        """Every option with the default that its function declares."""
        return {name: value for part in self.parts for name, value in options_of(part).items()}

    def defaults(self) -> dict[str, Any]:
        """Every option with its default for this family."""
        return self.signature_defaults() | dict(self.options)

    @property
    def is_bounded(self) -> bool:
        """Whether Rec + KL is a bound on -log p(x): the posterior has a density, or there is no code at all."""
        return self.posterior is not Deterministic

    def build_posterior(self, options: Mapping[str, Any]) -> Callable | None:
        """The constructor `(hidden, latent, bias) -> posterior` with these options, or None."""
        if self.posterior is None:
            return None
        made = bind(self.posterior, options)
        return partial(made, noise=bind(self.noise, options)) if self.noise else made


VAE = Family(
    "VAE, annealed", ("bowman2016generating", "kingma2014auto"),
    {"ceae:1:VAE:": {}, "ceae:3:VAE:": {}, "clvm:1:VAE:": {}, "clvm:2:VAE:": {},
     "clvm:4:VAE:": {}})
FREE_BITS = replace(
    VAE, title="Free bits, per unit", cite=("kingma2016improved", "li2019surprisingly"),
    rows={"ceae:1:FB:free_bits=4": {"target": 4.0}, "ceae:1:FB:free_bits=5": {"target": 5.0},
          "ceae:3:FB:free_bits=9": {"target": 9.0}},
    terms=(Term("free_bits", free_bits, warmup),))

FAMILIES: dict[str, Family] = {
    "lstm-lm": Family(
        "LSTM language model", ("mikolov2010recurrent", "ghose2023contrastive"), {"ceae:1:LSTM-LM:": {}},
        posterior=None, terms=(),
        settings={"lr": 1.0, "patience": 2, "first_decay": 0}),
    "ae": Family(
        "Deterministic autoencoder", ("ghose2023contrastive", "li2019surprisingly"),
        {"ceae:3:AE:": {}, "clvm:4:AE:": {}}, posterior=Deterministic, terms=()),
    "vae": VAE,
    "beta-vae": replace(
        VAE, title="beta-VAE", cite=("higgins2017beta",),
        rows={"ceae:1:beta-VAE:beta=0.4": {"beta": 0.4}, "clvm:1:betaVAE:beta=0.5": {"beta": 0.5},
              "clvm:2:betaVAE:beta=0.4": {"beta": 0.4}, "clvm:4:betaVAE:beta=0": {"beta": 0.0},
              "clvm:4:betaVAE:beta=0.5": {"beta": 0.5}},
        terms=(Term("kl", kl, capped_warmup),)),
    "cyclic": replace(
        VAE, title="Cyclical annealing", cite=("fu2019cyclical",),
        rows={"ceae:1:cyclic:": {}, "ceae:3:cyclic:": {},
              "clvm:1:CycVAE:": {"cycle_epochs": 10.0}, "clvm:4:CycVAE:": {"cycle_epochs": 10.0}},
        terms=(Term("kl", kl, cyclical),)),
    "fb": FREE_BITS,
    "fb-total": replace(FREE_BITS, title="Free bits, total", rows={}, options={"unit": "total"}),
    "bn-vae": replace(
        VAE, title="BN-VAE", cite=("zhu2020batch",),
        rows={"ceae:1:BN-VAE:gamma=0.6": {"gamma": 0.6}, "ceae:1:BN-VAE:gamma=0.7": {"gamma": 0.7},
              "ceae:3:BN-VAE:gamma=0.6": {"gamma": 0.6}},
        options={"norm": "batch", "gamma": 0.7}),
    "ceae": Family(
        "CEAE", ("ghose2023contrastive",), {"ceae:1:CEAE:": {}, "ceae:3:CEAE:": {}},
        posterior=Deterministic, noise=decaying_noise, terms=(Term("entropy", MomentumContrast, entropy_weight),),
        options={"norm": "batch"}, settings={"lr": 0.1}),
}


def family(name: str) -> Family:
    """The row called `name`.  Raises CeaeError that lists the names there are."""
    if name not in FAMILIES:
        raise CeaeError(f"family: there is no {name!r} in the zoo; `ceae zoo` lists {', '.join(FAMILIES)}")
    return FAMILIES[name]
