"""Invented results: numbers that no run produced, so that a table's arithmetic can be checked."""

from types import SimpleNamespace

import pytest

from ceae_core import zoo
from ceae_core.report.results import Result
from ceae_core.scales import scale

METRICS = {"rec_nats_per_sentence": 10.0, "kl_nats": 2.0, "nelbo_nats_per_sentence": 12.0, "nll_iw_nats": 11.0,
           "ppl_word": 3.0, "mi_minibatch_nats": 1.0, "mi_dataset_nats": 1.5, "active_units": 4}


@pytest.fixture
def result():
    """result(family, seed, options=…, status=…, metrics…) -> Result"""
    def make(family="vae", seed=1, *, options=None, status="complete", corpus="oracle", size="quick", **metrics):
        usual = zoo.family(family).defaults()
        usual |= {k: v for k, v in scale(size).options.items() if k in usual} | (options or {})
        return Result(f"{family}-{corpus}-{size}-s{seed}-{abs(hash(str(usual))):012x}"[-60:], family, seed, status,
                      "rec is not finite" if status == "diverged" else None, corpus, size, {}, usual,
                      METRICS | metrics if status == "complete" else {}, [], 60.0, "a machine")
    return make


@pytest.fixture
def run_like():
    """An object with the attributes of a run that `truth.floor` reads."""
    def make(corpus, splits, iw_sentences):
        loaded = SimpleNamespace(splits={name: SimpleNamespace(sentences=s) for name, s in splits.items()})
        return SimpleNamespace(spec=SimpleNamespace(corpus=corpus, load_corpus=lambda: loaded,
                                                    settings=SimpleNamespace(iw_sentences=iw_sentences)))
    return make
