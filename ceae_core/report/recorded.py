"""Recorded runs: small JSON files under `results/<corpus>/` with what a number rests on."""

import json
from pathlib import Path
from typing import Any

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.files import write_atomic
from ceae_core.manifest import COMPLETE, DIVERGED
from ceae_core.runs import Run

RESULTS = Path(__file__).resolve().parents[2] / "results"
KEPT_SAMPLES = 20           # sentences per decoding rule


def record(run: Run, results: Path = RESULTS) -> Path:
    """Write spec, metrics, history, provenance and a few samples of a finished run; returns the file.

    A run that diverged is recorded too, without metrics: a table over seeds has to count it.  Raises CeaeError for a
    run whose training is not finished.
    """
    if run.status not in (COMPLETE, DIVERGED):
        raise CeaeError(f"run {run.id}: only finished runs are recorded, this one is {run.status}")
    folder = results / run.spec.corpus
    folder.mkdir(parents=True, exist_ok=True)
    content = {"id": run.id, "spec": run.spec.identity(), **run.record, "history": run.history,
               "samples": {how: sentences[:KEPT_SAMPLES] for how, sentences in run.samples.items()}}
    path = folder / f"{run.id}.json"
    write_atomic(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return path


def corpora(results: Path = RESULTS) -> list[str]:
    """Names of the corpora of which runs are recorded, sorted; none where there is no such folder."""
    return sorted({path.parent.name for path in results.glob("*/*.json")} - {experiments.RESULTS.name})


def load(corpus: str, scale: str | None = None, results: Path = RESULTS) -> list[dict[str, Any]]:
    """Recorded runs of a corpus, all or those of one scale, sorted by id.  Raises CeaeError naming a damaged file."""
    out = []
    for path in sorted((results / corpus).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if scale in (None, content["spec"]["scale"]) and content["metrics"] is not None:
                out.append(content)
        except (ValueError, KeyError, TypeError) as error:
            raise CeaeError(f"{path}: not a recorded run ({error}); restore it from version control") from error
    return out
