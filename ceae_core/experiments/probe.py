"""Few-label probes of finished runs: how well a small classifier of frozen codes does, by number of labels and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ceae_core import corpora, experiments, zoo
from ceae_core.assembly import build_model
from ceae_core.corpora import Split, table
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.hardware import choose_device, cpu_threads
from ceae_core.measure import few_labels, latent, probe
from ceae_core.measure.probe import Labelled, Protocol
from ceae_core.progress import bar, say
from ceae_core.runs import Run, Store
from ceae_core.seeding import seeded
from ceae_core.spec import RunSpec

NAME, BASELINES = "probe", "probe-baselines"
VERSION = 1                         # raise it when a change of the code alters the numbers
COUNTS = (100, 500, 1_000, 2_000, 10_000)       # of labels (ceae, Table 3)
SEEDS = 10
SMALL = {"smoke": {"counts": (100, 500), "seeds": 3}}
SEED_CHANGES = {"random": "the labelled sentences and the start of the classifier",
                "first": "the start of the classifier alone"}
STAND_INS = {"short-yelp": "short-yelp-10k"}    # has a part of the same training split, and the same other splits


@dataclass(frozen=True)
class Design:
    """What is asked of the codes: which labels, how many of them, chosen how, learnt how.

    A seed is one choice of labelled sentences together with one start of the classifier.
    """

    counts: tuple[int, ...] = COUNTS
    seeds: int = SEEDS                              # 1, 2, … so many
    label: str | None = None                        # None: sentiment, or the only one
    draw: str = "random"                            # random, or first: the first sentences of the training split
    balanced: bool = False                          # as many of each class
    standardised: bool = False                      # codes with mean 0, sd 1 over the training split; needs no labels
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if not self.counts or self.seeds < 1:
            raise CeaeError("probe: ask for at least one number of labels and one seed")

    def choosing(self) -> dict[str, Any]:
        """The part that says which labels are seen, for JSON."""
        return {"counts": list(self.counts), "seeds": self.seeds, "label": self.label, "draw": self.draw,
                "balanced": self.balanced}


@dataclass(frozen=True)
class Source:
    """Where the labelled sentences are: the corpus of a run, or another one by name."""

    corpus: str
    sha256: str
    spec: RunSpec | None            # of the run whose own corpus it is
    data: str | None

    def load(self) -> dict[str, Split]:
        if self.spec is not None:
            return (self.spec.moved_to(self.data) if self.data else self.spec).load_corpus().splits
        return corpora.load(self.corpus, self.data).splits


def usual(scale: str) -> Design:
    """The design of the paper's table, smaller at scale smoke."""
    return Design(**SMALL.get(scale, {}))


def source(run: Run, labelled: str | None = None, data: str | None = None) -> Source:
    """The labelled sentences for a run: of its own corpus, or of the corpus `labelled`.

    A published corpus whose training split is not here is replaced by the stand-in that has a part of it, and that is
    said.
    """
    if labelled is None or labelled == run.spec.corpus:
        return Source(run.spec.corpus, run.spec.corpus_sha256, run.spec, data)
    folder, other = table.data_folder(data), STAND_INS.get(labelled)
    if other and not all(folder and (folder / file.path).is_file() for file in table.entry(labelled).files):
        say(f"{labelled}: its training split is not here; labelled sentences come from the published "
            f"{table.entry(other).splits['train'].sentences:,} of {other}")
        labelled = other
    return Source(labelled, corpora.load(labelled, data).sha256, None, data)


# one result ----------------------------------------------------------------------------------------------------------

def codes(run: Run, sentences: Sequence, untrained: bool, device: str) -> torch.Tensor:
    """(N, Z) float32: the mean of q(z|x) of each sentence, for implicit posteriors without a formula a mean of draws.

    With `untrained` by the model of the run as it was before its first step.
    """
    where, vocabulary = choose_device(device), run.vocabulary()
    if untrained:
        with seeded(run.spec.seed, "init"):
            model = build_model(run.spec, vocabulary).to(where)
    else:
        model = run.model(where)
    return latent.codes(model, Encoded(sentences, vocabulary), where)[0].float()


def measure(run: Run, splits: Mapping[str, Split], corpus: str, design: Design, untrained: bool = False,
            device: str = "auto") -> dict[str, Any]:
    """Train and test classifiers of the codes of labelled sentences, the splits of `corpus`.  Returns

    label, classes         : the label and its values
    sentences              : by split, how many; of `train` they are chosen
    unknown_words_percent  : of the words of the labelled corpus, those that the run's vocabulary lacks
    counts                 : a list, for each number of `labels` the lists over seeds `accuracy_percent` on the test
                             split, `valid_loss_nats`, `best_epoch`, `epochs`
    """
    classes = few_labels.classes_of(splits, design.label, corpus)
    rows = {count: torch.from_numpy(np.stack([
        few_labels.choose(classes.numbers["train"], count, seed, design.draw, design.balanced)
        for seed in range(1, design.seeds + 1)])) for count in design.counts}
    with cpu_threads(1):
        x = {split: codes(run, splits[split].sentences, untrained, device) for split in splits}
        if design.standardised:
            mean, sd = x["train"].mean(0), x["train"].std(0).clamp(min=1e-12)
            x = {split: (values - mean) / sd for split, values in x.items()}
        data = {split: Labelled(values, torch.from_numpy(classes.numbers[split])) for split, values in x.items()}
        found = []
        with bar(design.protocol.epochs * len(rows), f"probe {run.id}") as shown:
            for done, (count, chosen) in enumerate(rows.items(), 1):
                made = probe.train(data["train"], chosen, data["valid"], range(1, design.seeds + 1),
                                   len(classes.values), design.protocol, shown.update)
                shown.update(design.protocol.epochs - int(made.epochs.max()))
                shown.set_postfix_str(f"{done} of {len(rows)} numbers of labels")
                found.append({"labels": count, "accuracy_percent": _percent(made.accuracy(data["test"])),
                              "valid_loss_nats": [round(float(v), 6) for v in made.valid_loss],
                              "best_epoch": made.best_epoch.tolist(), "epochs": made.epochs.tolist()})
    return {"label": classes.name, "classes": classes.values, **_about(splits),
            "unknown_words_percent": _unknown(run, splits), "counts": found}


def _about(splits: Mapping[str, Split]) -> dict[str, Any]:
    return {"sentences": {name: len(split) for name, split in splits.items()}}


def _unknown(run: Run, splits: Mapping[str, Split]) -> float:
    known = run.vocabulary().index
    words = [word in known for split in splits.values() for sentence in split.sentences for word in sentence]
    return round(100.0 * (1.0 - float(np.mean(words))), 4)


def _percent(shares: Any) -> list[float]:
    return [round(100.0 * float(share), 4) for share in shares]


def compare_with(splits: Mapping[str, Split], corpus: str, design: Design) -> dict[str, Any]:
    """What any probe can be compared with, from the same labels.  Returns `label`, `classes`, `sentences`, and

    majority_percent          : accuracy on the test split of always saying the class most frequent in training
    best_percent              : of the classifier that knows the grammar; None but for the oracle corpus
    best_expected_percent     : what that one's accuracy is in expectation, given the test sentences
    seen_percent              : share of test sentences that are, word for word, among the training sentences
    counts                    : for each number of `labels` the list over seeds `accuracy_percent` of a logistic
                                regression on words
    """
    classes = few_labels.classes_of(splits, design.label, corpus)
    train, test = splits["train"], splits["test"]
    learn, truth = classes.numbers["train"], classes.numbers["test"]
    best = (few_labels.by_grammar(test.sentences, classes.name, classes.values, truth) if corpus == "oracle"
            else (None, None))
    found = []
    for count in design.counts:
        scores = []
        for seed in range(1, design.seeds + 1):
            rows = few_labels.choose(learn, count, seed, design.draw, design.balanced)
            if design.draw == "first" and scores:           # one choice for all seeds, and nothing else to draw
                scores.append(scores[0])
                continue
            scores.append(few_labels.by_words([train.sentences[i] for i in rows], learn[rows], test.sentences, truth))
        found.append({"labels": count, "accuracy_percent": _percent(scores)})
    seen = set(train.sentences)
    rates = {"majority": few_labels.majority(learn, truth), "best": best[0], "best_expected": best[1],
             "seen": np.mean([sentence in seen for sentence in test.sentences])}
    return {"label": classes.name, "classes": classes.values, **_about(splits),
            **{f"{name}_percent": None if value is None else round(100.0 * float(value), 4)
               for name, value in rates.items()}, "counts": found}


# kept results --------------------------------------------------------------------------------------------------------

def _wanted(run_id: str, untrained: bool, where: Source, design: Design) -> dict[str, Any]:
    return {"run_id": run_id, "untrained": untrained, "labelled": where.corpus, "labelled_sha256": where.sha256,
            **design.choosing(), "standardised": design.standardised, **asdict(design.protocol)}


def _compute(*, run_id: str, untrained: bool, labelled: str, labelled_sha256: str, counts: Sequence[int], seeds: int,
             label: str | None, draw: str, balanced: bool, standardised: bool, root: str, data: str | None,
             device: str, **protocol: Any) -> dict[str, Any]:
    run = Store(root).find(run_id)
    own = run.spec if labelled_sha256 == run.spec.corpus_sha256 else None
    design = Design(tuple(counts), seeds, label, draw, balanced, standardised, Protocol(**protocol))
    return measure(run, Source(labelled, labelled_sha256, own, data).load(), labelled, design, untrained, device)


def check(run: Run) -> None:
    """CeaeError for a run that has no codes: it diverged, or is a language model."""
    run.require("are no codes to probe")
    if zoo.family(run.spec.family).posterior is None:
        raise CeaeError(f"run {run.id}: a language model has no codes to probe; choose a run of an autoencoder")


def obtain(runs: Sequence[Run], design: Design, *, labelled: str | None = None, untrained: bool = False,
           store: Store | None = None, data: str | None = None, device: str = "auto") -> list[dict[str, Any]]:
    """The stored experiment of `measure` for each run, {"id", "parameters", "result", …}; what is missing is computed,
    several runs side by side.

    Raises CeaeError for a run without codes, a corpus without labels, and more labels than it has.
    """
    store = store or Store()
    for run in runs:
        check(run)
    wanted = [_wanted(run.id, untrained, source(run, labelled, data), design) for run in runs]
    compute = partial(_compute, root=str(store.root), data=data, device=device)
    return experiments.obtain_each(NAME, compute, wanted, version=VERSION, store=store)


def known(spec: RunSpec, design: Design, *, untrained: bool = False, store: Store | None = None,
          results: Path = experiments.RESULTS) -> dict[str, Any] | None:
    """The result for a run and the labels of its own corpus that this machine keeps or the project records, or None."""
    own = Source(spec.corpus, spec.corpus_sha256, spec, None)
    return experiments.known(NAME, _wanted(spec.id, untrained, own, design), version=VERSION, store=store,
                             results=results)


def baselines(run: Run, design: Design, *, labelled: str | None = None, store: Store | None = None,
              data: str | None = None, results: Path = experiments.RESULTS) -> dict[str, Any]:
    """The stored experiment of `compare_with` on the labelled corpus of a run: kept here, recorded, or computed now."""
    where = source(run, labelled, data)
    return of_source(where, design, store=store, results=results)


def of_source(where: Source, design: Design, *, store: Store | None = None, results: Path = experiments.RESULTS,
              ) -> dict[str, Any]:
    """`baselines` for labelled sentences that are known."""
    wanted = {"labelled": where.corpus, "labelled_sha256": where.sha256, **design.choosing()}

    def compute(**_: Any) -> dict[str, Any]:
        with cpu_threads(1):
            return compare_with(where.load(), where.corpus, design)
    return (experiments.known(BASELINES, wanted, version=VERSION, store=store, results=results)
            or experiments.obtain(BASELINES, compute, wanted, version=VERSION, store=store))
