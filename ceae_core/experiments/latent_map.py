"""Maps of the codes of labelled test sentences, one for each run."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ceae_core import experiments
from ceae_core.experiments import probe
from ceae_core.experiments.probe import Source, source
from ceae_core.hardware import cpu_threads
from ceae_core.measure import few_labels, maps
from ceae_core.runs import Run, Store

NAME, VERSION = "latent-map", 1
SENTENCES = 600


def measure(run: Run, where: Source, sentences: int, label: str | None, device: str) -> Mapping[str, Any]:
    """`maps.describe` of the first `sentences` of the test split, with the `label`, its `classes` and `kinds` (N,)."""
    splits = where.load()
    found = few_labels.classes_of(splits, label, where.corpus)
    kinds = found.numbers["test"][:sentences]
    with cpu_threads(1):
        codes = probe.codes(run, splits["test"].sentences[:sentences], False, device)
        return {"label": found.name, "classes": found.values, "kinds": kinds.tolist(),
                **maps.describe(codes, kinds, run.spec.seed)}


def _compute(*, run_id: str, labelled: str, labelled_sha256: str, sentences: int, label: str | None, root: str,
             data: str | None, device: str) -> Mapping[str, Any]:
    run = Store(root).find(run_id)
    own = run.spec if labelled_sha256 == run.spec.corpus_sha256 else None
    return measure(run, Source(labelled, labelled_sha256, own, data), sentences, label, device)


def obtain(runs: Sequence[Run], *, sentences: int = SENTENCES, label: str | None = None, labelled: str | None = None,
           store: Store | None = None, data: str | None = None, device: str = "auto") -> list[dict[str, Any]]:
    """The stored map of each run, {"id", "parameters", "result", …}, drawn now if there is none.

    Raises CeaeError for a run without codes and a corpus without labels.
    """
    store = store or Store()
    for run in runs:
        probe.check(run)
    wanted = []
    for run in runs:
        where = source(run, labelled, data)
        wanted.append({"run_id": run.id, "labelled": where.corpus, "labelled_sha256": where.sha256,
                       "sentences": sentences, "label": label})
    return experiments.obtain_each(NAME, partial(_compute, root=str(store.root), data=data, device=device), wanted,
                                   version=VERSION, store=store)
