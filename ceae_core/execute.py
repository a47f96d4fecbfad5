"""Get runs by their specs: load what is complete, resume what is partial, train what is missing."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ceae_core import generate
from ceae_core.corpora import Corpus
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.files import make_folder
from ceae_core.hardware import choose_device, cpu_threads, environment
from ceae_core.manifest import COMPLETE, DIVERGED, TRAINING, Corrupt
from ceae_core.measure import measure
from ceae_core.progress import bar, say
from ceae_core.runs import Busy, Run, Store
from ceae_core.seeding import derive
from ceae_core.spec import RunSpec
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

    `workers` defaults to the CPU cores, or 1 on a GPU.  Raises CeaeError naming every run that failed.
    """
    store = store or Store()
    missing = []
    for spec in {spec.id: spec for spec in specs}.values():
        try:
            with store.lease(spec.id, wait=False):
                run = store.open_or_quarantine(spec.id)
        except Busy:
            run = None
        if run is None or run.status == TRAINING:
            missing.append(spec)
    if missing:
        on_gpu = choose_device(device).type == "cuda"
        _train_side_by_side(missing, store, device, workers or (1 if on_gpu else os.cpu_count() or 1))
    trained = {spec.id for spec in missing}
    return [store.find(spec.id) if spec.id in trained else obtain(spec, store, device=device) for spec in specs]


def _train_side_by_side(specs: list[RunSpec], store: Store, device: str, workers: int) -> None:
    waiting, running, failed = list(specs), {}, {}
    logs = make_folder(store.root / "logs")
    with bar(1000 * len(specs), "training") as shown:
        position = 0
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    spec = waiting.pop(0)
                    running[spec.id] = _start(spec, store, device, logs)
                time.sleep(0.2)
                for run_id in [i for i, process in running.items() if process.poll() is not None]:
                    if code := running.pop(run_id).returncode:
                        failed[run_id] = _why(code, logs / f"{run_id}.log")
                done = len(specs) - len(waiting) - len(running)
                now = 1000 * done + sum(_permille(logs / f"{run_id}.progress") for run_id in running)
                shown.update(max(0, now - position))
                position = max(position, now)
                shown.set_postfix_str(f"{done} of {len(specs)} runs")
        finally:
            for process in running.values():
                process.terminate()             # they write a checkpoint and leave
            for process in running.values():
                process.wait()
    if failed:
        raise CeaeError("; ".join(f"run {run_id}: {why}" for run_id, why in failed.items()))


def _start(spec: RunSpec, store: Store, device: str, logs: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "ceae_core", "run-spec", "--runs", str(store.root), "--device", device]
    root = str(Path(__file__).resolve().parent.parent)
    env = os.environ | {"CEAE_PROGRESS_FILE": str(logs / f"{spec.id}.progress"), "OMP_NUM_THREADS": "1",
                        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    (logs / f"{spec.id}.progress").unlink(missing_ok=True)
    with open(logs / f"{spec.id}.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=env)
    process.stdin.write(spec.to_json().encode())
    process.stdin.close()
    return process


def _permille(path: Path) -> int:
    """How far a run is, from its status line "label: 45% · 12 s left"."""
    try:
        return min(999, 10 * int(path.read_text(encoding="utf-8").split(": ")[-1].split("%")[0]))
    except (OSError, ValueError, IndexError):
        return 0


def _why(code: int, log: Path) -> str:
    """What a process that failed said last."""
    if code < 0:
        return f"its process was killed by signal {-code}; the same call continues it"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("ceae: ") if lines else f"its process left with exit status {code}"


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
