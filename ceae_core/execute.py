"""Get runs by their specs: load what is complete, resume what is partial, train what is missing."""

import json
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import torch

from ceae_core import generate
from ceae_core.corpora import Corpus
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.hardware import choose_device, cpu_threads, environment
from ceae_core.manifest import COMPLETE, DIVERGED, TRAINING, Corrupt
from ceae_core.measure import measure
from ceae_core.progress import bar, say
from ceae_core.runs import Run, Store
from ceae_core.seeding import derive
from ceae_core.spec import RunSpec
from ceae_core.sweep import driver
from ceae_core.sweep.display import follow
from ceae_core.sweep.engines import Processes, slots
from ceae_core.sweep.policy import DONE
from ceae_core.training import Diverged, Training

SAMPLES = 200               # sentences kept per decoding rule
MEASURES_VERSION = 2        # raise it when a change of the code alters a measure


def obtain(spec: RunSpec, store: Store, *, device: str = "auto", wait: bool = True,
           checkpoint_seconds: float = 60.0) -> Run:
    """The run of `spec`, from the store or trained now.

    Raises Preempted when a signal stopped it (repeat to continue) and CeaeError for input that cannot be used.
    """
    began = time.monotonic()
    with store.lease(spec.id, wait):
        run = store.open_or_quarantine(spec.id)
        if run is not None and run.status != TRAINING:
            _log(spec, "loaded", began)
            return run
        where = choose_device(device)
        corpus = spec.load_corpus()
        for note in corpus.notes:
            say(f"{corpus.name}: {note}")
        training, spent = _begin_or_resume(spec, corpus, store, run, where)
        action = "resumed" if training.step else "trained"

        def seconds() -> float:
            return round(spent + time.monotonic() - began, 2)

        reason = None
        try:
            training.run(lambda t: store.save_state(spec.id, {"training": t.state(), "seconds": seconds()}, t.step),
                         checkpoint_seconds)
        except Diverged as error:
            reason = str(error)
        record = {"best_epoch": training.best_epoch, "train_seconds": seconds(), "measures_version": MEASURES_VERSION,
                  "environment": environment(training.device), "metrics": {}}
        samples: dict[str, list[str]] = {}
        if reason is None:
            record["metrics"], samples = _results(training, corpus)
            infinite = [k for k, v in record["metrics"].items() if isinstance(v, float) and not math.isfinite(v)]
            if infinite:
                reason, record["metrics"] = f"{spec.id}: {infinite[0]} is not finite", {}
        record |= {"status": DIVERGED if reason else COMPLETE, "reason": reason, "total_seconds": seconds()}
        run = store.finish(spec.id, record["status"], model=training.best, record=record, history=training.history,
                           samples=samples, vocabulary=training.vocabulary)
        _log(spec, action, began)
        return run


def _begin_or_resume(spec: RunSpec, corpus: Corpus, store: Store, run: Run | None,
                     device: torch.device) -> tuple[Training, float]:
    """The training at its last checkpoint, or at its start, and the seconds it has taken so far."""
    vocabulary = corpus.vocabulary(spec.settings.vocabulary)
    training = Training(spec, corpus, vocabulary, device)
    try:
        state = run.checkpoint(device) if run else None
        if state:
            training.restore(state["training"])
            return training, state["seconds"]
    except Corrupt as error:
        store.quarantine(spec.id, str(error))
        run, training = None, Training(spec, corpus, vocabulary, device)
    if run is None:
        store.begin(spec)
    return training, 0.0


def _results(training: Training, corpus: Corpus) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Measures of the best model on the test split, and sentences from its prior by decoding rule."""
    spec, model, vocabulary = training.spec, training.model, training.vocabulary
    training.finish()
    test = Encoded(corpus.splits["test"].sentences, vocabulary)
    with cpu_threads(spec.settings.threads):
        metrics = measure(model, test, training.valid_set, training.device, seed=spec.seed,
                          iw_samples=spec.settings.iw_samples, iw_sentences=spec.settings.iw_sentences,
                          iw_refine=spec.settings.iw_refine, label=f"measure {spec.id}")
        seed = derive(spec.seed, "kept samples")
        samples = {how: [" ".join(s) for s in generate.sample(model, vocabulary, SAMPLES, how=how, seed=seed)]
                   for how in generate.DECODERS}
    return metrics, samples


def _log(spec: RunSpec, action: str, began: float) -> None:
    """One line for the build's status page, where CEAE_RUN_LOG names a file."""
    path = os.environ.get("CEAE_RUN_LOG")
    if path:
        line = {"run": spec.id, "action": action, "seconds": round(time.monotonic() - began, 2),
                "chapter": os.environ.get("CEAE_CHAPTER")}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def ensure(specs: Sequence[RunSpec], store: Store | None = None, *, device: str = "auto",
           workers: int | None = None) -> list[Run]:
    """The runs of all `specs`, in their order; what is missing trains side by side, one process and one run each.

    `workers` defaults to the CPU cores, or 1 on a GPU.  Raises CeaeError naming every run that failed; one that
    diverged has not.
    """
    store = store or Store()
    missing = [spec for spec in {spec.id: spec for spec in specs}.values() if store.finished(spec.id) is None]
    if missing:
        engine = Processes(store, device, workers or slots(device))
        with bar(1000 * len(missing), "training") as shown:
            move = follow(shown)

            def tell(state: driver.State) -> None:
                move(state)
                shown.set_postfix_str(f"{len(state.finished)} of {len(missing)} runs")
            ended = driver.train(missing, engine, tell)
        if failed := [each for each in ended if each.ending.how not in (DONE, DIVERGED)]:
            raise CeaeError("; ".join(f"run {each.run_id}: {each.why}" for each in failed))
    trained = {spec.id for spec in missing}
    return [store.find(spec.id) if spec.id in trained else obtain(spec, store, device=device) for spec in specs]


def remeasure(run: Run, *, iw_samples: int | None = None, iw_sentences: int | None = None,
              iw_refine: int | None = None, data: str | None = None, device: str = "auto") -> dict[str, Any]:
    """All measures of a finished run, taken again on its test split; nothing in the store changes.

    `data` is the folder where the corpus's files are now; the three of the importance-weighted bound default to those
    of the run.  Raises CeaeError for a run that diverged, a corpus that is not there or has changed, counts below 1
    (below 0: `iw_refine`).
    """
    run.require("is no model to measure")
    settings = run.spec.settings
    asked = {"iw_samples": iw_samples, "iw_sentences": iw_sentences, "iw_refine": iw_refine}
    counts = {name: getattr(settings, name) if value is None else value for name, value in asked.items()}
    for name, value in counts.items():
        least = 0 if name == "iw_refine" else 1
        if value < least:
            raise CeaeError(f"{name}: must be at least {least}, not {value}")
    where = choose_device(device)
    corpus = (run.spec.moved_to(data) if data else run.spec).load_corpus()
    vocabulary = run.vocabulary()
    test, valid = (Encoded(corpus.splits[split].sentences, vocabulary) for split in ("test", "valid"))
    with cpu_threads(settings.threads):
        return measure(run.model(where), test, valid, where, seed=run.spec.seed, label=f"measure {run.id}", **counts)
