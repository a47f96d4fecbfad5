"""Can the dual estimate reach the truth?  Critics fitted to the codes of a finished run, whose encoder stays as it is.

Train codes teach, validation codes choose when to stop, test codes are read.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch

from ceae_core import experiments, zoo
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.experiments.critic_fit import Pairs, Recipe, columns, fit, read, readings, rounded
from ceae_core.hardware import cpu_threads
from ceae_core.losses.dual import Critics
from ceae_core.measure.implicit import Codes, encode_all, shared_gaussian_kl
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.posteriors import Latent
from ceae_core.runs import Run, Store
from ceae_core.seeding import seeded

NAME = "refit"
STARTS, GIVEN = ("fresh", "run"), ("h", "mu")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Attempt:
    """One way to fit a critic.  `start` is a new critic or that of the run; beside a code it is `given` the sentence
    vector or the mean code, of which a linear noise head's q(z|x) is a function."""

    label: str
    start: str
    given: str
    recipe: Recipe

    @classmethod
    def of(cls, label: str, start: str = "fresh", given: str = "h", **recipe: Any) -> "Attempt":
        """Raises CeaeError for an unknown word or number that makes no sense."""
        for name, value, known in (("start", start, STARTS), ("given", given, GIVEN)):
            if value not in known:
                raise CeaeError(f"{name}: unknown value {value!r}; choose {' or '.join(known)}")
        if start == "run" and given == "mu":
            raise CeaeError("given: the critic of a run knows sentence vectors; set given=h or start=fresh")
        unknown = sorted(set(recipe) - {field.name for field in fields(Recipe)})
        if unknown:
            raise CeaeError(f"{unknown[0]}: is no part of a recipe")
        return cls(label, start, given, Recipe(**recipe))


class Frozen:
    """The codes of a run's sentences by split, and draws of the prior for each; the model is only read."""

    def __init__(self, model: TextAutoencoder, codes: Mapping[str, Codes], draws: int, seed: int) -> None:
        self.model, self.codes, self.draws = model, codes, draws
        with seeded(seed, NAME, "prior"):
            self.prior = {split: torch.randn(draws * len(codes[split].h), model.posterior.latent)
                          for split in ("valid", "test")}
        with seeded(seed, NAME, "codes"):
            self.z = {split: self._codes(codes[split].h.repeat(draws, 1)) for split in ("valid", "test")}

    @torch.no_grad()
    def _codes(self, h: torch.Tensor) -> torch.Tensor:
        return self.model.posterior.draw(h)

    def batch(self, count: int, given: str) -> Pairs:
        """What a critic is `given` of random train sentences, and a draw z ~ q(z|x) of each."""
        codes = self.codes["train"]
        rows = torch.randint(len(codes.h), (count,))
        return getattr(codes, given)[rows], self._codes(codes.h[rows])

    def held_out(self, split: str, given: str) -> Pairs:
        """The same of `draws` codes of every sentence of a split, always the same draws."""
        return getattr(self.codes[split], given).repeat(self.draws, 1), self.z[split]

    def readings(self, split: str, critics: Critics, given: str = "h") -> dict[str, float]:
        return read(critics, self.held_out(split, given), self.prior[split])

    @torch.no_grad()
    def perfect(self, split: str) -> dict[str, float]:
        """The readings of f = log q/p, for a linear noise head."""
        mu, z = self.held_out(split, "mu")
        density = self.model.posterior.density(Latent(mu, mu, z))
        values = [density.log_prob(at.double()) - self.model.posterior.prior().log_prob(at.double())
                  for at in (z, self.prior[split])]
        return readings(*values)


def refit(*, run: Run, data: str | None, attempts: Sequence[Mapping[str, Any]], draws: int, seed: int,
          ) -> dict[str, Any]:
    """Make every attempt on the codes of `run`.  Returns

    exact_nats : mean KL(q(z|x) || p) of the test sentences in closed form, None for an MLP noise head
    perfect    : `readings` of log q/p on the very draws on which critics are read; None likewise
    trained    : `readings` of the run's own critic
    attempts   : a list, in order: `best_update`, that of the highest estimate on validation codes; `readings` on test
                 codes there (`best`) and after the last update (`last`, None where the critic was no number any more,
                 after `ended` updates); the `curve` on validation codes
    """
    plans = [Attempt.of(**attempt) for attempt in attempts]
    with cpu_threads(1):
        model = run.model(CPU)
        frozen = Frozen(model, _encode(run, model, data), draws, seed)
        linear = model.posterior.is_linear
        exact = shared_gaussian_kl(frozen.codes["test"].mu.double(), model.posterior.factor()) if linear else None
        return {"exact_nats": float(exact.mean()) if linear else None,
                "perfect": rounded(frozen.perfect("test")) if linear else None,
                "trained": rounded(frozen.readings("test", model.critics)),
                "attempts": [_make(plan, frozen, seed, f"refit {run.id}, {plan.label}") for plan in plans]}


def _encode(run: Run, model: TextAutoencoder, data: str | None) -> dict[str, Codes]:
    splits = (run.spec.moved_to(data) if data else run.spec).load_corpus().splits
    vocabulary = run.vocabulary()
    return {name: encode_all(model, Encoded(splits[name].sentences, vocabulary), CPU)
            for name in ("train", "valid", "test")}


def _make(plan: Attempt, frozen: Frozen, seed: int, label: str) -> dict[str, Any]:
    """One attempt; it draws from a stream of its own, so what others draw does not matter."""
    size = getattr(frozen.codes["train"], plan.given).size(1)
    with seeded(seed, NAME, plan.label):
        critics = (deepcopy(frozen.model.critics) if plan.start == "run" else
                   plan.recipe.critics(size, frozen.model.posterior.latent))
        fitted = fit(critics, partial(frozen.batch, given=plan.given), frozen.held_out("valid", plan.given),
                     frozen.prior["valid"], plan.recipe, label)
    last = None if fitted.ended else rounded(frozen.readings("test", critics, plan.given))
    critics.load_state_dict(fitted.best)
    return {"label": plan.label, "best_update": fitted.rows[fitted.best_at]["update"], "last": last,
            "best": rounded(frozen.readings("test", critics, plan.given)), "curve": columns(fitted.rows),
            "ended": fitted.ended}


def usual(scale: str) -> dict[str, Any]:
    """The parameters of `refit` for runs of a scale: rates, safeguards, more draws of the prior per update, a wider
    critic, one that is given the mean code."""
    if scale == "smoke":
        return {"attempts": [{"label": "new critic", "critic_hidden": 16, "updates": 20, "every": 10}], "draws": 1,
                "seed": 1}
    quick = scale == "quick"
    width, wide = (128, 256) if quick else (512, 1024)
    short = {"updates": 1000, "every": 50} if quick else {"updates": 20_000, "every": 250, "patience": 20}
    long = {"updates": 500, "every": 50} if quick else {"updates": 10_000, "every": 250, "patience": 12}
    long |= {"prior_draws": 16, "critic_lr": 3e-4}
    attempts = [{"label": "its own, trained on", "start": "run", "critic_hidden": width, "critic_lr": 1e-4, **short},
                *({"label": f"new, rate {rate:g}", "critic_hidden": width, "critic_lr": rate, **short}
                  for rate in (1e-5, 1e-4, 1e-3)),
                {"label": "new, gradient clipped", "critic_hidden": width, "critic_lr": 1e-3, "clip": 1.0, **short},
                {"label": "new, e^f tamed", "critic_hidden": width, "critic_lr": 1e-3, "clamp": 5.0, **short},
                {"label": "new, many draws", "critic_hidden": width, **long},
                {"label": "new, many draws, wide", "critic_hidden": wide, **long},
                {"label": "new, many draws, given the mean code", "given": "mu", "critic_hidden": width, **long}]
    return {"attempts": attempts, "draws": 2 if quick else 4, "seed": 1}


def obtain(run: Run, *, store: Store | None = None, data: str | None = None, **parameters: Any) -> dict[str, Any]:
    """The stored experiment of `refit` on a run: {"id", "parameters", "result", …}, computed now if there is none.

    `parameters` change those of `usual`; `data` is the folder where the corpus's files are now.  Raises CeaeError for a
    run without critics or one that diverged.
    """
    run.require("are no codes to refit a critic on")
    if zoo.family(run.spec.family).critics is None:
        raise CeaeError(f"run {run.id}: family {run.spec.family} has no critics to refit")
    return experiments.obtain(NAME, lambda run_id, **rest: refit(run=run, data=data, **rest),
                              {"run_id": run.id} | usual(run.spec.scale) | parameters, store=store)
