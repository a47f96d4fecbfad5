"""How the importance-weighted bound of one trained model tightens: with the number of codes, and with the proposal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ceae_core import experiments
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.hardware import cpu_threads
from ceae_core.measure import fitting
from ceae_core.measure.bound import bound, effective_samples, encode, log_weights
from ceae_core.progress import bar
from ceae_core.runs import Run, Store
from ceae_core.spec import RunSpec

NAME = "tightening"
CPU = torch.device("cpu")


def tighten(*, run: Run, data: str | None, samples: Sequence[int], sentences: int, refine: int, seed: int,
            ) -> dict[str, Any]:
    """Every candidate of `fitting.choose` on the first test sentences.  Returns

    best      : the candidate that the validation split chooses
    proposals : by candidate `describe`, and for each number of codes in `samples` the mean `nats` per sentence and its
                standard error `se` over sentences; `ess`, the effective number of the most codes
    """
    splits = (run.spec.moved_to(data) if data else run.spec).load_corpus().splits
    vocabulary, model, most = run.vocabulary(), run.model(CPU), max(samples)
    test, valid = (Encoded(splits[name].sentences, vocabulary) for name in ("test", "valid"))
    test = test.take(np.arange(min(sentences, len(test))))
    with cpu_threads(1):
        choice = fitting.choose(model, valid, CPU, seed, samples=most, refine=refine)
        coded, found = encode(model, test, CPU, seed), {}
        with bar(len(test) * len(choice.candidates), f"tighten {run.id}") as shown:
            for name, proposal in choice.candidates.items():
                weights = log_weights(model, coded, proposal, most, seed, NAME, tick=shown.update)
                nats = [bound(weights, count) for count in samples]
                found[name] = {"describe": proposal.describe(), "ess": float(effective_samples(weights).mean()),
                               "nats": [float(each.mean()) for each in nats],
                               "se": [float(each.std() / len(each) ** 0.5) for each in nats]}
    best = next(name for name, proposal in choice.candidates.items() if proposal is choice.best)
    return {"best": best, "proposals": found}


def usual(scale: str) -> dict[str, Any]:
    """The parameters of `tighten` for runs of a scale."""
    if scale == "smoke":
        return {"samples": [1, 5, 10], "sentences": 20, "refine": 2, "seed": 1}
    return {"samples": [1, 10, 100, 500], "sentences": 50, "refine": 20, "seed": 1}


def obtain(run: Run, *, store: Store | None = None, data: str | None = None, **parameters: Any) -> dict[str, Any]:
    """The stored experiment of `tighten` on a run: {"id", "parameters", "result", …}, computed now if there is none.

    `parameters` change those of `usual`; `data` is the folder where the corpus's files are now.  Raises CeaeError for a
    run that diverged, a language model, or numbers of codes that do not divide the largest.
    """
    run.require("is no model to bound")
    if run.model().posterior is None:
        raise CeaeError(f"run {run.id}: a language model has no codes; its likelihood is exact")
    chosen = usual(run.spec.scale) | parameters
    if any(max(chosen["samples"]) % count for count in chosen["samples"]):
        raise CeaeError(f"samples: {chosen['samples']} must all divide the largest, so that groups use the same codes")
    return experiments.obtain(NAME, lambda run_id, **rest: tighten(run=run, data=data, **rest),
                              {"run_id": run.id} | chosen, store=store)


def obtain_each(specs: Sequence[RunSpec], *, device: str = "auto", retrain: bool = False, store: Store | None = None,
                ) -> list[dict[str, Any]]:
    """`obtain` for the run of each spec: kept on this machine, else recorded with the project, else computed now, for
    which the run is trained if there is none.  With `retrain` no recording counts."""
    found = {spec.id: None if retrain else
             experiments.known(NAME, {"run_id": spec.id} | usual(spec.scale), store=store) for spec in specs}
    missing = ensure([spec for spec in specs if found[spec.id] is None], store, device=device)
    found |= {run.id: obtain(run, store=store) for run in missing}
    return [found[spec.id] for spec in specs]
