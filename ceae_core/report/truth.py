"""What only the oracle corpus has: the true -log p of the very sentences on which a model was measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceae_core import generate
from ceae_core.corpora import oracle
from ceae_core.manifest import COMPLETE
from ceae_core.report.compare import by_name, of_names
from ceae_core.report.figures import Picture, one_axis
from ceae_core.report.results import Result
from ceae_core.report.tables import Table
from ceae_core.runs import Run
from ceae_core.seeding import derive
from ceae_core.spec import RunSpec

PRIOR_SAMPLES = 1000
PPL_NOTE = ("True forward PPL: the grammar's own probability, graded so that one error does not make it infinite. "
            "Below that of true text means dropped modes, above it errors.")
LONGEST = 30                # words; a sentence of the grammar has at most 20


@dataclass(frozen=True)
class Floor:
    """Mean true -log p in nats per sentence: no model that does not see the sentence can have less, on average.

    Where nobody knows the truth, `language_model` gives the same numbers of a model, which others may fall below.
    """

    test: float             # all test sentences
    first: float            # those of the importance-weighted bound
    valid: float = math.nan
    name: str = "truth"     # whose -log p it is


def floor(spec: RunSpec) -> Floor | None:
    """The floor of the sentences on which runs of `spec` are measured; None where nobody knows the probabilities."""
    if spec.corpus != "oracle":
        return None
    splits = spec.load_corpus().splits
    grammar = oracle.default()
    nats = {name: np.array([-grammar.log_prob(s) for s in splits[name].sentences]) for name in ("test", "valid")}
    return Floor(float(nats["test"].mean()), float(nats["test"][:spec.settings.iw_sentences].mean()),
                 float(nats["valid"].mean()))


def language_model(results: Sequence[Result]) -> Floor | None:
    """The exact -log p by the LSTM language model among `results`, mean over seeds; None where there is none.

    Numbers of other models on the same sentences become comparable by it, whichever sentences they are.
    """
    found = [r for r in results if r.is_row("lstm-lm", {}) and r.status == COMPLETE]
    if not found:
        return None
    test, first = (float(np.mean([r.metric(key) for r in found])) for key in ("nelbo_nats_per_sentence", "nll_iw_nats"))
    return Floor(test, first, name="language model")


def excess(results: Sequence[Result], where: Floor, metric: str) -> dict[str, list[float]]:
    """A bound minus the true -log p of the same sentences, by name: an upper estimate of KL(truth || model) in nats.

    Rec is no bound: what it lacks to the floor is the least that travelled through the code.
    """
    base = where.first if metric == "nll_iw_nats" else where.test
    return {name: [r.metric(metric) - base for r in group if r.status == COMPLETE and r.metric(metric) is not None]
            for name, group in by_name(results).items()}


def generated(runs: Sequence[Run], how: str = "greedy", count: int = PRIOR_SAMPLES,
              ) -> dict[str, list[generate.Sentence]]:
    """`count` sentences of each complete run from z ~ N(0, I), drawn with the run's seed, by name of the result."""
    return {Result.of(run).name: generate.sample(run.model(), run.vocabulary(), count, how=how, max_length=LONGEST,
                                                 seed=derive(run.spec.seed, "chapter samples"))
            for run in runs if run.status == COMPLETE}


def scores(texts: Mapping[str, Sequence[generate.Sentence]], caption: str, name: str) -> Table:
    """Generated text under the true grammar: the four columns that belong together."""
    rows = []
    for family, sentences in texts.items():
        got = oracle.score(sentences)
        rows.append({"text": family, "grammatical (share)": got.grammatical,
                     "true forward PPL (per word)": got.ppl_word,
                     "distinct sentences": got.distinct_sentences, "distinct words": got.distinct_words,
                     "of sentences": got.sentences})
    return Table(rows, caption, [PPL_NOTE], name)


MEASURES = {"Rec": "rec_nats_per_sentence", "−ELBO": "nelbo_nats_per_sentence", "IW bound": "nll_iw_nats"}


def honest_axis(results: Sequence[Result], where: Floor | None) -> Picture:
    """Rec, -ELBO and the importance-weighted bound of every family, as distances to the truth where it is known."""
    values = {label: excess(results, where or Floor(0.0, 0.0, 0.0), metric) for label, metric in MEASURES.items()}
    axis = "nats per sentence" if where is None else "nats per sentence above the true −log p of the same sentences"
    return one_axis(values, axis, None if where is None else "truth")


def excess_table(results: Sequence[Result], where: Floor | None) -> Table:
    """The numbers behind `honest_axis`, means over complete seeds."""
    origin = "" if where is None else " above the truth"
    values = {f"{label} (nats{origin})": {name: sum(v) / len(v) for name, v in excess(
        results, where or Floor(0.0, 0.0, 0.0), metric).items() if v} for label, metric in MEASURES.items()}
    caption = "Bounds and Rec of all families" if where is None else (
        f"Distance to the truth: {where.test:.3f} nats on the test split, {where.first:.3f} on the sentences of the "
        "IW bound")
    return of_names(values, caption, "honest-axis")
