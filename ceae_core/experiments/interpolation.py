"""Many lines between test sentences of a run: what is decoded, and what classifiers and a critic say of it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ceae_core import experiments, zoo
from ceae_core.corpora.corpus import Split
from ceae_core.critics.scores import Critic, Sentence
from ceae_core.errors import CeaeError
from ceae_core.hardware import cpu_threads
from ceae_core.measure import interpolation, sentiment
from ceae_core.measure.interpolation import Line, Pair
from ceae_core.measure.smoothness import Course
from ceae_core.runs import Run, Store
from ceae_core.seeding import derive, seeded
from ceae_core.spec import RunSpec

NAME = "interpolation"
KINDS = {"negative-negative": (False, False), "positive-positive": (True, True), "positive-negative": (True, False)}
UNLABELLED = "any"
LABELS = 10_000             # of which the classifier of codes learns, the most of ceae, Table 3
PRIOR_DRAWS = 10_000        # behind the typical norm of a code of the prior


def usual(spec: RunSpec) -> dict[str, Any]:
    """The parameters for a run: pairs of each kind, points on a line, critic."""
    return {"pairs": 8 if spec.scale == "smoke" else 60, "steps": interpolation.STEPS, "seed": 1,
            "critic": "oracle" if spec.corpus == "oracle" else "ngram"}


def draw_pairs(split: Split, count: int, seed: int) -> dict[str, list[Pair]]:
    """Kind -> `count` pairs of different sentences, no sentence in two; one kind for a corpus without sentiment.

    Raises CeaeError when the split has too few sentences.
    """
    positive = sentiment.is_positive(split)
    kinds = {UNLABELLED: (True, True)} if positive is None else KINDS
    positive = np.ones(len(split), bool) if positive is None else positive
    order = np.random.default_rng(derive(seed, "pairs")).permutation(len(split))
    stock = {side: list(dict.fromkeys(split.sentences[i] for i in order if positive[i] == side))
             for side in (True, False)}
    stock[False] = [sentence for sentence in stock[False] if sentence not in set(stock[True])]
    for side, sentences in stock.items():
        if len(sentences) < (needed := count * sum(ends.count(side) for ends in kinds.values())):
            raise CeaeError(f"interpolation: {count} pairs of each kind need {needed} different "
                            f"{'positive' if side else 'negative'} test sentences, there are {len(sentences)}")
    return {kind: [(stock[a].pop(), stock[b].pop()) for _ in range(count)] for kind, (a, b) in kinds.items()}


def lines(run: Run, splits: Mapping[str, Split], critic: Critic, *, pairs: int, steps: int, seed: int,
          ) -> dict[str, Any]:
    """Decode `steps` points between `pairs` pairs of each kind.  Returns

    weights    : (L,) of the first sentence
    lines      : a list, in order of KINDS; each has its `kind`, the `first` and `second` sentence, what was decoded
                 (`sentences`), its `course` in words (`smoothness.Course`), by point the `norms` of the codes and the
                 critic's `nats` and `words`, and `scores`: by point (`code`, `text`, `truth`), and of first and second
                 sentence as they were (`…_sources`); None where there is no such score
    prior_norm : mean norm of codes drawn from the prior
    critic     : its name and settings
    """
    chosen = [(kind, pair) for kind, group in draw_pairs(splits["test"], pairs, seed).items() for pair in group]
    with cpu_threads(1):
        model, vocabulary = run.model("cpu"), run.vocabulary()
        made = interpolation.interpolate(model, vocabulary, [pair for _, pair in chosen], interpolation.grid(steps),
                                         seed=seed)
        with seeded(seed, NAME, "prior"):
            typical = model.posterior.prior().sample((PRIOR_DRAWS,)).norm(dim=-1).mean()
        scores = _scores(run, splits["train"], made, seed)
    found = critic.score([sentence for line in made for sentence in line.sentences])
    nats, words = (column.reshape(len(made), steps) for column in (found.nats, found.words))
    rows = [{"kind": kind, "first": " ".join(pair[0]), "second": " ".join(pair[1]),
             "sentences": [" ".join(sentence) for sentence in line.sentences],
             "course": asdict(Course.of(line.sentences, pair[::-1])), "norms": _plain(line.norms),
             "nats": _plain(nats[i]), "words": words[i].tolist(),
             "scores": {by: _plain(values[i]) for by, values in scores.items()}}
            for i, ((kind, pair), line) in enumerate(zip(chosen, made, strict=True))]
    return {"weights": interpolation.grid(steps).tolist(), "lines": rows, "prior_norm": float(typical),
            "critic": {"name": critic.name, "settings": dict(critic.settings)}}


def _scores(run: Run, train: Split, made: Sequence[Line], seed: int) -> dict[str, np.ndarray]:
    """Who scored -> (N, L) of the points of N lines, and (N, 2) of their sources; empty for a corpus without sentiment.
    """
    positive = sentiment.is_positive(train)
    if positive is None:
        return {}
    # DEVIATION(ceae:6): whether the classifier of codes got the mixed code or that of the decoded sentence is not said;
    # it gets the mixed code, and a classifier of texts the decoded sentence.
    some = np.random.default_rng(derive(seed, "labels")).permutation(len(train))[:LABELS]
    model, vocabulary = run.model("cpu"), run.vocabulary()
    taught = interpolation.codes(model, [train.sentences[i] for i in some], vocabulary, seed).numpy()
    of_codes = sentiment.of_codes(taught, positive[some], seed)
    found = {"code": of_codes(torch.cat([line.z for line in made]).numpy())}
    judges = {"text": sentiment.of_texts(train.sentences, positive)}
    if run.spec.corpus == "oracle":
        judges["truth"] = sentiment.of_grammar
    for by, judge in judges.items():
        found[by] = judge([sentence for line in made for sentence in line.sentences])
        found[f"{by}_sources"] = judge([sentence for line in made for sentence in line.pair])
    found = {by: values.reshape(len(made), -1) for by, values in found.items()}
    return found | {"code_sources": found["code"][:, [-1, 0]]}          # a source's code is the end of its line


def _plain(values: np.ndarray) -> list[float | None]:
    """Four decimals are enough for a page; JSON has no NaN."""
    return [None if np.isnan(value) else round(float(value), 4) for value in values]


def make_critic(name: str, train: Sequence[Sentence]) -> Critic:
    """The grammar itself, or a 5-gram model of the training split.  Raises CeaeError for another name."""
    if name == "oracle":
        from ceae_core.critics import oracle
        return oracle.default()
    if name == "ngram":
        from ceae_core.critics.ngram import NgramCritic
        return NgramCritic.fit(train)
    raise CeaeError(f"critic: unknown value {name!r}; choose oracle or ngram")


def obtain(run: Run, *, store: Store | None = None, data: str | None = None, **parameters: Any) -> dict[str, Any]:
    """The stored experiment of `lines` on a run: {"id", "parameters", "result", …}, computed now if there is none.

    `parameters` change those of `usual`; `data` is the folder where the corpus's files are now.  Raises CeaeError for a
    run that diverged and for a language model.
    """
    run.require("are no codes to interpolate")
    if zoo.family(run.spec.family).posterior is None:
        raise CeaeError(f"run {run.id}: a language model has no codes to interpolate")

    def compute(run_id: str, critic: str, **rest: Any) -> dict[str, Any]:
        splits = (run.spec.moved_to(data) if data else run.spec).load_corpus().splits
        return lines(run, splits, make_critic(critic, splits["train"].sentences), **rest)
    return experiments.obtain(NAME, compute, {"run_id": run.id} | usual(run.spec) | parameters, store=store)


def record(content: Mapping[str, Any], results: Path = experiments.RESULTS) -> Path:
    """Keep a result of `obtain` with the project; returns the file.

    Of what was decoded only the first line of each kind goes with it, and no sentence of a corpus that is not part of
    the project.
    """
    kept, seen = deepcopy(dict(content)), set()
    for line in kept["result"]["lines"]:
        if line["kind"] in seen or content["parameters"]["critic"] != "oracle":
            line["first"] = line["second"] = None
        if line["kind"] in seen:
            line["sentences"] = None
        seen.add(line["kind"])
    return experiments.record(kept, results)
