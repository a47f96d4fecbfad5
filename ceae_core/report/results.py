"""Runs of this build and recorded runs in one form, so that a page treats both alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ceae_core import scales, zoo
from ceae_core.errors import CeaeError
from ceae_core.execute import MEASURES_VERSION, ensure
from ceae_core.manifest import COMPLETE
from ceae_core.report import published, recorded
from ceae_core.runs import Run, Store
from ceae_core.spec import RunSpec, Settings, resolve

ROW_SETTINGS = ("net", "stack", "encoder_dropout", "skip")     # settings that tell rows of one family apart
OWN_NUMBERS = ("target", "dim_target", "gamma", "beta", "delta", "kappa")     # options that papers write behind a name
VARIANTS = ("contrast_on", "augment", "encoder_sign", "noise_head", "rec_views", "contrast_temperature",
            "norm", "norm_eps")

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
    "kl_dual_nats": "KL, dual (nats)",
    "kl_exact_nats": "KL, exact (nats)",
    "nelbo_dual_nats_per_sentence": "−ELBO, dual (nats)",
    "nelbo_exact_nats_per_sentence": "−ELBO, exact (nats)",
    "ppl_dual_word": "PPL, dual",
    "ppl_exact_word": "PPL, exact",
    "ppl_iw_word": "PPL, IW bound",
    "mi_dual_nats": "MI, dual (nats)",
    "mi_exact_nats": "MI, exact (nats)",
}
# What only critics estimate; and exact values of implicit posteriors -> the same of posteriors with a closed form.
DUAL = ("kl_dual_nats", "kl_dv_nats", "kl_aggregate_dual_nats", "mi_dual_nats", "dual_negative_share",
        "nelbo_dual_nats_per_sentence", "ppl_dual_word")
PLAIN = {"kl_exact_nats": "kl_nats", "nelbo_exact_nats_per_sentence": "nelbo_nats_per_sentence",
         "ppl_exact_word": "ppl_word", "mi_exact_nats": "mi_dataset_nats"}


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
    def of_record(cls, content: Mapping[str, Any]) -> "Result":
        """The result of a recorded run (see `recorded.load`)."""
        return cls._made(content["id"], content["spec"], content, content["history"])

    @classmethod
    def _made(cls, run_id: str, spec: Mapping, record: Mapping, history: Sequence) -> "Result":
        return cls(run_id, spec["family"], spec["seed"], record["status"], record.get("reason"), spec["corpus"],
                   spec["scale"], spec["settings"], spec["options"], record["metrics"], history,
                   record["train_seconds"], record["environment"]["device"])

    @property
    def name(self) -> str:
        """The family with what tells its runs apart: its own numbers as the papers write them, `bn-vae (0.7)`, then
        every variant and setting that is not the family's usual one, `vae (stack ivae)`."""
        options, settings = usual(self.family, self.scale)
        shown = [f"{self.options[name]:g}" for name in OWN_NUMBERS if self.options.get(name) is not None]
        shown += [_said(name, self.options[name]) for name in VARIANTS
                  if name in self.options and self.options[name] != options[name]]
        shown += [_said(name, self._setting(name)) for name in ROW_SETTINGS if self._setting(name) != settings[name]]
        return f"{self.family} ({', '.join(shown)})" if shown else self.family

    @property
    def net(self) -> str:
        """The kind of networks: lstm, transformer or pretrained."""
        return self._setting("net")

    def _setting(self, name: str) -> Any:
        """A setting; its default in runs recorded before there was such a setting."""
        return self.settings.get(name, getattr(Settings, name))

    def metric(self, key: str) -> float | None:
        """The measure, None where the family has none or the run diverged.

        A family without critics has no estimate by critics, and its exact values go by their plain names.
        Raises CeaeError when a complete run lacks the measure: then it was measured by an older version.
        """
        if zoo.family(self.family).critics is None:
            if key in DUAL:
                return None
            key = PLAIN.get(key, key)
        if self.status == COMPLETE and key not in self.metrics:
            raise CeaeError(f"run {self.id} has no measure {key}: another version made it; remove it to train anew")
        return self.metrics.get(key)

    def is_row(self, family: str, changes: Mapping[str, Any]) -> bool:
        """Whether this trains `family` as its row and the scale say, but for `changes`.

        Of the settings only those in ROW_SETTINGS tell rows apart.
        """
        if self.family != family:
            return False
        options, settings = usual(family, self.scale, changes)
        usual_ones = zoo.family(family).signature_defaults()        # what runs have that knew no such option
        return (all(self.options.get(k, usual_ones[k]) == v for k, v in options.items() if v is not None)
                and all(self._setting(k) == v for k, v in settings.items()))


def _said(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    return words if value is True else f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def usual(family: str, scale: str, changes: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options, and settings in ROW_SETTINGS, of a family trained as its row, `changes` and the scale say.

    Where a scale sets an option it has the last word: it shortens schedules, also those of a published row.
    """
    row, changes, short = zoo.family(family), changes or {}, scales.scale(scale).options
    options = row.defaults()
    options |= {name: value for given in (changes, short) for name, value in given.items() if name in options}
    settings = {name: changes.get(name, row.settings.get(name, getattr(Settings, name))) for name in ROW_SETTINGS}
    return options, settings


def of(runs: Iterable[Run]) -> list[Result]:
    """Results of runs, in their order."""
    return [Result.of(run) for run in runs]


def load_recorded(corpus: str, scale: str | None = None) -> list[Result]:
    """The recorded runs of a corpus, of one scale or of all; an empty list when there are none."""
    return [Result.of_record(content) for content in recorded.load(corpus, scale)]


def obtain(specs: Iterable[RunSpec], *, device: str = "auto", retrain: bool = False, store: Store | None = None,
           ) -> list[Result]:
    """One result for each spec: of a run of this machine, else recorded with the project, else trained now.

    Recordings by another version of the measures do not count; with `retrain` none does.
    """
    specs, store = list(specs), store or Store()
    places = set() if retrain else {spec.corpus for spec in specs} & set(recorded.corpora())
    own = set(store.ids())
    known = {content["id"]: Result.of_record(content) for place in places for content in recorded.load(place)
             if content["measures_version"] == MEASURES_VERSION and content["id"] not in own}
    runs = ensure([spec for spec in specs if spec.id not in known], store, device=device)
    found = known | {run.id: Result.of(run) for run in runs}
    return [found[spec.id] for spec in specs]


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


def largest(group: Sequence[Result]) -> list[Result]:
    """Those of a group that were made at its largest scale."""
    sizes = [list(scales.SCALES).index(r.scale) for r in group]
    return [r for r, size in zip(group, sizes, strict=True) if size == max(sizes)]


def trained(key: str, results: Iterable[Result]) -> list[Result]:
    """The complete runs of a published row at the largest scale that `results` has of it."""
    return [r for r in largest(matching(key, results)) if r.status == COMPLETE]


def behind(paper: str, table: int, results: Sequence[Result]) -> list[Result]:
    """Those among `results` that train a row of a published table, each once; of a row's scales the largest."""
    found = [r for row in published.rows(paper, table) for r in largest(matching(row, results))]
    return list({r.id: r for r in found}.values())


def row_specs(paper: str, table: int, corpus: str, scale: str, seeds: Sequence[int],
              only: Sequence[str] | None = None) -> list[RunSpec]:
    """Specs of the runs behind a published table, or `only` some rows of it, each once: every row that the zoo has,
    with every seed."""
    short = scales.scale(scale).options
    found = {}
    for family, changes in filter(None, map(zoo_row, published.rows(paper, table) if only is None else only)):
        changes = {name: value for name, value in changes.items() if name not in short}       # see `usual`
        for seed in seeds:
            spec = resolve(family, corpus=corpus, scale=scale, seed=seed, set=changes)
            found[spec.id] = spec
    return list(found.values())
