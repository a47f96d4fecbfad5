"""How the bound of a finished run tightens: with every proposal, from the same codes."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from ceae_core import experiments
from ceae_core.corpora import oracle
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.experiments import tightening
from ceae_core.measure.fitting import choose
from ceae_core.runs import Store
from ceae_core.spec import resolve

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def runs(store):
    """An implicit posterior, and a language model."""
    short = {"epochs": 1, "iw_samples": 2, "iw_sentences": 2}
    return [obtain(resolve(name, scale="smoke", set=short), store) for name in ("ivae-mi", "lstm-lm")]


@pytest.fixture(scope="module")
def content(runs, store):
    return tightening.obtain(runs[0], store=store, samples=[1, 4, 12], sentences=30, refine=2)


def test_every_proposal_tightens_with_every_number_of_codes(content):
    found = content["result"]["proposals"]
    assert list(found) == ["own", "prior", "isotropic", "affine", "linear", "refined"]
    for each in found.values():
        assert each["nats"][0] > each["nats"][1] > each["nats"][2] and len(each["se"]) == 3
        assert 1 <= each["ess"] <= 12 and all(0 < error < value for error, value in zip(each["se"], each["nats"],
                                                                                       strict=True))


def test_the_candidates_are_those_that_the_validation_split_gives(runs, content):
    run = runs[0]
    valid = Encoded(run.spec.load_corpus().splits["valid"].sentences, run.vocabulary())
    choice = choose(run.model(), valid, CPU, 1, samples=12, refine=2)
    found = content["result"]
    assert {name: proposal.describe() for name, proposal in choice.candidates.items()} == {
        name: each["describe"] for name, each in found["proposals"].items()}
    assert choice.candidates[found["best"]] is choice.best


def test_no_bound_is_below_the_truth(runs, content):
    test = runs[0].spec.load_corpus().splits["test"].sentences[:30]
    truth = np.mean([-oracle.default().log_prob(sentence) for sentence in test])
    assert all(min(each["nats"]) > truth for each in content["result"]["proposals"].values())


def test_it_is_computed_once_and_repeats(runs, store, content, tmp_path):
    again = tightening.obtain(runs[0], store=store, samples=[1, 4, 12], sentences=30, refine=2)
    assert again == content
    fresh = tightening.obtain(runs[0], store=Store(tmp_path), samples=[1, 4, 12], sentences=30, refine=2)
    assert fresh["result"] == content["result"] and fresh["id"] == content["id"]
    other = tightening.obtain(runs[0], store=store, samples=[1, 4], sentences=30, refine=2)
    assert other["id"] != content["id"]


def test_a_recording_stands_in_for_a_run_that_is_not_here(runs, tmp_path, monkeypatch):
    """Its weights are not needed then; without a recording, or when asked to, the run is trained and the rest done."""
    spec, store = runs[0].spec, Store(tmp_path / "runs")
    parameters = {"run_id": spec.id} | tightening.usual("smoke")
    content = {"id": experiments.identity(tightening.NAME, 1, parameters), "name": tightening.NAME, "version": 1,
               "parameters": parameters, "result": {"best": "a mark"}}
    experiments.record(content, tmp_path / "results")
    monkeypatch.setattr(experiments, "known", partial(experiments.known, results=tmp_path / "results"))
    assert tightening.obtain_each([spec], store=store) == [content] and not store.ids()
    made, = tightening.obtain_each([spec], store=store, retrain=True)
    assert list(store.ids()) == [spec.id] and set(made["result"]["proposals"]) and made["id"] == content["id"]
    assert tightening.obtain_each([spec], store=store) == [made]


def test_usual_numbers_of_codes_divide_the_largest():
    for scale in ("smoke", "quick", "laptop", "paper"):
        chosen = tightening.usual(scale)["samples"]
        assert chosen[0] == 1 and all(chosen[-1] % count == 0 for count in chosen) and chosen == sorted(chosen)


def test_what_cannot_be_bounded_is_refused(runs, store):
    with pytest.raises(CeaeError, match="language model has no codes"):
        tightening.obtain(runs[1], store=store)
    with pytest.raises(CeaeError, match="must all divide the largest"):
        tightening.obtain(runs[0], store=store, samples=[1, 5, 12])
    assert math.isfinite(runs[0].metrics["nll_iw_nats"])
