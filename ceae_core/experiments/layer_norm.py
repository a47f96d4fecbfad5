"""Codes of a run against what its norm fixes; samples from the prior, as it is and put where layer norm puts codes."""

from typing import Any

import numpy as np
import torch

from ceae_core import experiments, generate
from ceae_core.corpora import oracle
from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.corpus import Corpus
from ceae_core.execute import ensure
from ceae_core.experiments import RESULTS
from ceae_core.hardware import cpu_threads
from ceae_core.measure import latent
from ceae_core.measure.moments import Moments, on_the_sphere
from ceae_core.runs import Run, Store
from ceae_core.seeding import derive
from ceae_core.spec import RunSpec

NAME = "layer-norm"
VERSION = 1                     # raise it when a change of the code alters the numbers
DRAWS = 2_000                   # codes from the prior
PRIORS = ("as it is", "on the sphere")
DECODER = "multinomial"         # one word at a time from the decoder's distribution, which the law of codes then shapes


def usual(scale: str) -> dict[str, Any]:
    """Samples by prior and their seed."""
    return {"samples": 200 if scale == "smoke" else 1_000, "seed": 1}


def measure(run: Run, corpus: Corpus, *, samples: int, seed: int) -> dict[str, Any]:
    """Of the codes of the test split and of draws from N(0, I), their moments; of sentences from both priors of PRIORS,
    on the oracle corpus, what the grammar says.

    `codes`, `prior`: `Moments`; `nearest`, `nearest_prior`: mean largest cosine of a code with another; `scores`: prior
    -> `oracle.Score`.
    """
    with cpu_threads(1):
        model, vocabulary = run.model("cpu"), run.vocabulary()
        z = latent.codes(model, Encoded(corpus.splits["test"].sentences, vocabulary), torch.device("cpu"))[0].numpy()
        drawn = np.random.default_rng(derive(seed, NAME)).standard_normal((DRAWS, z.shape[1]))
        found = {"codes": Moments.of(z).plain(), "prior": Moments.of(drawn).plain(), "nearest": nearest(z),
                 "nearest_prior": nearest(drawn[:len(z)]), "scores": {}}
        if run.spec.corpus == "oracle":
            for prior, codes in zip(PRIORS, (drawn, on_the_sphere(drawn)), strict=True):
                with torch.random.fork_rng():
                    torch.manual_seed(derive(seed, NAME, "words"))
                    made = generate.decode(model, torch.tensor(codes[:samples], dtype=torch.float32), vocabulary,
                                           how=DECODER)
                found["scores"][prior] = oracle.score(made)._asdict()
    return found


def nearest(z: np.ndarray) -> float:
    """Mean over codes (N, Z) of the largest cosine with another one: what the contrast pushes down."""
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return float(cosine.max(1).mean())


def obtain(spec: RunSpec, *, store: Store | None = None, device: str = "auto", retrain: bool = False) -> dict[str, Any]:
    """The stored experiment of `measure` on a run, recorded or computed now, the run trained if it is not there.

    Raises CeaeError for a run that diverged.
    """
    parameters = {"run_id": spec.id} | usual(spec.scale)
    if not retrain and (found := experiments.known(NAME, parameters, version=VERSION, store=store, results=RESULTS)):
        return found

    def compute(run_id: str, **rest: Any) -> dict[str, Any]:
        run, = ensure([spec], store, device=device)
        run.require("are no codes to look at")
        return measure(run, spec.load_corpus(), **rest)
    return experiments.obtain(NAME, compute, parameters, version=VERSION, store=store)
