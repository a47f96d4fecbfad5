"""THE TABLE: one row per family.  A row composes a posterior, loss terms with weight schedules, and what differs in the
settings; everything else is shared.  Citations are keys of the book's bibliography.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ceae_core.errors import CeaeError
from ceae_core.losses.contrastive import MomentumContrast, view_contrast
from ceae_core.losses.divergences import free_bits, kl, kl_threshold
from ceae_core.losses.dual import Critics, Dual
from ceae_core.losses.entropy import NearestNeighbourEntropy
from ceae_core.losses.regularisers import MMD, code_norm, decoder_norm
from ceae_core.models.delta import CommittedGaussian
from ceae_core.models.density import FittedPrior
from ceae_core.models.implicit import Implicit
from ceae_core.models.posteriors import Deterministic, Gaussian
from ceae_core.models.refinement import Refinement
from ceae_core.models.sphere import Spherical
from ceae_core.options import bind, options_of
from ceae_core.schedules import (
    capped_warmup,
    code_weight,
    constant,
    contrast_weight,
    cyclical,
    decay_weight,
    decaying_noise,
    entropy_weight,
    halves_and_quarters,
    mmd_weight,
    warmup,
    warmup_after_pretraining,
)
from ceae_core.steps import (
    adversarial,
    adversarial_two_views,
    aggressive,
    decoder_first,
    fit_prior,
    joint,
    joint_two_views,
    pretrained,
    semi_amortised,
)


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
    critics: Callable | None = None                     # networks that estimate a divergence, trained on their own
    refine: Callable | None = None                      # improves a posterior sentence by sentence
    terms: tuple[Term, ...] = (Term("kl", kl, warmup),)
    step: Callable = joint
    after: Callable | None = None                       # `after(training)`: done to the best model in the end
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)      # differences from the defaults of `spec.Settings`

    @property
    def parts(self) -> tuple[Callable, ...]:
        """Everything whose keyword-only arguments are options of this family."""
        own = (self.posterior, self.noise, self.critics, self.refine, self.step, self.after)
        return *(p for p in own if p), *(part for t in self.terms for part in (t.loss, t.weight))

    def signature_defaults(self) -> dict[str, Any]:
        """Every option with the default that its function declares."""
        return {name: value for part in self.parts for name, value in options_of(part).items()}

    def defaults(self) -> dict[str, Any]:
        """Every option with its default for this family."""
        return self.signature_defaults() | dict(self.options)

    @property
    def is_bounded(self) -> bool:
        """Whether Rec + KL is a bound on -log p(x): the KL has a closed form, or there is no code at all."""
        return self.posterior is None or self.posterior.bounded

    def build_posterior(self, options: Mapping[str, Any]) -> Callable | None:
        """The constructor `(hidden, latent, bias) -> posterior` with these options, or None."""
        if self.posterior is None:
            return None
        made = bind(self.posterior, options)
        return partial(made, noise=bind(self.noise, options)) if self.noise else made


# What makes a row of paper A's families one of paper B's: the other stack, whose annealing starts at 0.1.
PAPER_B = {"stack": "ivae", "kl_start": 0.1}


def _transformers(model: str, tables: tuple[int, ...] = (2, 11), **changes: Any) -> dict[str, dict[str, Any]]:
    """The rows of a model in the upper half of paper A's Table 2 and in its Table 11."""
    return {f"ceae:{table}:{model}": {"net": "transformer", **changes} for table in tables}


VAE = Family(
    "VAE, annealed", ("bowman2016generating", "kingma2014auto"),
    {"ceae:1:VAE:": {}, **_transformers("VAE:"), "ceae:3:VAE:": {},
     "clvm:1:VAE:": PAPER_B, "clvm:2:VAE:": PAPER_B, "clvm:4:VAE:": PAPER_B})
# Paper B's own families stand on the stack of iVAE; `resolve` gives its optimiser and epochs along with it.
IVAE = Family(
    "iVAE", ("fang2019implicit",), {"clvm:1:iVAE:": {}, "clvm:2:iVAE:": {}, "clvm:4:iVAE:": {}},
    posterior=Implicit, critics=Critics, terms=(Term("dual", Dual, warmup),), step=adversarial,
    options={"kl_start": 0.1}, settings={"stack": "ivae"})
# DEVIATION(clvm:3.3): where encoder dropout acts is not said; on the word embeddings and on the sentence vector.
CVAE = replace(
    IVAE, title="cVAE", cite=("teng2022contrastive",),
    rows={"clvm:1:cVAE:": {}, "clvm:3:cVAE:contrast_on=z": {}, "clvm:3:cVAE:contrast_on=h": {"contrast_on": "h"}},
    terms=(*IVAE.terms, Term("contrast", view_contrast, contrast_weight)), step=adversarial_two_views,
    settings={"stack": "ivae", "encoder_dropout": 0.3})
FREE_BITS = replace(
    VAE, title="Free bits, per unit", cite=("kingma2016improved", "li2019surprisingly"),
    rows={"ceae:1:FB:free_bits=4": {"target": 4.0}, "ceae:1:FB:free_bits=5": {"target": 5.0},
          **_transformers("FB:free_bits=7", target=7.0), "ceae:3:FB:free_bits=9": {"target": 9.0}},
    terms=(Term("free_bits", free_bits, warmup),))
CEAE = Family(
    "CEAE", ("ghose2023contrastive",), {"ceae:1:CEAE:": {}, **_transformers("CEAE:"), "ceae:3:CEAE:": {}},
    posterior=Deterministic, noise=decaying_noise, terms=(Term("entropy", MomentumContrast, entropy_weight),),
    options={"norm": "batch"}, settings={"lr": 0.1})
# DEVIATION(ceae:A.5): "the lowest lambda" is not named; 0.05 is the lowest of the tables of OPTIMUS.
OPTIMUS = Family(
    "OPTIMUS", ("li2020optimus", "ghose2023contrastive"),
    {"ceae:2:OPTIMUS:": {}, "ceae:A.5:OPTIMUS:lambda=0.5": {"dim_target": 0.5},
     "ceae:A.5:OPTIMUS:lambda=1": {"dim_target": 1.0}},
    terms=(Term("free_bits", kl_threshold, halves_and_quarters),), step=decoder_first, settings={"net": "pretrained"})

FAMILIES: dict[str, Family] = {
    "lstm-lm": Family(
        "LSTM language model", ("mikolov2010recurrent", "ghose2023contrastive"), {"ceae:1:LSTM-LM:": {}},
        posterior=None, terms=(),
        settings={"lr": 1.0, "patience": 2, "first_decay": 0}),
    "ae": Family(
        "Deterministic autoencoder", ("ghose2023contrastive", "li2019surprisingly"),
        {"ceae:3:AE:": {}, "clvm:4:AE:": {"stack": "ivae"}}, posterior=Deterministic, terms=()),
    "vae": VAE,
    "beta-vae": replace(
        VAE, title="beta-VAE", cite=("higgins2017beta",),
        rows={"ceae:1:beta-VAE:beta=0.4": {"beta": 0.4}, **_transformers("beta-VAE:beta=0.4", beta=0.4),
              "clvm:1:betaVAE:beta=0.5": PAPER_B | {"beta": 0.5},
              "clvm:2:betaVAE:beta=0.4": PAPER_B | {"beta": 0.4}, "clvm:4:betaVAE:beta=0": PAPER_B | {"beta": 0.0},
              "clvm:4:betaVAE:beta=0.5": PAPER_B | {"beta": 0.5}},
        terms=(Term("kl", kl, capped_warmup),)),
    "cyclic": replace(
        VAE, title="Cyclical annealing", cite=("fu2019cyclical",),
        rows={"ceae:1:cyclic:": {}, **_transformers("cyclic:"), "ceae:3:cyclic:": {},
              "clvm:1:CycVAE:": PAPER_B | {"cycle_epochs": 10.0}, "clvm:4:CycVAE:": PAPER_B | {"cycle_epochs": 10.0}},
        terms=(Term("kl", kl, cyclical),)),
    "fb": FREE_BITS,
    "fb-total": replace(FREE_BITS, title="Free bits, total", rows={}, options={"unit": "total"}),
    "ae+fb": replace(
        FREE_BITS, title="Free bits after pre-training as an autoencoder", cite=("li2019surprisingly",),
        rows={"ceae:3:AE+FB:free_bits=6": {}}, terms=(Term("free_bits", free_bits, warmup_after_pretraining),),
        step=pretrained, options={"target": 6.0}, settings={"epochs": 130}),
    "sa-vae": replace(
        VAE, title="Semi-amortised VAE", cite=("kim2018semi",),
        rows={"ceae:1:SA-VAE:": {}, "clvm:1:SaVAE:": PAPER_B | {"svi_steps": 10}, "clvm:2:SaVAE:": PAPER_B,
              "clvm:4:SaVAE:": PAPER_B | {"svi_steps": 10}},
        refine=Refinement, step=semi_amortised),
    "agg-vae": replace(
        VAE, title="Aggressive encoder updates", cite=("he2019lagging",),
        rows={"ceae:1:Agg-VAE:": {}, "ceae:3:Agg-VAE:": {}, "clvm:2:LagVAE:": PAPER_B}, step=aggressive),
    "bn-vae": replace(
        VAE, title="BN-VAE", cite=("zhu2020batch",),
        rows={"ceae:1:BN-VAE:gamma=0.6": {"gamma": 0.6}, "ceae:1:BN-VAE:gamma=0.7": {"gamma": 0.7},
              **_transformers("BN-VAE:gamma=0.7", gamma=0.7), "ceae:3:BN-VAE:gamma=0.6": {"gamma": 0.6}},
        options={"norm": "batch", "gamma": 0.7}),
    "skip-vae": replace(
        VAE, title="Skip-VAE", cite=("dieng2019avoiding",), rows={"ceae:1:Skip-VAE:": {}}, settings={"skip": True}),
    # bn-vae starts the encoders of these two narrow as well.
    "delta-vae": replace(
        VAE, title="delta-VAE", cite=("razavi2019preventing",),
        rows={"ceae:1:delta-VAE:delta=0.1": {"delta": 0.1},
              **_transformers("delta-VAE:delta=0.1", (11,), delta=0.1), "ceae:3:delta-VAE:": {}},
        posterior=CommittedGaussian, settings={"init": "narrow"}),
    "vmf-vae": Family(
        "vMF-VAE", ("xu2018spherical", "davidson2018hyperspherical"),
        {"ceae:1:vMF-VAE:kappa=13": {"kappa": 13.0}}, posterior=Spherical, terms=(), settings={"init": "narrow"}),
    "wae-mmd": Family(
        "WAE with MMD", ("tolstikhin2018wasserstein",), {}, posterior=Deterministic,
        terms=(Term("mmd", MMD, mmd_weight),)),
    "rae": Family(
        "Regularised autoencoder", ("ghosh2020variational",), {}, posterior=FittedPrior,
        terms=(Term("code_norm", code_norm, code_weight), Term("decoder_norm", decoder_norm, decay_weight)),
        after=fit_prior),
    "ceae": CEAE,
    "ceae-ln": replace(
        CEAE, title="CEAE with layer norm", cite=("ghose2023contrastive", "ba2016layer"), rows={},
        options={"norm": "layer"}),
    "ceae-knn": replace(
        CEAE, title="CEAE with the entropy of nearest neighbours", rows={},
        cite=("ghose2023contrastive", "delattre2017kozachenko"),
        terms=(Term("entropy", NearestNeighbourEntropy, entropy_weight),)),
    "ivae": IVAE,
    "ivae-mi": replace(
        IVAE, title="iVAE with mutual information",
        rows={"clvm:1:iVAE_MI:": {}, "clvm:2:iVAE_MI:": {}, "clvm:4:iVAE_MI:": {}},
        options={"kl_start": 0.1, "mi": True}),
    "cvae": CVAE,
    "cvae-mi": replace(
        CVAE, title="cVAE with mutual information",
        rows={"clvm:1:cVAE_MI:": {}, "clvm:3:cVAE_MI:contrast_on=z": {},
              "clvm:3:cVAE_MI:contrast_on=h": {"contrast_on": "h"}},
        options={"kl_start": 0.1, "mi": True}),
    "cvae+": replace(
        CVAE, title="cVAE+, circle loss", rows={"clvm:1:cVAE+:": {}}, options={"kl_start": 0.1, "circle": True}),
    "cvae+-mi": replace(
        CVAE, title="cVAE+ with mutual information",
        rows={"clvm:1:cVAE+_MI:": {}, "clvm:2:cVAE+_MI:": {}, "clvm:4:cVAE+_MI:": {},
              "clvm:7:cVAE+_MI:augmentation=dropout": {}, "clvm:7:cVAE+_MI:augmentation=swap": {"augment": "swap"}},
        options={"kl_start": 0.1, "circle": True, "mi": True}),
    "cvae-gaussian": replace(
        CVAE, title="cVAE with a Gaussian posterior", rows={}, posterior=Gaussian, critics=None,
        terms=(Term("kl", kl, warmup), Term("contrast", view_contrast, contrast_weight)), step=joint_two_views),
    "optimus": OPTIMUS,
    "optimus-bn-vae": replace(
        OPTIMUS, title="OPTIMUS with BN-VAE's code", cite=(*OPTIMUS.cite, "zhu2020batch"),
        rows={"ceae:2:BN-VAE:gamma=0.7, OPTIMUS": {"gamma": 0.7}}, options={"norm": "batch", "gamma": 0.7}),
    "optimus-ceae": replace(
        CEAE, title="OPTIMUS with CEAE's code", cite=OPTIMUS.cite, rows={"ceae:2:CEAE:OPTIMUS": {}},
        step=decoder_first, settings=OPTIMUS.settings),
}


def family(name: str) -> Family:
    """The row called `name`.  Raises CeaeError that lists the names there are."""
    if name not in FAMILIES:
        raise CeaeError(f"family: there is no {name!r} in the zoo; `ceae zoo` lists {', '.join(FAMILIES)}")
    return FAMILIES[name]
