"""Runs of this build and recorded runs in one form, so that a page treats both alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ceae_core import scales, zoo
from ceae_core.errors import CeaeError
from ceae_core.manifest import COMPLETE
from ceae_core.report import recorded
from ceae_core.runs import Run

# metric -> what a table's header says: name and unit; nats are per sentence, its end counted
LABELS = {
    "rec_nats_per_sentence": "Rec (nats)",
    "kl_nats": "KL (nats)",
    "nelbo_nats_per_sentence": "−ELBO (nats)",
    "nll_iw_nats": "IW bound (nats)",
    "ppl_word": "PPL (per word)",
    "mi_minibatch_nats": "MI, minibatch (nats)",
    "mi_dataset_nats": "MI, test set (nats)",
    "active_units": "AU (units)",
}


@dataclass(frozen=True)
class Result:
    """The numbers of one run."""

    id: str
    family: str
    seed: int
    status: str                     # complete or diverged
    reason: str | None              # why it diverged
    corpus: str
    scale: str
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    seconds: float                  # of training
    device: str                     # processor or GPU that trained it

    @classmethod
    def of(cls, run: Run) -> "Result":
        return cls._made(run.id, run.spec.identity(), run.record, run.history)

    @classmethod
    def _made(cls, run_id: str, spec: Mapping, record: Mapping, history: Sequence) -> "Result":
        return cls(run_id, spec["family"], spec["seed"], record["status"], record.get("reason"), spec["corpus"],
                   spec["scale"], spec["settings"], spec["options"], record["metrics"], history,
                   record["train_seconds"], record["environment"]["device"])

    @property
    def name(self) -> str:
        """The family with the option that tells its rows apart, as the papers write it: `bn-vae (0.7)`."""
        own = ("target", "gamma", "beta")
        shown = [f"{self.options[name]:g}" for name in own if self.options.get(name) is not None]
        return f"{self.family} ({', '.join(shown)})" if shown else self.family

    def metric(self, key: str) -> float | None:
        """The measure, None where the family has none or the run diverged.

        Raises CeaeError when a complete run lacks it: then it was measured by an older version.
        """
        if self.status == COMPLETE and key not in self.metrics:
            raise CeaeError(f"run {self.id} has no measure {key}: another version made it; remove it to train anew")
        return self.metrics.get(key)

    def is_row(self, family: str, changes: Mapping[str, Any]) -> bool:
        """Whether this trains `family` as its row and the scale say, but for `changes` (settings are not looked at)."""
        usual = zoo.family(family).defaults()
        usual |= {name: value for name, value in scales.scale(self.scale).options.items() if name in usual} | changes
        return self.family == family and all(self.options.get(k) == v for k, v in usual.items() if v is not None)


def of(runs: Iterable[Run]) -> list[Result]:
    """Results of runs, in their order."""
    return [Result.of(run) for run in runs]


def load_recorded(corpus: str, scale: str) -> list[Result]:
    """The recorded runs of a corpus at a scale; an empty list when there are none."""
    return [Result._made(c["id"], c["spec"], c, c["history"]) for c in recorded.load(corpus, scale)]


def zoo_row(key: str) -> tuple[str, Mapping[str, Any]] | None:
    """Family and options that make a published row, None if the zoo does not have it."""
    for name, family in zoo.FAMILIES.items():
        if key in family.rows:
            return name, family.rows[key]
    return None


def matching(key: str, results: Iterable[Result]) -> list[Result]:
    """Those among `results` that train what the published row `key` describes."""
    row = zoo_row(key)
    return [r for r in results if r.is_row(*row)] if row else []
