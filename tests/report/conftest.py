"""Invented results: numbers that no run produced, so that a table's arithmetic can be checked."""

import hashlib
from types import SimpleNamespace

import pytest

from ceae_core import zoo
from ceae_core.report.results import Result, zoo_row
from ceae_core.scales import scale

METRICS = {"rec_nats_per_sentence": 10.0, "kl_nats": 2.0, "nelbo_nats_per_sentence": 12.0, "nll_iw_nats": 11.0,
           "ppl_word": 3.0, "ppl_iw_word": 2.5, "mi_minibatch_nats": 1.0, "mi_dataset_nats": 1.5, "active_units": 4,
           "tokens_per_sentence": 9.5}
BY_CRITICS = {"kl_nats": None, "nelbo_nats_per_sentence": None, "ppl_word": None, "mi_minibatch_nats": None,
              "mi_dataset_nats": None, "kl_dual_nats": 1.0, "kl_exact_nats": 5.0, "nelbo_dual_nats_per_sentence": 10.5,
              "nelbo_exact_nats_per_sentence": 15.0, "ppl_dual_word": 2.2, "ppl_exact_word": 4.0, "mi_dual_nats": 0.8,
              "mi_exact_nats": 3.0}


@pytest.fixture
def result():
    """result(family, seed, options=…, settings=…, status=…, metrics…) -> Result, options and settings the row's."""
    def make(family="vae", seed=1, *, options=None, settings=None, status="complete", corpus="oracle", size="quick",
             **metrics):
        row = zoo.family(family)
        own = row.defaults()
        own |= {k: v for k, v in scale(size).options.items() if k in own} | (options or {})
        chosen = {**row.settings, **(settings or {})}
        measured = METRICS | (BY_CRITICS if row.critics else {}) | metrics
        digest = hashlib.sha256(f"{own}{chosen}".encode()).hexdigest()[:12]
        return Result(f"{family}-{corpus}-{size}-s{seed}-{digest}", family, seed, status,
                      "rec is not finite" if status == "diverged" else None, corpus, size, chosen, own,
                      measured if status == "complete" else {}, [], 60.0, "a machine")
    return make


@pytest.fixture
def row_of(result):
    """row_of(key, …) -> Result of the zoo's row of a published key, trained as `results.row_specs` would."""
    def make(key, **more):
        family, changes = zoo_row(key)
        options = {k: v for k, v in changes.items()
                   if k in zoo.family(family).defaults() and k not in scale(more.get("size", "quick")).options}
        settings = {k: v for k, v in changes.items() if k not in zoo.family(family).defaults()}
        return result(family, options=options, settings=settings, **more)
    return make


@pytest.fixture
def spec_like():
    """An object with the attributes of a spec that `truth.floor` reads."""
    def make(corpus, splits, iw_sentences):
        loaded = SimpleNamespace(splits={name: SimpleNamespace(sentences=s) for name, s in splits.items()})
        return SimpleNamespace(corpus=corpus, load_corpus=lambda: loaded,
                               settings=SimpleNamespace(iw_sentences=iw_sentences))
    return make
